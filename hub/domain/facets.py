"""Facets: by what models are chosen from a long list. Some are the card's, some the newest ready version's.

Laws: at most :data:`MAX_VALUES` values of one facet for one model; a value is a short printable text.
"""

from collections.abc import Iterable
from enum import StrEnum

from hub.domain.cards import read_card
from hub.domain.signatures import Signature
from hub.domain.tensors import Shape

MAX_VALUES = 20
_MAX_CHARS = 60


class Facet(StrEnum):
    """By what a list of models can be narrowed, besides kind and owner."""

    TASK = "task"
    TAG = "tag"
    LICENSE = "license"
    DTYPE = "dtype"
    INPUT = "input"


Values = list[tuple[Facet, str]]
OF_CARD = (Facet.TASK, Facet.TAG, Facet.LICENSE)
OF_INPUTS = (Facet.DTYPE, Facet.INPUT)


def facets_of_card(card: str) -> Values:
    """What a card says."""
    read = read_card(card)
    single = [(Facet.TASK, read.task), (Facet.LICENSE, read.license)]
    return [(facet, value) for facet, value in single if value] + [(Facet.TAG, tag) for tag in read.tags]


def facets_of_inputs(signatures: Iterable[Signature]) -> Values:
    """The dtypes and shapes that signatures take."""
    specs = [spec for signature in signatures for spec in signature.inputs.values()]
    dtypes = dict.fromkeys(spec.dtype for spec in specs)
    shapes = dict.fromkeys(text for spec in specs if (text := row_shape(spec.shape)))
    found = [(Facet.DTYPE, dtype) for dtype in list(dtypes)[:MAX_VALUES]]
    return found + [(Facet.INPUT, shape) for shape in list(shapes)[:MAX_VALUES]]


def row_shape(shape: Shape) -> str:
    """The shape of one row, ``96×96×3``: without the first dimension, which is the batch; ``?`` where one is free.

    Returns:
        Empty where there is none to speak of: a single value a row, or of unknown rank.
    """
    text = "×".join("?" if size is None else str(size) for size in (shape or ())[1:])
    return text if len(text) <= _MAX_CHARS else ""


def typed_shape(text: str) -> str:
    """A shape as people type it, ``96x96x3`` or ``96, 96, 3``, as it is kept."""
    return text.lower().replace(" ", "").replace("x", "×").replace(",", "×").replace("*", "×")
