"""Wake-ups: they say that there may be something new in the history, never what.

    async with wakeups.listen(alias) as wakeup:
        while True:
            …read the history…
            await wakeup.wait()

Decides how a process hears of commits: PostgreSQL notifies it on a connection of its own; SQLite is asked for its
`data_version` on a short timer, in a thread with a connection of its own. Losing a wake-up costs latency, never data:
a listener is also woken at the start, after every reconnect and every SAFETY_SECONDS. Without listeners there is no
connection, thread or timer. Knows nothing of versions or sessions; the feed listens, uploads notify.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

from django.db import DatabaseError, connections

from .conf import settings

SAFETY_SECONDS = 5.0
"""A listener is woken at least this often."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
"""Seconds between attempts to reach a database that is gone, doubling from one to the other."""

logger = logging.getLogger("realm_sync")


class Wakeup:
    """One listener of one database. Wake-ups that come while nobody waits are kept, as one."""

    def __init__(self, alias: str, loop: asyncio.AbstractEventLoop) -> None:
        self.alias = alias
        self._loop = loop
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Returns when there may be something new since the last call returned: at once if there was a wake-up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SAFETY_SECONDS):
                await self._event.wait()
        self._event.clear()

    def fire(self) -> None:
        """Wakes the listener, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            # The loop was closed with the listener in it.
            _listeners.discard(self)


_listeners: set[Wakeup] = set()


def notify(alias: str | None = None) -> None:
    """Wakes this process's listeners at once; to be called after the commit. From any thread.

    Only saves SQLite's timer: other processes, and everybody on PostgreSQL, hear of the commit anyway.
    """
    for listener in list(_listeners):
        if listener.alias == (alias or settings.DATABASE):
            listener.fire()


@asynccontextmanager
async def listen(alias: str) -> AsyncIterator[Wakeup]:
    """Hears of commits to the database while the context is open. The first `wait()` returns at once.

    A database that cannot be reached is tried again and again; reading it will tell the listener why.
    """
    wakeup = Wakeup(alias, asyncio.get_running_loop())
    wakeup.fire()
    hear = _hear_postgresql if connections[alias].vendor == "postgresql" else _hear_sqlite
    task = asyncio.create_task(_keep_hearing(hear, wakeup))
    _listeners.add(wakeup)
    try:
        yield wakeup
    finally:
        _listeners.discard(wakeup)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep_hearing(hear: Any, wakeup: Wakeup) -> None:
    """Runs `hear`, which returns when the connection breaks, again and again."""
    delay = FIRST_DELAY
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            await hear(wakeup)
        except (DatabaseError, OSError) as error:
            if loop.time() - began > LONGEST_DELAY:
                delay = FIRST_DELAY
            logger.warning("Not hearing of changes to %s (%s); trying again in %.1f s.", wakeup.alias, error, delay)
        wakeup.fire()
        await asyncio.sleep(delay)
        delay = min(delay * 2, LONGEST_DELAY)


async def _hear_sqlite(wakeup: Wakeup) -> None:
    """Fires whenever another connection, of this process or another, has committed."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    stop = threading.Event()

    def end(error: BaseException | None) -> None:
        if not ended.done():
            ended.set_exception(error) if error else ended.set_result(None)

    def poll() -> None:
        error = None
        try:
            _poll_sqlite(wakeup, stop)
        except Exception as raised:
            error = raised
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(end, error)

    # A daemon: a server that stops without cancelling its tasks must not wait for it.
    thread = threading.Thread(target=poll, name="realm-sync-wakeups", daemon=True)
    thread.start()
    try:
        await asyncio.shield(ended)
    finally:
        stop.set()
        if not ended.done():
            await asyncio.wait([ended])
        thread.join()


def _poll_sqlite(wakeup: Wakeup, stop: threading.Event) -> None:
    # The parameters of Django's own connections: the test database, a shared one in memory, URI names.
    wrapper = connections[wakeup.alias]
    with (
        wrapper.wrap_database_errors,
        closing(wrapper.get_new_connection(wrapper.get_connection_params())) as connection,
    ):
        connection.execute("PRAGMA query_only = ON")
        known = None
        while not stop.is_set():
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            if version != known:
                known = version
                wakeup.fire()
            stop.wait(settings.POLL_SECONDS)


async def _hear_postgresql(wakeup: Wakeup) -> None:
    """Fires at every notification, and for as long as a running transaction hides what others have committed.

    The history is read below the oldest running transaction (R2). One that ends without having written a synced table
    notifies nobody, although what it hid can be read from then on.
    """
    import psycopg

    wrapper = connections[wakeup.alias]
    parameters = wrapper.get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    with wrapper.wrap_database_errors:
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            await connection.execute("LISTEN realm_sync")
            # What was committed before is found by reading, what comes after is notified.
            heard, known = True, None
            while True:
                cursor = await connection.execute(_HIDDEN)
                state = await cursor.fetchone()
                hidden, _ = state or (False, 0)
                # Only now: what was hidden from whoever reads at once must be known here as hidden, or as come to light.
                if heard or state != known:
                    wakeup.fire()
                known = state if hidden else None
                patience = settings.POLL_SECONDS if hidden else None
                heard = bool([each async for each in connection.notifies(timeout=patience, stop_after=1)])


_HIDDEN = (
    "SELECT coalesce((SELECT max(version) FROM realm_sync_change), 0) >= xmin, xmin"
    " FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin) AS now"
)
"""Whether something is committed that cannot be read yet, and from where on."""
