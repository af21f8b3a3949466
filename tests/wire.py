"""A client of the smallest kind, to test the engine with: it speaks the protocol and keeps what it is told.

It runs a real `Connection` in this process, without a socket; the database is real. What it holds is a dict, applied by
the rules of PROTOCOL.md §3. It acknowledges every download unless told not to.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from realm_sync.core import messages as m
from realm_sync.sessions import Connection, Session

TIMEOUT = 10


class Wire:
    """`async with Wire(user) as wire:` binds; `progress`, `file` and `epoch` of an earlier one go on where it was."""

    def __init__(self, user: Any, before: Wire | None = None, **bind: Any) -> None:
        self.user = user
        self.file: m.ClientFile | None = before.file if before else None
        self.epoch: str | None = before.epoch if before else None
        self.progress = before.progress if before else m.Progress()
        self.objects: dict[tuple[str, Any], dict[str, Any]] = dict(before.objects) if before else {}
        self.client_version = before.client_version if before else 0
        self.query_version = before.query_version if before else 0
        self.received = 0
        self.acknowledges = True
        self.log: list[m.FromServer] = []
        self.rejected: list[m.RejectedWrite] = []
        self._bind, self._parts = bind, list[m.Changes]()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Wire:
        self._task = asyncio.create_task(self.connect().run())
        self.bind()
        return self

    def connect(self) -> Connection:
        """A connection, which nobody runs yet."""

        async def page_user() -> Any:
            return self.user

        self.connection = Connection(self._take, page_user)
        return self.connection

    async def __aexit__(self, *_: Any) -> None:
        await self.drop()

    @property
    def session(self) -> Session:
        """The connection's present one."""
        return self.connection._session

    def bind(self, **bind: Any) -> None:
        bind = {"client_file": self.file, "epoch": self.epoch, "progress": self.progress} | self._bind | bind
        self.send(m.Bind(**bind))

    async def unbind(self) -> None:
        """Ends the session; the socket stays."""
        self.send(m.Unbind())
        await self.next(m.Unbound)
        assert isinstance(self.log[-1], m.Unbound)
        self.received, self._parts = 0, []
        self.log.clear()

    def forget(self) -> None:
        """From here on this is a new file."""
        self.file = self.epoch = None
        self.progress, self.objects = m.Progress(), {}
        self.client_version = self.query_version = 0

    async def drop(self) -> None:
        """The socket is gone, without a word."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def send(self, message: m.Message | str | None) -> None:
        self.connection.receive(m.encode(message) if isinstance(message, m.Message) else message)

    async def _take(self, frame: str) -> None:
        message = m.decode_from_server(frame)
        if isinstance(message, m.Ident):
            self.file = message.client_file
        elif isinstance(message, m.Bound):
            self.epoch = message.epoch
        elif isinstance(message, m.Rejected):
            self.rejected += message.writes
        elif isinstance(message, m.Download):
            self._download(message)
        async with self._changed:
            self.log.append(message)
            self._changed.notify_all()

    def _download(self, message: m.Download) -> None:
        self.received += 1
        if message.batch_state == "more":
            self._parts += message.changes
        else:
            parts = []
            if message.batch_state == "last":
                parts, self._parts = self._parts, []
            for changes in [*parts, *message.changes]:
                self._apply(changes)
            self.progress = m.Progress(
                server_version=message.server_version,
                client_version=message.client_version,
                query_version=message.query_version,
                view=message.view,
            )
        if self.acknowledges:
            self.send(m.Upload(received=self.received))

    def _apply(self, changes: m.Changes) -> None:
        for image in changes.put:
            self.objects[changes.class_name, image["_id"]] = image
        for patch in changes.patch:
            if (key := (changes.class_name, patch["_id"])) in self.objects:
                self.objects[key] = {**self.objects[key], **patch}
        for id in changes.erase:
            self.objects.pop((changes.class_name, id), None)

    async def until(self, predicate: Any) -> Any:
        """Waits for `predicate()`; fails with what was received instead."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(predicate), TIMEOUT)
            except TimeoutError:
                raise AssertionError(
                    f"{TIMEOUT} s passed; received: {[str(it)[:300] for it in self.log[-5:]]}"
                ) from None
        return predicate()

    async def next(self, kind: type[m.Message]) -> Any:
        """The first message of a kind that has come, or comes."""
        await self.until(lambda: any(isinstance(message, kind) for message in self.log))
        return next(message for message in self.log if isinstance(message, kind))

    async def subscribe(self, *queries: str) -> None:
        """Subscribes to `Class: query` texts and waits until the set is there."""
        self.query(*queries)
        await self.until(lambda: self.progress.query_version == self.query_version)

    def query(self, *queries: str) -> None:
        self.query_version += 1
        items = []
        for number, query in enumerate(queries):
            class_name, _, text = query.partition(": ")
            now = "2026-01-01T00:00:00.000000Z"
            items.append(
                m.SubscriptionItem(
                    id=f"{number:024}",
                    class_name=class_name,
                    query=text or "TRUEPREDICATE",
                    created_at=now,
                    updated_at=now,
                )
            )
        self.send(m.Query(query_version=self.query_version, subscriptions=items))

    def changeset(self, *steps: Any, timestamp: int | None = None, base: int | None = None) -> m.Changeset:
        self.client_version += 1
        return m.Changeset(
            client_version=self.client_version,
            base_version=self.progress.server_version if base is None else base,
            timestamp=int(time.time() * 1000) if timestamp is None else timestamp,
            instructions=list(steps),
        )

    async def write(self, *steps: Any, timestamp: int | None = None, base: int | None = None) -> None:
        """Uploads one changeset and waits until a download says that it is integrated."""
        self.upload(self.changeset(*steps, timestamp=timestamp, base=base))
        await self.integrated()

    def upload(self, *changesets: m.Changeset) -> None:
        self.send(m.Upload(changesets=list(changesets), received=self.received))

    async def integrated(self) -> None:
        await self.until(lambda: self.progress.client_version >= self.client_version)

    async def mark(self) -> None:
        """Waits until everything that the server has now is here."""
        request = sum(isinstance(message, m.Mark) for message in self.log) + 1
        self.send(m.Mark(request_ident=request))
        await self.until(lambda: any(isinstance(it, m.Mark) and it.request_ident == request for it in self.log))

    def of(self, class_name: str) -> dict[Any, dict[str, Any]]:
        return {id: image for (name, id), image in self.objects.items() if name == class_name}

    async def closed(self) -> None:
        """Waits until the server ends the connection."""
        assert self._task is not None
        await asyncio.wait_for(self._task, TIMEOUT)

    async def ended(self) -> m.Error:
        """The error that ended the session."""
        error = await self.next(m.Error)
        await self.closed()
        return error
