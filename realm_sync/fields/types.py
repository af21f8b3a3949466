"""Which Realm type a model field has, and the wire value of what it holds.

Decides the Realm type of every Django field, and how one value of a field becomes wire JSON and comes back; fields of
realm_sync say both themselves. Knows nothing of classes and of who links to whom: registry.py makes properties.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from ..core.errors import ValueTypeError, describe
from ..core.values import SCALARS, decode, encode

LONGEST_KEY = 255
"""Longest string key in characters: what the history's `object_id` column holds."""

_TYPES: tuple[tuple[type[models.Field], str], ...] = (
    (models.BooleanField, "bool"),
    (models.IntegerField, "int"),
    (models.FloatField, "double"),
    (models.DecimalField, "decimal128"),
    (models.FileField, "string"),
    (models.CharField, "string"),
    (models.TextField, "string"),
    (models.GenericIPAddressField, "string"),
    (models.BinaryField, "data"),
    (models.DateField, "date"),
    (models.UUIDField, "uuid"),
)
"""Django's fields and what they are in Realm; subclasses included (a DateTimeField is a DateField)."""


def realm_type(field: Any) -> str | None:
    """The Realm type of a concrete field's column, or None if it cannot sync; a ForeignKey's is its target's."""
    if isinstance(field, models.ForeignKey):
        return realm_type(field.target_field)
    if isinstance(field, models.GeneratedField):
        return realm_type(field.output_field)
    if own := getattr(field, "realm_type", None):
        return str(own)
    if type(field) is models.JSONField:  # a subclass may hold anything
        return "mixed"
    if is_array(field):
        return "list" if realm_type(field.base_field) in SCALARS else None
    if hasattr(field, "from_db_value"):
        # Its Python value is not what the column holds (an encrypted text, say), and the database builds images (R12).
        return None
    return next((name for kind, name in _TYPES if isinstance(field, kind)), None)


def is_array(field: Any) -> bool:
    """Whether it is PostgreSQL's ArrayField, told without importing it: that needs psycopg."""
    return any(
        (each.__module__, each.__name__) == ("django.contrib.postgres.fields.array", "ArrayField")
        for each in type(field).__mro__
    )


def to_wire(field: Any, value: Any) -> Any:
    """The wire value of a field's Python value. ValidationError for what the field's type cannot hold."""
    if value is None:
        return None
    if hasattr(field, "to_wire"):
        return field.to_wire(value)
    if isinstance(field, models.FileField):
        return encode("string", str(value or ""))
    kind = str(realm_type(field))
    value = field.to_python(value)
    if kind == "date":
        value = _moment(value)
    try:
        return encode(kind, value)
    except ValueTypeError as error:
        raise ValidationError(
            f"Expected {error.expected}, got {describe(error.value)}.", code="PropertyTypeMismatch"
        ) from error


def from_wire(field: Any, wire: Any) -> Any:
    """The Python value of a wire value. What does not fit the type comes out as it is, so that somebody can mend it:
    any program may have written the column."""
    if wire is None:
        return None
    if hasattr(field, "from_wire"):
        return field.from_wire(wire)
    try:
        value = decode(str(realm_type(field)), wire)
    except ValueTypeError:
        return wire
    if isinstance(value, datetime) and not isinstance(field, models.DateTimeField):
        return value.date()
    return value


def parse(field: Any, value: Any) -> Any:
    """The Python value of a part of a column, as people give it or as the core decodes it. ValidationError."""
    if hasattr(field, "parse"):
        return field.parse(value)
    if isinstance(field, models.DateField) and not isinstance(field, models.DateTimeField):
        return _day(field, value)
    return field.to_python(value)


def _day(field: Any, value: Any) -> Any:
    """A day is midnight UTC on the wire, wherever the server is."""
    if isinstance(value, str) and "T" in value:
        try:
            value = decode("date", value)
        except ValueTypeError:
            return field.to_python(value)
    if isinstance(value, datetime) and timezone.is_aware(value):
        value = value.astimezone(UTC)
        if value.time() != time():
            raise ValidationError("Expected a date without a time: midnight UTC.", code="invalid")
        return value.date()
    return field.to_python(value)


def _moment(value: Any) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), tzinfo=UTC)
    return timezone.make_aware(value) if timezone.is_naive(value) else value
