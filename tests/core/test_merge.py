"""Merge rules (R7): each row of the table in PROTOCOL.md §6 is a test here."""

from __future__ import annotations

import json
from typing import Any

from realm_sync.core.changes import Change
from realm_sync.core.merge import Rivals, Stamp, merge
from realm_sync.core.messages import Create, Delete, Update

KEY = "11111111-1111-4111-8111-111111111111"
ME = 7


def row(
    kind: str, version: int, timestamp: int, after: dict[str, Any] | None, changed: dict[str, Any] | None = None
) -> Change:
    """A row of the history by client file 3."""
    before = {"_id": KEY} if kind == "delete" else changed
    texts = [None if image is None else json.dumps(image) for image in (before, after)]
    return Change(version, version, "Inspection", KEY, kind, texts[0], texts[1], timestamp, 3)


def image(**values: Any) -> dict[str, Any]:
    return {"_id": KEY, **values}


def update(**values: Any) -> Update:
    return Update(class_name="Inspection", id=KEY, values=values)


def create(**values: Any) -> Create:
    return Create(class_name="Inspection", id=KEY, values=values)


DELETE = Delete(class_name="Inspection", id=KEY)


def test_the_later_write_of_one_property_stands() -> None:
    rivals = Rivals([row("update", 20, 1000, image(title="theirs"), {"title": "old"})])
    mine_later = merge(image(title="theirs"), update(title="mine"), 10, Stamp(1001, ME), rivals)
    mine_earlier = merge(image(title="theirs"), update(title="mine"), 10, Stamp(999, ME), rivals)
    assert mine_later.image == image(title="mine") and mine_later.written == ("title",)
    assert mine_earlier.image == image(title="theirs") and mine_earlier.written == ()


def test_equal_timestamps_are_decided_by_the_client_file_ident() -> None:
    rivals = Rivals([row("update", 20, 1000, image(title="theirs"), {"title": "old"})])
    assert merge(image(title="theirs"), update(title="mine"), 10, Stamp(1000, 4), rivals).written == ("title",)
    assert merge(image(title="theirs"), update(title="mine"), 10, Stamp(1000, 2), rivals).written == ()


def test_what_the_writer_had_seen_is_no_rival() -> None:
    rivals = Rivals([row("update", 20, 5000, image(title="theirs"), {"title": "old"})])
    assert merge(image(title="theirs"), update(title="mine"), 20, Stamp(1000, ME), rivals).written == ("title",)


def test_writes_of_two_properties_both_stand() -> None:
    rivals = Rivals([row("update", 20, 5000, image(title="theirs", notes=""), {"title": "old"})])
    outcome = merge(image(title="theirs", notes=""), update(title="mine", notes="mine"), 10, Stamp(1000, ME), rivals)
    assert outcome.image == image(title="theirs", notes="mine")


def test_two_creates_of_one_key_are_one_object() -> None:
    rivals = Rivals([row("insert", 20, 5000, image(title="theirs", notes=""))], {"notes": ""})
    outcome = merge(image(title="theirs", notes=""), create(title="mine", notes="mine"), 10, Stamp(1000, ME), rivals)
    assert outcome.image == image(title="theirs", notes="mine"), "a default never beats what somebody wrote"


def test_a_delete_beats_update_and_create_whatever_the_times() -> None:
    rivals = Rivals([row("delete", 20, 1, None)])
    for step in (update(title="mine"), create(title="mine")):
        assert merge(None, step, 10, Stamp(9000, ME), rivals).image is None


def test_writes_on_the_old_life_of_a_recreated_object_are_dropped() -> None:
    rivals = Rivals([row("delete", 20, 1, None), row("insert", 21, 2, image(title="reborn"))])
    outcome = merge(image(title="reborn"), update(title="mine"), 10, Stamp(9000, ME), rivals)
    assert outcome.image == image(title="reborn") and outcome.written == ()


def test_a_delete_beats_a_concurrent_update() -> None:
    rivals = Rivals([row("update", 20, 9000, image(title="theirs"), {"title": "old"})])
    assert merge(image(title="theirs"), DELETE, 10, Stamp(1, ME), rivals).image is None


def test_an_update_of_an_absent_object_is_nothing() -> None:
    assert merge(None, update(title="mine"), 10, Stamp(1, ME), Rivals()).image is None


def test_a_create_makes_the_object_and_writes_its_values() -> None:
    outcome = merge(None, create(title="mine"), 10, Stamp(1, ME), Rivals())
    assert outcome.image == image(title="mine") and outcome.written == ("title",)
