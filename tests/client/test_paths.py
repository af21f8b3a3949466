"""realm_sync/client/paths.py: where realm files lie."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

import pytest

from realm_sync.client import App, ObjectId, RealmError, SyncConfiguration
from realm_sync.client.configuration import Configuration
from realm_sync.client.paths import synced_path

from .conftest import make_user


@pytest.fixture
def at(tmp_path):
    app = App("my.app", base_file_path=tmp_path)
    return lambda *arguments: app.realm_path(*arguments).relative_to(tmp_path / "mongodb-realm/my.app").as_posix()


def test_every_part_is_one_encoded_name(at, tmp_path, monkeypatch):
    assert at("u 1") == "u%201/flx_sync_default.realm"
    assert at("u", "a/b.realm") == at("u", "a/b") == "u/a%2Fb.realm"
    assert at("u", "it's (a) ~test*!") == "u/it%27s%20%28a%29%20%7Etest%2A%21.realm"
    assert str(App("x").realm_path("u", "/elsewhere/x")) == "/elsewhere/x"
    for wrong in (lambda: at(".."), lambda: at("u", "."), lambda: App(".").directory):
        with pytest.raises(RealmError, match="A path can't have an identifier reserved by the filesystem: '\\.+'"):
            wrong()
    monkeypatch.chdir(tmp_path)
    assert App("x", base_file_path="").base_file_path == App("x").base_file_path == tmp_path


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("text", "s_text"), ("a/b", "s_a%2Fb"), (7, "i_7"), (-(2**31), "i_-2147483648"), (2**31, "l_2147483648"),
        (None, "null"), (ObjectId("0123456789abcdef01234567"), "o_0123456789abcdef01234567"),
        (UUID(int=7), "u_00000000-0000-0000-0000-000000000007"),
    ],
)  # fmt: skip
def test_a_partition_has_its_own_file(at, tmp_path, value, name):
    assert at("u", None, value) == f"u/{name}.realm"
    config = Configuration(sync=SyncConfiguration(make_user("ws://x", tmp_path), partition_value=value))
    assert config.file_path.name == f"{name}.realm"


@pytest.mark.parametrize("value", [1.5, True, {}])
def test_other_partitions_are_refused(at, value):
    with pytest.raises(RealmError, match=f"Unsupported partition key value: {value}. Only int, string UUID and Obj"):
        at("u", None, value)


def test_names_that_are_too_long_become_their_hash(at, tmp_path):
    directory = tmp_path / "mongodb-realm/my.app"
    fits = "n" * (255 - len(".realm-journal"))
    assert at("u", fits) == f"u/{fits}.realm"
    for user, name in (("u", f"{fits}n"), ("u" * 256, "short")):
        preferred = directory / user / f"{name}.realm"
        assert at(user, name) == f"{sha256(str(preferred).encode()).hexdigest()}.realm"
    deep = tmp_path.joinpath(*["d" * 200] * 20)
    with pytest.raises(RealmError, match="A valid realm path cannot be created for the Realm identity 'flx_sync_def"):
        synced_path(deep, "u", None)


def test_a_file_that_exists_is_found_under_its_older_names(at, tmp_path):
    folder = tmp_path / "mongodb-realm/my.app/u"
    folder.mkdir(parents=True)
    hashed = folder.parent / f"{sha256(str(folder / 'a.realm').encode()).hexdigest()}.realm"
    for existing in (hashed, folder / "a.realm", folder / "a"):
        existing.touch()
        assert at("u", "a") == existing.relative_to(folder.parent).as_posix()
