"""App, credentials and users: log-in, tokens, and what of them is kept on disk.

Decides the HTTP calls (routes of App Services) and the life of a user. Who logged in once is known offline and after a
restart, and so is what the operator decided for clients. Knows nothing of realms: `transport.py` asks a user for a fresh
access token, and is told when the server no longer accepts the user.

    log_in → LoggedIn → log_out, or the server refuses him → LoggedOut → log_in …     his files stay
    LoggedIn, LoggedOut → remove_user, log_out of an anonymous user → Removed         they go at the next launch
    LoggedIn → delete_user → Removed                                                  they go at once
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import json
import logging
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
from typing import Any, Literal, cast, get_args

from realm_sync import __version__
from realm_sync.core.errors import ValueTypeError

from .errors import AppError, RealmError
from .operation import Operation
from .paths import UNSET, MaybePartition, path_component, synced_path
from .settings import DEFAULT_TIMEOUTS, ClientSettings, Timeouts
from .user_files import delete_user_files, open_here, realm_files

logger = logging.getLogger("realm_sync.client")

UserState = Literal["LoggedIn", "LoggedOut", "Removed"]
_SLACK = 5.0
"""Seconds before its expiry at which a token counts as expired."""


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

    @property
    def _files(self) -> list[str]:
        """Names of his files beside his directory."""
        return list(self._record.get("files", []))

    def log_out(self) -> Operation[None]:
        """Forgets the tokens at once, then tells the server: if that fails, so does the operation, and the user is
        logged out all the same. Realms of the user stay readable and writable; an anonymous user is removed."""
        token = self._app._forget(self.id, "Removed" if self.provider_type == "anon-user" else "LoggedOut")
        return Operation.run(lambda: self._app._end_session(token), "realm-sync log-out")

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
            raise logged_out()
        app = self._app
        try:
            answer = app._request("POST", "/api/client/v2.0/auth/session", token=token)
        except AppError as error:
            if error.status not in (401, 403):
                raise
            app._forget(self.id, "LoggedOut", token)
            if not self.is_logged_in:
                text = f"Unable to refresh the user access token: {error}"
                raise AppError(text, "AuthError", error.status) from error
        else:
            app._update(self.id, token, access_token=_text(answer, "access_token"))
            app._take_settings(app._fetch_settings())
        # Meanwhile the user may have logged out, and in again in another process: his new tokens count.
        if self.access_token is None:
            raise logged_out()
        return self.access_token

    def __eq__(self, other: object) -> bool:
        return isinstance(other, User) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"User(id={self.id!r}, state={self.state!r})"


class App:
    """One app on one server.

    `base_file_path` is the parent of the `mongodb-realm` directory, which holds users and realm files; the working
    directory unless given. `timeout`, in seconds, limits every HTTP request; it and `timeouts` come before what the
    operator decided. Making an App is its launch: files of users who were removed are deleted, unless they are in use.
    """

    def __init__(
        self,
        id: str,
        *,
        base_url: str = "http://127.0.0.1:8000",
        timeout: float | None = None,
        timeouts: Timeouts | None = None,
        base_file_path: str | Path | None = None,
    ) -> None:
        for name, value in (("id", id), ("base_url", base_url)):
            if not isinstance(value, str):
                raise ValueTypeError("a string", value, name)
        if not id:
            raise RealmError("Expected 'id' to be the id of an app, got an empty string.", code="InvalidArgument")
        parsed = urllib.parse.urlsplit(base_url)
        if parsed.scheme not in ("http", "https") or not parsed.netloc:
            raise RealmError(
                f"Expected 'base_url' to be an http or https URL, got '{base_url}'", code="InvalidArgument"
            )
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout < 0):
            raise ValueTypeError("a number of seconds, not below 0", timeout, "timeout")
        if not isinstance(timeouts, Timeouts | None):
            raise ValueTypeError("an instance of Timeouts", timeouts, "timeouts")
        if not isinstance(base_file_path, str | Path | None):
            raise ValueTypeError("a string or a Path", base_file_path, "base_file_path")
        self.id = id
        self.base_url = base_url.rstrip("/")
        self.base_file_path = Path(base_file_path or ".").absolute()
        self.settings = ClientSettings()
        """What the operator decided, as of the last contact with the server, which may be one of an earlier process."""
        self._timeouts = Timeouts(request=timeout or None).over(timeouts or Timeouts())
        self._guard = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._users: dict[str, User] = {}
        self._current: str | None = None
        self._wire: Any = None
        """The settings as the server said them."""
        self._removed: dict[str, list[str]] = {}
        """Who was removed and still has files: user id → names of those beside his directory."""
        self._load()
        self._delete_removed()

    @property
    def timeouts(self) -> Timeouts:
        """What is in force: this app's own, else the operator's, else the defaults; no field is None."""
        return self._timeouts.over(self.settings.timeouts).over(DEFAULT_TIMEOUTS)

    @property
    def timeout(self) -> float:
        """Of an HTTP request, in seconds."""
        return cast(float, self.timeouts.request)

    # --- files -------------------------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """`<base_file_path>/mongodb-realm/<app id>`."""
        return self.base_file_path / "mongodb-realm" / path_component(self.id)

    def realm_path(self, user_id: str, path: str | Path | None = None, partition: MaybePartition = UNSET) -> Path:
        """Where a synced realm lies; see `synced_path`."""
        found = synced_path(self.directory, user_id, path, partition)
        if found.parent == self.directory and not (path is not None and os.path.isabs(path)):
            self._note_file(user_id, found.name)
        return found

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
        """Makes the user current. Needs no network; raises AppError unless he is logged in."""
        with self._changing():
            own = self._users.get(user.id)
            if own is None:
                raise AppError("User does not exist", "ClientUserNotFound")
            if not own.is_logged_in:
                raise logged_out()
            self._current = own.id
        self._tell()

    def remove_user(self, user: User) -> Operation[None]:
        """Logs out and forgets the user, at once, then tells the server: if that fails, so does the operation, and the
        user is removed all the same. His files are deleted at the next launch, unless he logs in again before."""
        known = self._known(user.id)
        token = self._forget(user.id, "Removed")

        def tell_server() -> None:
            if known is None or known == "Removed":
                text = "No user has been found" if known is None else "User has already been removed"
                raise AppError(text, "ClientUserNotFound")
            self._end_session(token)

        return Operation.run(tell_server, "realm-sync remove user")

    def delete_user(self, user: User) -> Operation[None]:
        """Ends the user's account on the server, then removes him and deletes his files, with all that was not uploaded.
        Fails with AppError if he is not logged in or the server refuses, with RealmError if a realm of his is open:
        then nothing has changed."""
        return Operation.run(lambda: self._delete_user(user.id), "realm-sync delete user")

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
        route = f"/api/client/v2.0/app/{self._quoted_id}/auth/providers/{provider}/login"
        try:
            answer = self._request("POST", route, {**credentials.payload, "options": {"device": device}})
            access_token = _text(answer, "access_token")
            if not _claims(access_token):
                raise AppError("Could not log in user: received malformed JWT", "BadToken")
            profile = self._request("GET", "/api/client/v2.0/auth/profile", token=access_token)
        except AppError as error:
            if error.code != "CustomError":
                raise
            raise AppError(f"{error}. {self._offline_advice}", error.code) from error
        wire = self._fetch_settings()
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
            files = self._removed.pop(user.id, None)  # who comes back before they were deleted keeps his files
            user._record = record | {"files": user._files if files is None else files}
            self._current = user.id
        self._take_settings(wire)
        self._tell()
        return user

    @property
    def _offline_advice(self) -> str:
        current = self.current_user
        if current is None:
            return "The first log-in on this device needs the network."
        return (
            f"A log-in needs the network. Who is logged in on this device can go on without: user '{current.id}', "
            "as app.current_user, or another one of app.all_users by app.switch_user(user)."
        )

    def _delete_user(self, user_id: str) -> None:
        user = self._users.get(user_id)
        if user is None or self._known(user_id) != "LoggedIn":
            raise AppError("User must be logged in to be deleted.", "ClientUserNotLoggedIn")
        if used := open_here(realm_files(*self._files_of(user_id, user._files))):
            raise RealmError(
                f"Cannot delete files of an open Realm: '{used}' is still in use. Close it, then delete the user.",
                code="DeleteOnOpenRealm",
            )
        route = "/api/client/v2.0/auth/delete"
        try:
            self._request("DELETE", route, token=user.fresh_access_token())
        except AppError as error:
            if error.status != 401 or not user.is_logged_in:
                raise
            self._request("DELETE", route, token=user.refresh_access_token())
        self._forget(user_id, "Removed")
        self._delete_removed()

    def _files_of(self, user_id: str, names: list[str]) -> tuple[Path, list[Path]]:
        """A user's directory, and his files beside it."""
        return self.directory / path_component(user_id), [self.directory / name for name in names]

    def _delete_removed(self) -> None:
        """Deletes the files of removed users, as far as nobody uses them. A launch must not fail because of them."""
        if not self._removed:
            return
        with contextlib.suppress(OSError), self._changing():
            for user_id, names in list(self._removed.items()):
                if delete_user_files(*self._files_of(user_id, names)):
                    del self._removed[user_id]

    def _note_file(self, user_id: str, name: str) -> None:
        """A file of the user has its place outside of his directory."""
        user = self._users.get(user_id)
        if user is not None and user.state != "Removed" and name not in user._files:
            with self._changing():
                user._record = user._record | {"files": [*user._files, name]}

    def _known(self, user_id: str) -> UserState | None:
        """The state of a user, with what other processes did; None: nobody knows him."""
        with self._guard:
            self._load()
            user = self._users.get(user_id)
            return None if user is None else user.state

    def _update(self, user_id: str, token: str, **values: Any) -> None:
        """Unless the refresh token is another one meanwhile."""
        with self._changing():
            user = self._users.get(user_id)
            if user is not None and user.is_logged_in and user.refresh_token == token:
                user._record = user._record | values

    def _forget(self, user_id: str, state: UserState, only: str | None = None) -> str | None:
        """Wipes the user's tokens; the refresh token that was. `only`: if it is this one."""
        with self._changing():
            user = self._users.get(user_id)
            if user is None or user.state == "Removed" or (state == "LoggedOut" and not user.is_logged_in):
                return None
            token = user.refresh_token
            if only is not None and token != only:
                return None
            if state == "Removed":
                self._removed[user_id] = user._files
            user._record = user._record | {"state": state, "access_token": None, "refresh_token": None}
        if token:
            self._tell()
        return token

    def _end_session(self, token: str | None) -> None:
        if token:
            self._request("DELETE", "/api/client/v2.0/auth/session", token=token)

    def _fetch_settings(self) -> Any:
        """What the operator decided for programs, or None: then what was known goes on to hold."""
        try:
            wire = self._request("GET", f"/api/client/v2.0/app/{self._quoted_id}/config?client=python")
        except AppError as error:
            logger.info("The settings for clients stay as they are: %s", error)
            return None
        if "appId" in wire:
            return wire
        logger.warning("The settings for clients stay as they are: what %s answered are none.", self.base_url)
        return None

    def _take_settings(self, wire: Any) -> None:
        if wire is not None and wire != self._wire:
            with self._changing():
                self._read_settings(wire)

    def _read_settings(self, wire: Any) -> None:
        try:
            self.settings, self._wire = ClientSettings.from_wire(wire), wire
        except RealmError as error:
            logger.warning("The settings for clients stay as they are: %s", error)

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Around every change of what is kept: begins with what is on disk, which other processes may have changed. Not
        to be nested."""
        path = self._metadata
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._guard, path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._load()
            yield
            self._save()

    def _load(self) -> None:
        """What is on disk. A user whose tokens are missing counts as logged out, one who is missing as removed."""
        try:
            stored = json.loads(self._metadata.read_text())
            records = {record["id"]: record for record in stored.get("users", [])}
            removed = dict(stored.get("removed") or {})
            _check_users(records, removed)
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RealmError) as error:
            raise RealmError(
                f"The users in '{self._metadata}' cannot be read: {error}", code="FileOperationFailed"
            ) from error
        with self._guard:
            self._current = stored.get("current")
            self._removed = removed
            wire = stored.get("settings")
            if wire is not None and wire != self._wire:
                self._read_settings(wire)
            for id, record in records.items():
                usable = record.get("access_token") and record.get("refresh_token")
                if record.get("state") == "LoggedIn" and not usable:
                    record |= {"state": "LoggedOut", "access_token": None, "refresh_token": None}
                self._users.setdefault(id, User(self, record))._record = record
            for id in self._users.keys() - records.keys():
                gone = {"state": "Removed", "access_token": None, "refresh_token": None}
                self._users[id]._record = self._users[id]._record | gone

    def _save(self) -> None:
        """Replaces the file as a whole, readable by its owner alone: it holds tokens."""
        path = self._metadata
        stored = {
            "current": self._current,
            "users": [user._record for user in self._users.values() if user.state != "Removed"],
            "settings": self._wire,
            "removed": self._removed,
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


def _check_users(records: Mapping[str, Any], removed: Mapping[str, Any]) -> None:
    """Raises for what nobody has written here: the names of files come from it, of some that are to be deleted."""
    for record in records.values():
        if record["state"] not in get_args(UserState) or not isinstance(record["provider"], str):
            raise ValueError(f"user '{record['id']}' is none")
    for id, names in [*((id, record.get("files", [])) for id, record in records.items()), *removed.items()]:
        path_component(id)
        if strange := [name for name in names if path_component(name) != name]:
            raise ValueError(f"'{strange[0]}' is no file of user '{id}'")


def logged_out() -> AppError:
    """What a user who is not logged in cannot do."""
    return AppError("User is no longer valid or is logged out", "ClientUserNotLoggedIn", 401)


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
