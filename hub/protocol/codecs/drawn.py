"""Curves as they leave the hub: CSV with a row for each point, and answers that are packed for whoever takes that.

Law: what is told of one curve fits into memory at once, however many curves there are.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator

from hub.domain.curves import Curve
from hub.protocol.codecs.points import Points, number_text

COLUMNS = ("run", "tag", "step", "wall_time", "value")
_GZIP_FROM_BYTES = 2_000
_GZIP_LEVEL = 5


def csv_lines(curves: Iterable[tuple[Curve, Points]]) -> Iterator[str]:
    """The head and then the rows, a curve at a time; wall times are seconds since 1970."""
    yield ",".join(COLUMNS) + "\r\n"
    for curve, points in curves:
        page = io.StringIO()
        columns = zip(points.steps.tolist(), points.walls.tolist(), number_text(points.values), strict=True)
        csv.writer(page).writerows((curve.run, curve.tag, *each) for each in columns)
        yield page.getvalue()


def packed_for(body: bytes, accept_encoding: str) -> tuple[bytes, dict[str, str]]:
    """A body as it is sent to whoever says what it accepts, and the headers that say so."""
    headers = {"Vary": "Accept-Encoding"}
    if len(body) < _GZIP_FROM_BYTES or "gzip" not in accept_encoding:
        return body, headers
    return gzip.compress(body, _GZIP_LEVEL), headers | {"Content-Encoding": "gzip"}
