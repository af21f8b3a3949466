"""Merge: the only place where conflicts are decided (R7).

Pure: given an object's present image, what others did to it since a changeset's base, and one instruction of that
changeset, it says what of the instruction stands. Knows nothing of access, validation or storage: uploads.py asks those
questions about what remains. Concurrent with a changeset is every change above its base, on the same object, not of the
same client file. What happens inside lists, sets, dictionaries, embedded objects and counters is tree.py's.

    two writes of one property      the later (timestamp, client file ident) stands
    increments of an int            add up; a set discards earlier ones of others, and later ones are added to it
    two creates of one key          one object; properties as above, an untouched default never beats a written value
    delete against anything         the delete stands, whatever the times

The client's half of the same decision is `rebase`: what its pending steps mean once others' changes are in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from .changes import Change
from .edits import EditError, Shape, check_by, edit_value, identity, increase, property_shape
from .messages import Add, AnyEdit, AnyInstruction, Create, Delete, Edit, Insert, Set, SetInsert, SetRemove, Update
from .schema import ObjectSchema, Schema
from .tree import Stamp, Tree, Write, remember

__all__ = ["Outcome", "Rivals", "Shapes", "Stamp", "ints_of", "merge", "rebase", "replay", "shapes_of", "witness"]

Shapes = Mapping[str, Shape]
"""By name, the properties of a class that are merged from within."""


def shapes_of(schema: Schema, cls: ObjectSchema) -> Shapes:
    """The shapes of those properties of a class that are more than one value; once per class."""
    shapes = {name: Shape(schema, prop) for name, prop in cls.properties.items()}
    return {name: shape for name, shape in shapes.items() if shape.kind != "scalar"}


def ints_of(cls: ObjectSchema) -> frozenset[str]:
    """The properties of a class that are one value and can be added to all the same."""
    return frozenset(
        name for name, prop in cls.properties.items() if prop.type == "int" and not prop.is_counter and name != "_id"
    )


class Outcome(NamedTuple):
    """What an instruction leaves of an object: its image (None: absent) and the properties it really wrote."""

    image: dict[str, Any] | None
    written: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    """Dotted paths of counters that were set, not increased, and, with a plus in front, of ints that were increased: they
    belong into the history (models.Change.sets)."""
    edits: tuple[AnyEdit, ...] = ()
    """Of an edit: what stands of it, with paths in the image as it was."""
    sums: tuple[str, ...] = ()
    """Those ints among `written` that are not what was written: others' later increments are added."""


class _Row(NamedTuple):
    """A row of the history, as far as properties with an inside are concerned."""

    version: int
    stamp: Stamp | None
    """None: the client file's own."""
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]
    sets: frozenset[str]

    def names(self, name: str) -> bool:
        return self.before is None or name in self.before


class Rivals:
    """What happened to one object since the lowest base of an upload, and what the client file sees of it meanwhile.

    One for each object of an upload, used for all its instructions in order: indexes are counted in what the file sees,
    its own earlier edits included, those that were refused too (`witness`).
    """

    __slots__ = ("_adds", "_defaults", "_deleted", "_ints", "_rows", "_shapes", "_views", "_writes")

    def __init__(
        self,
        changes: Iterable[Change] = (),
        defaults: Mapping[str, Any] | None = None,
        shapes: Shapes | None = None,
        file: int | None = None,
        ints: Collection[str] = (),
    ) -> None:
        """`changes`: rows in order, of others only unless `file` says which client file's are not theirs; edits need
        the file's own as well. `defaults`: wire values that properties have if a create omits them. `shapes`: as
        shapes_of; without it every property is one value, and edits cannot be merged. `ints`: as ints_of; what else can
        be added to."""
        self._defaults = defaults or {}
        self._shapes = shapes or {}
        self._ints = ints
        self._adds: dict[str, list[tuple[Write, int]]] = defaultdict(list)
        self._deleted = 0
        self._writes: dict[str, list[Write]] = defaultdict(list)
        self._rows: list[_Row] = []
        self._views: dict[str, _View] = {}
        for change in changes:
            is_own = file is not None and change.origin == file
            if change.kind == "delete":
                self._rows.clear()
                if not is_own:
                    self._deleted = max(self._deleted, change.version)
                continue
            stamp = Stamp(change.timestamp, change.origin)
            if self._shapes:
                row = _row(change, None if is_own else stamp)
                self._rows.append(row)
                written = row.after if row.before is None else {name: row.after.get(name) for name in row.before}
            else:
                written = change.written()
            if is_own:
                continue
            increased = self._increased(change)
            for name, value in written.items():
                if change.kind == "insert" and (value is None or value == self._defaults.get(name)):
                    continue
                write = Write(change.version, stamp)
                if value is not None and name in increased:
                    self._adds[name].append((write, int(value) - increased[name]))
                else:
                    remember(self._writes[name], write)

    def _increased(self, change: Change) -> Mapping[str, int]:
        """The ints that a change added to, and did nothing else to, with what they were before."""
        if not self._ints or change.before is None or "+" not in (change.sets or ""):
            return {}
        sets, before, after = _decode(change.sets or "[]"), _decode(change.before), _decode(change.after or "{}")
        names = [name for name in self._ints if f"+{name}" in sets and name not in sets and after.get(name) is not None]
        return {name: int(before[name]) for name in names if before.get(name) is not None}

    def deleted_since(self, base: int) -> bool:
        """Whether another deleted the object above `base`; re-created since or not."""
        return self._deleted > base

    def beat(self, name: str, base: int, stamp: Stamp) -> bool:
        """Whether another's write of the property, above `base`, is later than `stamp`."""
        writes = self._writes.get(name)
        return writes is not None and any(version > base and other > stamp for version, other in writes)

    def can_add(self, edit: Edit) -> bool:
        """Whether an edit adds to a property that is an int and no counter."""
        return isinstance(edit, Add) and len(edit.path) == 1 and edit.path[0] in self._ints

    def sums(self, values: Mapping[str, Any], written: Sequence[str], base: int, stamp: Stamp) -> dict[str, Any]:
        """Of the values that were written those to which others' increments, above `base` and later than `stamp`, are
        added."""
        found: dict[str, Any] = {}
        for name in written if self._adds else ():
            later = [by for write, by in self._adds.get(name, ()) if write.version > base and write.stamp > stamp]
            if later and values[name] is not None:
                found[name] = increase(values[name], sum(later))
        return found

    def with_inside(self, names: Iterable[str]) -> list[str]:
        """Those of the properties that are merged from within."""
        return [name for name in names if name in self._shapes] if self._shapes else []

    def forget(self) -> None:
        """The object begins anew by the client file's own hand: what was is nobody's rival."""
        self._adds.clear()
        self._rows.clear()
        self._views.clear()

    def view(self, name: str, path: Sequence[str | int] = ()) -> _View:
        """What the file sees of a property. Raises EditError if it has no inside."""
        view = self._views.get(name)
        if view is None:
            shape = self._shapes.get(name)
            if shape is None:
                raise EditError("InvalidPath", "The property has nothing inside that could be edited.", path[:1])
            rows = [row for row in self._rows if row.names(name)]
            view = self._views[name] = _View(name, shape, rows, self._defaults.get(name))
        return view


_decode = msgspec.json.Decoder().decode


def _row(change: Change, stamp: Stamp | None) -> _Row:
    before = _decode(change.before) if change.before else None
    sets = frozenset(_decode(change.sets)) if change.sets else frozenset()
    return _Row(change.version, stamp, before, _decode(change.after or "{}"), sets)


_UNKNOWN: Any = object()
MOST_LEARNED = 16
"""How often an upload may tell of one property that its file knows more of others' writes than it did before: what came
before is then merged again. Clients count pending edits anew with every download, and come with one or two bases."""


class _View:
    """One property in an upload. As long as only the client file writes it, its value is all there is to know; the Tree
    is made when somebody else's writes, or a refusal, part what the file sees from what is there."""

    __slots__ = ("_default", "_known", "_learned", "_log", "_name", "_rows", "_seen", "_shape", "_there", "_tree")

    def __init__(self, name: str, shape: Shape, rows: list[_Row], default: Any) -> None:
        self._name, self._shape, self._default = name, shape, default
        self._rows = rows if any(row.stamp for row in rows) else []
        self._tree: Tree | None = None
        self._learned = 0
        self._known = 0
        """Up to which version the file knows of others' writes, in the tree."""
        self._seen = self._there = _UNKNOWN
        """Without a tree: what the file sees. With one: what was there after the last step."""
        self._log: list[Callable[[Tree], object]] = []

    def edit(self, present: Any, edit: AnyEdit, base: int, stamp: Stamp) -> tuple[Any, list[AnyEdit], list[str]]:
        """The value after an edit, what stands of the edit, and counters that were set. Raises EditError."""
        if self._is_alone(present):
            value = edit_value(self._shape, present, edit)
            self._seen = value
            if isinstance(edit, Set):
                return value, [edit], _counters(_shape_at(self._shape, edit), edit.value, edit.path)
            is_sum = isinstance(edit, Add) and _shape_at(self._shape, edit).is_int
            return value, [edit], ["+" + ".".join(map(str, edit.path))] if is_sum else []
        tree = self._tree_for(present, max(base, edit.base or 0))
        edits = tree.apply(edit, base, stamp)
        self._log.append(lambda tree: tree.apply(edit, base, stamp))
        value = self._shape.read(present)
        if len(edits) == 1:
            value = edit_value(self._shape, value, edits[0])
        elif edits:
            value = tree.value()
        self._there = value
        return value, edits, tree.counters

    def write(self, present: Any, value: Any, base: int, stamp: Stamp) -> tuple[Any, bool, list[str]]:
        """The value after the file wrote it as a whole, whether that stands, and counters that were set."""
        if self._is_alone(present):
            self._seen = value
            return value, True, _counters(self._shape, value, [self._name])
        return self._whole(present, base, lambda tree: tree.assign(value, base, stamp))

    def join(self, present: Any, value: Any, base: int, stamp: Stamp) -> tuple[Any, bool, list[str]]:
        """The value after the file created the object that is there already."""
        return self._whole(present, base, lambda tree: tree.join(value, base, stamp))

    def _whole(self, present: Any, base: int, step: Callable[[Tree], bool]) -> tuple[Any, bool, list[str]]:
        tree = self._tree_for(present, base)
        stands = step(tree)
        self._log.append(step)
        self._there = tree.value() if stands else present
        return self._there, stands, tree.counters

    def _is_alone(self, present: Any) -> bool:
        """Whether the file sees what is there: nobody else wrote, and nothing was refused."""
        if self._tree is not None or self._rows:
            return False
        if self._seen is _UNKNOWN:
            self._seen = present
        return self._seen is present or _is_equal(self._seen, present)

    def _tree_for(self, present: Any, known: int) -> Tree:
        """The tree, with others' writes up to `known` seen by the file, and with what is really there."""
        tree = self._tree
        learns = known > self._known and any(self._known < row.version <= known and row.stamp for row in self._rows)
        if learns and self._learned == MOST_LEARNED:
            reason = f"The writes of one message to a property stand on at most {MOST_LEARNED} versions of it."
            raise EditError("LimitExceeded", reason, [self._name])
        self._learned += learns
        self._known = max(known, self._known)
        if tree is None or learns:
            tree = self._tree = self._grow()
            self._there = tree.value()
        if self._there is not present and not _is_equal(self._there, present):
            tree.absorb(present)
        return tree

    def _grow(self) -> Tree:
        if not self._rows:
            tree = Tree(self._shape, self._name, None if self._seen is _UNKNOWN else self._seen)
        else:
            first = self._rows[0].before
            tree = Tree(self._shape, self._name, None if first is None else first.get(self._name))
        for row in self._rows:
            value = row.after.get(self._name)
            write = Write(row.version, row.stamp) if row.stamp else None
            if row.before is None and (value is None or value == self._default):
                write = None
            tree.absorb(value, write, is_known=row.stamp is None or row.version <= self._known, sets=row.sets)
        for step in self._log:
            try:
                step(tree)
            except EditError:
                continue  # it was counted in what the file saw before; only a forged base leads here
        return tree


def _is_equal(one: Any, other: Any) -> bool:
    return identity(one) == identity(other)


def _shape_at(shape: Shape, edit: AnyEdit) -> Shape:
    """The shape of the place that an edit is about; the edit has been applied, so its path is good."""
    for step in edit.path[1:]:
        shape = shape.fields[str(step)] if shape.kind == "embedded" else shape.element
    return shape


def _counters(shape: Shape, value: Any, path: Sequence[str | int]) -> list[str]:
    """Dotted paths of the counters, and of the ints inside, that writing a whole value sets."""
    if shape.kind == "counter" or shape.is_int:
        return [".".join(map(str, path))]
    if shape.kind == "embedded" and value is not None:
        return [
            counter
            for name, inner in shape.fields.items()
            for counter in _counters(inner, value.get(name), [*path, name])
        ]
    if shape.kind == "dictionary" and shape.element.kind == "embedded":
        return [
            counter for key, inner in (value or {}).items() for counter in _counters(shape.element, inner, [*path, key])
        ]
    return []


def merge(
    image: Mapping[str, Any] | None, instruction: AnyInstruction, base: int, stamp: Stamp, rivals: Rivals
) -> Outcome:
    """The outcome of one instruction on `image`, the object as it is now. `base` and `stamp` are the changeset's.

    An update or edit of an absent object is nothing, as on clients (R8). Values must fit their types already: for one
    that does not, and for an outcome that is not taken, see `witness`. Images and values are never changed in place,
    and share what did not change. Raises EditError for an edit that makes no sense in what the file saw.
    """
    present = None if image is None else dict(image)
    if rivals.deleted_since(base) and not isinstance(instruction, Delete):
        return Outcome(present)
    if isinstance(instruction, Delete):
        rivals.forget()
        return Outcome(None)
    if isinstance(instruction, Create) and present is None:
        rivals.forget()
        return Outcome({"_id": instruction.id, **instruction.values}, tuple(instruction.values))
    if present is None:
        return Outcome(None)
    if isinstance(instruction, Edit):
        return _merge_edit(present, cast(AnyEdit, instruction), base, stamp, rivals)
    values = instruction.values
    whole = rivals.with_inside(values)
    if not whole:
        written = tuple(name for name in values if not rivals.beat(name, base, stamp))
        present.update({name: values[name] for name in written})
        sums = rivals.sums(values, written, base, stamp)
        present.update(sums)
        return Outcome(present, written, sums=tuple(sums))
    is_create = isinstance(instruction, Create)
    stood: list[str] = []
    sets: list[str] = []
    for name, value in values.items():
        if name in whole:
            view = rivals.view(name)
            write = view.join if is_create else view.write
            present[name], stands, counters = write(present.get(name), value, base, stamp)
            sets += counters
        else:
            stands = not rivals.beat(name, base, stamp)
            if stands:
                present[name] = value
        if stands:
            stood.append(name)
    sums = rivals.sums(values, stood, base, stamp)
    present.update(sums)
    return Outcome(present, tuple(stood), tuple(sets), sums=tuple(sums))


def _merge_edit(present: dict[str, Any], edit: AnyEdit, base: int, stamp: Stamp, rivals: Rivals) -> Outcome:
    name = str(edit.path[0]) if edit.path else ""
    if rivals.can_add(edit):
        by = check_by(cast(Add, edit))
        if present.get(name) is None or rivals.beat(name, base, stamp):
            return Outcome(present)
        present[name] = increase(present[name], by)
        return Outcome(present, (name,), (f"+{name}",), (edit,))
    view = rivals.view(name, edit.path)
    value, edits, sets = view.edit(present.get(name), edit, base, stamp)
    if not edits:
        return Outcome(present)
    present[name] = value
    return Outcome(present, (name,), tuple(sets), tuple(edits))


def witness(image: Mapping[str, Any] | None, edit: AnyEdit, base: int, stamp: Stamp, rivals: Rivals) -> None:
    """An edit whose value was refused before it was merged: the object stays as it is, but the client file saw its own
    edit and counted its next indexes with it. (An outcome of `merge` that is refused need only not be taken.)"""
    if isinstance(edit, (SetInsert, SetRemove)):
        return
    if isinstance(edit, (Set, Insert)):
        edit = msgspec.structs.replace(edit, value=None)
    try:
        merge(image, edit, base, stamp, rivals)
    except EditError:
        return  # it makes no sense to the file either


# --- on clients ------------------------------------------------------------------------------------------------------

Image = Mapping[str, Any]


def rebase(
    schema: Schema,
    cls: ObjectSchema,
    old: Image | None,
    acknowledged: Sequence[AnyInstruction],
    new: Image | None,
    pending: Sequence[AnyInstruction],
    version: int,
) -> tuple[dict[str, Any] | None, list[list[AnyInstruction]]]:
    """What a download makes of one object of a client file: its visible image, and for each pending step what it reads
    from now on (nothing, itself, or several steps).

    `old` and `new`: the server's image before and after the download, at `version`. `acknowledged`: the steps that the
    download takes out of what is pending, in order; `pending`: those that are left. Where nothing pending is an edit,
    this is `replay` and every step stays as it is. Otherwise the edits are counted in the new image, with `version` as
    their base. A step that can have no effect any more is dropped; one that cannot be understood stays as it is, for
    the server to decide.
    """
    names = {str(step.path[0]) for step in pending if isinstance(step, Edit)}
    if not names:
        return replay(schema, cls, new, pending), [[step] for step in pending]
    trees = {name: _client_tree(schema, cls, name, old, acknowledged, new) for name in names if name in cls.properties}
    image: dict[str, Any] | None = None if new is None else dict(new)
    rewritten: list[list[AnyInstruction]] = []
    for step in pending:
        name = str(step.path[0]) if isinstance(step, Edit) else ""
        if isinstance(step, Edit) and image is not None and name in trees:
            edits = _rewrite(trees[name], cast(AnyEdit, step), version)
            rewritten.append(edits)
            image[name] = trees[name].value()
            continue
        rewritten.append([step])
        image = _replay(schema, cls, image, step, trees)
    return image, rewritten


def _rewrite(tree: Tree, edit: AnyEdit, version: int) -> list[AnyInstruction]:
    try:
        edits = tree.apply(edit)
    except EditError:
        return [edit]
    return [msgspec.structs.replace(it, base=version) for it in edits]


def _client_tree(
    schema: Schema,
    cls: ObjectSchema,
    name: str,
    old: Image | None,
    acknowledged: Sequence[AnyInstruction],
    new: Image | None,
) -> Tree:
    """A property as the file saw it before the download, with what is there after it."""
    tree = Tree(Shape(schema, cls.properties[name]), name, None if old is None else old.get(name))
    exists = old is not None
    for step in acknowledged:
        if isinstance(step, Edit):
            if str(step.path[0]) == name:
                try:
                    tree.apply(cast(AnyEdit, step))
                except EditError:
                    continue  # shown without it, too
        elif isinstance(step, Delete):
            tree.assign(None)
            exists = False
        elif isinstance(step, Create):
            if exists:  # joins what is there already
                tree.join(step.values.get(name))
            else:
                tree.assign(step.values.get(name))
            exists = True
        elif exists and name in step.values:
            tree.assign(step.values[name])
    tree.absorb(None if new is None else new.get(name))
    return tree


def replay(
    schema: Schema, cls: ObjectSchema, image: Image | None, steps: Iterable[AnyInstruction]
) -> dict[str, Any] | None:
    """The object after steps of the client file that nobody else's come between. An update or edit of an absent object
    does nothing (R8), nor does an edit that makes no sense; a create of an object that is there already joins it."""
    visible: dict[str, Any] | None = None if image is None else dict(image)
    for step in steps:
        visible = _replay(schema, cls, visible, step, {})
    return visible


def _replay(
    schema: Schema, cls: ObjectSchema, image: dict[str, Any] | None, step: AnyInstruction, trees: Mapping[str, Tree]
) -> dict[str, Any] | None:
    if isinstance(step, Delete):
        return None
    if isinstance(step, Edit):
        if image is None:
            return None
        edit = cast(AnyEdit, step)
        try:
            shape = property_shape(schema, cls, edit)
            return {**image, str(edit.path[0]): edit_value(shape, image.get(str(edit.path[0])), edit)}
        except EditError:
            return image
    if image is None and isinstance(step, Update):
        return None
    if image is None:
        for name, tree in trees.items():
            tree.assign(step.values.get(name))
        return {"_id": step.id, **step.values}
    image = dict(image)
    for name, value in step.values.items():
        mine = trees.get(name)
        prop = cls.properties.get(name)
        if isinstance(step, Create) and prop is not None and Shape(schema, prop).kind != "scalar":
            mine = mine or Tree(Shape(schema, prop), name, image.get(name))
            mine.join(value)
            image[name] = mine.value()
            continue
        if mine is not None:
            mine.assign(value)
        image[name] = value
    return image
