"""Frames: the messages of protocol 14, one binary websocket message each: a header of words, and a body.

Decides how they are written and read, strictly: an unknown word, a wrong number of fields, a number out of range or a
body of another length is a DeviceSyncError of the connection (102, 103, 110 to 112; 101 for what is above the Limits),
and never more memory than the message and the limits justify. Knows nothing of sessions. Changesets inside are bytes
here; changesets.py reads those.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from .changesets import key_text
from .errors import DeviceSyncError
from .instructions import Key

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


class Body:
    """Entries of a download as they travel, compressed or not. Iterates over them, as a tuple of them would."""

    __slots__ = ("count", "data", "is_compressed", "size")

    def __init__(self, data: bytes, size: int, count: int, *, is_compressed: bool) -> None:
        self.data, self.is_compressed = data, is_compressed
        self.size = size
        """Bytes, inflated."""
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[DownloadEntry]:
        raw = zlib.decompress(self.data) if self.is_compressed else self.data
        for numbers, changeset in entry_list(raw, 5, self.count):
            yield DownloadEntry._make((*numbers[:4], changeset))


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
    entries: tuple[DownloadEntry, ...] | Body


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


# --- Limits and numbers ----------------------------------------------------------------------------------------------

LARGEST = (1 << 63) - 1
HEADER_LIMIT = 512
"""Bytes up to the line feed: the longest header has thirteen numbers."""
COMPRESS_FROM = 1024
"""Bytes of a body; below, zlib gains nothing. The clients use the same number."""


class Limits(NamedTuple):
    body_bytes: int = 64 << 20
    """Of a body, as it is and inflated. An SDK packs 128 KiB of changesets into a message, but one changeset has as much
    as its transaction wrote, and a binary value alone up to 16 MiB."""
    text_bytes: int = 4 << 20
    """Of a body that is no upload's: a value, queries, an error."""
    entries: int = 10_000
    """Of one upload. 128 KiB have room for some 5000 of the smallest changesets."""


LIMITS = Limits()


class Rejection(NamedTuple):
    class_name: str
    key: Key
    reason: str


# --- Reading what clients say ----------------------------------------------------------------------------------------


def decode_from_client(data: bytes, limits: Limits = LIMITS) -> FromClient:
    """The message in one binary frame; DeviceSyncError if it is none."""
    word, fields, body = split(data)
    read = _FROM_CLIENT.get(word)
    if read is None:
        raise DeviceSyncError(102, f"There is no message {word[:20]!r} from a client.")
    most = limits.body_bytes if read is _upload else limits.text_bytes
    if len(body) > most:
        raise DeviceSyncError(101, f"A body of {len(body)} bytes; at most {most} are allowed.")
    return read(Fields(word, fields), body, limits)


def split(data: bytes) -> tuple[str, list[bytes], bytes]:
    """Word, fields and body of a frame."""
    end = data.find(b"\n", 0, HEADER_LIMIT)
    if end < 0:
        raise DeviceSyncError(103, f"No line feed within the first {HEADER_LIMIT} bytes of a message.")
    word, *fields = data[:end].split(b" ")
    return word.decode("ascii", "replace"), fields, data[end + 1 :]


class Fields:
    """The fields of a header, taken in their order."""

    def __init__(self, word: str, fields: Sequence[bytes]) -> None:
        self.word = word
        self._fields = fields
        self._next = 0

    def __len__(self) -> int:
        return len(self._fields)

    def text(self) -> bytes:
        if self._next == len(self._fields):
            raise DeviceSyncError(103, f"{self.word} has {len(self._fields)} fields, and one more is expected.")
        self._next += 1
        return self._fields[self._next - 1]

    def number(self, most: int = LARGEST) -> int:
        """A decimal number from 0 on, without sign, of 64 bits."""
        written = self.text()
        value = number(written)
        if value is None or value > most:
            raise DeviceSyncError(
                103, f"Field {self._next} of {self.word} is {written[:30]!r}; a number from 0 to {most} is expected."
            )
        return value

    def flag(self) -> bool:
        return self.number(1) == 1

    def end(self) -> None:
        if self._next != len(self._fields):
            raise DeviceSyncError(103, f"{self.word} has {len(self._fields)} fields in place of {self._next}.")

    def whole(self, body: bytes, size: int) -> bytes:
        """The body, which must have exactly this size."""
        self.end()
        if len(body) != size:
            raise DeviceSyncError(103, f"{self.word} announces a body of {size} bytes and has {len(body)}.")
        return body


def number(written: bytes) -> int | None:
    """The value of decimal digits; None if it is anything else or does not fit into 63 bits."""
    if not written.isdigit():  # of bytes, isdigit means ASCII
        return None
    value = int(written)
    return value if value <= LARGEST else None


def inflate(body: bytes, size: int, limits: Limits = LIMITS) -> bytes:
    """What zlib made `body` of, which must be exactly `size` bytes; no byte more is ever inflated."""
    if size > limits.body_bytes:
        raise DeviceSyncError(101, f"A body of {size} bytes; at most {limits.body_bytes} are allowed.")
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(body, size + 1)  # one more, so that the end of the stream is seen
    except zlib.error as error:
        raise DeviceSyncError(110, f"A body that does not inflate: {error}.") from error
    if len(data) != size or not inflater.eof or inflater.unused_data:
        raise DeviceSyncError(110, f"A body does not inflate to exactly the {size} bytes that its header announces.")
    return data


def _bind(fields: Fields, body: bytes, limits: Limits) -> Bind:
    session, path_size, token_size = fields.number(), fields.number(), fields.number()
    need_ident = fields.flag()
    fields.flag()  # is_subserver: of server clusters, always 0
    fields.whole(body, path_size + token_size)  # the token is empty: the HTTP request of the websocket has it
    return Bind(session, body[:path_size], need_ident)


def _ident(fields: Fields, body: bytes, limits: Limits) -> Ident:
    is_flexible = len(fields) != 7
    ident = Ident._make([*(fields.number() for _ in range(7)), 0, None])
    if not is_flexible:
        fields.whole(body, 0)
        return ident
    query_version, size = fields.number(), fields.number()
    return ident._replace(query_version=query_version, query=fields.whole(body, size))


def _query(fields: Fields, body: bytes, limits: Limits) -> Query:
    session, query_version, size = fields.number(), fields.number(), fields.number()
    return Query(session, query_version, fields.whole(body, size))


def _upload(fields: Fields, body: bytes, limits: Limits) -> Upload:
    session, is_compressed, size, compressed_size = fields.number(), fields.flag(), fields.number(), fields.number()
    progress = fields.number(), fields.number(), fields.number()
    if is_compressed:
        body = inflate(fields.whole(body, compressed_size), size, limits)
    else:
        fields.whole(body, size)
    entries = tuple(UploadEntry._make((*four, data)) for four, data in entry_list(body, 4, limits.entries))
    return Upload(session, *progress, entries)


def entry_list(body: bytes, count: int, most: int = LIMITS.entries) -> list[tuple[list[int], bytes]]:
    """The changesets in a body, each with the `count` numbers before it; a last number is its size."""
    found: list[tuple[list[int], bytes]] = []
    position = 0
    while position < len(body):
        if len(found) == most:
            raise DeviceSyncError(101, f"A message of more than {most} changesets.")
        numbers = []
        for _ in range(count + 1):
            end = body.find(b" ", position, position + 20)
            value = number(body[position:end]) if end >= 0 else None
            if value is None:
                raise DeviceSyncError(
                    111, f"No number at byte {position} of a message's changesets, where {count + 1} precede the next."
                )
            numbers.append(value)
            position = end + 1
        size = numbers.pop()
        if size > len(body) - position:
            raise DeviceSyncError(
                112, f"A changeset of {size} bytes at byte {position}, where {len(body) - position} are left."
            )
        found.append((numbers, body[position : position + size]))
        position += size
    return found


def _mark(fields: Fields, body: bytes, limits: Limits) -> Mark:
    mark = Mark(fields.number(), fields.number())
    fields.whole(body, 0)
    return mark


def _unbind(fields: Fields, body: bytes, limits: Limits) -> Unbind:
    unbind = Unbind(fields.number())
    fields.whole(body, 0)
    return unbind


def _json_error(fields: Fields, body: bytes, limits: Limits) -> ClientError:
    code, size, session = fields.number(), fields.number(), fields.number()
    return ClientError(session, code, _member(fields.whole(body, size), "message"))


def _test_command(fields: Fields, body: bytes, limits: Limits) -> TestCommand:
    session, request, size = fields.number(), fields.number(), fields.number()
    return TestCommand(session, request, _member(fields.whole(body, size), "command"))


def _ping(fields: Fields, body: bytes, limits: Limits) -> Ping:
    ping = Ping(fields.number(), fields.number())
    fields.whole(body, 0)
    return ping


def _member(body: bytes, name: str) -> str:
    """The string of this name in a JSON object."""
    try:
        value = msgspec.json.decode(body)[name]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, KeyError, IndexError):
        value = None
    if not isinstance(value, str):
        raise DeviceSyncError(103, f"A body that is no JSON object with the string {name!r}.")
    return value


_FROM_CLIENT: dict[str, Callable[[Fields, bytes, Limits], FromClient]] = {
    "bind": _bind,
    "ident": _ident,
    "query": _query,
    "upload": _upload,
    "mark": _mark,
    "unbind": _unbind,
    "json_error": _json_error,
    "test_command": _test_command,
    "ping": _ping,
}

# --- Writing what the server says ------------------------------------------------------------------------------------


def encode_from_server(message: FromServer, level: int = 1) -> bytes:
    """The binary frame of a message. A body of a download above COMPRESS_FROM is compressed; `level` is
    zlib's, and 0 leaves it as it is."""
    match message:
        case Allocated(session, ident, salt):
            return b"ident %d %d %d\n" % (session, ident, salt)
        case Download():
            return _download(message, level)
        case Mark(session, request):
            return b"mark %d %d\n" % (session, request)
        case Unbound(session):
            return b"unbound %d\n" % session
        case JsonError(session, code, body):
            return b"json_error %d %d %d\n%b" % (code, len(body), session, body)
        case QueryError(session, query_version, code, text):
            body = text.encode()
            return b"query_error %d %d %d %d\n%b" % (code, len(body), session, query_version, body)
        case LogMessage(session, log_level, text):
            body = msgspec.json.encode({"level": log_level, "msg": text})
            return b"log_message %d %d\n%b" % (session, len(body), body)
        case Pong(timestamp):
            return b"pong %d\n" % timestamp


def _download(message: Download, level: int) -> bytes:
    body = message.entries
    if not isinstance(body, Body):
        writer = BodyWriter(level)
        for entry in body:
            writer.add(entry)
        body = writer.finish()
    cursors = b"download %d %d %d %d %d %d %d " % message[:7]
    if message.query_version is None:
        feed = b"0 "  # bytes that remain to be downloaded; 0 is "not known"
    else:
        feed = b"%d %d %b " % (message.query_version, message.batch_state, estimate(message.progress))
    sizes = (1, body.size, len(body.data)) if body.is_compressed else (0, body.size, 0)
    return b"".join((cursors, feed, b"%d %d %d\n" % sizes, body.data))


class BodyWriter:
    """Writes the body of a download, entry by entry, and compresses as it goes: a large one is never held as it is."""

    def __init__(self, level: int = 1) -> None:
        self._level = level
        self._zlib: Any = None
        self._parts: list[bytes] = []
        self._size = self._count = 0

    def add(self, entry: DownloadEntry) -> None:
        size = len(entry.changeset)
        head = b"%d %d %d %d %d %d " % (*entry[:4], size, size)
        self._size += len(head) + size
        self._count += 1
        if self._zlib is None and self._level and self._size > COMPRESS_FROM:
            self._zlib = zlib.compressobj(self._level)
            self._parts = [self._zlib.compress(b"".join(self._parts))]
        if self._zlib is None:
            self._parts += (head, entry.changeset)
        else:
            self._parts += (self._zlib.compress(head), self._zlib.compress(entry.changeset))

    def finish(self) -> Body:
        """The body; nothing may be added any more. Only one of incompressible values is smaller as it is, by some bytes
        in ten thousand."""
        if self._zlib is not None:
            self._parts.append(self._zlib.flush())
        return Body(b"".join(self._parts), self._size, self._count, is_compressed=self._zlib is not None)


def estimate(progress: float) -> bytes:
    """A share from 0 to 1 as the header has it."""
    return b"1" if progress >= 1 else b"%.4f" % progress


def error_frame(session: int, error: DeviceSyncError, **more: Any) -> JsonError:
    """An error as its message; the session is 0 if the error is one of the connection."""
    return JsonError(0 if error.is_of_connection else session, error.number, error.body(**more))


def compensation(session: int, client_version: int, server_version: int, writes: Iterable[Rejection]) -> JsonError:
    """Tells of writes in the changeset `client_version` that were undone; the app hears of it once it has integrated
    a download up to `server_version`."""
    error = DeviceSyncError(231, "The server undid writes that are not allowed.")
    return error_frame(
        session,
        error,
        rejectedUpdates=[
            {"table": write.class_name, "pk": key_text(write.key), "reason": write.reason} for write in writes
        ],
        rejectedClientVersion=client_version,
        compensatingWriteServerVersion=server_version,
    )
