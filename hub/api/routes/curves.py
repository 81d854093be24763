"""Curves of training jobs: put beside a version, listed, drawn, and all of them as CSV."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from hub.api.deps import MAX_PAGE, WITHOUT_NUL, Asking, HouseDep, Name, Number
from hub.api.routes.models import VERSION
from hub.domain.curves import LEAST_POINTS, MAX_CURVES, MAX_POINTS, MAX_TAG_CHARS, SummariesFacts
from hub.protocol.codecs.drawn import csv_lines, packed_for
from hub.protocol.curves import CurvePage, DrawnPage, PutCurves
from hub.services.curves import MAX_DRAWN

CURVES = f"{VERSION}/curves"

After = Annotated[int, Query(ge=0, le=MAX_CURVES, description="The ``next`` of the page before.")]

router = APIRouter(tags=["curves"])


@router.put(CURVES)
def put_curves(house: HouseDep, asking: Asking, name: Name, number: Number, body: PutCurves) -> SummariesFacts:
    """Give a version its curves; those that it had are gone."""
    return house.curves.put(asking, name, number, body)


@router.get(CURVES)
def list_curves(
    house: HouseDep,
    asking: Asking,
    name: Name,
    number: Number,
    search: Annotated[str | None, Query(max_length=MAX_TAG_CHARS, pattern=WITHOUT_NUL)] = None,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> CurvePage:
    """A version's curves by tag and run: count, last, minimum and maximum of each; ``search`` is a part of the tag."""
    return house.curves.page(asking, name, number, search=search, after=after, limit=limit)


@router.get(f"{CURVES}/points", response_model=DrawnPage)
def draw_curves(
    house: HouseDep,
    asking: Asking,
    name: Name,
    number: Number,
    request: Request,
    tag: Annotated[str, Query(min_length=1, max_length=MAX_TAG_CHARS, pattern=WITHOUT_NUL)],
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_DRAWN)] = MAX_DRAWN,
    most: Annotated[int, Query(ge=LEAST_POINTS, le=MAX_POINTS, description="Points of each curve.")] = MAX_POINTS,
) -> Response:
    """The points of the curves of one tag, one curve for each run.

    Of a curve with more than ``most`` points each stretch keeps its smallest and its greatest, with four digits or what
    tells a thousandth of what the curve spans, and ``is_thinned`` is true.
    """
    page = house.curves.points(asking, name, number, tag, after=after, limit=limit, most=most)
    body, headers = packed_for(page.model_dump_json().encode(), request.headers.get("accept-encoding", ""))
    return Response(body, media_type="application/json", headers=headers)


@router.get(f"{CURVES}.csv", response_class=Response)
def curves_csv(house: HouseDep, asking: Asking, name: Name, number: Number) -> StreamingResponse:
    """All points of all curves of a version, as CSV: run, tag, step, wall_time (seconds since 1970), value."""
    rows = house.curves.rows(asking, name, number)
    file_name = f"{name.replace('/', '-')}-{number}-curves.csv"
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"', "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(csv_lines(rows), media_type="text/csv; charset=utf-8", headers=headers)
