"""Queries as Python: one compiled closure per predicate, for live delivery and for whatever has images at hand.

Decides how an operand is read from an image, and turns a tree of operators.py into closures that select the rows that
the other back ends (sql.py, filters.py) select (R4). An image is a dict of wire values by property, as JSON decodes it;
a missing key is null. Equality compares wire values as they are, because one value has one wire image (R12); only where
that would be wrong (order of large integers, decimals, data, NaN) is a value decoded. Takes bound nodes only
(binding.bind); called by views.py, downloads.py, uploads.py and access.py.

Compilation happens once per view, the closure runs for every change (R5), so choices by type and operator are made
here, as far as that is faster, and not inside the closures.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cmp_to_key
from typing import Any, TypeAlias

from .changes import Image, Predicate
from .lowering import lower, wire
from .nodes import (
    STRING_OPERATORS,
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
    type_of,
)
from .operators import OPERATORS, arithmetic, equal, fold, like_pattern
from .schema import ObjectSchema, Schema

_Getter: TypeAlias = Callable[[Image], Any]

_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


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
    if isinstance(left, Path) and not left.counted and not node.fold:  # equality needs no more than wire values
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
    operator, left, right = node.operator, node.left, node.right
    get_left, get_right = _getter(left), _getter(right)
    kinds = {type_of(left), type_of(right)}
    if "decimal128" in kinds and kinds & {"float", "double"}:
        get_left, get_right = _decimal(get_left), _decimal(get_right)
    if operator in STRING_OPERATORS and kinds == {"string", "data"}:
        get_left, get_right = _bytes(get_left), _bytes(get_right)
    compare = _folded(OPERATORS[operator]) if node.fold else OPERATORS[operator]
    if not isinstance(right, Constant):
        return lambda image: compare(get_left(image), get_right(image))
    constant = fold(get_right({})) if node.fold else get_right({})
    if operator == "LIKE" and constant is not None:
        return _like_constant(get_left, constant, node.fold)
    return lambda image: compare(get_left(image), constant)


def _like_constant(get: _Getter, pattern: Any, folding: bool) -> Predicate:
    matches = like_pattern(pattern)
    prepare: Callable[[Any], Any] = fold if folding else lambda value: value
    return lambda image: (value := get(image)) is not None and matches(prepare(value))


def _folded(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: compare(fold(left), fold(right))


# --- Values: comparable Python values out of images ---


def _getter(operand: Operand) -> _Getter:
    """Reads an operand as a value that Python orders as Realm does: text for everything whose wire text sorts right."""
    match operand:
        case Constant(kind, value):
            constant = value if kind in ("int", "float", "double", "decimal128", "data") else wire(operand)
            return lambda image: constant
        case Path():
            return _size(operand) if operand.counted else _property(operand)
        case Arithmetic(operator, left, right, kind):
            get_left, get_right = _getter(left), _getter(right)
            return lambda image: arithmetic(operator, kind, get_left(image), get_right(image))
    raise TypeError(f"bind the query first: {operand!r}")


def _property(path: Path) -> _Getter:
    name = path.name
    if path.type not in _READERS:
        return lambda image: image.get(name)
    read = _READERS[path.type]
    return lambda image: read(image.get(name))


def _read_int(value: Any) -> Any:
    return int(value) if value.__class__ is str else value


def _read_float(value: Any) -> Any:
    return _FLOATS[value] if value.__class__ is str else value


def _read_decimal(value: Any) -> Any:
    return None if value is None else Decimal(value)


def _read_data(value: Any) -> Any:
    return None if value is None else base64.b64decode(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": _read_int,
    "float": _read_float,
    "double": _read_float,
    "decimal128": _read_decimal,
    "data": _read_data,
}
"""From wire value to comparable value, for the types whose wire values do not compare as they should."""


def _size(path: Path) -> _Getter:
    name = path.name
    if path.counted == "link":
        return lambda image: int(image.get(name) is not None)
    read = _read_data if path.counted == "data" else lambda value: value
    return lambda image: _byte_size(read(image.get(name)))


def _byte_size(value: Any) -> int | None:
    if value is None:
        return None
    return len(value) if isinstance(value, bytes) else len(value.encode())


def _decimal(get: _Getter) -> _Getter:
    def read(image: Image) -> Any:
        value = get(image)
        return Decimal(repr(value)) if isinstance(value, float) else value

    return read


def _bytes(get: _Getter) -> _Getter:
    def read(image: Image) -> Any:
        value = get(image)
        return value.encode() if isinstance(value, str) else value

    return read


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
