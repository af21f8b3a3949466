"""What a subscription may use, and why not the rest."""

from __future__ import annotations

import pytest

from realm_sync.core.errors import QueryError
from realm_sync.core.nodes import Query
from realm_sync.core.subscribable import check_subscribable
from tests.core.test_collections import bound as deep
from tests.core.test_query import bound


def person(text: str) -> Query:
    return deep({"class": "Person", "query": text, "args": [1, "x"]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("TRUEPREDICATE SORT(name ASC)", "SORT cannot be used in a subscription"),
        ("TRUEPREDICATE LIMIT(3)", "LIMIT cannot"),
        ("TRUEPREDICATE DISTINCT(name)", "DISTINCT cannot"),
        ("best.name == 'Rex'", "The key path 'best.name' cannot .*: it follows a link"),
        ("ANY dogs.age > 3", "The key path 'ANY dogs.age' cannot"),
        ("address.keeper.name == 'Bob'", "The key path 'address.keeper.name' cannot"),
        ("minors.@count > 3", "'minors.@count' cannot .*which objects link to this one"),
        ("@links.Person.boss.name == 'x'", "cannot .*which objects link to this one"),
        ("@links.@count > 3", "'@links.@count' cannot .*which objects link to this one"),
        ("scores.@sum > 3", "'scores.@sum' cannot .* only @count and @size"),
        ("dogs.@max.age > 3", "'dogs.@max.age' cannot"),
        ("SUBQUERY(dogs, $d, $d.age > 3).@count > 1", "SUBQUERY cannot"),
        ("bio TEXT 'x'", "TEXT cannot .*CONTAINS"),
        ("ratings + 1 == 2", "Arithmetic on 'double' values"),
        ("thing + 1 == 2", "Arithmetic on 'mixed' values"),
        ("ANY scores == ANY numbers", "Comparing two collections"),
        (f"ANY words CONTAINS {{{', '.join(['$1'] * 101)}}}", "more than 100 values"),
        (f"ANY scores == NONE {{{', '.join(['$0'] * 101)}}}", "more than 100 values"),
        (f"ANY anys == {{{', '.join(['$1'] * 101)}}}", "more than 100 values"),
    ],
)
def test_what_no_subscription_can_use(text: str, reason: str) -> None:
    with pytest.raises(QueryError, match=reason):
        check_subscribable(person(text))


@pytest.mark.parametrize(
    "text",
    [
        "scores == 3 AND ALL tags BEGINSWITH 'a' AND prices['eur'] > 3 AND prices.@keys == 'usd'",
        "thing['a'][0] == 1 AND thing.@type == 'string' AND ANY anys IN {1, 2}",
        "best.@count == 1 AND dogs.@count > 1 AND $0 IN dogs AND best._id == 3",
        "address.city == 'Berlin' AND addresses.lines == 'a' AND homes['main'] != null AND address.keeper == null",
        "place GEOWITHIN geoCircle([1, 2], 0.5) AND address.location GEOWITHIN geoBox([1, 2], [3, 4])",
        f"ANY words IN {{{', '.join(['$1'] * 1000)}}} AND ANY scores IN {{1, 2}} AND ALL {{1, 2}} IN scores",
        "scores + 1 == 3 AND name.@size > 2 AND visits > 3",
    ],
)
def test_own_properties_of_every_type_can_be_subscribed_to(text: str) -> None:
    check_subscribable(deep({"class": "Person", "query": text, "args": [{"object": ["Dog", 1]}, "x"]}))


def test_what_a_subscription_can_use() -> None:
    check_subscribable(bound('team._id == "north" AND priority * 2 > 3 OR note CONTAINS[c] "x" AND due < T0:0'))
    with pytest.raises(QueryError, match="Arithmetic on 'double' values"):
        check_subscribable(bound("hours * 2 > 3"))
