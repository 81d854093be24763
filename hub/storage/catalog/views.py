"""Which rows exist for whom, as conditions of queries."""

from sqlalchemy import ColumnElement, true

from hub.domain.access import View
from hub.storage.catalog.tables import models


def shown_private(view: View) -> ColumnElement[bool]:
    """Whether a model, if it is private, exists for a view."""
    is_theirs = true() if view.owners is None else models.c.owner.in_(view.owners)
    if view.limit is None:
        return is_theirs
    limited = models.c.name if "/" in view.limit else models.c.owner
    return is_theirs & (limited == view.limit)


def shown(view: View) -> ColumnElement[bool]:
    """Whether a model exists for a view."""
    return true() if view.is_whole else models.c.is_private.is_(False) | shown_private(view)
