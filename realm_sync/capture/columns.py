"""What capture needs to know of a column: how its values are stored, and how its triggers are called.

Decides the storage kind of every Django field, which the two dialects turn into SQL, and the names of triggers.
Knows no SQL dialect, no connection and no registry: sqlite.py and postgresql.py do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from typing import Any, Literal, NamedTuple

from django.db import models

from realm_sync.fields import Decimal128Field, ObjectIdField, is_array, realm_type

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


class Links(NamedTuple):
    """A ManyToManyField, which is a set of links: the rows of its through table."""

    property: str
    table: str
    """The through table: its name, or as the dialect qualifies and quotes it."""
    owner: Any
    """The foreign key to the object that has the set."""
    target: Any
    """The foreign key to what is in it."""
    cascades: bool = False
    """PostgreSQL: the database itself, not Django, removes the rows of an owner that is deleted."""


def links(name: str, field: Any) -> Links:
    """The rows behind a ManyToManyField."""
    through = field.remote_field.through._meta
    owner, target = field.m2m_field_name(), field.m2m_reverse_field_name()
    return Links(name, through.db_table, through.get_field(owner), through.get_field(target))


class Bound(NamedTuple):
    """What of a ModelSync its table can serve now: between two migrations it may lack columns of the model."""

    model: type[models.Model]
    class_name: str
    primary_key: Any
    fields_by_name: dict[str, Any]
    sets: tuple[Links, ...]
    """Those whose table exists."""
    columns: frozenset[str]
    """The columns of the table."""

    @property
    def names(self) -> list[str]:
        """Every property in the image."""
        return [*self.fields_by_name, *(each.property for each in self.sets)]


def all_links(binding: Any) -> tuple[Links, ...]:
    """Every set of links of a ModelSync."""
    return tuple(links(name, field) for name, field in binding.sets_by_name.items())


def bind(binding: Any, columns: Collection[str], sets: Iterable[Links]) -> Bound | None:
    """The binding without fields whose column is missing, and with these sets, whose tables exist. None if the column
    of the primary key is missing."""
    fields = {name: field for name, field in binding.fields_by_name.items() if field.column in columns}
    if binding.primary_key.column not in columns:
        return None
    return Bound(binding.model, binding.class_name, binding.primary_key, fields, tuple(sets), frozenset(columns))


def properties(sql: str) -> frozenset[str]:
    """The properties in the images that a trigger, or its function, makes."""
    return frozenset(re.findall(r"""[{,]"([^"]+)":""", sql))


def mentions(sql: str) -> frozenset[str]:
    """The names that a trigger, or its function, uses: its tables and their columns among them."""
    return frozenset(quoted or plain for quoted, plain in re.findall(r'"([^"]+)"|(\w+)', sql))


class Expected(NamedTuple):
    """The triggers that one table should have for a model, as they are now: its own table, or the through table of a
    set of links."""

    binding: Bound
    table: str
    """The table's name; on PostgreSQL qualified and quoted."""
    triggers: list[Trigger]
    of_set: bool = False


class Installed(NamedTuple):
    """One of our triggers that is there."""

    table: str
    hash: str
    properties: frozenset[str]
    mentions: frozenset[str]


class Status(NamedTuple):
    """A trigger that should be there, or one of ours that is and should not (STRAY)."""

    table: str
    name: str
    state: State


def storage(field: Any) -> str:
    """How the values of a field are stored: its Realm type, or what is finer or coarser: `bigint`, `fixed`, `day`,
    `address`, `array` (of PostgreSQL), `json` (whatever a column of wire JSON holds)."""
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
    if is_array(field):
        return "array"
    if isinstance(field, models.JSONField):
        return "json"
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


def empty(field: Any) -> str:
    """The JSON of a column that is null."""
    field = field.output_field if isinstance(field, models.GeneratedField) else field
    return {"list": "[]", "set": "[]", "dictionary": "{}"}.get(str(realm_type(field)), "null")


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
