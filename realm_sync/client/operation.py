"""Operation: something under way, to be awaited or waited for.

Every call of the client that needs the network returns one, so that the API is the same with and without asyncio:
`await app.log_in(…)` in a coroutine, `app.log_in(…).result()` elsewhere. The work runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Operation(Generic[T]):
    """The future result of a call. It goes on whether or not anybody waits."""

    def __init__(self, future: Future[T] | None = None) -> None:
        self._future: Future[T] = Future() if future is None else future

    @classmethod
    def run(cls, work: Callable[[], T], name: str = "realm-sync operation") -> Operation[T]:
        """Starts `work` in a thread."""
        operation = cls()
        operation._start(work, name)
        return operation

    def _start(self, work: Callable[[], T], name: str) -> None:
        threading.Thread(target=self._work, args=(work,), name=name, daemon=True).start()

    def _work(self, work: Callable[[], T]) -> None:
        try:
            result = work()
        except BaseException as error:
            with contextlib.suppress(InvalidStateError):
                self._future.set_exception(error)
        else:
            try:
                self._future.set_result(result)
            except InvalidStateError:
                self._unwanted(result)

    def _unwanted(self, result: T) -> None:
        """The work is done, and nobody will get its result any more."""

    def _fail(self, error: Exception) -> bool:
        """Ends it before its work does; false if it was over."""
        try:
            self._future.set_exception(error)
        except InvalidStateError:
            return False
        return True

    @property
    def future(self) -> Future[T]:
        """For code that combines it with other futures; cancelling it gives up the result, not the work."""
        return self._future

    def result(self, timeout: float | None = None) -> T:
        """Blocks until it is done. Raises its error, or TimeoutError after `timeout` seconds: it goes on then."""
        return self._future.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return self._future.exception(timeout)

    def done(self) -> bool:
        return self._future.done()

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.shield(asyncio.wrap_future(self._future)).__await__()
