"""Live: what collections, embedded objects and counters have in common: they are places inside an object's property.

A place is an object and a path: the property, then properties, keys and indexes. It holds no data; every access reads
what is there now. Where others inserted or removed list elements before it, it follows its element: the value that it
saw last and the present one are compared, as merging compares them. When its element is gone, it is invalid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from realm_sync.core.alignment import align
from realm_sync.core.edits import Shape, identities, path_text
from realm_sync.core.encoding import empty
from realm_sync.core.messages import Add, AnyEdit, Clear, Insert, Move, Remove, Set, SetInsert, SetRemove
from realm_sync.core.mixed import wrapper
from realm_sync.core.schema import Property

from .errors import RealmError

if TYPE_CHECKING:
    from .objects import Object
    from .realm import Realm

INVALID = "Accessing object which has been invalidated or deleted"
Path = tuple[str | int, ...]


class Live:
    """A place. Two are equal if they are the same place of the same stored object."""

    _kind: type = object
    """What the wire value of such a place is an instance of."""
    _owner: Object
    _at: Path
    """Where it was when `_root` was read."""
    _prop: Property
    _root: Any
    """The value of the whole property that was seen last."""
    _trail: list[AnyEdit] | None
    """The edits of this transaction in the property, when there were `_counted` of them."""
    _counted: int
    _gone: bool
    _fixed: bool
    """It shows `_root`, whatever is written later: what listeners are given."""
    _own: ClassVar[tuple[str, ...]] = (
        "_owner",
        "_at",
        "_prop",
        "_root",
        "_gone",
        "_fixed",
        "_seen",
        "_trail",
        "_counted",
    )

    def __init__(self, owner: Object, path: Path, prop: Property, root: Any = None) -> None:
        """`prop`: the type of what is here; `root`: the value of the whole property in which `path` leads here."""
        put = object.__setattr__  # embedded objects have properties for attributes
        put(self, "_owner", owner)
        put(self, "_at", path)
        put(self, "_prop", prop)
        put(self, "_gone", False)
        put(self, "_trail", None)
        put(self, "_counted", 0)
        put(self, "_root", root)
        if root is not None:
            self._saw(root)
        put(self, "_fixed", False)

    @property
    def _realm(self) -> Realm:
        return self._owner._realm

    @property
    def _where(self) -> str:
        return path_text(self._at)

    @property
    def _path(self) -> Path:
        """Where it is now. Raises RealmError if it is gone."""
        self._wire()
        return self._at

    def is_valid(self) -> bool:
        """False once its object, or its place in it, is gone, or the realm closed."""
        if self._realm.is_closed:
            return False
        try:
            self._wire()
        except RealmError:
            return False
        return True

    def _wire(self) -> Any:
        """The wire value that is here now. Raises RealmError if there is none any more."""
        value = self._root if self._fixed else self._present()
        try:
            for step in self._at[1:]:
                value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
        if value is None:
            value = empty(self._prop)
        if self._gone or not isinstance(value, self._kind) or (self._prop.type == "mixed" and wrapper(value)):
            raise RealmError(INVALID, code="InvalidatedObject")
        return value

    def _present(self) -> Any:
        """The present value of the whole property; the path then leads to the same element in it as before."""
        root = self._realm._root(self._owner, str(self._at[0]))
        if root is not self._root:
            if self._root is not None and not self._gone and len(self._at) > 1:
                at = self._realm._follow(self, root)
                object.__setattr__(self, "_gone", at is None)
                object.__setattr__(self, "_at", self._at if at is None else at)
            self._saw(root)
        return root

    def _saw(self, root: Any) -> None:
        """`root` is the present value of the property, and the path leads here in it."""
        put = object.__setattr__
        put(self, "_root", root)
        edits = self._realm._edits_of(self) if len(self._at) > 1 else None
        put(self, "_trail", edits)
        put(self, "_counted", 0 if edits is None else len(edits))

    def _writing(self) -> None:
        """Raises RealmError unless it may be changed now."""
        self._realm._writing()
        self._wire()

    def _edit(self, op: str, *steps: str | int, **values: Any) -> None:
        self._edits([(op, steps, values)])

    def _edits(self, edits: Iterable[tuple[str, tuple[str | int, ...], dict[str, Any]]]) -> None:
        """Edits inside this place, in order: op, steps from here, and what else the instruction says."""
        path = self._path
        self._realm._edit(self._owner, [(op, (*path, *steps), values) for op, steps, values in edits])
        self._saw(self._realm._root(self._owner, str(path[0])))  # they move nothing that leads here

    def _assign(self, wire: Any) -> None:
        """Makes this the value that is here."""
        path = self._path
        self._realm._assign(self._owner, path, self._prop, wire)
        self._saw(self._realm._root(self._owner, str(path[0])))

    def _as_of(self, root: Any) -> Any:
        """This place as it is when `root` is the value of the property, whatever is written later."""
        copy = type(self)(self._owner, self._at, self._prop, root)
        object.__setattr__(copy, "_fixed", True)
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Live):
            return NotImplemented
        same = type(self) is type(other) and self._owner == other._owner
        return same and self.is_valid() and other.is_valid() and self._at == other._at

    __hash__ = object.__hash__


def follow_edits(path: Path, edits: Iterable[AnyEdit]) -> Path | None:
    """Where the place at `path` is after edits of its property; None: it is gone."""
    at = list(path)
    for edit in edits:
        outer = edit.path if isinstance(edit, Clear) else edit.path[:-1]
        depth = len(outer)
        if len(at) <= depth or at[:depth] != outer or isinstance(edit, (Set, Add, SetInsert, SetRemove)):
            continue
        step = at[depth]
        if isinstance(edit, Clear) or (isinstance(edit, Remove) and edit.path[-1] == step):
            return None
        if not isinstance(step, int):
            continue
        place = int(edit.path[-1])
        if isinstance(edit, Insert):
            at[depth] = step + (step >= place)
        elif isinstance(edit, Move):
            left = step - (step > place)
            at[depth] = edit.to if step == place else left + (left >= edit.to)
        else:
            at[depth] = step - (step > place)
    return tuple(at)


def follow(shape: Shape, before: Any, after: Any, path: Path) -> Path | None:
    """Where the place at `path` of one value of a property is in another, the elements of lists being the same ones as
    for merging; None: it is gone."""
    at: list[str | int] = [path[0]]
    before, after = shape.read(before), shape.read(after)
    for step in path[1:]:
        kind = shape.container(before)
        if kind is None or kind != shape.container(after):
            return None
        if kind == "list" and isinstance(step, int) and step < len(before):
            origin = align(identities(shape, before), identities(shape, after)).origin
            if step not in origin:
                return None
            at.append(origin.index(step))
        elif kind != "list" and isinstance(step, str) and step in after and step in before:
            at.append(step)
        else:
            return None
        shape = shape.fields[str(step)] if kind == "embedded" else shape.element
        before, after = shape.read(before[step]), shape.read(after[at[-1]])
    return tuple(at)


def replaced(value: Any, path: Sequence[Any], wire: Any) -> Any:
    """The value of a property with `wire` in place of what is at `path`."""
    if len(path) == 1:
        return wire
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[1]] = replaced(copy[path[1]] if isinstance(copy, list) else copy.get(path[1]), path[1:], wire)
    return copy
