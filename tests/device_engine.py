"""Official clients and the server's engine in one thread, frame by frame: no socket, no feed, no clock.

A `Phone` is an app of an official SDK with one realm. Between it and the engine are two queues of frames; a test decides
which side takes its next one when, and when the connection breaks. Everything passes the checker. What stands here in
place of device_sync/sessions.py is only what performs the effects of the session; the rules are the real ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections

from realm_sync import history
from realm_sync.access import access_of
from realm_sync.conf import settings
from realm_sync.core.device_sync import frames
from realm_sync.core.device_sync import session as core
from realm_sync.core.device_sync.errors import DeviceSyncError
from realm_sync.core.errors import QueryError
from realm_sync.device_sync import downloads, files, uploads
from tests.official_client.checker import ConnectionChecker
from tests.official_client.client import RealmFile, Session
from tests.official_client.wire import encode_from_client

USER_AGENT = "RealmJS"


class Engine:
    """The server's side of one connection with one session."""

    def __init__(self, user: Any, now: Callable[[], int], window: int = 3) -> None:
        self.user = get_user_model()._default_manager.get(pk=user.pk)
        self.now = now
        self.core = core.ServerConnection(is_flexible=True, limits=frames.Limits(), window=window)
        self.out: list[bytes] = []
        self.session: core.ServerSession | None = None
        self.file: files.OpenFile | None = None
        self.views: Any = {}
        self.wanted: Any = (0, {})
        self.position = 0
        self.has_schema = self.is_bootstrap_due = False

    def receive(self, frame: bytes) -> None:
        for effect in self.core.receive(frame):
            self.perform(effect)

    def perform(self, effect: core.Effect) -> None:
        try:
            self._perform(effect)
        except DeviceSyncError as error:
            failed = getattr(effect, "session", None)
            for follow in self.core.fail(error) if failed is None else failed.fail(error):
                self.perform(follow)

    def _perform(self, effect: core.Effect) -> None:
        match effect:
            case core.Send(frame):
                self.out.append(frame)
            case core.Allocate(session):
                self._perform_all(session.allocated(*files.allocate(self.user, USER_AGENT)))
            case core.Open(session, ident):
                self._open(session, ident)
            case core.Subscribe(session, query_version, query):
                try:
                    self.wanted = query_version, files.wanted_views(self._ident, query_version, query, self.access)
                    self.is_bootstrap_due = True
                except QueryError as error:
                    self._perform_all(session.refuse(query_version, str(error)))
            case core.Integrate(_, upload):
                progress = upload.progress_client, upload.progress_server
                uploads.integrate(self._ident, upload.entries, *progress, self.access, self.wanted[1], self.now())
            case core.FindNewest(session, request):
                self._perform_all(session.newest(request, history.latest(connections[settings.DATABASE])))
            case core.Close(reason):
                raise AssertionError(f"the server closes the connection: {reason}")
            case core.Leave():
                self.session = None

    def _perform_all(self, effects: list[core.Effect]) -> None:
        for effect in effects:
            self._perform(effect)

    @property
    def _ident(self) -> int:
        assert self.file is not None
        return self.file.ident

    def _open(self, session: core.ServerSession, ident: frames.Ident) -> None:
        self.file = file = files.open_file(self.user, ident, USER_AGENT)
        self.session, self.access = session, access_of(self.user)
        query = core.decode_query(ident.query or b"{}")
        self.wanted = ident.query_version, files.wanted_views(file.ident, ident.query_version, query, self.access)
        self.views, self.has_schema, self.position = file.views, file.schema_known, file.server_version
        self.is_bootstrap_due = not file.schema_known or dict(self.wanted[1]) != dict(self.views)
        opened = core.Opened(files.wire_ident(file.ident), file.salt, file.client_version, file.upload_server)
        self._perform_all(session.opened(opened, needs_bootstrap=self.is_bootstrap_due))

    def work(self) -> None:
        """What the session's pump does: brings the client up to date, as far as it has room."""
        session = self.session
        if session is None or session.state != "live" or self.file is None:
            return
        try:
            if self.is_bootstrap_due:
                self._bootstrap(session)
            while session.room and (session.is_owed or self.position < history.newest(connections[settings.DATABASE])):
                self._steady(session)
            self._perform_all(list(session.due_marks(self.position)))
        except DeviceSyncError as error:
            self._perform_all(session.fail(error))

    def _bootstrap(self, session: core.ServerSession) -> None:
        assert self.file is not None
        self.is_bootstrap_due = False
        query_version, views = self.wanted
        transfer = downloads.bootstrap(self.file, self.position, self.views, views, has_schema=self.has_schema)
        session.begin(query_version)
        self.views, self.has_schema = views, True
        self._send(session, transfer, transfer.entries, is_bootstrap=True)
        if transfer.rejected:
            self._send(session, transfer, (core.filler(transfer.version, transfer.client_version),))

    def _steady(self, session: core.ServerSession) -> None:
        assert self.file is not None
        transfer = downloads.steady(self.file, self.position, session.client_version, self.views)
        self._send(session, transfer, transfer.entries)

    def _send(
        self, session: core.ServerSession, transfer: downloads.Transfer, entries: Any, *, is_bootstrap: bool = False
    ) -> None:
        if not is_bootstrap:
            for client_version, writes in transfer.rejected:
                self.out += [send.frame for send in session.rejected(client_version, transfer.version, writes)]
        upload = transfer.upload_client, transfer.upload_server
        message = session.download(
            transfer.version, transfer.client_version, upload, entries, is_bootstrap=is_bootstrap
        )
        self.out.append(frames.encode_from_server(message))
        self.position = max(self.position, transfer.version)


class Phone:
    """An app with one realm file, and its connection, if there is one."""

    def __init__(self, user: Any, clock: Callable[[], int], now: Callable[[], int], window: int = 3) -> None:
        """`clock`: of the phone, in milliseconds since 2015; `now`: of the server, since 1970."""
        self.user, self.now, self.window = user, now, window
        self.file = RealmFile(clock)
        self.newest_local: dict[int, int] = {}
        self.recovers = True
        """Whether a client reset does again what was not uploaded."""
        self.session: Session | None = None
        self.engine: Engine | None = None
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()

    @property
    def is_connected(self) -> bool:
        return self.session is not None

    def connect(self, uploads_wait: bool = False, is_reset: bool = False) -> None:
        waits = uploads_wait or not self.file.ident
        self.session = Session(
            self.file, uploads_wait=waits, uploads=self.file.ident > 0 or not is_reset, is_reset=is_reset
        )
        self.engine = Engine(self.user, self.now, self.window)
        self.checker = ConnectionChecker(self.newest_local)
        self.say()

    def disconnect(self) -> None:
        """The connection breaks; what was on its way is lost."""
        self.session = self.engine = None
        self.up.clear()
        self.down.clear()

    def say(self) -> None:
        """The client puts on the wire what it has to say now."""
        assert self.session is not None
        for message in self.session.outgoing():
            frame = encode_from_client(message)
            self.checker.sent(frame)
            self.up.append(frame)

    def server_takes(self) -> bool:
        """The next frame arrives at the server; False: there is none."""
        if self.engine is None or not self.up:
            return False
        self.engine.receive(self.up.popleft())
        self._carry()
        return True

    def server_works(self) -> None:
        if self.engine is not None:
            self.engine.work()
            self._carry()

    def _carry(self) -> None:
        assert self.engine is not None
        self.down += self.engine.out
        self.engine.out.clear()

    def client_takes(self, commit_after: int | None = None) -> bool:
        """The next frame arrives at the client. `commit_after`: it dies after so many entries of a download."""
        if self.session is None or not self.down:
            return False
        message = self.checker.received(self.down.popleft())
        self.session.receive(message, commit_after)
        if self.session.is_suspended:
            self._reset()
        elif commit_after is not None:
            self.disconnect()
            self.file.restart()
        else:
            self.say()
        return True

    def _reset(self) -> None:
        """The client reset that an error asks for: a new file downloads all, and this one takes it over."""
        assert self.session is not None
        error = self.session.errors[-1]
        if error.action != "ClientReset":
            raise AssertionError(f"the server ended the session: {error}")
        self.disconnect()
        fresh = Phone(self.user, self.file.clock, self.now, self.window)
        fresh.connect(is_reset=True)
        fresh.settle()
        fresh.file.subscribe(self.file.active.queries)
        fresh.settle()
        self.file.reset(fresh.file, self.recovers)
        self.newest_local[self.file.ident] = self.file.version
        self.connect(is_reset=True)

    def settle(self) -> None:
        """Connects and goes on until nothing is on its way and nothing is pending."""
        if self.session is None:
            self.connect()
        assert self.session is not None
        self.session.request_mark()
        self.say()
        for _ in range(2000):
            if self.server_takes() or self.client_takes():
                continue
            self.server_works()
            if not self.down:
                if self.session.is_settled:
                    return
                raise AssertionError(f"stuck: {self.session.__dict__}, {self.file.sets}, {self.file.progress}")
        raise AssertionError("the client and the server never come to rest")
