"""A server in a thread that speaks PROTOCOL.md from memory, and misbehaves when told to.

It keeps objects and a log of changes, cuts views with core/predicate.py, and integrates uploads last-come-first-served:
enough to test what a client does. Faults: `drop_after` ends connections after so many frames, `answer` replaces its
reaction to a message, `refuse` names writes that come back as compensating writes.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from realm_sync.core.binding import bind
from realm_sync.core.messages import (
    SUBPROTOCOL,
    Bind,
    Bound,
    Changes,
    Changeset,
    ClientFile,
    Delete,
    Download,
    Error,
    Ident,
    Limits,
    Mark,
    Ping,
    Pong,
    Query,
    Rejected,
    RejectedWrite,
    SubscriptionItem,
    Unbind,
    Unbound,
    Update,
    Upload,
    decode_from_client,
    encode,
)
from realm_sync.core.predicate import compile_predicate
from realm_sync.core.query import parse
from realm_sync.core.schema import Schema

Key = tuple[str, Any]


class File:
    """What the server knows of one client file."""

    def __init__(self, ident: int) -> None:
        self.ident = ident
        self.client_version = 0
        self.query_version = 0
        self.subscriptions: list[SubscriptionItem] = []


class FakeServer:
    """`with FakeServer(schema) as server:`; `server.put("Airfield", {...})` writes as another user would."""

    def __init__(self, schema: Schema, part_size: int = 1000) -> None:
        self.schema, self.part_size = schema, part_size
        self.objects: dict[Key, dict[str, Any]] = {}
        self.log: list[tuple[int, Key, dict[str, Any] | None]] = []
        """Version, object, the image since then."""
        self.version = 0
        self.epoch = "first"
        self.files: dict[int, File] = {}
        self.limits = Limits(max_message_bytes=700_000, max_subscriptions=100, max_query_bytes=262144, window=8)
        self.received: list[Any] = []
        """Every message from clients."""
        self.drop_after: int | None = None
        self.answer: Callable[[Any], Any] = lambda message: None
        """Returns the message to send instead of reacting, or "drop"."""
        self.refuse: Callable[[str, Any], str | None] = lambda cls, op: None
        self.lingers = False
        """After `unbound` the websocket stays, for another session."""
        self.accepted = 0
        self.connections: dict[ServerConnection, Connection] = {}
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def __enter__(self) -> FakeServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.call(self._give_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._ready.set)
        self._loop.run_forever()

    def call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def start(self) -> None:
        if not self._thread.is_alive():
            self._thread.start()
            self._ready.wait(5)

        async def listen() -> None:
            self._server = await serve(
                self._serve, "127.0.0.1", self.port, subprotocols=[SUBPROTOCOL], max_size=None, ping_interval=None
            )
            self.port = self._server.sockets[0].getsockname()[1]

        self.call(listen())

    def stop(self) -> None:
        """Unreachable from now on; `start` again on the same port."""

        async def close() -> None:
            self._server.close(close_connections=False)
            for socket in list(self.connections):
                socket.transport.abort()
            await self._server.wait_closed()

        self.call(close())

    async def _give_up(self) -> None:
        """Connections that were still being made when the server stopped."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- writing as somebody else ------------------------------------------------------------------------------------

    def put(self, class_name: str, image: dict[str, Any]) -> None:
        self.call(self._write_all([((class_name, image["_id"]), image)]))

    def put_all(self, class_name: str, images: list[dict[str, Any]]) -> None:
        self.call(self._write_all([((class_name, image["_id"]), image) for image in images]))

    def erase(self, class_name: str, key: Any) -> None:
        self.call(self._write_all([((class_name, key), None)]))

    def image(self, class_name: str, key: Any) -> dict[str, Any] | None:
        return self.objects.get((class_name, key))

    async def _write_all(self, writes: list[tuple[Key, dict[str, Any] | None]]) -> None:
        for key, image in writes:
            self._write(key, image)
        await self._publish()

    def _write(self, key: Key, image: dict[str, Any] | None) -> None:
        self.version += 1
        self.log.append((self.version, key, image))
        if image is None:
            self.objects.pop(key, None)
        else:
            cls = self.schema[key[0]]
            self.objects[key] = {name: image.get(name) for name in cls.properties}

    async def _publish(self) -> None:
        for connection in list(self.connections.values()):
            await connection.catch_up()

    async def _serve(self, socket: ServerConnection) -> None:
        connection = self.connections[socket] = Connection(self, socket)
        self.accepted += 1
        try:
            frames = 0
            async for frame in socket:
                frames += 1
                message = decode_from_client(frame)
                self.received.append(message)
                instead = self.answer(message)
                if instead == "drop" or (self.drop_after is not None and frames > self.drop_after):
                    socket.transport.abort()
                    return
                if instead is not None:
                    for each in instead if isinstance(instead, list) else [instead]:
                        await connection.send(each)
                    if not isinstance(instead, list) and isinstance(instead, Error):
                        return
                    continue
                if not await connection.react(message):
                    if not (self.lingers and isinstance(message, Unbind)):
                        return
                    connection = self.connections[socket] = Connection(self, socket)
        except ConnectionClosed:
            pass
        finally:
            del self.connections[socket]


class Connection:
    """One session."""

    def __init__(self, server: FakeServer, socket: ServerConnection) -> None:
        self.server, self.socket = server, socket
        self.file: File | None = None
        self.at = 0
        self.view = 0
        self.held: set[Key] = set()
        """Keys the client holds, as far as this session knows."""

    async def send(self, message: Any) -> None:
        await self.socket.send(encode(message))

    async def react(self, message: Any) -> bool:
        server = self.server
        match message:
            case Bind():
                return await self.bind(message)
            case Query(query_version=query_version, subscriptions=subscriptions):
                assert self.file is not None
                self.file.query_version, self.file.subscriptions = query_version, list(subscriptions)
                await self.bootstrap()
            case Upload(changesets=changesets):
                for changeset in changesets:
                    await self.integrate(changeset)
                if changesets:
                    await server._publish()
            case Mark(request_ident=ident):
                await self.catch_up()
                await self.send(Mark(request_ident=ident))
            case Ping(timestamp=timestamp):
                await self.send(Pong(timestamp=timestamp))
            case Unbind():
                await self.send(Unbound())
                return False
        return True

    async def bind(self, message: Bind) -> bool:
        server = self.server
        if message.client_file is None:
            ident = len(server.files) + 1
            self.file = server.files[ident] = File(ident)
            await self.send(Ident(client_file=ClientFile(ident=ident, salt=str(ident * 7))))
        else:
            self.file = server.files.get(message.client_file.ident)
            if self.file is None or message.epoch != server.epoch:
                code = "BadClientFileIdent" if self.file is None else "DivergingHistories"
                await self.send(Error(code=code, message="Start over.", fatal=True, action="reset"))
                return False
        assert self.file is not None
        self.at, self.view = message.progress.server_version, message.progress.view
        await self.send(
            Bound(
                epoch=server.epoch, server_version=server.version, client_version=self.file.client_version,
                query_version=self.file.query_version, server_time=0, schema=list(server.schema), limits=server.limits,
            )
        )  # fmt: skip
        if self.file.query_version > message.progress.query_version:
            await self.bootstrap()
        elif message.progress.query_version:
            self.held = {key for _, key, _ in server.log}
            await self.catch_up()
        return True

    def visible(self) -> dict[Key, dict[str, Any]]:
        assert self.file is not None
        found: dict[Key, dict[str, Any]] = {}
        for item in self.file.subscriptions:
            cls = self.server.schema[item.class_name]
            matches = compile_predicate(
                bind(parse(item.query), cls, self.server.schema).predicate, cls, self.server.schema
            )
            for key, image in self.server.objects.items():
                if key[0] == item.class_name and matches(image):
                    found[key] = image
        return found

    async def bootstrap(self) -> None:
        """Everything in view, in parts; and erase what no longer is."""
        visible = self.visible()
        puts = list(visible.items())
        gone = [key for key in {key for _, key, _ in self.server.log} if key not in visible]
        self.at, self.held = self.server.version, set(visible)
        self.view += 1
        size = self.server.part_size
        batches = [puts[at : at + size] for at in range(0, len(puts), size)] or [[]]
        for number, batch in enumerate(batches, 1):
            last = number == len(batches)
            changes = changes_of(
                [(key, image) for key, image in batch] + ([(key, None) for key in gone] if last else [])
            )
            await self.send(self.download("last" if last else "more", changes, number / len(batches)))

    async def catch_up(self) -> None:
        assert self.file is not None
        if not self.file.query_version:
            return
        news = {key: image for version, key, image in self.server.log if version > self.at}
        self.at = self.server.version
        visible = self.visible()
        writes = [(key, visible.get(key)) for key in news if key in visible or key in self.held]
        self.held |= set(visible)
        if writes or self.acknowledged != self.file.client_version:
            await self.send(self.download("steady", changes_of(writes), 1.0))

    acknowledged = 0

    def download(self, state: Any, changes: list[Changes], progress: float) -> Download:
        assert self.file is not None
        self.acknowledged = self.file.client_version
        return Download(
            query_version=self.file.query_version, batch_state=state, server_version=self.at,
            client_version=self.file.client_version, progress=progress, view=self.view, changes=changes,
        )  # fmt: skip

    async def integrate(self, changeset: Changeset) -> None:
        assert self.file is not None
        if changeset.client_version <= self.file.client_version:
            return
        refused = []
        for step in changeset.instructions:
            key = (step.class_name, step.id)
            reason = self.server.refuse(step.class_name, step)
            old = self.server.objects.get(key)
            if reason:
                refused.append(
                    RejectedWrite(class_name=step.class_name, id=step.id, code="WriteNotAllowed", reason=reason)
                )
                self.server._write(key, old)
            elif isinstance(step, Delete):
                self.server._write(key, None)
            elif not isinstance(step, Update) or old is not None:
                self.server._write(key, {**(old or {}), **step.values, "_id": step.id})
        self.file.client_version = changeset.client_version
        if refused:
            await self.send(Rejected(client_version=changeset.client_version, writes=refused))


def changes_of(writes: list[tuple[Key, dict[str, Any] | None]]) -> list[Changes]:
    classes: dict[str, tuple[list[dict[str, Any]], list[Any]]] = {}
    for (class_name, key), image in writes:
        put, erase = classes.setdefault(class_name, ([], []))
        if image is None:
            erase.append(key)
        else:
            put.append(json.loads(json.dumps(image)))
    return [Changes(class_name=name, put=put, erase=erase) for name, (put, erase) in classes.items()]
