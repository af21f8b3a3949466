"""Settings of the tests, for the test process and for the servers it starts.

The test process has two databases, `default` (SQLite) and `postgres`; the fixture `each_database` chooses one of them
through REALM_SYNC["DATABASE"], and `ChosenDatabase` makes `Model.objects` follow. Where the databases are is filled in
by tests/conftest.py. A server process has one database, named in REALM_SYNC_TEST_DATABASE_URL.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import environ

SECRET_KEY = "tests only, at least thirty-two bytes long"
USE_TZ = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
ROOT_URLCONF = "tests.urls"
ASGI_APPLICATION = "tests.asgi.application"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast: tests make many users
INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "realm_sync",
    "tests.testapp",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

SQLITE: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": Path(__file__).resolve().parent.parent / "var" / "tests.sqlite3",
    "OPTIONS": {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    },
}


def chosen_database() -> dict[str, Any]:
    url = os.environ.get("REALM_SYNC_TEST_DATABASE_URL", "")
    if not url:
        return SQLITE
    chosen = environ.Env.db_url_config(url)
    return SQLITE | {"NAME": chosen["NAME"]} if chosen["ENGINE"] == SQLITE["ENGINE"] else chosen


DATABASES = {"default": chosen_database(), "postgres": {"ENGINE": "django.db.backends.postgresql"}}
DATABASE_ROUTERS = ["tests.settings.ChosenDatabase"]
REALM_SYNC: dict[str, Any] = json.loads(os.environ.get("REALM_SYNC_TEST_SETTINGS", "{}"))


class ChosenDatabase:
    """Every model lives in the database that realm_sync is told to use, so tests need no `.using(…)`."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        from realm_sync.conf import settings

        return settings.DATABASE

    db_for_write = db_for_read

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True
