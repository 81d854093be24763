"""How a report looks in a terminal: facts, signatures, the four answers, and every finding with its remedy.

Law: names found in a model are printed as they are, never read as markup; without a terminal the output is plain text.
"""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hub.cli.output import size_text
from hub.domain.reports import Facts, Finding, Report, Severity, Verdict
from hub.domain.signatures import Signature, TuningFace
from hub.domain.tensors import TensorSpec, format_shape

_ANSWER_STYLES = {"yes": "bold green", "no": "bold red", "unknown": "yellow"}
_SEVERITY_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_SHOWN_OPS = 8


def render_report(
    console: Console, report: Report, signatures: Mapping[str, Signature], tuning_face: TuningFace | None
) -> None:
    """Print a report with what the model can be called with and trained through."""
    console.print(_facts_line(report.facts), soft_wrap=True)
    if signatures:
        console.print(_signature_table(signatures))
    if tuning_face is not None:
        console.print(_face_line(tuning_face), soft_wrap=True)
    console.print(_verdict_table(report))
    for severity in Severity:
        for found in report.findings:
            if found.severity is severity:
                console.print(_finding_lines(found), soft_wrap=True)


def _facts_line(facts: Facts) -> Text:
    parts = [facts.saved_by]
    if facts.tensorflow_version:
        parts.append(f"saved by TensorFlow {facts.tensorflow_version}")
    if facts.saved_by:
        parts.append(f"tags [{', '.join(facts.tags)}]")
        parts.append(f"{facts.parameters:,} parameters")
    parts.append(f"{size_text(facts.total_bytes)}, of which variables {size_text(facts.variables_bytes)}")
    if facts.assets:
        parts.append(f"assets {', '.join(facts.assets)}")
    line = Text(" · ".join(part for part in parts if part))
    if facts.ops:
        names = ", ".join(f"{op} {count:,}" for op, count in list(facts.ops.items())[:_SHOWN_OPS])
        line.append(f"\n{sum(facts.ops.values()):,} nodes of {len(facts.ops)} ops: {names}", style="dim")
    return line


def _signature_table(signatures: Mapping[str, Signature]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for heading in ("signature", "inputs", "outputs", ""):
        table.add_column(heading, overflow="fold")
    for name, signature in signatures.items():
        kind = "writes state" if signature.is_stateful else ""
        table.add_row(
            Text(name, style="bold"),
            _tensor_lines(signature.inputs),
            _tensor_lines(signature.outputs),
            Text(kind, style="yellow"),
        )
    return table


def _tensor_lines(specs: Mapping[str, TensorSpec]) -> Text:
    return Text("\n").join(Text(str(spec)) for spec in specs.values())


def _face_line(face: TuningFace) -> Text:
    inputs = ", ".join(f"{spec.name or 'inputs'}: {spec.dtype}{format_shape(spec.shape)}" for spec in face.inputs)
    values = " and ".join(str(value) for value in face.training_values)
    training = f", training={values}" if values else ""
    further = "".join(f", {name}=…" if may_lack else f", {name}" for name, may_lack in (face.arguments or {}).items())
    counts = (
        f"{_count(face.variables)} variables, {_count(face.trainable_variables)} trainable, "
        f"{face.regularization_losses} regularization losses"
    )
    line = Text("tuning face ", style="bold")
    return line.append(f"__call__({inputs}{training}{further}) · {counts}", style="not bold")


def _count(number: int | None) -> str:
    return "no list of" if number is None else str(number)


def _verdict_table(report: Report) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for question in ("servable", "tunable", "portable", "safe"):
        verdict: Verdict = getattr(report, question)
        answer = Text(verdict.answer, style=_ANSWER_STYLES[verdict.answer])
        table.add_row(Text(question), answer, Text("\n".join(verdict.reasons), style="dim"))
    return table


def _finding_lines(found: Finding) -> Text:
    lines = Text.assemble((found.severity.value, _SEVERITY_STYLES[found.severity]), " ", found.message)
    lines.append(f"  {found.rule}", style="dim")
    if found.place and found.place not in found.message:
        lines.append(f"\n    in {found.place}", style="dim")
    if found.remedy:
        lines.append(f"\n    → {found.remedy}")
    return lines
