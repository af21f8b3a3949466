"""Queries: RQL text to a small tree of nodes, checked against a class, and back to canonical text.

    parse(text, arguments) -> Query     what the sentence says; knows no class (the grammar is rql.lark)
    bind(query, class, schema) -> Query what it means for a class: names resolved, every constant of its property's type
    lower(node) -> node                 the same in fewer words, for back ends: no lists but in IN, no BETWEEN
    to_text(query) -> str               canonical text; subscriptions are equal when these texts are (reference 10.12)

Back ends take bound nodes: predicate.py (a Python closure), sql.py (the client's SQLite), filters.py (Django) and
query.js. They all select the same rows (R4). What no back end can do yet (key paths through links, collections,
subqueries, full text, geometry) has nodes and text here, and is refused by `bind` with a sentence that says so.

Decisions where Realm leaves room, the same in every back end: NaN equals NaN and is neither below nor above anything;
`<=` is "less or equal" also for null and NaN, so `p <= null` holds when p is null; dates are cut to microseconds;
`[c]` on data folds ASCII letters only; and a link may be compared with a plain value of the target's key type (an
extension).
"""

from __future__ import annotations

import base64
import math
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from functools import cache
from pathlib import Path as FilePath
from typing import Any, TypeAlias

import lark

from .errors import QueryError, ValueTypeError
from .schema import PRIMARY_KEY, ObjectSchema, Property, Schema
from .values import DECIMAL128, ObjectId, encode, single

MAX_BYTES = 256 * 1024
"""Longest query text in UTF-8, as on Atlas; a longer one is refused with code LimitExceeded."""
MAX_DEPTH = 50
"""Deepest nesting of parentheses and NOTs (an arithmetic operator counts as three); deeper is refused with code
LimitExceeded. The narrowest place that a query has to pass is SQLite's parser, which has a stack of 100 entries."""
TRUSTED_DEPTH = 60
"""The same for text that `to_text` made, where conditions were joined and parentheses added."""

NUMERIC = ("int", "float", "double", "decimal128")
_STRING_OPERATORS = ("BEGINSWITH", "ENDSWITH", "CONTAINS", "LIKE")
_ORDERINGS = ("<", "<=", ">", ">=")
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NAN = Decimal("NaN")  # one object, because NaN equals only itself: nodes compare by identity first


# --- Nodes: frozen, hashable, equal when they say the same. `position` is where in the text, for carets. ---


def _position() -> Any:
    return field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal or an inlined argument. From `parse` its type is how it was written: a scalar type, `null`, `number`
    (a Decimal, for `1.5` and NaN), `text` (bytes of a B64 literal: string or data), `object` or `internal`. After
    `bind` it is a scalar type with its Python value (values.py), `null`, or `object`: (class name, constant key)."""

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
class Path:
    """A property or a key path: names (`team`, `@links`), words (`@count`) and indexes. `bind` fills in the type: a
    link has that of the key it holds, and names the class it leads to in `target`. `counted` says of what `@count` is
    the size: the bytes of a `string` or of `data`, or a `link` (0 or 1)."""

    steps: tuple[str | Index, ...]
    quantifier: str = ""
    type: str = ""
    target: str = ""
    counted: str = ""
    optional: bool = True
    position: int | None = _position()

    @property
    def name(self) -> str:
        """The property of the class that the path starts with."""
        return str(self.steps[0])


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
    path: Path
    variable: str
    predicate: Node
    word: str


@dataclass(frozen=True, slots=True)
class Geometry:
    """`geoBox`, `geoCircle`, `geoPolygon`: rings of points (longitude, latitude[, altitude]), and a circle's radius."""

    shape: str
    rings: tuple[tuple[tuple[Decimal, ...], ...], ...]
    radius: Decimal | Argument | Constant | None = None


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


# --- Parsing ---


def parse(text: str, arguments: Sequence[Any] = (), *, trusted: bool = False) -> Query:
    """The query a text says, with `$0`, `$1` … replaced by `arguments`.

    Arguments are Python values (values.py), lists of them, and objects that have an `_id` or a `pk`. Raises QueryError
    with a caret; code LimitExceeded beyond MAX_BYTES or MAX_DEPTH. `trusted` text came out of `to_text`, joined from
    several queries perhaps: it may be longer, and a little deeper.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise QueryError(
            "Invalid predicate: it holds a lone surrogate, which is not a character.", text[:80], None
        ) from error
    if size > MAX_BYTES and not trusted:
        raise QueryError(f"The query is {size} bytes long; at most {MAX_BYTES} are allowed.", "", None, "LimitExceeded")
    try:
        query: Query = _parser(TRUSTED_DEPTH if trusted else MAX_DEPTH).parse(text)  # type: ignore[assignment]
        inlined = _Arguments(arguments, text).query(query)
    except lark.exceptions.UnexpectedInput as error:
        raise _syntax_error(text, error) from None
    except QueryError as error:
        raise QueryError(error.problem, text, error.position, error.code) from None
    return replace(inlined, text=text)


@cache
def _parser(depth: int) -> lark.Lark:
    grammar = FilePath(__file__).with_name("rql.lark").read_text(encoding="utf-8")
    return lark.Lark(
        grammar, parser="lalr", lexer="basic", transformer=_Builder(), postlex=_Depth(depth), maybe_placeholders=False
    )


def _syntax_error(text: str, error: lark.exceptions.UnexpectedInput) -> QueryError:
    if isinstance(error, lark.exceptions.UnexpectedToken) and error.token.type != "$END":
        position, found = error.token.start_pos or 0, f"'{_excerpt(str(error.token), 40)}'"
    elif isinstance(error, lark.exceptions.UnexpectedCharacters):
        position = error.pos_in_stream or 0
        found = f"character '{text[position]}'"
    else:
        position, found = len(text), "end of query"
    return QueryError(f"Invalid predicate: '{_excerpt(text, 200)}': syntax error, unexpected {found}", text, position)


def _excerpt(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


class _Depth(lark.lark.PostLex):
    """Refuses deep nesting while tokens stream by, before anything recursive (or SQLite) sees the query."""

    always_accept = ()

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def process(self, stream: Iterator[lark.Token]) -> Iterator[lark.Token]:
        enclosing: list[int] = []  # for every open parenthesis: the weight of the operators before it in its comparison
        operators = 0
        for token in stream:
            kind = token.type
            if kind == "NOT":
                operators += 1
            elif kind in ("PLUS", "MINUS", "SLASH", "STAR"):
                operators += 3
            elif kind in ("LPAR", "LBRACE", "LSQB"):
                enclosing.append(operators)
            elif kind in ("RPAR", "RBRACE", "RSQB") and enclosing:
                operators = enclosing.pop()
            elif kind in ("_AND", "_OR"):
                operators = enclosing[-1] if enclosing else 0
            if len(enclosing) + operators > self.limit:
                problem = f"The query is nested too deeply: at most {self.limit} levels are allowed."
                raise QueryError(problem, "", token.start_pos, "LimitExceeded")
            yield token


class _Builder(lark.Transformer[lark.Token, Query]):
    """Nodes from the rules of rql.lark, called by the parser as it reduces; one method per rule."""

    def start(self, parts: list[Any]) -> Query:
        return Query(parts[0], tuple(parts[1:]))

    def or_(self, parts: list[Node]) -> Node:
        return or_(*parts)

    def and_(self, parts: list[Node]) -> Node:
        return and_(*parts)

    def not_(self, parts: list[Any]) -> Node:
        return not_(parts[1])

    def truth(self, parts: list[lark.Token]) -> Node:
        return TRUE if parts[0].type == "TRUEPREDICATE" else FALSE

    def comparison(self, parts: list[Any]) -> Node:
        left, operator, right = parts[0], parts[1], parts[-1]
        spelled = {"=": "==", "<>": "!=", "=<": "<=", "=>": ">="}.get(operator, operator.upper())
        return Comparison(spelled, left, right, len(parts) == 4, operator.start_pos)

    def sum(self, parts: list[Any]) -> Operand:
        value: Operand = parts[0]
        for operator, right in zip(parts[1::2], parts[2::2], strict=True):
            value = Arithmetic(str(operator), value, right)
        return value

    product = sum

    def value(self, parts: list[Operand]) -> Operand:
        return parts[0]

    def constant(self, parts: list[Any]) -> Constant | Argument:
        return _literal(parts[0]) if isinstance(parts[0], lark.Token) else parts[0]

    def path(self, parts: list[Any]) -> Path:
        quantifier = _quantifier(parts)
        steps: list[str | Index] = []
        for part in parts:
            if isinstance(part, Index) and part.value == "SIZE":
                steps.append("@size")
            else:
                steps.append(part if isinstance(part, Index) else str(part))
        return Path(tuple(steps), quantifier, position=getattr(parts[0], "start_pos", None))

    def step(self, parts: list[lark.Token]) -> lark.Token:
        token = parts[0]
        if token.type == "NAME" and re.fullmatch(r"\$K\d+", token):
            raise QueryError(f"Key-path arguments ({token}) are not supported: write the path.", "", token.start_pos)
        return token

    def name(self, parts: list[lark.Token]) -> lark.Token:
        token = parts[0]
        return token.update(value=_unescape_name(token)) if "\\" in token else token

    def index(self, parts: list[Any]) -> Index:
        token = parts[0]
        if not isinstance(token, lark.Token):
            return Index(token)
        if token.type in ("FIRST", "LAST", "SIZE", "STAR"):
            return Index(token.upper())
        return Index(_literal(token))

    def subquery(self, parts: list[Any]) -> Subquery:
        _, path, variable, predicate, word = parts
        if not variable.startswith("$"):
            raise QueryError(f"The subquery variable '{variable}' must start with '$'", "", variable.start_pos)
        if word not in ("@count", "@size"):
            raise QueryError("Only @count and @size may follow a subquery.", "", word.start_pos)
        return Subquery(path, str(variable), predicate, str(word))

    def values(self, parts: list[Any]) -> ListValue:
        quantifier = _quantifier(parts)
        return ListValue(tuple(parts), quantifier, parts[0].position if parts else None)

    def argument(self, parts: list[lark.Token]) -> Argument:
        quantifier = _quantifier(parts)
        return Argument(int(parts[0][1:10]), quantifier, parts[0].start_pos)

    def binary(self, parts: list[lark.Token]) -> Constant:
        constant = _literal(parts[1])
        value = constant.value if isinstance(constant.value, bytes) else constant.value.encode()
        return Constant("data", value, position=parts[0].start_pos)

    def obj(self, parts: list[Any]) -> Constant:
        name = str(parts[1])[1:-1]
        return Constant("object", (name, parts[2]), position=parts[0].start_pos)

    def geo(self, parts: list[Any]) -> Geometry:
        shape = parts[0].type
        if shape == "GEOBOX":
            return Geometry("geoBox", ((parts[1], parts[2]),))
        if shape == "GEOCIRCLE":
            radius = parts[2] if isinstance(parts[2], Argument) else Decimal(parts[2].rstrip("f"))
            return Geometry("geoCircle", ((parts[1],),), radius)
        return Geometry("geoPolygon", tuple(parts[1:]))

    def ring(self, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(parts)

    def point(self, parts: list[lark.Token]) -> tuple[Decimal, ...]:
        return tuple(Decimal(part.rstrip("f")) for part in parts)

    def clause(self, parts: list[Any]) -> Clause:
        word = parts[0].type
        if word == "SORT":
            return Sort(tuple(parts[1:]))
        if word == "DISTINCT":
            return Distinct(tuple(parts[1:]))
        if not 0 <= (count := int(parts[1][:20])) < 2**63:
            raise QueryError("LIMIT takes a natural number.", "", parts[1].start_pos)
        return Limit(count)

    def order(self, parts: list[Any]) -> tuple[Path, bool]:
        return parts[0], parts[1].type == "ASCENDING"


# `or`, `and` and `not` are rules of the grammar and words of Python.
for _rule in ("or", "and", "not"):
    setattr(_Builder, _rule, getattr(_Builder, f"{_rule}_"))


def _quantifier(parts: list[Any]) -> str:
    """Takes a leading quantifier off the parts: ANY, ALL, NONE or nothing (SOME is ANY)."""
    if parts and isinstance(parts[0], lark.Token) and parts[0].type == "QUANTIFIER":
        word = parts.pop(0).upper()
        return "ANY" if word == "SOME" else str(word)
    return ""


def _unescape_name(text: str) -> str:
    return re.sub(r"\\([ nrt])", lambda match: {"n": "\n", "r": "\r", "t": "\t"}.get(match[1], " "), text)


_LITERALS: dict[str, Callable[[str], tuple[str, Any]]] = {
    "INTEGER": lambda text: ("int", _integer(text, 10)),
    "HEX": lambda text: ("int", _integer(text[2:], 16)),
    "FLOAT": lambda text: ("number", _number(text)),
    "NOT_FINITE": lambda text: ("number", _number(text)),
    "TRUE": lambda text: ("bool", True),
    "FALSE": lambda text: ("bool", False),
    "NULL": lambda text: ("null", None),
    "STRING": lambda text: _text(text[1:-1]),
    "BASE64": lambda text: ("text", _base64(text[4:-1])),
    "OBJECT_ID": lambda text: ("objectId", ObjectId(text[4:-1])),
    "UUID": lambda text: ("uuid", uuid.UUID(text[5:-1])),
    "DATE": lambda text: ("date", _date(text)),
    "TIMESTAMP": lambda text: ("date", _timestamp(text)),
    "INTERNAL_KEY": lambda text: ("internal", text),
}


def _literal(token: lark.Token) -> Constant:
    try:
        kind, value = _LITERALS[token.type](str(token))
    except QueryError as error:
        raise QueryError(error.problem, "", token.start_pos) from None
    return Constant(kind, value, position=token.start_pos)


def _integer(digits: str, base: int) -> int:
    # int() refuses thousands of digits with a ValueError of its own; no number of that size can be compared with
    # anything.
    if len(digits.lstrip("+-0")) > 40:
        raise QueryError(f"Cannot convert '{_excerpt(digits, 40)}' to a number")
    return int(digits, base)


_EXACT = Context(prec=1_000, Emax=999_999, Emin=-999_999, traps=[InvalidOperation])


def _number(text: str) -> Decimal:
    """The exact value of a number with a fraction, exponent or word; `f` marks a 32-bit float."""
    bare = text.lower().lstrip("+-")
    if bare in ("nan", "inf", "infinity"):
        return _NAN if bare == "nan" else Decimal("-Infinity" if text[0] == "-" else "Infinity")
    if len(text) > 800 or (exponent := re.search(r"[eE][+-]?(\d+)", text)) and len(exponent[1].lstrip("0")) > 5:
        raise QueryError(f"Cannot convert '{_excerpt(text, 40)}' to a number")
    if text.endswith("f"):
        return _from_float(single(float(text[:-1])))
    return _EXACT.create_decimal(text)


def _from_float(value: float) -> Decimal:
    """The decimal with the fewest digits that reads back as this float."""
    return _NAN if math.isnan(value) else Decimal(repr(value))


def _text(value: str) -> tuple[str, Any]:
    """A string as its canonical text will spell it: what needs base64 is indistinguishable from a B64 literal."""
    return ("string", value) if _is_plain(value) else ("text", value.encode())


def _is_plain(value: str) -> bool:
    return re.fullmatch(r"[ !#-&(-\[\]-~]*", value) is not None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise QueryError(f"Invalid base64 value '{_excerpt(text, 40)}'") from None


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
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    except OverflowError:
        raise QueryError(f"The date {text} is outside the years 1 to 9999.") from None


class _Arguments:
    """Replaces arguments by constants and lists. Recursive: `_Depth` has bounded the tree."""

    def __init__(self, arguments: Sequence[Any], text: str) -> None:
        self.arguments, self.text = arguments, text

    def query(self, query: Query) -> Query:
        return Query(self.node(query.predicate), query.clauses)

    def node(self, node: Node) -> Node:
        if isinstance(node, Comparison):
            return replace(node, left=self.operand(node.left), right=self.operand(node.right))
        if isinstance(node, Not):
            return not_(self.node(node.node))
        if isinstance(node, And | Or):
            return type(node)(tuple(map(self.node, node.nodes)))
        return node

    def operand(self, operand: Operand) -> Operand:
        match operand:
            case Argument():
                return self.argument(operand)
            case ListValue(items, quantifier, position):
                return ListValue(tuple(map(self.scalar, items)), quantifier, position)
            case Arithmetic(operator, left, right):
                return Arithmetic(operator, self.operand(left), self.operand(right))
            case Subquery():
                return replace(operand, path=self.path(operand.path), predicate=self.node(operand.predicate))
            case Geometry(radius=Argument() as radius):
                return replace(operand, radius=self.scalar(radius))
            case Path():
                return self.path(operand)
            case Constant(type="object", value=(name, key)):
                return replace(operand, value=(name, self.scalar(key)))
        return operand

    def path(self, path: Path) -> Path:
        if any(isinstance(step, Index) for step in path.steps):
            return replace(path, steps=tuple(map(self.step, path.steps)))
        return path

    def step(self, step: str | Index) -> str | Index:
        return Index(self.scalar(step.value)) if isinstance(step, Index) and isinstance(step.value, Argument) else step

    def scalar(self, item: Constant | Argument) -> Constant:
        if isinstance(item, Constant):
            resolved = self.operand(item)
        elif item.quantifier:
            resolved = self.argument(item)
        else:
            resolved = self.argument(item)
            if isinstance(resolved, ListValue):
                problem = f"Request for scalar argument at index {item.index} but a list was provided"
                raise QueryError(problem, "", item.position)
        if not isinstance(resolved, Constant):
            raise QueryError("A list cannot hold a list.", "", item.position)
        return resolved

    def argument(self, item: Argument) -> Constant | ListValue:
        count = len(self.arguments)
        if item.index >= count:
            verb = "is" if count == 1 else "are"
            provided = (
                f"only {count} argument{'' if count == 1 else 's'} {verb} provided"
                if count
                else "no arguments are provided"
            )
            raise QueryError(f"Request for argument at index {item.index} but {provided}", "", item.position)
        value = self.arguments[item.index]
        if isinstance(value, (list, tuple, set, frozenset)):
            items = tuple(self.convert(item, element) for element in value)
            return ListValue(items, item.quantifier, item.position)
        if item.quantifier:
            problem = (
                "ANY/ALL/NONE are only allowed on arguments which contain a list "
                f"but '{_excerpt(str(value), 40)}' is not a list."
            )
            raise QueryError(problem, "", item.position)
        return self.convert(item, value)

    def convert(self, item: Argument, value: Any) -> Constant:
        kind, converted = _from_python(value, item)
        return Constant(kind, converted, item.index, item.position)


def _from_python(value: Any, item: Argument) -> tuple[str, Any]:
    match value:
        case None:
            return "null", None
        case bool():
            return "bool", value
        case int():
            return "int", int(value)
        case float():
            return "number", _from_float(value)
        case Decimal():
            return "number", _NAN if value.is_nan() else value
        case str():
            try:
                return _text(str(value))
            except UnicodeEncodeError:
                raise QueryError(f"Argument ${item.index} holds a lone surrogate.", "", item.position) from None
        case bytes() | bytearray() | memoryview():
            return "data", bytes(value)
        case datetime():
            if value.tzinfo is None:
                raise QueryError(f"The date argument ${item.index} needs a time zone.", "", item.position)
            return "date", value.astimezone(UTC)
        case ObjectId():
            return "objectId", value
        case uuid.UUID():
            return "uuid", value
    for key in ("_id", "pk"):
        if hasattr(value, key):
            return "object", (type(value).__name__, Constant(*_from_python(getattr(value, key), item)))
    raise QueryError(
        f"Using a {type(value).__name__} as a query argument is not supported (argument ${item.index}).",
        "",
        item.position,
    )


# --- Binding to a class ---


def bind(query: Query, cls: ObjectSchema, schema: Schema) -> Query:
    """The query for one class: names resolved, operands type-checked, constants converted to the type they are
    compared with. Required before any back end; binding a bound query again changes nothing. Raises QueryError,
    worded as Realm does."""
    binder = _Binder(cls, schema)
    try:
        return Query(binder.node(query.predicate), tuple(map(binder.clause, query.clauses)), query.text)
    except QueryError as error:
        raise QueryError(error.problem, query.text, error.position, error.code) from None


_ARTICLES = {"int": "a int", "objectId": "a objectId"}  # Realm's words; it does not mind its articles


class _Binder:
    def __init__(self, cls: ObjectSchema, schema: Schema) -> None:
        self.cls, self.schema = cls, schema

    def node(self, node: Node) -> Node:
        match node:
            case And(nodes):
                return and_(*map(self.node, nodes))
            case Or(nodes):
                return or_(*map(self.node, nodes))
            case Not(inner):
                return not_(self.node(inner))
            case Comparison():
                return self.comparison(node)
        return node

    # Comparisons: resolve both sides, then make the constants fit the other side.

    def comparison(self, node: Comparison) -> Comparison:
        operator = node.operator
        if operator == "TEXT":
            raise QueryError(
                "Column has no fulltext index: full-text search (TEXT) is not supported yet.", "", node.position
            )
        if operator == "GEOWITHIN":
            problem = (
                "The left hand side of 'geoWithin' must be a link to geoJSON formatted data. "
                "Geospatial queries are not supported yet."
            )
            raise QueryError(problem, "", node.position)
        left, right = self.operand(node.left), self.operand(node.right)
        if operator == "IN" and not isinstance(right, ListValue):
            found = f"'{_operand_text(right)}'"
            problem = f"The keypath following 'IN' must contain a list. Found {found}"
            raise QueryError(problem, "", getattr(right, "position", node.position))
        if operator == "BETWEEN" and isinstance(right, ListValue) and len(right.items) != 2:
            raise QueryError("Operator 'BETWEEN' requires list with 2 elements.", "", right.position)
        if operator == "BETWEEN" and isinstance(right, ListValue) and right.quantifier:
            raise QueryError("ANY/ALL/NONE have no meaning for 'BETWEEN'.", "", right.position)
        if not _has_property(left) and not _has_property(right):
            raise QueryError("Cannot compare two constants", "", node.position)
        if isinstance(left, ListValue):
            left, right = self.fit_list(node, left, right), self.check_operator(node, right)
        elif isinstance(right, ListValue):
            left, right = self.check_operator(node, left), self.fit_list(node, right, left)
        elif isinstance(left, Constant):
            left, right = self.fit(node, left, right, "left"), self.check_operator(node, right)
        elif isinstance(right, Constant):
            left, right = self.check_operator(node, left), self.fit(node, right, left)
        else:
            self.check_operator(node, left), self.check_operator(node, right)
            self.check_pair(node, left, right)
        return replace(node, left=left, right=right)

    def operand(self, operand: Operand) -> Operand:
        match operand:
            case Path():
                return self.path(operand)
            case Arithmetic():
                return self.arithmetic(operand)
            case Subquery(path=path):
                raise QueryError("Subqueries are not supported yet.", "", path.position)
            case Constant(type="internal", value=value, position=position):
                problem = f'Internal object keys ({value}) mean nothing here: write obj("Class", key).'
                raise QueryError(problem, "", position)
        return operand

    def path(self, path: Path, sorting: bool = False) -> Path:
        name, rest = path.name, path.steps[1:]
        if name.startswith("@"):
            raise QueryError("Backlinks (@links) are not supported yet.", "", path.position)
        prop = self.cls.properties.get(name)
        if prop is None:
            raise QueryError(f"'{self.cls.name}' has no property '{name}'", "", path.position)
        if path.quantifier:
            raise QueryError(f"The keypath following '{path.quantifier}' must contain a list", "", path.position)
        kind = self.schema.wire_type(prop)
        target = (prop.object_type or "") if prop.type == "object" else ""
        if not rest:
            return replace(path, type=kind, target=target, optional=prop.optional)
        if rest == (PRIMARY_KEY,) and target:  # the key of the target is what a link holds
            return replace(path, type=kind, optional=prop.optional)
        if rest in (("@count",), ("@size",)) and (target or kind in ("string", "data")):
            return replace(path, type="int", counted="link" if target else kind, optional=prop.optional and not target)
        raise QueryError(self.path_problem(name, prop, rest), "", path.position)

    def path_problem(self, name: str, prop: Property, rest: tuple[str | Index, ...]) -> str:
        step, where = rest[0], f"{self.cls.name}.{name}"
        if isinstance(step, Index):
            return f"Property '{where}' does not support index '{_index_text(step)}'"
        if step in ("@min", "@max", "@sum", "@avg"):
            return f"Operation '{step}' cannot apply to property '{name}' because it is not a list"
        if step.startswith("@"):
            return f"Operation '{step}' is not supported on property '{where}' of type '{prop.type}'"
        target = self.schema.get(prop.object_type or "") if prop.type == "object" else None
        if target is None or step not in target.properties:
            return f"Property '{where}' has no property '{step}'"
        return f"Key paths through links ('{name}.{step}') are not supported yet; only '{name}' and '{name}._id' are."

    def arithmetic(self, node: Arithmetic) -> Arithmetic:
        left, right = self.operand(node.left), self.operand(node.right)
        for side in (left, right):
            if isinstance(side, ListValue):
                raise QueryError("Arithmetic on lists is not supported yet.", "", side.position)
        kinds = [_kind(left), _kind(right)]
        if any(kind not in (*NUMERIC, "number") for kind in kinds) or _target(left) or _target(right):
            a, b = (f"'{_kind_text(side)}'" for side in (left, right))
            raise QueryError(
                f"Cannot perform '{node.operator}' operation on {a} and {b}", "", _find_position(left, right)
            )
        kind = "decimal128" if "decimal128" in kinds else ("int" if kinds == ["int", "int"] else "double")
        sides = [
            self.convert(side, "int" if kind == "int" else kind, None) if isinstance(side, Constant) else side
            for side in (left, right)
        ]
        return Arithmetic(node.operator, sides[0], sides[1], kind)

    def check_operator(self, node: Comparison, side: Operand) -> Operand:
        """The operator must make sense for the type of this property, arithmetic or constant."""
        kind = _kind_text(side)
        position = getattr(side, "position", None)
        if node.operator in (*_ORDERINGS, "BETWEEN") and _target(side):
            operator = ">=" if node.operator == "BETWEEN" else node.operator
            problem = (
                f"Unsupported operator {operator} in query. "
                "Only equal (==) and not equal (!=) are supported for this type."
            )
            raise QueryError(problem, "", position)
        if (node.operator in _STRING_OPERATORS or node.fold) and (
            _kind(side) not in ("string", "data") or _target(side)
        ):
            operator = f"{node.operator.lower()}{'[c]' if node.fold else ''}"
            problem = (
                f"Unsupported comparison operator '{operator}' against type '{kind}', "
                "right side must be a string or binary type"
            )
            raise QueryError(problem, "", position)
        return side

    def check_pair(self, node: Comparison, left: Operand, right: Operand) -> None:
        """Two properties, or arithmetic: of one type, both numbers, or links to one class."""
        kinds = _kind(left), _kind(right)
        if _target(left) != _target(right):
            comparable = False
        elif node.operator in _STRING_OPERATORS:
            comparable = True
        else:
            comparable = kinds[0] == kinds[1] or all(kind in NUMERIC for kind in kinds)
        if not comparable:
            problem = f"Unsupported comparison between type '{_kind_text(left)}' and type '{_kind_text(right)}'"
            raise QueryError(problem, "", node.position)

    def fit_list(self, node: Comparison, items: ListValue, other: Operand) -> ListValue:
        fitted = (self.fit(node, item, other) for item in items.items if isinstance(item, Constant))
        return replace(items, items=tuple(fitted))

    def fit(self, node: Comparison, constant: Constant, other: Operand, side: str = "right") -> Constant:
        """The constant as a value of the other side's type."""
        if constant.type == "null":
            return constant
        if target := _target(other):
            return self.link(constant, target, _kind(other))
        if node.operator in _STRING_OPERATORS:
            if constant.type in ("string", "text", "data"):
                return self.string_operand(constant, _kind(other), side)
            self.check_operator(node, constant)
        return self.convert(constant, _kind(other), other)

    def string_operand(self, constant: Constant, kind: str, side: str) -> Constant:
        """A string where it can be one; bytes that are no text may still be the end or the start of a string."""
        value = constant.value
        if kind == "string" and isinstance(value, bytes):
            try:
                text = value.decode()
            except UnicodeDecodeError:
                return replace(constant, type="data")
            return replace(constant, type="data") if "\0" in text else replace(constant, type="string", value=text)
        if kind == "data" and isinstance(value, str):
            return replace(constant, type="data", value=value.encode())
        return self.checked(replace(constant, type="data" if isinstance(value, bytes) else "string"))

    def link(self, constant: Constant, target: str, key_type: str) -> Constant:
        """A link's constant: `obj()`, an object, or a key of the target's key type."""
        if constant.type == "object":
            name, key = constant.value
            if constant.argument is None and name not in self.schema:
                raise QueryError(f"Unknown object type '{name}'", "", constant.position)
            if name in self.schema and name != target:
                problem = (
                    f"The relationship which links to type '{target}' cannot be compared "
                    f"to an argument of type '{name}'"
                )
                raise QueryError(problem, "", constant.position)
            key = replace(key, position=constant.position)
        else:
            key = constant
        if key.type in ("string", "text") and key_type in ("uuid", "objectId") and constant.argument is not None:
            key = self.parsed_key(key, key_type)
        converted = self.convert(key, key_type, None)
        if converted.type != key_type:
            raise self.mismatch(key, key_type)
        return Constant("object", (target, converted), constant.argument, constant.position)

    def parsed_key(self, key: Constant, key_type: str) -> Constant:
        """Arguments may hold a key as it travels: the text of a UUID or an ObjectId."""
        try:
            return replace(
                key, type=key_type, value=uuid.UUID(key.value) if key_type == "uuid" else ObjectId(key.value)
            )
        except (ValueError, ValueTypeError, AttributeError):
            raise self.mismatch(key, key_type) from None

    def convert(self, constant: Constant, kind: str, other: Operand | None) -> Constant:
        """The constant as a `kind`; a number that an int property cannot hold stays a double, and just never equals
        it."""
        value = constant.value
        if kind in NUMERIC and constant.type in ("string", "text"):
            value = self.parsed_number(constant, kind)
        elif kind in NUMERIC and constant.type not in (*NUMERIC, "number"):
            raise self.mismatch(constant, kind)
        if kind in NUMERIC:
            converted = _convert_number(value, kind)
            if converted is None:
                problem = f"Cannot convert '{_excerpt(_constant_text(constant), 40)}' to a {kind}"
                raise QueryError(problem, "", constant.position)
            return self.checked(replace(constant, type=converted[0], value=converted[1]))
        if constant.type == "text" and kind == "string":
            try:
                return self.checked(replace(constant, type="string", value=value.decode()))
            except UnicodeDecodeError:
                raise self.mismatch(constant, kind) from None
        if constant.type == "text" and kind == "data":
            return replace(constant, type="data")
        if constant.type != kind:
            raise self.mismatch(constant, kind)
        return self.checked(constant)

    def parsed_number(self, constant: Constant, kind: str) -> Any:
        text = constant.value.decode(errors="replace") if isinstance(constant.value, bytes) else constant.value
        try:
            if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
                return _integer(text, 10)
            if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
                return _number(text)
        except QueryError:
            pass
        raise self.mismatch(constant, kind)

    def checked(self, constant: Constant) -> Constant:
        """Only values that a property could hold: no U+0000 in strings, integers within 64 bits."""
        try:
            encode(constant.type, constant.value)
        except ValueTypeError as error:
            raise QueryError(f"Expected {error.expected} in the query.", "", constant.position) from None
        return constant

    def mismatch(self, constant: Constant, kind: str) -> QueryError:
        if constant.argument is not None:
            shown = _excerpt(str(constant.value), 40)
            problem = f"Cannot compare argument ${constant.argument} with value '{shown}' to a {kind}"
        else:
            problem = f"Unsupported comparison between type '{kind}' and type '{_kind_text(constant)}'"
        return QueryError(problem, "", constant.position)

    # Clauses

    def clause(self, clause: Clause) -> Clause:
        if isinstance(clause, Sort):
            return Sort(tuple((self.column(path, "sort"), ascending) for path, ascending in clause.keys))
        if isinstance(clause, Distinct):
            return Distinct(tuple(self.column(path, "distinct") for path in clause.paths))
        return clause

    def column(self, path: Path, clause: str) -> Path:
        if path.name not in self.cls.properties:
            problem = f"No property '{path.name}' found on object type '{self.cls.name}' specified in '{clause}' clause"
            raise QueryError(problem, "", path.position)
        bound = self.path(path)
        if bound.counted:
            raise QueryError(f"'{clause}' takes properties, not '{bound.steps[-1]}'", "", path.position)
        where = f"Cannot sort on key path '{_path_text(path)}': property '{self.cls.name}.{path.name}'"
        if clause == "sort" and bound.target:
            problem = f"{where} of type 'object' cannot be the final property in the key path"
            raise QueryError(problem, "", path.position)
        if clause == "sort" and bound.type == "data":
            raise QueryError(f"{where} is of unsupported type 'data'", "", path.position)
        return bound


def _convert_number(value: Any, kind: str) -> tuple[str, Any] | None:
    """An int, float or Decimal as (type, value) for comparison with a `kind`; None if it does not fit."""
    if kind == "decimal128":
        exact = _from_float(value) if isinstance(value, float) else Decimal(value)
        if exact.is_nan():
            return kind, _NAN
        if exact.is_finite() and exact.adjusted() > DECIMAL128.Emax:
            return None
        rounded = DECIMAL128.create_decimal(exact)
        return kind, rounded
    if kind == "int":
        if isinstance(value, int):
            return (kind, value) if -(2**63) <= value < 2**63 else None
        exact = Decimal(value)
        if (
            exact.is_finite()
            and exact.adjusted() < 20
            and exact == exact.to_integral_value()
            and -(2**63) <= int(exact) < 2**63
        ):
            return kind, int(exact)
        return "double", _to_float(exact)
    number = _to_float(value)
    return kind, _to_float(single(number)) if kind == "float" else number


def _to_float(value: Any) -> float:
    """A double; NaN always as the same object, as for `_NAN`."""
    number = float(value)  # a Decimal beyond the range becomes infinity; ints are bounded by the lexer
    return math.nan if math.isnan(number) else number


def _kind(operand: Operand) -> str:
    return getattr(operand, "type", "")


def _target(operand: Operand) -> str:
    return operand.target if isinstance(operand, Path) else ""


def _kind_text(operand: Operand) -> str:
    """A type as errors name it: Realm calls `link` what holds an object."""
    if _target(operand) or _kind(operand) == "object":
        return "link"
    if isinstance(operand, ListValue):
        return "list"
    return {"number": "double", "text": "string"}.get(_kind(operand), _kind(operand))


def _find_position(*operands: Operand) -> int | None:
    for operand in operands:
        inner = (operand.left, operand.right) if isinstance(operand, Arithmetic) else ()
        position = _find_position(*inner) if inner else getattr(operand, "position", None)
        if position is not None:
            return position
    return None


def _has_property(operand: Operand) -> bool:
    if isinstance(operand, Arithmetic):
        return _has_property(operand.left) or _has_property(operand.right)
    return isinstance(operand, Path)


# --- What back ends see ---


def lower(node: Node) -> Node:
    """A bound node in the words that every back end must know: Truth, And, Or, Not, and Comparison of scalars (a
    constant never stands left of a property, except in string operators), or IN with a list without quantifier. Links
    are their keys."""
    match node:
        case And(nodes):
            return and_(*map(lower, nodes))
        case Or(nodes):
            return or_(*map(lower, nodes))
        case Not(inner):
            return not_(lower(inner))
        case Comparison(operator, left, right, fold):
            if operator == "BETWEEN":
                assert isinstance(right, ListValue)
                low, high = right.items
                return and_(_comparison(">=", left, low), _comparison("<=", left, high))
            if isinstance(left, ListValue):
                return _lower_list(left, lambda item: _comparison(operator, item, right, fold))
            if isinstance(right, ListValue):
                each = "==" if operator == "IN" else operator
                if each == "==" and right.quantifier in ("", "ANY") and right.items:
                    items = tuple(dict.fromkeys(_plain(item) for item in right.items))
                    return Comparison("IN", left, ListValue(items), fold)  # type: ignore[arg-type]
                return _lower_list(right, lambda item: _comparison(each, left, item, fold))
            return _comparison(operator, left, right, fold)
    return node


def _lower_list(items: ListValue, compare: Callable[[Any], Node]) -> Node:
    nodes = [compare(item) for item in items.items]
    if items.quantifier == "ALL":
        return and_(*nodes)
    return not_(or_(*nodes)) if items.quantifier == "NONE" else or_(*nodes)


def _comparison(operator: str, left: Operand, right: Operand, fold: bool = False) -> Comparison:
    left, right = _plain(left), _plain(right)
    if operator in _STRING_OPERATORS and _kind(left) == "null":
        return Comparison("==", right, left)  # only null is in null
    if isinstance(left, Constant) and operator in _MIRRORED:
        return Comparison(_MIRRORED[operator], right, left, fold)
    return Comparison(operator, left, right, fold)


def _plain(operand: Operand) -> Operand:
    if isinstance(operand, Constant) and operand.type == "object":
        key: Constant = operand.value[1]
        return key
    return operand


def wire(constant: Constant) -> Any:
    """The wire value of a bound constant; a link's is its key."""
    if constant.type == "object":
        return wire(constant.value[1])
    return None if constant.type == "null" else encode(constant.type, constant.value)


# --- Questions about bound nodes ---


def equality_keys(node: Node) -> dict[str, frozenset[Any]]:
    """Every property for which the node implies that its wire value is one of these (None: null). How views are
    indexed (R5)."""
    return _equality_keys(lower(node))


def _equality_keys(node: Node) -> dict[str, frozenset[Any]]:
    match node:
        case Comparison("==", Path() as path, Constant() as constant, False) if not path.counted:
            return {path.name: frozenset((wire(constant),))}
        case Comparison("IN", Path() as path, ListValue(items), False) if not path.counted:
            return {path.name: frozenset(wire(item) for item in items if isinstance(item, Constant))}
        case And(nodes):
            found: dict[str, frozenset[Any]] = {}
            for inner in nodes:
                for name, values in _equality_keys(inner).items():
                    found[name] = found[name] & values if name in found else values
            return found
        case Or(nodes):
            branches = [_equality_keys(inner) for inner in nodes]
            shared = set(branches[0]).intersection(*branches[1:])
            return {name: frozenset().union(*(branch[name] for branch in branches)) for name in sorted(shared)}
    return {}


def properties(node: Node) -> set[str]:
    """The names of the properties that the node reads."""
    return {path.name for path in _paths(node)}


def _paths(item: Node | Operand) -> Iterator[Path]:
    match item:
        case Path():
            yield item
        case And(nodes) | Or(nodes):
            for inner in nodes:
                yield from _paths(inner)
        case Not(inner):
            yield from _paths(inner)
        case Comparison(left=left, right=right) | Arithmetic(left=left, right=right):
            yield from _paths(left)
            yield from _paths(right)
        case Subquery(path=path):
            yield path


def check_subscribable(query: Query) -> None:
    """Raises QueryError, with the reason, for what a subscription cannot keep live: clauses, relation paths,
    collections, aggregates, subqueries, and what a database computes in its own way (`server_problem`: known of bound
    queries only; the rest of parsed ones too)."""
    for clause in query.clauses:
        word = type(clause).__name__.upper()
        raise QueryError(
            f"{word} cannot be used in a subscription: sort and limit the objects when you read them.", query.text
        )
    for comparison in comparisons(query.predicate):
        if comparison.operator in ("TEXT", "GEOWITHIN"):
            problem = f"{comparison.operator} cannot be used in a subscription."
            raise QueryError(problem, query.text, comparison.position)
        for side in (comparison.left, comparison.right):
            if isinstance(side, Subquery):
                raise QueryError("SUBQUERY cannot be used in a subscription.", query.text, comparison.position)
    for comparison in comparisons(lower(query.predicate)):
        if problem := server_problem(comparison):
            raise QueryError(problem, query.text)
    for path in _paths(query.predicate):
        if path.quantifier or any(isinstance(step, Index) for step in path.steps):
            raise QueryError("Collections cannot be used in a subscription.", query.text, path.position)
        if any(str(step).startswith("@") for step in path.steps):
            problem = f"'{_path_text(path)}' cannot be used in a subscription: aggregates and relations are for reads."
            raise QueryError(problem, query.text, path.position)
        if len(path.steps) > 1 and path.steps[1:] != (PRIMARY_KEY,):
            problem = (
                f"The key path '{_path_text(path)}' cannot be used in a subscription: "
                "only properties of the object itself."
            )
            raise QueryError(problem, query.text, path.position)


def server_problem(comparison: Comparison) -> str:
    """Why the server's databases cannot compute this bound comparison as the clients do; "" if they can.

    Integers wrap everywhere. But PostgreSQL raises where a double overflows, rounds quotients of decimals in its own
    way, and has neither case folding nor `replace` for bytes.
    """
    sides = (comparison.left, comparison.right)
    for side in sides:
        if isinstance(side, Arithmetic) and side.type not in ("", "int"):
            return f"Arithmetic on '{side.type}' values cannot be used in a subscription: only on 'int' ones."
    if "data" in map(_kind, sides):
        if comparison.fold:
            return "[c] on binary data cannot be used in a subscription."
        if comparison.operator == "LIKE" and not isinstance(comparison.right, Constant):
            return "LIKE with the pattern in a property cannot be used in a subscription on binary data."
    return ""


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


# --- Canonical text ---


def to_text(item: Node | Query) -> str:
    """The canonical text: parses to an equal query, and two texts are equal exactly when the queries are."""
    if not isinstance(item, Query):
        return _node_text(item)
    return " ".join([_node_text(item.predicate), *map(_clause_text, item.clauses)])


def _node_text(node: Node) -> str:
    match node:
        case Truth(value):
            return "TRUEPREDICATE" if value else "FALSEPREDICATE"
        case And(nodes):
            return " and ".join(
                f"({_node_text(inner)})" if isinstance(inner, Or) else _node_text(inner) for inner in nodes
            )
        case Or(nodes):
            return " or ".join(map(_node_text, nodes))
        case Not(inner):
            return f"!({_node_text(inner)})"
        case Comparison(operator, left, right, fold):
            return f"{_operand_text(left)} {operator}{'[c]' if fold else ''} {_operand_text(right)}"
    raise TypeError(f"not a node: {node!r}")


def _clause_text(clause: Clause) -> str:
    match clause:
        case Sort(keys):
            return "SORT(" + ", ".join(f"{_path_text(path)} {'ASC' if up else 'DESC'}" for path, up in keys) + ")"
        case Distinct(paths):
            return f"DISTINCT({', '.join(map(_path_text, paths))})"
        case Limit(count):
            return f"LIMIT({count})"


def _operand_text(operand: Operand) -> str:
    match operand:
        case Constant():
            return _constant_text(operand)
        case Path():
            return _path_text(operand)
        case ListValue(items, quantifier):
            listed = "{" + ", ".join(map(_operand_text, items)) + "}"
            return f"{quantifier} {listed}" if quantifier else listed
        case Arithmetic(operator, left, right):
            sides = [f"({_operand_text(s)})" if isinstance(s, Arithmetic) else _operand_text(s) for s in (left, right)]
            return f"{sides[0]} {operator} {sides[1]}"
        case Subquery(path, variable, predicate, word):
            return f"SUBQUERY({_path_text(path)}, {variable}, {_node_text(predicate)}).{word}"
        case Geometry(shape, rings, radius):
            return _geometry_text(shape, rings, radius)
    raise TypeError(f"not an operand: {operand!r}")


def _geometry_text(shape: str, rings: tuple[Any, ...], radius: Any) -> str:
    def points(ring: tuple[tuple[Decimal, ...], ...]) -> str:
        return ", ".join("[" + ", ".join(map(_number_text, point)) + "]" for point in ring)

    if shape == "geoPolygon":
        return f"geoPolygon({', '.join('{' + points(ring) + '}' for ring in rings)})"
    if shape == "geoBox":
        return f"geoBox({points(rings[0])})"
    radius_text = _constant_text(radius) if isinstance(radius, Constant) else _number_text(radius)
    return f"geoCircle({points(rings[0])}, {radius_text})"


def _path_text(path: Path) -> str:
    text = f"{path.quantifier} " if path.quantifier else ""
    for position, step in enumerate(path.steps):
        if isinstance(step, Index):
            text += f"[{_index_text(step)}]"
        else:
            escaped = re.sub(
                r"[ \n\r\t]", lambda match: {" ": "\\ ", "\n": "\\n", "\r": "\\r", "\t": "\\t"}[match[0]], step
            )
            text += f".{escaped}" if position else escaped
    return text


def _index_text(index: Index) -> str:
    value = index.value
    if isinstance(value, str):
        return value
    return _operand_text(value)


def _constant_text(constant: Constant) -> str:
    value = constant.value
    match constant.type:
        case "null":
            return "NULL"
        case "bool":
            return "true" if value else "false"
        case "int" | "internal":
            return str(value)
        case "number" | "decimal128":
            return _number_text(value)
        case "float" | "double":
            return _number_text(_from_float(value))
        case "string":
            return f'"{value}"' if _is_plain(value) else _base64_text(value.encode())
        case "text":
            return _base64_text(value)
        case "data":
            return f"binary({_base64_text(value)})"
        case "date":
            delta = value - datetime(1970, 1, 1, tzinfo=UTC)
            return f"T{delta.days * 86_400 + delta.seconds}:{delta.microseconds * 1000}"
        case "objectId":
            return f"oid({value})"
        case "uuid":
            return f"uuid({value})"
        case "object":
            name, key = value
            return f'obj("{name}", {_constant_text(key)})'
    raise TypeError(f"not a constant: {constant!r}")


def _base64_text(value: bytes) -> str:
    return f'B64"{base64.b64encode(value).decode()}"'


def _number_text(value: Decimal) -> str:
    """A number with a fraction or an exponent, always in the same spelling: 0.1, 5.0, 1.5e+30."""
    if not value.is_finite():
        return "NaN" if value.is_nan() else ("inf" if value > 0 else "-inf")
    sign, digits, _ = value.as_tuple()
    prefix = "-" if sign else ""
    figures = "".join(map(str, digits)).strip("0") if value else ""
    if not figures:
        return f"{prefix}0.0"
    point = value.adjusted() + 1  # digits before the point
    if not -6 < point <= 17:
        return f"{prefix}{figures[0]}.{figures[1:] or '0'}e{point - 1:+d}"
    if point <= 0:
        return f"{prefix}0.{'0' * -point}{figures}"
    return f"{prefix}{figures[:point].ljust(point, '0')}.{figures[point:] or '0'}"
