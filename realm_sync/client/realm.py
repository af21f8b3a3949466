"""Realm: one local database file, as its users know it.

Decides transactions, object creation and what misuse is answered with (words as in Realm); opens files by the table of
R11. Reads and writes never wait for the network. A Realm may be used from any thread; a write transaction belongs to
the thread that began it. Two Realms of one file in a process share everything but their listeners.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, Literal, TypeVar, overload

from realm_sync.core.declarations import parse_class
from realm_sync.core.edits import derive
from realm_sync.core.encoding import encode_property
from realm_sync.core.errors import SchemaError
from realm_sync.core.messages import AnyEdit
from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Property, Schema
from realm_sync.core.values import SCALARS

from .additions import stored
from .configuration import Configuration, InitialSubscriptions, SchemaItem, read_configuration
from .conversion import UpdateMode, plain, to_wire, value_at
from .declared import NO_DEFAULT, Declared, class_names, declared_schema, default_value
from .elements import Elements
from .embedded import EmbeddedObject
from .errors import RealmError
from .files import check_conversion, delete_files, merge, write_copy
from .hooks import RealmHooks
from .listeners import CollectionObserver, ObjectChanges, ObjectObserver, Observer, deliver, running_loop
from .live import INVALID, Live, Path, follow, follow_edits, replaced
from .objects import Object
from .open_files import FrozenFile, OpenFile, release, share
from .opening import OpeningRealm, open_realm
from .operation import Operation
from .place_listeners import PlaceObserver
from .rebase import EDITS
from .results import ElementResults, FrozenResults, LinkingResults, Results
from .store import Store
from .subscriptions import MutableSubscriptionSet, SubscriptionSet
from .sync_session import SyncSession
from .tables import Table
from .transport import SyncOptions, Transport
from .writer import Writer

T = TypeVar("T", bound=Object)
R = TypeVar("R")
ClassName = str | type[Object]
_closing = threading.Lock()


class _DefaultPath:
    def __get__(self, instance: object, owner: type) -> str:
        return str(Configuration().file_path)


class Realm:
    """An open realm. Close it with `close()`, or use it as a context manager."""

    default_path = _DefaultPath()
    """The file of a realm without path and sync: `default.realm` in the working directory."""

    _config: Configuration
    _loop: asyncio.AbstractEventLoop | None
    _ending: bool
    """Some thread has begun to close it: it is released once."""
    _closed: bool
    _file: OpenFile | FrozenFile
    _hooks: RealmHooks | None
    _store: Store
    _transport: Transport | None
    _declared: Schema | None
    _classes: dict[str, type[Declared]]
    _dynamic: dict[str, type[Declared]]
    """Classes made up for objects of classes that only the schema declares."""
    _writer: Writer | None
    _writer_thread: int | None
    _writable: set[str] | None
    """Classes that may be written in this transaction; None: all."""
    _sql_transaction: AbstractContextManager[Any] | None
    _change_listeners: list[Callable[[Realm, str], object]]
    _observers: dict[Any, list[tuple[Any, Observer]]]
    """The observers of this realm's listeners, by what they listen to."""
    _refreshed: int
    _was_opened: bool
    """Some opening of the file succeeded before this one."""
    _unsubscribed: _Unsubscribed | None
    """The initial subscriptions have not run."""
    _own_revisions: set[int]
    """The revisions of this realm's commits, while it has `change` listeners to be spared of them."""

    def __init__(self, config: Configuration | str | FilePath | None = None, **options: Any) -> None:
        """Opens at once, without waiting for the network; sync goes on in the background.

        `config`: a Configuration or a path; or its fields as keywords: `Realm(schema=[…], sync=…)`."""
        self._start(read_configuration(config, options), running_loop())
        try:
            self._run_initial_subscriptions()
            self._opened()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, config: Configuration | str | FilePath | None = None, **options: Any) -> OpeningRealm:
        """Opens by the table of R11: by default when everything subscribed to is here, at most after 30 s.

        `await Realm.open(config)` or `Realm.open(config).result()`. Never raises itself: what is wrong with the
        configuration comes out of the operation as well."""
        loop = running_loop()

        def make(config: Configuration) -> Realm:
            realm = cls.__new__(cls)
            realm._start(config, loop)
            return realm

        return open_realm(lambda: read_configuration(config, options), make)

    @staticmethod
    def exists(config: Configuration | str | FilePath | None = None, **options: Any) -> bool:
        return read_configuration(config, options).file_path.exists()

    @staticmethod
    def delete_file(config: Configuration | str | FilePath | None = None, **options: Any) -> None:
        """Deletes the file and all that belongs to it; a missing one is no error. What was not uploaded is lost.

        A session that is still uploading after its realms were closed ends. Raises RealmError with code
        DeleteOnOpenRealm, and deletes nothing, while a realm of this process has the file or another process syncs
        it."""
        delete_files(read_configuration(config, options).file_path)

    # --- state -------------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        return self._store.path

    @property
    def schema(self) -> list[ObjectSchema]:
        """The classes of this realm: those it was opened with, else all of the file."""
        return list(self._declared) if self._declared is not None else list(self._store.schema)

    @property
    def is_read_only(self) -> bool:
        return self._config.read_only or isinstance(self._file, FrozenFile)

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def is_in_transaction(self) -> bool:
        return self._writer is not None and self._writer_thread == threading.get_ident()

    @property
    def is_empty(self) -> bool:
        return all(self.objects(name).is_empty() for name in self._visible_classes)

    @property
    def _visible_classes(self) -> list[str]:
        """Those whose objects can be queried."""
        return [cls.name for cls in self.schema if not (cls.embedded or cls.asymmetric)]

    @property
    def sync_session(self) -> SyncSession | None:
        """The session; None for a local realm."""
        return self._file.session

    @property
    def subscriptions(self) -> SubscriptionSet:
        """The newest subscription set."""
        sync = self._config.sync
        if sync is None or not sync.is_flexible:
            actual = "sync is currently disabled" if sync is None else "partition based sync is enabled"
            raise RealmError(
                f"`subscriptions` can only be accessed if flexible sync is enabled, but {actual} for your app."
            )
        return SubscriptionSet(self, self._open_store.newest_set())

    # --- transactions ------------------------------------------------------------------------------------------------

    @overload
    def write(self) -> AbstractContextManager[Realm]: ...
    @overload
    def write(self, callback: Callable[[], R]) -> R: ...
    def write(self, callback: Callable[[], R] | None = None) -> AbstractContextManager[Realm] | R:
        """A write transaction: `with realm.write(): …`, or `realm.write(function)`, whose value it returns.

        What it did is durable when it ends (R9). If something is raised inside, nothing of it happened."""
        if callback is None:
            return self._transaction()
        with self._transaction():
            return callback()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Realm]:
        self.begin_transaction()
        try:
            yield self
        except BaseException:
            if self.is_in_transaction:
                self.cancel_transaction()
            raise
        if self.is_in_transaction:
            self.commit_transaction()

    def begin_transaction(self) -> None:
        """Waits for other writers, sync included. Raises RealmError if this thread is in a transaction already."""
        store = self._open_store
        if self.is_read_only:
            kind = "a frozen Realm" if isinstance(self._file, FrozenFile) else "read-only Realms."
            raise RealmError(f"Can't perform transactions on {kind}", code="WrongTransactionState")
        store.check_process()  # before SQLite is asked anything: its mutexes may have been held when the process forked
        if not store.synced and store.has_synced():
            raise RealmError(
                f"The realm at '{store.path}' syncs, but was opened without `sync`: what is written now would never be "
                "uploaded. Open it with `sync`, or write to a local copy that `write_copy_to` makes.",
                code="IncompatibleHistories",
            )
        if store.lock.owner == threading.get_ident():
            raise RealmError("The Realm is already in a write transaction", code="WrongTransactionState")
        transaction = store.transaction()
        connection = transaction.__enter__()
        try:
            # Subscribing allows writing: the classes of the newest set, whatever its state.
            self._writable = (
                {item.class_name for item in store.newest_set().subscriptions} if self._transport is not None else None
            )
            self._writer, self._writer_thread = store.writer(connection), threading.get_ident()
        except BaseException as error:
            transaction.__exit__(type(error), error, error.__traceback__)
            raise
        self._sql_transaction = transaction

    def commit_transaction(self) -> None:
        """Makes the transaction durable. Raises RealmError, and rolls back, if it is larger than the server accepts."""
        writer, transaction = self._writer, self._sql_transaction
        if writer is None or transaction is None or not self.is_in_transaction:
            raise RealmError("Can't commit a non-existing write transaction", code="WrongTransactionState")
        try:
            try:
                writer.finish(int(time.time() * 1000))
            except BaseException as error:
                self._end_transaction()
                with contextlib.suppress(type(error)):
                    transaction.__exit__(type(error), error, error.__traceback__)
                raise
            self._end_transaction()
            if self._change_listeners:
                # A thousand commits back every observer has looked.
                self._own_revisions = {r for r in self._own_revisions if r > writer.revision - 1000}
                self._own_revisions.add(writer.revision)
            transaction.__exit__(None, None, None)
        finally:
            self._committed()
        for callback in list(self._change_listeners):
            callback(self, "change")

    def cancel_transaction(self) -> None:
        """Rolls back."""
        transaction = self._sql_transaction
        if transaction is None or not self.is_in_transaction:
            raise RealmError("Can't cancel a non-existing write transaction", code="WrongTransactionState")
        self._end_transaction()
        with contextlib.suppress(_Cancel):
            transaction.__exit__(_Cancel, _Cancel(), None)
        self._file.notifier.version += 1

    def _end_transaction(self) -> None:
        self._writer = self._sql_transaction = None

    # --- objects -----------------------------------------------------------------------------------------------------

    @overload
    def objects(self, type: type[T]) -> Results[T]: ...
    @overload
    def objects(self, type: str) -> Results[Any]: ...
    def objects(self, type: ClassName) -> Results[Any]:
        """Live results of all objects of a class. Raises RealmError for a class that is not in the schema."""
        return Results(self, self._queryable(type))

    @overload
    def object_for_primary_key(self, type: type[T], key: Any) -> T | None: ...
    @overload
    def object_for_primary_key(self, type: str, key: Any) -> Any: ...
    def object_for_primary_key(self, type: ClassName, key: Any) -> Any:
        """The object with this key, or None. Raises ValueTypeError for a key of the wrong type."""
        table = self._queryable(type)
        wire = encode_property(self._store.schema, f"{table.name}._id", table.cls.properties[PRIMARY_KEY], key)
        instance = self._wrap(table, table.key_from_wire(wire), None)
        return instance if instance.is_valid() else None

    @overload
    def create(self, type: type[T], values: Mapping[str, Any] = ..., mode: UpdateMode = ...) -> T: ...
    @overload
    def create(self, type: str, values: Mapping[str, Any] = ..., mode: UpdateMode = ...) -> Any: ...
    def create(self, type: ClassName, values: Mapping[str, Any] | None = None, mode: UpdateMode = "never") -> Any:
        """A new object, or with mode `modified` or `all` the existing one with this key, changed. Links take an object,
        a mapping, which is created likewise, or the target's key; embedded objects and collections take plain values;
        unknown keys in `values` are ignored. Of an asymmetric class it returns None: such objects are only uploaded.

        A key may be that of an object which is not in this file: the link then reads as None until it is. The server
        undoes a link to what does not exist."""
        return self._create(type, values, mode)

    def _create(
        self, type: ClassName, values: Mapping[str, Any] | None, mode: UpdateMode, sets_counters: bool = False
    ) -> Any:
        """`sets_counters`: of an object that exists as well, which apps must not do by accident."""
        if mode not in ("never", "modified", "all"):
            raise RealmError(
                "Unsupported 'update_mode'. Only 'never', 'modified' or 'all' is supported.", code="InvalidArgument"
            )
        writer = self._writing()
        table = self._table_of(type)
        self._check_writable(table)
        values = {} if values is None else values
        if not isinstance(values, Mapping):
            raise RealmError("Values of an object are given as a mapping, by property.", code="InvalidArgument")
        declared = self._class_schema(table.name)
        python_class = self._classes.get(table.name)
        given = [name for name, prop in declared.properties.items() if name in values and prop.type != "linkingObjects"]
        wire = {name: self._to_wire(name, declared.properties[name], values[name], mode) for name in given}
        if wire.get(PRIMARY_KEY) is None:
            wire[PRIMARY_KEY] = self._default_key(table, declared.properties[PRIMARY_KEY], python_class)
        key = table.key_from_wire(wire[PRIMARY_KEY])
        row = writer.get(table, key)
        if row is not None:
            if mode == "never":
                raise RealmError(
                    f"Attempting to create an object of type '{table.name}' with an existing primary key value "
                    f"'{wire[PRIMARY_KEY]}'.",
                    code="ObjectAlreadyExists",
                )
            existing: Object = self._wrap(table, key, None)
            self._change(writer, existing, table.image(row), wire, mode, sets_counters)
            return existing
        partition = self._partition
        for name, prop in declared.properties.items():
            if name not in wire and prop.type != "linkingObjects":
                default = partition[name] if name in partition else default_value(python_class, name)
                if default is not NO_DEFAULT:
                    wire[name] = self._to_wire(name, prop, default, mode)
                elif not (prop.optional or prop.is_collection or prop.has_default or prop.read_only):
                    raise RealmError(f"Missing value for property '{table.name}.{name}'", code="MissingPropertyValue")
        writer.create(table, wire)
        self._file.notifier.version += 1
        return None if table.cls.asymmetric else self._wrap(table, key, None)

    def _change(
        self,
        writer: Writer,
        existing: Object,
        old: dict[str, Any],
        wire: dict[str, Any],
        mode: UpdateMode,
        sets_counters: bool,
    ) -> None:
        """`create` of an object that exists."""
        whole: dict[str, Any] = {}
        for name, value in wire.items():
            prop = existing._table.cls.properties[name]
            if name == PRIMARY_KEY:
                continue
            if prop.is_collection:
                self._assign(existing, (name,), prop, value)
                continue
            if not sets_counters:
                self._check_assignable((name,), prop, old[name], value)
            if mode == "all" or old[name] != value:
                whole[name] = value
        if whole:
            self._update(writer, existing._table, existing._key, whole)

    def delete(self, subject: Object | EmbeddedObject | Iterable[Any]) -> None:
        """Deletes an object, or all of an iterable or Results. An embedded object is taken out of what it is in; a list
        or set of values becomes empty."""
        if self._writer is None or not self.is_in_transaction:
            self._open_store  # noqa: B018 (raises if closed)
            raise RealmError("Can only delete objects within a transaction.", code="WrongTransactionState")
        if isinstance(subject, Object):
            self._delete(self._writer, subject)
        elif isinstance(subject, EmbeddedObject):
            self._remove(subject)
        elif isinstance(subject, Elements) and subject._target is None:
            subject.clear()
        elif isinstance(subject, Iterable) and not isinstance(subject, (str, bytes, Mapping)):
            for instance in list(subject):
                if not isinstance(instance, (Object, EmbeddedObject)):
                    raise RealmError("Can only delete objects, lists and results.", code="InvalidArgument")
                self.delete(instance)
        else:
            raise RealmError("Can only delete objects, lists and results.", code="InvalidArgument")

    def delete_all(self) -> None:
        """Deletes every object of every class."""
        for name in self._visible_classes:
            results = self.objects(name)
            if results or self._transport is None:
                self.delete(results)

    def _delete(self, writer: Writer, instance: Object) -> None:
        if instance._realm.path != self.path:
            raise RealmError("Can't delete an object from another Realm", code="InvalidArgument")
        if self._row(instance) is None:
            raise RealmError(
                "Object is invalid. Either it has been previously deleted or the Realm it belongs to has been closed.",
                code="InvalidatedObject",
            )
        self._check_writable(instance._table)
        writer.delete(instance._table, instance._key)
        self._file.notifier.version += 1

    # --- listeners ---------------------------------------------------------------------------------------------------

    def add_listener(self, event: Literal["change"], callback: Callable[[Realm, str], object]) -> None:
        """`callback(realm, "change")` at the end of every local commit, in its thread; and when others have written, on
        the notifier's thread or in the asyncio loop that is running now."""
        if event != "change":
            raise RealmError(f"Unknown event name '{event}': only 'change' is supported.", code="InvalidArgument")
        if callback not in self._change_listeners:
            self._change_listeners.append(callback)
            loop = running_loop() or self._loop
            self._observe(("realm", callback), callback, _RealmObserver(self, callback, loop))

    def remove_listener(self, event: Literal["change"], callback: Callable[[Realm, str], object]) -> None:
        if callback in self._change_listeners:
            self._change_listeners.remove(callback)
            self._remove_listener(("realm", callback), callback)

    def remove_all_listeners(self) -> None:
        """Of this realm, its objects and collections."""
        self._change_listeners.clear()
        for observers in self._observers.values():
            for _, observer in observers:
                self._file.notifier.remove(observer)
        self._observers.clear()

    def refresh(self) -> bool:
        """Sees what other processes committed, now; true if there was something. Their commits are seen within a fifth
        of a second anyway, those of this process at once."""
        store, before = self._open_store, self._refreshed
        self._refreshed = store.data_version()
        if self._refreshed != before:
            self._file.notifier.changed()
        return self._refreshed != before

    # --- files -------------------------------------------------------------------------------------------------------

    def compact(self) -> bool:
        """Gives the file's free space back to the disk; false if others were at the file meanwhile."""
        store = self._open_store
        if self.is_read_only:
            raise RealmError("Can't compact a read-only Realm", code="WrongTransactionState")
        if store.lock.owner == threading.get_ident():
            raise RealmError("Cannot compact a Realm within a transaction.", code="WrongTransactionState")
        return store.compact()

    def write_copy_to(self, config: Configuration | str | FilePath | None = None, **options: Any) -> None:
        """Copies this realm to the file of `config`, with other encryption, or without sync, if that says so.

        A new file has everything that is visible here. It appears as a whole, or not at all. If it syncs, it can be
        used offline at once, and downloads anew when it is opened; nothing may be pending here then. Into a file that
        exists, which `config` opens, the objects of this realm's classes are merged by primary key, with mode
        `modified`: in one transaction, in several if it syncs."""
        store, target = self._open_store, read_configuration(config, options)
        if store.lock.owner == threading.get_ident():
            raise RealmError("Can only convert Realms outside a transaction.", code="WrongTransactionState")
        check_conversion(self._config, target)
        if not target.file_path.exists():
            write_copy(store, target)
            return
        with Realm(target if target.schema is not None else replace(target, schema=self.schema)) as other:
            merge(self, other)

    # --- closing -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Idempotent. An open transaction is cancelled, listeners end. What is pending is still uploaded: the last
        realm of a file waits some seconds for that while it is connected; then uploads go on while the process runs,
        and else when the file is opened again."""
        with _closing:
            if self._ending:
                return
            self._ending = True
        if self.is_in_transaction:
            self.cancel_transaction()
        self.remove_all_listeners()
        if self._unsubscribed is not None:
            self._file.notifier.remove(self._unsubscribed)
        self._closed = True
        if isinstance(self._file, FrozenFile):
            self._store.close()
            return
        if self._file.session is not None and self._hooks is not None:
            self._file.session._hooks.remove(self._hooks)
        release(self._file)

    def __enter__(self) -> Realm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Realm at {self.path}{' (closed)' if self._closed else ''}>"

    # --- for the other modules of the client -------------------------------------------------------------------------

    def _start(self, config: Configuration, loop: asyncio.AbstractEventLoop | None) -> None:
        self._begin(config, loop)
        self._declared = self._declare(config.schema)
        options = None
        if config.sync is not None:
            sync = config.sync
            if sync.user.state == "Removed":
                raise RealmError(
                    f"Cannot start a sync session for user '{sync.user.id}' because this user has been removed."
                )
            options = SyncOptions(
                sync.user,
                None if self._declared is None else list(map(stored, self._declared)),
                sync.client_reset.mode,
                sync.cancel_waits_on_non_fatal_error,
            )
        file = self._file = share(config, self._declared, options)
        self._store = file.store
        self._transport = file.transport
        if config.sync is not None and file.session is not None:
            self._hooks = RealmHooks(self, config.sync, loop)
            file.session._hooks.add(self._hooks)
        self._was_opened = self._store.file().opened
        file.run()
        self._refreshed = self._store.data_version()

    def _begin(self, config: Configuration, loop: asyncio.AbstractEventLoop | None) -> None:
        self._config, self._loop, self._ending, self._closed = config, loop, False, False
        self._classes, self._dynamic, self._change_listeners, self._observers = {}, {}, [], {}
        self._writer = self._writer_thread = self._writable = self._sql_transaction = self._hooks = None
        self._own_revisions, self._unsubscribed = set(), _Unsubscribed(self)

    def _freeze(self) -> Realm:
        """This realm as it is now, for ever, and read-only. Close it soon: it keeps SQLite from shortening its log."""
        frozen = type(self).__new__(type(self))
        frozen._begin(self._config, self._loop)
        frozen._declared, frozen._classes = self._declared, self._classes
        frozen._file = FrozenFile(self._store)
        frozen._store, frozen._transport, frozen._was_opened = frozen._file.store, None, True
        frozen._refreshed = frozen._store.data_version()
        return frozen

    def _declare(self, items: Sequence[SchemaItem] | None) -> Schema | None:
        if items is None:
            return None
        self._classes = class_names(item for item in items if isinstance(item, type))
        classes = []
        for item in items:
            if isinstance(item, type):
                if not issubclass(item, Object | EmbeddedObject):
                    raise RealmError(f"Class '{item.__name__}' must extend Object", code="InvalidArgument")
                classes.append(declared_schema(item, self._classes))
            else:
                classes.append(item if isinstance(item, ObjectSchema) else parse_class(item))
        schema = Schema(classes)
        schema.check()
        sync = self._config.sync
        if sync is None or not sync.is_flexible:
            kind = "local Realm" if sync is None else "partition based sync"
            for cls in schema:
                if cls.asymmetric:
                    raise SchemaError(cls.name, f"Asymmetric table '{cls.name}' not allowed in a {kind}.")
        return schema

    def _opened(self) -> None:
        """This opening succeeded: from now on the file counts as existing."""
        if not self._was_opened and not self._store.read_only:
            self._store.set_opened()

    def _run_initial_subscriptions(self) -> None:
        """In a file whose first opening this is, or on every open where asked for; as soon as the classes are known."""
        sync, unsubscribed = self._config.sync, self._unsubscribed
        if sync is None or unsubscribed is None:
            return
        if not self.schema:
            self._file.notifier.add(unsubscribed)
            return
        with unsubscribed.lock:
            if self._unsubscribed is None:  # another thread was faster
                return
            self._unsubscribed = None
        self._file.notifier.remove(unsubscribed)
        if not sync.is_flexible:
            self._subscribe_to_partition()
            return
        initial = sync.initial_subscriptions
        if initial is not None and not isinstance(initial, InitialSubscriptions):
            initial = InitialSubscriptions(initial)
        if initial is not None and (
            initial.rerun_on_open or not self._was_opened or self._store.newest_set().version == 0
        ):
            self.subscriptions.update(initial.update)

    @property
    def _partition(self) -> dict[str, object]:
        """The property of partition-based sync and its value; empty for other realms."""
        sync = self._config.sync
        if sync is None or sync.is_flexible:
            return {}
        return {sync.user.app.settings.partition_field: sync.partition_value}

    def _subscribe_to_partition(self) -> None:
        """Partition sync is one subscription for each class that has the partition's property."""
        ((field, value),) = self._partition.items()
        stored = self._store.newest_set()
        known = {item.name for item in stored.subscriptions}
        names = [
            name
            for name in self._visible_classes
            if field in self._class_schema(name).properties and f"partition:{name}" not in known
        ]
        if not names:
            return

        def subscribe(subscriptions: MutableSubscriptionSet) -> None:
            for name in names:
                subscriptions.add(self.objects(name).filtered(f"{field} == $0", value), name=f"partition:{name}")

        SubscriptionSet(self, stored).update(subscribe)

    @property
    def _open_store(self) -> Store:
        if self._closed:
            raise RealmError("Cannot access realm that has been closed.", code="ClosedRealm")
        return self._store

    @property
    def _connection(self) -> Any:
        return self._open_store.connection

    @property
    def _version(self) -> int:
        return self._file.notifier.version

    @property
    def _schema_for_queries(self) -> Schema:
        if self._declared is not None:
            return self._declared
        return self._writer.schema if self._writer is not None and self.is_in_transaction else self._store.schema

    def _class_schema(self, name: str) -> ObjectSchema:
        return self._schema_for_queries[name]

    def _table_of(self, type_or_name: ClassName) -> Table:
        store = self._open_store
        name = type_or_name if isinstance(type_or_name, str) else type_or_name.__name__
        if not isinstance(type_or_name, str) and self._classes.get(name) is not type_or_name:
            raise RealmError(
                f"Constructor '{name}' was not registered in the schema for this Realm", code="InvalidArgument"
            )
        table = store.table(name) if self._declared is None or name in self._declared else None
        if table is None:
            raise RealmError(f"Object type '{name}' not found in schema.", code="NoSuchTable")
        return table

    def _queryable(self, type_or_name: ClassName) -> Table:
        name = type_or_name if isinstance(type_or_name, str) else type_or_name.__name__
        cls = self._schema_for_queries.get(name) if not self._closed else None
        if cls is not None and (cls.embedded or cls.asymmetric):
            kind = "an embedded" if cls.embedded else "an asymmetric"
            raise RealmError(f"You cannot query {kind} object.", code="IllegalOperation")
        return self._table_of(type_or_name)

    def _table_or_none(self, name: str | None) -> Table | None:
        """The table of a class that a link leads to; None for what is no such class."""
        return None if name is None else self._store.table(name)

    def _embedded_class(self, name: str) -> type[Declared]:
        cls = self._classes.get(name) or self._dynamic.get(name)
        if cls is None:
            cls = self._dynamic[name] = type(name, (EmbeddedObject,), {})
        return cls

    def _wrap(self, table: Table, key: Any, cache: tuple[int, tuple[Any, ...]] | None) -> Any:
        cls = self._classes.get(table.name) or self._dynamic.get(table.name)
        if cls is None:
            cls = self._dynamic[table.name] = type(table.name, (Object,), {})
        return cls._wrap(self, table, key, cache)  # type: ignore[attr-defined]

    def _row(self, instance: Object) -> tuple[Any, ...] | None:
        """The present row; from the object's cache while nothing was committed."""
        version = self._version
        cache = instance._cache
        if cache is not None and cache[0] == version and len(cache[1]) == len(instance._table.properties):
            return cache[1]
        row: tuple[Any, ...] | None = self._connection.execute(instance._table.select_one, (instance._key,)).fetchone()
        object.__setattr__(instance, "_cache", None if row is None else (version, row))
        return row

    def _get(self, instance: Object, name: str) -> Any:
        self._open_store  # noqa: B018 (raises if closed)
        row = self._row(instance)
        if row is None:
            raise RealmError(INVALID, code="InvalidatedObject")
        table = instance._table
        place = table.place.get(name)
        if place is None:
            computed = self._class_schema(table.name).properties[name]
            return self._linking_objects(instance, str(computed.object_type), str(computed.property))
        prop = table.live.get(name)
        if prop is None:
            return table.to_python(name, row[place])
        if name in table.links:
            return self._linked(prop, row[place])
        root = self._root(instance, name)
        return value_at(self, instance, (name,), prop, root, root)

    def _linked(self, prop: Property, key: Any) -> Any:
        target = self._store.table(str(prop.object_type)) if key is not None else None
        linked = self._wrap(target, key, None) if target is not None else None
        return linked if linked is not None and linked.is_valid() else None

    def _linked_key(self, instance: Object, name: str) -> Any:
        row, table = self._row(instance), instance._table
        if row is None:
            raise RealmError(INVALID, code="InvalidatedObject")
        if name not in table.links:
            raise RealmError(f"'{table.name}.{name}' is no link.", code="InvalidProperty")
        return table.to_python(name, row[table.place[name]])

    def _root(self, instance: Object, name: str) -> Any:
        """The wire value of a property; the same one again as long as nothing else is in its column."""
        row = self._row(instance)
        if row is None:
            raise RealmError(INVALID, code="InvalidatedObject")
        column = row[instance._table.place[name]]
        if self._writer is not None and self.is_in_transaction:
            edited = self._writer.edited(instance._table, instance._key, name)
            if edited is not None:
                return edited.root
        roots = instance._roots
        if roots is None:
            object.__setattr__(instance, "_roots", roots := {})
        known = roots.get(name)
        if known is None or known[0] != column:
            known = roots[name] = column, instance._table.to_wire(name, column)
        return known[1]

    def _value(self, owner: Object, path: Path, prop: Property, wire: Any, root: Any) -> Any:
        return value_at(self, owner, path, prop, wire, root)

    def _plain(self, prop: Property, wire: Any) -> Any:
        return plain(self, prop, wire)

    def _follow(self, place: Live, root: Any) -> Path | None:
        """Where the place is, now that `root` is the value of its property; None: it is gone."""
        owner, path, name = place._owner, place._at, str(place._at[0])
        edited = (
            self._writer.edited(owner._table, owner._key, name) if self._writer and self.is_in_transaction else None
        )
        if edited is not None and edited.root is root:
            known = place._trail is edited.edits
            if known or place._root is edited.first:
                return follow_edits(path, edited.edits[place._counted if known else 0 :])
        return follow(owner._table.shape(name), place._root, root, path)

    def _edits_of(self, place: Live) -> list[AnyEdit] | None:
        """The edits of this transaction that led to the present value of the place's property."""
        owner = place._owner
        edited = None
        if self._writer is not None and self.is_in_transaction:
            edited = self._writer.edited(owner._table, owner._key, str(place._at[0]))
        return None if edited is None else edited.edits

    def _present_keys(self, class_name: str, keys: Iterable[Any]) -> set[Any]:
        """Of these wire values of keys, those whose objects are in this file."""
        table = self._table_or_none(class_name)
        if table is None:
            return set()
        rows = self._connection.execute(
            f"SELECT _id FROM {table.sql_name} WHERE _id IN (SELECT value FROM json_each(?))",
            (self._key_list(table, keys),),
        )
        return {table.key_to_wire(key) for (key,) in rows}

    @staticmethod
    def _key_list(table: Table, keys: Iterable[Any]) -> str:
        """These wire values of keys, for `json_each`."""
        return json.dumps([table.key_from_wire(key) for key in keys])

    def _element_results(self, elements: Elements[Any], class_name: str) -> Results[Any]:
        return ElementResults(self, self._table_of(class_name), elements)

    def _set(self, instance: Object, name: str, value: Any) -> None:
        writer = self._writing()
        table = instance._table
        prop = self._class_schema(table.name).properties.get(name)
        if prop is None:
            raise RealmError(f"Property '{name}' does not exist on '{table.name}' objects", code="InvalidProperty")
        if name == PRIMARY_KEY:
            raise RealmError("Cannot change value of primary key outside migration function", code="ModifyPrimaryKey")
        row = self._row(instance)
        if row is None:
            raise RealmError(INVALID, code="InvalidatedObject")
        self._check_writable(table)
        if name not in table.live:
            self._update(writer, table, instance._key, {name: self._to_wire(name, prop, value, "never")})
            return
        self._check_assignable((name,), prop, row[table.place[name]], value)
        self._assign(instance, (name,), prop, self._to_wire(name, prop, value, "never"))

    def _check_assignable(self, path: Path, prop: Property, present: Any, value: Any) -> None:
        """`present`: what is there now. Raises RealmError for a counter that assigning would set back."""
        if prop.is_counter and present is not None and not (value is None and prop.optional):
            raise RealmError(
                "You can only reset a Counter instance when initializing a previously null Counter or resetting a "
                f"nullable Counter to null: use the methods of '{path[-1]}' to change it.",
                code="IllegalOperation",
            )

    def _assign(self, owner: Object, path: Path, prop: Property, wire: Any) -> None:
        """Writes the value of a property, or of a place inside one. Of a collection only what differs is written."""
        writer, table, name = self._writing(), owner._table, str(path[0])
        if len(path) == 1 and not prop.is_collection:
            self._update(writer, table, owner._key, {name: wire})
        elif not prop.is_collection:
            self._edit(owner, [("set", path, {"value": wire})])
        else:
            before = self._root(owner, name)
            after = replaced(before, path, wire)
            key = table.key_to_wire(owner._key)
            self._write_edits(owner, derive(table.schema, table.cls, key, name, before, after))

    def _edit(self, owner: Object, edits: Iterable[tuple[str, Path, dict[str, Any]]]) -> None:
        """Edits of one property in order: op, path, and what else the instruction says."""
        name, key = owner._table.name, owner._table.key_to_wire(owner._key)
        self._write_edits(owner, [EDITS[op](class_name=name, id=key, path=list(p), **more) for op, p, more in edits])

    def _write_edits(self, owner: Object, edits: Sequence[AnyEdit]) -> None:
        writer, table = self._writing(), owner._table
        self._check_writable(table)
        row = self._row(owner)
        if row is None:
            raise RealmError(INVALID, code="InvalidatedObject")
        if not edits:
            return
        name = str(edits[0].path[0])
        place = table.place[name]
        edited = writer.edit(table, owner._key, edits, row[place], self._root(owner, name))
        self._file.notifier.version += 1
        object.__setattr__(owner, "_cache", (self._version, (*row[:place], edited.column, *row[place + 1 :])))
        object.__setattr__(owner, "_roots", (owner._roots or {}) | {name: (edited.column, edited.root)})

    def _remove(self, instance: EmbeddedObject) -> None:
        """Takes an embedded object out of what it is in."""
        path = instance._path
        in_list = isinstance(path[-1], int)
        if len(path) == 1:
            self._update(self._writing(), instance._owner._table, instance._owner._key, {str(path[0]): None})
        else:
            instance._owner._realm._edit(
                instance._owner, [("remove", path, {}) if in_list else ("set", path, {"value": None})]
            )

    def _update(self, writer: Writer, table: Table, key: Any, wire: dict[str, Any]) -> None:
        writer.update(table, key, wire)
        self._file.notifier.version += 1

    def _to_wire(self, where: str, prop: Property, value: Any, mode: UpdateMode | None) -> Any:
        return to_wire(self, where, prop, value, mode)

    def _default_key(self, table: Table, prop: Property, python_class: type[Declared] | None) -> Any:
        default = default_value(python_class, PRIMARY_KEY)
        if default is NO_DEFAULT:
            raise RealmError(f"Missing value for property '{table.name}._id'", code="MissingPropertyValue")
        return encode_property(self._schema_for_queries, PRIMARY_KEY, prop, default)

    def _to_dict(self, instance: Object) -> dict[str, Any]:
        row = self._row(instance)
        if row is None:
            raise RealmError(INVALID, code="InvalidatedObject")
        table, values = instance._table, {}
        for name, prop in self._class_schema(table.name).properties.items():
            if prop.type != "linkingObjects":
                value = row[table.place[name]]
                is_json = name in table.live and table.kinds[name] not in SCALARS
                values[name] = (
                    plain(self, prop, table.to_wire(name, value)) if is_json else table.to_python(name, value)
                )
        return values

    def _linking_objects(self, instance: Object, object_type: ClassName, name: str) -> Results[Any]:
        table = self._table_of(object_type)
        prop = table.cls.properties.get(name)
        linking = prop is not None and (prop.type == "object" or prop.is_collection)
        if prop is None or not linking or prop.object_type != instance._table.name:
            raise RealmError(
                f"'{table.name}#{name}' is not a relationship to '{instance._table.name}'", code="InvalidProperty"
            )
        if prop.is_collection:
            return LinkingResults(self, table, name, instance._table.key_to_wire(instance._key))
        return Results(self, table).filtered(f"{name} == $0", instance)

    def _writing(self) -> Writer:
        self._open_store  # noqa: B018 (raises if closed)
        if self._writer is None or self._writer_thread != threading.get_ident():
            raise RealmError(
                "Cannot modify managed objects outside of a write transaction.", code="WrongTransactionState"
            )
        return self._writer

    def _check_writable(self, table: Table) -> None:
        if self._writable is not None and table.name not in self._writable and not table.cls.asymmetric:
            raise RealmError(
                f"Cannot write to class {table.name} when no flexible sync subscription has been created.",
                code="NoSubscriptionForWrite",
            )

    def _committed(self) -> None:
        self._file.notifier.changed()
        if self._transport is not None:
            self._transport.wake()

    @contextlib.contextmanager
    def _update_subscriptions(self) -> Iterator[None]:
        store = self._open_store
        if store.lock.owner == threading.get_ident():
            raise RealmError("Subscriptions cannot be updated in a write transaction.", code="WrongTransactionState")
        with store.transaction():
            yield

    def _subscribe(
        self, results: Results[T], name: str | None, behavior: str, throw_on_update: bool, timeout: float | None
    ) -> Operation[Results[T]]:
        if behavior not in ("first-time", "always", "never"):
            raise RealmError(
                "Unsupported 'behavior'. Only 'first-time', 'always' or 'never' is supported.", code="InvalidArgument"
            )
        subscriptions = self.subscriptions
        known = (
            subscriptions.find_by_name(results.subscription_name)
            if results.subscription_name
            else subscriptions.find_by_query(results)
        )
        done = subscriptions.update(lambda mutable: mutable.add(results, name=name, throw_on_update=throw_on_update))
        if behavior == "never" or (behavior == "first-time" and known is not None):
            ready: Future[Results[T]] = Future()
            ready.set_result(results)
            return Operation(ready)

        def wait() -> Results[T]:
            try:
                done.result(timeout)
            except TimeoutError:
                if done.done():
                    raise
            return results

        return Operation.run(wait, "realm-sync subscribe")

    def _unsubscribe(self, results: Results[Any]) -> None:
        name = results.subscription_name
        self.subscriptions.update(lambda mutable: mutable.remove_by_name(name) if name else mutable.remove(results))
        results.subscription_name = None

    # Listeners: an observer per callback, kept under what it listens to, so that it can be removed again.

    def _observe(self, target: Any, callback: Any, observer: Observer) -> None:
        observers = self._observers.setdefault(target, [])
        if any(known == callback for known, _ in observers):
            raise RealmError("Remove callback before adding it again", code="InvalidArgument")
        observers.append((callback, observer))
        self._file.notifier.add(observer)

    def _remove_listener(self, target: Any, callback: Any) -> None:
        observers = self._observers.get(target, [])
        for known, observer in list(observers):
            if callback is None or known == callback:
                observers.remove((known, observer))
                self._file.notifier.remove(observer)

    def _add_collection_listener(self, results: Results[Any], callback: Callable[..., object]) -> None:
        self._refuse_in_transaction()
        classes = results._classes_read()

        def freeze(keys: list[Any]) -> Results[Any]:
            return FrozenResults(self, results._table, keys)

        def touched() -> int:
            return sum(self._open_store.class_revision(name) for name in classes)

        loop = running_loop() or self._loop
        observer = CollectionObserver(touched, results._versions, freeze, callback, loop)
        observer.collection = results
        self._observe(("collection", id(results)), callback, observer)

    def _add_object_listener(self, instance: Object, callback: Callable[[Any, ObjectChanges], object]) -> None:
        self._refuse_in_transaction()
        table, key = instance._table, instance._key

        def read() -> dict[str, Any] | None:
            row = self._connection.execute(table.select_one, (key,)).fetchone()
            return None if row is None else dict(zip(table.properties, row, strict=True))

        observer = ObjectObserver(read, instance, callback, running_loop() or self._loop)
        self._observe(("object", table.name, key), callback, observer)

    def _add_place_listener(self, place: Live, callback: Callable[..., object]) -> None:
        self._refuse_in_transaction()
        observer = PlaceObserver(self, place, callback, running_loop() or self._loop)
        self._observe(("place", place._owner, place._path), callback, observer)

    def _refuse_in_transaction(self) -> None:
        self._open_store  # noqa: B018 (raises if closed)
        if self.is_in_transaction:
            raise RealmError("Cannot create asynchronous query after making changes in a write transaction.")


class _Cancel(Exception):
    """Rolls a transaction back; never leaves this module."""


class _Unsubscribed:
    """Runs a realm's initial subscriptions when the server's classes have come, for a realm that was opened before."""

    def __init__(self, realm: Realm) -> None:
        self.realm = realm
        self.lock = threading.Lock()

    def look(self) -> None:
        if self.realm.schema:
            self.realm._run_initial_subscriptions()


class _RealmObserver:
    """Tells a realm's `change` listener about commits of others; its own commits it hears at once."""

    def __init__(
        self, realm: Realm, callback: Callable[[Realm, str], object], loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self.realm, self.callback, self.loop = realm, callback, loop
        self.seen: int | None = None

    def look(self) -> None:
        revision = self.realm._store.file().revision
        news = range(revision if self.seen is None else self.seen + 1, revision + 1)
        own = self.realm._own_revisions.intersection(news)
        if self.seen is not None and len(own) < len(news):
            deliver(self.loop, self.callback, self.realm, "change")
        self.seen = revision
