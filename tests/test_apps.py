"""What the app connects: SQLite connections and migrate."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from django.db import connections, transaction

from tests.testapp.models import Airfield


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_sqlite_gets_its_log_and_its_functions(each_database, tmp_path):
    connection = connections[each_database]
    path = Path(connection.settings_dict["NAME"])
    connection.close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA journal_mode = DELETE")
    other.close()
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cursor.execute("SELECT realm_decimal_key('2') < realm_decimal_key('10')").fetchone() == (1,)


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_a_file_in_use_in_its_old_mode_opens_all_the_same(each_database, monkeypatch):
    connection = connections[each_database]
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"timeout": 0})
    connection.close()
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN")
    other.execute("SELECT * FROM testapp_airfield").fetchall()
    assert Airfield.objects.count() == 0
    other.execute("COMMIT")
    other.close()
    connection.close()
    with transaction.atomic(using=each_database):
        Airfield.objects.create(icao="EDDF", name="Frankfurt")
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
