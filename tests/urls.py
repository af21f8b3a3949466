"""URLs of the test project: the admin, everything realm_sync serves, and a page with the browser SDK's tag."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("page/", TemplateView.as_view(template_name="testapp/page.html")),
    path("", include("realm_sync.urls")),
]
