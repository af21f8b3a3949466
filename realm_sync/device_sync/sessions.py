"""Sessions of the official SDKs: the driver that performs what core/device_sync/session.py decides, for any transport.

A websocket is one `DeviceConnection` with several sessions at a time, one per realm file. Its messages are handled in
order, database work in the pool of threads that all sessions share; pings are answered out of turn. Each session has a
task of its own, the pump, which makes bootstraps and downloads: so a long bootstrap stops neither pings nor uploads. The
feed only says that there is something for the session; the pump then reads it from the history, because what a client of
this kind is told depends on what it has done itself (core/device_sync/doubt.py).

Whoever sends too fast waits (`receive` does, where the server passes that on); whoever reads too slowly gets fewer and
larger downloads (core/device_sync/session.py, `room`). Knows neither Channels nor ASGI.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from django.contrib.auth import get_user_model
from django.db import DatabaseError, InterfaceError, connections

from .. import access, auth, feed, history, subscriptions
from ..conf import settings
from ..core.device_sync import frames
from ..core.device_sync import session as core
from ..core.device_sync.errors import WIRE_ERRORS, DeviceSyncError
from ..core.errors import WIRE_ERRORS as ENGINE_ERRORS
from ..core.errors import ProtocolError, QueryError
from ..core.views import View
from ..downloads import Advance
from ..models import Change, SubscriptionSet
from ..registry import registry
from ..subscriptions import Views
from ..threads import session_threads
from . import downloads, files, uploads
from .downloads import Transfer

logger = logging.getLogger("realm_sync.device_sync")

NORMAL = 1000
"""Closes without a word: the client reconnects by itself, and its app hears nothing of it."""
REFRESH_TOKEN = 4001
"""Has the client refresh its access token over HTTP, which may tell it to log in again, and reconnect."""
REFUSAL_SECONDS = 0.5
"""How long a token that proves nothing waits for its refusal. The SDK refreshes and reconnects without any back-off: were
a process unable to check tokens that another one issues, each client would try some 300 times a second."""
INBOX = 256
INBOX_BYTES = 16 << 20
"""How much may wait to be handled. One message more is taken, however large."""
OUTBOX_BYTES = 4 << 20
"""Downloads wait while more than this is queued on their connection."""
OUTBOX = 1024
"""Messages wait while as many frames are queued: whoever reads nothing is answered nothing."""
LARGE = 1 << 20
"""Bytes of a message that Daphne refuses to send unless it is told otherwise."""
NOTE_SECONDS = 30
"""How often the version that a live file holds is written to its row, for the admin."""


class DeviceConnection:
    """One websocket. Feed it with `receive`, run it with `run`; it calls `send` with binary frames, and returns the close
    code when the socket is to be closed."""

    def __init__(
        self, send: Callable[[bytes], Awaitable[None]], token: str, user_agent: str, *, is_flexible: bool
    ) -> None:
        """`token`: the access token in the URL, which stands for all sessions. Without `is_flexible`: partitions."""
        self._send, self.token, self.user_agent = send, token, user_agent
        limits = frames.Limits(body_bytes=settings.DEVICE_SYNC_MESSAGE_BYTES)
        self.core = core.ServerConnection(is_flexible=is_flexible, limits=limits, window=settings.WINDOW)
        self.threads = session_threads()
        self.who: auth.Authenticated | None = None
        self.heard = time.time()
        self._sessions: dict[core.ServerSession, DeviceSession] = {}
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._arrived, self._taken = asyncio.Event(), asyncio.Event()
        self._outbox: deque[bytes | None] = deque()
        self._outbox_bytes = 0
        self._queued, self._sent = asyncio.Event(), asyncio.Event()
        self._code = NORMAL
        self._is_closing = False

    # --- the transport -----------------------------------------------------------------------------------------------

    async def receive(self, frame: bytes) -> None:
        """A binary frame has come in; `run` handles it in its turn. Returns once there is room for another one: to be
        awaited before the next is read from the socket, so that whoever sends too fast waits."""
        self.heard = time.time()
        if self._is_closing:
            return
        if frame.startswith(b"ping "):
            # Who sends more pings than it reads pongs needs none of them.
            for effect in self.core.receive(frame) if len(self._outbox) < OUTBOX else ():
                self.perform_now(effect)
            return
        while not self._is_closing and (len(self._inbox) >= INBOX or self._inbox_bytes >= INBOX_BYTES):
            self._taken.clear()
            await self._taken.wait()
        self._inbox.append(frame)
        self._inbox_bytes += len(frame)
        self._arrived.set()

    async def run(self) -> int:
        """Handles messages until the connection is over; returns the code to close the socket with. Cancel it if the
        socket closes."""
        sender = asyncio.create_task(self._run_sender())
        handler = asyncio.create_task(self._handle_messages())
        try:
            await sender
        finally:
            self._is_closing = True
            self._taken.set()
            self.core.close()
            handler.cancel()
            await asyncio.gather(sender, handler, return_exceptions=True)
            await asyncio.gather(*(session.leave() for session in list(self._sessions.values())))
        return self._code

    async def _run_sender(self) -> None:
        while True:
            while self._outbox:
                frame = self._outbox.popleft()
                if frame is None:
                    return
                try:
                    await self._send(frame)
                except Exception as error:
                    if len(frame) > LARGE:
                        logger.warning(
                            "A message of %s bytes could not be sent (%s). If that repeats, this server's limit is too "
                            "small for it: see docs/servers.md.",
                            len(frame),
                            error,
                        )
                    raise
                self._outbox_bytes -= len(frame)
                self._sent.set()
            self._queued.clear()
            await self._queued.wait()

    def queue(self, frame: bytes) -> None:
        self._outbox.append(frame)
        self._outbox_bytes += len(frame)
        self._queued.set()

    async def has_room(self) -> None:
        """Returns once so little waits to be sent that more may be made."""
        while self._outbox_bytes > OUTBOX_BYTES:
            self._sent.clear()
            await self._sent.wait()

    def close(self, code: int = NORMAL) -> None:
        """Ends the connection once everything queued is sent."""
        if not self._is_closing:
            self._is_closing, self._code = True, code
            self.core.close()
            self._outbox.append(None)
            self._queued.set()
            self._taken.set()
            self._sent.set()

    def refuse_app(self, app_id: str) -> None:
        """The URL names another app: its developer reads why. (HTTP 403 would log the user out.)"""
        self.fail(DeviceSyncError(101, f"There is no app {app_id!r} on this server, but {settings.APP_ID!r}."), None)

    # --- messages ----------------------------------------------------------------------------------------------------

    async def _handle_messages(self) -> None:
        await self.guard(self._authenticate(), None)
        while not self._is_closing:
            while self._inbox and not self._is_closing:
                frame = self._inbox.popleft()
                await self.guard(self._handle(frame), None)
                self._inbox_bytes -= len(frame)
                self._taken.set()
            self._arrived.clear()
            try:
                # Not wait_for, which in Python 3.11 forgets that it was cancelled if a message comes just then.
                async with asyncio.timeout(settings.IDLE_SECONDS):
                    await self._arrived.wait()
            except TimeoutError:
                if time.time() - self.heard >= settings.IDLE_SECONDS:
                    self.close()

    async def _handle(self, frame: bytes) -> None:
        while len(self._outbox) >= OUTBOX and not self._is_closing:
            self._sent.clear()
            await self._sent.wait()
        if frame.startswith(b"upload "):
            message = await asyncio.to_thread(self.core.read, frame)
            effects = self.core.handle(message)
        else:
            effects = self.core.receive(frame)
        for effect in effects:
            await self._perform(effect)

    async def _authenticate(self) -> None:
        try:
            self.who = await self.threads.run(auth.user_for_access_token, self.token)
        except auth.AuthError as error:
            logger.info("Refused a websocket of an official SDK: %s", error.message)
            await asyncio.sleep(REFUSAL_SECONDS)
            self.close(REFRESH_TOKEN)

    def perform_now(self, effect: core.Effect) -> None:
        """An effect that needs neither the database nor time."""
        if isinstance(effect, core.Send):
            self.queue(effect.frame)
        elif isinstance(effect, core.Close):
            logger.warning("A websocket of an official SDK ends: %s", effect.reason)
            self.close()
        elif isinstance(effect, core.Mute):
            logger.warning("An official SDK could not integrate what it was sent: %r", effect.reason)
        elif isinstance(effect, core.Wake) and effect.session in self._sessions:
            self._sessions[effect.session].wake()
        elif isinstance(effect, core.Leave) and effect.session in self._sessions:
            self._sessions[effect.session].stop()

    async def _perform(self, effect: core.Effect) -> None:
        if isinstance(effect, core.Send | core.Close | core.Wake | core.Mute):
            self.perform_now(effect)
            return
        session = self._sessions.get(effect.session)
        if isinstance(effect, core.Leave):
            if session is not None:
                await session.leave()
                self._sessions.pop(effect.session, None)
            return
        if session is None:
            session = self._sessions[effect.session] = DeviceSession(self, effect.session)
        await self.guard(session.perform(effect), effect.session)

    async def guard(self, work: Awaitable[None], session: core.ServerSession | None) -> None:
        """Whatever goes wrong ends the session, or without one the connection, with a code."""
        try:
            await work
        except DeviceSyncError as error:
            self.fail(error, session)
        except ProtocolError as error:
            self.fail_engine(error, session)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("A session of an official SDK: the database failed: %s", error)
            self.fail(DeviceSyncError(201, "The database could not be used; trying again."), session)
        except Exception:
            logger.exception("A session of an official SDK failed.")
            self.fail(DeviceSyncError(201, "The server failed; its log has the cause."), session)

    def fail(self, error: DeviceSyncError, session: core.ServerSession | None) -> None:
        for effect in self.core.fail(error) if session is None else session.fail(error):
            self.perform_now(effect)

    def fail_engine(self, error: ProtocolError, session: core.ServerSession | None) -> None:
        """An error of the part that all kinds of sessions share."""
        if error.action == "reauthenticate":
            self.close(REFRESH_TOKEN)
            return
        number = ENGINE_ERRORS[error.code].number
        if number < 200 or number not in WIRE_ERRORS:
            number = 200 if error.action == "retry" else 212
        self.fail(DeviceSyncError(number, error.message), session)


Query = tuple[int, dict[str, str]]
"""A query version, and class → RQL."""


class DeviceSession:
    """One session on a connection, which calls `perform` in the order of its client's messages. A `feed.Subscriber`."""

    takes_pieces = False

    def __init__(self, connection: DeviceConnection, session: core.ServerSession) -> None:
        assert connection.who is not None, "messages are handled once the token was checked"
        self.connection, self._core = connection, session
        self._user, self.session_id, self.expires = connection.who
        self.user_pk = self._user.pk
        self._threads = connection.threads
        self._feed = feed.current()
        self._file: files.OpenFile | None = None
        self._access = access.Access({}, {})
        self._views: Views = {}
        """What downloads are cut to."""
        self._query: Query = (0, {})
        """The one in force."""
        self._wanted: tuple[Query, Views] = (self._query, {})
        """The newest query that was accepted, and what it shows: what uploads are judged by."""
        self._accepted: list[Query] = []
        """Those after the one in force, in order: the client waits for a bootstrap of the last that is not refused."""
        self._choosing = asyncio.Lock()
        """Held while `_access` and `_wanted` are computed: access and query may change at the same time."""
        self._access_stale = False
        self._access_as_of = 0
        """Changes of access up to this version are in `_access`."""
        self._bootstrap_due = False
        self._is_discarded = False
        """A bootstrap was made, and not sent; and none since."""
        self._position = 0
        """Whatever concerned the file up to here was queued to it. Beyond what the client was told: for changes that do
        not concern it no download is sent."""
        self._due = 0
        """Up to here there is something for it, or may be."""
        self._look_due = False
        """There may be something above `_due`, as its own upload has just been integrated."""
        self._has_schema = False
        """The client holds the schema of today."""
        self._completing: tuple[int, int] | None = None
        """(query version, version) of a bootstrap that the client has not said it holds."""
        self._noted = time.time()
        self._note_due = False
        self._work, self._passed = asyncio.Event(), asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    @property
    def ident(self) -> int:
        return self._file.ident if self._file else 0

    # --- messages ----------------------------------------------------------------------------------------------------

    async def perform(self, effect: core.Effect) -> None:
        """To be awaited before the next effect of the connection is performed."""
        effects: list[core.Effect] = []
        if isinstance(effect, core.Allocate):
            ident, salt = await self._threads.run(self._allocate)
            effects = self._core.allocated(ident, salt)
        elif isinstance(effect, core.Open):
            effects = await self._open(effect.ident)
        elif isinstance(effect, core.Subscribe):
            effects = await self._subscribe((effect.query_version, effect.query))
        elif isinstance(effect, core.Integrate):
            await self._integrate(effect.upload)
        elif isinstance(effect, core.FindNewest):
            newest = await self._threads.run(_latest)
            effects = self._core.newest(effect.request, newest)
            self._feed.await_version(newest, self)
        for follow in effects:
            self.connection.perform_now(follow)

    async def _open(self, ident: frames.Ident) -> list[core.Effect]:
        known = self._feed.version
        file = await self._threads.run(self._open_file, ident)
        _claim(file.ident, self)
        self._file, self._has_schema = file, file.schema_known
        await self._feed.join(self)
        # The feed tells of changed access from here on; it may have passed one since access was computed.
        self._access_stale = self._feed.version != known
        self._position = file.server_version
        self._bootstrap_due = not file.schema_known or dict(self._wanted[1]) != dict(self._views)
        if not self._bootstrap_due:
            # It holds what its query selects, whatever was noted of that set: the client may have said so to nobody, or
            # have taken over another file at a client reset.
            self._completing = self._query[0], file.server_version
        opened = core.Opened(files.wire_ident(file.ident), file.salt, file.client_version, file.upload_server)
        self._pump = asyncio.create_task(self._run_pump())
        return self._core.opened(opened, needs_bootstrap=self._bootstrap_due)

    def _authenticate(self) -> None:
        """The connection may be old: its user may have lost a right since, or the log-in may be over."""
        self._user, self.session_id, self.expires = auth.user_for_access_token(self.connection.token)

    def _allocate(self) -> tuple[int, int]:
        self._authenticate()
        return files.allocate(self._user, self.connection.user_agent)

    def _open_file(self, ident: frames.Ident) -> files.OpenFile:
        self._authenticate()
        file = files.open_file(self._user, ident, self.connection.user_agent)
        self._access_as_of = history.newest(connections[settings.DATABASE])
        self._access = access.access_for_session(self._user)
        self._views = file.views
        self._query = ident.query_version, core.decode_query(ident.query or b"{}")
        try:
            self._wanted = self._query, self._views_of(file.ident, self._query)
        except QueryError as error:
            # It is in force: its client would not survive a query_error.
            raise DeviceSyncError(
                226, f"The file's query does not fit the server's classes any more: {error}"
            ) from error
        return file

    def _views_of(self, ident: int, query: Query) -> Views:
        if not self._core.is_flexible:
            return files.partition_views(self._core.bind.path, self._access)
        return files.wanted_views(ident, *query, self._access)

    async def _subscribe(self, query: Query) -> list[core.Effect]:
        async with self._choosing:
            try:
                self._wanted = query, await self._threads.run(self._views_of, self.ident, query)
            except QueryError as error:
                return self._core.refuse(query[0], str(error))
            self._accepted.append(query)
        # From here on nothing is sent under the old views: what is uploaded may be in the new ones only, and must not be
        # acknowledged under those.
        self._bootstrap_due = True
        self.wake()
        return []

    async def _integrate(self, upload: frames.Upload) -> None:
        await self._renew()
        now = int(time.time() * 1000)
        await self._threads.run(
            uploads.integrate,
            self.ident,
            upload.entries,
            upload.progress_client,
            upload.progress_server,
            self._access,
            self._wanted[1],
            now,
        )
        self._look_due = True
        self.wake()

    # --- the end -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begins to leave, from where nothing can be awaited."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())

    async def leave(self) -> None:
        """Returns when nothing of the session is left."""
        self.stop()
        assert self._leaving is not None
        await self._leaving

    async def _leave(self) -> None:
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        if self._file is not None:
            _release(self.ident, self)
            self._feed.leave(self)
            with suppress(DatabaseError, InterfaceError):
                await self._note_progress()

    # --- the pump ----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        self._work.set()

    async def _run_pump(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            if self._core.state == "live":
                await self.connection.guard(self._bring_up_to_date(), self._core)

    async def _bring_up_to_date(self) -> None:
        while self._core.state == "live":
            await self.connection.has_room()
            if self._is_choosing:
                await self._renew()
            elif self._bootstrap_due:
                self._bootstrap_due = False
                await self._bootstrap()
            elif not self._feed.is_attached(self):
                self._attach()
            elif self._core.room and (self._look_due or self._due > self._position or self._core.is_owed):
                self._look_due = False
                await self._steady()
            else:
                break
        self._answer_marks()
        await self._complete_set()
        if self._note_due:
            self._note_due = False
            await self._note_progress()

    async def _note_progress(self) -> None:
        await self._threads.run(subscriptions.note_progress, self.ident, self._core.acknowledged)

    @property
    def _is_choosing(self) -> bool:
        """Access or query are about to be others, or are just becoming so: nothing may be sent under the old ones."""
        return self._access_stale or self._choosing.locked()

    async def _renew(self) -> None:
        """Returns when access and query are those of now."""
        async with self._choosing:
            if self._access_stale:
                self._access_stale = False
                await self._threads.run(self._renew_access)
                self._bootstrap_due = self._bootstrap_due or dict(self._wanted[1]) != dict(self._views)

    def _renew_access(self) -> None:
        self._access_as_of = history.newest(connections[settings.DATABASE])
        user = get_user_model()._default_manager.filter(pk=self.user_pk).first()
        if user is None or not user.is_active:
            raise ProtocolError("UserDisabled", "The user was deactivated or deleted.")
        self._user, self._access = user, access.access_for_session(user)
        query = self._wanted[0]
        self._wanted = query, self._views_of(self.ident, query)

    async def _bootstrap(self) -> None:
        """From the views in force to those wanted: by difference, in one snapshot (R3)."""
        assert self._file is not None
        self._detach()
        query, views = self._wanted
        if query[0] > self._core.query_version:
            await self._threads.run(subscriptions.set_state, self.ident, query[0], SubscriptionSet.State.BOOTSTRAPPING)
        if self._position:
            # Waited for here, not in a thread: however long a transaction elsewhere stays open, uploads go on.
            await self._readable(await self._threads.run(downloads.announce, self.ident))
        try:
            transfer = await self._threads.run(self._make_bootstrap, views)
        except QueryError as error:
            await self._give_up(query, error)
            return
        if self._is_choosing or self._bootstrap_due:
            self._bootstrap_due = self._is_discarded = True  # made for access, or for a query, that is no more
            return
        if self._core.state != "live":
            return
        self._core.begin(query[0])
        self._query, self._views, self._has_schema = query, views, True
        self._is_discarded = False
        self._accepted = [each for each in self._accepted if each[0] > query[0]]
        self._completing = query[0], transfer.version
        is_bootstrap = self._core.is_flexible
        self._send(transfer, transfer.entries, is_bootstrap=is_bootstrap)
        if is_bootstrap and transfer.rejected:
            # Only a steady download with an entry makes the client tell its app of undone writes.
            self._send(transfer, (core.filler(transfer.version, transfer.client_version),))

    def _make_bootstrap(self, views: Views) -> Transfer:
        assert self._file is not None
        transfer = downloads.bootstrap(
            self._file,
            self._position,
            self._views,
            views,
            has_schema=self._has_schema,
            is_flexible=self._core.is_flexible,
            is_announced=self._position > 0,
        )
        self._check_access(transfer.version)
        return transfer

    def _check_access(self, version: int) -> None:
        """What was read up to a version may be of a time after access changed, before the feed has told so."""
        changes = Change.objects.using(settings.DATABASE).filter(
            class_name="", object_id=str(self.user_pk), kind=Change.Kind.ACCESS
        )
        if changes.filter(version__gt=self._access_as_of, version__lte=version).exists():
            self._access_stale = True

    async def _readable(self, version: int) -> None:
        """Returns once the history can be read up to a version."""
        while self._feed.version < version:
            self._passed.clear()
            self._feed.await_version(version, self)
            await self._passed.wait()

    async def _give_up(self, query: Query, error: QueryError) -> None:
        """The database could not compute a query, which is refused then, unless it is in force already: the newest one
        before stands."""
        if query[0] <= self._core.query_version:
            raise DeviceSyncError(226, str(error)) from error
        await self._threads.run(subscriptions.fail, self.ident, query[0], str(error))
        for effect in self._core.refuse(query[0], str(error)):
            self.connection.perform_now(effect)
        async with self._choosing:
            self._accepted.remove(query)
            if self._wanted[0] is query:
                self._wanted = self._accepted[-1] if self._accepted else self._query, self._views
                self._access_stale = True  # which may have changed while this query was wanted
        # One that was made and not sent is remembered as what the file holds.
        self._bootstrap_due = self._bootstrap_due or self._is_discarded or self._core.awaits_bootstrap

    async def _steady(self) -> None:
        transfer = await self._threads.run(self._make_steady)
        if self._is_choosing or self._bootstrap_due or self._core.state != "live":
            return  # other views are wanted meanwhile: the bootstrap brings it all, under those
        if self._core.is_owed or not transfer.is_empty or transfer.upload_client > self._core.upload_client:
            self._send(transfer, transfer.entries)
        self._pass(transfer.version)
        self._look_due = self._look_due or transfer.has_more

    def _make_steady(self) -> Transfer:
        assert self._file is not None
        transfer = downloads.steady(
            self._file,
            self._position,
            self._core.client_version,
            self._views,
            is_flexible=self._core.is_flexible,
        )
        self._check_access(transfer.version)
        return transfer

    def _send(
        self, transfer: Transfer, entries: frames.Body | tuple[frames.DownloadEntry, ...], *, is_bootstrap: bool = False
    ) -> None:
        """Queues a download to the version of a transfer."""
        if not is_bootstrap:
            for client_version, writes in transfer.rejected:
                for send in self._core.rejected(client_version, transfer.version, writes):
                    self.connection.queue(send.frame)
        download = self._core.download(
            transfer.version,
            transfer.client_version,
            (transfer.upload_client, transfer.upload_server),
            entries,
            is_bootstrap=is_bootstrap,
        )
        self.connection.queue(frames.encode_from_server(download))
        self._pass(transfer.version)

    def _answer_marks(self) -> None:
        if self._feed.is_attached(self):
            self._pass_feed()
            for send in self._core.due_marks(self._position):
                self.connection.queue(send.frame)

    async def _complete_set(self) -> None:
        """A set is complete once the client has what it selects."""
        if self._completing is not None and self._core.acknowledged >= self._completing[1]:
            query_version, self._completing = self._completing[0], None
            if query_version:
                await self._threads.run(
                    subscriptions.set_state, self.ident, query_version, SubscriptionSet.State.COMPLETE
                )

    # --- the feed ----------------------------------------------------------------------------------------------------

    def _attach(self) -> None:
        schema = registry.schema
        self._feed.attach(self, [View(name, node, schema) for name, node in self._views.items() if name in schema])
        self._due = max(self._due, self._feed.version)
        if not self._feed.whole.is_set():
            self._look_due = True  # parts of the next version went by already

    def _detach(self) -> None:
        if self._feed.is_attached(self):
            self._pass_feed()
            self._feed.detach(self)

    def _pass(self, version: int) -> None:
        self._position = max(self._position, version)

    def _pass_feed(self) -> None:
        """The feed has delivered everything up to its version to whoever is attached: if nothing of that is due here,
        nothing of it concerns the file."""
        if self._due <= self._position and not self._look_due:
            self._pass(self._feed.version)

    def deliver(self, pieces: list[str], version: int, complete: bool, advances: list[Advance]) -> None:
        if version > self._position:
            self._pass_feed()
            self._due = max(self._due, version)
            self.wake()

    def access_changed(self) -> None:
        # Nothing more under the old access, not even what is being made.
        self._access_stale = True
        self._detach()
        self.wake()

    def passed_version(self, version: int) -> None:
        self._passed.set()
        self.wake()

    def end(self, error: ProtocolError) -> None:
        self.connection.fail_engine(error, self._core)

    def check(self, now: float) -> None:
        if now - self._noted > NOTE_SECONDS:
            self._noted, self._note_due = now, True
            self.wake()


def _latest() -> int:
    return history.latest(connections[settings.DATABASE])


_live: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, DeviceSession]] = WeakKeyDictionary()
"""The sessions of this server process, by client file."""


def _claim(ident: int, session: DeviceSession) -> None:
    """The file is the session's. One connection cannot have it twice; an older connection is dropped, as its client has
    obviously left it. (One to another server process finds out when it next wants to bootstrap: files.py.)"""
    sessions = _live.setdefault(asyncio.get_running_loop(), {})
    other = sessions.get(ident)
    if other is not None:
        if other.connection is session.connection:
            raise DeviceSyncError(108, f"Client file {files.wire_ident(ident)} is open in another session already.")
        other.connection.close()
    sessions[ident] = session


def _release(ident: int, session: DeviceSession) -> None:
    sessions = _live.setdefault(asyncio.get_running_loop(), {})
    if sessions.get(ident) is session:
        del sessions[ident]
