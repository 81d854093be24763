"""What ``hub push`` prints: the new reference on stdout, everything else on stderr."""

from pathlib import Path
from typing import Any

from hub.cli.output import put, put_json, say, size_text
from hub.client.outlook import Outlook
from hub.client.push import Pushed
from hub.domain.errors import BreaksCallers, InvalidModel, InvalidRequest
from hub.domain.reports import Report
from hub.domain.versions import Version

_SHOWN_CHANGES = 20


def read_card(path: Path | None) -> str | None:
    """The text of a model card.

    Raises:
        InvalidRequest: The file is not text.
    """
    try:
        return path.read_text(encoding="utf-8") if path else None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8 text.", remedy="Save the card as UTF-8 Markdown.") from error


def print_findings(error: InvalidModel) -> None:
    """Say on stderr everything that was found wrong."""
    for finding in error.facts.get("findings", ()):
        place = f" ({finding['place']})" if finding.get("place") else ""
        say(f"{finding['severity']} {finding['rule']}: {finding['message']}{place}")


def print_breaks(error: BreaksCallers) -> None:
    """Say on stderr every change that would break callers."""
    for change in error.facts.get("changes", ())[:_SHOWN_CHANGES]:
        say(f"breaking {change['rule']}: {change['message']}")


def print_outlook(outlook: Outlook) -> None:
    """Say on stderr, before anything is sent, that callers will break and how."""
    text = outlook.warning()
    if text:
        say(text)


def print_pushed(pushed: Pushed, *, as_json: bool) -> None:
    """Print what came of it."""
    if as_json:
        version = pushed.version.model_dump(mode="json") if pushed.version else None
        report = pushed.report.model_dump(mode="json")
        facts = {"is_existing": pushed.is_existing, "size": pushed.size, "sent": pushed.sent}
        changes = [change.model_dump(mode="json") for change in pushed.outlook.changes] if pushed.outlook else None
        put_json({"version": version, "report": report, "changes": changes} | facts | _curve_facts(pushed))
        return
    say(_answers(pushed.report))
    _say_curves(pushed)
    if pushed.version is None:
        say(_foretold(pushed.outlook))
        say(f"This would be taken: {size_text(pushed.size)}. Nothing was sent.")
        return
    if pushed.is_existing:
        say("The model has this very content already; nothing was sent.")
    else:
        say(f"{size_text(pushed.sent)} of {size_text(pushed.size)} had to be sent.")
    say(_interface(pushed.version, pushed.outlook))
    put(pushed.version.reference)


def _foretold(outlook: Outlook | None) -> str:
    if outlook is None:
        return "The hub could not be asked what this means for callers."
    if outlook.before is None:
        return f"It would be the first version, with interface {outlook.interface}."
    if outlook.breaks:
        return f"It would be interface {outlook.interface}, because it breaks callers of {outlook.before.reference}."
    return f"It would keep interface {outlook.interface}: every call of {outlook.before.reference} still works."


def _interface(version: Version, outlook: Outlook | None) -> str:
    before = outlook.before if outlook else None
    if before is None or before.number >= version.number:
        return f"interface {version.interface}"
    if version.interface == before.interface:
        return f"interface {version.interface} (as before: every call of {before.reference} still works)"
    stay = f"callers of {before.model}~{before.interface} stay where they are"
    return f"interface {version.interface} (new: {stay})"


def _curve_facts(pushed: Pushed) -> dict[str, Any]:
    if pushed.curves is None:
        return {}
    damages = [damage.model_dump() for damage in pushed.curves.damages]
    return {"curves": len(pushed.curves.items), "damages": damages}


def _say_curves(pushed: Pushed) -> None:
    if pushed.curves is None:
        return
    runs = {item.curve.run for item in pushed.curves.items}
    say(f"Summaries: {len(pushed.curves.items)} curve(s) of {len(runs)} run(s).")
    for damage in pushed.curves.damages:
        say(f"{damage.file}, byte {damage.byte}: {damage.reason}.")


def _answers(report: Report) -> str:
    verdicts = {
        "servable": report.servable,
        "tunable": report.tunable,
        "portable": report.portable,
        "safe": report.safe,
    }
    return ", ".join(f"{name}: {verdict.answer}" for name, verdict in verdicts.items())
