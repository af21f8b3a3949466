"""`{% load realm_sync %}{% realm_sync_config %}`, in the head of a page: what the browser SDK needs to start there.

Writes the import map, so that `import Realm from "realm"` works; the settings for clients, which `new Realm.App()`
reads; and a preload link for each module, so that they are fetched at once instead of import by import. Decides only
how they are written; conf.py decides what the settings are.

The import map comes first, as browsers want it, and so the tag must stand before the page's first module script.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.template import Library
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from ..conf import API, client_configuration

register = Library()

STATIC = Path(__file__).resolve().parent.parent / "static"
ENTRY = "realm_sync/realm.js"
ESCAPES = {ord(char): f"\\u{ord(char):04X}" for char in "<>&\u2028\u2029"}
"""What could end a script element, or a string in it; as Django's json_script has it."""


@register.simple_tag(takes_context=True)
def realm_sync_config(context: Any) -> SafeString:
    """Works without a request in the context, too. A CSP nonce is taken from the context (Django's name for it) or
    from the request (django-csp's)."""
    nonce = context.get("csp_nonce")
    if nonce is None:
        nonce = getattr(context.get("request"), "csp_nonce", None)
    # Lazy nonces are false until they are used: only str() makes them.
    text = "" if nonce is None else str(nonce)
    attribute = format_html(' nonce="{}"', text) if text else SafeString("")
    urls = {name: static(name) for name in modules()}
    preloads = format_html_join(
        "\n", '<link rel="modulepreload" href="{}"{}>', ((url, attribute) for url in urls.values())
    )
    return format_html(
        '<script type="importmap"{}>{}</script>\n'
        '<script type="application/json" id="realm-sync-config"{}>{}</script>\n{}',
        attribute,
        _json({"imports": {"realm": static(ENTRY)} | _hashed(urls)}),
        attribute,
        _json(client_configuration(page_base_url(), "web")),
        preloads,
    )


@cache
def modules() -> list[str]:
    """The SDK's modules, as names of static files."""
    return sorted(path.relative_to(STATIC).as_posix() for path in (STATIC / "realm_sync").rglob("*.js"))


def page_base_url() -> str:
    """Where realm_sync.urls is mounted, seen from a page of this site: "" or a prefix like "/field"."""
    try:
        return reverse("realm_sync:profile").partition(API)[0]
    except NoReverseMatch as error:
        raise ImproperlyConfigured(
            "{% realm_sync_config %} does not find the routes of realm_sync: "
            'add path("", include("realm_sync.urls")) to the urlpatterns of the project.'
        ) from error


def _hashed(urls: dict[str, str]) -> dict[str, str]:
    """For the import map: the plain URL of each module → its hashed one, if the storage hashes names. The imports
    inside of modules stay plain (tests/test_static.py says why): without the map a browser would mix new modules with
    old ones from its cache."""
    plain = {url: url.rpartition("/")[0] + "/" + PurePosixPath(name).name for name, url in urls.items()}
    return {plain[url]: url for url in urls.values() if url != plain[url] and "?" not in url}


def _json(value: Any) -> SafeString:
    return mark_safe(json.dumps(value).translate(ESCAPES))
