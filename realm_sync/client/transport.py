"""Transport: the thread that keeps one realm file in sync.

Drives `core/client_session.py` over a websocket: connects, performs the effects on the store, reconnects (1 s doubling
to 5 min, minus up to 25 % jitter, reset by success), refreshes tokens, carries out client resets, and completes what
others wait for. Decides which troubles the app hears of and which end its waits (reference 5.6, 6.4); has no sync rules
of its own. Several processes may hold one file open; the one that holds the lock
`<file>.lock` syncs, the others see its changes through the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import IO, Literal, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from realm_sync import __version__
from realm_sync.core.client_session import (
    PING_SECONDS,
    PONG_SECONDS,
    ApplyDownload,
    ClientSession,
    DropParts,
    Effect,
    Ended,
    HoldRejected,
    Marked,
    ReadPending,
    RefuseSet,
    Send,
    StoreBound,
    StorePart,
)
from realm_sync.core.errors import ProtocolError
from realm_sync.core.messages import SUBPROTOCOL, Download, Rejected, decode_from_server, encode
from realm_sync.core.schema import ObjectSchema
from realm_sync.core.values import decode

from . import connections, reset
from .app import User, logged_out
from .configuration import Configuration, ResetMode
from .database import STORAGE_ERRORS
from .errors import (
    AppError,
    ClientResetError,
    CompensatedWrite,
    CompensatingWriteError,
    RealmError,
    SyncError,
    WaitTimeout,
)
from .hooks import Outcome
from .operation import Operation
from .store import ResetKind, Store

logger = logging.getLogger("realm_sync.client")
FIRST_DELAY, LONGEST_DELAY, JITTER = 1.0, 300.0, 0.25
LARGEST_FRAME = 64 * 1024 * 1024
ANSWER_SECONDS = 5.0
"""How long a kept connection may be silent before a session turns to a fresh one: its other end may be gone."""
INACTIVE = "Sync session became inactive"
RESETS = 2
"""So many client resets in a row are tried before the app is told that it cannot be done."""

T = TypeVar("T")
ConnectionState = Literal["disconnected", "connecting", "connected"]


class Backoff:
    """The delays between attempts."""

    def __init__(self, rng: Callable[[], float] | None = None) -> None:
        # Of its own: an app that seeds Python's generator wants neither our numbers nor its devices in step.
        self._rng = rng or random.Random().random
        self._next = FIRST_DELAY

    def delay(self) -> float:
        """Seconds until the next attempt; longer every time."""
        delay = self._next * (1 - JITTER * self._rng())
        self._next = min(self._next * 2, LONGEST_DELAY)
        return delay

    def reset(self) -> None:
        self._next = FIRST_DELAY


@dataclass
class Wait:
    """Somebody waits for uploads up to a client version, for a mark, or for a subscription set."""

    kind: Literal["upload", "download", "set"]
    target: int
    future: Future[None] = field(default_factory=Future)

    def settle(self, error: Exception | None = None) -> None:
        with contextlib.suppress(InvalidStateError):
            if error is None:
                self.future.set_result(None)
            else:
                self.future.set_exception(error)


class _Unwanted(Exception):
    """The session is to end: what it was waiting for was given up."""


@dataclass(frozen=True)
class SyncOptions:
    """What the app decides about a file's session."""

    user: User
    schema: Sequence[ObjectSchema] | None = None
    client_reset: ResetMode = "recover_unsynced_changes"
    cancel_waits_on_non_fatal_error: bool | None = None
    """None: as the operator says."""


class Transport:
    """Keeps one file in sync from `start` to `stop`. Every public method may be called from any thread."""

    def __init__(self, store: Store, options: SyncOptions, changed: Callable[[], None]) -> None:
        """`changed`: called after every commit to the store."""
        self.store, self.options, self._changed = store, options, changed
        self.on_error: Callable[[SyncError], None] = lambda error: logger.warning("%s", error)
        self.on_progress: Callable[[Literal["download", "upload"], float], None] = lambda direction, estimate: None
        self.on_connection: Callable[[ConnectionState, ConnectionState], None] = lambda new, old: None
        self.on_manual_reset: Callable[[ClientResetError], None] = self.on_error
        self.on_reset: Callable[[], Callable[[Outcome], None]] = lambda: lambda outcome: None
        """Called when a client reset replaces the contents right after; what it returns, when that is over."""
        self.on_stopped: Callable[[], None] = lambda: None
        self.connection_state: ConnectionState = "disconnected"
        self.download_estimate: float | None = None
        self.active = options.user.is_logged_in
        """False while paused, after a fatal error, and while the user is logged out."""
        self._paused = False
        self._failed: SyncError | None = None
        """The fatal error that ended the session."""
        self._stopping = False
        self._finish_uploads = False
        self._over = False
        """The thread has ended, or is about to: nothing brings it back."""
        self._wake_loop: Callable[[], None] = lambda: None
        self._woken = asyncio.Event()
        self._unwanted = asyncio.Event()
        """Set when the present connection is to be given up, whatever it is waiting for."""
        self._asks_for_token = False
        self._guard = threading.RLock()
        self._waits: list[Wait] = []
        self._numbering = 0
        """Rises when a client reset gives pending changesets new numbers."""
        self._next_mark = 1
        self._backoff = Backoff()
        self._session: ClientSession | None = None
        self._skip_delay = False
        self._refreshed = False
        """A token refresh or client reset was the reaction to the last session; again would be a loop."""
        self._was_connected = False
        """Ever: that it cannot connect is then news."""
        self._marks_asked: set[int] = set()
        self._lock_file: IO[str] | None = None
        self._upload_batch = 0
        self._lost: float | None = None
        """When the last session that had caught up ended, in Unix time: the clock that goes on while a machine sleeps."""
        self._thread: connections.Run | None = None

    # --- for other threads -------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.options.user.app.add_listener(self.wake)
        self._thread = connections.start(self.options.user.app.sync_url, self._run)

    def stop(self, after_upload: bool = False) -> None:
        """Ends the session and the thread; `after_upload`: as soon as nothing is pending. Open waits fail."""
        with self._guard:
            self._finish_uploads = after_upload
            self._stopping = True
        self._fail_waits(RealmError(INACTIVE))
        self.wake()

    def revive(self) -> bool:
        """Takes a `stop` back; false if it is too late for that."""
        with self._guard:
            if self._over:
                return False
            self._stopping = self._finish_uploads = False
        self.resume()
        return True

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_running

    def join(self, timeout: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout)

    def wake(self) -> None:
        """There may be something new in the store, or in what is wanted."""
        self._wake_loop()

    def pause(self) -> None:
        self._paused, self.active = True, False
        self._fail_waits(RealmError(INACTIVE))
        self.wake()

    def resume(self) -> None:
        self._paused, self._failed = False, None
        self.active = True
        self._backoff.reset()
        self.reconnect()

    def reconnect(self) -> None:
        """Ends the current delay: the next attempt is now."""
        self._skip_delay = True
        self.wake()

    def wait_for_upload(self) -> Future[None]:
        """Done when the server has acknowledged every changeset that is in the file now."""
        while True:
            numbering = self._numbering
            wait = Wait("upload", self.store.newest_client_version())
            with self._guard:
                if numbering == self._numbering:
                    return self._add_wait(wait)

    def wait_for_download(self) -> Future[None]:
        """Done when the file holds everything the server has when it gets the question."""
        with self._guard:
            wait = Wait("download", self._next_mark)
            self._next_mark += 1
        return self._add_wait(wait)

    def wait_for_set(self, version: int) -> Future[None]:
        """Done when the subscription set is complete or superseded; fails if the server refuses it."""
        return self._add_wait(Wait("set", version))

    def _add_wait(self, wait: Wait) -> Future[None]:
        with self._guard:
            self._waits.append(wait)
        self._settle_waits()
        # Nobody is left to complete it, since this very moment or long ago.
        if self._failed is not None:
            self._fail_waits(self._failed)
        elif self._over or (self._stopping and not self._finish_uploads):
            self._fail_waits(RealmError(INACTIVE))
        self.wake()
        return wait.future

    def _fail_waits(self, error: Exception) -> None:
        with self._guard:
            waits, self._waits = self._waits, []
        for wait in waits:
            wait.settle(error)

    def _settle_waits(self) -> None:
        """Completes the waits that the file's contents fulfil."""
        with self._guard:
            waits = [wait for wait in self._waits if wait.kind != "download"]
            if not waits or self.store.closed:
                return
            pending = self.store.pending(0, None, 0)
            first = pending[0].client_version if pending else None
            complete, states = self.store.set_states()
            done: list[tuple[Wait, Exception | None]] = []
            for wait in waits:
                if wait.kind == "upload":
                    if first is None or first > wait.target:
                        done.append((wait, None))
                elif wait.target <= complete or wait.target not in states:
                    done.append((wait, None))
                elif states.get(wait.target, ("", None))[0] == "error":
                    done.append((wait, RealmError(states[wait.target][1] or "The subscription set was refused.")))
            for wait, _ in done:
                self._waits.remove(wait)
        for wait, error in done:
            wait.settle(error)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self, thread: connections.Thread) -> None:
        try:
            thread.loop.run_until_complete(self._main(thread))
        except Exception as error:
            # Python is shutting down under a thread that still runs: not an error, the file holds everything.
            if not self.store.closed and threading.main_thread().is_alive():
                logger.exception("The sync thread of '%s' failed", self.store.path)
                self._fail(SyncError("RuntimeError", f"The session failed: {error}", is_fatal=True))
        finally:
            self._over, self.active = True, False
            self._fail_waits(RealmError(INACTIVE))
            self._set_connection("disconnected")
            self.options.user.app.remove_listener(self.wake)
            if self._lock_file is not None:
                fcntl.flock(self._lock_file, fcntl.LOCK_UN)  # a forked process has the file as well, and does not sync
                self._lock_file.close()
            self.on_stopped()

    async def _main(self, thread: connections.Thread) -> None:
        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the thread is ending
                thread.loop.call_soon_threadsafe(self._woke)

        self._wake_loop = wake
        try:
            self._report(self.store.due_reports())
            while not self._ends():
                try:
                    await self._turn(thread)
                except Exception as error:
                    if self.store.closed:
                        raise
                    # A bug or a full disk: the session has ended, and may be resumed.
                    logger.exception("The session of '%s' failed", self.store.path)
                    self._fail(SyncError("RuntimeError", f"The session failed: {error}", is_fatal=True))
        finally:
            left = [it for it in asyncio.all_tasks() if it is not asyncio.current_task() and not thread.is_for_line(it)]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _turn(self, thread: connections.Thread) -> None:
        """One connection, and what follows from its end; or a while without one."""
        if not self.options.user.is_logged_in:
            if self.active:
                self._fail_waits(logged_out())
            self.active, self._failed = False, None  # whatever failed, logging in again revives the session
        elif not self._paused and self._failed is None:
            self.active = True
        if not self.active:
            await self._sleep(1.0)
            return
        if not self._acquire_lock():
            self._follow()
            await self._sleep(0.2)
            return
        self._skip_delay = False
        try:
            ended = await self._connect(thread)
        except _Unwanted:
            ended = Ended("done")
        finally:
            self._set_connection("disconnected")
        if not self._is_over():
            await self._after(ended)

    def _ends(self) -> bool:
        """Whether the thread ends now. It does then: `revive` cannot bring it back."""
        with self._guard:
            self._over = self._is_over()
            return self._over

    def _woke(self) -> None:
        self._woken.set()
        is_logged_out = not self.options.user.is_logged_in and not self._asks_for_token
        if is_logged_out or not self.active or self._is_over():
            self._unwanted.set()

    async def _unless_unwanted(self, work: Awaitable[T], seconds: float | None = None) -> T:
        """The result of `work`. Gives it up, and raises _Unwanted, as soon as the connection is no longer wanted;
        raises TimeoutError after `seconds`."""
        task = asyncio.ensure_future(work)
        unwanted = asyncio.ensure_future(self._unwanted.wait())
        await asyncio.wait((task, unwanted), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        is_late = not unwanted.done()
        unwanted.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise TimeoutError if is_late else _Unwanted
        return task.result()

    def _is_over(self) -> bool:
        return self._stopping and (not self._finish_uploads or not self.active or self.store.pending_count() == 0)

    async def _sleep(self, seconds: float) -> None:
        """Until woken, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    async def _delay(self, at_least: float | None) -> None:
        """The back-off, which `reconnect` and `stop` end."""
        until = time.monotonic() + max(self._backoff.delay(), at_least or 0.0)
        while (left := until - time.monotonic()) > 0:
            if self._skip_delay or self._is_over() or not self.active or not self.options.user.is_logged_in:
                return
            await self._sleep(left)

    def _acquire_lock(self) -> bool:
        """One process syncs a file; the lock goes when the process does."""
        if self._lock_file is None:
            file = open(f"{self.store.path}.lock", "a")  # noqa: SIM115 (held as long as the thread runs)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                return False
            self._lock_file = file
        return True

    def _follow(self) -> None:
        """Another process syncs this file. Uploads and sets are complete when the file says so; of downloads only that
        process knows more than that the newest set is complete."""
        self._settle_waits()
        if self.store.newest_set().state == "complete" and self.store.file().epoch is not None:
            for mark in self._open_marks():
                self._marked(mark)

    async def _after(self, ended: Ended) -> None:
        """What to do after a session."""
        error = ended.error
        code = error.code if error else "ConnectionClosed"
        message = error.message if error else "The connection was lost."
        match ended.action:
            case "stop":
                self._fail(SyncError(code, message, is_fatal=True))
            case "reset":
                self._begin_reset(code, message, getattr(ended.error, "client_version", None))
                if self._refreshed and self.active:  # the second attempt in a row
                    await self._delay(ended.retry_after)
                self._refreshed = True
            case "reauthenticate":
                with contextlib.suppress(_Unwanted):
                    await self._token(self.options.user.refresh_access_token)
                if self._refreshed:  # the second attempt in a row: a server that issues tokens it refuses
                    await self._delay(ended.retry_after)
                self._refreshed = True
            case "retry":
                logger.info("%s: %s", code, message)
                await self._delay(ended.retry_after)

    async def _token(self, request: Callable[[], str]) -> str | None:
        """An access token; None if there is none now. The request is not interrupted, only no longer waited for: it
        ends by its own time-out."""
        self._asks_for_token = True
        try:
            asked = Operation.run(request, "realm-sync token")
            return await self._unless_unwanted(asyncio.wrap_future(asked.future))
        except AppError as error:
            if error.status in (401, 403):
                self._fail(SyncError("AuthError", str(error), is_fatal=True))
            else:
                self._non_fatal(SyncError("ConnectionFailed", str(error), is_fatal=False))
            return None
        finally:
            self._asks_for_token = False

    def _fail(self, error: SyncError) -> None:
        self._end(error)
        self.on_error(error)

    def _end(self, error: SyncError) -> None:
        """A fatal error."""
        self._failed, self.active = error, False
        self._fail_waits(error)

    def _non_fatal(self, error: SyncError, is_news: bool = False) -> None:
        """The session goes on by itself; its waits do only if the app does not mind."""
        logger.info("%s", error)
        cancels = self.options.cancel_waits_on_non_fatal_error
        if self.options.user.app.settings.cancel_waits_on_non_fatal_error if cancels is None else cancels:
            self._fail_waits(error)
        if is_news:
            self.on_error(error)

    # --- client reset ------------------------------------------------------------------------------------------------

    def _begin_reset(self, code: str, message: str, integrated: int | None) -> None:
        """The server asks for it, and has changesets up to `integrated`. Waits are carried over: the new content will
        fulfil them."""
        mode, path = self.options.client_reset, self.store.path
        logger.warning("%s: client reset of '%s' (%s)", message, path, mode)
        if mode == "manual":
            error = ClientResetError(code, message, self._put_aside())
            self._end(error)
            self.on_manual_reset(error)
            return
        file = self.store.file()
        kind: ResetKind = "discard" if mode == "discard_unsynced_changes" else "recover"
        if mode == "recover_or_discard_unsynced_changes" and (file.reset == "fallback" or file.resets >= RESETS):
            kind = "fallback"
        if file.resets >= RESETS + (kind == "fallback"):
            self._reset_failed(f"{message} {file.resets} client resets before this one did not get through.")
            return
        try:
            self.store.begin_reset(kind, integrated)
        except Exception as failure:
            self._reset_failed(f"{message} {failure}")

    def _cannot_replace(self, failure: Exception) -> None:
        """The file does not take the new content. Where writes may be discarded, once more without them."""
        logger.warning("The client reset of '%s' failed", self.store.path, exc_info=failure)
        mode = self.options.client_reset
        if mode == "recover_or_discard_unsynced_changes" and self.store.file().reset == "recover":
            try:
                self.store.begin_reset("fallback", 0)
                return
            except Exception as another:
                failure = another
        self._reset_failed(str(failure))

    def _reset_failed(self, reason: str) -> None:
        if self.store.closed:
            return  # that is why, and the file is as good as before: its next session goes on with the reset
        text = f"A fatal error occurred during 'ClientReset' client reset for '{self.store.path}': {reason}"
        self._fail(ClientResetError("AutoClientResetFailed", text, self._put_aside()))

    def _put_aside(self) -> Configuration:
        """The next opening begins anew; this is where the file is then."""
        backup = reset.schedule(self.store.path, self.options.user.app.directory)
        return Configuration(path=backup, read_only=True, encryption_key=self.store.encryption_key)

    def _set_connection(self, state: ConnectionState) -> None:
        old, self.connection_state = self.connection_state, state
        if old != state:
            self.on_connection(state, old)

    # --- one connection ----------------------------------------------------------------------------------------------

    async def _connect(self, thread: connections.Thread) -> Ended:
        """One connection, from token to close. Raises _Unwanted if it is no longer wanted."""
        user = self.options.user
        self._unwanted.clear()
        self._woke()  # what was wanted before the clear
        self._set_connection("connecting")
        token = await self._token(user.fresh_access_token)
        if token is None:
            return Ended("retry" if self.active else "done")
        if (line := await thread.take(user.app.sync_url)) is not None:
            ended = await self._use(line, token, thread, was_kept=True)
            if ended is not None:
                return ended
            logger.info("A kept connection to %s turned out to be closed; opening another.", line.url)
            self._set_connection("disconnected")
            self._set_connection("connecting")
        try:
            dial = connect(
                user.app.sync_url,
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
                open_timeout=None,
                close_timeout=2,
                ping_interval=None,
                max_size=LARGEST_FRAME,
                user_agent_header=f"realm_sync/{__version__}",
            )
            socket = await self._unless_unwanted(dial, user.app.timeouts.connect)
        except TimeoutError:
            return self._unreachable("ConnectTimeout", "Sync connection was not fully established in time")
        except InvalidStatus as error:
            if error.response.status_code in (401, 403):
                return Ended("reauthenticate", ProtocolError("AuthError", "The server refused the connection."))
            return self._cannot_connect(error)
        except (OSError, InvalidHandshake, WebSocketException) as error:
            return self._cannot_connect(error)
        ended = await self._use(connections.Line(user.app.sync_url, socket), token, thread)
        assert ended is not None
        return ended

    async def _use(
        self, line: connections.Line, token: str, thread: connections.Thread, was_kept: bool = False
    ) -> Ended | None:
        """A session on the line, which is kept or closed afterwards. None: the line `was_kept`, and has turned out to be
        of no use; no session has begun."""
        self._was_connected = True
        is_kept = False
        session = self._session = self._new_session(token)
        try:
            ended = await self._converse(line, session, ANSWER_SECONDS if was_kept else None)
            is_kept = session.unbound and thread.keep(line, self.options.user.app.timeouts.linger or 0.0)
            return None if was_kept and session.limits is None and ended == Ended("retry") else ended
        except _Unwanted:
            line.abort()
            raise
        finally:
            self._session = None
            if session.caught_up:
                self._lost = time.time()
            if not is_kept:
                await line.close()

    def _new_session(self, token: str) -> ClientSession:
        """Who was away for longer than `fast_reconnect` first sees what happened, and then uploads."""
        file, schema, timeouts = self.store.file_state(), self.options.schema, self.options.user.app.timeouts
        away = math.inf if self._lost is None else time.time() - self._lost
        return ClientSession(
            file, token, None if schema is None else list(schema), f"realm_sync/{__version__}",
            ping=timeouts.ping or PING_SECONDS, pong=timeouts.pong or PONG_SECONDS,
            download_first=file.client_file is not None and away > (timeouts.fast_reconnect or 0.0),
        )  # fmt: skip

    def _cannot_connect(self, error: Exception) -> Ended:
        url = self.options.user.app.sync_url
        return self._unreachable("ConnectionFailed", f"Cannot connect to {url}: {error or type(error).__name__}")

    def _unreachable(self, code: str, text: str) -> Ended:
        self._non_fatal(SyncError(code, text, is_fatal=False), is_news=self._was_connected)
        return Ended("retry")

    async def _converse(self, line: connections.Line, session: ClientSession, patience: float | None) -> Ended:
        """A session from its `bind` to its end, which `patience` seconds without an answer to that are, too."""
        began = time.monotonic()
        self._marks_asked = set(self._open_marks())  # another one may come at any moment, and is asked for later
        for mark in sorted(self._marks_asked):
            session.request_mark(mark)
        try:
            self._set_connection("connected")
            self._report_upload()
            ended = await self._perform(line.socket, session.opened(time.monotonic()))
            while ended is None:
                ended = await self._step(line, session)
                if patience is not None and session.limits is None and time.monotonic() - began > patience:
                    break
            if ended is not None:
                return ended
        except ConnectionClosed:
            pass
        return next(effect for effect in session.lost() if isinstance(effect, Ended))

    async def _step(self, line: connections.Line, session: ClientSession) -> Ended | None:
        """Waits for a frame or a wish, and acts on it."""
        socket, frames = line.socket, line.frames
        if frames.empty():
            get = asyncio.ensure_future(frames.get())
            woken = asyncio.ensure_future(self._woken.wait())
            tick = min(1.0, session.ping, session.pong)
            await asyncio.wait((get, woken), timeout=tick, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            received = get.done()
            frame = get.result() if received else None
            if not received and not get.cancel():
                received, frame = True, get.result()
        else:
            received, frame = True, frames.get_nowait()
        now = time.monotonic()
        effects: list[Effect] = []
        if received:
            if frame is None:
                effects += session.lost()
            else:
                try:
                    effects += session.receive(decode_from_server(frame), now)
                except ProtocolError as error:
                    effects += session.undecodable(error)
        ended = await self._perform(socket, effects)
        if ended is None and self._woken.is_set():
            self._woken.clear()
            ended = await self._perform(socket, self._wishes(session))
        return ended or await self._perform(socket, session.tick(now))

    def _wishes(self, session: ClientSession) -> list[Effect]:
        """What other threads want by now."""
        if self._is_over() or not self.active or not self.options.user.is_logged_in:
            return session.close()
        effects = session.subscriptions_changed(self.store.unsent_sets())
        effects += session.local_commit()
        for mark in self._open_marks():
            if mark not in self._marks_asked:
                self._marks_asked.add(mark)
                effects += session.request_mark(mark)
        self._report_upload()
        return effects

    def _open_marks(self) -> list[int]:
        with self._guard:
            return [wait.target for wait in self._waits if wait.kind == "download"]

    async def _perform(self, socket: ClientConnection, effects: list[Effect]) -> Ended | None:
        session = self._session
        assert session is not None
        queue = deque(effects)
        while queue:
            effect = queue.popleft()
            match effect:
                case Send(message):
                    try:  # a peer that reads nothing is as silent as one that says nothing
                        await self._unless_unwanted(socket.send(encode(message)), session.pong)
                    except TimeoutError:
                        return Ended("retry")
                case Ended():
                    return effect
                case ApplyDownload(download, with_parts):
                    if not self._apply(download, with_parts):
                        return Ended("done")
                    self.download_estimate = download.progress
                    self.on_progress("download", download.progress)
                    self._report_upload()
                    self._settle_waits()
                    queue.extendleft(reversed(session.applied(download)))
                    if self._is_over():
                        queue.extend(session.close())
                case StorePart(download):
                    self.store.store_part(download)
                    self.download_estimate = download.progress
                    self.on_progress("download", download.progress)
                    queue.extendleft(reversed(session.stored()))
                case ReadPending(after, upto, max_bytes):
                    queue.extendleft(reversed(session.pending_read(self.store.pending(after, upto, max_bytes))))
                case StoreBound(client_file, bound):
                    try:
                        self.store.store_bound(client_file, bound)
                    except RealmError as error:
                        if self.store.file().reset is None:
                            return Ended("stop", ProtocolError("SchemaMismatch", str(error)))
                        self._cannot_replace(error)
                        return Ended("done")
                    self._changed()
                case DropParts():
                    self.store.drop_parts()
                case HoldRejected(rejected):
                    self._report(self.store.hold_rejected(rejected))
                case RefuseSet(error):
                    self.store.refuse_set(error.query_version, error.message)
                    self._changed()
                    self._settle_waits()
                case Marked(ident):
                    self._succeeded()
                    self._marked(ident)
        return None

    def _apply(self, download: Download, with_parts: bool) -> bool:
        """False: it could not be, and the client reset that it was to complete has failed."""
        kind = self.store.reset_ended_by(download)
        # Nobody has looked at a file that never held anything.
        over = self.on_reset() if kind and kind != "copy" and self.store.file().revision else None
        try:
            applied = self.store.apply(download, with_parts)
        except Exception as failure:
            if over:
                over("failed")
            # Of a full disk the session ends as ever: with space it goes on with the reset.
            if kind is None or self.store.closed or isinstance(failure, STORAGE_ERRORS):
                raise
            self._cannot_replace(failure)
            return False
        if applied.reset is None:
            self._succeeded()
        else:
            self._retarget_uploads()
        self._changed()
        if over and applied.reset and applied.reset != "copy":
            over(applied.reset)
        self._report(applied.rejected)
        return True

    def _succeeded(self) -> None:
        self._backoff.reset()
        self._refreshed = False

    def _marked(self, ident: int) -> None:
        with self._guard:
            done = [wait for wait in self._waits if wait.kind == "download" and wait.target == ident]
            for wait in done:
                self._waits.remove(wait)
        for wait in done:
            wait.settle()
        self.download_estimate = 1.0
        self.on_progress("download", 1.0)

    def _retarget_uploads(self) -> None:
        """After a client reset, changesets have new numbers: those who wait, wait for all of them."""
        newest = self.store.newest_client_version()
        with self._guard:
            self._numbering += 1
            for wait in self._waits:
                if wait.kind == "upload":
                    wait.target = newest

    def _report_upload(self) -> None:
        pending = self.store.pending_count()
        self._upload_batch = max(self._upload_batch, pending)
        if self._upload_batch:
            self.on_progress("upload", 1 - pending / self._upload_batch)
        if not pending:
            self._upload_batch = 0

    def _report(self, reports: Sequence[Rejected]) -> None:
        """Tells the app about compensating writes; each once."""
        if not reports:
            return
        writes = [
            CompensatedWrite(
                write.class_name,
                self._key(write.class_name, write.id),
                write.property,
                write.reason,
                write.code,
            )
            for report in reports
            for write in report.writes
        ]
        self._non_fatal(CompensatingWriteError(writes), is_news=True)
        self.store.reports_told(reports)

    def _key(self, class_name: str, wire: object) -> object:
        cls = self.store.schema.get(class_name)
        return wire if cls is None else decode(cls.key_type, wire)


def wait_for(future: Future[None], timeout: float | None, message: str) -> None:
    """Blocks until the future is done; raises WaitTimeout with `message` after `timeout` seconds."""
    try:
        future.result(timeout)
    except TimeoutError as error:
        if isinstance(error, WaitTimeout) or future.done():
            raise
        raise WaitTimeout(message) from None
