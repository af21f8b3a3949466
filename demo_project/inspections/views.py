"""The demo's pages: the board, what to try from a terminal, and what makes the board an app that starts offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache

from realm_sync.conf import settings
from realm_sync.templatetags.realm_sync import modules

from .management.commands.seed import AIRFIELDS, PASSWORD, USERS
from .models import Airfield, Inspection

STATIC = Path(__file__).resolve().parent / "static"
HOME_COUNTRIES = {"North": "NO", "South": "AR"}
"""Team → the country whose airfields its inspectors take along at first."""


def board(request: HttpRequest) -> HttpResponse:
    counts = Airfield.objects.order_by("country").values_list("country").annotate(Count("pk"))
    config = {
        "people": people(),
        "password": PASSWORD,
        "countries": dict(counts),
        # A link to an airfield that was not downloaded reads as null, and so every device takes these along.
        "places": sorted(" ".join(AIRFIELDS.values()).split()),
        "serviceWorker": reverse("service-worker"),
    }
    context = {"config": config, "airfields": sum(config["countries"].values()), "scripts": scripts()}
    return render(request, "inspections/board.html", context | {"inspections": Inspection.objects.count()})


def people() -> list[dict[str, Any]]:
    """Who may be chosen on the page. Keys are there because inspections name their inspector by key."""
    keys = dict(get_user_model().objects.filter(username__in=USERS).values_list("username", "pk"))
    return [
        {"name": name, "id": keys.get(name), "team": team, "country": HOME_COUNTRIES.get(team or "", "IS")}
        for name, team in USERS.items()
    ]


def about(request: HttpRequest) -> HttpResponse:
    context = {
        "app_id": settings.APP_ID,
        "origin": f"{request.scheme}://{request.get_host()}",
        "users": USERS,
        "password": PASSWORD,
        "airfields": Airfield.objects.count(),
        "inspections": Inspection.objects.count(),
    }
    return render(request, "inspections/about.html", context)


def scripts() -> list[str]:
    """The page's own modules, as names of static files."""
    return sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.js"))


@never_cache
def service_worker(request: HttpRequest) -> HttpResponse:
    """Served from the root, because a service worker is in charge of what lies below its own URL."""
    others = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.*") if path.suffix != ".js")
    files = [static(name) for name in [*modules(), *scripts(), *others]]
    pages = [reverse("board"), reverse("about"), reverse("manifest")]
    named = {"pages": pages, "files": files, "static_url": django_settings.STATIC_URL}
    context = {name: mark_safe(json.dumps(value, indent=1)) for name, value in named.items()}
    return render(request, "inspections/sw.js", context, content_type="text/javascript")


def manifest(request: HttpRequest) -> HttpResponse:
    icon = {"sizes": "any", "type": "image/svg+xml"}
    described = {
        "name": "Airfield inspections",
        "short_name": "Inspections",
        "description": "A board that works offline: the demo of realm_sync.",
        "id": reverse("board"),
        "start_url": reverse("board"),
        "scope": reverse("board"),
        "display": "standalone",
        "background_color": "#f4f5f1",
        "theme_color": "#f4f5f1",
        "icons": [
            icon | {"src": static("inspections/icon.svg"), "purpose": "any"},
            icon | {"src": static("inspections/icon-maskable.svg"), "purpose": "maskable"},
        ],
    }
    return JsonResponse(described, content_type="application/manifest+json")
