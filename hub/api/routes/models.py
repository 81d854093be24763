"""Models, versions and references."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import StringConstraints

from hub.api.deps import WITHOUT_NUL, Asking, HouseDep, Limit, Name, Number
from hub.domain.impact import Impact
from hub.domain.manifest import Kind
from hub.domain.names import MAX_NUMBER
from hub.domain.versions import Model, Version
from hub.protocol import paths
from hub.protocol.diffs import VersionDiff
from hub.protocol.family import Depth, Family
from hub.protocol.schemas import FacetCounts, Lineage, ModelPage, VersionDetail, VersionPage, Yank
from hub.protocol.search import ModelQuery, Sort, chosen_facets

MAX_WAIT_S = 30.0
MODEL = paths.model("{owner}/{name}")
VERSIONS = paths.versions("{owner}/{name}")
VERSION = f"{VERSIONS}/{{number}}"

router = APIRouter(tags=["models"])
_Word = Annotated[str, StringConstraints(max_length=100, pattern=WITHOUT_NUL)]
Word = Annotated[_Word | None, Query()]


async def _asked(
    owner: Annotated[str | None, Query(max_length=100, pattern=WITHOUT_NUL)] = None,
    kind: Kind | None = None,
    search: Annotated[str | None, Query(max_length=200, pattern=WITHOUT_NUL, description="In name or card.")] = None,
    task: Word = None,
    tag: Annotated[list[_Word] | None, Query(max_length=10, description="All of them.")] = None,
    license: Word = None,  # noqa: A002
    dtype: Word = None,
    shape: Annotated[
        str | None, Query(alias="input", max_length=100, pattern=WITHOUT_NUL, description="Of one row: 96x96x3.")
    ] = None,
) -> ModelQuery:
    facets = chosen_facets(task=task, tags=tag or [], license=license, dtype=dtype, shape=shape)
    return ModelQuery(owner, kind, search, facets)


Asked = Annotated[ModelQuery, Depends(_asked)]


@router.get(paths.MODELS)
def list_models(
    house: HouseDep,
    asking: Asking,
    asked: Asked,
    sort: Sort = Sort.NAME,
    after: Annotated[str | None, Query(max_length=300, pattern=WITHOUT_NUL)] = None,
    limit: Limit = 50,
) -> ModelPage:
    """List models by name, or those first that changed last, or were pulled most lately."""
    return house.browse.models(asking, asked, sort=sort, after=after, limit=limit)


@router.get(paths.FACETS)
def list_facets(house: HouseDep, asking: Asking, asked: Asked) -> FacetCounts:
    """Tell how many models there are, and by what the list could be narrowed."""
    return house.browse.facets(asking, asked)


@router.get(paths.RESOLVE)
def resolve(house: HouseDep, asking: Asking, ref: Annotated[str, Query(max_length=400)]) -> Version:
    """Tell which version a reference means now."""
    return house.browse.resolve(asking, ref)


@router.get(paths.DIFF)
def diff(
    house: HouseDep,
    asking: Asking,
    before: Annotated[str, Query(alias="from", max_length=400, description="A reference.")],
    after: Annotated[str, Query(alias="to", max_length=400, description="A reference, also of another model.")],
    is_whole: Annotated[bool, Query(alias="all", description="What is the same, too.")] = False,
) -> VersionDiff:
    """Tell what differs between two versions, and whether it breaks callers of the first."""
    return house.diffs.diff(asking, before, after, is_whole=is_whole)


@router.get(MODEL)
def get_model(house: HouseDep, asking: Asking, name: Name) -> Model:
    """One model."""
    return house.browse.model(asking, name)


@router.delete(MODEL, status_code=204)
def remove_model(house: HouseDep, asking: Asking, name: Name) -> None:
    """Remove a model and all its versions."""
    house.removals.model(asking, name)


@router.get(VERSIONS)
def list_versions(
    house: HouseDep,
    asking: Asking,
    name: Name,
    before: Annotated[int | None, Query(ge=1, le=MAX_NUMBER)] = None,
    limit: Limit = 50,
) -> VersionPage:
    """List a model's versions, newest first."""
    return house.browse.versions(asking, name, before=before, limit=limit, is_measured=True)


@router.get(VERSION)
async def get_version(
    house: HouseDep,
    asking: Asking,
    name: Name,
    number: Number,
    wait_s: Annotated[float, Query(ge=0, le=MAX_WAIT_S)] = 0.0,
) -> VersionDetail:
    """One version; with ``wait_s`` the answer waits (at most so long) until it is no longer validating."""
    return await house.browse.settled(asking, name, number, wait_s)


@router.delete(VERSION, status_code=204)
def remove_version(house: HouseDep, asking: Asking, name: Name, number: Number) -> None:
    """Remove one version; its number is never given again."""
    house.removals.version(asking, name, number)


@router.post(f"{VERSION}/yank")
def yank(house: HouseDep, asking: Asking, name: Name, number: Number, body: Yank) -> Version:
    """Withdraw a version: no name leads to it any more, its exact number still does."""
    return house.yanks.yank(asking, name, number, body.reason)


@router.get(f"{VERSION}/lineage")
def lineage(house: HouseDep, asking: Asking, name: Name, number: Number) -> Lineage:
    """What a version came from, and what came from it."""
    return house.browse.lineage(asking, name, number)


@router.get(f"{VERSION}/family")
def family(house: HouseDep, asking: Asking, name: Name, number: Number, depth: Depth = 2) -> Family:
    """The versions at most ``depth`` steps away along lineage and from version to version of a model."""
    return house.families.around(asking, name, number, depth)


@router.get(f"{VERSION}/impact")
def impact(house: HouseDep, asking: Asking, name: Name, number: Number) -> Impact:
    """What withdrawing a version would do: names that lead elsewhere afterwards, and what stands on it."""
    return house.yanks.impact(asking, name, number)
