"""Client files of the official SDKs: which encoding a file speaks, and which session of it is the newest."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("realm_sync", "0003_sets_of_counters")]

    operations = [
        migrations.AddField(
            model_name="clientfile",
            name="encoding",
            field=models.CharField(
                choices=[("json", "JSON"), ("device-sync", "Device Sync (official SDKs)")],
                default="json",
                max_length=11,
            ),
        ),
        migrations.AddField(
            model_name="clientfile",
            name="opened",
            field=models.BigIntegerField(default=0),
        ),
    ]
