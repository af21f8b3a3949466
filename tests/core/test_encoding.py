"""Collections, embedded objects and mixed: one value has one wire image, and nothing else is accepted."""

from __future__ import annotations

import math
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm_sync.core.declarations import parse_class, parse_property
from realm_sync.core.encoding import decode_property, empty, encode_property, wire_key, wire_set
from realm_sync.core.errors import SchemaError, ValueTypeError
from realm_sync.core.mixed import DEEPEST, Link, decode_mixed, encode_mixed, mixed_type
from realm_sync.core.schema import Schema, compare, type_text
from realm_sync.core.values import ObjectId

SCHEMA = Schema(
    map(
        parse_class,
        [
            {"name": "Airfield", "properties": {"_id": "uuid", "name": "string"}},
            {"name": "Spot", "embedded": True, "properties": {"label": "string", "marks": "int[]"}},
            {"name": "Address", "embedded": True, "properties": {"street": "string?", "spot": "Spot", "zip": "int"}},
            {
                "name": "Kit",
                "properties": {
                    "_id": "string", "tags": "string[]", "notes": "string?[]", "sizes": "int<>", "any": "mixed<>",
                    "prices": "decimal128{}", "stops": "Airfield[]", "near": "Airfield{}", "home": "Address",
                    "homes": "Address[]", "byName": "Address{}", "data": "mixed", "visits": "counter",
                },
            },
        ],
    )
)  # fmt: skip
SCHEMA.check()
KIT = SCHEMA["Kit"].properties
KEY = "00000000-0000-0000-0000-000000000001"


def encoded(name: str, value: Any) -> Any:
    return encode_property(SCHEMA, f"Kit.{name}", KIT[name], value)


def decoded(name: str, wire: Any) -> Any:
    return decode_property(SCHEMA, f"Kit.{name}", KIT[name], wire)


@pytest.mark.parametrize(
    ("name", "value", "wire"),
    [
        ("tags", ["b", "a", "b"], ["b", "a", "b"]),
        ("notes", [None, "x"], [None, "x"]),
        ("sizes", [3, 1, 2**60], [1, 3, str(2**60)]),
        ("prices", {"a": Decimal("0.10")}, {"a": "0.1"}),
        ("stops", [uuid.UUID(KEY)], [KEY]),
        ("near", {"x": uuid.UUID(KEY), "y": None}, {"x": KEY, "y": None}),
        ("home", None, None),
        ("home", {"street": None, "spot": None, "zip": 5}, {"street": None, "spot": None, "zip": 5}),
        (
            "homes",
            [{"street": "s", "spot": {"label": "l", "marks": [1]}, "zip": 1}],
            [{"street": "s", "spot": {"label": "l", "marks": [1]}, "zip": 1}],
        ),
        ("byName", {"a": None}, {"a": None}),
        ("visits", 3, 3),
        ("data", 5, {"$numberLong": "5"}),
        ("data", 5.0, 5.0),
        ("data", Link("Airfield", KEY), {"$link": ["Airfield", KEY]}),
        ("data", {"a": [b"\0", {"b": ObjectId("0" * 24)}]}, {"a": [{"$binary": "AA=="}, {"b": {"$oid": "0" * 24}}]}),
    ],
)
def test_values_round_trip(name: str, value: Any, wire: Any) -> None:
    assert encoded(name, value) == wire
    assert encoded(name, decoded(name, wire)) == wire


def test_what_is_missing_is_empty_or_null() -> None:
    assert decoded("tags", None) == [] and decoded("prices", None) == {} and decoded("sizes", None) == []
    assert decoded("home", {"zip": 1}) == {"street": None, "spot": None, "zip": 1}
    assert [empty(KIT[name]) for name in ("tags", "sizes", "prices", "home", "visits")] == [[], [], {}, None, None]


def test_a_set_has_one_order_and_no_duplicates() -> None:
    assert decoded("sizes", [3, 1, 3]) == [1, 3]
    values = ["b", 1.0, 1, None, True, False, math.nan, -math.inf, "a", datetime(2026, 1, 1, tzinfo=UTC)]
    wire = encoded("any", values)
    assert wire == [
        None, False, True, {"$numberDouble": "NaN"}, {"$numberDouble": "-Infinity"}, 1.0, "a", "b",
        {"$date": "2026-01-01T00:00:00.000000Z"},
    ]  # fmt: skip
    assert wire_set(reversed(wire)) == wire
    assert wire_key({"$numberLong": "1"}) == wire_key(1.0) != wire_key(True)


@pytest.mark.parametrize(
    ("name", "wire", "message"),
    [
        ("tags", "ab", "Expected 'Kit.tags' to be an array, got a string"),
        ("tags", ["a", 1], "Expected 'Kit.tags[1]' to be a string, got a number"),
        ("tags", [None], "Expected 'Kit.tags[0]' to be a string, got null"),
        ("sizes", [1.5], "Expected 'Kit.sizes[0]' to be an integer, got a decimal number"),
        ("prices", [], "Expected 'Kit.prices' to be a dictionary, got an array"),
        ("prices", {"$a": "1"}, "neither begin with"),
        ("prices", {"a.b": "1"}, "neither begin with"),
        ("prices", {"a": "01"}, "Expected Kit.prices['a'] to be a decimal"),
        ("stops", [None], "Expected 'Kit.stops[0]'"),
        ("home", [], "Expected 'Kit.home' to be an object of class 'Address', got an array"),
        ("home", {"zip": 1, "town": "x"}, "which has no property 'town'"),
        ("home", {}, "Expected 'Kit.home.zip' to be an integer, got null"),
        ("homes", [{"zip": 1, "spot": {"label": 1}}], "Expected 'Kit.homes[0].spot.label' to be a string"),
        ("any", [[]], "Lists within a Set are not supported"),
        ("data", {"$set": []}, "'$set' is no wrapper of ours"),
        ("data", {"$numberLong": "05"}, "a 64-bit integer as a string in '$numberLong'"),
        ("data", {"$numberLong": str(2**63)}, "a 64-bit integer"),
        ("data", {"$link": ["Kite", "a"]}, "a link to a class that can be linked to, not 'Kite'"),
        ("data", {"$link": ["Address", "a"]}, "not 'Address'"),
        ("data", {"$link": ["Airfield", "a"]}, "a UUID in lower case"),
        ("data", {"a": {"$oid": None}}, "a value in '$oid'"),
        ("data", {"a": "\0"}, "a string without U+0000"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_element_named(name: str, wire: Any, message: str) -> None:
    with pytest.raises(ValueTypeError) as caught:
        decoded(name, wire)
    assert message in str(caught.value)


def test_nesting_ends_somewhere() -> None:
    deep: Any = 1.0
    for _ in range(DEEPEST):
        deep = [deep]
    assert decode_mixed(deep) == deep
    for convert in (decode_mixed, encode_mixed):
        with pytest.raises(ValueTypeError, match="at most 100"):
            convert([deep])


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(max_size=5),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), st.uuids(),
    st.datetimes(timezones=st.just(UTC)), st.decimals(allow_nan=False, places=3), st.binary(min_size=12, max_size=12).map(ObjectId),
)  # fmt: skip
mixed_values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner))
)


@given(mixed_values)
def test_mixed_values_round_trip(value: Any) -> None:
    wire = encode_mixed(value)
    assert encode_mixed(decode_mixed(wire)) == wire
    assert mixed_type(wire) in (
        "null", "bool", "int", "double", "decimal128", "string", "data", "date", "objectId", "uuid", "list", "dictionary"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shorthand", "text"),
    [
        ("int?", None), ("counter", None), ("counter?", None), ("mixed", None), ("mixed?", "mixed"), ("string[]", None),
        ("string?[]", None), ("mixed{}", None), ("Dog", None), ("Dog?", "Dog"), ("Dog[]", None), ("Dog<>", None),
        ("Dog{}", None), ("Dog?{}", "Dog{}"), ("int?<>", None),
    ],
)  # fmt: skip
def test_shorthands(shorthand: str, text: str | None) -> None:
    assert type_text(parse_property("X.p", shorthand)) == (text or shorthand)


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("int[]?", "collections cannot be optional"),
        ("int[][]", "nested collections are not supported"),
        ("counter[]", "counters cannot be used in collections"),
        ("list", "a list is written by its elements"),
        ("object", "written as the name of its class"),
        ("linkingObjects", "write {'type': 'linkingObjects'"),
        ("", "must be specified"),
        ("?", "must be specified"),
        ("[]", "must be specified"),
        ("Dog?[]", "never null"),
        ({"type": "mixed", "optional": False}, "always optional"),
        ({"type": "dictionary", "objectType": "Dog", "optional": False}, "always optional"),
        ({"type": "list", "objectType": "Dog", "optional": True}, "never null"),
        ({"type": "int", "objectType": "int"}, "'objectType' cannot be defined when 'type' is 'int'"),
        ({"type": "counter"}, "'presentation': 'counter'"),
        ({"type": "linkingObjects", "objectType": "Dog"}, "'property' is needed"),
        ({"type": "int?"}, "Cannot use shorthand"),
    ],
)
def test_declarations_that_mean_nothing(declaration: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message.replace("?", r"\?").replace("{", r"\{")):
        parse_property("X.p", declaration)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([{"name": "X", "properties": {"_id": "int", "p": "list", "q": "int"}}], "written by its elements"),
        ([{"name": "E", "embedded": True, "properties": {"_id": "int"}}], "cannot have a primary key"),
        ([{"name": "E", "embedded": True, "properties": {"a": "int"}}], "unreachable"),
        (
            [
                {"name": "X", "properties": {"_id": "int", "e": "E"}},
                {"name": "E", "embedded": True, "properties": {"e": "E"}},
            ],
            "Cycles",
        ),
        (
            [
                {"name": "X", "properties": {"_id": "int", "e": "E<>"}},
                {"name": "E", "embedded": True, "properties": {"a": "int"}},
            ],
            "cannot contain embedded",
        ),
        (
            [
                {"name": "X", "properties": {"_id": "int", "e": "Log"}},
                {"name": "Log", "asymmetric": True, "properties": {"_id": "int"}},
            ],
            "asymmetric",
        ),
        ([{"name": "X", "properties": {"_id": "int", "e": "Nobody[]"}}], "unknown object type 'Nobody'"),
        ([{"name": "X", "properties": {"_id": "counter"}}], "Counters cannot be primary keys"),
        (
            [{"name": "X", "properties": {"_id": "int", "a": {"type": "int", "indexed": "full-text"}}}],
            "full-text indexed",
        ),
    ],
)
def test_classes_that_cannot_sync_together(classes: list[Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Schema(map(parse_class, classes)).check()


def test_contradictions_name_kind_and_type() -> None:
    ours = Schema(map(parse_class, [{"name": "X", "properties": {"_id": "int", "tags": "string[]"}}]))
    theirs = parse_class({"name": "X", "asymmetric": True, "properties": {"_id": "int", "tags": "string<>"}})
    with pytest.raises(Exception, match="asymmetric on the client and top-level") as caught:
        compare([theirs], ours)
    assert "'string<>' on the client and 'string[]' on the server" in str(caught.value)
