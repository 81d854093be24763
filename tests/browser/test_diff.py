"""Two versions side by side, as people meet them: real bytes in the store, a real browser."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from hub.client.digesting import cut_files
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Draft, Kind, Manifest
from hub.domain.names import ModelName
from hub.domain.reports import Facts, Report, Verdict
from hub.domain.signatures import Signature, TuningFace
from hub.domain.tensors import Shape, TensorSpec
from hub.domain.versions import State, Version
from hub.savedmodel.bundle import read_bundle, tensor_entries
from tests.support.savedmodel_writer import entry, message, table

YES = Verdict(answer="yes")
VIOLATIONS = "addEventListener('securitypolicyviolation', event => console.error('CSP ' + event.violatedDirective))"
Weights = Mapping[str, np.ndarray]


def spec(name: str, shape: Shape, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def signature(name: str, inputs: list[TensorSpec], outputs: list[TensorSpec]) -> Signature:
    return Signature(name=name, inputs={s.name: s for s in inputs}, outputs={s.name: s for s in outputs})


def write(root: Path, weights: Weights, about: str) -> Path:
    """A version's files: variables as TensorFlow lays them out, and something for a graph."""
    (root / "variables").mkdir(parents=True)
    rows, data = [(b"", message((1, 1)))], b""
    for name, array in sorted(weights.items()):
        raw = array.astype("<f4").tobytes()
        rows.append((name.encode(), entry(1, array.shape, len(data), len(raw))))
        data += raw
    (root / "variables/variables.index").write_bytes(table(rows))
    (root / "variables/variables.data-00000-of-00001").write_bytes(data)
    (root / "saved_model.pb").write_bytes(about.encode())
    return root


def put(
    hub: Any,
    root: Path,
    name: str,
    signatures: list[Signature],
    *,
    ops: dict[str, int] | None = None,
    face: TuningFace | None = None,
    trunk: Version | None = None,
    interface: int = 1,
    is_private: bool = False,
) -> Version:
    """Store a version's blobs, and insert it as a push would."""
    files = cut_files(
        root, {str(p.relative_to(root)): p.stat().st_size for p in root.rglob("*") if p.is_file()}, lambda _: None
    )
    for file in files:
        held = (root / file.path).read_bytes()
        for blob in file.blobs:
            hub.house.pushes.blobs.put(blob.digest, [held[: blob.size]], blob.size)
            held = held[blob.size :]
    edges = () if trunk is None else (Edge(kind=EdgeKind.HEAD_OF, model=trunk.model, number=1, digest=trunk.digest),)
    kind = Kind.HEAD if edges else Kind.TRUNK
    facts = Facts(tensorflow_version="2.21.0", parameters=410_208, saved_by="Keras 3", ops=ops or {})
    report = Report(servable=YES, tunable=YES, portable=YES, safe=YES, facts=facts)
    manifest = Manifest(
        kind=kind,
        files=files,
        signatures={one.name: one for one in signatures},
        tuning_face=face,
        tensors=tensor_entries(read_bundle(root), {}),
        lineage=edges,
        tensorflow_version="2.21.0",
    )
    content = Draft(kind=kind, files=files, lineage=edges).content_digest()
    model = ModelName.parse(name)
    given = {"digest": manifest.digest(), "content_digest": content, "report": report, "created_by": "ines"}
    with hub.house.browse.catalog.begin() as tx:
        tx.ensure_model(model, kind, is_private=is_private, created_by="ines")
        version = tx.add_version(model, manifest, state=State.VALIDATING, message="", alias=None, **given)
        done = {"state": State.READY, "report": report, "interface": interface, "golden_digest": None}
        return tx.finish_version(model, version.number, **done)


@pytest.fixture(scope="module")
def hub(open_hub: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A hub with a trunk in three versions and heads on the first."""
    hub, folder = open_hub(), tmp_path_factory.mktemp("versions")
    random = np.random.default_rng(7)
    layers = {f"block_{block}/conv/kernel": random.normal(size=(3, 3, 16, 32)) for block in range(6)}
    layers |= {f"block_{block}/conv/bias": random.normal(size=32) for block in range(6)}
    moved = {name: array * (1 + 0.02 * int(name[6])) for name, array in layers.items()}
    moved |= {"top/kernel": random.normal(size=(32, 1280))}
    image, wide = spec("image", (None, 96, 96, 3)), spec("image", (None, 224, 224, 3))
    embedding, jpeg = spec("embedding", (None, 1280)), spec("jpeg", (None,), "string")
    face = TuningFace(
        inputs=(spec("", image.shape),), training_values=(False, True), variables=12, trainable_variables=8
    )
    features = signature("features", [image], [spec("map", (None, 3, 3, 1280))])
    one = [signature("serving_default", [image], [embedding]), features]
    trunk = put(hub, write(folder / "1", layers, "1"), "shop/net", one, face=face, ops={"Conv2D": 52, "Relu": 35})
    same = [*one, signature("encoded", [jpeg], [embedding])]
    put(hub, write(folder / "2", moved, "two"), "shop/net", same, face=face, ops={"Conv2D": 53, "Relu6": 35})
    broken = [signature("serving_default", [wide], [embedding])]
    put(hub, write(folder / "3", moved, "three"), "shop/net", broken, interface=2)
    head = [signature("serving_default", [spec("in", (None, 1280))], [spec("p", (None, 5))])]
    put(hub, write(folder / "4", {"d": np.ones(3)}, "h"), "shop/maps-head", head, trunk=trunk)
    put(hub, write(folder / "5", {"d": np.ones(4)}, "s"), "lab/secret-head", head, trunk=trunk, is_private=True)
    return hub


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh reader; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    context = chromium.new_context()
    context.add_init_script(VIOLATIONS)
    context.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    yield context
    context.close()
    assert complaints == []


def test_two_versions_are_chosen_and_compared(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}/shop/net/versions")
    page.get_by_label("Compare @1", exact=True).check()
    page.get_by_label("with @2", exact=True).check()
    page.get_by_role("button", name="Compare").click()
    assert page.url == f"{hub.url}/shop/net/diff/1..2"
    expect(page.locator(".verdict-line")).to_contain_text(
        "Compatible Every call of shop/net@1 still works on shop/net@2."
    )
    row = page.get_by_role("row", name="encoded").first
    expect(row).to_contain_text("compatible signature.added")
    expect(page.locator(".sides tr.same")).to_have_count(0)
    drifts = page.locator(".moved .bar")
    expect(drifts).to_have_count(10)
    expect(page.get_by_role("row", name="block_5/conv/kernel")).to_contain_text("10.00 %")
    assert page.locator(".bar").first.get_attribute("width") == "96"
    expect(page.get_by_role("row", name="top/kernel")).to_contain_text("added")
    expect(page.get_by_label("As a command")).to_have_text("hub diff shop/net@1 shop/net@2")
    page.get_by_role("link", name="Show what is the same, too").click()
    assert page.url.endswith("/shop/net/diff/1..2?all=1")
    expect(page.locator(".sides tr.same")).to_have_count(4)
    expect(page.get_by_label("As a command")).to_have_text("hub diff shop/net@1 shop/net@2 --all")


def test_a_break_is_named_in_words_with_the_heads_that_break(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}/shop/net/diff/1..3")
    expect(page.locator(".verdict-line")).to_contain_text("Breaking Callers of shop/net@1 break on shop/net@3.")
    expect(page.get_by_text("signature features was removed", exact=True)).to_be_visible()
    resized = page.get_by_role("row", name="serving_default").filter(has_text="image")
    expect(resized).to_contain_text("breaking input.resized")
    expect(page.get_by_role("heading", name="Heads on shop/net@1 that would break: 1 of 1")).to_be_visible()
    expect(page.get_by_text("callers would break")).to_be_visible()
    expect(page.get_by_text("And 1 private head")).to_be_visible()
    assert "secret" not in page.content()
    page.get_by_text("As Markdown").click()
    expect(page.get_by_label("As Markdown")).to_contain_text("- breaking `signature.removed`")
    page.get_by_role("link", name="Swap").click()
    assert page.url == f"{hub.url}/shop/net/diff/3..1"


def test_the_same_twice_says_so_with_both_hashes(context: BrowserContext, hub: Any) -> None:
    page = context.new_page()
    page.goto(f"{hub.url}/shop/net/diff/2..shop/net@2")
    digest = hub.house.browse.version(hub.house.access.authenticate(None), "shop/net", 2).version.digest
    expect(page.locator(".digests code").filter(has_text=digest)).to_have_count(2)
    page.goto(f"{hub.url}/shop/net/diff/1..shop/maps-head@1")
    expect(page.get_by_text("a trunk became a head", exact=True)).to_be_visible()


def test_what_cannot_be_compared_says_what_to_do(chromium: Browser, hub: Any) -> None:
    page = chromium.new_page()  # which complains about every 404
    for path, said in (
        ("/shop/net/diff/1..9", "has no version 9"),
        ("/shop/net/diff/1..x", "Choose two versions on /shop/net/versions"),
        ("/shop/net/diff/1..lab/secret-head@1", "no model lab/secret-head"),
    ):
        answer = page.goto(hub.url + path)
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("main")).to_contain_text(said)
    page.goto(f"{hub.url}/shop/net/diff?a=1")
    assert page.url == f"{hub.url}/shop/net/versions"
    page.close()


@pytest.mark.parametrize("path", ["/shop/net/diff/1..2?all=1", "/shop/net/diff/1..3", "/shop/net/versions"])
def test_a_narrow_screen_loses_nothing(context: BrowserContext, hub: Any, path: str) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(hub.url + path)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
