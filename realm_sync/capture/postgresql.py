"""Capture on PostgreSQL: statement-level triggers with transition tables, which write the history and notify.

Decides the SQL of images and triggers. Each trigger has a function of its own and of its own name. It runs as its
owner (SECURITY DEFINER), so that programs which may write a synced table need no rights on the history; therefore its
search path is fixed and the tables in it are qualified. Does not know when to install: `capture` is its only caller.

A set of links is rows of a through table, and two transactions may add to one set at once. So a change of its rows locks
their owner first, as an update of the owner does, and reads the set then: the last row of the history has all of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

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
    empty,
    literal,
    mentions,
    properties,
    storage,
    trigger_name,
)

CHANNEL = "realm_sync"


def next_version(change: str = "realm_sync_change") -> str:
    """The version of a row that is written into the history now; `change` is its table.

    The transaction's id, so that reading below the oldest running transaction leaves no gap (R2). But a transaction
    that began before another may write after that one has committed, and to the same object. Versions have to tell
    the true order, so this one is at least the newest version which the transaction can see. It is never less than
    its own id, and therefore not read before its end either.
    """
    return f"greatest(pg_current_xact_id()::text::bigint, (SELECT max(version) FROM {change}))"


NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
"""Milliseconds since 1970."""
_ORIGIN = "coalesce(nullif(current_setting('realm_sync.origin', true), ''), '0')::bigint"
_SAFE = "BETWEEN -9007199254740992 AND 9007199254740992"


def quote(name: str) -> str:
    return name if name.startswith('"') and name.endswith('"') else f'"{name}"'


def value_sql(field: Any, column: str) -> str:
    """The JSON value of a column as text, `null` for NULL (R12)."""
    text = _text(field, column)
    match storage(field):
        case "json":
            return f"coalesce({text}, {literal(empty(field))})"
        case "array":
            elements = f"string_agg({value_sql(field.base_field, 'e')}, ',' ORDER BY at)"
            return f"(SELECT '[' || coalesce({elements}, '') || ']' FROM unnest({column}) WITH ORDINALITY AS u(e, at))"
        case "bool" | "int":
            value = text
        case "bigint":
            value = f"CASE WHEN {column} {_SAFE} THEN {text} ELSE '\"' || {text} || '\"' END"
        case "float" | "double" | "string" | "address":
            # Quotes what is no JSON number: "NaN", "Infinity".
            value = f"to_json({text})::text"
        case _:
            value = f"'\"' || {text} || '\"'"
    return f"coalesce({value}, 'null')"


def _text(field: Any, column: str) -> str:
    """The value of a column as plain text (a double as it is): its wire value without quotes; NULL for NULL."""
    match storage(field):
        case "float" | "double":
            return column
        case "fixed" | "decimal128":
            return f"trim_scale({column})::text"
        case "data":
            return f"translate(encode({column}, 'base64'), chr(10), '')"
        case "date":
            return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        case "day":
            return f"to_char({column}, 'YYYY-MM-DD\"T00:00:00.000000Z\"')"
        case "address":
            return f"host({column})"
        case _:
            return f"{column}::text"


def _member(name: str) -> str:
    return f',"{name}":'


def key_sql(field: Any, column: str) -> str:
    """The object id: the wire value of a primary key as plain text."""
    return _text(field, column)


def image_sql(binding: ModelSync | Bound, row: str, sets: Mapping[str, str] | None = None) -> str:
    """The wire image of a row (a quoted table or alias) as JSON text (R12); `sets` has other SQL for sets of links.

    Joined with `||`: half the time of json_build_object, and not limited to 50 properties.
    """
    pieces = []
    for number, (name, field) in enumerate(binding.fields_by_name.items()):
        pieces.append(literal(("{" if number == 0 else ",") + f'"{name}":'))
        pieces.append(value_sql(field, f"{row}.{quote(field.column)}"))
    for each in _sets(binding):
        pieces.append(literal(_member(each.property)))
        pieces.append((sets or {}).get(each.property) or _set(each, _targets(each, f"{row}.{_key(binding)}")))
    return " || ".join([*pieces, "'}'"])


def _key(binding: ModelSync | Bound) -> str:
    return quote(str(binding.primary_key.column))


def _sets(binding: ModelSync | Bound) -> Iterable[Links]:
    """Its sets of links, their tables as SQL names them: qualified in triggers, plain in bootstraps."""
    if isinstance(binding, Bound):
        return binding.sets
    return (each._replace(table=quote(each.table)) for each in all_links(binding))


def _targets(links: Links, owner: str) -> str:
    """The query of what is in the set of the object with this key."""
    return (
        f"SELECT l.{quote(links.target.column)} AS target FROM {links.table} l"
        f" WHERE l.{quote(links.owner.column)} = {owner}"
    )


def _set(links: Links, targets: str) -> str:
    """The JSON array of a query of targets, in the order of sets on the wire."""
    value, text = value_sql(links.target, "target"), _text(links.target, "target")
    order = f'{text} COLLATE "C"'
    if storage(links.target) in ("int", "bigint"):
        # As they are on the wire: numbers first, then those that are text.
        order = f"NOT target {_SAFE}, CASE WHEN target {_SAFE} THEN target END, {order}"
    return f"(SELECT '[' || coalesce(string_agg({value}, ',' ORDER BY {order}), '') || ']' FROM ({targets}) t)"


def _compared(field: Any, column: str) -> str:
    """The column as an update compares it: different exactly where its wire value is.

    A client shall see what is stored, whatever the column's collation or type (citext) calls equal.
    """
    match storage(field):
        case "string":
            return f'{column}::text COLLATE "C"'
        case "array":
            return f"coalesce({column}::text, '{{}}') COLLATE \"C\""
        case "json":
            return f"coalesce({column}, {literal(empty(field))})"
        case _:
            return column


def _log(binding: Bound, change: str, select: str) -> str:
    """Writes rows of the history: `select` goes on with object id, kind, before and after, and ends FROM …"""
    columns = "version, class, timestamp, origin, object_id, kind, before, after"
    begin = f"{next_version(change)}, {literal(binding.class_name)}, {NOW}, {_ORIGIN}"
    return f"INSERT INTO {change} ({columns}) SELECT {begin}, {select}"


def _trigger(name: str, when: str, *body: str, options: str = "") -> Trigger:
    # jit off: a plan made for many rows is kept for the connection, and would be compiled again for every row saved.
    full = quote(name)
    statements = ";\n".join(body)
    sql = (
        f"CREATE OR REPLACE FUNCTION {full}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
        f" SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET jit = off{options} AS $realm_sync$ BEGIN\n{statements};\n"
        f"PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $realm_sync$;\n"
        f"CREATE TRIGGER {full} {when} FOR EACH STATEMENT EXECUTE FUNCTION {full}()"
    )
    return Trigger(name, sql)


_BY_INDEX = " SET enable_seqscan = off"
"""For functions that look into other tables: a plan made for small ones is kept when they have grown."""


def triggers(binding: Bound, table: str, change: str) -> Iterator[Trigger]:
    """The triggers of one model; `table` is its table and `change` that of the history, qualified and quoted."""
    db_table = binding.model._meta.db_table
    key_field, key = binding.primary_key, _key(binding)
    options = _BY_INDEX if binding.sets else ""
    image_of_gone, noted, forget = _image_of_gone(binding)

    def trigger(event: str, when: str, *body: str) -> Trigger:
        return _trigger(trigger_name(db_table, event), when, *body, options=options)

    yield trigger(
        "insert",
        f"AFTER INSERT ON {table} REFERENCING NEW TABLE AS realm_new",
        _log(
            binding,
            change,
            f"{key_sql(key_field, f'n.{key}')}, 'insert', NULL, {image_sql(binding, 'n')} FROM realm_new n",
        ),
    )

    differs, before = [], []
    for prop, field in binding.fields_by_name.items():
        if field.primary_key:
            continue
        old, new = f"o.{quote(field.column)}", f"n.{quote(field.column)}"
        differ = f"{_compared(field, old)} IS DISTINCT FROM {_compared(field, new)}"
        differs.append(differ)
        before.append(f"CASE WHEN {differ} THEN {literal(_member(prop))} || {value_sql(field, old)} ELSE '' END")
    # Old and new rows meet by primary key; where an UPDATE changed the key, one side is missing.
    gone, fresh = f"n.{key} IS NULL", f"o.{key} IS NULL"
    changed = " || ".join(before) or "''"
    old_values = f"'{{' || substr({changed}, 2) || '}}'"
    yield trigger(
        "update",
        f"AFTER UPDATE ON {table} REFERENCING OLD TABLE AS realm_old NEW TABLE AS realm_new",
        _log(
            binding,
            change,
            f"CASE WHEN {gone} THEN {key_sql(key_field, f'o.{key}')} ELSE {key_sql(key_field, f'n.{key}')} END,"
            f" CASE WHEN {gone} THEN 'delete' WHEN {fresh} THEN 'insert' ELSE 'update' END,"
            f" CASE WHEN {gone} THEN {image_of_gone} WHEN {fresh} THEN NULL ELSE {old_values} END,"
            f" CASE WHEN {gone} THEN NULL ELSE {image_sql(binding, 'n')} END"
            f" FROM realm_old o FULL JOIN realm_new n"
            f" ON {_compared(key_field, f'o.{key}')} = {_compared(key_field, f'n.{key}')}{noted}"
            f" WHERE {' OR '.join([gone, fresh, *differs])}",
        ),
        *forget,
    )
    gone_row = f"{key_sql(key_field, f'o.{key}')}, 'delete', {image_of_gone}, NULL FROM realm_old o{noted}"
    yield trigger(
        "delete",
        f"AFTER DELETE ON {table} REFERENCING OLD TABLE AS realm_old",
        _log(binding, change, gone_row),
        *forget,
    )
    row = f"{key_sql(key_field, f'o.{key}')}, 'delete', {image_sql(binding, 'o')}, NULL FROM ONLY {table} o"
    yield trigger("truncate", f"BEFORE TRUNCATE ON {table}", _log(binding, change, row))


def _note(binding: Bound, links: Links) -> str:
    """The setting, of this transaction, that notes rows of a through table whose owner went before them."""
    return literal("realm_sync." + trigger_name(f"{binding.model._meta.db_table}_{links.property}", "gone"))


def _image_of_gone(binding: Bound) -> tuple[str, str, list[str]]:
    """The image of a row `o` that was deleted, the joins it needs after FROM, and what to do when it is written.

    Where the database cascades, the links are gone, too, before the trigger of their owner runs: they were noted.
    """
    sets, joins, forget = {}, "", []
    for at, each in enumerate(binding.sets):
        if each.cascades:
            owner, target, note = quote(each.owner.column), quote(each.target.column), _note(binding, each)
            rows = f"('[' || rtrim(coalesce(current_setting({note}, true), ''), ',') || ']')::json"
            joins += (
                f" LEFT JOIN (SELECT {owner} AS owner, array_agg({target}) AS targets"
                f" FROM json_populate_recordset(NULL::{each.table}, {rows}) GROUP BY 1) AS noted{at}"
                f" ON noted{at}.owner = o.{_key(binding)}"
            )
            sets[each.property] = _set(
                each, f"{_targets(each, f'o.{_key(binding)}')} UNION SELECT unnest(noted{at}.targets)"
            )
            forget.append(f"PERFORM set_config({note}, '', true)")
    return image_sql(binding, "o", sets), joins, forget


def set_triggers(binding: Bound, links: Links, table: str, change: str) -> Iterator[Trigger]:
    """The triggers of the through table of a set of links: a change of its rows is an update of their owners.

    `table` is the owners' table. A statement gives one row of the history for each owner.
    """
    key_field, key = binding.primary_key, _key(binding)
    owner, target = quote(links.owner.column), quote(links.target.column)
    base = f"{binding.model._meta.db_table}_{links.property}"
    member = literal("{" + _member(links.property)[1:])
    id, now = key_sql(key_field, f"o.{key}"), _targets(links, "touched.owner")

    def trigger(event: str, when: str, touched: str, before: str, condition: str) -> Trigger:
        was = _set(links, before)
        # Whoever else changes a set of this owner waits here, and reads it as this transaction leaves it.
        lock = (
            f"PERFORM 1 FROM {table} o WHERE o.{key} IN (SELECT owner FROM ({touched}) t)"
            f" ORDER BY o.{key} FOR NO KEY UPDATE"
        )
        log = _log(
            binding,
            change,
            f"{id}, 'update', {member} || was.links || '}}', {image_sql(binding, 'o')}"
            f" FROM ({touched}) touched JOIN {table} o ON o.{key} = touched.owner"
            f" CROSS JOIN LATERAL (SELECT {was} AS links) AS was WHERE {condition}",
        )
        nested = " SET enable_hashjoin = off SET enable_mergejoin = off"
        return _trigger(trigger_name(base, event), when, lock, log, options=_BY_INDEX + nested)

    def grouped(source: str, name: str) -> str:
        return f"SELECT {owner} AS owner, array_agg({target}) AS {name} FROM {source} GROUP BY 1"

    through = links.table
    yield trigger(
        "linked",
        f"AFTER INSERT ON {through} REFERENCING NEW TABLE AS realm_new",
        grouped("realm_new", "added"),
        f"{now} EXCEPT SELECT unnest(touched.added)",
        "true",
    )
    yield trigger(
        "relinked",
        f"AFTER UPDATE ON {through} REFERENCING OLD TABLE AS realm_old NEW TABLE AS realm_new",
        f"SELECT owner, added, removed FROM ({grouped('realm_new', 'added')}) n"
        f" FULL JOIN ({grouped('realm_old', 'removed')}) o USING (owner)",
        f"({now} EXCEPT SELECT unnest(touched.added)) UNION SELECT unnest(touched.removed)",
        f"was.links <> {_set(links, now)}",
    )
    yield trigger(
        "unlinked",
        f"AFTER DELETE ON {through} REFERENCING OLD TABLE AS realm_old",
        grouped("realm_old", "removed"),
        f"{now} UNION SELECT unnest(touched.removed)",
        "true",
    )
    # Together with the owners' table: what it logged first is not undone.
    newest = (
        f"SELECT c.kind FROM {change} c WHERE c.class = {literal(binding.class_name)} AND c.object_id = {id}"
        f" ORDER BY c.version DESC, c.id DESC LIMIT 1"
    )
    emptied = image_sql(binding, "o", {links.property: "'[]'"})
    if links.cascades:
        full, note = quote(trigger_name(base, "noted")), _note(binding, links)
        yield Trigger(
            trigger_name(base, "noted"),
            f"CREATE OR REPLACE FUNCTION {full}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            f" SET search_path = pg_catalog, pg_temp AS $realm_sync$ BEGIN\n"
            f"IF NOT EXISTS (SELECT 1 FROM {table} o WHERE o.{key} = OLD.{owner}) THEN"
            f" PERFORM set_config({note}, concat(current_setting({note}, true), row_to_json(OLD), ','), true); END IF;\n"
            f"RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END; END $realm_sync$;\n"
            f"CREATE TRIGGER {full} BEFORE DELETE OR UPDATE OF {owner} ON {through} FOR EACH ROW EXECUTE FUNCTION {full}()",
        )
    yield _trigger(
        trigger_name(base, "emptied"),
        f"BEFORE TRUNCATE ON {through}",
        _log(
            binding,
            change,
            f"{id}, 'update', {member} || {_set(links, _targets(links, f'o.{key}'))} || '}}', {emptied} FROM {table} o"
            f" WHERE EXISTS ({_targets(links, f'o.{key}')}) AND ({newest}) IS DISTINCT FROM 'delete'",
        ),
    )


def expected(connection: Any, binding: ModelSync) -> Iterator[Expected]:
    """The triggers that a model should have; none while its table or the history does not exist."""
    sets = all_links(binding)
    wanted = ["realm_sync_change", binding.model._meta.db_table, *(each.table for each in sets)]
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH wanted AS (SELECT to_regclass(name) AS oid, at FROM unnest(%s::text[]) WITH ORDINALITY AS w(name, at))"
            " SELECT at, quote_ident(n.nspname) || '.' || quote_ident(c.relname), ARRAY("
            "  SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),"
            " EXISTS (SELECT 1 FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f'"
            "  AND f.confrelid = (SELECT oid FROM wanted WHERE at = 2)"
            "  AND NOT (f.confdeltype IN ('a', 'r') AND f.confupdtype IN ('a', 'r')))"
            " FROM wanted JOIN pg_class c ON c.oid = wanted.oid JOIN pg_namespace n ON n.oid = c.relnamespace",
            [[quote(name) for name in wanted]],
        )
        found = {wanted[at - 1]: row for at, *row in cursor.fetchall()}
    if not found.keys() >= set(wanted[:2]):
        return
    change, (table, columns, _) = found[wanted[0]][0], found[wanted[1]]
    there = [(each, found[each.table]) for each in sets if each.table in found]
    bound = bind(binding, columns, [each._replace(table=row[0], cascades=row[2]) for each, row in there])
    if bound is not None:
        yield Expected(bound, table, list(triggers(bound, table, change)))
        for each in bound.sets:
            yield Expected(bound, each.table, list(set_triggers(bound, each, table, change)), of_set=True)


def installed(connection: Any) -> dict[str, Installed]:
    """Our triggers that are there and enabled, by name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgname, quote_ident(n.nspname) || '.' || quote_ident(c.relname),"
            " coalesce(obj_description(t.oid, 'pg_trigger'), ''), f.prosrc"
            " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_proc f ON f.oid = t.tgfoid"
            " WHERE NOT t.tgisinternal AND starts_with(t.tgname, %s) AND n.nspname = ANY (current_schemas(false))"
            " AND t.tgenabled <> 'D'",
            [PREFIX],
        )
        return {
            name: Installed(table, hash, properties(source), mentions(source))
            for name, table, hash, source in cursor.fetchall()
        }


def log_filled(connection: Any, binding: Bound, table: str, names: Collection[str]) -> None:
    """Logs these properties of every row as just written, where they are neither null nor empty."""
    before = literal("{" + ",".join(f'"{name}":null' for name in names) + "}")
    filled = []
    for name in (name for name in names if name in binding.fields_by_name):
        field = binding.fields_by_name[name]
        column = f"o.{quote(field.column)}"
        nothing = f"{value_sql(field, column)} NOT IN ('null', {literal(empty(field))})"
        filled.append(nothing if storage(field) in ("json", "array") else f"{column} IS NOT NULL")
    filled += [f"EXISTS ({_targets(each, f'o.{_key(binding)}')})" for each in binding.sets if each.property in names]
    key = key_sql(binding.primary_key, f"o.{quote(binding.primary_key.column)}")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO realm_sync_change (version, class, object_id, kind, before, after, timestamp, origin)"
            f" SELECT {next_version()}, {literal(binding.class_name)}, {key}, 'update', {before},"
            f" {image_sql(binding, 'o')}, {NOW}, 0 FROM {table} o WHERE {' OR '.join(filled)}"
        )
        cursor.execute(f"NOTIFY {CHANNEL}")


def plain_name(table: str) -> str:
    """The name of a table as Django knows it, without schema and quotes."""
    name = re.fullmatch(r'(?:"(?:[^"]|"")*"|[^."]*)\.(.*)', table)
    plain = name[1] if name else table
    return plain[1:-1].replace('""', '"') if plain.startswith('"') else plain


def create(connection: Any, table: str, trigger: Trigger) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER IF EXISTS {quote(trigger.name)} ON {table}")
        cursor.execute(trigger.sql)
        cursor.execute(f"COMMENT ON TRIGGER {quote(trigger.name)} ON {table} IS {literal(trigger.hash)}")


def drop(connection: Any, table: str, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER IF EXISTS {quote(name)} ON {table}")
        cursor.execute(f"DROP FUNCTION IF EXISTS {quote(name)}()")


def lock(connection: Any) -> None:
    """Makes two processes that install at once take turns, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('realm_sync triggers'))")


def set_origin(connection: Any, ident: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('realm_sync.origin', %s, true)", [str(ident) if ident else ""])
