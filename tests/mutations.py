"""Random values and random edits for the properties of any class: what users and other writers may do to an object.

random = Mutations(rng, schema, sets_of_links={"teams": [...]})
random.value(prop)                    a wire value of a property
random.steps(cls, key, image, name)   how a client file writes one property: edits, or a dict of whole values
random.changed(cls, image, name)      another writer's new wire value of a property
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from realm_sync.core.edits import EditError, Shape, edit_value
from realm_sync.core.encoding import wire_set
from realm_sync.core.messages import Add, AnyEdit, Clear, Insert, Move, Remove, Set, SetInsert, SetRemove
from realm_sync.core.schema import ObjectSchema, Property, Schema

SCALARS: dict[str, list[Any]] = {
    "bool": [True, False],
    "int": [0, 1, -7, 42, 2**53, "9007199254740993", "-9223372036854775808"],
    "float": [0, 1.5, -2.25],
    "double": [0, 0.1, -1e300, "NaN", "Infinity"],
    "decimal128": ["0", "0.1", "-19.99", "1234567890123456789.5"],
    "string": ["a", "b", "c", "Ångström", "🛬", "\u2028'\"\\"],
    "data": ["", "AAEC", "//79"],
    "date": ["2026-01-01T12:00:00.123456Z", "1969-12-31T23:59:59.999999Z", "2026-02-03T00:00:00.000000Z"],
    "objectId": ["000000000000000000000001", "ffffffffffffffffffffffff"],
    "uuid": [str(uuid.UUID(int=1)), str(uuid.UUID(int=2**128 - 1))],
}
MIXED: list[Any] = [
    None, True, 1.5, "a", "b", {"$numberLong": "5"}, {"$numberDecimal": "0.1"}, {"$oid": "0" * 24},
    {"$date": "2026-01-01T12:00:00.000000Z"}, {"$binary": "AAEC"}, {"$link": ["Airfield", "EDDM"]},
]  # fmt: skip
KEYS = ["a", "b", "c"]
MOST = 12
"""Elements of a list: longer ones are rather shortened."""


class Mutations:
    def __init__(self, rng: random.Random, schema: Schema, pools: Mapping[str, Sequence[Any]]) -> None:
        """`pools`: by property or property of an embedded object, the values it takes; by class, the keys of links."""
        self.random, self.schema, self.pools = rng, schema, pools

    # --- values ------------------------------------------------------------------------------------------------------

    def value(self, name: str, prop: Property, depth: int = 0) -> Any:
        if prop.is_collection:
            element = self.schema.element(prop)
            items = [self.value(name, element, depth + 1) for _ in range(self.random.randint(0, 3))]
            if prop.type == "dictionary":
                return dict(zip(self.random.sample(KEYS, len(items)), items, strict=True))
            return wire_set(items) if prop.type == "set" else items
        if prop.optional and self.random.random() < 0.2:
            return None
        if prop.type == "mixed":
            return self.mixed(name, depth)
        if prop.type == "object" and self.schema.is_embedded(prop.object_type):
            cls = self.schema[str(prop.object_type)]
            return {inner: self.value(inner, it, depth + 1) for inner, it in cls.properties.items()}
        pool = self.pools.get(name) or self.pools.get(str(prop.object_type)) or SCALARS[prop.type]
        return self.random.choice(pool)

    def mixed(self, name: str, depth: int) -> Any:
        inside_set = name.endswith("_set")
        if depth > 2 or inside_set or self.random.random() < 0.6:
            return self.random.choice(self.pools.get(name) or MIXED)
        items = [self.mixed(name, depth + 1) for _ in range(self.random.randint(0, 3))]
        if self.random.random() < 0.5:
            return items
        return dict(zip(self.random.sample(KEYS, len(items)), items, strict=True))

    # --- what client files do ----------------------------------------------------------------------------------------

    def steps(self, cls: ObjectSchema, key: Any, image: Mapping[str, Any], name: str) -> list[AnyEdit] | dict[str, Any]:
        """A few edits, each counted on top of the one before; or whole values where there is nothing to edit."""
        prop = cls.properties[name]
        shape, value = Shape(self.schema, prop), image.get(name)
        if shape.kind == "scalar" or self.random.random() < 0.08:
            return {name: self.value(name, prop)}
        edits: list[AnyEdit] = []
        for _ in range(self.random.choice([1, 1, 1, 2, 4])):
            edit = self.edit(cls.name, key, name, prop, shape.read(value))
            if edit is None:
                break
            try:
                value = edit_value(shape, value, edit)
            except EditError as error:
                raise AssertionError(f"{edit} on {value}") from error
            edits.append(edit)
        return edits or {name: self.value(name, prop)}

    def edit(self, class_name: str, key: Any, name: str, prop: Property, value: Any) -> AnyEdit | None:
        path: list[str | int] = [name]
        shape = Shape(self.schema, prop)
        while True:
            kind = shape.container(value)
            common: dict[str, Any] = {"class_name": class_name, "id": key}
            if shape.kind == "counter":
                return Add(path=path, by=self.random.choice([1, 2, -1, 5]), **common)
            if kind is None:
                if len(path) == 1:
                    return None
                return Set(path=path, value=self.at(name, path, prop), **common)
            if kind == "set":
                element = self.schema.element(self.prop_at(prop, path))
                if value and self.random.random() < 0.4:
                    return SetRemove(path=path, value=self.random.choice(value), **common)
                return SetInsert(path=path, value=self.value(str(path[-1]), element, 3), **common)
            if value and self.random.random() < 0.35 and self.deeper(shape, kind, value):
                step = self.random.choice(self.deeper(shape, kind, value))
                path = [*path, step]
                shape = shape.fields[str(step)] if kind == "embedded" else shape.element
                value = shape.read(value[step] if kind == "list" else value.get(step))
                continue
            if kind == "embedded":
                step = self.random.choice(list(shape.fields))
                inner = shape.fields[step]
                if inner.kind in ("list", "set", "dictionary", "counter"):
                    path, shape, value = [*path, step], inner, inner.read(value.get(step))
                    continue
                return Set(path=[*path, step], value=self.at(step, [*path, step], prop), **common)
            if value and self.random.random() < 0.03:
                return Clear(path=path, **common)
            if kind == "dictionary":
                if value and self.random.random() < 0.3:
                    return Remove(path=[*path, self.random.choice(list(value))], **common)
                step = self.random.choice(KEYS)
                return Set(path=[*path, step], value=self.at(name, [*path, step], prop), **common)
            return self.list_edit(common, name, path, prop, value)

    def list_edit(self, common: Any, name: str, path: list[str | int], prop: Property, value: list[Any]) -> AnyEdit:
        act = self.random.random()
        if not value or act < (0.5 if len(value) < MOST else 0.1):
            place = [*path, self.random.randint(0, len(value))]
            return Insert(path=place, value=self.at(name, place, prop), **common)
        place = [*path, self.random.randrange(len(value))]
        if act < 0.7:
            return Remove(path=place, **common)
        if act < 0.85:
            return Move(path=place, to=self.random.randrange(len(value)), **common)
        return Set(path=place, value=self.at(name, place, prop), **common)

    def deeper(self, shape: Shape, kind: str, value: Any) -> list[Any]:
        if kind == "list":
            return [at for at, item in enumerate(value) if shape.element.container(item)]
        if kind == "dictionary":
            return [key for key, item in value.items() if shape.element.container(item)]
        return [key for key, item in value.items() if key in shape.fields and shape.fields[key].container(item)]

    def prop_at(self, prop: Property, path: Sequence[str | int]) -> Property:
        """The property that the place of a path would be."""
        for step in path[1:]:
            if prop.type == "mixed":
                return prop
            inner = self.schema.get(str(prop.object_type))
            prop = self.schema.element(prop) if prop.is_collection or inner is None else inner.properties[str(step)]
        return prop

    def at(self, name: str, path: Sequence[str | int], prop: Property) -> Any:
        named = next((step for step in reversed(path) if isinstance(step, str) and step not in KEYS), name)
        return self.value(named, self.prop_at(prop, path), len(path))

    # --- what others do ----------------------------------------------------------------------------------------------

    def changed(self, cls: ObjectSchema, image: Mapping[str, Any], name: str) -> Any:
        """Another writer's value of a property: a whole one, which often resembles the one before."""
        steps = self.steps(cls, image["_id"], image, name)
        if isinstance(steps, dict):
            return steps[name]
        shape, value = Shape(self.schema, cls.properties[name]), image.get(name)
        for edit in steps:
            value = edit_value(shape, value, edit)
        return value
