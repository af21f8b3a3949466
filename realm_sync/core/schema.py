"""Schema: the classes, properties and types that sync, in Realm's canonical form.

Decides what a class declaration means (shorthands as in the Realm SDKs), whether a value fits a property, and whether
a client's classes contradict the server's. Knows neither Django models nor Python object classes: registry.py makes
schemas from models, client/ from object classes; both compare them here. The structs are also their own wire form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from .errors import SchemaError, SchemaMismatch, ValueTypeError
from .values import SCALARS, decode, encode

PRIMARY_KEY = "_id"
"""The wire name of every primary key, whatever the model or the class calls it."""
KEY_TYPES = ("int", "string", "objectId", "uuid")
INDEXABLE = ("bool", "int", "date", "string", "objectId", "uuid", "object")
_SHORTHAND = re.compile(r"(?P<element>[^?\[\]<>{}]+)(?P<optional>\?)?")


class Property(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """One property. `type` is a scalar type of values.py, or `object`: a link, held as the key of `object_type`."""

    type: str
    object_type: str | None = None
    optional: bool = False
    indexed: bool = False
    read_only: bool = False
    """Clients see it and never write it; a write is refused and comes back as a compensating write."""
    has_default: bool = False
    """A `create` may omit it although it is not optional: the server has a default."""
    max_length: int | None = None
    """Longest string in code points, known to clients so that they can refuse early."""


class ObjectSchema(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """One class: its name, and its properties by wire name, `_id` first. Top-level classes only, so far."""

    name: str
    properties: dict[str, Property]
    primary_key: str = PRIMARY_KEY
    read_only: bool = False
    """Clients never create, change or delete objects of this class."""

    @property
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

    def wire_type(self, prop: Property) -> str:
        """The scalar type a property's wire value has: a link's is that of the key it holds."""
        if prop.type != "object":
            return prop.type
        target = self._classes.get(prop.object_type or "")
        if target is None:
            raise SchemaError(str(prop.object_type), "is linked to, but is not a class of the schema.")
        return target.key_type

    def check(self) -> None:
        """Raises SchemaError for the first class that cannot sync: links to unknown classes, unusable keys."""
        for cls in self._classes.values():
            check_class(cls)
            for name, prop in cls.properties.items():
                if prop.type == "object" and prop.object_type not in self._classes:
                    raise SchemaError(
                        f"{cls.name}.{name}", f"has unknown object type '{prop.object_type}'.", "Add it to the schema."
                    )


def check_class(cls: ObjectSchema) -> None:
    """Raises SchemaError unless the class has a key named `_id` of a key type and only known types."""
    if not cls.name:
        raise SchemaError("schema", "'name' must be specified.")
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
    for name, prop in cls.properties.items():
        if prop.type not in SCALARS and prop.type != "object":
            raise SchemaError(
                f"{cls.name}.{name}",
                f"has the unknown type '{prop.type}'.",
                f"Use one of {', '.join(SCALARS)}, or a class name.",
            )
        if prop.type == "object" and not prop.object_type:
            raise SchemaError(f"{cls.name}.{name}", "'objectType' must be specified for a link.")
        if prop.indexed and prop.type not in INDEXABLE:
            raise SchemaError(f"{cls.name}.{name}", f"of type '{prop.type}' cannot be indexed.")


def parse_class(declaration: Mapping[str, Any]) -> ObjectSchema:
    """An ObjectSchema from a Realm object schema: `{"name": "Dog", "primaryKey": "_id", "properties": {"age": "int?"}}`.

    Properties are shorthands (`"int?"`, `"Person"`) or objects (`{"type": "object", "objectType": "Person"}`).
    Raises SchemaError naming the class and property for anything else, unknown keys included.
    """
    name = declaration.get("name")
    if not isinstance(name, str) or not name:
        raise SchemaError("schema", "'name' must be specified.")
    unknown = sorted(set(declaration) - {"name", "primaryKey", "properties", "ctor", "embedded", "asymmetric"})
    if unknown:
        listed = ", ".join(f"'{key}'" for key in unknown)
        raise SchemaError(name, f"Unexpected field(s) found on the schema for object '{name}': {listed}.")
    for kind in ("embedded", "asymmetric"):
        if declaration.get(kind):
            raise SchemaError(name, f"{kind} classes do not sync yet.", "Use a top-level class.")
    properties = declaration.get("properties")
    if not isinstance(properties, Mapping):
        raise SchemaError(name, "'properties' must be an object: property names with their types.")
    primary_key = declaration.get("primaryKey", PRIMARY_KEY)
    if primary_key not in properties:
        raise SchemaError(name, f"'{primary_key}' is set as the primary key field but was not found in 'properties'.")
    parsed = {key: parse_property(f"{name}.{key}", value) for key, value in properties.items()}
    key_first = {PRIMARY_KEY: parsed.pop(primary_key)} | parsed if primary_key == PRIMARY_KEY else parsed
    cls = ObjectSchema(name=name, primary_key=primary_key, properties=key_first)
    check_class(cls)
    return cls


def parse_property(where: str, declaration: str | Mapping[str, Any]) -> Property:
    """A Property from a shorthand or an object form; `where` names it in errors."""
    if isinstance(declaration, str):
        return _parse_shorthand(where, declaration)
    known = {"type", "objectType", "optional", "indexed", "default", "name", "mapTo", "readOnly"}
    unknown = sorted(set(declaration) - known)
    if unknown:
        raise SchemaError(where, f"has unexpected field(s): {', '.join(unknown)}.")
    kind, target = declaration.get("type"), declaration.get("objectType")
    if not isinstance(kind, str) or not kind:
        raise SchemaError(where, "'type' must be specified.")
    if re.search(r"[?\[\]<>{}]", kind + str(target or "")):
        raise SchemaError(
            where, "Cannot use shorthand symbols in 'type' or 'objectType' when defining property objects."
        )
    if kind in SCALARS and target:
        raise SchemaError(where, f"'objectType' cannot be defined when 'type' is '{kind}'.")
    if kind not in SCALARS and kind != "object":
        if kind[:1].isupper():
            raise SchemaError(where, f"If you meant a link, use {{'type': 'object', 'objectType': '{kind}'}}.")
        raise SchemaError(
            where, f"the type '{kind}' does not sync yet.", f"Use one of {', '.join(SCALARS)}, or a link."
        )
    if kind == "object" and declaration.get("optional") is False:
        raise SchemaError(where, "links are always optional and cannot be made non-optional.")
    return Property(
        type=kind,
        object_type=target,
        optional=kind == "object" or bool(declaration.get("optional")),
        indexed=bool(declaration.get("indexed")),
        read_only=bool(declaration.get("readOnly")),
        has_default="default" in declaration,
    )


def _parse_shorthand(where: str, text: str) -> Property:
    match = _SHORTHAND.fullmatch(text)
    if match is None:
        if text.endswith(("[]", "<>", "{}")):
            raise SchemaError(where, f"the collection type '{text}' does not sync yet.")
        raise SchemaError(where, f"'{text}' is not a type.", "Write for example 'int', 'string?' or a class name.")
    element, optional = match["element"], bool(match["optional"])
    if element in SCALARS:
        return Property(type=element, optional=optional)
    if element in ("object", "linkingObjects", "list", "set", "dictionary", "mixed", "counter"):
        raise SchemaError(where, f"the type '{element}' cannot be used here.", "Links are written as the class name.")
    return Property(type="object", object_type=element, optional=True)


def compare(client: Iterable[ObjectSchema], server: Schema) -> None:
    """Raises SchemaMismatch listing every contradiction. Additive differences are fine both ways: classes or
    properties only one side has are no contradiction (a write to one the server lacks is refused by itself); another
    type, optionality or link target is."""
    differences = []
    for cls in client:
        ours = server.get(cls.name)
        for name, prop in cls.properties.items() if ours else ():
            expected = ours.properties.get(name) if ours else None
            if expected is not None and _type_text(prop) != _type_text(expected):
                differences.append(
                    f"Property '{cls.name}.{name}' is '{_type_text(prop)}' on the client and '{_type_text(expected)}' on the server."
                )
    if differences:
        raise SchemaMismatch(differences)


def _type_text(prop: Property) -> str:
    base = prop.object_type or "" if prop.type == "object" else prop.type
    return base + "?" if prop.optional and prop.type != "object" else base


def encode_property(schema: Schema, where: str, prop: Property, value: Any) -> Any:
    """The wire value for a property; ValueTypeError names `where`. A link takes the key of its target."""
    return _convert(encode, schema, where, prop, value)


def decode_property(schema: Schema, where: str, prop: Property, wire: Any) -> Any:
    """The Python value of a property's wire value; ValueTypeError names `where`."""
    return _convert(decode, schema, where, prop, wire)


def _convert(convert: Any, schema: Schema, where: str, prop: Property, value: Any) -> Any:
    kind = schema.wire_type(prop)
    if value is None:
        if prop.optional:
            return None
        raise ValueTypeError(_EXPECTED[kind], None, where)
    try:
        return convert(kind, value)
    except ValueTypeError as error:
        raise ValueTypeError(error.expected, error.value, where) from None


_EXPECTED = {
    "bool": "a boolean", "int": "an integer", "float": "a number", "double": "a number", "decimal128": "a Decimal",
    "string": "a string", "data": "binary data", "date": "a date", "objectId": "an ObjectId", "uuid": "a UUID",
}  # fmt: skip
