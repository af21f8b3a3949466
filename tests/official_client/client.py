"""A model of the official client: its realm file and its sessions, without sockets, clocks or threads.

`RealmFile` is what the real client persists, always with the data and its progress in one commit. `Session` is one BIND
… UNBIND on some connection: `outgoing()` yields what the client would say next, `receive()` takes what the server says.
Whatever the real client would not survive raises a ClientKilled. Nothing that it merged is ever uploaded: uploads carry
the instructions as the user wrote them. Device Sync, protocol 14.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from realm_sync.core.device_sync.changesets import encode, key_from_text
from realm_sync.core.device_sync.frames import (
    Allocated,
    Bind,
    Download,
    DownloadEntry,
    FromClient,
    FromServer,
    Ident,
    JsonError,
    LogMessage,
    Mark,
    Query,
    QueryError,
    Unbind,
    Unbound,
    Upload,
    UploadEntry,
)
from realm_sync.core.device_sync.instructions import AddColumn, AddTable, AnyInstruction, ObjectInstruction, Payload

from .checker import Progress, SessionChecker, error_body
from .errors import ApplyFailed, EmptyBootstrap, UnknownQueryVersion
from .merge import Changeset, merge
from .store import Store
from .wire import instructions
from .writes import Transaction

UPLOAD_SIZE = 128 * 1024
"""Bytes of changesets after which the client begins another message."""
SLICE_SIZE = 1024 * 1024
"""Bytes of a bootstrap that the client applies at once."""

PENDING, BOOTSTRAPPING, AWAITING_MARK, COMPLETE, ERROR = (
    "pending",
    "bootstrapping",
    "awaiting mark",
    "complete",
    "error",
)


@dataclass
class Subscriptions:
    """A set of subscriptions as the file has it."""

    version: int
    queries: dict[str, str]
    """Class → RQL."""
    snapshot: int
    """Local version at which it was made: uploads up to here go before its QUERY."""
    state: str = PENDING
    error: str = ""

    @property
    def body(self) -> bytes:
        return msgspec.json.encode({name: f"({text})" for name, text in sorted(self.queries.items())})


@dataclass
class LocalChange:
    """One local transaction that no download has confirmed yet."""

    version: int
    base: int
    timestamp: int
    original: tuple[AnyInstruction, ...]
    reciprocal: Changeset
    """The original, transformed over everything integrated since."""


@dataclass
class CompensatingWrite:
    class_name: str
    key: Payload
    reason: str
    client_version: int
    server_version: int


class RealmFile:
    """A realm file of an official client."""

    def __init__(self, clock: Callable[[], int] | None = None, partition: str | None = None) -> None:
        """`clock`: milliseconds since 2015-01-01; by default it counts. `partition`: of partition sync, as JSON; None
        for flexible sync."""
        self.partition = partition
        self.clock = clock or itertools.count(1).__next__
        self.store = Store()
        self.ident = 0
        self.salt = 0
        self.progress = Progress()
        self.version = 1
        """The newest local version; it grows with every commit, the client's own and those of downloads."""
        self.scanned: list[tuple[int, int]] = [(0, 0)]
        """(local version, D.sv as of it), for the cursor of uploads."""
        self.history: list[LocalChange] = []
        self.sets: dict[int, Subscriptions] = {0: Subscriptions(0, {}, 0)}
        self.pending: tuple[int, list[DownloadEntry]] | None = None
        """Query version and entries of a bootstrap that is not complete."""
        self.reported: list[CompensatingWrite] = []
        """Compensating writes that the app was told of."""
        self.integrated: list[Download] = []
        """Every DOWNLOAD that was integrated, for tests."""

    # --- the app's side

    def write(self, timestamp: int | None = None) -> Transaction:
        """A write transaction, as a context manager: committed at its end unless it fails."""
        return Transaction(self.store, lambda done: self.commit(done, timestamp))

    def commit(self, written: list[AnyInstruction], timestamp: int | None = None, version: int | None = None) -> None:
        """Instructions that are applied already become a local version. `version`: its number, to follow a recorded
        client."""
        self._next(version)
        if written:
            at = self.clock() if timestamp is None else timestamp
            self.history.append(
                LocalChange(
                    self.version,
                    self.progress.download_server,
                    at,
                    tuple(written),
                    Changeset((at, self.ident), list(written)),
                )
            )

    def _next(self, version: int | None = None) -> None:
        self.version = max(self.version + 1, version or 0)
        self.scanned.append((self.version, self.progress.download_server))

    def declare(self, schema: list[AnyInstruction]) -> None:
        """What opening with these classes does: those that the file lacks are added and will be uploaded. Embedded
        classes and tables first, as the client does. ApplyFailed if the file has them otherwise."""
        tables = [each for each in schema if isinstance(each, AddTable)]
        columns = [each for each in schema if isinstance(each, AddColumn)]
        missing: list[AnyInstruction] = []
        for each in tables:
            held = self.store.tables.get(each.class_name)
            if held is None:
                missing.append(each)
            elif held.definition != each:
                raise ApplyFailed(f"{each} cannot be added to {held.definition}")
        for column in columns:
            table = self.store.tables.get(column.class_name)
            present = table.columns.get(column.property) if table else None
            if present is None:
                missing.append(column)
            elif present != column:
                raise ApplyFailed(f"{column} cannot be added to {present}")
        if missing:
            with self.write() as transaction:
                for each in missing:
                    transaction.do(each)

    def subscribe(self, queries: Mapping[str, str]) -> int:
        """A new set of subscriptions; its version."""
        self._next()
        version = max(self.sets) + 1
        self.sets[version] = Subscriptions(version, dict(queries), self.version)
        return version

    @property
    def active(self) -> Subscriptions:
        done = [each for each in self.sets.values() if each.state in (COMPLETE, AWAITING_MARK)]
        return max(done, key=lambda each: each.version, default=Subscriptions(0, {}, 0))

    @property
    def newest(self) -> Subscriptions:
        return self.sets[max(self.sets)]

    @property
    def is_uploaded(self) -> bool:
        """Whether the server has confirmed everything written here."""
        return all(change.version <= self.progress.upload_client for change in self.history)

    def server_version_at(self, version: int) -> int:
        """D.sv as of a local version."""
        return self.scanned[bisect.bisect_right(self.scanned, (version, math.inf)) - 1][1]

    # --- what sessions do to it

    def restart(self) -> None:
        """The process ends and begins: an incomplete bootstrap is dropped."""
        if self.pending is not None:
            waiting = self.sets.get(self.pending[0])
            if waiting is not None and waiting.state == BOOTSTRAPPING:
                waiting.state = PENDING
            self.pending = None

    def integrate(self, entries: list[DownloadEntry], progress: Progress) -> None:
        """One commit: data, and the progress that goes with it."""
        for client_version, run in itertools.groupby(entries, key=lambda entry: entry.client_version):
            changesets = [
                Changeset((entry.timestamp, entry.origin), list(instructions(entry.changeset))) for entry in run
            ]
            merge(changesets, [change.reciprocal for change in self.history if change.version > client_version])
            for changeset in changesets:
                for instruction in changeset.left:
                    self._apply(instruction)
        moved = progress.download_server != self.progress.download_server
        self.progress = progress
        self.history = [change for change in self.history if change.version > progress.download_client]
        if entries or moved:
            self._next()

    def _apply(self, instruction: AnyInstruction) -> None:
        if isinstance(instruction, ObjectInstruction) and self.store.kind(instruction.class_name) != "top-level":
            raise ApplyFailed(f"{instruction}: only objects of top-level classes are downloaded")
        self.store.apply(instruction)

    # --- client reset

    def reset(self, fresh: RealmFile, recover: bool) -> None:
        """Takes over what `fresh` downloaded, its ident and salt; own writes that were not confirmed are done again on
        it (`recover`), in their own transactions and with their own timestamps, or dropped."""
        unsynced = [change for change in self.history if change.version > self.progress.upload_client]
        before = self.store
        missing = [each for each in before.tables if each not in fresh.store.tables]
        if recover and missing:
            raise ApplyFailed(f"classes have been removed: {missing}")
        self.store, self.ident, self.salt = fresh.store.copy(), fresh.ident, fresh.salt
        latest = fresh.progress.latest_server
        self.progress = Progress(latest, fresh.progress.latest_salt, latest, 0, 0, latest)
        self.history = []
        self.pending = None
        self._next()
        for version in [version for version in self.sets if version < self.active.version]:
            del self.sets[version]
        if self.active.state == AWAITING_MARK:
            self.active.state = COMPLETE
        for change in unsynced if recover else ():
            with self.write(change.timestamp) as transaction:
                transaction.recover(change.original, before)


@dataclass
class ServerError:
    """An error that the server sent."""

    code: int
    action: str
    message: str
    is_fatal: bool
    body: dict[str, Any] = field(repr=False, default_factory=dict)


class Session:
    """A file's conversation with the server, from BIND to the end of the connection or UNBOUND."""

    def __init__(
        self,
        file: RealmFile,
        session: int = 1,
        *,
        uploads_wait: bool = True,
        uploads: bool = True,
        is_reset: bool = False,
    ) -> None:
        """`uploads_wait`: nothing is uploaded before the first mark, as after every slow connect. `uploads=False` and
        `is_reset`: sessions of a client reset."""
        self.file = file
        self.session = session
        self.uploads = uploads
        self.is_reset = is_reset
        self.uploads_wait = uploads_wait
        self.checker: SessionChecker | None = None
        self.unbind_wanted = False
        self.target_mark = 1 if uploads_wait else 0
        self.mark_sent = 0
        self.mark_received = 0
        self.query_sent = 0
        self.scan = (file.progress.upload_client, file.progress.upload_server)
        self.compensations: list[CompensatingWrite] = []
        self.errors: list[ServerError] = []
        self.log: list[LogMessage] = []

    # --- the app's side

    @property
    def is_suspended(self) -> bool:
        return self.checker is not None and self.checker.is_suspended

    @property
    def is_ended(self) -> bool:
        return self.checker is not None and (
            self.checker.is_ended or (self.checker.is_suspended and self.checker.unbind_sent)
        )

    def request_mark(self) -> int:
        """Asks to be told when everything up to now is here; see `mark_received`."""
        self.target_mark = max(self.target_mark, self.mark_sent) + 1
        return self.target_mark

    @property
    def is_downloaded(self) -> bool:
        return self.mark_received >= self.target_mark

    @property
    def is_settled(self) -> bool:
        """Nothing is under way either way."""
        return (
            self.is_downloaded
            and self.file.is_uploaded
            and (self.file.partition is not None or self.file.newest.state in (COMPLETE, ERROR))
        )

    def unbind(self) -> None:
        self.unbind_wanted = True

    # --- the connection's side

    def outgoing(self) -> Iterator[FromClient]:
        """What the client says now; call again after every `receive` and every local write."""
        while (message := self._next_message()) is not None:
            if isinstance(message, Bind):
                self.checker = SessionChecker(message, lambda: self.file.version)
            assert self.checker is not None
            self.checker.sent(message)
            if isinstance(message, Ident):
                self.checker.progress = self.file.progress
            yield message

    def _next_message(self) -> FromClient | None:
        checker, file = self.checker, self.file
        if self.is_ended:
            return None
        if self.unbind_wanted or self.is_suspended:
            return Unbind(self.session) if checker is not None and not checker.unbind_sent else None
        if checker is None:
            path = msgspec.json.encode({"schemaVersion": 0, "sessionReason": int(self.is_reset)})
            return Bind(self.session, path if file.partition is None else file.partition.encode(), file.ident == 0)
        if not checker.ident_sent:
            return self._ident() if file.ident else None
        if self.target_mark > self.mark_sent:
            self.mark_sent = self.target_mark
            return Mark(self.session, self.target_mark)
        if self.uploads_wait and self.uploads:
            return None
        waiting = self._waiting_set() if file.partition is None else None
        if waiting is not None and (self.scan[0] >= waiting.snapshot or not self.uploads):
            self.query_sent = waiting.version
            self.target_mark = max(self.target_mark, self.mark_sent) + 1
            return Query(self.session, waiting.version, waiting.body)
        limit = file.version if waiting is None else min(file.version, waiting.snapshot)
        if self.uploads and limit > self.scan[0]:
            return self._upload(limit)
        return None

    def _ident(self) -> Ident:
        progress, active = self.file.progress, self.file.active
        return Ident(
            self.session,
            self.file.ident,
            self.file.salt,
            progress.download_server,
            progress.download_client,
            progress.latest_server,
            progress.latest_salt,
            active.version,
            active.body if self.file.partition is None else None,
        )

    def _waiting_set(self) -> Subscriptions | None:
        for version, each in sorted(self.file.sets.items()):
            if version > self.query_sent and each.state in (PENDING, BOOTSTRAPPING):
                return each
        return None

    def _upload(self, limit: int) -> Upload:
        entries, size, reached = [], 0, limit
        for change in self.file.history:
            if not self.scan[0] < change.version <= limit:
                continue
            if size >= UPLOAD_SIZE:
                reached = entries[-1].client_version
                break
            data = encode(change.original)
            entries.append(UploadEntry(change.version, change.base, change.timestamp, 0, data))
            size += len(data)
        self.scan = (reached, self.file.server_version_at(reached))
        return Upload(self.session, *self.scan, self.file.progress.download_server, tuple(entries))

    def receive(self, message: FromServer, commit_after: int | None = None) -> None:
        """A message of the server. `commit_after`: of a steady DOWNLOAD only so many entries are integrated and
        committed, as when the process ends there; the connection must end too."""
        assert self.checker is not None
        had = self.checker.progress
        self.checker.received(message)
        if self.checker.unbind_sent and not isinstance(message, Unbound):
            self.checker.progress = had
            return
        match message:
            case Allocated(ident=ident, salt=salt):
                self.file.ident, self.file.salt = ident, salt
                for change in self.file.history:
                    change.reciprocal.order = (change.timestamp, ident)
            case Download():
                self._download(message, commit_after)
                self.checker.progress = self.file.progress
            case Mark(request=request):
                self.mark_received = request
                if self.is_downloaded:
                    self.uploads_wait = False
                    if self.file.active.state == AWAITING_MARK:
                        self.file.active.state = COMPLETE
            case QueryError(query_version=version, message=text):
                self.file.sets[version].state, self.file.sets[version].error = ERROR, text
            case LogMessage():
                self.log.append(message)
            case JsonError():
                self._error(message)

    def _error(self, message: JsonError) -> None:
        body = error_body(message)
        self.errors.append(ServerError(message.code, body["action"], body["message"], not body["tryAgain"], body))
        if message.code == 231:
            self.compensations += [
                CompensatingWrite(
                    each["table"],
                    key_from_text(each["pk"]),
                    each["reason"],
                    body["rejectedClientVersion"],
                    body["compensatingWriteServerVersion"],
                )
                for each in body["rejectedUpdates"]
            ]

    def _download(self, message: Download, commit_after: int | None) -> None:
        file = self.file
        progress = Progress(
            message.latest_server,
            message.latest_salt,
            message.download_server,
            message.download_client,
            message.upload_client,
            max(message.upload_server, file.progress.upload_server),
        )
        entries = list(message.entries)
        if message.batch_state == 2:
            if commit_after is not None and commit_after < len(entries):
                entries = entries[:commit_after]
                if not entries:
                    return
                progress = progress._replace(
                    download_server=entries[-1].server_version, download_client=entries[-1].client_version
                )
            file.integrate(entries, progress)
            file.integrated.append(message)
            reached = entries[-1].server_version if entries else 0
            file.reported += [each for each in self.compensations if each.server_version <= reached]
            self.compensations = [each for each in self.compensations if each.server_version > reached]
            return
        self._bootstrap(message, entries, progress)

    def _bootstrap(self, message: Download, entries: list[DownloadEntry], progress: Progress) -> None:
        file, version = self.file, message.query_version or 0
        wanted = file.sets.get(version)
        if wanted is None or wanted.state == ERROR:
            raise UnknownQueryVersion(f"a bootstrap of {version}; the file has {file.sets}")
        if wanted.state == PENDING:
            wanted.state = BOOTSTRAPPING
        if file.pending is None or file.pending[0] != version:
            file.pending = (version, [])
        stored = file.pending[1]
        stored += entries
        if message.batch_state == 0:
            return
        if not stored:
            raise EmptyBootstrap(str(version))
        file.pending = None
        for position, piece in slices(stored):
            end = position + len(piece) == len(stored)
            file.integrate(piece, progress if end else file.progress)
        file.integrated.append(message._replace(entries=tuple(stored)))
        if wanted.state == BOOTSTRAPPING:
            wanted.state = AWAITING_MARK
            file.sets = {number: each for number, each in file.sets.items() if number >= version}


def slices(entries: list[DownloadEntry]) -> Iterator[tuple[int, list[DownloadEntry]]]:
    """A bootstrap's entries as the client applies them: about 1 MiB at once."""
    position = 0
    while position < len(entries):
        end, size = position, 0
        while end < len(entries) and (end == position or size < SLICE_SIZE):
            size += len(entries[end].changeset)
            end += 1
        yield position, entries[position:end]
        position = end
