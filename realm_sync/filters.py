"""Queries and Django: RQL nodes to a `Q` that any queryset filters by.

Decides how the operators are written for the columns that Django makes on SQLite and PostgreSQL (core/sql.py has the
rest). Deep comparisons (nodes.py) are left out of the Q, which then finds more. Every condition is two-valued, so that
`~to_q(node)` is the exact complement (R4). Knows neither models' registration nor users; downloads.py calls it, apps.py
connects `register_sqlite_functions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Expression

from .core.errors import QueryError
from .core.lowering import lower, widen
from .core.nodes import Constant, Node, Path, comparisons, is_deep, properties
from .core.operators import LOWER, UPPER
from .core.sql import Sql, SqlWriter, Term, fill, register_functions
from .core.subscribable import server_problem
from .core.text import to_text


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


def storage_field(field: Any) -> Any:
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
        self.sql, self.field = sql, storage_field(field)
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
        if is_day(field):
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
        if is_day(field):
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


def is_day(field: Any) -> bool:
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
