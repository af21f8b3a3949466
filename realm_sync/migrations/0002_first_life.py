"""The rows that are always there: the epoch, and the origin that SQLite's triggers read."""

import secrets

from django.db import migrations


def seed(apps, schema_editor):
    database = schema_editor.connection.alias
    apps.get_model("realm_sync", "Epoch").objects.using(database).get_or_create(
        id=1, defaults={"epoch": secrets.token_hex(16)}
    )
    apps.get_model("realm_sync", "Origin").objects.using(database).get_or_create(id=1)


class Migration(migrations.Migration):
    dependencies = [("realm_sync", "0001_initial")]

    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
