"""Every error of the client, below the core's RealmSyncError.

RealmSyncError (core/errors.py)
├── RealmError               misuse of a realm: words and codes are Realm's
│   ├── RealmFileError       the file cannot be opened
│   └── WaitTimeout          a wait ended before what it waited for
├── AppError                 the HTTP API: log-in, tokens; `status` is the HTTP status, 0 without an answer
└── SyncError                the session; what `on_error` gets
    ├── ClientResetError     a client reset that is left to the app, or failed
    └── CompensatingWriteError   writes the server has undone
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realm_sync.core.errors import WIRE_ERRORS, RealmSyncError

if TYPE_CHECKING:
    from .configuration import Configuration


class RealmError(RealmSyncError):
    """Misuse of a realm, told in Realm's words; `code` is Realm's own name where it has one."""

    def __init__(self, message: str, code: str = "RuntimeError", remedy: str = "") -> None:
        super().__init__(message)
        self.code, self.remedy = code, remedy


class RealmFileError(RealmError):
    """The realm file at `path` cannot be opened."""

    def __init__(self, path: str, problem: str, code: str = "FileOperationFailed") -> None:
        super().__init__(f"Cannot open the realm at '{path}'. {problem}", code=code)
        self.path = path


class WaitTimeout(RealmError, TimeoutError):
    """What was waited for did not happen in time; it may still happen."""

    def __init__(self, message: str) -> None:
        super().__init__(f"Timed out: {message}", code="TimedOut")


class AppError(RealmSyncError):
    """The HTTP API refused or did not answer. `is_network`: trying again later may help."""

    def __init__(self, message: str, code: str = "AppUnknownError", status: int = 0) -> None:
        super().__init__(message)
        self.code, self.status = code, status

    @property
    def is_network(self) -> bool:
        return self.status == 0 or self.status >= 500


class SyncError(RealmSyncError):
    """The session met an error. `code` is a wire code (PROTOCOL.md §8), `is_fatal`: it does not recover by itself."""

    def __init__(self, code: str, message: str, is_fatal: bool) -> None:
        super().__init__(message)
        self.code, self.message, self.is_fatal = code, message, is_fatal
        self.remedy = WIRE_ERRORS[code].remedy if code in WIRE_ERRORS else ""

    @property
    def reason(self) -> str:
        return self.message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" {self.remedy}" if self.remedy else "")


class ClientResetError(SyncError):
    """A client reset is left to the app, or failed: code `AutoClientResetFailed`. The session has ended. The next
    opening, or `initiate_client_reset`, puts the file aside and begins anew; `config` then opens it as it was, with
    the writes that the server has not got."""

    def __init__(self, code: str, message: str, config: Configuration) -> None:
        super().__init__(code, message, is_fatal=True)
        self.config = config
        self.remedy = f"What the server has not got will be in '{config.path}'."


@dataclass(frozen=True)
class CompensatedWrite:
    """One write that the server has undone: the whole object's changes of a transaction, or one `property`'s, or one
    edit's inside it; `property` is its path then: `items[3].qty`."""

    object_name: str
    primary_key: Any
    property: str | None
    reason: str
    code: str


class CompensatingWriteError(SyncError):
    """The server has undone `writes`. When the app gets this, the local objects are corrected already."""

    def __init__(self, writes: Sequence[CompensatedWrite]) -> None:
        lines = "; ".join(
            f"{w.object_name} {w.primary_key}" + (f".{w.property}" if w.property else "") + f": {w.reason} ({w.code})"
            for w in writes
        )
        super().__init__(
            "CompensatingWrite",
            f"Client attempted a write that is not allowed; it has been reverted ({lines}).",
            is_fatal=False,
        )
        self.writes = tuple(writes)
