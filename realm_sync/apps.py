"""The Django app: imports every app's `sync.py`, and connects what must run with every project.

Decides when things happen, not what: triggers are capture's, SQL functions are filters', checks are checks.py's.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate
from django.db.utils import OperationalError
from django.utils.module_loading import autodiscover_modules


class RealmSyncConfig(AppConfig):
    name = "realm_sync"
    verbose_name = "Realm sync"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.db.migrations.writer import MigrationWriter

        from . import checks  # noqa: F401  (registers them)
        from .core.values import ObjectId
        from .fields import ObjectIdSerializer

        MigrationWriter.register_serializer(ObjectId, ObjectIdSerializer)
        connection_created.connect(prepare_sqlite, dispatch_uid="realm_sync.prepare_sqlite")
        # Sent once per migrate for every app, before and after the migrations of all of them.
        pre_migrate.connect(before_migrate, sender=self, dispatch_uid="realm_sync.before_migrate")
        post_migrate.connect(after_migrate, sender=self, dispatch_uid="realm_sync.after_migrate")
        autodiscover_modules("sync")


def before_migrate(using: str, **kwargs: Any) -> None:
    """Lets triggers step aside for migrations of their tables, and back for those of the data in them (R1)."""
    from .capture import migrations
    from .conf import settings

    if using == settings.DATABASE:
        migrations.begin(connections[using])


def after_migrate(using: str, **kwargs: Any) -> None:
    """Puts the triggers where the registry wants them: Django's table rebuilds on SQLite drop them."""
    from .capture import migrations
    from .conf import settings

    if using == settings.DATABASE:
        migrations.end(connections[using])


def prepare_sqlite(connection: Any, **kwargs: Any) -> None:
    """Gives a new SQLite connection its SQL functions, and the file of the synced database its write-ahead log.

    With WAL readers (bootstraps) and the writer do not wait for each other. `synchronous` stays at FULL, SQLite's
    default: with NORMAL, which WAL is often combined with, a power cut could lose an upload that was already
    acknowledged (R6).
    """
    from .conf import settings

    if connection.vendor != "sqlite":
        return
    from . import filters

    filters.register_sqlite_functions(None, connection)
    if connection.alias == settings.DATABASE and not connection.is_in_memory_db():
        try:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA journal_mode = WAL")
        except OperationalError:
            # Somebody is using the file in its old mode, or it is read-only. The mode belongs to the file and speeds
            # things up, but nothing rests on it: the next connection switches.
            pass
