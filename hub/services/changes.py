"""What the verbs that change something share: the right to do it, and the audit of it.

Laws: a change is noted in its own transaction, and what changed nothing is not noted. A denial is noted for known
tokens only, and at most :data:`MAX_DENIALS` times within :data:`DENIALS_WITHIN` for each of them: who floods the hub
with what it refuses costs it a look and writes nothing. Somebody without a token, of whom nothing is known, is refused
with `Unauthorized` and leaves a line in the access log.
"""

from datetime import UTC, datetime, timedelta

import structlog

from hub.domain.access import HUB, Principal, Scope
from hub.domain.audit import Action, Result
from hub.domain.errors import Forbidden, NotAvailable
from hub.domain.names import ModelName
from hub.domain.reports import Report
from hub.domain.versions import State, Version
from hub.storage.catalog import AliasMove, Catalog, Transaction

MAX_DENIALS = 10
DENIALS_WITHIN = timedelta(minutes=1)
_MOST_RULES = 10
_log = structlog.get_logger(__name__)


def require(
    catalog: Catalog, principal: Principal, needed: Scope, action: Action, thing: str, *, where: str | None = None
) -> None:
    """Refuse somebody who may not do what an action needs, and note it. Not inside a transaction.

    Args:
        catalog: Where it is noted.
        principal: Who asks.
        needed: What the action needs.
        action: The action.
        thing: What it would be done to.
        where: The model or owner it belongs to; None for the hub itself.

    Raises:
        Unauthorized: Nobody in particular asks; a token would help.
        Forbidden: It is known who asks, but they may not.
    """
    try:
        principal.require(needed, where)
    except Forbidden:
        try:
            _note_denial(catalog, principal, needed, action, thing)
        except NotAvailable as error:  # refused is refused, also where that cannot be written down
            _log.warning("denial.not_noted", action=action.value, actor=principal.name, reason=str(error))
        raise


def _note_denial(catalog: Catalog, principal: Principal, needed: Scope, action: Action, thing: str) -> None:
    with catalog.read() as tx:
        if tx.denials(principal, datetime.now(UTC) - DENIALS_WITHIN) >= MAX_DENIALS:
            return
    with catalog.begin() as tx:
        tx.note(principal, action, thing, {"needed": needed.value}, result=Result.DENIED)


def set_alias(tx: Transaction, principal: Principal, name: ModelName, alias: str, number: int) -> None:
    """Make an alias mean a version.

    Raises:
        VersionNotFound: No such version.
        VersionNotReady: It is validating or was rejected.
        VersionYanked: It was withdrawn.
    """
    move = tx.set_alias(name, alias, number, principal.name)
    if move is not None:
        _note_move(tx, principal, name, move)


def describe(tx: Transaction, principal: Principal, name: ModelName, card: str | None, is_private: bool | None) -> None:
    """Change a model's card and who sees it, each where it is given."""
    before = tx.model(name)
    if card is not None:
        tx.set_card(name, card)
        if card != before.card:
            tx.note(principal, Action.MODEL_CARD, str(name), {"chars": len(card)})
    if is_private is not None:
        tx.set_private(name, is_private)
        if is_private is not before.is_private:
            facts = {"is_private": is_private, "previous": before.is_private}
            tx.note(principal, Action.MODEL_VISIBILITY, str(name), facts)


def note_verdict(tx: Transaction, version: Version, report: Report) -> None:
    """Note that the hub accepted or rejected a version."""
    if version.state is State.READY:
        tx.note(HUB, Action.VERSION_READY, version.reference, {"interface": version.interface})
    elif version.state is State.REJECTED:
        rules = sorted({finding.rule for finding in report.errors()})
        tx.note(HUB, Action.VERSION_REJECT, version.reference, {"rules": rules[:_MOST_RULES]})


def note_wanted_moves(
    tx: Transaction, name: ModelName, version: Version, wanted: dict[str, str], before: dict[str, int]
) -> None:
    """Note the aliases that moved to a version because it became ready.

    Args:
        tx: The transaction in which it became ready.
        name: The model.
        version: The version as it is now.
        wanted: Aliases that were to move, and who had decided so.
        before: What the model's aliases meant before.
    """
    for alias in version.aliases:
        if alias in wanted and before.get(alias) != version.number:
            move = AliasMove(alias, version.number, before.get(alias), version.created_at, wanted[alias])
            _note_move(tx, HUB, name, move)


def _note_move(tx: Transaction, principal: Principal, name: ModelName, move: AliasMove) -> None:
    facts = {"number": move.number, "previous": move.previous}
    if move.moved_by != principal.name:
        facts |= {"decided_by": move.moved_by}
    tx.note(principal, Action.ALIAS_SET, f"{name}:{move.alias}", facts)
