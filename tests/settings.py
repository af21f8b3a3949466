"""Settings of the tests: SQLite as default, PostgreSQL as second database, the test app's models on both."""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY = Path(os.environ.get("REALM_SYNC_TEST_DIRECTORY", Path(__file__).resolve().parent.parent / "var"))
SECRET_KEY = "tests only, at least thirty-two bytes long"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "realm_sync",
    "tests.testapp",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DIRECTORY / "tests.sqlite3"},
}
