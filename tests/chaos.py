"""What tests of faults need: the smallest client over a real socket, and a TCP proxy that mistreats what passes.

    async with SocketWire(server.url, token) as wire: …      # tests/wire.py, but through a server process
    with Proxy(server.port) as proxy:                        # clients connect to proxy.url
        proxy.delay, proxy.piece = 0.01, 7                   # slow, and in pieces of 7 bytes
        proxy.cut_after(5000)                                # and gone in the middle of something

    with Cables(server.port) as cables:                      # a cable to each client, by number
        cables.url(3); cables.mend()                         # number 3 is pulled after 3 messages, until it is mended

The proxy knows TCP only, so that it can do what networks do: delay, split, lose, stall, and deliver twice. Cables know
websocket messages.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from realm_sync.core import messages as m
from tests.postgres import free_port
from tests.wire import TIMEOUT, Wire

APP = "realm-sync"


def until(condition: Callable[[], Any], what: str = "it", seconds: float = 20) -> Any:
    """Waits until the condition holds; its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:g} s"
        time.sleep(0.02)
    return value


async def eventually(condition: Callable[[], Any], what: str = "it", seconds: float = 20) -> Any:
    """The same, for coroutines: `condition` runs in a thread."""
    return await asyncio.to_thread(until, condition, what, seconds)


def log_in(url: str, name: str = "nora") -> dict[str, Any]:
    """Logs in over HTTP, as every client does; `access_token` and more."""
    login = f"{url}/api/client/v2.0/app/{APP}/auth/providers/local-userpass/login"
    body = json.dumps({"username": name, "password": "pw"}).encode()
    with urlopen(Request(login, body, {"Content-Type": "application/json"}), timeout=20) as response:
        answer: dict[str, Any] = json.loads(response.read())
    return answer


def delete(url: str, token: str) -> None:
    """An HTTP DELETE by the owner of a token; raises unless it succeeds."""
    request = Request(url, headers={"Authorization": f"Bearer {token}"}, method="DELETE")
    urlopen(request, timeout=20).close()


def token_of(url: str, name: str = "nora") -> str:
    return str(log_in(url, name)["access_token"])


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def sync_url(url: str, app: str = APP) -> str:
    return f"{url.replace('http', 'ws', 1)}/api/client/v2.0/app/{app}/realm-sync"


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no memory of process {pid}")


class SocketWire(Wire):
    """A Wire whose session is in another process. `before` goes on where another one was, perhaps at another server."""

    def __init__(
        self,
        url: str,
        token: str | None,
        before: Wire | None = None,
        headers: dict[str, str] | None = None,
        **bind: Any,
    ) -> None:
        super().__init__(None, before, token=token, **bind)
        self._url, self._headers = sync_url(url), headers
        self._outgoing: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.reads = asyncio.Event()
        """Clear it, and nothing is read from the socket any more."""
        self.reads.set()

    async def __aenter__(self) -> SocketWire:
        self.socket: ClientConnection = await connect(
            self._url,
            subprotocols=[m.SUBPROTOCOL],  # type: ignore[list-item]
            additional_headers=self._headers,
            max_size=None,
            ping_interval=None,
            close_timeout=1,
        )
        self._task = asyncio.create_task(self._converse())
        self.bind()
        return self

    def send(self, message: m.Message | str | bytes | None) -> None:
        self._outgoing.put_nowait(m.encode(message) if isinstance(message, m.Message) else message or b"\x00")

    async def _converse(self) -> None:
        writer = asyncio.create_task(self._write())
        try:
            while True:
                await self.reads.wait()
                frame = await self.socket.recv()
                assert isinstance(frame, str), "the server sends text frames only"
                await self._take(frame)
        except ConnectionClosed:
            async with self._changed:
                self._changed.notify_all()
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.socket.send(await self._outgoing.get())

    async def closed(self) -> int | None:
        """Waits until the server has closed the socket; the close code."""
        await asyncio.wait_for(self.socket.wait_closed(), TIMEOUT)
        return self.socket.close_code

    async def drop(self) -> None:
        self.socket.transport.abort()
        await super().drop()
        await self.socket.wait_closed()


class Proxy:
    """A TCP proxy on a port of its own, in a thread of its own. Change its attributes at any time."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.delay = 0.0
        """Seconds that every piece waits."""
        self.piece = 65536
        """Bytes that are passed on at a time."""
        self.refuses = False
        """New connections are closed at once: the network is down."""
        self.duplicates = False
        """What clients of new connections send is delivered to the server twice, on two connections; the answers on
        the second are lost."""
        self.passed = {"up": 0, "down": 0, "lost": 0}
        """Bytes so far; up is to the server."""
        self.lost = bytearray()
        """The answers to duplicates. Frames of a server are not masked, so messages can be found in them."""
        self._cut_at = dict.fromkeys(self.passed, float("inf"))
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: Any) -> None:
        self.cut()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Every connection is gone, without a farewell."""
        self._loop.call_soon_threadsafe(self._abort)

    def cut_after(self, count: int, direction: str = "down") -> None:
        """Every connection is gone once so many more bytes have passed in that direction."""
        self._cut_at[direction] = self.passed[direction] + count

    @property
    def has_cut(self) -> bool:
        """Whether what `cut_after` asked for has happened."""
        return all(limit == float("inf") for limit in self._cut_at.values())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            ways = [await asyncio.open_connection("127.0.0.1", self.target) for _ in range(1 + self.duplicates)]
        except OSError:
            writer.transport.abort()
            return
        self._writers.update(up for _, up in ways)
        pumps = [self._pump("up", reader, *(up for _, up in ways)), self._pump("down", ways[0][0], writer)]
        pumps += [self._pump("lost", down) for down, _ in ways[1:]]
        tasks = [asyncio.ensure_future(pump) for pump in pumps]
        with contextlib.suppress(asyncio.CancelledError):  # the test is over
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        for each in [writer, *(up for _, up in ways)]:
            with contextlib.suppress(OSError):
                each.close()
            self._writers.discard(each)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, direction: str, reader: asyncio.StreamReader, *writers: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(self.piece):
                if self.delay:
                    await asyncio.sleep(self.delay)
                left = self._cut_at[direction] - self.passed[direction]
                self.passed[direction] += len(data)
                if not writers:
                    self.lost += data
                for writer in writers:
                    writer.write(data[: int(min(left, len(data)))])
                    await writer.drain()
                if len(data) >= left:
                    self._cut_at[direction] = float("inf")
                    await asyncio.sleep(0.01)  # let the half that was passed on arrive
                    self._abort()
                    return


class Cables:
    """Websocket proxies in one thread, made when they are asked for: number *n* loses its first connection once *n*
    messages have passed, in whichever direction, and is dead until `mend`. The handshake of the socket counts as none."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.passed: dict[int, int] = {}
        """Messages of the first connection, by number."""
        self.is_mended = False
        self._first: dict[int, ServerConnection] = {}
        self._servers: list[Any] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Cables:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def url(self, number: int) -> str:
        """A base URL whose websockets go through a new cable of this number."""
        port = free_port()

        async def start() -> None:
            async def handle(client: ServerConnection) -> None:
                await self._connected(number, client)

            subprotocols: Any = [m.SUBPROTOCOL]
            self._servers.append(
                await serve(handle, "127.0.0.1", port, subprotocols=subprotocols, max_size=None, ping_interval=None)
            )

        asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)
        return f"http://127.0.0.1:{port}"

    def mend(self) -> None:
        self.is_mended = True

    def is_pulled(self, number: int) -> bool:
        return self.passed.get(number, 0) > number

    async def _end(self) -> None:
        for server in self._servers:
            for client in server.connections:
                client.transport.abort()
            server.close()
            await server.wait_closed()

    async def _connected(self, number: int, client: ServerConnection) -> None:
        self._first.setdefault(number, client)
        if self._first[number] is not client and not self.is_mended:
            client.transport.abort()
            return
        url, subprotocols = f"ws://127.0.0.1:{self.target}{client.request.path}", [m.SUBPROTOCOL]
        async with connect(url, subprotocols=subprotocols, max_size=None, ping_interval=None) as up:  # type: ignore[arg-type]
            pumps = [self._pump(number, client, client, up), self._pump(number, client, up, client)]
            tasks = [asyncio.ensure_future(pump) for pump in pumps]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in (client, up):
                each.transport.abort()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, number: int, client: ServerConnection, source: Any, target: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in source:
                if self._first[number] is client:
                    passed = self.passed[number] = self.passed.get(number, 0) + 1
                    if passed > number:
                        return
                await target.send(message)
