"""Which counters an upload set: merge.py must tell a set from additions, and the images cannot."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("realm_sync", "0002_first_life")]

    operations = [
        migrations.AddField(model_name="change", name="sets", field=models.TextField(null=True)),
    ]
