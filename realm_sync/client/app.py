"""App, credentials and users: log-in, tokens, and what of them is kept on disk.

Decides the HTTP calls (routes of App Services) and where files live. A user who logged in once is known offline and
after a restart. Knows nothing of realms: `transport.py` asks a user for a fresh access token, and is told when the
server no longer accepts the user.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import json
import os
import platform
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from realm_sync import __version__

from .errors import AppError, RealmError
from .operation import Operation
from .settings import DEFAULT_TIMEOUTS, ClientSettings, Timeouts

UserState = Literal["LoggedIn", "LoggedOut", "Removed"]
_SLACK = 5.0
"""Seconds before its expiry at which a token counts as expired."""
_KEPT = "-_."


@dataclass(frozen=True)
class Credentials:
    """How to log in; see the factories."""

    provider: str
    payload: Mapping[str, Any] = field(repr=False)
    reuse: bool = False

    @classmethod
    def anonymous(cls, reuse: bool = True) -> Credentials:
        """A user without a name. `reuse`: this device's anonymous user if it has one, without asking the server."""
        return cls("anon-user", {"provider": "anon-user"}, reuse)

    @classmethod
    def email_password(cls, email: str, password: str) -> Credentials:
        return cls("local-userpass", {"provider": "local-userpass", "username": email, "password": password})

    @classmethod
    def api_key(cls, key: str) -> Credentials:
        return cls("api-key", {"provider": "api-key", "key": key})

    @classmethod
    def jwt(cls, token: str) -> Credentials:
        return cls("custom-token", {"provider": "custom-token", "token": token})

    @classmethod
    def function(cls, payload: Mapping[str, Any]) -> Credentials:
        return cls("custom-function", dict(payload))


class User:
    """Somebody who logged in on this device. Two User objects are the same user if their ids are equal."""

    def __init__(self, app: App, record: dict[str, Any]) -> None:
        self._app = app
        self._record = record

    @property
    def app(self) -> App:
        return self._app

    @property
    def id(self) -> str:
        return str(self._record["id"])

    @property
    def state(self) -> UserState:
        return cast(UserState, self._record["state"])

    @property
    def is_logged_in(self) -> bool:
        return self.state == "LoggedIn"

    @property
    def access_token(self) -> str | None:
        return self._record.get("access_token")

    @property
    def refresh_token(self) -> str | None:
        return self._record.get("refresh_token")

    @property
    def provider_type(self) -> str:
        return str(self._record["provider"])

    @property
    def device_id(self) -> str | None:
        return self._record.get("device_id")

    @property
    def identities(self) -> list[dict[str, str]]:
        return list(self._record.get("identities", []))

    @property
    def profile(self) -> dict[str, Any]:
        return dict(self._record.get("profile", {}))

    @property
    def custom_data(self) -> dict[str, Any]:
        """The `user_data` claim of the access token; as of the last refresh."""
        return dict(_claims(self.access_token).get("user_data") or {})

    def log_out(self) -> Operation[None]:
        """Forgets the tokens at once, then tells the server. Realms of the user stay readable and writable."""
        token = self._app._forget(self.id, "Removed" if self.provider_type == "anon-user" else "LoggedOut")

        def tell_server() -> None:
            if token:
                self._app._request("DELETE", "/api/client/v2.0/auth/session", token=token)

        return Operation.run(tell_server, "realm-sync log-out")

    def refresh_custom_data(self) -> Operation[dict[str, Any]]:
        def refresh() -> dict[str, Any]:
            self.refresh_access_token()
            return self.custom_data

        return Operation.run(refresh, "realm-sync refresh")

    def fresh_access_token(self) -> str:
        """The access token, refreshed first if it has expired. Blocks; raises AppError."""
        token = self.access_token
        if token is None or _claims(token).get("exp", 2**62) - _SLACK < time.time():
            token = self.refresh_access_token()
        return token

    def refresh_access_token(self) -> str:
        """A new access token. Blocks. Refused with 401 or 403, the user is logged out and AppError is raised."""
        token = self.refresh_token
        if token is None:
            raise AppError("User is no longer valid or is logged out", "ClientUserNotLoggedIn", 401)
        try:
            answer = self._app._request("POST", "/api/client/v2.0/auth/session", token=token)
        except AppError as error:
            if error.status in (401, 403):
                self._app._forget(self.id, "LoggedOut")
                raise AppError(
                    f"Unable to refresh the user access token: {error}", "AuthError", error.status
                ) from error
            raise
        self._app._update(self.id, access_token=_text(answer, "access_token"))
        return str(self.access_token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"User(id={self.id!r}, state={self.state!r})"


class App:
    """One app on one server.

    `base_file_path` is the parent of the `mongodb-realm` directory, which holds users and realm files; the working
    directory unless given. `timeout`, in seconds, limits every HTTP request.
    """

    def __init__(
        self,
        id: str,
        *,
        base_url: str = "http://127.0.0.1:8000",
        timeout: float = 60.0,
        base_file_path: str | Path | None = None,
    ) -> None:
        if not isinstance(id, str) or not id:
            raise RealmError("Expected 'id' to be a string", code="InvalidArgument")
        parsed = urllib.parse.urlsplit(base_url)
        if parsed.scheme not in ("http", "https") or not parsed.netloc:
            raise RealmError(
                f"Expected 'base_url' to be an http or https URL, got '{base_url}'", code="InvalidArgument"
            )
        self.id = id
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.base_file_path = Path(base_file_path) if base_file_path else Path.cwd()
        self.settings = ClientSettings()
        """What the operator decided, as of the last contact."""
        self._guard = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._users: dict[str, User] = {}
        self._current: str | None = None
        self._load()

    @property
    def timeouts(self) -> Timeouts:
        """What is in force: this app's own, else the operator's, else the defaults; no field is None."""
        return Timeouts(request=self.timeout).over(self.settings.timeouts).over(DEFAULT_TIMEOUTS)

    # --- files -------------------------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """`<base_file_path>/mongodb-realm/<app id>`."""
        return self.base_file_path / "mongodb-realm" / path_component(self.id)

    def realm_path(self, user_id: str, path: str | Path | None) -> Path:
        """Where a synced realm lies: no path: the default; relative: beside it, under that name; absolute: as it is."""
        if path is not None and os.path.isabs(path):
            return Path(path)
        name = "flx_sync_default" if path is None else str(path).removesuffix(".realm")
        return self.directory / path_component(user_id) / f"{path_component(name)}.realm"

    @property
    def _metadata(self) -> Path:
        return self.directory / "server-utility" / "metadata" / "users.json"

    # --- users -------------------------------------------------------------------------------------------------------

    @property
    def current_user(self) -> User | None:
        """The user who logged in last and is still logged in; known without the network."""
        with self._guard:
            user = self._users.get(self._current or "")
            if user is not None and user.is_logged_in:
                return user
            return next((user for user in self._users.values() if user.is_logged_in), None)

    @property
    def all_users(self) -> dict[str, User]:
        with self._guard:
            return {id: user for id, user in self._users.items() if user.state != "Removed"}

    def log_in(self, credentials: Credentials) -> Operation[User]:
        """Logs in; the user becomes current. Fails with AppError: `InvalidPassword`, `is_network` …"""
        return Operation.run(lambda: self._log_in(credentials), "realm-sync log-in")

    def register_user(self, email: str, password: str) -> Operation[None]:
        """Registers with email and password. Does not log in."""

        def register() -> None:
            route = f"/api/client/v2.0/app/{self._quoted_id}/auth/providers/local-userpass/register"
            self._request("POST", route, {"email": email, "password": password})

        return Operation.run(register, "realm-sync register")

    def switch_user(self, user: User) -> None:
        with self._changing():
            if user.id not in self._users:
                raise AppError("User does not exist", "ClientUserNotFound")
            if not user.is_logged_in:
                raise AppError("User is no longer valid or is logged out", "ClientUserNotLoggedIn")
            self._current = user.id
        self._tell()

    def remove_user(self, user: User) -> Operation[None]:
        """Logs out and forgets the user. Realm files stay where they are."""
        token = self._forget(user.id, "Removed")

        def tell_server() -> None:
            if token:
                self._request("DELETE", "/api/client/v2.0/auth/session", token=token)

        return Operation.run(tell_server, "realm-sync remove user")

    def add_listener(self, callback: Callable[[], None]) -> None:
        """`callback()` on every log-in, log-out and switch, in the thread that did it."""
        if callback in self._listeners:
            raise RealmError("Remove callback before adding it again")
        self._listeners.append(callback)

    def remove_listener(self, callback: Callable[[], None]) -> None:
        if callback in self._listeners:
            self._listeners.remove(callback)

    @property
    def sync_url(self) -> str:
        """The websocket's URL."""
        return f"ws{self.base_url.removeprefix('http')}/api/client/v2.0/app/{self._quoted_id}/realm-sync"

    @property
    def _quoted_id(self) -> str:
        return urllib.parse.quote(self.id, safe="")

    def _log_in(self, credentials: Credentials) -> User:
        if credentials.reuse:
            with self._changing():
                for user in self._users.values():
                    if user.provider_type == credentials.provider and user.is_logged_in:
                        self._current = user.id
                        return user
        device = {
            "appId": self.id, "platform": platform.system(), "platformVersion": platform.release(), "sdk": "realm_sync",
            "sdkVersion": __version__, "cpuArch": platform.machine(), "deviceName": "", "deviceVersion": "",
            "frameworkName": "CPython", "frameworkVersion": platform.python_version(), "coreVersion": __version__,
            "bundleId": "",
        }  # fmt: skip
        provider = urllib.parse.quote(credentials.provider, safe="")
        answer = self._request(
            "POST",
            f"/api/client/v2.0/app/{self._quoted_id}/auth/providers/{provider}/login",
            {**credentials.payload, "options": {"device": device}},
        )
        access_token = _text(answer, "access_token")
        if not _claims(access_token):
            raise AppError("Could not log in user: received malformed JWT", "BadToken")
        profile = self._request("GET", "/api/client/v2.0/auth/profile", token=access_token)
        record = {
            "id": _text(answer, "user_id"),
            "provider": credentials.provider,
            "state": "LoggedIn",
            "access_token": access_token,
            "refresh_token": _text(answer, "refresh_token"),
            "device_id": answer.get("device_id"),
            "identities": profile.get("identities", []),
            "profile": profile.get("data", {}),
        }
        with self._changing():
            user = self._users.setdefault(record["id"], User(self, record))
            user._record = record
            self._current = user.id
        self._tell()
        return user

    def _update(self, user_id: str, **values: Any) -> None:
        with self._changing():
            user = self._users.get(user_id)
            if user is not None and user.is_logged_in:
                user._record = user._record | values

    def _forget(self, user_id: str, state: UserState) -> str | None:
        """Wipes the user's tokens; the refresh token that was."""
        with self._changing():
            user = self._users.get(user_id)
            if user is None or not user.is_logged_in:
                if user is not None and state == "Removed":
                    user._record = user._record | {"state": state}
                return None
            token = user.refresh_token
            user._record = user._record | {"state": state, "access_token": None, "refresh_token": None}
        self._tell()
        return token

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Around every change of the users: begins with what is on disk, which other processes may have changed."""
        path = self._metadata
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._guard, path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._load()
            yield
            self._save()

    def _load(self) -> None:
        """The users on disk. A user whose tokens are missing counts as logged out."""
        try:
            stored = json.loads(self._metadata.read_text())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise RealmError(
                f"The users in '{self._metadata}' cannot be read: {error}", code="FileOperationFailed"
            ) from error
        with self._guard:
            self._current = stored.get("current")
            for record in stored.get("users", []):
                if record.get("state") == "LoggedIn" and not (
                    record.get("access_token") and record.get("refresh_token")
                ):
                    record["state"] = "LoggedOut"
                known = self._users.get(record["id"])
                if known is None:
                    self._users[record["id"]] = User(self, record)
                elif known.state != "Removed":
                    known._record = record

    def _save(self) -> None:
        """Replaces the file as a whole, readable by its owner alone: it holds tokens."""
        path = self._metadata
        stored = {
            "current": self._current,
            "users": [user._record for user in self._users.values() if user.state != "Removed"],
        }
        temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(stored, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def _request(
        self, method: str, route: str, body: Mapping[str, Any] | None = None, token: str | None = None
    ) -> dict[str, Any]:
        """One HTTP call; the JSON object of the answer. Blocks; raises AppError."""
        headers = {"Accept": "application/json", "User-Agent": f"realm_sync/{__version__}"}
        if body is not None or method == "POST":
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        if data is None and method == "POST":
            data = b""
        url = self.base_url + route
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _decode_error(error.code, error.read()) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise AppError(f"request to {url} failed, reason: {reason}", "CustomError") from error
        try:
            answer = json.loads(content) if content else {}
        except ValueError as error:
            raise AppError(f"{url} answered with something that is not JSON.", "MalformedJson", 502) from error
        return answer if isinstance(answer, dict) else {"result": answer}


def path_component(text: str) -> str:
    """Percent-encoded so that it is one name in a directory."""
    if text in (".", ".."):
        raise RealmError(
            f"A path can't have an identifier reserved by the filesystem: '{text}'", code="InvalidArgument"
        )
    return urllib.parse.quote(text, safe=_KEPT).replace("~", "%7E")


def _decode_error(status: int, content: bytes) -> AppError:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("error"), str):
        return AppError(answer["error"], str(answer.get("error_code") or "AppUnknownError"), status)
    return AppError(f"http error code considered fatal. Client Error: {status}", "HTTPError", status)


def _text(answer: Mapping[str, Any], key: str) -> str:
    value = answer.get(key)
    if not isinstance(value, str) or not value:
        raise AppError(f"The server's answer lacks '{key}'.", "MissingJsonKey", 502)
    return value


def _claims(token: str | None) -> dict[str, Any]:
    """What a JWT says, unverified: only the server can verify. Empty if it is none."""
    try:
        payload = (token or "").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}
