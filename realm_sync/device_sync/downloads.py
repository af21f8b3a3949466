"""Downloads to the official SDKs: what must be said so that a client file holds what its views select, at a version.

Decides which objects are said whole, in part or as gone. What is in doubt is for doubt.py, how it becomes entries for
entries.py. Everything is said absolutely, as of the end of the rows that were read together, so that it may arrive twice
or in part. Two ways: `steady` reads the history since the file's version, `bootstrap` moves a file from one set of views
to another in one snapshot (R3), by difference. Synchronous; run in a thread.
"""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models import Max
from django.db.models.expressions import RawSQL
from django.utils import timezone

from .. import history
from ..conf import settings
from ..core.changes import UNREADABLE, Image, Predicate, decode_image, well_formed
from ..core.device_sync.doubt import Advance, Doubt, decode_advance, encode_advance
from ..core.device_sync.errors import DeviceSyncError
from ..core.device_sync.frames import Body, Rejection
from ..core.device_sync.payloads import encode_key
from ..core.errors import ValueTypeError
from ..core.messages import RejectedWrite
from ..core.nodes import FALSE, and_, not_
from ..downloads import image_sql, predicates, select_images, select_keys, snapshot
from ..models import Change, ClientFile
from ..registry import registry
from ..subscriptions import Views
from ..uploads import attempt
from ..writing import Key, chunks
from .entries import Entries, Stamp, stamp
from .files import OpenFile, newest_advance, remember_views, schema_instructions

logger = logging.getLogger("realm_sync.downloads")

CHUNK = 5000
"""Rows of the history read at a time; a steady download ends there, unless it would be inside a version."""
WAIT_SECONDS = 10.0
"""How long a bootstrap waits until the history can be read up to the version that it took."""


class Transfer(NamedTuple):
    """One download: what brings a file from the version it was at to another."""

    version: int
    client_version: int
    """Its changesets that are integrated in the state that this completes; what its entries were made for."""
    upload_client: int
    upload_server: int
    """The version its client had integrated when it uploaded the newest of them; 0 if none is known here."""
    rejected: list[tuple[int, list[Rejection]]]
    """(client version, what was undone of it): to be told right before this download, whose last entry has `version`. If
    this is a bootstrap: before an empty download that follows it, and has one entry, for there they are looked for."""
    entries: Body
    has_more: bool = False
    """It ends before what could be read already."""

    @property
    def is_empty(self) -> bool:
        """There is nothing in it but a version."""
        return not self.entries.count and not self.rejected


def schema_only(file: OpenFile, *, is_flexible: bool = True) -> Transfer:
    """The bootstrap of query version 0: what classes there are, and no objects."""
    return bootstrap(file, file.server_version, file.views, {}, has_schema=False, is_flexible=is_flexible)


def bootstrap(
    file: OpenFile, after: int, old: Views, new: Views, *, has_schema: bool, is_flexible: bool = True
) -> Transfer:
    """Moves a file that holds `old` as of version `after` to `new`. If it has not the schema of today, it begins with
    that and says every object, for classes may have grown. Not `is_flexible`: partition sync.

    It takes a version of its own first, in a transaction of its own: by that, the base of what the client uploads tells
    whether it was written before or after. Raises QueryError if the database cannot compute the views, DeviceSyncError
    229 if a transaction elsewhere keeps the history from being read, and 200 if another session has opened the file.
    """
    if after or not history.newest(connections[settings.DATABASE]):
        _await(attempt(lambda: _announce(file.ident)))
    held, wanted = predicates(old), predicates(new)
    with snapshot() as connection:
        version = history.newest(connection)
        done = (
            ClientFile.objects.using(settings.DATABASE).values_list("client_version", flat=True).get(ident=file.ident)
        )
        newest = newest_advance(file.ident)
        entries = Entries(version, version, done, is_flexible=is_flexible)
        if not has_schema:
            entries.schema(schema_instructions())
        rejected: list[tuple[int, list[Rejection]]] = []
        parts: Iterable[_Part] = ()
        if after:
            classes = [*{**old, **new}, ""]
            parts = _parts(connection, file.ident, after, classes, held, in_snapshot=True)
        elif done:
            # It has uploaded before its first download: it holds what it made itself, be it gone or refused by now.
            rows = history.changes_of(connection, history.written_by(connection, file.ident), 0)
            parts = [_Part(file.ident, history.Batch(rows, version, True, None), held)]
        for part in parts:
            _write_moved(entries, part.objects(None), held, wanted, is_everything_said=not has_schema)
            rejected += part.rejected(version)
        for model_sync in registry:
            has, shall_have = (views.get(model_sync.class_name, FALSE) for views in (old, new))
            if model_sync.asymmetric or (has_schema and has == shall_have):
                continue
            missing = and_(shall_have, not_(has)) if has_schema else shall_have
            for chunk in select_images(model_sync, missing):
                for text in chunk:
                    entries.whole(model_sync.class_name, decode_image(text))
            if after:
                for chunk in select_keys(model_sync, and_(has, not_(shall_have))):
                    for text in chunk:
                        entries.erase(model_sync.class_name, msgspec.json.decode(text))
    if is_flexible and entries.is_empty:
        entries.fill()  # a bootstrap without any entry is one that an SDK waits for without end
    remember_views(file, version, new)
    return Transfer(version, done, done, newest.server_version if newest else 0, rejected, entries.finish())


def steady(file: OpenFile, after: int, client_version: int, views: Views, *, is_flexible: bool = True) -> Transfer:
    """What happened to the views above `after`, as far as one chunk of whole versions reaches. What the client holds
    contains its changesets up to `client_version`. To be called again while `has_more`."""
    connection = connections[settings.DATABASE]
    current = predicates(views)
    entries: Entries | None = None
    rejected: list[tuple[int, list[Rejection]]] = []
    for part in _parts(connection, file.ident, after, [*views, ""], current):
        if entries is None:
            newest = part.newest if part.is_complete else newest_advance(file.ident, part.version)
            done, upload_server = client_version, 0
            if newest is not None:
                done, upload_server = max(done, newest.client_version), newest.server_version
            version, has_more = part.version, part.has_more
            entries = Entries(after, version, done, is_flexible=is_flexible)
        _write_changed(entries, part.objects(version), current, file.ident)
        rejected += part.rejected(version)
    assert entries is not None, "reading the history gives one part at least"
    if rejected and entries.is_empty:
        entries.fill()
    return Transfer(version, done, done, upload_server, rejected, entries.finish(), has_more)


# --- a bootstrap's version -------------------------------------------------------------------------------------------


def _announce(ident: int) -> int:
    """Writes into the history, in the running transaction, that a bootstrap of the file begins; returns the version."""
    files = ClientFile.objects.using(settings.DATABASE).filter(ident=ident)
    files.update(last_seen=timezone.now())  # as an upload does, so that the two come one after the other
    done = files.values_list("client_version", flat=True).get()
    newest = newest_advance(ident)
    advance = Advance(done, server_version=newest.server_version if newest else 0, bootstrap=True)
    history.record_advance(connections[settings.DATABASE], ident, encode_advance(advance).decode())
    rows = Change.objects.using(settings.DATABASE).filter(class_name="", object_id=str(ident))
    return int(rows.filter(kind=Change.Kind.ADVANCE).aggregate(version=Max("version"))["version"])


def _await(version: int) -> None:
    connection = connections[settings.DATABASE]
    pause, deadline = 0.001, time.monotonic() + WAIT_SECONDS
    while history.newest(connection) < version:
        if time.monotonic() > deadline:
            raise DeviceSyncError(229, "A transaction has been open for long: nothing after it can be read yet.")
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


# --- the history, as doubt -------------------------------------------------------------------------------------------


class _Part:
    """Rows of the history that were read together: the doubt that they, and what the file is owed, leave of objects."""

    def __init__(self, ident: int, batch: history.Batch, contains: Mapping[str, Predicate]) -> None:
        self.is_complete, self.has_more = batch.complete, batch.more
        self.version = batch.upto if batch.cursor is None else batch.cursor[0]
        """The version that these rows end with; if not `is_complete`, more rows of it follow in the next part."""
        self.advances: list[tuple[int, Advance]] = []
        self._doubts: dict[Key, Doubt] = {}
        for change in batch.changes:
            key = change.class_name, change.object_id
            if change.kind == "advance":
                if change.object_id == str(ident):
                    self.advances.append((change.version, decode_advance(change.after or "{}")))
            elif change.class_name:
                try:
                    self._doubt(ident, key, contains).see(change)
                except UNREADABLE as error:
                    logger.error("%s %s is no JSON that can be sent: %s", *key, error)
        for _, advance in self.advances:
            # That a bootstrap began says nothing here: a client that has not got it does not know either.
            for class_name, objects in advance.owed.items():
                for object_id, owed in objects.items():
                    self._doubt(ident, (class_name, object_id), contains).owe(owed)

    def _doubt(self, ident: int, key: Key, contains: Mapping[str, Predicate]) -> Doubt:
        doubt = self._doubts.get(key)
        if doubt is None:
            doubt = self._doubts[key] = Doubt(ident, contains.get(key[0], _nothing))
        return doubt

    @property
    def newest(self) -> Advance | None:
        return self.advances[-1][1] if self.advances else None

    def objects(self, version: int | None) -> Iterator[tuple[Key, Doubt, Image | None]]:
        """Every object with doubt, and what it is as of the last row; without a row, as of `version`, or, if that is
        None, in the snapshot. Those of classes that clients never hold are left out."""
        owed = [key for key, doubt in self._doubts.items() if doubt.last is None]
        found = _images(owed, version)
        for key, doubt in self._doubts.items():
            cls = registry.schema.get(key[0])
            if cls is not None and not cls.asymmetric and not cls.embedded:
                last = doubt.last
                image = found.get(key) if last is None else decode_image(last.after) if last.after else None
                yield key, doubt, image

    def rejected(self, upto: int) -> list[tuple[int, list[Rejection]]]:
        """What was undone of the file's uploads, up to a version, by client version."""
        found = [
            (advance.client_version, [it for write in advance.rejected if (it := _rejection(write))])
            for version, advance in self.advances
            if version <= upto
        ]
        return [each for each in found if each[1]]


def _nothing(image: Image) -> bool:
    return False


def _parts(
    connection: Any,
    ident: int,
    after: int,
    classes: list[str],
    contains: Mapping[str, Predicate],
    *,
    in_snapshot: bool = False,
) -> Iterator[_Part]:
    """The rows above `after`: all that a snapshot sees, or else one chunk, and the rest of its version if it is long."""
    cursor, upto = None, None
    while True:
        batch = history.read(
            connection, after, CHUNK, classes=classes, upto=upto, cursor=cursor, in_snapshot=in_snapshot
        )
        part = _Part(ident, batch, contains)
        yield part
        if batch.complete and not (in_snapshot and batch.more):
            return
        after, cursor = batch.upto, batch.cursor
        if not in_snapshot:
            upto = part.version


def _images(keys: list[Key], version: int | None) -> dict[Key, Image]:
    """These objects as of a version, as far as they exist then; None: as the statement sees them."""
    found: dict[Key, Image] = {}
    by_class: dict[str, dict[str, Any]] = defaultdict(dict)
    for class_name, text in keys:
        model_sync = registry.get(class_name)
        if model_sync is not None:
            try:
                by_class[class_name][text] = model_sync.primary_key.to_python(text)
            except (ValidationError, ValueError, OverflowError):
                continue  # refused for its key: no row can have it
    for class_name, values in by_class.items():
        model_sync = registry.get(class_name)
        assert model_sync is not None
        sql = RawSQL(image_sql(model_sync).replace("%", "%%"), ())
        rows = model_sync.model._base_manager.using(settings.DATABASE)
        for chunk in chunks(list(values.values())):
            for text in rows.filter(pk__in=chunk).values_list(sql, flat=True):
                image = decode_image(well_formed(text))
                found[class_name, str(image["_id"])] = image
    if version is not None and keys:
        # What happened meanwhile is taken back. The rows are read after the tables, so none that shows there is missed.
        known: set[Key] = set()
        for change in history.changes_of(connections[settings.DATABASE], keys, version):
            key = change.class_name, change.object_id
            if key not in known:
                known.add(key)
                before, _ = change.images()
                if before is None:
                    found.pop(key, None)
                else:
                    found[key] = before
    return found


def _rejection(write: RejectedWrite) -> Rejection | None:
    cls = registry.schema.get(write.class_name)
    if cls is None:
        return None
    try:
        key = encode_key(cls, write.id)
    except ValueTypeError:
        return None  # no SDK writes an object with such a key
    is_named = not write.property or _names(write.reason, write.property)
    return Rejection(cls.name, key, write.reason if is_named else f"{write.property}: {write.reason}")


def _names(reason: str, path: str) -> bool:
    """Whether a reason says which property it is about: as most do, `tags[2]: …`, or `… 'Inspection.priority' …`."""
    return re.search(rf"(^|'(\w+\.)?){re.escape(path)}[:.\[']", reason) is not None


# --- what is said of it ----------------------------------------------------------------------------------------------


def _write_moved(
    entries: Entries,
    objects: Iterable[tuple[Key, Doubt, Image | None]],
    held: Mapping[str, Predicate],
    wanted: Mapping[str, Predicate],
    *,
    is_everything_said: bool,
) -> None:
    """What happened while views were held that are no longer wanted. What is new to the views is said from the tables;
    or everything is, and only what is gone is left to say."""
    for (class_name, text), doubt, image in objects:
        kind, names = doubt.verdict(image, wanted.get(class_name, _nothing))
        if kind == "erase":
            entries.erase(class_name, _key(class_name, text))
        elif kind != "nothing" and not is_everything_said and held.get(class_name, _nothing)(image or {}):
            if kind == "whole":
                entries.whole(class_name, image or {})
            else:
                entries.properties(class_name, image or {}, sorted(names))


def _write_changed(
    entries: Entries,
    objects: Iterable[tuple[Key, Doubt, Image | None]],
    views: Mapping[str, Predicate],
    ident: int,
) -> None:
    """What happened to views: first what the client may lack, for what follows may link to it, last what is gone."""
    whole: dict[Stamp, list[tuple[str, Image]]] = defaultdict(list)
    changed: dict[Stamp, list[tuple[str, Image, list[str]]]] = defaultdict(list)
    gone: list[Key] = []
    for key, doubt, image in objects:
        kind, names = doubt.verdict(image)
        if kind == "erase":
            gone.append(key)
        elif kind == "whole" and image is not None:
            whole[stamp(doubt.last, ident)].append((key[0], image))
        elif kind == "properties" and image is not None:
            by_stamp: dict[Stamp, list[str]] = defaultdict(list)
            for name in sorted(names):
                by_stamp[stamp(doubt.writer(name), ident)].append(name)
            for each, written in by_stamp.items():
                changed[each].append((key[0], image, written))
    for each in sorted(whole):
        for class_name, image in whole[each]:
            entries.whole(class_name, image, each)
    for each in sorted(changed):
        for class_name, image, written in changed[each]:
            entries.properties(class_name, image, written, each)
    for class_name, text in gone:
        entries.erase(class_name, _key(class_name, text))


def _key(class_name: str, text: str) -> Any:
    """The wire value of a key of which the history has the text."""
    return int(text) if registry.schema[class_name].key_type == "int" else text
