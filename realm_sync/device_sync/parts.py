"""Parts: rows of the history that are read together, and what they leave a client file in doubt about.

Decides how far one reading goes, and what an object is at its end: the image of its last row; where there is none, that
of its table with everything taken back that happened since. So what is said never counts a later write with an earlier
version. What is in doubt is for core/device_sync/doubt.py, what is said of it for downloads.py.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import connections
from django.db.models.expressions import RawSQL

from .. import history
from ..conf import settings
from ..core.changes import UNREADABLE, Image, Predicate, decode_image, well_formed
from ..core.device_sync.doubt import Advance, Doubt, decode_advance
from ..core.device_sync.frames import Rejection
from ..core.device_sync.payloads import encode_key
from ..core.errors import ValueTypeError
from ..core.messages import RejectedWrite
from ..downloads import image_sql
from ..registry import registry
from ..writing import Key, chunks

logger = logging.getLogger("realm_sync.device_sync")

CHUNK = 5000
"""Rows of the history read at a time."""


class Part:
    """Rows of the history that were read together: the doubt that they, and what the file is owed, leave of objects."""

    def __init__(self, ident: int, batch: history.Batch, contains: Mapping[str, Predicate]) -> None:
        self.is_complete, self.has_more = batch.complete, batch.more
        self.version = batch.upto if batch.cursor is None else batch.cursor[0]
        """The version that these rows end with; if not `is_complete`, more rows of it follow in the next part."""
        self.advances: list[tuple[int, Advance]] = []
        self.is_cut = False
        """Of what is to be said together there is more, in parts before or after this one."""
        self._doubts: dict[Key, Doubt] = {}
        self._unread: set[Key] = set()
        """Objects with rows that cannot be read: raw SQL can write text into a column of numbers on SQLite."""
        for change in batch.changes:
            key = change.class_name, change.object_id
            if change.kind == "advance":
                if change.object_id == str(ident):
                    self.advances.append((change.version, decode_advance(change.after or "{}")))
            elif change.class_name:
                try:
                    self._doubt(ident, key, contains).see(change)
                except UNREADABLE as error:
                    log_unreadable(*key, error)
                    self._unread.add(key)
                    self._doubt(ident, key, contains).owe(True)
        for _, advance in self.advances:
            # That a bootstrap began says nothing here: a client that has not got it does not know either.
            for class_name, objects in advance.owed.items():
                for object_id, owed in objects.items():
                    self._doubt(ident, (class_name, object_id), contains).owe(owed)

    def _doubt(self, ident: int, key: Key, contains: Mapping[str, Predicate]) -> Doubt:
        doubt = self._doubts.get(key)
        if doubt is None:
            doubt = self._doubts[key] = Doubt(ident, contains.get(key[0], nothing))
        return doubt

    @property
    def newest(self) -> Advance | None:
        return self.advances[-1][1] if self.advances else None

    def objects(self, version: int) -> Iterator[tuple[Key, Doubt, Image | None]]:
        """Every object with doubt, and what it is as of the last row; without a row, or where rows are cut, as of
        `version`: there no row is the last, and the file may have erased itself what others changed before, and has been
        told so. Those of classes that clients never hold are left out, and those that cannot be read now: the next row
        may be about something better."""
        elsewhere = self._unread | {key for key, doubt in self._doubts.items() if doubt.last is None or self.is_cut}
        found = images_at(elsewhere, version)
        for key, doubt in self._doubts.items():
            cls = registry.schema.get(key[0])
            if cls is None or cls.asymmetric or cls.embedded:
                continue
            if key not in elsewhere:
                assert doubt.last is not None
                yield key, doubt, decode_image(doubt.last.after) if doubt.last.after else None
            elif key not in found.unread:
                yield key, doubt, found.images.get(key)

    def rejected(self, upto: int) -> list[tuple[int, list[Rejection]]]:
        """What was undone of the file's uploads, up to a version, by client version."""
        found = [
            (advance.client_version, [it for write in advance.rejected if (it := _rejection(write))])
            for version, advance in self.advances
            if version <= upto
        ]
        return [each for each in found if each[1]]


def nothing(image: Image) -> bool:
    """The view of a class that is in no view."""
    return False


def parts(
    connection: Any,
    ident: int,
    after: int,
    classes: list[str],
    contains: Mapping[str, Predicate],
    upto: int | None = None,
) -> Iterator[Part]:
    """The rows above `after`: all up to a version that can be read, or, without one, a chunk, and the rest of its version
    if it is long."""
    cursor, last, is_cut = None, upto, False
    while True:
        batch = history.read(connection, after, CHUNK, classes=classes, upto=last, cursor=cursor)
        part = Part(ident, batch, contains)
        part.is_cut = is_cut = upto is not None and (is_cut or batch.more or not batch.complete)
        yield part
        if batch.complete and not (upto is not None and batch.more):
            return
        after, cursor = batch.upto, batch.cursor
        if upto is None:
            last = part.version


def images_before(connection: Any, version: int, classes: Collection[str]) -> dict[Key, Image | None]:
    """The objects that a snapshot shows as they were written above `version`, which can be read then, and what they were
    before; None: they were not there. For what is told with a version is taken for known as of it, no more, no less."""
    found: dict[Key, Image | None] = {}
    cursor, more = None, bool(classes)
    while more:
        batch = history.read(connection, version, CHUNK, classes=classes, cursor=cursor, in_snapshot=True)
        for change in batch.changes:
            key = change.class_name, change.object_id
            if key not in found:
                try:
                    found[key] = change.images()[0]
                except UNREADABLE as error:
                    log_unreadable(*key, error)
                    found[key] = None
        version, cursor, more = batch.upto, batch.cursor, batch.more
    return found


class _Found(NamedTuple):
    images: dict[Key, Image]
    unread: set[Key]


def images_at(keys: Collection[Key], version: int) -> _Found:
    """These objects as of a version, as far as they exist then."""
    found = _Found({}, set())
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
            for pk, text in rows.filter(pk__in=chunk).values_list("pk", sql):
                try:
                    image = decode_image(well_formed(text))
                except UNREADABLE as error:
                    log_unreadable(class_name, pk, error)
                    found.unread.update((class_name, key) for key, value in values.items() if value == pk)
                else:
                    found.images[class_name, str(image["_id"])] = image
    if keys:
        _take_back(found, keys, version)
    return found


def _take_back(found: _Found, keys: Collection[Key], version: int) -> None:
    """Of objects that were written to above a version, what they were before. These rows are read after the tables, so
    none of those that show there is missed."""
    known: set[Key] = set()
    for change in history.changes_of(connections[settings.DATABASE], keys, version):
        key = change.class_name, change.object_id
        if key in known:
            continue
        known.add(key)
        found.images.pop(key, None)
        found.unread.discard(key)
        try:
            before, _ = change.images()
        except UNREADABLE:
            found.unread.add(key)
        else:
            if before is not None:
                found.images[key] = before


def log_unreadable(class_name: str, key: Any, error: Exception) -> None:
    """Of an object that is left out."""
    logger.error("%s %s is no JSON that can be sent: %s", class_name, key, error)


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
