"""Scalar values: what a property of each Realm type holds in Python, and its canonical JSON value on the wire (R12).

    type         Python                    wire (JSON)
    bool         bool                      true / false
    int          int, 64 bit signed        number, or a decimal string outside ±2^53
    float        float (32 bit)            number, or "NaN", "Infinity", "-Infinity"
    double       float                     number, or "NaN", "Infinity", "-Infinity"
    decimal128   decimal.Decimal           string in plain notation without trailing zeros: "0.1", "1000"
    string       str                       string (U+0000 and lone surrogates are refused: PostgreSQL cannot store them)
    data         bytes                     base64 (RFC 4648, padded)
    date         datetime.datetime, aware  "2026-01-01T12:00:00.123456Z": UTC, always six fractional digits
    objectId     ObjectId                  24 lower-case hex digits
    uuid         uuid.UUID                 lower-case with dashes

Null is JSON null for every type and is decided by the property (`optional`), not here. The database builds the same
JSON (capture/); a property test holds both equal. Knows nothing of classes or properties: see schema.py.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, DecimalException
from typing import Any

from .errors import ValueTypeError

SAFE_INTEGER = 2**53
"""Integers up to this magnitude are JSON numbers; JavaScript cannot tell larger ones apart."""

DECIMAL128 = Context(prec=34, Emin=-6143, Emax=6144)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z")
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class ObjectId:
    """Twelve bytes, as MongoDB's: four of seconds since 1970, eight that make it unique. Immutable, ordered, hashable.

    Accepts 12 bytes or 24 hex digits; anything else is a ValueTypeError. Generation needs a clock and randomness and
    lives outside the core (`realm_sync.fields`, `realm_sync.client`): `ObjectId.build` takes both.
    """

    __slots__ = ("_bytes",)

    def __init__(self, value: str | bytes | ObjectId) -> None:
        if isinstance(value, ObjectId):
            self._bytes: bytes = value._bytes
        elif isinstance(value, bytes) and len(value) == 12:
            self._bytes = value
        elif isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{24}", value):
            self._bytes = bytes.fromhex(value)
        else:
            raise ValueTypeError("an ObjectId (12 bytes or 24 hex digits)", value)

    @classmethod
    def build(cls, seconds: int, unique: bytes) -> ObjectId:
        """An ObjectId from seconds since 1970 and eight unique bytes."""
        return cls(struct.pack(">I", seconds & 0xFFFFFFFF) + unique)

    @property
    def binary(self) -> bytes:
        return self._bytes

    @property
    def generation_time(self) -> datetime:
        return _EPOCH + timedelta(seconds=struct.unpack(">I", self._bytes[:4])[0])

    def __str__(self) -> str:
        return self._bytes.hex()

    def __repr__(self) -> str:
        return f"ObjectId('{self}')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectId) and self._bytes == other._bytes

    def __lt__(self, other: ObjectId) -> bool:
        return self._bytes < other._bytes

    def __le__(self, other: ObjectId) -> bool:
        return self._bytes <= other._bytes

    def __gt__(self, other: ObjectId) -> bool:
        return self._bytes > other._bytes

    def __ge__(self, other: ObjectId) -> bool:
        return self._bytes >= other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)


def encode(type: str, value: Any) -> Any:
    """The wire value of a Python value of `type`, one of `SCALARS`; None stays None. Raises ValueTypeError."""
    return None if value is None else _ENCODERS[type](value)


def decode(type: str, wire: Any) -> Any:
    """The Python value of a wire value of `type`; None stays None. Strict: a wire value that `encode` could not have
    produced (another spelling of a date, an integer as float) raises ValueTypeError, so that one value has one image."""
    return None if wire is None else _DECODERS[type](wire)


def decimal_text(value: Decimal) -> str:
    """Plain notation without trailing zeros, as PostgreSQL's `trim_scale(x)::text` prints it; zero has no sign."""
    if not value.is_finite():
        return "NaN" if value.is_nan() else ("Infinity" if value > 0 else "-Infinity")
    if not value:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def decimal_sort_key(text: str) -> str:
    """A string that sorts bytewise as the decimals do: how SQLite, which has no decimals, compares them.

    -Infinity < negative < 0 < positive < Infinity; NaN sorts below every number. Registered as the SQL function
    `realm_decimal_key` on SQLite connections of the server and of the client's store.
    """
    value = Decimal(text)
    if value.is_nan():
        return "0"
    if value.is_infinite():
        return "9" if value > 0 else "1"
    if not value:
        return "5"
    digits = "".join(map(str, value.as_tuple().digits)).rstrip("0")
    exponent = value.adjusted() + 10_000
    if value > 0:
        return f"6{exponent:05d}{digits}"
    inverted = digits.translate(str.maketrans("0123456789", "9876543210"))
    return f"4{99_999 - exponent:05d}{inverted}~"


def _encode_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueTypeError("a boolean", value)
    return value


def _encode_int(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueTypeError("an integer", value)
    if not -(2**63) <= value < 2**63:
        raise ValueTypeError("a 64-bit integer", value)
    return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else str(value)


def _decode_int(wire: Any) -> int:
    if isinstance(wire, str) and re.fullmatch(r"-?[1-9]\d{15,18}", wire):
        value = int(wire)
        if not -SAFE_INTEGER <= value <= SAFE_INTEGER and -(2**63) <= value < 2**63:
            return value
    elif isinstance(wire, int) and not isinstance(wire, bool) and -SAFE_INTEGER <= wire <= SAFE_INTEGER:
        return wire
    raise ValueTypeError("an integer", wire)


def _encode_double(value: Any) -> float | str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueTypeError("a number", value)
    try:
        number = float(value)
    except OverflowError:
        raise ValueTypeError("a number within the range of a double", value) from None
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else ("Infinity" if number > 0 else "-Infinity")


def _encode_float(value: Any) -> float | str:
    wire = _encode_double(value)
    return wire if isinstance(wire, str) else _encode_double(single(wire))


def single(value: float) -> float:
    """The nearest 32-bit float; beyond its range, infinity of the same sign."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def _decode_double(wire: Any) -> float:
    if isinstance(wire, str) and wire in _SPECIAL:
        return _SPECIAL[wire]
    if isinstance(wire, (int, float)) and not isinstance(wire, bool):
        try:
            number = float(wire)
        except OverflowError:  # an integer of more than 308 digits
            number = math.inf
        if math.isfinite(number):
            return number
    raise ValueTypeError("a number", wire)


def _encode_decimal(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise ValueTypeError("a Decimal", value)
    try:
        rounded = DECIMAL128.create_decimal(value)
    except DecimalException:
        raise ValueTypeError("a decimal within the range of decimal128", value) from None
    return decimal_text(rounded)


_LONG_DECIMAL = 6000
"""In fewer characters of plain notation every decimal is within the range of decimal128."""


def _decode_decimal(wire: Any) -> Decimal:
    if isinstance(wire, str) and (wire in _SPECIAL or re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", wire)):
        value = Decimal(wire)
        if len(wire) > _LONG_DECIMAL:
            _encode_decimal(value)  # or it is out of range
        return value
    raise ValueTypeError("a decimal as a string in plain notation", wire)


def _encode_string(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueTypeError("a string", value)
    if "\0" in value:
        raise ValueTypeError("a string without U+0000", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueTypeError("a string of valid Unicode (no lone surrogates)", value) from None
    return value


def _encode_data(value: Any) -> str:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise ValueTypeError("binary data", value)
    return base64.b64encode(value).decode()


def _decode_data(wire: Any) -> bytes:
    if isinstance(wire, str):
        try:
            value = base64.b64decode(wire, validate=True)
        except (binascii.Error, ValueError):
            pass
        else:
            if base64.b64encode(value).decode() == wire:
                return value
    raise ValueTypeError("binary data in base64", wire)


def _encode_date(value: Any) -> str:
    if not isinstance(value, datetime):
        raise ValueTypeError("a date", value)
    if value.tzinfo is None:
        raise ValueTypeError("a date with a time zone", value)
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _decode_date(wire: Any) -> datetime:
    if isinstance(wire, str) and (match := _DATE.fullmatch(wire)):
        try:
            return datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]
        except ValueError:
            pass
    raise ValueTypeError("a date such as 2026-01-01T12:00:00.000000Z", wire)


def _encode_object_id(value: Any) -> str:
    if not isinstance(value, ObjectId):
        raise ValueTypeError("an ObjectId", value)
    return str(value)


def _decode_object_id(wire: Any) -> ObjectId:
    if isinstance(wire, str) and re.fullmatch(r"[0-9a-f]{24}", wire):
        return ObjectId(wire)
    raise ValueTypeError("an ObjectId of 24 lower-case hex digits", wire)


def _encode_uuid(value: Any) -> str:
    if not isinstance(value, uuid.UUID):
        raise ValueTypeError("a UUID", value)
    return str(value)


def _decode_uuid(wire: Any) -> uuid.UUID:
    if isinstance(wire, str) and len(wire) == 36:
        try:
            value = uuid.UUID(wire)
        except ValueError:
            pass
        else:
            if str(value) == wire:
                return value
    raise ValueTypeError("a UUID in lower case with dashes", wire)


_ENCODERS: dict[str, Callable[[Any], Any]] = {
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
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "bool": _encode_bool,
    "int": _decode_int,
    "float": _decode_double,
    "double": _decode_double,
    "decimal128": _decode_decimal,
    "string": _encode_string,
    "data": _decode_data,
    "date": _decode_date,
    "objectId": _decode_object_id,
    "uuid": _decode_uuid,
}
SCALARS = tuple(_ENCODERS)
"""The scalar type names of Realm, in the order of its documentation."""
