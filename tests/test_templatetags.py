"""realm_sync/templatetags/realm_sync.py: what `{% realm_sync_config %}` writes into a page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Template
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path
from django.urls.base import clear_script_prefix, set_script_prefix
from django.utils.functional import SimpleLazyObject

from realm_sync.templatetags import realm_sync as tags

urlpatterns = [path("field/", include("realm_sync.urls"))]


class Page(HTMLParser):
    """The tag's elements, in order, with their attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[dict[str, Any]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.elements[-1]["text"] += data.strip()

    @property
    def import_map(self) -> dict[str, str]:
        return json.loads(self.elements[0]["text"])["imports"]

    @property
    def configuration(self) -> dict[str, Any]:
        return json.loads(self.elements[1]["text"])

    @property
    def preloads(self) -> list[str]:
        return [each["href"] for each in self.elements[2:]]


def page(**context: Any) -> Page:
    return Page(Template("{% load realm_sync %}{% realm_sync_config %}").render(Context(context)))


@pytest.fixture(autouse=True)
def two_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tags, "modules", lambda: ["realm_sync/client/app.js", "realm_sync/realm.js"])


def test_the_elements_and_their_order() -> None:
    written = page()
    first, second, *rest = written.elements
    assert (first["tag"], first["type"]) == ("script", "importmap")  # before anything that loads modules
    assert (second["tag"], second["type"], second["id"]) == ("script", "application/json", "realm-sync-config")
    assert {(each["tag"], each["rel"]) for each in rest} == {("link", "modulepreload")}
    assert written.import_map == {"realm": "/static/realm_sync/realm.js"}
    assert written.preloads == ["/static/realm_sync/client/app.js", "/static/realm_sync/realm.js"]
    assert not any("nonce" in each for each in written.elements)


@override_settings(REALM_SYNC={"CLIENTS": {"web": {"CANCEL_WAITS_ON_NON_FATAL_ERROR": True}}})
def test_the_configuration_is_that_of_the_http_api_for_browsers() -> None:
    asked = Client().get("/api/client/v2.0/app/realm-sync/config?client=web").json()
    assert asked["cancelWaitsOnNonFatalError"] is True
    assert page().configuration | {"baseUrl": "http://testserver", "mediaUrl": "http://testserver/"} == asked
    assert (page().configuration["baseUrl"], page().configuration["mediaUrl"]) == ("", "/")


@override_settings(ROOT_URLCONF=__name__)
def test_the_base_url_is_where_the_routes_are_mounted() -> None:
    assert page().configuration["baseUrl"] == "/field"


def test_the_base_url_begins_with_the_scripts_name() -> None:
    set_script_prefix("/site/")  # what a server's handler does
    try:
        assert page().configuration["baseUrl"] == "/site"
    finally:
        clear_script_prefix()


@override_settings(ROOT_URLCONF="realm_sync.routing")
def test_missing_routes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realm_sync.routing.urlpatterns", [], raising=False)
    with pytest.raises(ImproperlyConfigured, match=r'add path\("", include\("realm_sync.urls"\)\)'):
        page()


@override_settings(REALM_SYNC={"APP_ID": "</script><script>alert(1)</script>&"})
def test_nothing_ends_the_script() -> None:
    assert page().configuration["appId"] == "</script><script>alert(1)</script>&"


class LazyNonce(SimpleLazyObject):
    """Django's and django-csp's: false until somebody uses it."""

    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize("place", ["context", "request"])
def test_every_element_has_the_nonce(place: str, rf: RequestFactory) -> None:
    nonce = LazyNonce(lambda: 'a"b')
    request = rf.get("/")
    if place == "request":
        request.csp_nonce = nonce  # type: ignore[attr-defined]
        written = page(request=request)
    else:
        written = page(request=request, csp_nonce=nonce)
    assert [each["nonce"] for each in written.elements] == ['a"b'] * 4


MANIFEST = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


def hashed(name: str) -> str:
    return name.replace(".js", ".0123456789ab.js")


def test_hashed_names(settings: Any) -> None:
    """The storage leaves `import "./client/app.js"` as it is; the import map leads to the hashed module."""
    from django.contrib.staticfiles.storage import staticfiles_storage

    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": MANIFEST}}
    settings.STATIC_ROOT = "/nowhere"
    staticfiles_storage.hashed_files = {name: hashed(name) for name in tags.modules()}
    written = page()
    app, entry = (f"/static/{hashed(name)}" for name in tags.modules())
    assert written.preloads == [app, entry]
    more = {"/static/realm_sync/client/app.js": app, "/static/realm_sync/realm.js": entry}
    assert written.import_map == {"realm": entry} | more


def test_modules_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert "realm_sync/client/app.js" in tags.modules()
    assert tags.modules() == sorted(tags.modules()) and all((tags.STATIC / name).is_file() for name in tags.modules())


def test_the_page_of_the_test_project() -> None:
    response = Client().get("/page/")
    assert response.status_code == 200 and b'id="realm-sync-config"' in response.content
