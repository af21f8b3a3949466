"""Conversion: values as apps give and get them, and as they lie in images.

Decides what may be assigned where, and in which words it is refused (reference 7.2, 7.5): links take objects, mappings,
which are created, or keys; embedded objects take values, which are copied; mixed takes nearly everything. What is read
is live: collections, embedded objects and counters are places (`live.py`), links are objects, or None where the target
is not in this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any, Literal

from realm_sync.core.encoding import empty, encode_property, wire_set
from realm_sync.core.errors import ValueTypeError
from realm_sync.core.mixed import Link, decode_mixed, wrapper
from realm_sync.core.schema import Property
from realm_sync.core.values import SCALARS, decode

from .counters import Counter
from .declared import NO_DEFAULT, default_value
from .dictionaries import Dictionary, check_key
from .elements import MIXED
from .embedded import EmbeddedObject
from .errors import RealmError
from .lists import List
from .live import INVALID, Live, Path
from .objects import Object
from .sets import Set as RealmSet
from .sets import check_member

if TYPE_CHECKING:
    from .realm import Realm

UpdateMode = Literal["never", "modified", "all"]
DEEPEST = 100
"""How deep plain values may be nested."""


# --- writing ---------------------------------------------------------------------------------------------------------


def to_wire(realm: Realm, where: str, prop: Property, value: Any, mode: UpdateMode | None) -> Any:
    """The wire value of what an app gives for a property. Mappings for links are created, or with a `mode` changed;
    None: they are refused. Raises ValueTypeError, or RealmError in Realm's words."""
    if prop.type in SCALARS:
        if type(value) is Counter and prop.is_counter:
            value = value.value
        return encode_property(realm._schema_for_queries, where, prop, value)
    return _Encoder(realm, mode).encode(where, prop, value)


class _Encoder:
    def __init__(self, realm: Realm, mode: UpdateMode | None) -> None:
        self.realm, self.mode, self.schema = realm, mode, realm._schema_for_queries
        self.depth = 0

    def encode(self, where: str, prop: Property, value: Any) -> Any:
        if prop.type in SCALARS:
            return encode_property(self.schema, where, prop, value)
        if prop.type == "object":
            if value is None and prop.optional:
                return None
            return self.embedded(where, prop, value) if self.is_embedded(prop) else self.link(where, prop, value)
        encoder = getattr(self, prop.type, None)
        if encoder is None:
            raise RealmError(f"'{where}' is computed: assigning it is not supported", code="IllegalOperation")
        return encoder(where, prop, value)

    def is_embedded(self, prop: Property) -> bool:
        return self.schema.is_embedded(prop.object_type)

    def link(self, where: str, prop: Property, value: Any) -> Any:
        realm = self.realm
        if isinstance(value, Mapping) and self.mode is not None:
            value = realm.create(str(prop.object_type), value, self.mode)
        if isinstance(value, Object):
            if value._table.name != prop.object_type:
                raise ValueTypeError(f"an instance of {prop.object_type}", value, where)
            return self.key_of(value)
        try:
            return encode_property(self.schema, where, prop, value)
        except ValueTypeError as error:
            raise ValueTypeError(f"an instance of {prop.object_type}, or its key", value, where) from error

    def key_of(self, value: Object) -> Any:
        if value._realm.path != self.realm.path:
            raise RealmError("Cannot link to an object of another Realm", code="InvalidArgument")
        if not value.is_valid():
            raise RealmError(INVALID, code="InvalidatedObject")
        return value._table.key_to_wire(value._key)

    def embedded(self, where: str, prop: Property, value: Any) -> dict[str, Any]:
        name = str(prop.object_type)
        if isinstance(value, EmbeddedObject):
            if value._prop.object_type != name:
                raise ValueTypeError(f"an instance of {name}", value, where)
            return dict(value._wire())
        if not isinstance(value, Mapping):
            raise ValueTypeError(f"an instance of {name}, or its values", value, where)
        python_class = self.realm._classes.get(name)
        wire = {}
        for key, inner in self.schema[name].properties.items():
            if inner.type == "linkingObjects":
                continue
            given = value[key] if key in value else default_value(python_class, key)
            if given is not NO_DEFAULT:
                wire[key] = self.encode(f"{where}.{key}", inner, given)
            elif inner.optional or inner.is_collection:
                wire[key] = empty(inner)
            else:
                raise RealmError(f"Missing value for property '{name}.{key}'", code="MissingPropertyValue")
        return wire

    def list(self, where: str, prop: Property, value: Any) -> Any:
        element = self.schema.element(prop)
        return [self.encode(f"{where}[{at}]", element, each) for at, each in enumerate(self.items(where, value))]

    def set(self, where: str, prop: Property, value: Any) -> Any:
        element = self.schema.element(prop)
        items = [self.encode(f"{where}[{at}]", element, each) for at, each in enumerate(self.items(where, value))]
        for wire in items:
            check_member(wire)
        return wire_set(items)

    def items(self, where: str, value: Any) -> Iterable[Any]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
            raise ValueTypeError("a list", value, where)
        return list(value)

    def dictionary(self, where: str, prop: Property, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueTypeError("a dictionary", value, where)
        element = self.schema.element(prop)
        wire = {}
        for key, each in value.items():
            inside = f'{where}["{key}"]'
            wire[check_key(key, inside)] = self.encode(inside, element, each)
        return wire

    def mixed(self, where: str, prop: Property, value: Any) -> Any:
        if isinstance(value, Object):
            if value.object_schema().asymmetric:
                raise RealmError(f"Objects of class '{value._table.name}' cannot be linked to.", code="InvalidArgument")
            return {"$link": [value._table.name, self.key_of(value)]}
        for kind, text in ((EmbeddedObject, "an embedded object"), (Counter, "a Counter"), ((RealmSet, Set), "a Set")):
            if isinstance(value, kind):
                name = f" ({value._prop.object_type})" if isinstance(value, EmbeddedObject) else ""
                raise RealmError(f"Using {text}{name} as a Mixed value is not supported.", code="InvalidArgument")
        if isinstance(value, (list, tuple, List, Mapping)) and not isinstance(value, Link):
            if self.depth >= DEEPEST:
                raise ValueTypeError(f"a value of at most {DEEPEST} nested lists and dictionaries", None, where[:100])
            self.depth += 1
            try:
                if isinstance(value, Mapping):
                    return {
                        check_key(key, where): self.mixed(f'{where}["{key}"]', prop, each)
                        for key, each in value.items()
                    }
                return [self.mixed(f"{where}[{at}]", prop, each) for at, each in enumerate(value)]
            finally:
                self.depth -= 1
        return encode_property(self.schema, where, MIXED, value)


# --- reading ---------------------------------------------------------------------------------------------------------


def value_at(realm: Realm, owner: Object, path: Path, prop: Property, wire: Any, root: Any) -> Any:
    """What an app gets for the wire value at a path; `root`: the value of the whole property."""
    kind = prop.type
    if kind in SCALARS:
        if prop.is_counter and wire is not None:
            return Counter(owner, path, prop, root)
        return decode(kind, wire)
    if kind == "object":
        if realm._schema_for_queries.is_embedded(prop.object_type):
            return None if wire is None else realm._embedded_class(str(prop.object_type))(owner, path, prop, root)
        return _linked(realm, prop.object_type, wire)
    if kind == "mixed":
        if isinstance(wire, dict):
            inner = wrapper(wire)
            if inner == "$link":
                return _linked(realm, *wire["$link"])
            return decode_mixed(wire) if inner else Dictionary(owner, path, prop, root)
        return List(owner, path, prop, root) if isinstance(wire, list) else decode_mixed(wire)
    return _LIVE[kind](owner, path, prop, root)


_LIVE: dict[str, type[Live]] = {"list": List, "set": RealmSet, "dictionary": Dictionary}


def _linked(realm: Realm, class_name: str | None, wire: Any) -> Any:
    table = realm._table_or_none(class_name)
    if wire is None or table is None:
        return None
    target = realm._wrap(table, table.key_from_wire(wire), None)
    return target if target.is_valid() else None


def plain(realm: Realm, prop: Property, wire: Any) -> Any:
    """The wire value as plain Python values, no longer live: lists (sets too), dicts, and of links the targets' keys;
    links in mixed values are `Link`s. What `create` takes again."""
    schema = realm._schema_for_queries
    if wire is None:
        return empty(prop)
    if prop.type in SCALARS:
        return decode(prop.type, wire)
    if prop.type in ("list", "set"):
        element = schema.element(prop)
        return [plain(realm, element, each) for each in wire]
    if prop.type == "dictionary":
        element = schema.element(prop)
        return {key: plain(realm, element, wire[key]) for key in sorted(wire)}
    if prop.type == "mixed":
        return decode_mixed(wire)
    if schema.is_embedded(prop.object_type):
        properties = schema[str(prop.object_type)].properties
        return {
            name: plain(realm, inner, wire.get(name))
            for name, inner in properties.items()
            if inner.type != "linkingObjects"
        }
    return decode(schema.wire_type(prop), wire)
