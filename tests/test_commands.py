"""`manage.py realm_sync`: what its verbs print."""

from __future__ import annotations

import io
import json
import sys
from types import ModuleType

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from realm_sync import capture
from realm_sync.client.declared import declared_schema
from realm_sync.core.declarations import parse_class
from realm_sync.core.schema import compare
from realm_sync.management.models_text import models_text
from realm_sync.models import Change
from realm_sync.registry import registry
from tests.testapp.models import Team


def run(*arguments, **options):
    out = io.StringIO()
    call_command("realm_sync", *arguments, stdout=out, **options)
    return out.getvalue()


def test_schema_as_json_is_what_realm_accepts():
    classes = {each["name"]: each for each in json.loads(run("schema"))}
    assert classes["Airfield"] == {
        "name": "Airfield",
        "primaryKey": "_id",
        "properties": {
            "_id": "string",
            "name": "string",
            "country": {"type": "string", "indexed": True},
            "latitude": "double?",
            "longitude": "double?",
            "elevation": "int?",
        },
    }
    assert classes["Inspection"]["properties"]["airfield"] == "Airfield"
    for name, declaration in classes.items():
        ours = registry.schema[name]
        parsed = parse_class(declaration)
        assert {key: (p.type, p.object_type, p.optional) for key, p in parsed.properties.items()} == {
            key: (p.type, p.object_type, p.optional) for key, p in ours.properties.items()
        }


def test_schema_as_javascript():
    text = run("schema", format="javascript")
    assert text.startswith('import Realm from "realm";\n\nexport class ')
    assert text.index("export class Team extends Realm.Object {") < text.index("export class Inspection")
    assert '            _id: { type: "uuid", default: () => new Realm.BSON.UUID() },\n' in text
    assert '            airfield: "Airfield",\n' in text
    assert '            priority: { type: "int", indexed: true },\n' in text


def test_schema_as_python_declares_the_same_classes(monkeypatch):
    text = run("schema", "--format", "python")
    assert "from uuid import UUID, uuid4\n" in text
    assert "class Team(Object):\n    _id: UUID = field(primary_key=True, default=uuid4)\n" in text
    assert "    country: str = field(indexed=True)\n    latitude: float | None\n" in text
    assert "    airfield: Airfield | None\n" in text
    module = ModuleType("tests.testapp.classes")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(text, vars(module))
    classes = {name: vars(module)[name] for name in registry.schema.names()}
    compare([declared_schema(cls, classes) for cls in classes.values()], registry.schema)
    for cls in registry.schema:
        assert list(declared_schema(classes[cls.name], classes).properties) == list(cls.properties)


DOGS = [
    {
        "name": "Dog",
        "primaryKey": "_id",
        "properties": {
            "_id": "objectId",
            "name": {"type": "string", "default": "Rex", "indexed": True},
            "chip": {"type": "uuid", "default": "12345678-1234-1234-1234-123456789abc"},
            "fee": {"type": "decimal128", "default": "12.50"},
            "born": {"type": "date", "default": "2026-01-01T12:00:00Z"},
            "owner": "Person",
        },
    },
    {"name": "Person", "primaryKey": "_id", "properties": {"_id": "uuid"}},
]


def test_models_are_written_from_a_schema_file(tmp_path, monkeypatch):
    path = tmp_path / "kennel.json"
    path.write_text(json.dumps(DOGS))
    text = run("models", str(path))
    assert text.endswith(
        """import datetime
import uuid
from decimal import Decimal

from django.db import models

from realm_sync import fields, sync


class Dog(sync.SyncedModel):
    id = fields.ObjectIdField(primary_key=True, default=fields.new_object_id, editable=False)
    name = models.TextField(blank=True, db_index=True, default='Rex')
    chip = models.UUIDField(default=uuid.UUID('12345678-1234-1234-1234-123456789abc'))
    fee = fields.Decimal128Field(default=Decimal('12.50'))
    born = models.DateTimeField(default=datetime.datetime(2026, 1, 1, 12, 0, tzinfo=datetime.timezone.utc))
    owner = models.ForeignKey("Person", blank=True, null=True, related_name='+', on_delete=models.SET_NULL)


class Person(sync.SyncedModel):
    pass
"""
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(DOGS[1])))
    assert "class Person" in run("models", "-")


def test_written_models_have_the_schema_they_were_written_from(monkeypatch):
    before, synced = dict(apps.all_models["testapp"]), registry.registered
    text = models_text(json.loads(run("schema"))).replace("SyncedModel):", "SyncedModel, Twin):")
    # Beside the models they come from, so under other names.
    for name in registry.schema.names():
        text = text.replace(f"class {name}(", f"class {name}Twin(")
        for use in ('ForeignKey("{}"', 'Link("{}"', "EmbeddedField({},", "ListField({})", "DictionaryField({})"):
            text = text.replace(use.format(name), use.format(f"{name}Twin"))
    module = ModuleType("tests.testapp.twins")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    try:
        exec("class Twin: pass\n" + text, vars(module))
        for name, cls in {cls.name: cls for cls in registry.schema}.items():
            if name.endswith("Twin"):
                ours = registry.schema[name.removesuffix("Twin")]
                assert list(cls.properties) == list(ours.properties)
                assert [(p.type, p.optional, p.presentation) for p in cls.properties.values()] == [
                    (p.type, p.optional, p.presentation) for p in ours.properties.values()
                ]
        assert len(registry) == 2 * len(synced)
    finally:
        for name in set(apps.all_models["testapp"]) - set(before):
            del apps.all_models["testapp"][name]
        for binding in registry.registered:
            if binding not in synced:
                registry.unregister(binding.model)
        apps.clear_cache()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[", "is not JSON"),
        ("3", "must hold a Realm object schema or a list of them"),
        ('{"name": "Dog", "properties": {"_id": "int", "def": "int"}}', "Dog.def: is not a name that a model field"),
        (
            '{"name": "Dog", "properties": {"name": "string"}}',
            "'_id' is set as the primary key field but was not found",
        ),
    ],
)
def test_files_that_cannot_be_models_are_refused(tmp_path, content, problem):
    path = tmp_path / "kennel.json"
    path.write_text(content)
    with pytest.raises(CommandError, match=problem.replace("[", "\\[")):
        run("models", str(path))
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        run("models", str(tmp_path / "missing.json"))


def test_triggers_are_shown_and_repaired(each_database):
    assert "INSTALLED" in run("triggers") and "MISSING" not in run("triggers")
    with connections[each_database].cursor() as cursor:
        for row in capture.status(connections[each_database]):
            if row.table.endswith("testapp_team"):
                on = f" ON {row.table}" if each_database == "postgres" else ""
                cursor.execute(f"DROP TRIGGER {row.name}{on}")
    shown = run("triggers")
    assert "MISSING" in shown and "INSTALLED" in shown
    assert "MISSING" not in run("triggers", "--repair")
    Team.objects.create(name="North")
    assert Change.objects.filter(class_name="Team").count() == 1


def test_old_history_is_pruned(each_database):
    Team.objects.create(name="North")
    assert run("prune").startswith("Removed 0 changes older than 30 days.")
    Change.objects.update(timestamp=0)
    Team.objects.create(name="South")
    with override_settings(REALM_SYNC=settings.REALM_SYNC | {"HISTORY_DAYS": 7}):
        assert run("prune").startswith("Removed 1 changes older than 7 days.")
    assert [change.kind for change in Change.objects.all()] == ["insert"]
    assert run("prune", "--days", "0").startswith("Removed")
    with pytest.raises(CommandError, match="'soon' is not a number of days"):
        run("prune", "--days", "soon")


def test_the_epoch_is_shown_and_renewed(each_database):
    first = run("epoch")
    assert first.strip() and run("epoch") == first
    renewed = run("epoch", "--renew")
    assert renewed != first and run("epoch") == renewed


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("verb", ["triggers", "prune", "epoch"])
def test_a_database_without_history_is_told_to_migrate(each_database, verb, tmp_path):
    connections[each_database].close()
    connections.settings[each_database]["NAME"] = tmp_path / "new.sqlite3"
    del connections[each_database]
    with pytest.raises(CommandError, match="The database 'default' has no history yet: run manage.py migrate first."):
        run(verb)


def test_an_unknown_verb_lists_the_known_ones():
    with pytest.raises(
        CommandError, match="invalid choice: 'trigger'.*'schema', 'models', 'triggers', 'prune', 'epoch'"
    ):
        run("trigger")
