"""Access rules: a `Q` that an app writes, as RQL nodes.

Decides which lookups an access rule may use, and what they say: of scalars and foreign keys what they mean to Django; of
collections, embedded objects and mixed values what the query language means by them, null and missing keys included. No
rule is ever run by Django, so nothing may be guessed: what has no exact counterpart is refused, with the way out. Knows
neither models' registration nor users; access.py calls it.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from .core.binding import bind
from .core.errors import QueryError, SchemaError, ValueTypeError
from .core.literals import from_python
from .core.nodes import (
    FALSE,
    TRUE,
    Argument,
    Comparison,
    Constant,
    Index,
    ListValue,
    Node,
    Path,
    Query,
    and_,
    not_,
    or_,
)
from .core.schema import ObjectSchema, Property, Schema
from .core.values import SCALARS, encode
from .filters import is_day, storage_field

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
_LOOKUPS = {
    "list": ("contains", "overlap", "exact"),
    "set": ("contains", "overlap"),
    "dictionary": ("has_key",),
    "embedded": ("isnull",),
}
"""What can be asked of a value that is no scalar; `len` of a collection is a number, of which all that can be asked of
numbers can."""
_WORDS = (*_OPERATORS, *_INSTEAD, "in", "range", "isnull", "overlap", "len", "has_key")
"""Lookups, which no key of a dictionary can be named by in an access rule."""
_KINDS = {"embedded": "an embedded object", "mixed": "mixed value"}
_XOR_LIMIT = 8


def from_q(q: Q | bool, fields: Mapping[str, models.Field[Any, Any]], cls: ObjectSchema, schema: Schema) -> Node:
    """An access rule as a bound node: a Q over the class's own properties, True or False.

    Lookups: exact, in (lists and querysets, evaluated now), gt, gte, lt, lte, range, isnull, startswith, endswith,
    contains; with & | ~ ^, and model instances as values of foreign keys. Into other columns: `address__city`,
    `prices__eur`, `tags__0`; of lists and sets contains, overlap, len and, of lists, exact; of dictionaries has_key and
    len; a ManyToManyField is equal to each of its objects. Anything else raises SchemaError, which names the lookup and
    says what to use instead: nothing may be guessed where access is decided.
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
        prop = self.cls.properties.get(wire or name)
        if prop is not None and self.schema.wire_type(prop) not in SCALARS:
            return self.deep(key, wire or name, prop, rest, value)
        if wire is None:
            remedy = f"Use one of {', '.join(sorted({*self.names, *self.cls.properties}))}."
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

    def deep(self, key: str, wire: str, prop: Property, rest: list[str], value: Any) -> Node:
        """A lookup into a collection, an embedded object or a mixed value."""
        steps: list[str | Index] = [wire]
        while rest and (inner := self.part(prop, rest[0])) is not None:
            step, prop = inner
            steps.append(step)
            rest = rest[1:]
        kind = self.schema.wire_type(prop)
        lookup = "__".join(rest) or "exact"
        links = prop.is_collection and self.schema.element(prop).type == "object"
        if links and kind == "set" and lookup in ("pk", "pk__in", "in", "isnull"):  # a ManyToManyField
            lookup = {"pk": "exact", "pk__in": "in"}.get(lookup, lookup)
        allowed = _LOOKUPS.get(kind, (*_OPERATORS, "in", "range", "isnull"))
        if links and kind == "set":
            allowed = (*allowed, "exact", "in", "isnull")
        if kind == "mixed":
            allowed = tuple(each for each in allowed if each != "contains")
        if lookup not in allowed:
            if kind in ("list", "set", "dictionary"):
                allowed = (*allowed, "len")
            problem = f"the lookup '{key}' cannot be used in an access rule: '{rest[0] if rest else key}' says nothing "
            raise SchemaError(
                self.cls.name, f"{problem}of a {_KINDS.get(kind, kind)} here.", f"Use one of {', '.join(allowed)}."
            )
        return self.deep_comparison(key, Path(tuple(steps)), kind, lookup, value)

    def part(self, prop: Property, name: str) -> tuple[str | Index, Property] | None:
        """The step into a value that a name in a lookup stands for, and what is there; None for a lookup's own name."""
        kind = self.schema.wire_type(prop)
        if kind == "embedded":
            inner = self.schema[str(prop.object_type)].properties.get(name)
            return None if inner is None else (name, inner)
        if name == "len" and kind in _LOOKUPS and kind != "embedded":
            return "@count", Property(type="int")
        if name in _WORDS:
            return None
        if kind in ("list", "mixed") and name.isdecimal():
            return Index(Constant("int", int(name))), self.schema.element(prop) if kind == "list" else prop
        if kind in ("dictionary", "mixed"):
            return Index(Constant("string", name)), self.schema.element(prop) if kind == "dictionary" else prop
        return None

    def deep_comparison(self, key: str, path: Path, kind: str, lookup: str, value: Any) -> Node:
        many = kind in ("list", "set", "dictionary")
        if lookup == "isnull":
            if not isinstance(value, bool):
                raise SchemaError(self.cls.name, f"'{key}' must be True or False, not {value!r}.")
            operator = "==" if value else "!="
            if many:
                return Comparison(operator, Path((*path.steps, "@count")), Constant("int", 0))
            return Comparison(operator, path, Constant("null", None))
        if lookup == "has_key":
            return Comparison("IN", self.value(key, value), Path((*path.steps, "@keys"), "ANY"))
        if lookup in ("in", "range", "overlap"):
            items = tuple(self.value(key, item) for item in self.listed(key, value))
            if lookup == "range" and len(items) != 2:
                raise SchemaError(self.cls.name, f"'{key}' takes two values.")
            left = Path(path.steps, "ANY") if many else path
            return Comparison("BETWEEN" if lookup == "range" else "IN", left, ListValue(items))
        if many and lookup == "contains":
            asked = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
            return and_(*(Comparison("IN", self.value(key, item), Path(path.steps, "ANY")) for item in asked))
        if kind == "list":
            return Comparison("==", path, ListValue(tuple(self.value(key, item) for item in self.listed(key, value))))
        constant = self.value(key, value)
        if constant.type == "null" and lookup != "exact":
            raise SchemaError(self.cls.name, f"'{key}' cannot be compared with None.", "Use `isnull`.")
        return Comparison(_OPERATORS[lookup], Path(path.steps, "ANY") if many else path, constant)

    def listed(self, key: str, value: Any) -> list[Any]:
        if isinstance(value, models.QuerySet):
            return self.rows(None, value)
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise SchemaError(self.cls.name, f"'{key}' takes a list or a queryset, not {value!r}.")
        return list(value)

    def value(self, key: str, value: Any) -> Constant:
        """A value that is compared with a part: as an argument of a query would be."""
        if isinstance(value, models.Model):
            value = value.pk
            if value is None:
                raise SchemaError(self.cls.name, f"'{key}' is compared with an object that was never saved.")
        if isinstance(value, enum.Enum):
            value = value.value
        if hasattr(value, "resolve_expression"):
            raise SchemaError(
                self.cls.name, f"'{key}' cannot be compared with the expression {value!r}.", "Use a value."
            )
        try:
            return from_python(value, Argument(0))
        except QueryError as error:
            raise SchemaError(self.cls.name, f"'{key}' cannot be compared with {value!r}: {error.problem}") from error

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
        storage = storage_field(field)
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
    if kind == "date" and not is_day(field):
        return value
    value = field.to_python(value)
    if kind == "date":
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    return float(value) if kind in ("float", "double") else str(value) if kind == "string" else value
