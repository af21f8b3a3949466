"""What it costs to find the views that a change concerns, with 10 to 100 000 subscriptions (R5)."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from realm_sync.core.binding import bind
from realm_sync.core.changes import Change
from realm_sync.core.query import parse
from realm_sync.core.views import View, ViewIndex
from realm_sync.registry import registry

from .setting import Figure, Setting, seconds

FEWEST = 10


def run(setting: Setting) -> Iterator[Figure]:
    """Every subscriber sees another inspector's work; a change concerns one of them. The last index has no equality
    condition to look up, so each of its views is tried."""
    sizes = (FEWEST, 1000, setting.size(100_000, 10_000))
    indexes = [*(_index("inspector == 1", size) for size in sizes), _index("priority >= 1", 1000)]
    changes = [[_change(number % FEWEST, number) for number in range(count)] for count in (2000, 50)]
    timings: list[list[float]] = [[] for _ in range(len(sizes) + 1)]
    for number in range(9):  # in turns, so that a disturbance meets all of them
        for place, index in enumerate(indexes):
            batch = changes[place == len(sizes)]
            taken = seconds(lambda index=index, batch=batch: _match(index, batch)) / len(batch)  # type: ignore[misc]
            if number:
                timings[place].append(taken * 1e6)
    least, *others, unindexed = map(statistics.median, timings)
    for size, value in zip(sizes[1:], others, strict=True):
        yield Figure(
            f"matching a change, {size:,} subscriptions", "none", value, "µs",
            f"{FEWEST} subscriptions", least, 1.5, at_most=True, targets_ratio=True,
        )  # fmt: skip
    yield Figure(
        "matching a change, 1,000 subscriptions without an equality condition", "none", unindexed, "µs",
        f"{FEWEST} subscriptions with one", least,
    )  # fmt: skip


def _index(condition: str, subscriptions: int) -> ViewIndex:
    schema = registry.schema
    index = ViewIndex(schema)
    node: Any = bind(parse(condition), schema["Inspection"], schema).predicate
    for number in range(subscriptions):
        # Parsing each text would take longer than everything else here.
        other = replace(node, right=replace(node.right, value=number))
        index.subscribe(View("Inspection", other, schema), number)
    assert len(index) == subscriptions
    return index


def _match(index: ViewIndex, changes: list[Change]) -> None:
    for change in changes:
        assert list(index.match(change))


def _change(inspector: int, number: int) -> Change:
    image = {
        "_id": f"00000000-0000-0000-0000-{number:012}", "airfield": "EDDM", "team": None, "inspector": inspector,
        "title": "Runway lights", "status": "done", "priority": inspector, "due": None, "hours": "0",
        "notes": "Two lamps are out.", "created_at": "2026-01-01T12:00:00.000000Z",
    }  # fmt: skip
    before, after = '{"status":"running"}', json.dumps(image)
    return Change(number, number, "Inspection", str(image["_id"]), "update", before, after, 0, 0)
