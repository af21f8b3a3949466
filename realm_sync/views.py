"""App Services' client HTTP API, for our clients and the official SDKs: bodies and statuses around auth.py.

Decides what a request must look like and which status a refusal has. Every answer is JSON: errors are exactly
`application/json` with `{"error", "error_code"}`, because that is how SDKs recognise them; successes add a charset, so
that nothing in them is taken for an error. Who may do what is decided in auth.py. urls.py has the routes.

Views are exempt from Django's CSRF token: they trust bearer tokens, which browsers don't send by themselves. The one
that trusts a cookie (`django-session`) checks the Origin instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import connections
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.log import log_response
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from . import accounts, auth
from .auth import AuthError, Refused
from .conf import API, client_configuration, settings
from .core.errors import ValueTypeError
from .core.values import encode
from .functions import FunctionError, functions
from .models import ApiKey

MAX_BODY_BYTES = 64 * 1024

STATUSES = {
    "APIKeyAlreadyExists": 409,
    "APIKeyNotFound": 404,
    "AccountNameInUse": 409,
    "AppNotFound": 404,
    "AuthError": 401,
    "AuthProviderNotFound": 404,
    "BadRequest": 400,
    "DomainNotAllowed": 403,
    "FunctionExecutionError": 400,
    "FunctionNotFound": 404,
    "InternalServerError": 500,
    "InvalidParameter": 400,
    "InvalidPassword": 401,
    "InvalidSession": 401,
    "MethodNotAllowed": 405,
    "MissingAuthReq": 401,
    "MissingParameter": 400,
    "NoMatchingRuleFound": 403,
    "NotCallable": 403,
    "ReadSizeLimitExceeded": 413,
    "RouteNotFound": 404,
    "ServiceNotFound": 404,
    "TooManyRequests": 429,
    "UserDisabled": 401,
    "UserpassTokenInvalid": 400,
}
"""Every `error_code` of this API, but for those that functions of the project choose (400). All but AppNotFound,
MethodNotAllowed, RouteNotFound and TooManyRequests are names the SDKs know. SDKs act by the status: 401 to an access
token makes them refresh and ask once more, 401 to a refresh token logs the user out; so does 403 to a refresh."""


def success(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json; charset=utf-8")


def done(status: int = 200) -> HttpResponse:
    """Success without anything to tell. Not 204: realm-web parses every body that has a type, and without a type an SDK
    waits for ever for what it could read."""
    return success({}, status)


def failure(code: str, message: str) -> HttpResponse:
    body = msgspec.json.encode({"error": message, "error_code": code})
    return HttpResponse(body, status=STATUSES.get(code, 400), content_type="application/json")


class ClientView(View):
    """What all routes share: the app id, JSON errors whatever happens, no caching."""

    http_method_names = ["get", "post", "put", "delete"]

    @method_decorator(csrf_exempt)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        app_id = kwargs.pop("app_id", settings.APP_ID)
        response: HttpResponseBase
        try:
            if app_id != settings.APP_ID:
                raise Refused("AppNotFound", f"cannot find app using Client App ID '{app_id}'")
            response = super().dispatch(request, *args, **kwargs)
        except AuthError as error:
            response = failure("InvalidSession" if error.code == "AuthError" else error.code, error.message)
        except Refused as error:
            response = failure(error.code, error.message)
            if error.code == "TooManyRequests":
                response["Retry-After"] = "60"
        except FunctionError as error:
            roll_back()
            response = failure(error.code, error.message)
        except (SuspiciousOperation, UnreadablePostError) as error:
            response = failure("BadRequest", str(error))
        except Exception as error:
            # What Django does with an exception, but the answer is one that clients understand.
            roll_back()
            response = failure("InternalServerError", "internal server error; the server's log has the cause")
            got_request_exception.send(sender=type(self), request=request)
            log_response(
                "%s: %s", "Internal Server Error", request.path, response=response, request=request, exception=error
            )
        response["Cache-Control"] = "no-store"
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = failure("MethodNotAllowed", f"{request.method} is not allowed here")
        response["Allow"] = ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))
        return response


def roll_back() -> None:
    """Leaves nothing of what failed, where a project has ATOMIC_REQUESTS: to Django an answer is a success."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


class RouteNotFound(ClientView):
    """Everything else below the API's root; so that nothing is answered with HTML or a redirect to a slash."""

    @method_decorator(csrf_exempt)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return failure("RouteNotFound", f"there is no {request.path}")


def base_url(request: HttpRequest, scheme: str = "http") -> str:
    """Where the client API is, as the client that asks for it sees it, or as the settings say."""
    if scheme == "ws" and settings.WEBSOCKET_URL:
        return str(settings.WEBSOCKET_URL.rstrip("/"))
    if settings.BASE_URL:
        return scheme + str(settings.BASE_URL).rstrip("/").removeprefix("http")
    # The part of the path before the API belongs to the base URL: a prefix in urls.py, or SCRIPT_NAME.
    return f"{scheme}{'s' if request.is_secure() else ''}://{request.get_host()}{request.path.partition(API)[0]}"


class Location(ClientView):
    """Where the app is: for SDKs, which ask this before anything else and then use these hosts."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return success(
            {
                "deployment_model": "LOCAL",
                "location": "US-VA",
                "hostname": base_url(request),
                "ws_hostname": base_url(request, "ws"),
            }
        )


class Config(ClientView):
    """What the operator decides for clients, `?client=web` for what `{% realm_sync_config %}` writes into pages."""

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            return success(client_configuration(base_url(request), request.GET.get("client")))
        except ValueError as error:
            raise Refused("InvalidParameter", str(error)) from error


class Login(ClientView):
    """`POST …/auth/providers/<provider>/login`: tokens for credentials; with `?link=true` and an access token, the
    credentials become another way to log in as its user."""

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, provider: str) -> HttpResponse:
        link = request.GET.get("link")
        if link not in (None, "true"):
            # Taken for a log-in it would make the client another user.
            raise Refused("InvalidParameter", "'link' must be 'true', or not be there")
        chosen = (PROVIDERS if link is None else LINKS).get(provider)
        if chosen is None:
            what = "identities cannot be linked" if link and provider in PROVIDERS else "there is no log-in"
            raise Refused("AuthProviderNotFound", f"{what} by '{provider}'")
        # Whose link it is comes before anything is looked at.
        session = auth.user_for_access_token(bearer(request)) if link else None
        body = read_body(request)
        if provider != auth.CUSTOM_FUNCTION and body.get("provider", provider) != provider:
            raise Refused("InvalidParameter", f"'provider' in the body contradicts '{provider}' in the URL")
        if session is None:
            options = body.get("options")
            device = options.get("device") if isinstance(options, dict) else None
            return success(PROVIDERS[provider](request, body, device)._asdict())
        LINKS[provider](request, body, session.user)
        tokens = auth.access_token_of(cast(int, session.session_id))._asdict()
        del tokens["refresh_token"]  # stays as it was
        return success(tokens)


def anonymous(request: HttpRequest, body: dict[str, Any], device: Any) -> auth.Tokens:
    return auth.log_in_anonymously(device)


@sensitive_variables()
def email_password(request: HttpRequest, body: dict[str, Any], device: Any) -> auth.Tokens:
    return auth.log_in_with_password(text(body, "username"), text(body, "password"), device, request)


@sensitive_variables()
def api_key(request: HttpRequest, body: dict[str, Any], device: Any) -> auth.Tokens:
    return auth.log_in_with_api_key(text(body, "key"), device)


@sensitive_variables()
def custom_token(request: HttpRequest, body: dict[str, Any], device: Any) -> auth.Tokens:
    return auth.log_in_with_custom_token(text(body, "token"), device)


@sensitive_variables()
def custom_function(request: HttpRequest, body: dict[str, Any], device: Any) -> auth.Tokens:
    return auth.log_in_with_function(payload(body), device)


def payload(body: dict[str, Any]) -> dict[str, Any]:
    """What an app gave to `Credentials.function`. The SDK adds `options`, in the place of any that was there."""
    return {key: value for key, value in body.items() if key != "options"}


def django_session(request: HttpRequest, body: dict[str, Any], device: Any) -> auth.Tokens:
    """Our own provider, for the pages of a Django site. A cookie authenticates, so the Origin must be right."""
    if not auth.request_origin_allowed(request):
        raise Refused("DomainNotAllowed", "this Origin may not use the session of the site")
    user, session = getattr(request, "user", None), getattr(request, "session", None)
    return auth.log_in_with_django_session(user, getattr(session, "session_key", None) or "", device)


PROVIDERS: dict[str, Callable[[HttpRequest, dict[str, Any], Any], auth.Tokens]] = {
    auth.ANONYMOUS: anonymous,
    auth.EMAIL_PASSWORD: email_password,
    auth.API_KEY: api_key,
    auth.CUSTOM_TOKEN: custom_token,
    auth.CUSTOM_FUNCTION: custom_function,
    auth.DJANGO_SESSION: django_session,
}


@sensitive_variables()
def link_password(request: HttpRequest, body: dict[str, Any], user: Any) -> None:
    accounts.link_password(user, text(body, "username"), text(body, "password"), request)


@sensitive_variables()
def link_custom_token(request: HttpRequest, body: dict[str, Any], user: Any) -> None:
    accounts.link_custom_token(user, text(body, "token"))


@sensitive_variables()
def link_function(request: HttpRequest, body: dict[str, Any], user: Any) -> None:
    accounts.link_function(user, payload(body))


LINKS: dict[str, Callable[[HttpRequest, dict[str, Any], Any], None]] = {
    auth.EMAIL_PASSWORD: link_password,
    auth.CUSTOM_TOKEN: link_custom_token,
    auth.CUSTOM_FUNCTION: link_function,
}
"""The providers whose credentials can become another identity of a user. API keys belong to the user who made them."""


class Register(ClientView):
    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest) -> HttpResponse:
        body = read_body(request)
        accounts.register(text(body, "email"), text(body, "password"), request.build_absolute_uri)
        return done(201)


class Confirm(ClientView):
    def post(self, request: HttpRequest) -> HttpResponse:
        body = read_body(request)
        accounts.confirm(text(body, "token"), text(body, "tokenId"))
        return done()


class SendConfirmation(ClientView):
    def post(self, request: HttpRequest) -> HttpResponse:
        accounts.send_confirmation(text(read_body(request), "email"), request.build_absolute_uri)
        return done()


class CallConfirmation(ClientView):
    def post(self, request: HttpRequest) -> HttpResponse:
        accounts.call_confirmation(text(read_body(request), "email"))
        return done()


class ResetPassword(ClientView):
    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest) -> HttpResponse:
        body = read_body(request)
        accounts.reset_password(text(body, "token"), text(body, "tokenId"), text(body, "password"))
        return done()


class SendPasswordReset(ClientView):
    def post(self, request: HttpRequest) -> HttpResponse:
        accounts.send_password_reset(text(read_body(request), "email"), request.build_absolute_uri)
        return done()


class CallPasswordReset(ClientView):
    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest) -> HttpResponse:
        body = read_body(request)
        accounts.call_password_reset(text(body, "email"), text(body, "password"), array(body, "arguments"))
        return done()


class Profile(ClientView):
    """The user of an access token."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return success(auth.profile(auth.user_for_access_token(bearer(request)).user))


class Account(ClientView):
    """The account of an access token's user: its end, in the way that ACCOUNT_DELETION says."""

    def delete(self, request: HttpRequest) -> HttpResponse:
        accounts.delete_account(auth.user_for_access_token(bearer(request)).user)
        return done()


class Session(ClientView):
    """The session of a refresh token: a new access token (POST), log-out (DELETE)."""

    def post(self, request: HttpRequest) -> HttpResponse:
        return success({"access_token": auth.refresh(bearer(request))}, status=201)

    def delete(self, request: HttpRequest) -> HttpResponse:
        auth.log_out(bearer(request))
        return done()


class ApiKeys(ClientView):
    """The API keys of the user of a refresh token."""

    def get(self, request: HttpRequest) -> HttpResponse:
        user = auth.user_for_refresh_token(bearer(request)).user
        return success([described(key) for key in auth.api_keys(user)])

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest) -> HttpResponse:
        user = auth.user_for_refresh_token(bearer(request)).user
        row, key = auth.create_api_key(user, text(read_body(request), "name"))
        return success({**described(row), "key": key}, status=201)


class OneApiKey(ClientView):
    def get(self, request: HttpRequest, key_id: str) -> HttpResponse:
        user = auth.user_for_refresh_token(bearer(request)).user
        return success(described(auth.api_key(user, key_id)))

    def delete(self, request: HttpRequest, key_id: str) -> HttpResponse:
        session = auth.user_for_refresh_token(bearer(request))
        auth.delete_api_key(session.user, key_id, spared=session.session_id)
        return done()


class SwitchApiKey(ClientView):
    """`…/enable` and `…/disable`."""

    disabled = False

    def put(self, request: HttpRequest, key_id: str) -> HttpResponse:
        session = auth.user_for_refresh_token(bearer(request))
        auth.set_api_key_disabled(session.user, key_id, self.disabled, spared=session.session_id)
        return done()


class CallFunction(ClientView):
    """`user.functions.name(…)` in SDKs: `{"name", "arguments"}`, answered by the result alone."""

    def post(self, request: HttpRequest) -> HttpResponse:
        user = auth.user_for_access_token(bearer(request)).user
        body = read_body(request, settings.MAX_MESSAGE_BYTES)
        if body.get("service") is not None:
            # MongoDB collections, HTTP services: of those there are none.
            raise Refused(
                "ServiceNotFound", f"service not found: {body['service']!r}; this server has synced classes only"
            )
        return success(functions.call(user, text(body, "name"), array(body, "arguments")))

    def get(self, request: HttpRequest) -> HttpResponse:
        """What `collection.watch()` opens."""
        raise Refused("ServiceNotFound", "there are no collections to watch; listen to a synced realm")


class PushRegistration(ClientView):
    """`user.push(service).register(token)`: the token is kept with the session, for a project that sends notifications
    itself. This server sends none."""

    def put(self, request: HttpRequest, service: str) -> HttpResponse:
        session = auth.user_for_access_token(bearer(request))
        token = text(read_body(request), "registrationToken")
        auth.keep_push_token(cast(int, session.session_id), service, token)
        return done()

    def delete(self, request: HttpRequest, service: str) -> HttpResponse:
        session = auth.user_for_access_token(bearer(request))
        auth.keep_push_token(cast(int, session.session_id), service, None)
        return done()


def described(key: ApiKey) -> dict[str, Any]:
    return {"_id": key.pk, "name": key.name, "disabled": key.disabled}


def bearer(request: HttpRequest) -> str:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused("MissingAuthReq", "the request needs an Authorization header: Bearer <token>")
    return token.strip()


def read_body(request: HttpRequest, most: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The JSON object in the body; reads no more of it than is allowed."""
    raw = request.read(most + 1)
    if len(raw) > most:
        raise Refused("ReadSizeLimitExceeded", f"the body is larger than {most} bytes")
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("BadRequest", f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused("BadRequest", "the body must be a JSON object")
    return body


def text(body: dict[str, Any], name: str) -> str:
    """A string that must be in the body, must not be empty, and can be stored."""
    if body.get(name) in (None, ""):
        raise Refused("MissingParameter", f"'{name}' is missing")
    try:
        return str(encode("string", body[name]))
    except ValueTypeError as error:
        raise Refused("InvalidParameter", f"'{name}': {error}") from error


def array(body: dict[str, Any], name: str) -> list[Any]:
    """An array that may be left out."""
    value = body.get(name)
    if value is not None and not isinstance(value, list):
        raise Refused("InvalidParameter", f"'{name}' must be an array")
    return value or []
