"""Downloads to the official SDKs: what must be said so that a client file holds what its views select, at a version.

Decides which objects are said whole, in part or as gone. What is in doubt is for doubt.py, how it becomes entries for
entries.py. Everything is said absolutely, as of the end of the rows that were read together, so that it may arrive twice
or in part. Two ways: `steady` reads the history since the file's version, `bootstrap` moves a file from one set of views
to another in one snapshot (R3), by difference. Synchronous; run in a thread.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from django.db import connections, transaction
from django.db.models import Max
from django.utils import timezone

from .. import history, wakeups
from ..conf import settings
from ..core.changes import UNREADABLE, Image, Predicate, decode_image
from ..core.device_sync.doubt import Advance, Doubt, encode_advance
from ..core.device_sync.errors import DeviceSyncError
from ..core.device_sync.frames import Body, Rejection
from ..core.nodes import FALSE, Node, and_, not_
from ..downloads import predicates, select_images, select_keys, snapshot
from ..models import Change, ClientFile
from ..registry import ModelSync, registry
from ..subscriptions import Views
from ..uploads import attempt
from ..writing import Key
from .entries import Entries, Stamp, stamp
from .files import OpenFile, newest_advance, remember_views, schema_instructions
from .parts import Part, images_before, log_unreadable, nothing, parts

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


def announce(ident: int) -> int:
    """Takes the version of a bootstrap of the file, in a transaction of its own: by that, the base of what the client
    uploads tells whether it was written before or after. The bootstrap can be made once `history.newest()` has come so
    far. Not needed for a file that holds nothing."""
    return attempt(lambda: _announce(ident))


def bootstrap(
    file: OpenFile,
    after: int,
    old: Views,
    new: Views,
    *,
    has_schema: bool,
    is_flexible: bool = True,
    is_announced: bool = False,
) -> Transfer:
    """Moves a file that holds `old` as of version `after` to `new`. If it has not the schema of today, it begins with
    that and says every object, for classes may have grown. So the first download of flexible sync, for query version 0,
    is one to nothing. Not `is_flexible`: partition sync.

    It announces itself, and waits in this thread until that can be read, unless the caller has done both. Raises
    QueryError if the database cannot compute the views, DeviceSyncError 229 if a transaction elsewhere keeps the history
    from being read, and 200 if another session has opened the file.
    """
    if not is_announced and (after or not history.newest(connections[settings.DATABASE])):
        _await(announce(file.ident))
    held, wanted = predicates(old), predicates(new)
    with snapshot() as connection:
        version = history.newest(connection)
        ahead = images_before(connection, version, {**old, **new})
        done, upload_server = _integrated(file.ident, version)
        entries = Entries(version, version, done, is_flexible=is_flexible)
        if not has_schema:
            entries.schema(schema_instructions())
        rejected: list[tuple[int, list[Rejection]]] = []
        for part in _since(connection, file, after, version, [*{**old, **new}, ""], held, done):
            _write_moved(entries, part, version, held, wanted, is_everything_said=not has_schema)
            rejected += part.rejected(version)
        for model_sync in registry:
            has, shall_have = (views.get(model_sync.class_name, FALSE) for views in (old, new))
            _write_new(entries, model_sync, _without(shall_have, has) if has_schema else shall_have, ahead)
            if after:
                _write_left(entries, model_sync, _without(has, shall_have), ahead)
    if is_flexible and entries.is_empty:
        entries.fill()  # a bootstrap without any entry is one that an SDK waits for without end
    remember_views(file, version, new)
    return Transfer(version, done, done, upload_server, rejected, entries.finish())


def steady(file: OpenFile, after: int, client_version: int, views: Views, *, is_flexible: bool = True) -> Transfer:
    """What happened to the views above `after`, as far as one chunk of whole versions reaches. What the client holds
    contains its changesets up to `client_version`. To be called again while `has_more`."""
    connection = connections[settings.DATABASE]
    current = predicates(views)
    entries: Entries | None = None
    rejected: list[tuple[int, list[Rejection]]] = []
    for part in parts(connection, file.ident, after, [*views, ""], current):
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
    transaction.on_commit(wakeups.notify, using=settings.DATABASE)
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


# --- what is said ----------------------------------------------------------------------------------------------


def _integrated(ident: int, version: int) -> tuple[int, int]:
    """How far a file was integrated as of a version: its client version, and what its client had integrated then."""
    if (advance := newest_advance(ident, version)) is not None:
        return advance.client_version, advance.server_version
    if newest_advance(ident) is not None:
        return 0, 0  # its first upload came after
    files = ClientFile.objects.using(settings.DATABASE).filter(ident=ident)
    return int(files.values_list("client_version", flat=True).get()), 0


def _since(
    connection: Any,
    file: OpenFile,
    after: int,
    version: int,
    classes: list[str],
    held: Mapping[str, Predicate],
    done: int,
) -> Iterable[Part]:
    """What happened up to `version`, in a snapshot, while a file held views as of version `after`."""
    if after:
        return parts(connection, file.ident, after, classes, held, upto=version)
    if not done:
        return ()
    # It has uploaded before its first download: it holds what it made itself, be it gone or refused by now.
    rows = history.changes_of(connection, history.written_by(connection, file.ident), 0)
    return [Part(file.ident, history.Batch([row for row in rows if row.version <= version], 0, True, None), held)]


def _without(one: Node, other: Node) -> Node:
    """What one selects and the other does not."""
    return FALSE if one == other else and_(one, not_(other))


def _write_new(entries: Entries, model_sync: ModelSync, node: Node, ahead: Mapping[Key, Image | None]) -> None:
    """Every object that `node` selects; of those that the snapshot shows too new what they were."""
    if model_sync.asymmetric or node == FALSE:
        return
    name = model_sync.class_name
    for chunk in select_images(model_sync, node):
        for text in chunk:
            try:
                image = decode_image(text)
            except UNREADABLE as error:
                log_unreadable(name, text[:60], error)
            else:
                if (name, str(image["_id"])) not in ahead:
                    entries.whole(name, image)
    for earlier in _selected(ahead, name, node):
        entries.whole(name, earlier)


def _write_left(entries: Entries, model_sync: ModelSync, node: Node, ahead: Mapping[Key, Image | None]) -> None:
    """That every object which `node` selects is gone, or did."""
    if node == FALSE:
        return
    name = model_sync.class_name
    for chunk in select_keys(model_sync, node):
        for text in chunk:
            if (name, str(key := msgspec.json.decode(text))) not in ahead:
                entries.erase(name, key)
    for image in _selected(ahead, name, node):
        entries.erase(name, image["_id"])


def _selected(images: Mapping[Key, Image | None], name: str, node: Node) -> list[Image]:
    """The images of a class that `node` selects."""
    matches = predicates({name: node})[name]
    found = [image for (class_name, _), image in images.items() if class_name == name and image is not None]
    return [image for image in found if matches(image)]


def _write_moved(
    entries: Entries,
    part: Part,
    version: int,
    held: Mapping[str, Predicate],
    wanted: Mapping[str, Predicate],
    *,
    is_everything_said: bool,
) -> None:
    """What happened while views were held that are no longer wanted. What is new to the views is said from the tables;
    or everything is, and only what is gone is left to say."""
    for (class_name, text), doubt, image in part.objects(version):
        kind, names = doubt.verdict(image, wanted.get(class_name, nothing))
        if kind == "erase":
            entries.erase(class_name, _key(class_name, text))
        elif kind != "nothing" and not is_everything_said and held.get(class_name, nothing)(image or {}):
            if kind == "whole" or part.is_cut:  # the file may have erased the object, and another made it anew
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
