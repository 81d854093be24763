"""TensorBoard over the hub's own curves: imported only when somebody opens it, because it takes a second.

TensorBoard asks a *data provider* for runs and scalars. Ours answers from the catalog, so no event file and no further
process are needed. An *experiment* is what the address names: ``acme/resnet50@6,7``.

Law: an experiment was authorised before TensorBoard sees it, and is never taken from what a client sends.
"""

from collections.abc import Iterator
from typing import Any

from a2wsgi import WSGIMiddleware
from tensorboard import program
from tensorboard.backend.application import TensorBoardWSGIApp
from tensorboard.data import provider
from tensorboard.plugins.core.core_plugin import CorePluginLoader
from tensorboard.plugins.metrics.metrics_plugin import MetricsPlugin
from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin

from hub.domain.access import HUB
from hub.domain.curves import MAX_CURVES, Curve
from hub.protocol.codecs.points import Points
from hub.services.curves import Curves

_PLUGINS = [CorePluginLoader(), ScalarsPlugin, MetricsPlugin]
_SCALARS = "scalars"
_Base: Any = provider.DataProvider  # its bodies are empty, from which a type checker reads that they give nothing


def open_board(curves: Curves) -> WSGIMiddleware:
    """TensorBoard as an ASGI application; a request names its experiment in ``tensorboard-experiment-id``."""
    board = program.TensorBoard(_PLUGINS)
    board.configure(("tensorboard", "--logdir", ".", "--window_title", "TensorBoard · Trunk Hub"))
    board.flags.logdir = ""
    app = TensorBoardWSGIApp(board.flags, _PLUGINS, CurveProvider(curves), board.assets_zip_provider)
    return WSGIMiddleware(app)


class CurveProvider(_Base):
    """The curves of the versions that an experiment names."""

    def __init__(self, curves: Curves) -> None:
        self._curves = curves

    def experiment_metadata(self, ctx: Any = None, *, experiment_id: str) -> provider.ExperimentMetadata:  # noqa: ARG002
        """What the experiment is called."""
        return provider.ExperimentMetadata(experiment_name=experiment_id, data_location=experiment_id)

    def list_plugins(self, ctx: Any = None, *, experiment_id: str) -> list[str]:  # noqa: ARG002
        """Which of TensorBoard's tabs have something to show."""
        return [_SCALARS, MetricsPlugin.plugin_name]

    def list_runs(self, ctx: Any = None, *, experiment_id: str) -> list[provider.Run]:  # noqa: ARG002
        """``@7/train`` and so on."""
        names = {run: None for run, _ in self._facts(experiment_id)}
        return [provider.Run(run_id=name, run_name=name, start_time=None) for name in names]

    def list_scalars(
        self,
        ctx: Any = None,  # noqa: ARG002
        *,
        experiment_id: str,
        plugin_name: str,
        run_tag_filter: provider.RunTagFilter | None = None,
    ) -> dict[str, dict[str, provider.ScalarTimeSeries]]:
        """What there is, by run and tag."""
        found: dict[str, dict[str, provider.ScalarTimeSeries]] = {}
        for run, curve in self._facts(experiment_id) if plugin_name == _SCALARS else ():
            if _is_wanted(run_tag_filter, run, curve.tag):
                step = (
                    max(reading.step for reading in (curve.last, curve.min, curve.max) if reading) if curve.min else 0
                )
                series = provider.ScalarTimeSeries(
                    max_step=step, max_wall_time=0.0, plugin_content=b"", description="", display_name=curve.tag
                )
                found.setdefault(run, {})[curve.tag] = series
        return found

    def read_scalars(
        self,
        ctx: Any = None,  # noqa: ARG002
        *,
        experiment_id: str,
        plugin_name: str,
        downsample: int | None = None,  # noqa: ARG002
        run_tag_filter: provider.RunTagFilter | None = None,
    ) -> dict[str, dict[str, list[provider.ScalarDatum]]]:
        """The points, by run and tag: never more than the thousand that TensorBoard would keep."""
        found: dict[str, dict[str, list[provider.ScalarDatum]]] = {}
        for run, curve, points in self._drawn(experiment_id, run_tag_filter) if plugin_name == _SCALARS else ():
            columns = zip(points.steps.tolist(), points.walls.tolist(), points.values.tolist(), strict=True)
            data = [provider.ScalarDatum(step, wall, value) for step, wall, value in columns]
            found.setdefault(run, {})[curve.tag] = data
        return found

    def read_last_scalars(
        self,
        ctx: Any = None,
        *,
        experiment_id: str,
        plugin_name: str,
        run_tag_filter: provider.RunTagFilter | None = None,
    ) -> dict[str, dict[str, provider.ScalarDatum]]:
        """The last point of each, by run and tag."""
        all_points = self.read_scalars(
            ctx, experiment_id=experiment_id, plugin_name=plugin_name, run_tag_filter=run_tag_filter
        )
        return {run: {tag: data[-1] for tag, data in tags.items()} for run, tags in all_points.items()}

    def list_tensors(self, ctx: Any = None, **_: Any) -> dict[str, Any]:  # noqa: ARG002
        """None: only scalars are kept."""
        return {}

    list_blob_sequences = read_tensors = read_blob_sequences = list_tensors

    def _facts(self, experiment_id: str) -> Iterator[tuple[str, Curve]]:
        name, numbers = _parsed(experiment_id)
        for number in numbers:
            for curve in self._curves.page(HUB, name, number, limit=MAX_CURVES).items:
                yield _label(number, curve), curve

    def _drawn(self, experiment_id: str, chosen: provider.RunTagFilter | None) -> Iterator[tuple[str, Curve, Points]]:
        name, numbers = _parsed(experiment_id)
        for number in numbers:
            for tag in sorted(chosen.tags) if chosen and chosen.tags is not None else [None]:
                for curve, points in self._curves.rows(HUB, name, number, tag=tag):
                    if _is_wanted(chosen, _label(number, curve), curve.tag):
                        yield _label(number, curve), curve, points


def _parsed(experiment_id: str) -> tuple[str, list[int]]:
    name, _, numbers = experiment_id.partition("@")
    return name, [int(number) for number in numbers.split(",") if number]


def _label(number: int, curve: Curve) -> str:
    return f"@{number}" if curve.run == "." else f"@{number}/{curve.run}"


def _is_wanted(chosen: provider.RunTagFilter | None, run: str, tag: str) -> bool:
    if chosen is None:
        return True
    return (chosen.runs is None or run in chosen.runs) and (chosen.tags is None or tag in chosen.tags)
