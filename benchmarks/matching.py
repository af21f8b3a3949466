"""What it costs to find the views that a change concerns, with 10 to 100 000 subscriptions (R5)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from realm_sync.core.binding import bind
from realm_sync.core.changes import Change
from realm_sync.core.query import parse
from realm_sync.core.views import View, ViewIndex
from realm_sync.registry import registry

from .setting import Figure, Setting, median_seconds

FEWEST = 10


def run(setting: Setting) -> Iterator[Figure]:
    """Every subscriber sees another team; a change concerns one of them."""
    least = 0.0
    for subscriptions in (FEWEST, 1000, setting.size(100_000, 10_000)):
        taken = _seconds_per_change("team == uuid({})", subscriptions, 2000)
        least = least or taken
        if subscriptions != FEWEST:
            yield Figure(
                f"matching a change, {subscriptions:,} subscriptions", "none", taken * 1e6, "µs",
                f"{FEWEST} subscriptions", least * 1e6, 1.5, at_most=True, targets_ratio=True,
            )  # fmt: skip
    taken = _seconds_per_change("priority >= {}", 1000, 50)
    yield Figure(
        "matching a change, 1,000 subscriptions without an equality condition", "none", taken * 1e6, "µs",
        f"{FEWEST} subscriptions with one", least * 1e6,
    )  # fmt: skip


def _seconds_per_change(condition: str, subscriptions: int, changes: int) -> float:
    schema = registry.schema
    index = ViewIndex(schema)
    for number in range(subscriptions):
        value = _team(number) if "uuid" in condition else number + 10
        node = bind(parse(condition.format(value)), schema["Inspection"], schema).predicate
        index.subscribe(View("Inspection", node, schema), number)
    assert len(index) == subscriptions
    batch = [_change(number % FEWEST, number) for number in range(changes)]

    def match() -> None:
        for change in batch:
            list(index.match(change))

    return median_seconds(match, 5) / changes


def _team(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012}"


def _change(team: int, number: int) -> Change:
    image = {
        "_id": _team(number), "airfield": "EDDM", "team": _team(team), "inspector": None, "title": "Runway lights",
        "status": "done", "priority": 3, "due": None, "hours": "0", "notes": "Two lamps are out.",
        "created_at": "2026-01-01T12:00:00.000000Z",
    }  # fmt: skip
    before, after = '{"status":"running"}', json.dumps(image)
    return Change(number, number, "Inspection", image["_id"] or "", "update", before, after, 0, 0)
