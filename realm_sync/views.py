"""App Services' client HTTP API, for our clients and the official SDKs: bodies and statuses around auth.py.

Decides what a request must look like and which status a refusal has. Every answer is JSON: errors are exactly
`application/json` with `{"error", "error_code"}`, because that is how SDKs recognise them; successes add a charset, so
that nothing in them is taken for an error. Who may do what is decided in auth.py. urls.py has the routes.

Views are exempt from Django's CSRF token: they trust bearer tokens, which browsers don't send by themselves. The one
that trusts a cookie (`django-session`) checks the Origin instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.log import log_response
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from . import auth
from .auth import AuthError, Refused
from .conf import API, client_configuration, settings
from .core.errors import ValueTypeError
from .core.values import encode
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
    "InternalServerError": 500,
    "InvalidParameter": 400,
    "InvalidPassword": 401,
    "InvalidSession": 401,
    "MethodNotAllowed": 405,
    "MissingAuthReq": 401,
    "MissingParameter": 400,
    "NotCallable": 403,
    "ReadSizeLimitExceeded": 413,
    "RouteNotFound": 404,
    "UserDisabled": 401,
}
"""Every `error_code` of this API. All but AppNotFound, MethodNotAllowed and RouteNotFound are names the SDKs know."""


def success(body: Any = None, status: int = 200) -> HttpResponse:
    content = b"" if body is None else msgspec.json.encode(body)
    return HttpResponse(content, status=status, content_type="application/json; charset=utf-8")


def failure(code: str, message: str) -> HttpResponse:
    body = msgspec.json.encode({"error": message, "error_code": code})
    return HttpResponse(body, status=STATUSES[code], content_type="application/json")


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
        except (SuspiciousOperation, UnreadablePostError) as error:
            response = failure("BadRequest", str(error))
        except Exception as error:
            # What Django does with an exception, but the answer is one that clients understand.
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


class RouteNotFound(ClientView):
    """Everything else below the API's root; so that nothing is answered with HTML or a redirect to a slash."""

    @method_decorator(csrf_exempt)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return failure("RouteNotFound", f"there is no {request.path}")


def base_url(request: HttpRequest, scheme: str = "http") -> str:
    """Where the client API is, as the client that asks for it sees it."""
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
    """`POST …/auth/providers/<provider>/login`: tokens for credentials."""

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, provider: str) -> HttpResponse:
        log_in = PROVIDERS.get(provider)
        if log_in is None:
            raise Refused("AuthProviderNotFound", f"there is no log-in by '{provider}'")
        if "link" in request.GET:
            # Without this a client that asks to link an identity would become another user.
            raise Refused("InvalidParameter", "linking identities is not supported")
        body = read_body(request)
        if body.get("provider", provider) != provider:
            raise Refused("InvalidParameter", f"'provider' in the body contradicts '{provider}' in the URL")
        options = body.get("options")
        device = options.get("device") if isinstance(options, dict) else None
        return success(log_in(request, body, device)._asdict())


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
    auth.DJANGO_SESSION: django_session,
}


class Register(ClientView):
    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest) -> HttpResponse:
        body = read_body(request)
        auth.register(text(body, "email"), text(body, "password"))
        return success({}, status=201)


class Profile(ClientView):
    """The user of an access token."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return success(auth.profile(auth.user_for_access_token(bearer(request)).user))


class Account(ClientView):
    """The account of an access token's user: its end, in the way that ACCOUNT_DELETION says."""

    def delete(self, request: HttpRequest) -> HttpResponse:
        auth.delete_account(auth.user_for_access_token(bearer(request)).user)
        return success(status=204)


class Session(ClientView):
    """The session of a refresh token: a new access token (POST), log-out (DELETE)."""

    def post(self, request: HttpRequest) -> HttpResponse:
        return success({"access_token": auth.refresh(bearer(request))}, status=201)

    def delete(self, request: HttpRequest) -> HttpResponse:
        auth.log_out(bearer(request))
        return success(status=204)


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
        auth.delete_api_key(auth.user_for_refresh_token(bearer(request)).user, key_id)
        return success(status=204)


class SwitchApiKey(ClientView):
    """`…/enable` and `…/disable`."""

    disabled = False

    def put(self, request: HttpRequest, key_id: str) -> HttpResponse:
        auth.set_api_key_disabled(auth.user_for_refresh_token(bearer(request)).user, key_id, self.disabled)
        return success(status=204)


def described(key: ApiKey) -> dict[str, Any]:
    return {"_id": key.pk, "name": key.name, "disabled": key.disabled}


def bearer(request: HttpRequest) -> str:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused("MissingAuthReq", "the request needs an Authorization header: Bearer <token>")
    return token.strip()


def read_body(request: HttpRequest) -> dict[str, Any]:
    """The JSON object in the body; reads no more of it than is allowed."""
    raw = request.read(MAX_BODY_BYTES + 1)
    if len(raw) > MAX_BODY_BYTES:
        raise Refused("ReadSizeLimitExceeded", f"the body is larger than {MAX_BODY_BYTES} bytes")
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
