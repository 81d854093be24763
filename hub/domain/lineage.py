"""Lineage: typed edges from a version to the versions it came from, pinned by digest."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hub.domain.digests import Digest
from hub.domain.names import MAX_NUMBER, ModelNameText, PlainText
from hub.domain.signatures import SERVING_DEFAULT

MAX_SIGNATURE_CHARS = 1_000


class EdgeKind(StrEnum):
    """How a version came from another."""

    HEAD_OF = "head_of"
    FINETUNED_FROM = "finetuned_from"
    CONVERTED_FROM = "converted_from"


class Edge(BaseModel):
    """One edge: this version is ``kind`` of ``model@number``, which had ``digest``.

    ``signature`` is the trunk signature that feeds the head (``head_of`` only).
    """

    model_config = ConfigDict(frozen=True)

    kind: EdgeKind
    model: ModelNameText
    number: Annotated[int, Field(strict=True, ge=1, le=MAX_NUMBER)]
    digest: Digest
    signature: Annotated[PlainText, Field(max_length=MAX_SIGNATURE_CHARS)] = SERVING_DEFAULT
