"""The demo's page: what is here, who can log in, what to try."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from .management.commands.seed import PASSWORD, USERS
from .models import Airfield, Inspection


def home(request: HttpRequest) -> HttpResponse:
    context = {
        "origin": f"{request.scheme}://{request.get_host()}",
        "users": USERS,
        "password": PASSWORD,
        "airfields": Airfield.objects.count(),
        "inspections": Inspection.objects.count(),
    }
    return render(request, "inspections/home.html", context)
