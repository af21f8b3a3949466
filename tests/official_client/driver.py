"""The model client on a real websocket: log-in over HTTP, one connection, any number of realm files on it.

    async with OfficialClient(server.url, ("nora@example.org", "pw")) as client:
        await client.subscribe({"Inspection": "TRUEPREDICATE"})
        with client.write() as transaction:
            transaction.set("Inspection", key, "title", "…")
        await client.uploaded()

Every frame passes the checker, both ways. What would kill a real client is raised by whatever is awaited next.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from realm_sync.core.device_sync.frames import FromServer, JsonError, Ping, Pong
from realm_sync.core.device_sync.instructions import AnyInstruction

from .checker import ConnectionChecker, error_body
from .client import COMPLETE, ERROR, RealmFile, ServerError, Session
from .store import plain
from .wire import encode_from_client
from .writes import Transaction, payload

FLEXIBLE = "com.mongodb.realm-query-sync#"
PARTITION = "com.mongodb.realm-sync#"
VERSIONS = range(14, 1, -1)
EPOCH = 1_420_070_400_000
"""Of wire timestamps: 2015-01-01 in milliseconds since 1970."""
TIMEOUT = 15


class SyncFailed(AssertionError):
    """The server ended the session for good, or refused a query."""


class Login:
    """A logged-in user."""

    def __init__(self, url: str, credentials: tuple[str, str] | None, app_id: str = "realm-sync") -> None:
        """`credentials`: user name and password; None logs in anonymously."""
        self.app = f"{url}/api/client/v2.0/app/{app_id}"
        location = self.call("GET", f"{self.app}/location")
        self.base = f"{location['hostname']}/api/client/v2.0"
        if credentials is None:
            provider, body = "anon-user", {"provider": "anon-user"}
        else:
            provider = "local-userpass"
            body = {"provider": provider, "username": credentials[0], "password": credentials[1]}
        device = {"options": {"device": {"appId": app_id, "sdk": "Realm model", "platform": "test"}}}
        reply = self.call("POST", f"{self.app}/auth/providers/{provider}/login", body | device)
        self.access, self.refresh, self.user_id = reply["access_token"], reply["refresh_token"], reply["user_id"]
        self.profile = self.call("GET", f"{self.base}/auth/profile", token=self.access)
        self.websocket = f"{location['ws_hostname']}/api/client/v2.0/app/{app_id}/realm-sync"

    def call(self, method: str, url: str, body: Any = None, token: str = "") -> Any:
        headers = {"Accept": "application/json", "Content-Type": "application/json;charset=utf-8"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as reply:
            return json.loads(reply.read() or b"null")


class OfficialClient:
    """An app of an official SDK with one realm open."""

    def __init__(
        self,
        url: str,
        credentials: tuple[str, str] | None = None,
        schema: list[AnyInstruction] | None = None,
        *,
        file: RealmFile | None = None,
        partition: Any = None,
        app_id: str = "realm-sync",
        reset: str = "recover",
    ) -> None:
        """`schema`: the app's classes, declared once the first download is there; None: those of the server. `file`: of
        an earlier client. `partition`: opens the realm with partition sync. `reset`: "recover", "discard" or "manual"."""
        self.url, self.credentials, self.schema, self.app_id, self.reset_mode = url, credentials, schema, app_id, reset
        partition_text = None if partition is None else json.dumps(partition)
        self.file = file or RealmFile(lambda: int(time.time() * 1000) - EPOCH, partition_text)
        self.login: Login | None = None
        self.newest_local: dict[int, int] = {}
        self.errors: list[ServerError] = []
        """Those that ended a session or told of undone writes, oldest first."""
        self.resets = 0
        self.session = Session(self.file)
        self._fresh: Session | None = None
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._checker = ConnectionChecker(self.newest_local)
        self._changed = asyncio.Condition()
        self._sending = asyncio.Lock()
        self._failure: BaseException | None = None
        self._pong = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- connection

    async def __aenter__(self) -> OfficialClient:
        await self.connect()
        await self.downloaded()
        if self.schema is not None:
            self.file.declare(self.schema)
            await self.pump()
        return self

    async def __aexit__(self, kind: Any, *_: Any) -> None:
        await self.disconnect()
        if kind is None and self._failure is not None:
            raise self._failure

    async def connect(self, uploads_wait: bool = True) -> None:
        """Logs in if need be, opens the websocket and binds. `uploads_wait=False`: as after a fast reconnect."""
        if self.login is None:
            self.login = await asyncio.to_thread(Login, self.url, self.credentials, self.app_id)
        prefix = FLEXIBLE if self.file.partition is None else PARTITION
        self._socket = await connect(
            f"{self.login.websocket}?baas_at={self.login.access}",
            subprotocols=[Subprotocol(f"{prefix}{version}") for version in VERSIONS],
            user_agent_header="RealmSync/14.13.5 (Linux) RealmJS/12.14.1",
            compression=None,
            origin=None,
            ping_interval=None,
            max_size=None,
        )
        assert self._socket.subprotocol == f"{prefix}14", f"the subprotocol is {self._socket.subprotocol}"
        self._checker = ConnectionChecker(self.newest_local)
        self.session = Session(self.file, uploads_wait=uploads_wait)
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.pump()

    async def disconnect(self) -> None:
        """The connection breaks; the file stays."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None
        if self._socket is not None:
            self._socket.transport.abort()
            self._socket = None

    async def reconnect(self, uploads_wait: bool = False) -> None:
        await self.disconnect()
        await self.connect(uploads_wait)

    async def unbind(self) -> None:
        """Ends the session in good order; the connection stays."""
        self.session.unbind()
        await self.pump()
        await self.until(lambda: self.session.is_ended)

    async def rebind(self) -> None:
        """A new session of the file on this connection, under the next number."""
        self.session = Session(self.file, self.session.session + 1, uploads_wait=False)
        await self.pump()

    async def ping(self) -> None:
        """Sends a PING and waits for its PONG."""
        self._pong.clear()
        await self._send_frame(Ping(int(time.monotonic() * 1000), 0))
        await asyncio.wait_for(self._pong.wait(), TIMEOUT)

    async def pump(self) -> None:
        """Sends what there is to say."""
        with suppress(ConnectionClosed):
            for session in (self.session, self._fresh):
                if session is not None:
                    for message in session.outgoing():
                        await self._send_frame(message)

    async def _send_frame(self, message: Any) -> None:
        if self._socket is not None:
            frame = encode_from_client(message)
            self._checker.sent(frame)
            async with self._sending:
                await self._socket.send(frame)

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for frame in socket:
                await self._take(self._checker.received(frame))
        except ConnectionClosed:
            pass
        except asyncio.CancelledError:
            raise
        except BaseException as failure:
            self._failure = failure
        async with self._changed:
            self._changed.notify_all()

    async def _take(self, message: FromServer) -> None:
        if isinstance(message, Pong):
            self._pong.set()
        elif isinstance(message, JsonError) and not message.session:
            body = error_body(message)
            self.errors.append(ServerError(message.code, body["action"], body["message"], not body["tryAgain"], body))
        else:
            sessions = [each for each in (self.session, self._fresh) if each and each.session == message.session]
            for session in sessions:
                session.receive(message)
                if isinstance(message, JsonError):
                    self.errors.append(session.errors[-1])
        await self.pump()
        await self._after_suspension()
        async with self._changed:
            self._changed.notify_all()

    async def _after_suspension(self) -> None:
        """What the client does by itself about an error."""
        session = self.session
        if not (session.is_suspended and session.is_ended):
            return
        error = session.errors[-1]
        if error.action in ("ClientReset", "ClientResetNoRecovery") and self.reset_mode != "manual":
            if self._fresh is None:
                task = asyncio.create_task(self._reset())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        elif not error.is_fatal:
            self.session = Session(self.file, session.session, uploads_wait=False)
            await self.pump()

    async def _reset(self) -> None:
        """A client reset: a new file downloads everything, then the old one takes it over."""
        file = RealmFile(self.file.clock, self.file.partition)
        fresh = self._fresh = Session(file, self.session.session + 1, uploads=False, is_reset=True)
        await self.pump()
        await self.until(lambda: fresh.is_downloaded)
        if file.partition is None:
            file.subscribe(self.file.active.queries)
            await self.pump()
            await self.until(lambda: file.newest.state == COMPLETE)
        fresh.unbind()
        await self.pump()
        await self.until(lambda: fresh.is_ended)
        self.file.reset(file, self.reset_mode == "recover")
        self._fresh = None
        self.resets += 1
        self.session = Session(self.file, fresh.session + 1, is_reset=True)
        await self.pump()

    # --- the app

    @contextmanager
    def write(self, timestamp: int | None = None) -> Iterator[Transaction]:
        """A local write transaction; it is sent soon after."""
        with self.file.write(timestamp) as transaction:
            yield transaction
        task = asyncio.get_running_loop().create_task(self.pump())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def subscribe(self, queries: Mapping[str, str], wait: bool = True) -> int:
        """Replaces the subscriptions. SyncFailed with the server's text if it refuses them."""
        version = self.file.subscribe(queries)
        await self.pump()
        if wait:
            await self.until(lambda: self.file.newest.state in (COMPLETE, ERROR))
            if self.file.newest.state == ERROR:
                raise SyncFailed(self.file.newest.error)
        return version

    async def downloaded(self) -> None:
        """Returns when everything that exists on the server now is here."""
        mark = self.session.request_mark()
        await self.pump()
        session = self.session
        await self.until(lambda: session.mark_received >= mark or self.session is not session)
        if self.session is not session:
            await self.downloaded()

    async def uploaded(self) -> None:
        """Returns when the server has confirmed everything written here."""
        await self.pump()
        await self.until(lambda: self.file.is_uploaded)

    async def until(self, predicate: Callable[[], bool], timeout: float = TIMEOUT) -> None:
        """Waits for it. Raises what killed the client, or SyncFailed if the session has ended for good."""

        def is_over() -> bool:
            return predicate() or self._failure is not None or (self._is_dead() and self._fresh is None)

        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(is_over), timeout)
            except TimeoutError:
                raise SyncFailed(f"nothing came of it in {timeout} s: {self.file.progress}, {self.errors}") from None
        if self._failure is not None:
            raise self._failure
        if not predicate():
            raise SyncFailed(f"the session is over: {self.errors}")

    def _is_dead(self) -> bool:
        error = self.session.errors[-1] if self.session.errors else None
        if error is not None and self.session.is_suspended and error.is_fatal:
            return "ClientReset" not in error.action or self.reset_mode == "manual"
        return self._reader is None or self._reader.done()

    def key(self, class_name: str, key: Any) -> Any:
        """A primary key as `objects` has it."""
        return payload(self.file.store.table(class_name).definition.key_type, key)

    def objects(self, class_name: str) -> dict[Any, dict[str, Any]]:
        """What the file holds of a class, as plain values: `(type, value)`, None, lists and dicts of them."""
        return {key: plain(values) for key, values in self.file.store.objects.get(class_name, {}).items()}
