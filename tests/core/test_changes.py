"""Changes: patches in the words of the image, lists in order, folds that tell a file what it must know and no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realm_sync.core.changes import Change, ChangeList, Fold

NORTH, SOUTH = "north", "south"


def row(before: dict[str, Any] | None, after: dict[str, Any] | None) -> Change:
    """A row of the history as a trigger writes it."""
    kind = "insert" if before is None else "delete" if after is None else "update"
    old = before if after is None or before is None else {k: v for k, v in before.items() if after[k] != v}
    texts = [None if image is None else json.dumps(image, separators=(",", ":")) for image in (old, after)]
    return Change(1, 1, "Inspection", "1", kind, texts[0], texts[1], 0, 0)


def it(team: str, title: str = "a") -> dict[str, Any]:
    return {"_id": 1, "team": team, "title": title}


def of_north(image: Any) -> bool:
    return image["team"] == NORTH


def of_south(image: Any) -> bool:
    return image["team"] == SOUTH


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row(None, it(NORTH))], ("put", it(NORTH))),
        ([row(None, it(SOUTH))], None),
        ([row(it(NORTH), it(NORTH, "b"))], ("patch", {"_id": 1, "title": "b"})),
        ([row(it(NORTH), it(SOUTH))], ("erase", 1)),
        ([row(it(SOUTH), it(NORTH))], ("put", it(NORTH))),
        ([row(it(NORTH), None)], ("erase", 1)),
        ([row(it(SOUTH), None)], None),
        ([row(None, it(NORTH)), row(it(NORTH), None)], ("erase", 1)),
        ([row(it(NORTH), it(NORTH, "b")), row(it(NORTH, "b"), it(NORTH, "c"))], ("patch", {"_id": 1, "title": "c"})),
        ([row(it(NORTH), it(SOUTH)), row(it(SOUTH), it(NORTH, "b"))], ("put", it(NORTH, "b"))),
    ],
)
def test_a_fold_says_what_the_file_must_know(rows: list[Change], expected: Any) -> None:
    fold = Fold(of_north, of_north)
    for change in rows:
        fold.add(change)
    result = fold.result()
    assert (result and (result[0], json.loads(result[1]))) == expected


def test_a_fold_between_views_puts_what_stays_and_erases_what_may_be_held() -> None:
    for change, expected in (
        (row(it(NORTH), it(SOUTH)), "put"),
        (row(it(SOUTH), it(NORTH)), "erase"),
        (row(it(SOUTH), it(SOUTH, "b")), "put"),
        (row(it(NORTH), it(NORTH, "b")), "erase"),
        (row(it("east"), it("east", "b")), None),
    ):
        fold = Fold(of_north, of_south)
        fold.add(change)
        result = fold.result()
        assert (result and result[0]) == expected, change


def test_a_list_keeps_the_order_of_changes_of_one_object() -> None:
    changes = ChangeList()
    for kind, text in (("put", '{"_id":1}'), ("erase", "1"), ("put", '{"_id":1,"a":2}'), ("patch", '{"_id":1}')):
        changes.add(kind, "Team", text)
    changes.add("erase", "Airfield", '"EDDM"')
    assert json.loads(changes.text()) == [
        {"class": "Team", "put": [{"_id": 1}], "erase": [1]},
        {"class": "Team", "put": [{"_id": 1, "a": 2}], "patch": [{"_id": 1}]},
        {"class": "Airfield", "erase": ["EDDM"]},
    ]


def test_a_patch_keeps_the_very_words_of_the_image() -> None:
    change = Change(1, 1, "Sample", "1", "update", '{"x":0.5}', '{"_id":1,"x":0.10000000000000001,"y":1e300}', 0, 0)
    assert change.patch_text() == '{"_id":1,"x":0.10000000000000001}'
