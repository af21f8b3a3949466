"""Open files: what all realms of one file in this process share: store, notifier, session.

Decides when a file's parts start and end: the first realm opens it, the last one closes it. Then the session ends as
soon as nothing is pending (Realm's stop policy after-upload), and a realm opened meanwhile takes it over.
"""

from __future__ import annotations

import threading
from pathlib import Path

from realm_sync.core.schema import Schema

from . import user_files
from .errors import RealmError
from .listeners import Notifier
from .store import Store
from .sync_session import SyncSession
from .transport import SyncOptions, Transport

CLOSE_SECONDS = 5.0
"""How long the last `close` waits for uploads that are on their way, and for the session to say good-bye."""

_open: dict[str, OpenFile] = {}
_guard = threading.RLock()


class OpenFile:
    """One file. `realms` counts who uses it."""

    def __init__(self, path: Path, synced: bool) -> None:
        self.store = Store(path, synced)
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


def share(path: Path, schema: Schema | None, options: SyncOptions | None) -> OpenFile:
    """The open file at `path`, opened if need be; `release` it. Raises RealmError if it is open in another way."""
    name = str(path)
    with _guard:
        file = _open.get(name)
        if file is not None and file.realms and (file.options is None) != (options is None):
            raise RealmError(
                f"Realm at path '{name}' already opened with different sync configurations.", code="MismatchedConfig"
            )
        if file is not None and file.realms and file.options and options and file.options.user != options.user:
            raise RealmError(
                f"Realm at path '{name}' already opened with different sync user.", code="MismatchedConfig"
            )
        if (
            file is not None
            and not file.realms
            and (file.transport is None or not file.transport.running or file.options != options)
        ):
            _end(file)
            file = None
        if file is None:
            file = OpenFile(path, synced=options is not None)
        try:
            if schema is not None:
                file.store.add_schema(schema)
        except BaseException:
            if not file.realms:
                _end(file)
            raise
        if options is not None and file.transport is None:
            file.prepare_sync(options)
        elif file.transport is not None and not file.realms:
            file.transport.revive()
        file.realms += 1
        _open[name] = file
        return file


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
    if not pending or transport.connection_state == "connected":
        transport.join(CLOSE_SECONDS)


def is_open(path: str) -> bool:
    """Whether a realm of this process uses the file."""
    with _guard:
        file = _open.get(path)
        return file is not None and file.realms > 0


def end(path: str) -> None:
    """Ends the session of a file that no realm uses any more, uploads or not, and closes it: it is to be deleted."""
    with _guard:
        file = _open.get(path)
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
    if _open.get(file.store.path) is file:
        del _open[file.store.path]
    if file.transport is not None and file.transport.running:
        file.transport.stop()
    file.notifier.stop()
    file.store.close()
