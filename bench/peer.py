"""The other clients as contenders: libraries for object stores, and commands whose result is checked.

``boto3|boto3-tuned|obstore up FOLDER PREFIX`` sends every file below a folder, ``down PREFIX FOLDER DIGESTS`` fetches
those that DIGESTS names and then compares their sha256, because our own pull does so too. ``checked FOLDER DIGESTS --
COMMAND…`` does the same after a command that fetches.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.contents import files_of
from bench.measure import tell
from bench.servers import ACCESS_KEY, BUCKET, SECRET_KEY

_TUNED = {"max_concurrency": 4, "multipart_chunksize": 64 << 20, "multipart_threshold": 64 << 20}
_OBSTORE_FILES_AT_ONCE = 8
_PIECE = 1 << 20
Up = Callable[[list[tuple[str, Path]]], None]


def check(folder: Path, digests: Path) -> None:
    """Hash what was fetched.

    Raises:
        SystemExit: It is not what it should be.
    """
    for path, wanted in json.loads(digests.read_text()).items():
        with (folder / path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != wanted:
                sys.exit(f"{path} has other bytes")


class Boto3:
    """boto3's transfer manager in Python: with its defaults, or with four threads and parts of 64 MiB."""

    def __init__(self, endpoint: str, *, is_tuned: bool) -> None:
        from boto3.s3.transfer import TransferConfig, create_transfer_manager
        from boto3.session import Session

        options: dict[str, Any] = _TUNED if is_tuned else {}
        # Its native client ignores the endpoint that it is given.
        config = TransferConfig(preferred_transfer_client="classic", **options)
        self._manager = create_transfer_manager(Session().client("s3", endpoint_url=endpoint), config)

    def up(self, items: list[tuple[str, Path]]) -> None:
        """Send files under their keys."""
        with self._manager as manager:
            for done in [manager.upload(str(path), BUCKET, key) for key, path in items]:
                done.result()

    def down(self, items: list[tuple[str, Path]]) -> None:
        """Fetch keys into files."""
        with self._manager as manager:
            for done in [manager.download(BUCKET, key, str(path)) for key, path in items]:
                done.result()


class Obstore:
    """obstore, which is Rust's object_store, with its defaults."""

    def __init__(self, endpoint: str) -> None:
        from obstore.store import S3Store

        keys = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY, "region": "us-east-1"}
        self._store = S3Store(BUCKET, endpoint=endpoint, client_options={"allow_http": True}, **keys)

    def up(self, items: list[tuple[str, Path]]) -> None:
        """Send files under their keys."""
        with ThreadPoolExecutor(_OBSTORE_FILES_AT_ONCE) as pool:
            list(pool.map(lambda item: self._store.put(*item), items))

    def down(self, items: list[tuple[str, Path]]) -> None:
        """Fetch keys into files."""

        def fetch(item: tuple[str, Path]) -> None:
            with item[1].open("wb") as file:
                for piece in self._store.get(item[0]).stream(min_chunk_size=_PIECE):
                    file.write(piece)

        with ThreadPoolExecutor(_OBSTORE_FILES_AT_ONCE) as pool:
            list(pool.map(fetch, items))


def _library(name: str) -> Boto3 | Obstore:
    endpoint = os.environ["BENCH_S3_URL"]
    library = Obstore(endpoint) if name == "obstore" else Boto3(endpoint, is_tuned=name == "boto3-tuned")
    tell("ready")
    return library


def _up(library: str, folder: Path, prefix: str) -> None:
    items = [(f"{prefix}/{path.relative_to(folder).as_posix()}", path) for path in files_of(folder)]
    _library(library).up(items)


def _down(library: str, prefix: str, folder: Path, digests: Path) -> None:
    names = json.loads(digests.read_text())
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    _library(library).down([(f"{prefix}/{name}", folder / name) for name in names])
    check(folder, digests)


def main() -> None:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["checked", folder, digests, "--", *command]:
            subprocess.run(command, check=True)
            check(Path(folder), Path(digests))
        case [library, "up", folder, prefix]:
            _up(library, Path(folder), prefix)
        case [library, "down", prefix, folder, digests]:
            _down(library, prefix, Path(folder), Path(digests))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
