"""Cards: what people write about a model, Markdown below a few facts in YAML, as other hubs have it too.

    ---
    task: image-embedding
    tags: [retail, mobilenet]
    license: apache-2.0
    ---
    # The text that people read

Laws: reading a card never fails, whatever it holds: what is no fact is left out and stays in the card; what it costs is
bounded by :data:`MAX_FRONT_CHARS`, not by the card.
"""

import re
from dataclasses import dataclass

import yaml

MAX_FRONT_CHARS = 4_000
MAX_TAGS = 20
MAX_FACT_CHARS = 60
_MAX_BRACKETS = 100  # the parser's time grows with the square of how deep they stand in one another
_FRONT = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_NO_FACTS: dict[str, object] = {}


@dataclass(frozen=True, slots=True)
class Card:
    """A card, taken apart.

    Attributes:
        text: The Markdown.
        task: What the model is for, such as ``image-classification``; ``pipeline_tag`` means it too.
        tags: Words to find it by, in the order of the card, without repetitions.
        license: Under which license it is given.
    """

    text: str
    task: str = ""
    tags: tuple[str, ...] = ()
    license: str = ""


def read_card(card: str) -> Card:
    """Take a card apart."""
    found = _FRONT.match(card[:MAX_FRONT_CHARS])
    if found is None:
        return Card(card)
    facts = _facts(found.group(1))
    listed = facts.get("tags")
    tags = [_fact(tag) for tag in (listed if isinstance(listed, list) else [listed])]
    return Card(
        text=card[found.end() :].lstrip("\r\n"),
        task=_fact(facts.get("task")) or _fact(facts.get("pipeline_tag")),
        tags=tuple(dict.fromkeys(tag for tag in tags if tag))[:MAX_TAGS],
        license=_fact(facts.get("license")),
    )


def _facts(text: str) -> dict[str, object]:
    """The front matter's mapping; the loader knows texts, lists and mappings only, and makes nothing else of them."""
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        return _NO_FACTS
    try:
        read = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - safer than the safe one: it has no types at all
    except (yaml.YAMLError, RecursionError, ValueError):
        return _NO_FACTS
    return read if isinstance(read, dict) else _NO_FACTS


def _fact(value: object) -> str:
    """One short printable text in lower case; empty where it is none."""
    if not isinstance(value, str) or len(value) > MAX_FACT_CHARS or not value.isprintable():
        return ""
    return " ".join(value.lower().split())
