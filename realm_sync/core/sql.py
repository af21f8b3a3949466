"""Queries as SQL: the WHERE and ORDER BY of the client's SQLite store, and the writer that the server's dialects
extend.

Decides how each operator is written so that it selects the rows that predicate.py selects (R4): every condition is
true or false, never NULL, so that NOT is the exact complement. Where SQLite has no such operator, a registered function
calls operators.py itself; deep comparisons and paths (nodes.py) become calls of `realm_test` and `realm_order`
(client/queries.py), by the number that the caller gives them. `SqlWriter` knows the client's columns; filters.py derives
one writer per database of the server from it and overrides what differs. Opens no connection and runs nothing. Takes
bound nodes only (binding.bind); called by client/results.py.

Columns of the client store, by property type: bool 0/1, int INTEGER, float and double REAL (NaN as the text 'NaN'),
decimal128, string, date, objectId and uuid TEXT as on the wire, data BLOB, links as the key's type.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from .lowering import lower
from .nodes import (
    STRING_OPERATORS,
    And,
    Arithmetic,
    Clause,
    Comparison,
    Constant,
    ListValue,
    Node,
    Not,
    Operand,
    Or,
    Path,
    Sort,
    Truth,
    is_deep,
    own_properties,
)
from .operators import UNORDERED, arithmetic, fold, like, mixed_rank
from .schema import PRIMARY_KEY
from .values import decimal_sort_key, decimal_text, encode


class Sql(NamedTuple):
    """SQL text and the parameters of its placeholders, in order."""

    text: str
    params: tuple[Any, ...] = ()


class Term(NamedTuple):
    """An operand in a form that SQL compares as Realm does. `optional`: it can be NULL. `constant`: its value, if it
    has one."""

    sql: Sql
    type: str
    optional: bool
    constant: Constant | None = None


Numbering: TypeAlias = Callable[["Comparison | Path"], int]
"""Gives deep comparisons and paths the numbers by which SQL names them."""


def _unnumbered(item: Comparison | Path) -> int:
    raise TypeError(f"this needs a numbering: {item!r}")


def to_where(node: Node, numbering: Numbering = _unnumbered) -> tuple[str, list[Any]]:
    """The WHERE condition (without the keyword) of a bound node for the client's table of its class, and its parameters.
    The connection must have been through `register_functions`."""
    text, params = ClientWriter(numbering).condition(lower(node))
    return text, list(params)


def to_groups(paths: Iterable[Path], numbering: Numbering = _unnumbered) -> tuple[list[str], str]:
    """What rows are told apart by, for bound DISTINCT paths: SQL terms, and the condition (or "") that leaves out rows
    with a null link on the way to a value."""
    terms, conditions = [], []
    for path in paths:
        if path.hops:
            terms.append(f"realm_order({numbering(path)}, 1, {quoted(path.name)})")
            conditions.append(f"{terms[-1]} < '{_NULL_LINK}'")
        else:
            terms.append(ClientWriter(numbering).column(path).text)
    return terms, " AND ".join(conditions)


def to_order(clauses: Iterable[Clause], numbering: Numbering = _unnumbered) -> str:
    """The ORDER BY terms (without the keyword) of bound SORT clauses, "" for none; of several, the later is the
    primary one.

    Ascending: null, NaN, values, null links on the way. Other clauses are ignored: the caller applies LIMIT and DISTINCT, and must sort in
    several steps where a SORT follows one of them. Ties keep the caller's order: append `rowid`.
    """
    writer = ClientWriter(numbering)
    keys = [key for clause in reversed(list(clauses)) if isinstance(clause, Sort) for key in clause.keys]
    return ", ".join(term for path, ascending in keys for term in writer.order(path, ascending))


def quoted(name: str) -> str:
    """An identifier in SQL, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def fill(template: str, *parts: Sql) -> Sql:
    """A template with `{}` for each part, in order; their parameters follow along."""
    return Sql(template.format(*(part.text for part in parts)), tuple(param for part in parts for param in part.params))


class SqlWriter:
    """Writes lowered nodes as SQL for the client's store. Conditions come in parentheses where they are not one
    word."""

    def condition(self, node: Node) -> Sql:
        match node:
            case Truth(value):
                return Sql("(1 = 1)" if value else "(1 = 0)")
            case Not(inner):
                return fill("NOT {}", self.condition(inner))
            case And(nodes):
                return self.joined(" AND ", map(self.condition, nodes))
            case Or(nodes):
                return self.joined(" OR ", map(self.condition, nodes))
            case Comparison():
                return self.comparison(node)

    def joined(self, word: str, parts: Iterable[Sql]) -> Sql:
        # The most deeply nested part first: SQLite's parser then needs one entry of its small stack per level, else
        # three.
        ordered = sorted(parts, key=lambda part: -_depth(part.text))
        return Sql(f"({word.join(part.text for part in ordered)})", tuple(p for part in ordered for p in part.params))

    def comparison(self, node: Comparison) -> Sql:
        if is_deep(node):
            return self.deep_test(node)
        if node.operator == "IN" and isinstance(node.right, ListValue):
            return self.member(self.term(node.left), node.right, node.fold)
        left, right = self.term(node.left), self.term(node.right)
        if node.operator in STRING_OPERATORS:
            return self.string_condition(node.operator, left, right, node.fold)
        if right.constant is not None and right.type == "null":
            return self.null_condition(node.operator, left)
        if node.fold:
            left, right = self.folded(left), self.folded(right)
        left, right = self.aligned(left, right)
        if node.operator == "==":
            return self.equal(left, right)
        if node.operator == "!=":
            return fill("NOT {}", self.equal(left, right))
        return self.ordered(node.operator, left, right)

    def deep_test(self, node: Comparison) -> Sql:
        raise TypeError(f"widen the node first: {node!r}")

    # Operands

    def term(self, operand: Operand) -> Term:
        match operand:
            case Constant(kind, _):
                return Term(self.parameter(operand), kind, kind == "null", operand)
            case Path(counted=""):
                return Term(self.column(operand), operand.type, self.is_optional(operand))
            case Path():
                return self.size(operand)
            case Arithmetic(type="decimal128"):
                number = self.number(operand)
                if number.constant is not None:
                    return self.term(number.constant)
                return number._replace(sql=fill("realm_decimal_key({})", number.sql))
            case Arithmetic():
                return self.number(operand)
        raise TypeError(f"bind the query first: {operand!r}")

    def number(self, operand: Operand) -> Term:
        """An operand of arithmetic. As `term`, but decimals are plain text: their comparable form is a key that nothing
        can be calculated with."""
        match operand:
            case Constant("decimal128", value):
                return Term(Sql(self.placeholder, (decimal_text(value),)), "decimal128", False, operand)
            case Path(counted="", type="decimal128"):
                return Term(self.raw_column(operand), "decimal128", self.is_optional(operand))
            case Arithmetic(operator, left, right, kind):
                a, b = self.number(left), self.number(right)
                if a.constant is not None and b.constant is not None:
                    return self.number(Constant(kind, arithmetic(operator, kind, a.constant.value, b.constant.value)))
                return Term(self.arithmetic(operator, kind, a.sql, b.sql), kind, a.optional or b.optional)
        return self.term(operand)

    def raw_column(self, path: Path) -> Sql:
        """The column as it is stored."""
        return Sql(quoted(path.name))

    def is_optional(self, path: Path) -> bool:
        # Not `path.optional`: rows from before a property was added hold NULL in it.
        return path.name != PRIMARY_KEY

    def column(self, path: Path) -> Sql:
        """The column in comparable form."""
        column = self.raw_column(path)
        return fill("realm_decimal_key({})", column) if path.type == "decimal128" else column

    def parameter(self, constant: Constant) -> Sql:
        """A constant in the comparable form of its type."""
        kind, value = constant.type, constant.value
        if kind == "decimal128":
            value = decimal_sort_key(decimal_text(value))
        elif kind in ("float", "double"):
            value = "NaN" if math.isnan(value) else value
        elif kind == "bool":
            value = int(value)
        elif kind in ("date", "objectId", "uuid"):
            value = self.text(kind, value)
        return Sql(self.placeholder, (value,))

    def text(self, kind: str, value: Any) -> Any:
        """A date, ObjectId or UUID as its column holds it."""
        return encode(kind, value)

    def size(self, path: Path) -> Term:
        column = self.raw_column(path)
        if path.counted == "link":
            return Term(fill(self.has_link_template, column), "int", False)
        return Term(fill(self.size_template(path.counted), column), "int", self.is_optional(path))

    has_link_template = "({} IS NOT NULL)"

    def size_template(self, kind: str) -> str:
        return "length(CAST({} AS BLOB))"

    def arithmetic(self, operator: str, kind: str, left: Sql, right: Sql) -> Sql:
        return fill(f"realm_arithmetic({{}}, {{}}, '{operator}', '{kind}')", left, right)

    # Comparisons

    def aligned(self, left: Term, right: Term) -> tuple[Term, Term]:
        """Both sides in one comparable form; SQLite compares integers with reals exactly by itself."""
        if "decimal128" not in (left.type, right.type):
            return left, right
        return self.as_decimal(left), self.as_decimal(right)

    def as_decimal(self, term: Term) -> Term:
        if term.type == "decimal128":
            return term
        return term._replace(sql=fill("realm_decimal_key({})", term.sql), type="decimal128")

    def null_condition(self, operator: str, left: Term) -> Sql:
        if operator in ("<", ">"):
            return Sql("(1 = 0)")
        return fill("({} IS NOT NULL)" if operator == "!=" else "({} IS NULL)", left.sql)

    def equal(self, left: Term, right: Term) -> Sql:
        if not left.optional and not right.optional:
            return fill("({} = {})", left.sql, right.sql)
        if left.optional and right.optional:
            return fill(self.null_safe_equal, left.sql, right.sql)
        guarded = left if left.optional else right
        return fill("({} = {} AND {} IS NOT NULL)", left.sql, right.sql, guarded.sql)

    null_safe_equal = "({} IS {})"

    def ordered(self, operator: str, left: Term, right: Term) -> Sql:
        """`<` and `>` hold only between values, none of them NaN; `<=` and `>=` are that or equality."""
        guards = [guard for guard in map(self.is_value, (left, right)) if guard is not None]
        template = f"({{}} {operator[0]} {{}}{' AND {}' * len(guards)})"
        strict = fill(template, *self.ordered_sides(left, right), *guards)
        return strict if len(operator) == 1 else fill("({} OR {})", strict, self.equal(left, right))

    def ordered_sides(self, left: Term, right: Term) -> tuple[Sql, Sql]:
        return left.sql, right.sql

    def is_value(self, term: Term) -> Sql | None:
        """That the term is neither NULL nor NaN; None where it cannot be."""
        checks = ["{} IS NOT NULL"] if term.optional else []
        if term.type in ("float", "double", "decimal128"):
            checks.append(self.not_nan(term.type))
        return fill(" AND ".join(checks), *[term.sql] * len(checks)) if checks else None

    def not_nan(self, kind: str) -> str:
        return "{} <> '0'" if kind == "decimal128" else "typeof({}) <> 'text'"

    def member(self, left: Term, values: ListValue, folding: bool) -> Sql:
        items = [item for item in values.items if isinstance(item, Constant)]
        present = [item for item in items if item.type != "null"]
        parts = []
        if len(present) < len(items):
            parts.append(fill("{} IS NULL", left.sql))
        if present:
            needle = self.folded(left).sql if folding else left.sql
            guard = (left.sql,) if left.optional else ()
            template = "({} IN {} AND {} IS NOT NULL)" if guard else "({} IN {})"
            parts.append(fill(template, needle, self.values(left, present, folding), *guard))
        return self.joined(" OR ", parts) if parts else Sql("(1 = 0)")

    def values(self, left: Term, items: list[Constant], folding: bool) -> Sql:
        terms = [self.list_parameter(left, item, folding) for item in items]
        if len(terms) > self.longest_list and all(
            len(term.params) == 1 and _fits_json(term.params[0]) for term in terms
        ):
            return self.long_list([term.params[0] for term in terms])
        return fill(f"({', '.join(['{}'] * len(terms))})", *terms)

    def list_parameter(self, left: Term, item: Constant, folding: bool) -> Sql:
        if folding:
            return Sql(self.placeholder, (fold(item.value),))
        return self.aligned(left, Term(self.parameter(item), item.type, False, item))[1].sql

    placeholder = "?"
    longest_list = 500
    """Most values of an IN list that are parameters of their own; a longer list travels as one JSON array."""

    def long_list(self, values: list[Any]) -> Sql:
        return Sql(f"(SELECT value FROM json_each({self.placeholder}))", (json.dumps(values),))

    # Strings and data

    def folded(self, term: Term) -> Term:
        if term.constant is not None:
            return term._replace(sql=Sql(self.placeholder, (fold(term.constant.value),)))
        return term._replace(sql=fill(self.fold_template(term.type), term.sql))

    def fold_template(self, kind: str) -> str:
        return "realm_fold({})"

    def string_condition(self, operator: str, left: Term, right: Term, folding: bool) -> Sql:
        if right.constant is not None and right.type == "null":
            return self.null_condition("==", left) if operator == "LIKE" else Sql("(1 = 1)")
        kind = "string" if (left.type, right.type) == ("string", "string") else "data"
        sides = [self.folded(side) if folding else side for side in (left, right)]
        if kind == "data":
            sides = [self.as_data(side) for side in sides]
        a, b = (side.sql for side in sides)
        test = self.string_test(operator, kind, a, b, right)
        if left.optional:
            test = fill("({} AND {} IS NOT NULL)", test, a)
        if not right.optional:
            return test
        # A null right side is part of everything, and LIKE null only (predicate.py).
        if operator == "LIKE":
            both = fill("({} IS NULL AND {} IS NULL)", a, b)
            return fill("({} OR ({} AND {} IS NOT NULL))", both, test, b)
        return fill("({} IS NULL OR ({} AND {} IS NOT NULL))", b, test, b)

    def as_data(self, term: Term) -> Term:
        if term.type == "data":
            return term
        return term._replace(sql=fill(self.as_data_template, term.sql), type="data")

    as_data_template = "CAST({} AS BLOB)"

    def string_test(self, operator: str, kind: str, left: Sql, right: Sql, term: Term) -> Sql:
        """The operator for two values that are not NULL."""
        if operator == "LIKE":
            return fill("realm_like({}, {})", left, right)
        if operator == "CONTAINS":
            return fill("(instr({}, {}) > 0)", left, right)
        part = "substr({}, 1, length({}))" if operator == "BEGINSWITH" else "substr({}, -length({}))"
        # The lengths keep empty data away from substr, which makes NULL of it.
        template = f"(length({{}}) >= length({{}}) AND (length({{}}) = 0 OR {part} = {{}}))"
        return fill(template, left, right, right, left, right, right)


class ClientWriter(SqlWriter):
    """What only the client's store has: functions for deep comparisons, and order."""

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering

    def deep_test(self, node: Comparison) -> Sql:
        columns = [Sql(quoted(name)) for name in own_properties(node)]
        call = fill(
            f"realm_test({', '.join(['{}'] * (len(columns) + 1))})", Sql("?", (self.numbering(node),)), *columns
        )
        return fill("({} = 1)", call)

    def order(self, path: Path, ascending: bool) -> list[str]:
        # SQLite sorts NULL first and text (NaN) after numbers.
        direction = "ASC" if ascending else "DESC"
        if path.hops:
            return [f"realm_order({self.numbering(path)}, 0, {quoted(path.name)}) {direction}"]
        column = self.column(path).text
        if path.type not in ("float", "double"):
            return [f"{column} {direction}"]
        is_number = f"({column} IS NOT NULL AND typeof({column}) <> 'text')"
        return [f"({column} IS NOT NULL) {direction}", f"{is_number} {direction}", f"{column} {direction}"]


_NULL_LINK = "9"


def order_text(kind: str, null_link: bool, value: Any, whole: bool) -> str:
    """A text that sorts bytewise as predicate.py sorts what a deep path of this type reads: a value, or a null link on
    the way to one. `whole`: it tells apart even values that have no order."""
    if null_link:
        return _NULL_LINK
    if kind == "mixed":
        if value is None:
            return "0"
        rank = mixed_rank(value)
        return f"2{rank:02d}{_scalar_text(*value) if whole or rank < UNORDERED else ''}"
    if value is None:
        return "0"
    return f"2{_scalar_text(kind, value)}" if value == value else "1"


def _scalar_text(kind: str, value: Any) -> str:
    if kind in ("int", "float", "double", "decimal128"):
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # exactly, as integers compare with it
        return decimal_sort_key(repr(value) if isinstance(value, float) else str(value))
    if kind == "bool":
        return str(int(value))
    if kind == "data":
        return str(value.hex())
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _depth(text: str) -> int:
    """How deeply a condition nests: parentheses and NOTs."""
    depth = deepest = 0
    for piece in text.replace("NOT ", "(").split("(")[1:]:
        depth += 1
        deepest = max(deepest, depth)
        depth -= piece.count(")")
    return deepest


def _fits_json(value: Any) -> bool:
    return isinstance(value, (int, str))  # not floats: SQLite 3.40 reads some of them with the last bit wrong


# --- Functions for SQLite, of the client's store and of the server ---


def register_functions(connection: sqlite3.Connection) -> None:
    """Gives a connection the deterministic functions that queries use; every connection needs them, once."""
    for name, count, function in (
        ("realm_decimal_key", 1, _decimal_key),
        ("realm_arithmetic", 4, _arithmetic),
        ("realm_fold", 1, fold),
        ("realm_like", 2, _like),
    ):
        connection.create_function(name, count, function, deterministic=True)


def _decimal_key(value: Any) -> str | None:
    """Decimal text, and numbers that are compared with decimals."""
    if value is None:
        return None
    return decimal_sort_key(repr(value) if isinstance(value, float) else str(value))


def _arithmetic(left: Any, right: Any, operator: str, kind: str) -> Any:
    result = arithmetic(operator, kind, _number(left), _number(right))
    if isinstance(result, Decimal):
        return decimal_text(result)
    # SQLite turns NaN into NULL.
    return "NaN" if result != result else result


def _number(value: Any) -> Any:
    return Decimal(value) if isinstance(value, str) else value


def _like(value: Any, pattern: Any) -> bool | None:
    return None if value is None or pattern is None else like(value, pattern)
