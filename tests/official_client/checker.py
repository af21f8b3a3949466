"""Checks everything a server says on a connection, as an official client does; usable without one.

`ConnectionChecker` takes all frames of a websocket, both ways, and raises a ClientKilled for the first one that an
official client would not survive. `SessionChecker` is its part for one session ident, which the model client uses too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from realm_sync.core.device_sync.errors import ABORTING
from realm_sync.core.device_sync.frames import (
    Allocated,
    Bind,
    Download,
    FromClient,
    FromServer,
    Ident,
    JsonError,
    LogMessage,
    Mark,
    Ping,
    Pong,
    Query,
    QueryError,
    Unbind,
    Unbound,
    Upload,
    decode_from_client,
)

from .errors import (
    AfterError,
    AfterUnbound,
    CompensationOutOfReach,
    DownloadBehindUpload,
    EmptyBootstrap,
    LatestAheadAtMark,
    LatestWentBack,
    MarkBeforeBootstrap,
    OutOfOrder,
    ProcessAborted,
    UnknownQueryVersion,
    UnreadableMessage,
    UploadServerWentBack,
    WrongDownloadCursor,
    WrongEntryClientVersion,
    WrongEntryVersion,
    WrongErrorBody,
    WrongErrorLevel,
    WrongIdent,
    WrongIntegratedVersion,
    WrongMark,
    WrongOrigin,
    WrongPong,
    WrongUploadCursor,
)
from .wire import decode_from_server, instructions

CONNECTION_CODES = frozenset(range(100, 115))
GOES_ON = frozenset({231, 236})
"""Errors that do not suspend the session."""
REQUIRED = {
    "message": str, "tryAgain": bool, "shouldClientReset": bool, "isRecoveryModeDisabled": bool, "logURL": str,
    "action": str,
}  # fmt: skip


class Progress(NamedTuple):
    """What a client file has of a server; see DOWNLOAD."""

    latest_server: int = 0
    latest_salt: int = 0
    download_server: int = 0
    download_client: int = 0
    upload_client: int = 0
    upload_server: int = 0


class SessionChecker:
    """One session, from BIND to UNBOUND."""

    def __init__(self, bind: Bind, newest_local: Callable[[], float] = lambda: math.inf) -> None:
        self.need_ident = bind.need_ident
        self.is_flexible = True
        self.newest_local = newest_local
        self.ident = 0
        self.progress = Progress()
        self.is_allocated = self.ident_sent = self.unbind_sent = self.is_suspended = self.is_ended = False
        self.queries: dict[int, str] = {}
        """Version of the sets known here → pending, complete, failed."""
        self.marks: dict[int, int | None] = {}
        """Those sent and not answered → the query version that must be bootstrapped before."""
        self.mark_answered = 0
        self.bootstrap_entries = 0
        self.compensations: list[int] = []
        self.is_at_end = True
        """Whether the last DOWNLOAD had D.sv = L.sv."""

    def sent(self, message: FromClient) -> None:
        match message:
            case Ident():
                self.ident, self.ident_sent = message.ident, True
                self.is_flexible = message.query is not None
                is_new = message.download_server == 0
                self.queries[message.query_version] = "pending" if is_new and self.is_flexible else "complete"
                self.progress = Progress(
                    message.latest_server, message.latest_salt, message.download_server, message.download_client,
                    message.download_client,
                )  # fmt: skip
            case Query(query_version=version):
                self.queries[version] = "pending"
            case Mark(request=request):
                pending = [version for version, state in self.queries.items() if state == "pending"]
                self.marks[request] = max(pending, default=None)
            case Unbind():
                self.unbind_sent = True

    def received(self, message: FromServer) -> None:
        if self.is_ended:
            raise AfterUnbound(f"{message} after UNBOUND")
        if self.is_suspended:
            raise AfterError(f"{message} after an error that suspended the session")
        match message:
            case Allocated():
                self._allocated(message)
            case Download():
                self._download(message)
            case Mark():
                self._mark(message)
            case Unbound():
                if not self.unbind_sent:
                    raise OutOfOrder("UNBOUND without UNBIND")
                self.is_ended = True
            case JsonError():
                error_body(message)
                self._error(message)
            case QueryError(query_version=version):
                self._must_be_live(message)
                if self.queries.get(version) != "pending":
                    raise UnknownQueryVersion(f"{message}: the client knows {self.queries}")
                self.queries[version] = "failed"

    def _must_be_live(self, message: Any) -> None:
        if not self.ident_sent:
            raise OutOfOrder(f"{message} before IDENT")

    def _allocated(self, message: Allocated) -> None:
        if not self.need_ident or self.is_allocated or self.ident_sent:
            raise OutOfOrder(f"{message} was not asked for")
        if not 2 <= message.ident < 1 << 63 or not 1 <= message.salt < 1 << 63:
            raise WrongIdent(str(message))
        self.is_allocated = True

    def _mark(self, message: Mark) -> None:
        self._must_be_live(message)
        request = message.request
        if request not in self.marks or request <= self.mark_answered:
            raise WrongMark(f"{message}: open are {sorted(self.marks)}")
        required = self.marks[request]
        if required is not None and self.queries.get(required) == "pending" and required == max(self.queries):
            raise MarkBeforeBootstrap(f"{message}: query version {required} is not bootstrapped")
        if not self.is_at_end:
            raise LatestAheadAtMark(f"{message}: {self.progress}")
        self.mark_answered = request
        self.marks = {sent: version for sent, version in self.marks.items() if sent > request}

    def _error(self, message: JsonError) -> None:
        if message.code in CONNECTION_CODES:
            raise WrongErrorLevel(f"{message}: an error of the connection in a session")
        if message.code == 231:
            version = msgspec.json.decode(message.body)["compensatingWriteServerVersion"]
            if version < max(self.compensations, default=0):
                raise CompensationOutOfReach(f"{message}: below {self.compensations}")
            self.compensations.append(version)
        self.is_suspended = message.code not in GOES_ON

    def _download(self, message: Download) -> None:
        self._must_be_live(message)
        self.check_header(message)
        self.check_entries(message)
        self._check_batch(message)
        self.is_at_end = message.download_server == message.latest_server
        if message.batch_state:
            self.progress = Progress(
                message.latest_server, message.latest_salt, message.download_server, message.download_client,
                message.upload_client, max(message.upload_server, self.progress.upload_server),
            )  # fmt: skip

    def check_header(self, message: Download) -> None:
        had = self.progress
        if message.latest_server < had.latest_server:
            raise LatestWentBack(f"{had} → {_header(message)}")
        if not had.upload_client <= message.upload_client <= self.newest_local():
            raise WrongUploadCursor(f"{had} → {_header(message)}; newest local version {self.newest_local()}")
        if not had.download_server <= message.download_server <= message.latest_server:
            raise WrongDownloadCursor(f"{had} → {_header(message)}")
        if not had.download_client <= message.download_client <= message.upload_client:
            raise WrongIntegratedVersion(f"{had} → {_header(message)}")
        if message.download_server < message.upload_server:
            raise DownloadBehindUpload(f"{had} → {_header(message)}")
        if 0 < message.upload_server < had.upload_server:
            raise UploadServerWentBack(f"{had} → {_header(message)}")

    def check_entries(self, message: Download) -> None:
        server, client = self.progress.download_server, self.progress.download_client
        for entry in message.entries:
            grows = entry.server_version >= server if self.is_flexible else entry.server_version > server
            if not entry.server_version or not grows or entry.server_version > message.download_server:
                raise WrongEntryVersion(f"{entry[:4]} after {server} in {_header(message)}")
            if not client <= entry.client_version <= message.download_client:
                raise WrongEntryClientVersion(f"{entry[:4]} after {client} in {_header(message)}")
            if entry.origin in (0, self.ident):
                raise WrongOrigin(f"{entry[:4]} to the file {self.ident}")
            server, client = entry.server_version, entry.client_version

    def _check_batch(self, message: Download) -> None:
        if (message.query_version is not None) != self.is_flexible:
            raise UnreadableMessage(f"{_header(message)}: a download of the other kind of sync")
        if message.batch_state == 2:
            reported = self.compensations
            if reported and not (
                message.entries
                and message.entries[0].server_version <= min(reported)
                and max(reported) <= message.entries[-1].server_version
            ):
                raise CompensationOutOfReach(f"{self.compensations} right before {_header(message)}")
            self.compensations = []
            return
        if self.compensations:
            raise CompensationOutOfReach(f"{self.compensations} right before a bootstrap")
        version = int(message.query_version or 0)
        if self.queries.get(version) not in ("pending", "complete"):
            raise UnknownQueryVersion(f"{_header(message)}: the client knows {self.queries}")
        self.bootstrap_entries += len(message.entries)
        if message.batch_state == 1:
            if not self.bootstrap_entries:
                raise EmptyBootstrap(str(_header(message)))
            self.bootstrap_entries = 0
            self.queries = {known: state for known, state in self.queries.items() if known >= version}
            self.queries[version] = "complete"


def _header(message: Download) -> Download:
    return message._replace(entries=tuple(entry._replace(changeset=b"...") for entry in message.entries[-3:]))


def error_body(message: JsonError) -> dict[str, Any]:
    """The JSON of an error; WrongErrorBody or ProcessAborted if the client would not take it."""
    if message.code in ABORTING:
        raise ProcessAborted(f"{message}: the client takes the number for impossible")
    try:
        body = msgspec.json.decode(message.body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise WrongErrorBody(f"{message}: {error}") from error
    required: dict[str, type] = dict(REQUIRED)
    if message.code == 231:
        required |= {"rejectedUpdates": list, "rejectedClientVersion": int, "compensatingWriteServerVersion": int}
    if "backoffIntervalSec" in body:
        required |= {"backoffIntervalSec": int, "backoffMaxDelaySec": int, "backoffMultiplier": int}
    for name, kind in required.items():
        if type(body.get(name)) is not kind:
            raise WrongErrorBody(f"{name} must be {kind.__name__}: {body}")
    for rejected in body.get("rejectedUpdates", ()):
        if any(type(rejected.get(name)) is not str for name in ("table", "pk", "reason")):
            raise WrongErrorBody(f"table, pk and reason must be texts: {rejected}")
    return body


class ConnectionChecker:
    """All frames of one websocket, as bytes: `sent` what the client says, `received` what the server says."""

    def __init__(self, newest_local: dict[int, int] | None = None) -> None:
        """`newest_local`: file ident → newest client version that may exist. Share one between the connections of a
        test; a file that is not in it has been there before, and its upload cursor is not checked."""
        self.newest_local = {} if newest_local is None else newest_local
        self.sessions: dict[int, SessionChecker] = {}
        self.ping: int | None = None
        self.is_closing = False

    def sent(self, frame: bytes) -> FromClient:
        """Takes note of a frame of the client."""
        message = decode_from_client(frame)
        if isinstance(message, Ping):
            self.ping = message.timestamp
            return message
        if isinstance(message, Bind):
            checker = SessionChecker(message)
            checker.newest_local = lambda: self.newest_local.get(checker.ident, math.inf)
            self.sessions[message.session] = checker
            return message
        checker = self.sessions[message.session]
        checker.sent(message)
        if isinstance(message, Upload):
            known = self.newest_local.get(checker.ident)
            if known is not None:
                self.newest_local[checker.ident] = max(known, message.progress_client)
        return message

    def received(self, frame: bytes | str) -> FromServer:
        """A frame of the server. ClientKilled: an official client does not survive it."""
        if isinstance(frame, str):
            raise UnreadableMessage(f"a text frame: clients ignore it: {frame[:80]!r}")
        message = decode_from_server(frame)
        if self.is_closing:
            raise OutOfOrder(f"{message} after an error of the connection")
        match message:
            case Pong(timestamp):
                if timestamp != self.ping:
                    raise WrongPong(f"{message}, and the ping is {self.ping}")
                self.ping = None
            case JsonError(session=0):
                error_body(message)
                if message.code not in CONNECTION_CODES:
                    raise WrongErrorLevel(f"{message}: not an error of the connection")
                self.is_closing = True
            case LogMessage(session=0):
                pass
            case _:
                if (checker := self.sessions.get(message.session)) is None:
                    raise OutOfOrder(f"{message}: there is no such session")
                checker.received(message)
                if isinstance(message, Allocated):
                    self.newest_local[message.ident] = 0
                if isinstance(message, Download):
                    for entry in message.entries:
                        instructions(entry.changeset)
        return message
