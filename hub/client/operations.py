"""One method per operation of the hub's own REST API: a path, a body, and the noun that comes back.

Law: an answer that is not what the hub promised is :class:`HubUnreachable`: then something else lives at that URL.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Self, TypeVar
from urllib.parse import quote
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError

from hub.client.config import connection
from hub.client.http import Answer, Http
from hub.client.wording import worded
from hub.domain.access import Scope
from hub.domain.curves import SummariesFacts
from hub.domain.digests import digest_of
from hub.domain.errors import HubUnreachable, TransferFailed
from hub.domain.impact import Impact
from hub.domain.manifest import Kind, Manifest
from hub.domain.versions import Model, Version
from hub.protocol import paths, people
from hub.protocol.attestations import AttestationList, KeyList
from hub.protocol.curves import CurvePage, DrawnPage, PutCurves
from hub.protocol.diffs import VersionDiff
from hub.protocol.family import Family
from hub.protocol.schemas import (
    AliasList,
    AskPlaces,
    AuditPage,
    BeginPush,
    BlobPlaces,
    CreatedToken,
    CreateToken,
    FacetCounts,
    HubStatus,
    Lineage,
    ModelPage,
    PushTicket,
    SetAlias,
    TokenList,
    VersionDetail,
    VersionPage,
    WhoAmI,
    WorkerList,
    Yank,
)

Facets = Mapping[str, str | Sequence[str] | None]
ALL: Facets = {}
_Answer = TypeVar("_Answer", bound=BaseModel)
PAGE_ITEMS = 100
_NOT_YET = 202


class Operations:
    """The REST API of one hub.

    Args:
        url: The hub; ``HUB_URL``, the hub last logged in to or this machine's default where None.
        token: The secret; ``HUB_TOKEN`` or the one saved for that URL where None.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self.http = Http(connection(url, token))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self.http.close()

    @property
    def url(self) -> str:
        """The hub's address."""
        return self.http.connection.url

    def whoami(self) -> WhoAmI:
        """Who the hub thinks is asking."""
        return self._read(WhoAmI, self.http.request("GET", paths.WHOAMI))

    def status(self) -> HubStatus:
        """What works and what does not."""
        return self._read(HubStatus, self.http.request("GET", paths.STATUS))

    def workers(self) -> WorkerList:
        """The workers, and what each holds in memory."""
        return self._read(WorkerList, self.http.request("GET", paths.WORKERS))

    def models_page(
        self,
        *,
        owner: str | None = None,
        kind: Kind | None = None,
        search: str | None = None,
        sort: str | None = None,
        after: str | None = None,
        limit: int = PAGE_ITEMS,
        facets: Facets = ALL,
    ) -> ModelPage:
        """One page of models; ``facets`` are ``task``, ``tag``, ``license``, ``dtype`` and ``input``."""
        query = {"owner": owner, "kind": kind, "search": search, "sort": sort, "after": after, "limit": limit}
        return self._read(ModelPage, self.http.request("GET", paths.MODELS, params={**facets, **query}))

    def models(
        self,
        *,
        owner: str | None = None,
        kind: Kind | None = None,
        search: str | None = None,
        sort: str | None = None,
        facets: Facets = ALL,
    ) -> Iterator[Model]:
        """All models in name order; ``sort="updated"`` those first that changed last, ``"pulls"`` the most pulled."""
        after: str | None = None
        while True:
            page = self.models_page(owner=owner, kind=kind, search=search, sort=sort, after=after, facets=facets)
            yield from page.items
            after = page.next
            if after is None:
                return

    def facets(
        self,
        *,
        owner: str | None = None,
        kind: Kind | None = None,
        search: str | None = None,
        facets: Facets = ALL,
    ) -> FacetCounts:
        """How many models there are, and by what they could be narrowed."""
        query = {"owner": owner, "kind": kind, "search": search}
        return self._read(FacetCounts, self.http.request("GET", paths.FACETS, params={**facets, **query}))

    def model(self, name: str) -> Model:
        """One model."""
        return self._read(Model, self.http.request("GET", paths.model(_quoted(name))))

    def delete_model(self, name: str) -> None:
        """Remove a model with all its versions."""
        self.http.request("DELETE", paths.model(_quoted(name)))

    def versions_page(self, name: str, *, before: int | None = None, limit: int = PAGE_ITEMS) -> VersionPage:
        """One page of a model's versions, newest first."""
        query = {"before": before, "limit": limit}
        return self._read(VersionPage, self.http.request("GET", paths.versions(_quoted(name)), params=query))

    def versions(self, name: str) -> Iterator[Version]:
        """A model's versions, newest first."""
        before: int | None = None
        while True:
            page = self.versions_page(name, before=before)
            yield from page.items
            before = page.next
            if before is None:
                return

    def version(self, name: str, number: int, *, wait_s: int | None = None) -> VersionDetail:
        """One version with what is known of it; ``wait_s`` waits that long for the end of its validation."""
        path = paths.version(_quoted(name), number)
        return self._read(VersionDetail, self.http.request("GET", path, params={"wait_s": wait_s}))

    def delete_version(self, name: str, number: int) -> None:
        """Remove a version; its number is not used again."""
        self.http.request("DELETE", paths.version(_quoted(name), number))

    def resolve(self, reference: str) -> Version:
        """The version that a reference means now."""
        return self._read(Version, self.http.request("GET", paths.RESOLVE, params={"ref": reference}))

    def diff(self, before: str, after: str, *, is_whole: bool = False) -> VersionDiff:
        """What differs between two references' versions, and whether it breaks callers of the first."""
        query = {"from": before, "to": after, "all": is_whole or None}
        return self._read(VersionDiff, self.http.request("GET", paths.DIFF, params=query))

    def manifest(self, version: Version) -> Manifest:
        """A version's manifest, checked against its digest.

        Raises:
            TransferFailed: The bytes are not those the digest names.
        """
        return Manifest.parse(self.manifest_bytes(version))

    def manifest_bytes(self, version: Version) -> bytes:
        """The canonical bytes of a version's manifest, checked against its digest.

        Raises:
            TransferFailed: The bytes are not those the digest names.
        """
        data = self.http.request("GET", paths.manifest(_quoted(version.model), version.number)).content
        if digest_of(data) != version.digest:
            raise TransferFailed(f"The manifest of {version.reference} does not have the digest {version.digest}.")
        return data

    def golden(self, name: str, number: int) -> bytes:
        """A version's golden samples, an ``.npz`` file."""
        return self.http.request("GET", paths.golden(_quoted(name), number)).content

    def yank(self, name: str, number: int, reason: str) -> Version:
        """Withdraw a version, with a reason people will read."""
        body = _body(worded(Yank, reason=reason))
        return self._read(Version, self.http.request("POST", paths.yank(_quoted(name), number), body=body))

    def lineage(self, name: str, number: int) -> Lineage:
        """What a version came from and what came from it."""
        return self._read(Lineage, self.http.request("GET", paths.lineage(_quoted(name), number)))

    def family(self, name: str, number: int, depth: int) -> Family:
        """The versions at most ``depth`` ties from a version."""
        return self._read(
            Family, self.http.request("GET", paths.family(_quoted(name), number), params={"depth": depth})
        )

    def impact(self, name: str, number: int) -> Impact:
        """What withdrawing a version would do."""
        return self._read(Impact, self.http.request("GET", paths.impact(_quoted(name), number)))

    def put_curves(self, name: str, number: int, curves: PutCurves) -> SummariesFacts:
        """Give a version its curves; those that it had are gone."""
        path = paths.curves(_quoted(name), number)
        return self._read(SummariesFacts, self.http.request("PUT", path, body=_body(curves)))

    def curves_page(self, name: str, number: int, *, search: str | None = None, after: int | None = None) -> CurvePage:
        """One page of a version's curves, without their points."""
        query = {"search": search, "after": after}
        return self._read(CurvePage, self.http.request("GET", paths.curves(_quoted(name), number), params=query))

    def curve_points(self, name: str, number: int, tag: str, *, after: int | None = None) -> DrawnPage:
        """One page of the curves of one tag, with their points."""
        query = {"tag": tag, "after": after}
        return self._read(DrawnPage, self.http.request("GET", paths.curve_points(_quoted(name), number), params=query))

    def aliases(self, name: str) -> AliasList:
        """A model's aliases and how they came to be."""
        return self._read(AliasList, self.http.request("GET", paths.aliases(_quoted(name))))

    def set_alias(self, name: str, alias: str, number: int) -> AliasList:
        """Move an alias to a version."""
        path = paths.alias(_quoted(name), quote(alias, safe=""))
        return self._read(AliasList, self.http.request("PUT", path, body=_body(worded(SetAlias, number=number))))

    def attestations(self, name: str, number: int) -> AttestationList:
        """Who stands for a version; what the hub says of it, for `hub.client.signing` to check."""
        return self._read(AttestationList, self.http.request("GET", paths.attestations(_quoted(name), number)))

    def keys(self, owner: str) -> KeyList:
        """The keys that attestations of an owner's models are checked against."""
        return self._read(KeyList, self.http.request("GET", paths.keys(quote(owner, safe=""))))

    def tokens(self) -> TokenList:
        """Your tokens, or all where you are an administrator; without their secrets."""
        return self._read(TokenList, self.http.request("GET", paths.TOKENS))

    def create_token(
        self,
        name: str,
        scope: Scope,
        *,
        limit: str | None = None,
        is_service: bool = False,
        expires_in_s: int | None = None,
    ) -> CreatedToken:
        """Make a token; its secret is in the answer and never shown again."""
        facts = {"name": name, "scope": scope, "limit": limit, "is_service": is_service, "expires_in_s": expires_in_s}
        return self._read(
            CreatedToken, self.http.request("POST", paths.TOKENS, body=_body(worded(CreateToken, **facts)))
        )

    def revoke_token(self, token_id: str) -> None:
        """Make a token worthless."""
        self.http.request("DELETE", paths.token(quote(token_id, safe="")))

    def report_tokens(self, secrets: Sequence[str]) -> None:
        """Report tokens that leaked: those that are the hub's are worthless at once."""
        self.http.request("POST", people.REPORT, body=_body(worded(people.ReportTokens, secrets=tuple(secrets))))

    def members(self, organisation: str) -> people.MemberList:
        """An organisation's members and their roles."""
        return self._read(people.MemberList, self.http.request("GET", people.members(organisation)))

    def set_member(self, organisation: str, user: str, role: Scope) -> people.MemberList:
        """Give a user a role in an organisation."""
        body = _body(worded(people.SetMember, role=role))
        return self._read(people.MemberList, self.http.request("PUT", people.member(organisation, user), body=body))

    def remove_member(self, organisation: str, user: str) -> None:
        """Take a user's role in an organisation away."""
        self.http.request("DELETE", people.member(organisation, user))

    def audit_page(
        self,
        *,
        since: datetime | None = None,
        actor: str | None = None,
        about: str | None = None,
        before: int | None = None,
        limit: int = PAGE_ITEMS,
    ) -> AuditPage:
        """Who changed what, newest first; ``about`` is a reference or the id of a token or push."""
        moment = since.isoformat() if since else None
        asked = {"since": moment, "actor": actor, "object": about, "before": before, "limit": limit}
        return self._read(AuditPage, self.http.request("GET", paths.AUDIT, params=asked))

    def begin_push(self, push: BeginPush) -> PushTicket:
        """Open a push, or go on with the one that was begun for the same content."""
        answer = self.http.request("POST", paths.PUSHES, body=_body(push), is_repeatable=True)
        return self._read(PushTicket, answer)

    def push_places(self, push_id: UUID, digests: list[str], is_relayed: bool) -> BlobPlaces:
        """Where the bytes of blobs of a push go."""
        return self._places(paths.push_places(push_id), digests, is_relayed)

    def complete_push(self, push_id: UUID) -> Version:
        """End a push, however long the hub takes to check its bytes; repeating it gives the same version."""
        while True:
            answer = self.http.request("POST", paths.push_complete(push_id), is_repeatable=True)
            if answer.status != _NOT_YET:
                return self._read(Version, answer)

    def version_places(self, version: Version, digests: list[str], is_relayed: bool) -> BlobPlaces:
        """Where the bytes of blobs of a version are had."""
        return self._places(paths.version_places(_quoted(version.model), version.number), digests, is_relayed)

    def _places(self, path: str, digests: list[str], is_relayed: bool) -> BlobPlaces:
        body = _body(AskPlaces(digests=tuple(digests), is_relayed=is_relayed))
        return self._read(BlobPlaces, self.http.request("POST", path, body=body, is_repeatable=True))

    def _read(self, kind: type[_Answer], response: Answer) -> _Answer:
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise HubUnreachable(
                f"What answers at {self.url} is not a hub this client understands.",
                remedy="Check the URL, and that client and hub have matching versions.",
                url=self.url,
            ) from error


def _body(request: BaseModel) -> bytes:
    return orjson.dumps(request.model_dump(mode="json", exclude_none=True))


def _quoted(name: str) -> str:
    return quote(name, safe="/")
