"""Opening: what `Realm.open` waits for, by the table of R11.

Decides which behaviour applies (the code's, else the operator's, else Realm's default), what is awaited in which order
and what a time-out means. Knows a realm only through what makes one.

A file counts as new until one opening of it has succeeded: a first attempt that timed out or was cancelled leaves a
file, and the next attempt must not take that for a copy (reference 3.5 has the trap).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .app import logged_out
from .configuration import Configuration
from .errors import RealmError, WaitTimeout
from .listeners import deliver, running_loop
from .operation import Operation
from .settings import DEFAULT_BEHAVIOR, OpenBehavior
from .transport import INACTIVE, Transport, wait_for

if TYPE_CHECKING:
    from .realm import Realm

_pending: set[OpeningRealm] = set()
_guard = threading.Lock()


class OpeningRealm(Operation["Realm"]):
    """A realm on its way: `await` it, or `.result()`."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[tuple[asyncio.AbstractEventLoop | None, Callable[[float], object]]] = []
        self._estimate = 0.0
        self._path: Path | None = None
        self._close: Callable[[], None] = lambda: None

    def progress(self, callback: Callable[[float], object]) -> OpeningRealm:
        """`callback(estimate)`, 0 … 1, now and as the download goes on."""
        self._callbacks.append((running_loop(), callback))
        callback(self._estimate)
        return self

    def cancel(self) -> None:
        """Fails the operation with `Async open canceled`, and ends the download; so do other openings of the same file
        that wait. Harmless once it is done."""
        if self._future.done():
            return
        with _guard:
            others = [each for each in _pending if each is not self and each._path is not None]
        for opening in (self, *(each for each in others if each._path == self._path)):
            if opening._fail(_canceled()):
                opening._close()

    def _unwanted(self, realm: Realm) -> None:
        realm.close()

    def _progressed(self, estimate: float) -> None:
        self._estimate = estimate
        for loop, callback in self._callbacks:
            deliver(loop, callback, estimate)


def open_realm(configure: Callable[[], Configuration], make: Callable[[Configuration], Realm]) -> OpeningRealm:
    """`make` opens at once, without subscriptions; what `configure` raises comes out of the operation."""
    opening = OpeningRealm()
    with _guard:
        _pending.add(opening)

    def work() -> Realm:
        try:
            return _Opener(opening, make).open(configure())
        finally:
            with _guard:
                _pending.discard(opening)

    opening._start(work, "realm-sync open")
    return opening


@dataclass
class _Opener:
    """One `Realm.open`."""

    opening: OpeningRealm
    make: Callable[[Configuration], Realm]
    deadline: float | None = None

    def open(self, config: Configuration) -> Realm:
        self.opening._path = config.file_path
        realm = self.make(config)
        try:
            self.opening._close = realm.close
            if self.opening.done():
                raise _canceled()
            if config.sync is not None:
                name = "existing_realm_file_behavior" if realm._was_opened else "new_realm_file_behavior"
                behavior = getattr(config.sync, name) or getattr(config.sync.user.app.settings, name)
                self._wait(realm, behavior or DEFAULT_BEHAVIOR)
                realm._opened()
            return realm
        except BaseException as error:
            realm.close()
            if isinstance(error, RealmError) and str(error) == INACTIVE:
                raise _canceled() from error
            raise

    def _wait(self, realm: Realm, behavior: OpenBehavior) -> None:
        """R11."""
        if behavior.type == "open_immediately" and behavior.time_out is None:
            realm._run_initial_subscriptions()
            return
        if behavior.time_out is not None:
            self.deadline = time.monotonic() + behavior.time_out
        session = realm.sync_session
        assert session is not None
        session.add_progress_notification("download", "report_indefinitely", self.opening._progressed)
        try:
            self._download(realm, behavior)
        except WaitTimeout:
            if not behavior.opens_at_time_out:
                raise
            realm._run_initial_subscriptions()
        finally:
            session.remove_progress_notification(self.opening._progressed)

    def _download(self, realm: Realm, behavior: OpenBehavior) -> None:
        transport = realm._transport
        assert transport is not None
        if not realm.schema:  # the server's classes must be here before anything can be subscribed to
            self._until(transport.wait_for_download(), transport, behavior)
        realm._run_initial_subscriptions()
        self._until(transport.wait_for_set(realm._store.newest_set().version), transport, behavior)
        self._until(transport.wait_for_download(), transport, behavior)

    def _until(self, future: Future[None], transport: Transport, behavior: OpenBehavior) -> None:
        if not transport.options.user.is_logged_in and not future.done():  # nobody would ever complete it
            raise logged_out()
        left = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        text = f"Realm could not be downloaded in the allocated time: {behavior.time_out or 0:g} s."
        wait_for(future, left, text)


def _canceled() -> RealmError:
    return RealmError("Async open canceled", code="OperationAborted")
