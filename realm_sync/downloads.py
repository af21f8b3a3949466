"""Downloads: what must be sent so that a client file holds what its views select, now.

Two ways, both synchronous and run in a thread: `catch_up` reads the history since the file's version and folds it;
`bootstrap` moves a file from one set of views to another in one snapshot (R3), by difference (PROTOCOL.md §5). Their
result is a Transfer: pieces of JSON text, spooled to disk beyond some megabytes, so that neither a slow client nor a
large table holds a snapshot, a thread or memory. Live changes do not come by here: see feed.py.
"""

from __future__ import annotations

import logging
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import msgspec
from django.db import DatabaseError, connections, transaction
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from . import capture, history
from .conf import settings
from .core.changes import UNREADABLE, Change, ChangeList, Fold, Predicate, decode_image, key_text, well_formed
from .core.errors import ProtocolError, QueryError
from .core.messages import RejectedWrite
from .core.nodes import FALSE, Node, and_, not_
from .core.predicate import compile_predicate
from .filters import is_exact, to_q
from .models import ClientFile
from .registry import ModelSync, registry
from .subscriptions import Views

logger = logging.getLogger("realm_sync.downloads")

CHUNK = 5000
"""Rows of the history read and folded at a time."""
ROWS = 200
"""Rows of a table read and joined at a time."""
PIECE = 128 * 1024
"""Characters that are joined before looking at their size in bytes; a larger group is taken apart."""
SPOOL_BYTES = 4 * 1024 * 1024
"""How much of a transfer stays in memory; the rest waits on disk."""


class Advance(msgspec.Struct, rename="camel"):
    """What an `advance` row of the history says in `after`."""

    client_version: int
    rejected: list[RejectedWrite] = []


decode_advance = msgspec.json.Decoder(Advance).decode


class Transfer:
    """Pieces in order: each the JSON text of one download's `changes`. Iterate once; `close()` frees the spool."""

    def __init__(self) -> None:
        self.version = 0
        """Whoever has applied all pieces has integrated every change up to here."""
        self.advances: list[Advance] = []
        """What the file's own uploads came to, in the state that the pieces complete."""
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 (closed by close)
        # A session that ends while a thread makes its transfer never sees it.
        self.close = weakref.finalize(self, self._file.close)
        self._sizes: list[int] = []
        self._waiting: list[bytes] = []
        self._waiting_size = 0

    def add(self, groups: str) -> None:
        """Groups of changes, as JSON texts joined by commas; they share a download with what fits beside them."""
        data = groups.encode()
        if self._waiting and self._waiting_size + len(data) > settings.DOWNLOAD_BYTES:
            self._spool()
        self._waiting.append(data)
        self._waiting_size += len(data)

    def _spool(self) -> None:
        if self._waiting:
            data = b"[" + b",".join(self._waiting) + b"]"
            check_size(len(data), data[:200].decode(errors="replace"))
            self._file.write(data)
            self._sizes.append(len(data))
            self._waiting, self._waiting_size = [], 0

    def finish(self) -> Transfer:
        """Nothing more will be added."""
        self._spool()
        return self

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[str]:
        self._file.seek(0)
        for size in self._sizes:
            yield self._file.read(size).decode()


def check_size(size: int, text: str) -> None:
    """Raises ProtocolError for a piece of `size` bytes that a server might drop without a word: one object is larger
    than allowed."""
    if size > settings.MAX_MESSAGE_BYTES:
        raise ProtocolError(
            "LimitExceeded",
            f"An object is too large to send: {size} bytes, where MAX_MESSAGE_BYTES allows "
            f"{settings.MAX_MESSAGE_BYTES}: {text[:120]}…",
        )


def catch_up(ident: int, after: int, views: Views) -> Transfer:
    """What happened to the views above `after`, as far as one chunk of whole versions reaches; `version` tells how far.

    To be called again until `version` stops rising.
    """
    current = predicates(views)
    transfer = Transfer()
    connection = connections[settings.DATABASE]
    cursor: Any = None
    while True:
        batch = history.read(connection, after, CHUNK, classes=[*views, ""], cursor=cursor)
        _fold(transfer, ident, batch.changes, current, current)
        if batch.complete:
            transfer.version = batch.upto
            return transfer.finish()
        cursor = batch.cursor


def bootstrap(ident: int, after: int, old: Views, new: Views) -> Transfer:
    """Moves a file that holds `old` as of version `after` to `new`, in one snapshot."""
    transfer = Transfer()
    with snapshot() as connection:
        transfer.version = history.newest(connection)
        if after:
            olds, news = predicates(old), predicates(new)
            cursor: Any = None
            more = True
            while more:
                batch = history.read(
                    connection, after, CHUNK, classes=[*{**old, **new}, ""], cursor=cursor, in_snapshot=True
                )
                _fold(transfer, ident, batch.changes, olds, news)
                after, cursor, more = batch.upto, batch.cursor, batch.more
        transfer.advances.append(
            Advance(
                ClientFile.objects.using(settings.DATABASE).values_list("client_version", flat=True).get(ident=ident)
            )
        )
        for model_sync in registry:
            held, wanted = (views.get(model_sync.class_name, FALSE) for views in (old, new))
            if held != wanted:
                _put(transfer, model_sync, and_(wanted, not_(held)))
                _erase(transfer, model_sync, and_(held, not_(wanted)))
    return transfer.finish()


@contextmanager
def snapshot() -> Iterator[Any]:
    """A transaction in which every statement sees the same committed state, and which keeps no writer waiting."""
    connection = connections[settings.DATABASE]
    if connection.vendor == "sqlite":
        # Not atomic(): projects often make Django begin IMMEDIATE, which takes the write lock.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield connection
            finally:
                cursor.execute("COMMIT")
        return
    with transaction.atomic(settings.DATABASE):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield connection


def predicates(views: Views) -> dict[str, Predicate]:
    """The views of classes that still sync, compiled."""
    schema = registry.schema
    return {name: compile_predicate(node, schema[name], schema) for name, node in views.items() if name in schema}


def _nothing(image: Mapping[str, Any]) -> bool:
    return False


def _fold(
    transfer: Transfer, ident: int, changes: list[Change], old: Mapping[str, Predicate], new: Mapping[str, Predicate]
) -> None:
    """Folds a chunk of the history into pieces; notes the advances of the file itself."""
    folds: dict[tuple[str, str], Fold] = {}
    for change in changes:
        if change.kind == "advance":
            if change.object_id == str(ident):
                transfer.advances.append(decode_advance(change.after or "{}"))
            continue
        name = change.class_name
        fold = folds.get((name, change.object_id))
        if fold is None:
            fold = folds[name, change.object_id] = Fold(old.get(name, _nothing), new.get(name, _nothing))
        try:
            fold.add(change)
        except UNREADABLE as error:
            logger.error("%s %s is no JSON that can be sent: %s", name, change.object_id, error)
    pieces = ChangeList()
    for (name, _), fold in folds.items():
        result = fold.result()
        if result is None:
            continue
        if pieces.count and pieces.size + len(result[1]) > PIECE:
            transfer.add(pieces.text()[1:-1])
            pieces = ChangeList()
        pieces.add(result[0], name, result[1])
    if pieces.count:
        transfer.add(pieces.text()[1:-1])


def _rows(model_sync: ModelSync, node: Node) -> QuerySet[Any]:
    rows = model_sync.model._base_manager.using(settings.DATABASE).order_by()
    return rows.filter(to_q(node, model_sync.fields_by_name))


def _put(transfer: Transfer, model_sync: ModelSync, node: Node) -> None:
    """Every object that `node` selects, whole: image texts straight from the database (R12)."""
    _add(transfer, model_sync, "put", select_images(model_sync, node))


def _erase(transfer: Transfer, model_sync: ModelSync, node: Node) -> None:
    """The key of every object that `node` selects."""
    _add(transfer, model_sync, "erase", select_keys(model_sync, node))


def _add(transfer: Transfer, model_sync: ModelSync, kind: str, chunks: Iterator[list[str]]) -> None:
    head = f'{{"class":"{model_sync.class_name}","{kind}":['
    for chunk in chunks:
        joined = ",".join(chunk)
        if len(joined) <= PIECE:
            transfer.add(f"{head}{joined}]}}")
        else:
            for text in chunk:
                transfer.add(f"{head}{text}]}}")


def select_images(model_sync: ModelSync, node: Node) -> Iterator[list[str]]:
    """The JSON texts of the objects that `node` selects, some at a time."""
    return _select(model_sync, node, "put", image_sql(model_sync))


def select_keys(model_sync: ModelSync, node: Node) -> Iterator[list[str]]:
    """The JSON texts of their keys, some at a time."""
    if not is_exact(node):
        return _select(model_sync, node, "erase", image_sql(model_sync))
    quote = connections[settings.DATABASE].ops.quote_name
    column = f"{quote(model_sync.model._meta.db_table)}.{quote(str(model_sync.primary_key.column))}"
    return _select(model_sync, node, "erase", capture.value_sql(model_sync.primary_key, column))


def image_sql(model_sync: ModelSync) -> str:
    """The SQL of a row's image."""
    return capture.image_sql(model_sync, connections[settings.DATABASE].ops.quote_name(model_sync.model._meta.db_table))


def _exactly(model_sync: ModelSync, node: Node, kind: str, images: Iterator[str]) -> Iterator[str]:
    """Of the images that the database found, those that `node` selects: it may see into collections, which the database
    does not. To be erased are their keys."""
    matches = compile_predicate(node, registry.schema[model_sync.class_name], registry.schema)
    for text in images:
        if matches(decode_image(text)):
            yield key_text(text) if kind == "erase" else text


def _next(rows: Iterator[str], class_name: str) -> list[str]:
    """The next rows. Raises QueryError if the database finds the query too large: trying again would not help."""
    try:
        return list(islice(rows, ROWS))
    except DatabaseError as error:
        too_complex = (getattr(error.__cause__, "sqlstate", None) or "").startswith("54")
        if too_complex or any(words in str(error) for words in ("tree is too large", "too many", "stack overflow")):
            problem = f"The database cannot compute this query for class '{class_name}': {error}"
            raise QueryError(problem, code="LimitExceeded") from error
        raise


def _select(model_sync: ModelSync, node: Node, kind: str, sql: str) -> Iterator[list[str]]:
    if node == FALSE:
        return
    texts = _rows(model_sync, node).values_list(RawSQL(sql.replace("%", "%%"), ()), flat=True)
    rows: Iterator[str] = map(well_formed, texts.iterator(chunk_size=ROWS))
    if not is_exact(node):
        rows = _exactly(model_sync, node, kind, rows)
    while chunk := _next(rows, model_sync.class_name):
        yield chunk
