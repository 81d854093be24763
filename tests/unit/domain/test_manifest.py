"""The bytes that are one version."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.domain.digests import digest_of
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import BlobRef, Draft, File, Kind, Manifest
from hub.domain.signatures import Signature, TuningFace
from hub.domain.tensors import TensorSpec


def file(path: str, data: bytes = b"x") -> File:
    return File(
        path=path, size=len(data), digest=digest_of(data), blobs=(BlobRef(digest=digest_of(data), size=len(data)),)
    )


def draft(*paths: str, **fields: object) -> Draft:
    return Draft.model_validate({"kind": Kind.TRUNK, "files": tuple(file(path) for path in paths), **fields})


EDGE = Edge(kind=EdgeKind.HEAD_OF, model="acme/trunk", number=1, digest=digest_of(b"trunk"))
SIGNATURE = Signature(
    name="serving_default",
    inputs={"x": TensorSpec(name="x", dtype="float32", shape=(None, 3))},
    outputs={"y": TensorSpec(name="y", dtype="float32", shape=None)},
)
MANIFEST = Manifest(
    kind=Kind.HEAD,
    files=(file("saved_model.pb"), file("variables/variables.index", b"")),
    signatures={"serving_default": SIGNATURE},
    tuning_face=None,
    tensors=(),
    lineage=(EDGE,),
    tensorflow_version="2.21.0",
)


def test_canonical_bytes_are_read_back_to_the_same_manifest_and_digest():
    again = Manifest.parse(MANIFEST.canonical())
    assert again == MANIFEST
    assert again.digest() == MANIFEST.digest()


def test_the_released_format_keeps_its_digest():
    assert MANIFEST.digest() == "sha256:055a875687ec14b18e25544ee6b8e1e9749b27591accc18cb3ceb8d9beab99db"


def test_a_tuning_face_from_before_outputs_were_written_down_keeps_its_bytes():
    old = {"inputs": [], "training_values": [False, True], "variables": 2, "trainable_variables": 1}
    face = TuningFace.model_validate(old)
    manifest = MANIFEST.model_copy(update={"tuning_face": face})
    assert b"outputs" not in orjson.dumps(orjson.loads(manifest.canonical())["tuning_face"])
    assert Manifest.parse(manifest.canonical()).canonical() == manifest.canonical()


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../b", "a//b", "a\\b", "", ".", "a/.", "x\x00y", "a\nb", "p" * 600]
)
def test_a_path_stays_inside_the_version(path: str):
    with pytest.raises(ValidationError):
        file(path)


@given(st.text(max_size=40))
def test_an_accepted_path_has_only_real_parts(path: str):
    try:
        accepted = file(path).path
    except ValidationError:
        return
    assert not {"", ".", ".."} & set(accepted.split("/"))


@pytest.mark.parametrize("paths", [("a", "a"), ("A", "a"), ("a", "a/b")])
def test_two_files_never_share_a_place(paths: tuple[str, ...]):
    with pytest.raises(ValidationError):
        draft(*paths)


def test_blobs_add_up_to_the_file():
    with pytest.raises(ValidationError, match="do not add up"):
        File(path="a", size=2, digest=digest_of(b"x"), blobs=(BlobRef(digest=digest_of(b"x"), size=1),))


def test_a_head_has_a_trunk_and_a_trunk_has_none():
    with pytest.raises(ValidationError):
        draft("a", lineage=(EDGE,))
    with pytest.raises(ValidationError):
        draft("a", kind=Kind.HEAD)
    assert draft("a", kind=Kind.HEAD, lineage=(EDGE,)).lineage == (EDGE,)


def test_the_content_digest_ignores_order_and_sees_content():
    assert draft("a", "b").content_digest() == draft("b", "a").content_digest()
    assert draft("a").content_digest() != draft("b").content_digest()
    assert draft("a").content_digest() != Draft(kind=Kind.TRUNK, files=(file("a", b"other"),)).content_digest()
