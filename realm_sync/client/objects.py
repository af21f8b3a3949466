"""Objects: live views of stored objects, and how Python classes declare them.

    class Inspection(Object):
        _id: UUID = field(primary_key=True, default=uuid4)
        title: str
        due: datetime | None
        airfield: Airfield | None

Annotations give the Realm type: bool int float (double) str bytes datetime Decimal (decimal128) ObjectId UUID,
`Annotated[float, "float"]` for 32 bits, another Object class for a link; `| None` makes it optional. Without classes
objects are plain `Object`s with the properties of the server's schema. Objects hold no data: every access reads the
present value, every assignment needs a write transaction. The realm does both. A link is assigned an object, or the
key of one: unlike in Realm its target need not be in the file (inspectors do not download all airfields).
"""

from __future__ import annotations

import sys
import types
import typing
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from realm_sync.core.errors import SchemaError
from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Property, check_class
from realm_sync.core.values import SCALARS, ObjectId

from .listeners import ObjectChanges
from .tables import Table

if TYPE_CHECKING:
    from .realm import Realm
    from .results import Results

_TYPES: dict[Any, str] = {
    bool: "bool", int: "int", float: "double", str: "string", bytes: "data", datetime: "date", Decimal: "decimal128",
    ObjectId: "objectId", uuid.UUID: "uuid",
}  # fmt: skip
_MISSING: Any = object()


class Field:
    """What `field()` says about a property besides its type."""

    def __init__(self, default: Any, primary_key: bool, indexed: bool) -> None:
        self.default, self.primary_key, self.indexed = default, primary_key, indexed


def field(*, default: Any = _MISSING, primary_key: bool = False, indexed: bool = False) -> Any:
    """A property's options. `default`: a value, or a function that is called once per created object."""
    return Field(default, primary_key, indexed)


class _Access:
    """The attribute of one property."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Object | None, owner: type[Object]) -> Any:
        return self if instance is None else instance._realm._get(instance, self.name)

    def __set__(self, instance: Object, value: Any) -> None:
        instance._realm._set(instance, self.name, value)


class Object:
    """One object of a realm. Two Objects are equal if they are the same stored object.

    Objects come from a realm (`create`, `objects`, links), never from a constructor.
    """

    _realm: Realm
    _table: Table
    _key: Any
    _cache: tuple[int, tuple[Any, ...]] | None
    _realm_fields: typing.ClassVar[dict[str, Field]] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        fields: dict[str, Field] = {}
        for name in cls.__dict__.get("__annotations__", {}):
            if name.startswith("_") and name != PRIMARY_KEY:
                continue
            given = cls.__dict__.get(name, _MISSING)
            fields[name] = given if isinstance(given, Field) else Field(given, name == PRIMARY_KEY, False)
            setattr(cls, name, _Access(name))
        cls._realm_fields = {**cls._realm_fields, **fields}

    def __init__(self, *_: Any, **__: Any) -> None:
        name = type(self).__name__
        raise TypeError(f"{name} objects are made by a realm: write realm.create({name}, {{…}}).")

    @classmethod
    def _wrap(cls, realm: Realm, table: Table, key: Any, cache: tuple[int, tuple[Any, ...]] | None = None) -> Object:
        instance = cls.__new__(cls)
        put = object.__setattr__
        put(instance, "_realm", realm)
        put(instance, "_table", table)
        put(instance, "_key", key)
        put(instance, "_cache", cache)
        return instance

    def __getattr__(self, name: str) -> Any:
        # Reached only where no class attribute has the name: properties of dynamic objects.
        if name in ("_realm", "_table", "_key", "_cache"):
            raise AttributeError(name)
        if name not in self._table.place:
            raise AttributeError(f"Property '{name}' does not exist on '{self._table.name}' objects")
        return self._realm._get(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._table.place:
            self._realm._set(self, name, value)
        else:
            object.__setattr__(self, name, value)

    def __getitem__(self, name: str) -> Any:
        if name not in self._table.place:
            raise KeyError(f"Property '{name}' does not exist on '{self._table.name}' objects")
        return self._realm._get(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        self._realm._set(self, name, value)

    def is_valid(self) -> bool:
        """False once it is deleted or its realm closed."""
        return self._realm._row(self) is not None if not self._realm.is_closed else False

    def object_schema(self) -> ObjectSchema:
        return self._realm._class_schema(self._table.name)

    def keys(self) -> list[str]:
        return list(self.object_schema().properties)

    def to_dict(self) -> dict[str, Any]:
        """The property values; of links the target's key, so that the result is a flat picture of this object."""
        return self._realm._to_dict(self)

    def linking_objects(self, object_type: str | type[Object], property: str) -> Results[Any]:
        """Live results of the objects of `object_type` whose link `property` points here."""
        return self._realm._linking_objects(self, object_type, property)

    def add_listener(self, callback: Callable[[Any, ObjectChanges], object]) -> None:
        """`callback(object, changes)`: once soon with empty changes, then whenever this object changes."""
        self._realm._add_object_listener(self, callback)

    def remove_listener(self, callback: Callable[[Any, ObjectChanges], object]) -> None:
        self._realm._remove_listener(("object", self._table.name, self._key), callback)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Object)
            and other._key == self._key
            and other._table.name == self._table.name
            and other._realm.path == self._realm.path
        )

    def __hash__(self) -> int:
        return hash((self._table.name, self._key))

    def __repr__(self) -> str:
        if not self.is_valid():
            return f"<{self._table.name} {self._key} (deleted)>"
        return f"<{self._table.name} {self.to_dict()}>"


def declared_schema(cls: type[Object], classes: Mapping[str, type[Object]]) -> ObjectSchema:
    """The schema that a class's annotations say. `classes`: what link annotations may name besides module globals.
    Raises SchemaError naming the class and property."""
    name = cls.__name__
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, Object) and base is not Object:
            own = types.SimpleNamespace(__annotations__=base.__dict__.get("__annotations__", {}))
            try:
                hints |= typing.get_type_hints(
                    own, vars(sys.modules[base.__module__]), dict(classes), include_extras=True
                )
            except NameError as error:
                problem = f"An annotation names '{error.name}', which is not known."
                raise SchemaError(name, problem, "Add the class to the schema.") from error
    properties = {}
    for property_name, options in cls._realm_fields.items():
        properties[property_name] = _property(f"{name}.{property_name}", hints[property_name], options)
    if PRIMARY_KEY in properties:
        properties = {PRIMARY_KEY: properties.pop(PRIMARY_KEY)} | properties
    schema = ObjectSchema(name=name, properties=properties)
    check_class(schema)
    return schema


def _property(where: str, hint: Any, options: Field) -> Property:
    kind, optional = hint, False
    if get_origin(hint) in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        optional = len(members) < len(get_args(hint))
        if len(members) != 1:
            raise SchemaError(
                where, f"'{hint}' is more than one type.", "Use one type, with `| None` if it is optional."
            )
        kind = members[0]
    explicit = None
    if get_origin(kind) is Annotated:
        explicit = next((extra for extra in get_args(kind)[1:] if extra in SCALARS), None)
        kind = get_args(kind)[0]
    has_default = options.default is not _MISSING
    if isinstance(kind, type) and issubclass(kind, Object):
        if not optional:
            raise SchemaError(where, "links are always optional.", f"Write `{kind.__name__} | None`.")
        return Property(type="object", object_type=kind.__name__, optional=True)
    scalar = explicit or _TYPES.get(kind)
    if scalar is None:
        known = ", ".join(known.__name__ for known in _TYPES)
        raise SchemaError(where, f"the type '{kind}' does not sync.", f"Use one of {known}, or an Object class.")
    return Property(type=scalar, optional=optional, indexed=options.indexed, has_default=has_default)


def default_value(cls: type[Object] | None, name: str) -> Any:
    """The declared default of a property, called if it is a function; `NO_DEFAULT` without one."""
    options = cls._realm_fields.get(name) if cls else None
    if options is None or options.default is _MISSING:
        return NO_DEFAULT
    return options.default() if callable(options.default) else options.default


NO_DEFAULT = _MISSING


def class_names(classes: Iterable[type[Object]]) -> dict[str, type[Object]]:
    return {cls.__name__: cls for cls in classes}
