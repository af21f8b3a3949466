"""Merge: the only place where conflicts are decided (R7).

Pure: given an object's present image, what others did to it since a changeset's base, and one instruction of that
changeset, it says which of the instruction's writes stand. Knows nothing of access, validation or storage: uploads.py
asks those questions about what remains. Concurrent with a changeset is every change above its base, on the same
object, not of the same client file; callers pass only rows of others.

    two writes of one property      the later (timestamp, client file ident) stands
    two creates of one key          one object; properties as above, an untouched default never beats a written value
    delete against anything         the delete stands, whatever the times
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .changes import Change
from .messages import Create, Delete, Update


class Stamp(NamedTuple):
    """When a write was made and by which client file; later stands. Any other writer is file 0."""

    timestamp: int
    origin: int


class Rivals:
    """What others did to one object, since the lowest base of an upload."""

    __slots__ = ("_deleted", "_writes")

    def __init__(self, changes: Iterable[Change] = (), defaults: Mapping[str, Any] | None = None) -> None:
        """`changes`: rows of others, in order. `defaults`: wire values that properties have if a create omits them."""
        defaults = defaults or {}
        self._deleted = 0
        self._writes: dict[str, list[tuple[int, Stamp]]] = defaultdict(list)
        for change in changes:
            if change.kind == "delete":
                self._deleted = max(self._deleted, change.version)
                continue
            stamp = Stamp(change.timestamp, change.origin)
            for name, value in change.written().items():
                if change.kind == "insert" and (value is None or value == defaults.get(name)):
                    continue
                self._writes[name].append((change.version, stamp))

    def deleted_since(self, base: int) -> bool:
        """Whether another deleted the object above `base`; re-created since or not."""
        return self._deleted > base

    def beat(self, name: str, base: int, stamp: Stamp) -> bool:
        """Whether another's write of the property, above `base`, is later than `stamp`."""
        return any(version > base and other > stamp for version, other in self._writes.get(name, ()))


class Outcome(NamedTuple):
    """What an instruction leaves of an object: its image (None: absent) and the properties it really wrote."""

    image: dict[str, Any] | None
    written: tuple[str, ...] = ()


def merge(
    image: Mapping[str, Any] | None, instruction: Create | Update | Delete, base: int, stamp: Stamp, rivals: Rivals
) -> Outcome:
    """The outcome of one instruction on `image`. An update of an absent object is nothing, as on clients (R8)."""
    present = None if image is None else dict(image)
    if rivals.deleted_since(base) and not isinstance(instruction, Delete):
        return Outcome(present)
    if isinstance(instruction, Delete):
        return Outcome(None)
    if isinstance(instruction, Create) and present is None:
        return Outcome({"_id": instruction.id, **instruction.values}, tuple(instruction.values))
    if present is None:
        return Outcome(None)
    written = tuple(name for name in instruction.values if not rivals.beat(name, base, stamp))
    present.update({name: instruction.values[name] for name in written})
    return Outcome(present, written)
