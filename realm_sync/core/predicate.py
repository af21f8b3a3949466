"""Queries as Python: one compiled closure per predicate, for live delivery and for whatever has images at hand.

Turns a tree of operators.py into closures that select the rows that the other back ends (sql.py, filters.py) select
(R4), and decides alone what deep comparisons select: how quantifiers and lists combine (reference 10.5). An image is a
dict of wire values by property, as JSON decodes it; a missing key is null. Equality compares wire values as they are,
because one value has one wire image (R12); only where that would be wrong (order of large integers, decimals, data, NaN)
is a value decoded (reading.py). Takes bound nodes only (binding.bind); called by views.py, downloads.py, uploads.py,
access.py and the client's store.

Compilation happens once per view, the closure runs for every change (R5), so choices by type and operator are made
here, as far as that is faster, and not inside the closures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from .changes import Image, Predicate
from .full_text import compile_search
from .geometry import compile_geometry
from .lowering import key_of_link, lower, wire
from .nodes import (
    STRING_OPERATORS,
    And,
    Arithmetic,
    Clause,
    Comparison,
    Constant,
    Distinct,
    Geometry,
    ListValue,
    Node,
    Not,
    Operand,
    Or,
    Path,
    Sort,
    Subquery,
    Truth,
    is_deep,
    is_many,
    quantifier_of,
    type_of,
)
from .operators import (
    MIXED_OPERATORS,
    OPERATORS,
    TYPE_NAMES,
    arithmetic,
    as_one_text,
    equal,
    fold,
    like_pattern,
    mixed_arithmetic,
    mixed_fold,
    mixed_identity,
    mixed_key,
)
from .reading import Getter, Nothing, Objects, Reader, as_mixed, column, getter, objects_of, reader
from .schema import ObjectSchema, Schema

_NOTHING = Nothing()


def compile_predicate(node: Node, cls: ObjectSchema, schema: Schema, objects: Objects = _NOTHING) -> Predicate:
    """A function from images of `cls` to whether the bound `node` selects them; `objects` knows what links lead to. Never
    raises: what does not fit the class satisfies no comparison."""
    return _compile(lower(node), objects)


def _compile(node: Node, objects: Objects) -> Predicate:
    match node:
        case Truth(value):
            return lambda image: value
        case Not(inner):
            negated = _compile(inner, objects)
            return lambda image: not negated(image)
        case And(nodes):
            return _all(tuple(_compile(inner, objects) for inner in nodes))
        case Or(nodes):
            return _any(tuple(_compile(inner, objects) for inner in nodes))
        case Comparison():
            return _tolerant(_compile_deep(node, objects)) if is_deep(node) else _compile_comparison(node)


def _tolerant(holds: Predicate) -> Predicate:
    """A comparison that does not hold where the image does not fit the class: any program may write the columns."""

    def tolerant(image: Image) -> bool:
        try:
            return holds(image)
        except _MISFITS:
            return False

    return tolerant


_MISFITS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)


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
        get, values_ = getter(left), [getter(item)({}) for item in right.items]
        return lambda image: any(compare(get(image), value) for value in values_)
    return _tolerant(_general(node))


def _general(node: Comparison) -> Predicate:
    operator, left, right = node.operator, node.left, node.right
    get_left, get_right = getter(left), getter(right)
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


def _decimal(get: Getter) -> Getter:
    def read(image: Image) -> Any:
        value = get(image)
        return Decimal(repr(value)) if isinstance(value, float) else value

    return read


def _bytes(get: Getter) -> Getter:
    def read(image: Image) -> Any:
        value = get(image)
        return value.encode() if isinstance(value, str) else value

    return read


def _like_constant(get: Getter, pattern: Any, folding: bool) -> Predicate:
    matches = like_pattern(pattern)
    prepare: Callable[[Any], Any] = fold if folding else lambda value: value
    return lambda image: (value := get(image)) is not None and matches(prepare(value))


def _folded(compare: Callable[[Any, Any], bool], folding: Callable[[Any], Any] = fold) -> Callable[[Any, Any], bool]:
    return lambda left, right: compare(folding(left), folding(right))


# --- Deep comparisons ---


def _compile_deep(node: Comparison, objects: Objects) -> Predicate:
    if node.operator == "TEXT":
        return _quantified(node.left, objects, compile_search(wire(node.right)))  # type: ignore[arg-type]
    if node.operator == "GEOWITHIN":
        assert isinstance(node.right, Geometry)
        return _quantified(node.left, objects, compile_geometry(node.right))
    if node.operator == "BETWEEN":
        return _between(node, objects)
    left, right, compare = _sides(node, objects)
    quantifiers = [quantifier_of(node.left), quantifier_of(node.right)]
    if is_many(node.left) and is_many(node.right) and quantifiers == ["", ""]:
        return _in_order(left, right, compare, node.operator == "!=")
    outer, inner = (_QUANTIFIERS[quantifier] for quantifier in quantifiers)
    if is_hashed(node):
        return _member(left, right, outer, isinstance(node.right, ListValue), node.fold)

    def holds(image: Image) -> bool:
        others = right(image)
        return outer(inner(compare(value, other) for other in others) for value in left(image))

    return holds


_QUANTIFIERS: dict[str, Callable[[Iterable[bool]], bool]] = {
    "": any,
    "ANY": any,
    "ALL": all,
    "NONE": lambda found: not any(found),
}


def _quantified(operand: Operand, objects: Objects, test: Callable[[Any], bool]) -> Predicate:
    read, holds = _values(operand, objects), _QUANTIFIERS[quantifier_of(operand)]
    return lambda image: holds(test(value) for value in read(image))


def _in_order(left: Reader, right: Reader, compare: Callable[[Any, Any], bool], differing: bool) -> Predicate:
    """Two lists without a quantifier, element by element; of different sizes they only differ."""

    def holds(image: Image) -> bool:
        ones, others = left(image), right(image)
        if len(ones) != len(others):
            return differing
        return all(map(compare, ones, others))

    return holds


def is_hashed(node: Comparison) -> bool:
    """Whether a deep comparison with a list on its right looks values up in it, instead of comparing each with each:
    equality with any of them, but not of mixed values, whose equality is not transitive."""
    kinds = {type_of(node.left), type_of(node.right)}
    is_any = quantifier_of(node.right) in ("", "ANY")
    return node.operator in ("==", "IN") and is_any and is_many(node.right) and not kinds & {"mixed", "@type"}


def _member(
    left: Reader, right: Reader, outer: Callable[[Iterable[bool]], bool], constant: bool, folding: bool
) -> Predicate:
    """Whether values are among others. `constant`: these are the same for every image."""

    def identity(value: Any) -> Any:
        return _identity(fold(value)) if folding else _identity(value)

    known = frozenset(map(identity, right({}))) if constant else None

    def holds(image: Image) -> bool:
        others = frozenset(map(identity, right(image))) if known is None else known
        return outer(identity(value) in others for value in left(image))

    return holds


def _identity(value: Any) -> Any:
    """Equal for values that operators.equal takes for equal: NaN is."""
    return value if value == value else _identity


def _between(node: Comparison, objects: Objects) -> Predicate:
    assert isinstance(node.right, ListValue)
    low, high = node.right.items
    left, lowest, above = _sides(Comparison(">=", node.left, low), objects)
    _, highest, below = _sides(Comparison("<=", node.left, high), objects)
    each = all if is_many(node.left) else any

    def holds(image: Image) -> bool:
        [least], [most] = lowest(image), highest(image)
        return each(above(value, least) and below(value, most) for value in left(image))

    return holds


def _sides(node: Comparison, objects: Objects) -> tuple[Reader, Reader, Callable[[Any, Any], bool]]:
    """How both sides are read, and what compares a value of one with a value of the other."""
    operator = "==" if node.operator == "IN" else node.operator
    left, right = _values(node.left, objects), _values(node.right, objects)
    kinds = {type_of(node.left), type_of(node.right)}
    if "@type" in kinds:
        return _of_types(node.left, left), _of_types(node.right, right), _TYPE_OPERATORS[operator]
    if "mixed" in kinds:
        left, right = as_mixed(node.left, left), as_mixed(node.right, right)
        compare: Callable[[Any, Any], bool] = MIXED_OPERATORS[operator]
        return left, right, _folded(compare, mixed_fold) if node.fold else compare
    compare = OPERATORS[operator]
    if "decimal128" in kinds and kinds & {"float", "double"}:
        left, right = _decimals(left), _decimals(right)
    if operator in STRING_OPERATORS:
        compare = _as_one_text(compare)
    return left, right, _folded(compare) if node.fold else compare


def _values(operand: Operand, objects: Objects) -> Reader:
    match operand:
        case Subquery(path=path, predicate=predicate):
            members, matches = objects_of(path, objects), _compile(lower(predicate), objects)
            return lambda image: [sum(map(matches, members(image)))]
        case Arithmetic(operator, left, right, kind):
            ones, others = _values(left, objects), _values(right, objects)
            if kind == "mixed":
                ones, others = as_mixed(left, ones), as_mixed(right, others)
                return lambda image: [mixed_arithmetic(operator, a, b) for a in ones(image) for b in others(image)]
            return lambda image: [arithmetic(operator, kind, a, b) for a in ones(image) for b in others(image)]
        case ListValue(items, quantifier):
            return reader(ListValue(tuple(map(key_of_link, items)), quantifier), objects)  # type: ignore[arg-type]
    return reader(key_of_link(operand), objects)


def _decimals(read: Reader) -> Reader:
    return lambda image: [Decimal(repr(value)) if isinstance(value, float) else value for value in read(image)]


def _as_one_text(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: compare(*as_one_text(left, right))


def _of_types(operand: Operand, read: Reader) -> Reader:
    """The types that every value of the operand stands for: a path's names one, a word several."""
    if type_of(operand) == "@type":
        return lambda image: [frozenset((value,)) for value in read(image)]
    return lambda image: [frozenset() if value is None else TYPE_NAMES[value.lower()] for value in read(image)]


_TYPE_OPERATORS: dict[str, Callable[[frozenset[str], frozenset[str]], bool]] = {
    "==": lambda left, right: not left.isdisjoint(right),
    "!=": lambda left, right: left.isdisjoint(right),
}


# --- SORT, DISTINCT, LIMIT over images ---


def apply_clauses(
    images: Iterable[Image], clauses: Sequence[Clause], cls: ObjectSchema, schema: Schema, objects: Objects = _NOTHING
) -> list[Image]:
    """The images sorted, thinned and cut as the bound clauses say, in written order; stable, so that of two adjacent
    SORTs the later is the primary one. Ascending: null, then NaN, then values, and at the end objects with a null link
    on the way to the value; strings by UTF-8 bytes. DISTINCT leaves those out."""
    rows = list(images)
    for clause in clauses:
        if isinstance(clause, Sort):
            for path, ascending in reversed(clause.keys):
                get, order = column(path, objects), _order(path.type)
                rows.sort(key=lambda image, get=get, order=order: order(get(image)), reverse=not ascending)  # type: ignore[misc]
        elif isinstance(clause, Distinct):
            getters = [column(path, objects) for path in clause.paths]
            seen: dict[tuple[Any, ...], Image] = {}
            for image in rows:
                values = [get(image) for get in getters]
                if not any(missing for missing, _ in values):
                    seen.setdefault(tuple(_distinct_key(value) for _, value in values), image)
            rows = list(seen.values())
        else:
            rows = rows[: clause.count]
    return rows


def _order(kind: str) -> Callable[[tuple[bool, Any]], Any]:
    """The sort key of what `column` reads."""
    key: Callable[[Any], Any] = mixed_key if kind == "mixed" else _ORDER
    return lambda found: (found[0], key(found[1]))


def _compare(left: Any, right: Any) -> int:
    for rank in (lambda value: value is not None, lambda value: value == value):
        if rank(left) != rank(right):
            return 1 if rank(left) else -1
    if left is None or left != left:
        return 0
    return -1 if left < right else int(left > right)


_ORDER = cmp_to_key(_compare)


def _distinct_key(value: Any) -> Any:
    if isinstance(value, tuple):  # a mixed value
        return mixed_identity(value)
    return "NaN" if value != value else value
