"""What capture needs to know of a column: how its values are stored, and how its triggers are called.

Decides the storage kind of every Django field, which the two dialects turn into SQL, and the names of triggers.
Knows no SQL dialect, no connection and no registry: sqlite.py and postgresql.py do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from typing import Any, Literal, NamedTuple

from django.db import models

from realm_sync.fields import Decimal128Field, ObjectIdField
from realm_sync.registry import realm_type

PREFIX = "realm_sync_"
LONGEST_NAME = 63
"""Bytes of an identifier in PostgreSQL; longer ones are cut without a word."""

State = Literal["INSTALLED", "OUTDATED", "MISSING", "STRAY"]


class Trigger(NamedTuple):
    """One trigger as the registry wants it. `sql` creates it where none of its name exists."""

    name: str
    sql: str

    @property
    def hash(self) -> str:
        """Changes whenever the trigger would."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]


class Bound(NamedTuple):
    """What of a ModelSync its table can serve now: between two migrations it may lack columns of the model."""

    model: type[models.Model]
    class_name: str
    primary_key: Any
    fields_by_name: dict[str, Any]
    columns: frozenset[str]
    """The columns of the table."""


def bind(binding: Any, columns: Collection[str]) -> Bound | None:
    """The binding without fields whose column is missing; None if that is the primary key."""
    fields = {name: field for name, field in binding.fields_by_name.items() if field.column in columns}
    if binding.primary_key.column not in columns:
        return None
    return Bound(binding.model, binding.class_name, binding.primary_key, fields, frozenset(columns))


def properties(sql: str) -> frozenset[str]:
    """The properties in the images that a trigger, or its function, makes."""
    return frozenset(re.findall(r"""[{,]"([^"]+)":""", sql))


class Expected(NamedTuple):
    """The triggers of one model, as its table is now."""

    binding: Bound
    table: str
    """The table's name; on PostgreSQL qualified and quoted."""
    triggers: list[Trigger]


class Installed(NamedTuple):
    """One of our triggers that is there."""

    table: str
    hash: str
    properties: frozenset[str]


class Status(NamedTuple):
    """A trigger that should be there, or one of ours that is and should not (STRAY)."""

    table: str
    name: str
    state: State


def storage(field: Any) -> str:
    """How the values of a field are stored: its Realm type, or what is finer: `bigint`, `fixed`, `day`, `address`."""
    if isinstance(field, models.ForeignKey):
        return storage(field.target_field)
    if isinstance(field, models.GeneratedField):
        return storage(field.output_field)
    kind = realm_type(field)
    if kind is None:
        raise TypeError(f"{field} cannot sync, so it has no image.")
    if isinstance(field, (models.BigIntegerField, models.PositiveBigIntegerField, models.BigAutoField)):
        return "bigint"
    if isinstance(field, models.DateField) and not isinstance(field, models.DateTimeField):
        return "day"
    if kind == "decimal128" and not isinstance(field, Decimal128Field):
        return "fixed"
    if isinstance(field, models.GenericIPAddressField):
        return "address"
    return "string" if isinstance(field, ObjectIdField) else kind


def decimal_field(field: Any) -> Any:
    """The DecimalField behind a field of storage `fixed`."""
    if isinstance(field, models.ForeignKey):
        return decimal_field(field.target_field)
    return field.output_field if isinstance(field, models.GeneratedField) else field


def trigger_name(table: str, event: str) -> str:
    """`realm_sync_<table>_<event>`, shortened with a hash of the table's name where PostgreSQL would cut it."""
    table = table.replace('"', "")
    name = f"{PREFIX}{table}_{event}"
    if len(name.encode()) > LONGEST_NAME:
        digest = hashlib.sha256(table.encode()).hexdigest()[:8]
        kept = table.encode()[: LONGEST_NAME - len(f"{PREFIX}_{digest}_{event}")].decode(errors="ignore")
        name = f"{PREFIX}{kept}_{digest}_{event}"
    return name


def literal(text: str) -> str:
    """A string literal of either dialect."""
    return "'" + text.replace("'", "''") + "'"
