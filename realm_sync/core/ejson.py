"""Extended JSON: what functions and payloads of the official SDKs carry, as Python values and back.

    Python                    canonical                                    relaxed, where it differs
    None, bool, str           null, true / false, string
    int (32, 64 bit)          {"$numberInt": "5"}, {"$numberLong": "5"}    5
    float                     {"$numberDouble": "1.5"}                     1.5 (not NaN and infinities)
    decimal.Decimal           {"$numberDecimal": "0.1"}
    datetime                  {"$date": {"$numberLong": "1767225600000"}}  {"$date": "2026-01-01T00:00:00Z"} (1970 to 9999)
    bytes, uuid.UUID          {"$binary": {"base64": "AAEC", "subType": "00"}}, subType 04
    ObjectId                  {"$oid": "…"}
    list, dict                array, object

Decoding takes both spellings, and those that SDKs mix in; BSON's types that have no Python value (regular expressions,
timestamps …) are refused by name. A key that begins with `$` and is none of BSON's is a key like any other, because
arguments may be MongoDB's operators. Not the wire's mixed values (mixed.py), which are stricter and know links.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from .errors import ValueTypeError
from .values import ObjectId
from .values import encode as encode_scalar

DEEPEST = 100
"""How many arrays and objects may be nested in one value."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_SUBTYPE_UUID = 4


def decode(wire: Any, where: str = "value") -> Any:
    """The Python value of a parsed JSON value. ValueTypeError names the element: `arguments[0]['a']`."""
    return _decode(wire, where, 0)


def encode(value: Any, where: str = "value", *, relaxed: bool = False) -> Any:
    """A Python value, ready for JSON. ValueTypeError names the element that Extended JSON cannot hold."""
    return _encode(value, where, 0, relaxed)


def _decode(wire: Any, where: str, depth: int) -> Any:
    if wire is None or isinstance(wire, bool):
        return wire
    if isinstance(wire, str):
        return encode_scalar("string", wire)
    if isinstance(wire, int):
        return _within(wire, 64, where)
    if isinstance(wire, float):
        return wire
    if isinstance(wire, list):
        _check_depth(depth, where)
        return [_decode(item, f"{where}[{at}]", depth + 1) for at, item in enumerate(wire)]
    if not isinstance(wire, dict):
        raise ValueTypeError("a JSON value", wire, where)
    read = next((_READERS[key] for key in wire if key in _READERS), None)
    if read is not None:
        try:
            return read(wire)
        except (ValueError, TypeError, KeyError, OverflowError, InvalidOperation) as error:
            name = next(key for key in wire if key in _READERS)
            raise ValueTypeError(f"an Extended JSON value '{name}' that can be read", wire, where) from error
    refused = next((key for key in wire if key in _WITHOUT_VALUE), None)
    if refused is not None:
        raise ValueTypeError(f"a value other than BSON's '{refused}', which has none in Python", wire, where)
    _check_depth(depth, where)
    return {encode_scalar("string", key): _decode(item, f"{where}['{key}']", depth + 1) for key, item in wire.items()}


def _encode(value: Any, where: str, depth: int, relaxed: bool) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return encode_scalar("string", str(value))
    if isinstance(value, int):
        number = int(_within(value, 64, where))
        if relaxed:
            return number
        return {"$numberInt" if -(2**31) <= number < 2**31 else "$numberLong": str(number)}
    if isinstance(value, float):
        if relaxed and math.isfinite(value):
            return float(value)
        return {"$numberDouble": str(encode_scalar("double", float(value)))}
    if isinstance(value, Decimal):
        return {"$numberDecimal": encode_scalar("decimal128", value)}
    if isinstance(value, datetime):
        return {"$date": _date(value, where, relaxed)}
    if isinstance(value, uuid.UUID):
        return _binary(value.bytes, "04")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _binary(bytes(value), "00")
    if isinstance(value, ObjectId):
        return {"$oid": str(value)}
    _check_depth(depth, where)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_encode(item, f"{where}[{at}]", depth + 1, relaxed) for at, item in enumerate(value)]
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise ValueTypeError("an object whose keys are strings", wrong[0], where)
        return {key: _encode(item, f"{where}['{key}']", depth + 1, relaxed) for key, item in value.items()}
    raise ValueTypeError("a value that Extended JSON can hold", value, where)


def _within(value: int, bits: int, where: str) -> int:
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueTypeError(f"an integer of {bits} bits", value, where)
    return value


def _check_depth(depth: int, where: str) -> None:
    if depth >= DEEPEST:
        raise ValueTypeError(f"a value of at most {DEEPEST} nested arrays and objects", None, where[:100])


def _date(value: datetime, where: str, relaxed: bool) -> Any:
    if value.tzinfo is None:
        raise ValueTypeError("a date with a time zone", value, where)
    milliseconds = (value - _EPOCH) // timedelta(milliseconds=1)
    if relaxed and milliseconds >= 0:
        utc = value.astimezone(UTC).replace(tzinfo=None)
        return utc.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds") + "Z"
    return {"$numberLong": str(milliseconds)}


def _binary(content: bytes, subtype: str) -> dict[str, Any]:
    return {"$binary": {"base64": base64.b64encode(content).decode(), "subType": subtype}}


# What each wrapper means. These raise whatever comes first for an inner value that does not fit.


def _only(wire: dict[str, Any], key: str, *more: str) -> Any:
    if set(wire) - {key, *more}:
        raise ValueError
    return wire[key]


def _text(inner: Any, longest: int) -> str:
    if not isinstance(inner, str) or len(inner) > longest:
        raise ValueError
    return inner


def _integer(bits: int) -> Callable[[dict[str, Any]], int]:
    def read(wire: dict[str, Any]) -> int:
        ((_, inner),) = wire.items()
        if not re.fullmatch(r"-?[0-9]{1,19}", _text(inner, 20)):
            raise ValueError
        return _within(int(inner), bits, "")

    return read


def _double(wire: dict[str, Any]) -> float:
    inner = _text(_only(wire, "$numberDouble"), 400)
    return _SPECIAL[inner] if inner in _SPECIAL else float(inner)


def _decimal(wire: dict[str, Any]) -> Decimal:
    value = Decimal(_text(_only(wire, "$numberDecimal"), 400))
    encode_scalar("decimal128", value)  # or it is out of range
    return value


def _read_date(wire: dict[str, Any]) -> datetime:
    inner = _only(wire, "$date")
    if isinstance(inner, str):
        value = datetime.fromisoformat(_text(inner, 40))
        if value.tzinfo is None:
            raise ValueError
        return value.astimezone(UTC)
    if isinstance(inner, dict):
        inner = _integer(64)(inner) if "$numberLong" in inner else None
    if isinstance(inner, bool) or not isinstance(inner, int):
        raise ValueError
    return _EPOCH + timedelta(milliseconds=inner)


def _read_binary(wire: dict[str, Any]) -> bytes | uuid.UUID:
    inner = _only(wire, "$binary", "$type")
    if isinstance(inner, str):  # the spelling before Extended JSON 2
        inner = {"base64": inner, "subType": wire.get("$type", "00")}
    if not isinstance(inner, dict) or set(inner) != {"base64", "subType"}:
        raise ValueError
    try:
        content = base64.b64decode(inner["base64"], validate=True)
    except binascii.Error as error:
        raise ValueError from error
    subtype = int(inner["subType"], 16) if isinstance(inner["subType"], str) else int(inner["subType"])
    return uuid.UUID(bytes=content) if subtype == _SUBTYPE_UUID else content


def _read_oid(wire: dict[str, Any]) -> ObjectId:
    return ObjectId(_text(_only(wire, "$oid"), 24))


def _read_uuid(wire: dict[str, Any]) -> uuid.UUID:
    return uuid.UUID(_text(_only(wire, "$uuid"), 36))


def _undefined(wire: dict[str, Any]) -> None:
    _only(wire, "$undefined")


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "$numberInt": _integer(32),
    "$numberLong": _integer(64),
    "$numberDouble": _double,
    "$numberDecimal": _decimal,
    "$date": _read_date,
    "$binary": _read_binary,
    "$oid": _read_oid,
    "$uuid": _read_uuid,
    "$undefined": _undefined,
}
_WITHOUT_VALUE = (
    "$regularExpression", "$timestamp", "$code", "$symbol", "$dbPointer", "$minKey", "$maxKey",
)  # fmt: skip
