"""The feed: one per server process, reads the history once and hands each change to the sessions it concerns.

A wake-up says that something is new, never what; the feed then reads the history from where it was (R2), asks the view
index who is concerned (R5), encodes every change once per view, and joins the pieces per session. Sessions that cannot
take more fall behind and catch up by themselves (downloads.py). While nobody is connected, nothing is polled.
All methods run in the event loop's thread; only reading happens in another one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connections

from . import auth, history, subscriptions, wakeups
from .conf import settings
from .core.changes import UNREADABLE, Change, ChangeList
from .core.errors import ProtocolError
from .core.views import View, ViewIndex
from .downloads import Advance, check_size, decode_advance
from .registry import registry
from .threads import Threads

logger = logging.getLogger("realm_sync.feed")

BATCH = 1000
"""Rows of the history read and delivered at a time."""


class Subscriber(Protocol):
    """What the feed knows of a session."""

    user_pk: Any
    session_id: int | None
    expires: float
    takes_pieces: bool
    """False: it only wants to know that there is something for it."""

    def __hash__(self) -> int: ...

    @property
    def ident(self) -> int: ...

    def deliver(self, pieces: list[str], version: int, complete: bool, advances: list[Advance]) -> None:
        """Changes up to `version`; not complete: a part of that version, and the next call continues or ends it."""

    def access_changed(self) -> None: ...

    def end(self, error: ProtocolError) -> None: ...

    def check(self, now: float) -> None:
        """Called every RECHECK_SECONDS, as long as the session is valid."""

    def passed_version(self, version: int) -> None:
        """Everything up to `version` was delivered; called only for sessions that asked through `await_version`."""


class Feed:
    """See the module. `join` a session when it is bound, `attach` it when it is up to date, `leave` at its end."""

    def __init__(self) -> None:
        self.version = 0
        """Everything up to here was delivered to the sessions attached."""
        self.whole = asyncio.Event()
        """Set unless a version has been delivered in part."""
        self.whole.set()
        self._ready = asyncio.Event()
        self._cursor: Any = None
        self._in_parts: set[Subscriber] = set()
        """Sessions that were given parts of the version that is being read, and must be told its end."""
        self._index = ViewIndex(registry.schema)
        self._attached: dict[Subscriber, list[View]] = {}
        self._by_ident: dict[int, set[Subscriber]] = defaultdict(set)
        self._by_user: dict[str, set[Subscriber]] = defaultdict(set)
        self._waiting: list[tuple[int, Subscriber]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._thread: Threads | None = None

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def join(self, session: Subscriber) -> None:
        """A session is bound. Returns when the feed runs, so that `version` means something."""
        self._by_ident[session.ident].add(session)
        self._by_user[str(session.user_pk)].add(session)
        if not self._tasks:
            self._thread = Threads(1, "feed")
            self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._recheck())]
        await self._ready.wait()

    def leave(self, session: Subscriber) -> None:
        """The session is over. The last one out stops the feed."""
        self.detach(session)
        self._by_ident[session.ident].discard(session)
        self._by_user[str(session.user_pk)].discard(session)
        if not self._by_ident[session.ident]:
            del self._by_ident[session.ident]
        if not self._by_user[str(session.user_pk)]:
            del self._by_user[str(session.user_pk)]
        if not self._by_ident:
            self._stop()

    def attach(self, session: Subscriber, views: Iterable[View]) -> None:
        """From here on the session gets what happens to these views above `version`. Call it in the same step in which
        you saw that the session is at `version` or later and that `whole` is set."""
        self._attached[session] = [self._index.subscribe(view, session) for view in views]

    def detach(self, session: Subscriber) -> None:
        """The session gets nothing any more."""
        self._in_parts.discard(session)
        for view in self._attached.pop(session, ()):
            self._index.unsubscribe(view, session)

    def is_attached(self, session: Subscriber) -> bool:
        return session in self._attached

    def await_version(self, version: int, session: Subscriber) -> None:
        """Calls the session's `passed_version` once everything up to `version` was delivered, which may be now."""
        if self.version >= version:
            session.passed_version(self.version)
        else:
            self._waiting.append((version, session))

    # --- the history -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        delay = 0.1
        while True:
            try:
                async with wakeups.listen(settings.DATABASE) as wakeup:
                    if not self._ready.is_set():
                        self.version = await self._read(_newest)
                        self._ready.set()
                    while True:
                        while await self._deliver_batch():
                            pass
                        delay = 0.1
                        await wakeup.wait()
            except (DatabaseError, OSError) as error:
                logger.warning("The history cannot be read (%s); trying again in %.1f s.", error, delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5)
            except Exception:
                logger.exception("The feed failed; trying again in %.1f s.", delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5)

    async def _read(self, function: Any, *args: Any) -> Any:
        assert self._thread is not None
        return await self._thread.run(function, *args)

    async def _deliver_batch(self) -> bool:
        """Reads and delivers what is new, up to BATCH rows; whether there is more already."""
        batch = await self._read(_next, self.version, self._cursor)
        self._cursor = batch.cursor if not batch.complete else None
        pieces: dict[View, list[ChangeList]] = {}
        advances: dict[int, list[Advance]] = defaultdict(list)
        users = set()
        for change in batch.changes:
            if change.kind == "advance":
                advances[int(change.object_id)].append(decode_advance(change.after or "{}"))
            elif change.kind == "access":
                users.add(change.object_id)
            else:
                try:
                    self._match(change, pieces)
                except UNREADABLE as error:  # which must not stop everything that comes after it
                    logger.error("%s %s is no JSON that can be sent: %s", change.class_name, change.object_id, error)
        # Before anything of the batch is delivered: these sessions let go, and catch up under their new access.
        for user_key in users:
            for session in list(self._by_user.get(user_key, ())):
                session.access_changed()
        texts = {view: [piece.text()[1:-1] for piece in lists] for view, lists in pieces.items()}
        version = batch.upto if batch.complete else batch.cursor[0]
        for session, joined in self._join_pieces(texts, advances, batch.complete):
            if isinstance(joined, ProtocolError):
                session.end(joined)
                continue
            if not batch.complete:
                self._in_parts.add(session)
            session.deliver(joined, version, batch.complete, advances.get(session.ident, []))
        if batch.complete:
            self.version = max(self.version, version)
            self.whole.set()
            self._in_parts.clear()
        else:
            self.whole.clear()
        self._tell_waiting()
        return bool(batch.more)

    def _match(self, change: Change, pieces: dict[View, list[ChangeList]]) -> None:
        patch = ""
        for view, was, now in self._index.match(change):
            if was and now:
                patch = patch or change.patch_text()
                kind, text = "patch", patch
            elif now:
                kind, text = "put", change.after or ""
            else:
                kind, text = "erase", change.key_text()
            lists = pieces.setdefault(view, [ChangeList()])
            if lists[-1].count and lists[-1].size + len(text) > settings.DOWNLOAD_BYTES // 2:
                lists.append(ChangeList())
            lists[-1].add(kind, change.class_name, text)

    def _join_pieces(
        self, texts: dict[View, list[str]], advances: dict[int, list[Advance]], complete: bool
    ) -> Iterable[tuple[Subscriber, list[str] | ProtocolError]]:
        """(session, its pieces) for all sessions concerned; equal pieces are joined once. An error where one object is
        larger than a message may be."""
        concerned: dict[Subscriber, list[View]] = defaultdict(list)
        for view in texts:
            for subscriber in view.subscribers:
                concerned[subscriber].append(view)  # type: ignore[index]
        for ident in advances:
            for session in self._by_ident.get(ident, ()):
                if session in self._attached:
                    concerned.setdefault(session, [])
        if complete:
            for session in self._in_parts:
                concerned.setdefault(session, [])
        joined: dict[tuple[View, ...], list[str] | ProtocolError] = {}
        for session, views in concerned.items():
            if not session.takes_pieces:
                yield session, []
                continue
            key = tuple(views)
            if key not in joined:
                try:
                    joined[key] = _joined([text for view in views for text in texts[view]])
                except ProtocolError as error:
                    joined[key] = error
            yield session, joined[key]

    def _tell_waiting(self) -> None:
        due = [session for version, session in self._waiting if version <= self.version]
        if due:
            self._waiting = [(version, session) for version, session in self._waiting if version > self.version]
            for session in due:
                session.passed_version(self.version)

    # --- validity ----------------------------------------------------------------------------------------------------

    async def _recheck(self) -> None:
        """Ends sessions whose log-in was revoked, whose user was deactivated, whose token expired, or that are idle."""
        while True:
            await asyncio.sleep(settings.RECHECK_SECONDS)
            sessions = [session for group in self._by_ident.values() for session in group]
            if not sessions:
                continue
            session_ids = {session.session_id for session in sessions if session.session_id is not None}
            try:
                ended = await self._read(auth.still_valid, session_ids, {session.user_pk for session in sessions})
                resets = await self._read(subscriptions.asked_to_reset, {session.ident for session in sessions})
            except DatabaseError:
                continue
            now = time.time()
            for session in sessions:
                if session.user_pk in ended.users:
                    session.end(ProtocolError("UserDisabled", "The user was deactivated or deleted."))
                elif session.session_id in ended.sessions:
                    session.end(ProtocolError("AuthError", "The log-in was revoked."))
                elif session.ident in resets:
                    session.end(ProtocolError("ClientReset", *resets[session.ident]))
                elif session.expires < now:
                    session.end(ProtocolError("AuthError", "The access token has expired."))
                else:
                    session.check(now)

    def _stop(self) -> None:
        thread, self._thread = self._thread, None
        for task in self._tasks:
            task.cancel()
        self._tasks, self._cursor = [], None
        self._ready.clear()
        self.whole.set()
        if thread is not None:
            self._closing = asyncio.ensure_future(thread.close())


def _newest() -> int:
    return history.newest(connections[settings.DATABASE])


def _next(after: int, cursor: Any) -> Any:
    return history.read(connections[settings.DATABASE], after, BATCH, cursor=cursor)


def _joined(texts: list[str]) -> list[str]:
    """Pieces joined into as few downloads as DOWNLOAD_BYTES allows. Raises ProtocolError: one is too large to send."""
    result: list[list[str]] = []
    size = 0
    for text in texts:
        length = len(text) if text.isascii() else len(text.encode())
        check_size(length, text)
        if not result or size + length > settings.DOWNLOAD_BYTES:
            result.append([])
            size = 0
        result[-1].append(text)
        size += length
    return ["[" + ",".join(group) + "]" for group in result]


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()


def current() -> Feed:
    """The feed of the running event loop: of this server process, then."""
    loop = asyncio.get_running_loop()
    with suppress(KeyError):
        return _feeds[loop]
    return _feeds.setdefault(loop, Feed())
