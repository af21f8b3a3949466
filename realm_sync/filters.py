"""Queries and Django: RQL nodes to a `Q` that any queryset filters by, and an access rule's `Q` to RQL nodes.

Decides how the operators are written for the columns that Django makes on SQLite and PostgreSQL (core/sql.py has the
rest), and which lookups an access rule may use. Deep comparisons (nodes.py) are left out of the Q, which then finds more.
Every condition is two-valued, so that `~to_q(node)` is the exact complement (R4). Knows neither models' registration
nor users; downloads.py and access.py call it, apps.py connects `register_sqlite_functions`.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Expression

from .core.binding import bind
from .core.errors import QueryError, SchemaError, ValueTypeError
from .core.lowering import lower, widen
from .core.nodes import (
    FALSE,
    TRUE,
    Comparison,
    Constant,
    ListValue,
    Node,
    Path,
    Query,
    and_,
    comparisons,
    is_deep,
    not_,
    or_,
    properties,
)
from .core.operators import LOWER, UPPER
from .core.schema import ObjectSchema, Schema
from .core.sql import Sql, SqlWriter, Term, fill, register_functions
from .core.subscribable import server_problem
from .core.text import to_text
from .core.values import encode

# --- RQL to Q ---


def to_q(node: Node, fields: Mapping[str, models.Field[Any, Any]]) -> Q:
    """The bound node as a Q over the model that `fields` (wire name → concrete field) belongs to; if not `is_exact`, it
    finds more than the node selects, and predicate.py must look at each image. Raises QueryError, with the reason, for
    what the databases of the server would compute differently from the clients."""
    lowered = lower(node)
    if problem := server_problem(lowered):
        raise QueryError(problem)
    wide = widen(lowered)
    used = {name: fields[name] for name in sorted(properties(wide))}
    return Q(_Condition(wide, tuple(used.items())))


def is_exact(node: Node) -> bool:
    """Whether the database can say all of the node: nothing in it looks into collections, mixed values or embedded
    objects."""
    return not any(map(is_deep, comparisons(node)))


class _Condition(Expression):
    """A lowered node as a boolean expression; which SQL it becomes is decided by the connection that compiles it."""

    conditional = True
    output_field = models.BooleanField()

    def __init__(self, node: Node, fields: tuple[tuple[str, models.Field[Any, Any]], ...]) -> None:
        super().__init__()
        self.node, self.fields = node, fields
        self.columns: list[Any] = [F(field.attname) for _, field in fields]

    def __repr__(self) -> str:
        return f"<RQL {to_text(self.node)}>"

    def get_source_expressions(self) -> list[Any]:
        return self.columns

    def set_source_expressions(self, exprs: Any) -> None:
        self.columns = list(exprs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        columns = {
            name: _Column(Sql(text, tuple(params)), field)
            for (name, field), expression in zip(self.fields, self.columns, strict=True)
            for text, params in [compiler.compile(expression)]
        }
        writer = _WRITERS[connection.vendor](columns, connection)
        text, params = writer.condition(self.node)
        return text, list(params)


def _storage_field(field: Any) -> Any:
    """The field that decides what the column holds: a ForeignKey's is its target's, a GeneratedField's its output's."""
    while True:
        if isinstance(field, models.ForeignKey):
            field = field.target_field
        elif isinstance(field, models.GeneratedField):
            field = field.output_field
        else:
            return field


class _Column:
    """A compiled column, and the field that says what it holds."""

    def __init__(self, sql: Sql, field: Any) -> None:
        self.sql, self.field = sql, _storage_field(field)
        self.optional = field.null or field.generated


class _DjangoWriter(SqlWriter):
    """What both databases of the server have in common."""

    placeholder = "%s"

    def __init__(self, columns: Mapping[str, _Column], connection: Any) -> None:
        self.columns, self.connection = columns, connection

    def raw_column(self, path: Path) -> Sql:
        return self.columns[path.name].sql

    def is_optional(self, path: Path) -> bool:
        return bool(self.columns[path.name].optional)

    def field(self, path: Path) -> Any:
        return self.columns[path.name].field


class _SqliteWriter(_DjangoWriter):
    """Django on SQLite: UUIDs as 32 hex digits, dates as `2026-01-01 12:00:00`, DecimalField as a real number."""

    def column(self, path: Path) -> Sql:
        column, field = self.raw_column(path), self.field(path)
        if isinstance(field, models.DecimalField):
            # What Django reads back, and what the wire image says: the number rounded to the field's places.
            # More than 15 digits are not in a double; Django reads them as zeros.
            number = "CAST(printf('%%.14e', {}) AS REAL)" if field.max_digits > 15 else "{}"
            text = f"printf('%%.{field.decimal_places}f', {number})"
            return fill(f"CASE WHEN {{}} IS NULL THEN NULL ELSE realm_decimal_key({text}) END", column, column)
        if _is_day(field):
            return fill("({} || ' 00:00:00')", column)
        if getattr(field, "db_collation", None):
            return fill("{} COLLATE BINARY", column)
        return super().column(path)

    def text(self, kind: str, value: Any) -> Any:
        if kind == "date":
            return str(self.connection.ops.adapt_datetimefield_value(value))
        return value.hex if kind == "uuid" else str(value)


class _PostgresWriter(_DjangoWriter):
    """PostgreSQL: types of its own for everything, no functions of ours."""

    null_safe_equal = "({} IS NOT DISTINCT FROM {})"
    as_data_template = "convert_to({}, 'UTF8')"
    has_link_template = "({} IS NOT NULL)::int"
    longest_list = 2**31

    _CASTS = {
        "bool": "boolean", "int": "bigint", "float": "float8", "double": "float8", "decimal128": "numeric",
        "string": "text", "data": "bytea", "date": "timestamptz", "uuid": "uuid",
    }  # fmt: skip

    def column(self, path: Path) -> Sql:
        column, field = self.raw_column(path), self.field(path)
        if _is_day(field):
            return fill("({}::timestamp AT TIME ZONE 'UTC')", column)
        if isinstance(field, models.GenericIPAddressField):
            return fill("host({})", column)
        if getattr(field, "db_collation", None):
            return fill('({} COLLATE "C")', column)
        return column

    def parameter(self, constant: Constant) -> Sql:
        kind, value = constant.type, constant.value
        if kind == "objectId":
            return Sql("%s", (str(value),))
        # CAST, not `::`, which binds more tightly than the minus of the smallest integer.
        return Sql(f"CAST(%s AS {self._CASTS[kind]})" if kind in self._CASTS else "%s", (value,))

    def folded(self, term: Term) -> Term:
        folded = super().folded(term)
        return folded._replace(sql=fill("{}::text", folded.sql)) if term.constant is not None else folded

    def fold_template(self, kind: str) -> str:
        return f"translate({{}}, '{UPPER}', '{LOWER}')"

    def size_template(self, kind: str) -> str:
        return "octet_length({})"

    # Numbers

    def arithmetic(self, operator: str, kind: str, left: Sql, right: Sql) -> Sql:
        # to_q lets only integers through. Computed as numeric, which never overflows, then wrapped to 64 bits.
        if operator != "/":
            return fill(_WRAPPED.replace("VALUE", f"{{}}::numeric {operator} {{}}::numeric"), left, right)
        quotient = fill(_WRAPPED.replace("VALUE", "div({}::numeric, {}::numeric)"), left, right)
        return fill(
            "(CASE WHEN {} IS NULL THEN NULL WHEN {} <> 0 THEN {} WHEN {} IS NULL THEN NULL "
            "WHEN {} < 0 THEN -9223372036854775808 ELSE 9223372036854775807 END)::bigint",
            left, right, quotient, right, left,
        )  # fmt: skip

    def aligned(self, left: Term, right: Term) -> tuple[Term, Term]:
        left_real, right_real = (term.type in ("float", "double") for term in (left, right))
        if "decimal128" in (left.type, right.type) or (left_real != right_real and "int" in (left.type, right.type)):
            exact = "int" in (left.type, right.type)
            return self.as_numeric(left, exact), self.as_numeric(right, exact)
        return left, right

    def as_numeric(self, term: Term, exact: bool) -> Term:
        """A number as numeric. Beside an integer a double counts exactly, beside a decimal by its shortest text."""
        if term.type == "decimal128":
            return term
        if term.type == "int":
            sql = fill("{}::numeric", term.sql)
        elif term.constant is not None:
            value = term.constant.value
            sql = Sql("%s::numeric", (Decimal(value) if exact else Decimal(repr(value)),))
        elif exact:
            sql = fill(_EXACT_NUMERIC, *[term.sql] * 6)
        else:
            sql = fill("{}::text::numeric", term.sql)
        return term._replace(sql=sql, type="decimal128")

    def not_nan(self, kind: str) -> str:
        return "{} <> 'NaN'::numeric" if kind == "decimal128" else "{} <> 'NaN'::float8"

    # Strings and data

    def ordered_sides(self, left: Term, right: Term) -> tuple[Sql, Sql]:
        if left.type in ("string", "objectId"):
            return fill('{} COLLATE "C"', left.sql), right.sql
        return left.sql, right.sql

    def string_test(self, operator: str, kind: str, left: Sql, right: Sql, term: Term) -> Sql:
        if operator == "LIKE":
            if term.constant is not None:
                pattern = _like_pattern(right.params[0], kind)
                cast = "%s::bytea" if kind == "data" else '%s::text COLLATE "C"'
                return fill("({} LIKE {})", left, Sql(cast, (pattern,)))
            escaped = fill(r"replace(replace(replace({}, '\', '\\'), '%%', '\%%'), '_', '\_')", right)
            translated = fill("replace(replace({}, '?', '_'), '*', '%%')", escaped)
            return fill('({} LIKE {} COLLATE "C")', left, translated)
        if kind == "string":
            template = {
                "CONTAINS": "(strpos({}, {}) > 0)",
                "BEGINSWITH": "starts_with({}, {})",
                "ENDSWITH": "(right({}, length({})) = {})",
            }[operator]
            return fill(template, left, right, *([right] if operator == "ENDSWITH" else []))
        if operator == "CONTAINS":
            return fill("(position({} in {}) > 0)", right, left)
        if operator == "BEGINSWITH":
            return fill("(substring({} from 1 for length({})) = {})", left, right, right)
        template = "(length({}) >= length({}) AND substring({} from length({}) - length({}) + 1) = {})"
        return fill(template, left, right, left, left, right, right)


_WRAPPED = (
    "(mod(mod(VALUE + 9223372036854775808, 18446744073709551616) + 18446744073709551616, 18446744073709551616)"
    " - 9223372036854775808)::bigint"
)
_EXACT_NUMERIC = (
    "(CASE WHEN {} = 'NaN'::float8 THEN 'NaN'::numeric WHEN {} >= 9223372036854775808::float8 THEN 'Infinity'::numeric "
    "WHEN {} < -9223372036854775808::float8 THEN '-Infinity'::numeric "
    "ELSE trunc({})::bigint::numeric + ({} - trunc({}))::numeric END)"
)
"""A double for comparison with integers: `double::numeric` of PostgreSQL keeps 15 digits only."""

_WRITERS: dict[str, type[_DjangoWriter]] = {"sqlite": _SqliteWriter, "postgresql": _PostgresWriter}


def _is_day(field: Any) -> bool:
    """A DateField: the Realm date at midnight UTC."""
    return isinstance(field, models.DateField) and not isinstance(field, models.DateTimeField)


def _like_pattern(pattern: Any, kind: str) -> Any:
    """RQL's `?` and `*` as SQL's `_` and `%`."""
    replacements = (("\\", "\\\\"), ("%", "\\%"), ("_", "\\_"), ("?", "_"), ("*", "%"))
    for old, new in replacements:
        pattern = pattern.replace(old.encode(), new.encode()) if kind == "data" else pattern.replace(old, new)
    return pattern


def register_sqlite_functions(sender: Any, connection: Any, **kwargs: Any) -> None:
    """For the signal `connection_created`: gives SQLite connections the functions that queries use."""
    if connection.vendor == "sqlite":
        register_functions(connection.connection)


# --- Q to RQL: access rules ---

_OPERATORS = {
    "exact": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=",
    "startswith": "BEGINSWITH", "endswith": "ENDSWITH", "contains": "CONTAINS",
}  # fmt: skip
_INSTEAD = {
    "iexact": "Databases disagree on upper and lower case; store the text as you compare it, and use `exact`.",
    "icontains": "Databases disagree on upper and lower case; use `contains`.",
    "istartswith": "Databases disagree on upper and lower case; use `startswith`.",
    "iendswith": "Databases disagree on upper and lower case; use `endswith`.",
    "regex": "Use `startswith`, `endswith` or `contains`.",
    "iregex": "Use `startswith`, `endswith` or `contains`.",
    "year": "Use `range`, or `gte` with `lt`.",
    "date": "Use `range`, or `gte` with `lt`.",
}
_XOR_LIMIT = 8


def from_q(q: Q | bool, fields: Mapping[str, models.Field[Any, Any]], cls: ObjectSchema, schema: Schema) -> Node:
    """An access rule as a bound node: a Q over the class's own columns, True or False.

    Lookups: exact, in (lists and querysets, evaluated now), gt, gte, lt, lte, range, isnull, startswith, endswith,
    contains; with & | ~ ^, and model instances as values of foreign keys. Anything else raises SchemaError, which
    names the lookup and says what to use instead: nothing may be guessed where access is decided.
    """
    if isinstance(q, bool):
        return TRUE if q else FALSE
    if not isinstance(q, Q):
        raise SchemaError(cls.name, f"an access rule must be a Q, True or False, not {type(q).__name__}.")
    node = _Rule(fields, cls, schema).node(q)
    try:
        return bind(Query(node), cls, schema).predicate
    except QueryError as error:
        raise SchemaError(cls.name, f"the access rule does not fit the class: {error.problem}.") from error


class _Rule:
    """Translates one Q, with the names under which Django knows the class's columns."""

    def __init__(self, fields: Mapping[str, models.Field[Any, Any]], cls: ObjectSchema, schema: Schema) -> None:
        self.fields, self.cls, self.schema = fields, cls, schema
        self.names = {name: wire for wire, field in fields.items() for name in (field.name, field.attname)}
        self.names |= {"pk": next(wire for wire, field in fields.items() if field.primary_key)}

    def node(self, q: Q) -> Node:
        nodes = [self.child(child) for child in q.children]
        if not nodes and q.negated:
            raise SchemaError(self.cls.name, "`~Q()` matches everything in Django.", "Write True or False.")
        if q.connector == Q.XOR:
            node = self.parity(nodes)
        elif q.connector == Q.OR and nodes:
            node = or_(*nodes)
        else:
            node = and_(*nodes)
        return not_(node) if q.negated else node

    def parity(self, nodes: list[Node]) -> Node:
        if len(nodes) > _XOR_LIMIT:
            raise SchemaError(self.cls.name, f"`^` takes at most {_XOR_LIMIT} conditions.", "Write it with & | ~.")
        result: Node = FALSE
        for node in nodes:
            result = or_(and_(result, not_(node)), and_(not_(result), node))
        return result

    def child(self, child: Any) -> Node:
        if isinstance(child, Q):
            return self.node(child)
        if not isinstance(child, tuple):
            raise SchemaError(
                self.cls.name,
                f"an access rule cannot use the expression {child!r}.",
                "Use lookups of the class's own fields.",
            )
        return self.lookup(*child)

    def lookup(self, key: str, value: Any) -> Node:
        name, *rest = key.split("__")
        wire = self.names.get(name)
        if wire is None:
            remedy = f"Use one of {', '.join(sorted(self.names))}."
            raise SchemaError(
                self.cls.name, f"the access rule uses '{name}', which is not a property that syncs.", remedy
            )
        field = self.fields[wire]
        if isinstance(field, models.ForeignKey) and rest[:1] and rest[0] in ("pk", field.target_field.name):
            rest = rest[1:]
        lookup = rest[0] if len(rest) == 1 else ("__".join(rest) or "exact")
        if lookup not in (*_OPERATORS, "in", "range", "isnull"):
            raise self.refusal(field, key, rest)
        return self.comparison(key, wire, lookup, value)

    def refusal(self, field: Any, key: str, rest: list[str]) -> SchemaError:
        problem = f"the lookup '{key}' cannot be used in an access rule"
        if field.is_relation and rest[0] not in _INSTEAD:
            problem += ": it follows a relation, and only the object's own columns decide who sees it, so far."
            remedy = f"Look up the keys first: Q({field.name}__in=[…])."
            return SchemaError(self.cls.name, problem, remedy)
        remedy = _INSTEAD.get(rest[0]) or f"Use one of {', '.join((*_OPERATORS, 'in', 'range', 'isnull'))}."
        return SchemaError(self.cls.name, f"{problem}.", remedy)

    def comparison(self, key: str, wire: str, lookup: str, value: Any) -> Node:
        path = Path((wire,))
        if lookup == "isnull":
            if not isinstance(value, bool):
                raise SchemaError(self.cls.name, f"'{key}' must be True or False, not {value!r}.")
            return Comparison("==" if value else "!=", path, Constant("null", None))
        if lookup in ("in", "range"):
            items = self.items(key, wire, value)
            if lookup == "in":
                # As in Django, None in the list matches nothing.
                return Comparison("IN", path, ListValue(tuple(item for item in items if item.type != "null")))
            if len(items) != 2 or any(item.type == "null" for item in items):
                raise SchemaError(self.cls.name, f"'{key}' takes two values.")
            return Comparison("BETWEEN", path, ListValue(tuple(items)))
        constant = self.constant(key, wire, value)
        if constant.type == "null" and lookup != "exact":
            raise SchemaError(self.cls.name, f"'{key}' cannot be compared with None.", "Use `isnull`.")
        return Comparison(_OPERATORS[lookup], path, constant)

    def items(self, key: str, wire: str, value: Any) -> list[Constant]:
        if isinstance(value, models.QuerySet):
            value = self.rows(self.fields[wire], value)
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise SchemaError(self.cls.name, f"'{key}' takes a list or a queryset, not {value!r}.")
        return [self.constant(key, wire, item) for item in value]

    def rows(self, field: Any, rows: models.QuerySet[Any]) -> list[Any]:
        """The values of a queryset: its one column, or the keys of its objects."""
        if rows.query.has_select_fields:
            listed = list(rows)
            return [
                next(iter(row.values())) if isinstance(row, dict) else row[0] if isinstance(row, tuple) else row
                for row in listed
            ]
        name = field.target_field.attname if isinstance(field, models.ForeignKey) else "pk"
        return list(rows.values_list(name, flat=True))

    def constant(self, key: str, wire: str, value: Any) -> Constant:
        field = self.fields[wire]
        storage = _storage_field(field)
        if isinstance(value, models.Model):
            if not isinstance(field, models.ForeignKey) or not isinstance(value, field.related_model):
                raise SchemaError(
                    self.cls.name, f"'{key}' cannot be compared with {value!r}, which is no {field.verbose_name}."
                )
            value = getattr(value, storage.attname)
            if value is None:
                raise SchemaError(self.cls.name, f"'{key}' is compared with an object that was never saved.")
        if hasattr(value, "resolve_expression"):
            raise SchemaError(
                self.cls.name, f"'{key}' cannot be compared with the expression {value!r}.", "Use a value."
            )
        if value is None:
            return Constant("null", None)
        kind = self.schema.wire_type(self.cls.properties[wire])
        try:
            converted = _to_core(kind, storage, value)
            encode(kind, converted)
        except (ValidationError, ValueTypeError, ValueError, TypeError, OverflowError) as error:
            raise SchemaError(self.cls.name, f"'{key}' cannot be compared with {value!r}: {error}.") from error
        return Constant(kind, converted)


def _to_core(kind: str, field: Any, value: Any) -> Any:
    """What Django takes as a value of the field, as the core's value of the type (values.py)."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        raise ValueError("a date needs a time zone")
    if kind == "date" and not _is_day(field):
        return value
    value = field.to_python(value)
    if kind == "date":
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    return float(value) if kind in ("float", "double") else str(value) if kind == "string" else value
