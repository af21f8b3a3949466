"""The console tool `realm-sync`: watch, query, edit and look into realm files.

    realm-sync watch  URL CLASS "query"           log in, download with a progress bar, then print live changes
    realm-sync query  FILE CLASS "query"          read a realm file offline, as a table
    realm-sync edit   FILE CLASS KEY prop=value … write into a realm file offline; uploaded when it syncs next
    realm-sync status FILE                        what the file holds and what waits to be uploaded

A shell over the public API: what it can do, a script can. `edit` and `query` may run while `watch` holds the file.
How things look is display.py's. Options stand anywhere on the line.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from realm_sync.core.edits import path_text
from realm_sync.core.encoding import decode_property
from realm_sync.core.errors import RealmSyncError, ValueTypeError
from realm_sync.core.messages import Create, Edit, Update
from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Property, Schema
from realm_sync.core.values import ObjectId

from .app import App, Credentials, User
from .configuration import SyncConfiguration
from .counters import Counter
from .database import ERRORS
from .display import ShortKeys, Show, change_line, label, table_lines, value_text, wire_values
from .errors import AppError, CompensatedWrite, CompensatingWriteError, RealmError, SyncError
from .listeners import CollectionChanges
from .lists import List
from .operation import Operation
from .realm import Realm
from .results import Results
from .settings import OpenBehavior
from .store import Store
from .subscriptions import new_object_id
from .sync_session import SyncSession
from .transport import ConnectionState

MOST_ROWS = 1000
"""Rows that `query` prints unless told otherwise."""
MOST_LINES = 100
"""Lines that `watch` prints of one transaction."""
EXPLAINED: tuple[type[Exception], ...] = (RealmSyncError, OSError, EOFError, *ERRORS)
"""Errors that end a command with a sentence."""


def main(arguments: Sequence[str] | None = None, stopped: threading.Event | None = None) -> int:
    """The exit status: 0, 1 for an error that it explains in a sentence, 130 after Ctrl-C. Setting `stopped` ends
    `watch`."""
    try:
        options = _parser().parse_args(arguments)
        options.stopped = stopped or threading.Event()
        result: int = options.run(options, Console())
        sys.stdout.flush()
        return result
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever reads, as `head` does, has enough; Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except EXPLAINED as error:
        text, remedy = str(error) or "Nothing was entered.", getattr(error, "remedy", "")
        _complain(text if remedy in text else f"{text} {remedy}")
        return 1


def _complain(sentence: str) -> None:
    Console(stderr=True).print(Text(sentence, "red"), soft_wrap=True)


class _Parser(argparse.ArgumentParser):
    """Takes options before, between and after the other arguments, and explains mistakes in a sentence."""

    _intermixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # Commands are parsed by this method of theirs. parse_known_intermixed_args() itself comes back here.
        if self._intermixing or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._intermixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixing = False

    def error(self, message: str) -> NoReturn:
        _complain(f"{message[:1].upper()}{message[1:]}. See `{self.prog} --help`.")
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="realm-sync",
        description="Follows realms that sync, and reads and writes their files offline.",
        epilog="`realm-sync COMMAND --help` has the options and examples of each.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands", dest="command")

    def command(name: str, run: Callable[..., int], help: str, description: str, *examples: str) -> _Parser:
        made: _Parser = commands.add_parser(
            name,
            help=help,
            description=description,
            epilog="examples:\n" + "\n".join(f"  realm-sync {name} {example}" for example in examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        return made

    watch = command(
        "watch",
        _watch,
        "log in, download what a query selects, then print live changes",
        "Logs in, subscribes to what the query selects, downloads it, and prints every change until Ctrl-C.\n"
        "Lines tell the time, what happened (+ new, ~ changed, − gone), the short key, the object, and what changed.",
        "http://127.0.0.1:8000 Inspection 'status != \"done\"' --email nora",
        "http://127.0.0.1:8000 Airfield 'country == \"NO\"' --anonymous --once",
    )
    watch.add_argument("url", metavar="URL", help="the server, such as http://127.0.0.1:8000")
    watch.add_argument("class_name", metavar="CLASS", help="such as Inspection")
    watch.add_argument(
        "query", metavar="QUERY", nargs="?", default="TRUEPREDICATE", help="RQL; everything unless given"
    )
    who = watch.add_mutually_exclusive_group()
    who.add_argument("--email", help="log in with email or user name, and a password")
    who.add_argument("--api-key", metavar="KEY", help="log in with an API key")
    who.add_argument("--anonymous", action="store_true", help="log in without a name (default: who was logged in last)")
    watch.add_argument("--password", help="asked for unless given")
    watch.add_argument("--file", help="realm file (default: the user's own below ./mongodb-realm)")
    watch.add_argument("--once", action="store_true", help="end after the download instead of watching")
    watch.add_argument("--app", default="realm-sync", metavar="ID", help="app id (default: %(default)s)")

    query = command(
        "query",
        _query,
        "read a realm file offline, as a table",
        "Prints the objects that the query selects, one line each, with as many properties as fit the terminal.",
        "nora.realm Inspection 'priority >= 4 SORT(due ASC)'",
        "nora.realm Inspection --columns title,status,due",
        "nora.realm Inspection 'TRUEPREDICATE LIMIT(1)' --json",
    )
    query.add_argument("file", metavar="FILE")
    query.add_argument("class_name", metavar="CLASS")
    query.add_argument(
        "query", metavar="QUERY", nargs="?", default="TRUEPREDICATE", help="RQL, also SORT, DISTINCT and LIMIT"
    )
    query.add_argument("--columns", metavar="A,B,…", help="these properties (default: those that fit)")
    query.add_argument("--rows", type=int, default=MOST_ROWS, metavar="N", help="most rows (default: %(default)s)")
    query.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")

    edit = command(
        "edit",
        _edit,
        "create, change or delete an object in a realm file, offline",
        "Writes into a realm file. What it wrote is uploaded when the file syncs next, at once if `watch` has it open.",
        "nora.realm Inspection 3fa85f64 'notes=Fence is torn' status=done",
        "nora.realm Inspection new title=Windsock airfield=ENSB team=9c1e77a0 due=2026-06-01",
        "nora.realm Inspection 3fa85f64 visits+=1 tags+=urgent tags-=new",
        "nora.realm Inspection 3fa85f64 --delete",
    )
    edit.add_argument("file", metavar="FILE")
    edit.add_argument("class_name", metavar="CLASS")
    edit.add_argument("key", metavar="KEY", help="the object's _id, or the beginning of it; `new` makes an object")
    edit.add_argument(
        "values",
        metavar="prop=value",
        nargs="*",
        default=[],
        help="`prop=` alone means null; a link takes its target's key, collections and embedded objects JSON; "
        "`prop+=` and `prop-=` change counters, lists and sets by one value",
    )
    edit.add_argument("--delete", action="store_true", help="delete the object")

    status = command(
        "status",
        _status,
        "what a realm file holds, and what waits to be uploaded",
        "Tells what a realm file holds, what it subscribed to, and what waits to be uploaded.",
        "nora.realm",
    )
    status.add_argument("file", metavar="FILE")
    return parser


# --- watch -----------------------------------------------------------------------------------------------------------


def _watch(options: argparse.Namespace, console: Console) -> int:
    stopped: threading.Event = options.stopped
    failed = threading.Event()
    news = News(console)

    def on_error(session: SyncSession, error: SyncError) -> None:
        if isinstance(error, CompensatingWriteError):
            for write in error.writes:
                news.refused(write)
        else:
            news.say(str(error), "red" if error.is_fatal else "yellow")
            if error.is_fatal:
                failed.set()
                stopped.set()

    user = _user(options, console)
    behavior = OpenBehavior("open_immediately")
    sync = SyncConfiguration(
        user, on_error=on_error, new_realm_file_behavior=behavior, existing_realm_file_behavior=behavior
    )
    with Realm(path=Path(options.file).absolute() if options.file else None, sync=sync) as realm:
        news.realm = realm
        session = realm.sync_session
        assert session is not None
        console.print(Text(realm.path, "dim"), soft_wrap=True)
        if pending := realm._store.pending_count():
            news.say(f"{_count(pending, 'transaction')} to be uploaded", "yellow")
        session.add_progress_notification("upload", "report_indefinitely", news.uploaded)
        session.add_connection_notification(news.connection)
        news.connection(session.connection_state)
        try:
            results = _download(realm, session, options, console)
            if results is not None and options.once:
                console.print(f"{_count(len(results), 'object')} of {results.type}.", highlight=False)
            elif results is not None:
                results.add_listener(news)
                while not stopped.wait(1.0):
                    pass
        finally:
            session.remove_connection_notification(news.connection)  # that it ends here is no news
    return int(failed.is_set())


def _user(options: argparse.Namespace, console: Console) -> User:
    """Logs in. Without the network, whoever logged in here before may go on."""
    app = App(options.app, base_url=options.url)
    credentials = None
    if options.email:
        password = options.password if options.password is not None else console.input("Password: ", password=True)
        credentials = Credentials.email_password(options.email, password)
    elif options.api_key:
        credentials = Credentials.api_key(options.api_key)
    elif options.anonymous:
        credentials = Credentials.anonymous()
    if credentials is None:
        if app.current_user is None:
            raise RealmError("Nobody has logged in on this device: give --email, --api-key or --anonymous.")
        return app.current_user
    try:
        return app.log_in(credentials).result()
    except AppError as error:
        if not error.is_network:
            raise RealmError(f"The server refuses the log-in: {error}.") from error
        for known in app.all_users.values():
            if known.is_logged_in and options.email in known.profile.values():
                return known
        raise RealmError(
            f"{options.url} does not answer: is the server running, and the URL right? ({error})"
        ) from error


def _download(realm: Realm, session: SyncSession, options: argparse.Namespace, console: Console) -> Results[Any] | None:
    """Subscribes if need be and waits until what was subscribed to is here; None if it was stopped.

    A file that has the subscription waits for nothing: what happened since then is printed as it comes."""
    stopped: threading.Event = options.stopped

    def finish(operation: Operation[Any]) -> None:
        _finish(operation, session, stopped, console)

    if not any(cls.name == options.class_name for cls in realm.schema):
        finish(session.download_all_server_changes())
        if stopped.is_set():
            return None
    results = realm.objects(options.class_name).filtered(options.query)
    subscriptions = realm.subscriptions
    if subscriptions.find_by_query(results) is None:
        waiting = subscriptions.update(lambda mutable: mutable.add(results))
        try:
            finish(waiting)
        except RealmError:  # refused: the next query shall not suffer from it
            realm.subscriptions.update(lambda mutable: mutable.remove(results))
            raise
    elif subscriptions.state == "pending":
        finish(subscriptions.wait_for_synchronization())
    elif options.once:
        finish(session.download_all_server_changes())
    return None if stopped.is_set() else results


def _finish(operation: Operation[Any], session: SyncSession, stopped: threading.Event, console: Console) -> None:
    """Waits for an operation under a progress bar, so that Ctrl-C and a fatal error end it."""
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("downloading", total=1.0)

        def advanced(estimate: float) -> None:
            progress.update(task, completed=estimate)

        session.add_progress_notification("download", "report_indefinitely", advanced)
        try:
            while not stopped.is_set():
                try:
                    operation.result(0.2)
                    return
                except TimeoutError:
                    if operation.done():
                        raise
        except SyncError:
            pass  # on_error has it as well
        finally:
            session.remove_progress_notification(advanced)


class News:
    """What `watch` prints: a line per event. Keeps the objects as it printed them, so that it can tell what a deleted
    one was and which properties changed. Called from the session's and the notifier's threads."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.realm: Realm | None = None
        self._keys: list[Any] = []
        self._known: dict[Any, dict[str, Any]] = {}
        self._online: bool | None = None

    def say(self, text: str, style: str = "dim") -> None:
        self.console.print(Text.assemble((f"{datetime.now():%H:%M:%S} ", "dim"), (text, style)), soft_wrap=True)

    def connection(self, new: ConnectionState, old: ConnectionState | None = None) -> None:
        online = new == "connected"
        if online != self._online and new != "connecting" and (online or old is not None):
            self._online = online
            self.say("online" if online else "offline: trying again, and what you write waits in the file")

    def uploaded(self, estimate: float) -> None:
        if estimate == 1:
            self.say("everything is uploaded", "green")

    def refused(self, write: CompensatedWrite) -> None:
        name, key = "", value_text(write.primary_key)
        if self.realm is not None and write.object_name in self.realm._visible_classes:
            cls = self.realm.objects(write.object_name).object_schema
            key = _show(self.realm, cls)(PRIMARY_KEY, write.primary_key)
            instance = self.realm.object_for_primary_key(write.object_name, write.primary_key)
            name = label(cls, instance.to_dict()) if instance is not None else ""
        where = None if write.reason.startswith(f"{write.property}:") else write.property
        what = " ".join(filter(None, [write.object_name, key, name, where]))
        self.say(f"! refused and undone: {what}: {write.reason} ({write.code})", "red")

    def __call__(self, collection: Results[Any], changes: CollectionChanges) -> None:
        """The listener of the query's results; its first call has no changes."""
        keys = collection._keys()
        gone_keys = [self._keys[index] for index in changes.deletions]
        cls, show = collection.object_schema, _show(collection._realm, collection.object_schema, gone_keys)
        lines: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        if not changes:
            self._known = {key: instance.to_dict() for key, instance in zip(keys, collection, strict=True) if instance}
            self.say(f"{_count(len(keys), 'object')} of {collection.type}; Ctrl-C ends", "bold")
        moved = {keys[index] for index in changes.insertions}  # sorted results tell of a move as gone and new
        for index in changes.deletions:
            if self._keys[index] not in moved:
                gone = self._known.pop(self._keys[index], None)
                if gone is not None:
                    lines.append(("−", gone, {}))
        for index in sorted(changes.insertions + changes.new_modifications):
            instance = collection[index]
            if instance is None:  # gone meanwhile, which the next call tells
                continue
            now, before = instance.to_dict(), self._known.get(keys[index])
            self._known[keys[index]] = now
            if before is None:
                lines.append(("+", now, _worth_showing(cls, now)))
            elif changed := {name: value for name, value in now.items() if before[name] != value}:
                lines.append(("~", now, changed))
        self._keys = keys
        moment = datetime.now()
        for sign, values, shown in lines[:MOST_LINES]:
            name = label(cls, values)
            line = change_line(sign, show(PRIMARY_KEY, values[PRIMARY_KEY]), name, shown, show, moment)
            if sign == "+" and self.console.is_terminal:  # of a new object as much as fits a line
                self.console.print(line, no_wrap=True, overflow="ellipsis")
            else:
                self.console.print(line, soft_wrap=True)
        if len(lines) > MOST_LINES:
            self.say(f"… and {len(lines) - MOST_LINES} more")


def _worth_showing(cls: ObjectSchema, values: dict[str, Any]) -> dict[str, Any]:
    """Of a new object everything but the key, what serves as its label, and what is empty."""
    name = label(cls, values)
    return {
        n: v for n, v in values.items() if n != PRIMARY_KEY and v not in (None, "", [], {}) and value_text(v) != name
    }


def _show(realm: Realm, cls: ObjectSchema, gone: Sequence[Any] = ()) -> Show:
    """How the values of a class look: keys and links as short keys. `gone`: keys that were there a moment ago, so that
    a deleted object is called as it was."""
    keys = ShortKeys(lambda name: [*realm.objects(name)._keys(), *(gone if name == cls.name else ())])
    schema = Schema(realm.schema)

    def show(name: str, value: Any) -> str:
        prop = cls.properties[name]
        if name == PRIMARY_KEY:
            return keys.text(cls.name, prop.type, value)
        return text(prop, value)

    def text(prop: Property, value: Any) -> str:
        target = schema.get(prop.object_type or "")
        if value is None or target is None or target.embedded:
            return value_text(value)
        if prop.type in ("list", "set"):
            return f"[{', '.join(text(schema.element(prop), each) for each in value)}]"
        if prop.type == "dictionary":
            inner = (f"{value_text(key)}: {text(schema.element(prop), each) or 'null'}" for key, each in value.items())
            return "{" + ", ".join(inner) + "}"
        return keys.text(target.name, target.key_type, value)

    return show


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


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
        cls, found = results.object_schema, len(results)
        columns = [name.strip() for name in options.columns.split(",")] if options.columns else []
        for name in columns:
            _property(cls, name)
        rows = [instance.to_dict() for instance in results[: max(0, options.rows)]]
        if options.json:
            schema = Schema(realm.schema)
            for row in rows:
                image = wire_values(cls, schema, row)
                print(json.dumps({name: image[name] for name in columns or image}, ensure_ascii=False))
            return 0
        # What is no terminal, a file or another program, has no width to fit.
        width = console.width if console.is_terminal or "COLUMNS" in os.environ else None
        asked = [name for name in cls.properties if re.search(rf"\b{name}\b", options.query)]
        lines, left_out = table_lines(cls, rows, _show(realm, cls), columns, asked, width)
        for line in lines if rows else []:
            console.print(line, soft_wrap=True)
        shown = f" ({len(rows)} shown, --rows N for more)" if len(rows) < found else ""
        more = f"; --columns for {', '.join(left_out)}" if left_out else ""
        console.print(Text(f"{_count(found, 'object')} of {cls.name}{shown}{more}", "dim"), soft_wrap=True)
        return 0


def _property(cls: ObjectSchema, name: str) -> Property:
    if name not in cls.properties:
        raise RealmError(f"{cls.name} has no property '{name}': it has {', '.join(cls.properties)}.")
    return cls.properties[name]


def _edit(options: argparse.Namespace, console: Console) -> int:
    with OfflineRealm(options.file) as realm:
        cls = realm.objects(options.class_name).object_schema
        values: dict[str, Any] = {}
        changes: list[tuple[str, str, Any]] = []
        for assignment in options.values:
            name, equals, text = assignment.partition("=")
            if not equals:
                raise RealmError(f"'{assignment}' changes nothing: write property=value.")
            if name[-1:] in ("+", "-"):
                changes.append((name[:-1], name[-1], _change(realm, cls, name[:-1], name[-1], text)))
            else:
                values[name] = _value(realm, cls, name, _property(cls, name), text)
        if options.delete == bool(values or changes) and options.key != "new":
            raise RealmError("Write what shall change, as property=value, or --delete, and not both.")
        show = _show(realm, cls)
        with realm.write():
            if options.key == "new":
                key = values.pop(PRIMARY_KEY, None) or _new_key(cls.properties[PRIMARY_KEY])
                sign, instance = "+", realm.create(cls.name, {PRIMARY_KEY: key} | values)
                values = _worth_showing(cls, instance.to_dict())
            else:
                otherwise = "`realm-sync query` shows the keys, and the key `new` makes an object"
                key = _find_key(realm, cls, options.key, otherwise)
                sign, instance = "−" if options.delete else "~", realm.object_for_primary_key(cls.name, key)
                for name, value in values.items():
                    _assign(instance, name, value)
            for name, sign_of, value in changes:
                _apply(instance[name], sign_of, value)
                values[name] = instance.to_dict()[name]
            name = label(cls, instance.to_dict())
            if options.delete:
                realm.delete(instance)
        console.print(change_line(sign, show(PRIMARY_KEY, key), name, values, show, datetime.now()), soft_wrap=True)
        if pending := realm._store.pending_count():
            console.print(Text(f"{_count(pending, 'transaction')} to be uploaded", "dim"))
        return 0


def _find_key(realm: Realm, cls: ObjectSchema, text: str, otherwise: str) -> Any:
    """The key of the object that is meant: its whole key, or the beginning of that and of no other's. `otherwise`: what
    to do if there is none."""
    table = realm._table_of(cls.name)
    wanted = text if cls.key_type == "string" else text.lower()
    matching = [key for key in realm.objects(cls.name)._keys() if str(key).startswith(wanted)]
    exact = [key for key in matching if str(key) == wanted]
    if not matching or (cls.key_type == "int" and not exact):
        raise RealmError(f"This file has no {cls.name} with the key {text}: {otherwise}.")
    if len(exact or matching) > 1:
        few = ", ".join(str(key) for key in matching[:4]) + (" …" if len(matching) > 4 else "")
        raise RealmError(
            f"{len(matching)} objects of {cls.name} have keys that begin with {text}: {few}. Type more of it."
        )
    return table.to_python(PRIMARY_KEY, (exact or matching)[0])


def _value(realm: Realm, cls: ObjectSchema, name: str, prop: Property, text: str) -> Any:
    where = f"{cls.name}.{name}"
    if not text:
        return "" if prop.type == "string" and not prop.optional else None
    schema = Schema(realm.schema)
    if prop.type == "mixed" or prop.is_collection or schema.is_embedded(prop.object_type):
        return _parse_json(where, schema, prop, text)
    if prop.type != "object":
        return _parse(where, prop.type, text)
    target = realm.objects(str(prop.object_type)).object_schema
    try:
        return _parse(where, target.key_type, text)  # whole: its object need not be in the file
    except RealmError:
        return _find_key(realm, target, text, "subscribe to it, or write the whole key")


def _parse_json(where: str, schema: Schema, prop: Property, text: str) -> Any:
    """Wire JSON: `["a", "b"]`, `{"city": "Alta"}`. A mixed value that is no JSON is a string."""
    try:
        return decode_property(schema, where, prop, json.loads(text))
    except json.JSONDecodeError as error:
        if prop.type == "mixed":
            return text
        raise RealmError(f"{where}: '{text}' is not JSON (such as {_JSON_EXAMPLES.get(prop.type, '{…}')}).") from error


_JSON_EXAMPLES = {"list": '["a", "b"]', "set": '["a", "b"]', "dictionary": '{"key": "value"}'}


def _change(realm: Realm, cls: ObjectSchema, name: str, sign: str, text: str) -> Any:
    """What `name+=text` adds or takes away: an amount of a counter, an element of a list or set."""
    prop = _property(cls, name)
    if prop.is_counter:
        return _parse(f"{cls.name}.{name}", "int", text)
    if prop.type not in ("list", "set"):
        raise RealmError(f"{cls.name}.{name}: only counters, lists and sets take {sign}=.")
    return _value(realm, cls, name, Schema(realm.schema).element(prop), text)


def _assign(instance: Any, name: str, value: Any) -> None:
    counter = instance[name]
    if isinstance(counter, Counter) and value is not None:
        counter.set(value)
    else:
        instance[name] = value


def _apply(place: Any, sign: str, value: Any) -> None:
    if place is None:
        raise RealmError("The counter is null: write property=value.")
    try:
        if isinstance(place, Counter):
            place.increment(value if sign == "+" else -value)
        elif sign == "-":
            place.remove(value)
        elif isinstance(place, List):
            place.append(value)
        else:
            place.add(value)
    except (ValueError, KeyError) as error:
        raise RealmError(f"There is no {value_text(value)!r} to be removed.") from error


def _new_key(prop: Property) -> Any:
    makers: dict[str, Any] = {"uuid": uuid.uuid4, "objectId": new_object_id, "string": lambda: uuid.uuid4().hex}
    if prop.type not in makers:
        raise RealmError(f"Keys of type '{prop.type}' are not made up: name one.")
    return makers[prop.type]()


EXAMPLES = {"bool": "true or false", "int": "3", "date": "2026-01-31 or 2026-01-31T12:30+01:00", "data": "base64"}


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
        example = f" (such as {EXAMPLES[kind]})" if kind in EXAMPLES else ""
        raise RealmError(f"{where}: '{text}' is not a value of type {kind}{example}.") from error
    return text


def _status(options: argparse.Namespace, console: Console) -> int:
    if not Path(options.file).exists():
        raise RealmError(f"There is no file '{options.file}'.", code="FileNotFound")
    store = Store(options.file, create=False)
    try:
        file, newest = store.file(), store.newest_set()

        def line(heading: str, text: str, style: str = "") -> None:
            console.print(Text.assemble((f"{heading:16}", "bold"), (text, style)), soft_wrap=True)

        line("Realm file", store.path)
        ident = str(file.client_file.ident) if file.client_file else "none yet"
        line("Client file", ident + (" (client reset under way)" if file.reset else ""))
        line("Server version", str(file.progress.server_version))
        line("Subscriptions", f"version {newest.version}, {newest.state}")
        if newest.error:
            line("", newest.error, "red")
        for item in newest.subscriptions:
            name = f"{item.name}: " if item.name is not None else ""
            line("", f"{name}{item.class_name} {item.query}")
        heading = "Objects"
        for cls in store.schema:
            stored = store.table(cls.name)
            if stored is None or cls.asymmetric:
                continue
            count = store.connection.execute(f"SELECT count(*) FROM {stored.sql_name}").fetchone()[0]
            line(heading, f"{count:7} {cls.name}")
            heading = ""
        pending = store.pending_count()
        line("To be uploaded", _count(pending, "transaction"), "yellow" if pending else "")
        for changeset in store.pending(0, None, 1_000_000)[:MOST_LINES]:
            written = datetime.fromtimestamp(changeset.timestamp / 1000)
            for step in changeset.instructions[:MOST_LINES]:
                names = " " + ", ".join(step.values) if isinstance(step, (Create, Update)) else ""
                names += f" {path_text(step.path)}" if isinstance(step, Edit) else ""
                what = type(step).__name__
                what = what[0].lower() + what[1:]  # as PROTOCOL.md writes it: setInsert
                line("", f"{written:%Y-%m-%d %H:%M:%S} {what} {step.class_name} {step.id}{names}", "dim")
        return 0
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main())
