"""Writing: objects as uploads.py decided them become rows, in bulk where that means the same as saving each.

Decides how a write reaches the table (bulk, or `save()` where a model or a receiver wants to see it), in which order,
and what to write again in smaller steps when the database refuses (unique, foreign key, check): object by object, and an
update property by property, so that only the culprits are refused. Knows nothing of merge, access or messages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, reduce
from operator import or_
from typing import Any

from django.db import DataError, IntegrityError, connections, models, transaction
from django.db.models import ProtectedError, RestrictedError
from django.db.models.signals import m2m_changed, post_init, post_save, pre_init, pre_save

from . import history
from .conf import settings
from .core.encoding import decode_property
from .core.errors import ValueTypeError
from .core.messages import RejectedWrite
from .core.values import decode
from .registry import ModelSync, registry

PATIENCE = "400ms"
"""Well below PostgreSQL's `deadlock_timeout`, which is a second."""
KEYS_PER_QUERY = 500
"""Keys named in one statement: SQLite's limit on parameters is near."""
LINKS_PER_QUERY = 100
"""Links of ManyToManyFields that one statement removes: each is a condition of its own."""
LONGEST_REASON = 500
"""Characters of the reason that a refused write is reported with."""
REFUSALS = (IntegrityError, ProtectedError, RestrictedError, DataError)
"""What the database, or Django's collector, raises for a write that cannot stand."""

Key = tuple[str, str]
"""(class, key as text), as in the history."""


class Refused(Exception):
    """One write cannot stand: of the property, or of the whole object if `property` is None."""

    def __init__(self, code: str, reason: str, property: str | None = None) -> None:
        super().__init__(code, reason, property)
        # Reasons may quote what the client sent.
        self.code, self.reason, self.property = code, reason[:LONGEST_REASON], property


class Pending:
    """One object as a batch leaves it: its image, and the Python values to be written to its row."""

    __slots__ = ("existed", "image", "sets", "start", "timestamp", "values")

    def __init__(self, image: dict[str, Any] | None, existed: bool = False) -> None:
        self.start = self.image = image
        """The image of its row in the table before this batch; None if there is none."""
        self.existed = existed or self.stored
        """Whether its row ever was, as far as this upload knows: updating it when it is gone is then no refusal."""
        self.values: dict[str, Any] = {}
        self.sets: frozenset[str] = frozenset()
        """Counters that were set and not added to, as dotted paths, and, with a plus in front, ints that were added to."""
        self.timestamp = 0

    @property
    def stored(self) -> bool:
        """Whether its row is in the table before this batch."""
        return self.start is not None

    def become(self, other: Pending) -> None:
        """This is as the other was."""
        self.image, self.values, self.sets, self.timestamp = other.image, other.values, other.sets, other.timestamp

    def copy(self) -> Pending:
        twin = Pending(self.start, self.existed)
        twin.image, twin.values, twin.timestamp = self.image, dict(self.values), self.timestamp
        twin.sets = self.sets
        return twin


class Table:
    """The rows of one class, and how they are written."""

    def __init__(self, model_sync: ModelSync) -> None:
        self.model_sync, self.model, self.schema = model_sync, model_sync.model, model_sync.schema
        self.name = model_sync.class_name
        self.sets = model_sync.sets_by_name
        """ManyToManyFields: sets of links, which have rows in a table of their own."""
        self.fields: dict[str, Any] = {**model_sync.fields_by_name, **self.sets}
        self._key_type = self.schema.key_type
        self._keys: dict[str, Any] = {}
        self.blank = self.model()
        """For validators and automatic fields that look at the instance."""

    @property
    def rows(self) -> models.QuerySet[Any]:
        return self.model._base_manager.using(settings.DATABASE)

    @cached_property
    def in_bulk(self) -> bool:
        """Whether writing in bulk means the same as `save()` of each: nothing overrides or observes it."""
        plain = self.model.save is models.Model.save
        signals = (pre_save, post_save, pre_init, post_init)
        return plain and not any(signal.has_listeners(self.model) for signal in signals)

    def key(self, wire: Any) -> Any:
        """The Python value of a key's wire value; None if it is none of this class."""
        known = self._keys.get(wire) if type(wire) is str else None  # each is asked for several times
        if known is None:
            try:
                known = decode(self._key_type, wire)
            except ValueTypeError:
                return None
            if type(wire) is str:
                self._keys[wire] = known
        return known


class Writer:
    """Writes the objects of a batch, in the transaction of their upload."""

    def __init__(self, ident: int, tables: Mapping[str, Table]) -> None:
        self._ident, self._tables = ident, tables
        self._connection = connections[settings.DATABASE]

    def write(self, objects: Mapping[Key, Pending]) -> None:
        """All of them, or none: raises one of REFUSALS, and nothing is written."""
        with self._savepoint():
            self._flush(objects)

    def write_each(self, objects: Mapping[Key, Pending]) -> tuple[dict[Key, Pending], list[RejectedWrite]]:
        """Object by object, and an update that fails property by property: what was written, and what was refused."""
        written: dict[Key, Pending] = {}
        rejected: list[RejectedWrite] = []
        # Targets of links first, so that what fails takes only itself along.
        order = {model_sync.class_name: place for place, model_sync in enumerate(registry)}
        for key, it in sorted(objects.items(), key=lambda item: (item[1].image is None, order[item[0][0]])):
            refused = self._try(key, it)
            if refused is None:
                written[key] = it
            elif it.stored and it.image is not None and len(it.values) > 1:
                written[key] = self._write_properties(key, it, rejected)
            else:
                name = next(iter(it.values)) if it.stored and it.image is not None else None
                rejected.append(_rejection(key, it, refused, name))
        return written, rejected

    def _write_properties(self, key: Key, it: Pending, rejected: list[RejectedWrite]) -> Pending:
        image = dict(it.start or {})
        for name, value in it.values.items():
            single = it.copy()
            single.values = {name: value}
            refused = self._try(key, single)
            if refused is None:
                image[name] = (it.image or {})[name]
            else:
                rejected.append(_rejection(key, it, refused, name))
        left = it.copy()
        left.image = image
        return left

    def _try(self, key: Key, it: Pending) -> Refused | None:
        try:
            with self._savepoint():
                self._flush({key: it})
        except (ProtectedError, RestrictedError) as error:
            return Refused("ForeignKeyViolation", f"The object is still linked to: {error.args[0]}")
        except DataError as error:
            return Refused("ValidationFailed", _first_line(error))
        except IntegrityError as error:
            return Refused(_integrity_code(error), _first_line(error))
        return None

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        """What is written inside is undone as a whole if the database refuses any of it, deferred constraints too."""
        with transaction.atomic(settings.DATABASE):
            yield
            if self._connection.vendor == "postgresql":
                with self._connection.cursor() as cursor:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                    cursor.execute("SET CONSTRAINTS ALL DEFERRED")

    def _flush(self, objects: Mapping[Key, Pending]) -> None:
        """Creates targets before what links to them, then updates, then deletes in the opposite order."""
        if not objects:
            return
        mark = history.mark(self._connection)
        by_class: dict[str, list[Pending]] = defaultdict(list)
        for (name, _), it in objects.items():
            by_class[name].append(it)
        order = [model_sync.class_name for model_sync in registry if model_sync.class_name in by_class]
        for name in order:
            self._create(self._tables[name], [it for it in by_class[name] if it.image and not it.stored])
        for name in order:
            table = self._tables[name]
            changed = [it for it in by_class[name] if it.image and it.stored and it.values]
            if table.sets:
                changed = [it for it in changed if it.values.keys() - table.sets.keys()]
            self._update(table, changed)
        for name in order:
            for set_name, field in self._tables[name].sets.items():
                owners = [it for it in by_class[name] if it.image and set_name in it.values]
                self._link(self._tables[name], set_name, field, owners)
        for name in reversed(order):
            gone = [it for it in by_class[name] if it.stored and it.image is None]
            self._delete(self._tables[name], gone)
        timestamps = {key: it.timestamp for key, it in objects.items()}
        sets = {key: it.sets for key, it in objects.items() if it.sets}
        history.restamp(self._connection, mark, self._ident, timestamps, sets)

    def _instance(self, table: Table, it: Pending) -> models.Model:
        key = table.key((it.image or {})["_id"])
        values = {table.fields[name].attname: value for name, value in it.values.items() if name not in table.sets}
        return table.model(**{table.model_sync.primary_key.attname: key}, **values)

    def _create(self, table: Table, objects: Sequence[Pending]) -> None:
        instances = [self._instance(table, it) for it in objects]
        if table.in_bulk:
            table.rows.bulk_create(instances, batch_size=KEYS_PER_QUERY)
        else:
            for instance in instances:
                instance.save(force_insert=True, using=settings.DATABASE)

    def _update(self, table: Table, objects: Sequence[Pending]) -> None:
        fields = table.model_sync.fields_by_name
        if not table.in_bulk:
            for it in objects:
                instance = table.rows.get(pk=table.key((it.image or {})["_id"]))
                for name, value in it.values.items():
                    if name not in table.sets:
                        setattr(instance, fields[name].attname, value)
                instance.save(using=settings.DATABASE)
            return
        automatic: list[Any] = [f for f in table.model._meta.concrete_fields if getattr(f, "auto_now", False)]
        groups: dict[tuple[str, ...], list[tuple[Any, list[Any]]]] = defaultdict(list)
        for it in objects:
            names = tuple(sorted(it.values.keys() - table.sets.keys() if table.sets else it.values))
            key = table.key((it.image or {})["_id"])
            now = [field.pre_save(table.blank, False) for field in automatic]
            groups[names].append((key, [*(it.values[name] for name in names), *now]))
        for names, rows in groups.items():
            columns = [*(fields[name] for name in names), *automatic]
            for chunk in chunks(rows):
                self._update_rows(table, columns, chunk)

    def _update_rows(self, table: Table, columns: Sequence[Any], rows: Sequence[tuple[Any, list[Any]]]) -> None:
        """One statement for many rows. `bulk_update` would write a CASE per column, many times slower."""
        connection, quote = self._connection, self._connection.ops.quote_name
        key: Any = table.model_sync.primary_key
        cells = [key, *columns]
        casts = [f"CAST(%s AS {field.cast_db_type(connection)})" for field in cells]
        if connection.vendor == "sqlite":
            casts = ["%s"] * len(cells)  # a cast would make numbers of text; the columns' affinity does it right
        row_sql = f"({', '.join(casts)})"
        names = [f"v{index}" for index in range(len(cells))]
        assignments = ", ".join(
            f"{quote(field.column)} = v.{name}" for field, name in zip(columns, names[1:], strict=True)
        )
        values_sql = ", ".join([row_sql] * len(rows))
        if connection.vendor == "sqlite":
            aliases = ", ".join(f"column{index + 1} AS {name}" for index, name in enumerate(names))
            source = f"(SELECT {aliases} FROM (VALUES {values_sql})) AS v"
        else:
            source = f"(VALUES {values_sql}) AS v({', '.join(names)})"
        name = quote(table.model._meta.db_table)
        sql = f"UPDATE {name} SET {assignments} FROM {source} WHERE {name}.{quote(key.column)} = v.v0"
        parameters = [
            field.get_db_prep_save(value, connection)
            for row_key, values in rows
            for field, value in zip(cells, [row_key, *values], strict=True)
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)

    def _link(self, table: Table, name: str, field: Any, owners: Sequence[Pending]) -> None:
        """Makes the links of these objects those of their values, in as few statements as there are kinds of them."""
        through = field.remote_field.through
        prop = table.schema.properties[name]
        if m2m_changed.has_listeners(through):
            for it in owners:
                instance = table.rows.get(pk=table.key((it.image or {})["_id"]))
                with self._giving_way():
                    getattr(instance, field.name).set(it.values[name])
            return
        source = through._meta.get_field(field.m2m_field_name()).attname
        target = through._meta.get_field(field.m2m_reverse_field_name()).attname
        added: list[models.Model] = []
        removed = []
        for it in owners:
            key = table.key((it.image or {})["_id"])
            held = set(decode_property(registry.schema, name, prop, (it.start or {}).get(name)))
            wanted = set(it.values[name])
            added += [through(**{source: key, target: other}) for other in it.values[name] if other not in held]
            removed += [models.Q(**{source: key, target: other}) for other in held - wanted]
        rows = through._base_manager.using(settings.DATABASE)
        with self._giving_way():
            for start in range(0, len(removed), LINKS_PER_QUERY):
                rows.filter(reduce(or_, removed[start : start + LINKS_PER_QUERY])).delete()
            # Another may have made the same link a moment ago.
            rows.bulk_create(added, batch_size=KEYS_PER_QUERY, ignore_conflicts=True)

    def _delete(self, table: Table, objects: Sequence[Pending]) -> None:
        """Through Django's collector: cascades, protection and signals are those of the models."""
        keys = [table.key((it.start or {})["_id"]) for it in objects]
        with self._giving_way() if table.sets else nullcontext():
            for chunk in chunks(keys):
                table.rows.filter(pk__in=chunk).delete()

    @contextmanager
    def _giving_way(self) -> Iterator[None]:
        """Waits for other transactions only so long that PostgreSQL does not find a deadlock. An upload locks an object
        and then its links, whoever else writes links the other way round (a trigger locks the object): the upload is the
        one that can try again."""
        if self._connection.vendor != "postgresql":
            yield
            return
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout'), set_config('lock_timeout', %s, true)", [PATIENCE])
            usual = cursor.fetchone()[0]
            yield
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [usual])


def chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), KEYS_PER_QUERY):
        yield values[start : start + KEYS_PER_QUERY]


def _rejection(key: Key, it: Pending, refused: Refused, name: str | None) -> RejectedWrite:
    id = (it.start or it.image or {}).get("_id", key[1])
    return RejectedWrite(class_name=key[0], id=id, property=name, code=refused.code, reason=refused.reason)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _integrity_code(error: IntegrityError) -> str:
    text = str(error).lower()
    for word, code in (
        ("unique", "UniqueViolation"),
        ("duplicate", "UniqueViolation"),
        ("foreign key", "ForeignKeyViolation"),
    ):
        if word in text:
            return code
    return "ConstraintViolation"
