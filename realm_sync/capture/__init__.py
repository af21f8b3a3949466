"""Capture: the triggers that write the history (R1), and the SQL of the one wire image of a row (R12).

    image_sql, value_sql     what bootstraps and uploads select
    install, status, …       the triggers of the registered models, on the database of REALM_SYNC["DATABASE"]
    set_origin               whose upload the running transaction is

Decides when triggers are installed, and what a migration does to the history. Which SQL, each database decides in a
file of its own, and knows nothing of the other; columns.py is what they share. Called by apps.py (migrate), checks.py,
the management command, uploads.py and downloads.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from django.db import DatabaseError, connections, transaction

from realm_sync.conf import settings
from realm_sync.registry import ModelSync, registry

from . import postgresql, sqlite
from .columns import Status, Trigger

__all__ = ["Status", "Trigger", "dialect", "image_sql", "install", "set_origin", "status", "uninstall", "value_sql"]

_DIALECTS: dict[str, ModuleType] = {"sqlite": sqlite, "postgresql": postgresql}


def dialect(connection: Any) -> Any:
    """The module for the connection's database. Raises DatabaseError for one that realm_sync has no triggers for."""
    if connection.vendor not in _DIALECTS:
        raise DatabaseError(f"realm_sync captures changes on SQLite and PostgreSQL, not on {connection.display_name}.")
    return _DIALECTS[connection.vendor]


def image_sql(binding: ModelSync, row: str) -> str:
    """The SQL expression of the wire image of a row, as JSON text; `row` is a quoted table or its alias (R12).

    Its `%` must be doubled where parameters are passed along, as RawSQL does.
    """
    return str(dialect(connections[settings.DATABASE]).image_sql(binding, row))


def value_sql(field: Any, column: str) -> str:
    """The SQL expression of the JSON value of one column, as text."""
    return str(dialect(connections[settings.DATABASE]).value_sql(field, column))


def set_origin(connection: Any, ident: int) -> None:
    """Marks what the running transaction writes from here on as the upload of this client file; 0 ends it.

    Must be called inside a transaction, and before its end with 0: on SQLite the mark is a row of a table.
    """
    dialect(connection).set_origin(connection, ident)


def install(connection: Any, bindings: Iterable[ModelSync] | None = None) -> None:
    """Makes the triggers what the registry wants: creates missing ones, replaces outdated ones, drops stray ones.

    One transaction; changes nothing where everything is in place. Models without a table are left for the migration
    that creates it.
    """
    database = dialect(connection)
    with transaction.atomic(connection.alias):
        database.lock(connection)
        for state, table, name, trigger in list(_compare(connection, bindings)):
            if state == "STRAY":
                database.drop(connection, table, name)
            elif state != "INSTALLED":
                database.create(connection, table, trigger)


def uninstall(connection: Any) -> None:
    """Drops every trigger of realm_sync; from here on nothing is captured."""
    database = dialect(connection)
    with transaction.atomic(connection.alias):
        database.lock(connection)
        for name, (table, _) in database.installed(connection).items():
            database.drop(connection, table, name)


def status(connection: Any, bindings: Iterable[ModelSync] | None = None) -> list[Status]:
    """Every trigger the registry wants and every one that is there, and how they compare."""
    return [Status(table, name, state) for state, table, name, _ in _compare(connection, bindings)]


def _compare(connection: Any, bindings: Iterable[ModelSync] | None) -> Iterator[tuple[Any, str, str, Trigger | None]]:
    database = dialect(connection)
    installed = database.installed(connection)
    for binding in registry if bindings is None else bindings:
        for name, (table, trigger) in database.expected(connection, binding).items():
            there = installed.pop(name, None)
            if there is None:
                yield "MISSING", table, name, trigger
            else:
                yield "INSTALLED" if there == (table, trigger.hash) else "OUTDATED", table, name, trigger
    for name, (table, _) in installed.items():
        yield "STRAY", table, name, None
