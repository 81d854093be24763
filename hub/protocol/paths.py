"""Where things are: every path of the hub's own REST API, written once for server and client.

What each takes and answers (bodies are classes of ``hub.protocol.schemas`` and ``hub.domain``)::

    GET    WHOAMI                                                     -> WhoAmI
    GET    STATUS                                                     -> HubStatus
    GET    MODELS      ?owner= &kind= &search= &task= &tag= &license= &dtype= &input= &sort= &after= &limit=
                                                                      -> ModelPage
    GET    FACETS      the same without sort, after and limit         -> FacetCounts
    GET    model                                                      -> Model
    DELETE model                                                      -> 204
    GET    RESOLVE     ?ref=owner/name:stable                         -> Version
    GET    DIFF        ?from=REF &to=REF &all=                        -> VersionDiff (hub.protocol.diffs)
    GET    versions    ?before= &limit=                               -> VersionPage
    GET    version     ?wait_s= (answers once it is not validating)   -> VersionDetail
    DELETE version                                                    -> 204
    POST   yank        Yank                                           -> Version
    GET    lineage                                                    -> Lineage
    GET    family      ?depth=                                        -> Family
    GET    impact      (what a yank would do)                         -> Impact
    GET    curves      ?search= &after= &limit=                       -> CurvePage
    PUT    curves      PutCurves                                      -> SummariesFacts
    GET    curve_points ?tag= &after= &limit= &most=                  -> DrawnPage
    GET    curves_csv                                                 -> text/csv
    GET    manifest                                                   -> canonical bytes
    GET    version_blob (Range)                                       -> bytes
    GET    version_file (Range)                                       -> bytes
    POST   version_places AskPlaces                                   -> BlobPlaces
    POST   heads_predict an infer of the Open Inference Protocol      -> its answer
    GET    golden                                                     -> bytes of an .npz
    GET    aliases                                                    -> AliasList
    PUT    alias       SetAlias                                       -> AliasList
    POST   PUSHES      BeginPush                                      -> PushTicket
    POST   push_places AskPlaces                                      -> BlobPlaces
    PUT    push_blob   bytes, with Content-Length                     -> 204
    POST   push_complete                                              -> Version, or 202: ask again
    GET    TOKENS                                                     -> TokenList
    POST   TOKENS      CreateToken                                    -> CreatedToken
    DELETE token                                                      -> 204
    GET    AUDIT       ?since= &actor= &object= &before= &limit=      -> AuditPage
    GET    WORKERS                                                    -> WorkerList
    GET    attestations                                               -> AttestationList
    GET    keys                                                       -> KeyList
"""

from uuid import UUID

API = "/api/v1"
OPENAPI = f"{API}/openapi.json"
WHOAMI = f"{API}/whoami"
PUSHES = f"{API}/pushes"
MODELS = f"{API}/models"
FACETS = f"{API}/facets"
RESOLVE = f"{API}/resolve"
DIFF = f"{API}/diff"
TOKENS = f"{API}/tokens"
AUDIT = f"{API}/admin/audit"
WORKERS = f"{API}/workers"
STATUS = f"{API}/status"


def push(push_id: UUID | str) -> str:
    """A push under way."""
    return f"{PUSHES}/{push_id}"


def push_blob(push_id: UUID | str, digest: str) -> str:
    """Where the bytes of one blob of a push go."""
    return f"{push(push_id)}/blobs/{digest}"


def push_places(push_id: UUID | str) -> str:
    """Tells where the bytes of blobs of a push go."""
    return f"{push(push_id)}/places"


def push_complete(push_id: UUID | str) -> str:
    """Ends a push."""
    return f"{push(push_id)}/complete"


def model(name: str) -> str:
    """A model, ``name`` is ``owner/name``."""
    return f"{MODELS}/{name}"


def versions(name: str) -> str:
    """A model's versions."""
    return f"{model(name)}/versions"


def version(name: str, number: int) -> str:
    """One version."""
    return f"{versions(name)}/{number}"


def manifest(name: str, number: int) -> str:
    """A version's manifest, as canonical bytes."""
    return f"{version(name, number)}/manifest"


def version_blob(name: str, number: int, digest: str) -> str:
    """Bytes of one blob of a version."""
    return f"{version(name, number)}/blobs/{digest}"


def version_file(name: str, number: int, path: str) -> str:
    """Bytes of one file of a version, whole."""
    return f"{version(name, number)}/files/{path}"


def version_places(name: str, number: int) -> str:
    """Tells where the bytes of blobs of a version are had."""
    return f"{version(name, number)}/places"


def golden(name: str, number: int) -> str:
    """A version's golden samples (.npz)."""
    return f"{version(name, number)}/golden"


def heads_predict(name: str) -> str:
    """Answers one input of a trunk with many heads."""
    return f"{model(name)}/heads:predict"


def yank(name: str, number: int) -> str:
    """Withdraws a version."""
    return f"{version(name, number)}/yank"


def lineage(name: str, number: int) -> str:
    """What a version came from and what came from it."""
    return f"{version(name, number)}/lineage"


def family(name: str, number: int) -> str:
    """The versions around a version, some ties away."""
    return f"{version(name, number)}/family"


def impact(name: str, number: int) -> str:
    """What withdrawing a version would do."""
    return f"{version(name, number)}/impact"


def curves(name: str, number: int) -> str:
    """A version's curves: their facts."""
    return f"{version(name, number)}/curves"


def curve_points(name: str, number: int) -> str:
    """The points of the curves of one tag."""
    return f"{curves(name, number)}/points"


def curves_csv(name: str, number: int) -> str:
    """All points of all curves, as CSV."""
    return f"{curves(name, number)}.csv"


def aliases(name: str) -> str:
    """A model's aliases and their history."""
    return f"{model(name)}/aliases"


def alias(name: str, alias_name: str) -> str:
    """One alias."""
    return f"{aliases(name)}/{alias_name}"


def token(token_id: str) -> str:
    """One token."""
    return f"{TOKENS}/{token_id}"


def attestations(name: str, number: int) -> str:
    """Who stands for a version."""
    return f"{version(name, number)}/attestations"


def keys(owner: str) -> str:
    """The keys that attestations of an owner's models are checked against."""
    return f"{API}/owners/{owner}/keys"
