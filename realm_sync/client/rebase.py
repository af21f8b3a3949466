"""Rebase: what a local transaction says.

Decides how the writes of one transaction fold into instructions, and how an instruction lies in the file. Pure: no
SQLite, no clock; `writer.py` and `integration.py` call it. What pending instructions make of an object is
`core/merge.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from realm_sync.core.edits import Shape, edit_value, increase
from realm_sync.core.messages import (
    Add,
    AnyEdit,
    AnyInstruction,
    Clear,
    Create,
    Delete,
    Insert,
    Move,
    Remove,
    Set,
    SetInsert,
    SetRemove,
    Update,
)

EDITS: dict[str, type[AnyEdit]] = {
    "set": Set, "add": Add, "insert": Insert, "move": Move, "remove": Remove, "clear": Clear, "setInsert": SetInsert,
    "setRemove": SetRemove,
}  # fmt: skip
"""Instruction by `op`: those that edit inside a property."""
OPS = {kind: op for op, kind in EDITS.items()}
Key = tuple[str, Any]
"""Class and the key of an object as it lies in its column."""
Image = dict[str, Any]
"""An object's wire values by property, `_id` included."""


@dataclass
class Step:
    """One instruction of the transaction that is being written."""

    op: str
    key: Key
    values: Image = field(default_factory=dict)
    """Of a create or update."""
    edit: AnyEdit | None = None

    def data(self) -> dict[str, Any] | None:
        """What the instruction says besides its object."""
        return self.values if self.op in ("create", "update") else None if self.edit is None else edit_data(self.edit)


def edit_data(edit: AnyEdit) -> dict[str, Any]:
    """What an edit says besides its object."""
    said = {name: getattr(edit, name) for name in edit.__struct_fields__ if name not in ("class_name", "id")}
    return {name: value for name, value in said.items() if not (name == "base" and value is None)}


class Fold:
    """The instructions of one transaction, in order, folded per object where the meaning stays.

    Updates fold into the create or update before them, and an object that was created and deleted in one transaction
    leaves nothing. Edits fold into a whole value that this transaction wrote, increments of one counter into one. A
    write stays apart where folding would let an object link to one that is created only later, or a whole value come
    before the edits that it follows: the server applies the steps in order.
    """

    def __init__(self) -> None:
        self._steps: list[Step | None] = []
        self._objects: dict[Key, _Folded] = {}
        self._newest = -1
        """The last step that creates an object."""

    def create(self, key: Key, values: Mapping[str, Any]) -> None:
        self._newest = len(self._steps)
        self._add(Step("create", key, dict(values))).created = self._newest

    def update(self, key: Key, values: Mapping[str, Any], links: Iterable[Key] = (), may_link: bool = False) -> None:
        """`links`: the objects that `values` link to; `may_link`: they may link to others as well."""
        known = self._objects.get(key)
        whole = self._open_whole(known, links, may_link)
        if whole is None or known is None or not known.edited.isdisjoint(values):
            self._add(Step("update", key, dict(values)))
        else:
            whole.values |= values

    def edit(self, key: Key, edit: AnyEdit, shape: Shape, may_link: bool) -> None:
        """`shape`: of the property that it edits; `may_link`: its value may link to any object."""
        name, known = str(edit.path[0]), self._objects.get(key)
        whole = self._open_whole(known, (), may_link)
        is_whole = whole is not None and (whole.op == "create" or name in whole.values)
        if is_whole and whole is not None and known is not None and name not in known.edited:
            whole.values[name] = edit_value(shape, whole.values.get(name), edit)
            return
        last = self._steps[known.places[-1]] if known is not None and known.places else None
        before = last.edit if last is not None else None
        if before is not None and last is not None and type(before) is type(edit) and before.path == edit.path:
            if isinstance(before, Add) and isinstance(edit, Add):
                last.edit = msgspec.structs.replace(before, by=increase(before.by, edit.by))
                return
            if isinstance(edit, Set) and known is not None and not (may_link and self._newest > known.places[-1]):
                last.edit = edit
                return
        self._add(Step(OPS[type(edit)], key, edit=edit)).edited.add(name)

    def _open_whole(self, known: _Folded | None, links: Iterable[Key], may_link: bool) -> Step | None:
        """The last create or update of an object, if a write that links to these objects may fold into it."""
        if known is None or known.whole < 0 or (may_link and self._newest > known.whole):
            return None
        for link in links:
            target = self._objects.get(link)
            if target is not None and target.created > known.whole:
                return None
        return self._steps[known.whole]

    def delete(self, key: Key) -> None:
        known = self._objects.pop(key, _Folded())
        deleted = [at for at in known.places if (step := self._steps[at]) is not None and step.op == "delete"]
        for at in known.places:
            if at not in deleted:
                self._steps[at] = None
        if deleted:
            self._objects[key] = _Folded(places=deleted)
        elif known.created < 0:
            self._add(Step("delete", key))

    def _add(self, step: Step) -> _Folded:
        known = self._objects.setdefault(step.key, _Folded())
        known.places.append(len(self._steps))
        if step.edit is None:
            known.whole, known.edited = (-1 if step.op == "delete" else len(self._steps)), set()
        self._steps.append(step)
        return known

    def steps(self) -> list[Step]:
        return [step for step in self._steps if step is not None]


@dataclass
class _Folded:
    """The steps of one object."""

    places: list[int] = field(default_factory=list)
    whole: int = -1
    """The last create or update, unless it was deleted since."""
    created: int = -1
    edited: set[str] = field(default_factory=set)
    """The properties that were edited since."""


def instruction(op: str, class_name: str, key: Any, data: dict[str, Any]) -> AnyInstruction:
    """The instruction that `data` says. `key`: the wire value of the object's."""
    if op in EDITS:
        return EDITS[op](class_name=class_name, id=key, **data)
    if op == "delete":
        return Delete(class_name=class_name, id=key)
    return (Create if op == "create" else Update)(class_name=class_name, id=key, values=data)


def written(step: AnyInstruction) -> tuple[str, dict[str, Any] | None]:
    """Op and data of an instruction: the other way round."""
    if isinstance(step, Delete):
        return "delete", None
    if isinstance(step, (Create, Update)):
        return ("create" if isinstance(step, Create) else "update"), step.values
    return OPS[type(step)], edit_data(step)
