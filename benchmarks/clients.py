"""Clients that cost next to nothing, so that what is measured is the server.

`RawClient` speaks the protocol over `websockets` and decodes only the head of a download; `Receiver` is a socket that
counts frames and acknowledges them as a client file would, two hundred to a process.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect

from realm_sync.core import messages as m

ROUTE = "/api/client/v2.0/app/realm-sync/realm-sync"
_HEAD = re.compile(r'"queryVersion":(\d+),"batchState":"(\w+)","serverVersion":(\d+),"clientVersion":(\d+)')
_CREATED = "2026-01-01T00:00:00.000000Z"


def query(*queries: str) -> m.Query:
    """A subscription set of `Class: query` texts."""
    items = []
    for number, text in enumerate(queries):
        class_name, _, condition = text.partition(": ")
        items.append(
            m.SubscriptionItem(
                id=f"{number:024}", class_name=class_name, query=condition, created_at=_CREATED, updated_at=_CREATED
            )
        )
    return m.Query(query_version=1, subscriptions=items)


class RawClient:
    """A client file without a file: counts, acknowledges and forgets what it is sent."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.bytes = self.frames = 0
        self.query_version = self.server_version = self.client_version = 0
        self.last = ""

    async def send(self, message: m.Message) -> None:
        await self._socket.send(m.encode(message))

    async def bind(self, token: str) -> None:
        await self.send(m.Bind(token=token))
        while not isinstance(m.decode_from_server(await self._socket.recv()), m.Bound):
            pass

    async def subscribe(self, *queries: str) -> None:
        """Subscribes and receives the bootstrap."""
        await self.send(query(*queries))
        # The first bootstrap, of query version 0, is that of a file without subscriptions.
        while await self.download() != "last" or not self.query_version:
            pass

    async def download(self) -> str:
        """Receives one download; its batch state."""
        while True:
            frame = str(await self._socket.recv())
            head = _HEAD.search(frame, 0, 200)
            if head is None:
                assert '"type":"error"' not in frame, frame
                continue
            self.frames += 1
            self.bytes += len(frame)
            self.last = frame
            query_version, state, version, client_version = head.groups()
            self.query_version = int(query_version)
            if state != "more":
                self.server_version, self.client_version = int(version), int(client_version)
            if state == "last" or self.frames % 16 == 0:
                await self.send(m.Upload(received=self.frames))
            return state

    async def until(self, text: str) -> None:
        """Receives downloads until one contains the text."""
        while text not in self.last:
            await self.download()

    async def upload(self, changesets: list[m.Changeset]) -> None:
        await self.send(m.Upload(changesets=changesets, received=self.frames))

    async def until_integrated(self, client_version: int) -> None:
        while self.client_version < client_version:
            await self.download()


@asynccontextmanager
async def raw_client(port: int, token: str) -> AsyncIterator[RawClient]:
    """A bound client. Uncompressed, as Daphne does not compress."""
    url = f"ws://127.0.0.1:{port}{ROUTE}"
    async with connect(
        url, subprotocols=[m.SUBPROTOCOL], compression=None, max_size=None, ping_interval=None
    ) as socket:
        client = RawClient(socket)
        await client.bind(token)
        yield client


class Receiver(asyncio.Protocol):
    """A websocket of the smallest kind: counts the frames it gets and keeps the last one."""

    def __init__(self, path: str, acknowledge: bool) -> None:
        self._path, self._acknowledge = path, acknowledge
        self._buffer = b""
        self._opened = False
        self._arrived = asyncio.Event()
        self._downloads = 0
        self.frames = self.bytes = 0
        self.last = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {m.SUBPROTOCOL}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._opened:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = buffer
                return
            assert buffer.startswith(b"HTTP/1.1 101"), buffer
            self._opened, buffer = True, buffer[end + 4 :]
            self._arrived.set()
        start, size = 0, len(buffer)
        while size - start >= 2:
            length, head = buffer[start + 1], 2
            if length == 126:
                head = 4
                if size - start < head:
                    break
                length = int.from_bytes(buffer[start + 2 : start + 4], "big")
            elif length == 127:
                head = 10
                if size - start < head:
                    break
                length = int.from_bytes(buffer[start + 2 : start + 10], "big")
            if size - start < head + length:
                break
            if buffer[start] & 15 == 1:
                self._count(buffer[start + head : start + head + length])
            start += head + length
        self._buffer = buffer[start:]
        self._arrived.set()

    def _count(self, payload: bytes) -> None:
        self.frames += 1
        self.bytes += len(payload)
        self.last = payload
        if self._acknowledge and payload.startswith(b'{"type":"download"'):
            self._downloads += 1
            # As core/client_session.py does: after half a window, and at the end of a bootstrap.
            if self._downloads % 16 == 0 or b'"batchState":"last"' in payload[:80]:
                self.send(m.encode(m.Upload(received=self._downloads)))

    def send(self, text: str) -> None:
        """A text frame with an all-zero mask."""
        data = text.encode()
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self.transport.write(b"\x81" + size + bytes(4) + data)

    async def until(self, text: bytes) -> None:
        """Waits for a frame that contains the text."""
        while text not in self.last:
            await self.more()

    async def opened(self) -> None:
        while not self._opened:
            await self.more()

    async def more(self) -> None:
        """Waits until anything arrives."""
        self._arrived.clear()
        await self._arrived.wait()


@asynccontextmanager
async def receivers(port: int, path: str, count: int, acknowledge: bool) -> AsyncIterator[list[Receiver]]:
    """That many open websockets, in this process."""
    loop = asyncio.get_running_loop()
    opened: list[Receiver] = []
    try:
        for _ in range(count):
            _, receiver = await loop.create_connection(lambda: Receiver(path, acknowledge), "127.0.0.1", port)
            opened.append(receiver)
            await receiver.opened()
        yield opened
    finally:
        for receiver in opened:
            receiver.transport.close()
