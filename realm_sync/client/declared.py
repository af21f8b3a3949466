"""Declared: how Python classes declare what syncs.

    class Address(EmbeddedObject):
        street: str
        city: str | None

    class Inspection(Object):
        _id: UUID = field(primary_key=True, default=uuid4)
        title: str
        due: datetime | None
        airfield: Airfield | None
        visits: Counter
        tags: list[str]
        photos: dict[str, Photo | None]
        site: Address | None
        extra: Mixed

    class Airfield(Object):
        _id: str
        inspections = linking_objects("Inspection", "airfield")

Annotations give the Realm type: bool int float (double) str bytes datetime Decimal (decimal128) ObjectId UUID,
`Annotated[float, "float"]` for 32 bits, `Mixed`, `Counter`, an Object class for a link, an EmbeddedObject class for an
object inside this one, and `list[…]`, `set[…]`, `dict[str, …]` of these; `| None` makes it optional, in collections the
elements. `class Reading(Object, asymmetric=True)` is only ever created and uploaded. Decides schemas, not values.
"""

from __future__ import annotations

import sys
import types
import typing
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from realm_sync.core.errors import SchemaError
from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Property, check_class
from realm_sync.core.values import SCALARS, ObjectId

from .counters import Counter

_TYPES: dict[Any, str] = {
    bool: "bool", int: "int", float: "double", str: "string", bytes: "data", datetime: "date", Decimal: "decimal128",
    ObjectId: "objectId", uuid.UUID: "uuid",
}  # fmt: skip
_COLLECTIONS: dict[Any, str] = {list: "list", set: "set", dict: "dictionary"}
_MISSING: Any = object()
NO_DEFAULT = _MISSING

Mixed = Annotated[Any, "mixed"]
"""The annotation of a property that holds a value of any type, null, or nested lists and dictionaries."""


class Field:
    """What `field()` says about a property besides its type."""

    def __init__(self, default: Any, primary_key: bool, indexed: bool | str) -> None:
        self.default, self.primary_key, self.indexed = default, primary_key, indexed


def field(*, default: Any = _MISSING, primary_key: bool = False, indexed: bool | str = False) -> Any:
    """A property's options. `default`: a value, or a function that is called once per created object; `indexed`: True
    or `"full-text"`."""
    return Field(default, primary_key, indexed)


class LinkingObjects:
    """What `linking_objects()` says: the objects of a class that link here by a property."""

    def __init__(self, object_type: str, property: str) -> None:
        self.object_type, self.property = object_type, property


def linking_objects(object_type: str, property: str) -> Any:
    """A property that reads as the live results of the objects of `object_type` whose `property` links here: one link,
    or a list, set or dictionary of links. It is computed, never stored nor assigned."""
    return LinkingObjects(object_type, property)


class Access:
    """The attribute of one property."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Declared | None, owner: type[Declared]) -> Any:
        return self if instance is None else instance._read(self.name)

    def __set__(self, instance: Declared, value: Any) -> None:
        instance._write(self.name, value)


class Declared:
    """Base of Object and EmbeddedObject: attributes and items are properties. Holds no data."""

    _realm_fields: ClassVar[dict[str, Field]] = {}
    _realm_backlinks: ClassVar[dict[str, LinkingObjects]] = {}
    _realm_asymmetric: ClassVar[bool] = False
    _realm_embedded: ClassVar[bool] = False
    _own: ClassVar[tuple[str, ...]] = ()
    """Attributes of the instance that are no properties."""

    def __init_subclass__(cls, asymmetric: bool = False, **options: Any) -> None:
        super().__init_subclass__(**options)
        fields: dict[str, Field] = {}
        links: dict[str, LinkingObjects] = {}
        for name in dict.fromkeys([*cls.__dict__.get("__annotations__", {}), *cls.__dict__]):
            given = cls.__dict__.get(name, _MISSING)
            annotated = name in cls.__dict__.get("__annotations__", {})
            if isinstance(given, LinkingObjects):
                links[name] = given
            elif annotated and not (name.startswith("_") and name != PRIMARY_KEY):
                fields[name] = given if isinstance(given, Field) else Field(given, name == PRIMARY_KEY, False)
            else:
                continue
            setattr(cls, name, Access(name))
        cls._realm_fields = {**cls._realm_fields, **fields}
        cls._realm_backlinks = {**cls._realm_backlinks, **links}
        cls._realm_asymmetric = asymmetric or cls._realm_asymmetric

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    def object_schema(self) -> ObjectSchema:
        raise NotImplementedError

    def _has(self, name: str) -> bool:
        """Whether there is such a property."""
        return name in self.object_schema().properties

    def _read(self, name: str) -> Any:
        raise NotImplementedError

    def _write(self, name: str, value: Any) -> None:
        raise NotImplementedError

    def keys(self) -> list[str]:
        return list(self.object_schema().properties)

    def __getattr__(self, name: str) -> Any:
        # Reached only where no class attribute has the name: properties of dynamic objects.
        if name in self._own:
            raise AttributeError(name)
        if not self._has(name):
            raise AttributeError(f"Property '{name}' does not exist on '{self.object_schema().name}' objects")
        return self._read(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._own and self._has(name):
            self._write(name, value)
        else:
            object.__setattr__(self, name, value)

    def __getitem__(self, name: str) -> Any:
        if not self._has(name):
            raise KeyError(f"Property '{name}' does not exist on '{self.object_schema().name}' objects")
        return self._read(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._write(name, value)


# --- schemas ---------------------------------------------------------------------------------------------------------


def declared_schema(cls: type[Declared], classes: Mapping[str, type[Declared]]) -> ObjectSchema:
    """The schema that a class's annotations say. `classes`: what annotations may name besides module globals. Raises
    SchemaError naming the class and property."""
    name = cls.__name__
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        annotations = {
            key: hint for key, hint in base.__dict__.get("__annotations__", {}).items() if key in cls._realm_fields
        }
        if annotations and issubclass(base, Declared):
            own = types.SimpleNamespace(__annotations__=annotations)
            try:
                hints |= typing.get_type_hints(
                    own, vars(sys.modules[base.__module__]), dict(classes), include_extras=True
                )
            except NameError as error:
                problem = f"An annotation names '{error.name}', which is not known."
                raise SchemaError(name, problem, "Add the class to the schema.") from error
    properties = {key: _property(f"{name}.{key}", hints[key], options) for key, options in cls._realm_fields.items()}
    if PRIMARY_KEY in properties:
        properties = {PRIMARY_KEY: properties.pop(PRIMARY_KEY)} | properties
    for key, links in cls._realm_backlinks.items():
        properties[key] = Property(type="linkingObjects", object_type=links.object_type, property=links.property)
    schema = ObjectSchema(
        name=name, properties=properties, embedded=cls._realm_embedded, asymmetric=cls._realm_asymmetric
    )
    check_class(schema)
    return schema


def _property(where: str, hint: Any, options: Field) -> Property:
    kind, optional = _without_none(where, hint)
    has_default = options.default is not _MISSING
    indexed: Any = options.indexed
    collection = _COLLECTIONS.get(get_origin(kind) or kind)
    if collection is None:
        prop = _single(where, kind, optional)
        return Property(
            type=prop.type,
            object_type=prop.object_type,
            presentation=prop.presentation,
            optional=prop.optional,
            indexed=indexed,
            has_default=has_default,
        )
    if optional:
        raise SchemaError(where, "collections cannot be optional.", "Write `| None` after the type of the elements.")
    arguments = get_args(kind)
    if collection == "dictionary" and (len(arguments) != 2 or arguments[0] is not str):
        raise SchemaError(where, "a dictionary has strings as keys.", "Write `dict[str, …]`.")
    if not arguments:
        raise SchemaError(where, "the type of the elements must be specified.", f"Write `{kind.__name__}[…]`.")
    inner, nullable = _without_none(where, arguments[-1])
    if (get_origin(inner) or inner) in _COLLECTIONS:
        raise SchemaError(where, "nested collections are not supported.", "Use `Mixed`.")
    if inner is Counter:
        raise SchemaError(where, "counters cannot be used in collections.")
    links = isinstance(inner, type) and issubclass(inner, Declared)
    if links and nullable != (collection == "dictionary"):
        problem = "elements that are objects are never null." if nullable else "values that are objects can be null."
        shown = inner.__name__ if nullable else f"{inner.__name__} | None"
        raise SchemaError(where, problem, f"Write `{'dict[str, ' if not nullable else f'{collection}['}{shown}]`.")
    element = Property(type="object", object_type=inner.__name__) if links else _single(where, inner, nullable)
    return Property(
        type=collection,
        object_type=element.object_type or element.type,
        optional=nullable or element.type == "mixed",
        indexed=indexed,
        has_default=has_default,
    )


def _without_none(where: str, hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint, False
    members = [member for member in get_args(hint) if member is not type(None)]
    if len(members) != 1:
        raise SchemaError(where, f"'{hint}' is more than one type.", "Use one type, with `| None` if it is optional.")
    return members[0], len(members) < len(get_args(hint))


def _single(where: str, kind: Any, optional: bool) -> Property:
    explicit = None
    if get_origin(kind) is Annotated:
        explicit = next((extra for extra in get_args(kind)[1:] if extra in (*SCALARS, "mixed")), None)
        kind = get_args(kind)[0]
    if explicit == "mixed":
        return Property(type="mixed", optional=True)
    if kind is Counter:
        return Property(type="int", presentation="counter", optional=optional)
    if isinstance(kind, type) and issubclass(kind, Declared):
        if not optional:
            raise SchemaError(where, "links and objects are always optional.", f"Write `{kind.__name__} | None`.")
        return Property(type="object", object_type=kind.__name__, optional=True)
    scalar = explicit or _TYPES.get(kind)
    if scalar is None:
        known = ", ".join(known.__name__ for known in _TYPES)
        raise SchemaError(
            where, f"the type '{kind}' does not sync.", f"Use one of {known}, Mixed, Counter, or an Object class."
        )
    return Property(type=scalar, optional=optional)


def default_value(cls: type[Declared] | None, name: str) -> Any:
    """The declared default of a property, called if it is a function; `NO_DEFAULT` without one."""
    options = cls._realm_fields.get(name) if cls else None
    if options is None or options.default is _MISSING:
        return NO_DEFAULT
    return options.default() if callable(options.default) else options.default


def class_names(classes: Iterable[type[Declared]]) -> dict[str, type[Declared]]:
    return {cls.__name__: cls for cls in classes}
