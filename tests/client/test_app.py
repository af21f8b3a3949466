"""Log-in, tokens and users, against a small HTTP server; and what is known offline."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from realm_sync.client import (
    App,
    AppError,
    Credentials,
    OpenBehavior,
    Realm,
    RealmError,
    SyncConfiguration,
    Timeouts,
    ValueTypeError,
)

from .conftest import Airfield, LocalApp, jwt, make_user

PREFIX = "/api/client/v2.0"


class Accounts:
    """What the HTTP server answers; `calls` is what it was asked."""

    def __init__(self):
        self.calls = []
        self.revoked = False
        self.config = {"newRealmFileBehavior": {"type": "openImmediately"}, "timeouts": {"connect": 5000}}
        self.deletion = 204, None

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
        if route == ("GET", "/app/realm-sync/config?client=python"):
            if self.config is None:
                return 503, "<html>"
            return 200, {"appId": "realm-sync"} | self.config if isinstance(self.config, dict) else self.config
        if route == ("DELETE", "/auth/delete"):
            return self.deletion
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
    assert accounts.calls[-2][:2] == ("POST", "/auth/session") and accounts.calls[-2][3] == user.refresh_token
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
    for wrong, text in (
        ({"id": None}, "Expected 'id' to be a string, got null"),
        ({"id": ""}, "Expected 'id' to be the id of an app"),
        ({"base_url": 7}, "Expected 'base_url' to be a string, got a number"),
        ({"timeout": "7"}, "Expected 'timeout' to be a number of seconds, not below 0, got a string"),
        ({"timeout": -1}, "Expected 'timeout' to be a number of seconds, not below 0"),
        ({"timeouts": {"connect": 5}}, "Expected 'timeouts' to be an instance of Timeouts, got an object"),
        ({"base_file_path": 7}, "Expected 'base_file_path' to be a string or a Path, got a number"),
    ):
        with pytest.raises((RealmError, ValueTypeError), match=text):
            App(**{"id": "realm-sync"} | wrong)
    assert "secret" not in repr(Credentials.email_password("nora@example.org", "secret"))


# --- what the operator decided ---------------------------------------------------------------------------------------


def test_settings_come_with_the_log_in_and_hold_offline_after_a_restart(app, accounts, tmp_path):
    assert app.settings.new_realm_file_behavior is None
    log_in(app).result(5)
    for each in (app, App("realm-sync", base_url="http://127.0.0.1:1", base_file_path=tmp_path)):
        assert each.settings.new_realm_file_behavior == OpenBehavior("open_immediately")
        assert each.timeouts == Timeouts(request=60, connect=5, ping=60, pong=120, linger=30, fast_reconnect=60)


def test_settings_come_with_every_refresh_and_a_failure_keeps_the_last(app, accounts, caplog):
    user = log_in(app).result(5)
    late = {"type": "openImmediately", "timeOut": math.inf}
    for nonsense in (
        *(None, {"timeouts": 7}, {"newRealmFileBehavior": {"type": "x"}}, {"timeouts": {"pong": -1}}, [1]),
        *({"timeouts": {"connect": 10**400}}, {"timeouts": {"request": 10**14}}, {"newRealmFileBehavior": late}),
    ):
        accounts.config = nonsense
        user.refresh_access_token()
        assert app.timeouts.connect == 5 and user.is_logged_in
    assert caplog.text.count("The settings for clients stay as they are") == 7
    accounts.config = {"timeouts": {"connect": 7000, "of a later version": 1}, "cancelWaitsOnNonFatalError": True}
    user.refresh_access_token()
    assert app.timeouts.connect == 7 and app.settings.cancel_waits_on_non_fatal_error


def test_an_apps_own_timeouts_come_first(accounts, tmp_path):
    def make(**options):
        app = App("realm-sync", base_url=accounts.url, base_file_path=tmp_path, **options)
        log_in(app).result(5)
        return app

    accounts.config = {"timeouts": {"request": 20_000, "connect": 5000, "pong": 9000}}
    own = make(timeout=3, timeouts=Timeouts(connect=7, linger=0, request=4))
    assert own.timeouts == Timeouts(request=3, connect=7, ping=60, pong=9, linger=0, fast_reconnect=60)
    assert own.timeout == 3 and make(timeouts=Timeouts(request=4)).timeout == 4
    assert make().timeout == make(timeout=0).timeout == 20


def test_files_of_older_versions_load(app, tmp_path, caplog):
    log_in(app).result(5)
    file = tmp_path / "mongodb-realm/realm-sync/server-utility/metadata/users.json"
    stored = json.loads(file.read_text())
    for record in stored["users"]:
        del record["files"]
    file.write_text(json.dumps({"current": stored["current"], "users": stored["users"]}))
    old = App("realm-sync", base_url="http://127.0.0.1:1", base_file_path=tmp_path)
    assert old.current_user.id == "nora" and old.timeouts.connect == 120
    file.write_text(json.dumps(stored | {"settings": {"timeouts": "corrupt"}}))
    assert App("realm-sync", base_file_path=tmp_path).timeouts.connect == 120
    assert "stay as they are" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        [],
        {"users": [{"id": "nora"}]},
        {"users": [{"id": "nora", "state": "LoggedOut", "provider": "anon-user", "files": None}]},
        {"removed": [1]},
        {"removed": {"nora": None}},
        {"removed": {"": []}},
        {"removed": {"..": []}},
        {"removed": {"nora": ["../other/a.realm"]}},
    ],
    ids=json.dumps,
)
def test_of_users_that_cannot_be_read_nothing_is_deleted(app, damage):
    kept = [touch(app, user) for user in ("nora", "other")]
    app._metadata.parent.mkdir(parents=True)
    app._metadata.write_text(json.dumps(damage))
    with pytest.raises(RealmError, match="cannot be read"):
        restart(app)
    assert json.loads(app._metadata.read_text()) == damage and all(file.exists() for file in kept)


# --- users who go ----------------------------------------------------------------------------------------------------


def touch(app, user_id, name="flx_sync_default", content=b""):
    path = app.realm_path(user_id, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def restart(app):
    """What the next launch is."""
    return App("realm-sync", base_url=app.base_url, base_file_path=app.base_file_path)


def test_the_files_of_a_removed_user_go_at_the_next_launch(app, accounts):
    nora, anon = log_in(app).result(5), app.log_in(Credentials.anonymous()).result(5)
    files = [touch(app, user.id) for user in (nora, anon)]
    long = touch(app, "nora", "ü" * 200)
    assert long.parent == app.directory
    (copying := Path(f"{long}.management")).mkdir()
    app.remove_user(nora).result(5)
    assert accounts.calls[-1][:2] == ("DELETE", "/auth/session")
    assert (nora.state, nora.refresh_token, list(app.all_users)) == ("Removed", None, ["anon"])
    anon.log_out().result(5)
    assert anon.state == "Removed" and all(file.exists() for file in (*files, long))
    again = restart(app)
    assert again.all_users == {} and not any(file.exists() for file in (*files, long, copying))
    assert not files[0].parent.exists()
    assert restart(app)._removed == {}


def test_users_who_cannot_be_removed(app):
    user = log_in(app).result(5)
    app.remove_user(user).result(5)
    for unknown, text in ((user, "User has already been removed"), (make_stranger(app), "No user has been found")):
        with pytest.raises(AppError, match=text) as caught:
            app.remove_user(unknown).result(5)
        assert caught.value.code == "ClientUserNotFound"
    with pytest.raises(AppError, match="User does not exist") as caught:
        app.switch_user(make_stranger(app))
    assert caught.value.code == "ClientUserNotFound"
    with pytest.raises(AppError, match="no longer valid or is logged out"):
        app.switch_user(user)


def make_stranger(app):
    from realm_sync.client import User

    return User(app, {"id": "who", "provider": "anon-user", "state": "LoggedIn"})


def test_who_is_removed_offline_is_removed_and_logs_in_again_with_his_files(app, accounts):
    user = log_in(app).result(5)
    file, long = touch(app, "nora"), touch(app, "nora", "n" * 300)
    url, app.base_url = app.base_url, "http://127.0.0.1:1"
    with pytest.raises(AppError, match="request to .* failed, reason: "):
        app.remove_user(user).result(5)
    assert user.state == "Removed" and app.all_users == {}
    app.base_url = url
    assert log_in(app).result(5) is user
    assert restart(app).current_user == user and file.exists() and long.exists()
    app.remove_user(user).result(5)
    restart(app)
    assert not file.exists() and not long.exists()


def test_files_in_use_stay_until_a_later_launch(app, tmp_path):
    """By another process: one that has the database open, one that syncs it."""
    user = log_in(app).result(5)
    path = str(app.realm_path("nora"))
    app.remove_user(user).result(5)
    opens = (
        "import sqlite3; d = sqlite3.connect(p); d.execute('PRAGMA journal_mode=WAL'); d.execute('CREATE TABLE t(x)')"
    )
    syncs = "import fcntl; open(p, 'w'); f = open(p + '.lock', 'a'); fcntl.flock(f, fcntl.LOCK_EX)"
    for use in (opens, syncs):
        touch(app, "nora").unlink()
        code = f"p = {path!r}; {use}; print('ready', flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
            assert other.stdout.readline() == "ready\n"
            assert restart(app)._removed == {"nora": []}
            assert app.realm_path("nora").exists()
            other.communicate("")
        if use == opens:
            app.realm_path("nora").unlink()
    assert restart(app)._removed == {} and not app.realm_path("nora").parent.exists()


def test_an_open_realm_keeps_the_files_of_a_removed_user(server, tmp_path):
    user = make_user(server.url, tmp_path)
    app = user.app
    with Realm(schema=[Airfield], sync=SyncConfiguration(user)) as realm:
        with pytest.raises(AppError):  # nobody answers
            app.remove_user(user).result(5)
        again = LocalApp("realm-sync", base_url=app.base_url, base_file_path=tmp_path)
        assert again._removed == {"nora": []} and realm.objects("Airfield") is not None
        with pytest.raises(RealmError, match="this user has been removed"):
            Realm(sync=SyncConfiguration(user))
    assert LocalApp("realm-sync", base_file_path=tmp_path)._removed == {}
    assert not app.realm_path("nora").parent.exists()


def test_an_account_is_deleted_with_its_files(app, accounts):
    user = log_in(app).result(5)
    file, long = touch(app, "nora"), touch(app, "nora", "n" * 300)
    accounts.deletion = 403, {"error": "ask the operator", "error_code": "NotCallable"}
    with pytest.raises(AppError, match="ask the operator") as caught:
        app.delete_user(user).result(5)
    assert caught.value.code == "NotCallable" and user.is_logged_in and file.exists()
    accounts.deletion = 204, None
    app.delete_user(user).result(5)
    assert accounts.calls[-1] == ("DELETE", "/auth/delete", None, jwt(sub="fresh")) or accounts.calls[-1][1] == (
        "/auth/delete"
    )
    assert user.state == "Removed" and app.all_users == {}
    assert not file.parent.exists() and not long.exists() and app._removed == {}
    with pytest.raises(AppError, match=r"User must be logged in to be deleted\."):
        app.delete_user(user).result(5)


def test_a_deletion_with_an_expired_token_asks_once_more(app, accounts, monkeypatch):
    user = log_in(app).result(5)
    answers = iter([(401, {"error": "invalid session", "error_code": "InvalidSession"}), (204, None)])
    answer = accounts.answer
    monkeypatch.setattr(
        accounts, "answer", lambda *asked: next(answers) if "/auth/delete" in asked[1] else answer(*asked)
    )
    app.delete_user(user).result(5)
    assert user.state == "Removed"
    user = log_in(app).result(5)
    answers = iter([(401, {"error": "invalid session", "error_code": "InvalidSession"})])
    accounts.revoked = True
    with pytest.raises(AppError, match="Unable to refresh the user access token"):
        app.delete_user(user).result(5)
    assert user.state == "LoggedOut"


def test_no_account_is_deleted_while_a_realm_of_it_is_open(server, tmp_path):
    user = make_user(server.url, tmp_path)
    with (
        Realm(schema=[Airfield], sync=SyncConfiguration(user)),
        pytest.raises(RealmError, match="Cannot delete files of an open Realm: .* is still in use") as caught,
    ):
        user.app.delete_user(user).result(5)
    assert caught.value.code == "DeleteOnOpenRealm" and user.is_logged_in


# --- offline ---------------------------------------------------------------------------------------------------------


def test_offline_everything_but_a_log_in_works(app, accounts, tmp_path):
    offline = App("realm-sync", base_url="http://127.0.0.1:1", base_file_path=tmp_path / "new")
    with pytest.raises(AppError, match="request to .* failed, reason: .*") as caught:
        log_in(offline).result(5)
    assert str(caught.value).endswith(". The first log-in on this device needs the network.")
    assert (caught.value.code, caught.value.is_network) == ("CustomError", True)
    nora, anon = log_in(app).result(5), app.log_in(Credentials.anonymous()).result(5)
    app.switch_user(nora)
    offline = App("realm-sync", base_url="http://127.0.0.1:1", base_file_path=tmp_path)
    with pytest.raises(AppError, match="Who is logged in on this device can go on without: user 'nora', as app.curr"):
        log_in(offline).result(5)
    assert offline.current_user == nora and set(offline.all_users) == {"nora", "anon"}
    assert offline.log_in(Credentials.anonymous()).result(5) == offline.current_user == anon
    offline.switch_user(nora)
    assert offline.current_user == nora
    with pytest.raises(AppError) as caught:
        offline.current_user.fresh_access_token()
    assert caught.value.is_network and offline.current_user.is_logged_in
    with pytest.raises(AppError):
        offline.remove_user(nora).result(5)
    assert offline.current_user == anon and list(offline.all_users) == ["anon"]
    assert app._known("nora") == "Removed" and app.current_user == anon


def test_a_user_whom_the_server_refuses_keeps_his_files_anonymous_or_not(app, accounts):
    users = [log_in(app).result(5), app.log_in(Credentials.anonymous()).result(5)]
    files = [touch(app, user.id) for user in users]
    accounts.revoked = True
    for user in users:
        with pytest.raises(AppError, match="Unable to refresh"):
            user.refresh_access_token()
        assert user.state == "LoggedOut"
    assert set(restart(app).all_users) == {"nora", "anon"} and all(file.exists() for file in files)


def test_a_refused_token_does_not_log_out_who_logged_in_again_elsewhere(app, accounts):
    user = log_in(app).result(5)
    elsewhere = restart(app)
    new = log_in(elsewhere).result(5)
    accounts.revoked = True
    assert user.refresh_access_token() == new.access_token
    assert user.is_logged_in and user.refresh_token == new.refresh_token
