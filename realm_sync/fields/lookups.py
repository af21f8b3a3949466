"""Lookups of columns of JSON, meaning the same on both databases.

    tags__contains="a"              has the element; of a list of them, all
    tags__len__gt=2                 number of elements or keys
    address__city="Oslo"            a property, an index or a key, and on: parts__0__maker__city__icontains="os"
    phones__has_key="home"          Django's own
    anything=None                   is null

Decides the SQL of `contains` and `len`, and how a value is prepared for, and read from, a place inside a column: by the
field of that part, so that dates, UUIDs and links can be given as they are.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import FieldError
from django.db import models
from django.db.models.fields.json import JSONExact, KeyTransform

from .types import from_wire, parse, realm_type, to_wire


class PartValue(models.JSONField):
    """What a key transform to a scalar part gives: prepared and read by the part's field."""

    def __init__(self, part: Any) -> None:
        super().__init__()
        self.part = part

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return to_wire(self.part, parse(self.part, value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return from_wire(self.part, extracted(self.part, value, connection))


def extracted(part: Any, value: Any, connection: Any) -> Any:
    """The wire value that a key transform selects: JSON text on PostgreSQL; SQLite gives texts without quotes, and
    `true`, `false` and `null` as words."""
    kind = realm_type(part)
    if not isinstance(value, str):
        return value
    if connection.vendor == "sqlite" and kind not in ("bool", "mixed", "object", "list", "set", "dictionary"):
        return None if value == "null" else value
    try:
        return json.loads(value)
    except ValueError:
        return value


class ToPart:
    """Makes the key transform to a part when the ORM asks for it."""

    def __init__(self, key: str, part: Any) -> None:
        self.key, self.part = key, part

    def __call__(self, *args: Any, **kwargs: Any) -> KeyTransform:
        output = self.part if isinstance(self.part, models.JSONField) else PartValue(self.part)
        return KeyTransform(self.key, *args, **kwargs, output_field=output)


class Exact(JSONExact):
    """Null is SQL's NULL here, never JSON's: such a column has one way to be null."""

    can_use_none_as_rhs = False


class Length(models.Transform):
    """The number of elements, or of keys."""

    lookup_name = "len"

    @property
    def output_field(self) -> Any:  # type: ignore[override]
        return models.IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        return f"(SELECT count(*) FROM json_each({sql}))", params

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        return (
            f"CASE jsonb_typeof({sql}) WHEN 'array' THEN jsonb_array_length({sql})"
            f" WHEN 'object' THEN (SELECT count(*) FROM jsonb_object_keys({sql})) ELSE 0 END",
            [*params] * 3,
        )


class Contains(models.Lookup):
    """Has the element, or every one of a list, tuple or set of elements."""

    lookup_name = "contains"
    prepare_rhs = False

    def get_prep_lookup(self) -> Any:
        if hasattr(self.rhs, "resolve_expression"):
            raise FieldError("'contains' takes an element or a list of elements, not an expression.")
        base = self.lhs.output_field.base
        values = self.rhs if isinstance(self.rhs, list | tuple | set) else [self.rhs]
        return [to_wire(base, parse(base, each)) for each in values]

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        return f"{sql} @> %s::jsonb", [*params, json.dumps(self.rhs)]

    def as_sqlite(self, compiler: Any, connection: Any) -> Any:
        sql, params = compiler.compile(self.lhs)
        found: list[str] = ["1"]
        given: list[Any] = []
        for wire in self.rhs:
            test, more = _same(wire)
            found.append(f"EXISTS (SELECT 1 FROM json_each({sql}) AS e WHERE {test})")
            given += [*params, *more]
        return f"({' AND '.join(found)})", given


def _same(wire: Any) -> tuple[str, list[Any]]:
    """SQLite's test that the row `e` of json_each is this wire value."""
    if wire is None or isinstance(wire, bool):
        return f"e.type = '{json.dumps(wire)}'", []
    if isinstance(wire, int | float):
        return "e.type IN ('integer', 'real') AND e.value = %s", [wire]
    if isinstance(wire, str):
        return "e.type = 'text' AND e.value = %s", [wire]
    return "e.type IN ('object', 'array') AND json(e.value) = json(%s)", [json.dumps(wire)]
