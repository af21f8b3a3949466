"""Embedded objects: Python classes without a table, held as JSON inside the row of the object that owns them.

Decides what such a class may declare, and how its instances are made, compared, validated and stored. Their classes
reach the schema through the fields that hold them (registry.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, cast

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from .columns import JSONColumn
from .errors import Problems, Step
from .forms import ObjectField
from .types import from_wire, parse, realm_type, to_wire


class EmbeddedBase(type):
    """Takes the fields out of the class's body into `fields`, in the order they are written, inherited ones first."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Any:
        fields: dict[str, models.Field] = {}
        for base in reversed(bases):
            fields |= copy.deepcopy(getattr(base, "fields", {}))
        fields |= {key: value for key, value in attrs.items() if isinstance(value, models.Field)}
        attrs = {key: value for key, value in attrs.items() if key not in fields}
        for key, field in fields.items():
            if reason := _unsuitable(key, field):
                raise ImproperlyConfigured(f"{name}.{key} {reason}")
            field.set_attributes_from_name(key)
        return super().__new__(mcs, name, bases, attrs | {"fields": fields})


def _unsuitable(name: str, field: models.Field) -> str:
    """Why a field cannot be a property of an embedded object, as the end of a sentence."""
    if field.is_relation:
        return "is a relation, which needs a column; write Link('app.Model'), which holds the key of its target."
    if field.primary_key or name in ("_id", "id", "pk"):
        return "is a primary key; an embedded object has none, because it belongs to the object that holds it."
    if name == "fields" or "__" in name or name.startswith("_") or name.endswith("_"):
        return "is a name that a property cannot have."
    if field.generated or isinstance(field, (models.FileField, models.AutoField)):
        return f"is a {type(field).__name__}, which needs a column of its own."
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        return "has auto_now or auto_now_add, which only columns have; write default=timezone.now."
    # What a Link's type is, is known when the models are loaded: check_parts asks.
    if not hasattr(type(field), "realm_type") and realm_type(field) is None:
        return f"is a {type(field).__name__}, which has no type in Realm."
    return ""


class EmbeddedObject(metaclass=EmbeddedBase):
    """Base of embedded classes: `class Address(EmbeddedObject): street = models.CharField(max_length=100)`.

    An instance belongs to the object whose field holds it and is saved with it. Override `clean()` to validate
    properties together; it raises ValidationError as a model's does. `class_name` is the name on the wire, the class's
    own if not set.
    """

    fields: ClassVar[dict[str, models.Field]]
    class_name: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        for name, field in self.fields.items():
            setattr(self, name, values.pop(name) if name in values else field.get_default())
        if values:
            raise TypeError(f"{type(self).__name__} has no property {', '.join(map(repr, values))}.")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.fields)})"

    def __str__(self) -> str:
        shown = [str(getattr(self, name)) for name in self.fields if getattr(self, name) not in (None, "", [], {})]
        return ", ".join(shown)

    def clean(self) -> None:
        """Validates the properties together, after each is valid by itself."""

    @classmethod
    def wire_name(cls) -> str:
        return cls.class_name or cls.__name__


class EmbeddedField(JSONColumn):
    """One embedded object: `address = EmbeddedField(Address, null=True, blank=True)`. A dict of values works, too.

    The class can be given by its dotted path, which is what migrations hold: they need no class, and where it is gone
    the value is the wire JSON.
    """

    description = _("Embedded object")
    realm_type = "object"
    default_error_messages = {
        "invalid": _("Expected %(expected)s, got %(value)s."),
        "unknown": _("There is no such property."),
    }

    def __init__(self, embedded: type[EmbeddedObject] | str, **kwargs: Any) -> None:
        self._given = embedded
        super().__init__(**kwargs)

    @property
    def embedded(self) -> type[EmbeddedObject]:
        """The class. ImportError if it was given by a path that leads nowhere."""
        if isinstance(self._given, str):
            self._given = import_string(self._given)
        return cast(type[EmbeddedObject], self._given)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        given = self._given
        kwargs["embedded"] = given if isinstance(given, str) else f"{given.__module__}.{given.__qualname__}"
        return name, path, args, kwargs

    def part_fields(self) -> Iterator[tuple[str, models.Field]]:
        for name, field in self.embedded.fields.items():
            yield f".{name}", field

    def part_at(self, name: str) -> models.Field | None:
        return self.embedded.fields.get(name)

    def bind(self, model: type[models.Model]) -> None:
        if not isinstance(self._given, str):
            super().bind(model)

    def parse(self, value: Any) -> Any:
        if value is None:
            return None
        if type(value) is self.embedded:
            given: Mapping[str, Any] = vars(value)
        elif isinstance(value, Mapping):
            given = value
        else:
            raise ValidationError(
                self.error_messages["invalid"],
                code="invalid",
                params={"expected": self.embedded.__name__, "value": type(value).__name__},
            )
        found, values = Problems(), {}
        for name, each in given.items():
            with found.at(name):
                if name not in self.embedded.fields:
                    raise ValidationError(self.error_messages["unknown"], code="unknown")
                values[name] = parse(self.embedded.fields[name], each)
        found.done()
        return self.embedded(**values)

    def examine(self, value: Any, instance: Any) -> None:
        super().examine(value, instance)
        if value is not None:
            value.clean()

    def parts(self, value: Any) -> Iterator[tuple[Step, models.Field, Any]]:
        for name, field in self.embedded.fields.items():
            yield name, field, getattr(value, name)

    def part_form(self, **options: Any) -> Any:
        return ObjectField(embedded=self.embedded, **options)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(name=self.name, **kwargs)

    def to_wire(self, value: Any) -> Any:
        if value is None:
            return None
        found, wire = Problems(), {}
        for name, field in self.embedded.fields.items():
            with found.at(name):
                wire[name] = to_wire(field, getattr(value, name))
        found.done()
        return wire

    def from_wire(self, wire: Any) -> Any:
        try:
            fields = self.embedded.fields
        except ImportError:
            return wire
        if not isinstance(wire, dict):
            return wire
        return self.embedded(**{name: from_wire(fields[name], each) for name, each in wire.items() if name in fields})
