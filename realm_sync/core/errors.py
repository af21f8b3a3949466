"""Every error of the core, and the codes that travel on the wire.

    RealmSyncError
    ├── SchemaError            a class or property declaration that cannot sync
    ├── SchemaMismatch         client and server disagree on classes; lists every difference
    ├── ValueTypeError         a value does not fit its property's type
    ├── QueryError             RQL that does not parse or does not fit the schema
    └── ProtocolError          the session must end: carries a wire code and an action

A class stores fields and computes its sentence from them. `code` is stable: Realm's own names where Realm has one
(`ErrorCodes` of the SDKs), so that people can look it up. `remedy` says what to do about it.
The table `WIRE_ERRORS` is the one place that knows what each wire code means; PROTOCOL.md prints it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

Action = Literal["retry", "reauthenticate", "reset", "stop"]
"""What a client does after an `error` message: reconnect with back-off, log in again, client reset, or give up."""


class WireError(NamedTuple):
    number: int
    """Device Sync's protocol number of the same condition, for the official encoding."""
    action: Action
    remedy: str


WIRE_ERRORS: dict[str, WireError] = {
    # The connection
    "BadSyntax": WireError(103, "stop", "Send one JSON object per text frame, as PROTOCOL.md lists them."),
    "UnknownMessage": WireError(102, "stop", "Use a message type of this protocol version."),
    "BadMessageOrder": WireError(109, "stop", "Start with bind; see the state table in PROTOCOL.md."),
    "LimitExceeded": WireError(101, "stop", "Stay within the limits that `bound` announced."),
    "SlowConsumer": WireError(100, "retry", "Read the socket and acknowledge downloads in time."),
    # Who is this
    "AuthError": WireError(206, "reauthenticate", "Refresh the access token, or log in again."),
    "UserDisabled": WireError(206, "reauthenticate", "Ask the operator to activate the account."),
    "UserMismatch": WireError(223, "stop", "Open the file as the user it belongs to, or use another file."),
    # The client file
    "BadClientFileIdent": WireError(
        208, "reset", "The server does not know this file: a client reset gives it a new ident."
    ),
    "BadServerVersion": WireError(209, "reset", "The file is ahead of the server (a restored backup): client reset."),
    "BadClientVersion": WireError(
        210,
        "reset",
        "The file counts more changesets than the server has (a restored backup, a copied file): client reset.",
    ),
    "DivergingHistories": WireError(211, "reset", "The database has another epoch: client reset."),
    "ClientFileExpired": WireError(222, "reset", "The history this file needs was pruned: client reset."),
    "ClientReset": WireError(217, "reset", "An operator asked this file to start over: client reset."),
    # What it asks for
    "SchemaMismatch": WireError(
        225, "stop", "Change the client's classes, or the server's models, so that they agree."
    ),
    "BadChangeset": WireError(212, "stop", "The instructions do not fit the schema; this is a bug in the client."),
    "InvalidSubscriptionQuery": WireError(226, "stop", "Correct the query and update the subscriptions."),
    # The server
    "InternalServerError": WireError(201, "retry", "Nothing was lost; the server's log has the cause."),
    "ServerShutdown": WireError(100, "retry", "The server restarts; reconnect."),
}


class RealmSyncError(Exception):
    """Base of every error of realm_sync; catch it to catch them all. `code` is stable across releases."""

    code: str = "RuntimeError"
    remedy: str = ""


class SchemaError(RealmSyncError):
    """A class or property declaration that cannot sync. `where` is `Class` or `Class.property`."""

    code = "SchemaValidationFailed"

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        super().__init__(where, problem, remedy)
        self.where, self.problem, self.remedy = where, problem, remedy

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" + (f" {self.remedy}" if self.remedy else "")


class SchemaMismatch(RealmSyncError):
    """Client and server contradict each other; `differences` lists every one in a sentence of its own."""

    code = "SchemaMismatch"
    remedy = WIRE_ERRORS["SchemaMismatch"].remedy

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__(tuple(differences))
        self.differences = tuple(differences)

    def __str__(self) -> str:
        lines = "\n".join(f"- {line}" for line in self.differences)
        return f"The schema of the client contradicts that of the server:\n{lines}"


class ValueTypeError(RealmSyncError, TypeError):
    """A value does not fit its type. Worded as Realm words it: `Expected 'p' to be a string, got a number`."""

    code = "PropertyTypeMismatch"

    def __init__(self, expected: str, value: object, target: str = "value") -> None:
        super().__init__(expected, value, target)
        self.expected, self.value, self.target = expected, value, target

    def __str__(self) -> str:
        target = self.target if self.target == "value" or "'" in self.target else f"'{self.target}'"
        return f"Expected {target} to be {self.expected}, got {describe(self.value)}"


class QueryError(RealmSyncError, ValueError):
    """RQL that does not parse, or does not fit the class. Shows the query with a caret under `position` if known."""

    code = "InvalidQuery"

    def __init__(self, problem: str, query: str = "", position: int | None = None, code: str = "InvalidQuery") -> None:
        super().__init__(problem, query, position)
        self.problem, self.query, self.position, self.code = problem, query, position, code

    def __str__(self) -> str:
        if self.position is None or not self.query:
            return self.problem
        start = max(0, self.position - 60)
        excerpt = self.query[start : self.position + 20].replace("\n", " ")
        return f"{self.problem}\n  {excerpt}\n  {' ' * (self.position - start)}^"


class ProtocolError(RealmSyncError):
    """The session must end with this wire code (a key of `WIRE_ERRORS`); nothing of the offending message is applied.
    `client_version`: see messages.Error."""

    def __init__(self, code: str, message: str, client_version: int | None = None) -> None:
        super().__init__(code, message, client_version)
        self.code, self.message, self.client_version = code, message, client_version
        self.remedy = WIRE_ERRORS[code].remedy

    @property
    def action(self) -> Action:
        return WIRE_ERRORS[self.code].action

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def describe(value: object) -> str:
    """How an error names a value's kind: `a string`, `a boolean`, `null`, `an instance of Task`."""
    names = {bool: "a boolean", int: "a number", str: "a string", bytes: "binary data", list: "an array"}
    if value is None:
        return "null"
    if isinstance(value, float):
        return "NaN" if value != value else "a decimal number"
    if isinstance(value, dict):
        return "an object"
    return names.get(type(value), f"an instance of {type(value).__name__}")
