"""The registry: schemas from models, models from schemas."""

from __future__ import annotations

import subprocess
import sys
import uuid
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.questioner import MigrationQuestioner
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import MigrationWriter
from django.test.utils import isolate_apps

from realm_sync import fields, sync
from realm_sync.core.declarations import parse_class
from realm_sync.core.errors import SchemaError
from realm_sync.core.schema import Property, type_text
from realm_sync.core.values import ObjectId
from realm_sync.registry import Registry, SyncedModel, realm_type, refusal, registry
from tests.testapp.models import Airfield, Inspection, Kit, Reading, Sample, Team

SCALARS = {
    "bool": "bool", "int": "int", "float": "float", "double": "double", "decimal": "decimal128", "fixed": "decimal128",
    "string": "string", "text": "string", "data": "data", "date": "date", "day": "date", "object_id": "objectId",
    "uuid": "uuid",
}  # fmt: skip


def test_apps_are_discovered_and_links_come_after_their_targets():
    names = [binding.class_name for binding in registry]
    assert set(names) >= {"Airfield", "Team", "Inspection", "Sample"}
    assert names.index("Airfield") < names.index("Inspection") and names.index("Team") < names.index("Inspection")
    assert [cls.name for cls in registry.schema if not cls.embedded] == names
    registry.schema.check()


@pytest.mark.parametrize(("name", "kind"), SCALARS.items())
def test_every_scalar_type_is_derived_required_and_optional(name, kind):
    properties = registry.get("Sample").schema.properties
    required = properties[f"an_{name}" if name[0] in "aeio" else f"a_{name}"]
    assert (required.type, required.optional, required.has_default) == (kind, False, True)
    optional = properties[f"maybe_{name}"]
    assert (optional.type, optional.optional, optional.has_default) == (kind, True, False)


def test_a_synced_model_has_links_scalars_of_other_keys_and_read_only_fields():
    properties = registry.for_model(Inspection).schema.properties
    assert list(properties)[0] == "_id"
    assert properties["_id"] == Property(type="uuid", indexed=True)
    assert properties["airfield"] == Property(type="object", object_type="Airfield", optional=True, indexed=True)
    assert properties["team"] == Property(type="object", object_type="Team", optional=True, indexed=True)
    assert properties["inspector"] == Property(type="int", optional=True, indexed=True)
    assert properties["title"] == Property(type="string", has_default=True, max_length=200)
    assert properties["status"] == Property(type="string", has_default=True, max_length=10)
    assert properties["priority"] == Property(type="int", indexed=True, has_default=True)
    assert properties["due"] == Property(type="date", optional=True)
    assert properties["hours"] == Property(type="decimal128", has_default=True)
    assert properties["notes"] == Property(type="string", has_default=True)
    assert properties["created_at"] == Property(type="date", read_only=True, has_default=True)
    assert registry.schema.wire_type(properties["airfield"]) == "string"


def test_wire_names_lead_to_concrete_fields():
    binding = registry.for_model(Inspection)
    assert binding.fields_by_name["_id"] is Inspection._meta.pk is binding.primary_key
    assert binding.fields_by_name["airfield"] is Inspection._meta.get_field("airfield")
    assert list(binding.fields_by_name) == list(binding.schema.properties)


def test_options_choose_fields_and_what_is_read_only():
    team = registry.for_model(Team).schema
    assert list(team.properties) == ["_id", "name"]
    assert team.properties["name"].read_only and not team.read_only
    assert registry.for_model(Airfield).schema.read_only


def test_access_is_denied_unless_declared():
    user = get_user_model()(pk=7, username="nora")
    assert sync.ModelSync(Team, registry).readable_by(user) is False
    assert registry.for_model(Team).writable_by(user) is False
    assert registry.for_model(Airfield).readable_by(user) is True
    assert isinstance(registry.for_model(Inspection).readable_by(user), models.Q)


def test_a_foreign_key_is_a_link_exactly_while_its_target_syncs():
    own = Registry()
    own.register(Sample, sync.ModelSync)
    assert own.schema["Sample"].properties["team"].type == "uuid"
    own.register(Team, type("TeamSync", (sync.ModelSync,), {"class_name": "Crew", "exclude": ["members"]}))
    assert own.schema["Sample"].properties["team"].object_type == "Crew"
    assert [binding.class_name for binding in own] == ["Crew", "Sample"]
    assert own.get("Team") is None and own.for_model(Team) is own.get("Crew")
    own.unregister(Team)
    assert own.schema["Sample"].properties["team"].type == "uuid" and own.for_model(Team) is None


@isolate_apps("tests.testapp")
def test_links_may_form_cycles():
    class Runway(models.Model):
        id = models.UUIDField(primary_key=True)
        opposite = models.OneToOneField("Runway", null=True, on_delete=models.SET_NULL)
        light = models.ForeignKey("Light", null=True, on_delete=models.SET_NULL)

        class Meta:
            app_label = "testapp"

    class Light(models.Model):
        id = models.UUIDField(primary_key=True)
        runway = models.ForeignKey(Runway, on_delete=models.CASCADE)

        class Meta:
            app_label = "testapp"

    own = Registry()
    for model in (Runway, Light):
        own.register(model, sync.ModelSync)
    assert {binding.class_name for binding in own} == {"Runway", "Light"}
    assert own.schema["Runway"].properties["opposite"].object_type == "Runway"
    own.schema.check()


@isolate_apps("tests.testapp")
def test_a_key_that_is_a_foreign_key_has_the_type_of_its_target():
    class Profile(models.Model):
        user = models.OneToOneField("auth.User", primary_key=True, on_delete=models.CASCADE)
        airfield = models.ForeignKey("Airfield", null=True, on_delete=models.SET_NULL)

        class Meta:
            app_label = "testapp"

    user = get_user_model()
    assert realm_type(user._meta.pk) == "int"
    Profile._meta.get_field("user").remote_field.model = user
    Profile._meta.get_field("airfield").remote_field.model = Airfield
    own = Registry()
    own.register(Profile, sync.ModelSync)
    properties = own.schema["Profile"].properties
    assert properties["_id"] == Property(type="int", indexed=True)
    assert properties["airfield"] == Property(type="string", optional=True, indexed=True)


class Rot13Field(models.CharField):
    def from_db_value(self, value, expression, connection):
        return value


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (models.AutoField(), "int"), (models.SmallIntegerField(), "int"), (models.PositiveBigIntegerField(), "int"),
        (models.SlugField(), "string"), (models.EmailField(), "string"), (models.URLField(), "string"),
        (models.GenericIPAddressField(), "string"), (models.BinaryField(), "data"),
        (models.GeneratedField(expression=models.F("x"), output_field=models.FloatField(), db_persist=True), "double"),
        (models.JSONField(), "mixed"), (models.FileField(), "string"), (models.ImageField(), "string"),
    ],
)  # fmt: skip
def test_other_fields_have_a_type(field, kind):
    field.name = "remarks"
    assert realm_type(field) == kind and refusal(field) is None


class OwnJSON(models.JSONField):
    pass


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (models.DurationField(), "is a DurationField, which has no type in Realm"),
        (models.TimeField(), "is a TimeField, which has no type in Realm"),
        (Rot13Field(), "is a Rot13Field: only its code understands its values, and the database builds images"),
        (OwnJSON(), "is a OwnJSON, a JSONField of its own: only its code understands its values"),
    ],
)
def test_other_fields_have_a_reason(field, reason):
    field.name = "remarks"
    assert realm_type(field) is None and refusal(field) == reason


@pytest.fixture
def kennel(monkeypatch):
    """A module to declare models in, and a clean-up of what they leave in Django's and our registry."""
    before, synced = dict(apps.all_models["testapp"]), list(registry.registered)
    module = ModuleType("tests.testapp.kennel")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield vars(module)
    for name in set(apps.all_models["testapp"]) - set(before):
        del apps.all_models["testapp"][name]
    for binding in registry.registered:
        if binding not in synced:
            registry.unregister(binding.model)
    apps.clear_cache()


DOG = {
    "name": "Dog",
    "primaryKey": "_id",
    "properties": {
        "_id": "objectId",
        "name": {"type": "string", "default": "Rex", "indexed": True},
        "nick": "string?",
        "age": "int?",
        "weight": "decimal128",
        "speed": "float",
        "vaccinated": {"type": "bool", "default": False},
        "born": "date?",
        "photo": "data",
        "chip": "uuid?",
        "fee": {"type": "decimal128", "default": "12.50"},
        "owner": "Person",
        "legs": {"type": "int", "mapTo": "leg_count"},
    },
}


def declare(kennel, declaration, **options):
    source = "from realm_sync.registry import SyncedModel\n"
    source += "model = SyncedModel.from_schema(declaration, app_label='testapp', **options)"
    kennel |= {"declaration": declaration, "options": options}
    exec(source, kennel)
    return kennel["model"]


def test_a_realm_schema_becomes_a_model_that_syncs(kennel):
    rules = {"readable_by": lambda self, user: True, "read_only_fields": ["fee"]}
    dog = declare(kennel, DOG, sync=rules)
    person = declare(kennel, {"name": "Person", "properties": {"_id": "string", "name": "string"}})
    assert dog.__module__ == "tests.testapp.kennel" and dog._meta.label == "testapp.Dog"
    kinds = {field.name: type(field) for field in dog._meta.fields}
    assert kinds == {
        "id": fields.ObjectIdField, "name": models.TextField, "nick": models.TextField, "age": models.BigIntegerField,
        "weight": fields.Decimal128Field, "speed": fields.Float32Field, "vaccinated": models.BooleanField,
        "born": models.DateTimeField, "photo": models.BinaryField, "chip": models.UUIDField,
        "fee": fields.Decimal128Field, "owner": models.ForeignKey, "leg_count": models.BigIntegerField,
    }  # fmt: skip
    owner = dog._meta.get_field("owner")
    assert owner.related_model is person and owner.null and owner.remote_field.on_delete is models.SET_NULL
    example = dog()
    assert (example.name, example.fee, example.vaccinated) == ("Rex", Decimal("12.5"), False)
    assert isinstance(example.pk, ObjectId)
    binding = registry.for_model(dog)
    assert binding.readable_by(None) is True and binding.writable_by(None) is False
    schema = binding.schema.properties
    assert schema["owner"] == Property(type="object", object_type="Person", optional=True, indexed=True)
    assert schema["name"].indexed and schema["fee"].read_only and schema["nick"].optional
    assert registry.schema["Person"].properties["_id"] == Property(type="string", indexed=True, max_length=255)


def test_makemigrations_sees_a_model_made_from_a_schema(kennel):
    key = {"type": "objectId", "default": ObjectId("0123456789abcdef01234567")}
    declare(kennel, DOG | {"properties": DOG["properties"] | {"mother": key}})
    declare(kennel, {"name": "Person", "properties": {"_id": "uuid", "name": "string"}})
    state, questioner = ProjectState.from_apps(apps), MigrationQuestioner(specified_apps={"testapp"}, dry_run=True)
    detector = MigrationAutodetector(ProjectState(), state, questioner)
    changes = detector.changes(graph=_EmptyGraph(), convert_apps={"testapp"}, trim_to_apps={"testapp"})
    source = "".join(MigrationWriter(migration).as_string() for migration in changes["testapp"])
    assert "realm_sync.fields.ObjectIdField(default=realm_sync.fields.new_object_id" in source
    assert "('leg_count', models.BigIntegerField())" in source
    assert "default=realm_sync.core.values.ObjectId('0123456789abcdef01234567')" in source
    assert "SyncedModel" not in source
    exec(compile(source, "0001_initial.py", "exec"), {})


class _EmptyGraph:
    """As much of a migration graph as the autodetector asks of an app without migrations."""

    def leaf_nodes(self, app=None):
        return []

    def root_nodes(self, app=None):
        return []


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"_id": "objectId", "class": "string"}, "Dog.class: is not a name that a model field can have."),
        ({"_id": "objectId", "save": "string"}, "Dog.save: is not a name that a model field can have."),
        ({"_id": "objectId", "first name": "string"}, "Dog.first name: is not a name"),
        ({"_id": "objectId", "id": "string"}, "Dog.id: is not a name that a model field can have."),
        ({"_id": "objectId", "age": {"type": "int", "default": "old"}}, "Dog.age: has a default that does not fit"),
        ({"_id": "objectId", "a": "int", "b": {"type": "int", "mapTo": "a"}}, "Dog: two of its properties"),
        ({"_id": "double"}, "Dog._id: of type 'double' cannot be made the primary key."),
        ({"_id": "objectId", "toys": "string[][]"}, "Dog.toys: nested collections are not supported."),
    ],
)
def test_a_schema_that_cannot_be_a_model_says_why(kennel, properties, problem):
    with pytest.raises(SchemaError) as error:
        declare(kennel, {"name": "Dog", "properties": properties})
    assert problem in str(error.value)
    assert "dog" not in apps.all_models["testapp"]


def test_what_can_never_sync_is_refused_at_registration(kennel):
    meta = type("Meta", (), {"proxy": True, "app_label": "testapp"})
    proxy = type("NorthTeam", (Team,), {"__module__": kennel["__name__"], "Meta": meta})
    own = Registry()
    with pytest.raises(ImproperlyConfigured, match="NorthTeam is a proxy and has no table"):
        own.register(proxy, sync.ModelSync)
    with pytest.raises(ImproperlyConfigured, match="SyncedModel is abstract"):
        own.register(SyncedModel, sync.ModelSync)
    with pytest.raises(ImproperlyConfigured, match=r"must be a ModelSync: class dict\(sync.ModelSync\)"):
        own.register(Team, dict)
    with pytest.raises(ImproperlyConfigured, match="is not a model"):
        own.register("Team", sync.ModelSync)
    own.register(Team, sync.ModelSync)
    with pytest.raises(ImproperlyConfigured, match="Team syncs already"):
        own.register(Team, sync.ModelSync)
    assert own.for_model(Team) is own.registered[0]


def test_a_synced_model_may_have_a_key_of_its_own(kennel):
    source = """
from django.db import models
from realm_sync import sync

class Coded(sync.SyncedModel):
    code = models.CharField(primary_key=True, max_length=8)
    class Meta:
        abstract = True
        app_label = "testapp"

class Hangar(Coded):
    class Meta:
        app_label = "testapp"

class Windsock(sync.SyncedModel):
    class Sync(sync.ModelSync):
        class_name = "Sock"
    class Meta:
        app_label = "testapp"
"""
    exec(source, kennel)
    assert [field.name for field in kennel["Hangar"]._meta.fields] == ["code"]
    assert isinstance(kennel["Windsock"]().pk, uuid.UUID)
    assert registry.schema["Hangar"].key_type == "string" and registry.get("Sock").model is kennel["Windsock"]


def test_historical_models_and_isolated_ones_do_not_register_themselves():
    before = len(registry)
    ProjectState.from_apps(apps).apps.get_model("testapp", "Inspection")
    with isolate_apps("tests.testapp"):
        type("Stray", (SyncedModel,), {"__module__": "tests.testapp.models"})
    assert len(registry) == before


def test_the_facade_and_the_package_import_as_documented():
    # In a process of its own: the package imports nothing, the façade needs configured settings, not loaded apps.
    script = (
        "import sys, realm_sync; assert 'django' not in sys.modules\n"
        "from django.conf import settings; settings.configure(INSTALLED_APPS=['realm_sync', "
        "'django.contrib.auth', 'django.contrib.contenttypes'])\n"
        "from django.apps import AppConfig\n"
        "import django; django.setup()\n"
        "from realm_sync import sync; print(*sync.__all__)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    documented = "FunctionError ModelSync SyncedModel access_changed function register unregister"
    assert result.stdout.split() == documented.split()


def test_collections_embedded_objects_counters_and_mixed_have_properties():
    own = Registry()
    for model in (Airfield, Team, Kit):
        own.register(model, type(f"{model.__name__}Sync", (sync.ModelSync,), {}))
    own.schema.check()
    kit = own.schema["Kit"].properties
    assert kit["tags"] == Property(type="list", object_type="string", has_default=True)
    assert kit["maybe_tags"] == Property(type="list", object_type="string", optional=True, has_default=True)
    assert kit["mixed_set"] == Property(type="set", object_type="mixed", optional=True, has_default=True)
    assert kit["airfield_set"] == Property(type="set", object_type="Airfield", has_default=True)
    assert kit["airfield_map"] == Property(type="dictionary", object_type="Airfield", optional=True, has_default=True)
    assert kit["parts"] == Property(type="list", object_type="Part", has_default=True)
    assert kit["part_map"] == Property(type="dictionary", object_type="Part", optional=True, has_default=True)
    assert kit["address"] == Property(type="object", object_type="Address", optional=True)
    assert kit["visits"] == Property(type="int", presentation="counter", has_default=True)
    assert kit["anything"] == kit["json"] == Property(type="mixed", optional=True)
    assert kit["teams"] == Property(type="set", object_type="Team", has_default=True)
    assert list(kit)[-1] == "teams" and list(own.for_model(Kit).sets_by_name) == ["teams"]
    part = own.schema["Part"]
    assert part.embedded and part.properties["maker"].object_type == "Address"
    assert part.properties["airfield"] == Property(type="object", object_type="Airfield", optional=True)
    assert part.properties["used"].is_counter and part.properties["name"].max_length == 20
    names = own.schema.names()
    assert names.index("Address") < names.index("Part") < names.index("Kit")


def test_links_of_parts_are_keys_where_their_target_does_not_sync():
    own = Registry()
    own.register(Kit, sync.ModelSync)
    kit = own.schema["Kit"].properties
    assert (kit["route"].object_type, kit["airfield_map"].object_type, kit["teams"].object_type) == (
        "string", "string", "uuid",
    )  # fmt: skip
    own.schema.check()


def test_an_asymmetric_class_is_uploaded_only_and_linked_to_by_nothing():
    own = Registry()
    own.register(Reading, type("ReadingSync", (sync.ModelSync,), {"asymmetric": True}))
    assert own.schema["Reading"].asymmetric
    own.register(Team, type("TeamSync", (sync.ModelSync,), {"asymmetric": True}))
    assert own.schema["Reading"].properties["team"].type == "uuid"


def test_files_are_names_that_clients_do_not_write():
    with isolate_apps("tests.testapp"):

        class Photo(models.Model):
            id = models.UUIDField(primary_key=True)
            file = models.FileField(upload_to="photos", blank=True)

            class Meta:
                app_label = "testapp"

    own = Registry()
    own.register(Photo, sync.ModelSync)
    assert own.schema["Photo"].properties["file"] == Property(type="string", read_only=True, has_default=True)


BAG = {
    "name": "Bag",
    "properties": {
        "_id": "uuid",
        "uses": "counter",
        "any": "mixed",
        "labels": {"type": "list", "objectType": "string", "default": ["new"]},
        "sizes": "int?<>",
        "prices": "decimal128{}",
        "owners": "Person[]",
        "home": "Place",
        "places": "Place{}",
        "bags": {"type": "linkingObjects", "objectType": "Person", "property": "bags"},
    },
}
PLACE = {"name": "Place", "embedded": True, "properties": {"street": "string", "person": "Person", "notes": "string[]"}}


def test_every_realm_type_becomes_a_field(kennel):
    place = declare(kennel, PLACE)
    declare(kennel, {"name": "Person", "properties": {"_id": "uuid"}})
    bag = declare(kennel, BAG, embedded=[place])
    declare(kennel, {"name": "Log", "asymmetric": True, "properties": {"_id": "uuid", "at": "Place"}}, embedded=[place])
    registry.schema.check()
    assert registry.schema["Log"].asymmetric and registry.schema["Place"].embedded
    properties = registry.schema["Bag"].properties
    declared = {name: each for name, each in parse_class(BAG).properties.items() if name != "bags"}
    assert {name: type_text(each) for name, each in properties.items()} == {
        name: type_text(each) for name, each in declared.items()
    }
    example = bag(home=place(street="x", person=uuid.UUID(int=1)))
    assert (example.labels, bag().labels is example.labels, example.uses) == (["new"], False, 0)
    example.full_clean(validate_unique=False)
    assert place.__module__ == "tests.testapp.kennel" or place.__module__ == kennel["__name__"]


def test_migrations_of_columns_with_parts_are_stable(kennel):
    kennel |= {"models": models, "fields": fields, "SyncedModel": SyncedModel}
    source = """
class Spot(fields.EmbeddedObject):
    x = models.FloatField(default=0)

class Bag(SyncedModel):
    tags = fields.ListField(models.CharField(max_length=5), default=["a"])
    sizes = fields.SetField(models.IntegerField(null=True), blank=False)
    owners = fields.DictionaryField(fields.Link("Team"))
    spot = fields.EmbeddedField(Spot, null=True)
    spots = fields.ListField(Spot)
    any = fields.MixedField()
    mixes = fields.ListField(fields.MixedField())
    uses = fields.CounterField()
    class Meta:
        app_label = "testapp"
"""
    exec(source, kennel)
    after, questioner = ProjectState.from_apps(apps), MigrationQuestioner(specified_apps={"testapp"}, dry_run=True)
    detector = MigrationAutodetector(ProjectState(), after, questioner)
    changes = detector.changes(graph=_EmptyGraph(), convert_apps={"testapp"}, trim_to_apps={"testapp"})
    text = "".join(MigrationWriter(migration).as_string() for migration in changes["testapp"])
    assert "('any', realm_sync.fields.MixedField())" in text and "('uses', realm_sync.fields.CounterField())" in text
    assert "('tags', realm_sync.fields.ListField(base=models.CharField(max_length=5), default=['a']))" in text
    assert "('spot', realm_sync.fields.EmbeddedField(embedded='tests.testapp.kennel.Spot', null=True))" in text
    assert "realm_sync.fields.Link(blank=True, null=True, to='testapp.Team')" in text
    before = ProjectState.from_apps(apps)
    for name in [name for app, name in before.models if app == "testapp"]:
        before.remove_model("testapp", name)
    for migration in changes["testapp"]:
        space: dict[str, Any] = {}
        exec(compile(MigrationWriter(migration).as_string(), "migration.py", "exec"), space)
        for operation in space["Migration"].operations:
            operation.state_forwards("testapp", before)
    again = MigrationAutodetector(before, ProjectState.from_apps(apps), questioner)
    assert again.changes(graph=_EmptyGraph(), convert_apps={"testapp"}, trim_to_apps={"testapp"}) == {}
    # Where the class is gone, the value is the wire JSON, and a migration still runs.
    gone = fields.EmbeddedField("tests.testapp.nowhere.Spot")
    assert gone.from_wire({"x": 1}) == {"x": 1} and gone.clone().deconstruct() == gone.deconstruct()


def test_an_array_is_a_list_and_a_generated_field_what_it_generates():
    own = Registry()
    with isolate_apps("tests.testapp"):

        class Track(models.Model):
            id = models.UUIDField(primary_key=True)
            heights = ArrayField(models.IntegerField(null=True), default=list)
            grid = ArrayField(ArrayField(models.IntegerField()), default=list)
            copy = models.GeneratedField(
                expression=models.F("tags"), output_field=fields.ListField(models.TextField()), db_persist=True
            )
            tags = fields.ListField(models.TextField())

            class Meta:
                app_label = "testapp"

    own.register(Track, sync.ModelSync)
    properties = own.schema["Track"].properties
    assert properties["heights"] == Property(type="list", object_type="int", optional=True, has_default=True)
    assert properties["copy"] == Property(type="list", object_type="string", read_only=True, has_default=True)
    assert "grid" not in properties
    assert refusal(Track._meta.get_field("grid")) == "is an ArrayField of something else than plain values"
