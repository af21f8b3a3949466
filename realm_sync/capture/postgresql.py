"""Capture on PostgreSQL: statement-level triggers with transition tables, which write the history and notify.

Decides the SQL of images and triggers. Each trigger has a function of its own and of its own name. It runs as its
owner (SECURITY DEFINER), so that programs which may write a synced table need no rights on the history; therefore its
search path is fixed and the tables in it are qualified. Does not know when to install: `capture` is its only caller.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from realm_sync.registry import ModelSync

from .columns import PREFIX, Bound, Expected, Installed, Trigger, bind, literal, properties, storage, trigger_name

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


def image_sql(binding: ModelSync | Bound, row: str) -> str:
    """The wire image of a row (a quoted table or alias) as JSON text (R12).

    Joined with `||`: half the time of json_build_object, and not limited to 50 properties.
    """
    pieces = []
    for number, (name, field) in enumerate(binding.fields_by_name.items()):
        pieces.append(literal(("{" if number == 0 else ",") + f'"{name}":'))
        pieces.append(value_sql(field, f"{row}.{quote(field.column)}"))
    return " || ".join([*pieces, "'}'"])


def _bytewise(field: Any, column: str) -> str:
    # Whatever the column's collation or type (citext) calls equal: a client shall see what is stored.
    return f'{column}::text COLLATE "C"' if storage(field) == "string" else column


def triggers(binding: Bound, table: str, change: str) -> Iterator[Trigger]:
    """The triggers of one model; `table` is its table and `change` that of the history, qualified and quoted."""
    db_table = binding.model._meta.db_table
    name, key_field = literal(binding.class_name), binding.primary_key
    key = quote(key_field.column)
    log = f"INSERT INTO {change} (version, class, object_id, kind, before, after, timestamp, origin) SELECT {next_version(change)}, {name}"
    stamp = f"{NOW}, {_ORIGIN}"

    def trigger(event: str, when: str, body: str) -> Trigger:
        # jit off: a plan made for many rows is kept for the connection, and would be compiled again for every row saved.
        full = quote(trigger_name(db_table, event))
        sql = (
            f"CREATE OR REPLACE FUNCTION {full}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            f" SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 SET jit = off AS $realm_sync$ BEGIN\n{body};\n"
            f"PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $realm_sync$;\n"
            f"CREATE TRIGGER {full} {when} FOR EACH STATEMENT EXECUTE FUNCTION {full}()"
        )
        return Trigger(trigger_name(db_table, event), sql)

    def deletes(source: str) -> str:
        return f"{log}, {key_sql(key_field, f'o.{key}')}, 'delete', {image_sql(binding, 'o')}, NULL, {stamp} FROM {source} o"

    yield trigger(
        "insert",
        f"AFTER INSERT ON {table} REFERENCING NEW TABLE AS realm_new",
        f"{log}, {key_sql(key_field, f'n.{key}')}, 'insert', NULL, {image_sql(binding, 'n')}, {stamp} FROM realm_new n",
    )

    differs, before = [], []
    for prop, field in binding.fields_by_name.items():
        if field.primary_key:
            continue
        old, new = f"o.{quote(field.column)}", f"n.{quote(field.column)}"
        differ = f"{_bytewise(field, old)} IS DISTINCT FROM {_bytewise(field, new)}"
        differs.append(differ)
        before.append(f"CASE WHEN {differ} THEN {literal(_member(prop))} || {value_sql(field, old)} ELSE '' END")
    # Old and new rows meet by primary key; where an UPDATE changed the key, one side is missing.
    gone, fresh = f"n.{key} IS NULL", f"o.{key} IS NULL"
    changed = " || ".join(before) or "''"
    old_values = f"'{{' || substr({changed}, 2) || '}}'"
    yield trigger(
        "update",
        f"AFTER UPDATE ON {table} REFERENCING OLD TABLE AS realm_old NEW TABLE AS realm_new",
        f"{log}, CASE WHEN {gone} THEN {key_sql(key_field, f'o.{key}')} ELSE {key_sql(key_field, f'n.{key}')} END,"
        f" CASE WHEN {gone} THEN 'delete' WHEN {fresh} THEN 'insert' ELSE 'update' END,"
        f" CASE WHEN {gone} THEN {image_sql(binding, 'o')} WHEN {fresh} THEN NULL ELSE {old_values} END,"
        f" CASE WHEN {gone} THEN NULL ELSE {image_sql(binding, 'n')} END, {stamp}"
        f" FROM realm_old o FULL JOIN realm_new n"
        f" ON {_bytewise(key_field, f'o.{key}')} = {_bytewise(key_field, f'n.{key}')}"
        f" WHERE {' OR '.join([gone, fresh, *differs])}",
    )
    yield trigger("delete", f"AFTER DELETE ON {table} REFERENCING OLD TABLE AS realm_old", deletes("realm_old"))
    yield trigger("truncate", f"BEFORE TRUNCATE ON {table}", deletes(f"ONLY {table}"))


def expected(connection: Any, binding: ModelSync) -> Expected | None:
    """The triggers a model should have; None while its table or the history does not exist."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), ARRAY("
            "  SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)"
            " FROM unnest(ARRAY[to_regclass(%s), to_regclass('realm_sync_change')]) WITH ORDINALITY AS wanted (oid, at)"
            " JOIN pg_class c ON c.oid = wanted.oid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY at",
            [quote(binding.model._meta.db_table)],
        )
        found = cursor.fetchall()
    if len(found) < 2:
        return None
    (table, columns), (change, _) = found
    bound = bind(binding, columns)
    return bound and Expected(bound, table, list(triggers(bound, table, change)))


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
        return {name: Installed(table, hash, properties(source)) for name, table, hash, source in cursor.fetchall()}


def log_filled(connection: Any, binding: Bound, table: str, names: Collection[str]) -> None:
    """Logs these properties of every row as just written, where they are not null."""
    before = literal("{" + ",".join(f'"{name}":null' for name in names) + "}")
    filled = [f"o.{quote(binding.fields_by_name[name].column)} IS NOT NULL" for name in names]
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
