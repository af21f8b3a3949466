"""The websocket route, for the `URLRouter` in a project's asgi.py."""

from __future__ import annotations

from django.urls import re_path

from .consumers import RealmSyncConsumer

websocket_urlpatterns = [
    re_path(r"^api/client/v2\.0/app/(?P<app_id>[^/]+)/realm-sync$", RealmSyncConsumer.as_asgi()),
]
