"""The house: every service of one hub in one frozen value, which faces (API, dashboard) receive and nothing else.

Laws: a face calls a service, never a store; every verb that a person asks for takes the :class:`Principal` first and
answers a private model to somebody who may not see it exactly like an absent one (404).

The verbs, for those who write faces (all are plain functions for the thread pool unless marked ``async``)::

    access.authenticate(authorization: str | None, session: str | None = None) -> Principal           # Unauthorized
    access.create(principal, CreateToken, *, idempotency_key) -> CreatedToken
    audits.entries(principal, *, since, actor, thing, before, limit) -> AuditPage
    access.revoke(principal, token_id: str) -> None            .tokens(principal) -> TokenList
    browse.models(principal, ModelQuery, *, sort, after, limit) -> ModelPage
    browse.facets(principal, ModelQuery) -> FacetCounts
    access.report(secrets) -> None
    people.add_user(principal, name, *, is_admin, email, password) -> User    .users(principal) -> list[User]
    people.set_password(principal, name, password) -> None     .set_disabled(principal, name, *, is_disabled) -> None
    people.add_organisation(principal, name) -> None           .organisations(principal) -> list[Organisation]
    people.members(principal, organisation) -> MemberList      .set_member(principal, organisation, user, role)
    people.remove_member(principal, organisation, user) -> None
    sign_ins.with_password(name, password) -> the session's secret             .with_token(secret) -> likewise
    sign_ins.begin_elsewhere(redirect_uri) -> (url, Errand)    .finish_elsewhere(redirect_uri, errand, answer)
    sign_ins.sign_out(secret) -> None                          .change_password(principal, old, new) -> likewise
    browse.model(principal, name: str) -> Model                 .look(principal, name, number | None) -> both
    browse.versions(principal, name, *, before, limit, is_measured) -> VersionPage
    browse.version(principal, name, number: int) -> VersionDetail
    browse.resolve(principal, reference: str) -> Version        .lineage(principal, name, number) -> Lineage
    browse.workers(principal) -> WorkerList
    diffs.diff(principal, before: str, after: str, *, is_whole) -> VersionDiff
    browse.settled(principal, name, number, wait_s) -> VersionDetail                                    # async
    aliases.all(principal, name) -> AliasList                   .set(principal, name, alias, number) -> AliasList
    families.around(principal, name, number, depth) -> Family
    yanks.yank(principal, name, number, reason) -> Version      .impact(principal, name, number) -> Impact
    removals.version(principal, name, number) -> None           .model(principal, name) -> None
    attestations.keys(principal, owner) -> KeyList
    attestations.of(principal, name, number) -> AttestationList
    pushes.begin(principal, BeginPush, *, idempotency_key) -> PushTicket
    pushes.places(principal, push_id, digests, *, relayed) -> BlobPlaces
    pushes.complete(principal, push_id) -> Version
    pushes.upload(principal, push_id, digest, chunks, size) -> None
    validations.wake() -> None                                  .watch() -> never returns              # async
    pulls.manifest(principal, name, number) -> bytes            .golden(principal, name, number) -> bytes
    pulls.grant(principal, name, number) -> Grant               .granted(…) -> Grant | None, from memory
    pulls.places(principal, name, number, digests, *, relayed) -> BlobPlaces
    pulls.file(principal, name, number, path) -> File           .contents(principal, name, number) -> Manifest
    curves.put(principal, name, number, PutCurves) -> SummariesFacts
    curves.page(principal, name, number, *, search, after, limit) -> CurvePage
    curves.points(principal, name, number, tag, *, after, limit) -> DrawnPage
    curves.headline(principal, name, number, *, limit) -> DrawnPage
    curves.rows(principal, name, number) -> (Curve, Points), …  .versions(principal, name) -> numbers
    tallies.count(name, number) -> None                         .write() -> None
    sweeps.run() -> SweepReport                                 .look() -> SweepReport
    health.status() -> HubStatus
    rates.admit(principal) -> None
    predictions: see hub/services/predict.py
"""

import asyncio
from dataclasses import dataclass, field

from hub.engine.engine import Engine
from hub.services.access import Access
from hub.services.aliases import Aliases
from hub.services.attestations import Attestations
from hub.services.audit import Audits
from hub.services.browse import Browse
from hub.services.curves import Curves
from hub.services.diff import Diffs
from hub.services.families import Families
from hub.services.health import Health
from hub.services.people import People
from hub.services.predict import Predictions
from hub.services.pull import Pulls
from hub.services.push import Pushes
from hub.services.rates import Rates
from hub.services.remove import Removals
from hub.services.sign_in import SignIns
from hub.services.sweep import Sweeps
from hub.services.tallies import Tallies
from hub.services.validate import Validations
from hub.services.yank import Yanks
from hub.settings import Settings


@dataclass(frozen=True, slots=True)
class House:
    """All services of one hub, its settings, and the engine whose life follows the API's.

    ``closing`` is set once the hub is told to stop: answers that would go on for ever end then.
    """

    settings: Settings
    engine: Engine
    access: Access
    people: People
    sign_ins: SignIns
    audits: Audits
    browse: Browse
    diffs: Diffs
    families: Families
    aliases: Aliases
    attestations: Attestations
    yanks: Yanks
    removals: Removals
    pushes: Pushes
    validations: Validations
    pulls: Pulls
    curves: Curves
    tallies: Tallies
    sweeps: Sweeps
    health: Health
    predictions: Predictions
    rates: Rates
    closing: asyncio.Event = field(default_factory=asyncio.Event)
