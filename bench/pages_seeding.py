"""A catalog in which every page of the dashboard has much to show, for `bench.pages`."""

import math
from pathlib import Path

from hub.domain.access import HUB
from hub.domain.manifest import Kind
from hub.settings import Settings
from tests.browser.conftest import FEATURES, PICTURE, accepted, add, furnished, head_of, seed, signature
from tests.support.curves import put_curves

MODEL = "acme/shapes"
_VERSIONS, _HEADS, _MODELS = 40, 30, 60
_TAGS, _STEPS = 24, 1_000


def seeded(folder: Path) -> dict[str, str]:
    """Fill a database and a blob directory; gives the options of a hub over them."""
    folder.mkdir(parents=True)
    settings = Settings(data_dir=folder)
    house = furnished(folder, settings)
    seed(house)
    serving = signature("serving_default", [PICTURE], [FEATURES])
    trunk = {"kind": Kind.TRUNK, "signatures": [serving], "report": accepted()}
    for number in range(_VERSIONS):
        newest = add(house, MODEL, message=f"trained once more, {number}", **trunk)
    colours = {"kind": Kind.HEAD, "signatures": [signature("serving_default", [FEATURES], [FEATURES])]}
    for number in range(_HEADS):
        add(house, f"team{number}/head", report=accepted(), lineage=head_of(newest), **colours)
    for number in range(_MODELS):
        add(house, f"acme/other-{number}", **trunk)
    steps = range(_STEPS)
    curves = {
        (run, f"part{tag // 6}/loss{tag}"): [
            (step, math.exp(-step / 300) + 0.1 * math.sin(step * (tag + 1))) for step in steps
        ]
        for run in ("train", "validation")
        for tag in range(_TAGS)
    }
    house.curves.put(HUB, MODEL, newest.number, put_curves(curves))
    house.browse.catalog.close()
    return {"database_url": settings.database, "storage_url": settings.storage}
