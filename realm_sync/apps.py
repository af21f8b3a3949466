"""The Django app: connects what must run with every project, imports every app's `sync.py`."""

from __future__ import annotations

from django.apps import AppConfig


class RealmSyncConfig(AppConfig):
    name = "realm_sync"
    verbose_name = "Realm sync"
    default_auto_field = "django.db.models.BigAutoField"
