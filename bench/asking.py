"""The questions that people and programs ask a catalog, and ways to ask them."""

import http.client
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote, urlencode

from bench.seeding import LONG, Seeding
from hub.domain.access import Principal, Scope
from hub.domain.names import ModelName
from hub.protocol import paths
from hub.services.browse import Browse
from hub.storage.catalog import Catalog

PAGE = 50
_WARM_UP = 10
_READER = Principal(name="bench", scope=Scope.READ)
Ask = Callable[[str, Mapping[str, object]], object]
"""Asks a question of a kind with its facts; what comes back does not matter."""


def measure_questions(ask: Ask, seeding: Seeding, times: int, chance: random.Random) -> dict[str, list[float]]:
    """Seconds that each kind of question took, every time it was asked."""
    kinds = _questions(seeding, chance)
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for turn in range(times + _WARM_UP):
        for kind in chance.sample(sorted(kinds), len(kinds)):
            word, facts = kinds[kind]()
            begun = time.perf_counter()
            ask(word, facts)
            if turn >= _WARM_UP:
                took[kind].append(time.perf_counter() - begun)
    return took


def _questions(seeding: Seeding, chance: random.Random) -> dict[str, Callable[[], tuple[str, dict[str, object]]]]:
    """What is asked, by what it is called; each call asks about another model."""
    names = seeding.names()

    def reference(form: Callable[[ModelName], str]) -> Callable[[], tuple[str, dict[str, object]]]:
        def question() -> tuple[str, dict[str, object]]:
            name = chance.choice(names)
            return "resolve", {"ref": f"{name}{form(name)}"}

        return question

    def of_long(form: str) -> Callable[[], tuple[str, dict[str, object]]]:
        return lambda: ("resolve", {"ref": f"{LONG}{form}"})

    def number_of(name: ModelName) -> int:
        return chance.randint(1, seeding.versions_of(name))

    def about(word: str) -> Callable[[], tuple[str, dict[str, object]]]:
        def question() -> tuple[str, dict[str, object]]:
            name = chance.choice(names)
            return word, {"name": str(name), "number": number_of(name)}

        return question

    return {
        "resolve by name": reference(lambda _: ""),
        "resolve by alias": reference(lambda _: ":stable"),
        "resolve by number": reference(lambda name: f"@{number_of(name)}"),
        "resolve by interface": reference(lambda _: "~1"),
        "resolve by digest": reference(lambda name: f"@{seeding.digests[str(name)]}"),
        "resolve by name, the long one": of_long(""),
        "resolve by interface, the long one": of_long("~1"),
        "resolve by digest, the long one": of_long(f"@{seeding.digests[str(LONG)]}"),
        f"{PAGE} models": lambda: ("models", {"after": str(chance.choice(names))}),
        f"{PAGE} models, searched": lambda: ("models", {"search": f"{chance.randint(0, seeding.models):05}"}),
        f"{PAGE} versions, the long one": lambda: ("versions", {"name": str(LONG), "before": number_of(LONG) + 1}),
        "a version with its report": about("version"),
        "a model's page": about("page"),
        "the long one's page": lambda: ("page", {"name": str(LONG)}),
    }


def by_service(catalog: Catalog) -> Ask:
    """Ask the services; a page is what its route asks them."""
    browse = Browse(catalog, engine=None)

    def page(name: str) -> None:
        model = browse.model(_READER, name)
        browse.versions(_READER, name, limit=1)
        browse.version(_READER, name, model.latest)
        browse.lineage(_READER, name, model.latest)

    words: dict[str, Callable[[Mapping[str, object]], object]] = {
        "resolve": lambda facts: browse.resolve(_READER, facts["ref"]),
        "models": lambda facts: browse.models(_READER, limit=PAGE, **facts),
        "versions": lambda facts: browse.versions(_READER, facts["name"], before=facts["before"], limit=PAGE),
        "version": lambda facts: browse.version(_READER, facts["name"], facts["number"]),
        "page": lambda facts: page(facts["name"]),
    }
    return lambda word, facts: words[word](facts)


@contextmanager
def by_http(port: int) -> Iterator[Ask]:
    """Ask a hub at a port of this machine, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(word: str, facts: Mapping[str, object]) -> bytes:
        connection.request("GET", _path(word, facts))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{word} {facts} was answered with {answer.status}: {body[:300]!r}")
        return body

    yield ask
    connection.close()


def _path(word: str, facts: Mapping[str, object]) -> str:
    name = quote(str(facts.get("name", "")))
    if word == "resolve":
        return f"{paths.RESOLVE}?{urlencode(facts)}"
    if word == "models":
        return f"{paths.MODELS}?{urlencode({'limit': PAGE, **facts})}"
    if word == "versions":
        return f"{paths.versions(name)}?{urlencode({'limit': PAGE, 'before': facts['before']})}"
    return paths.version(name, int(str(facts["number"]))) if word == "version" else f"/{name}"
