"""What a view is indexed by: the values that a query implies (R5)."""

from __future__ import annotations

from typing import Any

import pytest

from realm_sync.core.lowering import equality_keys
from tests.core.test_query import node


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('team == "north"', {"team": {"north"}}),
        ('"north" == title', {"title": {"north"}}),
        ("priority == 9007199254740993", {"priority": {"9007199254740993"}}),
        ("priority IN {1, 2, null} AND priority IN {2, null, 4}", {"priority": {2, None}}),
        ('team == "north" AND priority > 3', {"team": {"north"}}),
        ('team == "north" AND done == true', {"team": {"north"}, "done": {True}}),
        ('team == "north" OR team == null', {"team": {"north", None}}),
        ('(team == "north" AND done == true) OR team IN {"south", "east"}', {"team": {"north", "south", "east"}}),
        ('team == "north" OR done == true', {}),
        ('NOT team == "north"', {}),
        ('NOT (team != "north" OR FALSEPREDICATE)', {}),
        ('title ==[c] "north"', {}),
        ("title.@count == 5", {}),
        ("priority + 1 == 5", {}),
        ("title IN {}", {}),
        ("TRUEPREDICATE", {}),
    ],
)
def test_equality_keys(text: str, keys: dict[str, set[Any]]) -> None:
    assert equality_keys(node(text)) == keys
