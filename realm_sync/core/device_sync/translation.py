"""Translation: what a changeset of an official SDK means, as instructions of ours.

Decides nothing about conflicts: what comes out is merged as any other client's. One object's instructions come out
together, in order. What the changeset makes from nothing (a new object, an element, a whole value) comes out as one
value with everything that the instructions after it did inside, because ours are judged one by one, and an embedded
object may not be valid before its properties are written.

    CreateObject                  create, with every property: those that nobody writes have Realm's defaults, and of
                                  those that clients do not write none, whatever the client gave
    Update                        update; of an element, a key or an embedded object's property: set, or remove (erased)
    Update to a new object        an embedded object of Realm's defaults; a single one that is there already stays on the
                                  client, and is replaced here: see `anew`
    Update to a list, dictionary  of a mixed value: an empty one; one that is there already stays
    Array…, Set…, Clear           insert, move, remove, setInsert, setRemove, clear
    AddInteger                    add
    EraseObject                   delete

An instruction that contradicts the schema, or what the changeset itself made, is a DeviceSyncError 212: no SDK sends
it. One that does not fit what is on the server is for merge.py to see. Knows no history and no images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import msgspec

from .. import messages as ours
from ..edits import increase, path_text
from ..encoding import wire_key, wire_set
from ..errors import ValueTypeError
from ..mixed import wrapper
from ..schema import ObjectSchema, Schema
from ..values import encode
from .errors import DeviceSyncError
from .instructions import (
    AddColumn,
    AddInteger,
    AddTable,
    AnyInstruction,
    ArrayErase,
    ArrayInsert,
    ArrayMove,
    Clear,
    CreateObject,
    EraseColumn,
    EraseObject,
    EraseTable,
    PathInstruction,
    Payload,
    SetErase,
    SetInsert,
    Update,
)
from .payloads import decode_key, decode_payload, is_one_of_two
from .places import Place, places
from .schema import check

ObjectKey = tuple[str, str]
"""A class, and the text of a key's wire value; as uploads.py knows objects."""
Step = int | str


class Translation(NamedTuple):
    instructions: list[ours.AnyInstruction]
    inexact: Mapping[ObjectKey, set[str]]
    """Properties that the client holds otherwise than the instructions say: it has to be told."""
    defaults: Mapping[ObjectKey, set[str]]
    """Of created objects the properties that nobody wrote: where the object is there already, they are nothing."""
    anew: Mapping[ObjectKey, set[tuple[Step, ...]]] = {}
    """Property and path of the single embedded objects that were made: where there is one already, the client has kept
    it, and has to be told."""


class Translator:
    """Of one schema: what it finds out about a class it keeps."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._classes: dict[str, _Class] = {}

    def translate(self, instructions: Sequence[AnyInstruction]) -> Translation:
        """One changeset. Raises DeviceSyncError: 225 for a declaration that contradicts the schema, 212 for what no SDK
        sends."""
        objects: dict[ObjectKey, _Object] = {}
        leftovers = _leftovers(instructions)
        for at, it in enumerate(instructions):
            if isinstance(it, AddTable | EraseTable | AddColumn | EraseColumn):
                check([it], self._schema)
                continue
            cls = self._class(it.class_name)
            id = cls.key(it.key)
            target = objects.get((it.class_name, str(id)))
            if target is None:
                target = objects[it.class_name, str(id)] = _Object(cls, id)
            if at in leftovers:
                target.inexact.add(cast(PathInstruction, it).property)
            else:
                target.take(it)
        return Translation(
            [step for target in objects.values() for step in target.finish()],
            {key: target.inexact for key, target in objects.items() if target.inexact},
            {key: target.defaults for key, target in objects.items() if target.defaults},
            {key: target.anew for key, target in objects.items() if target.anew},
        )

    def _class(self, name: str) -> _Class:
        found = self._classes.get(name)
        if found is None:
            cls = self._schema.get(name)
            if cls is None or cls.embedded:
                raise DeviceSyncError(212, f"There is no class '{name}' of which objects have keys.")
            found = self._classes[name] = _Class(self._schema, cls)
        return found


def _leftovers(instructions: Sequence[AnyInstruction]) -> set[int]:
    """Where in a changeset is what assigning an element of a list of embedded objects leaves behind: realm-js erases it,
    inserts a new one, writes its properties, and then erases and inserts once more, without the properties. Its own
    file has them; everybody else would have none."""
    found: set[int] = set()
    lists: dict[tuple[str, Payload, str], _Replaced] = {}
    for at, it in enumerate(instructions):
        if not (lists or isinstance(it, ArrayErase)) or not isinstance(it, PathInstruction):
            continue
        place = (it.class_name, it.key, it.property)
        state = lists.get(place)
        if state is not None:
            found.update(state.take(at, it))
        elif isinstance(it, ArrayErase):
            lists[place] = _Replaced(it.path)
    for state in lists.values():
        found.update(state.leftover())
    return found


class _Replaced:
    """An element of a list on its way through a changeset: erased, inserted, written, erased again, inserted again."""

    def __init__(self, path: tuple[Step, ...]) -> None:
        self._path = path
        self._stage: Literal["", "erased", "made", "written", "erased again", "made again"] = "erased"
        self._held: list[int] = []

    def leftover(self) -> list[int]:
        """What was held, if nothing was written after it."""
        return self._held if self._stage == "made again" else []

    def take(self, at: int, it: PathInstruction) -> list[int]:
        """The next instruction on the property; returns the leftover that it shows to be one."""
        is_here = it.path == self._path
        is_inside = len(it.path) > len(self._path) and it.path[: len(self._path)] == self._path
        is_made = is_here and isinstance(it, ArrayInsert) and it.value.type == "object"
        if self._stage == "erased again" and is_made:
            self._held.append(at)
            self._stage = "made again"
            return []
        found = [] if is_inside else self.leftover()
        if is_inside and self._stage in ("made", "written", "made again"):
            self._stage = "written"
        elif isinstance(it, ArrayErase):
            again = is_here and (self._stage == "written" or bool(found))
            self._path, self._held = it.path, [at]
            self._stage = "erased again" if again else "erased"
        else:
            self._stage = "made" if self._stage == "erased" and is_made else ""
        return found


class _Class:
    """A class whose objects have keys, looked at once."""

    def __init__(self, schema: Schema, cls: ObjectSchema) -> None:
        self.schema, self.name = schema, cls.name
        self.places = places(schema, cls)
        self.read_only = {name for name, place in self.places.items() if place.prop.read_only}
        self._cls = cls

    def key(self, payload: Payload) -> Any:
        try:
            return decode_key(self._cls, payload)
        except ValueTypeError:
            raise DeviceSyncError(
                212, f"The keys of class '{self.name}' are of type '{self._cls.key_type}', not {payload.type}."
            ) from None

    def refusal(self, it: PathInstruction, problem: str) -> DeviceSyncError:
        where = path_text([self.name, it.property, *it.path])
        return DeviceSyncError(212, f"{type(it).__name__} at '{where}': {problem}.")

    def place(self, it: PathInstruction, depth: int) -> Place:
        """Where the first steps of the path lead."""
        place = self.places.get(it.property)
        if place is None:
            raise self.refusal(it, "the class has no such property that can be written")
        for step in it.path[:depth]:
            inner: Place | None = None
            if place.kind == "mixed" or place.kind == ("list" if isinstance(step, int) else "dictionary"):
                inner = place.element
            elif place.kind == "embedded":
                inner = place.fields.get(str(step))
            if inner is None:
                raise self.refusal(it, f"a {place.kind} has no '{step}'")
            place = inner
        return place

    def is_single(self, it: PathInstruction) -> bool:
        """Whether the path leads to a property, not into a collection."""
        return not it.path or self.place(it, len(it.path) - 1).kind == "embedded"

    def value(self, it: Update | ArrayInsert | SetInsert | SetErase, place: Place) -> tuple[Any, bool]:
        """The wire value of an instruction at a place, to be changed in place, and whether it is all that the client
        has."""
        payload = it.value
        kind, expected = payload.type, place.kind
        if kind == "object" and expected == "embedded":
            return place.new(), True
        if kind in ("list", "dictionary") and expected == "mixed":
            return ([] if kind == "list" else {}), True
        if kind == "null" and expected in ("embedded", "mixed", "scalar"):
            return None, True
        if expected in ("scalar", "mixed"):
            try:
                return decode_payload(self.schema, "", place.prop, payload)
            except ValueTypeError as error:
                raise self.refusal(it, f"expected {error.expected}, got a payload of type '{kind}'") from None
        raise self.refusal(it, f"a payload of type '{kind}' cannot stand in a {expected}")


class _Object:
    """What a changeset does to one object, so far."""

    __slots__ = ("_cls", "_id", "_image", "_last", "_open", "_sets", "_steps", "_unsure", "anew", "defaults", "inexact")

    def __init__(self, cls: _Class, id: Any) -> None:
        self._cls, self._id = cls, id
        self._steps: list[ours.AnyInstruction] = []
        self._image: dict[str, Any] | None = None
        """Of an object that the changeset created: all of it."""
        self._last: dict[str, int] = {}
        """Of each property the last step about it."""
        self._open = -1
        """The last update, which takes further properties."""
        self._unsure: dict[str, tuple[Step, ...]] = {}
        """Where a mixed value became a collection, unless it was one already; a Clear that follows settles that."""
        self._sets: dict[int, tuple[list[Any], dict[tuple[Any, ...], Any]]] = {}
        """Sets that are changed, by the identity of their value: it, and its members as they are to be."""
        self.inexact: set[str] = set()
        self.defaults: set[str] = set()
        self.anew: set[tuple[Step, ...]] = set()

    def take(self, it: AnyInstruction) -> None:
        """The next instruction."""
        if isinstance(it, CreateObject):
            if self._image is None:
                places, read_only = self._cls.places, self._cls.read_only
                self._image = {name: place.empty() for name, place in places.items() if name not in read_only}
                self.defaults = set(self._image)
        elif isinstance(it, EraseObject):
            self._close()
            self._steps.append(ours.Delete(class_name=self._cls.name, id=self._id))
        else:
            self._take(cast(PathInstruction, it))

    def finish(self) -> list[ours.AnyInstruction]:
        """All instructions on the object."""
        self._close()
        return self._steps

    def _close(self) -> None:
        """What comes next is about another object of the same key, if it is about any."""
        for members, wanted in self._sets.values():
            members[:] = wire_set(wanted.values())
        self.inexact.update(self._unsure)
        if self._image is not None:
            # SDKs create no object without a value of every required property.
            for name in self._cls.read_only & self._image.keys():
                del self._image[name]
                self.inexact.add(name)
            self._steps.append(ours.Create(class_name=self._cls.name, id=self._id, values=self._image))
        self._image, self._open = None, -1
        self._last, self._unsure, self._sets = {}, {}, {}

    def _take(self, it: PathInstruction) -> None:
        cls, name = self._cls, it.property
        value = self._value(it)
        if name in self._unsure and not (isinstance(it, Clear) and it.path == self._unsure[name]):
            self.inexact.add(name)
        self._unsure.pop(name, None)
        if self._image is not None:
            if not (isinstance(it, Update) and it.is_default):
                self.defaults.discard(name)
            place = cls.places[name]
            if name not in self._image:
                self._image[name] = place.empty()
            self._change(it, value, self._image, name, place, it.path)
            return
        last = self._last.get(name, -1)
        step = self._steps[last] if last >= 0 else None
        if isinstance(step, ours.Update):
            self._change(it, value, step.values, name, cls.places[name], it.path)
        elif isinstance(step, ours.Set | ours.Insert) and _is_inside(it, step):
            depth = len(step.path) - 1
            box = [step.value]
            self._change(it, value, box, 0, cls.place(it, depth), it.path[depth:])
            self._steps[last] = msgspec.structs.replace(step, value=box[0])
        else:
            if isinstance(it, Update) and it.value.type in ("list", "dictionary"):
                self._unsure[name] = it.path
            if isinstance(it, Update) and it.value.type == "object" and cls.is_single(it):
                self.anew.add((name, *it.path))
            if isinstance(it, AddInteger) and cls.place(it, len(it.path)).kind == "mixed":
                self.inexact.add(name)  # ours adds to integers only, and will not
            if isinstance(it, Update) and not it.path:
                self._write(name, value, last)
            else:
                self._last[name] = len(self._steps)
                self._steps.append(self._edit(it, value))

    def _value(self, it: PathInstruction) -> Any:
        """The wire value that an instruction brings, if it brings one; ERASED for one that takes away. Raises
        DeviceSyncError for an instruction that cannot be where it is."""
        cls, path = self._cls, it.path
        place = cls.place(it, len(path))
        if isinstance(it, Update | ArrayInsert):
            if it.value.type == "erased":
                if not path or cls.place(it, len(path) - 1).kind not in ("dictionary", "mixed"):
                    raise cls.refusal(it, "only keys of dictionaries can be erased")
                return ERASED
            value, is_exact = cls.value(it, place)
        elif isinstance(it, SetInsert | SetErase):
            if place.kind != "set" or it.value.type in ("list", "dictionary"):
                raise cls.refusal(it, f"a {place.kind} has no member of type '{it.value.type}'")
            value, is_exact = cls.value(it, place.element)
            is_exact = is_exact and not (place.element.kind == "mixed" and is_one_of_two(it.value))
        else:
            if isinstance(it, Clear) and place.kind not in (it.collection, "mixed"):
                raise cls.refusal(it, f"a {place.kind} is not cleared as a {it.collection}")
            if isinstance(it, AddInteger) and place.kind != "mixed" and place.prop.type != "int":
                raise cls.refusal(it, "only integers are added to")
            return None
        if not is_exact:
            self.inexact.add(it.property)
        return value

    def _write(self, name: str, value: Any, last: int) -> None:
        """A property gets a value."""
        if not 0 <= self._open >= last:
            self._open = len(self._steps)
            self._steps.append(ours.Update(class_name=self._cls.name, id=self._id, values={}))
        cast(ours.Update, self._steps[self._open]).values[name] = value
        self._last[name] = self._open

    def _edit(self, it: PathInstruction, value: Any) -> ours.AnyEdit:
        """An instruction by itself."""
        at: dict[str, Any] = {"class_name": self._cls.name, "id": self._id, "path": [it.property, *it.path]}
        if isinstance(it, Update):
            return ours.Remove(**at) if value is ERASED else ours.Set(value=value, **at)
        if isinstance(it, ArrayInsert):
            return ours.Insert(value=value, **at)
        if isinstance(it, ArrayMove):
            return ours.Move(to=it.to, **at)
        if isinstance(it, ArrayErase):
            return ours.Remove(**at)
        if isinstance(it, Clear):
            return ours.Clear(**at)
        if isinstance(it, AddInteger):
            return ours.Add(by=encode("int", it.by), **at)
        return (ours.SetInsert if isinstance(it, SetInsert) else ours.SetRemove)(value=value, **at)

    def _change(
        self, it: PathInstruction, value: Any, holder: Any, at: Step, place: Place, path: Sequence[Step]
    ) -> None:
        """Does an instruction in what the changeset made: `holder[at]` is the value of `place`, `path` the way in it."""
        try:
            self._change_inside(it, value, holder, at, place, path)
        except (LookupError, TypeError):
            raise self._cls.refusal(it, "it does not fit what the changeset made there") from None

    def _change_inside(
        self, it: PathInstruction, value: Any, holder: Any, at: Step, place: Place, path: Sequence[Step]
    ) -> None:
        is_property = True
        for step in path:
            inside = holder[at]
            kind = place.container(inside)
            if kind == "list":
                cast(list[Any], range(len(inside) + isinstance(it, ArrayInsert)))[step]  # type: ignore[index]
            elif kind not in ("dictionary", "embedded"):
                raise LookupError(step)
            is_property = kind == "embedded"
            place = place.fields[str(step)] if is_property else place.element
            holder, at = inside, step
        if isinstance(it, Update):
            if value is ERASED:
                holder.pop(at, None)
                return
            there = holder.get(at) if isinstance(holder, dict) else holder[at]
            if it.value.type == "object":
                is_there = is_property and there is not None
            else:
                is_there = it.value.type in ("list", "dictionary") and place.container(there) == it.value.type
            if not is_there:
                holder[at] = value
        elif isinstance(it, ArrayInsert):
            holder.insert(at, value)
        elif isinstance(it, ArrayMove):
            holder.insert(range(len(holder))[it.to], holder.pop(at))
        elif isinstance(it, ArrayErase):
            del holder[at]
        elif isinstance(it, Clear):
            holder[at] = {} if it.collection == "dictionary" else []
        elif isinstance(it, AddInteger):
            holder[at] = _added(place, holder[at], it.by)
        else:
            members = holder[at]
            known = self._sets.get(id(members))
            if known is None:
                known = self._sets[id(members)] = members, {wire_key(member): member for member in members}
            if isinstance(it, SetErase):
                known[1].pop(wire_key(value), None)
            else:
                known[1].setdefault(wire_key(value), value)


ERASED: Any = object()


def _is_inside(it: PathInstruction, step: ours.Set | ours.Insert) -> bool:
    """Whether an instruction is about what is inside the value of a step, or about that value as a collection."""
    depth = len(step.path) - 1
    if list(it.path[:depth]) != step.path[1:]:
        return False
    return len(it.path) > depth or isinstance(it, Clear | AddInteger | SetInsert | SetErase)


def _added(place: Place, wire: Any, by: int) -> Any:
    """An integer's wire value, of a property or in a mixed value, raised by `by`; null stays null."""
    if wire is None:
        return None
    if place.kind == "mixed":
        if wrapper(wire) != "$numberLong":
            raise TypeError
        return {"$numberLong": str(increase(wire["$numberLong"], by))}
    return increase(wire, by)
