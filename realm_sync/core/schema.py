"""Schema: the classes, properties and types that sync, in Realm's canonical form.

Decides which classes can sync together, and whether a client's classes contradict the server's. Knows neither Django
models nor Python object classes: registry.py makes schemas from models, client/ from object classes, declarations.py
from Realm object schemas. The structs are also their own wire form. What values look like is for encoding.py.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from .errors import SchemaError, SchemaMismatch
from .values import SCALARS

PRIMARY_KEY = "_id"
"""The wire name of every primary key, whatever the model or the class calls it."""
KEY_TYPES = ("int", "string", "objectId", "uuid")
INDEXABLE = ("bool", "int", "date", "string", "objectId", "uuid", "object", "mixed")
COLLECTIONS = ("list", "set", "dictionary")
TYPES = (*SCALARS, "mixed", "object", *COLLECTIONS, "linkingObjects")


class Property(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """One property. `type` is one of TYPES: a scalar type of values.py, `mixed`, a collection, `linkingObjects`, or
    `object`: of a top-level class a link, held as the key of its target; of an embedded class the object itself."""

    type: str
    object_type: str | None = None
    """The class of an `object`; of a collection the type of its elements: scalar, `mixed` or a class; of
    `linkingObjects` the class that links here."""
    optional: bool = False
    """It can be null. Of a collection: its elements can be; a collection itself never is."""
    indexed: bool | Literal["full-text"] = False
    read_only: bool = False
    """Clients see it and never write it; a write is refused and comes back as a compensating write."""
    has_default: bool = False
    """A `create` may omit it although it is not optional: the server has a default."""
    max_length: int | None = None
    """Longest string in code points, known to clients so that they can refuse early."""
    presentation: Literal["counter"] | None = None
    """An `int` that counts: increments of several writers add up (R7)."""
    property: str | None = None
    """Of `linkingObjects`: the property of `object_type` that links here."""

    @builtins.property
    def is_collection(self) -> bool:
        return self.type in COLLECTIONS

    @builtins.property
    def is_counter(self) -> bool:
        return self.presentation == "counter"


class ObjectSchema(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """One class: its name, and its properties by wire name, of a top-level class `_id` first."""

    name: str
    properties: dict[str, Property]
    primary_key: str = PRIMARY_KEY
    """Of an embedded class it means nothing."""
    read_only: bool = False
    """Clients never create, change or delete objects of this class."""
    embedded: bool = False
    """Its objects have no key and live inside others, as parts of their images."""
    asymmetric: bool = False
    """Its objects are only ever created by clients, and uploaded: nobody downloads, subscribes to or links to them."""

    @builtins.property
    def key_type(self) -> str:
        return self.properties[PRIMARY_KEY].type


class Schema:
    """The classes by name. Immutable; iterates over its ObjectSchemas in order of declaration."""

    def __init__(self, classes: Iterable[ObjectSchema] = ()) -> None:
        self._classes: dict[str, ObjectSchema] = {}
        for cls in classes:
            if cls.name in self._classes:
                raise SchemaError(cls.name, f"Type '{cls.name}' appears more than once in the schema.")
            self._classes[cls.name] = cls

    def __iter__(self) -> Iterator[ObjectSchema]:
        return iter(self._classes.values())

    def __len__(self) -> int:
        return len(self._classes)

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __getitem__(self, name: str) -> ObjectSchema:
        return self._classes[name]

    def get(self, name: str) -> ObjectSchema | None:
        return self._classes.get(name)

    def names(self) -> list[str]:
        return list(self._classes)

    def is_embedded(self, name: str | None) -> bool:
        """Whether this is an embedded class of the schema."""
        cls = self._classes.get(name or "")
        return cls is not None and cls.embedded

    def element(self, prop: Property) -> Property:
        """The property that one element of a collection would be."""
        kind = str(prop.object_type)
        if kind in SCALARS:
            return Property(type=kind, optional=prop.optional, max_length=prop.max_length)
        if kind == "mixed":
            return Property(type=kind, optional=True)
        optional = prop.type == "dictionary" or not prop.is_collection
        return Property(type="object", object_type=kind, optional=optional)

    def wire_type(self, prop: Property) -> str:
        """How a property's wire value is made: a scalar type (a link's is that of the key it holds), `mixed`, a
        collection's type, or `embedded`."""
        if prop.type != "object":
            return prop.type
        target = self._classes.get(prop.object_type or "")
        if target is None:
            raise SchemaError(str(prop.object_type), "is linked to, but is not a class of the schema.")
        return "embedded" if target.embedded else target.key_type

    def check(self) -> None:
        """Raises SchemaError for the first class that cannot sync: links to unknown classes, unusable keys, embedded
        classes that nothing contains or that contain themselves."""
        for cls in self._classes.values():
            check_class(cls)
            for name, prop in cls.properties.items():
                self._check_target(f"{cls.name}.{name}", prop)
        self._check_embedded()

    def _check_target(self, where: str, prop: Property) -> None:
        target_name = prop.object_type or ""
        if not target_name or target_name in SCALARS or target_name == "mixed":
            return
        target = self._classes.get(target_name)
        if target is None:
            raise SchemaError(where, f"has unknown object type '{target_name}'.", "Add it to the schema.")
        if target.asymmetric:
            raise SchemaError(where, f"of type '{prop.type}' cannot be a link to an asymmetric object.")
        if prop.type == "set" and target.embedded:
            raise SchemaError(where, f"a set cannot contain embedded object type '{target_name}'.", "Use a list.")
        if prop.type == "linkingObjects":
            origin = target.properties.get(str(prop.property))
            class_name = where.split(".")[0]
            if origin is None or class_name not in (origin.object_type,):
                raise SchemaError(
                    where, f"'{target_name}.{prop.property}', its origin, is not a link to '{class_name}'."
                )

    def _check_embedded(self) -> None:
        reached: set[str] = set()

        def visit(cls: ObjectSchema, path: tuple[str, ...]) -> None:
            for prop in cls.properties.values():
                inner = self._classes.get(prop.object_type or "")
                if inner is None or not inner.embedded:
                    continue
                if inner.name in path:
                    cycle = " -> ".join((*path, inner.name))
                    raise SchemaError(inner.name, f"Cycles containing embedded objects are not supported: '{cycle}'.")
                reached.add(inner.name)
                visit(inner, (*path, inner.name))

        for cls in self._classes.values():
            visit(cls, (cls.name,) if cls.embedded else ())
        for cls in self._classes.values():
            if cls.embedded and cls.name not in reached:
                raise SchemaError(
                    cls.name, f"Embedded object '{cls.name}' is unreachable by any link path from top level objects."
                )


def check_class(cls: ObjectSchema) -> None:
    """Raises SchemaError unless the class has a key named `_id` of a key type, if it is not embedded, and only types
    that there are."""
    if not cls.name:
        raise SchemaError("schema", "'name' must be specified.")
    if cls.embedded:
        if cls.asymmetric:
            raise SchemaError(cls.name, "a class cannot be both embedded and asymmetric.")
        if PRIMARY_KEY in cls.properties:
            raise SchemaError(cls.name, f"Embedded object type '{cls.name}' cannot have a primary key.")
    else:
        _check_primary_key(cls)
    for name, prop in cls.properties.items():
        _check_property(f"{cls.name}.{name}", prop)


def _check_primary_key(cls: ObjectSchema) -> None:
    key = cls.properties.get(PRIMARY_KEY)
    if key is None or cls.primary_key != PRIMARY_KEY:
        raise SchemaError(
            cls.name,
            f"There must be a primary key property named '_id' on a synchronized Realm but none was found for type '{cls.name}'",
        )
    if key.type not in KEY_TYPES:
        raise SchemaError(
            f"{cls.name}._id",
            f"of type '{key.type}' cannot be made the primary key.",
            f"Use one of {', '.join(KEY_TYPES)}.",
        )
    if key.optional:
        raise SchemaError(f"{cls.name}._id", "the primary key cannot be optional.")
    if key.is_counter:
        raise SchemaError(f"{cls.name}._id", "Counters cannot be primary keys.")


def _check_property(where: str, prop: Property) -> None:
    if prop.type not in TYPES:
        raise SchemaError(
            where, f"has the unknown type '{prop.type}'.", f"Use one of {', '.join(TYPES)}, or a class name."
        )
    needs_target = prop.type == "object" or prop.type == "linkingObjects" or prop.is_collection
    if needs_target and not prop.object_type:
        what = "a link" if prop.type == "object" else f"a {prop.type}"
        raise SchemaError(where, f"'objectType' must be specified for {what}.")
    if prop.object_type in (*COLLECTIONS, "object", "linkingObjects"):
        raise SchemaError(where, "nested collections are not supported.", "Use a mixed property.")
    if prop.is_counter and prop.type != "int":
        raise SchemaError(where, "Counters can only be used when 'type' is 'int'.")
    if prop.indexed == "full-text":
        if prop.type != "string":
            raise SchemaError(where, f"of type '{prop.type}' cannot be full-text indexed.", "Only strings can.")
    elif prop.indexed and prop.type not in INDEXABLE and not (prop.type == "list" and prop.object_type == "string"):
        raise SchemaError(where, f"of type '{prop.type}' cannot be indexed.")


def compare(client: Iterable[ObjectSchema], server: Schema) -> None:
    """Raises SchemaMismatch listing every contradiction. Additive differences are fine both ways: classes or
    properties only one side has are no contradiction (a write to one the server lacks is refused by itself); another
    type, optionality or link target is."""
    differences = []
    for cls in client:
        ours = server.get(cls.name)
        if ours is not None and _kind(cls) != _kind(ours):
            differences.append(f"Class '{cls.name}' is {_kind(cls)} on the client and {_kind(ours)} on the server.")
        for name, prop in cls.properties.items() if ours else ():
            expected = ours.properties.get(name) if ours else None
            if expected is not None and type_text(prop) != type_text(expected):
                differences.append(
                    f"Property '{cls.name}.{name}' is '{type_text(prop)}' on the client and '{type_text(expected)}' on the server."
                )
    if differences:
        raise SchemaMismatch(differences)


def type_text(prop: Property) -> str:
    """The shorthand of a type, as people write it: `int?`, `string[]`, `counter`, `Airfield`."""
    suffix = {"list": "[]", "set": "<>", "dictionary": "{}"}.get(prop.type, "")
    base = prop.object_type or "" if prop.type == "object" or suffix else prop.type
    if prop.is_counter:
        base = "counter"
    # Whether links and mixed are optional is no choice, so it is not said.
    optional = prop.optional and (base in SCALARS or base == "counter")
    return base + ("?" if optional else "") + suffix


def _kind(cls: ObjectSchema) -> str:
    return "embedded" if cls.embedded else "asymmetric" if cls.asymmetric else "top-level"
