"""Mixed: values that carry their type with them, what they are in Python and as JSON on the wire.

    Python                     wire (JSON)
    None, bool, str            null, true / false, string
    float                      number, or {"$numberDouble": "NaN"}: a plain number is always a double
    int (64 bit)               {"$numberLong": "5"}
    decimal.Decimal            {"$numberDecimal": "0.1"}
    datetime, bytes            {"$date": "2026-01-01T12:00:00.000000Z"}, {"$binary": "AAEC"}
    ObjectId, uuid.UUID        {"$oid": "…"}, {"$uuid": "…"}
    Link                       {"$link": ["Airfield", key]}: the wire value of the target's key
    list or tuple, dict        array, object: nested lists and dictionaries, of mixed again

The wrappers are those of MongoDB's Extended JSON in its canonical spelling where there is one, the texts inside them
those of values.py. No key of a dictionary begins with `$`, so a wrapper is never mistaken for one. Knows no classes:
whether a link's class exists is for encoding.py to say.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from .errors import ValueTypeError
from .values import ObjectId, decode, encode

DEEPEST = 100
"""How many lists and dictionaries may be nested in one value; as in Realm."""


class Link(NamedTuple):
    """A link inside a mixed value: a class and the wire value of a key. Its target need not exist."""

    class_name: str
    key: Any


def encode_mixed(value: Any, where: str = "value") -> Any:
    """The wire value of a mixed value. Raises ValueTypeError naming the element: `data['a'][0]`."""
    return _encode(value, where, 0)


def decode_mixed(wire: Any, where: str = "value") -> Any:
    """The Python value of a mixed wire value. Strict, as values.decode: raises ValueTypeError for any other spelling."""
    return _decode(wire, where, 0)


def wrapper(wire: Any) -> str:
    """The key of a wrapper (`$oid` …); "" for every other wire value, dictionaries included."""
    if isinstance(wire, dict) and len(wire) == 1:
        (key,) = wire
        return key if isinstance(key, str) and key.startswith("$") else ""
    return ""


def check_key(key: Any, where: str) -> str:
    """A key of a dictionary, or ValueTypeError: Realm allows neither a leading `$` nor a dot."""
    if not isinstance(key, str) or key.startswith("$") or "." in key:
        raise ValueTypeError("a dictionary with keys that neither begin with '$' nor contain '.'", key, where)
    encode("string", key)
    return key


def mixed_type(wire: Any) -> str:
    """The type a mixed wire value has: a scalar type of values.py, `null`, `object` (a link), `list`, `dictionary`."""
    if wire is None:
        return "null"
    if isinstance(wire, dict):
        return _WRAPPED.get(wrapper(wire), ("dictionary",))[0]
    return {bool: "bool", str: "string", list: "list"}.get(type(wire), "double")


def _encode(value: Any, where: str, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _named(encode, "string", value, where)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$numberDouble": encode("double", value)}
    if isinstance(value, Link):
        return {"$link": [value.class_name, value.key]}
    if isinstance(value, (list, tuple)):
        _check_depth(depth, where)
        return [_encode(item, f"{where}[{at}]", depth + 1) for at, item in enumerate(value)]
    if isinstance(value, Mapping):
        _check_depth(depth, where)
        return {check_key(key, where): _encode(item, f"{where}['{key}']", depth + 1) for key, item in value.items()}
    for kinds, key, scalar in _ENCODED:
        if isinstance(value, kinds):
            wire = _named(encode, scalar, value, where)
            return {key: str(wire)}
    raise ValueTypeError("a value that mixed can hold", value, where)


def _decode(wire: Any, where: str, depth: int) -> Any:
    if wire is None or isinstance(wire, bool):
        return wire
    if isinstance(wire, str):
        return _named(decode, "string", wire, where)
    if isinstance(wire, (int, float)):
        return _named(decode, "double", wire, where)
    if isinstance(wire, list):
        _check_depth(depth, where)
        return [_decode(item, f"{where}[{at}]", depth + 1) for at, item in enumerate(wire)]
    if isinstance(wire, dict):
        if key := wrapper(wire):
            return _unwrap(key, wire[key], where)
        _check_depth(depth, where)
        return {check_key(key, where): _decode(item, f"{where}['{key}']", depth + 1) for key, item in wire.items()}
    raise ValueTypeError("a mixed value", wire, where)


def _unwrap(key: str, inner: Any, where: str) -> Any:
    if key not in _WRAPPED:
        raise ValueTypeError(f"a mixed value ('{key}' is no wrapper of ours)", inner, where)
    scalar, read = _WRAPPED[key]
    try:
        return read(inner)
    except ValueTypeError as error:
        raise ValueTypeError(f"{error.expected} in '{key}'", inner, where) from None


def _named(convert: Callable[[str, Any], Any], scalar: str, value: Any, where: str) -> Any:
    try:
        return convert(scalar, value)
    except ValueTypeError as error:
        raise ValueTypeError(error.expected, error.value, where) from None


def _check_depth(depth: int, where: str) -> None:
    if depth >= DEEPEST:
        raise ValueTypeError(f"a value of at most {DEEPEST} nested lists and dictionaries", None, where[:100])


def _read_long(inner: Any) -> int:
    if isinstance(inner, str) and len(inner) <= 20:
        try:
            value = int(inner)
        except ValueError:
            pass
        else:
            if str(value) == inner and -(2**63) <= value < 2**63:
                return value
    raise ValueTypeError("a 64-bit integer as a string", inner)


def _read_double(inner: Any) -> float:
    if isinstance(inner, str):
        value: float = decode("double", inner)
        return value
    raise ValueTypeError("'NaN', 'Infinity' or '-Infinity'", inner)


def _read_link(inner: Any) -> Link:
    if isinstance(inner, list) and len(inner) == 2 and isinstance(inner[0], str) and type(inner[1]) in (str, int):
        return Link(*inner)
    raise ValueTypeError("a class name and a key", inner)


def _reader(scalar: str) -> Callable[[Any], Any]:
    def read(inner: Any) -> Any:
        if inner is None:
            raise ValueTypeError("a value", inner)
        return decode(scalar, inner)

    return read


_ENCODED: tuple[tuple[type, str, str], ...] = (
    (int, "$numberLong", "int"),
    (Decimal, "$numberDecimal", "decimal128"),
    (datetime, "$date", "date"),
    ((bytes, bytearray, memoryview), "$binary", "data"),  # type: ignore[assignment]
    (ObjectId, "$oid", "objectId"),
    (uuid.UUID, "$uuid", "uuid"),
)
_WRAPPED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "$numberLong": ("int", _read_long),
    "$numberDouble": ("double", _read_double),
    "$numberDecimal": ("decimal128", _reader("decimal128")),
    "$date": ("date", _reader("date")),
    "$binary": ("data", _reader("data")),
    "$oid": ("objectId", _reader("objectId")),
    "$uuid": ("uuid", _reader("uuid")),
    "$link": ("object", _read_link),
}
