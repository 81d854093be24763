"""What each of TensorFlow's ops may do, from ``op_policy.csv``, and where unknown ops probably come from.

The table has every op registered in TensorFlow 2.21 with a verdict:

``allow``
    computes on tensors and on the model's own state;
``guarded``
    allowed unless an attribute makes it reach outside;
``checkpoint``
    allowed where only the saver runs it;
``asset``
    allowed where the file it reads is one of the model's assets;
``absent``
    registered, but TensorFlow ships no implementation for any device a hub has;
``deny``
    reaches beyond the model.

Law: an op that is not in the table is unknown and does not load.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

Permission = Literal["allow", "guarded", "checkpoint", "asset", "absent", "deny"]

REASONS = {
    "reads-files": "it reads files of the machine it runs on",
    "writes-files": "it writes files on the machine it runs on",
    "network": "it opens network connections",
    "python": "it calls Python functions of the process that runs it",
    "hidden-code": "it runs code that cannot be seen in the graph",
    "process": "it acts on the whole process",
    "dataset": "it runs an input pipeline inside the model",
    "blocking": "it can wait for ever",
    "distributed": "it talks to other devices and machines",
    "tpu": "it needs a TPU",
    "test": "it exists for TensorFlow's own tests",
    "internal": "TensorFlow makes it at run time and never saves it",
    "legacy-training": "it belongs to a training method TensorFlow has dropped",
    "legacy-checkpoint": "it reads or writes checkpoints at a path of its own",
    "handles": "it shares state beyond the model",
    "inflate": "it unpacks data without a bound",
    "unreviewed": "nobody has reviewed it",
}

_PACKAGES = (
    (r"\w*Sentencepiece\w*|\w*Wordpiece\w*|\w*WhitespaceTokenize\w*|\w*Detokenize\w*|TFText>\w*", "tensorflow_text"),
    (r"CaseFoldUTF8|NormalizeUTF8\w*|ConstrainedSequence|MaxSpanningTree|FastBertNormalize\w*", "tensorflow_text"),
    (r"UnicodeScriptTokenize\w*|RegexSplit\w*|RougeL|SplitMerge\w*|SentenceFragments\w*", "tensorflow_text"),
    (r"Utf8Binarize|PhraseTokenize\w*|ByteSplit\w*|BertTokenize\w*|TrimmerOp\w*", "tensorflow_text"),
    (r"Addons>\w*", "tensorflow_addons"),
    (r"SimpleML\w*|DF>\w*|Yggdrasil\w*", "tensorflow_decision_forests"),
    (r"IO>\w*", "tensorflow_io"),
    (r"Horovod\w*", "horovod"),
    (r"TRTEngineOp\w*|CreateTRTResourceHandle|InitializeTRTResource", "TensorRT"),
    (r"NeuronOp|AWSNeuron\w*", "AWS Neuron"),
    (r"TFRA>\w*", "tensorflow_recommenders_addons"),
)


@dataclass(frozen=True, slots=True)
class OpPolicy:
    """One row of the table."""

    permission: Permission
    group: str
    has_cpu_kernel: bool
    writes_state: bool

    @property
    def reason(self) -> str:
        """Why it is denied or absent, as a clause."""
        return REASONS.get(self.group, "it is not allowed")


@cache
def policies() -> dict[str, OpPolicy]:
    """The table by op name."""
    with Path(__file__).with_name("op_policy.csv").open(encoding="ascii", newline="") as file:
        return {
            row["op"]: OpPolicy(
                permission=cast(Permission, row["verdict"]),
                group=row["group"],
                has_cpu_kernel=row["kernel"] == "cpu",
                writes_state=row["state"] == "writes",
            )
            for row in csv.DictReader(file)
        }


def probable_package(op: str) -> str | None:
    """The package an unknown op probably comes from."""
    return next((package for pattern, package in _PACKAGES if re.fullmatch(pattern, op)), None)
