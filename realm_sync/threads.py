"""Where database work of the websocket side runs: a bounded pool of threads, each with its own connection.

Not asgiref's `sync_to_async`, whose one thread-sensitive thread would let one long bootstrap stop everybody. The pool
bounds how many connections a server process opens (DESIGN §12). The feed has a thread of its own, so that transfers
never delay what is live.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.db import close_old_connections, connections

from .conf import settings

_T = TypeVar("_T")


class Threads:
    """Runs synchronous functions in at most `size` threads."""

    def __init__(self, size: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=f"realm-sync-{name}")
        self._size = size

    async def run(self, function: Callable[..., _T], *args: Any) -> _T:
        """The function's result, or its exception. Broken and outlived connections are replaced first.

        Cancelled, it returns when the function has: whoever ends a session may be sure that nothing of it is left.
        """
        work = self._executor.submit(_with_connection, function, *args)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            if not work.cancel():
                await asyncio.gather(asyncio.wrap_future(work), return_exceptions=True)
            raise

    async def close(self) -> None:
        """Closes the threads and their connections, once what runs has ended."""
        loop = asyncio.get_running_loop()
        closing = [loop.run_in_executor(self._executor, connections.close_all) for _ in range(self._size)]
        await asyncio.gather(*closing)
        self._executor.shutdown(wait=False)


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, Threads] = WeakKeyDictionary()


def session_threads() -> Threads:
    """The pool of all sessions of the running event loop: of this server process, then."""
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = Threads(settings.DATABASE_THREADS, "session")
    return _pools[loop]


def _with_connection(function: Callable[..., _T], *args: Any) -> _T:
    connection: Any = connections[settings.DATABASE]
    if not connection.settings_dict["CONN_MAX_AGE"]:
        # 0, Django's default, is meant for requests. Connecting takes ten times as long as integrating an upload.
        connection.close_at = None
    connection.health_check_enabled = True
    close_old_connections()
    try:
        return function(*args)
    except Exception:
        # Closes the connection if the database has gone away; the next function then gets a new one.
        connections[settings.DATABASE].close_if_unusable_or_obsolete()
        raise
