"""realm_sync/views.py and urls.py: routes, bodies, statuses and error shapes of the client HTTP API."""

from __future__ import annotations

import inspect
import json
import re
import time
from typing import Any

import jwt
import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import resolve

from realm_sync import accounts, auth, functions, views
from realm_sync.models import ApiKey, Identity, UserSession

pytestmark = pytest.mark.django_db

ROOT = "/api/client/v2.0"
APP = f"{ROOT}/app/realm-sync"
PASSWORD = "runway 27 left"


@pytest.fixture
def http() -> Client:
    """CSRF is enforced, so that a view which forgot its exemption is found."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def nora(db: None) -> Any:
    return get_user_model().objects.create_user(
        "nora", "nora@north.example", PASSWORD, first_name="Nora", last_name="North"
    )


@pytest.fixture
def configure(settings: Any) -> Any:
    def configure(**keys: Any) -> None:
        settings.REALM_SYNC = {**settings.REALM_SYNC, **keys}

    return configure


def post(http: Client, path: str, body: Any = None, token: str = "", **headers: str) -> Any:
    return call(http, "POST", path, body, token, **headers)


def call(http: Client, method: str, path: str, body: Any = None, token: str = "", **headers: str) -> Any:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    if token:
        headers["Authorization"] = f"Bearer {token}"
    content_type = "application/json;charset=utf-8"
    response = http.generic(method, path, data, content_type, headers=headers)
    # What every answer owes the SDKs.
    assert response["Content-Type"].startswith("application/json")
    assert (response["Content-Type"] == "application/json") is (response.status_code >= 400)
    return response


def log_in(http: Client, provider: str = "local-userpass", **body: Any) -> dict[str, str]:
    if provider == "local-userpass" and not body:
        body = {"username": "nora", "password": PASSWORD}
    response = post(http, f"{APP}/auth/providers/{provider}/login", {"provider": provider, **body})
    assert response.status_code == 200, response.content
    return response.json()


def assert_refused(response: Any, status: int, code: str, message: str | None = None) -> None:
    assert (response.status_code, response.json()["error_code"]) == (status, code), response.content
    assert response["Content-Type"] == "application/json" and response.json()["error"]
    assert response["Cache-Control"] == "no-store"
    if message is not None:
        assert response.json()["error"] == message


# --- location, config, routes ----------------------------------------------------------------------------------------


def test_location_names_the_host_of_the_request(http: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["sync.example"]
    answer = call(http, "GET", f"{APP}/location", Host="sync.example:8000").json()
    assert answer["hostname"] == "http://sync.example:8000" and answer["ws_hostname"] == "ws://sync.example:8000"
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "sync.example", "Host": "sync.example:8000"}
    assert call(http, "GET", f"{APP}/location", **forwarded).json() == answer
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.USE_X_FORWARDED_HOST = True
    answer = call(http, "GET", f"{APP}/location", **forwarded).json()
    assert answer["hostname"] == "https://sync.example" and answer["ws_hostname"] == "wss://sync.example"
    assert set(answer) == {"deployment_model", "location", "hostname", "ws_hostname"}


def test_location_keeps_the_prefix_the_project_is_mounted_at(http: Client) -> None:
    answer = http.get(f"{APP}/location", SCRIPT_NAME="/field").json()
    assert answer["hostname"] == "http://testserver/field" and answer["ws_hostname"] == "ws://testserver/field"


def test_config(http: Client, configure: Any) -> None:
    configure(MAX_SUBSCRIPTIONS=7)
    answer = call(http, "GET", f"{APP}/config").json()
    assert answer["appId"] == "realm-sync" and answer["limits"]["maxSubscriptions"] == 7
    behavior = {"type": "downloadBeforeOpen", "timeOut": 30_000, "timeOutBehavior": "throwException"}
    assert answer["newRealmFileBehavior"] == answer["existingRealmFileBehavior"] == behavior
    assert answer["cancelWaitsOnNonFatalError"] is False
    times = {"request": 60_000, "connect": 120_000, "ping": 60_000, "pong": 120_000}
    assert answer["timeouts"] == times | {"linger": 30_000, "fastReconnect": 60_000}
    assert answer["partitionField"] == "_partition"
    assert answer["mediaUrl"] == "http://testserver/"


@pytest.mark.parametrize(
    ("media", "url"),
    [("/media/", "http://testserver/media/"), ("https://files.example/a/", "https://files.example/a/")],
)
def test_config_tells_where_files_are(http: Client, settings: Any, media: str, url: str) -> None:
    settings.MEDIA_URL = media
    assert call(http, "GET", f"{APP}/config").json()["mediaUrl"] == url


def test_config_tells_what_the_operator_decided(http: Client, configure: Any) -> None:
    configure(
        EXISTING_REALM_FILE_BEHAVIOR={"type": "openImmediately", "timeOut": None},
        CANCEL_WAITS_ON_NON_FATAL_ERROR=True,
        CLIENT_TIMEOUTS={"connect": 5000},
    )
    answer = http.get(f"{APP}/config", SCRIPT_NAME="/field", secure=True).json()
    assert answer["baseUrl"] == "https://testserver/field"
    assert answer["existingRealmFileBehavior"] == {"type": "openImmediately"}
    assert answer["cancelWaitsOnNonFatalError"] is True
    assert answer["timeouts"]["connect"] == 5000 and answer["timeouts"]["ping"] == 60_000


def test_config_of_a_class_of_clients(http: Client, configure: Any) -> None:
    configure(
        CLIENT_TIMEOUTS={"connect": 5000, "pong": 9000},
        CLIENTS={
            "web": {"NEW_REALM_FILE_BEHAVIOR": {"type": "openImmediately", "timeOut": None}},
            "python": {"CLIENT_TIMEOUTS": {"connect": 7000, "linger": 0}, "CANCEL_WAITS_ON_NON_FATAL_ERROR": True},
        },
    )
    project, web, python = (
        call(http, "GET", f"{APP}/config{query}").json() for query in ("", "?client=web", "?client=python")
    )
    assert project["newRealmFileBehavior"] == python["newRealmFileBehavior"] == web["existingRealmFileBehavior"]
    assert project["newRealmFileBehavior"]["type"] == "downloadBeforeOpen"
    assert web["newRealmFileBehavior"] == {"type": "openImmediately"}
    assert (web["cancelWaitsOnNonFatalError"], python["cancelWaitsOnNonFatalError"]) == (False, True)
    assert web["timeouts"] == project["timeouts"] and web["timeouts"]["connect"] == 5000
    assert python["timeouts"] == project["timeouts"] | {"connect": 7000, "linger": 0}
    response = call(http, "GET", f"{APP}/config?client=ios")
    message = "there is no class of clients 'ios': use 'web' or 'python', or leave it out"
    assert_refused(response, 400, "InvalidParameter", message)


def test_the_app_id_is_a_setting_and_others_are_unknown(http: Client, configure: Any) -> None:
    configure(APP_ID="airfields")
    assert call(http, "GET", f"{ROOT}/app/airfields/location").status_code == 200
    for method, path in [("GET", "location"), ("GET", "config"), ("POST", "auth/providers/anon-user/login")]:
        response = call(http, method, f"{APP}/{path}", {})
        assert_refused(response, 404, "AppNotFound", "cannot find app using Client App ID 'realm-sync'")


@pytest.mark.parametrize(
    "path",
    [
        ROOT,
        f"{ROOT}/",
        f"{ROOT}/auth/profile/",
        f"{ROOT}/auth/delete/",
        f"{ROOT}/auth/api_keys/",
        f"{APP}/functions/call/",
        f"{APP}/auth/providers/local-userpass/reset/send/",
        f"{APP}/location/",
        f"{ROOT}/nonsense",
    ],
)
def test_other_routes_are_a_json_404_without_redirects(http: Client, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        response = call(http, method, path, {})
        assert (response.status_code, response.json()["error_code"]) == (404, "RouteNotFound")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (f"{APP}/location", "GET"),
        (f"{APP}/config", "GET"),
        (f"{APP}/auth/providers/anon-user/login", "POST"),
        (f"{APP}/auth/providers/local-userpass/register", "POST"),
        (f"{APP}/auth/providers/local-userpass/confirm", "POST"),
        (f"{APP}/auth/providers/local-userpass/confirm/send", "POST"),
        (f"{APP}/auth/providers/local-userpass/confirm/call", "POST"),
        (f"{APP}/auth/providers/local-userpass/reset", "POST"),
        (f"{APP}/auth/providers/local-userpass/reset/send", "POST"),
        (f"{APP}/auth/providers/local-userpass/reset/call", "POST"),
        (f"{APP}/functions/call", "GET, POST"),
        (f"{APP}/push/providers/gcm/registration", "PUT, DELETE"),
        (f"{ROOT}/auth/profile", "GET"),
        (f"{ROOT}/auth/delete", "DELETE"),
        (f"{ROOT}/auth/session", "POST, DELETE"),
        (f"{ROOT}/auth/api_keys", "GET, POST"),
        (f"{ROOT}/auth/api_keys/{'a' * 24}", "GET, DELETE"),
        (f"{ROOT}/auth/api_keys/{'a' * 24}/enable", "PUT"),
        (f"{ROOT}/auth/api_keys/{'a' * 24}/disable", "PUT"),
    ],
)
def test_wrong_methods(http: Client, path: str, allowed: str) -> None:
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} - set(allowed.split(", ")):
        response = call(http, method, path, {})
        assert_refused(response, 405, "MethodNotAllowed")
        assert response["Allow"] == allowed
    assert resolve(path).func.csrf_exempt


# --- the end of an account -------------------------------------------------------------------------------------------


def test_an_account_is_deactivated_at_its_users_request(http: Client, nora: Any) -> None:
    tokens, other = log_in(http), log_in(http)
    key = post(http, f"{ROOT}/auth/api_keys", {"name": "ci"}, tokens["refresh_token"]).json()["key"]
    assert_refused(call(http, "DELETE", f"{ROOT}/auth/delete"), 401, "MissingAuthReq")
    assert_refused(call(http, "DELETE", f"{ROOT}/auth/delete", token=tokens["refresh_token"]), 401, "InvalidSession")
    response = call(http, "DELETE", f"{ROOT}/auth/delete", token=tokens["access_token"])
    assert (response.status_code, response.content) == (200, b"{}")
    nora.refresh_from_db()
    assert not nora.is_active and not nora.has_usable_password()
    for each in (tokens, other):
        assert_refused(post(http, f"{ROOT}/auth/session", token=each["refresh_token"]), 401, "InvalidSession")
    refused = post(http, f"{APP}/auth/providers/local-userpass/login", {"username": "nora", "password": PASSWORD})
    assert_refused(refused, 401, "InvalidPassword")
    nora.is_active = True
    nora.save()
    refused = post(http, f"{APP}/auth/providers/api-key/login", {"key": key})
    assert_refused(refused, 401, "AuthError", "invalid API key")


def test_an_account_is_deleted_or_stays_as_the_operator_says(http: Client, nora: Any, configure: Any) -> None:
    configure(ACCOUNT_DELETION="refuse")
    token = log_in(http)["access_token"]
    assert_refused(call(http, "DELETE", f"{ROOT}/auth/delete", token=token), 403, "NotCallable")
    assert call(http, "GET", f"{ROOT}/auth/profile", token=token).status_code == 200
    configure(ACCOUNT_DELETION="delete")
    assert call(http, "DELETE", f"{ROOT}/auth/delete", token=token).status_code == 200
    assert not get_user_model().objects.filter(pk=nora.pk).exists()
    assert_refused(call(http, "GET", f"{ROOT}/auth/profile", token=token), 401, "InvalidSession")


# --- log-in ----------------------------------------------------------------------------------------------------------


def test_anonymous_log_in(http: Client, configure: Any) -> None:
    answer = log_in(http, "anon-user", options={"device": {"sdk": "JS", "deviceName": "tablet"}})
    assert set(answer) == {"access_token", "refresh_token", "user_id", "device_id"}
    assert all(isinstance(value, str) for value in answer.values())
    assert UserSession.objects.get().device == {"sdk": "JS", "deviceName": "tablet"}
    profile = call(http, "GET", f"{ROOT}/auth/profile", token=answer["access_token"]).json()
    assert profile["user_id"] == answer["user_id"] and profile["type"] == "normal"
    assert profile["identities"] == [{"id": str(Identity.objects.get().pk), "provider_type": "anon-user"}]
    configure(ANONYMOUS_LOGIN=False)
    response = post(http, f"{APP}/auth/providers/anon-user/login", {"provider": "anon-user"})
    assert_refused(response, 404, "AuthProviderNotFound")


def test_password_log_in_and_profile(http: Client, nora: Any) -> None:
    answer = log_in(http)
    profile = call(http, "GET", f"{ROOT}/auth/profile", token=answer["access_token"]).json()
    assert profile == {
        "user_id": str(nora.pk),
        "domain_id": "realm-sync",
        "identities": [{"id": str(Identity.objects.get().pk), "provider_type": "local-userpass"}],
        "data": {"email": "nora@north.example", "name": "Nora North", "first_name": "Nora", "last_name": "North"},
        "type": "normal",
    }


def test_wrong_passwords_and_disabled_users(http: Client, nora: Any) -> None:
    path = f"{APP}/auth/providers/local-userpass/login"
    for username, password in [("nora", "wrong"), ("nobody", PASSWORD)]:
        response = post(http, path, {"username": username, "password": password})
        assert_refused(response, 401, "InvalidPassword", "invalid username/password")
    get_user_model().objects.update(is_active=False)
    assert_refused(post(http, path, {"username": "nora", "password": PASSWORD}), 401, "UserDisabled")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "MissingParameter"),
        ({"username": "nora"}, "MissingParameter"),
        ({"username": "nora", "password": ""}, "MissingParameter"),
        ({"username": "nora", "password": None}, "MissingParameter"),
        ({"username": "nora", "password": 7}, "InvalidParameter"),
        ({"username": ["nora"], "password": PASSWORD}, "InvalidParameter"),
        ({"username": "no\0ra", "password": PASSWORD}, "InvalidParameter"),
        ({"username": "nora", "password": PASSWORD, "provider": "anon-user"}, "InvalidParameter"),
        ({"username": "nora", "password": PASSWORD, "provider": []}, "InvalidParameter"),
        (b"", "BadRequest"),
        (b"{", "BadRequest"),
        (b"[]", "BadRequest"),
        (b'"text"', "BadRequest"),
        (b"null", "BadRequest"),
        (b"NaN", "BadRequest"),
        (b'{"username": "\xff"}', "BadRequest"),
        (b'{"username": "\\ud800", "password": "x"}', "BadRequest"),
        (b'{"a": ' + b"[" * 20_000, "BadRequest"),
        (b"username=nora&password=x", "BadRequest"),
    ],
)
def test_malformed_bodies(http: Client, nora: Any, body: Any, code: str) -> None:
    assert_refused(post(http, f"{APP}/auth/providers/local-userpass/login", body), 400, code)
    assert not UserSession.objects.exists()


@pytest.mark.parametrize("size", [views.MAX_BODY_BYTES, views.MAX_BODY_BYTES + 1, 5 * 1024 * 1024])
def test_oversized_bodies(http: Client, nora: Any, size: int) -> None:
    body = json.dumps({"username": "nora", "password": PASSWORD, "more": ""}).encode()
    body = body[:-2] + b"x" * (size - len(body)) + body[-2:]
    assert len(body) == size
    response = post(http, f"{APP}/auth/providers/local-userpass/login", body)
    if size <= views.MAX_BODY_BYTES:
        assert response.status_code == 200
    else:
        assert_refused(response, 413, "ReadSizeLimitExceeded")


def test_unknown_providers(http: Client, nora: Any) -> None:
    for provider in ("oauth2-google", "custom-function", "nonsense"):
        response = post(http, f"{APP}/auth/providers/{provider}/login", {"provider": provider})
        assert_refused(response, 404, "AuthProviderNotFound")
    assert not UserSession.objects.exists()


def test_a_request_to_link_never_logs_in(http: Client, nora: Any) -> None:
    path, body = f"{APP}/auth/providers/local-userpass/login", {"username": "nora", "password": PASSWORD}
    assert_refused(post(http, f"{path}?link=true", body), 401, "MissingAuthReq")
    for link in ("false", "", "True", "1"):
        assert_refused(post(http, f"{path}?link={link}", body), 400, "InvalidParameter")
    assert not UserSession.objects.exists()


def test_custom_token_log_in(http: Client, nora: Any, configure: Any) -> None:
    path = f"{APP}/auth/providers/custom-token/login"
    assert_refused(post(http, path, {"token": "a.b.c"}), 404, "AuthProviderNotFound")
    secret = "a secret of the other system, 32 bytes or more"
    configure(CUSTOM_JWT={"key": secret, "algorithms": ["HS256"]})
    token = jwt.encode({"sub": "nora", "exp": int(time.time()) + 60}, secret, algorithm="HS256")
    assert log_in(http, "custom-token", token=token)["user_id"] == str(nora.pk)
    assert_refused(post(http, path, {"token": token[:-4]}), 401, "AuthError")
    assert_refused(post(http, path, {}), 400, "MissingParameter")


def test_registration(http: Client, configure: Any) -> None:
    path = f"{APP}/auth/providers/local-userpass/register"
    body = {"email": "sam@south.example", "password": PASSWORD}
    assert_refused(post(http, path, body), 403, "NotCallable")
    configure(REGISTRATION=True)
    assert post(http, path, body).status_code == 201
    assert_refused(post(http, path, body), 409, "AccountNameInUse", "name already in use")
    assert_refused(post(http, path, body | {"email": "no address"}), 400, "BadRequest")
    assert_refused(post(http, path, {"email": "a@b.example"}), 400, "MissingParameter")
    assert not UserSession.objects.exists()
    assert log_in(http, "local-userpass", username="sam@south.example", password=PASSWORD)


# --- the page's own session ------------------------------------------------------------------------------------------


def test_the_django_session_of_a_page_logs_in(http: Client, nora: Any) -> None:
    path = f"{APP}/auth/providers/django-session/login"
    own = {"Origin": "http://testserver"}
    assert_refused(post(http, path, {}, **own), 401, "InvalidSession", "nobody is logged in on this page")
    http.force_login(nora)
    answer = post(http, path, {"provider": "django-session"}, **own).json()
    assert answer["user_id"] == str(nora.pk)
    assert post(http, path, {}, **{"Sec-Fetch-Site": "same-origin"}).status_code == 200
    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert_refused(post(http, path, {}, **headers), 403, "DomainNotAllowed")


def test_logging_out_of_the_site_ends_what_its_pages_opened(http: Client, nora: Any) -> None:
    by_password = log_in(http)
    other_browser = Client()
    other_browser.force_login(nora)
    http.force_login(nora)
    own = {"Origin": "http://testserver"}
    path = f"{APP}/auth/providers/django-session/login"
    here, there = post(http, path, {}, **own).json(), post(other_browser, path, {}, **own).json()
    http.logout()
    assert_refused(call(http, "GET", f"{ROOT}/auth/profile", token=here["access_token"]), 401, "InvalidSession")
    for answer in (there, by_password):
        assert call(http, "GET", f"{ROOT}/auth/profile", token=answer["access_token"]).status_code == 200


def test_a_cookie_alone_opens_nothing_else(http: Client, nora: Any) -> None:
    http.force_login(nora)
    own = {"Origin": "http://testserver"}
    for method, path in [("GET", "profile"), ("POST", "session"), ("DELETE", "session"), ("GET", "api_keys")]:
        assert_refused(call(http, method, f"{ROOT}/auth/{path}", **own), 401, "MissingAuthReq")


# --- sessions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic bm9yYTp4", "token", "Bearer\ttoken"])
def test_requests_without_a_bearer_token(http: Client, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in [("GET", "profile"), ("POST", "session"), ("DELETE", "session"), ("POST", "api_keys")]:
        assert_refused(call(http, method, f"{ROOT}/auth/{path}", **headers), 401, "MissingAuthReq")


def test_refresh_and_log_out(http: Client, nora: Any, django_assert_num_queries: Any) -> None:
    answer = log_in(http)
    with django_assert_num_queries(2):
        response = post(http, f"{ROOT}/auth/session", token=answer["refresh_token"])
    assert response.status_code == 201 and set(response.json()) == {"access_token"}
    renewed = response.json()["access_token"]
    assert call(http, "GET", f"{ROOT}/auth/profile", token=renewed).status_code == 200
    response = call(http, "DELETE", f"{ROOT}/auth/session", token=answer["refresh_token"])
    assert response.status_code == 200 and response.content == b"{}"
    for method, path, token in [
        ("GET", "profile", renewed),
        ("GET", "profile", answer["access_token"]),
        ("POST", "session", answer["refresh_token"]),
        ("GET", "api_keys", answer["refresh_token"]),
    ]:
        assert_refused(call(http, method, f"{ROOT}/auth/{path}", token=token), 401, "InvalidSession")


def test_tokens_of_the_wrong_kind_or_forged(http: Client, nora: Any) -> None:
    answer = log_in(http)
    access, refresh = answer["access_token"], answer["refresh_token"]
    forged = jwt.encode(jwt.decode(access, options={"verify_signature": False}), "x" * 32, algorithm="HS256")
    for method, path, token in [
        ("GET", "profile", refresh),
        ("GET", "profile", forged),
        ("GET", "profile", "nonsense"),
        ("GET", "profile", "é"),
        ("POST", "session", access),
        ("DELETE", "session", access),
        ("GET", "api_keys", access),
    ]:
        assert_refused(call(http, method, f"{ROOT}/auth/{path}", token=token), 401, "InvalidSession")
    assert call(http, "GET", f"{ROOT}/auth/profile", token=access).status_code == 200


def test_a_deactivated_user_is_shut_out(http: Client, nora: Any) -> None:
    answer = log_in(http)
    get_user_model().objects.update(is_active=False)
    profile = call(http, "GET", f"{ROOT}/auth/profile", token=answer["access_token"])
    assert_refused(profile, 401, "UserDisabled")
    assert_refused(post(http, f"{ROOT}/auth/session", token=answer["refresh_token"]), 401, "UserDisabled")
    assert call(http, "DELETE", f"{ROOT}/auth/session", token=answer["refresh_token"]).status_code == 200


# --- API keys --------------------------------------------------------------------------------------------------------


def test_the_life_of_an_api_key(http: Client, nora: Any) -> None:
    token = log_in(http)["refresh_token"]
    keys = f"{ROOT}/auth/api_keys"
    response = post(http, keys, {"name": "weather station"}, token=token)
    assert response.status_code == 201
    made = response.json()
    assert set(made) == {"_id", "key", "name", "disabled"} and len(made["_id"]) == 24 and not made["disabled"]
    shown = {key: made[key] for key in ("_id", "name", "disabled")}
    assert call(http, "GET", keys, token=token).json() == [shown]
    assert call(http, "GET", f"{keys}/{made['_id']}", token=token).json() == shown
    assert_refused(post(http, keys, {"name": "weather station"}, token=token), 409, "APIKeyAlreadyExists")
    assert log_in(http, "api-key", key=made["key"])["user_id"] == str(nora.pk)

    assert call(http, "PUT", f"{keys}/{made['_id']}/disable", token=token).status_code == 200
    assert call(http, "GET", f"{keys}/{made['_id']}", token=token).json()["disabled"] is True
    login = f"{APP}/auth/providers/api-key/login"
    assert_refused(post(http, login, {"key": made["key"]}), 401, "AuthError")
    assert call(http, "PUT", f"{keys}/{made['_id']}/enable", token=token).status_code == 200
    assert log_in(http, "api-key", key=made["key"])

    assert call(http, "DELETE", f"{keys}/{made['_id']}", token=token).status_code == 200
    assert_refused(post(http, login, {"key": made["key"]}), 401, "AuthError")
    for method, path in [("GET", ""), ("DELETE", ""), ("PUT", "/enable"), ("PUT", "/disable")]:
        response = call(http, method, f"{keys}/{made['_id']}{path}", token=token)
        assert_refused(response, 404, "APIKeyNotFound", "API key not found")
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "MissingParameter"), ({"name": 7}, "InvalidParameter"), ({"name": "x" * 101}, "InvalidParameter")],
)
def test_api_keys_with_bad_names(http: Client, nora: Any, body: Any, code: str) -> None:
    response = post(http, f"{ROOT}/auth/api_keys", body, token=log_in(http)["refresh_token"])
    assert_refused(response, 400, code)


def test_api_keys_of_others_are_not_found(http: Client, nora: Any) -> None:
    row, _ = auth.create_api_key(get_user_model().objects.create_user("sam"), "tower")
    token = log_in(http)["refresh_token"]
    assert call(http, "GET", f"{ROOT}/auth/api_keys", token=token).json() == []
    for key_id in (row.pk, "nonsense", "a%00b", "%F0%9F%92%A3"):
        for method, path in [("GET", ""), ("DELETE", ""), ("PUT", "/enable"), ("PUT", "/disable")]:
            response = call(http, method, f"{ROOT}/auth/api_keys/{key_id}{path}", token=token)
            assert_refused(response, 404, "APIKeyNotFound")
    assert ApiKey.objects.filter(disabled=False).exists()


# --- when something is wrong with the server --------------------------------------------------------------------------


def test_an_unexpected_error_is_logged_and_a_coded_500(
    nora: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("the secret inner life of the server")

    monkeypatch.setattr(auth, "refresh", broken)
    response = post(Client(raise_request_exception=False), f"{ROOT}/auth/session", token="any")
    assert_refused(response, 500, "InternalServerError")
    assert b"secret" not in response.content
    assert "the secret inner life of the server" in caplog.text
    with pytest.raises(RuntimeError):  # the signal reached the test client, and so error trackers
        post(Client(), f"{ROOT}/auth/session", token="any")


def test_every_refusal_has_a_status() -> None:
    codes = set(re.findall(r'Refused\(\s*"(\w+)"', "".join(map(inspect.getsource, (accounts, auth, functions, views)))))
    assert len(codes) > 10 and codes <= set(views.STATUSES)
