"""`manage.py realm_sync …`: one command with the verbs of an operator. Each calls the module that owns it.

Owns only text: how the schema is printed for people and clients, and how models are written from a schema file.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections, models
from django.db.migrations.writer import MigrationWriter
from django.utils import timezone

from realm_sync.conf import settings
from realm_sync.core.errors import SchemaError
from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Property
from realm_sync.models import Change
from realm_sync.registry import fields_of_schema, registry


class Subcommand(NamedTuple):
    help: str
    add_arguments: Callable[[CommandParser], None]
    run: Callable[[BaseCommand, dict[str, Any]], None]


class Command(BaseCommand):
    help = "Shows and looks after what syncs: the schema, the triggers, the history and its epoch."
    requires_system_checks: list[str] = []  # these verbs help to mend what the checks complain about

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="subcommand", required=True, metavar="{" + ",".join(SUBCOMMANDS) + "}")
        for name, subcommand in SUBCOMMANDS.items():
            subcommand.add_arguments(verbs.add_parser(name, help=subcommand.help, description=subcommand.help))

    def handle(self, *args: Any, **options: Any) -> None:
        SUBCOMMANDS[options["subcommand"]].run(self, options)


# schema


def add_schema_arguments(parser: CommandParser) -> None:
    parser.add_argument("--format", choices=sorted(FORMATS), default="json", help="default: json")


def run_schema(command: BaseCommand, options: dict[str, Any]) -> None:
    command.stdout.write(FORMATS[options["format"]](registry.schema))


def schema_as_json(classes: Iterable[ObjectSchema]) -> str:
    """A list of Realm object schemas, as every Realm SDK, and the verb `models`, accepts them."""
    return json.dumps([declaration(cls) for cls in classes], indent=2, ensure_ascii=False)


def schema_as_python(classes: Iterable[ObjectSchema]) -> str:
    """Classes for the Python client."""
    bodies, words = [], set()
    for cls in classes:
        lines = [f"class {cls.name}(Object):"]
        for name, prop in cls.properties.items():
            hint = str(prop.object_type) if prop.type == "object" else PYTHON_TYPES[prop.type]
            words |= set(re.findall(r"\w+", hint))
            options = []
            if name == PRIMARY_KEY:
                options.append("primary_key=True")
                if prop.type in PYTHON_KEYS:
                    options.append(f"default={PYTHON_KEYS[prop.type]}")
                    words.add(PYTHON_KEYS[prop.type])
            elif prop.indexed and prop.type != "object":
                options.append("indexed=True")
            hint += " | None" if prop.optional else ""
            lines.append(f"    {name}: {hint}" + (f" = field({', '.join(options)})" if options else ""))
        bodies.append("\n".join(lines))
    imports = [
        f"from {module} import {', '.join(name for name in names if name in words)}"
        for module, names in PYTHON_IMPORTS.items()
        if words & set(names)
    ]
    header = ["from __future__ import annotations", "", *imports, *([""] if imports else [])]
    ours = [name for name in ("Object", "ObjectId", "field", "new_object_id") if name in words | {"Object", "field"}]
    header.append(f"from realm_sync.client import {', '.join(ours)}")
    return "\n".join(header) + "\n\n\n" + "\n\n\n".join(bodies)


PYTHON_TYPES = {
    "bool": "bool", "int": "int", "float": 'Annotated[float, "float"]', "double": "float", "decimal128": "Decimal",
    "string": "str", "data": "bytes", "date": "datetime", "objectId": "ObjectId", "uuid": "UUID",
}  # fmt: skip
"""The annotation that means each Realm type to the Python client."""
PYTHON_KEYS = {"uuid": "uuid4", "objectId": "new_object_id"}
"""What makes a new key of each type that clients can make."""
PYTHON_IMPORTS = {
    "datetime": ("datetime",), "decimal": ("Decimal",), "typing": ("Annotated",), "uuid": ("UUID", "uuid4"),
}  # fmt: skip


def schema_as_javascript(classes: Iterable[ObjectSchema]) -> str:
    """A module of classes for the browser SDK (`{% realm_sync_config %}` maps "realm") and Realm's own JavaScript SDK."""
    parts = ['import Realm from "realm";']
    for cls in classes:
        lines = [f"export class {cls.name} extends Realm.Object {{", "    static schema = {"]
        lines += [f'        name: "{cls.name}",', f'        primaryKey: "{PRIMARY_KEY}",', "        properties: {"]
        for name, given in declaration(cls)["properties"].items():
            lines.append(f"            {name}: {_javascript_property(name, given)},")
        lines += ["        },", "    };", "}"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


FORMATS: dict[str, Callable[[Iterable[ObjectSchema]], str]] = {
    "json": schema_as_json,
    "python": schema_as_python,
    "javascript": schema_as_javascript,
}


def declaration(cls: ObjectSchema) -> dict[str, Any]:
    """A class as a Realm object schema, with shorthands where they say everything."""
    properties = {name: _declared(name, prop) for name, prop in cls.properties.items()}
    return {"name": cls.name, "primaryKey": cls.primary_key, "properties": properties}


def _declared(name: str, prop: Property) -> str | dict[str, Any]:
    if prop.type == "object":
        return str(prop.object_type)
    if prop.indexed and name != PRIMARY_KEY:
        return {"type": prop.type} | ({"optional": True} if prop.optional else {}) | {"indexed": True}
    return prop.type + ("?" if prop.optional else "")


def _javascript_property(name: str, given: str | dict[str, Any]) -> str:
    makes = {"uuid": "new Realm.BSON.UUID()", "objectId": "new Realm.BSON.ObjectId()"}
    if name == PRIMARY_KEY and isinstance(given, str) and given in makes:
        return f'{{ type: "{given}", default: () => {makes[given]} }}'
    if isinstance(given, str):
        return f'"{given}"'
    return "{ " + ", ".join(f"{key}: {json.dumps(value)}" for key, value in given.items()) + " }"


# models


FIELDS_IMPORT = "from realm_sync import fields, sync"


def add_models_arguments(parser: CommandParser) -> None:
    parser.add_argument("file", help="JSON: one Realm object schema or a list of them; - reads standard input")


def run_models(command: BaseCommand, options: dict[str, Any]) -> None:
    try:
        text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text(encoding="utf-8")
        declarations = json.loads(text)
    except OSError as error:
        raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{options['file']} is not JSON: {error}.") from error
    declarations = [declarations] if isinstance(declarations, dict) else declarations
    if not isinstance(declarations, list) or not all(isinstance(each, dict) for each in declarations):
        raise CommandError(f"{options['file']} must hold a Realm object schema or a list of them.")
    try:
        command.stdout.write(models_text(declarations))
    except SchemaError as error:
        raise CommandError(str(error)) from error


def models_text(declarations: Iterable[dict[str, Any]]) -> str:
    """A models.py with a SyncedModel for each Realm object schema. SchemaError for what cannot be a model."""
    imports: set[str] = set()
    bodies = []
    for each in declarations:
        fields = fields_of_schema(each)
        lines = [f"class {each['name']}(sync.SyncedModel):"]
        for name, field in fields.items():
            text, needed = _field_text(field)
            imports |= needed
            lines.append(f"    {name} = {text}")
        bodies.append("\n".join(lines if fields else [*lines, "    pass"]))
    header = [
        "# Made from a Realm schema by `manage.py realm_sync models`. What is left to do:",
        "# * say in an inner `class Sync` of each model who may see and write its objects (readable_by, writable_by);",
        "# * replace text fields by CharField(max_length=…) where you know the longest value;",
        "# * decide what deleting the target of a link does (on_delete);",
        "# * run makemigrations and migrate.",
        *sorted(imports - {FIELDS_IMPORT}, key=lambda line: (line.startswith("from"), line)),
        *([""] if imports - {FIELDS_IMPORT} else []),
        "from django.db import models",
        "",
        FIELDS_IMPORT if FIELDS_IMPORT in imports else "from realm_sync import sync",
    ]
    return "\n".join(header) + "\n\n\n" + "\n\n\n".join(bodies) + "\n"


def _field_text(field: models.Field) -> tuple[str, set[str]]:
    """A field as source text, and the import lines it needs."""
    _, path, _, options = field.deconstruct()
    imports: set[str] = set()
    arguments = []
    if isinstance(field, models.ForeignKey):
        arguments.append(f'"{field.remote_field.model}"')  # deconstruct() writes it in lower case
        del options["to"]
    for name, value in options.items():
        text, needed = MigrationWriter.serialize(value)
        arguments.append(f"{name}={_short(text)}")
        imports |= {line for line in needed if "django" not in line and line != "import realm_sync.fields"}
    if path.startswith("realm_sync.fields."):
        imports.add(FIELDS_IMPORT)
    return f"{_short(path)}({', '.join(arguments)})", imports


def _short(text: str) -> str:
    for long, short in (
        ("django.db.models.deletion.", "models."), ("django.db.models.", "models."), ("realm_sync.fields.", "fields."),
    ):  # fmt: skip
        text = text.replace(long, short)
    return text


def migrated_database() -> Any:
    """The connection to the synced database. CommandError while realm_sync's own tables are not there."""
    connection = connections[settings.DATABASE]
    if Change._meta.db_table not in connection.introspection.table_names():
        raise CommandError(f"The database '{settings.DATABASE}' has no history yet: run manage.py migrate first.")
    return connection


# triggers


def add_triggers_arguments(parser: CommandParser) -> None:
    parser.add_argument("--repair", action="store_true", help="install what is missing or outdated, drop what is stray")


def run_triggers(command: BaseCommand, options: dict[str, Any]) -> None:
    from realm_sync import capture

    connection = migrated_database()
    if options["repair"]:
        capture.install(connection)
    for row in capture.status(connection):
        paint = command.style.SUCCESS if row.state == "INSTALLED" else command.style.WARNING
        command.stdout.write(f"{paint(f'{row.state:<9}')}  {row.name}")


# prune


def add_prune_arguments(parser: CommandParser) -> None:
    parser.add_argument("--days", type=_days, help="keep this many days instead of REALM_SYNC['HISTORY_DAYS']")


def _days(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days")
    return int(text)


def run_prune(command: BaseCommand, options: dict[str, Any]) -> None:
    from realm_sync import auth, history

    days = settings.HISTORY_DAYS if options["days"] is None else options["days"]
    removed = history.prune(migrated_database(), timezone.now() - timedelta(days=days))
    command.stdout.write(
        f"Removed {removed} changes older than {days} days. Files away for longer meet a client reset.\n"
        f"Removed {auth.prune_sessions()} expired log-ins."
    )


# epoch


def add_epoch_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--renew", action="store_true", help="after restoring a backup: every client file then meets a client reset"
    )


def run_epoch(command: BaseCommand, options: dict[str, Any]) -> None:
    from realm_sync import history

    connection = migrated_database()
    if options["renew"]:
        history.renew_epoch(connection)
    command.stdout.write(history.epoch(connection))


SUBCOMMANDS = {
    "schema": Subcommand("Prints the schema that clients see.", add_schema_arguments, run_schema),
    "models": Subcommand("Writes a models.py from a Realm schema file.", add_models_arguments, run_models),
    "triggers": Subcommand("Shows the triggers of the synced tables.", add_triggers_arguments, run_triggers),
    "prune": Subcommand("Removes old history.", add_prune_arguments, run_prune),
    "epoch": Subcommand("Shows which life of the database this is.", add_epoch_arguments, run_epoch),
}
