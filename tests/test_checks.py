"""Every system check: its id, its sentence, and the line it tells to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connections, models
from django.test import override_settings
from django.test.utils import isolate_apps

from realm_sync import capture, sync
from realm_sync.checks import (
    check_bindings,
    check_classes,
    check_client_settings,
    check_custom_jwt,
    check_project,
    check_settings,
    check_triggers,
)
from realm_sync.conf import Settings, settings
from realm_sync.fields import CounterField, DictionaryField, EmbeddedField, EmbeddedObject, Link, ListField, SetField
from realm_sync.registry import Registry
from tests.testapp.models import Airfield, Team


def found(messages):
    return {message.id.removeprefix("realm_sync."): (message.msg, message.hint) for message in messages}


def of(*bindings):
    """What the checks say of models and their options, registered in this order."""
    own = Registry()
    for model, options in bindings:
        own.register(model, type(f"{model.__name__}Sync", (sync.ModelSync,), options))
    return found(check_bindings(own.registered, own.registered))


RULES = {"readable_by": lambda self, user: True, "writable_by": lambda self, user: True}


def declare(model_name, bases=(models.Model,), **attributes):
    attributes.setdefault("Meta", type("Meta", (), {"app_label": "testapp"}))
    return type(model_name, bases, {"__module__": __name__, **attributes})


def test_the_test_project_has_nothing_to_complain_about():
    assert checks.run_checks(tags=["realm_sync"]) == []
    call_command("check", "--tag", "realm_sync")


@pytest.mark.parametrize(
    ("configured", "id", "message", "hint"),
    [
        ({"HISTORY_DAY": 3}, "E001", "REALM_SYNC has the unknown key 'HISTORY_DAY'.", 'Write "HISTORY_DAYS".'),
        ({"app_id": "x"}, "E001", "REALM_SYNC has the unknown key 'app_id'.", 'Write "APP_ID".'),
        ({"Q": 1}, "E001", "REALM_SYNC has the unknown key 'Q'.", "Use one of APP_ID, DATABASE, "),
        (["APP_ID"], "E001", "REALM_SYNC is not a dict.", 'Write REALM_SYNC = {"APP_ID": "my-app"}.'),
        ({"HISTORY_DAYS": "30"}, "E002", "REALM_SYNC[\"HISTORY_DAYS\"] is '30', not a whole number.",
         'Write "HISTORY_DAYS": 30, which is the default'),
        ({"HISTORY_DAYS": True}, "E002", 'REALM_SYNC["HISTORY_DAYS"] is True, not a whole number.', ""),
        ({"WINDOW": -1}, "E002", 'REALM_SYNC["WINDOW"] is -1, and must be above 0.', 'Write "WINDOW": 32'),
        ({"POLL_SECONDS": 0}, "E002", 'REALM_SYNC["POLL_SECONDS"] is 0, and must be above 0.', ""),
        ({"REGISTRATION": 1}, "E002", 'REALM_SYNC["REGISTRATION"] is 1, not True or False.', ""),
        ({"CUSTOM_JWT": "key"}, "E002", "REALM_SYNC[\"CUSTOM_JWT\"] is 'key', not a dict.", ""),
        ({"ACCOUNT_DELETION": "remove"}, "E002",
         "REALM_SYNC[\"ACCOUNT_DELETION\"] is 'remove', not one of 'deactivate', 'delete', 'refuse'.", ""),
        ({"APP_ID": None}, "E002", 'REALM_SYNC["APP_ID"] is None, not a string.', ""),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(configured, id, message, hint):
    with override_settings(REALM_SYNC=configured):
        messages = found(check_settings())
    assert messages[id][0] == message and messages[id][1].startswith(hint)


def test_every_default_and_every_right_setting_passes():
    defaults = {name: getattr(Settings(), name) for name in Settings.names()}
    with override_settings(REALM_SYNC=defaults):
        assert check_settings() == []
    with override_settings(REALM_SYNC={"POLL_SECONDS": 1, "CUSTOM_JWT": {"key": "k"}}):
        assert check_settings() == []


@pytest.mark.parametrize(
    ("name", "value", "id", "message", "hint"),
    [
        ("NEW_REALM_FILE_BEHAVIOR", {"type": "openImmediatly"}, "E002",
         "[\"type\"] is 'openImmediatly', not one of 'downloadBeforeOpen', 'openImmediately'.",
         'Write "type": "openImmediately".'),
        ("NEW_REALM_FILE_BEHAVIOR", {}, "E002", '["type"] is missing, not one of', "Use one of 'downloadBeforeOpen', "),
        ("EXISTING_REALM_FILE_BEHAVIOR", {"type": ["x"]}, "E002", "[\"type\"] is ['x'], not one of", "Use one of "),
        ("EXISTING_REALM_FILE_BEHAVIOR", {"type": "openImmediately", "timeout": 7}, "E001",
         " has the unknown key 'timeout'.", 'Write "timeOut".'),
        ("NEW_REALM_FILE_BEHAVIOR", {"type": "openImmediately", "time_out_behavior": "x"}, "E001",
         " has the unknown key 'time_out_behavior'.", 'Write "timeOutBehavior".'),
        ("NEW_REALM_FILE_BEHAVIOR", {"type": "openImmediately", 7: "x"}, "E001", " has the unknown key 7.",
         "Use one of type, timeOutBehavior, timeOut."),
        ("NEW_REALM_FILE_BEHAVIOR", {"type": "openImmediately", "timeOut": -1}, "E002",
         '["timeOut"] is -1, and must be above 0.', 'Write milliseconds, such as "timeOut": 30000'),
        ("NEW_REALM_FILE_BEHAVIOR", {"type": "openImmediately", "timeOut": "5 s"}, "E002",
         "[\"timeOut\"] is '5 s', not a whole number.", "Write milliseconds"),
        ("NEW_REALM_FILE_BEHAVIOR", {"type": "openImmediately", "timeOut": 5, "timeOutBehavior": "openLocalRelm"},
         "E002", "[\"timeOutBehavior\"] is 'openLocalRelm', not one of", 'Write "timeOutBehavior": "openLocalRealm".'),
        ("EXISTING_REALM_FILE_BEHAVIOR", {"type": "downloadBeforeOpen", "timeOut": 5000}, "E002",
         ' has a "timeOut" and does not say what happens then.', 'Write "timeOutBehavior": "throwException"'),
        ("CLIENT_TIMEOUTS", {"conect": 1000}, "E001", " has the unknown key 'conect'.", 'Write "connect".'),
        ("CLIENT_TIMEOUTS", {"ping": 5000, "pong": 4000}, "E002",
         " lets clients ping every 5000 milliseconds, and give up after 4000 without an answer.", 'Write "pong": 10000'),
        ("CLIENT_TIMEOUTS", {"linger": -1}, "E002", '["linger"] is -1, and must be above 0.', "Write milliseconds"),
        ("CLIENT_TIMEOUTS", {"fast_reconect": 1}, "E001", " has the unknown key 'fast_reconect'.",
         'Write "fastReconnect".'),
        ("CLIENTS", {"pyhton": {}}, "E001", " has the unknown key 'pyhton'.", 'Write "python".'),
        ("CLIENTS", {"ios": {}}, "E001", " has the unknown key 'ios'.", "Use one of web, python."),
        ("CLIENTS", {"web": 7}, "E002", '["web"] is 7, not a dict.', 'Write "web": {"CLIENT_TIMEOUTS": '),
        ("CLIENTS", {"web": {"NEW_REALM_FILE_BEHAVIOUR": {}}}, "E001",
         "[\"web\"] has the unknown key 'NEW_REALM_FILE_BEHAVIOUR'.", 'Write "NEW_REALM_FILE_BEHAVIOR".'),
        ("CLIENTS", {"web": {"cancelWaitsOnNonFatalError": True}}, "E001", '["web"] has the unknown key ',
         'Write "CANCEL_WAITS_ON_NON_FATAL_ERROR".'),
        ("CLIENTS", {"web": {"APP_ID": "x"}}, "E001", "[\"web\"] has the unknown key 'APP_ID'.", "Use one of NEW_REALM_"),
        ("CLIENTS", {"python": {"CANCEL_WAITS_ON_NON_FATAL_ERROR": 1}}, "E002",
         '["python"]["CANCEL_WAITS_ON_NON_FATAL_ERROR"] is 1, not True or False.',
         'Write "CANCEL_WAITS_ON_NON_FATAL_ERROR": False, or leave the key out'),
        ("CLIENTS", {"python": {"NEW_REALM_FILE_BEHAVIOR": {"type": "openImmediatly"}}}, "E002",
         "[\"python\"][\"NEW_REALM_FILE_BEHAVIOR\"][\"type\"] is 'openImmediatly', not one of",
         'Write "type": "openImmediately".'),
        ("CLIENTS", {"python": {"CLIENT_TIMEOUTS": {"pong": 0}}}, "E002",
         '["python"]["CLIENT_TIMEOUTS"]["pong"] is 0, and must be above 0.', "Write milliseconds"),
        ("CLIENT_TIMEOUTS", {"connect": -5}, "E002", '["connect"] is -5, and must be above 0.',
         'Write milliseconds, such as "connect": 120000, which is the default.'),
    ],
)  # fmt: skip
def test_a_mistake_in_what_clients_get_is_named(name, value, id, message, hint):
    with override_settings(REALM_SYNC={name: value}):
        assert check_settings() == []
        messages = found(check_client_settings())
    assert list(messages) == [id]
    assert messages[id][0].startswith(f'REALM_SYNC["{name}"]{message}') and messages[id][1].startswith(hint)


@pytest.mark.parametrize(
    "configured",
    [
        {},
        {"NEW_REALM_FILE_BEHAVIOR": {"type": "openImmediately"}},
        {"NEW_REALM_FILE_BEHAVIOR": {"type": "openImmediately", "timeOut": 500}},
        {"EXISTING_REALM_FILE_BEHAVIOR": {"type": "downloadBeforeOpen", "timeOut": None, "timeOutBehavior": None}},
        {"CLIENT_TIMEOUTS": {"connect": 5000, "ping": 1000}},
        {"CLIENT_TIMEOUTS": {"linger": 0}, "CLIENTS": {"web": {"CLIENT_TIMEOUTS": {"linger": 0}}, "python": {}}},
        {"CLIENTS": {"web": {"EXISTING_REALM_FILE_BEHAVIOR": {"type": "openImmediately"}}}},
        {"CLIENTS": ["web"]},
        {"CLIENT_TIMEOUTS": 7, "NEW_REALM_FILE_BEHAVIOR": "openImmediately"},  # the business of check_settings
    ],
)
def test_what_clients_may_get_passes(configured):
    with override_settings(REALM_SYNC=configured):
        assert check_client_settings() == []


def test_clients_must_ping_before_they_count_as_gone():
    with override_settings(REALM_SYNC={"IDLE_SECONDS": 50}):
        message, hint = found(check_client_settings())["E002"]
    assert message == 'REALM_SYNC["IDLE_SECONDS"] is 50, but clients ping every 60000 milliseconds.'
    assert hint == 'Write "IDLE_SECONDS": 180, or a smaller "ping" in CLIENT_TIMEOUTS.'


def test_each_class_of_clients_must_ping_in_time():
    clients = {
        "web": {"CLIENT_TIMEOUTS": {"connect": 5}},
        "python": {"CLIENT_TIMEOUTS": {"ping": 200_000, "pong": 400_000}},
    }
    with override_settings(REALM_SYNC={"CLIENTS": clients}):
        [error] = check_client_settings()
    assert error.msg == 'REALM_SYNC["IDLE_SECONDS"] is 180, but python clients ping every 200000 milliseconds.'
    with override_settings(REALM_SYNC={"IDLE_SECONDS": 50, "CLIENTS": clients}):
        assert [each.msg.split(", ")[1] for each in check_client_settings()] == [
            "but clients ping every 60000 milliseconds.",
            "but python clients ping every 200000 milliseconds.",
        ]


def test_settings_are_read_at_every_access():
    assert settings.HISTORY_DAYS == 30
    with override_settings(REALM_SYNC={"HISTORY_DAYS": 7}):
        assert settings.HISTORY_DAYS == 7
    assert settings.HISTORY_DAYS == 30
    with pytest.raises(AttributeError):
        settings.HISTORY_DAY  # noqa: B018


def test_dates_need_time_zones():
    with override_settings(USE_TZ=False):
        assert found(check_project())["E003"][1] == "Write USE_TZ = True in the settings."


def test_an_unknown_alias_and_another_database_are_refused(monkeypatch):
    with override_settings(REALM_SYNC={"DATABASE": "primary"}):
        assert found(check_project())["E002"][1] == "Use one of 'default', 'postgres'."
    monkeypatch.setattr(type(connections["default"]), "vendor", "mysql")
    monkeypatch.setattr(type(connections["default"]), "display_name", "MySQL")
    message, hint = found(check_project())["E004"]
    assert message == "The database 'default' is MySQL; realm_sync has triggers for SQLite and PostgreSQL."
    assert hint.startswith('Write "ENGINE": "django.db.backends.postgresql"')


def test_sqlite_is_told_how_to_bear_concurrent_writers(monkeypatch):
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", {"timeout": 5})
    assert found(check_project())["W001"][1] == (
        'Write "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"} in DATABASES["default"].'
    )


@isolate_apps("tests.testapp")
def test_keys_that_the_database_makes_are_for_read_only_classes():
    runway = declare("Runway", id=models.BigAutoField(primary_key=True))
    message, hint = of((runway, RULES))["E006"]
    assert message == "The primary key is a BigAutoField: the database makes it, but clients create objects offline."
    assert hint == (
        "Write id = models.UUIDField(primary_key=True, default=uuid.uuid4) in the model, "
        "or read_only = True in RunwaySync if clients only read."
    )
    assert of((runway, RULES | {"read_only": True})) == {}


@isolate_apps("tests.testapp")
@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (models.DurationField(primary_key=True), "The primary key is a DurationField; a key on the wire is one of"),
        (models.TextField(primary_key=True), "The primary key can be longer than 255 characters"),
        (models.CharField(primary_key=True, max_length=256), "The primary key can be longer than 255 characters"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_one_are_refused(key, problem):
    messages = of((declare("Runway", number=key), RULES))
    message, hint = messages["E007"]
    assert message.startswith(problem)
    assert hint.startswith("Write number = models.CharField(primary_key=True, max_length=255) in the model")


@isolate_apps("tests.testapp")
def test_a_field_that_cannot_sync_names_both_remedies():
    runway = declare(
        "Runway",
        id=models.UUIDField(primary_key=True),
        name=models.CharField(max_length=9),
        plan=models.DurationField(null=True),
        extras=models.TimeField(null=True),
    )
    own = Registry()
    own.register(runway, type("RunwaySync", (sync.ModelSync,), RULES))
    messages = check_bindings(own.registered, own.registered)
    assert [(str(message.obj), message.msg) for message in messages] == [
        ("testapp.Runway.plan", "The field is a DurationField, which has no type in Realm."),
        ("testapp.Runway.extras", "The field is a TimeField, which has no type in Realm."),
    ]
    assert messages[0].hint == (
        'Write exclude = ["plan", "extras"] in RunwaySync, or name what syncs: fields = ["name"].'
    )
    assert list(own.schema["Runway"].properties) == ["_id", "name"]
    assert of((runway, RULES | {"exclude": ["plan", "extras"]})) == {}
    assert of((runway, RULES | {"fields": ["name"]})) == {}


@isolate_apps("tests.testapp")
def test_many_to_many_fields_with_rows_of_their_own_must_be_left_out():
    crew = declare(
        "Crew",
        id=models.UUIDField(primary_key=True),
        friends=models.ManyToManyField("self", blank=True),
        airfields=models.ManyToManyField(Airfield, blank=True, through="Visit"),
        teams=models.ManyToManyField(Team, blank=True),
    )
    declare(
        "Visit",
        crew=models.ForeignKey(crew, on_delete=models.CASCADE),
        airfield=models.ForeignKey(Airfield, on_delete=models.CASCADE),
    )
    own = Registry()
    own.register(crew, type("CrewSync", (sync.ModelSync,), RULES))
    messages = check_bindings(own.registered, own.registered)
    assert [message.msg for message in messages] == [
        "The field is a symmetrical ManyToManyField: one link is two rows, which change two objects at once.",
        "The field is a ManyToManyField through Visit, whose rows hold more than the link; let Visit sync as a class "
        "of its own.",
    ]
    assert messages[0].hint == (
        'Write exclude = ["friends", "airfields"] in CrewSync, or name what syncs: fields = ["teams"].'
    )
    assert list(own.schema["Crew"].properties) == ["_id", "teams"]


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"fields": ["nam"]}, "fields names 'nam', but Team has no such field.", 'Write "name" in fields of TeamSync.'),
        ({"exclude": ["members", "colour"]}, "exclude names 'colour', but Team has no such field.",
         'Remove "colour" from exclude of TeamSync.'),
        ({"exclude": ["members", "id"]}, "exclude names 'id', but the primary key always syncs.",
         'Remove "id" from exclude of TeamSync.'),
        ({"fields": "name"}, "fields is a string, not a list.", 'Write fields = ["name"] of TeamSync.'),
        ({"fields": ["name"], "read_only_fields": ["Name"]},
         "read_only_fields names 'Name', but Team has no such field.",
         'Write "name" in read_only_fields of TeamSync.'),
    ],
)  # fmt: skip
def test_options_name_fields_that_exist(options, message, hint):
    assert of((Team, RULES | options))["E009"] == (message, hint)


def test_misspelt_options_are_noticed_and_helpers_are_not():
    options = RULES | {"fields": ["name"], "readonly_fields": ["name"], "is_leader": lambda self, user: False}
    assert of((Team, options)) == {
        "W004": ("'readonly_fields' is not an option and has no effect.", "Write read_only_fields in TeamSync.")
    }


@isolate_apps("tests.testapp")
def test_foreign_keys_refer_to_primary_keys():
    runway = declare(
        "Runway",
        id=models.UUIDField(primary_key=True),
        team=models.ForeignKey(Team, null=True, to_field="name", on_delete=models.CASCADE),
    )
    message, hint = of((runway, RULES))["E010"]
    assert message == "The field refers to 'name' of Team, not to its primary key."
    assert hint.startswith('Write exclude = ["team"] in RunwaySync')


@isolate_apps("tests.testapp")
def test_a_class_name_is_used_once():
    runway = declare("Runway", id=models.UUIDField(primary_key=True))
    messages = of((Airfield, RULES), (runway, RULES | {"class_name": "Airfield"}))
    assert messages == {
        "E005": (
            "The class name 'Airfield' is taken by testapp.Airfield; this model does not sync.",
            'Write class_name = "TestappAirfield" in RunwaySync.',
        )
    }


@isolate_apps("tests.testapp", "django.contrib.auth", "django.contrib.contenttypes")
def test_rows_in_two_tables_do_not_sync():
    place = declare("Place", id=models.UUIDField(primary_key=True))
    heliport = declare("Heliport", (place,), pads=models.IntegerField(default=1))
    message, hint = of((heliport, RULES))["E011"]
    assert message.startswith(
        "The model inherits from Place with a table of its own; an object whose row is spread over"
    )
    assert hint == "Write abstract = True in class Meta of Place, or link to it with a ForeignKey."
    own = Registry()
    own.register(heliport, sync.ModelSync)
    assert len(own) == 0 and own.for_model(heliport) is None


def test_a_class_that_nobody_may_see_is_noticed():
    assert (
        of((Airfield, {}))["W002"][1]
        == "Write def readable_by(self, user): return True in AirfieldSync, or return a Q."
    )


@isolate_apps("tests.testapp")
def test_objects_that_clients_could_never_create_are_noticed():
    runway = declare("Runway", id=models.UUIDField(primary_key=True), length=models.IntegerField())
    assert of((runway, RULES)) == {}
    for options in ({"fields": []}, {"exclude": ["length"]}, {"read_only_fields": ["length"]}):
        message, _ = of((runway, RULES | options))["W005"]
        assert message.startswith("Clients cannot create objects: they do not write length, which may not be null")
    assert of((runway, {"fields": [], "readable_by": RULES["readable_by"]})) == {}


def test_missing_and_outdated_triggers_are_a_warning_until_repaired(each_database):
    connection = connections[each_database]
    assert check_triggers(databases=[each_database]) == []
    capture.uninstall(connection)
    assert check_triggers() == check_triggers(databases=["another"]) == []
    message, hint = found(check_triggers(databases=[each_database]))["W003"]
    assert message.startswith("Triggers are not as they should be") and "testapp_team (MISSING)" in message
    assert hint == "Run manage.py migrate, or manage.py realm_sync triggers --repair."
    call_command("migrate", database=each_database, verbosity=0)
    assert check_triggers(databases=[each_database]) == []


@pytest.mark.parametrize("each_database", ["sqlite"], indirect=True)
def test_the_first_migrate_is_not_told_about_triggers(each_database, tmp_path):
    connections[each_database].close()
    connections.settings[each_database]["NAME"] = tmp_path / "new.sqlite3"
    del connections[each_database]
    assert check_triggers(databases=[each_database]) == []


def test_checks_of_one_app_stay_with_that_app():
    assert check_classes([get_user_model()._meta.app_config]) == []


def test_the_docstring_of_the_checks_lists_every_id():
    source = Path(check_classes.__code__.co_filename).read_text()
    listing, code = source.split('"""', 2)[1:]
    used = {part[:4] for part in code.split("realm_sync.")[1:] if part[0] in "EW" and part[1:4].isdigit()}
    assert used and all(f" {id} " in listing for id in used)


@override_settings(REALM_SYNC={"CUSTOM_JWT": {"key": "short", "algorithms": ["HS256"]}})
def test_a_custom_jwt_that_anybody_could_sign_is_an_error():
    [error] = check_custom_jwt()
    assert error.id == "realm_sync.E012" and "32" in error.msg
    with override_settings(REALM_SYNC={}):
        assert check_custom_jwt() == []


@isolate_apps("tests.testapp")
def test_generic_relations_are_refused():
    class Note(models.Model):
        id = models.UUIDField(primary_key=True)
        about_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, related_name="+")
        about_id = models.UUIDField()
        about = GenericForeignKey("about_type", "about_id")
        replies = GenericRelation("Note", "about_id", "about_type")

        class Meta:
            app_label = "testapp"

    own = Registry()
    own.register(Note, type("NoteSync", (sync.ModelSync,), RULES))
    messages = check_bindings(own.registered, own.registered)
    assert [(message.id, message.msg) for message in messages] == [
        (
            "realm_sync.E008",
            "The field is a GenericForeignKey, which leads to objects of any class; a link leads to those of one.",
        ),
        ("realm_sync.E008", "The field is a GenericRelation, the other end of links that are not of one class."),
    ]
    assert 'Write exclude = ["about", "replies"] in NoteSync' in messages[0].hint
    assert of((Note, RULES | {"exclude": ["about", "replies"]})) == {}


class Team2(EmbeddedObject):
    class_name = "Team"
    name = models.CharField(max_length=9)


class Point(EmbeddedObject):
    x = models.FloatField()


def test_embedded_classes_need_names_of_their_own():
    class Other(EmbeddedObject):
        class_name = "Point"
        y = models.FloatField()

    with isolate_apps("tests.testapp"):
        crew = declare(
            "Crew",
            id=models.UUIDField(primary_key=True),
            teams=ListField(Team2),
            at=EmbeddedField(Point, null=True),
            back=DictionaryField(Other),
        )
        own = Registry()
        own.register(Team, type("TeamSync", (sync.ModelSync,), RULES | {"fields": ["name"]}))
        own.register(crew, type("CrewSync", (sync.ModelSync,), RULES))
        messages = check_bindings(own.registered, own.registered)
    assert [(message.id, message.msg) for message in messages] == [
        ("realm_sync.E013", "The class name 'Team' of an embedded class is taken by tests.testapp.models.Team."),
        ("realm_sync.E013", "The class name 'Point' of an embedded class is taken by tests.test_checks.Point."),
    ]
    assert messages[0].hint == 'Write class_name = "Team2Part" in Team2, or another name that is free.'


@isolate_apps("tests.testapp")
def test_parts_that_columns_cannot_hold():
    crew = declare(
        "Crew",
        id=models.UUIDField(primary_key=True),
        nested=ListField(ListField(models.IntegerField())),
        times=ListField(models.TimeField()),
        counters=SetField(CounterField()),
        keys=DictionaryField(models.ForeignKey(Team, on_delete=models.CASCADE)),
        lost=ListField(Link("testapp.Nobody")),
        maybe=ListField(Link(Team, null=True)),
        points=SetField(Point),
        fine=DictionaryField(Link(Team)),
    )
    messages = [message for message in crew.check() if message.id == "realm_sync.E014"]
    assert [message.msg for message in messages] == [
        "nested[…] is a collection within a collection.",
        "times[…] is a TimeField, which has no type in Realm.",
        "counters[…] is a counter, which collections do not hold.",
        "keys[…] is a field that only a column of its own can be.",
        "lost[…] links to 'testapp.Nobody', which is not a model.",
        "maybe[…] has null=True. Links in a list or set are never null.",
        "points[…] is embedded, which sets cannot hold.",
    ]
    assert messages[0].hint == "Use a MixedField, which nests, or a class of EmbeddedObject."


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        (models.ForeignKey(Team, on_delete=models.CASCADE), "is a relation, which needs a column; write Link"),
        (models.UUIDField(primary_key=True), "is a primary key; an embedded object has none"),
        (models.FileField(), "is a FileField, which needs a column of its own"),
        (models.DateTimeField(auto_now=True), "has auto_now or auto_now_add, which only columns have"),
        (models.TimeField(), "is a TimeField, which has no type in Realm"),
    ],
)
def test_what_an_embedded_object_cannot_have_is_refused_where_it_is_written(field, problem):
    with pytest.raises(ImproperlyConfigured, match=f"Spot.when {problem}"):
        type("Spot", (EmbeddedObject,), {"when": field})


def test_an_asymmetric_class_needs_a_rule_for_writing_only():
    with isolate_apps("tests.testapp"):
        crew = declare("Crew", id=models.UUIDField(primary_key=True))
    assert of((crew, {"asymmetric": True, "writable_by": RULES["writable_by"]})) == {}
    assert of((crew, {"asymmetric": True}))["W002"][0] == (
        "Nobody may send objects of this class: writable_by is not defined."
    )
    assert of((crew, RULES | {"asymmetric": True, "read_only": True}))["E009"] == (
        "asymmetric and read_only are both set: clients could neither send nor see an object.",
        "Remove one of them of CrewSync.",
    )
