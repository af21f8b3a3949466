"""Payloads: the typed values of the official SDKs, and the wire values of ours, one for one as far as that goes.

Decides what a value of one side is on the other, and whether it is the same one. Ours are the wire values of images
(values.py, mixed.py). Both sides hold what the other's types hold, but for this:

    timestamp     nanoseconds: ours end at microseconds; years outside 1 … 9999: do not fit
    decimal       ours know neither trailing zeros nor -0: the value is the same, the spelling is not
    double        ours has no -0.0
    string        U+0000: does not fit
    mixed         a float becomes a double; in a set, an int and a double of one value are one element

A value that does not fit becomes a wire value that no property takes, and that says what was found: it is refused where
all values are judged. Collections and embedded objects are no payloads: instructions build them. Knows no instructions.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from ..errors import ValueTypeError
from ..mixed import decode_mixed, mixed_type, wrapper
from ..schema import ObjectSchema, Property, Schema
from ..values import DECIMAL128, SCALARS, decimal_text, decode, encode, single
from .instructions import ColumnType, Payload

COLUMN_TYPES: dict[str, ColumnType] = {
    "bool": "bool", "int": "int", "float": "float", "double": "double", "decimal128": "decimal", "string": "string",
    "data": "binary", "date": "timestamp", "objectId": "objectId", "uuid": "uuid",
}  # fmt: skip
"""What Realm's wire format calls our scalar types."""
_SCALARS = {theirs: ours for ours, theirs in COLUMN_TYPES.items()}

Encode = Callable[[Any], Payload]
"""The payload of a wire value that is not null. Raises ValueTypeError for one of another type."""

LONGEST = 2**24 - 32
"""Bytes of a string or of binary data: Realm stores a little less than 16 MiB."""
NAN, INFINITY = 9696, 9184
"""The exponents that mean so: what the bits of a decimal128 give that is no number."""
_BIAS = 6176
_MOST_DIGITS, _HIGHEST = 34, 6111
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encoder(schema: Schema, prop: Property) -> Encode:
    """How the values of a property that holds single values are made into payloads: scalars, links and mixed."""
    if prop.type == "mixed":
        return lambda wire: encode_mixed(schema, wire)
    if prop.type == "object":
        target = schema[str(prop.object_type)]
        name, key = target.name, _ENCODERS[target.key_type]
        return lambda wire: Payload("link", (name, key(wire)))
    return _ENCODERS[prop.type]


def encode_mixed(schema: Schema, wire: Any) -> Payload:
    """The payload of a mixed value; of a list or a dictionary the one that makes an empty one."""
    kind = mixed_type(wire)
    if kind in ("null", "list", "dictionary"):
        return Payload(kind)  # type: ignore[arg-type]
    if kind == "object":
        class_name, key = decode_mixed(wire)
        return Payload("link", (class_name, encode_key(schema[class_name], key)))
    if kind == "int":
        return Payload("int", decode_mixed(wire))
    inner = wire[wrapper(wire)] if isinstance(wire, dict) else wire
    return _ENCODERS[kind](inner)


def encode_key(cls: ObjectSchema, wire: Any) -> Payload:
    """The payload of a key's wire value."""
    return _ENCODERS[cls.key_type](wire)


def decode_key(cls: ObjectSchema, payload: Payload) -> Any:
    """The wire value of a key. Raises ValueTypeError for one of another type than the class's."""
    return _decode_scalar(cls.key_type, payload, f"{cls.name}._id")[0]


def decode_payload(schema: Schema, where: str, prop: Property, payload: Payload) -> tuple[Any, bool]:
    """The wire value for a property of single values, and whether it is all that the payload says: if not, the client
    holds something else than what everybody will. Raises ValueTypeError for a payload of another type; what is of the
    right type and does not fit comes as a wire value that is refused. Null is a value of every type: it is the schema
    that says whether it may stand."""
    if payload.type == "null":
        return None, True
    if prop.type == "mixed":
        return decode_mixed_payload(schema, where, payload)
    if prop.type == "object":
        target = schema[str(prop.object_type)]
        if payload.type != "link" or payload.value[0] != target.name:
            raise ValueTypeError(f"a link to '{target.name}'", payload, where)
        return _decode_scalar(target.key_type, payload.value[1], where)
    if prop.type not in SCALARS:
        raise ValueTypeError("no single value", payload, where)
    return _decode_scalar(prop.type, payload, where)


def decode_mixed_payload(schema: Schema, where: str, payload: Payload) -> tuple[Any, bool]:
    """The wire value of what a mixed place holds, and whether that is all."""
    kind = payload.type
    if kind == "null":
        return None, True
    if kind in ("list", "dictionary"):
        return ([] if kind == "list" else {}), True
    if kind == "link":
        class_name, key = payload.value
        target = schema.get(class_name)
        if target is None or target.embedded or target.asymmetric:
            raise ValueTypeError("a link to a class that can be linked to", payload, where)
        return {"$link": [class_name, _decode_scalar(target.key_type, key, where)[0]]}, True
    if kind == "int":
        return {"$numberLong": str(payload.value)}, True
    if kind not in _SCALARS:
        raise ValueTypeError("a value that mixed can hold", payload, where)
    wire, is_exact = _decode_scalar(_SCALARS[kind], payload, where)
    if kind in ("float", "double"):
        return {"$numberDouble": wire} if isinstance(wire, str) else wire, is_exact and kind == "double"
    name = _WRAPPERS.get(kind)
    return ({name: wire} if name else wire), is_exact


def is_one_of_two(payload: Payload) -> bool:
    """Whether a set of mixed may hold a number of another type that is the same element here, and is not one there."""
    return payload.type == "int" or (payload.type == "double" and payload.value == payload.value // 1)


def zero(schema: Schema, prop: Property) -> Any:
    """The wire value that Realm gives to what nobody has written: null where that is possible, else nothing of its kind;
    links and embedded objects are null whatever the schema says."""
    if prop.is_collection:
        return {} if prop.type == "dictionary" else []
    if prop.optional or prop.type not in SCALARS:
        return None
    return _ZEROS[prop.type]


def zeros(schema: Schema, cls: ObjectSchema) -> dict[str, Any]:
    """The image of a new object of which only Realm knows, without a key."""
    return {
        name: zero(schema, prop)
        for name, prop in cls.properties.items()
        if prop.type != "linkingObjects" and (name != "_id" or cls.embedded)
    }


_ZEROS: dict[str, Any] = {
    "bool": False, "int": 0, "float": 0.0, "double": 0.0, "decimal128": "0", "string": "", "data": "",
    "date": "1970-01-01T00:00:00.000000Z", "objectId": "0" * 24, "uuid": str(uuid.UUID(int=0)),
}  # fmt: skip
_WRAPPERS = {
    "decimal": "$numberDecimal", "timestamp": "$date", "binary": "$binary", "objectId": "$oid", "uuid": "$uuid",
}  # fmt: skip


# --- wire value → payload --------------------------------------------------------------------------------------------


def _encode_bool(wire: Any) -> Payload:
    return Payload("bool", decode("bool", wire))


def _encode_int(wire: Any) -> Payload:
    return Payload("int", decode("int", wire))


def _encode_float(wire: Any) -> Payload:
    return Payload("float", single(decode("float", wire)))


def _encode_double(wire: Any) -> Payload:
    return Payload("double", decode("double", wire) + 0.0)  # -0.0 + 0.0 is 0.0


def _encode_string(wire: Any) -> Payload:
    text = decode("string", wire)
    if len(text) > LONGEST // 4 and len(text.encode()) > LONGEST:
        raise ValueTypeError("a string of less than 16 MiB", wire)
    return Payload("string", text)


def _encode_data(wire: Any) -> Payload:
    data = decode("data", wire)
    if len(data) > LONGEST:
        raise ValueTypeError("binary data of less than 16 MiB", wire)
    return Payload("binary", data)


def _encode_date(wire: Any) -> Payload:
    since = decode("date", wire) - _EPOCH
    seconds, microseconds = since.days * 86_400 + since.seconds, since.microseconds
    if seconds < 0 < microseconds:  # both of one sign
        seconds, microseconds = seconds + 1, microseconds - 1_000_000
    return Payload("timestamp", (seconds, microseconds * 1000))


def _encode_decimal(wire: Any) -> Payload:
    value: Decimal = decode("decimal128", wire)
    if not value.is_finite():
        return Payload("decimal", (0, NAN, False) if value.is_nan() else (0, INFINITY, value < 0))
    if len(value.as_tuple().digits) > _MOST_DIGITS:  # zeros that plain notation writes out, or a column of more digits
        value = DECIMAL128.create_decimal(value).normalize(DECIMAL128)
    sign, digits, exponent = cast("tuple[int, tuple[int, ...], int]", value.as_tuple())
    coefficient = int("".join(map(str, digits)))
    if exponent > _HIGHEST:
        coefficient, exponent = coefficient * 10 ** (exponent - _HIGHEST), _HIGHEST
    return Payload("decimal", (coefficient, exponent, bool(sign)))


def _encode_object_id(wire: Any) -> Payload:
    return Payload("objectId", decode("objectId", wire).binary)


def _encode_uuid(wire: Any) -> Payload:
    if isinstance(wire, str) and _UUID.fullmatch(wire):  # keys, mostly: three times as fast as by uuid.UUID
        return Payload("uuid", bytes.fromhex(wire.replace("-", "")))
    return Payload("uuid", decode("uuid", wire).bytes)


_ENCODERS: dict[str, Encode] = {
    "bool": _encode_bool,
    "int": _encode_int,
    "float": _encode_float,
    "double": _encode_double,
    "decimal128": _encode_decimal,
    "string": _encode_string,
    "data": _encode_data,
    "date": _encode_date,
    "objectId": _encode_object_id,
    "uuid": _encode_uuid,
}

# --- payload → wire value --------------------------------------------------------------------------------------------


def _decode_scalar(kind: str, payload: Payload, where: str) -> tuple[Any, bool]:
    if payload.type != COLUMN_TYPES[kind]:
        raise ValueTypeError(f"a value of type '{kind}'", payload, where)
    return _DECODERS[kind](payload.value)


def _decode_as_is(value: Any) -> tuple[Any, bool]:
    return value, True


def _decode_int(value: int) -> tuple[Any, bool]:
    return encode("int", value), True


def _decode_double(value: float) -> tuple[Any, bool]:
    wire = encode("double", value)
    if wire == 0:
        return 0.0, str(value) == "0.0"
    return wire, True


def _decode_data(value: bytes) -> tuple[Any, bool]:
    return base64.b64encode(value).decode(), True


def _decode_date(value: tuple[int, int]) -> tuple[Any, bool]:
    seconds, nanoseconds = value
    microseconds, rest = divmod(nanoseconds, 1000)
    try:
        date = _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
    except OverflowError:
        return f"{seconds} s from 1970", False
    return encode("date", date), not rest


def _decode_decimal(value: tuple[int, int, bool]) -> tuple[Any, bool]:
    coefficient, exponent, is_negative = value
    kind = (exponent + _BIAS) >> 9  # so many bits tell special values
    if kind == (NAN + _BIAS) >> 9:
        wire = "NaN"
    elif kind == (INFINITY + _BIAS) >> 9:
        wire = "-Infinity" if is_negative else "Infinity"
    elif coefficient >= 10**_MOST_DIGITS or not -_BIAS <= exponent <= _HIGHEST:
        return f"{'-' * is_negative}{coefficient} E {exponent}", False
    else:
        wire = decimal_text(Decimal((int(is_negative), tuple(map(int, str(coefficient))), exponent)))
    return wire, _encode_decimal(wire).value == (coefficient, exponent, bool(is_negative))


def _decode_object_id(value: bytes) -> tuple[Any, bool]:
    return value.hex(), True


def _decode_uuid(value: bytes) -> tuple[Any, bool]:
    return str(uuid.UUID(bytes=value)), True


_DECODERS: dict[str, Callable[[Any], tuple[Any, bool]]] = {
    "bool": _decode_as_is,
    "int": _decode_int,
    "float": _decode_double,
    "double": _decode_double,
    "decimal128": _decode_decimal,
    "string": _decode_as_is,
    "data": _decode_data,
    "date": _decode_date,
    "objectId": _decode_object_id,
    "uuid": _decode_uuid,
}
