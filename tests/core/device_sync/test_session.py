"""Sessions of the official SDKs without a network: every message in every state, and what a download may say."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from realm_sync.core.device_sync import frames
from realm_sync.core.device_sync import session as core
from realm_sync.core.device_sync.errors import ABORTING, WIRE_ERRORS, DeviceSyncError
from realm_sync.core.device_sync.frames import UploadEntry
from realm_sync.core.device_sync.instructions import Payload
from tests.core.device_sync import transcripts
from tests.official_client.wire import decode_from_server

WINDOW = 3
BIND = b'bind 1 37 0 1 0\n{"schemaVersion":0,"sessionReason":0}'
IDENT = b"ident 1 2 77 0 0 0 0 0 2\n{}"
QUERY = b'query 1 1 18\n{"Team":"(n > 1)"}'
MESSAGES = {
    "bind": BIND,
    "ident": IDENT,
    "query": QUERY,
    "upload": b"upload 1 0 13 0 4 0 0\n4 0 9 0 3 abc",
    "mark": b"mark 1 2\n",
    "test_command": b'test_command 1 5 19\n{"command":"PAUSE"}',
    "json_error": b'json_error 212 17 1\n{"message":"bad"}',
    "unbind": b"unbind 1\n",
}


class Server:
    """A connection whose driver does at once what it is asked to."""

    def __init__(self, *, is_flexible: bool = True, file: int = 2) -> None:
        self.core = core.ServerConnection(is_flexible=is_flexible, limits=frames.Limits(), window=WINDOW)
        self.file = file
        self.sent: list[bytes] = []
        self.closed = ""
        self.effects: list[core.Effect] = []

    def say(self, *messages: bytes) -> list[core.Effect]:
        """The effects of these messages, after which everything is done."""
        effects: list[core.Effect] = []
        for message in messages:
            effects += self.core.receive(message)
        self._perform(effects)
        return effects

    def _perform(self, effects: list[core.Effect]) -> None:
        self.effects += effects
        for effect in effects:
            if isinstance(effect, core.Send):
                self.sent.append(effect.frame)
            elif isinstance(effect, core.Close):
                self.closed = effect.reason
            elif isinstance(effect, core.Allocate):
                self._perform(effect.session.allocated(self.file, 77))
            elif isinstance(effect, core.Open):
                opened = core.Opened(effect.ident.ident, 555, 0, 0)
                self._perform(effect.session.opened(opened, needs_bootstrap=not effect.ident.download_server))

    @property
    def session(self) -> core.ServerSession:
        return self.core.sessions[1]

    def send(self, *effects: core.Send) -> None:
        self.sent += [effect.frame for effect in effects]

    def bootstrap(self, version: int, query_version: int = 0) -> None:
        self.session.begin(query_version)
        self.session.download(version, 0, entries=[core.filler(version, 0)], is_bootstrap=True)

    def error(self) -> tuple[int, int, dict[str, Any]]:
        """(number, session, body) of the last frame."""
        head, _, body = self.sent[-1].partition(b"\n")
        word, number, size, session = head.split(b" ")
        assert word == b"json_error" and len(body) == int(size)
        return int(number), int(session), msgspec.json.decode(body)


def opened(**given: Any) -> Server:
    server = Server(**given)
    if server.core.is_flexible:
        server.say(BIND, IDENT)
    else:
        server.say(b'bind 1 7 0 1 0\n"part1"', b"ident 1 2 77 0 0 0 0\n")
    server.bootstrap(1)
    server.sent.clear()
    server.effects.clear()
    return server


def in_state(state: str) -> Server:
    server = Server()
    if state == "bound":
        server.say(BIND)
    elif state == "opening":
        server.core.receive(BIND)
        server.core.receive(IDENT)
    elif state != "–":
        server = opened()
        if state == "mute":
            server.say(MESSAGES["json_error"])
        elif state == "failed":
            server.send(*(e for e in server.session.fail(DeviceSyncError(212, "no")) if isinstance(e, core.Send)))
    if state not in ("–", "opening"):
        assert server.session.state == state
    server.sent.clear()
    server.effects.clear()
    return server


TABLE = """
state    bind      ident  query      upload     mark        test_command  json_error  unbind
–        Allocate  106    106        106        106         106           106         106
bound    107       Open   109        109        109         echo          mute        unbound
opening  107       109    109        109        109         echo          mute        unbound
live     107       109    Subscribe  Integrate  FindNewest  echo          mute        unbound
mute     107       –      –          –          –           –             –           unbound
failed   107       –      –          –          –           –             –           Leave
"""
HEADER, *ROWS = (line.split() for line in TABLE.strip().splitlines())
CELLS = [(state, word, cell) for state, *cells in ROWS for word, cell in zip(HEADER[1:], cells, strict=True)]


@pytest.mark.parametrize("state, word, expected", CELLS, ids=lambda value: str(value))
def test_every_message_in_every_state(state: str, word: str, expected: str) -> None:
    server = in_state(state)
    effects = server.say(MESSAGES[word])
    if expected.isdigit():
        number, session, body = server.error()
        assert (number, session) == (int(expected), 0) and body["action"] == WIRE_ERRORS[number].action
        assert server.closed and server.core.sessions == {} and not server.say(BIND, b"ping 1 0\n")
    elif expected == "–":
        assert effects == []
    elif expected == "echo":
        assert server.sent == [b"test_command 1 5 2\n{}"]
    elif expected == "mute":
        assert [type(effect) for effect in effects] == [core.Mute] and server.session.state == "mute"
    elif expected == "unbound":
        assert server.sent == [b"unbound 1\n"] and isinstance(effects[-1], core.Leave)
        assert server.core.sessions == {}
    elif expected == "Leave":
        assert server.sent == [] and isinstance(effects[-1], core.Leave)
    else:
        assert type(effects[0]).__name__ == expected


def test_a_new_file_is_named_and_then_opened() -> None:
    server = Server(file=5)
    server.say(BIND)
    assert server.sent == [b"ident 1 5 77\n"] and server.session.state == "bound"
    [effect, *_] = server.say(b"ident 1 5 77 0 0 0 0 0 2\n{}")
    assert isinstance(effect, core.Open) and effect.ident.salt == 77
    assert server.session.state == "live" and server.session.is_owed


def test_a_file_that_has_an_ident_is_not_given_another() -> None:
    server = Server()
    assert server.say(BIND.replace(b" 1 0\n", b" 0 0\n")) == []
    assert server.session.state == "bound"


def test_a_number_may_be_bound_again_after_unbound_and_after_an_error() -> None:
    server = opened()
    server.say(b"unbind 1\n", BIND)
    assert server.sent == [b"unbound 1\n", b"ident 1 2 77\n"]
    server.say(IDENT)
    first = server.session
    server.send(*(e for e in first.fail(DeviceSyncError(200, "again")) if isinstance(e, core.Send)))
    server.sent.clear()
    server.say(b"unbind 1\n", BIND)
    assert server.sent == [b"ident 1 2 77\n"], "unbound must not answer the unbind after an error"
    assert first.fail(DeviceSyncError(212, "late")) == [] and first.due_marks(9) == [] and first.state == "gone"


def test_sessions_of_one_connection_do_not_disturb_each_other() -> None:
    server = opened()
    server.say(BIND.replace(b"bind 1", b"bind 2"), IDENT.replace(b"ident 1", b"ident 2"))
    server.say(b"unbind 1\n")
    assert [session.state for session in server.core.sessions.values()] == ["live"]
    server.sent.clear()
    server.core.sessions[2].fail(DeviceSyncError(212, "no"))
    assert server.core.sessions[2].state == "failed" and not server.closed


def test_an_error_of_a_session_names_it_and_one_of_the_connection_does_not() -> None:
    server = opened()
    for effect in server.session.fail(DeviceSyncError(208, "unknown")):
        if isinstance(effect, core.Send):
            server.send(effect)
    number, session, body = server.error()
    assert (number, session) == (208, 1)
    assert body == {
        "message": body["message"],
        "tryAgain": False,
        "shouldClientReset": True,
        "isRecoveryModeDisabled": False,
        "logURL": "",
        "action": "ClientReset",
    }
    server.say(b"nonsense 1\n")
    number, session, body = server.error()
    assert (number, session, body["tryAgain"]) == (102, 0, False) and server.closed


def test_no_error_that_is_sent_ends_the_process_of_an_app() -> None:
    assert not ABORTING & set(WIRE_ERRORS)


def test_an_error_without_a_session_is_one_of_the_connection() -> None:
    server = opened()
    server._perform(server.core.fail(DeviceSyncError(201, "broken")))
    assert server.error()[:2] == (100, 0), "200 and above with session 0 would be a violation"


def test_pings_are_answered_whatever_the_state() -> None:
    server = Server()
    server.say(b"ping 123 4\n")
    assert server.sent == [b"pong 123\n"]


@pytest.mark.parametrize(
    "mode, message, number",
    [
        (True, b"ident 1 2 77 0 0 0 0\n", 103),
        (False, IDENT, 103),
        (True, b"ident 1 2 77 0 0 0 0 0 2\n[]", 103),
        (True, b'ident 1 2 77 0 0 0 0 0 10\n{"Team":1}', 103),
        (True, b"bind 0 2 0 1 0\n{}", 106),
    ],
)
def test_what_the_sdk_never_says_ends_the_connection(mode: bool, message: bytes, number: int) -> None:
    server = Server(is_flexible=mode)
    server.say(BIND if mode else b'bind 1 3 0 1 0\n"a"', message)
    assert server.error()[:2] == (number, 0)


def test_partitions_have_no_queries() -> None:
    server = opened(is_flexible=False)
    server.say(QUERY)
    assert server.error()[:2] == (109, 0)


def upload(*entries: UploadEntry, progress: tuple[int, int] = (0, 0), locked: int = 0) -> bytes:
    body = b"".join(b"%d %d %d %d %d %b" % (*entry[:4], len(entry[4]), entry[4]) for entry in entries)
    return b"upload 1 0 %d 0 %d %d %d\n%b" % (len(body), *progress, locked, body)


def entry(client_version: int, base: int = 0, origin: int = 0) -> UploadEntry:
    return UploadEntry(client_version, base, 9, origin, b"x")


@pytest.mark.parametrize(
    "messages, number",
    [
        ([upload(progress=(5, 0)), upload(progress=(4, 0))], 210),
        ([upload(entry(5), progress=(4, 0))], 210),
        ([upload(entry(3), entry(3), progress=(4, 0))], 210),
        ([upload(entry(0), progress=(4, 0))], 210),
        ([upload(progress=(4, 2))], 209),
        ([upload(progress=(4, 0), locked=2)], 209),
        ([upload(progress=(4, 0), locked=1), upload(progress=(4, 0))], 209),
        ([upload(entry(3, 2), progress=(4, 0))], 209),
        ([upload(entry(3, 1), entry(4, 0), progress=(4, 0))], 209),
        ([upload(entry(3, 1, 7), progress=(4, 0))], 216),
    ],
)
def test_uploads_that_cannot_be_are_refused(messages: list[bytes], number: int) -> None:
    server = opened()
    server.say(*messages)
    assert server.error()[:2] == (number, 1) and server.session.state == "failed" and not server.closed
    assert not server.say(upload(entry(9), progress=(9, 1))), "ignored until unbind"


def test_an_upload_with_changesets_is_integrated_and_one_without_is_silent() -> None:
    server = opened()
    effect, wake = server.say(upload(entry(4), entry(6, 1), progress=(7, 1), locked=1))
    assert isinstance(effect, core.Integrate) and [it.client_version for it in effect.upload.entries] == [4, 6]
    assert isinstance(wake, core.Wake) and server.session.acknowledged == 1
    assert server.say(upload(progress=(8, 1), locked=1)) == [], "an answer would be answered, for ever"


def test_queries_come_in_their_order() -> None:
    server = opened()
    [effect] = server.say(QUERY)
    assert isinstance(effect, core.Subscribe) and effect.query == {"Team": "(n > 1)"} and effect.query_version == 1
    server.say(QUERY)
    assert server.error()[:2] == (109, 0)


def mark(server: Server, request: int, version: int) -> None:
    server._perform(server.core.receive(b"mark 1 %d\n" % request))
    server._perform(server.session.newest(request, version))


def test_a_mark_is_answered_when_its_version_was_sent() -> None:
    server = opened()
    mark(server, 2, 1)
    server.send(*server.session.due_marks(1))
    assert server.sent == [b"mark 1 2\n"]
    mark(server, 5, 7)
    server.send(*server.session.due_marks(6))
    assert server.sent == [b"mark 1 2\n"]
    server.send(*server.session.due_marks(8))
    assert server.sent[1:] == [b"download 1 8 0 8 555 0 0 0 2 1 0 0 0\n", b"mark 1 5\n"], "D.sv = L.sv at a mark"
    server.send(*server.session.due_marks(9))
    assert len(server.sent) == 3


def test_a_mark_waits_for_the_bootstrap_of_the_query_before_it() -> None:
    server = opened()
    server.say(QUERY)
    mark(server, 2, 1)
    server.say(QUERY.replace(b"query 1 1", b"query 1 2"))
    mark(server, 3, 1)
    assert server.session.due_marks(1) == []
    server.bootstrap(2, query_version=1)
    server.send(*server.session.due_marks(2))
    assert server.sent == [b"mark 1 2\n"]
    server.bootstrap(3, query_version=2)
    server.send(*server.session.due_marks(3))
    assert server.sent == [b"mark 1 2\n", b"mark 1 3\n"]


def test_a_refused_query_holds_no_mark_back_but_the_one_before_it_does() -> None:
    server = opened()
    server.say(QUERY, QUERY.replace(b"query 1 1", b"query 1 2"))
    mark(server, 2, 1)
    server._perform(server.session.refuse(2, "no such class"))
    assert server.sent == [b"query_error 226 13 1 2\nno such class"]
    assert server.session.due_marks(1) == []
    server.bootstrap(2, query_version=1)
    assert [effect.frame for effect in server.session.due_marks(2)] == [b"mark 1 2\n"]


def test_marks_wait_for_the_first_download() -> None:
    server = Server()
    server.say(BIND, b"ident 1 2 77 5 3 5 555 0 2\n{}")
    mark(server, 1, 5)
    assert server.session.due_marks(5) == [], "every IDENT is followed by a download, which acknowledges uploads"
    server.session.download(5, 3)
    assert [effect.frame for effect in server.session.due_marks(5)] == [b"mark 1 1\n"]


def test_cursors_go_forward_only() -> None:
    server = Server()
    server.say(BIND, b"ident 1 2 77 5 3 6 555 0 2\n{}")
    session = server.session
    download = session.download(5, 3)
    assert download[1:7] == (5, 3, 6, 555, 3, 0), "D.cv is never more than U.cv, and L.sv what the client knows"
    download = session.download(8, 4, (9, 8))
    assert download[1:7] == (8, 4, 8, 555, 9, 8)
    download = session.download(9, 4, (7, 3))
    assert download[1:7] == (9, 4, 9, 555, 9, 8)
    with pytest.raises(AssertionError, match="is at"):
        session.download(8, 4)
    with pytest.raises(AssertionError, match="is at"):
        session.download(9, 3)


def test_partition_downloads_have_their_own_header() -> None:
    server = opened(is_flexible=False)
    assert server.session.download(2, 0).query_version is None
    assert server.session.download(3, 0).batch_state == core.STEADY


def test_a_client_that_acknowledges_nothing_is_sent_no_more() -> None:
    server = opened()
    session = server.session
    server.say(upload(progress=(2, 1), locked=1))
    for version in range(2, 2 + WINDOW):
        assert session.room
        session.download(version, 0)
    assert not session.room
    assert [type(effect) for effect in server.say(upload(progress=(2, 2), locked=2))] == [core.Wake]
    assert session.room == 1
    session.download(9, 0)
    assert not session.room
    assert [type(effect) for effect in server.say(b"ping 1 0\n")] == [core.Send, core.Wake]
    assert session.room == 1, "a ping is a sign of life: one more"


def test_who_waits_for_a_mark_is_held_back_by_nothing() -> None:
    """Until its first mark is answered, a client may upload nothing, and so acknowledge nothing."""
    server = opened()
    mark(server, 1, 99)
    for version in range(2, 20):
        server.session.download(version, 0)
    assert server.session.room


def test_undone_writes_are_listed_in_errors_of_bounded_size() -> None:
    server = opened()
    writes = [frames.Rejection("Team", Payload("int", number), "outside") for number in range(core.REJECTIONS + 1)]
    server.send(*server.session.rejected(7, 12, writes))
    assert len(server.sent) == 2
    number, session, body = server.error()
    assert (number, session, body["tryAgain"], body["action"]) == (231, 1, True, "Warning")
    assert (body["rejectedClientVersion"], body["compensatingWriteServerVersion"]) == (7, 12)
    assert [write["table"] for write in body["rejectedUpdates"]] == ["Team"]
    assert server.session.state == "live"


# --- what a real client said -----------------------------------------------------------------------------------------


class Recorded:
    """A connection on which the server says what another one said."""

    def __init__(self, bind: bytes) -> None:
        self.server = Server(is_flexible=b"{" in bind)
        self.heard: list[str] = []

    def hear(self, frame: bytes) -> None:
        effects = self.server.say(frame)
        self.heard += [type(effect).__name__ for effect in effects]
        for effect in effects:
            if isinstance(effect, core.FindNewest):
                self.server._perform(effect.session.newest(effect.request, 0))

    def say(self, frame: bytes) -> None:
        message = decode_from_server(frame)
        session = self.server.core.sessions.get(getattr(message, "session", 0))
        if isinstance(message, frames.Download) and session is not None and session.state == "live":
            if message.batch_state == core.LAST and message.query_version is not None:
                session.begin(message.query_version)
            if message.batch_state:
                session.download(message.download_server, message.download_client, message[5:7])
        elif isinstance(message, frames.JsonError) and session is not None and message.code not in (231, 236):
            session.fail(DeviceSyncError(message.code, "as recorded"))


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_nothing_that_a_real_client_said_is_refused(name: str) -> None:
    connections: dict[int, Recorded] = {}
    for frame in transcripts.frames(name):
        if frame.connection not in connections:
            assert frame.word == "bind"
            connections[frame.connection] = Recorded(frame.data)
        connection = connections[frame.connection]
        if frame.is_of_client:
            connection.hear(frame.data)
            errors = [it for it in connection.server.sent if it.startswith(b"json_error")]
            assert not errors and not connection.server.closed, f"{frame.data[:200]!r}: {errors}"
        else:
            connection.say(frame.data)
    heard = {effect for connection in connections.values() for effect in connection.heard}
    assert not connections or heard >= {"Open", "FindNewest"}
