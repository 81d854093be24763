"""What a worker may read at any moment: what it has, and what it is being told to load."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from hub.engine.shelf import Shelf
from hub.storage.blobs.memory import MemoryBlobStore
from hub.storage.snapshots import Snapshots
from tests.support.savedmodel_writer import ModelWriter


def shown(shelf: Shelf) -> set[str]:
    return {f"sha256:{place.name}" for place in shelf.folder.iterdir() if place.is_dir()}


def test_a_shelf_follows_what_a_worker_has_and_is_told_to_load(tmp_path: Path, publish: Callable[..., str]) -> None:
    blobs = MemoryBlobStore()
    snapshots, models = Snapshots(blobs, tmp_path / "snapshots"), []
    for name in ("one", "two", "three"):
        root = ModelWriter(tmp_path / name, data=name.encode().ljust(8)).write()
        models.append(publish(blobs, root, signatures={}))
        snapshots.path(models[-1])
    one, two, three = models
    shelf, other = Shelf(snapshots, "worker-0"), Shelf(snapshots, "worker-1")

    async def load() -> None:
        async with shelf.showing([one], []) as folders:
            assert shown(shelf) == {one}
            assert (folders[one] / "saved_model.pb").is_file()
            async with shelf.showing([two], []), other.showing([three], []):  # at the same time: neither is there yet
                assert shown(shelf) == {one, two}
                assert shown(other) == {three}
        async with shelf.showing([two, three], [one, two]):
            assert shown(shelf) == {one, two, three}
        async with shelf.showing([three], [three]):  # one and two were unloaded
            assert shown(shelf) == {three}
        async with shelf.showing([one], []):  # another process, which has nothing
            assert shown(shelf) == {one}

    asyncio.run(load())
