"""The server's side of what official SDKs say: what a frame means in which state, and what must be done about it.

Sans-I/O: no socket, clock, thread or database. A `ServerConnection` is one websocket; it has several sessions, each one
realm of its client, under the number that the client gave it. `receive` takes a frame and returns effects in order; the
driver (device_sync/sessions.py) performs them and reports back through the methods of the effect's session. Bad input
never escapes as an exception: it becomes a `json_error`, which ends the session or, if its number is below 200, the
connection.

    state    bind      ident  query      upload     mark        test_command  json_error  unbind
    –        Allocate  106    106        106        106         106           106         106
    bound    107       Open   109        109        109         echo          Mute        unbound, Leave
    opening  107       109    109        109        109         echo          Mute        unbound, Leave
    live     107       109    Subscribe  Integrate  FindNewest  echo          Mute        unbound, Leave
    mute     107       –      –          –          –           –             –           unbound, Leave
    failed   107       –      –          –          –           –             –           Leave

`–` in a cell means: ignored. A number is an error of the connection. A session is `bound` from bind on (Allocate only if
the client asked for an ident), `opening` from its ident on, `live` once the driver has called `opened`, `mute` when the
client could not integrate what it was sent, and `failed` after an error of ours: the client then answers with unbind, and
replying `unbound` to that one would be an error. After Leave the number is free, and may be bound again. `ping` belongs
to no session and may be handled out of turn.

What a download may say (protocol 14 has the client close the connection, for good, over any of this): no cursor ever goes
back; D.cv ≤ U.cv, U.sv ≤ D.sv ≤ L.sv; U.cv never beyond what the client has uploaded. `download` sees to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from . import frames
from .errors import DeviceSyncError
from .frames import DownloadEntry, Rejection

State = Literal["bound", "opening", "live", "mute", "failed", "gone"]
NO_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding bytes that are no JSON raises."""
LAST, STEADY = 1, 2
"""Batch states: a bootstrap is one message, so that no part of one can stay behind when the connection breaks."""
FILLER_ORIGIN = 1
"""The server itself, on the wire."""
REJECTIONS = 500
"""Most undone writes that one error lists."""
LONGEST_MESSAGE = 20_000
"""Characters of an error's message: it may list whatever a client sent."""
MOST_SESSIONS = 1000
"""Sessions on one connection, and client files that it may have made: one per realm that is open, and per new realm."""
MOST_MARKS = 1000
"""Marks of a session that wait to be answered. An SDK has one under way per call that waits for downloads."""


class Send(NamedTuple):
    """Queue this frame to the client, after all frames before it."""

    frame: bytes


class Close(NamedTuple):
    """Close the socket once everything queued is sent."""

    reason: str


class Allocate(NamedTuple):
    """Make a client file; then call `allocated`, or `fail`."""

    session: ServerSession


class Open(NamedTuple):
    """Open the client file; then call `opened`, or `fail`."""

    session: ServerSession
    ident: frames.Ident


class Subscribe(NamedTuple):
    """Check the query and make its bootstrap; or call `refuse`."""

    session: ServerSession
    query_version: int
    query: dict[str, str]


class Integrate(NamedTuple):
    """Integrate these changesets, in order, exactly once (R6); never empty."""

    session: ServerSession
    upload: frames.Upload


class FindNewest(NamedTuple):
    """Find the newest version of the history; then call `newest`."""

    session: ServerSession
    request: int


class Wake(NamedTuple):
    """There may be something to send to the session now."""

    session: ServerSession


class Mute(NamedTuple):
    """The client could not integrate what it was sent, and says nothing any more: worth a line in the log."""

    session: ServerSession
    reason: str


class Leave(NamedTuple):
    """The session is over; nothing of it may be sent any more."""

    session: ServerSession


Effect = Send | Close | Allocate | Open | Subscribe | Integrate | FindNewest | Wake | Mute | Leave


class Opened(NamedTuple):
    """What opening a client file gives the session."""

    file: int
    """The wire ident."""
    salt: int
    """Of every version that the client is told is the newest."""
    upload_client: int
    """Changesets integrated so far."""
    upload_server: int
    """The version that the client had integrated when it uploaded the newest of them."""


class ServerConnection:
    """One websocket. `sessions` are those bound, by the number that the client gave them."""

    def __init__(self, *, is_flexible: bool, limits: frames.Limits, window: int) -> None:
        """`window`: most downloads sent to a session ahead of what its client says it has integrated."""
        self.is_flexible = is_flexible
        """False: partition-based sync."""
        self._limits, self.window = limits, window
        self.sessions: dict[int, ServerSession] = {}
        self._allocated = 0
        self.is_closed = False

    def receive(self, frame: bytes) -> list[Effect]:
        try:
            return self.handle(self.read(frame))
        except DeviceSyncError as error:
            return self.fail(error)

    def read(self, frame: bytes) -> frames.FromClient:
        """The message in a frame; may run in another thread, as inflating a large one takes its time. Raises
        DeviceSyncError, with which to `fail`."""
        return frames.decode_from_client(frame, self._limits)

    def handle(self, message: frames.FromClient) -> list[Effect]:
        if self.is_closed:
            return []
        try:
            return self._dispatch(message)
        except DeviceSyncError as error:
            return self.fail(error)

    def _dispatch(self, message: frames.FromClient) -> list[Effect]:
        if isinstance(message, frames.Ping):
            return [_send(frames.Pong(message.timestamp)), *self._relieve()]
        number, session = message.session, self.sessions.get(message.session)
        if isinstance(message, frames.Bind):
            if session is not None:
                raise DeviceSyncError(107, f"Session {number} is bound already.")
            if not number:
                raise DeviceSyncError(106, "Session 0 is the connection itself.")
            self._allocated += message.need_ident
            if max(len(self.sessions) + 1, self._allocated) > MOST_SESSIONS:
                raise DeviceSyncError(101, f"A connection may have {MOST_SESSIONS} sessions, and as many new files.")
            session = self.sessions[number] = ServerSession(self, message)
            return session.bound()
        if session is None:
            raise DeviceSyncError(
                106, f"Got '{type(message).__name__.lower()}' for session {number}, which is not bound."
            )
        return session.receive(message)

    def _relieve(self) -> list[Effect]:
        """A client that acknowledges nothing, but is alive, gets one more download per ping: none is kept for ever."""
        blocked = [session for session in self.sessions.values() if not session.room]
        for session in blocked:
            session.relieve()
        return [Wake(session) for session in blocked]

    def fail(self, error: DeviceSyncError) -> list[Effect]:
        """Nothing of the connection can go on: tells the client, then closes."""
        if self.is_closed:
            return []
        leaving: list[Effect] = [Leave(session) for session in list(self.sessions.values())]
        self.close()
        if not error.is_of_connection:
            error = DeviceSyncError(100, error.message)
        return [*leaving, _send(_error(0, error)), Close(str(error))]

    def close(self) -> None:
        """The socket is about to go: whatever its sessions' work comes to is not sent."""
        self.is_closed = True
        for session in self.sessions.values():
            session.state = "gone"
        self.sessions.clear()


class ServerSession:
    """One realm of the client. Public attributes are read by the driver, and changed only through methods."""

    def __init__(self, connection: ServerConnection, bind: frames.Bind) -> None:
        self._connection = connection
        self.bind = bind
        self.state: State = "bound"
        self.file = 0
        """The wire ident of its client file, from `opened` on."""
        self._salt = 0
        self.version = 0
        """D.sv: everything up to here that concerns the file has been queued to it."""
        self.client_version = 0
        """D.cv: the changesets of the file that are in what it has been sent."""
        self._latest = 0
        self.upload_client = self._upload_server = 0
        """U: as the client is told."""
        self.query_version = 0
        """The query in force: that of the last bootstrap."""
        self.acknowledged = 0
        """What the client said it has integrated, at last."""
        self.is_owed = False
        """The download that must follow every IDENT has not been sent yet."""
        self._asked = 0
        self._pending: set[int] = set()
        """Queries whose bootstrap the client is waiting for."""
        self._marks: list[tuple[int, int, int]] = []
        """(number, version to be reached, query version to be settled)."""
        self._answered = 0
        self._unacknowledged: deque[int] = deque()
        self._uploaded = self._locked = 0

    @property
    def number(self) -> int:
        return self.bind.session

    @property
    def is_flexible(self) -> bool:
        return self._connection.is_flexible

    # --- from the client ---------------------------------------------------------------------------------------------

    def bound(self) -> list[Effect]:
        """The effects of `bind`."""
        if self.is_flexible:
            try:
                msgspec.json.decode(self.bind.path, type=dict)
            except NO_JSON as error:
                return self.fail(DeviceSyncError(204, f"The body of bind is no JSON object: {error}."))
        return [Allocate(self)] if self.bind.need_ident else []

    def receive(self, message: frames.FromClient) -> list[Effect]:
        """The effects of a message of this session. Raises DeviceSyncError for what ends the connection."""
        if isinstance(message, frames.Unbind):
            answer = [] if self.state == "failed" else [_send(frames.Unbound(self.number))]
            return [*answer, *self._leave()]
        if self.state in ("mute", "failed"):
            return []
        if isinstance(message, frames.ClientError):
            self.state = "mute"
            return [Mute(self, f"{message.code}: {message.message[:LONGEST_MESSAGE]}")]
        if isinstance(message, frames.TestCommand):
            return [Send(b"test_command %d %d 2\n{}" % (message.session, message.request))]
        if self.state == "opening" or isinstance(message, frames.Ident) != (self.state == "bound"):
            raise DeviceSyncError(
                109, f"Got '{type(message).__name__.lower()}' in session {self.number}, which is {self.state}."
            )
        try:
            return self._handle(message)
        except DeviceSyncError as error:
            if error.is_of_connection:
                raise
            return self.fail(error)

    def _handle(self, message: frames.FromClient) -> list[Effect]:
        if isinstance(message, frames.Ident):
            return self._ident(message)
        if isinstance(message, frames.Query):
            return self._query(message)
        if isinstance(message, frames.Upload):
            return self._upload(message)
        assert isinstance(message, frames.Mark)
        if len(self._marks) >= MOST_MARKS:
            raise DeviceSyncError(101, f"{MOST_MARKS} marks of session {self.number} wait to be answered.")
        return [FindNewest(self, message.request)]

    def _ident(self, ident: frames.Ident) -> list[Effect]:
        if (ident.query is not None) != self.is_flexible:
            kind = "flexible" if self.is_flexible else "partition-based"
            raise DeviceSyncError(103, f"The fields of 'ident' are not those of {kind} sync.")
        if ident.query is not None:
            decode_query(ident.query)
        self.state = "opening"
        self.version, self.client_version = ident.download_server, ident.download_client
        self._latest, self.query_version = ident.latest_server, ident.query_version
        return [Open(self, ident)]

    def _query(self, query: frames.Query) -> list[Effect]:
        if not self.is_flexible:
            raise DeviceSyncError(109, "Got 'query', which partition-based sync does not have.")
        if query.query_version <= max(self.query_version, self._asked):
            asked = max(self.query_version, self._asked)
            raise DeviceSyncError(109, f"Query version {query.query_version} does not follow {asked}.")
        wanted = decode_query(query.query)
        self._asked = query.query_version
        self._pending.add(query.query_version)
        return [Subscribe(self, query.query_version, wanted)]

    def _upload(self, upload: frames.Upload) -> list[Effect]:
        self._check_upload(upload)
        self._uploaded, self._locked = upload.progress_client, upload.locked_server
        effects: list[Effect] = [Integrate(self, upload)] if upload.entries else []
        acknowledged = max(upload.progress_server, upload.locked_server)
        if acknowledged <= self.acknowledged:
            return effects
        self.acknowledged = acknowledged
        while self._unacknowledged and self._unacknowledged[0] <= acknowledged:
            self._unacknowledged.popleft()
        return [*effects, Wake(self)]

    def _check_upload(self, upload: frames.Upload) -> None:
        if upload.progress_client < self._uploaded:
            found, known = upload.progress_client, self._uploaded
            raise DeviceSyncError(210, f"The upload has come to client version {found}, after {known}.")
        for name, found in (("progress", upload.progress_server), ("lock", upload.locked_server)):
            if found > self.version:
                raise DeviceSyncError(209, f"The {name} of an upload is version {found}; {self.version} was sent.")
        if upload.locked_server < self._locked:
            raise DeviceSyncError(
                209, f"The lock of an upload is version {upload.locked_server}, after {self._locked}."
            )
        before = base = 0
        for entry in upload.entries:
            if not before < entry.client_version <= upload.progress_client:
                found, most = entry.client_version, upload.progress_client
                raise DeviceSyncError(210, f"Client version {found} of a changeset; expected {before + 1} to {most}.")
            if not base <= entry.base <= self.version:
                raise DeviceSyncError(
                    209, f"A changeset was written on version {entry.base}; expected {base} to {self.version}."
                )
            if entry.origin:
                raise DeviceSyncError(216, f"A changeset of client file {entry.origin}; expected 0, the own one.")
            before, base = entry.client_version, entry.base

    # --- from the driver ---------------------------------------------------------------------------------------------

    def allocated(self, ident: int, salt: int) -> list[Effect]:
        """A client file was made for the session: its wire ident, and its salt."""
        return [_send(frames.Allocated(self.number, ident, salt))] if self.state == "bound" else []

    def opened(self, opened: Opened, *, needs_bootstrap: bool) -> list[Effect]:
        """The client file is open. `needs_bootstrap`: the query of the IDENT is not what the file holds."""
        if self.state != "opening":
            return []
        self.state = "live"
        self.file, self._salt = opened.file, opened.salt
        self.upload_client, self._upload_server = opened.upload_client, opened.upload_server
        self.acknowledged = self.version
        self._asked = self.query_version
        self.is_owed = True
        if needs_bootstrap:
            self._pending.add(self.query_version)
        return [Wake(self)]

    def refuse(self, query_version: int, message: str) -> list[Effect]:
        """The query of this version is refused; the one before stays in force. Not for one that was in force: the client
        would not survive it."""
        if self.state != "live":
            return []
        assert query_version > self.query_version, "a query in force cannot be refused"
        self._pending.discard(query_version)
        return [_send(frames.QueryError(self.number, query_version, 226, message[:LONGEST_MESSAGE])), Wake(self)]

    def newest(self, request: int, version: int) -> list[Effect]:
        """A mark was asked for when the history had come to `version`."""
        self._marks.append((request, version, self._asked))
        return [Wake(self)]

    def fail(self, error: DeviceSyncError) -> list[Effect]:
        """The session is over, or the connection is: tells the client what it needs to know."""
        if error.is_of_connection:
            return self._connection.fail(error)
        if self.state in ("failed", "gone"):
            return []
        self.state = "failed"
        return [Leave(self), _send(_error(self.number, error))]

    def _leave(self) -> list[Effect]:
        self.state = "gone"
        del self._connection.sessions[self.number]
        return [Leave(self)]

    # --- to the client -----------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more steady downloads may be sent before the client has integrated some. A client that waits for a
        mark says nothing of what it has integrated, so nothing is held back from it."""
        if self._marks or self._pending:
            return self._connection.window
        return max(0, self._connection.window - len(self._unacknowledged))

    @property
    def awaits_bootstrap(self) -> bool:
        """Whether the client waits for the bootstrap of a query."""
        return bool(self._pending)

    def relieve(self) -> None:
        if self._unacknowledged:
            self._unacknowledged.popleft()

    def begin(self, query_version: int) -> None:
        """The next download is the last of the bootstrap of this query; nothing before it is waited for."""
        self.query_version = query_version
        self._pending = {pending for pending in self._pending if pending > query_version}

    def rejected(self, client_version: int, version: int, writes: Iterable[Rejection]) -> list[Send]:
        """Errors that tell of undone writes, to be queued right before the steady download that brings the client to
        `version`, whose last entry must have that server version."""
        listed = list(writes)
        chunks = [listed[start : start + REJECTIONS] for start in range(0, len(listed), REJECTIONS)]
        return [_send(frames.compensation(self.number, client_version, version, chunk)) for chunk in chunks]

    def download(
        self,
        version: int,
        client_version: int,
        upload: tuple[int, int] = (0, 0),
        entries: tuple[DownloadEntry, ...] | frames.Body = (),
        *,
        is_bootstrap: bool = False,
    ) -> frames.Download:
        """A download that brings the client to `version`, for a state with its changesets up to `client_version`. `upload`
        is what the upload cursor was there. To be queued before anything else is asked of the session.

        The client never knew of a smaller upload cursor than the file had at IDENT, so that is the least it is told.
        """
        if version < self.version or client_version < self.client_version:
            found, known = (version, client_version), (self.version, self.client_version)
            raise AssertionError(f"a download to {found}, where the client is at {known}")
        if upload[0] > self.upload_client:
            self.upload_client, self._upload_server = upload[0], max(self._upload_server, upload[1])
        self._latest = max(self._latest, version)
        if version > self.version:
            self._unacknowledged.append(version)
        self.version, self.client_version = version, client_version
        self.is_owed = False
        return frames.Download(
            session=self.number,
            download_server=version,
            download_client=client_version,
            latest_server=self._latest,
            latest_salt=self._salt,
            upload_client=max(self.upload_client, client_version),
            upload_server=min(self._upload_server, version),
            query_version=self.query_version if self.is_flexible else None,
            batch_state=LAST if is_bootstrap else STEADY,
            progress=1,
            entries=entries,
        )

    def due_marks(self, position: int) -> list[Send]:
        """Answers to the marks whose version has been passed, after the bootstrap of the query before them. `position`:
        everything that concerns the file up to there was queued to it. An empty download precedes them if the client has
        not been told so: what is between its cursor and the newest version would be lost in a client reset."""
        if self.state != "live" or self.is_owed:
            return []
        oldest = min(self._pending, default=self._asked + 1)
        due = [mark for mark in self._marks if mark[1] <= position and mark[2] < oldest]
        self._marks = [mark for mark in self._marks if mark[1] > position or mark[2] >= oldest]
        answers: list[Send] = []
        for request, version, _ in due:
            if version > self.version:
                answers.append(_send(self.download(position, self.client_version)))
            if request > self._answered:
                self._answered = request
                answers.append(_send(frames.Mark(self.number, request)))
        return answers


def decode_query(body: bytes) -> dict[str, str]:
    """Class → RQL. Raises DeviceSyncError 103: it is JSON that the SDK itself wrote."""
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except NO_JSON as error:
        raise DeviceSyncError(103, f"A query is no JSON object of texts: {error}.") from error


def filler(version: int, client_version: int) -> DownloadEntry:
    """An entry that changes nothing: where one is needed, as at the end of a bootstrap, or to tell of undone writes."""
    return DownloadEntry(version, client_version, 0, FILLER_ORIGIN, b"")


def _send(message: frames.FromServer) -> Send:
    return Send(frames.encode_from_server(message))


def _error(session: int, error: DeviceSyncError) -> frames.JsonError:
    return frames.error_frame(session, DeviceSyncError(error.number, error.message[:LONGEST_MESSAGE]))
