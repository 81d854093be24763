"""What ``hub push`` prints: the new reference on stdout, everything else on stderr."""

from pathlib import Path
from typing import Any

from hub.cli.output import put, put_json, say, size_text
from hub.client.push import Pushed
from hub.domain.errors import InvalidModel, InvalidRequest
from hub.domain.reports import Report


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


def print_pushed(pushed: Pushed, *, as_json: bool) -> None:
    """Print what came of it."""
    if as_json:
        version = pushed.version.model_dump(mode="json") if pushed.version else None
        report = pushed.report.model_dump(mode="json")
        facts = {"is_existing": pushed.is_existing, "size": pushed.size, "sent": pushed.sent}
        put_json({"version": version, "report": report} | facts | _curve_facts(pushed))
        return
    say(_answers(pushed.report))
    _say_curves(pushed)
    if pushed.version is None:
        say(f"This would be taken: {size_text(pushed.size)}. Nothing was sent.")
        return
    if pushed.is_existing:
        say("The model has this very content already; nothing was sent.")
    else:
        say(f"{size_text(pushed.sent)} of {size_text(pushed.size)} had to be sent.")
    put(pushed.version.reference)


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
