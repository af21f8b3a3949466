"""Frames: the messages of protocol 14, one binary websocket message each: a header of words, and a body.

Decides how they are written and read, strictly: an unknown word, a wrong number of fields, a number out of range or a
body of another length is a FrameError with the number of Device Sync's error, and never more memory than the message
justifies. Knows nothing of sessions. Changesets inside are bytes here; changesets.py reads those.
"""

from __future__ import annotations

from typing import NamedTuple

# --- client → server -------------------------------------------------------------------------------------------------


class Bind(NamedTuple):
    session: int
    path: bytes
    """Flexible sync: JSON with `sessionReason` and `schemaVersion`; partition sync: the partition's value as JSON."""
    need_ident: bool


class Ident(NamedTuple):
    session: int
    ident: int
    salt: int
    download_server: int
    download_client: int
    latest_server: int
    latest_salt: int
    query_version: int = 0
    query: bytes | None = None
    """JSON: class → RQL; None in partition sync."""


class Query(NamedTuple):
    session: int
    query_version: int
    query: bytes


class UploadEntry(NamedTuple):
    client_version: int
    base: int
    timestamp: int
    """Milliseconds since 2015-01-01, as on the wire."""
    origin: int
    changeset: bytes


class Upload(NamedTuple):
    session: int
    progress_client: int
    progress_server: int
    locked_server: int
    entries: tuple[UploadEntry, ...]


class Mark(NamedTuple):
    """Both ways."""

    session: int
    request: int


class Unbind(NamedTuple):
    session: int


class ClientError(NamedTuple):
    session: int
    code: int
    message: str


class TestCommand(NamedTuple):
    session: int
    request: int
    command: str


class Ping(NamedTuple):
    timestamp: int
    round_trip: int


FromClient = Bind | Ident | Query | Upload | Mark | Unbind | ClientError | TestCommand | Ping

# --- server → client -------------------------------------------------------------------------------------------------


class Allocated(NamedTuple):
    """The server's `ident`: a new client file."""

    session: int
    ident: int
    salt: int


class DownloadEntry(NamedTuple):
    server_version: int
    client_version: int
    """k: written for a state that contains the receiver's own changesets up to here."""
    timestamp: int
    """Milliseconds since 2015-01-01."""
    origin: int
    changeset: bytes


class Download(NamedTuple):
    session: int
    download_server: int
    download_client: int
    latest_server: int
    latest_salt: int
    upload_client: int
    upload_server: int
    query_version: int | None
    """None in partition sync, which has neither batches nor an estimate."""
    batch_state: int
    """0: more of a bootstrap follows; 1: the end of one; 2: anything else."""
    progress: float
    entries: tuple[DownloadEntry, ...]


class Unbound(NamedTuple):
    session: int


class JsonError(NamedTuple):
    session: int
    """0: the connection itself."""
    code: int
    body: bytes


class QueryError(NamedTuple):
    session: int
    query_version: int
    code: int
    message: str


class LogMessage(NamedTuple):
    session: int
    level: str
    message: str


class Pong(NamedTuple):
    timestamp: int


FromServer = Allocated | Download | Mark | Unbound | JsonError | QueryError | LogMessage | Pong
