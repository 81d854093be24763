"""The client: everything a program does with a hub, one method each.

::

    with hub.Client("https://hub.example.org") as client:
        client.push("./export", "acme/resnet50:stable")
        outputs = client.predict("acme/resnet50:stable", {"inputs": images})
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hub.client import pull as pulls
from hub.client import push as pushes
from hub.client.operations import Operations
from hub.client.outlook import OutlookSink, warn
from hub.client.predict import Predictor
from hub.client.progress import ProgressSink, silent


class Client(Operations):
    """A hub: its REST operations, and push, pull and predict.

    Args:
        url: The hub; ``HUB_URL``, the hub last logged in to or this machine's default where None.
        token: The secret; ``HUB_TOKEN`` or the one saved for that URL where None.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        super().__init__(url, token)
        self._predictor = Predictor(self)

    def push(
        self,
        path_or_model: Any,
        name: str,
        *,
        alias: str | None = None,
        head_of: str | None = None,
        derived_from: str | None = None,
        card: str | None = None,
        message: str = "",
        is_private: bool | None = None,
        sign: Path | str | None = None,
        summaries: Path | str | None = None,
        dry_run: bool = False,
        no_break: bool = False,
        limit_rate: float | None = None,
        progress: ProgressSink = silent,
        foreseen: OutlookSink = warn,
    ) -> pushes.Pushed:
        """Publish a SavedModel directory or a Keras model; see :func:`hub.client.push.push`."""
        return pushes.push(
            path_or_model,
            name,
            alias=alias,
            head_of=head_of,
            derived_from=derived_from,
            card=card,
            message=message,
            is_private=is_private,
            sign=sign,
            summaries=summaries,
            dry_run=dry_run,
            no_break=no_break,
            limit_rate=limit_rate,
            progress=progress,
            foreseen=foreseen,
            client=self,
        )

    def pull(
        self,
        reference: str,
        directory: Path | str | None = None,
        *,
        tfserving: bool = False,
        limit_rate: float | None = None,
        progress: ProgressSink = silent,
    ) -> Path:
        """Get a version's files; see :func:`hub.client.pull.pull`."""
        return self.pull_version(
            reference, directory, tfserving=tfserving, limit_rate=limit_rate, progress=progress
        ).path

    def pull_version(
        self,
        reference: str,
        directory: Path | str | None = None,
        *,
        tfserving: bool = False,
        limit_rate: float | None = None,
        progress: ProgressSink = silent,
    ) -> pulls.Pulled:
        """Get a version's files and what is known of it; see :func:`hub.client.pull.pull_version`."""
        return pulls.pull_version(
            reference, directory, tfserving=tfserving, limit_rate=limit_rate, progress=progress, client=self
        )

    def predict(self, reference: str, inputs: Any, signature: str | None = None) -> dict[str, np.ndarray]:
        """Call a version; see :func:`hub.client.predict.predict`."""
        return self._predictor.predict(reference, inputs, signature)

    def predict_heads(
        self, trunk: str, inputs: Any, heads: Sequence[str] | None = None
    ) -> dict[str, dict[str, np.ndarray]]:
        """Answer one input of a trunk with many heads; the hub computes the trunk once.

        Args:
            trunk: Any form of reference.
            inputs: The trunk's: arrays by input name, a bare one where there is one.
            heads: References of heads of that very trunk version; all that there are, in their newest ready versions,
                where None.

        Returns:
            The outputs by name, by the head's ``owner/name@number``.

        Raises:
            InvalidRequest: There are no heads, or one is none of this trunk version.
            HubError: See :meth:`predict`.
        """
        return self._predictor.heads(trunk, inputs, heads)
