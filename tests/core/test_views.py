"""Views: equal ones are shared, and a change looks up only those it can concern (R5)."""

from __future__ import annotations

import json
from typing import Any

from realm_sync.core.binding import bind
from realm_sync.core.changes import Change
from realm_sync.core.declarations import parse_class
from realm_sync.core.nodes import FALSE
from realm_sync.core.query import parse
from realm_sync.core.schema import Schema
from realm_sync.core.views import View, ViewIndex

SCHEMA = Schema(
    [
        parse_class(
            {"name": "Inspection", "properties": {"_id": "int", "team": "int", "status": "string", "hours": "double"}}
        )
    ]
)


def view(text: str) -> View:
    return View("Inspection", bind(parse(text), SCHEMA["Inspection"], SCHEMA).predicate, SCHEMA)


def change(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Change:
    texts = [None if image is None else json.dumps({"_id": 1, **image}) for image in (before, after)]
    return Change(1, 1, "Inspection", "1", "update", texts[0], texts[1], 0, 0)


def found(index: ViewIndex, *images: dict[str, Any] | None) -> set[tuple[str, bool, bool]]:
    return {(it.key[1], was, now) for it, was, now in index.match(change(*images))}


NORTH = {"team": 1, "status": "open", "hours": 2.0}
SOUTH = {"team": 2, "status": "open", "hours": 2.0}


def test_equal_views_are_one_and_go_with_their_last_subscriber() -> None:
    index = ViewIndex(SCHEMA)
    first, second = index.subscribe(view("team == 1"), "a"), index.subscribe(view("team == 1"), "b")
    assert first is second and first.subscribers == {"a", "b"} and len(index) == 1
    index.unsubscribe(first, "a")
    assert len(index) == 1
    index.unsubscribe(first, "b")
    assert len(index) == 0 and not found(index, NORTH, NORTH)


def test_a_change_finds_the_views_it_enters_stays_in_and_leaves() -> None:
    index = ViewIndex(SCHEMA)
    for text in ("team == 1", "team == 2", 'team == 1 and status == "done"', "hours > 1", "team IN {1, 2}"):
        index.subscribe(view(text), text)
    matches = {(text, was, now) for text, was, now in found(index, NORTH, SOUTH)}
    assert {(was, now) for text, was, now in matches if text == "team == 1"} == {(True, False)}
    assert {(was, now) for text, was, now in matches if text == "team == 2"} == {(False, True)}
    assert {(was, now) for text, was, now in matches if text.startswith("hours")} == {(True, True)}
    assert {(was, now) for text, was, now in matches if "IN" in text} == {(True, True)}
    assert not any("done" in text for text, _, _ in matches)


def test_views_that_imply_an_equality_are_not_tried_for_other_values() -> None:
    index = ViewIndex(SCHEMA)
    tried = []
    for team in range(1000):
        it = index.subscribe(view(f'team == {team} and status == "open"'), team)
        matches = it.matches
        it.matches = lambda image, team=team, matches=matches: tried.append(team) or matches(image)  # type: ignore[func-returns-value]
    assert {was for _, was, _ in found(index, NORTH, NORTH)} == {True}
    assert set(tried) == {1}, "the index separates by team, not by the status that all share"


def test_a_view_of_nothing_is_never_found() -> None:
    index = ViewIndex(SCHEMA)
    index.subscribe(View("Inspection", FALSE, SCHEMA), "nobody")
    assert not found(index, NORTH, SOUTH)
