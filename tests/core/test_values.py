"""Values: one image on the wire for each value, and nothing else accepted. The vectors are shared with the browser SDK."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from realm_sync.core.declarations import parse_class
from realm_sync.core.edits import identity
from realm_sync.core.encoding import decode_property, encode_property, wire_set
from realm_sync.core.errors import ValueTypeError
from realm_sync.core.mixed import decode_mixed, encode_mixed, mixed_type
from realm_sync.core.schema import Schema
from realm_sync.core.values import SCALARS, ObjectId, decode, encode

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "values.json").read_text())


def pairs(section: str) -> list[tuple[str, Any]]:
    return [(kind, value) for kind in SCALARS for value in VECTORS[section].get(kind, ())]


def test_there_are_vectors_of_every_type() -> None:
    for section in ("roundTrip", "refusedWire"):
        assert list(VECTORS[section]) == list(SCALARS)


@pytest.mark.parametrize(("kind", "wire"), pairs("roundTrip"))
def test_a_wire_value_survives_the_round_trip(kind: str, wire: Any) -> None:
    assert encode(kind, decode(kind, wire)) == wire


@pytest.mark.parametrize(("kind", "wire"), pairs("refusedWire"))
def test_another_spelling_is_refused(kind: str, wire: Any) -> None:
    with pytest.raises(ValueTypeError):
        decode(kind, wire)


@pytest.mark.parametrize(("kind", "pair"), pairs("equal"))
def test_different_values_may_have_one_image(kind: str, pair: list[Any]) -> None:
    value, wire = pair
    given = {"decimal128": Decimal, "int": int}.get(kind, float)(value)
    assert encode(kind, given) == wire


@pytest.mark.parametrize("text", VECTORS["lone"])
def test_lone_surrogates_are_refused_both_ways(text: str) -> None:
    for convert in (encode, decode):
        with pytest.raises(ValueTypeError, match="lone surrogates"):
            convert("string", text)


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        ("double", 10**400),
        ("float", -(10**400)),
        ("decimal128", "9" * 7000),
        ("decimal128", "-" + "9" * 6200 + ".5"),
        ("int", 10**400),
    ],
    ids=["double", "float", "decimal128", "fraction", "int"],
)
def test_numbers_out_of_range_are_refused(kind: str, wire: Any) -> None:
    with pytest.raises(ValueTypeError):
        decode(kind, wire)


@pytest.mark.parametrize("kind", SCALARS)
def test_none_is_null_for_every_type(kind: str) -> None:
    assert encode(kind, None) is None and decode(kind, None) is None


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("bool", 1, "Expected value to be a boolean, got a number"),
        ("int", True, "Expected value to be an integer, got a boolean"),
        ("int", 1.0, "Expected value to be an integer"),
        ("int", 2**63, "Expected value to be a 64-bit integer, got a number"),
        ("int", -(2**63) - 1, "Expected value to be a 64-bit integer"),
        ("double", "1", "Expected value to be a number, got a string"),
        ("double", True, "Expected value to be a number, got a boolean"),
        ("double", 10**400, "Expected value to be a number within the range of a double"),
        ("float", Decimal(1), "Expected value to be a number, got an instance of Decimal"),
        ("decimal128", 1, "Expected value to be a Decimal, got a number"),
        ("string", 5, "Expected value to be a string, got a number"),
        ("string", b"", "Expected value to be a string, got binary data"),
        ("string", "a\0", "Expected value to be a string without U+0000"),
        ("data", "AA==", "Expected value to be binary data, got a string"),
        ("date", "2026-01-01", "Expected value to be a date, got a string"),
        ("date", datetime(2026, 1, 1), "Expected value to be a date with a time zone"),
        ("objectId", "65f0a1b2c3d4e5f601234567", "Expected value to be an ObjectId, got a string"),
        ("uuid", "6f1e3f0a-5f4b-4c8e-9a43-0123456789ab", "Expected value to be a UUID, got a string"),
        ("uuid", ObjectId(b"123456789012"), "Expected value to be a UUID, got an instance of ObjectId"),
    ],
)
def test_a_value_of_another_type_is_refused_in_realms_words(kind: str, value: Any, words: str) -> None:
    with pytest.raises(ValueTypeError) as caught:
        encode(kind, value)
    assert str(caught.value).startswith(words)


def test_a_date_of_any_zone_is_utc_on_the_wire() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    assert encode("date", datetime(2026, 1, 1, 3, 0, tzinfo=east)) == "2025-12-31T21:30:00.000000Z"
    assert decode("date", "2025-12-31T21:30:00.000000Z") == datetime(2025, 12, 31, 21, 30, tzinfo=UTC)


def test_what_is_read_is_of_the_languages_own_types() -> None:
    assert decode("int", "9223372036854775807") == 2**63 - 1
    assert type(decode("double", 5)) is float
    assert decode("decimal128", "0.1") == Decimal("0.1")
    assert decode("data", "AAE=") == b"\x00\x01"
    assert decode("objectId", "65f0a1b2c3d4e5f601234567") == ObjectId("65F0A1B2C3D4E5F601234567")
    assert decode("uuid", "6f1e3f0a-5f4b-4c8e-9a43-0123456789ab") == uuid.UUID("6f1e3f0a5f4b4c8e9a430123456789ab")


# --- mixed, collections and embedded objects ---

MIXED = VECTORS["mixed"]
PROPERTIES = VECTORS["properties"]
SCHEMA = Schema(map(parse_class, PROPERTIES["classes"]))
SCHEMA.check()


def again(name: str, wire: Any) -> Any:
    prop = SCHEMA["Kit"].properties[name]
    return encode_property(SCHEMA, name, prop, decode_property(SCHEMA, name, prop, wire))


@pytest.mark.parametrize(("wire", "kind"), MIXED["roundTrip"])
def test_a_mixed_wire_value_survives_the_round_trip_and_says_its_type(wire: Any, kind: str) -> None:
    assert identity(encode_mixed(decode_mixed(wire))) == identity(wire)
    assert mixed_type(wire) == kind


@pytest.mark.parametrize("wire", MIXED["refusedWire"])
def test_another_spelling_of_a_mixed_value_is_refused(wire: Any) -> None:
    with pytest.raises(ValueTypeError):
        decode_mixed(wire)


def test_there_are_vectors_of_every_type_of_mixed() -> None:
    assert {kind for _, kind in MIXED["roundTrip"]} == {*SCALARS, "null", "object", "list", "dictionary"} - {"float"}


def test_a_set_has_one_order() -> None:
    order = VECTORS["setOrder"]["order"]
    assert identity(wire_set(order[::-1] + order)) == identity(order)
    for same in VECTORS["setOrder"]["same"]:
        assert identity(wire_set(same)) == identity(same[:1])


@pytest.mark.parametrize(("name", "wire", "written"), PROPERTIES["roundTrip"])
def test_a_property_survives_the_round_trip(name: str, wire: Any, written: Any) -> None:
    assert identity(again(name, wire)) == identity(written)


@pytest.mark.parametrize(("name", "wire"), PROPERTIES["refusedWire"])
def test_what_does_not_fit_a_property_is_refused(name: str, wire: Any) -> None:
    with pytest.raises(ValueTypeError):
        again(name, wire)


def test_there_are_vectors_of_every_property() -> None:
    assert {name for name, _, _ in PROPERTIES["roundTrip"]} == set(SCHEMA["Kit"].properties) - {"_id"}
