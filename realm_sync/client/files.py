"""Files: deleting a realm's file, and copying a realm to another.

Decides which files belong to a realm, which kinds of realm may become which, and how a copy appears: beside its place
first, in the directory `<file>.management`, and then as a whole. What is in a file is store.py's.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from realm_sync.core.schema import PRIMARY_KEY

from .configuration import Configuration
from .errors import RealmError
from .open_files import closed
from .reset import synchronize
from .store import Store
from .tables import holds_links
from .user_files import take
from .writer import DEFAULT_MESSAGE_BYTES

if TYPE_CHECKING:
    from .realm import Realm

# The database first: SQLite throws away a log without one, and would take a database without its log for whole.
PARTS = ("", "-wal", "-shm", ".lock", ".reset")
MANAGEMENT = ".management"


def delete_files(path: Path) -> None:
    """Deletes what belongs to the realm at `path`. Raises RealmError, and deletes nothing, if it is in use."""
    if not path.parent.exists():
        return
    with closed(path), contextlib.ExitStack() as locks:
        if not take(path, locks):
            raise RealmError(
                f"Cannot delete files of an open Realm: '{path}' is still in use, by another process.",
                code="DeleteOnOpenRealm",
            )
        for part in PARTS:
            Path(f"{path}{part}").unlink(missing_ok=True)
        shutil.rmtree(f"{path}{MANAGEMENT}", ignore_errors=True)


def check_conversion(source: Configuration, target: Configuration) -> None:
    """Raises RealmError for a copy that could not work: what syncs must come from what syncs in the same way."""
    if source.file_path == target.file_path or (
        target.file_path.exists() and source.file_path.samefile(target.file_path)
    ):
        raise RealmError(f"Cannot copy the realm at '{source.file_path}' to itself.", code="InvalidArgument")
    if target.sync is None:
        return
    if source.sync is not None and source.sync.partition_value == target.sync.partition_value:
        return
    if target.sync.is_flexible:
        problem = "Realm cannot be converted to a flexible sync realm unless flexible sync is already enabled"
    elif source.sync is None:
        problem = "Realm cannot be converted to a partition based sync realm unless it is one already"
    elif source.sync.is_flexible:
        problem = "Realm cannot be converted from a flexible sync realm to a partition based sync realm"
    else:
        problem = "Realm cannot be converted to a partition based sync realm of another partition value"
    raise RealmError(problem, code="IllegalOperation")


def write_copy(source: Store, target: Configuration) -> None:
    """A new file for `target`."""
    path = target.file_path
    directory = Path(f"{path}{MANAGEMENT}")
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f"copy-{secrets.token_hex(8)}.realm"
    try:
        copy = Store(temporary, synced=target.sync is not None, encryption_key=target.encryption_key)
        try:
            source.copy_into(copy)
        finally:
            copy.close()
        synchronize(temporary)
        with closed(path):
            if path.exists():
                raise RealmError(f"There is a file at '{path}' by now.", code="FileAlreadyExists")
            # Of a file that is gone: they would be taken for those of this one.
            Path(f"{path}-wal").unlink(missing_ok=True)
            Path(f"{path}-shm").unlink(missing_ok=True)
            Path(f"{path}.reset").unlink(missing_ok=True)
            temporary.replace(path)
        synchronize(path.parent)
    finally:
        for part in PARTS:
            Path(f"{temporary}{part}").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are copying, too
            directory.rmdir()


def merge(source: Realm, target: Realm) -> None:
    """Writes the objects of `source` into `target`."""
    connection = source._connection
    connection.execute("SAVEPOINT merge")
    try:
        limit = None
        if target._transport is not None:
            limit = (target._store.file().max_message_bytes or DEFAULT_MESSAGE_BYTES) // 4
        for batch in _batches(_values(source, target), limit):
            with target.write():
                for name, values in batch:
                    target._create(name, values, "modified", sets_counters=True)
    finally:
        connection.execute("RELEASE merge")


def _values(source: Realm, target: Realm) -> Iterator[tuple[str, dict[str, Any]]]:
    """Class and values of every object, all without their links first: a server refuses a link to what is not there.
    What only the server writes is left to it."""
    for with_links in (False, True):
        for class_name in source._visible_classes:
            cls = source._class_schema(class_name)
            names = [
                name
                for name, prop in cls.properties.items()
                if name != PRIMARY_KEY
                and prop.type != "linkingObjects"
                and holds_links(source._schema_for_queries, prop) is with_links
                and not (prop.read_only and target._transport is not None)
            ]
            if with_links and not names:
                continue
            for instance in source.objects(cls.name):
                values = instance.to_dict()
                yield cls.name, {name: values[name] for name in (PRIMARY_KEY, *names)}


def _batches(
    items: Iterable[tuple[str, dict[str, Any]]], limit: int | None
) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Lists of items of some `limit` bytes; without one, a single list."""
    batch, size = [], 0
    for item in items:
        batch.append(item)
        size += 200 + len(repr(item[1]).encode())
        if limit is not None and size > limit:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
