"""What a card says of itself, whatever people write into it, and what inputs a model is found by."""

import pytest

from hub.domain.cards import MAX_TAGS, read_card
from hub.domain.facets import Facet, facets_of_card, facets_of_inputs, row_shape, typed_shape
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec


def test_a_card_is_taken_apart() -> None:
    card = read_card("---\r\ntask: Image  Embedding\ntags: [Retail, retail, x]\nlicense: Apache-2.0\n---\n\n# Hello")
    assert (card.task, card.tags, card.license, card.text) == (
        "image embedding",
        ("retail", "x"),
        "apache-2.0",
        "# Hello",
    )
    assert read_card("---\npipeline_tag: text-embedding\ntags: one\n---\n").tags == ("one",)
    assert facets_of_card("---\npipeline_tag: a\n---\n") == [(Facet.TASK, "a")]


@pytest.mark.parametrize(
    "front",
    [
        "[" * 3_900,
        "{a: " * 900,
        "- " * 1_900,
        "a: &a [*a]\ntags: *a",
        "task: !!python/object/apply:os.getcwd []",
        "task: [a, b]",
        "tags: {a: b}",
        "task: " + "a" * 200,
        'task: "a\\0b"',
        "just words",
        ": : :",
    ],
)
def test_what_is_no_fact_is_left_out(front: str) -> None:
    card = read_card(f"---\n{front}\n---\nThe text")
    assert (card.task, card.tags, card.license, card.text) == ("", (), "", "The text")


@pytest.mark.parametrize(
    "text", ["", "---", "---\ntask: x", "a\n---\ntask: x\n---\n", "---\n" + "a: b\n" * 2_000 + "---\n"]
)
def test_a_card_without_facts_is_all_text(text: str) -> None:
    assert read_card(text).text == text
    assert read_card(text).task == ""


def test_there_are_only_so_many_tags() -> None:
    tags = ", ".join(f"t{number}" for number in range(100))
    assert len(read_card(f"---\ntags: [{tags}]\n---\n").tags) == MAX_TAGS


def test_inputs_are_told_row_by_row() -> None:
    image = TensorSpec(name="image", dtype="float32", shape=(None, 96, None, 3))
    text = TensorSpec(name="text", dtype="string", shape=(None,))
    found = facets_of_inputs([Signature(name="a", inputs={"image": image, "text": text}, outputs={})])
    assert found == [(Facet.DTYPE, "float32"), (Facet.DTYPE, "string"), (Facet.INPUT, "96×?×3")]
    assert row_shape(None) == row_shape(()) == ""
    assert typed_shape("96x96x3") == typed_shape("96, 96, 3") == "96×96×3"
