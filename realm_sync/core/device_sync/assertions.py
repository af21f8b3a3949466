"""Assertions: an object, or some of its properties, said so that it is true on a client whatever was there before.

Decides which instructions that takes. They may be applied twice, to an object that is there or is not, and over local
edits that the client has not uploaded yet: the client's own merge then leaves either what is said here or its later
edit, and never half of both. So collections are emptied first, which also drops concurrent edits in them, and no
instruction here counts on what was there:

    scalar, link, null       Update
    list, set, dictionary    Clear, then every element
    single embedded          Update to null, then Update to a new object, then its properties
    mixed collection         Clear, which sets its kind too, then every element

Inside what was just made nothing need be cleared. Knows no history; which properties are to be said is for downloads.py.
Values that are none of their type (raw SQL writes such on SQLite) are said as Realm's default, as nothing else can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ValueTypeError
from ..schema import ObjectSchema, Schema
from .changesets import Encoder
from .instructions import (
    NULL,
    AnyInstruction,
    ArrayInsert,
    Clear,
    CreateObject,
    EraseObject,
    Path,
    Payload,
    SetInsert,
    Update,
)
from .packing import MISFITS, key_packer, packer
from .payloads import encode_key
from .places import Place, places

Image = Mapping[str, Any]
OBJECT = Payload("object")


class Assertions:
    """Of one class: its properties are looked at once. `_id` is said by the key."""

    def __init__(self, schema: Schema, cls: ObjectSchema) -> None:
        self.cls = cls
        self._places = places(schema, cls)
        self._key = key_packer(cls.key_type)
        scalars = {name: place for name, place in self._places.items() if place.kind == "scalar"}
        self._names = tuple(scalars)
        self._single = [
            (name, packer(schema, place.prop), Encoder().payload(_payload(place, None)))
            for name, place in scalars.items()
        ]
        """Scalars and links: one Update each, whatever the value; with the bytes of the value in place of none."""
        self._others = {name: place for name, place in self._places.items() if place.kind != "scalar"}

    def create(self, image: Image) -> list[AnyInstruction]:
        """The object exists and is this image; properties that the image lacks have Realm's defaults. Raises
        ValueTypeError, as the others do, for a key that is none of the class's."""
        writer = _Writer(self.cls.name, encode_key(self.cls, image["_id"]))
        writer.create()
        for name, place in self._places.items():
            writer.property(name, place, image)
        return writer.out

    def write(self, encoder: Encoder, image: Image) -> None:
        """Writes what `create` says, several times faster."""
        try:
            key = self._key(encoder, image["_id"])
        except MISFITS:
            raise ValueTypeError(f"a key of class '{self.cls.name}'", image["_id"]) from None
        values: list[bytes] = []
        for name, pack, empty in self._single:
            wire = image.get(name)
            try:
                values.append(empty if wire is None else pack(encoder, wire))
            except MISFITS:
                values.append(empty)
        encoder.create(self.cls.name, key, self._names, values)
        if self._others:
            writer = _Writer(self.cls.name, encode_key(self.cls, image["_id"]))
            for name, place in self._others.items():
                writer.property(name, place, image)
            for instruction in writer.out:
                encoder.write(instruction)

    def properties(self, image: Image, names: Iterable[str]) -> list[AnyInstruction]:
        """These properties of an object that the client has are as in the image; names that are none are passed over."""
        writer = _Writer(self.cls.name, encode_key(self.cls, image["_id"]))
        for name in names:
            if name in self._places:
                writer.property(name, self._places[name], image)
        return writer.out

    def erase(self, key: Any) -> list[AnyInstruction]:
        """The object with this wire value as its key does not exist."""
        return [EraseObject(self.cls.name, encode_key(self.cls, key))]


def _payload(place: Place, wire: Any) -> Payload:
    """Of a scalar, or of a mixed value, of which a list or dictionary is the payload that makes an empty one."""
    if wire is not None and place.encode is not None:
        try:
            return place.encode(wire)
        except (ValueTypeError, LookupError):
            pass
    return NULL if place.zero is None or place.encode is None else place.encode(place.zero)


class _Writer:
    """The instructions on one object."""

    def __init__(self, class_name: str, key: Payload) -> None:
        self.out: list[AnyInstruction] = []
        self._class, self._key, self._property = class_name, key, ""

    def create(self) -> None:
        self.out.append(CreateObject(self._class, self._key))

    def property(self, name: str, place: Place, image: Image) -> None:
        self._property = name
        self._value(place, (), image.get(name), is_new=False)

    def _update(self, path: Path, value: Payload) -> None:
        self.out.append(Update(self._class, self._key, self._property, path, value))

    def _value(self, place: Place, path: Path, wire: Any, *, is_new: bool) -> None:
        """A property, of the object or of an embedded one. `is_new`: it is empty, as what it is in was just made."""
        kind = place.container(wire)
        if place.kind == "embedded":
            if not is_new:
                self._update(path, NULL)
            if kind:
                self._update(path, OBJECT)
                self._content(place, path, wire, kind)
        elif place.kind in ("scalar", "mixed") and not kind:
            self._update(path, _payload(place, wire))
        else:
            if not is_new or place.kind == "mixed":
                collection: Any = kind or place.kind
                self.out.append(Clear(self._class, self._key, self._property, path, collection))
            if kind:
                self._content(place, path, wire, kind)

    def _content(self, place: Place, path: Path, wire: Any, kind: str) -> None:
        """What is in an empty container."""
        if kind == "embedded":
            for name, field in place.fields.items():
                self._value(field, (*path, name), wire.get(name), is_new=True)
        elif kind == "list":
            for at, item in enumerate(wire):
                step = (*path, at)
                value = OBJECT if place.element.kind == "embedded" else _payload(place.element, item)
                self.out.append(ArrayInsert(self._class, self._key, self._property, step, value, at))
                self._inside(place.element, step, item)
        elif kind == "dictionary":
            for key, item in wire.items():
                step = (*path, key)
                is_object = place.element.kind == "embedded" and isinstance(item, dict)
                self._update(step, OBJECT if is_object else _payload(place.element, item))
                self._inside(place.element, step, item)
        else:
            for item in wire:
                value = NULL if place.element.container(item) else _payload(place.element, item)
                self.out.append(SetInsert(self._class, self._key, self._property, path, value))

    def _inside(self, element: Place, path: Path, wire: Any) -> None:
        if kind := element.container(wire):
            self._content(element, path, wire, kind)
