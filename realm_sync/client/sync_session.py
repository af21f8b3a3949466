"""Sync session: what an app sees and steers of a file's synchronization. The work is transport.py's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal

from .app import User
from .errors import RealmError
from .hooks import Hooks
from .listeners import deliver, running_loop
from .operation import Operation
from .transport import ConnectionState, Transport, wait_for

Direction = Literal["download", "upload"]
Mode = Literal["report_indefinitely", "for_currently_outstanding_work"]
Loop = asyncio.AbstractEventLoop | None
ConnectionCallback = Callable[[ConnectionState, ConnectionState], object]
ProgressCallback = Callable[[float], object]


class SyncSession:
    """The session of one realm file: one per file and process, shared by its realms."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._connection_callbacks: list[tuple[ConnectionCallback, Loop]] = []
        self._progress_callbacks: list[tuple[ProgressCallback, Direction, Mode, Loop]] = []
        self._last_progress: dict[ProgressCallback, float] = {}
        self._hooks = Hooks(self)
        transport.on_error = self._hooks.failed
        transport.on_manual_reset = self._hooks.left_to_the_app
        transport.on_reset = self._hooks.resetting
        transport.on_connection = self._connection_changed
        transport.on_progress = self._progressed

    @property
    def user(self) -> User:
        return self._transport.options.user

    @property
    def url(self) -> str:
        return self.user.app.sync_url

    @property
    def state(self) -> Literal["active", "inactive"]:
        """Inactive: paused, the user is logged out, or a fatal error ended it."""
        return "active" if self._transport.active else "inactive"

    @property
    def connection_state(self) -> ConnectionState:
        return self._transport.connection_state

    def is_connected(self) -> bool:
        return self.connection_state == "connected" and self.state == "active"

    def pause(self) -> None:
        """Ends the session now; waits fail with `Sync session became inactive`. Reading and writing go on."""
        self._transport.pause()

    def resume(self) -> None:
        """Starts it again; also after a fatal error."""
        self._transport.resume()

    def reconnect(self) -> None:
        """Ends the current delay between attempts: the next one is now."""
        self._transport.reconnect()

    def upload_all_local_changes(self, timeout: float | None = None) -> Operation[None]:
        """Ends when the server has acknowledged everything committed before. WaitTimeout after `timeout` seconds; the
        upload itself goes on then."""
        return _limited(self._transport.wait_for_upload(), timeout, "Uploading")

    def download_all_server_changes(self, timeout: float | None = None) -> Operation[None]:
        """Ends when everything that the server had at the call is here."""
        return _limited(self._transport.wait_for_download(), timeout, "Downloading")

    def add_progress_notification(self, direction: Direction, mode: Mode, callback: ProgressCallback) -> None:
        """`callback(estimate)`, 0 … 1, on every change; mode `for_currently_outstanding_work`: until it is 1."""
        if any(known == callback for known, *_ in self._progress_callbacks):
            raise RealmError("Remove callback before adding it again", code="InvalidArgument")
        self._progress_callbacks.append((callback, direction, mode, running_loop()))
        known = self._transport.download_estimate
        if direction == "download" and known is not None:
            self._progressed("download", known)

    def remove_progress_notification(self, callback: ProgressCallback) -> None:
        self._progress_callbacks = [entry for entry in self._progress_callbacks if entry[0] != callback]
        self._last_progress.pop(callback, None)

    def add_connection_notification(self, callback: ConnectionCallback) -> None:
        """`callback(new_state, old_state)` on every change of `connection_state`."""
        self._connection_callbacks.append((callback, running_loop()))

    def remove_connection_notification(self, callback: ConnectionCallback) -> None:
        self._connection_callbacks = [entry for entry in self._connection_callbacks if entry[0] != callback]

    def _connection_changed(self, new: ConnectionState, old: ConnectionState) -> None:
        for callback, loop in list(self._connection_callbacks):
            deliver(loop, callback, new, old)

    def _progressed(self, direction: Direction, estimate: float) -> None:
        for callback, wanted, mode, loop in list(self._progress_callbacks):
            if wanted != direction or self._last_progress.get(callback) == estimate:
                continue
            self._last_progress[callback] = estimate
            deliver(loop, callback, estimate)
            if mode == "for_currently_outstanding_work" and estimate >= 1:
                self.remove_progress_notification(callback)


def _limited(future: Future[None], timeout: float | None, what: str) -> Operation[None]:
    if timeout is None:
        return Operation(future)
    return Operation.run(lambda: wait_for(future, timeout, f"{what} changes did not complete in {timeout:g} s."))
