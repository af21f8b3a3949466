"""The admin: what operators see of client files, subscriptions, the history and log-ins, and the little they may do."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from realm_sync import admin as realm_admin
from realm_sync import auth
from realm_sync.conf import settings
from realm_sync.models import ApiKey, Change, ClientFile, Identity, Subscription, SubscriptionSet, UserSession
from tests.testapp.models import Inspection
from tests.world import World

MODELS = [ApiKey, Change, ClientFile, Identity, Subscription, SubscriptionSet, UserSession]


def url(model: Any, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def text_of(response: Any) -> str:
    assert response.status_code == 200, response.content
    return response.content.decode()


@pytest.fixture
def browser(world: World) -> Client:
    """Somebody who may do everything."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", "root@example.org", "pw"))
    return client


@pytest.fixture
def inspection_admin() -> Any:
    """Inspections have a page in the admin while the test runs."""
    admin.site.register(Inspection)
    reload_urls()
    yield
    admin.site.unregister(Inspection)
    reload_urls()


def reload_urls() -> None:
    import importlib

    from django.urls import clear_url_caches

    import tests.urls

    importlib.reload(tests.urls)
    clear_url_caches()


def change(**values: Any) -> Change:
    """A row of the history, its version above all others."""
    top = Change.objects.order_by("-version").values_list("version", flat=True).first() or 0
    now = int(time.time() * 1000)
    return Change.objects.create(**{"version": top + 1, "object_id": "", "timestamp": now, "class_name": ""} | values)


def update(one: Inspection, before: dict[str, Any], **values: Any) -> Change:
    after = {"_id": str(one.pk), "title": "Runway lights", "priority": 3, "notes": None}
    texts = {"before": json.dumps(before), "after": json.dumps(after)}
    return change(**{"class_name": "Inspection", "object_id": str(one.pk), "kind": "update"} | texts | values)


def subscribe(file: ClientFile, version: int, state: str, *queries: str, error: str = "") -> SubscriptionSet:
    made = SubscriptionSet.objects.create(client_file=file, query_version=version, state=state, error=error)
    now = timezone.now()
    for number, query in enumerate(queries):
        names = {"ident": f"{number:024x}", "name": f"query {number}", "class_name": "Inspection"}
        Subscription.objects.create(subscription_set=made, query=query, created_at=now, updated_at=now, **names)
    return made


def queries_for(browser: Client, address: str) -> list[str]:
    with CaptureQueriesContext(connections[settings.DATABASE]) as captured:
        text_of(browser.get(address))
    return [query["sql"] for query in captured.captured_queries]


def act(browser: Client, model: Any, action: str, *keys: Any, **more: Any) -> Any:
    return browser.post(url(model), {"action": action, "_selected_action": keys, **more}, follow=True)


def file_of(user: Any, **values: Any) -> ClientFile:
    return ClientFile.objects.create(user=user, **values)


# --- read-only -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_nothing_can_be_added_changed_or_deleted_and_the_page_says_why(browser: Client, world: World, model) -> None:
    auth.create_api_key(world.nora, "weather station")
    auth.log_in_with_password("nora", "pw")
    subscribe(file_of(world.nora), 1, "complete", "TRUEPREDICATE")
    key = model.objects.values_list("pk", flat=True).first()
    note = model_note(model)
    assert note and note in text_of(browser.get(url(model)))
    page = text_of(browser.get(url(model, "change", key)))
    assert note in page and 'name="_save"' not in page
    assert browser.get(url(model, "add")).status_code == 403
    assert browser.post(url(model, "change", key), {}).status_code == 403
    assert browser.post(url(model, "delete", key), {"post": "yes"}).status_code == 403
    act(browser, model, "delete_selected", key, post="yes")
    assert model.objects.filter(pk=key).exists()


def model_note(model: Any) -> str:
    from django.utils.html import escape

    return escape(admin.site._registry[model].note)


def test_epoch_and_origin_are_not_shown(browser: Client) -> None:
    shown = {model for model in admin.site._registry if model._meta.app_label == "realm_sync"}
    assert shown == set(MODELS)


def test_secrets_are_not_shown(browser: Client, world: World) -> None:
    key, _ = auth.create_api_key(world.nora, "weather station")
    auth.log_in_with_password("nora", "pw")
    session, file = UserSession.objects.get(), file_of(world.nora)
    pages = [(ApiKey, key.pk), (UserSession, session.pk), (ClientFile, file.pk)]
    seen = "".join(text_of(browser.get(address)) for m, pk in pages for address in (url(m), url(m, "change", pk)))
    for secret in (key.key_hash, session.token_hash, session.auth_hash, str(file.salt)):
        assert secret not in seen


def test_users_can_still_be_deleted_with_what_is_theirs(browser: Client, world: World) -> None:
    subscribe(file_of(world.sol), 1, "complete", "TRUEPREDICATE")
    auth.log_in_with_password("sol", "pw")
    auth.create_api_key(world.sol, "kiosk")
    user_model = get_user_model()
    browser.post(url(user_model, "delete", world.sol.pk), {"post": "yes"})
    assert not user_model.objects.filter(pk=world.sol.pk).exists()
    assert not ClientFile.objects.exists() and not UserSession.objects.exists() and not ApiKey.objects.exists()


def test_who_may_only_view_is_offered_no_action(world: World) -> None:
    world.nora.is_staff = True
    world.nora.save()
    world.nora.user_permissions.set(Permission.objects.filter(codename="view_clientfile"))
    file, client = file_of(world.sol), Client()
    client.force_login(world.nora)
    assert 'name="action"' not in text_of(client.get(url(ClientFile)))
    act(client, ClientFile, "ask_for_reset", file.pk, confirmed="yes", reason="because")
    assert ClientFile.objects.get().reset_reason == ""
    assert client.get(url(Change)).status_code == 403


# --- client files and subscriptions ----------------------------------------------------------------------------------


def test_a_client_file_shows_how_far_behind_it_is(
    browser: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realm_admin, "MOST_BEHIND", 3)
    versions = [change(kind="access").version for _ in range(5)]
    expected = {versions[-1]: "up to date", versions[-3]: "2", versions[0]: "3+", 0: "new"}
    for version, shown in expected.items():
        file = file_of(world.nora, server_version=version)
        assert f'<div class="readonly">{shown}</div>' in text_of(browser.get(url(ClientFile, "change", file.pk)))
        assert f'<td class="field-behind">{shown}</td>' in text_of(browser.get(url(ClientFile)))


def test_a_client_file_shows_its_current_subscriptions(browser: Client, world: World) -> None:
    file = file_of(world.nora, user_agent="RealmSync JS 0.1")
    subscribe(file, 1, "superseded", "priority > 3")
    current = subscribe(file, 2, "complete", "TRUEPREDICATE", 'title == "<b>"')
    page = text_of(browser.get(url(ClientFile)))
    assert f'<a href="{url(SubscriptionSet, "change", current.pk)}">2, complete</a>' in page
    assert url(get_user_model(), "change", world.nora.pk) in page
    detail = text_of(browser.get(url(ClientFile, "change", file.pk)))
    assert "Query version 2: complete" in detail and "Query version 1: superseded" in detail
    assert "priority &gt; 3" in detail and "title == &quot;&lt;b&gt;&quot;" in detail
    assert f"{url(Change)}?origin={file.pk}" in detail


def test_client_files_are_found_by_user_ident_and_state(browser: Client, world: World) -> None:
    mine, other = file_of(world.nora), file_of(world.sol, reset_reason="moved")
    subscribe(mine, 1, "complete", "TRUEPREDICATE")

    def found(**query: Any) -> set[int]:
        response = browser.get(url(ClientFile), query)
        assert response.status_code == 200
        return {file.pk for file in response.context["cl"].result_list}

    assert found(q="nora") == {mine.pk} and found(q="sol@example.org") == {other.pk}
    assert found(q=str(other.pk)) == {other.pk} and found(q="nobody") == set()
    assert found(state="complete") == {mine.pk} and found(state="none") == {other.pk} and found(state="error") == set()
    assert found(reset="asked") == {other.pk} and found(reset="no") == {mine.pk}
    assert found(o="5") == found(o="-6.4") == {mine.pk, other.pk}


def test_a_refused_subscription_set_shows_its_error(browser: Client, world: World) -> None:
    refused = subscribe(file_of(world.nora), 1, "error", "colour == 'red'", error="'Inspection' has no 'colour'")
    subscribe(file_of(world.sol), 1, "complete", "TRUEPREDICATE")
    page = text_of(browser.get(url(SubscriptionSet), {"state__exact": "error"}))
    assert "has no &#x27;colour&#x27;" in page and "1 subscription set\n" in page
    assert "colour == &#x27;red&#x27;" in text_of(browser.get(url(SubscriptionSet, "change", refused.pk)))
    assert "1 subscription\n" in text_of(browser.get(url(Subscription), {"q": "colour"}))
    assert "1 subscription\n" in text_of(browser.get(url(Subscription), {"q": "nora", "class_name": "Inspection"}))


# --- the history -----------------------------------------------------------------------------------------------------


def test_a_change_is_linked_with_its_object_and_its_origin(
    browser: Client, world: World, inspection_admin: None
) -> None:
    one, file = world.inspection(), file_of(world.nora)
    row = update(one, {"title": "Runway", "priority": 3}, origin=file.pk)
    for address in (url(Change), url(Change, "change", row.pk)):
        page = text_of(browser.get(address))
        assert f'<a href="{url(Inspection, "change", one.pk)}">{one.pk}</a>' in page
        assert f'<a href="{url(ClientFile, "change", file.pk)}">file {file.pk} of nora</a>' in page
    assert "title, priority" in text_of(browser.get(url(Change)))
    Inspection.objects.filter(pk=one.pk).delete()
    ClientFile.objects.all().delete()
    page = text_of(browser.get(url(Change)))
    assert url(Inspection, "change", one.pk) not in page and str(one.pk) in page
    assert f"file {file.pk}, deleted" in page and "other writer" in page


def test_a_model_without_admin_page_is_not_linked(browser: Client, world: World) -> None:
    update(world.inspection(), {"title": "Runway"})
    assert "/admin/testapp/" not in text_of(browser.get(url(Change)))


def test_a_change_shows_before_and_after(browser: Client, world: World) -> None:
    row = update(world.inspection(), {"title": "<i>Runway</i>", "priority": 12345678901234567890})
    page = text_of(browser.get(url(Change, "change", row.pk)))
    assert "<strong>title</strong>" in page and "<mark>Runway lights</mark>" in page
    assert "&lt;i&gt;Runway&lt;/i&gt;" in page and "12345678901234567890" in page
    assert "<strong>notes</strong>" not in page and '<span class="quiet">null</span>' in page


def test_what_the_triggers_write_can_be_shown(browser: Client, world: World) -> None:
    one = world.inspection()
    Inspection.objects.filter(pk=one.pk).update(title="Windsock")
    Inspection.objects.filter(pk=one.pk).delete()
    rows = Change.objects.filter(class_name="Inspection").order_by("pk")
    assert [row.kind for row in rows] == ["insert", "update", "delete"]
    for row in rows:
        page = text_of(browser.get(url(Change, "change", row.pk)))
        assert "Before and after" in page and ("Windsock" if row.kind == "delete" else "Runway lights") in page
    assert '<td class="field-changed">title</td>' in text_of(browser.get(url(Change)))


def test_an_upload_shows_what_was_refused(browser: Client, world: World) -> None:
    file = file_of(world.nora)
    refused = {"class": "Inspection", "_id": "77", "property": "team", "code": "WriteNotAllowed", "reason": "not yours"}
    after = json.dumps({"clientVersion": 7, "rejected": [refused]})
    row = change(kind="advance", object_id=str(file.pk), origin=file.pk, after=after)
    page = text_of(browser.get(url(Change)))
    assert "uploads up to 7, refused writes: 1" in page and f">client file {file.pk}</a>" in page
    page = text_of(browser.get(url(Change, "change", row.pk)))
    assert "WriteNotAllowed" in page and "not yours" in page


def test_an_access_change_is_linked_with_its_user(browser: Client, world: World) -> None:
    row = change(kind="access", object_id=str(world.nora.pk))
    link = f'<a href="{url(get_user_model(), "change", world.nora.pk)}">{world.nora.pk}</a>'
    assert link in text_of(browser.get(url(Change))) and link in text_of(browser.get(url(Change, "change", row.pk)))


def test_the_history_is_searched_and_filtered(browser: Client, world: World) -> None:
    one, two, file = world.inspection(), world.inspection(), file_of(world.nora)
    Change.objects.all().delete()
    now = int(time.time() * 1000)
    old = update(one, {"title": ""}, timestamp=now - 3 * 24 * 3600 * 1000)
    mine = update(two, {"title": ""}, origin=file.pk)
    team = change(class_name="Team", object_id="blue team", kind="insert", after="{}")
    other = change(class_name="Airfield", object_id=str(one.pk), kind="delete", before="{}")

    def found(**query: Any) -> list[Change]:
        response = browser.get(url(Change), query)
        assert response.status_code == 200
        return response.context["cl"].result_list

    assert found() == [other, team, mine, old]
    assert found(q=str(one.pk)) == [other, old] and found(q=f"inspection {one.pk}") == [old]
    assert found(q="inspection") == [mine, old] and found(q='team "blue team"') == [team] and found(q="nothing") == []
    assert found(class_name="Team") == [team] and found(kind__exact="update") == [mine, old]
    assert found(written="day") == [other, team, mine] and found(written="month") == [other, team, mine, old]
    assert found(origin="clients") == found(origin=str(file.pk)) == [mine] and found(origin="0") == [other, team, old]
    links = text_of(browser.get(url(Change, "change", team.pk)))
    assert f"{url(Change)}?q=Team+%22blue+team%22" in links


def test_values_that_no_client_should_have_sent_do_not_break_the_list(browser: Client, world: World) -> None:
    change(kind="insert", class_name="Team", object_id="no uuid", after="{}", timestamp=-(2**62))
    change(kind="insert", class_name="Gone", object_id="1", after="{}")
    change(kind="access", object_id="nobody")
    text_of(browser.get(url(Change)))
    for address in ("?id__lte=x", "?origin=x", "?q=%22", "?p=999"):
        assert browser.get(url(Change) + address).status_code in (200, 302)


def test_a_long_history_is_read_piece_by_piece(browser: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every change can be reached through the links, once, whatever bounds a list."""
    Change.objects.all().delete()
    rows = [change(kind="access" if number % 4 else "advance", after="{}") for number in range(30)]
    monkeypatch.setattr(realm_admin.ChangeAdmin, "list_per_page", 3)
    for reach, most, query in ((1000, 7, ""), (11, 1000, ""), (10, 5, ""), (4, 1000, "kind__exact=advance")):
        monkeypatch.setattr(realm_admin, "REACH", reach)
        monkeypatch.setattr(realm_admin, "MOST_LISTED", most)
        seen, address = [], "?" + query
        while address:
            shown = browser.get(url(Change) + address).context["cl"]
            for page in range(1, shown.paginator.num_pages + 1):
                shown = browser.get(f"{url(Change)}{address}&p={page}").context["cl"]
                seen += [row.pk for row in shown.result_list]
            address = shown.older
        expected = [row.pk for row in reversed(rows) if not query or row.kind == "advance"]
        assert seen == expected


# --- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_lists_make_no_query_per_row(browser: Client, world: World, inspection_admin: None, model: Any) -> None:
    def more(number: int) -> None:
        user = get_user_model().objects.create_user(f"inspector {number}", f"{number}@example.org", "pw")
        auth.create_api_key(user, "kiosk")
        auth.log_in_with_password(user.username, "pw")
        file = file_of(user)
        subscribe(file, 1, "complete", "TRUEPREDICATE", "priority > 3")
        update(world.inspection(), {"title": ""}, origin=file.pk)
        change(kind="access", object_id=str(user.pk))
        change(kind="advance", object_id=str(file.pk), origin=file.pk, after='{"clientVersion":1}')

    more(0)
    queries_for(browser, url(model))
    before = queries_for(browser, url(model))
    for number in range(1, 6):
        more(number)
    after = queries_for(browser, url(model))
    assert len(after) == len(before) <= 12, "\n".join(after)


def test_the_history_is_never_counted_whole_nor_sorted(browser: Client, world: World) -> None:
    update(world.inspection(), {"title": ""})
    queries = [sql for sql in queries_for(browser, url(Change)) if '"realm_sync_change"' in sql]
    assert queries
    for sql in queries:
        assert "COUNT(" not in sql or f"LIMIT {realm_admin.MOST_LISTED}" in sql
        assert "ORDER BY" not in sql or 'ORDER BY "realm_sync_change"."id" DESC' in sql or "ORDER BY 1 DESC" in sql
        assert "COUNT(" in sql or "LIMIT" in sql or "IN (" in sql or '"id" >' in sql


# --- actions ---------------------------------------------------------------------------------------------------------


def test_a_client_reset_is_asked_for_after_confirmation(browser: Client, world: World) -> None:
    chosen, other = file_of(world.nora), file_of(world.nora)
    page = text_of(act(browser, ClientFile, "ask_for_reset", chosen.pk, index="0"))
    assert "told to start over" in page and f"file {chosen.pk} of nora" in page
    assert not ClientFile.objects.exclude(reset_reason="").exists()
    page = text_of(act(browser, ClientFile, "ask_for_reset", chosen.pk, confirmed="yes", reason="Moved house."))
    assert "start over at their next connection: 1" in page and "must start over" in page
    assert ClientFile.objects.get(pk=chosen.pk).reset_reason == "Moved house."
    assert ClientFile.objects.get(pk=other.pk).reset_reason == ""
    assert "Moved house." in LogEntry.objects.get().change_message


def test_a_client_reset_can_be_asked_of_all_that_a_filter_shows(browser: Client, world: World) -> None:
    files = [file_of(world.nora) for _ in range(3)]
    other = file_of(world.sol)
    chosen = {"_selected_action": [files[0].pk], "action": "ask_for_reset", "select_across": "1"}
    page = text_of(browser.post(url(ClientFile) + "?q=nora", {**chosen, "index": "0"}))
    assert page.count('name="_selected_action"') == 1 and f"file {files[2].pk} of nora" in page
    browser.post(url(ClientFile) + "?q=nora", {**chosen, "confirmed": "yes", "reason": ""})
    assert set(ClientFile.objects.exclude(reset_reason="").values_list("pk", flat=True)) == {it.pk for it in files}
    assert ClientFile.objects.get(pk=other.pk).reset_reason == ""


def test_revoking_a_log_in_ends_it(browser: Client, world: World) -> None:
    tokens, others = auth.log_in_with_password("nora", "pw"), auth.log_in_with_password("sol", "pw")
    session = UserSession.objects.get(user=world.nora)
    assert "logged out" in text_of(act(browser, UserSession, "revoke", session.pk, index="0"))
    auth.user_for_access_token(tokens.access_token)
    act(browser, UserSession, "revoke", session.pk, confirmed="yes")
    with pytest.raises(auth.AuthError):
        auth.user_for_access_token(tokens.access_token)
    auth.user_for_access_token(others.access_token)


def test_log_ins_are_filtered_by_state(browser: Client, world: World) -> None:
    for _ in range(3):
        auth.log_in_with_password("nora", "pw", {"sdk": "RealmSync JS", "sdkVersion": "0.1"})
    revoked, expired, is_open = UserSession.objects.order_by("pk")
    UserSession.objects.filter(pk=revoked.pk).update(revoked=True)
    UserSession.objects.filter(pk=expired.pk).update(expires=timezone.now() - timedelta(days=1))
    for state, session in (("revoked", revoked), ("expired", expired), ("open", is_open)):
        page = browser.get(url(UserSession), {"state": state})
        assert [it.pk for it in page.context["cl"].result_list] == [session.pk]
        assert f">{state}</td>" in text_of(page) and "RealmSync JS 0.1" in text_of(page)


def test_revoking_an_api_key_disables_it_and_ends_its_log_ins(browser: Client, world: World) -> None:
    key, secret = auth.create_api_key(world.nora, "kiosk")
    tokens = auth.log_in_with_api_key(secret)
    act(browser, ApiKey, "revoke", key.pk, confirmed="yes")
    with pytest.raises(auth.Refused):
        auth.log_in_with_api_key(secret)
    with pytest.raises(auth.AuthError):
        auth.user_for_access_token(tokens.access_token)


def test_revoking_an_identity_ends_its_log_ins_only(browser: Client, world: World) -> None:
    tokens = auth.log_in_with_password("nora", "pw")
    _, secret = auth.create_api_key(world.nora, "kiosk")
    others = [auth.log_in_with_api_key(secret), auth.log_in_with_password("sol", "pw")]
    act(browser, Identity, "revoke", Identity.objects.get(user=world.nora).pk, confirmed="yes")
    with pytest.raises(auth.AuthError):
        auth.user_for_access_token(tokens.access_token)
    for each in others:
        auth.user_for_access_token(each.access_token)
    auth.log_in_with_password("nora", "pw")
