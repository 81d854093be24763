"""Everybody who may ask, before two hubs with the same models: what they ask for over HTTP and gRPC, and hear."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import grpc
from google.protobuf import json_format

from hub.api.facades import oip_rpc, tfserving_rpc
from hub.api.facades.rpc import rpc_server
from hub.domain.access import HUB, Scope
from hub.domain.digests import digest_of
from hub.protocol import paths
from hub.protocol.messages import INFERENCE, TENSORFLOW
from hub.protocol.schemas import CreateToken

SEEN, HIDDEN, ABSENT = "kestrel", "sparrow", "buzzard"  # of one length, so that answers about them are too
NOBODY = {"nobody": "none", "anybody": "read"}  # without a token, and what they may do: --anonymous
SCOPES = {"reader": Scope.READ, "writer": Scope.WRITE, "admin": Scope.ADMIN}
ROLES = {"outsider": ("zoo", Scope.ADMIN), "org_reader": ("acme", Scope.READ)}  # users, and what they are where
ROLES |= {"org_writer": ("acme", Scope.WRITE), "org_admin": ("acme", Scope.ADMIN)}
ASKING = (*NOBODY, *SCOPES, *ROLES, "limited")
BLIND = (*NOBODY, "outsider", "limited")  # for whom private models of acme do not exist
WRITERS = ("writer", "admin", "org_writer", "org_admin")
EXAMPLES_OF = ("ClassifyRequest", "RegressRequest")
MESSAGES = TENSORFLOW | INFERENCE | dict.fromkeys(EXAMPLES_OF, TENSORFLOW["ExamplesRequest"])
STATUSES = {"OK": 200, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "INVALID_ARGUMENT": 422}
Answer = tuple[int, dict[str, str], str]


def filled(value: Any, facts: dict[str, Any]) -> Any:
    """A value with ``{names}`` replaced; what is only a name becomes the fact itself."""
    if isinstance(value, dict):
        return {key: filled(each, facts) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, facts) for each in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\{(\w+)\}", value)
    return facts[whole[1]] if whole else re.sub(r"\{(\w+)\}", lambda found: str(facts[found[1]]), value)


class Stage:
    """Two hubs with the same models, and everybody who may ask there."""

    def __init__(self, hubs: dict[str, Any], channels: dict[str, grpc.Channel], write: Any, draft_of: Any) -> None:
        self.hubs, self.channels, self.write, self.draft_of = hubs, channels, write, draft_of
        self.root = {policy: hub.admin for policy, hub in hubs.items()}
        for hub in hubs.values():
            populate(hub.house.people)
        self.callers = {who: hubs[NOBODY.get(who, "read")].caller(SCOPES.get(who)) for who in ASKING}
        for who in (*ROLES, "limited"):
            self.callers[who].http.headers["Authorization"] = f"Bearer {self._secret(who)}"
        self.numbers = count()

    def _secret(self, who: str) -> str:
        """A user's own token, or one of the hub's own that is limited to the model that everybody may see."""
        limit = f"acme/{SEEN}" if who == "limited" else None
        user = replace(HUB, name=who, user=who, roles={who: Scope.ADMIN}) if who in ROLES else HUB
        asked = CreateToken(name=who, scope=Scope.ADMIN, limit=limit)
        return self.hubs["read"].house.access.create(user, asked).secret

    def ask(self, key: str, who: str, name: str, request: dict[str, Any] | None = None) -> Answer:
        """Ask for a route: status, headers and body, without what differs each time.

        Args:
            key: ``METHOD template``, or ``RPC /service/method``.
            who: One of :data:`ASKING`.
            name: The model it is about, where it is about one.
            request: What is sent: arguments of an HTTP client, or a gRPC message as JSON.
        """
        policy = NOBODY.get(who, "read")
        facts = self._facts(key, policy, who, name)
        method, template = key.split(" ", 1)
        request = filled(request or {}, facts)
        if method == "RPC":
            return self._call(template, request, policy, who)
        if key == "PUT /api/v1/pushes/{push_id}/blobs/{digest}":
            request, facts["digest"] = {"content": facts["content"]}, facts["pushed"]
        if key == "POST /api/v1/pushes":
            request = {"json": facts["begun"]}
        # Packed, answers of one length about names of one length would differ in length.
        headers = {"X-Request-Id": "asked", "Accept-Encoding": "identity", **request.pop("headers", {})}
        path = self._static(policy) if template == "/static" else filled(template, facts)
        if template.endswith("/live"):  # it would go on for ever
            with self.callers[who].http.stream(method, path, headers=headers) as answer:
                return answer.status_code, {}, next(answer.iter_text(), "")
        answer = self.callers[who].http.request(method, path, headers=headers, **request)
        shown = {key: value for key, value in answer.headers.items() if key != "date"}
        if "set-cookie" in shown:  # one that is taken back says since when, which is now
            shown["set-cookie"] = re.sub(r"expires=[^;]*", "", shown["set-cookie"])
        return answer.status_code, shown, answer.text

    def _facts(self, key: str, policy: str, who: str, name: str) -> dict[str, Any]:
        number = self._number(policy, HIDDEN if name == ABSENT else name)
        facts = {"owner": "acme", "name": name, "number": number, "version": number, "label": "stable"}
        facts |= {
            "alias": "chosen",
            "digest": digest_of(self._content(name)),
            "path": "saved_model.pb",
            "url": self.hubs[policy].url,
        }
        facts |= {"first": "nothing", "rest": "of/all/this", "before": number, "after": number, "numbers": number}
        facts |= {"user": "member"}
        if "{token_id}" in key:
            made = self.hubs[policy].house.access.create(HUB, CreateToken(name="x", scope=Scope.READ))
            facts |= {"token_id": made.token.id}
        if "{user}" in key or key.endswith("{owner}/remove"):
            self.hubs[policy].house.people.set_member(HUB, "acme", "member", Scope.READ)
        if "{manifest}" in key:
            facts |= {
                "manifest": digest_of(self.root[policy].http.get(paths.manifest(f"acme/{HIDDEN}", number)).content)
            }
        if "{push_id}" in key or key == "POST /api/v1/pushes":
            facts |= self._push(policy, who, name, is_sent=key.endswith("complete"))
        return facts

    def _content(self, name: str) -> bytes:
        return self.write(producer=HIDDEN if name == ABSENT else name)

    def _number(self, policy: str, name: str) -> int:
        """The newest ready version of a model, which is pushed where there is none."""
        root, path = self.root[policy], paths.model(f"acme/{name}")
        found = root.http.get(path)
        if found.status_code == 404 or found.json()["latest"] is None:
            root.push(
                f"acme/{name}", {"saved_model.pb": self._content(name)}, alias="stable", is_private=name == HIDDEN
            )
            found = root.http.get(path)
        return found.json()["latest"]

    def _push(self, policy: str, who: str, name: str, *, is_sent: bool) -> dict[str, Any]:
        """A push of something new: the asker's own, or the administrator's where the asker may not push."""
        may_push = who in WRITERS or (who == "limited" and name == SEEN)
        caller = self.callers[who] if may_push else self.root[policy]
        content = self.write(producer=f"push {next(self.numbers)}")
        draft = self.draft_of({"saved_model.pb": content})
        begun = {"model": f"acme/{name}", "draft": draft.model_dump(mode="json")}
        ticket = caller.begin(f"acme/{name}", draft)
        if is_sent:
            caller.http.put(paths.push_blob(ticket.push_id, digest_of(content)), content=content)
        return {"push_id": ticket.push_id, "pushed": digest_of(content), "content": content, "begun": begun}

    def _static(self, policy: str) -> str:
        found = re.search(r"/static/[^\"]+css", self.root[policy].http.get("/").text)
        assert found
        return found[0]

    def _call(self, method: str, request: dict[str, Any], policy: str, who: str) -> Answer:
        kind = MESSAGES.get(f"{method.rpartition('/')[2]}Request", INFERENCE["Empty"])
        body = json_format.ParseDict(request, kind()).SerializeToString()
        sent = self.callers[who].http.headers.get("authorization")
        metadata = (("authorization", sent),) if sent else ()
        try:
            answer = self.channels[policy].unary_unary(method)(body, metadata=metadata, timeout=20)
        except grpc.RpcError as error:
            return STATUSES[error.code().name], dict(error.trailing_metadata()), error.details()
        return 200, {}, answer.decode("latin-1")


def populate(people: Any) -> None:
    """Two organisations with their members."""
    for organisation in ("acme", "zoo"):
        people.add_organisation(HUB, organisation)
    for user in (*ROLES, "member"):
        people.add_user(HUB, user, is_admin=False, email=None, password=None)
    for user, (organisation, role) in ROLES.items():
        people.set_member(HUB, organisation, user, role)


@contextmanager
def set_up(hubs: dict[str, Any], write: Any, draft_of: Any) -> Iterator[Stage]:
    """A stage, with gRPC beside each hub's HTTP."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def open_port(hub: Any) -> tuple[grpc.aio.Server, int]:
        server = rpc_server(hub.house, tfserving_rpc.methods() | oip_rpc.methods())
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    opened = {policy: run(open_port(hub)) for policy, hub in hubs.items()}
    channels = {policy: grpc.insecure_channel(f"127.0.0.1:{port}") for policy, (_, port) in opened.items()}
    yield Stage(hubs, channels, write, draft_of)
    for policy, (server, _) in opened.items():
        channels[policy].close()
        run(server.stop(None))
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()
