"""Model fields for the Realm types that Django has no field for: objectId, decimal128 and float.

Decides how such a value is stored on each database and what Python value it is. Knows nothing of classes, queries or
triggers: types.py maps fields to Realm types, capture/ turns columns into wire images, values.py owns the values.
"""

from __future__ import annotations

import secrets
import time
from decimal import Decimal, DecimalException
from typing import Any

from django import forms
from django.core import exceptions
from django.db import models
from django.db.migrations.serializer import BaseSerializer
from django.db.models import lookups
from django.utils.translation import gettext_lazy as _

from ..core.errors import ValueTypeError
from ..core.values import DECIMAL128, ObjectId, decimal_text, single


def new_object_id() -> ObjectId:
    """A fresh ObjectId: the seconds since 1970 and eight random bytes. Meant as a field's `default`."""
    return ObjectId.build(int(time.time()), secrets.token_bytes(8))


class ObjectIdField(models.Field):
    """A Realm `objectId`: 24 lower-case hex digits on every database, `core.values.ObjectId` in Python.

    Assigning or querying with 24 hex digits or 12 bytes works too; anything else is a ValidationError.
    """

    realm_type = "objectId"
    description = _("ObjectId")
    empty_strings_allowed = False
    default_error_messages = {"invalid": _("“%(value)s” is not an ObjectId (24 hex digits).")}

    def db_type(self, connection: Any) -> str:
        return "char(24)"

    def to_python(self, value: Any) -> ObjectId | None:
        if value is None or isinstance(value, ObjectId):
            return value
        try:
            return ObjectId(value)
        except ValueTypeError:
            raise exceptions.ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            ) from None

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> ObjectId | None:
        return None if value is None else ObjectId(value)

    def get_prep_value(self, value: Any) -> str | None:
        value = self.to_python(super().get_prep_value(value))
        return None if value is None else str(value)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else str(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"max_length": 24, "empty_value": None} | kwargs)


class ObjectIdSerializer(BaseSerializer):
    """Writes an ObjectId that is a field's default into migrations."""

    def serialize(self) -> tuple[str, set[str]]:
        return f"realm_sync.core.values.ObjectId({str(self.value)!r})", {"import realm_sync.core.values"}


class Decimal128Field(models.Field):
    """A Realm `decimal128`: 34 significant digits, NaN and infinities, no fixed number of places.

    PostgreSQL has `numeric` for it. SQLite has no decimals, and Django's DecimalField loses digits there (it stores
    doubles), so the column is text in canonical form: equal values are equal text, and `__lt`, `__lte`, `__gt`,
    `__gte` and `__range` compare by value. `order_by()`, arithmetic and aggregates on SQLite work on the text.
    """

    realm_type = "decimal128"
    description = _("Decimal number of 34 digits")
    empty_strings_allowed = False
    default_error_messages = {"invalid": _("“%(value)s” is not a number within the range of decimal128.")}

    def db_type(self, connection: Any) -> str:
        return "numeric" if connection.vendor == "postgresql" else "text"

    def to_python(self, value: Any) -> Decimal | None:
        if value is None:
            return None
        try:
            # A float means the shortest decimal that denotes it: 0.1 is 0.1, not 0.1000000000000000055.
            return DECIMAL128.create_decimal(repr(value) if isinstance(value, float) else value)
        except (DecimalException, TypeError, ValueError):
            raise exceptions.ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            ) from None

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        return None if value is None else Decimal(value)

    def get_prep_value(self, value: Any) -> Decimal | None:
        return self.to_python(super().get_prep_value(value))

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        value = super().get_db_prep_value(value, connection, prepared)
        return decimal_text(value) if isinstance(value, Decimal) and connection.vendor == "sqlite" else value

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else str(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": forms.DecimalField} | kwargs)


class _ByValue:
    """A comparison of Decimal128Field that SQLite makes on sort keys: `realm_decimal_key` (core/values.py) of both."""

    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> tuple[str, Any]:
        sql, params = super().process_lhs(compiler, connection, lhs)  # type: ignore[misc]
        return _keys(sql, connection), params

    def process_rhs(self, compiler: Any, connection: Any) -> tuple[Any, Any]:
        sql, params = super().process_rhs(compiler, connection)  # type: ignore[misc]
        # A range has two right-hand sides.
        return (_keys(sql, connection) if isinstance(sql, str) else [_keys(each, connection) for each in sql]), params


def _keys(sql: str, connection: Any) -> str:
    return f"realm_decimal_key({sql})" if connection.vendor == "sqlite" else sql


for _lookup in (
    lookups.LessThan,
    lookups.LessThanOrEqual,
    lookups.GreaterThan,
    lookups.GreaterThanOrEqual,
    lookups.Range,
):
    Decimal128Field.register_lookup(type(f"Decimal{_lookup.__name__}", (_ByValue, _lookup), {}))


class Float32Field(models.FloatField):
    """A Realm `float`: a double column whose values are rounded to 32 bits when they are written."""

    realm_type = "float"
    description = _("Floating point number of 32 bits")

    def to_python(self, value: Any) -> float | None:
        value = super().to_python(value)
        return None if value is None else single(value)

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return single(value) if isinstance(value, float) else value
