"""Places: what can stand at the end of a path: a property, an element, the value of a key, a member of a set.

Decides from the schema alone; made once for each class and kept by whoever reads or writes many instructions. Knows
neither instructions nor what is really there. Used by assertions.py and translation.py.
"""

from __future__ import annotations

from typing import Any, Literal

from ..mixed import wrapper
from ..schema import ObjectSchema, Property, Schema
from .payloads import Encode, encoder, zero

PlaceKind = Literal["scalar", "mixed", "list", "set", "dictionary", "embedded"]
"""Links are scalars."""


class Place:
    __slots__ = ("_fields", "_schema", "element", "encode", "kind", "prop", "zero")

    def __init__(self, schema: Schema, prop: Property) -> None:
        self._schema, self.prop = schema, prop
        self._fields: dict[str, Place] | None = None
        self.zero = zero(schema, prop)
        """What Realm has in a new one, as a wire value. Of an embedded object null, even where that cannot stand."""
        self.element: Place = self
        """Of a mixed value: mixed again."""
        self.encode: Encode | None = None
        """Of a scalar or mixed value that is not null."""
        self.kind: PlaceKind
        if prop.is_collection:
            self.kind = prop.type  # type: ignore[assignment]
            self.element = Place(schema, schema.element(prop))
            if prop.type != "dictionary" and self.element.encode and self.element.prop.type == "object":
                # Links are never null here; of what cannot be said remains one that leads nowhere.
                self.element.zero = zero(schema, Property(type=schema[str(prop.object_type)].key_type))
        elif schema.is_embedded(prop.object_type):
            self.kind = "embedded"
        else:
            self.kind = "mixed" if prop.type == "mixed" else "scalar"
            self.encode = encoder(schema, prop)

    @property
    def fields(self) -> dict[str, Place]:
        """Of an embedded object, by property."""
        if self._fields is None:
            self._fields = places(self._schema, self._schema[str(self.prop.object_type)])
        return self._fields

    def new(self) -> Any:
        """Realm's new value: `zero`, of an embedded object one with nothing but such values."""
        if self.kind == "embedded":
            return {name: field.empty() for name, field in self.fields.items()}
        return self.empty()

    def empty(self) -> Any:
        """`zero`, to be changed in place."""
        return self.zero.copy() if isinstance(self.zero, (list, dict)) else self.zero

    def container(self, wire: Any) -> Literal["", "list", "set", "dictionary", "embedded"]:
        """What a wire value is here; empty for what is one payload, and for what cannot stand here."""
        if self.kind == "scalar":
            return ""
        if self.kind == "mixed":
            if isinstance(wire, list):
                return "list"
            return "dictionary" if isinstance(wire, dict) and not wrapper(wire) else ""
        return self.kind if isinstance(wire, list if self.kind in ("list", "set") else dict) else ""


def places(schema: Schema, cls: ObjectSchema) -> dict[str, Place]:
    """The properties of a class that instructions are about, by name: not the key, and no backlinks."""
    return {
        name: Place(schema, prop)
        for name, prop in cls.properties.items()
        if prop.type != "linkingObjects" and (name != "_id" or cls.embedded)
    }
