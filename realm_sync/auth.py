"""Who this is: log-in providers, access and refresh tokens, sessions that can be ended, API keys.

Users are Django users and passwords are Django's; a log-in makes a `UserSession` and two JWTs. An access token (30
minutes) is good while its session is: every check reads the session's row, so revoking it takes effect at once for new
connections and requests, and within `RECHECK_SECONDS` for live ones (`still_valid`). A refresh token (60 days) is found
by its SHA-256, the only form in which it is kept. Neither needs a slow hash: both, like API keys, contain at least 128
random bits, which nobody finds by trying.

Knows nothing of routes, bodies and status codes: views.py calls it for HTTP, the consumer for websockets. Failures are
`AuthError` (a token or cookie proves nothing; ends a websocket session as it is) and `Refused` (a log-in or a change to
an account is declined, with App Services' name for the reason). Everything here is synchronous and uses the database.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import logging
import re
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jwt
from django.conf import settings as django_settings
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.signals import user_logged_out
from django.core.exceptions import DisallowedHost, FieldDoesNotExist, ImproperlyConfigured, PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import IntegrityError, models, router, transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.encoding import force_bytes
from django.utils.http import is_same_domain
from django.views.decorators.debug import sensitive_variables

from .conf import settings
from .core import ejson
from .core.errors import ProtocolError, RealmSyncError, ValueTypeError
from .core.values import ObjectId, encode
from .functions import FunctionError
from .models import ApiKey, Identity, UserSession
from .throttling import is_allowed

logger = logging.getLogger("realm_sync.auth")

ANONYMOUS = "anon-user"
EMAIL_PASSWORD = "local-userpass"
API_KEY = "api-key"
CUSTOM_TOKEN = "custom-token"
CUSTOM_FUNCTION = "custom-function"
DJANGO_SESSION = "django-session"
PENDING = "local-userpass.pending"
"""Not a provider: the identity of somebody who registered and has yet to confirm the address (accounts.py)."""
UNUSED = "local-userpass.unused"
"""Not a provider: the identity of somebody who registered and has never logged in. The first log-in ends it."""

CUSTOM_ALGORITHMS = ("HS256", "RS256")
LONGEST_USER_DATA = 4096
"""Bytes of JSON. The access token goes into a URL, and servers and proxies limit those: nginx to 8 KiB."""

DEVICE_KEYS = (
    *("appId", "appVersion", "bundleId", "coreVersion", "cpuArch", "deviceName", "deviceVersion"),
    *("frameworkName", "frameworkVersion", "platform", "platformVersion", "sdk", "sdkVersion"),
)


class AuthError(ProtocolError):
    """A token or cookie proves nothing. `code` is the wire code: `AuthError`, or `UserDisabled`."""


class Refused(RealmSyncError):
    """A log-in, or a change to an account, is declined. `code` is App Services' name for the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Authenticated(NamedTuple):
    """A user, and the session that proves it."""

    user: Any
    session_id: int | None
    """The `UserSession`; None where a Django session cookie authenticates."""
    expires: float
    """Unix time of the end of the token; infinity for a cookie."""


class Tokens(NamedTuple):
    """What a log-in hands out. The refresh token cannot be shown again."""

    access_token: str
    refresh_token: str
    user_id: str
    device_id: str


class Ended(NamedTuple):
    """Which of the sessions and users that were asked about are no longer valid."""

    sessions: set[int]
    users: set[Any]


# --- tokens in -------------------------------------------------------------------------------------------------------


def user_for_access_token(token: str) -> Authenticated:
    """The user of an access token. One query. Raises AuthError if it is forged, expired, of another kind or another
    app, if its session was revoked or has expired, or if the user is inactive."""
    claims = _decode(token, "access")
    session_id: Any = claims.get("sid")
    session = UserSession.objects.select_related("user").filter(pk=session_id).first()
    if session is None or str(session.user.pk) != claims["sub"]:
        raise AuthError("AuthError", "invalid session: it has ended")
    _check(session)
    return Authenticated(session.user, session.pk, float(claims["exp"]))


def user_for_refresh_token(token: str) -> Authenticated:
    """The user of a refresh token. One query; raises AuthError as `user_for_access_token` does."""
    session = _session_of_refresh_token(token)
    return Authenticated(session.user, session.pk, session.expires.timestamp())


def user_for_django_session(user: Any) -> Authenticated:
    """The user that Django found by the session cookie (`scope["user"]`, `request.user`), who may be nobody.

    A cookie travels by itself, so the caller has checked the Origin first (`origin_allowed`). Raises AuthError.
    """
    if user is None or not user.is_authenticated:
        raise AuthError("AuthError", "nobody is logged in on this page")
    if not user.is_active:
        raise AuthError("UserDisabled", "user disabled")
    return Authenticated(user, None, float("inf"))


def still_valid(session_ids: Iterable[int], user_ids: Iterable[Any]) -> Ended:
    """Returns those that are NOT valid any more: revoked, expired or deleted sessions, inactive or deleted users.

    One query for all sessions (it covers their users) and one for all users: made for asking every few seconds about
    every live session of a process. Users are keys (`user.pk`); only those of sessions without an id need asking. A
    changed password is not noticed here, but at the next check of a token.
    """
    asked_sessions, asked_users = set(session_ids), set(user_ids)
    sessions = UserSession.objects.filter(revoked=False, expires__gt=timezone.now(), **_active("user__is_active"))
    users = get_user_model()._default_manager.filter(**_active("is_active"))
    return Ended(asked_sessions - _existing(sessions, asked_sessions), asked_users - _existing(users, asked_users))


def origin_allowed(scope: Mapping[str, Any]) -> bool:
    """Whether the page that opened this websocket is the server's own. Ask only where a cookie authenticates: programs
    send no Origin, and have a token."""
    scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "http")
    request = ASGIRequest({**scope, "method": "GET", "scheme": scheme, "query_string": b""}, io.BytesIO())
    return request_origin_allowed(request)


def request_origin_allowed(request: HttpRequest) -> bool:
    """The same for a request. This, not a CSRF token, is the defence where a cookie authenticates: browsers send
    Origin with every POST and every websocket handshake and pages cannot forge it.

    Allowed are the host the request came to (which ALLOWED_HOSTS must contain) and CSRF_TRUSTED_ORIGINS, as in Django's
    own check of the Origin header. One thing is wider: an https page may call what looks like http here, because TLS
    often ends at a proxy that does not say so; the holder of the host's certificate is no attacker.
    Without Origin, only `Sec-Fetch-Site: same-origin` will do.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    try:
        parts = urlsplit(origin.lower())
        host = request.get_host().lower()
    except (ValueError, DisallowedHost):
        return False
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return False
    if parts.netloc == host and not (parts.scheme == "http" and request.is_secure()):
        return True
    for trusted in django_settings.CSRF_TRUSTED_ORIGINS:
        scheme, _, pattern = trusted.lower().partition("://")
        if parts.scheme == scheme and is_same_domain(parts.netloc, pattern.removeprefix("*")):
            return True
    return False


# --- sessions --------------------------------------------------------------------------------------------------------


def refresh(refresh_token: str) -> str:
    """A new access token for a refresh token, which stays as it is. Two queries. Raises AuthError, or Refused with
    `TooManyRequests` if the session asks more often than REFRESHES_PER_MINUTE.

    An official SDK that is told to refresh (close code 4001) and is not let in with the new token does so again at once,
    some 300 times a second. A refusal that is neither 401 nor 403 makes it wait, longer each time, and logs nobody out.
    """
    session = _session_of_refresh_token(refresh_token)
    if not is_allowed("refresh", session.token_hash, settings.REFRESHES_PER_MINUTE, 60):
        raise Refused("TooManyRequests", "this session refreshes its access token too often")
    # The condition is in the UPDATE, so that a session revoked since it was read is not brought back.
    if not UserSession.objects.filter(pk=session.pk, revoked=False).update(refreshed=timezone.now()):
        raise AuthError("AuthError", "invalid session: it has been logged out")
    return _access_token(session)


def log_out(refresh_token: str) -> None:
    """Ends the session of a refresh token. Idempotent; also for expired tokens and inactive users. Raises AuthError
    if there is no such session."""
    if not UserSession.objects.filter(token_hash=_hash(refresh_token)).update(revoked=True):
        raise AuthError("AuthError", "invalid session: no such session")


@receiver(user_logged_out, dispatch_uid="realm_sync.auth")
def end_sessions_of_page(sender: Any, request: Any, user: Any, **_: Any) -> None:
    """Logging out of the site ends the sessions that its pages opened without a password of their own."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    if user is not None and key:
        UserSession.objects.filter(user=user, provider_type=DJANGO_SESSION, credential=_hash(key)).update(revoked=True)


# --- providers: each logs in and returns tokens, or raises Refused ---------------------------------------------------


def log_in_anonymously(device: Any = None) -> Tokens:
    """Makes a new user without a usable password; whoever loses the tokens can never be that user again."""
    if not settings.ANONYMOUS_LOGIN:
        raise Refused("AuthProviderNotFound", "anonymous log-in is switched off")
    name = _random_name("anonymous")
    with transaction.atomic(using=router.db_for_write(get_user_model())):
        return _open_session(_new_user(name, ANONYMOUS, name), ANONYMOUS, device)


@sensitive_variables()
def log_in_with_password(username: str, password: str, device: Any = None, request: Any = None) -> Tokens:
    """See `user_of_password`."""
    user = user_of_password(username, password, request)
    _, is_new = Identity.objects.get_or_create(
        provider_type=EMAIL_PASSWORD, subject=str(user.pk), defaults={"user": user}
    )
    if is_new:
        Identity.objects.filter(user=user, provider_type=UNUSED).delete()
    return _open_session(user, EMAIL_PASSWORD, device, auth_hash=user.get_session_auth_hash())


@sensitive_variables()
def user_of_password(username: str, password: str, request: Any = None) -> Any:
    """Asks Django's authentication backends, and so whatever slows down guessing there. `username` is a username or, if
    nobody has it, an email address that exactly one user has. `request` is only passed on to the backends, some of which
    want one."""
    username = get_user_model().normalize_username(username)
    user = user_of_name(username)
    if user is not None and not user.is_active:
        # ModelBackend refuses these like a wrong password. Who knows the password may know the reason.
        if not user.check_password(password):
            raise Refused("InvalidPassword", "invalid username/password")
        if Identity.objects.filter(user=user, provider_type=PENDING).exists():
            raise Refused("AuthError", "confirmation required")
        raise Refused("UserDisabled", "user disabled")
    user = authenticate(request, username=username if user is None else user.get_username(), password=password)
    if user is None:
        raise Refused("InvalidPassword", "invalid username/password")
    return user


def log_in_with_django_session(user: Any, session_key: str, device: Any = None) -> Tokens:
    """For the pages of a Django site, whose user is logged in already. The caller has checked the Origin."""
    user, _, _ = user_for_django_session(user)
    auth_hash = user.get_session_auth_hash()
    Identity.objects.get_or_create(provider_type=DJANGO_SESSION, subject=str(user.pk), defaults={"user": user})
    return _open_session(user, DJANGO_SESSION, device, credential=_hash(session_key), auth_hash=auth_hash)


@sensitive_variables()
def log_in_with_custom_token(token: str, device: Any = None) -> Tokens:
    """Accepts a JWT of the system that CUSTOM_JWT describes. Its `sub` is an identity; at first sight it belongs to the
    user whose `user_field` equals it, or to a new one if `create_users` is true."""
    subject = subject_of_custom_token(token)
    config = settings.CUSTOM_JWT or {}
    field = config.get("user_field", "username")
    return _open_session(_user_of_subject(subject, field, config.get("create_users", False)), CUSTOM_TOKEN, device)


@sensitive_variables()
def subject_of_custom_token(token: str) -> str:
    """Who a JWT of the system that CUSTOM_JWT describes speaks of. Raises Refused for any other."""
    config = custom_jwt()
    if config is None:
        raise Refused("AuthProviderNotFound", "log-in with custom tokens is not configured")
    try:
        claims = jwt.decode(
            token,
            config["key"] if "key" in config else _published_key(config["jwks_url"], token),
            algorithms=config["algorithms"],
            audience=config.get("audience"),
            issuer=config.get("issuer"),
            options={"require": ["exp", "sub"]},
        )
        subject = encode("string", claims["sub"])
    except (jwt.PyJWTError, ValueTypeError, ValueError, TypeError, RecursionError) as error:
        raise Refused("AuthError", f"the custom token is not valid: {error}") from error
    if not 0 < len(subject) <= 255:
        raise Refused("AuthError", "the custom token is not valid: sub must have 1 to 255 characters")
    return str(subject)


@sensitive_variables()
def log_in_with_function(payload: Mapping[str, Any], device: Any = None) -> Tokens:
    """Asks LOGIN_FUNCTION. A name that it returns is an identity, whose user is made at first sight."""
    found = found_by_function(payload)
    if not isinstance(found, str):
        subject = str(found.pk)
        Identity.objects.get_or_create(provider_type=CUSTOM_FUNCTION, subject=subject, defaults={"user": found})
        return _open_session(found, CUSTOM_FUNCTION, device)
    identities = Identity.objects.select_related("user").filter(provider_type=CUSTOM_FUNCTION, subject=found)
    identity = identities.first()
    if identity is None:
        user_model = get_user_model()
        try:
            with transaction.atomic(using=router.db_for_write(user_model)):
                # Not a username of that name: it may be somebody else's.
                _new_user(_random_name("function"), CUSTOM_FUNCTION, found)
        except IntegrityError:
            pass  # somebody logged in with the same name at the same time
        identity = identities.get()
    return _open_session(identity.user, CUSTOM_FUNCTION, device)


@sensitive_variables()
def found_by_function(payload: Mapping[str, Any]) -> Any:
    """What LOGIN_FUNCTION makes of a payload: a user, or the name of an identity. Raises Refused if it makes nothing of
    it: returns None, raises PermissionDenied or a FunctionError."""
    function = settings.hook("LOGIN_FUNCTION")
    if function is None:
        raise Refused("AuthProviderNotFound", "log-in by a function is not configured")
    try:
        found = function({key: ejson.decode(value, key) for key, value in payload.items()})
    except ValueTypeError as error:
        raise Refused("BadRequest", str(error)) from error
    except (FunctionError, PermissionDenied) as error:
        raise Refused("AuthError", str(error) or "the function refused") from error
    if found is None:
        raise Refused("AuthError", "the function refused")
    if isinstance(found, str) and not 0 < len(encode("string", found)) <= 240:
        raise ImproperlyConfigured('REALM_SYNC["LOGIN_FUNCTION"] returned a name that has not 1 to 240 characters.')
    if not isinstance(found, str | get_user_model()):
        raise ImproperlyConfigured(
            f'REALM_SYNC["LOGIN_FUNCTION"] returned {type(found).__name__}: return a user, a name, or None.'
        )
    return f"name:{found}" if isinstance(found, str) else found


@sensitive_variables()
def log_in_with_api_key(key: str, device: Any = None) -> Tokens:
    """Logs in the user who made the key."""
    api_key = ApiKey.objects.select_related("user").filter(key_hash=_hash(key), disabled=False).first()
    if api_key is None:
        raise Refused("AuthError", "invalid API key")
    return _open_session(api_key.user, API_KEY, device, credential=api_key.pk)


@sensitive_variables()
def prune_sessions() -> int:
    """Deletes log-ins that have expired: nothing can be done with them any more. Returns how many."""
    return UserSession.objects.filter(expires__lt=timezone.now()).delete()[0]


def custom_jwt() -> dict[str, Any] | None:
    """CUSTOM_JWT, or None if it is not set. Raises ImproperlyConfigured with what is wrong with it.

    HS256 and RS256 are never accepted together: with a public key as shared secret anybody could sign.
    """
    config: dict[str, Any] | None = settings.CUSTOM_JWT
    if config is None:
        return None
    algorithms, key = config.get("algorithms"), config.get("key")
    if not isinstance(algorithms, list | tuple) or len(algorithms) != 1 or algorithms[0] not in CUSTOM_ALGORITHMS:
        raise ImproperlyConfigured('REALM_SYNC["CUSTOM_JWT"]["algorithms"] must be ["HS256"] or ["RS256"].')
    if "jwks_url" in config:
        if "key" in config or algorithms[0] != "RS256" or not str(config["jwks_url"]).startswith("https://"):
            raise ImproperlyConfigured(
                'REALM_SYNC["CUSTOM_JWT"]["jwks_url"] must be an https URL, with algorithms ["RS256"] and without a key.'
            )
        return config
    text = key.decode(errors="replace") if isinstance(key, bytes) else key
    if not isinstance(text, str) or not text:
        raise ImproperlyConfigured('REALM_SYNC["CUSTOM_JWT"]["key"] must be a shared secret or a PEM public key.')
    if algorithms[0] == "HS256" and ("-----BEGIN" in text or len(text) < 32):
        raise ImproperlyConfigured(
            'REALM_SYNC["CUSTOM_JWT"]["key"] must be a shared secret of at least 32 characters, and no PEM, for HS256.'
        )
    if algorithms[0] == "RS256" and "-----BEGIN PUBLIC KEY" not in text and "-----BEGIN RSA PUBLIC KEY" not in text:
        raise ImproperlyConfigured('REALM_SYNC["CUSTOM_JWT"]["key"] must be a PEM public key for RS256.')
    return config


def _published_key(url: str, token: str) -> Any:
    """The key with which a token says it was signed, of those that the other system publishes. PyJWT asks for them again
    when one is unknown, and not for every token that names one."""
    return _key_clients(url).get_signing_key_from_jwt(token).key


@cache
def _key_clients(url: str) -> jwt.PyJWKClient:
    return jwt.PyJWKClient(url, lifespan=3600, timeout=5)


# --- API keys: of one user, who is logged in -------------------------------------------------------------------------


def create_api_key(user: Any, name: str) -> tuple[ApiKey, str]:
    """The new key's row, and the key itself, which is kept nowhere. Raises Refused."""
    if not 0 < len(name) <= 100:
        raise Refused("InvalidParameter", "the name of an API key must have 1 to 100 characters")
    key = secrets.token_urlsafe(48)
    try:
        with transaction.atomic(using=router.db_for_write(ApiKey)):
            return ApiKey.objects.create(id=_object_id(), user=user, name=name, key_hash=_hash(key)), key
    except IntegrityError as error:
        raise Refused("APIKeyAlreadyExists", f"an API key named '{name}' exists already") from error


def api_keys(user: Any) -> list[ApiKey]:
    """In the order they were made."""
    return list(ApiKey.objects.filter(user=user).order_by("created", "pk"))


def api_key(user: Any, key_id: str) -> ApiKey:
    """Raises Refused if the user has no such key."""
    # An id that no key can have is not sent to the database, which might choke on it (U+0000 on PostgreSQL).
    key = ApiKey.objects.filter(user=user, pk=key_id).first() if re.fullmatch("[0-9a-f]{24}", key_id) else None
    if key is None:
        raise Refused("APIKeyNotFound", "API key not found")
    return key


def set_api_key_disabled(user: Any, key_id: str, disabled: bool, spared: int | None = None) -> None:
    """Disabling a key also ends the sessions it opened, but for `spared`, the one that asks: SDKs keep one session per
    user, the newest, and would log him out. Enabling it does not bring them back."""
    key = api_key(user, key_id)
    with transaction.atomic(using=router.db_for_write(ApiKey)):
        ApiKey.objects.filter(pk=key.pk).update(disabled=disabled)
        if disabled:
            _end_sessions_of_key(key, spared)


def delete_api_key(user: Any, key_id: str, spared: int | None = None) -> None:
    """Also ends the sessions the key opened, but for `spared`, as `set_api_key_disabled` does."""
    key = api_key(user, key_id)
    with transaction.atomic(using=router.db_for_write(ApiKey)):
        _end_sessions_of_key(key, spared)
        key.delete()


def _end_sessions_of_key(key: ApiKey, spared: int | None) -> None:
    opened = UserSession.objects.filter(user=key.user_id, provider_type=API_KEY, credential=key.pk)
    (opened if spared is None else opened.exclude(pk=spared)).update(revoked=True)


# --- tokens out ------------------------------------------------------------------------------------------------------


def _open_session(user: Any, provider: str, device: Any, credential: str = "", auth_hash: str = "") -> Tokens:
    """The last step of every log-in, so that no provider can forget the check."""
    if not user.is_active:
        raise Refused("UserDisabled", "user disabled")
    now = int(time.time())
    expires = now + settings.REFRESH_TOKEN_SECONDS
    # No session id in a refresh token: the row does not exist yet, and the token is found by its hash anyway. `jti` is
    # what makes it unguessable even for somebody who knows the signing key.
    refresh_token = _encode(user, "refresh", now, expires, jti=secrets.token_urlsafe(24))
    described, device_id = _described(device)
    session = UserSession.objects.create(
        user=user,
        provider_type=provider,
        token_hash=_hash(refresh_token),
        device_id=device_id,
        device=described,
        expires=datetime.fromtimestamp(expires, UTC),
        credential=credential,
        auth_hash=auth_hash,
    )
    return Tokens(_access_token(session), refresh_token, str(user.pk), device_id)


def _access_token(session: UserSession) -> str:
    now = int(time.time())
    expires = min(now + settings.ACCESS_TOKEN_SECONDS, int(session.expires.timestamp()))
    return _encode(session.user, "access", now, expires, sid=session.pk, user_data=_user_data(session.user))


def _user_data(user: Any) -> dict[str, Any]:
    """What USER_DATA says of a user: `user.customData` in SDKs. What cannot be sent is logged and left out, so that a
    user is not locked out by what somebody wrote into it."""
    function = settings.hook("USER_DATA")
    if function is None:
        return {}
    try:
        data = ejson.encode(function(user) or {}, 'REALM_SYNC["USER_DATA"]', relaxed=True)
    except ValueTypeError as error:
        logger.error("Custom data of user %s cannot be sent: %s", user.pk, error)
        return {}
    if not isinstance(data, dict):
        raise ImproperlyConfigured(f'REALM_SYNC["USER_DATA"] returned {type(data).__name__}: return a dict.')
    size = len(json.dumps(data))
    if size > LONGEST_USER_DATA:
        logger.error(
            "Custom data of user %s has %d bytes, more than %d, and is left out", user.pk, size, LONGEST_USER_DATA
        )
        return {}
    return data


def access_token_of(session_id: int) -> Tokens:
    """A new access token of a session that goes on, after what it says of its user has changed. The refresh token stays
    what it was, and cannot be shown."""
    session = UserSession.objects.select_related("user").get(pk=session_id)
    return Tokens(_access_token(session), "", str(session.user_id), session.device_id)


def _encode(user: Any, kind: str, issued: int, expires: int, **claims: Any) -> str:
    claims |= {"sub": str(user.pk), "app": settings.APP_ID, "typ": kind, "iat": issued, "exp": expires}
    return jwt.encode(claims, next(_keys()), algorithm="HS256")


def keep_push_token(session_id: int, service: str, token: str | None) -> None:
    """Keeps, or forgets, where notifications for the device of a session are sent: `session.device["pushTokens"]`."""
    if len(service) > 100 or "\0" in service or len(token or "") > 4096:
        raise Refused("InvalidParameter", "a push service or a registration token is longer than any is")
    session = UserSession.objects.get(pk=session_id)
    tokens = {name: kept for name, kept in session.device.get("pushTokens", {}).items() if name != service}
    if token is not None:
        if len(tokens) >= 10:
            raise Refused("InvalidParameter", "a device has at most 10 push services")
        tokens[service] = token
    session.device = {key: value for key, value in session.device.items() if key != "pushTokens"}
    session.device |= {"pushTokens": tokens} if tokens else {}
    session.save(update_fields=["device"])


def _decode(token: str, kind: str) -> dict[str, Any]:
    """The claims of a token of ours that has not expired. Raises AuthError."""
    for key in _keys():
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["HS256"],
                # Checking `iat` would only let servers whose clocks differ refuse each other's tokens.
                options={"require": ["exp", "iat", "sub"], "verify_iat": False},
            )
            break
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError as error:
            raise AuthError("AuthError", f"invalid session: the {kind} token has expired") from error
        # Headers are parsed before the signature is checked, so anything may be in there: deep nesting, wrong types.
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise AuthError("AuthError", "invalid session: malformed token") from error
    else:
        raise AuthError("AuthError", "invalid session: the token's signature is wrong")
    if claims.get("typ") != kind:
        raise AuthError("AuthError", f"invalid session: this is no {kind} token")
    if claims.get("app") != settings.APP_ID:
        raise AuthError("AuthError", "invalid session: the token is for another app")
    return claims


def _keys() -> Iterator[str]:
    """The key that signs, then those that still verify (SECRET_KEY_FALLBACKS).

    Derived, so that a token which another part of the project signed with SECRET_KEY (as JWT packages do) is never one
    of ours, nor the other way round.
    """
    own = settings.SIGNING_KEY
    for secret in (own,) if own else (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS):
        yield hmac.new(force_bytes(secret), b"realm_sync tokens", hashlib.sha256).hexdigest()


def _session_of_refresh_token(token: str) -> UserSession:
    _decode(token, "refresh")
    session = UserSession.objects.select_related("user").filter(token_hash=_hash(token)).first()
    if session is None:
        raise AuthError("AuthError", "invalid session: it has ended")
    _check(session)
    return session


def _check(session: UserSession) -> None:
    if session.revoked:
        raise AuthError("AuthError", "invalid session: it has been logged out")
    if session.expires <= timezone.now():
        raise AuthError("AuthError", "invalid session: it has expired")
    if not session.user.is_active:
        raise AuthError("UserDisabled", "user disabled")
    if session.auth_hash:
        user = session.user
        valid = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
        if not any(constant_time_compare(session.auth_hash, hash_) for hash_ in valid):
            raise AuthError("AuthError", "invalid session: the password has changed")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# --- users -----------------------------------------------------------------------------------------------------------


def profile(user: Any) -> dict[str, Any]:
    """The user as the client API describes one: identities, and what is known of the name."""
    identities = Identity.objects.filter(user=user).order_by("pk").values_list("pk", "provider_type")
    data = {
        "email": getattr(user, email_field(), "") if email_field() else "",
        "name": user.get_full_name() if hasattr(user, "get_full_name") else "",
        "first_name": getattr(user, "first_name", ""),
        "last_name": getattr(user, "last_name", ""),
    }
    data["name"] = data["name"] or user.get_username()
    return {
        "user_id": str(user.pk),
        "domain_id": settings.APP_ID,
        "identities": [{"id": str(pk), "provider_type": provider} for pk, provider in identities],
        "data": {key: value for key, value in data.items() if value},
        "type": "normal",
    }


def user_of_name(name: str) -> Any | None:
    """The user with this username, else the only one with this email address, else None."""
    users = get_user_model()._default_manager
    try:
        return users.get_by_natural_key(name)
    except get_user_model().DoesNotExist:
        if not (address := email_field()) or "@" not in name:
            return None
        found = list(users.filter(**{f"{address}__iexact": name})[:2])
        return found[0] if len(found) == 1 else None


def _user_of_subject(subject: str, user_field: str, create: bool) -> Any:
    """The user whom a custom token's `sub` means."""
    identities = Identity.objects.select_related("user").filter(provider_type=CUSTOM_TOKEN, subject=subject)
    if identity := identities.first():
        return identity.user
    user_model = get_user_model()
    found = list(user_model._default_manager.filter(**{user_field: subject})[:2])
    if len(found) == 1:
        return Identity.objects.get_or_create(provider_type=CUSTOM_TOKEN, subject=subject, defaults={"user": found[0]})[
            0
        ].user
    if found:
        raise Refused("AuthError", f"several users have the {user_field} of the custom token's sub")
    if not create:
        raise Refused("AuthError", f"no user has the {user_field} of the custom token's sub")
    longest = getattr(user_model._meta.get_field(user_model.USERNAME_FIELD), "max_length", None)
    if longest is not None and len(subject) > longest:
        raise Refused("AuthError", "the custom token's sub is too long for a username")
    try:
        with transaction.atomic(using=router.db_for_write(user_model)):
            return _new_user(subject, CUSTOM_TOKEN, subject, user_field)
    except IntegrityError:
        # Somebody logged in with the same subject at the same time; whose user it is has been decided.
        if identity := identities.first():
            return identity.user
        raise


def _random_name(kind: str) -> str:
    """A username that nobody has and nobody can guess."""
    user_model = get_user_model()
    name = f"{kind}-{secrets.token_hex(12)}"
    is_address = isinstance(user_model._meta.get_field(user_model.USERNAME_FIELD), models.EmailField)
    return f"{name}@{kind}.invalid" if is_address else name


def _new_user(name: str, provider: str, subject: str, user_field: str = "") -> Any:
    """A user without a usable password, and its identity. Call it in a transaction."""
    user_model = get_user_model()
    user = user_model(**{user_model.USERNAME_FIELD: name, **({user_field: name} if user_field else {})})
    user.set_unusable_password()
    user.save()
    Identity.objects.create(user=user, provider_type=provider, subject=subject)
    return user


def email_field() -> str:
    """The name of the user model's email field, or "" if it has none."""
    name = get_user_model().get_email_field_name()
    return name if has_field(name) else ""


def has_field(name: str) -> bool:
    try:
        get_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


def _active(lookup: str) -> dict[str, bool]:
    """The filter for active users. AbstractBaseUser has `is_active` as a constant, not as a field."""
    return {lookup: True} if has_field("is_active") else {}


def _existing(queryset: models.QuerySet[Any], keys: Collection[Any]) -> set[Any]:
    """Which of `keys` are in the queryset. In slices, because SQLite takes 32 766 parameters at most."""
    asked = list(keys)
    existing: set[Any] = set()
    for start in range(0, len(asked), 10_000):
        existing.update(queryset.filter(pk__in=asked[start : start + 10_000]).values_list("pk", flat=True))
    return existing


def _described(device: Any) -> tuple[dict[str, str], str]:
    """What a client says about its device, cut to what may be kept: known keys, short text; and the device's id."""
    if not isinstance(device, Mapping):
        return {}, _object_id()
    described = {
        key: value[:200].replace("\0", "") for key in DEVICE_KEYS if isinstance(value := device.get(key), str) and value
    }
    known = device.get("deviceId")
    known = known if isinstance(known, str) and re.fullmatch("[0-9a-f]{24}", known) else None
    return described, known or _object_id()


def _object_id() -> str:
    return str(ObjectId.build(int(time.time()), secrets.token_bytes(8)))
