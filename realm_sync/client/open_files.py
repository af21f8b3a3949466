"""Open files: what all realms of one file in this process share: store, notifier, session.

Decides when a file's parts start and end: the first realm opens it, the last one closes it. Then the session ends as
soon as nothing is pending (Realm's stop policy after-upload), and a realm opened meanwhile takes it over.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from realm_sync.core.schema import Schema

from . import reset, user_files
from .configuration import Configuration
from .errors import RealmError
from .listeners import Notifier
from .store import FrozenStore, Store
from .sync_session import SyncSession
from .transport import SyncOptions, Transport

CLOSE_SECONDS, GOODBYE_SECONDS = 5.0, 0.5
"""How long the last `close` waits for uploads that are on their way, and for the session to say good-bye."""

_open: dict[str, OpenFile] = {}
"""By the real path: two ways of writing it are one file."""
_guard = threading.RLock()


class OpenFile:
    """One file. `realms` counts who uses it."""

    def __init__(self, config: Configuration) -> None:
        self.name = os.path.realpath(config.file_path)
        self.config = config
        """Of the realm that opened it."""
        self.store = Store(
            config.file_path,
            synced=config.sync is not None,
            encryption_key=config.encryption_key,
            read_only=config.read_only,
        )
        self.notifier = Notifier(self.store)
        self.options: SyncOptions | None = None
        self.transport: Transport | None = None
        self.session: SyncSession | None = None
        self.realms = 0
        self.started = False

    def prepare_sync(self, options: SyncOptions) -> None:
        """`run` starts it, after those who want to hear of errors have said so."""
        self.options = options
        transport = self.transport = Transport(self.store, options, self.notifier.changed)
        self.session = SyncSession(transport)
        self.notifier.on_commit = transport.wake
        transport.on_stopped = lambda: _stopped(self)

    def run(self) -> None:
        with _guard:
            if self.transport is not None and not self.started:
                self.started = True
                self.transport.start()


class FrozenFile:
    """What a frozen realm has instead: a store of one moment that nothing changes any more."""

    session = transport = None

    def __init__(self, store: Store) -> None:
        self.store = FrozenStore(store)
        self.notifier = _NothingChanges()


class _NothingChanges:
    version = 0

    def changed(self) -> None: ...

    def add(self, observer: object) -> NoReturn:
        raise RealmError("Cannot create asynchronous query for immutable Realms")

    def remove(self, observer: object) -> None: ...


def share(config: Configuration, schema: Schema | None, options: SyncOptions | None) -> OpenFile:
    """The open file of `config`, opened if need be; `release` it. Raises RealmError if it is open in another way."""
    name = os.path.realpath(config.file_path)
    with _guard:
        file = _open.get(name)
        if file is not None:
            file.store.check_process()
        if file is not None and (difference := _difference(file, config)):
            raise RealmError(
                f"Realm at path '{config.file_path}' already opened with {difference}.", code="MismatchedConfig"
            )
        if (
            file is not None
            and not file.realms
            and (
                file.transport is None
                or file.options != options
                or reset.scheduled(name) is not None
                or not file.transport.revive()
            )
        ):
            _end(file)
            file = None
        if file is None:
            if options is not None:
                reset.carry_out(name)
            file = OpenFile(config)
        try:
            if options is not None:
                file.store.must_belong_to(options.user.id)
            if schema is not None and config.read_only:
                file.store.check_schema(schema)
            elif schema is not None:
                file.store.add_schema(schema)
            asked = config.should_compact if name not in _open and not config.read_only else None
            if asked is not None and asked(*file.store.sizes()):
                file.store.compact()
        except BaseException:
            if not file.realms:
                _end(file)
            raise
        if options is not None and file.transport is None:
            file.prepare_sync(options)
        file.realms += 1
        file.config = config if file.realms == 1 else file.config
        _open[name] = file
        return file


def _difference(file: OpenFile, config: Configuration) -> str | None:
    """What keeps realms of `config` from sharing the file, in Realm's words."""
    was = file.config
    if was.encryption_key != config.encryption_key:
        return (
            "a different encryption key"  # also while a session that no realm uses any more ends: it has the right one
        )
    if not file.realms:
        return None
    if was.read_only != config.read_only:
        return "different read permissions"
    if was.sync is None or config.sync is None:
        return None if was.sync is config.sync else "different sync configurations"
    if was.sync.user != config.sync.user:
        return "different sync user"
    if was.sync.client_reset.mode != config.sync.client_reset.mode:
        return "different sync configurations"
    if was.sync.is_flexible != config.sync.is_flexible:
        return "a different synchronization mode"
    same = was.sync.is_flexible or was.sync.partition_value == config.sync.partition_value
    return None if same else "different partition value"


@contextmanager
def closed(path: Path) -> Iterator[None]:
    """Within it the file is closed in this process, and nobody opens it. A session that outlives the realms for its
    uploads is ended; what it still had to upload stays in the file. Raises RealmError while a realm has the file."""
    end(str(path))
    with _guard:
        if os.path.realpath(path) in _open:
            raise RealmError(
                f"Cannot delete files of an open Realm: '{path}' is still in use.", code="DeleteOnOpenRealm"
            )
        yield


def release(file: OpenFile) -> None:
    """One realm less. The last one ends the session, after its uploads."""
    with _guard:
        file.realms -= 1
        if file.realms:
            return
        transport = file.transport
        if transport is None:
            _end(file)
            return
        pending = transport.active and file.store.pending_count() > 0
        transport.stop(after_upload=pending)
    if not pending:
        transport.join(GOODBYE_SECONDS)
    elif transport.connection_state == "connected":
        transport.join(CLOSE_SECONDS)


def initiate_client_reset(path: str | Path) -> None:
    """After a manual or failed client reset: puts the file aside now instead of at the next opening, which begins anew.
    The realm must be closed. Raises RealmError if it is open somewhere, or nothing of the kind is to be done."""
    end(str(path))
    with _guard:
        if os.path.realpath(path) in _open or not reset.carry_out(path):
            raise RealmError(f"Realm was not configured correctly. Client Reset could not be run for Realm at: {path}")


def is_open(path: str) -> bool:
    """Whether a realm of this process uses the file."""
    with _guard:
        file = _open.get(os.path.realpath(path))
        return file is not None and file.realms > 0


def end(path: str) -> None:
    """Ends the session of a file that no realm uses any more, uploads or not, and closes it: it is to go."""
    with _guard:
        file = _open.get(os.path.realpath(path))
        if file is None or file.realms:
            return
        _end(file)
    if file.transport is not None:
        file.transport.join(CLOSE_SECONDS)


user_files.register(is_open, end)


def _stopped(file: OpenFile) -> None:
    """The session's thread is ending."""
    with _guard:
        if not file.realms:
            _end(file)


def _end(file: OpenFile) -> None:
    if _open.get(file.name) is file:
        del _open[file.name]
    if file.transport is not None and file.transport.running:
        file.transport.stop()
    file.notifier.stop()
    file.store.close()
