"""Client files of the official SDKs: who may open which, and the views that follow from a query or a partition."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections

from realm_sync import history, subscriptions
from realm_sync.access import Access, access_of
from realm_sync.conf import settings as realm_settings
from realm_sync.core import messages as m
from realm_sync.core.device_sync import frames
from realm_sync.core.device_sync.errors import DeviceSyncError
from realm_sync.core.errors import ProtocolError, QueryError
from realm_sync.core.nodes import TRUE
from realm_sync.core.text import to_text
from realm_sync.device_sync import files
from realm_sync.device_sync.files import OpenFile
from realm_sync.models import ClientFile, Subscription, SubscriptionSet
from realm_sync.registry import registry
from tests.testapp.models import Inspection, Team

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def nora() -> Any:
    nora = get_user_model().objects.create_user("nora", password="pw")
    Team.objects.create(name="North").members.add(nora)
    return nora


def epoch() -> str:
    return history.epoch(connections[realm_settings.DATABASE])


def newest() -> int:
    return history.newest(connections[realm_settings.DATABASE])


def ident(wire: int, salt: int, /, **given: Any) -> frames.Ident:
    values: dict[str, Any] = dict.fromkeys(frames.Ident._fields, 0) | {"query": b"{}", "session": 1}
    return frames.Ident(**values | {"ident": wire, "salt": salt, "latest_salt": files.latest_salt(epoch())} | given)


def opened(user: Any) -> tuple[OpenFile, int]:
    wire, salt = files.allocate(user, "RealmJS/12.15.0")
    return files.open_file(user, ident(wire, salt), "RealmJS/12.15.0"), salt


def test_a_new_file_holds_nothing(nora: Any) -> None:
    file, _ = opened(nora)
    assert (file.server_version, file.client_version, file.views, file.schema_known) == (0, 0, {}, False)
    assert file.salt > 0
    assert files.wire_ident(file.ident) > files.SERVER


def test_a_file_holds_what_its_newest_integrated_bootstrap_brought(nora: Any) -> None:
    file, salt = opened(nora)
    Team.objects.create(name="South")
    version = newest()
    views = files.wanted_views(file.ident, 1, {"Inspection": "(priority > 1)"}, access_of(nora))
    files.remember_views(file, version - 1, {})
    files.remember_views(file, version, views)
    wire = files.wire_ident(file.ident)
    again = files.open_file(nora, ident(wire, salt, download_server=version, latest_server=version), "")
    assert {name: to_text(node) for name, node in again.views.items()} == {
        name: to_text(node) for name, node in views.items()
    }
    assert again.schema_known
    # The bootstrap that did not arrive is forgotten: the version moves past it without it.
    files.remember_views(again, version + 1, {})
    files.open_file(nora, ident(wire, salt, download_server=version, latest_server=version), "")
    Team.objects.create(name="East")
    version = newest()
    later = files.open_file(nora, ident(wire, salt, download_server=version, latest_server=version), "")
    assert dict(later.views) == dict(again.views)


def test_what_is_held_no_more_is_forgotten(nora: Any) -> None:
    file, _ = opened(nora)
    for version in (3, 5, 7):
        files.remember_views(file, version, {})
    assert set(ClientFile.objects.get(ident=file.ident).views) == {"3", "5", "7"}
    subscriptions.note_progress(file.ident, 6)
    files.remember_views(file, 9, {})
    assert set(ClientFile.objects.get(ident=file.ident).views) == {"5", "7", "9"}


def test_an_older_session_changes_nothing_any_more(nora: Any) -> None:
    file, salt = opened(nora)
    files.open_file(nora, ident(files.wire_ident(file.ident), salt), "")
    with pytest.raises(DeviceSyncError) as refused:
        files.remember_views(file, 5, {})
    assert refused.value.number == 200
    assert ClientFile.objects.get(ident=file.ident).views == {}


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ({"ident": 9999}, 208),
        ({"ident": 0}, 208),
        ({"salt": 1}, 208),
        ({"download_server": 1, "latest_server": 1, "latest_salt": 1}, 211),
        ({"download_server": 2, "latest_server": 1}, 209),
        ({"download_server": 1, "latest_server": 10**12}, 209),
        ({"download_server": 1, "latest_server": 1}, 209),
        ({"download_client": 1}, 210),
    ],
)
def test_a_file_that_cannot_go_on_is_reset(nora: Any, given: dict[str, Any], number: int) -> None:
    Team.objects.create(name="South")
    wire, salt = files.allocate(nora, "")
    with pytest.raises(DeviceSyncError) as refused:
        files.open_file(nora, ident(wire, salt, **given), "")
    assert (refused.value.number, refused.value.action) == (number, "ClientReset")


def test_a_file_whose_history_was_pruned_is_reset(nora: Any) -> None:
    file, salt = opened(nora)
    files.remember_views(file, 1, {})
    Team.objects.create(name="South")
    with connections[realm_settings.DATABASE].cursor() as cursor:
        cursor.execute("UPDATE realm_sync_epoch SET pruned_upto = 2")
    with pytest.raises(DeviceSyncError) as refused:
        message = ident(files.wire_ident(file.ident), salt, download_server=1, latest_server=1)
        files.open_file(nora, message, "")
    assert refused.value.number == 222


def test_a_file_whose_view_fits_the_classes_no_more_is_reset(nora: Any) -> None:
    """A migration has taken a property away which a rule of access asked for."""
    file, salt = opened(nora)
    files.remember_views(file, 1, {})
    Team.objects.create(name="South")
    views = {"1": {"": files.schema_digest(registry.schema), "Team": "owner == 1"}}
    ClientFile.objects.filter(ident=file.ident).update(views=views)
    with pytest.raises(DeviceSyncError) as refused:
        message = ident(files.wire_ident(file.ident), salt, download_server=1, latest_server=1)
        files.open_file(nora, message, "")
    assert (refused.value.number, refused.value.action) == (222, "ClientReset")


def test_files_of_others_and_files_an_operator_resets(nora: Any) -> None:
    file, salt = opened(nora)
    sol = get_user_model().objects.create_user("sol", password="pw")
    with pytest.raises(DeviceSyncError) as refused:
        files.open_file(sol, ident(files.wire_ident(file.ident), salt), "")
    assert refused.value.number == 223
    ClientFile.objects.filter(ident=file.ident).update(reset_reason="Restored.")
    with pytest.raises(DeviceSyncError) as refused:
        files.open_file(nora, ident(files.wire_ident(file.ident), salt), "")
    assert (refused.value.number, refused.value.message) == (217, "Restored.")


def test_no_file_changes_its_encoding(nora: Any) -> None:
    file, salt = opened(nora)
    named = m.ClientFile(ident=file.ident, salt=str(salt))
    bind = m.Bind(token=None, client_file=named, epoch=epoch(), progress=m.Progress(), user_agent="")
    with pytest.raises(ProtocolError) as refused:
        subscriptions.open_file(bind, nora)
    assert refused.value.code == "BadClientFileIdent"
    other = ClientFile.objects.create(user=nora)
    with pytest.raises(DeviceSyncError) as reset:
        files.open_file(nora, ident(files.wire_ident(other.ident), other.salt), "")
    assert reset.value.number == 208


def test_a_set_is_stored_for_the_admin_and_stays_as_it_is(nora: Any) -> None:
    file, _ = opened(nora)
    access = access_of(nora)
    query = {"Inspection": '(title == "Windsock") OR (priority > 2)', "Airfield": "(TRUEPREDICATE)"}
    views = files.wanted_views(file.ident, 3, query, access)
    assert set(views) == {"Inspection", "Airfield"}
    assert dict(Subscription.objects.values_list("class_name", "query")) == query
    subscriptions.set_state(file.ident, 3, SubscriptionSet.State.COMPLETE)
    files.wanted_views(file.ident, 3, query, access)
    assert SubscriptionSet.objects.get().state == SubscriptionSet.State.COMPLETE
    assert files.wanted_views(file.ident, 0, {}, access) == {}
    with pytest.raises(QueryError):
        files.wanted_views(file.ident, 4, {"Inspection": "(nothing == 1)"}, access)
    assert SubscriptionSet.objects.get(query_version=4).state == SubscriptionSet.State.ERROR


PRINTED = [
    "(TRUEPREDICATE)",
    "(FALSEPREDICATE)",
    '(priority > 3 and status == B64"ZG9uZQ==")',
    "(!((priority == 1 or priority == 2)))",
    "(priority IN {3, 2, 1})",
    '(title IN {"p", "q"})',
    "(priority between {1, 5})",
    "(due == NULL)",
    "(created_at > T1700000000:5000000)",
    "(_id == uuid(cdc6a0d6-cd3a-4a3d-8d0c-1f2f4a1a1f11))",
    "(hours > 25000000000)",
    '(title CONTAINS[c] "B") OR (title ==[c] "x")',
    'obj("class_Airfield","EDDM") == airfield',
    '(airfield == obj("class_Airfield","EDDM"))',
]


@pytest.mark.parametrize("text", PRINTED)
def test_queries_as_the_sdk_prints_them(nora: Any, text: str) -> None:
    file, _ = opened(nora)
    assert files.wanted_views(file.ident, 1, {"Inspection": text}, access_of(nora)) is not None


@pytest.mark.parametrize(
    ("field", "path", "expected"),
    [
        ("title", b'"Windsock"', 'title == "Windsock"'),
        ("title", b"null", "title == NULL"),
        ("priority", b"42", "priority == 42"),
        ("priority", b'{"$numberLong":"42"}', "priority == 42"),
        ("_id", b'{"$binary":{"base64":"zcag1s06Sj2NDB8vShofEQ==","subType":"04"}}',
         "_id == uuid(cdc6a0d6-cd3a-4a3d-8d0c-1f2f4a1a1f11)"),
        ("team", b'{"$uuid":"cdc6a0d6-cd3a-4a3d-8d0c-1f2f4a1a1f11"}', ""),
        ("priority", b'"text"', None),
    ],
)  # fmt: skip
def test_a_partition_is_a_view_of_every_class_with_the_field(
    settings: Any, field: str, path: bytes, expected: str | None
) -> None:
    settings.REALM_SYNC = settings.REALM_SYNC | {"PARTITION_FIELD": field}
    views = files.partition_views(path, Access({"Inspection": TRUE}, {}))
    if expected is None:
        assert views == {}
    elif expected:
        assert to_text(views["Inspection"]) == expected
    else:
        assert "Inspection" in views


@pytest.mark.parametrize(
    "path", [b"", b"{", b"1.5", b"true", b"[]", b'{"$oid":"zz"}', b'{"$binary":{"base64":"AA==","subType":"00"}}']
)
def test_what_is_no_partition_is_refused(path: bytes) -> None:
    with pytest.raises(DeviceSyncError) as refused:
        files.partition_views(path, Access({}, {}))
    assert refused.value.number == 204


def test_the_admin_shows_which_files_are_of_official_sdks(nora: Any, client: Any) -> None:
    file, _ = opened(nora)
    files.remember_views(file, 7, files.wanted_views(file.ident, 1, {"Airfield": "(TRUEPREDICATE)"}, access_of(nora)))
    client.force_login(get_user_model().objects.create_superuser("root", password="pw"))
    page = client.get(f"/admin/realm_sync/clientfile/{file.ident}/change/")
    assert b"Device Sync (official SDKs)" in page.content
    assert b"What it holds since bootstrap 7" in page.content
    assert Inspection._meta.label.encode() not in page.content
