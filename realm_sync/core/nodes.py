"""The query tree: what a query says, as frozen nodes that are equal when they say the same.

Decides which sentences there can be, and keeps them flat: build conditions with `and_`, `or_` and `not_`. A Query is a
condition (Truth, And, Or, Not, Comparison) and clauses; a comparison stands between operands (Constant, Path,
ListValue, Arithmetic …). A tree is made and used in this order, each step in a module of its own:

    query.parse         RQL text and arguments → nodes; constants are typed as they were written
    binding.bind        names resolved and constants typed by a class
    lowering.lower      the same in fewer words, for back ends
    predicate · sql · filters    the back ends: Python, the client's SQLite, Django (R4)
    text.to_text        nodes → canonical text, at any of these stages

A comparison is *plain* where both sides are the object's own scalars; one that follows links, looks into collections or
embedded objects, or compares mixed values is *deep* (`is_deep`): `bind` gives its paths hops (paths.py), and predicate.py
is the only back end that knows what it selects; the others ask it. Knows neither text nor classes. Whatever handles
queries imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeAlias

STRING_OPERATORS = ("BEGINSWITH", "ENDSWITH", "CONTAINS", "LIKE")


def _position() -> Any:
    """A field that says where in the text, or from which argument: for errors, no part of what the node says."""
    return field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal or an inlined argument. From `parse` its type is how it was written: a scalar type, `null`, `number`
    (a Decimal, for `1.5` and NaN), `text` (bytes of a B64 literal: string or data), `object` or `internal`. After
    `bind` it is a scalar type with its Python value (values.py), `null`, or `object`: (class name, constant key).
    `argument` is the number of the `$0` it was passed as."""

    type: str
    value: Any
    argument: int | None = _position()
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Argument:
    """`$0` before `parse` replaces it; never seen outside."""

    index: int
    quantifier: str = ""
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Index:
    """`[0]`, `[FIRST]`, `[*]`, `["key"]` in a path: a constant, or a word."""

    value: Constant | Argument | str


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a deep path, from the values so far to the next; paths.py lists what `via` may be."""

    via: str
    name: str = ""
    cls: str = ""
    index: int = 0
    type: str = ""
    inner: tuple[Hop, ...] = ()
    hides: bool = False
    """Of a `link`: it comes from a collection, where targets that are not there are not seen; else they read as null."""


@dataclass(frozen=True, slots=True)
class Path:
    """A property or a key path: names (`team`, `@links`), words (`@count`) and indexes. `bind` fills in the type: a
    link has that of the key it holds, and names the class it leads to in `target`; other types are the scalar ones,
    `mixed`, `embedded` and `@type`. `counted` says of what a plain `@count` is the size: the bytes of a `string` or of
    `data`, or a `link` (0 or 1)."""

    steps: tuple[str | Index, ...]
    quantifier: str = ""
    type: str = ""
    target: str = ""
    counted: str = ""
    optional: bool = True
    hops: tuple[Hop, ...] = field(default=(), compare=False, repr=False)
    """Of a bound deep path: how its values are reached. A plain one has none."""
    many: bool = field(default=False, compare=False, repr=False)
    """Bound: it stands for any number of values."""
    start: str = field(default="", compare=False, repr=False)
    """Bound: the property of the object that it reads."""
    full_text: bool = field(default=False, compare=False, repr=False)
    """Bound: the property at its end has a full-text index."""
    position: int | None = _position()

    @property
    def name(self) -> str:
        """The property of the class that the path starts with."""
        return self.start or str(self.steps[0])


@dataclass(frozen=True, slots=True)
class ListValue:
    """`{1, 2}` or a list argument, with ANY, ALL, NONE or nothing before it."""

    items: tuple[Constant | Argument, ...]
    quantifier: str = ""
    position: int | None = _position()


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`+ - * /`. `bind` fills in the type: `int` (wraps), `decimal128`, or `double`."""

    operator: str
    left: Operand
    right: Operand
    type: str = ""


@dataclass(frozen=True, slots=True)
class Subquery:
    """How many of the objects at `path` satisfy the predicate, whose paths may begin with the variable."""

    path: Path
    variable: str
    predicate: Node
    word: str
    type: str = field(default="int", init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Geometry:
    """`geoBox`, `geoCircle`, `geoPolygon`: rings of points (longitude, latitude[, altitude]), and a circle's radius."""

    shape: str
    rings: tuple[tuple[tuple[Decimal, ...], ...], ...]
    radius: Decimal | Argument | None = None


Operand: TypeAlias = "Constant | Argument | Path | ListValue | Arithmetic | Subquery | Geometry"


@dataclass(frozen=True, slots=True)
class Truth:
    value: bool


@dataclass(frozen=True, slots=True)
class And:
    """Two or more conditions; build with `and_`, which keeps trees flat and free of TRUE and FALSE."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more conditions; build with `or_`."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The exact complement; build with `not_`."""

    node: Node


@dataclass(frozen=True, slots=True)
class Comparison:
    """operator: == != < <= > >= IN BETWEEN BEGINSWITH ENDSWITH CONTAINS LIKE TEXT GEOWITHIN; `fold` is `[c]`."""

    operator: str
    left: Operand
    right: Operand
    fold: bool = False
    position: int | None = _position()


Node: TypeAlias = "Truth | And | Or | Not | Comparison"
TRUE = Truth(True)
FALSE = Truth(False)


@dataclass(frozen=True, slots=True)
class Sort:
    keys: tuple[tuple[Path, bool], ...]
    """Paths, each with whether it ascends."""


@dataclass(frozen=True, slots=True)
class Distinct:
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    count: int


Clause: TypeAlias = "Sort | Distinct | Limit"


@dataclass(frozen=True, slots=True)
class Query:
    """A predicate, then SORT, DISTINCT and LIMIT in written order. `text` is the source, for errors only."""

    predicate: Node = TRUE
    clauses: tuple[Clause, ...] = ()
    text: str = field(default="", compare=False, repr=False)


# --- Building ---


def and_(*nodes: Node) -> Node:
    return _join(And, TRUE, FALSE, nodes)


def or_(*nodes: Node) -> Node:
    return _join(Or, FALSE, TRUE, nodes)


def not_(node: Node) -> Node:
    if isinstance(node, Truth):
        return FALSE if node.value else TRUE
    return node.node if isinstance(node, Not) else Not(node)


def _join(kind: type[And] | type[Or], neutral: Truth, absorbing: Truth, nodes: Iterable[Node]) -> Node:
    flat: list[Node] = []
    for node in nodes:
        if node == absorbing:
            return absorbing
        if isinstance(node, kind):
            flat.extend(node.nodes)
        elif node != neutral:
            flat.append(node)
    return kind(tuple(flat)) if len(flat) > 1 else (flat[0] if flat else neutral)


# --- Questions about a tree ---


def type_of(operand: Operand) -> str:
    """The type of a constant, and of what `bind` has typed; "" for the rest."""
    return getattr(operand, "type", "")


def properties(node: Node) -> set[str]:
    """The names of the properties that the node reads."""
    return {path.name for path in paths(node)}


def own_properties(item: Node | Path) -> list[str]:
    """The properties of the object itself that a bound node or path reads, in the order in which they are handed on."""
    return sorted(path.name for path in {path.name: path for path in paths(item)}.values())


def paths(item: Node | Operand) -> Iterator[Path]:
    """Every path of the node, from left to right, but for those inside subqueries: they start at other objects."""
    match item:
        case Path():
            yield item
        case And(nodes) | Or(nodes):
            for inner in nodes:
                yield from paths(inner)
        case Not(inner):
            yield from paths(inner)
        case Comparison(left=left, right=right) | Arithmetic(left=left, right=right):
            yield from paths(left)
            yield from paths(right)
        case Subquery(path=path):
            yield path


def is_many(operand: Operand) -> bool:
    """Whether a bound operand stands for any number of values."""
    if isinstance(operand, Arithmetic):
        return is_many(operand.left) or is_many(operand.right)
    return isinstance(operand, ListValue) or (isinstance(operand, Path) and operand.many)


def quantifier_of(operand: Operand) -> str:
    """ANY, ALL, NONE, or nothing; of arithmetic that of the side that has one."""
    if isinstance(operand, Arithmetic):
        return quantifier_of(operand.left) or quantifier_of(operand.right)
    return operand.quantifier if isinstance(operand, (Path, ListValue)) else ""


def is_deep(item: Comparison | Operand) -> bool:
    """Whether a bound comparison (or one side of it) needs more than the object's own scalars."""
    match item:
        case Path(hops=hops):
            return bool(hops)
        case Arithmetic(left=left, right=right):
            return is_deep(left) or is_deep(right) or is_many(item)
        case Comparison(operator=operator, left=left, right=right):
            return operator in ("TEXT", "GEOWITHIN") or is_deep(left) or is_deep(right)
    return isinstance(item, Subquery)


def comparisons(node: Node) -> Iterator[Comparison]:
    """Every comparison of the node, from left to right."""
    match node:
        case Comparison():
            yield node
        case And(nodes) | Or(nodes):
            for inner in nodes:
                yield from comparisons(inner)
        case Not(inner):
            yield from comparisons(inner)
