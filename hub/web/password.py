"""The page where somebody replaces their own password.

Laws: what is typed is never shown again; who has a new password goes on with a new session, and everybody else who was
signed in as them has to know it.
"""

from collections.abc import Mapping

from starlette.responses import Response

from hub.domain.errors import Conflict, HubError, Invalid, InvalidRequest, Overloaded, Unauthorized
from hub.protocol import paths
from hub.services.passwords import MAX_CHARS, MIN_CHARS
from hub.web.session import signed_in
from hub.web.shell import render
from hub.web.visits import Visit

PASSWORD = "/settings/password"  # noqa: S105 - a path
_DONE = f"{PASSWORD}?done"


def show_password(visit: Visit, problem: HubError | None = None) -> Response:
    """The form, and what was wrong with the one before."""
    if visit.principal.is_anonymous:
        raise Unauthorized("This page is for who is signed in.", remedy="Sign in.")
    status = 200 if problem is None else problem.status
    facts = {"problem": problem, "is_done": "done" in visit.request.query_params and problem is None}
    facts |= {"min_chars": MIN_CHARS, "max_chars": MAX_CHARS}
    return render(visit.request, "password.html", status=status, api=paths.WHOAMI, **facts)


def set_password(visit: Visit, form: Mapping[str, str]) -> Response:
    """Replace the password, or say what is wrong."""
    try:
        if form.get("new", "") != form.get("again", ""):
            raise InvalidRequest("The new password was typed in two ways.", remedy="Type the same twice.")
        secret = visit.house.sign_ins.change_password(visit.principal, form.get("old", ""), form.get("new", ""))
    except (Invalid, Conflict) as error:
        return show_password(visit, error)
    except Overloaded as error:
        response = show_password(visit, error)
        response.headers["Retry-After"] = str(error.facts["retry_after_s"])
        return response
    return signed_in(visit.request, secret, _DONE)
