"""Who may do what: every route of the hub, asked by everybody, about a model they may see and one they may not.

Laws: what has no row in the table fails; to whoever may not see a private model it is answered exactly like an absent
one, by every face.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from starlette.routing import Mount, Route

from hub.api.app import create_app
from hub.api.facades import oip_rpc, tfserving_rpc
from hub.domain.lineage import Edge, EdgeKind
from hub.protocol import paths
from hub.web import pages
from tests.support.curves import put_curves
from tests.support.stage import ABSENT, ASKING, BLIND, HIDDEN, NOBODY, SEEN, Stage, set_up

ADD = f"add a row to TABLE: what {', '.join(ASKING)} get, in this order"


def whoever(status: int = 200) -> tuple[str, str]:
    """The same for everybody, whatever there is."""
    return (" ".join([str(status)] * len(ASKING)),) * 2


def reads(status: int = 200, *, refused: int = 401) -> tuple[str, str]:
    """Answered to readers."""
    return (f"{refused}{f' {status}' * 9}",) * 2


def sees(status: int = 200, *, refused: int = 401) -> tuple[str, str]:
    """Answered to readers; where they may not see the model, it is absent."""
    hidden = f"{refused} 404 {status} {status} {status} 404 {status} {status} {status} 404"
    return reads(status, refused=refused)[0], hidden


def changes(status: int = 200) -> tuple[str, str]:
    """Answered to writers."""
    start = f"401 401 403 {status} {status} 403 403 {status} {status}"
    return f"{start} {status}", f"{start} 403"


def pushes(status: int = 200) -> tuple[str, str]:
    """Answered to writers about their own push; another's is absent for who may push somewhere."""
    start = f"401 401 403 {status} {status} 404 404 {status} {status}"
    return f"{start} {status}", f"{start} 404"


def rules(status: int = 200) -> tuple[str, str]:
    """Answered to administrators of the hub."""
    return (f"401 401 403 403 {status} 403 403 403 403 403",) * 2


def keeps(status: int = 200, *, others: int | None = None, refused: int = 401) -> tuple[str, str]:
    """Answered to administrators of the hub, and to users about what is theirs."""
    return (f"{refused} {refused} 403 403 {status}{f' {others or status}' * 4} 403",) * 2


def administers(status: int = 200, *, refused: int = 401) -> tuple[str, str]:
    """Answered to administrators of the hub and of acme; for who is no member of it there is no acme."""
    return (f"{refused} {refused} 403 403 {status} 404 403 403 {status} 404",) * 2


MODEL = "/api/v1/models/{owner}/{name}"
VERSION = f"{MODEL}/versions/{{number}}"
PUSH = "/api/v1/pushes/{push_id}"
MEMBERS = "/api/v1/owners/{owner}/members"
V1, V2, PAGE = "/v1/models/{owner}/{name}", "/v2/models/{owner}/{name}", "/{owner}/{name}"
TABS = ("versions", "versions/{number}", "versions/{number}/files/{path}", "signatures", "files")
SERVING = (V1, f"{V1}/versions/{{number}}", f"{V1}/labels/{{label}}")
OIP = (V2, f"{V2}/versions/{{version}}")
RPC, RPC_OIP = "RPC /tensorflow.serving", "RPC /inference.GRPCInferenceService"

# About a model that everybody may see, and about a private one: statuses in the order of ASKING.
TABLE: dict[str, tuple[str, str]] = {
    "GET /api/v1/openapi.json": whoever(),
    "GET /api/v1/models": reads(),
    "GET /api/v1/facets": reads(),
    "GET /api/v1/resolve": sees(),
    "GET /api/v1/diff": sees(),
    f"GET {MODEL}": sees(),
    f"DELETE {MODEL}": changes(204),
    f"GET {MODEL}/versions": sees(),
    f"GET {VERSION}": sees(),
    f"DELETE {VERSION}": changes(204),
    f"POST {VERSION}/yank": changes(),
    f"GET {VERSION}/lineage": sees(),
    f"GET {VERSION}/family": sees(),
    f"GET {VERSION}/impact": sees(),
    f"GET {VERSION}/manifest": sees(),
    f"GET {VERSION}/golden": sees(),
    f"GET {VERSION}/blobs/{{digest}}": sees(),
    f"GET {VERSION}/files/{{path}}": sees(),
    f"POST {VERSION}/places": sees(),
    f"GET {VERSION}/attestations": sees(),
    "GET /api/v1/owners/{owner}/keys": reads(),
    **{f"GET {VERSION}/{path}": sees() for path in ("curves", "curves/points", "curves.csv")},
    f"PUT {VERSION}/curves": changes(),
    f"GET {MODEL}/aliases": sees(),
    f"PUT {MODEL}/aliases/{{alias}}": changes(),
    f"POST {MODEL}/heads:predict": sees(422),  # it has no heads
    "POST /api/v1/pushes": changes(201),
    f"POST {PUSH}/places": pushes(),
    f"PUT {PUSH}/blobs/{{digest}}": pushes(204),
    f"POST {PUSH}/complete": pushes(),
    "GET /api/v1/whoami": whoever(),
    "GET /api/v1/status": whoever(),
    "GET /api/v1/workers": reads(),
    "GET /api/v1/tokens": keeps(),
    "POST /api/v1/tokens": keeps(201),
    "DELETE /api/v1/tokens/{token_id}": keeps(204, others=404),
    "POST /api/v1/tokens:report": whoever(202),
    f"GET {MEMBERS}": ("401 404 200 200 200 404 200 200 200 404",) * 2,
    f"PUT {MEMBERS}/{{user}}": administers(),
    f"DELETE {MEMBERS}/{{user}}": administers(204),
    "GET /api/v1/admin/audit": rules(),
    **{f"GET {path}": whoever() for path in ("/healthz", "/readyz", "/metrics")},
    **{f"GET {path}": sees() for path in (*SERVING, *OIP)},
    **{f"GET {path}/metadata": sees() for path in SERVING},
    **{f"POST {path}:predict": sees() for path in SERVING},
    **{f"POST {path}:{verb}": sees(422) for path in SERVING for verb in ("classify", "regress")},  # takes no examples
    **{f"GET {path}:{verb}": whoever(405) for path in SERVING for verb in ("predict", "classify", "regress")},
    **{f"GET {path}": whoever() for path in ("/v2", "/v2/health/live", "/v2/health/ready")},
    **{f"GET {path}/ready": sees() for path in OIP},
    **{f"GET {path}/infer": whoever(405) for path in OIP},
    **{f"POST {path}/infer": sees() for path in OIP},
    f"GET {PAGE}/diff/{{before}}..{{after}}": sees(refused=303),
    f"GET {PAGE}/diff": sees(303, refused=303),  # to the page of the two versions
    **{f"GET {PAGE}/{page}": sees(refused=303) for page in ("lineage", "try", "try/state")},
    f"POST {PAGE}/try": sees(refused=303),
    f"GET {PAGE}/training": sees(refused=303),
    **{f"GET {PAGE}/training/{path}": sees(refused=303) for path in ("points", "curves.csv")},
    f"GET {PAGE}/tensorboard/{{numbers}}": whoever(308),
    f"GET {PAGE}/tensorboard/{{numbers}}/{{rest}}": sees(404, refused=303),
    f"POST {PAGE}/tensorboard/{{numbers}}/{{rest}}": sees(404, refused=303),
    **{f"GET {path}": reads(refused=303) for path in ("/", "/workers", "/workers/live", "/{owner}")},  # to the sign-in
    **{f"GET {path}": sees(refused=303) for path in (PAGE, *(f"{PAGE}/{tab}" for tab in TABS))},
    "GET /docs/api": whoever(),
    **{f"GET /settings/{page}": ("303 303 403 403 200 403 403 403 403 403",) * 2 for page in ("audit", "audit.csv")},
    "GET /{first}/{rest}": whoever(404),
    "GET /settings/tokens": keeps(refused=303),
    "POST /settings/tokens": keeps(refused=303),
    "POST /settings/tokens/{token_id}/revoke": keeps(303, others=404, refused=303),
    "GET /settings/password": ("303 303 200 200 200 200 200 200 200 200",) * 2,
    "POST /settings/password": keeps(422, refused=303),  # nobody here has one
    "GET /settings/access": ("303 303 200 200 200 200 200 200 200 200",) * 2,
    "POST /settings/access/{owner}/set": administers(303, refused=303),
    "POST /settings/access/{owner}/remove": administers(303, refused=303),
    "GET /login/openid": whoever(503),  # this hub has no provider
    "GET /login/openid/back": whoever(401),
    "GET /login": whoever(),
    "POST /login": whoever(401),  # with a token that is none
    "POST /logout": whoever(303),
    "GET /static": whoever(),
    **{f"{RPC}.PredictionService/{method}": sees() for method in ("Predict", "GetModelMetadata")},
    **{f"{RPC}.PredictionService/{method}": sees(422) for method in ("Classify", "Regress", "MultiInference")},
    f"{RPC}.ModelService/GetModelStatus": sees(),
    **{f"{RPC_OIP}/{method}": whoever() for method in ("ServerLive", "ServerReady", "ServerMetadata")},
    f"{RPC_OIP}/ModelReady": reads(),  # what is not there is not ready
    **{f"{RPC_OIP}/{method}": sees() for method in ("ModelMetadata", "ModelInfer")},
}

X = [[1.0, 2.0]]
PACKED = [b64encode(np.float32(X).tobytes()).decode()]  # our messages take packed numbers as bytes
TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 2]}
INPUTS = [TENSOR | {"data": X}]
SPEC = {"modelSpec": {"name": "acme/{name}"}}
EXAMPLES = {"input": {"exampleList": {}}}
CURVES = put_curves({(".", "loss"): [(0, 1.0), (1, 0.5)]}).model_dump(mode="json")
STRANGER = {"headers": {"Origin": "{url}"}, "data": {"token": "nobody's"}}
FORM = {"headers": {"Origin": "{url}"}}
FORMS_OF_SETTINGS = {
    "/settings/tokens": {"name": "made", "scope": "read"},
    "/settings/tokens/{token_id}/revoke": {},
    "/settings/password": {"old": "a wrong one", "new": "a longer one", "again": "a longer one"},
    "/settings/access/{owner}/set": {"user": "member", "role": "read"},
    "/settings/access/{owner}/remove": {"user": "member"},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "GET /api/v1/resolve": {"params": {"ref": "acme/{name}@{number}"}},
    "GET /api/v1/diff": {"params": {"from": "acme/{name}@{number}", "to": "acme/{name}"}},
    f"POST {VERSION}/yank": {"json": {"reason": "a test"}},
    f"POST {VERSION}/places": {"json": {"digests": ["{digest}"]}},
    f"GET {PAGE}/training/points": {"params": {"version": "{number}", "tag": "loss"}},
    f"GET {PAGE}/training/curves.csv": {"params": {"version": "{number}"}},
    f"GET {VERSION}/curves/points": {"params": {"tag": "loss"}},
    f"PUT {VERSION}/curves": {"json": CURVES},
    f"PUT {MODEL}/aliases/{{alias}}": {"json": {"number": "{number}"}},
    f"POST {MODEL}/heads:predict": {"json": {"inputs": INPUTS}},
    f"POST {PUSH}/places": {"json": {"digests": ["{pushed}"]}},
    "POST /api/v1/tokens": {"json": {"name": "made", "scope": "read"}},
    "POST /api/v1/tokens:report": {"json": {"secrets": ["nobody's"]}},
    f"PUT {MEMBERS}/{{user}}": {"json": {"role": "read"}},
    **{f"POST {path}:predict": {"json": {"instances": X}} for path in SERVING},
    **{f"POST {path}:{verb}": {"json": {"examples": [{}]}} for path in SERVING for verb in ("classify", "regress")},
    **{f"POST {path}/infer": {"json": {"inputs": INPUTS}} for path in OIP},
    **{f"POST {path}": FORM | {"data": data} for path, data in FORMS_OF_SETTINGS.items()},
    **{f"POST {path}": STRANGER for path in ("/login", "/logout")},
    f"POST {PAGE}/try": {"headers": {"Origin": "{url}"}, "data": {"json.x": "[[1, 2]]"}},
    f"{RPC}.PredictionService/Predict": SPEC | {
        "inputs": {"x": {"dtype": 1, "tensorShape": {"dim": [{"size": "1"}, {"size": "2"}]}, "floatVal": PACKED}}
    },
    f"{RPC}.PredictionService/GetModelMetadata": SPEC | {"metadataField": ["signature_def"]},
    **{f"{RPC}.PredictionService/{method}": SPEC | EXAMPLES for method in ("Classify", "Regress")},
    f"{RPC}.PredictionService/MultiInference": {
        "tasks": [SPEC | {"methodName": "tensorflow/serving/classify"}], **EXAMPLES
    },
    f"{RPC}.ModelService/GetModelStatus": SPEC,
    **{f"{RPC_OIP}/{method}": {"name": "acme/{name}"} for method in ("ModelReady", "ModelMetadata")},
    f"{RPC_OIP}/ModelInfer": {
        "modelName": "acme/{name}", "inputs": [TENSOR | {"contents": {"fp32Contents": PACKED}}]
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def stage(whole_hubs: dict[str, Any], saved_model: Any, draft_of: Any) -> Iterator[Stage]:
    with set_up(whole_hubs, saved_model, draft_of) as made:
        yield made


def routes_of(routes: Any) -> Iterator[str]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from routes_of(inner.routes)
        elif isinstance(route, Mount):
            yield f"GET /{route.path.split('/')[1]}"
        else:
            assert isinstance(route, Route) or hasattr(route, "methods"), (
                f"{route} is of a kind this test does not know"
            )
            path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)
            yield from (f"{method} {path}" for method in route.methods if method != "HEAD")


def test_every_route_has_a_row(whole_hubs: dict[str, Any]) -> None:
    house = whole_hubs["read"].house
    front = create_app(house, pages.routes(house))
    found = {*routes_of(front._app.routes)}
    found |= {f"{way.method} {way.path}" for ways in front._ways.values() for _, way in ways}
    found |= {f"RPC {method}" for method in tfserving_rpc.methods() | oip_rpc.methods()}
    assert not found - TABLE.keys(), f"{sorted(found - TABLE.keys())}: {ADD}"
    assert not TABLE.keys() - found, "these rows are about nothing"


@pytest.mark.parametrize("key", TABLE)
def test_everybody_gets_what_the_table_says(stage: Stage, key: str) -> None:
    for name, row in zip((SEEN, HIDDEN), TABLE[key], strict=True):
        got = {who: stage.ask(key, who, name, REQUESTS.get(key)) for who in ASKING}
        assert " ".join(str(status) for status, _, _ in got.values()) == row, (name, got)


@pytest.mark.parametrize("key", TABLE)
def test_a_private_model_is_like_an_absent_one_for_whoever_may_not_see_it(stage: Stage, key: str) -> None:
    for who in NOBODY if "{push_id}" in key else BLIND:
        if "{name}" in f"{key} {REQUESTS.get(key)}" or "/pushes" in key:
            hidden, absent = (
                stage.ask(key, who, HIDDEN, REQUESTS.get(key)),
                stage.ask(key, who, ABSENT, REQUESTS.get(key)),
            )
            assert hidden == (absent[0], filled_in(absent[1]), filled_in(absent[2]))
        else:
            assert HIDDEN not in stage.ask(key, who, SEEN, REQUESTS.get(key))[2]


def filled_in(value: Any) -> Any:
    """What was said of the absent model, as if it were said of the private one."""
    if isinstance(value, dict):
        return {key: filled_in(each) for key, each in value.items()}
    return value.replace(ABSENT, HIDDEN)


FORMS = [f"acme/{{name}}{choice}" for choice in ("", "@{number}", ":stable", "~1", "@99", ":no", "@{manifest}")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "key", ["GET /api/v1/resolve?ref={form}", "POST /v1/models/{form}:predict", "GET /v2/models/{form}"]
)
def test_no_form_of_reference_gives_a_private_model_away(stage: Stage, key: str, form: str) -> None:
    key = key.replace("{form}", form)
    assert stage.ask(key, "reader", HIDDEN)[0] != 404 or form.endswith(("99", ":no"))
    hidden, absent = stage.ask(key, "anybody", HIDDEN), stage.ask(key, "anybody", ABSENT)
    assert hidden == (404, filled_in(absent[1]), filled_in(absent[2]))


def test_a_private_head_is_not_asked_for_nobody(stage: Stage, saved_model: Any) -> None:
    root = stage.root["read"]
    trunk = root.push("acme/trunk", {"saved_model.pb": saved_model()}).version
    edge = Edge(kind=EdgeKind.HEAD_OF, model=trunk.model, number=1, digest=trunk.digest)
    root.push("acme/oriole0", {"saved_model.pb": saved_model(producer="head")}, edge, is_private=True)
    key = f"POST {paths.heads_predict('acme/trunk')}"

    def ask(who: str, *heads: str) -> Any:
        return stage.ask(
            key, who, SEEN, {"json": {"inputs": INPUTS, "parameters": {"heads": list(heads)} if heads else {}}}
        )

    status, headers, body = ask("anybody", "acme/oriole9")
    assert (status, ask("anybody", "acme/oriole0")) == (404, (404, headers, body.replace("oriole9", "oriole0")))
    assert "No ready head" in ask("anybody")[2]
    assert ask("reader", "acme/oriole0")[0] != 404
    assert "oriole" not in stage.ask(f"GET {paths.lineage('acme/trunk', 1)}", "anybody", SEEN)[2]


def test_a_loaded_private_version_is_only_counted_for_nobody(stage: Stage) -> None:
    hub, root = stage.hubs["read"], stage.root["read"]
    stage.ask("GET /v2", "admin", HIDDEN)
    digest = root.http.get(paths.RESOLVE, params={"ref": f"acme/{HIDDEN}"}).json()["digest"]
    hub.engine.loaded.append(digest)
    for key in ("GET /api/v1/workers", "GET /workers"):
        assert digest not in stage.ask(key, "anybody", SEEN)[2]
        assert HIDDEN in stage.ask(key, "reader", SEEN)[2]


def test_the_push_of_somebody_else_is_like_an_absent_one(stage: Stage, saved_model: Any, draft_of: Any) -> None:
    draft = draft_of({"saved_model.pb": saved_model(producer="theirs")})
    theirs = str(stage.callers["admin"].begin("acme/theirs", draft).push_id)
    absent = f"{theirs[:-4]}{'0000' if theirs[-4:] != '0000' else '1111'}"
    digest = draft.files[0].digest
    for method, path, request in (
        ("POST", paths.push_places, {"json": {"digests": [digest]}}),
        ("PUT", lambda push_id: paths.push_blob(push_id, digest), {"content": saved_model(producer="theirs")}),
        ("POST", paths.push_complete, {}),
    ):
        one = stage.ask(f"{method} {path(theirs)}", "writer", SEEN, request)
        other = stage.ask(f"{method} {path(absent)}", "writer", SEEN, request)
        assert one == (404, other[1], other[2].replace(absent, theirs))
