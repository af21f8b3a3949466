"""Frames from an official client's side: how it reads what a server sends, and writes what it says itself.

Read as strictly as the real client does: unknown words, fields that are missing or too many and left-over bytes end it.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from realm_sync.core.device_sync.changesets import decode
from realm_sync.core.device_sync.errors import DeviceSyncError
from realm_sync.core.device_sync.frames import (
    Allocated,
    Bind,
    ClientError,
    Download,
    DownloadEntry,
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
    TestCommand,
    Unbind,
    Unbound,
    Upload,
)
from realm_sync.core.device_sync.instructions import AnyInstruction

from .errors import BadChangeset, ProcessAborted, UnreadableMessage

LOG_LEVELS = frozenset({"fatal", "error", "warn", "info", "detail", "debug", "trace"})
COMPRESS_FROM = 1024


def encode_from_client(message: FromClient) -> bytes:
    """The binary frame that the real client sends."""
    match message:
        case Bind(session, path, need_ident):
            return b"bind %d %d 0 %d 0\n%b" % (session, len(path), need_ident, path)
        case Ident(query=None):
            return b"ident %d %d %d %d %d %d %d\n" % message[:7]
        case Ident(query_version=version, query=bytes(query)):
            return b"ident %d %d %d %d %d %d %d %d %d\n%b" % (*message[:7], version, len(query), query)
        case Query(session, version, query):
            return b"query %d %d %d\n%b" % (session, version, len(query), query)
        case Upload(session, client, server, locked, entries):
            body = b"".join(
                b"%d %d %d %d %d %b" % (*entry[:4], len(entry.changeset), entry.changeset) for entry in entries
            )
            packed = zlib.compress(body) if len(body) > COMPRESS_FROM else body
            is_packed = len(packed) < len(body)
            return b"upload %d %d %d %d %d %d %d\n%b" % (
                session, is_packed, len(body), len(packed) if is_packed else 0, client, server, locked,
                packed if is_packed else body,
            )  # fmt: skip
        case Mark(session, request):
            return b"mark %d %d\n" % (session, request)
        case Unbind(session):
            return b"unbind %d\n" % session
        case ClientError(session, code, text):
            body = msgspec.json.encode({"message": text})
            return b"json_error %d %d %d\n%b" % (code, len(body), session, body)
        case TestCommand(session, request, command):
            body = msgspec.json.encode({"args": {}, "command": command})
            return b"test_command %d %d %d\n%b" % (session, request, len(body), body)
        case Ping(timestamp, round_trip):
            return b"ping %d %d\n" % (timestamp, round_trip)
    raise TypeError(message)


def decode_from_server(data: bytes) -> FromServer:
    """The message in a frame; UnreadableMessage or ProcessAborted if the real client would not read it."""
    head, found, body = data.partition(b"\n")
    word, *fields = head.split(b" ")
    if not found or b"\r" in head:
        raise UnreadableMessage(f"no line feed ends the header: {head[:80]!r}")
    match word, len(fields):
        case b"ident", 3:
            return Allocated(*_numbers(fields, body, b""))
        case b"download", 13:
            return _download(fields[:7], (fields[7], fields[8], fields[9]), fields[10:], body)
        case b"download", 11:
            _numbers([fields[7]])
            return _download(fields[:7], None, fields[8:], body)
        case b"mark", 2:
            return Mark(*_numbers(fields, body, b""))
        case b"unbound", 1:
            return Unbound(*_numbers(fields, body, b""))
        case b"json_error", 3:
            code, size, session = _numbers(fields)
            return JsonError(session, code, _whole(body, size))
        case b"query_error", 4:
            code, size, session, version = _numbers(fields)
            return QueryError(session, version, code, _whole(body, size).decode())
        case b"log_message", 2:
            session, size = _numbers(fields)
            said = msgspec.json.decode(_whole(body, size), type=dict[str, Any])
            if said.get("level", "info") not in LOG_LEVELS:
                raise UnreadableMessage(f"no level of a log message: {said}")
            return LogMessage(session, said.get("level", "info"), said.get("msg", ""))
        case b"pong", 1:
            return Pong(*_numbers(fields, body, b""))
    raise UnreadableMessage(f"no message of {len(fields)} fields is called {word[:40]!r}: {head[:120]!r}")


def instructions(changeset: bytes) -> list[AnyInstruction]:
    """BadChangeset if the bytes are none."""
    try:
        return decode(changeset)
    except DeviceSyncError as error:
        raise BadChangeset(str(error)) from error


def _numbers(fields: list[bytes], body: bytes = b"", expected: bytes | None = None) -> list[int]:
    if expected is not None and body != expected:
        raise ProcessAborted(f"{len(body)} bytes are left over: {body[:40]!r}")
    for field in fields:
        if not field.isdigit() or int(field) >= 1 << 63:
            raise UnreadableMessage(f"not a number: {field!r}")
    return [int(field) for field in fields]


def _whole(body: bytes, size: int) -> bytes:
    if len(body) < size:
        raise UnreadableMessage(f"a body of {len(body)} bytes where {size} are announced")
    if len(body) > size:
        raise ProcessAborted(f"{len(body) - size} bytes are left over")
    return body


def _download(
    cursors: list[bytes], feed: tuple[bytes, bytes, bytes] | None, sizes: list[bytes], body: bytes
) -> Download:
    is_packed, size, packed_size = _numbers(sizes)
    if is_packed > 1:
        raise UnreadableMessage(f"compression is 0 or 1, not {is_packed}")
    if is_packed:
        inflater = zlib.decompressobj()
        try:
            body = inflater.decompress(_whole(body, packed_size))
        except zlib.error as error:
            raise UnreadableMessage(f"a body that does not inflate: {error}") from error
        if not inflater.eof or inflater.unused_data:
            raise UnreadableMessage("a body that is not one whole zlib stream")
    elif packed_size:
        raise UnreadableMessage(f"a compressed size, {packed_size}, of what is not compressed")
    _whole(body, size)
    version, state, progress = None, 2, 1.0
    if feed is not None:
        version, state = _numbers(list(feed[:2]))
        try:
            progress = float(feed[2])
        except ValueError:
            raise UnreadableMessage(f"no estimate: {feed[2]!r}") from None
        if state > 2 or not 0 <= progress <= 1:
            raise UnreadableMessage(f"batch state {state}, estimate {progress}")
    return Download._make((*_numbers(cursors), version, state, progress, tuple(_entries(body))))


def _entries(body: bytes) -> list[DownloadEntry]:
    found: list[DownloadEntry] = []
    position = 0
    while position < len(body):
        *fields, _ = body[position : position + 126].split(b" ", 6)
        if len(fields) != 6:
            raise UnreadableMessage(f"an entry without its six numbers at byte {position}")
        *numbers, _, size = _numbers(fields)
        position += sum(map(len, fields)) + 6
        if position + size > len(body):
            raise UnreadableMessage(f"an entry of {size} bytes where {len(body) - position} are left")
        found.append(DownloadEntry._make((*numbers, body[position : position + size])))
        position += size
    return found
