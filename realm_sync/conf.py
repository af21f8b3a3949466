"""Settings: one dict, `REALM_SYNC`, every key optional. Attributes here are the names, types and defaults.

Read at every access, so `override_settings` and changes at run time simply work; nothing is read at import.
Unknown keys are a system-check error with a suggestion (checks.py). Environment variables are not read here.
`client_configuration()` is the part of them that clients get, from pages and from `GET …/config`, resolved for their
class: web or python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast
from urllib.parse import urljoin

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

API = "/api/client/v2.0"
"""The root of the client HTTP API, below wherever a project mounts realm_sync.urls."""

Hook = str | Callable[..., Any] | None
"""A function of the project: itself, or its dotted path."""


class Settings:
    """`settings.APP_ID` is `REALM_SYNC["APP_ID"]` if that is set, else the default below."""

    APP_ID: str = "realm-sync"
    """The app id in the URLs of the client API; clients name it in `App(id)`."""

    DATABASE: str = "default"
    """The alias of the one database that synced models, history and client files live in."""
    BASE_URL: str = ""
    """Where clients reach the client API, such as `https://sync.example.org`; what SDKs are told to use from then on.
    Empty: where the request came to, which ALLOWED_HOSTS must contain."""
    WEBSOCKET_URL: str = ""
    """The same for websockets, if another host serves them: `wss://live.example.org`. Empty: as BASE_URL."""

    SIGNING_KEY: str = ""
    """Signs access and refresh tokens (HS256). Empty: Django's SECRET_KEY. Equal in every process."""
    ACCESS_TOKEN_SECONDS: int = 30 * 60
    REFRESH_TOKEN_SECONDS: int = 60 * 24 * 3600
    REFRESHES_PER_MINUTE: int = 60
    """How often a session may ask for an access token; then it is refused for a while, and waits (status 429)."""
    ANONYMOUS_LOGIN: bool = True
    """Whether `Credentials.anonymous()` makes a user. Such a user sees what `readable_by` grants, like any other, and may
    call functions that do not say otherwise."""
    REGISTRATION: bool = False
    """Whether strangers may register with email and password."""
    CONFIRMATION: str | Callable[..., Any] = "automatic"
    """When somebody who registered becomes a user. `"automatic"`: at once. `"email"`: with the link in a mail. A function,
    or its dotted path: it gets an `accounts.Registration` and returns "success", "pending" (it has sent the token in its
    own way, to be given to `confirmUser`) or "fail"."""
    CONFIRMATION_URL: str = ""
    """The page that the mail links to, with `?token=…&tokenId=…` for `confirmUser`. Needed for CONFIRMATION = "email"."""
    PASSWORD_RESET_URL: str = ""
    """The page that the mail for a new password links to, with `?token=…&tokenId=…` for `resetPassword`. Empty: Django's
    own `password_reset_confirm`, if urls.py has it; else `sendResetPasswordEmail` is refused."""
    PASSWORD_RESET_FUNCTION: Hook = None
    """What `callResetPasswordFunction` calls, with an `accounts.PasswordReset` and the client's arguments. It returns
    "success" (the password is set), "pending" (it has sent the token, for `resetPassword`) or "fail"."""
    LOGIN_FUNCTION: Hook = None
    """What `Credentials.function(payload)` calls, with the payload. It returns a user, or a name that is always the same
    for the same person (whose user is made at the first log-in), or None to refuse."""
    USER_DATA: Hook = None
    """What `user.customData` is: called with the user, returns a dict of at most 4 KB, for it travels in every token."""
    CUSTOM_JWT: dict[str, Any] | None = None
    """`{"key": …, "algorithms": ["RS256"], "audience": …, "issuer": …, "user_field": "username", "create_users": False}`:
    accepts tokens of another system. `key` is a shared secret (HS256) or a PEM public key (RS256); or instead of it
    `"jwks_url": "https://…"`, where the other system publishes its keys (Firebase, Auth0, Cognito …). Where strangers may
    register, `user_field` must be nothing that they choose."""

    ACCOUNT_DELETION: Literal["deactivate", "delete", "refuse"] = "deactivate"
    """What `deleteUser` does. `deactivate`: `is_active` becomes False, the password unusable, sessions and API keys end,
    and the row stays with all that refers to it. `delete`: the row goes, if nothing protects it. `refuse`: nothing."""

    HISTORY_DAYS: int = 30
    """How long `manage.py realm_sync prune` keeps history; a client file away for longer meets a client reset."""

    MAX_MESSAGE_BYTES: int = 768 * 1024
    """Largest message a client may send. Below 1 MiB, where Daphne's default drops the connection without a code."""
    DOWNLOAD_BYTES: int = 256 * 1024
    """A download message is closed when it has grown beyond this; the next one continues it."""
    DEVICE_SYNC_MESSAGE_BYTES: int = 64 * 1024 * 1024
    """Largest message of an official Realm SDK, which packs whatever one write transaction did into one, and a binary
    value of up to 16 MiB alone. The ASGI server must allow as much, too: see docs/servers.md."""
    DEVICE_SYNC_INSTRUCTIONS: int = 500_000
    """Most instructions in one upload of an official SDK, which has at most a fifth as many objects: about one per new
    object and per property written, in one write transaction. Integrating takes a millisecond per object and more, and
    all of it one database transaction. A client that has written more at once is refused for good (101) until this is
    raised."""
    MAX_SUBSCRIPTIONS: int = 1000
    """Most subscriptions in one set."""
    WINDOW: int = 32
    """Most download messages under way to one client; a client that acknowledges none of them is caught up later
    from the history, so that memory stays flat (DESIGN §12)."""
    IDLE_SECONDS: int = 180
    """A session from which nothing was heard for so long is closed; clients ping every 60 seconds."""
    RECHECK_SECONDS: int = 5
    """How often live sessions are checked for revoked tokens and deactivated users."""
    DATABASE_THREADS: int = 8
    """Threads, and so database connections, that one server process uses for sync."""
    POLL_SECONDS: float = 0.01
    """How often SQLite is asked whether another process wrote; PostgreSQL notifies instead."""

    # What clients do unless their own code says otherwise: in Realm's words, and so in milliseconds.

    NEW_REALM_FILE_BEHAVIOR: dict[str, Any] = {
        "type": "downloadBeforeOpen",
        "timeOut": 30_000,
        "timeOutBehavior": "throwException",
    }
    """What `Realm.open` waits for when the client has no file yet. `type`: `downloadBeforeOpen` or `openImmediately`.
    After `timeOut` milliseconds (None, or no such key: never) `timeOutBehavior` applies: `throwException`, or
    `openLocalRealm`, which opens what is there and syncs on. The value is taken as it is, not merged with the default."""
    EXISTING_REALM_FILE_BEHAVIOR: dict[str, Any] = {
        "type": "downloadBeforeOpen",
        "timeOut": 30_000,
        "timeOutBehavior": "throwException",
    }
    """The same when the client has a file, such as on its second start: `{"type": "openImmediately"}` starts offline."""
    CANCEL_WAITS_ON_NON_FATAL_ERROR: bool = False
    """Whether waiting (for opening, uploads, downloads, subscriptions) fails at the first error that would pass by
    itself, such as a lost connection. If not, it goes on until it succeeds or times out."""
    CLIENT_TIMEOUTS: dict[str, int] = {
        "request": 60_000,
        "connect": 120_000,
        "ping": 60_000,
        "pong": 120_000,
        "linger": 30_000,
        "fastReconnect": 60_000,
    }
    """Milliseconds; keys that are left out keep these defaults. `request`: an HTTP call; `connect`: opening the
    websocket; `ping`: between two pings, less than IDLE_SECONDS; `pong`: a connection that was silent for so long is
    taken for lost; `linger`: how long a connection waits for the next session of its app (0: not at all);
    `fastReconnect`: who was away for longer downloads first and uploads then."""
    CLIENTS: dict[str, dict[str, Any]] = {}
    """What differs for a class of clients: `{"web": {…}, "python": {…}}`. Each may have NEW_REALM_FILE_BEHAVIOR,
    EXISTING_REALM_FILE_BEHAVIOR, CANCEL_WAITS_ON_NON_FATAL_ERROR and CLIENT_TIMEOUTS; what it leaves out is as above,
    and so is every key that its CLIENT_TIMEOUTS leaves out."""
    PARTITION_FIELD: str = "_partition"
    """The property that `partitionValue` speaks of: partition-based sync subscribes each class that has it."""

    def __getattribute__(self, name: str) -> Any:
        if name.isupper():
            configured = getattr(django_settings, "REALM_SYNC", {})
            if name in configured:
                return configured[name]
        return super().__getattribute__(name)

    def hook(self, name: str) -> Callable[..., Any] | None:
        """The function that a setting names, or None. ImportError if its dotted path leads nowhere."""
        value = getattr(self, name)
        return cast("Callable[..., Any]", import_string(value) if isinstance(value, str) else value) if value else None

    @classmethod
    def names(cls) -> list[str]:
        """Every key `REALM_SYNC` may have."""
        return [name for name in vars(cls) if name.isupper()]


settings = Settings()


CLIENT_CLASSES = ("web", "python")
PER_CLIENT = (
    "NEW_REALM_FILE_BEHAVIOR",
    "EXISTING_REALM_FILE_BEHAVIOR",
    "CANCEL_WAITS_ON_NON_FATAL_ERROR",
    "CLIENT_TIMEOUTS",
)
"""The settings that CLIENTS may give for one class of clients."""


def client_configuration(base_url: str, client: str | None = None) -> dict[str, Any]:
    """What the operator decides for clients (DESIGN §11), ready for JSON. `base_url`: where the client API is; `client`:
    one of CLIENT_CLASSES, or None for what holds where CLIENTS says nothing. Raises ValueError for any other."""
    if client is not None and client not in CLIENT_CLASSES:
        known = " or ".join(f"'{each}'" for each in CLIENT_CLASSES)
        raise ValueError(f"there is no class of clients '{client}': use {known}, or leave it out")
    own: dict[str, Any] = {} if client is None else settings.CLIENTS.get(client, {})
    resolved = {name: own.get(name, getattr(settings, name)) for name in PER_CLIENT}
    return {
        "appId": settings.APP_ID,
        "baseUrl": base_url,
        "limits": {
            "maxMessageBytes": settings.MAX_MESSAGE_BYTES,
            "maxSubscriptions": settings.MAX_SUBSCRIPTIONS,
            "window": settings.WINDOW,
        },
        "newRealmFileBehavior": _without_none(resolved["NEW_REALM_FILE_BEHAVIOR"]),
        "existingRealmFileBehavior": _without_none(resolved["EXISTING_REALM_FILE_BEHAVIOR"]),
        "cancelWaitsOnNonFatalError": resolved["CANCEL_WAITS_ON_NON_FATAL_ERROR"],
        "timeouts": Settings.CLIENT_TIMEOUTS | settings.CLIENT_TIMEOUTS | resolved["CLIENT_TIMEOUTS"],
        "partitionField": settings.PARTITION_FIELD,
        # Properties that are files hold names: this in front makes them URLs.
        "mediaUrl": urljoin(base_url.rstrip("/") + "/", django_settings.MEDIA_URL),
    }


def _without_none(behavior: dict[str, Any]) -> dict[str, Any]:
    """A time out of None is none at all, which is how Realm says it."""
    return {key: value for key, value in behavior.items() if value is not None}
