"""Additions: what a schema has that a file has not.

Realm's additive mode: classes and properties come, a property never changes its type, and nothing is ever removed. Pure;
`store.py` makes the columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from realm_sync.core.schema import ObjectSchema, Schema, type_text


@dataclass(frozen=True)
class Additions:
    """What a schema has that a file has not."""

    merged: dict[str, ObjectSchema]
    """The file's classes with the additions."""
    classes: list[str]
    properties: list[tuple[str, str]]
    more: bool
    """Options that need no column, as `indexed`."""
    problems: list[str]
    """What contradicts the file."""

    def __bool__(self) -> bool:
        return bool(self.classes or self.properties or self.more or self.problems)


def stored(cls: ObjectSchema) -> ObjectSchema:
    """The class without its computed properties: those of the app's classes lie in no file and are sent to nobody."""
    properties = {name: prop for name, prop in cls.properties.items() if prop.type != "linkingObjects"}
    return cls if len(properties) == len(cls.properties) else msgspec.structs.replace(cls, properties=properties)


def additions(known: Schema, classes: Iterable[ObjectSchema]) -> Additions:
    merged = {cls.name: cls for cls in known}
    problems, added = [], False
    new_classes: list[str] = []
    new_columns: list[tuple[str, str]] = []
    for cls in map(stored, classes):
        ours = merged.get(cls.name)
        if ours is None:
            merged[cls.name] = cls
            new_classes.append(cls.name)
            continue
        properties = dict(ours.properties)
        for name, prop in cls.properties.items():
            before = properties.get(name)
            if before is None:
                new_columns.append((cls.name, name))
            elif type_text(before) != type_text(prop):
                problems.append(
                    f"Property '{cls.name}.{name}' has been changed from '{type_text(before)}' to '{type_text(prop)}'."
                )
            properties[name] = prop
        if properties != ours.properties or cls.read_only != ours.read_only:
            merged[cls.name] = msgspec.structs.replace(ours, properties=properties, read_only=cls.read_only)
            added = True
    return Additions(merged, new_classes, new_columns, added, problems)
