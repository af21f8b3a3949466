"""Models from Realm object schemas: the Django field of every property.

Decides which field a Realm type becomes where nobody has written a model yet: for `SyncedModel.from_schema` and for
`manage.py realm_sync models`. Knows no registry; what comes the other way, from models to a schema, is registry.py.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from django.core.exceptions import ValidationError
from django.db import models

from .core.declarations import parse_class
from .core.errors import SchemaError
from .core.schema import PRIMARY_KEY, Property
from .fields import (
    LONGEST_KEY,
    CounterField,
    Decimal128Field,
    DictionaryField,
    EmbeddedField,
    EmbeddedObject,
    Float32Field,
    Link,
    ListField,
    MixedField,
    ObjectIdField,
    SetField,
    new_object_id,
)
from .fields.embedded import EmbeddedBase

_FIELDS: dict[str, Callable[..., models.Field]] = {
    "bool": models.BooleanField,
    "int": models.BigIntegerField,
    "float": Float32Field,
    "double": models.FloatField,
    "decimal128": Decimal128Field,
    "string": models.TextField,
    "data": models.BinaryField,
    "date": models.DateTimeField,
    "objectId": ObjectIdField,
    "uuid": models.UUIDField,
}
"""The Django field of each Realm type, for models that are made from a schema."""


Embedded = Mapping[str, "type[EmbeddedObject] | str"]
"""The embedded classes that a schema may name, or the names they will have."""


def fields_of_schema(
    declaration: Mapping[str, Any], app_label: str | None = None, embedded: Embedded | None = None
) -> dict[str, models.Field]:
    """The fields of a Realm object schema by name: of a SyncedModel, whose primary key is called `id`, or of an
    EmbeddedObject.

    With `app_label` links name their target `app_label.Class`, as a model that is made anywhere needs it; else `Class`.
    Linking objects are no fields: a model has the reverse relation of the link. Raises SchemaError for what cannot be.
    """
    stored = with_stored_names(declaration)
    cls = parse_class(stored)
    maker = _Maker(app_label, embedded or {}, cls.embedded)
    if not _is_name(cls.name):
        raise SchemaError(cls.name, "is not a name that a model can have.", "Use letters, digits and underscores.")
    fields: dict[str, models.Field] = {}
    for name, prop in cls.properties.items():
        where = f"{cls.name}.{name}"
        if prop.type == "linkingObjects":
            continue
        if name == PRIMARY_KEY:
            if prop.type != "uuid":  # which a SyncedModel has anyway
                fields["id"] = _key_field(prop)
        elif not _is_name(name) or name.endswith("_") or "__" in name or hasattr(models.Model, name) or name == "id":
            raise SchemaError(where, "is not a name that a model field can have.", "Choose another one with 'mapTo'.")
        else:
            given = stored["properties"][name]
            default = given.get("default", models.NOT_PROVIDED) if isinstance(given, Mapping) else models.NOT_PROVIDED
            fields[name] = maker.field(where, prop, default)
    return fields


def embedded_of_schema(
    declaration: Mapping[str, Any], app_label: str | None = None, embedded: Embedded | None = None
) -> type[EmbeddedObject]:
    """The embedded class of a Realm object schema. Raises SchemaError for what cannot be one."""
    fields = fields_of_schema(declaration, app_label, embedded)
    return cast(type[EmbeddedObject], EmbeddedBase(str(declaration["name"]), (EmbeddedObject,), dict(fields)))


def with_stored_names(declaration: Mapping[str, Any]) -> dict[str, Any]:
    """The declaration under the names that sync: `mapTo` where a property has one."""
    properties = declaration.get("properties")
    if not isinstance(properties, Mapping):
        return dict(declaration)
    names = {
        name: given.get("mapTo", name) if isinstance(given, Mapping) else name for name, given in properties.items()
    }
    renamed = {names[name]: given for name, given in properties.items()}
    if len(renamed) < len(names):
        raise SchemaError(str(declaration.get("name")), "two of its properties have the same name once mapped.")
    if declaration.get("embedded"):
        return {**declaration, "properties": renamed}
    key = declaration.get("primaryKey", PRIMARY_KEY)
    return {**declaration, "properties": renamed, "primaryKey": names.get(key, key)}


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _key_field(prop: Property) -> models.Field:
    if prop.type == "string":
        return models.CharField(primary_key=True, max_length=LONGEST_KEY)
    if prop.type == "objectId":
        return ObjectIdField(primary_key=True, default=new_object_id, editable=False)
    return models.BigIntegerField(primary_key=True)


class _Maker(NamedTuple):
    """Makes the fields of one class."""

    app_label: str | None
    embedded: Embedded
    is_embedded: bool
    """The class itself is: its links are parts of a column."""

    def field(self, where: str, prop: Property, default: Any) -> models.Field:
        if prop.is_collection:
            kind = {"list": ListField, "set": SetField, "dictionary": DictionaryField}[prop.type]
            field: models.Field = kind(self.element(prop))
            return self.with_default(where, field, default, lambda **options: kind(self.element(prop), **options))
        if prop.type == "object":
            if prop.object_type and prop.object_type in self.embedded:
                return EmbeddedField(self.embedded[prop.object_type], null=True, blank=True)
            if self.is_embedded:
                return Link(self.target(prop), null=True, blank=True)
            return models.ForeignKey(
                self.target(prop), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
            )
        if prop.type == "mixed":
            return self.with_default(where, MixedField(), default, MixedField)
        # A full-text index is the clients' own.
        options: dict[str, Any] = {"db_index": True} if prop.indexed is True and not self.is_embedded else {}
        if prop.optional:
            options |= {"null": True, "blank": True}
        elif prop.type in ("string", "data"):
            options["blank"] = True  # in Realm an empty string is a value like any other
        make = CounterField if prop.is_counter else _FIELDS[prop.type]
        return self.with_default(where, make(**options), default, lambda **given: make(**options, **given))

    def element(self, prop: Property) -> models.Field:
        """The field of a collection's elements."""
        kind = str(prop.object_type)
        if kind == "mixed":
            return MixedField()
        if kind in _FIELDS:
            options = {"null": True, "blank": True} if prop.optional else {"blank": True} if kind == "string" else {}
            return _FIELDS[kind](**options)
        return EmbeddedField(self.embedded[kind]) if kind in self.embedded else Link(self.target(prop))

    def target(self, prop: Property) -> str:
        return f"{self.app_label}.{prop.object_type}" if self.app_label else str(prop.object_type)

    def with_default(self, where: str, field: Any, default: Any, make: Callable[..., models.Field]) -> models.Field:
        if default is models.NOT_PROVIDED or default is None:
            return cast(models.Field, field)
        if callable(default):
            return make(default=default)
        try:
            value = field.to_python(default)
        except ValidationError as error:
            raise SchemaError(where, f"has a default that does not fit: {' '.join(error.messages)}") from error
        return make(default=value)
