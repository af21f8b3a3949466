"""What a subscription may use, and why not the rest."""

from __future__ import annotations

import pytest

from realm_sync.core.errors import QueryError
from realm_sync.core.query import parse
from realm_sync.core.subscribable import check_subscribable
from tests.core.test_query import bound


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("TRUEPREDICATE SORT(title ASC)", "SORT cannot be used in a subscription"),
        ("TRUEPREDICATE LIMIT(3)", "LIMIT cannot"),
        ("TRUEPREDICATE DISTINCT(title)", "DISTINCT cannot"),
        ("team.name == 'North'", "The key path 'team.name' cannot"),
        ("note.@count == 3", "'note.@count' cannot"),
        ("ANY prices == 3", "Collections cannot"),
        ("prices[0] == 3", "Collections cannot"),
        ("SUBQUERY(dogs, $d, $d.age > 3).@count > 1", "SUBQUERY cannot"),
        ("title TEXT 'x'", "TEXT cannot"),
    ],
)
def test_what_no_subscription_can_use(text: str, reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        check_subscribable(parse(text))


def test_what_a_subscription_can_use() -> None:
    check_subscribable(bound('team._id == "north" AND priority * 2 > 3 OR note CONTAINS[c] "x" AND due < T0:0'))
    with pytest.raises(QueryError, match="Arithmetic on 'double' values"):
        check_subscribable(bound("hours * 2 > 3"))
