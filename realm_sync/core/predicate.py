"""Queries as Python: one compiled closure per predicate, for live delivery and for whatever has images at hand.

Decides what every operator means; the other back ends (sql.py, filters.py, query.js) select the same rows (R4). An
image is a dict of wire values by property, as JSON decodes it; a missing key is null. Equality compares wire values
as they are, because one value has one wire image (R12); only where that would be wrong (order of large integers,
decimals, data, NaN) is a value decoded.

Compilation happens once per view, the closure runs for every change, so all choices by type and operator are made here
and none inside the closures. Takes bound nodes only (query.bind).
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal
from functools import cmp_to_key, lru_cache
from typing import Any, TypeAlias

from .query import (
    And,
    Arithmetic,
    Clause,
    Comparison,
    Constant,
    Distinct,
    ListValue,
    Node,
    Not,
    Operand,
    Or,
    Path,
    Sort,
    Truth,
    lower,
    wire,
)
from .schema import ObjectSchema, Schema
from .values import DECIMAL128

Image: TypeAlias = Mapping[str, Any]
Predicate: TypeAlias = Callable[[Image], bool]

_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_QUIET = Context(prec=DECIMAL128.prec, Emin=DECIMAL128.Emin, Emax=DECIMAL128.Emax, traps=[])

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "".join(map(chr, [*range(0xC0, 0xD7), *range(0xD8, 0xDF)]))
LOWER = "abcdefghijklmnopqrstuvwxyz" + "".join(map(chr, [*range(0xE0, 0xF7), *range(0xF8, 0xFF)]))
"""What `[c]` takes for equal: ASCII and Latin-1 letters, without × and ÷. Other alphabets keep their case, as in
Realm."""
_FOLDED = str.maketrans(UPPER, LOWER)


def compile_predicate(node: Node, cls: ObjectSchema, schema: Schema) -> Predicate:
    """A function from images of `cls` to whether the bound `node` selects them. Never raises for images that fit the
    class."""
    return _compile(lower(node))


def _compile(node: Node) -> Predicate:
    match node:
        case Truth(value):
            return lambda image: value
        case Not(inner):
            negated = _compile(inner)
            return lambda image: not negated(image)
        case And(nodes):
            return _all(tuple(map(_compile, nodes)))
        case Or(nodes):
            return _any(tuple(map(_compile, nodes)))
        case Comparison():
            return _compile_comparison(node)


def _all(parts: tuple[Predicate, ...]) -> Predicate:
    if len(parts) == 2:
        first, second = parts
        return lambda image: first(image) and second(image)

    def every(image: Image) -> bool:
        for part in parts:  # noqa: SIM110 (a loop is measurably faster than all() here)
            if not part(image):
                return False
        return True

    return every


def _any(parts: tuple[Predicate, ...]) -> Predicate:
    if len(parts) == 2:
        first, second = parts
        return lambda image: first(image) or second(image)

    def some(image: Image) -> bool:
        for part in parts:  # noqa: SIM110 (as above)
            if part(image):
                return True
        return False

    return some


def _compile_comparison(node: Comparison) -> Predicate:
    operator, left, right = node.operator, node.left, node.right
    if isinstance(left, Path) and not left.counted and not node.fold:
        name = left.name
        if operator == "IN" and isinstance(right, ListValue):
            values = frozenset(wire(item) for item in right.items if isinstance(item, Constant))
            return lambda image: image.get(name) in values
        if operator == "==" and isinstance(right, Constant):
            value = wire(right)
            return lambda image: image.get(name) == value
        if operator == "!=" and isinstance(right, Constant):
            value = wire(right)
            return lambda image: image.get(name) != value
    if operator == "IN" and isinstance(right, ListValue):
        compare = _folded(equal) if node.fold else equal
        get, values_ = _getter(left), [_getter(item)({}) for item in right.items]
        return lambda image: any(compare(get(image), value) for value in values_)
    return _general(node)


def _general(node: Comparison) -> Predicate:
    left, right = node.left, node.right
    get_left, get_right = _getter(left), _getter(right)
    kinds = {_type(left), _type(right)}
    if "decimal128" in kinds and kinds & {"float", "double"}:
        get_left, get_right = _decimal(get_left), _decimal(get_right)
    string_operator = STRING_OPERATORS.get(node.operator)
    if string_operator is not None and kinds == {"string", "data"}:
        get_left, get_right = _bytes(get_left), _bytes(get_right)
    compare = string_operator or _OPERATORS[node.operator]
    if node.fold:
        compare = _folded(compare)
    if isinstance(right, Constant):
        if node.operator == "LIKE" and right.value is not None:
            return _like_constant(get_left, get_right({}), node.fold)
        constant = fold(get_right({})) if node.fold else get_right({})
        return lambda image: compare(get_left(image), constant)
    return lambda image: compare(get_left(image), get_right(image))


def _like_constant(get: Callable[[Image], Any], pattern: Any, folding: bool) -> Predicate:
    matches = like_pattern(fold(pattern) if folding else pattern)
    prepare: Callable[[Any], Any] = fold if folding else lambda value: value
    return lambda image: (value := get(image)) is not None and matches(prepare(value))


# --- Values: comparable Python values out of images ---


def _type(operand: Operand) -> str:
    return getattr(operand, "type", "")


def _getter(operand: Operand) -> Callable[[Image], Any]:
    """Reads an operand as a value that Python orders as Realm does: text for everything whose wire text sorts right."""
    match operand:
        case Constant(kind, value):
            constant = value if kind in ("int", "float", "double", "decimal128", "data") else wire(operand)
            return lambda image: constant
        case Path():
            return _size(operand) if operand.counted else _property(operand)
        case Arithmetic(operator, left, right, kind):
            return _arithmetic(operator, kind, _getter(left), _getter(right))
    raise TypeError(f"bind the query first: {operand!r}")


def _property(path: Path) -> Callable[[Image], Any]:
    name = path.name
    read = READERS.get(path.type)
    if read is None:
        return lambda image: image.get(name)
    decode = read
    return lambda image: decode(image.get(name))


def _read_int(value: Any) -> Any:
    return int(value) if value.__class__ is str else value


def _read_float(value: Any) -> Any:
    return _FLOATS[value] if value.__class__ is str else value


def _read_decimal(value: Any) -> Any:
    return None if value is None else Decimal(value)


def _read_data(value: Any) -> Any:
    return None if value is None else base64.b64decode(value)


READERS: dict[str, Callable[[Any], Any]] = {
    "int": _read_int,
    "float": _read_float,
    "double": _read_float,
    "decimal128": _read_decimal,
    "data": _read_data,
}
"""From wire value to comparable value, for the types whose wire values do not compare as they should."""


def _size(path: Path) -> Callable[[Image], Any]:
    name = path.name
    if path.counted == "link":
        return lambda image: int(image.get(name) is not None)
    read = _read_data if path.counted == "data" else lambda value: value
    return lambda image: byte_size(read(image.get(name)))


def byte_size(value: Any) -> int | None:
    if value is None:
        return None
    return len(value) if isinstance(value, bytes) else len(value.encode())


def _decimal(get: Callable[[Image], Any]) -> Callable[[Image], Any]:
    def read(image: Image) -> Any:
        value = get(image)
        return Decimal(repr(value)) if isinstance(value, float) else value

    return read


def _bytes(get: Callable[[Image], Any]) -> Callable[[Image], Any]:
    def read(image: Image) -> Any:
        value = get(image)
        return value.encode() if isinstance(value, str) else value

    return read


# --- Arithmetic ---


def _arithmetic(
    operator: str, kind: str, left: Callable[[Image], Any], right: Callable[[Image], Any]
) -> Callable[[Image], Any]:
    return lambda image: arithmetic(operator, kind, left(image), right(image))


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


# --- Operators: two-valued, also for null and NaN ---


def equal(left: Any, right: Any) -> bool:
    return bool(left == right) or (left != left and right != right)


def _below(left: Any, right: Any) -> bool:
    # NaN is recognised before `<`, which raises for decimal NaN.
    return left is not None and right is not None and left == left and right == right and left < right


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _below,
    ">": lambda left, right: _below(right, left),
    "<=": lambda left, right: _below(left, right) or equal(left, right),
    ">=": lambda left, right: _below(right, left) or equal(left, right),
}


def begins_with(left: Any, right: Any) -> bool:
    return right is None or (left is not None and left.startswith(right))


def ends_with(left: Any, right: Any) -> bool:
    return right is None or (left is not None and left.endswith(right))


def contains(left: Any, right: Any) -> bool:
    return right is None or (left is not None and right in left)


def like(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    return like_pattern(right)(left)


STRING_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "BEGINSWITH": begins_with,
    "ENDSWITH": ends_with,
    "CONTAINS": contains,
    "LIKE": like,
}
"""A null right side is the beginning, end and part of everything, null included, and is LIKE null only."""


def fold(value: Any) -> Any:
    """What `[c]` compares: letters of UPPER in lower case; of data, ASCII letters only."""
    if isinstance(value, str):
        return value.lower() if value.isascii() else value.translate(_FOLDED)
    return value.lower() if isinstance(value, bytes) else value


def _folded(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: compare(fold(left), fold(right))


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


# --- SORT, DISTINCT, LIMIT over images ---


def apply_clauses(images: Iterable[Image], clauses: Sequence[Clause], cls: ObjectSchema, schema: Schema) -> list[Image]:
    """The images sorted, thinned and cut as the bound clauses say, in written order; stable, so that of two adjacent
    SORTs the later is the primary one. Ascending: null, then NaN, then values; strings by UTF-8 bytes."""
    rows = list(images)
    for clause in clauses:
        if isinstance(clause, Sort):
            for path, ascending in reversed(clause.keys):
                get = _property(path)
                rows.sort(key=lambda image, get=get: _ORDER(get(image)), reverse=not ascending)  # type: ignore[misc]
        elif isinstance(clause, Distinct):
            getters = [_property(path) for path in clause.paths]
            seen: dict[tuple[Any, ...], Image] = {}
            for image in rows:
                seen.setdefault(tuple(_distinct_key(get(image)) for get in getters), image)
            rows = list(seen.values())
        else:
            rows = rows[: clause.count]
    return rows


def _order(left: Any, right: Any) -> int:
    for rank in (lambda value: value is not None, lambda value: value == value):
        if rank(left) != rank(right):
            return 1 if rank(left) else -1
    if left is None or left != left:
        return 0
    return -1 if left < right else int(left > right)


_ORDER = cmp_to_key(_order)


def _distinct_key(value: Any) -> Any:
    return "NaN" if value != value else value
