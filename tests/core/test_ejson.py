"""realm_sync/core/ejson.py: Extended JSON in both spellings, its limits, and what it refuses."""

from __future__ import annotations

import json
import math
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm_sync.core import ejson
from realm_sync.core.errors import ValueTypeError
from realm_sync.core.values import ObjectId

SIX = uuid.UUID("12345678-1234-1234-1234-123456789abc")

CANONICAL: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    ("gate", "gate"),
    (5, {"$numberInt": "5"}),
    (-(2**31), {"$numberInt": "-2147483648"}),
    (2**31, {"$numberLong": "2147483648"}),
    (-(2**63), {"$numberLong": "-9223372036854775808"}),
    (1.5, {"$numberDouble": "1.5"}),
    (-0.0, {"$numberDouble": "-0.0"}),
    (math.inf, {"$numberDouble": "Infinity"}),
    (Decimal("0.10"), {"$numberDecimal": "0.1"}),
    (datetime(2026, 1, 1, tzinfo=UTC), {"$date": {"$numberLong": "1767225600000"}}),
    (datetime(1969, 12, 31, 23, 59, 59, 999000, UTC), {"$date": {"$numberLong": "-1"}}),
    (b"\x00\x01\x02", {"$binary": {"base64": "AAEC", "subType": "00"}}),
    (SIX, {"$binary": {"base64": "EjRWeBI0EjQSNBI0VniavA==", "subType": "04"}}),
    (ObjectId("0123456789abcdef01234567"), {"$oid": "0123456789abcdef01234567"}),
    ([1, [2]], [{"$numberInt": "1"}, [{"$numberInt": "2"}]]),
    ({"$set": {"a.b": None}}, {"$set": {"a.b": None}}),
]


@pytest.mark.parametrize(("value", "wire"), CANONICAL)
def test_canonical_both_ways(value: Any, wire: Any) -> None:
    assert ejson.encode(value) == wire
    found = ejson.decode(wire)
    assert found == value and type(found) is type(value)


def test_nan() -> None:
    assert ejson.encode(math.nan) == {"$numberDouble": "NaN"} == ejson.encode(math.nan, relaxed=True)
    assert math.isnan(ejson.decode({"$numberDouble": "NaN"}))
    assert ejson.decode({"$numberDecimal": "NaN"}).is_nan()


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (5, 5),
        (2**40, 2**40),
        (1.5, 1.5),
        (datetime(2026, 1, 1, 12, 0, 0, 250000, UTC), {"$date": "2026-01-01T12:00:00.250Z"}),
        (datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1))), {"$date": "2026-01-01T12:00:00Z"}),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), {"$date": {"$numberLong": "-1000"}}),
        (ObjectId("0123456789abcdef01234567"), {"$oid": "0123456789abcdef01234567"}),
    ],
)
def test_relaxed_both_ways(value: Any, wire: Any) -> None:
    assert ejson.encode(value, relaxed=True) == wire
    assert ejson.decode(wire) == value


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ({"$uuid": str(SIX)}, SIX),
        ({"$binary": "AAEC", "$type": "00"}, b"\x00\x01\x02"),
        ({"$binary": {"base64": "AAEC", "subType": 0}}, b"\x00\x01\x02"),
        ({"$date": 1767225600000}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({"$date": "2026-01-01T01:00:00+01:00"}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({"$undefined": True}, None),
        ({"$numberLong": "7"}, 7),
        ({"$inc": {"n": 1}, "$set": {}}, {"$inc": {"n": 1}, "$set": {}}),
    ],
)
def test_what_sdks_write_besides(wire: Any, value: Any) -> None:
    assert ejson.decode(wire) == value


@pytest.mark.parametrize(
    ("wire", "problem"),
    [
        (2**63, "an integer of 64 bits"),
        ({"$numberInt": "2147483648"}, "'$numberInt'"),
        ({"$numberInt": 5}, "'$numberInt'"),
        ({"$numberLong": " 5"}, "'$numberLong'"),
        ({"$numberLong": "1_0"}, "'$numberLong'"),
        ({"$numberLong": "9" * 10_000}, "'$numberLong'"),
        ({"$numberLong": "5", "more": 1}, "'$numberLong'"),
        ({"$numberDouble": "one"}, "'$numberDouble'"),
        ({"$numberDecimal": "1E+7000"}, "'$numberDecimal'"),
        ({"$numberDecimal": "x"}, "'$numberDecimal'"),
        ({"$date": "2026-01-01T00:00:00"}, "'$date'"),
        ({"$date": {"$numberLong": "9223372036854775807"}}, "'$date'"),
        ({"$date": True}, "'$date'"),
        ({"$date": {"$oid": "0123456789abcdef01234567"}}, "'$date'"),
        ({"$oid": "nonsense"}, "'$oid'"),
        ({"$oid": {"a": 1}}, "'$oid'"),
        ({"$uuid": "nonsense"}, "'$uuid'"),
        ({"$binary": {"base64": "AAE", "subType": "00"}}, "'$binary'"),
        ({"$binary": {"base64": "AAEC", "subType": "04"}}, "'$binary'"),
        ({"$binary": {"base64": 7, "subType": "00"}}, "'$binary'"),
        ({"$binary": {"base64": "AAEC"}}, "'$binary'"),
        ({"$regularExpression": {"pattern": "a", "options": ""}}, "'$regularExpression'"),
        ({"$minKey": 1}, "'$minKey'"),
        ("a\0b", "U\\+0000"),
        ({"a\0b": 1}, "U\\+0000"),
    ],
)
def test_what_has_no_value_is_refused_by_name(wire: Any, problem: str) -> None:
    with pytest.raises(ValueTypeError, match=problem.replace("$", "\\$")):
        ejson.decode(wire)
    with pytest.raises(ValueTypeError, match=problem.replace("$", "\\$")):
        ejson.decode([{"a": wire}])


def test_errors_say_where() -> None:
    with pytest.raises(ValueTypeError, match=r"Expected arguments\[1\]\['a'\] to be"):
        ejson.decode([1, {"a": {"$oid": "x"}}], "arguments")
    with pytest.raises(ValueTypeError, match=r"Expected value\['a'\]\[0\] to be a value that Extended JSON can hold"):
        ejson.encode({"a": [object()]})


@pytest.mark.parametrize("value", [2**63, datetime(2026, 1, 1), object(), {1: 2}, "\ud800", Decimal("1E+7000")])
def test_what_cannot_be_sent_is_refused(value: Any) -> None:
    for relaxed in (False, True):
        with pytest.raises(ValueTypeError):
            ejson.encode(value, relaxed=relaxed)


def test_nesting_is_bounded() -> None:
    deep: Any = 1
    for _ in range(ejson.DEEPEST):
        deep = [deep]
    assert ejson.decode(ejson.encode(deep)) == deep
    for convert in (ejson.decode, ejson.encode):
        with pytest.raises(ValueTypeError, match="at most 100 nested"):
            convert({"a": deep})
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueTypeError, match="at most 100 nested"):
        ejson.encode(circle)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    | st.binary(max_size=20)
    | st.uuids()
    | st.binary(min_size=12, max_size=12).map(ObjectId)
    | st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC)).map(
        lambda date: date.replace(microsecond=date.microsecond // 1000 * 1000)
    )
)
KEYS = st.text("abc.", max_size=3)


@given(
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20), st.booleans()
)
def test_every_value_survives_in_either_spelling(value: Any, relaxed: bool) -> None:
    assert ejson.decode(json.loads(json.dumps(ejson.encode(value, relaxed=relaxed)))) == value


WRAPPERS = st.sampled_from([*ejson._READERS, *ejson._WITHOUT_VALUE, "base64", "subType", "a"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(["04", "AAEC"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WRAPPERS, inner, max_size=3),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_a_value_or_a_refusal(wire: Any) -> None:
    try:
        ejson.decode(wire)
    except ValueTypeError as error:
        assert str(error)
