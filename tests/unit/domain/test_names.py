"""What a person types to mean a version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import InvalidName
from hub.domain.names import ModelName, Reference, parse_alias, parse_reference

DIGEST = "sha256:" + "0" * 64
MODEL = ModelName("acme", "resnet50")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("acme/resnet50", Reference(MODEL)),
        ("acme/resnet50:latest", Reference(MODEL)),
        ("acme/resnet50@7", Reference(MODEL, number=7)),
        ("acme/resnet50:stable", Reference(MODEL, alias="stable")),
        ("acme/resnet50~2", Reference(MODEL, interface=2)),
        (f"acme/resnet50@{DIGEST}", Reference(MODEL, digest=DIGEST)),
    ],
)
def test_every_form_of_reference_is_read(text: str, reference: Reference):
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme",
        "acme/",
        "/x",
        "Acme/x",
        "acme/x/y",
        "acme/../x",
        "a..b/x",
        "acme/x@",
        "acme/x@0",
        "acme/x@-1",
        "acme/x@1.5",
        "acme/x:",
        "acme/x:1",
        "acme/x~",
        "acme/x@sha256:12",
        "api/x",
        "v1/x",
        "acme/x y",
        "acme/x\n",
        "acme/x@7:stable",
        "acme/" + "x" * 97,
        "acme/x@99999999999",
    ],
)
def test_what_is_not_a_reference_is_refused(text: str):
    with pytest.raises(InvalidName):
        parse_reference(text)


def test_an_object_in_the_place_of_a_name_is_refused_by_its_type():
    with pytest.raises(InvalidName, match="A dict is not a reference"):
        parse_reference({})  # type: ignore[arg-type] - what people do


part = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)
models = st.builds(ModelName, st.just("o").flatmap(lambda o: part.map(lambda p: o + p)), part)
references = st.one_of(
    st.builds(Reference, models),
    st.builds(Reference, models, number=st.integers(1, 999_999)),
    st.builds(Reference, models, interface=st.integers(1, 999)),
    st.builds(Reference, models, alias=st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)),
    st.builds(Reference, models, digest=st.binary(min_size=32, max_size=32).map(lambda b: "sha256:" + b.hex())),
)


@given(references)
def test_a_reference_survives_being_written_and_read(reference: Reference):
    expected = Reference(reference.model) if reference.alias == "latest" else reference
    assert parse_reference(str(reference)) == expected


@given(st.text())
def test_any_text_is_a_reference_or_an_invalid_name(text: str):
    try:
        reference = parse_reference(text)
    except InvalidName:
        return
    assert parse_reference(str(reference)) == reference


def test_an_alias_never_looks_like_a_number():
    with pytest.raises(InvalidName):
        parse_alias("7")
