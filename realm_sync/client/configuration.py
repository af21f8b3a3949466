"""Configuration: what an app says of a realm, checked.

Decides which options there are, which exclude each other and what their defaults are, in Realm's words (reference 3.2,
3.3, 3.4, 6.4). Explicit options come first, then the operator's settings that the app keeps, then the defaults (R11).
Durations are seconds. Everything wrong is a RealmError, or ValueTypeError for a type, when the object is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from uuid import UUID

from realm_sync.core.errors import ValueTypeError
from realm_sync.core.schema import ObjectSchema
from realm_sync.core.values import ObjectId

from .app import User
from .embedded import EmbeddedObject
from .errors import RealmError, SyncError
from .objects import Object
from .paths import UNSET, MaybePartition
from .settings import OpenBehavior

if TYPE_CHECKING:
    from .realm import Realm
    from .sync_session import SyncSession

SchemaItem = type[Object] | type[EmbeddedObject] | Mapping[str, Any] | ObjectSchema
ResetMode = Literal[
    "manual", "discard_unsynced_changes", "recover_unsynced_changes", "recover_or_discard_unsynced_changes"
]
KEY_BYTES = 64
"""Length of an encryption key, as in Realm."""


@dataclass(frozen=True)
class InitialSubscriptions:
    """Subscriptions of a new file: `update(subscriptions)` or `update(subscriptions, realm)`; `rerun_on_open`: of every
    file that is opened."""

    update: Callable[..., object]
    rerun_on_open: bool = False

    def __post_init__(self) -> None:
        _must_be_callable(self.update, "'update' on 'initial_subscriptions'")


@dataclass(frozen=True)
class ClientReset:
    """What happens when the server asks a file to start over (reference 6.4), and who is told.

    `manual`: nothing; `on_manual(session, path)` (or `on_error`) hears of it, the next opening or
    `initiate_client_reset` puts the file aside at `path`. The others fetch everything anew, and then
    `discard_unsynced_changes` gives up what was not uploaded, `recover_unsynced_changes` writes it again on top, and
    `recover_or_discard_unsynced_changes` does so, but gives up if that fails, and calls `on_fallback(session, path)`
    instead of `on_after`. `on_before(before)` and `on_after(before, after)` get realms: `before` is the frozen state
    before the reset, `after` the open realm."""

    mode: ResetMode = "recover_unsynced_changes"
    on_before: Callable[[Realm], object] | None = None
    on_after: Callable[[Realm, Realm], object] | None = None
    on_fallback: Callable[[SyncSession, str], object] | None = None
    on_manual: Callable[[SyncSession, str], object] | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(ResetMode):
            modes = ", ".join(f"'{mode}'" for mode in get_args(ResetMode))
            raise RealmError(
                f"Invalid 'mode' on 'client_reset': '{self.mode}'. Only {modes} is allowed.", code="InvalidArgument"
            )
        for name in ("on_before", "on_after", "on_fallback", "on_manual"):
            if getattr(self, name) is not None:
                _must_be_callable(getattr(self, name), f"'{name}' on client reset configuration")


@dataclass(frozen=True)
class SyncConfiguration:
    """How a realm syncs. `partition_value`: partition-based sync of the objects with this value; else flexible sync.
    Behaviours and `cancel_waits_on_non_fatal_error` that are None are the operator's, else Realm's defaults.
    `on_error(session, error)` gets what goes wrong in the background, and compensating writes."""

    user: User
    initial_subscriptions: InitialSubscriptions | Callable[..., object] | None = None
    new_realm_file_behavior: OpenBehavior | None = None
    existing_realm_file_behavior: OpenBehavior | None = None
    on_error: Callable[[SyncSession, SyncError], object] | None = None
    client_reset: ClientReset = field(default_factory=ClientReset)
    cancel_waits_on_non_fatal_error: bool | None = None
    partition_value: MaybePartition = UNSET

    def __post_init__(self) -> None:
        if not isinstance(self.user, User):
            raise ValueTypeError("an instance of User", self.user, "'user' on realm sync configuration")
        if self.partition_value is not UNSET:
            _check_partition(self.partition_value)
            if self.initial_subscriptions is not None:
                raise RealmError(
                    "'initial_subscriptions' can only be specified when flexible sync is enabled.",
                    code="InvalidArgument",
                )
        elif self.initial_subscriptions is not None and not isinstance(
            self.initial_subscriptions, InitialSubscriptions
        ):
            InitialSubscriptions(self.initial_subscriptions)
        for name in ("new_realm_file_behavior", "existing_realm_file_behavior"):
            behavior = getattr(self, name)
            if not isinstance(behavior, OpenBehavior | None):
                raise ValueTypeError("an OpenBehavior", behavior, f"'{name}' on realm sync configuration")
        if self.on_error is not None:
            _must_be_callable(self.on_error, "'on_error' on realm sync configuration")
        if not isinstance(self.client_reset, ClientReset):
            raise ValueTypeError("a ClientReset", self.client_reset, "'client_reset' on realm sync configuration")
        if self.client_reset.mode == "manual" and not (self.client_reset.on_manual or self.on_error):
            raise RealmError("need to set either on_error or on_manual or both", code="InvalidArgument")
        if not isinstance(self.cancel_waits_on_non_fatal_error, bool | None):
            raise ValueTypeError(
                "a boolean",
                self.cancel_waits_on_non_fatal_error,
                "'cancel_waits_on_non_fatal_error' on realm sync configuration",
            )

    @property
    def is_flexible(self) -> bool:
        return self.partition_value is UNSET


@dataclass(frozen=True)
class Configuration:
    """Which file, which classes, and whether it syncs. `schema`: Object classes or Realm object schemas; none: the
    classes of the file, which are the server's. `read_only`: of a file that exists and does not sync here; it stays as
    it is. `encryption_key`: 64 bytes that the file was made with, or is to be. `should_compact(total_bytes,
    used_bytes)`: asked when this process opens the file, and nothing else here has it open."""

    path: str | Path | None = None
    schema: Sequence[SchemaItem] | None = None
    sync: SyncConfiguration | None = None
    read_only: bool = False
    encryption_key: bytes | None = field(default=None, repr=False)
    should_compact: Callable[[int, int], bool] | None = None

    def __post_init__(self) -> None:
        if self.path is not None and not isinstance(self.path, str | Path):
            raise ValueTypeError("a string or a Path", self.path, "path")
        if self.path is not None and not str(self.path):
            raise RealmError("The path cannot be empty. Provide a path or remove the field.", code="InvalidArgument")
        if self.sync is not None and not isinstance(self.sync, SyncConfiguration):
            raise ValueTypeError("a SyncConfiguration", self.sync, "sync")
        if not isinstance(self.read_only, bool):
            raise ValueTypeError("a boolean", self.read_only, "'read_only' on realm configuration")
        if self.read_only and self.sync is not None:
            raise RealmError("Synchronized Realms cannot be opened in immutable mode", code="IllegalCombination")
        if self.encryption_key is not None:
            object.__setattr__(self, "encryption_key", _key_bytes(self.encryption_key))
        if self.should_compact is not None:
            _must_be_callable(self.should_compact, "'should_compact' on realm configuration")

    @property
    def file_path(self) -> Path:
        """Where the file is or will be."""
        if self.sync is not None:
            sync = self.sync
            return sync.user.app.realm_path(sync.user.id, self.path, sync.partition_value).absolute()
        return Path(self.path or "default.realm").absolute()


def read_configuration(config: Configuration | str | Path | None, options: Mapping[str, Any]) -> Configuration:
    """A configuration from what `Realm` and its class methods take: one, or a path, or its fields as keywords."""
    if isinstance(config, Configuration):
        return replace(config, **options) if options else config
    return Configuration(path=config, **options) if config is not None else Configuration(**options)


def _key_bytes(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise ValueTypeError("bytes", value, "'encryption_key' on realm configuration")
    key = bytes(value)
    if len(key) != KEY_BYTES:
        raise RealmError(
            f"'encryption_key' on realm configuration has {len(key)} bytes; it must have {KEY_BYTES}.",
            code="InvalidEncryptionKey",
        )
    return key


def _check_partition(value: object) -> None:
    target = "'partition_value' on realm sync configuration"
    if isinstance(value, bool) or not isinstance(value, str | int | ObjectId | UUID | None):
        raise ValueTypeError("an integer, string, ObjectId, UUID, or None", value, target)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise RealmError(f"Expected {target} to be a 64-bit integer, got {value}.", code="InvalidArgument")


def _must_be_callable(value: object, target: str) -> None:
    if not callable(value):
        raise ValueTypeError("a function", value, target)
