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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, time
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import OperationalError, connections, models, transaction
from django.db.models.expressions import RawSQL
from django.utils import timezone

from . import capture, history, wakeups
from .access import Access
from .conf import settings
from .core.changes import Change, Predicate
from .core.encoding import decode_property
from .core.errors import ValueTypeError
from .core.merge import Rivals, Stamp, merge
from .core.messages import Changeset, Create, Delete, Edit, RejectedWrite, Update
from .core.nodes import FALSE
from .core.predicate import compile_predicate
from .core.values import encode
from .models import ClientFile
from .registry import ModelSync, realm_type, registry
from .subscriptions import Views
from .writing import REFUSALS, Key, Pending, Refused, Table, Writer, chunks

ATTEMPTS = 6
"""How often an upload is tried when the database asks to try again (deadlock, lock time-out)."""
OUTSIDE = "The object is outside the view of this client file, or does not exist."


def integrate(ident: int, changesets: Sequence[Changeset], access: Access, views: Views, now: int) -> int:
    """Integrates the changesets that are not integrated yet; returns the file's new integrated client version.

    `views` is what the file's newest subscription set shows, `now` is in milliseconds since 1970. When it returns, data
    and advance are committed together (R6); when it raises, nothing is. Deadlocks and lock time-outs are retried.
    """
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic(settings.DATABASE):
                return _integrate(ident, changesets, access, views, now)
        except OperationalError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _integrate(ident: int, changesets: Sequence[Changeset], access: Access, views: Views, now: int) -> int:
    connection = connections[settings.DATABASE]
    files = ClientFile.objects.using(settings.DATABASE).filter(ident=ident)
    # The first statement is a write: it takes SQLite's one write lock, and serialises the uploads of one file.
    files.update(last_seen=timezone.now())
    done: int = files.values_list("client_version", flat=True).get()
    fresh = [changeset for changeset in changesets if changeset.client_version > done]
    if not fresh:
        return done
    capture.set_origin(connection, ident)
    upload = _Upload(ident, access, views, now)
    upload.load(fresh)
    for batch in _batches(fresh):
        upload.write(batch)
    capture.set_origin(connection, 0)
    done = fresh[-1].client_version
    files.update(client_version=done)
    advance = {"clientVersion": done, "rejected": upload.rejected} if upload.rejected else {"clientVersion": done}
    history.record_advance(connection, ident, msgspec.json.encode(advance).decode())
    transaction.on_commit(wakeups.notify, using=settings.DATABASE)
    return done


def _batches(changesets: Iterable[Changeset]) -> Iterator[list[Changeset]]:
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


class _Class(Table):
    """What an upload needs to know of a class, looked up once."""

    def __init__(self, model_sync: ModelSync, access: Access, views: Views) -> None:
        super().__init__(model_sync)
        name, schema = self.name, registry.schema
        self.in_view: Predicate = compile_predicate(views.get(name, FALSE), self.schema, schema)
        self.readable: Predicate = compile_predicate(access.readable.get(name, FALSE), self.schema, schema)
        self.writable: Predicate = access.can_write(name)
        self.defaults = {
            name: _wire_default(field) for name, field in model_sync.fields_by_name.items() if name != "_id"
        }


def _wire_default(field: models.Field[Any, Any]) -> Any:
    """The wire value a new object has where nobody gives one; None where only the database or the clock knows it."""
    if not field.has_default() or callable(field.default):
        blank_text = isinstance(field, (models.CharField, models.TextField)) and field.blank and not field.null
        return "" if blank_text else None
    try:
        return _wire(field, field.to_python(field.default))
    except (ValueTypeError, ValidationError):
        return None


def _wire(field: models.Field[Any, Any], value: Any) -> Any:
    kind = realm_type(field)
    if kind == "date" and value is not None and not isinstance(value, datetime):
        value = datetime.combine(value, time(), tzinfo=timezone.get_fixed_timezone(0))
    return encode(str(kind), value)


class _Upload:
    """The transaction of one upload message."""

    def __init__(self, ident: int, access: Access, views: Views, now: int) -> None:
        self.rejected: list[RejectedWrite] = []
        self._ident, self._access, self._views, self._now = ident, access, views, now
        self._connection = connections[settings.DATABASE]
        self._classes: dict[str, _Class] = {}
        self._writer = Writer(ident, self._classes)
        self._objects: dict[Key, Pending] = {}
        self._rivals: dict[Key, Rivals] = {}
        self._targets: dict[type[models.Model], set[Any]] = {}

    # --- reading -----------------------------------------------------------------------------------------------------

    def load(self, changesets: Sequence[Changeset]) -> None:
        """Reads, and on PostgreSQL locks, every object the changesets touch, and what others did to them."""
        keys: dict[str, dict[str, Any]] = defaultdict(dict)
        for changeset in changesets:
            for step in changeset.instructions:
                cls = self._class(step.class_name)
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
                    decoded = msgspec.json.decode(text)
                    self._objects[name, str(decoded["_id"])] = Pending(decoded)
            for text_key in keys[name]:
                self._objects.setdefault((name, text_key), Pending(None))
        self._load_rivals(base)
        self._load_targets(changesets)

    def _load_rivals(self, base: int) -> None:
        rows: dict[Key, list[Change]] = defaultdict(list)
        for change in history.changes_of(self._connection, list(self._objects), base):
            if change.origin != self._ident:
                rows[change.class_name, change.object_id].append(change)
        for key, changes in rows.items():
            self._rivals[key] = Rivals(changes, self._classes[key[0]].defaults)

    def _load_targets(self, changesets: Sequence[Changeset]) -> None:
        """Which targets of written foreign keys exist; one query per target model, not one per value."""
        wanted: dict[type[models.Model], set[Any]] = defaultdict(set)
        for changeset in changesets:
            for step in changeset.instructions:
                cls = self._class(step.class_name)
                if cls is None or not isinstance(step, (Create, Update)):
                    continue
                for name, wire in step.values.items():
                    field = cls.model_sync.fields_by_name.get(name)
                    if isinstance(field, models.ForeignKey) and wire is not None:
                        try:
                            value = decode_property(registry.schema, name, cls.schema.properties[name], wire)
                        except ValueTypeError:
                            continue  # refused with its reason when it is its turn
                        wanted[field.related_model].add(value)  # type: ignore[index]
        for model, values in wanted.items():
            found: set[Any] = set()
            for chunk in chunks(list(values)):
                rows = model._base_manager.using(settings.DATABASE).filter(pk__in=chunk)
                found.update(rows.values_list("pk", flat=True))
            self._targets[model] = found

    def _class(self, name: str) -> _Class | None:
        if name not in self._classes:
            model_sync = registry.get(name)
            if model_sync is None:
                return None
            self._classes[name] = _Class(model_sync, self._access, self._views)
        return self._classes[name]

    # --- deciding ----------------------------------------------------------------------------------------------------

    def write(self, batch: Sequence[Changeset]) -> None:
        """Merges, checks and writes a batch; what the database refuses is written again in smaller steps."""
        objects, rejected = self._decide(batch)
        try:
            self._writer.write(objects)
        except REFUSALS:
            if len(batch) > 1:
                for changeset in batch:
                    self.write([changeset])
                return
            objects, refused = self._writer.write_each(objects)
            rejected += refused
        # What was written is what the next batch finds.
        self._objects.update({key: Pending(it.image, it.existed) for key, it in objects.items()})
        self.rejected += rejected

    def _decide(self, batch: Sequence[Changeset]) -> tuple[dict[Key, Pending], list[RejectedWrite]]:
        """The objects that the batch changes, as it leaves them, and what it may not do. Writes nothing."""
        touched: dict[Key, Pending] = {}
        rejected: list[RejectedWrite] = []
        for changeset in batch:
            stamp = Stamp(min(changeset.timestamp, self._now), self._ident)
            steps: dict[Key, list[Create | Update | Delete]] = defaultdict(list)
            for step in changeset.instructions:
                if isinstance(step, Edit):
                    problem = "This server does not take edits yet."
                    rejected.append(
                        RejectedWrite(
                            class_name=step.class_name,
                            id=step.id,
                            property=str(step.path[:1]),
                            code="NotSupported",
                            reason=problem,
                        )
                    )
                    continue
                steps[step.class_name, str(step.id)].append(step)
            for key, instructions in steps.items():
                before = touched.get(key) or self._objects.get(key) or Pending(None)
                after = before.copy()
                refusals: list[Refused] = []
                try:
                    written = self._apply(key, after, instructions, changeset.base_version, stamp, refusals)
                    if written:
                        self._check_access(self._classes[key[0]], before.image, after.image)
                        after.timestamp = stamp.timestamp
                        touched[key] = after
                except Refused as refused:
                    refusals.append(refused)
                id = instructions[0].id
                rejected += [
                    RejectedWrite(class_name=key[0], id=id, property=it.property, code=it.code, reason=it.reason)
                    for it in refusals
                ]
        return touched, rejected

    def _apply(
        self,
        key: Key,
        target: Pending,
        instructions: Sequence[Create | Update | Delete],
        base: int,
        stamp: Stamp,
        refusals: list[Refused],
    ) -> bool:
        """Applies the instructions of one changeset on one object; whether anything of them stands."""
        cls = self._class(key[0])
        if cls is None or key[0] not in self._access.readable:
            raise Refused("WriteNotAllowed", f"There is no class '{key[0]}' that this user may write.")
        if cls.schema.read_only:
            raise Refused("WriteNotAllowed", f"Clients do not write objects of class '{key[0]}'.")
        if any(cls.key(step.id) is None for step in instructions):
            raise Refused("PropertyTypeMismatch", f"The key is not of type '{cls.schema.key_type}'.", "_id")
        rivals = self._rivals.get(key) or Rivals()
        written = False
        for step in instructions:
            if target.image is None and not isinstance(step, Create):
                if rivals.deleted_since(base) or target.existed:
                    continue
                raise Refused("OutsideView", OUTSIDE)
            if not isinstance(step, Delete):
                values = self._accept(cls, step, refusals)
                is_new = target.image is None
                allowed = {name: step.values[name] for name in values}
                step = msgspec.structs.replace(step, values=allowed)
                outcome = merge(target.image, step, base, stamp, rivals)
                if is_new and outcome.image is not None:
                    values |= self._complete(cls, outcome.image)
                    outcome = outcome._replace(written=tuple(values))
                target.values.update({name: values[name] for name in outcome.written})
                written = written or bool(outcome.written) or (is_new and outcome.image is not None)
            else:
                outcome = merge(target.image, step, base, stamp, rivals)
                target.values = {}
                written = True
            target.image = outcome.image
        return written

    def _accept(self, cls: _Class, step: Create | Update, refusals: list[Refused]) -> dict[str, Any]:
        """The Python values of those writes that type, validation and the model allow; refuses the others."""
        values = {}
        for name, wire in step.values.items():
            try:
                values[name] = self._value(cls, name, wire)
            except Refused as refused:
                if isinstance(step, Create) and name in cls.schema.properties and self._required(cls, name):
                    raise
                refusals.append(refused)
        return values

    def _required(self, cls: _Class, name: str) -> bool:
        prop, field = cls.schema.properties[name], cls.model_sync.fields_by_name[name]
        return not prop.has_default and not field.null

    def _value(self, cls: _Class, name: str, wire: Any) -> Any:
        prop = cls.schema.properties.get(name)
        if prop is None:
            raise Refused("UnknownProperty", f"Class '{cls.schema.name}' has no property '{name}'.", name)
        if prop.read_only or name == "_id":
            raise Refused("ReadOnlyProperty", f"Clients do not write '{cls.schema.name}.{name}'.", name)
        field: Any = cls.model_sync.fields_by_name[name]
        try:
            value = decode_property(registry.schema, f"{cls.schema.name}.{name}", prop, wire)
        except ValueTypeError as error:
            raise Refused("PropertyTypeMismatch", str(error), name) from error
        if isinstance(field, models.ForeignKey):
            return self._link(cls, name, field, value)
        if isinstance(value, datetime) and not isinstance(field, models.DateTimeField):
            if value.timetz().replace(tzinfo=None) != time():
                raise Refused("ValidationFailed", f"'{name}' is a date without a time: expected midnight UTC.", name)
            value = value.date()
        try:
            return field.clean(value, cls.blank)
        except ValidationError as error:
            raise Refused("ValidationFailed", f"{name}: {' '.join(error.messages)}", name) from error

    def _link(self, cls: _Class, name: str, field: Any, value: Any) -> Any:
        if value is None:
            if not field.null:
                raise Refused("ValidationFailed", f"'{name}' must link to an object.", name)
            return None
        target = registry.for_model(field.related_model)
        if target is not None:
            linked = self._objects.get((target.class_name, str(_wire(target.primary_key, value))))
            if linked is not None and linked.image is not None:
                return value
            # Created by this very upload, perhaps in this very changeset: the constraint is checked at the end.
            if linked is not None and not linked.stored:
                return value
        if value not in self._targets.get(field.related_model, ()):
            raise Refused("ForeignKeyViolation", f"'{name}' links to an object that does not exist.", name)
        return value

    def _complete(self, cls: _Class, image: dict[str, Any]) -> dict[str, Any]:
        """The Python values that a new object has in the properties its creator left out, and, in `image`, their wire
        values; refuses the object if one is required. What the database or the clock fills in is null until it does."""
        values = {}
        for name, prop in cls.schema.properties.items():
            if name in image:
                continue
            field = cls.model_sync.fields_by_name[name]
            if self._required(cls, name) and not prop.read_only:
                raise Refused("MissingPropertyValue", f"Missing value for property '{name}'", name)
            image[name] = None
            if field.has_default() or field.null or cls.defaults.get(name) is not None:
                values[name] = field.get_default()
                image[name] = _wire(field, field.to_python(values[name]))
        return values

    def _check_access(self, cls: _Class, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
        if before is not None and not cls.readable(before):
            raise Refused("OutsideView", OUTSIDE)
        images = [image for image in (before, after) if image is not None]
        if not all(map(cls.writable, images)):
            raise Refused("WriteNotAllowed", "This user may not write the object as it was or as it would be.")
        if not any(map(cls.in_view, images)):
            raise Refused("OutsideView", "The object is outside every subscription of this client file.")
