"""Lists, sets and dictionaries of values, embedded objects and links, each one JSON column.

Decides what an element may be and how the three are given, validated and stored. An element is a field: one of
Django's, a MixedField, an EmbeddedField (an embedded class stands for one) or a Link, which is here because only
parts of columns hold links this way: a link that is a property of a model is a ForeignKey.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from ..core.encoding import wire_set
from ..core.errors import ValueTypeError
from ..core.mixed import check_key
from ..core.schema import KEY_TYPES
from .columns import JSONColumn
from .embedded import EmbeddedField, EmbeddedObject
from .errors import Key, Problems, Step
from .forms import KeyedRowsField, LinkFormField, RowsField, part_field
from .lookups import Contains, Length
from .mixed import MixedField
from .types import from_wire, parse, realm_type, to_wire


class Link(models.Field):
    """A link to an object of a model, as a part of a collection or an embedded object: the value is the target's key.

    An instance of the model works where a value is given. The target need not exist: deleting it leaves the key.
    """

    description = _("Link to an object")
    empty_strings_allowed = False

    def __init__(self, to: type[models.Model] | str, **kwargs: Any) -> None:
        self.to = to
        super().__init__(**kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs["to"] = self.to if isinstance(self.to, str) else self.to._meta.label
        return name, path, args, kwargs

    def bind(self, model: type[models.Model]) -> None:
        if self.to == "self":
            self.to = model._meta.label
        elif isinstance(self.to, str) and "." not in self.to:
            self.to = f"{model._meta.app_label}.{self.to}"

    @property
    def target(self) -> type[models.Model]:
        """The model linked to. LookupError if there is none of this name."""
        return apps.get_model(self.to, require_ready=False) if isinstance(self.to, str) else self.to

    @property
    def key_field(self) -> models.Field[Any, Any]:
        return self.target._meta.pk  # type: ignore[return-value]

    @property
    def realm_type(self) -> str | None:
        """That of the key, as a ForeignKey's is."""
        return realm_type(self.key_field)

    def problems(self) -> Iterator[tuple[str, str]]:
        """(problem, hint) of a target that cannot be one."""
        try:
            kind = self.realm_type
        except LookupError:
            yield f"links to '{self.to}', which is not a model", "Write Link('app_label.ModelName')."
        else:
            if kind not in KEY_TYPES:
                yield f"links to {self.target.__name__}, whose key cannot sync", "Link to a model with a UUID key."

    def contribute_to_class(self, cls: Any, name: str, private_only: bool = False) -> None:
        raise ImproperlyConfigured(
            f"{cls.__name__}.{name} is a Link, which is a part of a collection or an embedded object; "
            "write models.ForeignKey for a link of its own."
        )

    def to_python(self, value: Any) -> Any:
        if isinstance(value, models.Model):
            if not isinstance(value, self.target):
                raise ValidationError(
                    _("Expected an object of %(expected)s, got one of %(value)s."),
                    code="invalid",
                    params={"expected": self.target.__name__, "value": type(value).__name__},
                )
            value = value.pk
        return self.key_field.to_python(value)

    def part_form(self, **options: Any) -> Any:
        return LinkFormField(self, **options)

    def to_wire(self, value: Any) -> Any:
        return to_wire(self.key_field, self.to_python(value))

    def from_wire(self, wire: Any) -> Any:
        try:
            return from_wire(self.key_field, wire)
        except LookupError:
            return wire


class CollectionField(JSONColumn):
    """What the three collections have in common. A collection is never null; it may be empty unless blank=False."""

    empty: type
    default_error_messages = {"invalid": _("Expected %(expected)s, got %(value)s.")}

    def __init__(self, base: models.Field | type[EmbeddedObject], **kwargs: Any) -> None:
        if isinstance(base, type) and issubclass(base, EmbeddedObject):
            base = EmbeddedField(base)
        if not isinstance(base, models.Field):
            raise ImproperlyConfigured(
                f"{type(self).__name__} was given {base!r}; give it a field, an embedded class or Link('app.Model')."
            )
        self.base: Any = base
        super().__init__(**{"default": self.empty, "blank": True} | kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        for option, usual in (("default", self.empty), ("blank", True)):
            if kwargs.get(option) == usual:
                del kwargs[option]
        if not self.blank:
            kwargs["blank"] = False
        kwargs["base"] = self.base
        return name, path, args, kwargs

    def part_fields(self) -> Iterator[tuple[str, models.Field]]:
        yield "[…]", self.base

    def part_at(self, name: str) -> models.Field | None:
        return self.base  # type: ignore[no-any-return]

    def refused_part(self, part: models.Field) -> Iterator[tuple[str, str]]:
        if isinstance(part, CollectionField):
            yield "is a collection within a collection", "Use a MixedField, which nests, or a class of EmbeddedObject."
        elif isinstance(part, Link):
            pass
        elif part.remote_field or part.primary_key or part.generated:
            yield "is a field that only a column of its own can be", "Use Link('app.Model') for links."
        elif getattr(part, "presentation", ""):
            yield "is a counter, which collections do not hold", "Use models.BigIntegerField()."
        elif realm_type(part) is None or isinstance(part, models.FileField):
            yield f"is a {type(part).__name__}, which has no type in Realm", "Use a field of a type that syncs."
        yield from super().refused_part(part)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(name=self.name, **kwargs)

    def refuse(self, value: Any) -> ValidationError:
        return ValidationError(
            self.error_messages["invalid"],
            code="invalid",
            params={"expected": self.description, "value": type(value).__name__},
        )

    @property
    def is_required(self) -> bool:
        return not self.blank

    def part_form(self, **options: Any) -> Any:
        form = KeyedRowsField if isinstance(self, DictionaryField) else RowsField
        ordered = isinstance(self, ListField)
        return form(element=part_field(self.base), collect=self.parse, ordered=ordered, **options)

    def get_default(self) -> Any:
        # A default is given once and must not be shared.
        value = super().get_default()
        return self.parse(value) if value is not None else None


class _Elements(CollectionField):
    """Lists and sets: parts by index."""

    def items(self, value: Any) -> Iterable[Any]:
        if value is None or isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise self.refuse(value)
        return value

    def parse_all(self, value: Any) -> list[Any]:
        found, parsed = Problems(), []
        for index, each in enumerate(self.items(value)):
            with found.at(index):
                parsed.append(parse(self.base, each))
        found.done()
        return parsed

    def parts(self, value: Any) -> Iterator[tuple[Step, models.Field, Any]]:
        for index, each in enumerate(value):
            yield index, self.base, each

    def wire_all(self, value: Any) -> list[Any]:
        found, wire = Problems(), []
        for index, each in enumerate(value):
            with found.at(index):
                wire.append(to_wire(self.base, each))
        found.done()
        return wire

    def refused_part(self, part: models.Field) -> Iterator[tuple[str, str]]:
        if part.null and isinstance(part, Link | EmbeddedField):
            what = "Links" if isinstance(part, Link) else "Embedded objects"
            yield f"has null=True. {what} in a list or set are never null", "Leave null out."
        yield from super().refused_part(part)


class ListField(_Elements):
    """A Realm list: `tags = ListField(models.CharField(max_length=20))`. A Python list, in order, with duplicates."""

    description = _("list")
    realm_type = "list"
    empty = list

    def parse(self, value: Any) -> list[Any]:
        return self.parse_all(value)

    def to_wire(self, value: Any) -> list[Any]:
        return self.wire_all(value)

    def from_wire(self, wire: Any) -> Any:
        return [from_wire(self.base, each) for each in wire] if isinstance(wire, list) else wire


class SetField(_Elements):
    """A Realm set: `colours = SetField(models.CharField(max_length=20))`. A Python set.

    A set of mixed values is a list without duplicates in Python, which cannot tell True from 1.
    """

    description = _("set")
    realm_type = "set"
    default_error_messages = {"nested": _("Expected no list or dictionary, which sets do not hold.")}

    @property
    def is_mixed(self) -> bool:
        return isinstance(self.base, MixedField)

    @property
    def empty(self) -> type:  # type: ignore[override]
        return list if self.is_mixed else set

    def parse(self, value: Any) -> Any:
        parsed = self.parse_all(value)
        if not self.is_mixed:
            return set(parsed)
        found = Problems()
        for index, each in enumerate(parsed):
            with found.at(index):
                if isinstance(each, list | dict):
                    raise ValidationError(self.error_messages["nested"], code="PropertyTypeMismatch")
        found.done()
        return self.from_wire(self.to_wire(parsed))

    def to_wire(self, value: Any) -> list[Any]:
        return wire_set(self.wire_all(value))

    def from_wire(self, wire: Any) -> Any:
        if not isinstance(wire, list):
            return wire
        values = [from_wire(self.base, each) for each in wire]
        return values if self.is_mixed else set(values)

    def refused_part(self, part: models.Field) -> Iterator[tuple[str, str]]:
        if isinstance(part, EmbeddedField):
            yield "is embedded, which sets cannot hold", "Use ListField or DictionaryField."
        yield from super().refused_part(part)


class DictionaryField(CollectionField):
    """A Realm dictionary: `phones = DictionaryField(models.CharField(max_length=20))`. A Python dict with str keys.

    A key does not start with `$` and has no dot. Values that are links or embedded objects may be null.
    """

    description = _("dictionary")
    realm_type = "dictionary"
    empty = dict
    default_error_messages = {"key": _("A key is text that does not start with “$” and has no “.”.")}

    def __init__(self, base: models.Field | type[EmbeddedObject], **kwargs: Any) -> None:
        super().__init__(base, **kwargs)
        if isinstance(self.base, Link | EmbeddedField):
            self.base.null = self.base.blank = True

    def parse(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.refuse(value)
        found, parsed = Problems(), {}
        for key, each in value.items():
            with found.at(Key(key)):
                try:
                    check_key(key, "")
                except ValueTypeError:
                    raise ValidationError(self.error_messages["key"], code="InvalidDictionaryKey") from None
                parsed[key] = parse(self.base, each)
        found.done()
        return parsed

    def parts(self, value: Any) -> Iterator[tuple[Step, models.Field, Any]]:
        for key, each in value.items():
            yield Key(key), self.base, each

    def to_wire(self, value: Any) -> dict[str, Any]:
        found, wire = Problems(), {}
        for key, each in value.items():
            with found.at(Key(key)):
                wire[key] = to_wire(self.base, each)
        found.done()
        return wire

    def from_wire(self, wire: Any) -> Any:
        return {key: from_wire(self.base, each) for key, each in wire.items()} if isinstance(wire, dict) else wire


CollectionField.register_lookup(Length)
ListField.register_lookup(Contains)
SetField.register_lookup(Contains)
