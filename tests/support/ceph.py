"""The smallest Ceph that serves S3: one monitor, one disk in memory and the RADOS Gateway, each a process of its own.

Nothing else is in it: no manager, no authentication between the three, and one copy of everything.
"""

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.support.processes import free_ports, own_folder, run_to_its_end, running, wait_until

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool")
REMEDY = "sh tests/system_packages.sh, as root, or install the packages radosgw, ceph-mon and ceph-osd"
# The monitor gathers changes for `paxos propose interval`, a second by default, and a start is a row of changes.
CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
keyring = /dev/null
run dir = {folder}
admin socket =
crash dir = {folder}
log to file = false
log to stderr = true
mon cluster log to file = false
debug rocksdb = 0
paxos propose interval = 0.02
paxos min wait = 0.01
mon allow pool size one = true
mon data avail crit = 1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd pool default pg autoscale mode = off
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {room}
[client.rgw]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{http} {tls}
rgw thread pool size = 32
"""
ROOM_BYTES = 6 << 30


@contextmanager
def ceph_gateway(
    access_key: str, secret_key: str, chain: Path, key: Path, *, is_up: Callable[[str, str], bool]
) -> Iterator[tuple[str, str]]:
    """A gateway with one user; gives its addresses over http and https."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        pytest.fail(f"Ceph is missing ({', '.join(missing)}): {REMEDY}.")
    fsid, disk = str(uuid.uuid4()), str(uuid.uuid4())
    mon, http, https = free_ports(3)
    with own_folder("ceph-") as folder:
        settings = {"mon": mon, "http": http}
        tls = f"ssl_endpoint=127.0.0.1:{https} ssl_certificate={chain} ssl_private_key={key}"
        settings |= {"folder": folder, "fsid": fsid, "room": ROOM_BYTES, "tls": tls}
        (folder / "ceph.conf").write_text(CONFIGURATION.format_map(settings))
        for name in ("mon", "osd", "rgw"):
            (folder / name).mkdir()
        log, addresses = folder / "log", (f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}")
        as_ceph = {"cwd": folder, "env": _environment(folder)}

        def once(*command: str) -> None:
            run_to_its_end([*command, f"--conf={folder}/ceph.conf"], log, **as_ceph)

        def daemon(*command: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
            # Killed at the end, like the others: nobody wants the data.
            return running([*command, f"--conf={folder}/ceph.conf", "-f"], log, stop=signal.SIGKILL, **as_ceph)

        once("monmaptool", "--create", f"--fsid={fsid}", "--addv", "a", f"[v2:127.0.0.1:{mon}]", f"{folder}/map")
        once("ceph-mon", "-i", "a", "--mkfs", f"--monmap={folder}/map")
        with daemon("ceph-mon", "-i", "a"):
            once("ceph", "--connect-timeout=30", "osd", "new", disk, "0")
            once("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk, "--no-mon-config")
            with daemon("ceph-osd", "-i", "0"):
                user = ["user", "create", "--uid=contract", "--display-name=contract"]
                keys = [f"--access-key={access_key}", f"--secret-key={secret_key}"]
                once("radosgw-admin", "-n", "client.rgw", *user, *keys)
                with daemon("radosgw", "-n", "client.rgw") as gateway:
                    wait_until(lambda: is_up(*addresses), gateway, log)
                    yield addresses


def _environment(folder: Path) -> dict[str, str]:
    # `ceph` is a program of the system's Python, which a virtual environment's settings are not meant for.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CEPH_", "PYTHON"))}
    return kept | {"HOME": str(folder), "TMPDIR": str(folder)}
