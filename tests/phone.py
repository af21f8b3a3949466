"""A phone: the model of the official client on a real DeviceConnection in this process, without a socket.

The database is real. Whatever an official client would not survive fails the test, at the next `until`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from realm_sync import auth
from realm_sync.core.device_sync.frames import FromServer, Pong
from realm_sync.device_sync.sessions import DeviceConnection
from tests.official_client.checker import ConnectionChecker
from tests.official_client.client import RealmFile, Session
from tests.official_client.store import Store
from tests.official_client.wire import encode_from_client
from tests.world import db

TIMEOUT = 10
USER_AGENT = "RealmSync/14.13.5 (Linux)"
T = TypeVar("T")


def token_of(user: Any) -> str:
    """An access token, as after a log-in."""
    return auth._open_session(user, auth.EMAIL_PASSWORD, {}).access_token


class Phone:
    """`async with Phone(user, file) as phone:` opens a connection with one session per file."""

    def __init__(self, user: Any, *files: RealmFile, token: str | None = None, **session: Any) -> None:
        self.user, self.files = user, files or (RealmFile(),)
        self.sessions: dict[int, Session] = {
            number: Session(file, number, **session) for number, file in enumerate(self.files, 1)
        }
        self.log: list[FromServer] = []
        self.frames: list[bytes] = []
        self.is_reading = True
        self._token = token
        self._checker = ConnectionChecker()
        self._changed = asyncio.Condition()
        self._failure: BaseException | None = None
        self._task: asyncio.Task[int] | None = None
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()

    async def __aenter__(self) -> Phone:
        self._task = asyncio.create_task(await self._connect())
        self._sender = asyncio.create_task(self._send_all())
        self.talk()
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.drop()

    async def _connect(self) -> Coroutine[Any, Any, int]:
        """Opens the connection; what is returned runs it, and returns its close code."""
        if self._token is None:
            self._token = await db(token_of, self.user)
        self.connection = DeviceConnection(self._take, self._token, USER_AGENT, is_flexible=self.file.partition is None)
        return self.connection.run()

    async def _write(self, frame: bytes) -> None:
        await self.connection.receive(frame)

    async def drop(self) -> None:
        """The socket is gone, without a word."""
        for task in (self._task, self._sender):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def rebind(self, number: int = 1, **session: Any) -> None:
        """Another session of the file that had this number, under it."""
        self.sessions[number] = Session(self.sessions[number].file, number, **session)
        self.talk()

    @property
    def store(self) -> Store:
        """What the first file holds."""
        return self.file.store

    @property
    def file(self) -> RealmFile:
        return self.files[0]

    @property
    def session(self) -> Session:
        return self.sessions[1]

    # --- what it says

    def talk(self) -> None:
        """Every session says what it has to say now; call it after writes."""
        for session in self.sessions.values():
            for message in session.outgoing():
                self.send(encode_from_client(message))

    def send(self, frame: bytes) -> None:
        self._checker.sent(frame)
        self._inbox.put_nowait(frame)

    async def _send_all(self) -> None:
        while True:
            await self._write(await self._inbox.get())

    # --- what it hears

    async def _take(self, frame: bytes) -> None:
        while not self.is_reading:
            await asyncio.sleep(0.01)
        try:
            self.frames.append(frame)
            message = self._checker.received(frame)
            if (session := self.sessions.get(getattr(message, "session", 0))) is not None:
                session.receive(message)
            if not isinstance(message, Pong):
                self.talk()
        except BaseException as error:
            self._failure = self._failure or error
        async with self._changed:
            self.log.append(message)
            self._changed.notify_all()

    async def until(self, predicate: Callable[[], T]) -> T:
        """Waits for `predicate()`; fails with what was received instead."""

        def has_happened() -> Any:
            if self._failure is not None:
                raise self._failure
            return predicate()

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(has_happened), TIMEOUT)
            except TimeoutError:
                raise AssertionError(
                    f"{TIMEOUT} s passed; received: {[frame[:200] for frame in self.frames[-6:]]}"
                ) from None
        return predicate()

    async def next(self, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> T:
        """The first message of a kind that has come, or comes."""
        await self.until(lambda: any(isinstance(it, kind) and where(it) for it in self.log))
        return next(it for it in self.log if isinstance(it, kind) and where(it))

    async def settle(self) -> None:
        """Waits until nothing is under way in any session."""
        await self.until(lambda: all(session.is_settled for session in self.sessions.values()))

    async def subscribe(self, **queries: str) -> None:
        """Subscribes the first file to these queries, and waits until they are complete."""
        self.file.subscribe(queries)
        self.talk()
        await self.settle()

    async def downloaded(self) -> None:
        """Waits until everything that the server has now is here."""
        for session in self.sessions.values():
            session.request_mark()
        self.talk()
        await self.until(lambda: all(session.is_downloaded for session in self.sessions.values()))

    async def uploaded(self) -> None:
        """Waits until the server has confirmed everything written here."""
        self.talk()
        await self.until(lambda: all(file.is_uploaded for file in self.files))

    async def closed(self) -> int:
        """Waits until the server closes the connection; the close code."""
        assert self._task is not None
        return await asyncio.wait_for(self._task, TIMEOUT)
