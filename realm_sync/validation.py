"""Validation: which values of an upload may stand in a property, and what a new object has where nobody gave one.

Decides by the schema's type, then by the model's field (`clean`: validators, choices, lengths), then by whether the
targets of foreign keys exist. A link inside a list, dictionary, embedded object or mixed value is a key in JSON: it must
be of the right type, and its target may be missing, so that nothing is looked up and nothing can be learnt from it.
Refusals name the property, and in their reason the element. Knows neither conflicts nor access. Called by uploads.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import time
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from msgspec.structs import replace

from .conf import settings
from .core.edits import path_text
from .core.encoding import decode_property, empty, encode_property
from .core.errors import ValueTypeError
from .core.merge import ints_of, shapes_of
from .core.messages import Add, AnyEdit, Insert, Set, SetInsert, SetRemove
from .core.schema import Property, Schema
from .core.values import SCALARS, decode
from .fields import CollectionField, EmbeddedField, plain_json, to_wire
from .fields.columns import examine, named
from .fields.types import parse
from .registry import ModelSync, registry
from .writing import Key, Pending, Refused, Table, chunks


class _Place:
    """What is looked up once of a property, as the values of most uploads are many and small."""

    __slots__ = ("field", "is_day", "is_json", "is_link", "is_set", "is_writable", "scalar", "where")

    def __init__(self, class_name: str, name: str, prop: Property, field: Any) -> None:
        self.where, self.field = f"{class_name}.{name}", field
        kind = registry.schema.wire_type(prop)
        self.scalar = kind if kind in SCALARS else ""
        """The type of the values, links' too; "" where there is more to a value than that."""
        self.is_link, self.is_set = isinstance(field, models.ForeignKey), isinstance(field, models.ManyToManyField)
        self.is_json = type(field) is models.JSONField
        self.is_day = kind == "date" and not isinstance(field, models.DateTimeField)
        self.is_writable = not prop.read_only and name != "_id"


class Rules(Table):
    """The rows of one class, and what may be in its properties as far as the schema says so."""

    def __init__(self, model_sync: ModelSync) -> None:
        super().__init__(model_sync)
        properties, fields = self.schema.properties, self.fields
        self.shapes = shapes_of(registry.schema, self.schema)
        """Of the properties that have an inside, and are merged from within."""
        self.ints = ints_of(self.schema)
        """Those that are one value, and can be added to all the same."""
        self.defaults = {
            name: _wire_default(field) for name, field in fields.items() if name != "_id" and name not in self.sets
        }
        self.required = frozenset(
            name
            for name, prop in properties.items()
            if name != "_id"
            and not prop.read_only
            and not prop.has_default
            and not prop.is_collection
            and not fields[name].null
        )
        """Properties that a new object must be given."""
        self.places = {name: _Place(self.name, name, prop, fields[name]) for name, prop in properties.items()}

    def check_writable(self, name: Any) -> _Place:
        """Refuses what clients never write: properties that there are not, or that are read-only."""
        place = self.places.get(name) if isinstance(name, str) else None
        if place is None:
            raise Refused("UnknownProperty", f"Class '{self.name}' has no property '{name}'.", str(name))
        if not place.is_writable:
            raise Refused("ReadOnlyProperty", f"Clients do not write '{self.name}.{name}'.", name)
        return place

    def decode(self, name: str, wire: Any) -> Any:
        """The Python value of a wire value of the property's type; Refused for any other."""
        place = self.places[name]
        try:
            if wire is not None and place.scalar:
                return decode(place.scalar, wire)
            return decode_property(registry.schema, place.where, self.schema.properties[name], wire)
        except ValueTypeError as error:
            named = ValueTypeError(error.expected, error.value, place.where) if place.scalar else error
            raise Refused("PropertyTypeMismatch", str(named), name) from error

    def canonical(self, name: str, wire: Any) -> Any:
        """A wire value as images have it: sets in order, embedded objects with every property. Or Refused."""
        self.check_writable(name)
        prop = self.schema.properties[name]
        return encode_property(registry.schema, f"{self.name}.{name}", prop, self.decode(name, wire))

    def canonical_edit(self, step: AnyEdit) -> AnyEdit:
        """The edit with its value in canonical form; Refused if that is not of the type of its place. Whether there is
        such a place is seen when it is merged."""
        schema, prop = registry.schema, _place(registry.schema, self.schema.properties[str(step.path[0])], step)
        if prop is None:
            return step
        wire = step.by if isinstance(step, Add) else step.value  # type: ignore[union-attr]
        where = f"{self.name}.{path_text(step.path)}"
        try:
            value = decode_property(schema, where, prop, wire)
            wire = encode_property(schema, where, prop, value)
        except ValueTypeError as error:
            raise Refused("PropertyTypeMismatch", str(error)) from error
        part = None if isinstance(step, Add | SetRemove) else _part(self.fields[str(step.path[0])], step)
        if part is not None:
            try:
                with named(path_text(step.path)):
                    examine(part, parse(part, value), self.blank)
            except ValidationError as error:
                raise _refusal(error, path_text(step.path)) from error
        return replace(step, **{"by" if isinstance(step, Add) else "value": wire})

    def check_add(self, before: Any, step: Add) -> None:
        """Refuses what would leave the 64 bits of an int, in the value `before` it."""
        for at in step.path[1:]:
            before = before[at]
        if before is not None and not -(2**63) <= int(before) + int(step.by) < 2**63:
            raise Refused("ValidationFailed", f"Adding {step.by} to {before} leaves 64 bits.")


def _place(schema: Schema, prop: Property, step: AnyEdit) -> Property | None:
    """The property that the value of an edit would be; None if it has no value, or no place."""
    if isinstance(step, Add):
        return Property(type="int")
    if not isinstance(step, Set | Insert | SetInsert | SetRemove):
        return None
    for at in step.path[1:]:
        if prop.type in ("list", "dictionary"):
            prop = schema.element(prop)
        elif prop.type == "object" and schema.is_embedded(prop.object_type):
            inner = schema[str(prop.object_type)].properties.get(str(at))
            if inner is None:
                return None
            prop = inner
        elif prop.type != "mixed":
            return None
    if isinstance(step, SetInsert | SetRemove):
        return schema.element(prop) if prop.type == "set" else None
    return prop


def _part(field: Any, step: AnyEdit) -> Any:
    """The field that the value of an edit would be validated by; None where only the whole property can be."""
    places = [*step.path[1:], ""] if isinstance(step, SetInsert) else step.path[1:]
    for at in places:
        if isinstance(field, CollectionField):
            field = field.base
        elif isinstance(field, EmbeddedField):
            field = field.embedded.fields.get(str(at))
        else:
            return None
    return field


def _refusal(error: ValidationError, where: str) -> Refused:
    said = " ".join(error.messages)
    # What is said of an element names it already.
    return Refused(
        "ValidationFailed", said if said.startswith(where) and said[len(where) :][:1] in "[.:" else f"{where}: {said}"
    )


def _wire_default(field: Any) -> Any:
    """The wire value a new object has where nobody gives one; None where only the database or the clock knows it."""
    if not field.has_default() or callable(field.default):
        blank_text = isinstance(field, (models.CharField, models.TextField)) and field.blank and not field.null
        return "" if blank_text else None
    try:
        return to_wire(field, field.to_python(field.default))
    except ValidationError:
        return None


class Validation:
    """The rules of the models, and the targets of links that were found to exist, of one upload."""

    def __init__(self, objects: Mapping[Key, Pending]) -> None:
        """`objects`: what the upload knows of the objects it touches; targets may be among them."""
        self._objects = objects
        self._targets: dict[type[models.Model], set[Any]] = {}

    def load(self, wanted: Iterable[tuple[Rules, str, Any]]) -> None:
        """Looks up which targets exist of (class, property, wire value); one query per target model, not per value."""
        keys: dict[Any, set[Any]] = defaultdict(set)
        for cls, name, wire in wanted:
            field: Any = cls.fields.get(name)
            if wire is None or not isinstance(field, models.ForeignKey | models.ManyToManyField):
                continue
            try:
                value = cls.decode(name, wire)
            except Refused:
                continue  # with its reason when it is its turn
            keys[field.related_model].update(value if isinstance(field, models.ManyToManyField) else [value])
        for model, values in keys.items():
            found: set[Any] = set()
            for chunk in chunks(list(values)):
                rows = model._base_manager.using(settings.DATABASE).filter(pk__in=chunk)
                found.update(rows.values_list("pk", flat=True))
            self._targets[model] = found

    def value(self, cls: Rules, name: str, wire: Any, present: Any = None) -> Any:
        """The Python value that the field takes for a wire value, or Refused. `present`: the wire value it replaces."""
        place, value = cls.check_writable(name), cls.decode(name, wire)
        field = place.field
        if place.is_link:
            return self._link(name, field, value)
        if place.is_set:
            return self._links(name, field, value, cls.decode(name, present))
        try:
            if value is not None and place.is_day:
                if value.timetz().replace(tzinfo=None) != time():
                    raise ValidationError("Expected a date without a time: midnight UTC.")
                value = value.date()
            elif value is not None and place.is_json:
                value = plain_json(value)  # which has fewer types than mixed
            return field.clean(value, cls.blank)
        except ValidationError as error:
            refused = _refusal(error, name)
            raise Refused(refused.code, refused.reason, name) from error

    def _link(self, name: str, field: Any, value: Any) -> Any:
        if value is None:
            if not field.null:
                raise Refused("ValidationFailed", f"'{name}' must link to an object.", name)
            return None
        if not self._exists(field.related_model, value):
            raise Refused("ForeignKeyViolation", f"'{name}' links to an object that does not exist.", name)
        return value

    def _links(self, name: str, field: Any, values: list[Any], present: list[Any]) -> list[Any]:
        held = set(present)
        for at, value in enumerate(values):
            if value not in held and not self._exists(field.related_model, value):
                reason = f"'{name}[{at}]' links to an object that does not exist."
                raise Refused("ForeignKeyViolation", reason, name)
        return values

    def _exists(self, model: type[models.Model], value: Any) -> bool:
        target = registry.for_model(model)
        if target is not None:
            linked = self._objects.get((target.class_name, str(to_wire(target.primary_key, value))))
            # Or created by this very upload, perhaps in this very changeset: the constraint is checked at the end.
            if linked is not None and (linked.image is not None or not linked.stored):
                return True
        return value in self._targets.get(model, ())

    def complete(self, cls: Rules, image: dict[str, Any]) -> dict[str, Any]:
        """The Python values that a new object has in the properties its creator left out, and, in `image`, their wire
        values. What the database or the clock fills in is null until it does."""
        values: dict[str, Any] = {}
        for name, prop in cls.schema.properties.items():
            if name in image:
                continue
            field = cls.fields[name]
            image[name] = empty(prop)
            if isinstance(field, models.ManyToManyField):
                continue
            if field.has_default() or field.null or cls.defaults.get(name) is not None:
                values[name] = field.get_default()
                image[name] = to_wire(field, field.to_python(values[name]))
        return values
