"""Tree: one property of one object while several write it, in two views of the same places.

`seen` is what the client file saw when it wrote its edits, `here` what is there now. What another writer made of the
property is *absorbed*: told from the value alone, element by element, into `here` (and into `seen` too if the file knew
it). What the file says is *applied*: understood in `seen`, done in `here`, and returned as it reads there. Elements of
lists are places with an identity, so that an index of one view finds its element in the other.

    list          inserts stay, in order of arrival behind their left neighbour; a remove takes its own element only,
                  and not what another replaced it with; two moves: the later; a removed element is moved no more
    set           a member's last insert or remove, by stamp
    dictionary    a key's last write, by stamp; a removal takes everything in it along
    embedded      each property for itself; what is written into an object that another removed or set to null is lost
    counter       increments add up; a set discards earlier increments of others and is discarded by their later set
    int           as a counter where it was added to, else as any other value
    whole value   of embedded objects and dictionaries: as if each place was written; others' later writes stay.
                  Of a list: as one value, others' later changes in it win

Writes of others above a changeset's base are rivals: the later (timestamp, client file ident) stands. On clients nobody
has a stamp, so their own writes stand until the server has decided. Pure; called by merge.py. PROTOCOL.md §6 is the table.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any, NamedTuple, cast

import msgspec

from .alignment import CHANGED, KEPT, MOVED, NEW, align
from .edits import (
    EditError,
    Shape,
    Step,
    check_by,
    check_clear,
    check_counter,
    check_index,
    check_keyed,
    check_set,
    child_shape,
    identities,
    identity,
    increase,
    takes_place,
)
from .encoding import wire_key, wire_set
from .messages import Add, AnyEdit, Clear, Insert, Move, Remove, Set, SetInsert, SetRemove


class Stamp(NamedTuple):
    """When a write was made and by which client file; later stands. Any other writer is file 0."""

    timestamp: int
    origin: int


class Write(NamedTuple):
    """Another's write: its version in the history and its stamp."""

    version: int
    stamp: Stamp


MOST_REMOVES = 64
"""A clear that others' elements survive is counted anew as this many removes at most; beyond, as a clear that keeps them:
a list of ten thousand elements would not fit into a message."""
NOBODY = Stamp(0, 0)
"""The stamp of a client's own writes before the server has decided: nothing is compared with it."""


def is_increase(shape: Shape, path: str, sets: Collection[str]) -> bool:
    """Whether another made a number out of a number by adding, as far as the history says (`sets`, see Tree.absorb). A
    counter's change is an increment unless it says that it was set; an int's if it says that it was added to, and only
    that."""
    return path not in sets and (shape.kind == "counter" or (shape.is_int and f"+{path}" in sets))


def remember(writes: list[Write], write: Write) -> None:
    """Adds a write, of a version not below those before it. One that is older and earlier than another decides nothing
    any more, so that few are left however many there were."""
    while writes and writes[-1].stamp <= write.stamp:
        writes.pop()
    writes.append(write)


ABSENT: Any = object()
"""What a place holds in a view that it is not in."""


class _Slot:
    """A place: the property itself, an element, the value of a key, a property of an embedded object. Each view holds
    ABSENT, a leaf's wire value, or a container: its wire value until somebody looks inside, then a body. One body (or
    wire container) in both views is one container; two are the former and what replaced it."""

    __slots__ = ("here", "marks", "seen", "shape", "writes")

    def __init__(self, shape: Shape, seen: Any, here: Any) -> None:
        self.shape, self.seen, self.here = shape, seen, here
        self.writes: list[Write] | None = None
        """Others' writes of the whole place."""
        self.marks: list[Any] | None = None
        """Others' moves of an element (Write), or increments of a counter or int (Write, by)."""


class _List:
    __slots__ = ("here", "seen", "shape", "writes")
    kind = "list"

    def __init__(self, shape: Shape, wires: list[Any]) -> None:
        self.shape = shape.element
        self.seen = [_Slot(self.shape, wire, wire) for wire in map(self.shape.read, wires)]
        self.here = self.seen
        """The same list object until the views part."""
        self.writes: list[Write] = []
        """Others' changes in the list, of any kind."""

    def part(self) -> None:
        if self.here is self.seen:
            self.here = list(self.seen)


class _Member:
    __slots__ = ("here", "seen", "wire", "writes")

    def __init__(self, wire: Any, seen: bool, here: bool) -> None:
        self.wire, self.seen, self.here = wire, seen, here
        self.writes: list[Write] | None = None


class _Set:
    __slots__ = ("members",)
    kind = "set"

    def __init__(self, wires: list[Any]) -> None:
        self.members: dict[tuple[Any, ...], _Member] = {wire_key(wire): _Member(wire, True, True) for wire in wires}


class _Map:
    """A dictionary or an embedded object."""

    __slots__ = ("kind", "shape", "slots")

    def __init__(self, shape: Shape, kind: str, wire: dict[str, Any]) -> None:
        self.shape, self.kind = shape, kind
        self.slots: dict[str, _Slot] = {}
        if kind == "embedded":
            for key, child in shape.fields.items():
                value = child.read(wire.get(key))
                self.slots[key] = _Slot(child, value, value)
        else:
            for key, value in wire.items():
                inner = shape.element.read(value)
                self.slots[key] = _Slot(shape.element, inner, inner)

    def slot(self, key: str) -> _Slot:
        """The place of a key that this body may not have met yet."""
        slot = self.slots.get(key)
        if slot is None:
            slot = self.slots[key] = _Slot(self.shape.element, ABSENT, ABSENT)
        return slot


_Body = _List | _Set | _Map
_BODIES = (_List, _Set, _Map)


class Tree:
    """A property in the views of one client file and of everybody. Wire values given to it are never changed."""

    def __init__(self, shape: Shape, name: str, value: Any) -> None:
        """`value`: what the client file saw and what was there, before everything that is absorbed and applied."""
        self._name = name
        value = shape.read(value)
        self._root = _Slot(shape, value, value)
        self._write: Write | None = None
        self._is_known = False
        self._sets: Collection[str] = ()
        self._base = 0
        self._stamp = NOBODY
        self.counters: list[str] = []
        """Dotted paths of the counters and ints that the last `apply`, `assign` or `join` set; with a plus in front, of
        the ints that it added to."""

    def value(self) -> Any:
        """The wire value that is there."""
        return _wire(self._root.here)

    def seen_value(self) -> Any:
        """The wire value as the client file sees it."""
        return _wire(self._root.seen, seen=True)

    # --- what others wrote -------------------------------------------------------------------------------------------

    def absorb(
        self, value: Any, write: Write | None = None, *, is_known: bool = False, sets: Collection[str] = ()
    ) -> None:
        """`value`: what a writer made of what was there. `write`: a rival's; None: not to be compared with anybody's.
        `is_known`: the client file saw it happen. `sets`: dotted paths of counters that it set, not increased, and, with
        a plus in front, of ints that it increased."""
        self._write, self._is_known, self._sets = write, is_known, sets
        self._absorb(self._root, self._root.shape.read(value), self._name)

    def _record(self, slot: _Slot | _Member) -> None:
        if self._write is not None:
            if slot.writes is None:
                slot.writes = []
            remember(slot.writes, self._write)

    def _absorb(self, slot: _Slot, wire: Any, path: str) -> bool:
        """Whether that changed anything."""
        here, shape = slot.here, slot.shape
        if here is wire:
            return False
        if here is not ABSENT and wire is not ABSENT:
            kind = shape.container(wire)
            if kind is not None and kind == _kind(shape, here):
                body = _body(slot, seen=False)
                if isinstance(body, _List):
                    return self._absorb_list(body, wire, path)
                if isinstance(body, _Set):
                    return self._absorb_set(body, wire)
                return self._absorb_map(cast(_Map, body), wire, path)
            if kind is None and _kind(shape, here) is None:
                if identity(here) == identity(wire):
                    return False
                if here is not None and wire is not None and is_increase(shape, path, self._sets):
                    self._absorb_increase(slot, wire)
                    return True
        slot.here = wire
        if self._is_known:
            slot.seen = wire
        self._record(slot)
        return True

    def _absorb_increase(self, slot: _Slot, wire: Any) -> None:
        by = int(wire) - int(slot.here)
        if self._write is not None:
            if slot.marks is None:
                slot.marks = []
            slot.marks.append((self._write, by))
        slot.here = wire
        if self._is_known:
            slot.seen = wire if slot.seen is None or slot.seen is ABSENT else increase(slot.seen, by)

    def _absorb_set(self, body: _Set, wires: list[Any]) -> bool:
        after = {wire_key(wire): wire for wire in wires}
        changed = False
        for key, wire in after.items():
            member = body.members.get(key)
            if member is None:
                member = body.members[key] = _Member(wire, False, False)
            member.wire = wire
            if not member.here:
                self._absorb_member(member, True)
                changed = True
        for key, member in body.members.items():
            if member.here and key not in after:
                self._absorb_member(member, False)
                changed = True
        return changed

    def _absorb_member(self, member: _Member, here: bool) -> None:
        member.here = here
        if self._is_known:
            member.seen = here
        self._record(member)

    def _absorb_map(self, body: _Map, wire: dict[str, Any], path: str) -> bool:
        changed = False
        if body.kind == "embedded":
            for key, slot in body.slots.items():
                changed |= self._absorb(slot, slot.shape.read(wire.get(key)), f"{path}.{key}")
            return changed
        for key, value in wire.items():
            slot = body.slot(key)
            changed |= self._absorb(slot, slot.shape.read(value), f"{path}.{key}")
        for key, slot in body.slots.items():
            if key not in wire and slot.here is not ABSENT:
                changed |= self._absorb(slot, ABSENT, path)
        return changed

    def _absorb_list(self, body: _List, wires: list[Any], path: str) -> bool:
        before = body.here
        is_plain = body.shape.kind == "scalar"
        olds = [slot.here for slot in before] if is_plain else [_wire(slot.here) for slot in before]
        if is_plain and olds == wires:
            return False
        origin, fate, removed = align(identities(body.shape, olds), identities(body.shape, wires))
        if not removed and fate.count(KEPT) == len(before) == len(wires):
            return False
        parted = not self._is_known or body.seen is not before
        if parted:
            body.part()
        after: list[_Slot] = []
        for to, at in enumerate(origin):
            if fate[to] == NEW:
                wire = body.shape.read(wires[to])
                after.append(_Slot(body.shape, wire if self._is_known else ABSENT, wire))
                continue
            slot = before[at]
            after.append(slot)
            if fate[to] == MOVED and self._write is not None:
                if slot.marks is None:
                    slot.marks = []
                remember(slot.marks, self._write)
            elif fate[to] == CHANGED:
                is_known, self._is_known = self._is_known, self._is_known and slot.seen is not ABSENT
                self._absorb(slot, body.shape.read(wires[to]), f"{path}.{to}")
                self._is_known = is_known
        for at in removed:
            before[at].here = ABSENT
            if self._is_known:
                before[at].seen = ABSENT
        body.here = after
        if not parted:
            body.seen = after
        elif self._is_known:
            self._show(body, fate)
        if self._write is not None:
            remember(body.writes, self._write)
        return True

    def _show(self, body: _List, fate: list[int]) -> None:
        """What happened to a list in `here` happens in `seen`, where the two have parted."""
        arrived = {id(slot) for slot, what in zip(body.here, fate, strict=True) if what in (NEW, MOVED)}
        behind: dict[int, list[_Slot]] = {0: []}
        neighbour = 0
        for slot in body.here:
            if slot.seen is ABSENT:
                continue
            if id(slot) in arrived:
                behind.setdefault(neighbour, []).append(slot)
            else:
                neighbour = id(slot)
        seen = behind[0]
        for slot in body.seen:
            if slot.seen is not ABSENT and id(slot) not in arrived:
                seen += [slot, *behind.get(id(slot), ())]
        body.seen = seen

    # --- what the client file wrote ----------------------------------------------------------------------------------

    def apply(self, edit: AnyEdit, base: int = 0, stamp: Stamp = NOBODY) -> list[AnyEdit]:
        """Does an edit of the client file, and returns what of it stands, as edits of what was there: none, one, or
        for a `clear` several. `base` and `stamp` are its changeset's. Raises EditError if it makes no sense in what
        the file saw, and has changed nothing then."""
        self._begin(base, stamp)
        by = check_by(edit) if isinstance(edit, Add) else 0
        steps = edit.path[1:-1] if takes_place(edit) else edit.path[1:]
        slot, path, is_alive = self._walk(edit, steps)
        if isinstance(edit, Add):
            check_counter(slot.shape, edit)
            return self._add(slot, by, is_alive, edit, path)
        body = _body(slot, seen=True)
        if not takes_place(edit):
            is_alive = is_alive and slot.here is body
            if isinstance(edit, Clear):
                seen = body.seen if isinstance(body, _List) else ()
                kept = check_clear(body.kind if body else None, seen, edit)
                return self._clear(cast(_Body, body), is_alive, edit, path, kept)
            entry = check_set(body.kind if body else None, edit)
            member = cast(_Set, body).members.setdefault(wire_key(entry.value), _Member(entry.value, False, False))
            stands = self._enter(member, isinstance(entry, SetInsert), is_alive)
            return [_at(edit, path)] if stands else []
        if len(edit.path) < 2:
            raise EditError("InvalidPath", "The path ends too early.", edit.path)
        is_alive = is_alive and slot.here is body
        if isinstance(body, _List):
            return self._edit_list(body, is_alive, edit, path)
        return self._edit_map(slot.shape, body, is_alive, edit, path)

    def assign(self, value: Any, base: int = 0, stamp: Stamp = NOBODY) -> bool:
        """The client file writes the property as a whole; whether anything of that stands."""
        self._begin(base, stamp)
        return self._assign(self._root, self._root.shape.read(value), True, self._name)

    def join(self, value: Any, base: int = 0, stamp: Stamp = NOBODY) -> bool:
        """The client file created an object that there is already, with this value: what both have comes together, and
        elements that both have are one. Whether that wrote anything."""
        self._begin(base, stamp)
        return self._join(self._root, self._root.shape.read(value), [], self._name)

    def _begin(self, base: int, stamp: Stamp) -> None:
        self._base, self._stamp, self.counters = base, stamp, []

    def _is_later(self, write: Write) -> bool:
        return write.version > self._base and write.stamp > self._stamp

    def _is_beaten(self, writes: list[Write] | None) -> bool:
        return writes is not None and any(map(self._is_later, writes))

    def _walk(self, edit: AnyEdit, steps: list[Step]) -> tuple[_Slot, list[Step], bool]:
        """The place that steps lead to in `seen`, the way there in `here`, and whether it is there at all."""
        slot, path, is_alive = self._root, [edit.path[0]], True
        for step in steps:
            so_far = edit.path[: len(path) + 1]
            body = _body(slot, seen=True)
            is_alive = is_alive and slot.here is body
            if isinstance(body, _List):
                child = body.seen[check_index(step, len(body.seen), so_far)]
                is_alive = is_alive and child.here is not ABSENT
                path.append(_find(body.here, child, cast(int, step)) if is_alive else step)
            else:
                child_shape(slot.shape, body.kind if body else None, step, so_far)
                found = cast(_Map, body).slots.get(str(step))
                if found is None or found.seen is ABSENT:
                    raise EditError("InvalidPath", "The dictionary has no such key.", so_far)
                child = found
                is_alive = is_alive and child.here is not ABSENT
                path.append(step)
            slot = child
        return slot, path, is_alive

    def _add(self, slot: _Slot, by: int, is_alive: bool, edit: Add, path: list[Step]) -> list[AnyEdit]:
        if slot.seen is not None:
            slot.seen = increase(slot.seen, by)
        if not is_alive or slot.here is None or self._is_beaten(slot.writes):
            return []
        slot.here = increase(slot.here, by)
        if slot.shape.is_int:
            self.counters.append("+" + ".".join(map(str, path)))
        return [_at(edit, path)]

    def _enter(self, member: _Member, inside: bool, is_alive: bool) -> bool:
        """A member comes into a set or leaves it. A write that finds it done stands as well: others may undo theirs."""
        member.seen = inside
        if not is_alive or self._is_beaten(member.writes):
            return False
        member.here = inside
        return True

    def _edit_map(
        self, shape: Shape, body: _Body | None, is_alive: bool, edit: AnyEdit, path: list[Step]
    ) -> list[AnyEdit]:
        step = edit.path[-1]
        child_shape(shape, body.kind if body else None, step, edit.path)
        holder, key = cast(_Map, body), str(step)
        if isinstance(edit, Set):
            slot = holder.slot(key)
            dotted = ".".join(map(str, [*path, key]))
            stands = self._assign(slot, slot.shape.read(edit.value), is_alive, dotted)
            return [_at(edit, [*path, key], value=_wire(slot.here))] if stands else []
        check_keyed(holder.kind, edit)
        found = holder.slots.get(key)
        if found is None or found.seen is ABSENT:
            raise EditError("InvalidPath", "The dictionary has no such key.", edit.path)
        return [_at(edit, [*path, key])] if self._discard(found, is_alive) else []

    def _discard(self, slot: _Slot, is_alive: bool) -> bool:
        """A key leaves its dictionary."""
        slot.seen = ABSENT
        if not is_alive or slot.here is ABSENT or self._is_beaten(slot.writes):
            return False
        slot.here = ABSENT
        return True

    def _edit_list(self, body: _List, is_alive: bool, edit: AnyEdit, path: list[Step]) -> list[AnyEdit]:
        length = len(body.seen) + isinstance(edit, Insert)
        index = check_index(edit.path[-1], length, edit.path)
        if isinstance(edit, Insert):
            value = body.shape.read(edit.value)
            slot = _Slot(body.shape, value, value if is_alive else ABSENT)
            if not is_alive:
                body.part()
            return self._place(body, slot, index, is_alive, edit, path)
        slot = body.seen[index]
        is_alive = is_alive and slot.here is not ABSENT
        if isinstance(edit, Set):
            place = _find(body.here, slot, index) if is_alive else index
            dotted = ".".join(map(str, [*path, place]))
            stands = self._assign(slot, body.shape.read(edit.value), is_alive, dotted)
            return [_at(edit, [*path, place], value=_wire(slot.here))] if stands else []
        if isinstance(edit, Move):
            check_index(edit.to, len(body.seen), edit.path)
            return self._move(body, slot, index, is_alive, edit, path)
        # What another put in its place is not what the client file meant.
        is_alive = is_alive and _is_same(slot)
        place = _find(body.here, slot, index) if is_alive else index
        if not is_alive:
            body.part()
        del body.seen[index]
        slot.seen = ABSENT
        if not is_alive:
            return []
        if body.here is not body.seen:
            del body.here[place]
        slot.here = ABSENT
        return [_at(edit, [*path, place])]

    def _place(
        self, body: _List, slot: _Slot, index: int, is_alive: bool, edit: AnyEdit, path: list[Step]
    ) -> list[AnyEdit]:
        """Puts a new element, or one that was taken out, at an index of `seen` and behind its neighbour in `here`."""
        if body.here is body.seen:
            body.seen.insert(index, slot)
            return [_at(edit, [*path, index])]
        body.seen.insert(index, slot)
        if not is_alive:
            return []
        place = _behind(body, index)
        body.here.insert(place, slot)
        return [_at(edit, [*path, place])]

    def _move(
        self, body: _List, slot: _Slot, index: int, is_alive: bool, edit: Move, path: list[Step]
    ) -> list[AnyEdit]:
        if not is_alive or self._is_beaten(slot.marks):
            body.part()
            body.seen.insert(edit.to, body.seen.pop(index))
            return []
        if body.here is body.seen:
            body.seen.insert(edit.to, body.seen.pop(index))
            return [_at(edit, [*path, index])]
        source = _find(body.here, slot, index)
        del body.here[source]
        body.seen.insert(edit.to, body.seen.pop(index))
        place = _behind(body, edit.to)
        body.here.insert(place, slot)
        return [_at(edit, [*path, source], to=place)]

    def _clear(self, body: _Body, is_alive: bool, edit: Clear, path: list[Step], kept: frozenset[Any]) -> list[AnyEdit]:
        names = {"class_name": edit.class_name, "id": edit.id, "base": edit.base}
        done: list[AnyEdit] = []
        keep: list[Any]
        if isinstance(body, _List):
            body.part()
            slots = [slot for at, slot in enumerate(body.seen) if at not in kept]
            body.seen = [slot for at, slot in enumerate(body.seen) if at in kept]
            doomed = {id(slot) for slot in slots if is_alive and slot.here is not ABSENT and _is_same(slot)}
            places = [place for place, slot in enumerate(body.here) if id(slot) in doomed]
            done = [Remove(path=[*path, place], **names) for place in reversed(places)]
            keep = [place for place, slot in enumerate(body.here) if id(slot) not in doomed]
            for slot in slots:
                slot.seen = ABSENT
                if id(slot) in doomed:
                    slot.here = ABSENT
            body.here = [slot for slot in body.here if slot.here is not ABSENT]
        elif isinstance(body, _Set):
            for told_by, member in body.members.items():
                if member.seen and told_by not in kept and self._enter(member, False, is_alive):
                    done.append(SetRemove(path=path, value=member.wire, **names))
            keep = [member.wire for member in body.members.values() if member.here]
        else:
            for key, slot in body.slots.items():
                if slot.seen is not ABSENT and key not in kept and self._discard(slot, is_alive):
                    done.append(Remove(path=[*path, key], **names))
            keep = [key for key, slot in body.slots.items() if slot.here is not ABSENT]
        if done and (not keep or len(done) > MOST_REMOVES):
            return [Clear(path=path, keep=keep, **names)]
        return done

    def _assign(self, slot: _Slot, value: Any, is_alive: bool, path: str) -> bool:
        """The client file writes a place as a whole; whether anything of that stands."""
        shape = slot.shape
        if not is_alive:
            slot.seen = value
            return False
        if shape.kind == "counter" or shape.is_int:
            return self._assign_counter(slot, value, path)
        kind = shape.container(value)
        if kind is not None and kind == _kind(shape, slot.here) and slot.seen is not ABSENT:
            body = _body(slot, seen=True)
            if body is not None and body is _body(slot, seen=False):
                if isinstance(body, _Map):
                    return self._assign_map(body, value, path)
                if isinstance(body, _Set):
                    return self._assign_set(body, value)
                if self._is_beaten(body.writes):
                    slot.seen = value
                    return False
        slot.seen = value
        if self._is_beaten(slot.writes):
            return False
        slot.here = value
        return True

    def _assign_counter(self, slot: _Slot, value: Any, path: str) -> bool:
        slot.seen = value
        if self._is_beaten(slot.writes):
            return False
        if value is not None:
            value = increase(value, sum(by for write, by in slot.marks or () if self._is_later(write)))
        slot.here = value
        self.counters.append(path)
        return True

    def _assign_map(self, body: _Map, value: dict[str, Any], path: str) -> bool:
        stands = False
        if body.kind == "embedded":
            for key, slot in body.slots.items():
                stands |= self._assign(slot, slot.shape.read(value.get(key)), True, f"{path}.{key}")
            return stands
        for key, inner in value.items():
            slot = body.slot(key)
            stands |= self._assign(slot, slot.shape.read(inner), True, f"{path}.{key}")
        for key, slot in body.slots.items():
            if key not in value:
                stands |= self._discard(slot, True)
        return stands

    def _assign_set(self, body: _Set, wires: list[Any]) -> bool:
        wanted = {wire_key(wire): wire for wire in wires}
        for key, wire in wanted.items():
            body.members.setdefault(key, _Member(wire, False, False))
        entered = [self._enter(member, key in wanted, True) for key, member in body.members.items()]
        return any(entered)

    # --- two creates of one object -----------------------------------------------------------------------------------

    def _join(self, slot: _Slot, value: Any, above: list[Write], path: str) -> bool:
        """`above`: others' writes of what the place is in, which wrote the place as well."""
        shape, here = slot.shape, slot.here
        writes = [*above, *(slot.writes or ())]
        kind = shape.container(value)
        if value is None:
            return False
        knows_other = kind is not None and kind == _kind(shape, slot.seen) and _body(slot, seen=True) is not here
        seen = Tree(shape, "", _wire(slot.seen, seen=True)) if knows_other else None
        if kind is not None and kind == _kind(shape, here):
            body = cast(_Body, _body(slot, seen=False))
            if slot.seen is not body:
                _hide(body)
                slot.seen = body
            else:
                seen = None
            if isinstance(body, _List):
                stands = self._join_list(body, value)
            elif isinstance(body, _Set):
                stands = self._join_set(body, value)
            else:
                stands = self._join_map(body, value, writes, path)
        else:
            slot.seen = value
            stands = here is ABSENT or not self._is_beaten(writes)
            if stands:
                slot.here = value
                if shape.kind == "counter" or shape.is_int:
                    self.counters.append(path)
        if seen is not None:  # another container than the one that is there
            seen.join(value)
            slot.seen = seen.value()
        return stands

    def _join_set(self, body: _Set, wires: list[Any]) -> bool:
        for wire in wires:
            body.members.setdefault(wire_key(wire), _Member(wire, False, False))
        joining = [body.members[wire_key(wire)] for wire in wires]
        fresh = [member for member in joining if not member.here]
        for member in joining:
            member.seen = True
        entered = [self._enter(member, True, True) for member in fresh]
        return any(entered)

    def _join_map(self, body: _Map, value: dict[str, Any], writes: list[Write], path: str) -> bool:
        stands = False
        for key, inner in value.items():
            if body.kind == "dictionary" or key in body.slots:
                slot = body.slot(key)
                stands |= self._join(slot, slot.shape.read(inner), writes, f"{path}.{key}")
        return stands

    def _join_list(self, body: _List, wires: list[Any]) -> bool:
        """What is missing of the client file's elements comes behind those that are there; in either view by itself,
        so that it is the same whenever it is done again. One element in both views where that can be."""
        body.part()
        known: dict[Hashable, list[_Slot]] = {}
        found: dict[Hashable, list[_Slot]] = {}
        olds = [_wire(slot.seen, seen=True) for slot in body.seen]
        for key, slot in zip(identities(body.shape, olds), body.seen, strict=True):
            known.setdefault(key, []).append(slot)
        for key, slot in zip(identities(body.shape, [_wire(it.here) for it in body.here]), body.here, strict=True):
            found.setdefault(key, []).append(slot)
        before = len(body.here)
        for key, wire in zip(identities(body.shape, wires), wires, strict=True):
            content = body.shape.read(wire)
            mine = known[key].pop(0) if known.get(key) else None
            is_new = mine is None
            theirs = _take(found.get(key), mine)
            if mine is None:
                mine = theirs if theirs is not None and theirs.seen is ABSENT else _Slot(body.shape, content, ABSENT)
                mine.seen = content if mine.here is ABSENT else mine.here
                body.seen.append(mine)
            if theirs is None:
                if is_new or mine.here is ABSENT:
                    mine.here = mine.seen
                    body.here.append(mine)
                else:  # another replaced it
                    body.here.append(_Slot(body.shape, ABSENT, content))
        return len(body.here) > before


def _take(slots: list[_Slot] | None, wanted: _Slot | None) -> _Slot | None:
    """Takes one place of a list: the wanted one if it is there, else one that the client file has not seen, else any."""
    if not slots:
        return None
    at = next((at for at, slot in enumerate(slots) if slot is wanted), -1)
    if at < 0:
        at = next((at for at, slot in enumerate(slots) if slot.seen is ABSENT), 0)
    return slots.pop(at)


def _hide(body: _Body) -> None:
    """Makes a container that is there one in which the client file has seen nothing yet."""
    if isinstance(body, _List):
        body.part()
        body.seen = []
        for slot in body.here:
            slot.seen = ABSENT
    elif isinstance(body, _Set):
        for member in body.members.values():
            member.seen = False
    else:
        for slot in body.slots.values():
            slot.seen = ABSENT if body.kind == "dictionary" else slot.shape.read(None)


def _kind(shape: Shape, content: Any) -> str | None:
    """The kind of container in a view of a place."""
    return content.kind if isinstance(content, _BODIES) else shape.container(content)


def _body(slot: _Slot, *, seen: bool) -> _Body | None:
    """The container in one view of a place; None: there is none."""
    content = slot.seen if seen else slot.here
    if isinstance(content, _BODIES):
        return content
    kind = slot.shape.container(content)
    if kind is None:
        return None
    body: _Body
    if kind == "list":
        body = _List(slot.shape, content)
    elif kind == "set":
        body = _Set(content)
    else:
        body = _Map(slot.shape, kind, content)
    if slot.seen is content:
        slot.seen = body
    if slot.here is content:
        slot.here = body
    return body


def _wire(content: Any, *, seen: bool = False) -> Any:
    """The wire value of one view's content."""
    if isinstance(content, _List):
        return [_wire(_view(slot, seen), seen=seen) for slot in (content.seen if seen else content.here)]
    if isinstance(content, _Set):
        return wire_set(it.wire for it in content.members.values() if (it.seen if seen else it.here))
    if isinstance(content, _Map):
        views = ((key, _view(slot, seen)) for key, slot in content.slots.items())
        return {key: _wire(view, seen=seen) for key, view in views if view is not ABSENT}
    return content


def _view(slot: _Slot, seen: bool) -> Any:
    return slot.seen if seen else slot.here


def _is_same(slot: _Slot) -> bool:
    """Whether what the client file saw in a place is still in it."""
    seen, here = slot.seen, slot.here
    if seen is here:
        return True
    if _kind(slot.shape, seen) or _kind(slot.shape, here):
        return False
    return identity(seen) == identity(here)


def _find(slots: list[_Slot], slot: _Slot, near: int) -> int:
    """The place of an element that is in a list, looked for from where it was in another view."""
    count = len(slots)
    near = min(near, count - 1)
    for distance in range(count):
        if near + distance < count and slots[near + distance] is slot:
            return near + distance
        if near - distance >= 0 and slots[near - distance] is slot:
            return near - distance
    raise AssertionError("an element that is here is in its list")


def _behind(body: _List, index: int) -> int:
    """Where in `here` an element belongs that is at `index` of `seen`: behind its nearest neighbour on the left that
    is still there, and behind what others put there."""
    place = 0
    for at in range(index - 1, -1, -1):
        if body.seen[at].here is not ABSENT:
            place = _find(body.here, body.seen[at], at) + 1
            break
    while place < len(body.here) and body.here[place].seen is ABSENT:
        place += 1
    return place


def _at(edit: AnyEdit, path: list[Step], **changes: Any) -> AnyEdit:
    return msgspec.structs.replace(edit, path=path, **changes)
