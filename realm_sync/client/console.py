"""The console tool `realm-sync`: watch, query, edit and look into realm files.

    realm-sync watch  URL Class "query"           log in, download with a progress bar, then print live changes
    realm-sync query  FILE Class "query"          read a realm file offline, as a table
    realm-sync edit   FILE Class KEY prop=value … write into a realm file offline; uploaded when it syncs next
    realm-sync status FILE                        what the file holds and what waits to be uploaded

A shell over the public API: what it can do, a script can. `edit` and `query` may run while `watch` holds the file.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable

from realm_sync.core.errors import RealmSyncError, ValueTypeError
from realm_sync.core.schema import PRIMARY_KEY, Property, Schema
from realm_sync.core.values import ObjectId

from .app import App, Credentials
from .errors import CompensatingWriteError, RealmError, SyncError
from .listeners import CollectionChanges
from .objects import Object
from .realm import OpenBehavior, Realm, SyncConfiguration
from .results import Results
from .store import Store
from .subscriptions import new_object_id
from .sync_session import SyncSession

MOST_ROWS = 1000
"""Rows that `query` prints unless told otherwise."""


def main(arguments: Sequence[str] | None = None, stopped: threading.Event | None = None) -> int:
    """The exit status: 0, 1 for an error that it explains, 130 after Ctrl-C. Setting `stopped` ends `watch`."""
    options = _parser().parse_args(arguments)
    options.stopped = stopped or threading.Event()
    console = Console()
    try:
        result: int = options.run(options, console)
        return result
    except KeyboardInterrupt:
        return 130
    except (RealmSyncError, OSError) as error:
        Console(stderr=True).print(f"[red]{escape(str(error))}[/red]", highlight=False)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="realm-sync", description="Looks at realms that sync, and changes them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    watch = commands.add_parser("watch", help="download what a query selects, then print live changes")
    watch.add_argument("url", metavar="URL", help="the server, such as http://127.0.0.1:8000")
    watch.add_argument("class_name", metavar="CLASS")
    watch.add_argument(
        "query", metavar="QUERY", nargs="?", default="TRUEPREDICATE", help="RQL; everything unless given"
    )
    watch.add_argument("--app", default="realm-sync", help="app id (default: %(default)s)")
    watch.add_argument("--file", help="realm file; default: the user's own below ./mongodb-realm")
    who = watch.add_mutually_exclusive_group()
    who.add_argument("--email", help="log in with email and password; asks unless --password is given")
    who.add_argument("--api-key", help="log in with an API key")
    who.add_argument("--anonymous", action="store_true", help="log in without a name (default: who was logged in last)")
    watch.add_argument("--password")
    watch.add_argument("--once", action="store_true", help="end after the download instead of watching")
    watch.set_defaults(run=_watch)

    query = commands.add_parser("query", help="read a realm file offline, as a table")
    query.add_argument("file", metavar="FILE")
    query.add_argument("class_name", metavar="CLASS")
    query.add_argument("query", metavar="QUERY", nargs="?", default="TRUEPREDICATE", help="RQL, also SORT and LIMIT")
    query.add_argument("--rows", type=int, default=MOST_ROWS, help="most rows to print (default: %(default)s)")
    query.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    query.set_defaults(run=_query)

    edit = commands.add_parser("edit", help="create, change or delete an object in a realm file, offline")
    edit.add_argument("file", metavar="FILE")
    edit.add_argument("class_name", metavar="CLASS")
    edit.add_argument("key", metavar="KEY", help="the object's _id; `new` makes one up")
    edit.add_argument("values", metavar="prop=value", nargs="*", help="`prop=` alone means null")
    edit.add_argument("--delete", action="store_true", help="delete the object")
    edit.set_defaults(run=_edit)

    status = commands.add_parser("status", help="what a realm file holds, and what waits to be uploaded")
    status.add_argument("file", metavar="FILE")
    status.set_defaults(run=_status)
    return parser


# --- watch -----------------------------------------------------------------------------------------------------------


def _watch(options: argparse.Namespace, console: Console) -> int:
    app = App(options.app, base_url=options.url)
    user = app.current_user
    credentials = _credentials(options, console)
    if credentials is not None:
        user = app.log_in(credentials).result()
    if user is None:
        raise RealmError("Nobody has logged in on this device: give --email, --api-key or --anonymous.")

    fatal: list[SyncError] = []

    def failed(session: SyncSession, error: SyncError) -> None:
        if isinstance(error, CompensatingWriteError):
            for write in error.writes:
                what = f"{write.object_name} {write.primary_key}" + (f".{write.property}" if write.property else "")
                console.print(f"[yellow]undone[/yellow] {escape(what)}: {escape(write.reason)} ({write.code})")
        else:
            console.print(f"[red]{escape(str(error))}[/red]", highlight=False)
            if error.is_fatal:
                fatal.append(error)
                stopped.set()

    stopped: threading.Event = options.stopped
    behavior = OpenBehavior("open_immediately")
    sync = SyncConfiguration(
        user, on_error=failed, new_realm_file_behavior=behavior, existing_realm_file_behavior=behavior
    )
    path = Path(options.file).absolute() if options.file else None
    with Realm(path=path, sync=sync) as realm:
        session = realm.sync_session
        assert session is not None
        console.print(f"[dim]{escape(realm.path)}[/dim]", highlight=False)
        with Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), console=console
        ) as progress:
            task = progress.add_task("connecting", total=1.0)

            def advanced(estimate: float) -> None:
                progress.update(task, description="downloading", completed=estimate)

            session.add_progress_notification("download", "report_indefinitely", advanced)
            if not _knows(realm, options.class_name):
                _finish(session.download_all_server_changes(), stopped)
            results = realm.objects(options.class_name).filtered(options.query)
            if realm.subscriptions.find_by_query(results) is None:
                waiting = realm.subscriptions.update(lambda subscriptions: subscriptions.add(results))
                _finish(waiting, stopped)
            elif session.is_connected() or options.once:
                _finish(session.download_all_server_changes(), stopped)
            session.remove_progress_notification(advanced)
            progress.update(task, description="downloaded", completed=1.0)
        if stopped.is_set():
            return 1 if fatal else 0
        console.print(f"{_count(len(results), 'object')} of {options.class_name}.")
        if options.once:
            return 0
        session.add_connection_notification(lambda new, old: console.print(f"[dim]{new}[/dim]"))
        results.add_listener(Printer(console))
        while not stopped.wait(1.0):
            pass
        return 1 if fatal else 0


def _knows(realm: Realm, class_name: str) -> bool:
    return any(cls.name == class_name for cls in realm.schema)


def _finish(operation: Any, stopped: threading.Event) -> None:
    """Waits for an operation, so that Ctrl-C and a fatal error end it."""
    while not stopped.is_set():
        try:
            operation.result(0.2)
            return
        except TimeoutError:
            if operation.done():
                raise
        except SyncError:
            return


def _credentials(options: argparse.Namespace, console: Console) -> Credentials | None:
    if options.email:
        password = options.password if options.password is not None else console.input("Password: ", password=True)
        return Credentials.email_password(options.email, password)
    if options.api_key:
        return Credentials.api_key(options.api_key)
    return Credentials.anonymous() if options.anonymous else None


class Printer:
    """Prints one line per change. Keeps what it has printed, so that it can tell what a deleted object was and which
    properties changed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.keys: list[Any] = []
        self.known: dict[Any, dict[str, Any]] = {}

    def __call__(self, collection: Results[Any], changes: CollectionChanges) -> None:
        keys = collection._keys()
        if not changes:
            self.known = {key: instance.to_dict() for key, instance in zip(keys, collection, strict=True) if instance}
        for index in changes.deletions:
            self.line("red", "-", self.known.pop(self.keys[index], {}))
        for index in changes.insertions + changes.new_modifications:
            instance = collection[index]
            if instance is not None:
                now, before = instance.to_dict(), self.known.get(keys[index])
                self.known[keys[index]] = now
                if before is None:
                    self.line("green", "+", now)
                else:
                    changed = {name: value for name, value in now.items() if before.get(name) != value}
                    self.line("yellow", "~", {PRIMARY_KEY: now[PRIMARY_KEY]} | changed)
        self.keys = keys

    def line(self, color: str, sign: str, values: dict[str, Any]) -> None:
        self.console.print(f"[{color}]{sign} {escape(_line(values))}[/{color}]", highlight=False, soft_wrap=True)


def _line(values: dict[str, Any]) -> str:
    return "  ".join(f"{name}={_text(value)}" for name, value in values.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _text(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value)


# --- offline ---------------------------------------------------------------------------------------------------------


class OfflineRealm(Realm):
    """A realm file without its session: readable, and writable as the subscriptions allow. Writes become pending."""

    def __init__(self, path: str) -> None:
        if not Path(path).exists():
            raise RealmError(f"There is no file '{path}'.", code="FileNotFound")
        super().__init__(path)
        # A file that ever got an ident belongs to a server: what is written here shall reach it.
        self._store.synced = self._store.file().epoch is not None or self._store.newest_set().version > 0

    def begin_transaction(self) -> None:
        super().begin_transaction()
        if self._store.synced:
            self._writable = {item.class_name for item in self._store.newest_set().subscriptions}


def _query(options: argparse.Namespace, console: Console) -> int:
    with OfflineRealm(options.file) as realm:
        results = realm.objects(options.class_name).filtered(options.query)
        found = len(results)
        rows = [instance.to_dict() for instance in results[: options.rows]]
        if options.json:
            for row in rows:
                print(json.dumps(row, default=_text, ensure_ascii=False))
            return 0
        table = RichTable(caption=_count(found, "object") + (f", {len(rows)} shown" if len(rows) < found else ""))
        for name in results.object_schema.properties:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*(escape(_text(value)) for value in row.values()))
        console.print(table)
        return 0


def _edit(options: argparse.Namespace, console: Console) -> int:
    with OfflineRealm(options.file) as realm:
        cls = realm.objects(options.class_name).object_schema
        schema = Schema(realm.schema)
        key_property = cls.properties[PRIMARY_KEY]
        key = (
            _new_key(key_property)
            if options.key == "new"
            else _parse(f"{cls.name}._id", key_property.type, options.key)
        )
        instance = realm.object_for_primary_key(cls.name, key)
        values: dict[str, Any] = {}
        for assignment in options.values:
            name, equals, text = assignment.partition("=")
            if not equals or name not in cls.properties:
                known = ", ".join(cls.properties)
                raise RealmError(f"'{assignment}' is not an assignment to a property of {cls.name}: {known}.")
            values[name] = _property_value(realm, schema, f"{cls.name}.{name}", cls.properties[name], text)
        with realm.write():
            if options.delete:
                if instance is None:
                    raise RealmError(f"There is no {cls.name} with the key {key}.")
                realm.delete(instance)
            elif instance is None:
                realm.create(cls.name, {PRIMARY_KEY: key} | values)
            else:
                for name, value in values.items():
                    instance[name] = value
        done = "deleted" if options.delete else "created" if instance is None else "changed"
        waiting = _count(realm._store.pending_count(), "transaction")
        console.print(f"{done} {cls.name} {escape(str(key))}; to be uploaded: {waiting}", highlight=False)
        return 0


def _property_value(realm: Realm, schema: Schema, where: str, prop: Property, text: str) -> Any:
    if prop.type != "object":
        return None if not text and (prop.optional or prop.type != "string") else _parse(where, prop.type, text)
    if not text:
        return None
    key = _parse(where, schema.wire_type(prop), text)
    target: Object | None = realm.object_for_primary_key(str(prop.object_type), key)
    if target is None:
        raise RealmError(f"{where}: there is no {prop.object_type} with the key {text}.")
    return target


def _new_key(prop: Property) -> Any:
    makers: dict[str, Any] = {"uuid": uuid.uuid4, "objectId": new_object_id, "string": lambda: uuid.uuid4().hex}
    if prop.type not in makers:
        raise RealmError(f"Keys of type '{prop.type}' are not made up: name one.")
    return makers[prop.type]()


def _parse(where: str, kind: str, text: str) -> Any:
    """A value from the command line."""
    try:
        match kind:
            case "bool":
                return {"true": True, "false": False}[text.lower()]
            case "int":
                return int(text)
            case "float" | "double":
                return float(text)
            case "decimal128":
                return Decimal(text)
            case "date":
                moment = datetime.fromisoformat(text)
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            case "objectId":
                return ObjectId(text)
            case "uuid":
                return uuid.UUID(text)
            case "data":
                return base64.b64decode(text, validate=True)
    except (ValueError, KeyError, InvalidOperation, ValueTypeError) as error:
        raise RealmError(f"{where}: '{text}' is not a value of type {kind}.") from error
    return text


def _status(options: argparse.Namespace, console: Console) -> int:
    if not Path(options.file).exists():
        raise RealmError(f"There is no file '{options.file}'.", code="FileNotFound")
    store = Store(options.file, create=False)
    try:
        file, newest = store.file(), store.newest_set()
        ident = str(file.client_file.ident) if file.client_file else "none yet"
        console.print(f"Realm file      {escape(store.path)}", highlight=False)
        console.print(f"Client file     {ident}" + (" (client reset under way)" if file.reset else ""), highlight=False)
        console.print(f"Server version  {file.progress.server_version}", highlight=False)
        pending = store.pending_count()
        console.print(f"To be uploaded  {_count(pending, 'transaction')}", highlight=False)
        console.print(f"Subscriptions   version {newest.version}, {newest.state}", highlight=False)
        if newest.error:
            console.print(f"                [red]{escape(newest.error)}[/red]", highlight=False)
        for item in newest.subscriptions:
            name = f"{item.name}: " if item.name is not None else ""
            console.print(f"                {escape(name)}{item.class_name} {escape(item.query)}", highlight=False)
        table = RichTable()
        table.add_column("Class")
        table.add_column("Objects", justify="right")
        for cls in store.schema:
            stored = store.table(cls.name)
            assert stored is not None
            count = store.connection.execute(f"SELECT count(*) FROM {stored.sql_name}").fetchone()[0]
            table.add_row(cls.name, str(count))
        console.print(table)
        return 0
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main())
