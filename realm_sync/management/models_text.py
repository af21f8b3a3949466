"""A models.py from a Realm schema file, as `inspectdb` makes one from a database.

Decides only text: which field a property becomes, schema_models.py says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import models
from django.db.migrations.writer import MigrationWriter

from realm_sync.core.declarations import parse_class
from realm_sync.core.errors import SchemaError
from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Schema
from realm_sync.fields import CollectionField, EmbeddedField, Link
from realm_sync.schema_models import fields_of_schema, with_stored_names

FIELDS_IMPORT = "from realm_sync import fields, sync"


HEADER = (
    "# Made from a Realm schema by `manage.py realm_sync models`. What is left to do:",
    "# * say in an inner `class Sync` of each model who may see and write its objects (readable_by, writable_by);",
    "# * replace text fields by CharField(max_length=…) where you know the longest value;",
    "# * decide what deleting the target of a link does (on_delete);",
    "# * run makemigrations and migrate.",
)


def models_text(
    declarations: Iterable[dict[str, Any]],
    *,
    header: Sequence[str] = HEADER,
    plain: bool = False,
    notes: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """A models.py with a SyncedModel, or an EmbeddedObject, for each Realm object schema. SchemaError for what cannot be
    one. `plain`: with models that a sync.py registers instead; `notes`: comments, by class."""
    parsed = [(each, parse_class(with_stored_names(each))) for each in declarations]
    schema = Schema(cls for _, cls in parsed)
    embedded = {cls.name: cls.name for cls in schema if cls.embedded}
    imports: set[str] = set()
    bodies = []
    for each, cls in _in_order(parsed, schema):
        base = "fields.EmbeddedObject" if cls.embedded else "models.Model" if plain else "sync.SyncedModel"
        lines = [f"class {cls.name}({base}):"]
        lines += [f"    # {' '.join(note.split())}" for note in (notes or {}).get(cls.name, ())]
        if cls.embedded:
            imports.add(FIELDS_IMPORT)
        elif plain and cls.properties[PRIMARY_KEY].type == "uuid":
            imports.add("import uuid")
            lines.append("    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)")
        for name, field in fields_of_schema(each, embedded=embedded).items():
            text, needed = _field_text(field)
            imports |= needed
            lines.append(f"    {name} = {text}")
        if cls.asymmetric and not plain:
            lines += ["", "    class Sync:", "        asymmetric = True"]
        has_body = any(not line.startswith("    #") for line in lines[1:])
        bodies.append("\n".join(lines if has_body else [*lines, "    pass"]))
    imported = FIELDS_IMPORT if FIELDS_IMPORT in imports else "from realm_sync import sync"
    if plain:
        imported = "from realm_sync import fields" if FIELDS_IMPORT in imports else ""
    head = [
        *header,
        *sorted(imports - {FIELDS_IMPORT}, key=lambda line: (line.startswith("from"), line)),
        *([""] if imports - {FIELDS_IMPORT} else []),
        "from django.db import models",
        *(["", imported] if imported else []),
    ]
    return "\n".join(head) + "\n\n\n" + "\n\n\n".join(bodies) + "\n"


def _in_order(
    parsed: list[tuple[dict[str, Any], ObjectSchema]], schema: Schema
) -> Iterator[tuple[dict[str, Any], ObjectSchema]]:
    """Embedded classes before those that hold them: Python must know them. SchemaError for a circle of them."""
    given = {cls.name: (each, cls) for each, cls in parsed}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], ObjectSchema]]:
        if name in path:
            raise SchemaError(name, f"Cycles containing embedded objects are not supported: '{' -> '.join(path)}'.")
        if name in done:
            return
        for prop in schema[name].properties.values():
            if schema.is_embedded(prop.object_type):
                yield from visit(str(prop.object_type), (*path, name))
        done.add(name)
        yield given[name]

    for name in schema.names():
        yield from visit(name, ())


def _field_text(field: models.Field) -> tuple[str, set[str]]:
    """A field as source text, and the import lines it needs."""
    _, path, _, options = field.deconstruct()
    imports: set[str] = set()
    arguments = []
    if isinstance(field, models.ForeignKey):
        arguments.append(f'"{field.remote_field.model}"')  # deconstruct() writes it in lower case
        del options["to"]
    elif isinstance(field, Link):
        arguments.append(f'"{options.pop("to")}"')
    elif isinstance(field, EmbeddedField):
        arguments.append(options.pop("embedded"))
    elif isinstance(field, CollectionField):
        base = options.pop("base")
        text, imports = _field_text(base)
        arguments.append(base.deconstruct()[3]["embedded"] if isinstance(base, EmbeddedField) else text)
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
