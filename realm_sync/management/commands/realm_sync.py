"""`manage.py realm_sync …`: one command with the verbs of an operator. Each calls the module that owns it.

Owns only arguments and what is said. What the first two verbs print is written beside: schema_text.py, models_text.py and,
for exported App Services applications (exported_app.py), sync_text.py.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.utils import timezone

from realm_sync.conf import settings
from realm_sync.core.errors import SchemaError
from realm_sync.management.exported_app import ExportError, read_app
from realm_sync.management.models_text import models_text
from realm_sync.management.schema_text import FORMATS
from realm_sync.management.sync_text import app_models_text, sync_text
from realm_sync.models import Change
from realm_sync.registry import registry


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


# models


def add_models_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "file",
        help="JSON: one Realm object schema or a list of them; - reads standard input. Or the directory, or the zip file, "
        "of an exported App Services application",
    )
    parser.add_argument(
        "--into",
        metavar="DIRECTORY",
        help="of an exported application: write models.py and sync.py there (the directory of a Django app) instead of "
        "printing them",
    )


def run_models(command: BaseCommand, options: dict[str, Any]) -> None:
    path = Path(options["file"])
    if path.is_dir() or (path.is_file() and zipfile.is_zipfile(path)):
        write_app(command, path, options["into"])
        return
    if options["into"]:
        raise CommandError("--into is for exported App Services applications: redirect what is printed, > models.py.")
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


def write_app(command: BaseCommand, path: Path, into: str | None) -> None:
    """models.py and sync.py of an exported application, printed or written."""
    try:
        app = read_app(path)
        texts = {"models.py": app_models_text(app), "sync.py": sync_text(app)}
    except (ExportError, SchemaError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{error.filename or path} cannot be read: {error.strerror}.") from error
    if into is None:
        for name, text in texts.items():
            command.stdout.write(f"# --- {name} " + "-" * (100 - len(name)) + f"\n\n{text}\n")
        return
    targets = {name: Path(into) / name for name in texts}
    for target in targets.values():
        if target.exists() and has_code(target.read_text(encoding="utf-8")):
            raise CommandError(f"{target} has code already: move it away, or choose another directory.")
    for name, target in targets.items():
        target.write_text(texts[name], encoding="utf-8")
        command.stdout.write(f"Wrote {target}")


def has_code(text: str) -> bool:
    """Whether there is more than what startapp writes."""
    return any(not isinstance(each, ast.Import | ast.ImportFrom | ast.Expr) for each in ast.parse(text).body)


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
    from realm_sync import accounts, auth, history

    days = settings.HISTORY_DAYS if options["days"] is None else options["days"]
    removed = history.prune(migrated_database(), timezone.now() - timedelta(days=days))
    command.stdout.write(
        f"Removed {removed} changes older than {days} days. Files away for longer meet a client reset.\n"
        f"Removed {auth.prune_sessions()} expired log-ins, and {accounts.prune_registrations()} users who never confirmed "
        "their address."
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
    "models": Subcommand(
        "Writes models from a Realm schema file or an exported application.", add_models_arguments, run_models
    ),
    "triggers": Subcommand("Shows the triggers of the synced tables.", add_triggers_arguments, run_triggers),
    "prune": Subcommand("Removes old history.", add_prune_arguments, run_prune),
    "epoch": Subcommand("Shows which life of the database this is.", add_epoch_arguments, run_epoch),
}
