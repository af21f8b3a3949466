"""Folding, alone."""

from __future__ import annotations

from realm_sync.client.rebase import EDITS, Fold, edit_data
from realm_sync.core.declarations import parse_class
from realm_sync.core.edits import Shape
from realm_sync.core.schema import Schema

A, B = ("Inspection", "a"), ("Airfield", "b")
CLASS = parse_class(
    {"name": "Inspection", "properties": {"_id": "string", "title": "string?", "tags": "string[]", "visits": "counter"}}
)
SCHEMA = Schema([CLASS])


def SHAPES(name):
    return Shape(SCHEMA, CLASS.properties[name])


def edit(fold, op, *path, key=A, may_link=False, **values):
    instruction = EDITS[op](class_name=key[0], id=key[1], path=list(path), **values)
    fold.edit(key, instruction, SHAPES(path[0]), may_link)


def told(fold):
    """Op and what it says, of every step."""
    return [(step.op, step.values if step.edit is None else edit_data(step.edit)) for step in fold.steps()]


def test_edits_fold_into_the_value_that_the_transaction_wrote():
    fold = Fold()
    fold.create(A, {"title": "x"})
    edit(fold, "insert", "tags", 0, value="late")
    edit(fold, "insert", "tags", 0, value="cold")
    assert told(fold) == [("create", {"title": "x", "tags": ["cold", "late"]})]
    fold = Fold()
    fold.update(A, {"visits": 3})
    edit(fold, "add", "visits", by=2)
    assert told(fold) == [("update", {"visits": 5})]


def test_an_edit_stays_one_where_the_transaction_wrote_other_properties():
    fold = Fold()
    fold.update(A, {"title": "x"})
    edit(fold, "insert", "tags", 0, value="late")
    fold.update(A, {"title": "y"})
    insert = ("insert", {"path": ["tags", 0], "value": "late"})
    assert told(fold) == [("update", {"title": "y"}), insert]


def test_a_whole_value_stays_behind_the_edits_that_it_follows():
    fold = Fold()
    fold.update(A, {"title": "x"})
    edit(fold, "add", "visits", by=1)
    fold.update(A, {"visits": 9})
    edit(fold, "add", "visits", by=1)
    assert told(fold) == [
        ("update", {"title": "x"}), ("add", {"path": ["visits"], "by": 1}), ("update", {"visits": 10})
    ]  # fmt: skip


def test_increments_of_one_counter_are_one():
    fold = Fold()
    edit(fold, "add", "visits", by=1)
    edit(fold, "add", "visits", by=-3)
    assert told(fold) == [("add", {"path": ["visits"], "by": -2})]


def test_an_edit_does_not_go_before_an_object_that_it_may_link_to():
    fold = Fold()
    fold.update(A, {"tags": []})
    fold.create(B, {})
    edit(fold, "insert", "tags", 0, value="b", may_link=True)
    assert [op for op, _ in told(fold)] == ["update", "create", "insert"]


def test_deleting_drops_edits():
    fold = Fold()
    edit(fold, "insert", "tags", 0, value="late")
    fold.delete(A)
    assert told(fold) == [("delete", {})]


def steps(fold):
    return [(step.op, step.key[1], step.values) for step in fold.steps()]


def test_updates_fold_into_the_create_before_them():
    fold = Fold()
    fold.create(A, {"title": "x"})
    fold.update(A, {"title": "y"})
    fold.update(A, {"team": "North"})
    assert steps(fold) == [("create", "a", {"title": "y", "team": "North"})]


def test_created_and_deleted_in_one_transaction_is_nothing():
    fold = Fold()
    fold.create(A, {"title": "x"})
    fold.delete(A)
    assert steps(fold) == []


def test_a_delete_makes_earlier_updates_superfluous():
    fold = Fold()
    fold.update(A, {"title": "x"})
    fold.delete(A)
    assert steps(fold) == [("delete", "a", {})]


def test_deleted_and_created_again_stays_two_steps():
    fold = Fold()
    fold.delete(A)
    fold.create(A, {"title": "x"})
    fold.update(A, {"title": "y"})
    assert steps(fold) == [("delete", "a", {}), ("create", "a", {"title": "y"})]
    fold.delete(A)
    assert steps(fold) == [("delete", "a", {})]


def test_a_link_to_an_object_created_later_stays_behind_it():
    fold = Fold()
    fold.create(A, {"title": "x"})
    fold.create(B, {})
    fold.update(A, {"airfield": "b"}, [B])
    fold.update(A, {"title": "y"})
    assert steps(fold) == [
        ("create", "a", {"title": "x"}),
        ("create", "b", {}),
        ("update", "a", {"airfield": "b", "title": "y"}),
    ]
