"""The page of a version's signatures: what each takes and gives, and a request for it that works as it stands."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from hub.domain.errors import HubError
from hub.domain.signatures import Signature
from hub.protocol import paths
from hub.protocol.frames import Tensor
from hub.protocol.golden import read_golden
from hub.protocol.schemas import VersionDetail
from hub.web.examples import example_inputs, needs_samples
from hub.web.looks import look_at
from hub.web.shell import base_url, render
from hub.web.snippets import CALLABLE, curl_code, default_signature, request_json
from hub.web.visits import Visit

MOST_SHOWN = 50
_MOST_EXAMPLES = 16  # inputs of a signature, beyond which an example is nothing to read


@dataclass(frozen=True, slots=True)
class Shown:
    """A signature with a request for it: its JSON where that is short, and a command that sends it."""

    signature: Signature
    json: str = ""
    curl: str = ""


def show_signatures(visit: Visit) -> Response:
    """Every signature of a version."""
    look = look_at(visit, "signatures")
    api = paths.model(look.model.name)
    if look.detail is None:
        return render(visit.request, "signatures.html", api=api, look=look, shown=[], more=0)
    golden = _golden(visit, look.detail)
    found = sorted(look.detail.signatures.values(), key=lambda signature: signature.name)
    shown = [_shown(visit, look.detail, signature, golden.get(signature.name, {})) for signature in found[:MOST_SHOWN]]
    api = paths.version(look.model.name, look.detail.version.number)
    more = max(0, len(found) - MOST_SHOWN)
    return render(visit.request, "signatures.html", api=api, look=look, shown=shown, more=more)


def _shown(visit: Visit, detail: VersionDetail, signature: Signature, samples: Mapping[str, Tensor]) -> Shown:
    is_callable = detail.version.state in CALLABLE and len(signature.inputs) <= _MOST_EXAMPLES
    examples = example_inputs(signature, samples) if is_callable else None
    if examples is None:
        return Shown(signature)
    needs_token = not visit.principal.is_anonymous
    curl = curl_code(detail.version, signature, examples, base_url(visit.request), needs_token=needs_token)
    return Shown(signature, request_json(signature, examples), curl)


def samples_of(visit: Visit, detail: VersionDetail) -> Mapping[str, Tensor]:
    """Inputs that the default signature took when it was probed, where made-up ones would not do."""
    signature = default_signature(detail.signatures)
    if signature is None or not needs_samples(signature):
        return {}
    return _golden(visit, detail).get(signature.name, {})


def _golden(visit: Visit, detail: VersionDetail) -> dict[str, dict[str, Tensor]]:
    """The inputs that signatures took when they were probed, where one of them needs such."""
    if not any(needs_samples(signature) for signature in detail.signatures.values()):
        return {}
    version = detail.version
    try:
        golden = read_golden(visit.house.pulls.golden(visit.principal, version.model, version.number))
    except HubError:
        return {}  # there are none, or the store is away: examples are made up then, and the page is still a page
    return {name: {tensor.name: tensor for tensor in sample.inputs} for name, sample in golden.items()}
