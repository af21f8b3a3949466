"""Settings: what a client does unless its code says otherwise, as the operator decided it (`GET …/config`).

Decides the built-in defaults and how the server's words (milliseconds, camelCase) become Python's (seconds,
snake_case). `app.py` fetches and keeps them, so that the operator's policy holds offline, too. Whoever reads them asks
the app's code first, then these, then the defaults (R11).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from realm_sync.core.errors import ValueTypeError

from .errors import RealmError

V = TypeVar("V")


def _is_number(value: object) -> bool:
    """Neither infinite nor longer than the system can wait (292 years)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= threading.TIMEOUT_MAX


@dataclass(frozen=True)
class OpenBehavior:
    """How `Realm.open` treats a new or an existing file; R11 has the table. `time_out` in seconds; None: no limit."""

    type: Literal["download_before_open", "open_immediately"] = "download_before_open"
    time_out: float | None = None
    time_out_behavior: Literal["throw_exception", "open_local_realm"] | None = None

    def __post_init__(self) -> None:
        if self.type not in ("download_before_open", "open_immediately"):
            raise RealmError(
                f"Invalid 'type': '{self.type}'. Only 'download_before_open' and 'open_immediately' is allowed.",
                code="InvalidArgument",
            )
        if self.time_out is not None and not (_is_number(self.time_out) and self.time_out >= 0):
            raise ValueTypeError("a number of seconds", self.time_out, "time_out")
        must_say = self.type == "download_before_open" and self.time_out is not None
        if self.time_out_behavior not in ("throw_exception", "open_local_realm") and (
            must_say or self.time_out_behavior is not None
        ):
            raise RealmError(
                f"Invalid 'time_out_behavior': '{self.time_out_behavior}'. "
                "Only 'throw_exception' and 'open_local_realm' is allowed.",
                code="InvalidArgument",
            )

    @property
    def opens_at_time_out(self) -> bool:
        """Whether what is there is opened when the time is over."""
        return self.time_out_behavior != "throw_exception"


DEFAULT_BEHAVIOR = OpenBehavior("download_before_open", 30.0, "throw_exception")


@dataclass(frozen=True)
class Timeouts:
    """Seconds; None: not said here. `request`: an HTTP call. `connect`: the websocket, from the first byte to the
    handshake's last. `ping`: between two pings. `pong`: a connection that was silent for so long is taken for lost.
    `linger`: a connection is kept for the next session of the app after its last one ended. `fast_reconnect`: who was
    away for longer downloads first and uploads then (reference 1.5)."""

    request: float | None = None
    connect: float | None = None
    ping: float | None = None
    pong: float | None = None
    linger: float | None = None
    fast_reconnect: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = "not below 0" if each.name == "linger" else "above 0"
            if value is not None and not (_is_number(value) and (value > 0 or (value == 0 and each.name == "linger"))):
                raise ValueTypeError(f"a number of seconds, {least}", value, each.name)

    def over(self, other: Timeouts) -> Timeouts:
        """These where they say something, `other` elsewhere."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return Timeouts(**{name: getattr(other, name) if value is None else value for name, value in own.items()})


DEFAULT_TIMEOUTS = Timeouts(request=60.0, connect=120.0, ping=60.0, pong=120.0, linger=30.0, fast_reconnect=60.0)


@dataclass(frozen=True)
class ClientSettings:
    """The operator's part. A behaviour that is None was not decided."""

    new_realm_file_behavior: OpenBehavior | None = None
    existing_realm_file_behavior: OpenBehavior | None = None
    cancel_waits_on_non_fatal_error: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)
    partition_field: str = "_partition"
    media_url: str = ""
    """In front of the name that a property of a file holds, it makes the file's URL."""

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ClientSettings:
        """What `GET …/config` says. What this version does not know is ignored; what makes no sense raises RealmError."""
        try:
            return cls(
                new_realm_file_behavior=_behavior(wire.get("newRealmFileBehavior")),
                existing_realm_file_behavior=_behavior(wire.get("existingRealmFileBehavior")),
                cancel_waits_on_non_fatal_error=_typed(bool, wire.get("cancelWaitsOnNonFatalError", False)),
                timeouts=_timeouts(wire.get("timeouts") or {}),
                partition_field=_typed(str, wire.get("partitionField", "_partition")),
                media_url=_typed(str, wire.get("mediaUrl", "")),
            )
        except (AttributeError, TypeError, OverflowError) as error:
            raise RealmError(f"These are no settings for clients: {error}", code="InvalidArgument") from error


def _behavior(wire: Mapping[str, Any] | None) -> OpenBehavior | None:
    if wire is None:
        return None
    time_out, then = wire.get("timeOut"), wire.get("timeOutBehavior")
    return OpenBehavior(
        _snake(str(wire.get("type"))),  # type: ignore[arg-type]  # checked there
        None if time_out is None else time_out / 1000,
        None if then is None else _snake(str(then)),  # type: ignore[arg-type]
    )


def _timeouts(wire: Mapping[str, Any]) -> Timeouts:
    known = {each.name for each in fields(Timeouts)}
    return Timeouts(**{_snake(key): value / 1000 for key, value in wire.items() if _snake(key) in known})


def _typed(kind: type[V], value: object) -> V:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _snake(text: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter.group().lower()}", text)
