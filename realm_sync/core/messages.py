"""Messages: everything that travels between a client and the server, and nothing else.

PROTOCOL.md says when each is sent and what it obliges to; here are the shapes. Strict: an unknown field, a wrong type
or an unknown message raises ProtocolError, and nothing of the message is applied. The two unions at the foot are the
table of contents. A change of a shape needs a new line in PROTOCOL.md's history: a test holds a hash of the shapes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .errors import Action, ProtocolError
from .schema import ObjectSchema

SUBPROTOCOL = "realm-sync.v1"
"""The websocket subprotocol of this encoding."""

BatchState = Literal["more", "last", "steady"]


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


class Message(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", tag=_camel,
    forbid_unknown_fields=True, omit_defaults=True,
):  # fmt: skip
    """Base of all messages: one JSON object per text frame, its kind in `type`."""


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Base of what messages are made of."""


# --- what messages are made of ---------------------------------------------------------------------------------------


class ClientFile(Part, frozen=True, kw_only=True):
    ident: int
    salt: str
    """Decimal text of a 63-bit secret: JavaScript's numbers cannot hold it."""


class Progress(Part, frozen=True, kw_only=True):
    """What a client file holds. All zero: nothing yet."""

    server_version: int = 0
    """It has integrated every change up to this version that its subscriptions concern."""
    client_version: int = 0
    """The server has integrated its changesets up to this client version, as of `server_version`."""
    query_version: int = 0
    """The subscription set that its data is complete for."""
    view: int = 0
    """The bootstrap that its data was cut by; as it came in the last download."""


class SubscriptionItem(Part, frozen=True, kw_only=True):
    id: str
    """ObjectId of the subscription, 24 hex digits."""
    class_name: str = msgspec.field(name="class")
    query: str
    """Canonical RQL with its arguments written out; `TRUEPREDICATE` for everything."""
    name: str | None = None
    created_at: str
    updated_at: str


class Instruction(Part, tag_field="op", tag=_camel, frozen=True, kw_only=True):
    """One step of a changeset, on one object: `class` and the wire value of its key, `_id`."""

    class_name: str = msgspec.field(name="class")
    id: Any = msgspec.field(name="_id")


class Create(Instruction, frozen=True, kw_only=True):
    """The object exists from here on, with these values; a key that exists already is the same object (R7)."""

    values: dict[str, Any] = {}


class Update(Instruction, frozen=True, kw_only=True):
    """Property → wire value, whole values."""

    values: dict[str, Any]


class Delete(Instruction, frozen=True, kw_only=True):
    """The object exists no more."""


class Edit(Instruction, frozen=True, kw_only=True):
    """A step inside a property's value. `path` leads there: the property, then properties of embedded objects and keys
    of dictionaries as strings, and indexes of lists as integers."""

    path: list[str | int]
    base: int | None = None
    """The server version whose state the indexes of the path are meant for, with the file's own earlier changesets on
    top; none: the changeset's base. A client that learns of others' changes counts its pending edits anew."""


class Set(Edit, frozen=True, kw_only=True):
    """A property of an embedded object, the value of a dictionary's key, or an element of a list, replaced."""

    value: Any


class Add(Edit, frozen=True, kw_only=True):
    """A counter, or another int that is a property, raised by the wire value of an int; null stays null."""

    by: int | str


class Insert(Edit, frozen=True, kw_only=True):
    """A new element of a list; the path ends with the index it gets."""

    value: Any


class Move(Edit, frozen=True, kw_only=True):
    """An element of a list goes to another index, counted without it."""

    to: int


class Remove(Edit, frozen=True, kw_only=True):
    """An element of a list or a key of a dictionary: the last step of the path."""


class Clear(Edit, frozen=True, kw_only=True):
    """All that the client saw in a list, set or dictionary; what others add meanwhile stays."""

    keep: list[Any] = []
    """What it saw and does not mean: indexes of elements, keys, or members. So says a clear that is counted anew."""


class SetInsert(Edit, frozen=True, kw_only=True):
    """A value that a set contains from here on."""

    value: Any


class SetRemove(Edit, frozen=True, kw_only=True):
    """A value that a set no longer contains."""

    value: Any


AnyEdit = Set | Add | Insert | Move | Remove | Clear | SetInsert | SetRemove
AnyInstruction = Create | Update | Delete | AnyEdit


class Changeset(Part, frozen=True, kw_only=True):
    """What one local write transaction did."""

    client_version: int
    """Its number in the client file, rising by at least one from changeset to changeset."""
    base_version: int
    """The server version the client file had integrated when the user wrote it."""
    timestamp: int
    """Milliseconds since 1970 on the client's clock when the user wrote it; the future counts as now."""
    instructions: list[AnyInstruction]


class Changes(Part, frozen=True, kw_only=True):
    """Changes of one class, applied in the order put, patch, erase. A patch of an absent object is ignored, as is
    its erase: applying changes twice is harmless by design (R3)."""

    class_name: str = msgspec.field(name="class")
    put: list[dict[str, Any]] = []
    """Whole objects, wire values by property."""
    patch: list[dict[str, Any]] = []
    """`_id` and the properties that changed."""
    erase: list[Any] = []
    """Keys of objects that no longer exist or are no longer in view."""


class RejectedWrite(Part, frozen=True, kw_only=True):
    """A write of a changeset that was undone: it reaches the app as a compensating-write error."""

    class_name: str = msgspec.field(name="class")
    id: Any = msgspec.field(name="_id")
    property: str | None = None
    """The one property that was undone, or the path of an edit: `items[3].qty`; none: the whole object's changes of
    that changeset."""
    code: str
    reason: str


class Limits(Part, frozen=True, kw_only=True):
    max_message_bytes: int
    max_subscriptions: int
    max_query_bytes: int
    window: int
    """Most download messages the server sends ahead of the client's `received`."""


# --- client → server -------------------------------------------------------------------------------------------------


class Bind(Message, frozen=True, kw_only=True):
    """First message: who is this, which file, what does it hold."""

    token: str | None = None
    """Access token; none where the page's session cookie authenticates."""
    client_file: ClientFile | None = None
    """None asks for a new ident and salt."""
    epoch: str | None = None
    progress: Progress = Progress()
    schema: list[ObjectSchema] | None = None
    """The classes the client declares; none: it takes the server's."""
    user_agent: str = ""


class Query(Message, frozen=True, kw_only=True):
    """The subscription set the file wants from now on."""

    query_version: int
    subscriptions: list[SubscriptionItem]


class Upload(Message, frozen=True, kw_only=True):
    """Changesets in order; none: only tells how many downloads of this session are done with."""

    changesets: list[Changeset] = []
    received: int
    """How many download messages of this session the client has stored or applied."""


class Mark(Message, frozen=True, kw_only=True):
    """Client: tell me when I hold everything you have now. Server: you do."""

    request_ident: int


class Unbind(Message, frozen=True, kw_only=True):
    """The client ends the session; `unbound` is the answer."""


class Ping(Message, frozen=True, kw_only=True):
    timestamp: int


# --- server → client -------------------------------------------------------------------------------------------------


class Ident(Message, frozen=True, kw_only=True):
    client_file: ClientFile


class Bound(Message, frozen=True, kw_only=True):
    """The session is open."""

    epoch: str
    server_version: int
    client_version: int
    """Changesets up to this one are integrated; do not upload them again (R6)."""
    query_version: int
    """The newest subscription set the server has of this file."""
    server_time: int
    """Milliseconds since 1970."""
    schema: list[ObjectSchema]
    """The server's classes, as far as anybody may see them."""
    limits: Limits


class Download(Message, frozen=True, kw_only=True):
    """Changes up to a version. `more` parts are stored, and applied with the `last` in one transaction (R10)."""

    query_version: int
    batch_state: BatchState
    server_version: int
    client_version: int
    progress: float
    """0 … 1: how much of what is under way has been sent."""
    view: int
    changes: list[Changes] = []


class QueryError(Message, frozen=True, kw_only=True):
    """The set of this query version is refused; the set before it stays in force."""

    query_version: int
    code: str
    message: str


class Rejected(Message, frozen=True, kw_only=True):
    """Compensating writes of one upload. To be told to the app once a download with this client version is applied.
    Many come in several messages of one client version; after a reconnect the same may come again."""

    client_version: int
    writes: list[RejectedWrite]


class Unbound(Message, frozen=True, kw_only=True):
    pass


class Error(Message, frozen=True, kw_only=True):
    """The session ends."""

    code: str
    message: str
    fatal: bool
    """Reconnecting will not help until something else changes."""
    action: Action
    retry_after: float | None = None
    """Seconds to wait before the next attempt, at least."""
    client_version: int | None = None
    """With the action `reset`: the file's changesets up to this one are integrated, whether or not it has heard of that;
    a client reset must not send them again (R6). None: of what the file sent nothing is known here."""


class Pong(Message, frozen=True, kw_only=True):
    timestamp: int


FromClient = Bind | Query | Upload | Mark | Unbind | Ping
FromServer = Ident | Bound | Download | Mark | QueryError | Rejected | Unbound | Error | Pong

_encoder = msgspec.json.Encoder()
_from_client: msgspec.json.Decoder[FromClient] = msgspec.json.Decoder(FromClient)
_from_server: msgspec.json.Decoder[FromServer] = msgspec.json.Decoder(FromServer)


def encode(message: Message) -> str:
    """The text frame of a message."""
    return _encoder.encode(message).decode()


def encode_part(part: Part) -> bytes:
    """The JSON of a part of a message, to know its size."""
    return _encoder.encode(part)


def decode_from_client(frame: str | bytes) -> FromClient:
    """The message of a frame. Raises ProtocolError `BadSyntax` or `UnknownMessage`, saying what was found where."""
    message: FromClient = _decode(_from_client, frame)
    return message


def decode_from_server(frame: str | bytes) -> FromServer:
    """The message of a frame. Raises ProtocolError `BadSyntax` or `UnknownMessage`."""
    message: FromServer = _decode(_from_server, frame)
    return message


def _decode(decoder: msgspec.json.Decoder[Any], frame: str | bytes) -> Any:
    try:
        return decoder.decode(frame)
    except msgspec.ValidationError as error:
        unknown = "Invalid value" in str(error) and str(error).endswith("`$.type`")
        raise ProtocolError("UnknownMessage" if unknown else "BadSyntax", str(error)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError("BadSyntax", f"The frame is not JSON: {error}") from error
