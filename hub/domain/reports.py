"""Rules, findings and reports: what the hub thinks of a version and why.

Laws: a finding names the rule that made it, the place and (where there is one) the remedy; a verdict that is not
``yes`` has at least one reason; a report never raises on hostile input, it says so.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Severity(StrEnum):
    """How bad a finding is: errors reject, warnings are for people, notes inform."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(BaseModel):
    """What a rule found."""

    model_config = ConfigDict(frozen=True)

    rule: str
    severity: Severity
    message: str
    place: str = ""
    remedy: str = ""


Answer = Literal["yes", "no", "unknown"]


class Verdict(BaseModel):
    """One of the four questions answered, with reasons where the answer is not ``yes``."""

    model_config = ConfigDict(frozen=True)

    answer: Answer
    reasons: tuple[str, ...] = ()


class Facts(BaseModel):
    """Figures about a version, for people to read."""

    model_config = ConfigDict(frozen=True)

    tensorflow_version: str | None = None
    tags: tuple[str, ...] = ()
    parameters: int = 0
    variables_bytes: int = 0
    total_bytes: int = 0
    ops: dict[str, int] = {}
    assets: tuple[str, ...] = ()
    saved_by: str = ""


class SignatureProbe(BaseModel):
    """What one signature did when it was really called.

    ``status``: ``answered`` on generated inputs; ``inputs-refused`` when the model runs but did not like any generated
    value; ``failed`` when it cannot run at all.
    """

    model_config = ConfigDict(frozen=True)

    status: Literal["answered", "inputs-refused", "failed"]
    detail: str = ""
    call_ms: float | None = None
    matches_spec: bool | None = None
    session_matches: bool | None = None


class ProbeResult(BaseModel):
    """What the throw-away process measured.

    Attributes:
        loader: The TensorFlow loader that can serve it; None when neither can.
        golden_digest: Blob with the generated inputs and their outputs (``.npz``); None when nothing answered.
        peak_bytes: Highest resident memory of the process beyond the imported TensorFlow.
    """

    model_config = ConfigDict(frozen=True)

    loader: Literal["object_graph", "session"] | None = None
    load_ms: float | None = None
    peak_bytes: int | None = None
    signatures: dict[str, SignatureProbe] = {}
    session_loads: bool | None = None
    gradients_missing: tuple[str, ...] | None = None
    training_call: bool | None = None
    golden_digest: str | None = None
    findings: tuple[Finding, ...] = ()


class Report(BaseModel):
    """All findings of a version, and the four answers."""

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...] = ()
    servable: Verdict
    tunable: Verdict
    portable: Verdict
    safe: Verdict
    facts: Facts = Facts()
    probe: ProbeResult | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the hub takes it: nothing says that it cannot be served or is not safe."""
        return self.servable.answer != "no" and self.safe.answer != "no"

    def errors(self) -> list[Finding]:
        """The findings that reject it."""
        return [finding for finding in self.findings if finding.severity is Severity.ERROR]
