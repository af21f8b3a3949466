"""The official client's own merge: what it makes of incoming instructions and its unacknowledged ones.

Both sides change: `merge` is conceptually every incoming instruction against every local one, in order; each meeting may
move either, change either or drop either. "Later" compares (timestamp, file ident). The rules are those of protocol 14's
client, its fault with moves in lists of embedded objects included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from realm_sync.core.device_sync.instructions import (
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
    ObjectInstruction,
    PathInstruction,
    Payload,
    SetErase,
    SetInsert,
    Update,
)

from .errors import MergeFailed

Order = tuple[int, int]
Pair = tuple[Any, Any]
"""Both instructions after their meeting; None: dropped."""

ARRAY = (ArrayInsert, ArrayMove, ArrayErase)


@dataclass
class Changeset:
    """Instructions of one transaction, whose dropped ones are None."""

    order: Order
    instructions: list[AnyInstruction | None] = field(default_factory=list)

    @property
    def left(self) -> list[AnyInstruction]:
        return [instruction for instruction in self.instructions if instruction is not None]


def merge(incoming: Iterable[Changeset], local: Sequence[Changeset]) -> None:
    """Transforms both sides in place. MergeFailed where the client would give up."""
    places: dict[Any, list[tuple[Changeset, int]]] = {}
    for changeset in local:
        for index, instruction in enumerate(changeset.instructions):
            if instruction is not None:
                places.setdefault(_bucket(instruction), []).append((changeset, index))
    if not places:
        return
    for changeset in incoming:
        for index, instruction in enumerate(changeset.instructions):
            if instruction is not None:
                for other, position in places.get(_bucket(instruction), ()):
                    if (theirs := other.instructions[position]) is None:
                        continue
                    instruction, other.instructions[position] = meet(instruction, changeset.order, theirs, other.order)
                    if instruction is None:
                        break
                changeset.instructions[index] = instruction


def _bucket(instruction: AnyInstruction) -> Any:
    """Instructions meet only within one of these. Erasing classes and columns has no place in flexible sync."""
    if isinstance(instruction, (EraseTable, EraseColumn)):
        raise MergeFailed(f"{instruction}: the schema only grows")
    return (instruction.class_name, instruction.key) if isinstance(instruction, ObjectInstruction) else None


def meet(a: AnyInstruction, a_order: Order, b: AnyInstruction, b_order: Order) -> Pair:
    """Both after meeting each other."""
    a_level, b_level = _level(a), _level(b)
    if a_level < b_level:
        return _outer(a, b)
    if a_level > b_level:
        b_after, a_after = _outer(b, a)
        return a_after, b_after
    if (rule := RULES.get((type(a), type(b)))) is not None:
        return rule(a, b, a_order > b_order)
    if (rule := RULES.get((type(b), type(a)))) is not None:
        b_after, a_after = rule(b, a, b_order > a_order)
        return a_after, b_after
    return a, b


def _level(instruction: AnyInstruction) -> int:
    if isinstance(instruction, PathInstruction):
        return 3 + len(instruction.path)
    return 1 if isinstance(instruction, AddTable) else 2


def _outer(outer: Any, inner: Any) -> Pair:
    """An instruction meets one on something inside of what it is about, if it is."""
    if isinstance(outer, EraseObject):
        return outer, None if _same_object(outer, inner) else inner
    if not isinstance(outer, PathInstruction) or not _same_property(outer, inner):
        return outer, inner
    path, below = outer.path, inner.path
    if isinstance(outer, ARRAY):
        at = len(path) - 1
        if below[:at] != path[:at] or not isinstance(below[at], int):
            return outer, inner
        return _outer_array(outer, inner, at)
    if below[: len(path)] != path:
        return outer, inner
    match outer:
        case Update(value=Payload("object")):
            return outer, inner
        case Update(value=Payload("list")) if isinstance(below[len(path)], int):
            return outer, inner
        case Update(value=Payload("dictionary")) if isinstance(below[len(path)], str):
            return outer, inner
        case Update() | AddInteger() | Clear():
            return outer, None
    return outer, inner


def _outer_array(outer: Any, inner: Any, at: int) -> Pair:
    element, index = inner.path[at], outer.path[at]
    match outer:
        case ArrayInsert():
            return outer, _at(inner, at, element + 1) if element >= index else inner
        case ArrayErase():
            if element == index:
                return outer, None
            return outer, _at(inner, at, element - 1) if element > index else inner
    # A move: the client's arguments are the wrong way round, and the move itself is what changes.
    return _at(outer, at, _moved(index, element, outer.to)), inner


def _moved(index: int, source: int, target: int) -> int:
    """Where the element at an index is after the move of another, or of itself."""
    if index == source:
        return target
    index -= index > source
    return index + (index >= target)


def _at(instruction: Any, at: int, index: int) -> Any:
    path = instruction.path
    return replace(instruction, path=(*path[:at], index, *path[at + 1 :]))


def _same_object(a: Any, b: Any) -> bool:
    return a.class_name == b.class_name and a.key == b.key


def _same_property(a: Any, b: Any) -> bool:
    return _same_object(a, b) and a.property == b.property


def _same_place(a: Any, b: Any) -> bool:
    return _same_property(a, b) and a.path == b.path


def _same_list(a: Any, b: Any) -> bool:
    return (
        _same_property(a, b)
        and a.path[:-1] == b.path[:-1]
        and bool(a.path)
        and bool(b.path)
        and isinstance(a.path[-1], int)
        and isinstance(b.path[-1], int)
    )


def _earlier_dropped(a: Any, b: Any, a_later: bool) -> Pair:
    return (a, None) if a_later else (None, b)


# --- pairs of one level ----------------------------------------------------------------------------------------------


def _define(a: Any, b: Any, _: bool) -> Pair:
    """AddTable and AddTable, AddColumn and AddColumn."""
    if a.class_name != b.class_name or (isinstance(a, AddColumn) and a.property != b.property):
        return a, b
    if a != b:
        raise MergeFailed(f"defined in two ways: {a}, {b}")
    return None, None


def _erase_create(a: EraseObject, b: CreateObject, _: bool) -> Pair:
    return a, None if _same_object(a, b) else b


def _erase_erase(a: EraseObject, b: EraseObject, a_later: bool) -> Pair:
    return _earlier_dropped(a, b, a_later) if _same_object(a, b) else (a, b)


def _update_update(a: Update, b: Update, a_later: bool) -> Pair:
    if not _same_place(a, b):
        return a, b
    if a.path and isinstance(a.path[-1], int):
        _same_sizes(a, b)
    if a.value.type != b.value.type and "object" in (a.value.type, b.value.type):
        return (None, b) if a.value.type == "object" else (a, None)
    if a.value.type == b.value.type and a.value.type in ("list", "dictionary"):
        return a, b
    if a.is_default != b.is_default:
        return (None, b) if a.is_default else (a, None)
    return _earlier_dropped(a, b, a_later)


def _add_update(a: AddInteger, b: Update, a_later: bool) -> Pair:
    if not _same_place(a, b):
        return a, b
    if not (a_later or b.is_default):
        return None, b
    if b.value.type == "null":
        return a, b
    if b.value.type == "int":
        return a, replace(b, value=Payload("int", wrapped(b.value.value + a.by)))
    return None, b


def wrapped(value: int) -> int:
    """As a 64-bit integer."""
    return (value + 2**63) % 2**64 - 2**63


def _clear_clear(a: Clear, b: Clear, a_later: bool) -> Pair:
    return _earlier_dropped(a, b, a_later) if _same_place(a, b) else (a, b)


def _clear_update(a: Clear, b: Update, a_later: bool) -> Pair:
    if not _same_place(a, b) or b.value.type == a.collection:
        return a, b
    return _earlier_dropped(a, b, a_later)


def _clear_other(a: Clear, b: AddInteger | SetInsert | SetErase, _: bool) -> Pair:
    return a, None if _same_place(a, b) else b


def _set_set(a: Any, b: Any, a_later: bool) -> Pair:
    return _earlier_dropped(a, b, a_later) if _same_place(a, b) and a.value == b.value else (a, b)


# --- pairs on one list -----------------------------------------------------------------------------------------------


def _same_sizes(a: Any, b: Any) -> None:
    if a.prior_size != b.prior_size:
        raise MergeFailed(f"sizes of one list differ: {a}, {b}")
    for each in (a, b):
        limit = each.prior_size + isinstance(each, ArrayInsert)
        if not 0 <= each.path[-1] < limit or (isinstance(each, ArrayMove) and not 0 <= each.to < limit):
            raise MergeFailed(f"index beyond the list: {each}")


def _list(instruction: Any, index: int, size: int, **changes: Any) -> Any:
    return replace(instruction, path=(*instruction.path[:-1], index), prior_size=size, **changes)


def _insert_insert(a: ArrayInsert, b: ArrayInsert, a_later: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    _same_sizes(a, b)
    i, j = a.path[-1], b.path[-1]
    up = i > j or (i == j and a_later)
    return _list(a, i + up, a.prior_size + 1), _list(b, j + (not up), b.prior_size + 1)


def _insert_update(a: ArrayInsert, b: Update, _: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    _same_sizes(a, b)
    i, u = a.path[-1], b.path[-1]
    return a, _list(b, u + (u >= i), b.prior_size + 1)


def _erase_update(a: ArrayErase, b: Update, _: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    _same_sizes(a, b)
    e, u = a.path[-1], b.path[-1]
    return a, None if u == e else _list(b, u - (u > e), b.prior_size - 1)


def _move_update(a: ArrayMove, b: Update, _: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    return a, _list(b, _moved(b.path[-1], a.path[-1], a.to), b.prior_size)


def _erase_insert(a: ArrayErase, b: ArrayInsert, _: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    _same_sizes(a, b)
    e, i = a.path[-1], b.path[-1]
    after = i <= e
    return _list(a, e + after, a.prior_size + 1), _list(b, i - (not after), b.prior_size - 1)


def _erase_array(a: ArrayErase, b: ArrayErase, _: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    _same_sizes(a, b)
    e, g = a.path[-1], b.path[-1]
    if e == g:
        return None, None
    return _list(a, e - (e > g), a.prior_size - 1), _list(b, g - (g > e), b.prior_size - 1)


def _move_insert(a: ArrayMove, b: ArrayInsert, a_later: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    f, t, i = a.path[-1], a.to, b.path[-1]
    if i > f:
        i -= 1
    else:
        f += 1
    if i < t or (i == t and a_later):
        t += 1
    else:
        i += 1
    return _list(a, f, a.prior_size + 1, to=t), _list(b, i, b.prior_size)


def _move_move(a: ArrayMove, b: ArrayMove, a_later: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    _same_sizes(a, b)
    f, t, g, s = int(a.path[-1]), a.to, int(b.path[-1]), b.to
    if f == g:
        if a_later:
            return (None if s == t else _list(a, s, a.prior_size)), None
        return None, (None if s == t else _list(b, t, b.prior_size))
    if f < g:
        g -= 1
    else:
        f -= 1
    if t > g:
        t -= 1
    else:
        g += 1
    if f < s:
        s -= 1
    else:
        f += 1
    if t < s or (t == s and not a_later):
        s += 1
    else:
        t += 1
    return (
        None if f == t else _list(a, f, a.prior_size, to=t),
        None if g == s else _list(b, g, b.prior_size, to=s),
    )


def _erase_move(a: ArrayErase, b: ArrayMove, _: bool) -> Pair:
    if not _same_list(a, b):
        return a, b
    _same_sizes(a, b)
    e, f, t = int(a.path[-1]), int(b.path[-1]), b.to
    if e == f:
        return _list(a, t, a.prior_size), None
    if e > f:
        e -= 1
    else:
        f -= 1
    if e >= t:
        e += 1
    else:
        t -= 1
    return _list(a, e, a.prior_size), None if f == t else _list(b, f, b.prior_size - 1, to=t)


RULES: dict[tuple[type, type], Any] = {
    (AddTable, AddTable): _define,
    (AddColumn, AddColumn): _define,
    (EraseObject, CreateObject): _erase_create,
    (EraseObject, EraseObject): _erase_erase,
    (Update, Update): _update_update,
    (AddInteger, Update): _add_update,
    (Clear, Clear): _clear_clear,
    (Clear, Update): _clear_update,
    (Clear, AddInteger): _clear_other,
    (Clear, SetInsert): _clear_other,
    (Clear, SetErase): _clear_other,
    (SetInsert, SetInsert): _set_set,
    (SetInsert, SetErase): _set_set,
    (SetErase, SetErase): _set_set,
    (ArrayInsert, ArrayInsert): _insert_insert,
    (ArrayInsert, Update): _insert_update,
    (ArrayErase, Update): _erase_update,
    (ArrayMove, Update): _move_update,
    (ArrayErase, ArrayInsert): _erase_insert,
    (ArrayErase, ArrayErase): _erase_array,
    (ArrayMove, ArrayInsert): _move_insert,
    (ArrayMove, ArrayMove): _move_move,
    (ArrayErase, ArrayMove): _erase_move,
}
"""Rule by the types of a pair: (a, b, whether a is later) → both afterwards. Every other pair passes."""
