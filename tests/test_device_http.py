"""The HTTP half of the official SDKs: the requests of a real client replayed, and what their auth API promises.

`tests/vectors/device_sync/s10-auth.jsonl.gz` is what npm `realm` 12.15.0 sent to an experimental server, which invented
some of its answers to see how the client takes them; ANSWERS says where ours differ.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import jwt
import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone
from django.utils.http import urlsafe_base64_encode

from realm_sync import accounts, auth, checks, sync
from realm_sync.core.values import ObjectId
from realm_sync.functions import functions
from realm_sync.models import ApiKey, Identity, UserSession

pytestmark = pytest.mark.django_db

ROOT = "/api/client/v2.0"
APP = f"{ROOT}/app/realm-sync"
USERPASS = f"{APP}/auth/providers/local-userpass"
PASSWORD = "runway 27 left"
EMAIL = "sam@south.example"
SHARED = "a secret of the other system, 32 bytes or more"
TRANSCRIPT = Path(__file__).parent / "vectors" / "device_sync" / "s10-auth.jsonl.gz"


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


@pytest.fixture
def configure(settings: Any) -> Any:
    def configure(**keys: Any) -> None:
        settings.REALM_SYNC = {**settings.REALM_SYNC, **keys}

    return configure


@pytest.fixture
def nora(db: None) -> Any:
    return get_user_model().objects.create_user("nora", "nora@north.example", PASSWORD)


@pytest.fixture
def http() -> Client:
    """CSRF is enforced, and what a view raises is answered as in production."""
    return Client(enforce_csrf_checks=True, raise_request_exception=False)


@pytest.fixture
def registered() -> Iterator[None]:
    """Functions that a test registers are gone after it."""
    before = set(functions)
    yield
    for name in set(functions) - before:
        functions.unregister(name)


def call(http: Client, method: str, path: str, body: Any = None, token: str = "", status: int = 0) -> Any:
    """The JSON of the answer, once all that the official client needs of every answer holds."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = http.generic(method, path, data, "application/json;charset=utf-8", headers=headers)
    content_type = response["Content-Type"]
    if response.status_code >= 300:
        assert content_type == "application/json", "an error of another type loses its code and its message"
        assert response.json()["error"] and response.json()["error_code"]
    else:
        assert content_type.startswith("application/json") and content_type != "application/json"
    assert not 300 <= response.status_code < 400
    assert not status or response.status_code == status, response.content
    return response.json() if response.content else None


def refused(answer: Any) -> str:
    return str(answer["error_code"])


def log_in(http: Client, username: str = "nora", password: str = PASSWORD, status: int = 200) -> Any:
    body = {"provider": "local-userpass", "username": username, "password": password}
    return call(http, "POST", f"{USERPASS}/login", body, status=status)


def anonymous(http: Client) -> Any:
    return call(http, "POST", f"{APP}/auth/providers/anon-user/login", {"provider": "anon-user"}, status=200)


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def identities(http: Client, answer: Any) -> list[str]:
    profile = call(http, "GET", f"{ROOT}/auth/profile", token=answer["access_token"], status=200)
    assert profile["user_id"] == answer["user_id"]
    return sorted(each["provider_type"] for each in profile["identities"])


# --- the requests of a real client -----------------------------------------------------------------------------------

ANSWERS = {
    "POST confirm": (400, "UserpassTokenInvalid"),  # of tokens that nobody made
    "POST confirm/send": (403, "NotCallable"),  # nothing is confirmed by mail
    "POST confirm/call": (404, "FunctionNotFound"),
    "POST reset": (400, "UserpassTokenInvalid"),
    "POST reset/call": (404, "FunctionNotFound"),
    "POST login?link=true": (409, "AccountNameInUse"),  # somebody logs in with that name
}
"""Where our answers differ: status and code, by method and end of the path."""
INVENTED = 8
"""The last requests met invented failures: an expired token, 500, 502, no Content-Type, an app that is gone."""


def test_the_requests_of_the_official_client(http: Client, configure: Any, registered: None) -> None:
    configure(
        APP_ID="x",
        REGISTRATION=True,
        PASSWORD_RESET_URL="https://pages.example/reset",
        CUSTOM_JWT={"key": SHARED, "algorithms": ["HS256"], "create_users": True},
        LOGIN_FUNCTION=lambda payload: payload["who"] if payload == {"who": "me", "n": 5} else None,
    )
    functions.register("sum", lambda user, *numbers: sum(numbers))
    functions.register("errkey", lambda user: {"error": "not an error"})
    lines = [json.loads(line) for line in gzip.decompress(TRANSCRIPT.read_bytes()).splitlines()]
    known: dict[str, str] = {"a@b.c": "a@b.example", "a.b.c": custom_token("somebody")}
    tokens: dict[str, str] = {}
    ends = []
    requests = [(lines[at], lines[at + 1]) for at in range(0, len(lines), 2)]
    for at, (request, answer) in enumerate(requests):
        method, url = request["head"].split(" ", 1)
        text = bytes.fromhex(request["body_hex"]).decode()
        for theirs, ours in known.items():
            text, url = text.replace(f'"{theirs}"', f'"{ours}"'), url.replace(theirs, ours)
        token = ""
        if "Authorization" in request["decoded"]:
            kind = "refresh" if re.search("/auth/(session|api_keys)", url) else "access"
            token = tokens[f"{kind}_token"]
        end = f"{method} {re.split('local-userpass/|auth/|app/x/', url)[-1]}"
        end = re.sub(r"api_keys/\w+/", "", end)
        found = call(http, method, url, text.encode() or None, token)
        theirs = bytes.fromhex(answer["body_hex"]).decode()
        ends.append(end)
        if at >= len(requests) - INVENTED:
            assert "error" not in found
            assert end != "POST functions/call" or found == {"$numberInt": "2"}
            continue
        status, code = ANSWERS.get(end, (int(answer["head"]), None))
        expected = json.loads(theirs) if theirs.startswith(("{", "[")) else None
        if code is None and status >= 400:
            code = expected["error_code"]
        if code is not None:
            assert (end, found["error_code"]) == (end, code)
            continue
        assert not isinstance(found, dict) or "error_code" not in found, (end, found)
        if status == 204:
            assert found == {}  # realm-web, another client of this API, parses it
            continue
        if isinstance(expected, dict):
            assert set(found) == set(expected), end
            assert {type(value) for value in found.values()} <= {str, bool, list, dict}
        if "refresh_token" in found:
            tokens = found
            for kind in ("access_token", "refresh_token"):
                assert set(found[kind]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
                assert all(type(claims(found[kind])[name]) is int for name in ("exp", "iat"))
                assert claims(found[kind])["sub"] == found["user_id"]
        elif "access_token" in found:
            tokens["access_token"] = found["access_token"]
        if "functions" in url:
            assert found == expected
        if "key" in found:
            known |= {expected["_id"]: found["_id"], expected["key"]: found["key"]}
    assert len(ends) > 50 and ends[-1] == "DELETE delete"


def custom_token(subject: str) -> str:
    return jwt.encode({"sub": subject, "exp": int(time.time()) + 60}, SHARED, algorithm="HS256")


# --- where the server is ---------------------------------------------------------------------------------------------


def test_location_is_what_the_settings_say(http: Client, configure: Any) -> None:
    configure(BASE_URL="https://sync.example/field/")
    answer = call(http, "GET", f"{APP}/location", status=200)
    assert (answer["hostname"], answer["ws_hostname"]) == ("https://sync.example/field", "wss://sync.example/field")
    configure(WEBSOCKET_URL="wss://live.example")
    assert call(http, "GET", f"{APP}/location", status=200)["ws_hostname"] == "wss://live.example"


# --- registration ----------------------------------------------------------------------------------------------------


def register(http: Client, status: int = 201) -> Any:
    return call(http, "POST", f"{USERPASS}/register", {"email": EMAIL, "password": PASSWORD}, status=status)


def token_in(message: Any) -> dict[str, str]:
    (link,) = re.findall(r"https://\S+", message.body)
    query = parse_qs(urlsplit(link).query)
    return {"token": query["token"][0], "tokenId": query["tokenId"][0]}


def test_registered_users_are_confirmed_at_once_unless_configured(http: Client, configure: Any) -> None:
    configure(REGISTRATION=True)
    register(http)
    assert refused(register(http, 409)) == "AccountNameInUse"
    assert identities(http, log_in(http, EMAIL)) == ["local-userpass"]
    for route in ("confirm/send", "confirm/call"):
        call(http, "POST", f"{USERPASS}/{route}", {"email": EMAIL}, status=403 if "send" in route else 404)
    assert not mail.outbox


def test_registration_is_confirmed_by_mail(http: Client, configure: Any) -> None:
    configure(REGISTRATION=True, CONFIRMATION="email", CONFIRMATION_URL="https://pages.example/confirm?lang=en")
    register(http)
    (message,) = mail.outbox
    assert message.to == [EMAIL] and message.subject == "Confirm your email address"
    assert "https://pages.example/confirm?lang=en&token=" in message.body and "realm-sync" in message.body
    answer = log_in(http, EMAIL, status=401)
    assert (refused(answer), answer["error"]) == ("AuthError", "confirmation required")
    assert refused(log_in(http, EMAIL, "wrong", status=401)) == "InvalidPassword"
    assert refused(register(http, 409)) == "AccountNameInUse"

    call(http, "POST", f"{USERPASS}/confirm/send", {"email": EMAIL}, status=200)
    first, second = (token_in(message) for message in mail.outbox)
    wrong = {"token": second["token"][:-1] + "x", "tokenId": second["tokenId"]}
    other = {"token": second["token"], "tokenId": urlsafe_base64_encode(b"999")}
    for bad in (wrong, other, second | {"tokenId": "é"}, second | {"tokenId": "-"}, second | {"token": "x"}):
        answer = call(http, "POST", f"{USERPASS}/confirm", bad, status=400)
        assert refused(answer) == "UserpassTokenInvalid"
    # It is no token for a new password.
    call(http, "POST", f"{USERPASS}/reset", second | {"password": PASSWORD}, status=400)
    call(http, "POST", f"{USERPASS}/confirm", second, status=200)
    for used in (first, second):
        assert refused(call(http, "POST", f"{USERPASS}/confirm", used, status=400)) == "UserpassTokenInvalid"
    assert log_in(http, EMAIL)


def test_whoever_an_operator_deactivated_is_not_confirmed(http: Client, configure: Any) -> None:
    configure(REGISTRATION=True, CONFIRMATION="email", CONFIRMATION_URL="https://pages.example/confirm")
    register(http)
    token = token_in(mail.outbox[0])
    call(http, "POST", f"{USERPASS}/confirm", token, status=200)
    get_user_model().objects.update(is_active=False)
    call(http, "POST", f"{USERPASS}/confirm", token, status=400)
    call(http, "POST", f"{USERPASS}/confirm/send", {"email": EMAIL}, status=200)
    assert len(mail.outbox) == 1
    assert refused(log_in(http, EMAIL, status=401)) == "UserDisabled"


def test_asking_for_mails_does_not_tell_who_is_there(http: Client, configure: Any, nora: Any) -> None:
    configure(
        REGISTRATION=True,
        CONFIRMATION="email",
        CONFIRMATION_URL="https://pages.example/confirm",
        PASSWORD_RESET_URL="https://pages.example/reset",
    )
    register(http)
    answers = {
        route: {
            json.dumps(call(http, "POST", f"{USERPASS}/{route}", {"email": each}, status=200))
            for each in (EMAIL, "nora@north.example", "nobody@north.example", "nobody", "a" * 1000)
        }
        for route in ("confirm/send", "reset/send")
    }
    assert answers == {"confirm/send": {"{}"}, "reset/send": {"{}"}}
    assert [message.to for message in mail.outbox] == [[EMAIL], [EMAIL], ["nora@north.example"]]


def test_a_mail_that_cannot_be_sent_does_not_tell_either(
    http: Client, configure: Any, settings: Any, nora: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configure(PASSWORD_RESET_URL="https://pages.example/reset")
    settings.EMAIL_BACKEND = "django.core.mail.backends.nothing.Here"
    assert call(http, "POST", f"{USERPASS}/reset/send", {"email": "nora"}, status=200) == {}
    assert "was not sent" in caplog.text


def test_a_confirmation_function_decides(http: Client, configure: Any) -> None:
    asked: list[accounts.Registration] = []
    decided = "pending"

    def decide(registration: accounts.Registration) -> str:
        asked.append(registration)
        return decided

    configure(REGISTRATION=True, CONFIRMATION=decide)
    register(http)
    assert asked[0].username == EMAIL and asked[0].user.email == EMAIL
    log_in(http, EMAIL, status=401)
    call(http, "POST", f"{USERPASS}/confirm", {"token": asked[0].token, "tokenId": asked[0].token_id}, status=200)
    assert log_in(http, EMAIL)

    get_user_model().objects.all().delete()
    decided = "fail"
    answer = register(http, 400)
    assert answer["error"] == f'failed to confirm user "{EMAIL}"'
    assert not get_user_model().objects.exists()
    decided = "pending"
    register(http)
    decided = "success"
    assert call(http, "POST", f"{USERPASS}/confirm/call", {"email": EMAIL}, status=200) == {}
    assert log_in(http, EMAIL)
    count = len(asked)
    for email in (EMAIL, "nobody@south.example"):
        assert call(http, "POST", f"{USERPASS}/confirm/call", {"email": email}, status=200) == {}
    assert len(asked) == count  # of nobody who is confirmed already
    decided = "perhaps"
    get_user_model().objects.all().delete()
    assert refused(register(http, 500)) == "InternalServerError"
    assert not get_user_model().objects.exists()


def test_who_never_confirms_is_pruned(http: Client, configure: Any, nora: Any) -> None:
    configure(REGISTRATION=True, CONFIRMATION="email", CONFIRMATION_URL="https://pages.example/confirm")
    register(http)
    assert accounts.prune_registrations() == 0
    Identity.objects.update(created=timezone.now() - accounts.KEEP_PENDING)
    assert accounts.prune_registrations() == 1
    assert list(get_user_model().objects.all()) == [nora]
    register(http)
    call(http, "POST", f"{USERPASS}/confirm", token_in(mail.outbox[-1]), status=200)
    Identity.objects.update(created=timezone.now() - accounts.KEEP_PENDING)
    assert accounts.prune_registrations() == 0


# --- new passwords ---------------------------------------------------------------------------------------------------


def test_a_new_password_by_mail(http: Client, configure: Any, nora: Any) -> None:
    answer = call(http, "POST", f"{USERPASS}/reset/send", {"email": "nora"}, status=403)
    assert refused(answer) == "NotCallable" and "PASSWORD_RESET_URL" in answer["error"]
    assert refused(call(http, "POST", f"{USERPASS}/reset/send", {"email": "nobody"}, status=403)) == "NotCallable"
    configure(PASSWORD_RESET_URL="https://pages.example/reset")
    opened = log_in(http)
    call(http, "POST", f"{USERPASS}/reset/send", {"email": "NORA@north.example"}, status=200)
    (message,) = mail.outbox
    assert message.to == ["nora@north.example"] and message.subject == "Choose a new password"
    token = token_in(message)
    with override_settings(
        AUTH_PASSWORD_VALIDATORS=[{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
    ):
        assert refused(call(http, "POST", f"{USERPASS}/reset", token | {"password": "x"}, status=400)) == "BadRequest"
    call(http, "POST", f"{USERPASS}/reset", token | {"password": "another one, longer"}, status=200)
    log_in(http, status=401)
    assert log_in(http, password="another one, longer")
    answer = call(http, "POST", f"{ROOT}/auth/session", token=opened["refresh_token"], status=401)
    assert refused(answer) == "InvalidSession"
    answer = call(http, "POST", f"{USERPASS}/reset", token | {"password": PASSWORD}, status=400)
    assert refused(answer) == "UserpassTokenInvalid"


def test_who_has_no_password_gets_no_mail(http: Client, configure: Any, nora: Any) -> None:
    configure(PASSWORD_RESET_URL="https://pages.example/reset")
    user = anonymous(http)
    get_user_model().objects.filter(pk=user["user_id"]).update(email=EMAIL)
    get_user_model().objects.filter(pk=nora.pk).update(is_active=False)
    for email in (EMAIL, "nora"):
        call(http, "POST", f"{USERPASS}/reset/send", {"email": email}, status=200)
    assert not mail.outbox
    stale = {"token": default_token_generator.make_token(nora), "tokenId": urlsafe_base64_encode(str(nora.pk).encode())}
    call(http, "POST", f"{USERPASS}/reset", stale | {"password": PASSWORD}, status=400)


urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("django.contrib.auth.urls")),
    path("", include("realm_sync.urls")),
]


def test_djangos_own_page_takes_the_token(http: Client, settings: Any, nora: Any) -> None:
    settings.ROOT_URLCONF = __name__
    call(http, "POST", f"{USERPASS}/reset/send", {"email": "nora"}, status=200)
    (link,) = re.findall(r"http://testserver(\S+)", mail.outbox[0].body)
    page = Client().get(link, follow=True)
    assert page.status_code == 200 and page.context["validlink"]


def test_strangers_cannot_fill_a_mailbox(http: Client, configure: Any, nora: Any) -> None:
    configure(PASSWORD_RESET_URL="https://pages.example/reset")
    for _ in range(accounts.MAILS_PER_HOUR + 3):
        call(http, "POST", f"{USERPASS}/reset/send", {"email": "nora"}, status=200)
    assert len(mail.outbox) == accounts.MAILS_PER_HOUR


def test_a_password_reset_function_decides(http: Client, configure: Any, nora: Any) -> None:
    asked: list[Any] = []

    def decide(reset: accounts.PasswordReset, answer: str, times: int) -> str:
        asked.append((reset, times))
        return {"hangar": "success", "later": "pending"}.get(answer, "fail")

    configure(PASSWORD_RESET_FUNCTION=decide)

    def reset(email: str, answer: str, status: int) -> Any:
        arguments = [answer, {"$numberLong": "3"}]
        body = {"email": email, "password": "another one, longer", "arguments": arguments}
        return call(http, "POST", f"{USERPASS}/reset/call", body, status=status)

    failed, unknown = reset("nora", "tower", 400), reset("nobody", "hangar", 400)
    assert failed["error"] == 'failed to reset password for user "nora"'
    assert unknown["error"] == 'failed to reset password for user "nobody"'
    assert reset("nora", "later", 200) == {} and log_in(http)
    (given, times) = asked[-1]
    assert (given.user, given.username, given.current_password_valid, times) == (nora, "nora", False, 3)
    assert len(asked) == 2
    reset("nora", "hangar", 200)
    assert log_in(http, password="another one, longer")
    body = {"email": "nora", "password": "x", "arguments": [{"$minKey": 1}, 1]}
    assert refused(call(http, "POST", f"{USERPASS}/reset/call", body, status=400)) == "BadRequest"
    body = {"email": "nora", "password": "x", "arguments": "hangar"}
    assert refused(call(http, "POST", f"{USERPASS}/reset/call", body, status=400)) == "InvalidParameter"
    # What `pending` sent on its own way.
    get_user_model().objects.get().refresh_from_db()
    token, token_id = accounts._token(default_token_generator, get_user_model().objects.get())
    call(http, "POST", f"{USERPASS}/reset", {"token": token, "tokenId": token_id, "password": PASSWORD}, status=200)


# --- log-in by a function --------------------------------------------------------------------------------------------


def by_function(http: Client, status: int = 200, **payload: Any) -> Any:
    options = {"options": {"device": {"sdk": "JS", "deviceName": "tablet"}}}
    return call(http, "POST", f"{APP}/auth/providers/custom-function/login", payload | options, status=status)


def test_a_function_that_names_somebody(http: Client, configure: Any) -> None:
    get_user_model().objects.create_user("me", "me@north.example", PASSWORD, is_superuser=True)
    configure(LOGIN_FUNCTION=lambda payload: payload.get("who"))
    first = by_function(http, who="me", provider="mine")
    assert by_function(http, who="me")["user_id"] == first["user_id"]
    user = get_user_model().objects.get(pk=first["user_id"])
    # A name is no username: that one is somebody else's.
    assert not user.is_superuser and not user.has_usable_password() and user.username != "me"
    assert UserSession.objects.first().device == {"sdk": "JS", "deviceName": "tablet"}
    assert by_function(http, who="you")["user_id"] != first["user_id"]
    assert identities(http, first) == ["custom-function"]
    assert refused(by_function(http, 401)) == "AuthError"
    assert refused(by_function(http, 400, who={"$minKey": 1})) == "BadRequest"
    assert refused(by_function(http, 500, who=7)) == "InternalServerError"
    assert refused(by_function(http, 500, who="x" * 300)) == "InternalServerError"
    user.is_active = False
    user.save()
    assert refused(by_function(http, 401, who="me")) == "UserDisabled"


def test_a_function_that_returns_a_user(http: Client, configure: Any, nora: Any) -> None:
    def badge(payload: dict[str, Any]) -> Any:
        if payload["badge"] == 13:
            raise PermissionDenied("badge 13 was stolen")
        return nora

    configure(LOGIN_FUNCTION=badge)
    answer = by_function(http, badge={"$numberLong": "7"})
    assert answer["user_id"] == str(nora.pk) == by_function(http, badge=7)["user_id"]
    assert identities(http, answer) == ["custom-function"]
    assert by_function(http, 401, badge=13)["error"] == "badge 13 was stolen"


# --- links -----------------------------------------------------------------------------------------------------------


def link(http: Client, answer: Any, provider: str = "local-userpass", status: int = 200, **body: Any) -> Any:
    if provider == "local-userpass" and not body:
        body = {"username": EMAIL, "password": PASSWORD}
    route = f"{APP}/auth/providers/{provider}/login?link=true"
    return call(http, "POST", route, {"provider": provider, **body}, answer["access_token"], status)


def test_an_anonymous_user_becomes_a_registered_one(http: Client, configure: Any) -> None:
    configure(REGISTRATION=True, USER_DATA=lambda user: {"email": user.email})
    somebody = anonymous(http)
    register(http)
    linked = link(http, somebody)
    assert set(linked) == {"access_token", "user_id", "device_id"} and linked["user_id"] == somebody["user_id"]
    assert claims(linked["access_token"])["user_data"] == {"email": EMAIL}
    assert identities(http, linked | somebody) == ["anon-user", "local-userpass"]
    (user,) = get_user_model().objects.all()
    assert (str(user.pk), user.username, user.email) == (somebody["user_id"], EMAIL, EMAIL)
    assert log_in(http, EMAIL)["user_id"] == somebody["user_id"]
    assert link(http, somebody)["user_id"] == somebody["user_id"]  # again is no error
    # The session goes on, until the password changes.
    call(http, "POST", f"{ROOT}/auth/session", token=somebody["refresh_token"], status=201)
    user.set_password("another one, longer")
    user.save()
    call(http, "POST", f"{ROOT}/auth/session", token=somebody["refresh_token"], status=401)


@pytest.mark.parametrize("used", ["logged in", "on the site", "staff", "made by an operator", "linked to"])
def test_a_link_takes_no_account_over(http: Client, configure: Any, used: str) -> None:
    configure(REGISTRATION=True)
    users = get_user_model().objects
    if used == "made by an operator":
        users.create_user(EMAIL, EMAIL, PASSWORD)
    else:
        register(http)
    if used == "logged in":
        log_in(http, EMAIL)
    elif used == "on the site":
        Client().force_login(users.get())
    elif used == "staff":
        users.update(is_staff=True)
    elif used == "linked to":
        auth.log_in_with_django_session(users.get(), "a page")
    owner = users.get()
    somebody = anonymous(http)
    assert refused(link(http, somebody, status=409)) == "AccountNameInUse"
    assert users.filter(pk=owner.pk).exists() and identities(http, somebody) == ["anon-user"]
    assert log_in(http, EMAIL)["user_id"] == str(owner.pk)


def test_links_need_the_credentials_and_a_user(http: Client, configure: Any, nora: Any) -> None:
    configure(REGISTRATION=True)
    register(http)
    somebody = anonymous(http)
    wrong = {"username": EMAIL, "password": "wrong"}
    assert refused(link(http, somebody, status=401, **wrong)) == "InvalidPassword"
    # Who has a name and a password keeps them.
    assert refused(link(http, log_in(http), status=409)) == "AccountNameInUse"
    nobody = {"access_token": "nonsense"}
    assert refused(link(http, nobody, status=401)) == "InvalidSession"
    assert refused(link(http, {"access_token": somebody["refresh_token"]}, status=401)) == "InvalidSession"
    for provider in ("anon-user", "api-key", "django-session"):
        answer = link(http, somebody, provider, 404, key="x")
        assert refused(answer) == "AuthProviderNotFound" and "cannot be linked" in answer["error"]
    assert get_user_model().objects.filter(username=EMAIL).exists()


def test_a_custom_token_is_linked_to_one_user(http: Client, configure: Any, nora: Any) -> None:
    configure(CUSTOM_JWT={"key": SHARED, "algorithms": ["HS256"]})
    somebody, other = anonymous(http), anonymous(http)
    assert refused(link(http, somebody, "custom-token", 409, token=custom_token("nora"))) == "AccountNameInUse"
    assert refused(link(http, somebody, "custom-token", 401, token="a.b.c")) == "AuthError"
    link(http, somebody, "custom-token", token=custom_token("oidc|77"))
    assert identities(http, somebody) == ["anon-user", "custom-token"]
    assert refused(link(http, other, "custom-token", 409, token=custom_token("oidc|77"))) == "AccountNameInUse"
    body = {"provider": "custom-token", "token": custom_token("oidc|77")}
    answer = call(http, "POST", f"{APP}/auth/providers/custom-token/login", body, status=200)
    assert answer["user_id"] == somebody["user_id"]
    link(http, log_in(http), "custom-token", token=custom_token("nora"))
    assert Identity.objects.get(subject="nora").user == nora


def test_a_name_of_a_function_is_linked_to_one_user(http: Client, configure: Any, nora: Any) -> None:
    configure(LOGIN_FUNCTION=lambda payload: nora if payload.get("who") == "nora" else payload.get("who"))
    somebody, other = anonymous(http), anonymous(http)
    link(http, somebody, "custom-function", who="me")
    assert by_function(http, who="me")["user_id"] == somebody["user_id"]
    assert refused(link(http, other, "custom-function", 409, who="me")) == "AccountNameInUse"
    assert refused(link(http, other, "custom-function", 409, who="nora")) == "AccountNameInUse"
    assert refused(link(http, other, "custom-function", 401)) == "AuthError"
    assert link(http, log_in(http), "custom-function", who="nora")


# --- custom data -----------------------------------------------------------------------------------------------------


def own_data(user: Any) -> dict[str, Any] | None:
    return {"team": "North", "badge": 7, "id": UUID(int=7)} if user.username == "nora" else None


def test_custom_data_is_in_the_access_token(http: Client, configure: Any, nora: Any) -> None:
    assert claims(log_in(http)["access_token"])["user_data"] == {}
    configure(USER_DATA="tests.test_device_http.own_data")
    answer = log_in(http)
    binary = {"$binary": {"base64": base64.b64encode(UUID(int=7).bytes).decode(), "subType": "04"}}
    assert claims(answer["access_token"])["user_data"] == {"team": "North", "badge": 7, "id": binary}
    assert "user_data" not in claims(answer["refresh_token"])
    assert claims(anonymous(http)["access_token"])["user_data"] == {}
    configure(USER_DATA=lambda user: {"team": "South"})
    renewed = call(http, "POST", f"{ROOT}/auth/session", token=answer["refresh_token"], status=201)
    assert claims(renewed["access_token"])["user_data"] == {"team": "South"}


@pytest.mark.parametrize("data", [{"a": "x" * 5000}, {"a": object()}, {"a": "\ud800"}])
def test_custom_data_that_cannot_travel_locks_nobody_out(
    http: Client, configure: Any, nora: Any, data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    configure(USER_DATA=lambda user: data)
    assert claims(log_in(http)["access_token"])["user_data"] == {}
    assert f"Custom data of user {nora.pk}" in caplog.text


# --- functions -------------------------------------------------------------------------------------------------------


def function(http: Client, token: str, name: str, *arguments: Any, status: int = 200) -> Any:
    return call(http, "POST", f"{APP}/functions/call", {"name": name, "arguments": arguments}, token, status)


def test_functions(http: Client, nora: Any, registered: None, django_assert_num_queries: Any) -> None:
    @sync.function
    def greet(user: Any, whom: str, *, times: int = 1) -> str:
        return f"{user.username} greets {whom}"

    @sync.function(name="plan")
    async def of_any_name(user: Any, *steps: Any) -> Any:
        return {"steps": steps, "by": ObjectId("0123456789abcdef01234567"), "error": None}

    @sync.function(permission=lambda user: user.is_staff)
    def close_airfield(user: Any) -> None:
        pass

    assert greet(nora, "Sol") == "nora greets Sol"  # still a function
    token = log_in(http)["access_token"]
    with django_assert_num_queries(1):
        assert function(http, token, "greet", "Sol") == "nora greets Sol"
    assert function(http, token, "plan", 1, {"$numberLong": "2"}, {"$date": "2026-01-01T00:00:00Z"}) == {
        "steps": [{"$numberInt": "1"}, {"$numberInt": "2"}, {"$date": {"$numberLong": "1767225600000"}}],
        "by": {"$oid": "0123456789abcdef01234567"},
        "error": None,
    }
    for name, arguments, status, code, text in [
        ("nothing", (), 404, "FunctionNotFound", "function not found: 'nothing'"),
        ("of_any_name", (), 404, "FunctionNotFound", "function not found: 'of_any_name'"),
        ("greet", (), 400, "FunctionExecutionError", "'greet': missing a required argument: 'whom'"),
        ("greet", (1, 2), 400, "FunctionExecutionError", "'greet': too many positional arguments"),
        ("greet", ({"$minKey": 1},), 400, "BadRequest", "BSON's '$minKey'"),
        ("close_airfield", (), 403, "NoMatchingRuleFound", "this user may not call 'close_airfield'"),
    ]:
        answer = function(http, token, name, *arguments, status=status)
        assert refused(answer) == code and text in answer["error"]
    nora.is_staff = True
    nora.save()
    assert function(http, token, "close_airfield") is None
    response = http.generic(
        "POST", f"{APP}/functions/call", b'{"name": "close_airfield"}', headers={"Authorization": f"Bearer {token}"}
    )
    assert response.content == b"null"


def test_what_a_function_tells_of_its_failures(
    http: Client, nora: Any, registered: None, caplog: pytest.LogCaptureFixture
) -> None:
    @sync.function
    def fail(user: Any, kind: str) -> Any:
        if kind == "told":
            raise sync.FunctionError("the runway is closed")
        if kind == "coded":
            raise sync.FunctionError("no such runway", code="ValueNotFound")
        if kind == "unsendable":
            return object()
        raise RuntimeError("the secret inner life of the server")

    token = log_in(http)["access_token"]
    answer = function(http, token, "fail", "told", status=400)
    assert answer == {"error": "the runway is closed", "error_code": "FunctionExecutionError"}
    assert refused(function(http, token, "fail", "coded", status=400)) == "ValueNotFound"
    answer = function(http, token, "fail", "by itself", status=400)
    assert refused(answer) == "FunctionExecutionError" and "secret" not in answer["error"]
    assert "the secret inner life of the server" in caplog.text
    answer = function(http, token, "fail", "unsendable", status=400)
    assert answer["error"] == "'fail' returned what cannot be sent; the server's log has the cause"
    assert "Expected 'the result' to be a value that Extended JSON can hold" in caplog.text


def test_who_may_call_functions(http: Client, nora: Any, registered: None) -> None:
    functions.register("who", lambda user: user.username)
    body = {"name": "who", "arguments": []}
    assert refused(call(http, "POST", f"{APP}/functions/call", body, status=401)) == "MissingAuthReq"
    answer = log_in(http)
    assert refused(function(http, answer["refresh_token"], "who", status=401)) == "InvalidSession"
    # Anonymous users are users: docs/bring-your-realm-app.md says so.
    assert function(http, anonymous(http)["access_token"], "who").startswith("anonymous-")
    call(http, "DELETE", f"{ROOT}/auth/session", token=answer["refresh_token"], status=200)
    assert refused(function(http, answer["access_token"], "who", status=401)) == "InvalidSession"


def test_malformed_calls(http: Client, nora: Any, configure: Any) -> None:
    token = log_in(http)["access_token"]
    configure(MAX_MESSAGE_BYTES=100_000)
    for body, status, code in [
        ({"arguments": []}, 400, "MissingParameter"),
        ({"name": ["sum"]}, 400, "InvalidParameter"),
        ({"name": "sum", "arguments": {}}, 400, "InvalidParameter"),
        ({"name": "find", "service": "mongodb-atlas", "arguments": [{"database": "d"}]}, 404, "ServiceNotFound"),
        (b"[]", 400, "BadRequest"),
        (b'{"name": "sum", "arguments": ' + b"[" * 20_000, 400, "BadRequest"),
        (b'{"name": "sum", "arguments": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", 400, "BadRequest"),
        ({"name": "sum", "arguments": ["x" * 100_000]}, 413, "ReadSizeLimitExceeded"),
        ({"name": "x" * 70_000, "arguments": []}, 404, "FunctionNotFound"),
    ]:
        assert refused(call(http, "POST", f"{APP}/functions/call", body, token, status)) == code
    answer = call(http, "GET", f"{APP}/functions/call?baas_request=e30%3D&baas_at={token}", status=404)
    assert refused(answer) == "ServiceNotFound"


def test_a_failed_function_leaves_nothing_where_requests_are_atomic(
    http: Client, nora: Any, registered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = SimpleNamespace(settings_dict={"ATOMIC_REQUESTS": True}, in_atomic_block=True, marks=[])
    connection.set_rollback = connection.marks.append
    monkeypatch.setattr("realm_sync.views.connections", SimpleNamespace(all=lambda initialized_only: [connection]))
    functions.register("fine", lambda user: 1)
    functions.register("wrong", lambda user: 1 / 0)
    token = log_in(http)["access_token"]
    function(http, token, "fine")
    assert connection.marks == []
    function(http, token, "wrong", status=400)
    assert connection.marks == [True]


def test_names_of_functions_are_used_once(registered: None) -> None:
    def first(user: Any) -> None:
        pass

    def second(user: Any) -> None:
        pass

    sync.function(first)
    sync.function(first)  # a module that is loaded again
    with pytest.raises(ImproperlyConfigured, match="Two functions are called 'first'"):
        sync.function(name="first")(second)


# --- push ------------------------------------------------------------------------------------------------------------


def test_push_tokens_are_kept_for_whoever_sends(http: Client, nora: Any) -> None:
    token = log_in(http)["access_token"]
    route = f"{APP}/push/providers/{{}}/registration"
    call(http, "PUT", route.format("gcm"), {"registrationToken": "abc"}, token, 200)
    call(http, "PUT", route.format("gcm"), {"registrationToken": "def"}, token, 200)
    call(http, "PUT", route.format("apns"), {"registrationToken": "ghi"}, token, 200)
    assert UserSession.objects.get().device == {"pushTokens": {"gcm": "def", "apns": "ghi"}}
    call(http, "DELETE", route.format("gcm"), token=token, status=200)
    call(http, "DELETE", route.format("gcm"), token=token, status=200)
    assert UserSession.objects.get().device == {"pushTokens": {"apns": "ghi"}}
    call(http, "PUT", route.format("gcm"), {"registrationToken": "x" * 5000}, token, 400)
    call(http, "PUT", route.format("a%00b"), {"registrationToken": "x"}, token, 400)
    for number in range(12):
        call(http, "PUT", route.format(f"s{number}"), {"registrationToken": "x"}, token, 200 if number < 9 else 400)
    assert refused(call(http, "PUT", route.format("gcm"), {"registrationToken": "x"}, status=401)) == "MissingAuthReq"


# --- API keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["disable", "delete"])
def test_whoever_withdraws_the_key_he_came_with_stays(http: Client, nora: Any, ending: str) -> None:
    first = log_in(http)
    key = call(http, "POST", f"{ROOT}/auth/api_keys", {"name": "k"}, first["refresh_token"], 201)
    here, there = (
        call(http, "POST", f"{APP}/auth/providers/api-key/login", {"key": key["key"]}, status=200) for _ in range(2)
    )
    method, route = ("DELETE", "") if ending == "delete" else ("PUT", "/disable")
    call(http, method, f"{ROOT}/auth/api_keys/{key['_id']}{route}", token=here["refresh_token"], status=200)
    call(http, "GET", f"{ROOT}/auth/api_keys", token=here["refresh_token"], status=200)
    assert refused(call(http, "GET", f"{ROOT}/auth/api_keys", token=there["refresh_token"], status=401))


# --- refreshing ------------------------------------------------------------------------------------------------------


def test_a_client_that_refreshes_in_a_loop_is_slowed_down_and_not_logged_out(
    http: Client, nora: Any, configure: Any
) -> None:
    configure(REFRESHES_PER_MINUTE=3)
    looping, other = log_in(http), log_in(http)
    for _ in range(3):
        answer = call(http, "POST", f"{ROOT}/auth/session", token=looping["refresh_token"], status=201)
        # A token that was just issued is never refused: that would be the loop.
        call(http, "GET", f"{ROOT}/auth/profile", token=answer["access_token"], status=200)
    headers = {"Authorization": f"Bearer {looping['refresh_token']}"}
    response = http.post(f"{ROOT}/auth/session", headers=headers)
    # Neither 401 nor 403, at which an SDK logs its user out.
    assert (response.status_code, response["Retry-After"]) == (429, "60")
    assert response["Content-Type"] == "application/json" and response.json()["error_code"] == "TooManyRequests"
    call(http, "POST", f"{ROOT}/auth/session", token=other["refresh_token"], status=201)
    call(http, "DELETE", f"{ROOT}/auth/session", token=looping["refresh_token"], status=200)
    call(http, "POST", f"{ROOT}/auth/session", token=looping["refresh_token"], status=401)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "problem"),
    [
        ({"CONFIRMATION": "email"}, "CONFIRMATION_URL"),
        ({"CONFIRMATION": "automatik"}, "CONFIRMATION"),
        ({"USER_DATA": "tests.test_device_http.nothing"}, "USER_DATA"),
        ({"LOGIN_FUNCTION": "nowhere.at.all"}, "LOGIN_FUNCTION"),
        ({"PASSWORD_RESET_FUNCTION": 7}, "PASSWORD_RESET_FUNCTION"),
        ({"BASE_URL": "sync.example"}, "BASE_URL"),
        ({"WEBSOCKET_URL": "https://live.example"}, "WEBSOCKET_URL"),
    ],
)
def test_settings_that_cannot_work_are_named_by_the_checks(configure: Any, configured: Any, problem: str) -> None:
    configure(**configured)
    (message,) = [*checks.check_settings(), *checks.check_accounts()]
    assert f'REALM_SYNC["{problem}"]' in message.msg and message.hint


def test_settings_that_work_pass_the_checks(configure: Any) -> None:
    configure(
        CONFIRMATION="email",
        CONFIRMATION_URL="https://pages.example/confirm",
        USER_DATA="tests.test_device_http.own_data",
        LOGIN_FUNCTION=own_data,
        BASE_URL="https://sync.example/field",
        WEBSOCKET_URL="wss://live.example",
    )
    assert [*checks.check_settings(), *checks.check_accounts()] == []


def test_api_keys_of_a_deleted_user_are_gone(http: Client, nora: Any, configure: Any) -> None:
    configure(ACCOUNT_DELETION="delete")
    answer = log_in(http)
    call(http, "POST", f"{ROOT}/auth/api_keys", {"name": "k"}, answer["refresh_token"], 201)
    call(http, "DELETE", f"{ROOT}/auth/delete", token=answer["access_token"], status=200)
    assert not ApiKey.objects.exists() and not get_user_model().objects.exists()
