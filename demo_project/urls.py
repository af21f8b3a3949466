"""URLs of the demo: its page and what belongs to it, the admin, and the client API of realm_sync."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from demo_project.inspections import views

urlpatterns = [
    path("", views.board, name="board"),
    path("about/", views.about, name="about"),
    path("sw.js", views.service_worker, name="service-worker"),
    path("manifest.webmanifest", views.manifest, name="manifest"),
    path("admin/", admin.site.urls),
    path("", include("realm_sync.urls")),
]
