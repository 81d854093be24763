"""Measures a catalog of 10,000 versions on SQLite and on PostgreSQL, through the services and through HTTP.

Every kind of question is asked about models drawn by chance, all kinds mixed, so that none has warm caches to itself.
Through HTTP a real ``hub serve`` is asked on one kept connection. A sweep is timed over the same catalog, with a store
that is nothing but a set. Nothing fails because something is slow.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import servers
from bench.asking import by_http, by_service, measure_questions
from bench.processes import ROOT, CannotRun, end_cleanly_when_told, own_folder
from bench.report import machine
from bench.seeding import Seeding
from bench.sweeping import measure_sweep
from hub.storage.catalog import Catalog
from hub.telemetry.logging import configure_logging

DATABASES = ("sqlite", "postgresql")
WANTED_MS = 20.0
_QUICK = 10
_OUT = ROOT / "build" / "bench"
Row = dict[str, object]


def main() -> None:
    """Measure what was asked for."""
    end_cleanly_when_told()
    configure_logging("console", "error")
    given = _arguments()
    shrink = _QUICK if given.quick else 1
    seeding = Seeding(given.models // shrink, given.versions, given.long_versions // shrink, given.blobs)
    rows: list[Row] = []
    sweeps: list[Row] = []
    for database in given.databases:
        try:
            _measure(database, seeding, given.times, rows, sweeps)
        except CannotRun as error:
            print(f"\n{database}: cannot run: {error}")
            rows.append({"database": database, "trouble": str(error)})
    given.out.mkdir(parents=True, exist_ok=True)
    settings = {name: value for name, value in vars(given).items() if name != "out"}
    report = {"settings": settings, "machine": machine(), "questions": rows, "sweeps": sweeps}
    (given.out / "catalog.json").write_text(json.dumps(report, indent=1) + "\n")
    slow = [f"{row['database']}, {row['level']}: {row['question']}" for row in rows if not row.get("is_met", True)]
    print(f"\nMedians under {WANTED_MS:.0f} ms: {'NO: ' + '; '.join(slow) if slow else 'yes, all'}")
    print(f"In {given.out}: catalog.json")


def _measure(database: str, seeding: Seeding, times: int, rows: list[Row], sweeps: list[Row]) -> None:
    with own_folder("bench-catalog-") as folder, _database(database, folder) as url:
        catalog = Catalog(url)
        try:
            catalog.migrate()
            _seed(database, seeding, catalog)
            _told(database, "service", measure_questions(by_service(catalog), seeding, times, random.Random(0)), rows)
            with (
                catalog.sweeping()
            ):  # the hub would sweep as soon as it starts, and find that its empty store lacks all
                _through_http(database, url, folder, seeding, times, rows)
            print(f"\n{database}: sweeping …", flush=True)
            sweeps += [{"database": database} | sweep for sweep in measure_sweep(catalog)]
            for sweep in sweeps[-2:]:
                print("  " + ", ".join(f"{name} {value}" for name, value in sweep.items()))
        finally:
            catalog.close()


def _through_http(database: str, url: str, folder: Path, seeding: Seeding, times: int, rows: list[Row]) -> None:
    with servers.hub(folder / "hub", database_url=url) as hub, by_http(hub.port) as ask:
        _told(database, "http", measure_questions(ask, seeding, times, random.Random(0)), rows)


@contextmanager
def _database(name: str, folder: Path) -> Iterator[str]:
    if name == "sqlite":
        yield f"sqlite:///{folder / 'hub.db'}"
        return
    with servers.postgresql(folder / "postgresql") as url:
        yield url


def _seed(database: str, seeding: Seeding, catalog: Catalog) -> None:
    begun = time.monotonic()
    print(f"\n{database}: seeding …", flush=True)
    seeding.fill(catalog)
    if database == "postgresql":
        servers.analyze(catalog.url.render_as_string(hide_password=False))
    count = sum(map(seeding.versions_of, seeding.names()))
    print(f"  {count:,} versions of {len(seeding.names()):,} models in {time.monotonic() - begun:.0f} s")


def _told(database: str, level: str, measured: dict[str, list[float]], rows: list[Row]) -> None:
    print(f"\n{database}, {level:<44}{'median ms':>12}{'p99 ms':>12}")
    for question, seconds in measured.items():
        ordered = sorted(seconds)
        median, late = (1_000 * ordered[int(part * (len(ordered) - 1))] for part in (0.5, 0.99))
        is_met = median < WANTED_MS
        print(f"  {question:<50}{median:>12.2f}{late:>12.2f}{'' if is_met else '  NO'}")
        facts = {"median_ms": median, "p99_ms": late, "times": len(ordered), "is_met": is_met}
        rows.append({"database": database, "level": level, "question": question} | facts)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=900)
    parser.add_argument("--versions", type=int, default=10, help="of each of these models")
    parser.add_argument("--long-versions", type=int, default=1_000, help="of the one model that has many")
    parser.add_argument("--blobs", type=int, default=100, help="of a version")
    parser.add_argument("--times", type=int, default=300, help="that each question is asked")
    parser.add_argument("--databases", type=lambda text: text.split(","), default=list(DATABASES))
    parser.add_argument("--quick", action="store_true", help=f"a catalog of a {_QUICK}th of the size")
    parser.add_argument("--out", type=Path, default=_OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
