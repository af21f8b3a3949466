"""Client session: one connection's conversation, seen from the client file. Sans-I/O.

Decides what is sent when: bind first, changesets and subscription sets in the order the user made them, never more
than the server wants, marks, pings; and what to do with everything the server says. Knows no socket, clock, thread or
database: time and the file's contents are arguments, wishes come back as effects, which the driver
(`client/transport.py`) performs in order and answers through `pending_read`, `stored` and `applied`. One object lives
for one connection; what must survive it is in the store.

    new ──opened()──> binding ──bound──> bound ──close()──> unbinding ──unbound──> closed
                         └───────────────── error, lost() ──────────────────────────^

State × message. `!` is a violation by the server: Stop with `BadMessageOrder`. `–` is ignored.

    state      ident   bound   download   mark   queryError  rejected  pong  unbound  error
    new        !       !       !          !      !           !         !     !        by its action → closed
    binding    keep    →bound  !          !      !           !         !     !        by its action → closed
    bound      !       !       apply      tell   tell        hold      note  !        by its action → closed
    unbinding  –       –       –          –      –           –         –     →closed  – → closed
    closed     –       –       –          –      –           –         –     –        –

With `download_first`, a client that was away sees what happened meanwhile before it uploads: `bound` asks for a mark of
its own, and until that is answered no changeset is read or sent. While it catches up:

    acknowledgements, marks, pings      go out as ever, so that the server goes on
    a set that follows no changeset     is sent at once: its bootstrap comes before the mark
    a set that follows changesets       waits for them, and they for the mark
    a client reset                      ends when its content is applied; uploads wait for both
    a refused set                       changes nothing: the server answers the mark all the same
    the mark is answered                as without `download_first` from here on, and `caught_up`
    error, lost(), close()              end the session as ever, not `caught_up`

A changeset that edits inside a property (list, dictionary, counter …) counts indexes from the state its file holds:

    the objects it edits are touched by                  it is
    nothing that was sent, or by what is acknowledged    sent
    an earlier changeset of the same message             sent with it
    an upload that is on its way                         held, and all after it, until a download acknowledges that
    what an earlier session sent (unknown here)          held until a download acknowledges all that the server has

Rules it carries: R6 (nothing at or below `bound.clientVersion` is uploaded again), R9 (a compensating write is told
after its correction is applied), R10 (parts are stored, and applied with the last).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from .errors import Action, ProtocolError
from .messages import (
    Bind,
    Bound,
    Changeset,
    ClientFile,
    Download,
    Edit,
    Error,
    FromClient,
    FromServer,
    Ident,
    Instruction,
    Limits,
    Mark,
    Ping,
    Pong,
    Progress,
    Query,
    QueryError,
    Rejected,
    SubscriptionItem,
    Unbind,
    Unbound,
    Upload,
)
from .schema import ObjectSchema

UPLOAD_BYTES = 128 * 1024
"""Instructions in one upload, about; a single larger changeset travels alone."""
UPLOADS_AHEAD = 4
"""Uploads on the way that no download has acknowledged yet."""
PING_SECONDS = 60.0
PONG_SECONDS = 120.0
CATCH_UP_MARK = 0
"""The session's own mark; those of `request_mark` are above."""
UNBIND_SECONDS = 3.0
"""How long an ending session waits for `unbound`."""

Touched = tuple[str, object]
"""Class and key of an object."""

State = Literal["new", "binding", "bound", "unbinding", "closed"]


@dataclass(frozen=True)
class UnsentSet:
    """A subscription set that this server may not have: it follows the changesets up to `after`."""

    query_version: int
    after: int
    subscriptions: tuple[SubscriptionItem, ...]


@dataclass(frozen=True)
class FileState:
    """What the client file holds when the connection opens."""

    client_file: ClientFile | None
    epoch: str | None
    progress: Progress
    sets: tuple[UnsentSet, ...] = ()
    """Every set that is not complete, oldest first."""
    resetting: bool = False
    """A client reset is under way: no uploads until the new content has replaced the old."""


# --- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Send:
    message: FromClient


@dataclass(frozen=True)
class StoreBound:
    """Store durably, in one transaction, before anything that follows. `client_file` is set if it is new."""

    client_file: ClientFile | None
    bound: Bound


@dataclass(frozen=True)
class DropParts:
    """Throw stored download parts away."""


@dataclass(frozen=True)
class StorePart:
    """Keep as long as this session lives, then call `stored()`."""

    download: Download


@dataclass(frozen=True)
class ApplyDownload:
    """Apply with all stored parts in one transaction, then call `applied()`. `with_parts`: it ends a bootstrap."""

    download: Download
    with_parts: bool


@dataclass(frozen=True)
class ReadPending:
    """Read changesets above `after`, up to `upto` if given, of `max_bytes` together but at least one; then call
    `pending_read()`."""

    after: int
    upto: int | None
    max_bytes: int


@dataclass(frozen=True)
class RefuseSet:
    """The server refused the subscription set: store that, tell who waits for it."""

    error: QueryError


@dataclass(frozen=True)
class HoldRejected:
    """Store; tell the app once a download with this client version is applied. May come again: once is enough."""

    rejected: Rejected


@dataclass(frozen=True)
class Marked:
    """The answer to `request_mark(ident)`."""

    ident: int


@dataclass(frozen=True)
class Ended:
    """The session is over and the connection must be closed; `action` says what to do next."""

    action: Action | Literal["done"]
    error: Error | ProtocolError | None = None
    retry_after: float | None = None


Effect = (
    Send | StoreBound | DropParts | StorePart | ApplyDownload | ReadPending | RefuseSet | HoldRejected | Marked | Ended
)


# --- the machine -----------------------------------------------------------------------------------------------------


@dataclass
class ClientSession:
    """One connection. Every method returns the effects to perform, in order; none raises for what the server does."""

    file: FileState
    token: str | None
    schema: list[ObjectSchema] | None
    user_agent: str = ""
    download_first: bool = False
    """Nothing is uploaded before everything that the server has at `bound` is here."""
    ping: float = PING_SECONDS
    """Seconds between two pings."""
    pong: float = PONG_SECONDS
    """Seconds of silence after which the connection is taken for lost."""

    state: State = "new"
    limits: Limits | None = None
    uploaded: int = 0
    """Changesets up to this client version are with the server, or on their way to it."""
    caught_up: bool = False
    """Bound, and nothing holds uploads back for `download_first`."""
    unbound: bool = False
    """Ended by `unbound`: the socket is free for another session."""
    _sets: deque[UnsentSet] = field(default_factory=deque)
    _query_sent: int = 0
    _awaited: int = 0
    """The subscription set whose download completes a client reset."""
    _new_file: ClientFile | None = None
    _ahead: deque[tuple[int, set[Touched]]] = field(default_factory=deque)
    """Uploads that no download has acknowledged: their last client version, and the objects they touch."""
    _unseen: int = 0
    """The server has changesets up to this one, by an earlier session; what they touch is not known here."""
    _held: bool = False
    """The next changeset waits for an acknowledgement."""
    _reading: bool = False
    _unread: bool = True
    _held_back: bool = False
    _received: int = 0
    _reported: int = 0
    _parts: tuple[int, int] | None = None
    _marks: list[int] = field(default_factory=list)
    _pinged: float = 0.0
    _heard: float = 0.0
    _unbinding: float | None = None

    def opened(self, now: float) -> list[Effect]:
        """The socket is open. Parts of an earlier session are thrown away, then the file presents itself."""
        assert self.state == "new"
        self.state = "binding"
        self._sets.extend(self.file.sets)
        self._held_back = self.file.resetting
        self._pinged = self._heard = now
        bind = Bind(
            token=self.token,
            client_file=self.file.client_file,
            epoch=self.file.epoch,
            progress=self.file.progress,
            schema=self.schema,
            user_agent=self.user_agent,
        )
        return [DropParts(), Send(bind)]

    def receive(self, message: FromServer, now: float) -> list[Effect]:
        """The effects of one message. A message that the state does not allow ends the session."""
        self._heard = now
        match self.state, message:
            case "closed", _:
                return []
            case "unbinding", Unbound() | Error():
                self.unbound = isinstance(message, Unbound)
                return self._end("done")
            case "unbinding", _:
                return []
            case _, Error():
                return self._end(message.action, message, message.retry_after)
            case "binding", Ident() if self.file.client_file is None and self._new_file is None:
                self._new_file = message.client_file
                return []
            case "binding", Bound() if self.file.client_file or self._new_file:
                return self._bound(message)
            case "bound", Download():
                return self._download(message)
            case "bound", Mark():
                if message.request_ident == CATCH_UP_MARK and not self.caught_up:
                    self.caught_up = True
                    return self._proceed()
                if message.request_ident in self._marks:
                    self._marks.remove(message.request_ident)
                    return [Marked(message.request_ident)]
                return []
            case "bound", QueryError():
                if message.query_version == self._awaited:
                    self._awaited = 0  # a client reset then ends with what the server sends anyway
                return [RefuseSet(message)]
            case "bound", Rejected():
                return [HoldRejected(message)]
            case "bound", Pong():
                return []
        kind = type(message).__name__
        return self._violated("BadMessageOrder", f"The server sent '{kind}' while the session was {self.state}.")

    def undecodable(self, error: ProtocolError) -> list[Effect]:
        """The server sent a frame that is no message."""
        return [] if self.state == "closed" else self._end("stop", error)

    def local_commit(self) -> list[Effect]:
        """There are new changesets in the file."""
        self._unread = True
        return self._proceed()

    def subscriptions_changed(self, sets: Sequence[UnsentSet]) -> list[Effect]:
        """There are new subscription sets in the file; those known already are skipped."""
        newest = self._sets[-1].query_version if self._sets else self._query_sent
        self._sets.extend(s for s in sets if s.query_version > newest)
        return self._proceed()

    def request_mark(self, ident: int) -> list[Effect]:
        """Ask for a mark, above CATCH_UP_MARK; sent as soon as the session is bound. `Marked(ident)` is the answer."""
        self._marks.append(ident)
        return [Send(Mark(request_ident=ident))] if self.state == "bound" else []

    def pending_read(self, changesets: Sequence[Changeset]) -> list[Effect]:
        """The answer to ReadPending; none: there are no more for now."""
        self._reading = False
        if not changesets:
            return self._proceed(drained=True)
        self._unread = True
        free = self._free(changesets)
        self._held = free < len(changesets)
        if not free:
            return []
        sent = list(changesets[:free])
        self.uploaded = sent[-1].client_version
        self._ahead.append((self.uploaded, {key for changeset in sent for key in _touched(changeset)}))
        return [self._upload(sent), *self._proceed()]

    def _free(self, changesets: Sequence[Changeset]) -> int:
        """How many of `changesets` may be sent. One that edits an object is held while an upload that touches it is not
        acknowledged: others' changes may come with the acknowledgement, and the indexes of its edits are counted from
        what both together leave. Within one message they follow each other."""
        on_the_way = set().union(*(touched for _, touched in self._ahead))
        for at, changeset in enumerate(changesets):
            edited = _touched(changeset, Edit)
            if edited and (self._unseen or not edited.isdisjoint(on_the_way)):
                return at
        return len(changesets)

    def stored(self) -> list[Effect]:
        """A part is stored durably."""
        return self._count_received()

    def applied(self, download: Download) -> list[Effect]:
        """The download is applied, and the file's progress is what it says."""
        while self._ahead and self._ahead[0][0] <= download.client_version:
            self._ahead.popleft()
            self._held = False
        if self._unseen and self._unseen <= download.client_version:
            self._unseen, self._held = 0, False
        if self._held_back and not self._sets and download.query_version >= self._awaited:
            self._held_back = False
        # The end of a bootstrap is told at once: the server then knows the subscription set to be complete.
        return [*self._count_received(at_once=download.batch_state == "last"), *self._proceed()]

    def tick(self, now: float) -> list[Effect]:
        """Call every second or so. Sends pings; ends a session whose server has fallen silent."""
        if self.state in ("new", "closed"):
            return []
        if self.state == "unbinding":
            self._unbinding = now if self._unbinding is None else self._unbinding
            return self._end("done") if now - self._unbinding >= UNBIND_SECONDS else []
        if now - self._heard >= self.pong:
            return self._end("retry")
        if self.state == "bound" and now - self._pinged >= self.ping:
            self._pinged = now
            return [Send(Ping(timestamp=int(now * 1000)))]
        return []

    def close(self) -> list[Effect]:
        """The client wants to end: say so and wait for `unbound`."""
        if self.state == "bound":
            self.state = "unbinding"
            return [Send(Unbind())]
        return [] if self.state in ("unbinding", "closed") else self._end("done")

    def lost(self) -> list[Effect]:
        """The socket is gone."""
        if self.state == "closed":
            return []
        return self._end("done" if self.state == "unbinding" else "retry")

    # --- steps -------------------------------------------------------------------------------------------------------

    def _bound(self, bound: Bound) -> list[Effect]:
        self.state = "bound"
        self.limits = bound.limits
        self.uploaded = bound.client_version
        self._unseen = bound.client_version if bound.client_version > self.file.progress.client_version else 0
        self._query_sent = self._awaited = bound.query_version
        while self._sets and self._sets[0].query_version <= bound.query_version:
            self._sets.popleft()
        self.caught_up = not self.download_first
        own = [] if self.caught_up else [CATCH_UP_MARK]
        effects: list[Effect] = [StoreBound(self._new_file, bound), *self._proceed()]
        return effects + [Send(Mark(request_ident=ident)) for ident in own + self._marks]

    def _download(self, download: Download) -> list[Effect]:
        if download.batch_state == "more":
            view = (download.query_version, download.view)
            effects: list[Effect] = [DropParts()] if self._parts not in (None, view) else []
            self._parts = view
            return [*effects, StorePart(download)]
        with_parts = download.batch_state == "last"
        if with_parts:
            self._parts = None
        return [ApplyDownload(download, with_parts)]

    def _proceed(self, drained: bool = False) -> list[Effect]:
        """Upload what may be uploaded, and send the next subscription set when all before it is on its way."""
        if self.state != "bound" or self._reading:
            return []
        effects: list[Effect] = []
        while self._sets and (self._held_back or drained or self.uploaded >= self._sets[0].after):
            sent = self._sets.popleft()
            if self._sets and self._sets[0].after <= max(self.uploaded, sent.after):
                continue  # nothing was written between the two: the newer one alone says all
            self._query_sent = self._awaited = sent.query_version
            effects.append(Send(Query(query_version=sent.query_version, subscriptions=list(sent.subscriptions))))
            drained, self._unread = False, True
        if drained:
            self._unread = False
        waits = self._held or self._held_back or len(self._ahead) >= UPLOADS_AHEAD
        if self._unread and self.caught_up and not waits:
            self._reading = True
            limit = self.limits.max_message_bytes * 3 // 4 if self.limits else UPLOAD_BYTES
            upto = self._sets[0].after if self._sets else None
            effects.append(ReadPending(self.uploaded, upto, min(UPLOAD_BYTES, limit)))
        return effects

    def _count_received(self, at_once: bool = False) -> list[Effect]:
        """An empty upload tells the server to go on, once half its window is used and no changeset went out."""
        self._received += 1
        window = self.limits.window if self.limits else 1
        if self.state == "bound" and (at_once or self._received - self._reported >= max(1, window // 2)):
            return [self._upload([])]
        return []

    def _upload(self, changesets: list[Changeset]) -> Send:
        self._reported = self._received
        return Send(Upload(changesets=changesets, received=self._received))

    def _violated(self, code: str, text: str) -> list[Effect]:
        return self._end("stop", ProtocolError(code, text))

    def _end(
        self,
        action: Action | Literal["done"],
        error: Error | ProtocolError | None = None,
        retry_after: float | None = None,
    ) -> list[Effect]:
        self.state = "closed"
        return [Ended(action, error, retry_after)]


def _touched(changeset: Changeset, kind: type[Instruction] = Instruction) -> set[Touched]:
    """The objects that instructions of this kind are about."""
    return {(step.class_name, step.id) for step in changeset.instructions if isinstance(step, kind)}
