"""URLs of the demo: its page, the admin, and the client API of realm_sync."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from demo_project.inspections.views import home

urlpatterns = [
    path("", home, name="home"),
    path("admin/", admin.site.urls),
    path("", include("realm_sync.urls")),
]
