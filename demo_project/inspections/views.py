"""The demo's page: what is here, who can log in, what to try."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from realm_sync.conf import settings

from .management.commands.seed import PASSWORD, USERS
from .models import Airfield, Inspection


def home(request: HttpRequest) -> HttpResponse:
    context = {
        "app_id": settings.APP_ID,
        "origin": f"{request.scheme}://{request.get_host()}",
        "users": USERS,
        "password": PASSWORD,
        "airfields": Airfield.objects.count(),
        "inspections": Inspection.objects.count(),
    }
    return render(request, "inspections/home.html", context)
