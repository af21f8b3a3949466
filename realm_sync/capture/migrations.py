"""Capture while Django migrates: triggers step aside for a change of their table, and are back for the next write.

A trigger names the columns of its table. SQLite refuses to drop a column that a trigger names; PostgreSQL would refuse
every later write. So before a statement that alters a table its triggers are dropped, and before the next statement
that may write they are installed again, for the columns that the table has by then. Data migrations are captured so,
before, between and after changes of the table. Decides only when; called by apps.py before and after every migrate.
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
        self._tables = self._captured()
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
        self._tables = self._captured()
        self._altered = False

    def _before(self, sql: str) -> None:
        if self._altered and _WRITES.match(sql):
            self.finish()
        elif self._tables and _ALTERS.match(sql):
            quote = self._connection.ops.quote_name
            touched = {table for name, table in self._tables.items() if quote(name) in sql}
            if any(quote(name) in sql for name in _HISTORY):
                touched = set(self._tables.values())
            if touched:
                self._dropped |= uninstall(self._connection, touched)
                self._tables = {name: table for name, table in self._tables.items() if table not in touched}
                self._altered = True

    def _captured(self) -> dict[str, str]:
        """The tables that have triggers: plain name → name as the dialect has it."""
        tables = {each.table for each in dialect(self._connection).installed(self._connection).values()}
        return {dialect(self._connection).plain_name(table): table for table in tables}


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
