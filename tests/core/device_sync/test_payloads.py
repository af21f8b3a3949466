"""Payloads and wire values are one another's, and what is not says so."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm_sync.core.device_sync.instructions import NULL, Payload
from realm_sync.core.device_sync.payloads import (
    decode_key,
    decode_mixed_payload,
    decode_payload,
    encode_key,
    encode_mixed,
    encoder,
    is_one_of_two,
    zeros,
)
from realm_sync.core.edits import identity
from realm_sync.core.encoding import decode_property, empty
from realm_sync.core.errors import ValueTypeError
from realm_sync.core.schema import Property

from .worlds import EVERY, LEAVES, NOTE, NUMBER, OUTER, SCALARS, SCHEMA, WIRES


def decoded(kind: str, value: Any, type: str) -> tuple[Any, bool]:
    return decode_payload(SCHEMA, "Every.x", Property(type=kind), Payload(type, value))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SCALARS)
@given(data=st.data())
def test_every_wire_value_comes_back(kind: str, data: st.DataObject) -> None:
    wire, prop = data.draw(WIRES[kind]), Property(type=kind)
    payload = encoder(SCHEMA, prop)(wire)
    back, is_exact = decode_payload(SCHEMA, "Every.x", prop, payload)
    assert identity(back) == identity(wire) and is_exact
    decode_property(SCHEMA, "Every.x", prop, back)


@given(LEAVES)
def test_every_mixed_value_comes_back(wire: Any) -> None:
    back, is_exact = decode_mixed_payload(SCHEMA, "Every.mixed", encode_mixed(SCHEMA, wire))
    assert identity(back) == identity(wire) and is_exact
    decode_property(SCHEMA, "Every.mixed", Property(type="mixed", optional=True), back)


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        ("0", (0, 0, False)),
        ("1.5", (15, -1, False)),
        ("-100", (100, 0, True)),
        ("1" + "0" * 100, (1, 100, False)),
        ("1" + "0" * 6144, (10**33, 6111, False)),
        ("0." + "0" * 6175 + "1", (1, -6176, False)),
        ("NaN", (0, 9696, False)),
        ("Infinity", (0, 9184, False)),
        ("-Infinity", (0, 9184, True)),
        ("1234567890123456789012345678901234567890", (1234567890123456789012345678901235, 6, False)),
    ],
)
def test_decimals(wire: str, value: tuple[int, int, bool]) -> None:
    assert encoder(SCHEMA, Property(type="decimal128"))(wire) == Payload("decimal", value)


@pytest.mark.parametrize(
    ("value", "wire", "is_exact"),
    [
        ((15, -1, False), "1.5", True),
        ((150, -2, False), "1.5", False),
        ((1, 2, False), "100", False),
        ((0, 0, True), "0", False),
        ((0, 9696, False), "NaN", True),
        ((0, 9696 + 256, False), "NaN", False),
        ((0, 9184, True), "-Infinity", True),
        ((7, 9184, False), "Infinity", False),
    ],
)
def test_decimals_of_which_the_spelling_is_ours(value: Any, wire: str, is_exact: bool) -> None:
    assert decoded("decimal128", value, "decimal") == (wire, is_exact)


@pytest.mark.parametrize(
    ("value", "wire", "is_exact"),
    [
        ((1_700_000_000, 5_000_000), "2023-11-14T22:13:20.005000Z", True),
        ((-1, -500_000_000), "1969-12-31T23:59:58.500000Z", True),
        ((-2, -500_000_000), "1969-12-31T23:59:57.500000Z", True),
        ((0, -1000), "1969-12-31T23:59:59.999999Z", True),
        ((0, 999), "1970-01-01T00:00:00.000000Z", False),
        ((0, -1), "1969-12-31T23:59:59.999999Z", False),
        ((-62_135_596_800, 0), "0001-01-01T00:00:00.000000Z", True),
        ((253_402_300_799, 999_999_999), "9999-12-31T23:59:59.999999Z", False),
    ],
)
def test_dates(value: tuple[int, int], wire: str, is_exact: bool) -> None:
    assert decoded("date", value, "timestamp") == (wire, is_exact)
    if is_exact:
        assert encoder(SCHEMA, Property(type="date"))(wire) == Payload("timestamp", value)


MISFITS = [
    ("date", "timestamp", (-62_135_596_801, 0)),
    ("date", "timestamp", (253_402_300_800, 0)),
    ("date", "timestamp", (2**63 - 1, 999_999_999)),
    ("decimal128", "decimal", (10**34, 0, False)),
    ("decimal128", "decimal", (1, 6112, False)),
    ("string", "string", "a\0b"),
]


@pytest.mark.parametrize(("kind", "type", "value"), MISFITS)
def test_what_does_not_fit_is_a_value_that_is_refused(kind: str, type: str, value: Any) -> None:
    wire, _ = decoded(kind, value, type)
    with pytest.raises(ValueTypeError):
        decode_property(SCHEMA, "Every.x", Property(type=kind), wire)
    wire, _ = decode_mixed_payload(SCHEMA, "Every.mixed", Payload(type, value))  # type: ignore[arg-type]
    with pytest.raises(ValueTypeError):
        decode_property(SCHEMA, "Every.mixed", Property(type="mixed", optional=True), wire)


@pytest.mark.parametrize(("type", "value"), [("float", 1.5), ("float", math.inf), ("double", -0.0)])
def test_mixed_numbers_that_become_others(type: Any, value: float) -> None:
    assert not decode_mixed_payload(SCHEMA, "Every.mixed", Payload(type, value))[1]


def test_numbers_that_may_be_one_element_of_a_set_here_and_two_there() -> None:
    assert is_one_of_two(Payload("int", 5)) and is_one_of_two(Payload("double", 5.0))
    others = [Payload("double", value) for value in (5.5, math.inf, math.nan)] + [NULL, Payload("bool", True)]
    assert not any(map(is_one_of_two, others))


@pytest.mark.parametrize("kind", SCALARS)
def test_another_type_is_no_value(kind: str) -> None:
    for other in SCALARS:
        payload = encoder(SCHEMA, Property(type=other))(zeros(SCHEMA, EVERY)[other])
        if other != kind:
            with pytest.raises(ValueTypeError, match="Every.x"):
                decode_payload(SCHEMA, "Every.x", Property(type=kind), payload)
    link = Payload("link", ("Number", Payload("int", 1)))
    with pytest.raises(ValueTypeError):
        decode_payload(SCHEMA, "Every.x", Property(type=kind), link)


def test_links() -> None:
    prop = EVERY.properties["link"]
    assert encoder(SCHEMA, prop)("9007199254740993") == Payload("link", ("Number", Payload("int", 2**53 + 1)))
    assert decode_payload(SCHEMA, "", prop, Payload("link", ("Number", Payload("int", 2**53 + 1)))) == (
        "9007199254740993", True,
    )  # fmt: skip
    assert decode_payload(SCHEMA, "", prop, NULL) == (None, True)
    for wrong in [("Every", Payload("objectId", bytes(12))), ("Number", Payload("string", "1"))]:
        with pytest.raises(ValueTypeError):
            decode_payload(SCHEMA, "Every.link", prop, Payload("link", wrong))
    for class_name in ("Inner", "Note", "Nothing"):
        with pytest.raises(ValueTypeError):
            decode_mixed_payload(SCHEMA, "Every.mixed", Payload("link", (class_name, Payload("string", ""))))


def test_keys() -> None:
    for cls, wire in [(EVERY, "65a1b2c3d4e5f60718293a4b"), (NUMBER, "-9007199254740993"), (NUMBER, 7), (NOTE, "é")]:
        assert decode_key(cls, encode_key(cls, wire)) == wire
    for key in (NULL, Payload("globalKey", (1, 2)), Payload("string", "7")):
        with pytest.raises(ValueTypeError):
            decode_key(NUMBER, key)


def test_zeros_are_what_every_new_object_has() -> None:
    for cls in (EVERY, OUTER, NUMBER):
        found = zeros(SCHEMA, cls)
        assert set(found) == {n for n, p in cls.properties.items() if n != "_id" and p.type != "linkingObjects"}
        for name, wire in found.items():
            prop = cls.properties[name]
            decode_property(SCHEMA, name, prop, wire)
            assert not wire or wire == empty(prop) or prop.type in SCALARS
