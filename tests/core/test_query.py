"""What RQL says (reference 10): the vectors that JavaScript reads too, and what JSON cannot hold."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any

import pytest

from realm_sync.core.binding import bind
from realm_sync.core.declarations import parse_class
from realm_sync.core.errors import QueryError
from realm_sync.core.lowering import equality_keys
from realm_sync.core.nodes import (
    And,
    Arithmetic,
    Comparison,
    Constant,
    Geometry,
    Index,
    ListValue,
    Node,
    Not,
    Or,
    Path,
    Query,
    Subquery,
)
from realm_sync.core.query import MAX_BYTES, parse
from realm_sync.core.schema import Schema
from realm_sync.core.text import to_text
from realm_sync.core.values import decode

VECTORS = json.loads((FilePath(__file__).parent.parent / "vectors" / "queries.json").read_text(encoding="utf-8"))
SCHEMA = Schema(map(parse_class, VECTORS["classes"]))
INSPECTION = SCHEMA[VECTORS["class"]]


def argument(value: Any) -> Any:
    """An argument of the vectors: a JSON value, {type: wire value}, or {"object": [class, key]}."""
    if isinstance(value, list):
        return [argument(item) for item in value]
    if isinstance(value, dict):
        ((kind, wire),) = value.items()
        return type(wire[0], (), {"_id": argument(wire[1])})() if kind == "object" else decode(kind, wire)
    return value


def bound(text: str, *arguments: Any) -> Query:
    return bind(parse(text, arguments), INSPECTION, SCHEMA)


def node(text: str, *arguments: Any) -> Node:
    return bound(text, *arguments).predicate


def test_there_are_enough_vectors() -> None:
    assert len(VECTORS["cases"]) >= 150


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["query"])
def test_canonical_text(case: dict[str, Any]) -> None:
    parsed = parse(case["query"], argument(case.get("args", [])))
    assert parse(to_text(parsed)) == parsed
    query = bind(parsed, INSPECTION, SCHEMA)
    assert to_text(query) == case["text"]
    assert to_text(parse(case["text"])) == case["text"]
    assert bind(parse(case["text"]), INSPECTION, SCHEMA) == query == bind(query, INSPECTION, SCHEMA)


@pytest.mark.parametrize("case", VECTORS["refusals"], ids=lambda case: case["query"])
def test_refusal(case: dict[str, Any]) -> None:
    with pytest.raises(QueryError) as caught:
        bound(case["query"], *argument(case.get("args", [])))
    assert caught.value.problem.startswith(case["error"])
    assert caught.value.code == case.get("code", "InvalidQuery")
    assert caught.value.position == case.get("position")


def test_an_error_points_at_its_place() -> None:
    with pytest.raises(QueryError) as caught:
        parse("status == 'open' AND")
    assert str(caught.value) == (
        "Invalid predicate: 'status == 'open' AND': syntax error, unexpected end of query\n"
        "  status == 'open' AND\n"
        "                      ^"
    )
    with pytest.raises(QueryError) as caught:
        bound('title == "x" AND colour == 1')
    assert str(caught.value).endswith('\n  title == "x" AND colour == 1\n                   ^')


@pytest.mark.parametrize("name", ["hours", "ratio", "cost"])
def test_queries_for_nan_are_equal(name: str) -> None:
    assert bound(f"{name} == $0", float("nan")) == bound(f"{name} == NaN") == bound(f"{name} == $0", Decimal("NaN"))


# --- Limits ---


@pytest.mark.parametrize(
    "text",
    ["(" * 200_000 + "a == 1", "!" * 200_000 + "a == 1", "a == 1" + " + 1" * 60_000, "{" * 100_000, "a" * 1_000_000]
    + ["a == " + "(1 + " * 50_000, "(a == 1 AND " * 20_000, "a[" * 100_000, "SUBQUERY(a, $a, " * 10_000],
    ids=lambda text: text[:12],
)
def test_monsters_are_refused_at_once(text: str) -> None:
    parse("TRUEPREDICATE")  # the grammar is compiled once per process
    start = time.perf_counter()
    with pytest.raises(QueryError):
        parse(text)
    assert time.perf_counter() - start < 0.1


def test_size_is_counted_in_bytes_and_has_a_code() -> None:
    with pytest.raises(QueryError, match=f"at most {MAX_BYTES}") as caught:
        parse(f'title == "{"ä" * (MAX_BYTES // 2)}"')
    assert caught.value.code == "LimitExceeded"


def test_long_queries_within_the_limit_work() -> None:
    text = " OR ".join(f"priority == {number}" for number in range(10_000))
    assert equality_keys(node(text)) == {"priority": frozenset(range(10_000))}


def test_trusted_text_may_be_longer() -> None:
    long = " or ".join(f'title == "{number:0100}"' for number in range(3_000))
    assert to_text(parse(long, trusted=True)) == long


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(QueryError, match="surrogate"):
        parse('title == "\ud800"')
    with pytest.raises(QueryError, match="surrogate"):
        parse("title == $0", ["\ud800"])


# --- The tree ---


def test_precedence() -> None:
    a, b, c = (Comparison("==", Path((name,)), Constant("int", 1)) for name in "abc")
    assert parse("a == 1 OR b == 1 AND c == 1").predicate == Or((a, And((b, c))))
    assert parse("NOT a == 1 AND b == 1").predicate == And((Not(a), b))
    one, two = Constant("int", 1), Constant("int", 2)
    sum_ = Arithmetic("+", one, Arithmetic("*", two, Path(("a",))))
    assert parse("1 + 2 * a == 1").predicate == Comparison("==", sum_, one)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("dogs.age == 1", Path(("dogs", "age"))),
        ("ALL dogs.age == 1", Path(("dogs", "age"), "ALL")),
        ("SOME dogs.@max.age == 1", Path(("dogs", "@max", "age"), "ANY")),
        ("prices[0] == 1", Path(("prices", Index(Constant("int", 0))))),
        ("prices[FIRST] == 1", Path(("prices", Index("FIRST")))),
        ("prices[*] == 1", Path(("prices", Index("*")))),
        ("prices[SIZE] == 1", Path(("prices", "@size"))),
        ("words['key'].@type == 1", Path(("words", Index(Constant("string", "key")), "@type"))),
        ("words.@keys == 1", Path(("words", "@keys"))),
        ("@links.Person.dogs.@count == 1", Path(("@links", "Person", "dogs", "@count"))),
        ("first\\ name == 1", Path(("first name",))),
        ("$d.größe == 1", Path(("$d", "größe"))),
        ("NONE {1, 2} == 1", ListValue((Constant("int", 1), Constant("int", 2)), "NONE")),
    ],
)
def test_grammar_of_what_no_back_end_does_yet(text: str, left: Any) -> None:
    query = parse(text)
    assert query.predicate == Comparison("==", left, Constant("int", 1))
    assert parse(to_text(query)) == query


def test_grammar_of_subqueries_and_geometry() -> None:
    query = parse('SUBQUERY(dogs, $d, $d.age > $0 AND NOT $d.name == "R").@count > 1', [3])
    assert isinstance(query.predicate, Comparison) and isinstance(query.predicate.left, Subquery)
    assert to_text(query) == 'SUBQUERY(dogs, $d, $d.age > 3 and !($d.name == "R")).@count > 1'
    assert parse(to_text(query)) == query
    for text in (
        "place GEOWITHIN geoBox([1.0, 2.5], [3.0, 4.0])",
        "place GEOWITHIN geoCircle([1.0, 2.5, 7.0], 0.5)",
        "place GEOWITHIN geoPolygon({[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]}, {[0.1, 0.1], [0.2, 0.1], [0.1, 0.1]})",
    ):
        query = parse(text)
        assert isinstance(query.predicate, Comparison) and isinstance(query.predicate.right, Geometry)
        assert to_text(query) == text and parse(text) == query


PROPERTY_WORDS = "BEGINSWITH contains LIKE BETWEEN SORT distinct LIMIT ASC Descending IN in TEXT BIN FIRST size"
RESERVED_WORDS = "ANY all none and OR not true NULL nil inf NaN obj SUBQUERY geoBox O12"


@pytest.mark.parametrize("word", PROPERTY_WORDS.split())
def test_words_that_may_name_a_property(word: str) -> None:
    assert parse(f"{word} == 1").predicate == Comparison("==", Path((word,)), Constant("int", 1))


@pytest.mark.parametrize("word", RESERVED_WORDS.split())
def test_words_that_may_not(word: str) -> None:
    with pytest.raises(QueryError):
        bound(f"{word} == 1")


def test_arguments_of_python() -> None:
    assert (
        to_text(parse("a == $0 OR b == $1", [True, datetime(1970, 1, 1, 0, 0, 1, 5, UTC)]))
        == "a == true or b == T1:5000"
    )
    assert to_text(parse("a IN $0", [{Decimal("1.50")}])) == "a IN {1.5}"
    with pytest.raises(QueryError, match="needs a time zone"):
        parse("a == $0", [datetime(2026, 1, 1)])
    with pytest.raises(QueryError, match="Using a dict as a query argument is not supported"):
        parse("a == $0", [{}])
    with pytest.raises(QueryError, match="U\\+0000"):
        bound("title == $0", "a\0b")
