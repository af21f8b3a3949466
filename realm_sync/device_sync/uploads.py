"""Uploads of the official SDKs: merged and written as any other (uploads.py), and what their client must be told of them.

Decides nothing about conflicts or rights. But such a client merges by itself, unseen, and takes no answer but absolute
values: so whatever may have become of its writes other than it believes is *owed* to it, and written with the advance,
where the next download finds it (core/device_sync/doubt.py):

    others wrote, or it was told something, that its changeset did not know of      what the changeset touched of that
    refused, by property or as a whole                                              the property, or the object
    the row says something else than the instructions did (save(), automatic        the property
    fields, values that a column cannot hold)

Changesets of one base make one group, with one advance that carries the base. What the models' own code and cascades do
to objects that the upload does not touch is not the file's doing: those rows are disowned, and come down as the
server's. Synchronous; run in a thread.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import msgspec
from django.db import connections, transaction
from django.utils import timezone
from msgspec.structs import replace

from .. import capture, history, wakeups
from ..access import Access
from ..conf import settings
from ..core.changes import Change, Predicate, decode_image
from ..core.device_sync.changesets import decode
from ..core.device_sync.doubt import Advance, Owed, advances, decode_advance, doubt, encode_advance
from ..core.device_sync.errors import DeviceSyncError
from ..core.device_sync.frames import UploadEntry
from ..core.device_sync.instructions import AddColumn, AddTable, EraseColumn, EraseTable
from ..core.device_sync.payloads import zero
from ..core.device_sync.translation import Translator
from ..core.edits import identity
from ..core.messages import AnyInstruction, Changeset, Create, Delete, Edit, RejectedWrite, Update
from ..core.predicate import compile_predicate
from ..core.schema import Schema
from ..core.text import to_text
from ..models import ClientFile
from ..registry import registry
from ..subscriptions import Views, bound_views
from ..uploads import Upload, attempt, batches
from ..writing import Key
from .entries import EPOCH

logger = logging.getLogger("realm_sync.device_sync")

OBJECTS_SHARE = 5
"""An upload writes at most one object per so many instructions that it may have: what is created costs more than it
says."""
NO_RIVALS = 2**62
"""A base above every version: what is written with it is in conflict with nothing."""
_MISFITS = ("IndexOutOfRange", "InvalidPath")
"""Codes of edits that lead nowhere in what the server believes that the client saw. They are no refusals: the client is
told the value."""


class Translated(NamedTuple):
    """A changeset of an official SDK in our words."""

    client_version: int
    base: int
    timestamp: int
    """Milliseconds since 1970."""
    instructions: Sequence[AnyInstruction]
    inexact: Mapping[Key, Collection[str]] = {}
    """Properties that the client holds otherwise than the instructions say."""
    defaults: Mapping[Key, Collection[str]] = {}
    """Of created objects the properties that nobody wrote: they have Realm's zeros."""
    anew: Mapping[Key, Collection[tuple[str | int, ...]]] = {}
    """Where single embedded objects were made, unless the client had one there, as after a client reset."""


def integrate(
    ident: int,
    entries: Sequence[UploadEntry],
    progress_client: int,
    progress_server: int,
    access: Access,
    views: Views,
    now: int,
) -> int:
    """Integrates the entries of an upload that are not integrated yet; returns the file's new integrated client version.

    `views` is what the file's newest query shows, `now` is in milliseconds since 1970. That versions and bases rise was
    checked by core/device_sync/session.py. Raises DeviceSyncError for changesets that no honest client sends, or a file
    that must start over; nothing is applied then.
    """
    done = ClientFile.objects.using(settings.DATABASE).values_list("client_version", flat=True).get(ident=ident)
    translator = _translator(registry.schema)
    size = _Size(settings.DEVICE_SYNC_INSTRUCTIONS)
    fresh = [_translated(translator, entry, size) for entry in entries if entry.client_version > done]
    return integrate_translated(ident, fresh, progress_client, progress_server, access, views, now)


@lru_cache(maxsize=2)
def _translator(schema: Schema) -> Translator:
    return Translator(schema)


class _Size:
    """How much of what an upload may hold is left: its memory and time are many times those of its bytes."""

    def __init__(self, most: int) -> None:
        self._most = self.left = most
        self._objects: set[tuple[str, Any]] = set()

    def take(self, instructions: Iterable[Any]) -> None:
        """Raises DeviceSyncError 101 if these are about too many objects."""
        for it in instructions:
            self.left -= 1
            if not isinstance(it, AddTable | AddColumn | EraseTable | EraseColumn):
                self._objects.add((it.class_name, it.key))
        most = self._most // OBJECTS_SHARE
        if len(self._objects) > most:
            raise DeviceSyncError(101, f"An upload that writes more than {most} objects at once.")


def _translated(translator: Translator, entry: UploadEntry, size: _Size) -> Translated:
    try:
        instructions = decode(entry.changeset, size.left)
        size.take(instructions)
        found = translator.translate(instructions)
    except DeviceSyncError as error:
        raise DeviceSyncError(error.number, f"Changeset {entry.client_version}: {error.message}") from error
    return Translated(entry.client_version, entry.base, entry.timestamp + EPOCH, *found)


def integrate_translated(
    ident: int,
    changesets: Sequence[Translated],
    progress_client: int,
    progress_server: int,
    access: Access,
    views: Views,
    now: int,
) -> int:
    """The same for changesets in our words. When it returns, data and advances are committed together (R6); when it
    raises, nothing is."""
    return attempt(lambda: _integrate(ident, changesets, progress_client, progress_server, access, views, now))


def _integrate(
    ident: int,
    changesets: Sequence[Translated],
    progress_client: int,
    progress_server: int,
    access: Access,
    views: Views,
    now: int,
) -> int:
    connection = connections[settings.DATABASE]
    files = ClientFile.objects.using(settings.DATABASE).filter(ident=ident)
    # The first statement is a write: it takes SQLite's one write lock, and serialises the uploads of one file.
    files.update(last_seen=timezone.now())
    done, reset_reason, held = files.values_list("client_version", "reset_reason", "views").get()
    if reset_reason:
        raise DeviceSyncError(217, reset_reason)
    fresh = [changeset for changeset in changesets if changeset.client_version > done]
    if not fresh:
        return int(done)
    newest = max(history.latest(connection), history.newest(connection))
    if max(fresh[-1].base, progress_server) > newest:
        found = max(fresh[-1].base, progress_server)
        raise DeviceSyncError(209, f"The upload stands on version {found}; the newest here is {newest}.")
    capture.set_origin(connection, ident)
    message = _Message(ident, access, views, {int(version): texts for version, texts in held.items()}, now)
    groups = [(base, list(group)) for base, group in groupby(fresh, key=lambda it: it.base)]
    for number, (base, group) in enumerate(groups, 1):
        upto = progress_client if number == len(groups) else group[-1].client_version
        rejected, owed = _Group(message, base, group).integrate()
        by_class: dict[str, dict[str, Owed]] = defaultdict(dict)
        for (class_name, object_id), what in owed.items():
            by_class[class_name][object_id] = what
        advance = Advance(upto, rejected, progress_server, base, by_class)
        history.record_advance(connection, ident, encode_advance(advance).decode())
    capture.set_origin(connection, 0)
    files.update(client_version=progress_client)
    transaction.on_commit(wakeups.notify, using=settings.DATABASE)
    return progress_client


class _Message:
    """What the groups of one upload message share."""

    def __init__(
        self, ident: int, access: Access, views: Views, held: Mapping[int, Mapping[str, str]], now: int
    ) -> None:
        self.ident, self.access, self.views, self.now = ident, access, views, now
        self.connection = connections[settings.DATABASE]
        self.erased: set[Key] = set()
        """What the file deleted: created again, it is another object, which nobody else has touched."""
        self._held = held

    def predicates(self, class_name: str, base: int) -> list[Predicate]:
        """What the file's view of a class was above a version, one after the other: what it was told depends on that."""
        texts = {None if (node := self.views.get(class_name)) is None else to_text(node)}
        from_version = max((version for version in self._held if version <= base), default=0)
        texts |= {views.get(class_name) for version, views in self._held.items() if version >= from_version}
        schema = registry.schema
        nodes = [bound_views({class_name: text}).get(class_name) for text in texts if text is not None]
        return [compile_predicate(node, schema[class_name], schema) for node in nodes if node is not None] or [_nothing]

    def bootstraps(self, class_name: str, since: int, upto: int) -> list[tuple[int, Predicate, Predicate]]:
        """Of those above one version, up to another, as far as they are known: the version, and what of a class had been
        told before, and was told then. With another schema, and at first, everything is told."""
        found = []
        known = sorted(version for version in self._held if version <= upto)
        for before, version in pairwise([0, *known]):
            if version <= since or (before == 0 and since):
                continue
            is_anew = not before or self._held[before].get("") != self._held[version].get("")
            was = _nothing if is_anew else self._predicate(class_name, self._held[before].get(class_name))
            found.append((version, was, self._predicate(class_name, self._held[version].get(class_name))))
        return found

    def _predicate(self, class_name: str, text: str | None) -> Predicate:
        node = None if text is None else bound_views({class_name: text}).get(class_name)
        return _nothing if node is None else compile_predicate(node, registry.schema[class_name], registry.schema)


def _nothing(image: Mapping[str, Any]) -> bool:
    return False


class _Group:
    """The changesets of one base."""

    def __init__(self, message: _Message, base: int, changesets: Sequence[Translated]) -> None:
        self._message, self._base, self._changesets = message, base, changesets
        self._ident, self._connection = message.ident, message.connection
        self._upload = Upload(message.ident, message.access, message.views, message.now)
        self._owed: dict[Key, Owed] = {}
        self._predicates: dict[str, list[Predicate]] = {}
        self._unsaid: dict[Key, Collection[str]] = {}
        """Properties of new objects that nobody wrote, and that may do without."""

    def integrate(self) -> tuple[list[RejectedWrite], dict[Key, Owed]]:
        """What was refused, and what is owed."""
        upload = self._upload
        upload.load([_changeset(it, self._base, list(it.instructions)) for it in self._changesets])
        start = {key: it.image for key, it in upload.objects.items()}
        for changeset in self._changesets:
            for key, names in changeset.inexact.items():
                self._owe(key, sorted(names))
            for key, paths in changeset.anew.items():
                self._owe(key, sorted({str(path[0]) for path in paths if _is_there(start.get(key), path)}))
        self._doubt()
        self._lose_sight()
        mark = history.mark(self._connection)
        for batch in batches(self._in_place(start)):
            upload.write(batch)
        self._compare(start, history.written_since(self._connection, mark, self._ident))
        refused = self._refusals()
        return refused, {key: what for key, what in self._owed.items() if self._is_told(key[0])}

    def _is_told(self, class_name: str) -> bool:
        cls = registry.schema.get(class_name)
        return cls is not None and not cls.asymmetric

    # --- what is owed ------------------------------------------------------------------------------------------------

    def _owe(self, key: Key, what: Owed) -> None:
        known = self._owed.get(key, [])
        if what is True or known is True:
            self._owed[key] = True
        elif what or known:
            self._owed[key] = sorted({*known, *what})

    def _doubt(self) -> None:
        """Owes what the changesets touch of what their author may have been told otherwise."""
        touched: dict[Key, set[str]] = defaultdict(set)
        for changeset in self._changesets:
            for step in changeset.instructions:
                names = touched[step.class_name, str(step.id)]
                if isinstance(step, Create | Update):
                    names.update(step.values)
                elif isinstance(step, Edit):
                    names.add(str(step.path[0]))
        above = self._advances(self._base)
        is_pruned = self._base < history.oldest(self._connection)
        for key, names in touched.items():
            if key not in self._upload.objects:
                continue
            rows = self._upload.rows.get(key, [])
            # The first bootstrap takes no version of its own: what was there may have been told after this was written.
            is_unsure = is_pruned or (rows and not self._base)
            self._owe(key, True if is_unsure else self._about(key, rows, above, names))

    def _about(self, key: Key, rows: Sequence[Change], above: Iterable[Advance], names: Collection[str]) -> Owed:
        """What of the properties of an object the file may have been told by these rows and its advances among them."""
        predicates = self._predicates.get(key[0])
        if predicates is None:
            predicates = self._predicates[key[0]] = self._message.predicates(key[0], self._base)
        found: set[str] = set()
        for contains in predicates:
            about = doubt(rows, above, self._ident, contains, key).about(names)
            if about is True:
                return True
            found.update(about)
        return sorted(found)

    def _advances(self, base: int) -> list[Advance]:
        return advances(history.changes_of(self._connection, [("", str(self._ident))], base), self._ident)

    # --- what its author saw -----------------------------------------------------------------------------------------

    def _lose_sight(self) -> None:
        """Own writes above the base may be nothing that the author of these changesets saw: what the file was told
        between the base of such a write and this one has taken its place. They count as another's, so that indexes
        are those of what was seen."""
        doubtful: dict[Key, dict[int, int]] = {}
        own: list[tuple[int, int]] | None = None
        for key, rows in self._upload.rows.items():
            cls = self._upload.class_of(key[0])
            if cls is None or not cls.shapes:
                continue
            for row in rows:
                if row.origin != self._ident or row.kind != "update":
                    continue
                if own is None:
                    own = self._bases()
                since = next((base for id, base in own if id > row.id), self._base)
                if since < self._base:
                    doubtful.setdefault(key, {})[row.id] = since
        if not doubtful:
            return
        lowest = min(since for known in doubtful.values() for since in known.values())
        earlier: dict[Key, list[Change]] = defaultdict(list)
        mine = ("", str(self._ident))
        for row in history.changes_of(self._connection, [*doubtful, mine], lowest):
            if row.version <= self._base:
                earlier[row.class_name, row.object_id].append(row)
        for key, known in doubtful.items():
            cls = self._upload.class_of(key[0])
            shapes = cls.shapes if cls else ()
            rows = []
            for row in self._upload.rows[key]:
                if row.id not in known:
                    rows.append(row)
                    continue
                since = known[row.id]
                told = [it for it in earlier[key] if it.version > since]
                above = [
                    it
                    for it in advances((it for it in earlier[mine] if it.version > since), self._ident)
                    if not it.bootstrap
                ]
                lost = self._is_said_anew(key, since, earlier[key]) or self._about(key, told, above, shapes)
                rows += _split(row, set(shapes) if lost is True else set(lost))
            self._upload.rows[key] = rows

    def _is_said_anew(self, key: Key, since: int, earlier: Sequence[Change]) -> bool:
        """Whether a bootstrap above a version, and not above the base, has said the whole object: as one does with what is
        new to the views."""
        for version, was, now in self._message.bootstraps(key[0], since, self._base):
            image: Mapping[str, Any] | None = self._upload.objects[key].image
            for row in (*earlier, *self._upload.rows[key]):
                if row.version > version:
                    image = row.images()[0]
                    break
            if image is not None and now(image) and not was(image):
                return True
        return False

    def _bases(self) -> list[tuple[int, int]]:
        """(row, base) of the file's uploads above the base of this group, in order."""
        rows = history.changes_of(self._connection, [("", str(self._ident))], self._base)
        found = [(row.id, decode_advance(row.after or "")) for row in rows if row.kind == "advance"]
        return [(id, advance.base) for id, advance in found if not advance.bootstrap]

    # --- what the engine is given ------------------------------------------------------------------------------------

    def _in_place(self, start: Mapping[Key, Any]) -> Iterator[Changeset]:
        """The changesets as the engine understands them: what is created after its deletion is another object, which
        nobody deleted; and what is said of an object that there is already is only what was really given."""
        exists = {key: image is not None for key, image in start.items()}
        anew: set[Key] = set()
        for changeset in self._changesets:
            usual: list[AnyInstruction] = []
            fresh: list[AnyInstruction] = []
            for step in changeset.instructions:
                key = step.class_name, str(step.id)
                if isinstance(step, Delete):
                    self._message.erased.add(key)
                    anew.discard(key)
                    exists[key] = False
                elif isinstance(step, Create):
                    if key in self._message.erased and not exists.get(key):
                        anew.add(key)
                    step = self._create(key, step, exists.get(key, False), changeset.defaults.get(key, ()))
                    exists[key] = True
                (fresh if key in anew else usual).append(step)
            for steps, base in ((usual, self._base), (fresh, NO_RIVALS)):
                if steps:
                    yield _changeset(changeset, base, steps)

    def _create(self, key: Key, step: Create, exists: bool, defaults: Collection[str]) -> Create:
        """What nobody wrote is Realm's zero on the client: it is not written over what is there."""
        cls = self._upload.class_of(key[0])
        if cls is None:
            return step
        if exists:
            self._owe(key, True)
            return replace(step, values={name: value for name, value in step.values.items() if name not in defaults})
        self._unsaid[key] = {name for name in defaults if name not in cls.required}
        return step

    # --- what came of it ---------------------------------------------------------------------------------------------

    def _compare(self, start: Mapping[Key, Any], written: Iterable[Change]) -> None:
        """Owes what the rows say other than the changesets did, and disowns those that the changesets are not about."""
        objects = self._upload.objects
        rows: dict[Key, Change] = {}
        strange: list[int] = []
        for change in written:
            key = change.class_name, change.object_id
            if key in objects:
                rows[key] = change
            else:
                strange.append(change.id)
        history.disown(self._connection, strange)
        for key, it in objects.items():
            row = rows.get(key)
            actual = start[key] if row is None else decode_image(row.after) if row.after else None
            expected = it.image
            if actual is None or expected is None:
                if actual is not expected:
                    self._owe(key, True)
                continue
            if key in self._unsaid:
                expected = {**expected, **_unwritable(key[0])}
            if actual != expected:
                self._owe(key, _differences(key[0], expected, actual))

    def _refusals(self) -> list[RejectedWrite]:
        """What is reported as refused; and it is owed. A value that nobody gave is no write."""
        reported: list[RejectedWrite] = []
        for it in self._upload.rejected:
            key = it.class_name, str(it.id)
            known = self._upload.objects.get(key)
            image = known.image if known else None
            name = None if it.property is None else re.split(r"[.\[]", it.property, maxsplit=1)[0]
            is_misfit = it.code in _MISFITS
            if is_misfit and key not in self._owed:
                logger.warning("An edit of client file %s fits nothing it may have seen: %s", self._ident, it)
            self._owe(key, True if image is None or name is None or name not in image or name == "_id" else [name])
            if not is_misfit and name not in self._unsaid.get(key, ()):
                reported.append(it)
        return reported


def _is_there(image: Any, path: Iterable[str | int]) -> bool:
    """Whether a wire image has a value at a path."""
    for step in path:
        try:
            image = image[step]
        except (LookupError, TypeError):
            return False
    return image is not None


def _changeset(it: Translated, base: int, instructions: list[AnyInstruction]) -> Changeset:
    return Changeset(
        client_version=it.client_version, base_version=base, timestamp=it.timestamp, instructions=instructions
    )


def _unwritable(class_name: str) -> dict[str, Any]:
    """What a client that creates an object holds in the properties that clients do not write: Realm's zeros."""
    schema = registry.schema
    properties = schema[class_name].properties
    return {name: zero(schema, prop) for name, prop in properties.items() if prop.read_only and name != "_id"}


def _differences(class_name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The properties in which two images of an object differ; a collection that is null is an empty one."""
    schema = registry.schema
    names = []
    for name, prop in schema[class_name].properties.items():
        values = [
            zero(schema, prop) if it.get(name) is None and prop.is_collection else it.get(name) for it in (one, other)
        ]
        if identity(values[0]) != identity(values[1]):
            names.append(name)
    return names


def _split(row: Change, names: Collection[str]) -> list[Change]:
    """An update in two: what it wrote of these properties as nobody's, which beats nothing, and the rest as it was."""
    before: dict[str, Any] = decode_image(row.before or "{}")
    lost = {name: value for name, value in before.items() if name in names}
    kept = {name: value for name, value in before.items() if name not in names}
    encode = msgspec.json.Encoder().encode
    parts = [replace(row, before=encode(kept).decode())] if kept else []
    if lost:
        parts.append(replace(row, before=encode(lost).decode(), origin=0, timestamp=0))
    return parts
