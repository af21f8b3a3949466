"""Messages: strict, and not changed by accident."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from realm_sync.core import messages as m
from realm_sync.core.errors import WIRE_ERRORS, ProtocolError

SHAPES = "b2e4f75917e53722"
VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "messages.json").read_text())
PROTOCOL = Path(m.__file__).parent.parent / "PROTOCOL.md"


def test_the_shapes_are_those_of_this_protocol_version() -> None:
    """If this fails you changed the wire: give PROTOCOL.md §10 a new line (and `SUBPROTOCOL` a new number if old clients
    would not understand), then pin the new hash here."""
    schemas = msgspec.json.schema_components([m.FromClient, m.FromServer])
    text = json.dumps(_without_prose(schemas), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == SHAPES
    assert f"* `{m.SUBPROTOCOL}`" in PROTOCOL.read_text()


def _without_prose(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_prose(it) for key, it in value.items() if key != "description"}
    return [_without_prose(it) for it in value] if isinstance(value, (list, tuple)) else value


def test_protocol_md_lists_every_wire_error() -> None:
    text = PROTOCOL.read_text()
    for code, error in WIRE_ERRORS.items():
        assert f"| `{code}` | {error.number} | {error.action} | {error.remedy} |" in text


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        ("", "BadSyntax", "JSON"),
        ("{", "BadSyntax", "JSON"),
        ("\ud800", "BadSyntax", "JSON"),
        ("[]", "BadSyntax", "Expected `object`"),
        ('{"type":"hello"}', "UnknownMessage", "hello"),
        ('{"type":"bound"}', "UnknownMessage", "bound"),
        ('{"type":"ping"}', "BadSyntax", "timestamp"),
        ('{"type":"ping","timestamp":"1"}', "BadSyntax", "Expected `int`"),
        ('{"type":"ping","timestamp":1,"extra":2}', "BadSyntax", "extra"),
        ('{"type":"upload","received":0,"changesets":[{"clientVersion":1}]}', "BadSyntax", "$.changesets[0]"),
        ("[" * 100_000, "BadSyntax", ""),
    ],
)
def test_bad_frames_get_a_code_and_say_what_was_found(frame: str, code: str, words: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        m.decode_from_client(frame)
    assert caught.value.code == code and words in caught.value.message


def test_every_message_survives_the_round_trip() -> None:
    item = m.SubscriptionItem(id="0" * 24, class_name="Team", query="TRUEPREDICATE", created_at="x", updated_at="y")
    steps = [
        m.Create(class_name="Team", id="a", values={"name": "North"}),
        m.Update(class_name="Team", id="a", values={"name": None}),
        m.Delete(class_name="Team", id=2),
    ]
    changeset = m.Changeset(client_version=1, base_version=2, timestamp=3, instructions=steps)
    for message in (
        m.Bind(token="t", client_file=m.ClientFile(ident=1, salt="2"), progress=m.Progress(view=3)),
        m.Query(query_version=1, subscriptions=[item]),
        m.Upload(received=1, changesets=[changeset]),
        m.Mark(request_ident=1),
        m.Unbind(),
        m.Ping(timestamp=1),
    ):
        assert m.decode_from_client(m.encode(message)) == message
    changes = m.Changes(class_name="Team", put=[{"_id": "a"}], erase=["b"])
    refused = m.RejectedWrite(class_name="Team", id="a", property="name", code="ValidationFailed", reason="too long")
    for answer in (
        m.Ident(client_file=m.ClientFile(ident=1, salt="2")),
        m.Download(
            query_version=1,
            batch_state="last",
            server_version=2,
            client_version=3,
            progress=0.5,
            view=1,
            changes=[changes],
        ),
        m.QueryError(query_version=1, code="InvalidQuery", message="no"),
        m.Rejected(client_version=1, writes=[refused]),
        m.Error(code="AuthError", message="no", fatal=True, action="reauthenticate"),
        m.Pong(timestamp=1),
        m.Unbound(),
    ):
        assert m.decode_from_server(m.encode(answer)) == answer


def test_the_shared_vectors_have_the_actions_of_all_codes() -> None:
    assert VECTORS["actions"] == {code: error.action for code, error in WIRE_ERRORS.items()}


@pytest.mark.parametrize(("frame", "message"), VECTORS["decode"])
def test_what_browsers_read_is_what_python_reads(frame: str, message: object) -> None:
    assert m.decode_from_server(frame) == m.decode_from_server(json.dumps(message))


@pytest.mark.parametrize(("frame", "code"), VECTORS["refuse"])
def test_what_browsers_refuse_python_refuses_alike(frame: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        m.decode_from_server(frame)
    assert caught.value.code == code


def upload(instruction: object) -> str:
    changeset = {"clientVersion": 1, "baseVersion": 0, "timestamp": 0, "instructions": [instruction]}
    return json.dumps({"type": "upload", "received": 0, "changesets": [changeset]})


@pytest.mark.parametrize(("did", "instruction"), VECTORS["instructions"]["written"])
def test_what_browsers_write_is_what_python_reads_and_writes(did: str, instruction: object) -> None:
    message = m.decode_from_client(upload(instruction))
    assert json.loads(m.encode(message)) == json.loads(upload(instruction)), did


@pytest.mark.parametrize("instruction", VECTORS["instructions"]["refuse"])
def test_any_other_instruction_is_refused(instruction: object) -> None:
    with pytest.raises(ProtocolError) as caught:
        m.decode_from_client(upload(instruction))
    assert caught.value.code == "BadSyntax"


def test_there_are_vectors_of_every_instruction() -> None:
    ops = {cls.__struct_config__.tag for cls in get_args(m.AnyInstruction)}
    assert {instruction["op"] for _, instruction in VECTORS["instructions"]["written"]} == ops
    types = {cls.__struct_config__.tag for cls in get_args(m.FromClient)}
    assert {message["type"] for message in VECTORS["fromClient"]} == types


@pytest.mark.parametrize("message", VECTORS["fromClient"])
def test_every_message_of_a_client_is_read_and_written_alike(message: object) -> None:
    assert json.loads(m.encode(m.decode_from_client(json.dumps(message)))) == message
