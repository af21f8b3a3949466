"""Connections: the threads that sessions run on, and the websockets that outlive a session.

Decides which thread a session gets, and how long a websocket without a session stays open: `linger` seconds after
`unbound`, for the next session of the same sync URL, whichever file and user it is of. A websocket belongs to the event
loop that opened it, so what is kept is thread and websocket together: a session that starts takes both over. Only a
thread waits here; the file of the session before is closed and unlocked already. Knows nothing of files and sync.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

LINES_KEPT = 4
"""Most threads that wait with a line at a time."""
FRAMES_AHEAD = 32
"""Frames that are read before the session has handled them."""

_guard = threading.Lock()
_waiting: list[Thread] = []
"""Threads that keep a line and have no session, the latest first."""


class Line:
    """A websocket, and what has come in by it: frames, then None when it is closed. Made on its event loop."""

    def __init__(self, url: str, socket: ClientConnection) -> None:
        self.url, self.socket = url, socket
        self.frames: asyncio.Queue[str | bytes | None] = asyncio.Queue(FRAMES_AHEAD)
        self.reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in self.socket:
                await self.frames.put(frame)
        await self.frames.put(None)

    @property
    def is_quiet(self) -> bool:
        """Open, and nothing was said: fit for another session."""
        return self.frames.empty() and not self.reader.done()

    async def close(self) -> None:
        """Says good-bye. Idempotent."""
        self.reader.cancel()
        await self.socket.close()

    def abort(self) -> None:
        """The socket is gone when this returns; `reader` ends by it."""
        self.socket.transport.abort()


class Run:
    """One session's time on a thread. `work` is called there, with the thread, and blocks as long as the session lasts."""

    def __init__(self, work: Callable[[Thread], None]) -> None:
        self.work = work
        self.thread: Thread | None = None
        self._ended = threading.Event()

    def perform(self, thread: Thread) -> None:
        try:
            self.work(thread)
        finally:
            self._ended.set()

    @property
    def is_running(self) -> bool:
        return self.thread is not None and self.thread.is_alive() and not self._ended.is_set()

    def join(self, timeout: float) -> None:
        """Waits until the session is over; not from its own thread."""
        if self.is_running and threading.current_thread() is not self.thread:
            self._ended.wait(timeout)


def start(url: str, work: Callable[[Thread], None]) -> Run:
    """Calls `work` on a thread that keeps a line to `url`, or else on a new one."""
    run = Run(work)
    with _guard:
        _waiting[:] = [thread for thread in _waiting if thread.is_alive()]  # none is, in a forked process
        for thread in _waiting:
            if thread.keeps(url):
                _waiting.remove(thread)
                run.thread = thread
                thread.give(run)
                return run
    thread = run.thread = Thread(run)
    thread.start()
    return run


class Thread(threading.Thread):
    """A thread with an event loop, for one session after the other. Ends when it keeps no line any more."""

    def __init__(self, run: Run) -> None:
        super().__init__(name="realm-sync transport", daemon=True)
        self.loop = asyncio.new_event_loop()
        self._next: Run | None = run
        self._given = asyncio.Event()
        self._line: Line | None = None
        self._timer: asyncio.TimerHandle | None = None

    def run(self) -> None:
        try:
            while self._next is not None:
                run, self._next = self._next, None
                run.perform(self)
                if self._line is not None:
                    self.loop.run_until_complete(self._linger(self._line))
        finally:
            self.loop.close()

    # --- for the session that runs ----------------------------------------------------------------------------------

    def keep(self, line: Line, seconds: float) -> bool:
        """Keeps a line whose session has ended by `unbound`; false if it will not: close it. The session may end, or
        pause and `take` it again."""
        if seconds <= 0 or not line.is_quiet or len(_waiting) >= LINES_KEPT:
            return False
        self._line, self._timer = line, self.loop.call_later(seconds, self._expire, line)
        return True

    async def take(self, url: str) -> Line | None:
        """The line that was kept, unless it has been closed meanwhile or leads elsewhere."""
        line, self._line = self._line, None
        if self._timer is not None:
            self._timer.cancel()
        if line is None or (line.url == url and line.is_quiet):
            return line
        await line.close()
        return None

    def is_for_line(self, task: asyncio.Task[Any]) -> bool:
        """Whether the task must outlive the session."""
        return self._line is not None and task is self._line.reader

    def _expire(self, line: Line) -> None:
        if self._line is line:
            self._line = None
            line.abort()

    # --- between two sessions ---------------------------------------------------------------------------------------

    def keeps(self, url: str) -> bool:
        return self._line is not None and self._line.url == url

    def give(self, run: Run) -> None:
        """`run` is the next; called while the thread is waiting."""
        self._next = run
        self.loop.call_soon_threadsafe(self._given.set)

    async def _linger(self, line: Line) -> None:
        self._given.clear()  # before anybody can give: an old `give` has been heard by now
        with _guard:
            _waiting.insert(0, self)
        given = asyncio.ensure_future(self._given.wait())
        await asyncio.wait((given, line.reader), return_when=asyncio.FIRST_COMPLETED)
        given.cancel()
        with _guard:
            if self in _waiting:
                _waiting.remove(self)
            if self._next is not None:
                return
        self._line = None
        await line.close()
