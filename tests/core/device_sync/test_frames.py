"""Frames: those of a real client are read, those for it are written as it takes them, and any others are refused."""

from __future__ import annotations

import json
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realm_sync.core.device_sync import frames as wire
from realm_sync.core.device_sync.changesets import encode, key_text
from realm_sync.core.device_sync.errors import DeviceSyncError
from realm_sync.core.device_sync.frames import (
    LARGEST,
    Allocated,
    Bind,
    ClientError,
    Download,
    DownloadEntry,
    FromClient,
    FromServer,
    Ident,
    JsonError,
    Limits,
    LogMessage,
    Mark,
    Ping,
    Pong,
    Query,
    QueryError,
    Rejection,
    Unbind,
    Unbound,
    Upload,
    UploadEntry,
    compensation,
    decode_from_client,
    encode_from_server,
    error_frame,
)
from realm_sync.core.device_sync.instructions import CreateObject, Payload, Update

from .transcripts import NAMES, Frame, frames, instruction

ONE = Payload("int", 1)
CREATED = encode(
    [
        CreateObject("Task", ONE),
        Update("Task", ONE, "title", (), Payload("string", "Hi")),
        Update("Task", ONE, "done", (), Payload("bool", True)),
        Update("Task", ONE, "note", (), Payload("null")),
    ]
)

STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Other tests may keep the machine busy."""

# --- From the client -------------------------------------------------------------------------------------------------

SAID: dict[bytes, FromClient] = {
    b'bind 1 37 0 1 0\n{"schemaVersion":0,"sessionReason":0}': Bind(1, b'{"schemaVersion":0,"sessionReason":0}', True),
    b'bind 3 7 0 0 0\n"part1"': Bind(3, b'"part1"', False),
    b"ident 1 2 8711223344 7 3 7 555 1 2\n{}": Ident(1, 2, 8711223344, 7, 3, 7, 555, 1, b"{}"),
    b"ident 1 2 9223372036854775807 0 0 0 0\n": Ident(1, 2, LARGEST, 0, 0, 0, 0, 0, None),
    b"query 1 4 2\n{}": Query(1, 4, b"{}"),
    b"upload 1 0 0 0 4 3 3\n": Upload(1, 4, 3, 3, ()),
    b"upload 1 0 83 0 4 7 7\n4 7 287654321500 0 61 " + CREATED: Upload(
        1, 4, 7, 7, (UploadEntry(4, 7, 287654321500, 0, CREATED),)
    ),
    b"upload 1 0 22 0 5 7 7\n4 7 2 0 0 5 7 3 0 2 ab": Upload(
        1, 5, 7, 7, (UploadEntry(4, 7, 2, 0, b""), UploadEntry(5, 7, 3, 0, b"ab"))
    ),
    b"mark 1 2\n": Mark(1, 2),
    b"unbind 1\n": Unbind(1),
    b'json_error 212 15 1\n{"message":"x"}': ClientError(1, 212, "x"),
    b'test_command 1 2 26\n{"command":"PAUSE_ROUTER"}': wire.TestCommand(1, 2, "PAUSE_ROUTER"),
    b"ping 812345 0\n": Ping(812345, 0),
}


@pytest.mark.parametrize(("data", "message"), SAID.items())
def test_what_clients_say_is_read(data: bytes, message: FromClient) -> None:
    assert decode_from_client(data) == message


def test_a_compressed_upload_is_read() -> None:
    body = b"".join(b"%d 7 287654321500 0 61 %b" % (version, CREATED) for version in range(10, 40))
    packed = zlib.compress(body)
    read = decode_from_client(b"upload 1 1 %d %d 39 7 7\n%b" % (len(body), len(packed), packed))
    assert isinstance(read, Upload)
    assert [entry.client_version for entry in read.entries] == list(range(10, 40))
    assert {entry.changeset for entry in read.entries} == {CREATED}


@pytest.mark.parametrize("name", NAMES)
def test_recorded_messages_are_read(name: str) -> None:
    for frame in (frame for frame in frames(name) if frame.is_of_client):
        read = decode_from_client(frame.data)
        if isinstance(read, Upload):
            for entry, recorded in zip(read.entries, frame.decoded, strict=True):
                assert entry[:4] == tuple(recorded[key] for key in ("client_version", "base", "ts", "origin"))


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "an unknown word": (b"alloc 1 5\n", 102, "no message 'alloc'"),
    "a word of the server": (b"download 1\n", 102, "no message 'download'"),
    "no word": (b"\n", 102, "no message ''"),
    "nothing": (b"", 103, "No line feed"),
    "no end of the header": (b"mark 1 2", 103, "No line feed"),
    "an endless header": (b"mark 1 " + b"1" * 600 + b"\n", 103, "No line feed"),
    "a field too few": (b"mark 1\n", 103, "mark has 1 fields"),
    "a field too many": (b"mark 1 2 3\n", 103, "mark has 3 fields in place of 2"),
    "two spaces": (b"mark 1  2\n", 103, "Field 2 of mark is b''"),
    "a carriage return": (b"mark 1 2\r\n", 103, "Field 2"),
    "a negative number": (b"mark 1 -2\n", 103, "Field 2"),
    "a signed number": (b"mark 1 +2\n", 103, "Field 2"),
    "digits of another script": ("mark 1 \u0662\n".encode(), 103, "Field 2"),
    "a number of 64 bits": (b"mark 1 9223372036854775808\n", 103, "Field 2"),
    "a very long number": (b"mark 1 " + b"9" * 400 + b"\n", 103, "Field 2"),
    "a flag of two": (b"bind 1 0 0 2 0\n", 103, "a number from 0 to 1 is expected"),
    "a body where there is none": (b"mark 1 2\nx", 103, "a body of 0 bytes and has 1"),
    "a body that is too short": (b"query 1 4 3\n{}", 103, "a body of 3 bytes and has 2"),
    "a body that is too long": (b"query 1 4 1\n{}", 103, "a body of 1 bytes and has 2"),
    "an ident of eight numbers": (b"ident 1 2 3 4 5 6 7 8\n", 103, "ident has 8 fields"),
    "an error without a message": (b"json_error 212 2 1\n{}", 103, "'message'"),
    "an error that is no object": (b"json_error 212 2 1\n[]", 103, "'message'"),
    "an error that is no JSON": (b"json_error 212 2 1\n\xff{", 103, "'message'"),
    "an error with a number as its message": (b'json_error 212 13 1\n{"message":1}', 103, "'message'"),
    "an error that is no UTF-8": (b'json_error 212 15 1\n{"m\x80ssage":"x"}', 103, "'message'"),
    "very deep JSON": (b"json_error 212 100000 1\n" + b"[" * 100_000, 103, "'message'"),
    "changesets without numbers": (b"upload 1 0 5 0 4 7 7\nabcde", 111, "byte 0 of a message's changesets"),
    "changesets with too few numbers": (b"upload 1 0 6 0 4 7 7\n4 7 1 ", 111, "byte 6"),
    "a changeset with two spaces": (b"upload 1 0 11 0 4 7 7\n4  7 2 0 0 ", 111, "byte 2"),
    "a changeset that is cut off": (b"upload 1 0 11 0 4 7 7\n4 7 2 0 2 a", 112, "of 2 bytes at byte 10"),
    "a changeset of a huge size": (b"upload 1 0 28 0 4 7 7\n4 7 2 0 9223372036854775807 ", 112, "where 0 are left"),
    "what is not compressed": (b"upload 1 1 10 5 4 7 7\nabcde", 110, "does not inflate"),
    "a compressed body that is cut off": (b"upload 1 1 99 %d 4 7 7\n%b" % (9, zlib.compress(b"a" * 99)[:9]), 110, "99"),
    "a compressed body with more after it": (b"upload 1 1 1 10 4 7 7\n" + zlib.compress(b"a") + b"x", 110, "1 bytes"),
    "a compressed body of another size": (b"upload 1 1 2 9 4 7 7\n" + zlib.compress(b"a"), 110, "2 bytes"),
    "a compressed body that is larger": (b"upload 1 1 0 9 4 7 7\n" + zlib.compress(b"a"), 110, "0 bytes"),
    "a size above the limit": (b"upload 1 1 9223372036854775807 9 4 7 7\n" + zlib.compress(b"a"), 101, "at most"),
}


@pytest.mark.parametrize(("data", "number", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_message_is_refused(data: bytes, number: int, problem: str) -> None:
    with pytest.raises(DeviceSyncError) as caught:
        decode_from_client(data)
    assert (caught.value.number, problem in caught.value.message) == (number, True), caught.value.message


def test_limits_are_those_that_are_passed() -> None:
    for data, limits in [
        (b"query 1 4 9\n" + b"x" * 9, Limits(text_bytes=8)),
        (b"upload 1 0 10 0 4 7 7\n4 7 2 0 0 ", Limits(body_bytes=8)),
        (b"upload 1 0 20 0 4 7 7\n4 7 2 0 0 5 7 2 0 0 ", Limits(entries=1)),
    ]:
        with pytest.raises(DeviceSyncError) as caught:
            decode_from_client(data, limits)
        assert caught.value.number == 101
        decode_from_client(data)


def test_a_zip_bomb_is_inflated_no_further_than_announced() -> None:
    bomb = zlib.compress(b"\0" * 50_000_000, 9)
    assert len(bomb) < 60_000
    for size in (0, 1000):
        tracemalloc.start()
        with pytest.raises(DeviceSyncError) as caught:
            decode_from_client(b"upload 1 1 %d %d 4 7 7\n%b" % (size, len(bomb), bomb))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert caught.value.number == 110
        assert peak < 500_000


WORDS = [b"bind", b"ident", b"query", b"upload", b"mark", b"unbind", b"json_error", b"test_command", b"ping", b"pong"]
NUMBERS = st.integers(-1, 2**64).map(lambda value: b"%d" % value) | st.integers(0, 30).map(lambda value: b"%d" % value)


@STEADY
@given(st.sampled_from(WORDS), st.lists(NUMBERS | st.binary(max_size=3), max_size=10), st.binary(max_size=60))
def test_any_message_is_read_or_refused(word: bytes, fields: list[bytes], body: bytes) -> None:
    is_read_or_refused(b" ".join([word, *fields]) + b"\n" + body)
    is_read_or_refused(b" ".join([word, *fields, b"%d" % len(body)]) + b"\n" + body)
    is_read_or_refused(b"upload 1 0 %d 0 4 7 7\n%b" % (len(body), body))


@STEADY
@given(st.sampled_from(list(SAID)), st.integers(0, 90), st.binary(max_size=2), st.integers(0, 2))
def test_changed_messages_are_read_or_refused(data: bytes, place: int, put: bytes, taken: int) -> None:
    is_read_or_refused(data[:place] + put + data[place + taken :])


@STEADY
@given(st.lists(st.tuples(st.integers(0, LARGEST), st.integers(0, LARGEST), st.binary(max_size=30)), max_size=4))
def test_any_entries_are_read(entries: list[tuple[int, int, bytes]]) -> None:
    body = b"".join(b"%d %d 5 0 %d %b" % (version, base, len(data), data) for version, base, data in entries)
    read = decode_from_client(b"upload 1 0 %d 0 4 7 7\n%b" % (len(body), body))
    assert isinstance(read, Upload)
    assert read.entries == tuple(UploadEntry(version, base, 5, 0, data) for version, base, data in entries)


def is_read_or_refused(data: bytes) -> None:
    try:
        decode_from_client(data)
    except DeviceSyncError as error:
        assert error.is_of_connection


# --- To the client ---------------------------------------------------------------------------------------------------

TOLD: list[tuple[FromServer, bytes]] = [
    (Allocated(1, 2, 8711223344), b"ident 1 2 8711223344\n"),
    (Mark(1, 2), b"mark 1 2\n"),
    (Unbound(1), b"unbound 1\n"),
    (JsonError(1, 229, b"{}"), b"json_error 229 2 1\n{}"),
    (QueryError(1, 4, 226, "née"), "query_error 226 4 1 4\nnée".encode()),
    (LogMessage(1, "info", "hello"), b'log_message 1 30\n{"level":"info","msg":"hello"}'),
    (Pong(812345), b"pong 812345\n"),
    (
        Download(1, 7, 3, 7, 4242, 3, 6, 1, 2, 1.0, (DownloadEntry(7, 3, 287654321000, 1, CREATED),)),
        b"download 1 7 3 7 4242 3 6 1 2 1 0 86 0\n7 3 287654321000 1 61 61 " + CREATED,
    ),
    (Download(1, 3, 4, 3, 555, 4, 2, 1, 2, 1.0, ()), b"download 1 3 4 3 555 4 2 1 2 1 0 0 0\n"),
    (Download(1, 3, 4, 3, 555, 4, 2, 1, 0, 0.25, ()), b"download 1 3 4 3 555 4 2 1 0 0.2500 0 0 0\n"),
    (Download(1, 3, 4, 3, 555, 4, 2, None, 2, 1.0, ()), b"download 1 3 4 3 555 4 2 0 0 0 0\n"),
]


@pytest.mark.parametrize(("message", "data"), TOLD)
def test_what_the_server_says_is_written(message: FromServer, data: bytes) -> None:
    assert encode_from_server(message) == data


def test_only_large_bodies_that_shrink_are_compressed() -> None:
    small, large = DownloadEntry(7, 3, 5, 1, b"a" * 500), DownloadEntry(7, 3, 5, 1, b"a" * 5000)
    download = Download(1, 7, 3, 7, 4242, 3, 6, 1, 2, 1.0, (small,))
    assert b" 0 516 0\n" in encode_from_server(download)
    head, _, body = encode_from_server(download._replace(entries=(large,))).partition(b"\n")
    assert head.endswith(b" 1 5018 %d" % len(body))
    assert zlib.decompress(body) == b"7 3 5 1 5000 5000 " + b"a" * 5000
    assert b" 0 5018 0\n" in encode_from_server(download._replace(entries=(large,)), level=0)


def recorded_download(frame: Frame) -> Download:
    """What a server must have said to write this frame."""
    head, _, _ = frame.data.partition(b"\n")
    numbers = [float(field) for field in head.split(b" ")[1:]]
    is_flexible = len(numbers) == 13
    entries = tuple(
        DownloadEntry(e["server_version"], e["k"], e["ts"], e["origin"], encode(map(instruction, e["instructions"])))
        for e in frame.decoded
    )
    feed: Any = (int(numbers[7]), int(numbers[8]), numbers[9]) if is_flexible else (None, 2, 1.0)
    salt = int(head.split(b" ")[5])  # too large for a float
    return Download(*map(int, numbers[:4]), salt, *map(int, numbers[5:7]), *feed, entries)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_downloads_are_written(name: str) -> None:
    """What the real client took: the same header, but for the estimate's digits, and the same body."""
    for frame in frames(name):
        if frame.word != "download" or frame.is_of_client:
            continue
        written = encode_from_server(recorded_download(frame))
        (head, _, body), (expected_head, _, expected_body) = written.partition(b"\n"), frame.data.partition(b"\n")
        fields, expected = head.split(b" "), expected_head.split(b" ")
        estimate = 10 if len(fields) == 14 else None
        if estimate:
            assert float(fields.pop(estimate)) == pytest.approx(float(expected.pop(estimate)), abs=0.0001)
        assert fields[:-3] == expected[:-3]
        assert fields[-2] == expected[-2]  # the size before compression
        inflated = [
            zlib.decompress(data) if header[-3] == b"1" else data
            for header, data in ((fields, body), (expected, expected_body))
        ]
        assert inflated[0] == inflated[1]


def test_errors_of_the_connection_name_no_session() -> None:
    assert error_frame(5, DeviceSyncError(103, "No.")).session == 0
    assert error_frame(5, DeviceSyncError(212, "No.")).session == 5


def test_compensating_writes_are_told_as_recorded() -> None:
    recorded = next(frame for frame in frames("s7-compensating") if frame.word == "json_error")
    expected = json.loads(recorded.data.partition(b"\n")[2])
    [update] = expected["rejectedUpdates"]
    message = compensation(
        1,
        expected["rejectedClientVersion"],
        expected["compensatingWriteServerVersion"],
        [Rejection(update["table"], ONE, update["reason"])],
    )
    written = json.loads(message.body)
    assert written.keys() == expected.keys()
    assert {key: value for key, value in written.items() if key != "message"} == {
        key: value for key, value in expected.items() if key != "message"
    } | {"rejectedUpdates": [update | {"pk": key_text(ONE)}]}
