"""Capture on SQLite: row-level triggers that write the history, built from functions that every SQLite has.

Decides the SQL of images, triggers and their bookkeeping. The triggers fire for any program that opens the file, so
they use nothing that Python registers. Does not know when to install: `capture` is its only caller.

REPLACE (`INSERT OR REPLACE`, `UPDATE OR REPLACE`) removes rows without firing their delete triggers. So triggers that
run before note the rows whose keys collide in the table `realm_sync_replaced`, and those that run after log the ones
that are gone. A collision that ends otherwise (IGNORE, an upsert) leaves a note which is harmless: notes of rows that
are still there log nothing, and whatever removes a row the usual way removes its note. An object with sets of links is
noted before it is deleted, too: afterwards the database may have removed the links already. Not seen is a REPLACE into
a through table itself that removes the link of another object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.db import models

from realm_sync.registry import ModelSync

from .columns import (
    PREFIX,
    Bound,
    Expected,
    Installed,
    Links,
    Trigger,
    all_links,
    bind,
    decimal_field,
    empty,
    literal,
    mentions,
    properties,
    storage,
    trigger_name,
)

_SAFE = "BETWEEN -9007199254740992 AND 9007199254740992"
NOW = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
"""Milliseconds since 1970."""
_ORIGIN = "coalesce((SELECT ident FROM realm_sync_origin), 0)"
_LOG = "INSERT INTO realm_sync_change (version, class, object_id, kind, before, after, timestamp, origin)"
_NOTES = "CREATE TABLE IF NOT EXISTS realm_sync_replaced (class, key, object_id, before)"
_BASE64 = "'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'"


def next_version() -> str:
    """The version of a row that is written into the history now: its id, for prune() keeps the newest row.

    `sqlite_sequence` would not do: SQLite updates it at the end of a statement, when triggers have fired for every row.
    """
    return "coalesce((SELECT max(id) FROM realm_sync_change), 0) + 1"


def quote(name: str) -> str:
    return name if name.startswith('"') and name.endswith('"') else f'"{name}"'


def value_sql(field: Any, column: str) -> str:
    """The JSON value of a column as text, `null` for NULL (R12)."""
    kind = storage(field)
    text = _text(field, column)
    if kind == "string":
        # Of an address or a key too: json_quote() escapes what Realm strings may hold, and turns NULL into null.
        return f"json_quote({column})"
    if kind == "double" or kind == "float":
        return (
            f"CASE WHEN {column} IS NULL THEN 'null' WHEN {column} = 9e999 THEN '\"Infinity\"'"
            f" WHEN {column} = -9e999 THEN '\"-Infinity\"' ELSE {text} END"
        )
    if kind == "bigint":
        return f"CASE WHEN {column} {_SAFE} THEN {text} WHEN {column} IS NULL THEN 'null' ELSE json_quote({text}) END"
    if kind in ("bool", "int"):
        return f"coalesce({text}, 'null')"
    if kind == "json":
        # Only raw SQL, past Django's constraint, stores what is no JSON.
        return f"CASE WHEN json_valid({column}) THEN json({column}) ELSE {literal(empty(field))} END"
    if kind in ("decimal128", "address"):
        return f"json_quote({text})"
    return f"coalesce('\"' || {text} || '\"', 'null')"


def _text(field: Any, column: str) -> str:
    """The value of a column as plain text: its wire value without quotes; NULL for NULL."""
    match storage(field):
        case "bool":
            return f"CASE {column} WHEN 0 THEN 'false' WHEN 1 THEN 'true' END"
        case "int" | "bigint":
            return f"CAST({column} AS TEXT)"
        case "float" | "double":
            # 17 digits would do if SQLite rounded exactly beyond 1e200 or so; with 18 every double reads back equal.
            return f"printf('%!.18g', {column})"
        case "fixed":
            return _fixed(decimal_field(field), column)
        case "data":
            return _base64(column)
        case "date":
            return (
                f"CASE length({column})"
                f" WHEN 26 THEN substr({column}, 1, 10) || 'T' || substr({column}, 12) || 'Z'"
                f" WHEN 19 THEN substr({column}, 1, 10) || 'T' || substr({column}, 12) || '.000000Z'"
                # Not as Django writes it: with an offset, without seconds …
                f" ELSE strftime('%Y-%m-%dT%H:%M:%f000Z', {column}) END"
            )
        case "day":
            return f"substr({column}, 1, 10) || 'T00:00:00.000000Z'"
        case "uuid":
            parts = " || '-' || ".join(
                f"substr({column}, {start}, {size})" for start, size in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
            )
            return f"lower({parts})"
        case _:
            return column


def _fixed(field: Any, column: str) -> str:
    """A DecimalField is stored as a double or an integer, and Django reads it with 15 digits."""
    places = field.decimal_places or 0
    if (field.max_digits or 0) > 15:
        column = f"CAST(printf('%.14e', {column}) AS REAL)"
    text = f"printf('%.{places}f', {column})"
    if places:
        text = f"rtrim(rtrim({text}, '0'), '.')"
    return f"CASE WHEN {column} IS NOT NULL THEN CASE round({column}, {places}) WHEN 0 THEN '0' ELSE {text} END END"


def _base64(column: str) -> str:
    """Base64 without WITH, which triggers may not use: a row of json_each for every three bytes, as six hex digits.

    About 1.3 µs a byte.
    """

    def digit(position: int) -> str:
        return f"instr('123456789ABCDEF', substr(h, {position}, 1))"

    letters = (
        f"{digit(1)} * 4 + {digit(2)} / 4",
        f"{digit(2)} % 4 * 16 + {digit(3)}",
        f"{digit(4)} * 4 + {digit(5)} / 4",
        f"{digit(5)} % 4 * 16 + {digit(6)}",
    )
    quartet = " || ".join(f"substr({_BASE64}, {letter} + 1, 1)" for letter in letters)
    data = f"CAST({column} AS BLOB)"
    size = f"length({data})"
    rows = f"json_each('[' || rtrim(replace(hex(zeroblob(({size} + 2) / 3)), '00', '0,'), ',') || ']')"
    encoded = (
        f"(SELECT group_concat({quartet}, '')"
        f" FROM (SELECT hex(substr({data}, key * 3 + 1, 3)) || '0000' AS h FROM {rows}))"
    )
    return (
        f"CASE {size} WHEN 0 THEN ''"
        f" ELSE substr({encoded}, 1, ({size} * 4 + 2) / 3) || substr('==', 1, (3 - {size} % 3) % 3) END"
    )


def _member(name: str) -> str:
    return f',"{name}":'


def key_sql(field: Any, column: str) -> str:
    """The object id: the wire value of a primary key as plain text."""
    return _text(field, column)


def image_sql(binding: ModelSync | Bound, row: str, sets: Mapping[str, str] | None = None) -> str:
    """The wire image of a row (`NEW`, `OLD` or a quoted table or alias) as JSON text (R12); `sets` has other SQL for sets
    of links."""
    pieces = []
    for number, (name, field) in enumerate(binding.fields_by_name.items()):
        pieces.append(literal(("{" if number == 0 else ",") + f'"{name}":'))
        pieces.append(f"({value_sql(field, f'{row}.{quote(field.column)}')})")
    for each in binding.sets if isinstance(binding, Bound) else all_links(binding):
        pieces.append(literal(_member(each.property)))
        pieces.append((sets or {}).get(each.property) or _set(each, _targets(each, f"{row}.{_key(binding)}")))
    return " || ".join([*pieces, "'}'"])


def _key(binding: ModelSync | Bound) -> str:
    return quote(str(binding.primary_key.column))


def _targets(links: Links, owner: str) -> str:
    """The query of what is in the set of the object with this key."""
    return f"SELECT l.{quote(links.target.column)} AS target FROM {quote(links.table)} AS l WHERE l.{quote(links.owner.column)} = {owner}"


def _set(links: Links, targets: str) -> str:
    """The JSON array of a query of targets, in the order of sets on the wire."""
    order = "target COLLATE BINARY"
    if storage(links.target) in ("int", "bigint"):
        # As they are on the wire: numbers first, then those that are text.
        order = f"NOT target {_SAFE}, CASE WHEN target {_SAFE} THEN target END, CAST(target AS TEXT)"
    values = f"SELECT {value_sql(links.target, 'target')} AS v FROM ({targets}) ORDER BY {order}"
    return f"(SELECT '[' || coalesce(group_concat(v, ','), '') || ']' FROM ({values}))"


def _without(array: str, element: str) -> str:
    """The text of a JSON array of numbers or strings without one element: much faster than making it again."""
    # A comma inside a string is never followed by a quote: those are escaped.
    return f"'[' || trim(replace(',' || substr({array}, 2, length({array}) - 2) || ',', ',' || {element} || ',', ','), ',') || ']'"


def triggers(binding: Bound) -> Iterator[Trigger]:
    """The triggers of one model's table."""
    model, name = binding.model, literal(binding.class_name)
    table, key = quote(model._meta.db_table), quote(binding.primary_key.column)
    old_key, new_key = f"OLD.{key}", f"NEW.{key}"
    new_id, old_id = (key_sql(binding.primary_key, column) for column in (new_key, old_key))
    stamp = f"{NOW}, {_ORIGIN}"
    log_new = (
        f"{_LOG} VALUES ({next_version()}, {name}, {new_id}, 'insert', NULL, {image_sql(binding, 'NEW')}, {stamp});"
    )
    log_old = (
        f"{_LOG} VALUES ({next_version()}, {name}, {old_id}, 'delete', {image_sql(binding, 'OLD')}, NULL, {stamp});"
    )

    differs, before = [], []
    for prop, field in binding.fields_by_name.items():
        if field.primary_key:
            continue
        old, new = f"OLD.{quote(field.column)}", f"NEW.{quote(field.column)}"
        # Whatever the column's collation calls equal: a client shall see what is stored.
        is_text = storage(field) in ("string", "address")
        differ = f"{old} COLLATE BINARY IS NOT {new}" if is_text else f"{old} IS NOT {new}"
        if storage(field) == "json":
            differ = f"coalesce({old}, {literal(empty(field))}) IS NOT coalesce({new}, {literal(empty(field))})"
        differs.append(differ)
        before.append(f"CASE WHEN {differ} THEN {literal(_member(prop))} || ({value_sql(field, old)}) ELSE '' END")

    # Which rows of the table would collide with the new one, by primary key or by another unique key.
    others = list(_unique_keys(binding))
    collision = " OR ".join(
        "(" + " AND ".join(f"{table}.{quote(column)} = NEW.{quote(column)}" for column in columns) + ")"
        for columns in [[binding.primary_key.column], *others]
    )
    moved = " OR ".join(
        f"OLD.{column} IS NOT NEW.{column}" for column in {quote(name): 1 for key in others for name in key}
    )
    note = (
        f"DELETE FROM realm_sync_replaced; INSERT INTO realm_sync_replaced"
        f" SELECT {name}, {table}.{key}, {key_sql(binding.primary_key, f'{table}.{key}')}, {image_sql(binding, table)}"
        f" FROM {table} WHERE ({collision})"
    )
    note_old = f"INSERT INTO realm_sync_replaced SELECT {name}, {old_key}, {old_id}, {image_sql(binding, 'OLD')}"
    forget = f"DELETE FROM realm_sync_replaced WHERE class = {name} AND key IS {old_key};"

    def log_replaced(or_by_key: str = "") -> str:
        return (
            f"{_LOG} SELECT {next_version()} - 1 + row_number() OVER (), class, object_id, 'delete', before, NULL, {stamp}"
            f" FROM realm_sync_replaced WHERE class = {name} AND"
            f" ({or_by_key}NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.{key} = realm_sync_replaced.key));"
            f" DELETE FROM realm_sync_replaced;"
        )

    def trigger(event: str, when: str, *body: str) -> Trigger:
        full = trigger_name(model._meta.db_table, event)
        return Trigger(full, f"CREATE TRIGGER {quote(full)} {when} BEGIN {' '.join(body)} END")

    any_collision = f"EXISTS (SELECT 1 FROM {table} WHERE {collision})"
    by_key = f"key IS {new_key} OR "
    same, other = f"{old_key} IS {new_key}", f"{old_key} IS NOT {new_key}"
    gone = [forget, log_old]
    if binding.sets:
        log_gone = (
            f"{_LOG} SELECT {next_version()}, class, object_id, 'delete', before, NULL, {stamp}"
            f" FROM realm_sync_replaced WHERE class = {name} AND key IS {old_key};"
        )
        gone = [log_gone, forget]
    yield trigger("collide", f"BEFORE INSERT ON {table} WHEN {any_collision}", f"{note};")
    yield trigger("insert", f"AFTER INSERT ON {table}", log_replaced(by_key), log_new)
    yield trigger(
        "move",
        f"BEFORE UPDATE ON {table} WHEN {' OR '.join(filter(None, [other, moved]))}",
        f"{note} AND {table}.{key} IS NOT {old_key};",
        *([f"{note_old} WHERE {other};"] if binding.sets else []),
    )
    if binding.sets:
        yield trigger("rekey", f"AFTER UPDATE ON {table} WHEN {other}", log_replaced(by_key), log_new)
    else:
        yield trigger("rekey", f"AFTER UPDATE ON {table} WHEN {other}", forget, log_replaced(by_key), log_old, log_new)
    if moved:
        yield trigger("moved", f"AFTER UPDATE ON {table} WHEN {same} AND ({moved})", log_replaced())
    if differs:
        old_values = f"'{{' || substr({' || '.join(before)}, 2) || '}}'"
        yield trigger(
            "update",
            f"AFTER UPDATE ON {table} WHEN {same} AND ({' OR '.join(differs)})",
            f"{_LOG} VALUES ({next_version()}, {name}, {new_id}, 'update', {old_values}, {image_sql(binding, 'NEW')}, {stamp});",
        )
    if binding.sets:
        yield trigger("leave", f"BEFORE DELETE ON {table}", forget, f"{note_old};")
    yield trigger("delete", f"AFTER DELETE ON {table}", *gone)


def set_triggers(binding: Bound, links: Links) -> Iterator[Trigger]:
    """The triggers of the through table of a set of links: each row is an update of its owner, if there is one.

    Rows of one statement that follow each other and have one owner are one update, as on PostgreSQL: the last takes the
    place of those before. Otherwise a set of 1000 links would be in the history 1000 times when it is filled.
    """
    table, owner, target = quote(links.table), quote(links.owner.column), quote(links.target.column)
    owners, key = quote(binding.model._meta.db_table), f"o.{_key(binding)}"
    name, place = literal(binding.class_name), literal(f"{binding.class_name}.{links.property}")
    now = _set(links, _targets(links, key))

    def log(keys: str, sets: str, before: str, after: str) -> str:
        member = literal("{" + _member(links.property)[1:])
        earlier = (
            "(SELECT c.before FROM realm_sync_replaced r JOIN realm_sync_change c ON c.id = r.before"
            f" WHERE r.class = {place})"
        )
        return (
            f"{_LOG} SELECT {next_version()} - 1 + row_number() OVER (), {name}, {key_sql(binding.primary_key, key)},"
            f" 'update', coalesce({earlier}, {member} || {before} || '}}'),"
            f" {image_sql(binding, 'o', {links.property: after})}, {NOW}, {_ORIGIN}"
            # With the limit SQLite makes a set once, and not wherever it is used.
            f" FROM (SELECT {key} AS key, {sets} FROM {owners} AS o WHERE {key} IN ({keys}) LIMIT 2) AS s"
            f" JOIN {owners} AS o ON {key} = s.key;"
        )

    def noting(owner_key: str, log: str) -> str:
        """Logs a row and notes it, so that the next one of the same statement and owner can take its place."""
        # Within a statement the time stands still, and what is counted is what triggers write: the last was the note.
        running = "printf('%d %.9f', total_changes() - {}, julianday('now'))"
        newest = "(SELECT max(id) FROM realm_sync_change)"
        return (
            f"DELETE FROM realm_sync_replaced WHERE class = {place} AND NOT"
            f" (key = {running.format(1)} AND object_id IS {owner_key} AND before = {newest}); {log}"
            f" DELETE FROM realm_sync_change WHERE id = (SELECT before FROM realm_sync_replaced WHERE class = {place});"
            f" {forget} INSERT INTO realm_sync_replaced SELECT {place}, {running.format(0)}, {owner_key}, id"
            f" FROM realm_sync_change WHERE id = {newest} AND class = {name} AND kind = 'update'"
            f" AND object_id = {key_sql(binding.primary_key, owner_key)}"
            f" AND EXISTS (SELECT 1 FROM {owners} AS o WHERE {key} = {owner_key});"
        )

    def trigger(event: str, when: str, body: str) -> Trigger:
        full = trigger_name(f"{binding.model._meta.db_table}_{links.property}", event)
        return Trigger(full, f"CREATE TRIGGER {quote(full)} {when} BEGIN {body} END")

    forget = f"DELETE FROM realm_sync_replaced WHERE class = {place};"
    was = f"{_targets(links, key)} UNION ALL SELECT OLD.{target}"
    new, old = (value_sql(links.target, f"{row}.{target}") for row in ("NEW", "OLD"))
    linked = log(f"NEW.{owner}", f"{now} AS now", _without("s.now", new), "s.now")
    unlinked = log(f"OLD.{owner}", f"{_set(links, was)} AS was", "s.was", _without("s.was", old))
    # Up to two owners, of which one lost a link and the other has it now.
    both = (
        f"{_targets(links, key)} AND NOT (l.{owner} IS NEW.{owner} AND l.{target} IS NEW.{target})"
        f" UNION ALL SELECT OLD.{target} WHERE OLD.{owner} = {key}"
    )
    relinked = log(f"OLD.{owner}, NEW.{owner}", f"{_set(links, both)} AS was, {now} AS now", "s.was", "s.now")
    differs = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in (owner, target))
    yield trigger("linked", f"AFTER INSERT ON {table}", noting(f"NEW.{owner}", linked))
    yield trigger("relinked", f"AFTER UPDATE ON {table} WHEN {differs}", f"{forget} {relinked}")
    yield trigger("unlinked", f"AFTER DELETE ON {table}", noting(f"OLD.{owner}", unlinked))


def _unique_keys(binding: Bound) -> Iterator[list[str]]:
    """The columns of every unique key but the primary one. A condition does not matter: more rows are noted, and
    those still there are not logged. Unique expressions are left out: REPLACE by one of them is not seen."""
    meta: Any = binding.model._meta
    keys: list[Any] = [(field.name,) for field in meta.local_concrete_fields if field.unique and not field.primary_key]
    keys += meta.unique_together
    keys += [each.fields for each in meta.constraints if isinstance(each, models.UniqueConstraint) and each.fields]
    for key in keys:
        columns = [meta.get_field(name).column for name in key]
        if binding.columns.issuperset(columns):
            yield columns


def expected(connection: Any, binding: ModelSync) -> Iterator[Expected]:
    """The triggers that a model should have; none while its table or the history does not exist."""
    table = binding.model._meta.db_table.strip('"')
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        there = {row[0] for row in cursor.fetchall()}
        if not there.issuperset(("realm_sync_change", "realm_sync_origin", table)):
            return
        cursor.execute("SELECT name FROM pragma_table_xinfo(%s)", [table])
        columns = [row[0] for row in cursor.fetchall()]
    bound = bind(binding, columns, [each for each in all_links(binding) if each.table.strip('"') in there])
    if bound is not None:
        yield Expected(bound, table, list(triggers(bound)))
        for each in bound.sets:
            yield Expected(bound, each.table.strip('"'), list(set_triggers(bound, each)), of_set=True)


def installed(connection: Any) -> dict[str, Installed]:
    """Our triggers that are there, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, %s) = %s",
            [len(PREFIX), PREFIX],
        )
        return {
            name: Installed(table, Trigger(name, sql).hash, properties(sql), mentions(sql))
            for name, table, sql in cursor.fetchall()
        }


def log_filled(connection: Any, binding: Bound, table: str, names: Collection[str]) -> None:
    """Logs these properties of every row as just written, where they are neither null nor empty."""
    source = quote(table)
    before = literal("{" + ",".join(f'"{name}":null' for name in names) + "}")
    filled = []
    for name in (name for name in names if name in binding.fields_by_name):
        field = binding.fields_by_name[name]
        column = f"{source}.{quote(field.column)}"
        is_json = storage(field) == "json"
        nothing = f"{value_sql(field, column)} NOT IN ('null', {literal(empty(field))})"
        filled.append(nothing if is_json else f"{column} IS NOT NULL")
    filled += [
        f"EXISTS ({_targets(each, f'{source}.{_key(binding)}')})" for each in binding.sets if each.property in names
    ]
    key = key_sql(binding.primary_key, f"{source}.{quote(binding.primary_key.column)}")
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_LOG} SELECT {next_version()} - 1 + row_number() OVER (), {literal(binding.class_name)}, {key}, 'update',"
            f" {before}, {image_sql(binding, source)}, {NOW}, 0 FROM {source} WHERE {' OR '.join(filled)}"
        )


def plain_name(table: str) -> str:
    """The name of a table as Django knows it."""
    return table


def create(connection: Any, table: str, trigger: Trigger) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_NOTES)
        cursor.execute(f"DROP TRIGGER IF EXISTS {quote(trigger.name)}")
        cursor.execute(trigger.sql)


def drop(connection: Any, table: str, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER IF EXISTS {quote(name)}")


def lock(connection: Any) -> None:
    """Nothing to do: whoever drops or creates a trigger holds the one write lock until the transaction ends."""


def set_origin(connection: Any, ident: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO realm_sync_origin (id, ident) VALUES (1, %s)"
            " ON CONFLICT (id) DO UPDATE SET ident = excluded.ident",
            [ident],
        )
