"""Capture: the triggers that write the history (R1), and the SQL of the one wire image of a row (R12).

    image_sql, value_sql     what bootstraps and uploads select
    install, status, …       the triggers of the registered models, on the database of REALM_SYNC["DATABASE"]
    set_origin               whose upload the running transaction is

Decides when triggers are installed, and what a migration does to the history. Which SQL, each database decides in a
file of its own, and knows nothing of the other; columns.py is what they share. Called by apps.py (migrate), checks.py,
the management command, uploads.py and downloads.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from types import ModuleType
from typing import Any

from django.db import DatabaseError, connections, transaction

from realm_sync.conf import settings
from realm_sync.registry import ModelSync, registry

from . import postgresql, sqlite
from .columns import Expected, Status, Trigger

__all__ = ["Status", "Trigger", "dialect", "image_sql", "install", "set_origin", "status", "uninstall", "value_sql"]

Properties = dict[str, frozenset[str]]
"""The properties in the images that triggers make, by the triggers' names."""
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


def install(connection: Any, bindings: Iterable[ModelSync] | None = None, before: Properties | None = None) -> None:
    """Makes the triggers what the registry wants: creates missing ones, replaces outdated ones, drops stray ones.

    One transaction; changes nothing where everything is in place. Models without a table are left for the migration
    that creates it. A property that the images of a table had not, until now, is logged for every row that has a
    value in it: clients learn it as they learn any change. `before` names the properties of triggers that a migration
    dropped (migrations.py).
    """
    database = dialect(connection)
    with transaction.atomic(connection.alias):
        database.lock(connection)
        known = dict(before or {}) | {name: each.properties for name, each in database.installed(connection).items()}
        for state, table, name, trigger in list(_compare(connection, bindings)):
            if state == "STRAY":
                database.drop(connection, table, name)
            elif state != "INSTALLED":
                database.create(connection, table, trigger)
        for expected in _expected(connection, bindings):
            had = next(
                (known[each.name] for each in expected.triggers if each.name in known and known[each.name]), None
            )
            if had and not expected.of_set and (added := [name for name in expected.binding.names if name not in had]):
                database.log_filled(connection, expected.binding, expected.table, added)


def uninstall(connection: Any, tables: Collection[str] | None = None) -> Properties:
    """Drops the triggers of these tables, or every one; from here on nothing is captured.

    Returns the properties that their images had, for install().
    """
    database = dialect(connection)
    dropped: Properties = {}
    with transaction.atomic(connection.alias):
        database.lock(connection)
        for name, each in database.installed(connection).items():
            if tables is None or each.table in tables:
                database.drop(connection, each.table, name)
                dropped[name] = each.properties
    return dropped


def status(connection: Any, bindings: Iterable[ModelSync] | None = None) -> list[Status]:
    """Every trigger the registry wants and every one that is there, and how they compare."""
    return [Status(table, name, state) for state, table, name, _ in _compare(connection, bindings)]


def _expected(connection: Any, bindings: Iterable[ModelSync] | None) -> Iterator[Expected]:
    for binding in registry if bindings is None else bindings:
        if binding.asymmetric:
            continue  # nobody reads what happens to its objects
        yield from dialect(connection).expected(connection, binding)


def _compare(connection: Any, bindings: Iterable[ModelSync] | None) -> Iterator[tuple[Any, str, str, Trigger | None]]:
    there = dialect(connection).installed(connection)
    for expected in _expected(connection, bindings):
        for trigger in expected.triggers:
            found = there.pop(trigger.name, None)
            state = "MISSING" if found is None else "OUTDATED"
            if found is not None and (found.table, found.hash) == (expected.table, trigger.hash):
                state = "INSTALLED"
            yield state, expected.table, trigger.name, trigger
    for name, found in there.items():
        yield "STRAY", found.table, name, None
