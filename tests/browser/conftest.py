"""Hubs with a dashboard on real ports, filled through the catalog with versions of every state, and a real Chromium."""

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from hub.api.app import create_app
from hub.domain.access import HUB
from hub.domain.digests import digest_of
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import BlobRef, Draft, File, Kind, Manifest, TensorEntry
from hub.domain.names import ModelName
from hub.domain.reports import Facts, Finding, ProbeResult, Report, Severity, SignatureProbe, Verdict
from hub.domain.signatures import Signature, TuningFace
from hub.domain.tensors import TensorSpec
from hub.domain.versions import State, Version
from hub.engine.memory import MemoryEngine, ProbeOutcome
from hub.server import furnish
from hub.services.house import House
from hub.settings import Anonymous, Settings
from hub.storage.blobs import open_store
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots
from hub.web import pages
from tests.browser.walk import watch
from tests.support.curves import put_curves

CARD = """---
task: image-embedding
tags: [shapes, grey]
license: apache-2.0
---
# Shapes trunk

Tells drawn shapes apart: 16×16 grey pictures in, a vector of **32** features out.

| split | accuracy |
|:------|---------:|
| train | 0.991 |
| held out | 0.984 |

- trained on drawn shapes with a fixed seed
- see [the paper](https://example.org/paper) and ![a picture](https://example.org/tracker.png)

```python
features = trunk(pictures)
```

<script>document.title = "taken over"</script> [a trap](javascript:alert(1)) <img src=x onerror=alert(1)>
"""
PICTURE = TensorSpec(name="picture", dtype="float32", shape=(None, 16, 16, 1))
FEATURES = TensorSpec(name="features", dtype="float32", shape=(None, 32))
YES = Verdict(answer="yes")
TENSORS = tuple(
    TensorEntry(
        name=f"{part}/{name}/.ATTRIBUTES/VARIABLE_VALUE",
        dtype="float32",
        shape=shape,
        size=size,
        digest=digest_of(part.encode()),
    )
    for part in ("stem", *(f"block_{number}" for number in range(60)))
    for name, shape, size in (("kernel", (3, 3, 8, 16), 4_608), ("bias", (16,), 64))
)


@dataclass(frozen=True, slots=True)
class Hub:
    """A running hub."""

    url: str
    token: str
    house: House


def signature(name: str, inputs: list[TensorSpec], outputs: list[TensorSpec]) -> Signature:
    """A signature from its specs."""
    return Signature(name=name, inputs={s.name: s for s in inputs}, outputs={s.name: s for s in outputs})


def accepted(**verdicts: Verdict) -> Report:
    """A report of a good version, but for what is given."""
    answers = {"servable": YES, "tunable": YES, "portable": YES, "safe": YES} | verdicts
    facts = Facts(tensorflow_version="2.21.0", parameters=410_208, saved_by="Keras 3.15")
    return Report(**answers, facts=facts)


def add(
    house: House,
    name: str,
    *,
    kind: Kind,
    signatures: list[Signature],
    report: Report,
    state: State = State.READY,
    lineage: tuple[Edge, ...] = (),
    message: str = "",
    alias: str | None = None,
    face: TuningFace | None = None,
) -> Version:
    """Insert a version as a push would, once its files are stored."""
    data = f"{name} {message}".encode()
    blob = BlobRef(digest=digest_of(data), size=len(data))
    house.pulls.blobs.put(blob.digest, [data], len(data))
    file = File(path="saved_model.pb", size=blob.size, digest=blob.digest, blobs=(blob,))
    by_name = {one.name: one for one in signatures}
    manifest = Manifest(
        kind=kind, files=(file,), signatures=by_name, tuning_face=face, tensors=TENSORS, lineage=lineage
    )
    house.pulls.blobs.put(manifest.digest(), [manifest.canonical()], len(manifest.canonical()))
    content = Draft(kind=kind, files=(file,), lineage=lineage).content_digest()
    model = ModelName.parse(name)
    is_final = state in (State.VALIDATING, State.REJECTED)
    with house.browse.catalog.begin() as tx:
        tx.ensure_model(model, kind, is_private=False, created_by="ines")
        version = tx.add_version(
            model,
            manifest,
            digest=manifest.digest(),
            content_digest=content,
            report=report,
            state=state if is_final else State.VALIDATING,
            created_by="ines",
            message=message,
            alias=alias,
        )
        if not is_final:
            version = tx.finish_version(
                model, version.number, state=State.READY, report=report, interface=1, golden_digest=None
            )
    return version


def head_of(trunk: Version) -> tuple[Edge, ...]:
    """The edge of a head."""
    return (Edge(kind=EdgeKind.HEAD_OF, model=trunk.model, number=trunk.number, digest=trunk.digest),)


def seed(house: House) -> None:
    """One model of every sort that a reader can meet."""
    bare = PICTURE.model_copy(update={"name": ""})
    face = TuningFace(inputs=(bare,), training_values=(False, True), variables=8, trainable_variables=6)
    serving = signature("serving_default", [PICTURE], [FEATURES])
    trunk = Kind.TRUNK
    house_args = {"kind": trunk, "signatures": [serving], "face": face}
    add(house, "acme/shapes", report=accepted(), message="first light", alias="stable", **house_args)
    encoded = signature("encoded", [TensorSpec(name="png", dtype="string", shape=(None,))], [FEATURES])
    second = add(
        house,
        "acme/shapes",
        kind=trunk,
        signatures=[serving, encoded],
        face=face,
        report=accepted(),
        message="Trained twice as long",
        alias="production",
    )
    broken = Report(
        servable=Verdict(answer="no", reasons=("A kernel is missing: FancyOp.",)),
        tunable=Verdict(answer="no", reasons=("It has no __call__ that was traced with training=True.",)),
        portable=Verdict(answer="unknown", reasons=("It was not run.",)),
        safe=YES,
        findings=(
            Finding(
                rule="ops.kernel-missing",
                severity=Severity.ERROR,
                message="The op FancyOp has no kernel for CPU in TensorFlow 2.21.",
                place="function __inference_call_12",
                remedy="Export the model without it, or register the op in the worker.",
            ),
            Finding(rule="signature.names", severity=Severity.NOTE, message="Output names were made up by Keras."),
        ),
    )
    add(house, "acme/shapes", report=broken, state=State.REJECTED, message="with FancyOp", **house_args)
    colours = signature("serving_default", [FEATURES], [TensorSpec(name="colour", dtype="float32", shape=(None, 3))])
    head = {"kind": Kind.HEAD, "signatures": [colours], "report": accepted(), "lineage": head_of(second)}
    add(house, "acme/colour-head", message="three colours", **head)
    add(house, "lab/secret-head", message="not yet public", **head)
    refusing = ProbeResult(
        loader="session",
        load_ms=12.5,
        peak_bytes=9_300_000,
        signatures={"default": SignatureProbe(status="inputs-refused")},
    )
    words = signature("default", [TensorSpec(name="text", dtype="string", shape=(None,))], [FEATURES])
    old = accepted(tunable=Verdict(answer="no", reasons=("A TF1 hub module has no tuning face.",)))
    add(house, "acme/words", kind=trunk, signatures=[words], report=old.model_copy(update={"probe": refusing}))
    add(house, "acme/waiting", kind=trunk, signatures=[serving], report=accepted(), state=State.VALIDATING)
    with house.browse.catalog.begin() as tx:
        tx.set_card(ModelName.parse("acme/shapes"), CARD)
        tx.set_private(ModelName.parse("lab/secret-head"), True)
        tx.yank(ModelName.parse("acme/shapes"), 1, "Trained on the wrong split.")
    fallen = [(step, 1 / (1 + step)) for step in range(40)]
    house.curves.put(HUB, "acme/shapes", 2, put_curves({("train", "loss"): fallen, ("held-out", "loss"): fallen}))


class SlowToProbe(MemoryEngine):
    """Knows no version, and probes for ever, so that what is validating stays so."""

    async def probe(self, digest: str, trunk_digest: str | None) -> ProbeOutcome:
        await asyncio.Event().wait()
        return await super().probe(digest, trunk_digest)


def furnished(folder: Path, settings: Settings, *, is_migrated: bool = True) -> House:
    """The services of a hub in ``folder``; its engine starts no process, because each would import TensorFlow."""
    catalog = Catalog(settings.database)
    if is_migrated:
        catalog.migrate()
    blobs = open_store(settings.storage)
    snapshots = Snapshots(blobs, settings.data_path / "snapshots")
    return furnish(settings, catalog, blobs, snapshots, SlowToProbe({}))


@contextmanager
def serving(house: House) -> Iterator[str]:
    """Serve the whole application; gives its URL."""
    app = create_app(house, pages.routes(house))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            house.browse.catalog.close()


Open = Callable[..., Hub]


@pytest.fixture(scope="session")
def open_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Starts hubs; they stop when the session ends."""
    with ExitStack() as stack:

        def start(*, is_seeded: bool = False, is_migrated: bool = True, anonymous: Anonymous = "read") -> Hub:
            folder = tmp_path_factory.mktemp("hub")
            house = furnished(folder, Settings(data_dir=folder, anonymous=anonymous), is_migrated=is_migrated)
            if is_seeded:
                seed(house)
            created = house.access.create_first() if is_migrated else None
            return Hub(stack.enter_context(serving(house)), created.secret if created else "", house)

        yield start


@pytest.fixture(scope="session")
def hub(open_hub: Open) -> Hub:
    """A hub with models of every sort."""
    return open_hub(is_seeded=True)


@pytest.fixture(scope="session")
def empty_hub(open_hub: Open) -> Hub:
    """A hub nobody has pushed to."""
    return open_hub()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real browser; gone with its module, because Playwright keeps an event loop running in this thread."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("These tests need Chromium. Install it with: apt-get install -y --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about."""
    return []


@pytest.fixture
def context(chromium: Browser, complaints: list[str]) -> Iterator[BrowserContext]:
    """A fresh reader; whatever the browser complains about fails the test."""
    context = chromium.new_context()
    watch(context, complaints)
    yield context
    context.close()
    assert complaints == []
