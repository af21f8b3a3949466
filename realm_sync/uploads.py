"""Uploads: changesets of client files become ordinary writes, exactly once, conflicts merged, refusals reported.

One upload message is one transaction: lock the file, read every touched object and what others did to it, merge in
memory (core/merge.py decides), check type, validation, view and access, write in bulk, advance the file (R6). What is
refused is undone for that property or object only and travels back with the advance. How it reaches the tables is in
writing.py. Synchronous; run in a thread.

Writes of several changesets are folded into one write per object as long as that means the same: a batch ends where an
object is written again with another timestamp, because a row of the history carries one. If the database refuses a
batch (unique, foreign key, check), it is undone and written again, changeset by changeset and object by object, so that
only the culprits are refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from django.db import OperationalError, connections, transaction
from django.db.models.expressions import RawSQL
from django.utils import timezone
from msgspec.structs import replace

from . import capture, history, wakeups
from .access import Access
from .conf import settings
from .core.changes import Change, Predicate, decode_image, well_formed
from .core.edits import EditError, path_text
from .core.errors import ProtocolError
from .core.merge import Outcome, Rivals, Stamp, merge
from .core.messages import (
    Add,
    AnyEdit,
    AnyInstruction,
    Changeset,
    Create,
    Delete,
    Insert,
    RejectedWrite,
    Set,
    SetInsert,
    Update,
)
from .core.nodes import FALSE
from .core.predicate import compile_predicate
from .models import ClientFile
from .registry import ModelSync, registry
from .subscriptions import Views
from .validation import Rules, Validation
from .writing import LONGEST_REASON, REFUSALS, Key, Pending, Refused, Writer, chunks

ATTEMPTS = 6
"""How often an upload is tried when the database asks to try again (deadlock, lock time-out)."""
LONGEST_PATH = 128
"""Steps of an edit's path: more than any value may be deep."""
MOST_CULPRITS = 50
"""Writes to one object that one changeset may have singled out because the value they lead to is refused, which costs by
its size. What is left of the changeset's writes to the object is then refused, too."""
OUTSIDE = "The object is outside the view of this client file, or does not exist."


def integrate(ident: int, changesets: Sequence[Changeset], access: Access, views: Views, now: int) -> int:
    """Integrates the changesets that are not integrated yet; returns the file's new integrated client version.

    `views` is what the file's newest subscription set shows, `now` is in milliseconds since 1970. When it returns, data
    and advance are committed together (R6); when it raises, nothing is. Deadlocks and lock time-outs are retried.
    """
    return attempt(lambda: _integrate(ident, changesets, access, views, now))


def attempt(integrate: Callable[[], int]) -> int:
    """Does it in a transaction, and again in another one as often as the database asks for it."""
    for times in range(ATTEMPTS):
        try:
            with transaction.atomic(settings.DATABASE):
                return integrate()
        except OperationalError:
            if times == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _integrate(ident: int, changesets: Sequence[Changeset], access: Access, views: Views, now: int) -> int:
    connection = connections[settings.DATABASE]
    files = ClientFile.objects.using(settings.DATABASE).filter(ident=ident)
    # The first statement is a write: it takes SQLite's one write lock, and serialises the uploads of one file.
    files.update(last_seen=timezone.now())
    done, reset_reason = files.values_list("client_version", "reset_reason").get()
    if reset_reason:  # what is integrated by now is what the file is told: nothing may follow
        raise ProtocolError("ClientReset", reset_reason, done)
    fresh = [changeset for changeset in changesets if changeset.client_version > done]
    if not fresh:
        return done
    capture.set_origin(connection, ident)
    upload = Upload(ident, access, views, now)
    upload.load(fresh)
    for batch in batches(fresh):
        upload.write(batch)
    capture.set_origin(connection, 0)
    done = fresh[-1].client_version
    files.update(client_version=done)
    advance = {"clientVersion": done, "rejected": upload.rejected} if upload.rejected else {"clientVersion": done}
    history.record_advance(connection, ident, msgspec.json.encode(advance).decode())
    transaction.on_commit(wakeups.notify, using=settings.DATABASE)
    return done


def batches(changesets: Iterable[Changeset]) -> Iterator[list[Changeset]]:
    """Runs of changesets in which no object is written with two timestamps."""
    batch: list[Changeset] = []
    stamps: dict[Key, int] = {}
    for changeset in changesets:
        keys = {(step.class_name, str(step.id)) for step in changeset.instructions}
        if any(stamps.get(key, changeset.timestamp) != changeset.timestamp for key in keys):
            yield batch
            batch, stamps = [], {}
        batch.append(changeset)
        stamps.update(dict.fromkeys(keys, changeset.timestamp))
    if batch:
        yield batch


class UploadedClass(Rules):
    """What an upload needs to know of a class, looked up once."""

    def __init__(self, model_sync: ModelSync, access: Access, views: Views) -> None:
        super().__init__(model_sync)
        name, schema = self.name, registry.schema
        self.in_view: Predicate = compile_predicate(views.get(name, FALSE), self.schema, schema)
        self.readable: Predicate = compile_predicate(access.readable.get(name, FALSE), self.schema, schema)
        self.writable: Predicate = access.can_write(name)


class _Unit(NamedTuple):
    """What is refused or stands as one: an edit, a whole value of one property, or an instruction as far as it is about
    properties that have no inside."""

    step: AnyInstruction
    values: Mapping[str, Any] = {}
    """The Python values of the properties without an inside, by name; they have been checked."""
    name: str = ""
    """The property with an inside."""
    where: str = ""
    """Its path, as a refusal names it."""
    is_refused: bool = False
    """Its value did not fit: it is merged, and not taken, because the edits that follow were counted with it."""


class _Step(NamedTuple):
    """What happened to an object in an upload: a step that was merged, or what the database or a rule left of it."""

    step: AnyInstruction | None
    base: int
    stamp: Stamp
    image: Mapping[str, Any] | None
    """The object afterwards."""
    is_taken: bool = True


class _Story:
    """What an upload did to one object so far; told again where a part of it is undone."""

    __slots__ = ("_rivals", "_seen", "_start", "_steps", "rivals")

    def __init__(self, start: Mapping[str, Any] | None, rivals: Callable[[], Rivals]) -> None:
        self._start, self._rivals = start, rivals
        self.rivals = rivals()
        self._steps: list[_Step] = []
        self._seen: Mapping[str, Any] | None = None
        """With the steps that were not taken since the last one that was."""

    def __len__(self) -> int:
        return len(self._steps)

    def merge(self, image: Mapping[str, Any] | None, step: AnyInstruction, base: int, stamp: Stamp) -> Outcome:
        """What a step makes of the object. To be followed by `add`. Raises EditError."""
        self._seen = None
        return merge(image, step, base, stamp, self.rivals)

    def add(self, step: AnyInstruction | None, base: int, stamp: Stamp, image: Mapping[str, Any] | None) -> None:
        """`image`: the object after the step, or, without one, as the database or a rule wants it instead."""
        self._steps.append(_Step(step, base, stamp, image))

    def witness(self, image: Mapping[str, Any] | None, step: AnyInstruction, base: int, stamp: Stamp) -> None:
        """The file saw the step, and counted what it wrote next with it; but it is not taken."""
        self._steps.append(_Step(step, base, stamp, image, is_taken=False))
        with suppress(EditError):
            # One after the other, as undoing them costs by the size of the value.
            self._seen = merge(image if self._seen is None else self._seen, step, base, stamp, self.rivals).image

    def back_to(self, count: int) -> None:
        """Only the first `count` steps have happened."""
        steps, self._steps = self._steps[:count], []
        self.rivals, image, self._seen = self._rivals(), self._start, None
        for it in steps:
            if it.step is None or it.is_taken:
                if it.step is not None:
                    self.merge(image, it.step, it.base, it.stamp)
                self._steps.append(it)
            else:
                self.witness(image, it.step, it.base, it.stamp)
            image = it.image


class Upload:
    """What is done in the transaction of one upload message: first `load`, then `write` batch by batch."""

    def __init__(self, ident: int, access: Access, views: Views, now: int) -> None:
        self.rejected: list[RejectedWrite] = []
        self._ident, self._access, self._views, self._now = ident, access, views, now
        self._connection = connections[settings.DATABASE]
        self._classes: dict[str, UploadedClass] = {}
        self._writer = Writer(ident, self._classes)
        self.objects: dict[Key, Pending] = {}
        """What was loaded, as it is after what was written."""
        self._validation = Validation(self.objects)
        self.rows: dict[Key, list[Change]] = defaultdict(list)
        """What happened to the objects since the lowest base, before the upload."""
        self._stories: dict[Key, _Story] = {}
        self._told: dict[Key, int] = {}
        """How much of each story is written."""

    # --- reading -----------------------------------------------------------------------------------------------------

    def load(self, changesets: Sequence[Changeset]) -> None:
        """Reads, and on PostgreSQL locks, every object the changesets touch, and what others did to them."""
        keys: dict[str, dict[str, Any]] = defaultdict(dict)
        for changeset in changesets:
            for step in changeset.instructions:
                cls = self.class_of(step.class_name)
                if cls is not None and (value := cls.key(step.id)) is not None:
                    keys[step.class_name][str(step.id)] = value
        base = min(changeset.base_version for changeset in changesets)
        for name in sorted(keys):
            cls = self._classes[name]
            quoted = self._connection.ops.quote_name(cls.model._meta.db_table)
            image = RawSQL(capture.image_sql(cls.model_sync, quoted).replace("%", "%%"), ())
            for chunk in chunks(list(keys[name].values())):
                rows = cls.rows.filter(pk__in=chunk).order_by("pk")
                if self._connection.features.has_select_for_update:
                    rows = rows.select_for_update()
                for text in rows.values_list(image, flat=True):
                    decoded = decode_image(well_formed(text))
                    self.objects[name, str(decoded["_id"])] = Pending(decoded)
            for text_key in keys[name]:
                self.objects.setdefault((name, text_key), Pending(None))
        for change in history.changes_of(self._connection, list(self.objects), base):
            self.rows[change.class_name, change.object_id].append(change)
        self._validation.load(self._links(changesets))

    def _story(self, key: Key) -> _Story:
        story = self._stories.get(key)
        if story is None:
            cls, rows = self._classes[key[0]], self.rows.get(key, ())
            known = self.objects.get(key)
            story = self._stories[key] = _Story(
                known.image if known else None, lambda: Rivals(rows, cls.defaults, cls.shapes, self._ident, cls.ints)
            )
        return story

    def _links(self, changesets: Sequence[Changeset]) -> Iterator[tuple[Rules, str, Any]]:
        """(class, property, wire value) of everything that may be written to a foreign key."""
        for changeset in changesets:
            for step in changeset.instructions:
                cls = self.class_of(step.class_name)
                if cls is None or isinstance(step, Delete):
                    continue
                if isinstance(step, Create | Update):
                    for name, wire in step.values.items():
                        yield cls, name, wire
                elif isinstance(step, SetInsert) and len(step.path) == 1:
                    yield cls, str(step.path[0]), [step.value]

    def class_of(self, name: str) -> UploadedClass | None:
        if name not in self._classes:
            model_sync = registry.get(name)
            if model_sync is None:
                return None
            self._classes[name] = UploadedClass(model_sync, self._access, self._views)
        return self._classes[name]

    # --- deciding ----------------------------------------------------------------------------------------------------

    def write(self, batch: Sequence[Changeset]) -> None:
        """Merges, checks and writes a batch; what the database refuses is written again in smaller steps."""
        objects, rejected = self._decide(batch)
        try:
            self._writer.write(objects)
        except REFUSALS:
            if len(batch) > 1:
                for key in objects:
                    self._story(key).back_to(self._told.get(key, 0))
                for changeset in batch:
                    self.write([changeset])
                return
            written, refused = self._writer.write_each(objects)
            for key, it in objects.items():
                image = written[key].image if key in written else it.start
                self._story(key).add(None, 0, Stamp(0, 0), image)
            objects = written
            rejected += refused
        # What was written is what the next batch finds.
        for key, it in objects.items():
            self.objects[key] = Pending(it.image, it.existed)
            if key in self._stories:
                self._told[key] = len(self._stories[key])
        self.rejected += rejected

    def _decide(self, batch: Sequence[Changeset]) -> tuple[dict[Key, Pending], list[RejectedWrite]]:
        """The objects that the batch changes, as it leaves them, and what it may not do. Writes nothing."""
        touched: dict[Key, Pending] = {}
        rejected: list[RejectedWrite] = []
        for changeset in batch:
            stamp = Stamp(min(changeset.timestamp, self._now), self._ident)
            steps: dict[Key, list[AnyInstruction]] = defaultdict(list)
            for step in changeset.instructions:
                steps[step.class_name, str(step.id)].append(step)
            for key, instructions in steps.items():
                before = touched.get(key) or self.objects.get(key) or Pending(None)
                after = before.copy()
                refusals: list[Refused] = []
                try:
                    if self._is_hidden(key[0], before.image):
                        self._refuse_hidden(key, instructions, changeset.base_version, stamp, refusals)
                        continue
                    written = self._apply(key, after, instructions, changeset.base_version, stamp, refusals)
                    if written and (before.image, after.image) != (None, None):  # created and deleted at once
                        self._check_access(self._classes[key[0]], before.image, after.image)
                        after.timestamp = stamp.timestamp
                        touched[key] = after
                except Refused as refused:
                    refusals.append(refused)
                    if key in self._stories:
                        self._story(key).add(None, 0, stamp, before.image)
                finally:
                    id = instructions[0].id
                    rejected += [
                        RejectedWrite(class_name=key[0], id=id, property=it.property, code=it.code, reason=it.reason)
                        for it in refusals
                    ]
        return touched, rejected

    def _is_hidden(self, name: str, image: Mapping[str, Any] | None) -> bool:
        """Whether the user may not know that there is such an object."""
        cls = self._classes.get(name)
        return cls is not None and image is not None and not cls.schema.asymmetric and not cls.readable(image)

    def _refuse_hidden(
        self, key: Key, instructions: Sequence[AnyInstruction], base: int, stamp: Stamp, refusals: list[Refused]
    ) -> None:
        """Refuses what is done to a hidden object, as if there were none: only whoever may create one of this key learns
        that it is taken."""
        cls, known = self._classes[key[0]], self._stories.pop(key, None)
        self._stories[key] = _Story(None, lambda: Rivals((), cls.defaults, cls.shapes, self._ident, cls.ints))
        target = Pending(None)
        try:
            if self._apply(key, target, instructions, base, stamp, refusals) and target.image is not None:
                self._check_access(cls, None, target.image)
        finally:
            del self._stories[key]
            if known is not None:
                self._stories[key] = known
        raise Refused("OutsideView", OUTSIDE)

    def _apply(
        self,
        key: Key,
        target: Pending,
        instructions: Sequence[AnyInstruction],
        base: int,
        stamp: Stamp,
        refusals: list[Refused],
    ) -> bool:
        """Applies the instructions of one changeset on one object; whether anything of them stands."""
        cls, story = self._writable_class(key[0], instructions), self._story(key)
        if cls.schema.asymmetric and target.image is not None:
            return False  # it is there already, and nobody is told whose it is
        if target.image is None and not isinstance(instructions[0], Create):
            if story.rivals.deleted_since(base) or target.existed:
                return False
            raise Refused("OutsideView", OUTSIDE)
        units = list(self._units(cls, instructions, target.image is not None, refusals))
        culprits: list[Refused] = []
        try:
            return self._stand(cls, story, target, units, base, stamp, refusals, culprits)
        finally:
            refusals += culprits

    def _writable_class(self, name: str, instructions: Sequence[AnyInstruction]) -> UploadedClass:
        cls = self.class_of(name)
        granted = self._access.writable if cls is not None and cls.schema.asymmetric else self._access.readable
        if cls is None or name not in granted:
            raise Refused("WriteNotAllowed", f"There is no class '{name}' that this user may write.")
        if cls.schema.read_only:
            raise Refused("WriteNotAllowed", f"Clients do not write objects of class '{name}'.")
        if cls.schema.asymmetric and not all(isinstance(step, Create) for step in instructions):
            raise Refused("WriteNotAllowed", f"Objects of the asymmetric class '{name}' are created, and nothing else.")
        if any(cls.key(step.id) is None for step in instructions):
            raise Refused("PropertyTypeMismatch", f"The key is not of type '{cls.schema.key_type}'.", "_id")
        return cls

    def _units(
        self, cls: UploadedClass, instructions: Iterable[AnyInstruction], exists: bool, refusals: list[Refused]
    ) -> Iterator[_Unit]:
        """What the instructions of one changeset on one object are made of, without what can be refused by itself. A
        new object that lacks something it cannot do without is Refused."""
        for step in instructions:
            if isinstance(step, Create | Update):
                is_new = isinstance(step, Create) and not exists
                exists = True
                # Together: the properties of a new object, and those without an inside.
                together = step.values
                if cls.shapes and not is_new:
                    together = {name: wire for name, wire in together.items() if name not in cls.shapes}
                values = self._accept(cls, together, refusals, cls.required if is_new else ())
                for name in cls.required if is_new else ():
                    if name not in values:
                        raise Refused("MissingPropertyValue", f"Missing value for property '{name}'", name)
                if len(values) == len(step.values):
                    yield _Unit(step, values)
                    continue
                if is_new or values:
                    yield _Unit(replace(step, values={name: together[name] for name in values}), values)
                for name, wire in step.values.items() if len(together) < len(step.values) else ():
                    if name in together:
                        continue
                    try:
                        wire = cls.canonical(name, wire)
                        yield _Unit(replace(step, values={name: wire}), name=name, where=name)
                    except Refused as refused:
                        refusals.append(refused)
            elif isinstance(step, Delete):
                exists = False
                yield _Unit(step)
            else:
                yield from self._edit(cls, step, refusals)

    def _accept(
        self, cls: UploadedClass, wires: Mapping[str, Any], refusals: list[Refused], required: Collection[str]
    ) -> dict[str, Any]:
        """The Python values of those writes that type, validation and the model allow; refuses the others, or
        everything if one is required."""
        values = {}
        for name, wire in wires.items():
            try:
                values[name] = self._validation.value(cls, name, wire)
            except Refused as refused:
                if name in required:
                    raise
                refusals.append(refused)
        return values

    def _edit(self, cls: UploadedClass, step: AnyEdit, refusals: list[Refused]) -> Iterator[_Unit]:
        """An edit of a property that clients may write. One whose value does not fit is refused, and remains only
        because the edits that follow were counted with it."""
        where = path_text(step.path[:LONGEST_PATH])[:LONGEST_REASON]
        try:
            if not 0 < len(step.path) <= LONGEST_PATH:
                raise Refused("InvalidPath", f"A path has 1 to {LONGEST_PATH} steps, not {len(step.path)}.")
            cls.check_writable(step.path[0])
        except Refused as refused:
            refusals.append(Refused(refused.code, refused.reason, where or None))
            return
        name = str(step.path[0])
        try:
            yield _Unit(cls.canonical_edit(step), name=name, where=where)
        except Refused as refused:
            refusals.append(Refused(refused.code, refused.reason, where))
            if isinstance(step, Set | Insert):
                yield _Unit(replace(step, value=None), name=name, where=where, is_refused=True)

    def _stand(
        self,
        cls: UploadedClass,
        story: _Story,
        target: Pending,
        units: Sequence[_Unit],
        base: int,
        stamp: Stamp,
        refusals: list[Refused],
        culprits: list[Refused],
    ) -> bool:
        """Applies units of a changeset; whether anything of them stands. Values with an inside are validated when all
        are merged, as that costs by their size; if one is refused then, the culprits are looked for by halves."""
        if not cls.shapes:
            return self._take(cls, story, target, units, base, stamp, refusals)
        if len(culprits) >= MOST_CULPRITS:
            reason = f"{MOST_CULPRITS} writes of this changeset to this object were refused before."
            refusals += [Refused("LimitExceeded", reason, it.where or None) for it in units if not it.is_refused]
            return False
        start, count, known = target.copy(), len(story), len(refusals)
        try:
            return self._take(cls, story, target, units, base, stamp, refusals)
        except Refused as refused:
            story.back_to(count)
            del refusals[known:]
            target.become(start)
            if len(units) == 1:
                story.witness(target.image, units[0].step, base, stamp)
                culprits.append(Refused(refused.code, refused.reason, units[0].where))
                return False
        half = len(units) // 2
        first = self._stand(cls, story, target, units[:half], base, stamp, refusals, culprits)
        return self._stand(cls, story, target, units[half:], base, stamp, refusals, culprits) or first

    def _take(
        self,
        cls: UploadedClass,
        story: _Story,
        target: Pending,
        units: Sequence[_Unit],
        base: int,
        stamp: Stamp,
        refusals: list[Refused],
    ) -> bool:
        """Merges units into `target`; whether anything of them stands. Refused if a value cannot be what they make it."""
        written = False
        inside: set[str] = set()
        start = target.image or {}
        for unit in units:
            step, before = unit.step, target.image
            if unit.is_refused:
                story.witness(before, step, base, stamp)
                continue
            if before is None and not isinstance(step, Create):
                continue
            try:
                outcome = story.merge(before, step, base, stamp)
            except EditError as error:
                refusals.append(Refused(error.code, error.reason, unit.where))
                continue
            try:
                for edit in outcome.edits:
                    if isinstance(edit, Add):
                        cls.check_add((before or {}).get(unit.name), edit)
                if unit.name in cls.ints and outcome.written and outcome.image is not None:
                    total = self._validation.value(cls, unit.name, outcome.image[unit.name])
            except Refused as refused:
                if unit.name not in cls.ints:
                    raise
                refusals.append(Refused(refused.code, refused.reason, unit.where))
                continue
            target.image = outcome.image
            if isinstance(step, Delete):
                target.values, target.sets, inside, written = {}, frozenset(), set(), True
            elif before is None and outcome.image is not None:
                target.values = dict(unit.values) | self._validation.complete(cls, outcome.image)
                written = True
            else:
                if unit.values:
                    target.values.update({name: unit.values[name] for name in outcome.written})
                    inside.update(outcome.sums)
                    if target.sets:
                        target.sets = target.sets.difference(f"+{name}" for name in outcome.written)
                elif unit.name in cls.ints:
                    if outcome.written:
                        # What this batch set before is not only added to.
                        if unit.name not in target.values:
                            target.sets = target.sets.union(outcome.sets)
                        target.values[unit.name] = total
                else:
                    target.sets = target.sets.union(outcome.sets)
                    inside.update(outcome.written)
                written = written or bool(outcome.written)
            if cls.shapes:
                story.add(step, base, stamp, target.image)
        for name in inside:
            target.values[name] = self._validation.value(cls, name, (target.image or {})[name], start.get(name))
        return written

    def _check_access(
        self, cls: UploadedClass, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> None:
        if cls.schema.asymmetric:
            if after is not None and not cls.writable(after):
                raise Refused("WriteNotAllowed", "This user may not create the object.")
            return
        if before is not None and not cls.readable(before):
            raise Refused("OutsideView", OUTSIDE)
        images = [image for image in (before, after) if image is not None]
        if not all(map(cls.writable, images)):
            raise Refused("WriteNotAllowed", "This user may not write the object as it was or as it would be.")
        if not any(map(cls.in_view, images)):
            raise Refused("OutsideView", "The object is outside every subscription of this client file.")
