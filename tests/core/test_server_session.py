"""The server's session: a total state × message table, and what each refusal says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realm_sync.core import messages as m
from realm_sync.core.declarations import parse_class
from realm_sync.core.errors import ProtocolError
from realm_sync.core.schema import Schema
from realm_sync.core.server_session import (
    Close,
    Effect,
    FindNewest,
    Integrate,
    Open,
    Opened,
    Release,
    Send,
    ServerSession,
    Subscribe,
    Wake,
)  # fmt: skip

SCHEMA = Schema([parse_class({"name": "Team", "properties": {"_id": "uuid", "name": "string"}})])
LIMITS = m.Limits(max_message_bytes=1000, max_subscriptions=2, max_query_bytes=100, window=2)
FILE = m.ClientFile(ident=5, salt="77")

FRAMES: dict[str, str] = {
    "bind": m.encode(m.Bind(token="t")),
    "query": m.encode(m.Query(query_version=1, subscriptions=[])),
    "upload": m.encode(
        m.Upload(received=0, changesets=[m.Changeset(client_version=1, base_version=0, timestamp=0, instructions=[])])
    ),
    "mark": m.encode(m.Mark(request_ident=1)),
    "ping": m.encode(m.Ping(timestamp=9)),
    "unbind": m.encode(m.Unbind()),
    "not a message": "{}",
}
OUTCOMES: dict[str, dict[str, list[Any]]] = {
    "new": {
        "bind": [Open],
        "query": ["BadMessageOrder", Close],
        "upload": ["BadMessageOrder", Close],
        "mark": ["BadMessageOrder", Close],
        "ping": ["BadMessageOrder", Close],
        "unbind": ["unbound", Close],
        "not a message": ["BadSyntax", Close],
    },
    "bound": {
        "bind": ["BadMessageOrder", Close],
        "query": [Subscribe],
        "upload": [Integrate],
        "mark": [FindNewest],
        "ping": ["pong"],
        "unbind": ["unbound", Release],
        "not a message": ["BadSyntax", Close],
    },
    "closed": dict.fromkeys(FRAMES, []),
}


def bound(**progress: int) -> ServerSession:
    session = ServerSession(SCHEMA, LIMITS)
    named = FILE if progress else None
    session.receive(m.encode(m.Bind(token="t", client_file=named, progress=m.Progress(**progress))))
    session.opened(Opened(FILE, not progress, "epoch", 100, 4, 0), now=1)
    return session


def in_state(state: str) -> ServerSession:
    if state == "bound":
        session = ServerSession(SCHEMA, LIMITS)
        session.receive(FRAMES["bind"])
        session.opened(Opened(FILE, True, "epoch", 100, 0, 0), now=1)
        return session
    session = ServerSession(SCHEMA, LIMITS)
    if state == "closed":
        session.receive(FRAMES["unbind"])
    return session


def names(effects: list[Effect]) -> list[Any]:
    return [_name(effect) for effect in effects]


def _name(effect: Effect) -> Any:
    if not isinstance(effect, Send):
        return type(effect)
    message = json.loads(effect.frame)
    return message["code"] if message["type"] == "error" else message["type"]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("state", OUTCOMES)
def test_every_state_has_an_answer_to_every_message(state: str, frame: str) -> None:
    session = in_state(state)
    assert names(session.receive(FRAMES[frame])) == OUTCOMES[state][frame]
    if {Close, Release} & set(OUTCOMES[state][frame]):
        assert session.state == "closed"


def test_nothing_follows_unbound() -> None:
    session = bound()
    session.newest(1, 0)
    session.receive(FRAMES["unbind"])
    assert session.fail(ProtocolError("InternalServerError", "too late")) == []
    assert [session.receive(FRAMES[frame]) for frame in FRAMES] == [[]] * len(FRAMES)


def test_a_new_file_is_named_before_the_session_is_bound() -> None:
    session = ServerSession(SCHEMA, LIMITS)
    session.receive(FRAMES["bind"])
    effects = session.opened(Opened(FILE, True, "epoch", 100, 0, 0), now=1)
    assert names(effects) == ["ident", "bound", Wake]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (None, "BadSyntax"),
        ("x" * 1001, "LimitExceeded"),
        (m.encode(m.Query(query_version=0, subscriptions=[])), "BadMessageOrder"),
        (m.encode(m.Upload(received=1)), "BadSyntax"),
        (m.encode(m.Upload(received=-1)), "BadSyntax"),
    ],
)
def test_what_does_not_fit_ends_the_session_with_a_code(frame: str | None, code: str) -> None:
    session = bound()
    assert names(session.receive(frame)) == [code, Close]
    assert session.receive(FRAMES["ping"]) == []


@pytest.mark.parametrize(
    ("bind", "code"),
    [
        (m.Bind(token="t", progress=m.Progress(server_version=1)), "BadClientFileIdent"),
        (m.Bind(token="t", client_file=m.ClientFile(ident=1, salt="x")), "BadClientFileIdent"),
        (m.Bind(token="t", client_file=FILE, progress=m.Progress(server_version=-1)), "BadSyntax"),
        (
            m.Bind(token="t", schema=[parse_class({"name": "Team", "properties": {"_id": "uuid", "name": "int"}})]),
            "SchemaMismatch",
        ),
    ],
)
def test_a_bind_that_cannot_be_is_refused(bind: m.Bind, code: str) -> None:
    assert names(ServerSession(SCHEMA, LIMITS).receive(m.encode(bind))) == [code, Close]


def test_a_schema_mismatch_lists_every_difference() -> None:
    schema = [parse_class({"name": "Team", "properties": {"_id": "string", "name": "int?", "colour": "string"}})]
    effects = ServerSession(SCHEMA, LIMITS).receive(m.encode(m.Bind(token="t", schema=schema)))
    assert isinstance(effects[0], Send)
    text = json.loads(effects[0].frame)["message"]
    assert "'Team._id' is 'string'" in text and "'Team.name' is 'int?'" in text and "colour" not in text


def test_too_many_subscriptions_are_refused_without_ending_the_session() -> None:
    session = bound()
    item = m.SubscriptionItem(id="0" * 24, class_name="T", query="x", created_at="", updated_at="")
    effects = session.receive(m.encode(m.Query(query_version=1, subscriptions=[item] * 3)))
    assert names(effects) == ["queryError"] and session.state == "bound"


def changesets(*versions: int, received: int = 0) -> str:
    sets = [m.Changeset(client_version=version, base_version=0, timestamp=0, instructions=[]) for version in versions]
    return m.encode(m.Upload(received=received, changesets=sets))


def test_changesets_that_are_integrated_already_are_not_again() -> None:
    session = bound(server_version=50, client_version=2, view=1)
    effects = session.receive(changesets(3, 4, 5, 6))
    assert isinstance(effects[0], Integrate) and [it.client_version for it in effects[0].changesets] == [5, 6]
    assert session.receive(changesets(5, 6)) == []


@pytest.mark.parametrize("versions", [(5, 5), (6, 5), (0,), (-1,), (2**63,)])
def test_client_versions_must_rise_and_be_storable(versions: tuple[int, ...]) -> None:
    assert names(bound(server_version=50, view=1).receive(changesets(*versions))) == ["BadChangeset", Close]


def test_the_window_bounds_what_is_under_way_and_opens_when_downloads_are_acknowledged() -> None:
    session = bound()
    for version in (101, 102):
        assert session.window_open
        session.download("[]", "steady", version)
    assert not session.window_open
    assert names(session.receive(changesets(received=1))) == [Wake] and session.room == 1


def test_a_mark_is_answered_once_its_version_is_passed_and_told() -> None:
    session = bound()
    assert session.newest(9, 120) == [Wake()] and session.due_marks() == []
    session.passed(120)
    frames = [json.loads(send.frame) for send in session.due_marks()]
    assert [frame["type"] for frame in frames] == ["download", "mark"]
    assert frames[0]["serverVersion"] == 120 and frames[0]["changes"] == []
    assert session.due_marks() == []


def test_a_bootstrap_is_acknowledged_with_its_last_part() -> None:
    session = bound()
    session.begin(1, 7)
    session.download("[]", "more", 130)
    assert session.version == 0
    session.download("[]", "last", 130)
    session.receive(changesets(received=1))
    assert session.acknowledged_view == 0
    assert names(session.receive(changesets(received=2))) == [Wake]
    assert session.acknowledged_view == 7 and session.version == 130


def test_the_integrated_client_version_never_goes_back() -> None:
    session = bound(server_version=50, client_version=4, view=1)
    session.advance(9, [])
    session.advance(6, [])
    assert json.loads(session.download("[]", "steady", 60).frame)["clientVersion"] == 9
