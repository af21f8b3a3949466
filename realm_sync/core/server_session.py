"""The server's side of a session: what a message means in which state, and what must be done about it.

Sans-I/O: no socket, clock, thread or database. `receive` takes a frame and returns effects in order; the driver
(sessions.py) performs them and reports back through `opened`, `subscribed`, `newest`. Bad input never escapes as an
exception: it becomes an `error` message and `Close`. Downloads are made by `download`, which counts what is under way.

    state   bind                query             upload             mark             ping    unbind
    new     Open                error             error              error            error   unbound, Close
    bound   error               Subscribe         Integrate          FindNewest       pong    unbound, Release
    closed  –                   –                 –                  –                –       –

`error` is BadMessageOrder; `–` means: ignored, the session is over. One object is one session: after Release the driver
makes another for what comes next on the socket, so that nothing of the old one can reach it.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Literal, NamedTuple

from . import messages as m
from .errors import WIRE_ERRORS, ProtocolError, SchemaMismatch
from .schema import Schema, compare

State = Literal["new", "bound", "closed"]
LONGEST_MESSAGE = 20_000
"""Characters of an error's message: it may list whatever a client sent, and must fit into a frame."""


class Send(NamedTuple):
    """Queue this frame to the client, after all frames before it."""

    frame: str


class Close(NamedTuple):
    """Close the socket once everything queued is sent."""

    reason: str


class Release(NamedTuple):
    """The session is over by its client's wish. Once everything queued is sent, the socket is free for another."""


class Open(NamedTuple):
    """Authenticate and open or create the client file; then call `opened`, or `fail`."""

    bind: m.Bind


class Subscribe(NamedTuple):
    """Check and store the subscription set; then call `subscribed`, or send the error of `refuse`."""

    query: m.Query


class Integrate(NamedTuple):
    """Integrate these changesets, in order, exactly once (R6)."""

    changesets: list[m.Changeset]


class FindNewest(NamedTuple):
    """Find the newest version of the history; then call `newest`."""

    request_ident: int


class Wake(NamedTuple):
    """There may be something to do now: the window opened, a bootstrap was acknowledged, the session is bound."""


Effect = Send | Close | Release | Open | Subscribe | Integrate | FindNewest | Wake


class Opened(NamedTuple):
    """What opening a client file gives the session."""

    client_file: m.ClientFile
    is_new: bool
    epoch: str
    server_version: int
    """The newest version of the history."""
    client_version: int
    """Changesets integrated so far."""
    query_version: int
    """The newest subscription set that was accepted of the file; the client need not send it again."""


class ServerSession:
    """One client file's conversation. Public attributes are read by the driver, and changed only through methods."""

    def __init__(self, schema: Schema, limits: m.Limits) -> None:
        self._schema, self._limits = schema, limits
        self.state: State = "new"
        self.ident = 0
        self.progress = m.Progress()
        """What the client said it holds, at bind."""
        self.version = 0
        """Everything up to here that concerns the file has been queued to it."""
        self.query_version = 0
        """The subscription set in force."""
        self.view = 0
        """The bootstrap in force."""
        self.client_version = 0
        """As downloads tell it: integrated in the state they complete."""
        self.acknowledged_view = 0
        self.acknowledged_version = 0
        """What the client said it holds, at last."""
        self._query_asked = 0
        self._uploaded = 0
        self._told = 0
        self._sent = self._received = 0
        self._marks: list[tuple[int, int]] = []
        self._unacknowledged: deque[tuple[int, int, int]] = deque()
        """(number of the download, the version and the view it completes), oldest first."""

    # --- from the client ---------------------------------------------------------------------------------------------

    def receive(self, frame: str | bytes | None) -> list[Effect]:
        """The effects of a frame; None stands for a binary frame, which this encoding does not have."""
        if self.state == "closed":
            return []
        try:
            if frame is None:
                raise ProtocolError("BadSyntax", "Binary frames are not part of this protocol; send JSON text frames.")
            size = len(frame.encode(errors="surrogatepass")) if isinstance(frame, str) else len(frame)
            if size > self._limits.max_message_bytes:
                limit = self._limits.max_message_bytes
                raise ProtocolError("LimitExceeded", f"A message of {size} bytes; the limit is {limit}.")
            return self._dispatch(m.decode_from_client(frame))
        except ProtocolError as error:
            return self.fail(error)

    def _dispatch(self, message: m.FromClient) -> list[Effect]:
        if isinstance(message, m.Unbind):
            end = Release() if self.state == "bound" else Close("unbound")
            self.state = "closed"
            return [Send(m.encode(m.Unbound())), end]
        if isinstance(message, m.Bind) != (self.state == "new"):
            name = type(message).__name__.lower()
            expected = "bind must come first" if self.state == "new" else "the session is bound already"
            raise ProtocolError("BadMessageOrder", f"Got '{name}', but {expected}.")
        if isinstance(message, m.Bind):
            return self._bind(message)
        if isinstance(message, m.Query):
            return self._query(message)
        if isinstance(message, m.Upload):
            return self._upload(message)
        if isinstance(message, m.Mark):
            return [FindNewest(message.request_ident)]
        return [Send(m.encode(m.Pong(timestamp=message.timestamp)))]

    def _bind(self, bind: m.Bind) -> list[Effect]:
        if min(bind.progress.server_version, bind.progress.client_version, bind.progress.query_version) < 0:
            raise ProtocolError("BadSyntax", "Versions in 'progress' cannot be negative.")
        if bind.client_file and not re.fullmatch(r"[0-9]{1,19}", bind.client_file.salt):
            raise ProtocolError("BadClientFileIdent", "The salt is not one that this server gave.")
        if bind.client_file is None and bind.progress != m.Progress():
            raise ProtocolError("BadClientFileIdent", "A file that holds data must name its ident and salt.")
        try:
            compare(bind.schema or (), self._schema)
        except SchemaMismatch as error:
            raise ProtocolError("SchemaMismatch", str(error)) from error
        self.progress = bind.progress
        return [Open(bind)]

    def _query(self, query: m.Query) -> list[Effect]:
        if query.query_version <= max(self.query_version, self._query_asked):
            asked = max(self.query_version, self._query_asked)
            raise ProtocolError("BadMessageOrder", f"Query version {query.query_version} does not follow {asked}.")
        self._query_asked = query.query_version
        if len(query.subscriptions) > self._limits.max_subscriptions:
            count, limit = len(query.subscriptions), self._limits.max_subscriptions
            return [self.refuse(query.query_version, "LimitExceeded", f"{count} subscriptions; the limit is {limit}.")]
        return [Subscribe(query)]

    def _upload(self, upload: m.Upload) -> list[Effect]:
        if not self._received <= upload.received <= self._sent:
            found, low, high = upload.received, self._received, self._sent
            raise ProtocolError("BadSyntax", f"'received' is {found}; expected {low} to {high}.")
        was_open, known = self.window_open, self.acknowledged_view
        self._received = upload.received
        while self._unacknowledged and self._unacknowledged[0][0] <= self._received:
            _, self.acknowledged_version, self.acknowledged_view = self._unacknowledged.popleft()
        fresh: list[m.Changeset] = []
        for changeset in upload.changesets:
            if changeset.client_version <= self._uploaded:
                if changeset.client_version <= 0 or fresh:
                    raise ProtocolError("BadChangeset", "Client versions must rise from changeset to changeset.")
                continue
            if max(changeset.client_version, abs(changeset.base_version), abs(changeset.timestamp)) >= 2**63:
                raise ProtocolError("BadChangeset", "Versions and timestamps of a changeset have at most 64 bits.")
            self._uploaded = changeset.client_version
            fresh.append(changeset)
        effects: list[Effect] = [Integrate(fresh)] if fresh else []
        return effects if was_open and known == self.acknowledged_view else [*effects, Wake()]

    # --- from the driver ---------------------------------------------------------------------------------------------

    def opened(self, opened: Opened, now: int) -> list[Effect]:
        """The file is open; `now` is in milliseconds since 1970. The session is bound from here on."""
        self.state = "bound"
        self.ident = opened.client_file.ident
        self.version = self._told = self.progress.server_version
        self.query_version, self.view = self.progress.query_version, self.progress.view
        self._query_asked = opened.query_version
        self.acknowledged_version, self.acknowledged_view = self.version, self.view
        self.client_version = self.progress.client_version
        self._uploaded = opened.client_version
        bound = m.Bound(
            epoch=opened.epoch,
            server_version=opened.server_version,
            client_version=opened.client_version,
            query_version=opened.query_version,
            server_time=now,
            schema=list(self._schema),
            limits=self._limits,
        )
        ident: list[Effect] = [Send(m.encode(m.Ident(client_file=opened.client_file)))] if opened.is_new else []
        return [*ident, Send(m.encode(bound)), Wake()]

    def begin(self, query_version: int, view: int) -> None:
        """The downloads from here on are those of this subscription set, cut by this bootstrap."""
        self.query_version, self.view = query_version, view

    def refuse(self, query_version: int, code: str, message: str) -> Send:
        """The set of this query version is refused; the one before stays in force."""
        return Send(m.encode(m.QueryError(query_version=query_version, code=code, message=message)))

    def newest(self, request_ident: int, version: int) -> list[Effect]:
        """A mark was asked for when the history had come to `version`."""
        self._marks.append((request_ident, version))
        return [Wake()]

    def fail(self, error: ProtocolError, retry_after: float | None = None) -> list[Effect]:
        """The session is over: tells the client the code and what to do about it, then closes."""
        if self.state == "closed":
            return []
        self.state = "closed"
        message = m.Error(
            code=error.code,
            message=error.message[:LONGEST_MESSAGE],
            fatal=error.action != "retry",
            action=WIRE_ERRORS[error.code].action,
            retry_after=retry_after,
            client_version=error.client_version,
        )
        return [Send(m.encode(message)), Close(f"{error.code}: {error.message}")]

    # --- to the client -----------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more downloads may be sent before the client acknowledges some."""
        return self._limits.window - (self._sent - self._received)

    @property
    def window_open(self) -> bool:
        return self.room > 0

    def advance(self, client_version: int, rejected: list[m.RejectedWrite]) -> list[Send]:
        """Changesets up to `client_version` are integrated in the state that the next download completes."""
        self.client_version = max(self.client_version, client_version)
        frames: list[list[m.RejectedWrite]] = []
        size = 0
        for write in rejected:
            length = len(m.encode_part(write))
            if not frames or size + length > self._limits.max_message_bytes // 2:
                frames.append([])
                size = 0
            frames[-1].append(write)
            size += length
        return [Send(m.encode(m.Rejected(client_version=client_version, writes=writes))) for writes in frames]

    def download(self, changes: str, batch_state: m.BatchState, version: int, progress: float = 1) -> Send:
        """The frame of a download whose changes are JSON text already. Counts it, and remembers how far it brings
        the client; only frames that complete something (`last`, `steady`) advance `version`."""
        self._sent += 1
        if batch_state != "more":
            self.version = self._told = max(self.version, version)
            self._unacknowledged.append((self._sent, version, self.view))
        return Send(
            f'{{"type":"download","queryVersion":{self.query_version},"batchState":"{batch_state}",'
            f'"serverVersion":{version},"clientVersion":{self.client_version},"progress":{progress:.4g},'
            f'"view":{self.view},"changes":{changes}}}'
        )

    def passed(self, version: int) -> None:
        """Nothing up to `version` concerns the file; it need not be told yet."""
        self.version = max(self.version, version)

    def due_marks(self) -> list[Send]:
        """Answers to the marks that have been passed, preceded by an empty download if the client's version lags."""
        due = [request for request, version in self._marks if version <= self.version]
        if not due:
            return []
        self._marks = [mark for mark in self._marks if mark[1] > self.version]
        lag = [self.download("[]", "steady", self.version)] if self._told < self.version else []
        return [*lag, *(Send(m.encode(m.Mark(request_ident=request))) for request in due)]

    @property
    def lags(self) -> bool:
        """Whether the client was not told yet of the version it holds in fact."""
        return self._told < self.version
