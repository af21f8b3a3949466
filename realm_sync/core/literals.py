"""Constants read: what a literal of RQL, and a Python value passed as `$0`, stands for.

Decides spelling only: the type is that of the writing (`1.5` is a `number`, a B64 literal a `text`), and the values are
exact; binding.py makes them values of the property that they are compared with. Dates are cut to microseconds. Knows
neither the rest of the tree nor classes. Called by query.py for every literal and argument; text.py writes what is read
here, and both must agree about which strings are plain.
"""

from __future__ import annotations

import base64
import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from .errors import QueryError
from .geometry import from_shape
from .mixed import Link
from .nodes import Argument, Constant, Geometry
from .values import ObjectId, single

NAN = Decimal("NaN")
"""The only decimal NaN in trees: NaN equals only itself, and nodes compare by identity first."""

_EXACT = Context(prec=1_000, Emax=999_999, Emin=-999_999, traps=[InvalidOperation])
_PLAIN = re.compile(r"[ !#-&(-\[\]-~]*")  # printable ASCII without quotes and backslash
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_literal(token: str, text: str, position: int | None) -> Constant:
    """The constant that a text says; `token` is the name of its token in rql.lark. Raises QueryError."""
    try:
        kind, value = _READERS[token](text)
    except QueryError as error:
        raise QueryError(error.problem, "", position) from None
    return Constant(kind, value, position=position)


def from_python(value: Any, argument: Argument) -> Constant:
    """The constant for a value (of a list: an element) passed as `argument`. Raises QueryError for what cannot be in a
    query."""
    return Constant(*_typed(value, argument), argument.index, argument.position)


def read_geometry(value: Mapping[str, Any], argument: Argument) -> Geometry:
    """The region that an argument object describes. Raises QueryError."""
    shape = from_shape(value, _coordinate)
    if isinstance(shape, str):
        problem = f"The Geospatial query argument region is invalid: '{shape}' (argument ${argument.index})"
        raise QueryError(problem, "", argument.position)
    return shape


def number_of(constant: Constant) -> Decimal:
    """The number that an argument in the place of a radius is. Raises QueryError."""
    value = constant.value
    if constant.type not in ("int", "number"):
        raise QueryError(f"Expected a number of radians as argument ${constant.argument}.", "", constant.position)
    return Decimal(value)


def _coordinate(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    number = from_float(value) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def read_number(text: str) -> int | Decimal | None:
    """The number that a string holds, for strings that are compared with numbers; None if it holds none."""
    try:
        if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
            return _integer(text, 10)
        if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
            return _number(text)
    except QueryError:
        pass  # more digits than anything can hold
    return None


def from_float(value: float) -> Decimal:
    """The decimal with the fewest digits that reads back as this float."""
    return NAN if math.isnan(value) else Decimal(repr(value))


def is_plain(value: str) -> bool:
    """Whether a string can be written between quotes as it is; others are written in base64."""
    return _PLAIN.fullmatch(value) is not None


def excerpt(text: str, length: int) -> str:
    """The beginning of what was written, for errors that quote it."""
    return text if len(text) <= length else text[: length - 1] + "…"


# --- Literals, by token ---


def _integer(digits: str, base: int) -> int:
    # int() refuses thousands of digits with a ValueError of its own; no number of that size can be compared with
    # anything.
    if len(digits.lstrip("+-0")) > 40:
        raise QueryError(f"Cannot convert '{excerpt(digits, 40)}' to a number")
    return int(digits, base)


def _number(text: str) -> Decimal:
    """The exact value of a number with a fraction, exponent or word; `f` marks a 32-bit float."""
    bare = text.lower().lstrip("+-")
    if bare in ("nan", "inf", "infinity"):
        return NAN if bare == "nan" else Decimal("-Infinity" if text[0] == "-" else "Infinity")
    exponent = re.search(r"[eE][+-]?0*(\d*)", text)
    if len(text) > 800 or (exponent and len(exponent[1]) > 5):
        raise QueryError(f"Cannot convert '{excerpt(text, 40)}' to a number")
    if text.endswith("f"):
        return from_float(single(float(text[:-1])))
    return _EXACT.create_decimal(text)


def _string(value: str) -> tuple[str, Any]:
    """A string as its canonical text will spell it: what needs base64 is indistinguishable from a B64 literal."""
    return ("string", value) if is_plain(value) else ("text", value.encode())


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise QueryError(f"Invalid base64 value '{excerpt(text, 40)}'") from None


def _date(text: str) -> datetime:
    year, month, day, hour, minute, second, *nanoseconds = map(int, re.split(r"[-@T:]", text))
    if year < 1900:
        raise QueryError("Conversion of dates before 1900 is not supported.")
    try:
        return datetime(year, month, day, hour, minute, second, sum(nanoseconds) // 1000, tzinfo=UTC)
    except ValueError as error:
        raise QueryError(f"Invalid date '{text}': {error}.") from None


def _timestamp(text: str) -> datetime:
    seconds, nanoseconds = map(int, text[1:].split(":"))
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    except OverflowError:
        raise QueryError(f"The date {text} is outside the years 1 to 9999.") from None


_READERS: dict[str, Callable[[str], tuple[str, Any]]] = {
    "INTEGER": lambda text: ("int", _integer(text, 10)),
    "HEX": lambda text: ("int", _integer(text[2:], 16)),
    "FLOAT": lambda text: ("number", _number(text)),
    "NOT_FINITE": lambda text: ("number", _number(text)),
    "TRUE": lambda text: ("bool", True),
    "FALSE": lambda text: ("bool", False),
    "NULL": lambda text: ("null", None),
    "STRING": lambda text: _string(text[1:-1]),
    "BASE64": lambda text: ("text", _base64(text[4:-1])),
    "OBJECT_ID": lambda text: ("objectId", ObjectId(text[4:-1])),
    "UUID": lambda text: ("uuid", uuid.UUID(text[5:-1])),
    "DATE": lambda text: ("date", _date(text)),
    "TIMESTAMP": lambda text: ("date", _timestamp(text)),
    "INTERNAL_KEY": lambda text: ("internal", text),
}


# --- Python values ---


def _typed(value: Any, argument: Argument) -> tuple[str, Any]:
    match value:
        case None:
            return "null", None
        case bool():
            return "bool", value
        case int():
            return "int", int(value)
        case float():
            return "number", from_float(value)
        case Decimal():
            return "number", NAN if value.is_nan() else value
        case str():
            try:
                return _string(str(value))
            except UnicodeEncodeError:
                raise QueryError(f"Argument ${argument.index} holds a lone surrogate.", "", argument.position) from None
        case bytes() | bytearray() | memoryview():
            return "data", bytes(value)
        case datetime():
            if value.tzinfo is None:
                raise QueryError(f"The date argument ${argument.index} needs a time zone.", "", argument.position)
            return "date", value.astimezone(UTC)
        case ObjectId():
            return "objectId", value
        case uuid.UUID():
            return "uuid", value
        case Link(name, key):
            return "object", (name, Constant(*_typed(key, argument)))
    for name in ("_id", "pk"):
        if hasattr(value, name):
            return "object", (type(value).__name__, Constant(*_typed(getattr(value, name), argument)))
    problem = f"Using a {type(value).__name__} as a query argument is not supported (argument ${argument.index})."
    raise QueryError(problem, "", argument.position)
