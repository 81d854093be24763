"""Golden samples answered again: does a version on this machine still say what it said when it was published?

``python -m hub.runtime.golden DIR MANIFEST GOLDEN`` prints, as JSON, what differs for each signature ("" where nothing
does). It is a process of its own, so that whoever asks need not load TensorFlow.

Law: a sample that cannot be answered differs; nothing is raised for it.
"""

import argparse
import sys
from pathlib import Path

import orjson

from hub.domain.errors import HubError
from hub.domain.manifest import Manifest
from hub.protocol.frames import Tensor, to_numpy
from hub.protocol.golden import Sample, read_golden
from hub.runtime.devices import Device
from hub.runtime.failures import describe
from hub.runtime.loader import load
from hub.runtime.orders import Order
from hub.runtime.servable import Servable, as_array
from hub.runtime.trials import Arrays, differences

_CPU = Device("cpu", 0)


def compare(order: Order, samples: dict[str, Sample]) -> dict[str, str]:
    """What differs, by signature; an empty text where nothing does.

    Raises:
        ModelFailed: The version cannot be loaded.
    """
    servable = load(order, _CPU)
    return {name: _difference(servable, name, sample) for name, sample in samples.items()}


def _difference(servable: Servable, name: str, sample: Sample) -> str:
    try:
        outputs = {key: as_array(value) for key, value in servable.run(name, _arrays(sample.inputs)).items()}
    except Exception as error:  # noqa: BLE001 - the version is other people's program: it may raise anything
        return describe(error, servable.order.root)
    return differences(_arrays(sample.outputs), outputs)


def _arrays(tensors: tuple[Tensor, ...]) -> Arrays:
    return {tensor.name: to_numpy(tensor) for tensor in tensors}


def main() -> None:
    """Compare by hand, or for ``hub verify``."""
    parser = argparse.ArgumentParser(prog="hub.runtime.golden", description=compare.__doc__)
    parser.add_argument("directory", type=Path, help="the version's files")
    parser.add_argument("manifest", type=Path, help="its manifest")
    parser.add_argument("golden", type=Path, help="its golden samples")
    options = parser.parse_args()
    manifest = Manifest.parse(options.manifest.read_bytes())
    order = Order.of(manifest.digest(), options.directory, manifest)
    try:
        found = compare(order, read_golden(options.golden.read_bytes()))
    except HubError as error:
        found = dict.fromkeys(manifest.signatures, error.detail)
    sys.stdout.write(orjson.dumps(found).decode() + "\n")


if __name__ == "__main__":
    main()
