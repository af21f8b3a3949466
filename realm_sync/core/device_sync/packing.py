"""Packing: scalars and links from wire values straight to bytes, as payloads.py and an Encoder make them in two steps.

Decides nothing that those do not, and says it several times faster: large bootstraps consist of such values. Laxer about
their spelling, so that a wire value that nobody can have written may come through as another; never as bytes that are no
payload. Called by assertions.py for whole objects.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..errors import ValueTypeError
from ..schema import Property, Schema
from ..values import decode, single
from .changesets import Encoder, integer
from .payloads import LONGEST
from .payloads import encoder as of_payloads

Pack = Callable[[Encoder, Any], bytes]
"""The bytes of a wire value that is not null, in the changeset that is being written. MISFITS for one of another type."""
MISFITS = (ValueError, TypeError, AttributeError, LookupError, OverflowError)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_float, _double = struct.Struct("<f"), struct.Struct("<d")


def packer(schema: Schema, prop: Property) -> Pack:
    """How the values of a property that holds scalars or links are packed."""
    if prop.type != "object":
        return _PACKERS[prop.type]
    target = schema[str(prop.object_type)]
    name, key = target.name, key_packer(target.key_type)
    return lambda encoder, wire: b"\x09" + encoder.interned(name) + key(encoder, wire)


def key_packer(key_type: str) -> Pack:
    """How the keys of a class are packed."""
    return _pack_string_key if key_type == "string" else _PACKERS[key_type]


def _pack_string_key(encoder: Encoder, wire: Any) -> bytes:
    if type(wire) is not str:
        raise ValueTypeError("a string", wire)
    return b"\x03" + encoder.interned(wire)


def _pack_bool(encoder: Encoder, wire: Any) -> bytes:
    return b"\x02\x01" if decode("bool", wire) else b"\x02\x00"


def _pack_int(encoder: Encoder, wire: Any) -> bytes:
    if type(wire) is not int or not -(2**63) <= wire < 2**63:
        wire = decode("int", wire)
    return b"\x01" + integer(wire)


def _pack_float(encoder: Encoder, wire: Any) -> bytes:
    return b"\x06" + _float.pack(single(decode("float", wire)))


def _pack_double(encoder: Encoder, wire: Any) -> bytes:
    value = wire if type(wire) is float else decode("double", wire)
    return b"\x07" + _double.pack(value + 0.0)


def _pack_string(encoder: Encoder, wire: Any) -> bytes:
    return b"\x03" + _sized(wire.encode())


def _pack_data(encoder: Encoder, wire: Any) -> bytes:
    return b"\x04" + _sized(base64.b64decode(wire, validate=True))


def _sized(raw: bytes) -> bytes:
    if len(raw) > LONGEST:
        raise ValueTypeError("less than 16 MiB", raw)
    return integer(len(raw)) + raw


def _pack_date(encoder: Encoder, wire: Any) -> bytes:
    since = datetime.fromisoformat(wire) - _EPOCH
    seconds, microseconds = since.days * 86_400 + since.seconds, since.microseconds
    if seconds < 0 < microseconds:  # both of one sign
        seconds, microseconds = seconds + 1, microseconds - 1_000_000
    return b"\x05" + integer(seconds) + integer(microseconds * 1000)


def _pack_decimal(encoder: Encoder, wire: Any) -> bytes:
    whole, _, fraction = wire.removeprefix("-").partition(".")
    digits = whole + fraction
    if len(digits) > 34 or not (digits.isascii() and digits.isdigit()):
        return encoder.payload(_encode_decimal(wire))
    return b"\x08" + integer(int(digits)) + integer(-len(fraction)) + (b"\x01" if wire[0] == "-" else b"\x00")


def _pack_object_id(encoder: Encoder, wire: Any) -> bytes:
    raw = bytes.fromhex(wire)
    if len(raw) != 12:
        raise ValueTypeError("an ObjectId", wire)
    return b"\x0a" + raw


def _pack_uuid(encoder: Encoder, wire: Any) -> bytes:
    raw = bytes.fromhex(wire.replace("-", ""))
    if len(raw) != 16:
        raise ValueTypeError("a UUID", wire)
    return b"\x0b" + raw


_encode_decimal = of_payloads(Schema(), Property(type="decimal128"))
_PACKERS: dict[str, Pack] = {
    "bool": _pack_bool,
    "int": _pack_int,
    "float": _pack_float,
    "double": _pack_double,
    "decimal128": _pack_decimal,
    "string": _pack_string,
    "data": _pack_data,
    "date": _pack_date,
    "objectId": _pack_object_id,
    "uuid": _pack_uuid,
}
