"""Errors of Device Sync by number: what the official SDKs do on each, and which of them must never be sent.

Decides nothing about sessions: decoders and the engine raise DeviceSyncError, session.py sends it as a `json_error` and
does what `action` makes the client expect. Numbers below 200 end the connection (the session field is 0), others the
session. 231 and 236 end neither.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from ..errors import RealmSyncError

Action = Literal["Transient", "Warning", "ApplicationBug", "ProtocolViolation", "ClientReset"]
"""What the SDK does: suspend the session and resume it by itself; tell the app and go on; tell the app and stop (two
words for it); client reset. An action that no SDK knows acts like ApplicationBug."""


class WireError(NamedTuple):
    action: Action
    remedy: str

    @property
    def try_again(self) -> bool:
        """Whether the client comes back by itself; for the others the error is fatal."""
        return self.action in ("Transient", "Warning")


ABORTING = frozenset({104, 202, 203, 205, 207, 214, 215, 218, 219, 220, 221, 224})
"""Numbers that end the process of the app (the SDK takes them for unreachable): no entry below may have one."""

WIRE_ERRORS: dict[int, WireError] = {
    # The connection
    100: WireError("Transient", "Nothing was lost; the client reconnects."),
    101: WireError("ProtocolViolation", "Change what the app sends, or the settings of the server."),
    102: WireError("ProtocolViolation", "Use an SDK that speaks protocol 14 of Device Sync."),
    103: WireError("ProtocolViolation", "Use an SDK that speaks protocol 14 of Device Sync."),
    106: WireError("ProtocolViolation", "Bind the session before anything else is said in it."),
    107: WireError("ProtocolViolation", "Choose another session ident, or unbind first."),
    108: WireError("ProtocolViolation", "Open the file once per connection."),
    109: WireError("ProtocolViolation", "Keep to the order bind, ident, then the rest."),
    110: WireError("ProtocolViolation", "Send zlib data that inflates to the size in the header."),
    111: WireError("ProtocolViolation", "Begin every changeset of an upload with its five numbers."),
    112: WireError("ProtocolViolation", "Send changesets of the size that precedes them."),
    113: WireError("ApplicationBug", "Open the realm with flexible sync."),
    114: WireError("ApplicationBug", "Open the realm with a partition."),
    # The session
    200: WireError("Transient", "Nothing was lost; the client binds again."),
    201: WireError("Transient", "Nothing was lost; the server's log has the cause."),
    204: WireError("ApplicationBug", "Correct the partition's value."),
    206: WireError("ApplicationBug", "Ask the operator for the right to sync this."),
    208: WireError("ClientReset", "The server does not know this file: a client reset gives it a new ident."),
    209: WireError("ClientReset", "The file is ahead of the server (a restored backup): client reset."),
    210: WireError(
        "ClientReset", "The file counts other changesets than the server has (a copied file): client reset."
    ),
    211: WireError("ClientReset", "The database has another epoch: client reset."),
    212: WireError("ApplicationBug", "The changeset does not fit the schema; this is a bug in the client."),
    216: WireError("ProtocolViolation", "Upload changesets of this file only."),
    217: WireError("ClientReset", "An operator asked this file to start over: client reset."),
    222: WireError("ClientReset", "What happened since this file was here cannot be told any more: client reset."),
    223: WireError("ClientReset", "The file belongs to another user: a client reset gives this one a new ident."),
    225: WireError("ApplicationBug", "Change the app's classes, or the server's models, so that they agree."),
    226: WireError("ApplicationBug", "Correct the query and update the subscriptions."),
    229: WireError("Transient", "The server is not ready yet; the client tries again."),
    230: WireError("ClientReset", "The write cannot be undone: client reset."),
    231: WireError("Warning", "Each comes with its reason."),
    233: WireError("ProtocolViolation", "Report progress as the server confirmed it."),
}


class DeviceSyncError(RealmSyncError):
    """The session, or below 200 the connection, must end with this number (a key of WIRE_ERRORS: a KeyError is a bug of
    the caller); nothing of the offending message is applied. `message` is for people, who read it in their app's log."""

    code = "DeviceSyncError"

    def __init__(self, number: int, message: str) -> None:
        super().__init__(number, message)
        self.number, self.message = number, message
        self.remedy = WIRE_ERRORS[number].remedy

    @property
    def is_of_connection(self) -> bool:
        return self.number < 200

    @property
    def action(self) -> Action:
        return WIRE_ERRORS[self.number].action

    def __str__(self) -> str:
        return f"{self.number}: {self.message}"

    def body(self, **more: Any) -> bytes:
        """The JSON of a `json_error`; `more` are its optional keys."""
        text = f"{self.message} {self.remedy}" if self.remedy else self.message
        wire = WIRE_ERRORS[self.number]
        return msgspec.json.encode(
            {
                "message": text,
                "tryAgain": wire.try_again,
                "shouldClientReset": wire.action == "ClientReset",
                "isRecoveryModeDisabled": False,
                "logURL": "",
                "action": wire.action,
                **more,
            }
        )
