"""`python -m benchmarks [name …] [--database sqlite|postgresql] [--quick] [--markdown FILE]`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from .setting import DATABASES, Figure, Setting, open_setting

NAMES = (
    "saving",
    "matching",
    "merge",
    "bootstrap",
    "official",
    "uploads",
    "deliveries",
    "latency",
    "opening",
    "browser",
)
WITHOUT_DATABASE = ("matching", "merge", "opening", "browser")
"""Measured once, on the first database."""
PACKAGES = ("Django", "channels", "daphne", "msgspec", "psycopg", "websockets")
COLUMNS = ("measured", "database", "result", "baseline", "baseline's result", "ratio", "target")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help=f"which benchmarks: {', '.join(NAMES)} (all)")
    parser.add_argument("--database", choices=DATABASES, help="only this one")
    parser.add_argument("--quick", action="store_true", help="fewer rows and one repetition: does it work?")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there as well")
    options = parser.parse_args()
    if unknown := set(options.name) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    console = Console(width=None if sys.stdout.isatty() else 200)
    begin = time.monotonic()
    figures: list[Figure] = []
    facts: list[str] = []
    for database in [options.database] if options.database else DATABASES:
        with open_setting(database, options.quick) as setting:
            facts.append(_database_version(setting))
            for name in options.name or NAMES:
                if name in WITHOUT_DATABASE and len(facts) > 1:
                    continue
                started = time.monotonic()
                for figure in import_module(f".{name}", __package__).run(setting):
                    figures.append(figure)
                    console.print(f"[dim]{time.monotonic() - begin:5.0f} s[/]  " + " | ".join(_cells(figure)[:6]))
                console.print(f"[dim]{name} on {database}: {time.monotonic() - started:.0f} s[/]")
    order = list(dict.fromkeys(figure.what for figure in figures))
    figures.sort(key=lambda figure: order.index(figure.what))
    facts = [_machine(), *facts, f"{time.monotonic() - begin:.0f} s in all"]
    table = Table(*COLUMNS, title="realm_sync, one server process", caption=" · ".join(facts))
    for figure in figures:
        table.add_row(*_cells(figure), style="red" if figure.met is False and figure.database != "sqlite" else None)
    console.print(table)
    if options.markdown:
        options.markdown.write_text(_markdown(figures, facts))
    return 0


def _cells(figure: Figure) -> list[str]:
    target = ""
    if figure.target is not None:
        number = f"{figure.target:.0%}" if figure.targets_ratio else f"{_number(figure.target)} {figure.unit}"
        target = f"{'≤' if figure.at_most else '≥'} {number}: {'met' if figure.met else 'missed'}"
    return [
        figure.what,
        figure.database,
        f"{_number(figure.value)} {figure.unit}",
        figure.baseline,
        f"{_number(figure.baseline_value)} {figure.unit}",
        f"{figure.ratio:.2f}",
        target,
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _markdown(figures: list[Figure], facts: list[str]) -> str:
    rows = [COLUMNS, tuple("---" for _ in COLUMNS), *(_cells(figure) for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{' · '.join(facts)}\n"


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {packages}"


def _database_version(setting: Setting) -> str:
    if setting.name == "sqlite":
        import sqlite3

        return f"SQLite {sqlite3.sqlite_version}"
    with psycopg.connect(setting.url) as connection:
        return f"PostgreSQL {connection.info.server_version // 10000}"


if __name__ == "__main__":
    sys.exit(main())
