"""Lineage: typed edges from a version to the versions it came from, pinned by digest."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hub.domain.digests import Digest
from hub.domain.names import ModelNameText
from hub.domain.signatures import SERVING_DEFAULT


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
    number: int
    digest: Digest
    signature: str = SERVING_DEFAULT
