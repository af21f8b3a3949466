"""Log-in, tokens and users, against a small HTTP server; and what is known offline."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from realm_sync.client import App, AppError, Credentials, RealmError

from .conftest import jwt

PREFIX = "/api/client/v2.0"


class Accounts:
    """What the HTTP server answers; `calls` is what it was asked."""

    def __init__(self):
        self.calls = []
        self.revoked = False

    def answer(self, method, path, body, token):
        self.calls.append((method, path.removeprefix(PREFIX), body, token))
        route = (method, path.removeprefix(PREFIX))
        if route == ("POST", "/app/realm-sync/auth/providers/local-userpass/login"):
            if body["password"] != "secret":
                return 401, {"error": "unauthorized", "error_code": "InvalidPassword"}
            tokens = {
                "access_token": jwt(sub="nora", exp=1, user_data={"team": "North"}),
                "refresh_token": jwt(sub="r"),
            }
            return 200, {**tokens, "user_id": "nora", "device_id": "d"}
        if route == ("POST", "/app/realm-sync/auth/providers/anon-user/login"):
            return 200, {"access_token": jwt(), "refresh_token": jwt(), "user_id": "anon", "device_id": "d"}
        if route == ("GET", "/auth/profile"):
            return 200, {"identities": [{"id": "1", "provider_type": "local-userpass"}], "data": {"email": "n@x.org"}}
        if route == ("POST", "/auth/session"):
            if self.revoked:
                return 401, {"error": "invalid session: revoked", "error_code": "InvalidSession"}
            return 201, {"access_token": jwt(sub="fresh")}
        if route == ("DELETE", "/auth/session"):
            return 204, None
        if route == ("POST", "/app/realm-sync/auth/providers/local-userpass/register"):
            return 201, {}
        return 500, "<html>"


@pytest.fixture
def accounts():
    accounts = Accounts()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            status, answer = accounts.answer(self.command, self.path, body, token)
            self.send_response(status)
            self.end_headers()
            if answer is not None:
                self.wfile.write(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    accounts.url = f"http://127.0.0.1:{server.server_port}"
    yield accounts
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def app(accounts, tmp_path):
    return App("realm-sync", base_url=accounts.url + "/", base_file_path=tmp_path)


def log_in(app, password="secret"):
    return app.log_in(Credentials.email_password("nora@example.org", password))


async def test_log_in_blocking_or_awaited(app, accounts):
    user = await log_in(app)
    assert user == log_in(app).result(5) == app.current_user
    assert (user.id, user.state, user.provider_type) == ("nora", "LoggedIn", "local-userpass")
    assert user.custom_data == {"team": "North"} and user.profile == {"email": "n@x.org"}
    method, path, body, token = accounts.calls[0]
    assert body["username"] == "nora@example.org" and body["options"]["device"]["sdk"] == "realm_sync"
    assert app.sync_url == accounts.url.replace("http", "ws") + PREFIX + "/app/realm-sync/realm-sync"


def test_a_wrong_password_has_realms_code(app):
    with pytest.raises(AppError, match="unauthorized") as caught:
        log_in(app, "wrong").result(5)
    assert (caught.value.code, caught.value.status, caught.value.is_network) == ("InvalidPassword", 401, False)
    assert app.current_user is None


def test_a_user_is_known_offline_after_a_restart(app, tmp_path):
    token = log_in(app).result(5).refresh_token
    offline = App("realm-sync", base_url="http://127.0.0.1:1", base_file_path=tmp_path)
    assert offline.current_user.id == "nora" and offline.current_user.refresh_token == token
    file = tmp_path / "mongodb-realm/realm-sync/server-utility/metadata/users.json"
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AppError, match="request to http://127.0.0.1:1/.* failed, reason: ") as caught:
        offline.current_user.refresh_access_token()
    assert caught.value.is_network and offline.current_user.is_logged_in


def test_an_expired_token_is_refreshed_with_the_refresh_token(app, accounts):
    user = log_in(app).result(5)
    fresh = user.fresh_access_token()
    assert fresh == user.access_token != jwt(sub="nora", exp=1)
    assert accounts.calls[-1][3] == user.refresh_token
    calls = len(accounts.calls)
    assert user.fresh_access_token() == fresh and len(accounts.calls) == calls


def test_a_refused_refresh_logs_out(app, accounts):
    user, told = log_in(app).result(5), []
    app.add_listener(lambda: told.append(user.state))
    accounts.revoked = True
    with pytest.raises(AppError, match="Unable to refresh the user access token"):
        user.refresh_access_token()
    assert (user.state, user.access_token, app.current_user, told) == ("LoggedOut", None, None, ["LoggedOut"])


def test_log_out_forgets_the_tokens_and_tells_the_server(app, accounts):
    user = log_in(app).result(5)
    token = user.refresh_token
    user.log_out().result(5)
    assert accounts.calls[-1] == ("DELETE", "/auth/session", None, token)
    assert user.state == "LoggedOut" and user.refresh_token is None
    with pytest.raises(AppError, match="logged out"):
        app.switch_user(user)
    assert log_in(app).result(5) == user and user.is_logged_in


def test_an_anonymous_user_is_reused(app, accounts):
    first = app.log_in(Credentials.anonymous()).result(5)
    calls = len(accounts.calls)
    assert app.log_in(Credentials.anonymous()).result(5) is first and len(accounts.calls) == calls
    app.log_in(Credentials.anonymous(reuse=False)).result(5)
    assert len(accounts.calls) > calls
    app.register_user("otto@example.org", "secret").result(5)
    assert accounts.calls[-1][2] == {"email": "otto@example.org", "password": "secret"}


def test_answers_that_are_no_json_and_urls_that_are_none(app, tmp_path):
    with pytest.raises(AppError, match="http error code considered fatal"):
        app.log_in(Credentials.jwt("x")).result(5)
    for wrong in ("ftp://x", "127.0.0.1:8000", ""):
        with pytest.raises(RealmError, match="Expected 'base_url' to be an http or https URL"):
            App("realm-sync", base_url=wrong)
    assert "secret" not in repr(Credentials.email_password("nora@example.org", "secret"))
