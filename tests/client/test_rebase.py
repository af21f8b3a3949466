"""Folding and replaying, alone."""

from __future__ import annotations

import pytest

from realm_sync.client.rebase import Fold, replay

A, B = ("Inspection", "a"), ("Airfield", "b")
BLANK = {"_id": None, "title": None, "team": None}


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


@pytest.mark.parametrize(
    ("image", "pending", "expected"),
    [
        (None, [("update", {"title": "x"})], None),
        (None, [("create", {"title": "x"})], BLANK | {"title": "x"}),
        (BLANK | {"team": "South"}, [("create", {"title": "x"})], BLANK | {"title": "x", "team": "South"}),
        (BLANK, [("update", {"title": "x"}), ("update", {"title": "y"})], BLANK | {"title": "y"}),
        (BLANK, [("delete", {}), ("update", {"title": "y"})], None),
        (BLANK | {"title": "x"}, [("delete", {}), ("create", {"team": "North"})], BLANK | {"team": "North"}),
    ],
)
def test_replay(image, pending, expected):
    assert replay(image, pending, BLANK) == expected
