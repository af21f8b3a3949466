"""Sessions: the driver that performs what core/server_session.py decides, for any transport.

A websocket is one `Connection`, whose sessions follow each other: after `unbound` another `bind` may come. Messages are
handled one after the other, database work in a bounded pool of threads; two tasks run beside: the pump brings the file
up to date (bootstrap, catch-up) and attaches it to the feed, the sender writes what is queued. The queue is bounded by
the window of unacknowledged downloads: when it is full, the session lets go of the feed and catches up later, so memory
stays flat and nothing is lost. Knows neither Channels nor ASGI.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user_model
from django.db import DatabaseError, InterfaceError, connections

from . import access, auth, downloads, feed, history, subscriptions, uploads
from .conf import settings
from .core import messages as m
from .core import server_session as core
from .core.errors import ProtocolError, QueryError
from .core.views import View
from .downloads import Advance, Transfer
from .models import SubscriptionSet
from .registry import registry
from .subscriptions import Views
from .threads import session_threads

logger = logging.getLogger("realm_sync.sessions")

NOTE_SECONDS = 30
"""How often the version that a live file holds is written to its row, for the admin."""
INBOX = 64
"""Most messages of one client that wait to be handled; a client that floods more is cut off."""
LONGEST_QUERY = 256 * 1024


class Connection:
    """One websocket. Feed it with `receive`, run it with `run`; it calls `send`, and returns when the socket is to be
    closed: after an error, or IDLE_SECONDS without a `bind`."""

    def __init__(self, send: Callable[[str], Awaitable[None]], page_user: Callable[[], Awaitable[Any]]) -> None:
        """`page_user` gives the user of the page's cookie, or raises AuthError; asked for every `bind` without token."""
        self._send, self._page_user = send, page_user
        self._inbox: deque[str | None] = deque()
        self._session = Session(send, page_user, self._inbox)
        self.is_first = True
        """No session has ended yet."""

    def receive(self, frame: str | None) -> None:
        """A frame has come in; None is a binary one. Never blocks: `run` handles it in its turn."""
        self._session.receive(frame)

    async def run(self) -> None:
        """Runs one session after the other. Cancel it if the socket closes."""
        while await self._session.run():
            # Each begins from nothing, the user included. Only what came in after `unbind` is left to it.
            self.is_first = False
            self._session = Session(self._send, self._page_user, self._inbox)


class Session:
    """One session. Feed it with `receive`, run it with `run`; it calls `send` and ends by returning."""

    takes_pieces = True

    def __init__(
        self,
        send: Callable[[str], Awaitable[None]],
        page_user: Callable[[], Awaitable[Any]],
        inbox: deque[str | None] | None = None,
    ) -> None:
        """`inbox`: frames that have come in already; what the session does not handle stays there."""
        limits = m.Limits(
            max_message_bytes=settings.MAX_MESSAGE_BYTES,
            max_subscriptions=settings.MAX_SUBSCRIPTIONS,
            max_query_bytes=LONGEST_QUERY,
            window=settings.WINDOW,
        )
        self._core = core.ServerSession(registry.schema, limits)
        self._send, self._page_user = send, page_user
        self._inbox = deque() if inbox is None else inbox
        self._arrived = asyncio.Event()
        self._released = False
        self._outbox: deque[str | None] = deque()
        self._queued = asyncio.Event()
        self._work = asyncio.Event()
        self._window = asyncio.Event()
        self._feed = feed.current()
        self._threads = session_threads()
        self._heard = time.time()
        self._user: Any = None
        self._access = access.Access({}, {})
        self._views: Views = {}
        """What downloads are cut to."""
        self._wanted: tuple[int, Views] = (0, {})
        """The newest query version that was accepted, and what it shows: what uploads are judged by."""
        self._bootstrap_due = False
        self._access_stale = False
        self._in_parts = False
        """The client holds parts of a version whose end it has not been told yet."""
        self._torn = False
        """The client holds parts that nothing will continue: the next transfer must end them."""
        self._choosing = asyncio.Lock()
        """Held while `_access` and `_wanted` are computed: access and subscriptions may change at the same time."""
        self._completed = -1
        self._noted = self._heard
        self._note_due = False
        self.user_pk: Any = None
        self.session_id: int | None = None
        self.expires = float("inf")

    @property
    def ident(self) -> int:
        return self._core.ident

    # --- the transport -----------------------------------------------------------------------------------------------

    def receive(self, frame: str | None) -> None:
        """A frame has come in; None is a binary one. Never blocks: `run` handles it in its turn."""
        self._heard = time.time()
        if len(self._inbox) <= INBOX:
            self._inbox.append(frame)
        self._check_inbox()
        self._arrived.set()

    def _check_inbox(self) -> None:
        if len(self._inbox) > INBOX:
            self.end(ProtocolError("LimitExceeded", f"More than {INBOX} messages are waiting to be handled."))

    async def run(self) -> bool:
        """Handles messages until the session is over and everything queued is sent; returns whether the socket is free
        for another session. Cancel it if the socket closes."""
        self._check_inbox()  # a flood behind the `unbind` of the session before is nobody's yet
        sender = asyncio.create_task(self._run_sender())
        handler = asyncio.create_task(self._handle_messages())
        pump = asyncio.create_task(self._pump())
        try:
            await sender
        finally:
            for task in (sender, handler, pump):
                task.cancel()
            await asyncio.gather(sender, handler, pump, return_exceptions=True)
            if self.ident:
                self._feed.leave(self)
                with suppress(DatabaseError, InterfaceError):
                    await self._note_progress()
        return self._released

    async def _run_sender(self) -> None:
        while True:
            while self._outbox:
                frame = self._outbox.popleft()
                if frame is None:
                    return
                await self._send(frame)
            self._queued.clear()
            await self._queued.wait()

    def _queue(self, frame: str | None) -> None:
        self._outbox.append(frame)
        self._queued.set()

    # --- messages ----------------------------------------------------------------------------------------------------

    async def _handle_messages(self) -> None:
        while True:
            while self._inbox and self._core.state != "closed":
                for effect in self._core.receive(self._inbox.popleft()):
                    await self._guard(self._perform(effect))
            self._arrived.clear()
            try:
                # Once it is bound, the feed's regular check finds out whether it is idle.
                # Not wait_for, which in Python 3.11 forgets that it was cancelled if a message comes just then.
                async with asyncio.timeout(settings.IDLE_SECONDS if self._core.state == "new" else None):
                    await self._arrived.wait()
            except TimeoutError:
                self._queue(None)

    async def _guard(self, work: Awaitable[None]) -> None:
        """Whatever goes wrong ends this session with a code, and only this one."""
        try:
            await work
        except ProtocolError as error:
            self.end(error)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Session of file %s: the database failed: %s", self.ident, error)
            self.end(ProtocolError("InternalServerError", "The database could not be used; try again."))
        except Exception:
            logger.exception("Session of file %s failed.", self.ident)
            self.end(ProtocolError("InternalServerError", "The server failed; its log has the cause."))

    async def _perform(self, effect: core.Effect) -> None:
        if isinstance(effect, core.Send):
            self._queue(effect.frame)
        elif isinstance(effect, core.Close | core.Release):
            self._released = isinstance(effect, core.Release)
            self._queue(None)
        elif isinstance(effect, core.Wake):
            self._window.set()
            self._work.set()
        elif isinstance(effect, core.Open):
            await self._open(effect.bind)
        elif isinstance(effect, core.Subscribe):
            await self._subscribe(effect.query)
        elif isinstance(effect, core.Integrate):
            await self._renew()
            now = int(time.time() * 1000)
            _, views = self._wanted
            await self._threads.run(uploads.integrate, self.ident, effect.changesets, self._access, views, now)
        else:
            newest = await self._threads.run(_latest)
            for follow in self._core.newest(effect.request_ident, newest):
                await self._perform(follow)
            self._feed.await_version(newest, self)

    async def _open(self, bind: m.Bind) -> None:
        if bind.token is None:
            page_user = await self._page_user()
            who = auth.user_for_django_session(page_user)
        else:
            who = await self._threads.run(auth.user_for_access_token, bind.token)
        self._user, self.session_id, self.expires = who.user, who.session_id, who.expires
        self.user_pk = who.user.pk
        known = self._feed.version
        opened = await self._threads.run(self._open_file, bind)
        effects = self._core.opened(opened, int(time.time() * 1000))
        await self._feed.join(self)
        # The feed tells of changed access from here on; it may have passed one since access was computed.
        self._access_stale = self._feed.version != known
        for effect in effects:
            await self._perform(effect)

    def _open_file(self, bind: m.Bind) -> core.Opened:
        opened = subscriptions.open_file(bind, self._user)
        self._access = access.access_for_session(self._user)
        # A set that was accepted before the connection broke, too: its file has written by it.
        ident, query_version = opened.client_file.ident, opened.query_version
        self._views = subscriptions.held_views(ident, bind.progress.view)
        self._wanted = query_version, subscriptions.views_of(ident, query_version, self._access)
        moved = query_version != bind.progress.query_version or dict(self._wanted[1]) != dict(self._views)
        self._bootstrap_due = not bind.progress.view or moved
        return opened

    async def _subscribe(self, query: m.Query) -> None:
        try:
            await self._threads.run(subscriptions.store, self.ident, query)
        except QueryError as error:
            self._queue(self._core.refuse(query.query_version, error.code, str(error)).frame)
            return
        async with self._choosing:
            views = await self._threads.run(subscriptions.views_of, self.ident, query.query_version, self._access)
            self._wanted = query.query_version, views
        self._bootstrap_due = True
        # What is uploaded from here on may be in the new views only: it must not be acknowledged under the old ones,
        # or the client would drop its own writes and see them vanish until the bootstrap is there (R10).
        self._detach()
        self._work.set()

    def end(self, error: ProtocolError) -> None:
        """Ends the session with an error message; what is queued before it is still sent."""
        for effect in self._core.fail(error):
            self._queue(effect.frame if isinstance(effect, core.Send) else None)

    # --- the pump ----------------------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            if self._core.state == "bound":
                await self._guard(self._bring_up_to_date())

    async def _bring_up_to_date(self) -> None:
        while self._core.state == "bound":
            if self._access_stale:
                await self._renew()
            if self._bootstrap_due:
                self._bootstrap_due = False
                await self._bootstrap()
            elif not self._feed.is_attached(self):
                await self._window_open()
                if self._core.version < self._feed.version:
                    await self._catch_up()
                elif not self._feed.whole.is_set():
                    await self._feed.whole.wait()
                else:
                    schema = registry.schema
                    views = [View(name, node, schema) for name, node in self._views.items() if name in schema]
                    self._feed.attach(self, views)
            else:
                break
        await self._complete_set()
        self._answer_marks()
        if self._note_due:
            self._note_due = False
            await self._note_progress()

    async def _note_progress(self) -> None:
        await self._threads.run(subscriptions.note_progress, self.ident, self._core.acknowledged_version)

    async def _renew(self) -> None:
        async with self._choosing:
            if self._access_stale:
                self._access_stale = False
                await self._threads.run(self._renew_access)

    def _renew_access(self) -> None:
        user = get_user_model()._default_manager.filter(pk=self.user_pk).first()
        if user is None or not user.is_active:
            raise ProtocolError("UserDisabled", "The user was deactivated or deleted.")
        self._user, self._access = user, access.access_for_session(user)
        query_version = self._wanted[0]
        self._wanted = query_version, subscriptions.views_of(self.ident, query_version, self._access)
        self._bootstrap_due = self._bootstrap_due or dict(self._wanted[1]) != dict(self._views)

    async def _bootstrap(self) -> None:
        """From the views in force to those wanted: by difference, in one snapshot (R3)."""
        self._detach()
        query_version, views = self._wanted
        old, after, ident = self._views, self._core.version, self.ident
        acknowledged = self._core.acknowledged_view
        view = await self._threads.run(subscriptions.hold_views, ident, views, acknowledged)
        if query_version != self._core.query_version:
            await self._threads.run(subscriptions.set_state, ident, query_version, SubscriptionSet.State.BOOTSTRAPPING)
        try:
            transfer = await self._threads.run(downloads.bootstrap, ident, after, old, views)
        except QueryError as error:
            await self._refuse(query_version, error)
            return
        if self._access_stale:
            transfer.close()  # made under access that is no more
            self._bootstrap_due = True
            return
        self._core.begin(query_version, view)
        self._views = views
        await self._send_transfer(transfer, is_bootstrap=True)

    async def _refuse(self, query_version: int, error: QueryError) -> None:
        """The database could not compute a set: the one before stays in force, unless this one is in force already."""
        if query_version == self._core.query_version:
            raise ProtocolError("LimitExceeded", str(error)) from error
        await self._threads.run(subscriptions.fail, self.ident, query_version, str(error))
        self._queue(self._core.refuse(query_version, error.code, str(error)).frame)
        async with self._choosing:
            if self._wanted[0] == query_version:
                before = self._core.query_version
                views = await self._threads.run(subscriptions.views_of, self.ident, before, self._access)
                self._wanted = before, views
                self._bootstrap_due = dict(views) != dict(self._views)

    async def _catch_up(self) -> None:
        transfer = await self._threads.run(downloads.catch_up, self.ident, self._core.version, self._views)
        if self._bootstrap_due or self._access_stale:
            transfer.close()  # other views are wanted meanwhile: the bootstrap brings it all, under those
        elif transfer.advances or len(transfer) or self._torn:
            await self._send_transfer(transfer, is_bootstrap=False)
        else:
            self._core.passed(transfer.version)
            transfer.close()

    async def _send_transfer(self, transfer: Transfer, *, is_bootstrap: bool) -> None:
        try:
            self._advance(transfer.advances)
            pieces = list(transfer) if len(transfer) < 2 else transfer
            total = max(1, len(transfer))
            for number, piece in enumerate(pieces or ["[]"], 1):
                await self._window_open()
                if self._core.state != "bound":
                    return
                last = "last" if is_bootstrap or total > 1 or self._torn else "steady"
                state: m.BatchState = last if number == total else "more"  # type: ignore[assignment]
                self._queue(self._core.download(piece, state, transfer.version, number / total).frame)
            self._torn = False
        finally:
            transfer.close()

    async def _window_open(self) -> None:
        while not self._core.window_open:
            self._window.clear()
            await self._window.wait()

    def _advance(self, advances: list[Advance]) -> None:
        for advance in advances:
            for send in self._core.advance(advance.client_version, advance.rejected):
                self._queue(send.frame)

    async def _complete_set(self) -> None:
        """A set is complete once the client has what it selects."""
        query_version = self._core.query_version
        if self._core.acknowledged_view == self._core.view and query_version > max(self._completed, 0):
            self._completed = query_version
            await self._threads.run(subscriptions.set_state, self.ident, query_version, SubscriptionSet.State.COMPLETE)

    def _answer_marks(self) -> None:
        if self._feed.is_attached(self) and not self._in_parts and not self._bootstrap_due:
            self._core.passed(self._feed.version)
            for send in self._core.due_marks():
                self._queue(send.frame)

    def _detach(self) -> None:
        if self._feed.is_attached(self):
            self._core.passed(self._feed.version)
            self._torn = self._torn or self._in_parts
            self._in_parts = False
            self._feed.detach(self)

    # --- the feed ----------------------------------------------------------------------------------------------------

    def deliver(self, pieces: list[str], version: int, complete: bool, advances: list[Advance]) -> None:
        """Live changes. If the window cannot take them the session lets go of the feed, and catches up: from below the
        version that it has got parts of, so that the catch-up says again, folded, whatever the parts said."""
        if version <= self._core.version or self._core.state != "bound":
            return
        if self._core.room < max(1, len(pieces)):
            self._detach()
            self._work.set()
            return
        self._advance(advances)
        for number, piece in enumerate(pieces or ["[]"], 1):
            whole = complete and number == max(1, len(pieces))
            alone = whole and number == 1 and not self._in_parts
            state: m.BatchState = "steady" if alone else "last" if whole else "more"
            if self._in_parts and whole:
                self._work.set()  # marks wait for the end of the parts
            self._in_parts = not whole
            self._queue(self._core.download(piece, state, version).frame)

    def access_changed(self) -> None:
        # Nothing more under the old access: not live, and not by a transfer that is being made.
        self._access_stale = True
        self._detach()
        self._work.set()

    def passed_version(self, version: int) -> None:
        self._work.set()

    def check(self, now: float) -> None:
        """Ends a session whose client has gone without a word; notes how far the others are, now and then."""
        if now - self._noted > NOTE_SECONDS:
            self._noted, self._note_due = now, True
            self._work.set()
        if now - self._heard > settings.IDLE_SECONDS:
            self.end(ProtocolError("SlowConsumer", f"Nothing was heard for {settings.IDLE_SECONDS} seconds."))


def _latest() -> int:
    return history.latest(connections[settings.DATABASE])
