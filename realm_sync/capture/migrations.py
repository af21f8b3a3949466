"""Capture while Django migrates: triggers step aside for a change of their table, and are back for the next write.

A trigger names the columns of its table, and the through tables of its sets of links or their owners. SQLite refuses to
drop a column that a trigger names; PostgreSQL would refuse every later write. So before a statement that alters a table
the triggers that name it are dropped, and before the next statement that may write they are installed again, for the
columns that the tables have by then. Data migrations are captured so, before, between and after changes of the table.
Decides only when; called by apps.py before and after every migrate.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import Properties, dialect, install, uninstall

_ALTERS = re.compile(r"\s*(ALTER|DROP)\s", re.IGNORECASE)
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|MERGE|COPY|TRUNCATE|WITH)\s", re.IGNORECASE)
_HISTORY = ("realm_sync_change", "realm_sync_origin")


class Watch:
    """Sees every statement of a connection while it migrates; an execute wrapper of Django."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._tables: dict[str, str] = {}
        """The tables that have triggers: plain name → name as the dialect has it."""
        self._near: dict[str, set[str]] = {}
        """Plain name of a table → those, as the dialect has them, whose triggers mention it."""
        self._look()
        self._dropped: Properties = {}
        self._altered = False
        """Triggers were dropped, and no statement came since that may write."""
        self._busy = False

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if not self._busy:
            self._busy = True
            try:
                self._before(str(sql))
            finally:
                self._busy = False
        return execute(sql, params, many, context)

    def finish(self) -> None:
        """Installs what the registry wants and the tables can serve."""
        install(self._connection, before=self._dropped)
        installed = dialect(self._connection).installed(self._connection)
        self._dropped = {name: each for name, each in self._dropped.items() if name not in installed}
        self._look()
        self._altered = False

    def _before(self, sql: str) -> None:
        if self._altered and _WRITES.match(sql):
            self.finish()
        elif self._tables and _ALTERS.match(sql):
            quote = self._connection.ops.quote_name
            touched = set().union(*(self._near[name] for name in self._near if quote(name) in sql))
            if any(quote(name) in sql for name in _HISTORY):
                touched = set(self._tables.values())
            if touched:
                self._dropped |= uninstall(self._connection, touched)
                self._tables = {name: table for name, table in self._tables.items() if table not in touched}
                self._altered = True

    def _look(self) -> None:
        database = dialect(self._connection)
        installed = list(database.installed(self._connection).values())
        self._tables = {database.plain_name(each.table): each.table for each in installed}
        self._near = {name: {table} for name, table in self._tables.items()}
        for each in installed:
            for name in each.mentions & self._near.keys():
                self._near[name].add(each.table)


def begin(connection: Any) -> None:
    """Watches the connection from here on, until end(). A watch that a failed migrate left behind is replaced."""
    _forget(connection)
    connection.execute_wrappers.append(Watch(connection))


def end(connection: Any) -> None:
    """The migrate is done: every trigger is as the registry wants it."""
    watches = _forget(connection)
    if watches:
        watches[-1].finish()
    else:
        install(connection)


def _forget(connection: Any) -> list[Watch]:
    watches = [wrapper for wrapper in connection.execute_wrappers if isinstance(wrapper, Watch)]
    for watch in watches:
        connection.execute_wrappers.remove(watch)
    return watches
