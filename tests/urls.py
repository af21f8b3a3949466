"""URLs of the test project: the admin, and everything realm_sync serves."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("realm_sync.urls")),
]
