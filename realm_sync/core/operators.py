"""Operators: what each of them says about two values.

Decides what the query language means, value by value; the back ends select the same rows by it (R4). Values are Python
values that order as Realm orders them, and None; every test is True or False, also for null and NaN. Where Realm leaves
room: NaN equals NaN and is neither below nor above anything; `<=` is "less or equal" also for null and NaN, so
`p <= null` holds when p is null; and `[c]` folds ASCII letters only where it meets data. Knows no nodes and no images.
Mixed values compare with each other only where their types do: numbers of all kinds as one, NaN below them. Called by
reading.py, predicate.py, and by SQLite through the functions that sql.py registers; filters.py writes the same as SQL.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal
from functools import cmp_to_key, lru_cache
from typing import Any, TypeAlias

from .values import DECIMAL128

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "".join(map(chr, [*range(0xC0, 0xD7), *range(0xD8, 0xDF)]))
LOWER = "abcdefghijklmnopqrstuvwxyz" + "".join(map(chr, [*range(0xE0, 0xF7), *range(0xF8, 0xFF)]))
"""What `[c]` takes for equal: ASCII and Latin-1 letters, without × and ÷. Other alphabets keep their case, as in
Realm."""
_FOLDED = str.maketrans(UPPER, LOWER)

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_QUIET = Context(prec=DECIMAL128.prec, Emin=DECIMAL128.Emin, Emax=DECIMAL128.Emax, traps=[])


# --- Comparisons ---


def equal(left: Any, right: Any) -> bool:
    return bool(left == right) or (left != left and right != right)


def _below(left: Any, right: Any) -> bool:
    # NaN is recognised before `<`, which raises for decimal NaN.
    return left is not None and right is not None and left == left and right == right and left < right


def _begins_with(left: Any, right: Any) -> bool:
    return right is None or (left is not None and left.startswith(right))


def _ends_with(left: Any, right: Any) -> bool:
    return right is None or (left is not None and left.endswith(right))


def _contains(left: Any, right: Any) -> bool:
    return right is None or (left is not None and right in left)


def like(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    return like_pattern(right)(left)


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _below,
    ">": lambda left, right: _below(right, left),
    "<=": lambda left, right: _below(left, right) or equal(left, right),
    ">=": lambda left, right: _below(right, left) or equal(left, right),
    "BEGINSWITH": _begins_with,
    "ENDSWITH": _ends_with,
    "CONTAINS": _contains,
    "LIKE": like,
}
"""Every operator between two values; lowering.py leaves no other but IN. A null right side is the beginning, end and part
of everything, null included, and is LIKE null only."""


def fold(value: Any) -> Any:
    """What `[c]` compares: letters of UPPER in lower case; of data, ASCII letters only."""
    if isinstance(value, str):
        return value.lower() if value.isascii() else value.translate(_FOLDED)
    return value.lower() if isinstance(value, bytes) else value


@lru_cache(maxsize=256)
def like_pattern(pattern: str | bytes) -> Callable[[Any], bool]:
    """A function that matches a whole value: `?` is one character (of data: one byte), `*` any number, nothing is
    escaped.

    Finds the pieces between stars from left to right, each as early as possible: that needs no backtracking, so that no
    pattern takes more than length of value × length of pattern.
    """
    star = "*" if isinstance(pattern, str) else b"*"
    pieces = [_piece(piece) for piece in pattern.split(star)]  # type: ignore[arg-type]
    if len(pieces) == 1:
        return lambda value: pieces[0].fullmatch(value) is not None
    first, *middle, last = pieces
    last_length = len(pattern.rsplit(star, 1)[1])  # type: ignore[arg-type]

    def matches(value: Any) -> bool:
        start = first.match(value)
        if start is None:
            return False
        position = start.end()
        end = len(value) - last_length
        for piece in middle:
            found = piece.search(value, position)
            if found is None:
                return False
            position = found.end()
        return position <= end and last.match(value, end) is not None

    return matches


def _piece(piece: str | bytes) -> re.Pattern[Any]:
    if isinstance(piece, str):
        return re.compile("".join("." if char == "?" else re.escape(char) for char in piece), re.DOTALL)
    return re.compile(b"".join(b"." if byte == 63 else re.escape(bytes([byte])) for byte in piece), re.DOTALL)


# --- Arithmetic ---


def arithmetic(operator: str, kind: str, left: Any, right: Any) -> Any:
    """`left operator right` in `kind`: int wraps at 64 bits and divides towards zero (by zero: the largest or
    smallest int), double follows IEEE, decimal128 rounds to 34 digits. Null if a side is null. Never raises."""
    if left is None or right is None:
        return None
    if kind == "int":
        return _int_arithmetic(operator, left, right)
    if kind == "decimal128":
        return _decimal_arithmetic(operator, left, right)
    a, b = float(left), float(right)
    if operator == "/" and b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a + b if operator == "+" else a - b if operator == "-" else a * b if operator == "*" else a / b


def _int_arithmetic(operator: str, a: int, b: int) -> int:
    if operator == "/":
        if b == 0:
            return _INT_MIN if a < 0 else _INT_MAX
        result = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    else:
        result = a + b if operator == "+" else a - b if operator == "-" else a * b
    return (result - _INT_MIN) % 2**64 + _INT_MIN


def _decimal_arithmetic(operator: str, left: Any, right: Any) -> Decimal:
    a, b = (Decimal(repr(side)) if isinstance(side, float) else Decimal(side) for side in (left, right))
    calculate = {"+": _QUIET.add, "-": _QUIET.subtract, "*": _QUIET.multiply, "/": _QUIET.divide}[operator]
    return calculate(a, b)


# --- Mixed values ---

Mixed: TypeAlias = "tuple[str, Any] | None"
"""A type and a comparable value: of a link (class, key), of lists and dictionaries their wire value. None is null."""

NUMBERS = 2
_RANKS = {
    "bool": 1, "int": NUMBERS, "float": NUMBERS, "double": NUMBERS, "decimal128": NUMBERS, "string": 3, "data": 4,
    "date": 5, "objectId": 6, "uuid": 7, "object": 8, "list": 9, "dictionary": 10,
}  # fmt: skip
UNORDERED = 8
"""From this rank on values are equal or not, and of one place in an order."""

TYPE_NAMES: dict[str, frozenset[str]] = {
    name: frozenset(types.split())
    for names, types in (
        ("null", "null"),
        ("int integer int16 int32 int64 short long byte char", "int"),
        ("bool boolean", "bool"),
        ("string", "string"),
        ("binary data bytearray byte[]", "data"),
        ("date datetimeoffset timestamp", "date"),
        ("float", "float"),
        ("double", "double"),
        ("decimal128 decimal", "decimal128"),
        ("objectlink link", "object"),
        ("objectid", "objectId"),
        ("uuid guid", "uuid"),
        ("numeric", "int float double decimal128"),
        ("bindata", "data"),
        ("object dictionary", "dictionary"),
        ("array list", "list"),
        ("collection", "list dictionary"),
    )
    for name in names.split()
}
"""What `@type` is compared with, in lower case, and the types of mixed values it stands for."""


def mixed_rank(value: Mixed) -> int:
    """The place of a value's type among the others: null < bool < numbers < string < data < date < objectId < uuid <
    links < lists < dictionaries."""
    return 0 if value is None else _RANKS[value[0]]


def mixed_equal(left: Mixed, right: Mixed) -> bool:
    if left is None or right is None:
        return left is right
    rank = _RANKS[left[0]]
    if rank != _RANKS[right[0]]:
        return False
    return equal(*_aligned(left[1], right[1])) if rank == NUMBERS else bool(left[1] == right[1])


def mixed_below(left: Mixed, right: Mixed) -> bool:
    """Only between values of one rank that have an order; NaN is below every number."""
    return left is not None and _RANKS[left[0]] == mixed_rank(right) and _mixed_compare(left, right) < 0


def _mixed_compare(left: Mixed, right: Mixed) -> int:
    rank, other = mixed_rank(left), mixed_rank(right)
    if rank != other:
        return -1 if rank < other else 1
    if left is None or right is None or rank >= UNORDERED:
        return 0
    a, b = left[1], right[1]
    if rank == NUMBERS:
        if a != a or b != b:
            return int(a == a) - int(b == b)
        a, b = _aligned(a, b)
    return -1 if a < b else int(a > b)


mixed_key = cmp_to_key(_mixed_compare)
"""Sorts mixed values of any types."""


def mixed_identity(value: Mixed) -> Any:
    """Something hashable, equal for equal values."""
    if value is None:
        return None
    kind, content = value
    if _RANKS[kind] == NUMBERS:
        return "number", "NaN" if content != content else Decimal(repr(content)) if kind == "double" else content
    return kind, json.dumps(content, sort_keys=True) if kind in ("list", "dictionary") else content


def _aligned(a: Any, b: Any) -> tuple[Any, Any]:
    """Two numbers that Python compares as Realm does: a double beside a decimal counts by its shortest text."""
    if isinstance(a, Decimal) and isinstance(b, float):
        return a, Decimal(repr(b))
    if isinstance(b, Decimal) and isinstance(a, float):
        return Decimal(repr(a)), b
    return a, b


def _on_text(operator: str) -> Callable[[Mixed, Mixed], bool]:
    test = OPERATORS[operator]

    def compare(left: Mixed, right: Mixed) -> bool:
        if right is None:
            return test(left, None)
        if left is None or left[0] not in _TEXT or right[0] not in _TEXT:
            return False
        return test(*as_one_text(left[1], right[1]))

    return compare


_TEXT = ("string", "data")


def as_one_text(left: Any, right: Any) -> tuple[Any, Any]:
    """Two strings, or two data: a string beside data counts by its bytes. Null stays null."""
    if isinstance(left, bytes) and isinstance(right, str):
        return left, right.encode()
    if isinstance(left, str) and isinstance(right, bytes):
        return left.encode(), right
    return left, right


MIXED_OPERATORS: dict[str, Callable[[Mixed, Mixed], bool]] = {
    "==": mixed_equal,
    "!=": lambda left, right: not mixed_equal(left, right),
    "<": mixed_below,
    ">": lambda left, right: mixed_below(right, left),
    "<=": lambda left, right: mixed_below(left, right) or mixed_equal(left, right),
    ">=": lambda left, right: mixed_below(right, left) or mixed_equal(left, right),
} | {operator: _on_text(operator) for operator in ("BEGINSWITH", "ENDSWITH", "CONTAINS", "LIKE")}
"""OPERATORS for mixed values: what is neither string nor data begins, ends and contains nothing."""


def mixed_fold(value: Mixed) -> Mixed:
    return value if value is None or value[0] not in _TEXT else (value[0], fold(value[1]))


def mixed_arithmetic(operator: str, left: Mixed, right: Mixed) -> Mixed:
    """In the widest type of the two; null if one of them is no number."""
    if mixed_rank(left) != NUMBERS or mixed_rank(right) != NUMBERS or left is None or right is None:
        return None
    kinds = {left[0], right[0]}
    kind = "decimal128" if "decimal128" in kinds else "int" if kinds == {"int"} else "double"
    return kind, arithmetic(operator, kind, left[1], right[1])
