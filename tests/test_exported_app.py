"""`manage.py realm_sync models` on an exported App Services application: models.py and sync.py that import and migrate."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Q

from realm_sync import conf
from realm_sync.management.exported_app import read_app
from realm_sync.management.rules_text import Rules, Untranslatable
from realm_sync.management.sync_text import HELPERS, sync_text
from tests.servers import ROOT

EXPORTED: dict[str, Any] = {
    "realm_config.json": {"app_id": "todo-abcde", "config_version": 20210101, "name": "todo"},
    "auth/providers.json": {
        "anon-user": {"name": "anon-user", "type": "anon-user", "disabled": True},
        "local-userpass": {
            "name": "local-userpass",
            "type": "local-userpass",
            "config": {
                "autoConfirm": False,
                "emailConfirmationUrl": "https://todo.example/confirm",
                "resetPasswordUrl": "https://todo.example/reset",
                "runConfirmationFunction": False,
                "runResetFunction": False,
            },
            "disabled": False,
        },
        "oauth2-google": {"name": "oauth2-google", "type": "oauth2-google", "config": {}, "disabled": False},
    },
    "auth/custom_user_data.json": {
        "enabled": True,
        "mongo_service_name": "mongodb-atlas",
        "database_name": "todo",
        "collection_name": "CustomUserData",
        "user_id_field": "user_id",
    },
    "functions/config.json": [{"name": "closeList"}, {"name": "secret", "private": True}],
    "functions/closeList.js": "exports = function() {};",
    "values/adminRole.json": {"name": "adminRole", "value": "admin", "private": False},
    "triggers/onInsert.json": {"name": "onInsert"},
    "sync/config.json": {
        "type": "flexible",
        "state": "enabled",
        "service_name": "mongodb-atlas",
        "database_name": "todo",
        "client_max_offline_days": 60,
        "queryable_fields_names": ["owner_id", "_id"],
        "collection_queryable_fields_names": {"Item": ["priority", "tags", "list"]},
        "asymmetric_tables": ["Reading"],
    },
    "data_sources/mongodb-atlas/config.json": {"name": "mongodb-atlas", "type": "mongodb-atlas", "config": {}},
    "data_sources/mongodb-atlas/default_rule.json": {
        "roles": [
            {
                "name": "owner",
                "apply_when": {},
                "document_filters": {"read": {"owner_id": "%%user.id"}, "write": {"owner_id": "%%user.id"}},
                "read": True,
                "write": True,
                "insert": True,
                "delete": True,
            }
        ],
        "filters": [],
    },
    "data_sources/mongodb-atlas/todo/Item/schema.json": {
        "title": "Item",
        "bsonType": "object",
        "required": ["_id", "isComplete", "summary", "owner_id", "priority"],
        "properties": {
            "_id": {"bsonType": "objectId"},
            "isComplete": {"bsonType": "bool"},
            "summary": {"bsonType": "string"},
            "owner_id": {"bsonType": "string"},
            "priority": {"bsonType": "long"},
            "hours": {"bsonType": "double"},
            "cost": {"bsonType": "decimal"},
            "due": {"bsonType": "date"},
            "photo": {"bsonType": "binData"},
            "device": {"bsonType": ["uuid", "null"]},
            "anything": {"bsonType": "mixed"},
            "tags": {"bsonType": "array", "items": {"bsonType": "string"}},
            "readers": {"bsonType": "array", "uniqueItems": True, "items": {"bsonType": "string"}},
            "scores": {"bsonType": "object", "additionalProperties": {"bsonType": "int"}},
            "list": {"bsonType": "objectId"},
            "blockers": {"bsonType": "array", "items": {"bsonType": "objectId"}},
            "place": {
                "title": "Place",
                "bsonType": "object",
                "required": ["city"],
                "properties": {
                    "city": {"bsonType": "string"},
                    "shop": {"bsonType": "uuid"},
                    "seen": {"bsonType": "timestamp"},
                },
            },
            "steps": {
                "bsonType": "array",
                "items": {"bsonType": "object", "required": ["text"], "properties": {"text": {"bsonType": "string"}}},
            },
            "nested": {"bsonType": "array", "items": {"bsonType": "array", "items": {"bsonType": "int"}}},
            "delete": {"bsonType": "bool"},
        },
    },
    "data_sources/mongodb-atlas/todo/Item/relationships.json": {
        "list": {"ref": "#/relationship/mongodb-atlas/todo/Lists", "foreign_key": "_id", "is_list": False},
        "blockers": {"ref": "#/relationship/mongodb-atlas/todo/Item", "foreign_key": "_id", "is_list": True},
        "place.shop": {"ref": "#/relationship/mongodb-atlas/shops/Shop", "foreign_key": "_id", "is_list": False},
        "owner_id": {"ref": "#/relationship/mongodb-atlas/todo/Lists", "foreign_key": "owner_id", "is_list": False},
    },
    "data_sources/mongodb-atlas/todo/Item/rules.json": {
        "collection": "Item",
        "database": "todo",
        "roles": [
            {
                "name": "admin",
                "apply_when": {"%%user.custom_data.role": "%%values.adminRole"},
                "document_filters": {"read": True, "write": True},
                "read": True,
                "write": True,
                "insert": True,
                "delete": True,
            },
            {
                "name": "member",
                "apply_when": {},
                "document_filters": {
                    "read": {"$or": [{"readers": "%%user.id"}, {"place.city": {"$in": "%%user.custom_data.cities"}}]},
                    "write": {"owner_id": "%%user.id"},
                },
                "read": True,
                "write": True,
                "insert": True,
                "delete": True,
            },
        ],
        "filters": [{"name": "f", "apply_when": {}, "query": {}}],
    },
    "data_sources/mongodb-atlas/todo/Lists/schema.json": {
        "title": "TodoList",
        "bsonType": "object",
        "required": ["_id", "owner_id"],
        "properties": {"_id": {"bsonType": "objectId"}, "owner_id": {"bsonType": "string"}},
    },
    "data_sources/mongodb-atlas/todo/Lists/rules.json": {"collection": "Lists", "database": "todo"},
    "data_sources/mongodb-atlas/todo/Secrets/schema.json": {
        "title": "Secret",
        "bsonType": "object",
        "required": ["_id"],
        "properties": {"_id": {"bsonType": "string"}, "level": {"bsonType": "int"}},
    },
    "data_sources/mongodb-atlas/todo/Secrets/rules.json": {
        "roles": [
            {
                "name": "by function",
                "apply_when": {"%%true": {"%function": {"name": "isSpy", "arguments": []}}},
                "document_filters": {"read": True, "write": True},
                "read": True,
                "write": True,
            },
            {"name": "rest", "apply_when": {}, "document_filters": {"read": True, "write": False}, "read": True},
        ]
    },
    "data_sources/mongodb-atlas/shops/Shop/schema.json": {
        "title": "Shop",
        "bsonType": "object",
        "required": ["_id", "name"],
        "properties": {"_id": {"bsonType": "uuid"}, "name": {"bsonType": "string"}},
    },
    "data_sources/mongodb-atlas/shops/Shop/rules.json": {
        "roles": [
            {
                "name": "half",
                "apply_when": {},
                "document_filters": {"read": True, "write": True},
                "read": True,
                "write": True,
                "delete": False,
            }
        ]
    },
    "data_sources/mongodb-atlas/todo/Reading/schema.json": {
        "title": "Reading",
        "bsonType": "object",
        "required": ["_id", "owner_id"],
        "properties": {"_id": {"bsonType": "objectId"}, "owner_id": {"bsonType": "string"}},
    },
    "data_sources/mongodb-atlas/todo/CustomUserData/rules.json": {"collection": "CustomUserData", "database": "todo"},
}


def export(directory: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return directory


@pytest.fixture
def todo(tmp_path: Path) -> Path:
    return export(tmp_path / "todo", EXPORTED)


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("realm_sync", "models", *arguments, stdout=out)
    return out.getvalue()


PROGRAM = """
import json
import django; django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from realm_sync.access import access_of
from realm_sync.core.nodes import FALSE
from realm_sync.core.predicate import compile_predicate
from realm_sync.models import Change
from realm_sync.registry import registry
from todo import models, sync

call_command("makemigrations", "todo", verbosity=0)
call_command("migrate", verbosity=0)
call_command("check", "--fail-level", "WARNING")
nora, sol = (get_user_model().objects.create_user(name) for name in ("nora", "sol"))
item = dict(isComplete=False, summary="x", priority=3)
place = models.Place(city="Oslo")
models.Item.objects.create(**item, owner_id=str(nora.pk), readers=[str(sol.pk)])
models.Item.objects.create(**item, owner_id=str(nora.pk), place=place)
models.TodoList.objects.create(owner_id=str(sol.pk))
models.Secret.objects.create(pk="x", level=1)
models.Shop.objects.create(name="Nails")

def seen(user, name):
    # How many of the objects the user may read, and write.
    images = [json.loads(each.after) for each in Change.objects.filter(class_name=name, kind="insert")]
    counts = []
    for nodes in access_of(user):
        matches = compile_predicate(nodes.get(name, FALSE), registry.schema[name], registry.schema)
        counts.append(sum(map(matches, images)))
    return counts

print("Item", seen(nora, "Item"), seen(sol, "Item"))
sync.custom_data = lambda user: {"cities": ["Oslo"]} if user == sol else {}
print("Oslo", seen(sol, "Item"))
sync.custom_data = lambda user: {"role": ["clerk", "admin"]} if user == sol else {}
print("admin", seen(sol, "Item"))
print("TodoList", seen(nora, "TodoList"), seen(sol, "TodoList"))
print("Secret", seen(nora, "Secret"), "Shop", seen(nora, "Shop"))
print("Reading", registry.schema["Reading"].asymmetric)
for name, prop in registry.schema["Item"].properties.items():
    print(name, prop.type, prop.object_type or "", prop.optional, prop.indexed)
"""

SITE = """
from tests.settings import *
INSTALLED_APPS = [each for each in INSTALLED_APPS if each != "tests.testapp"] + ["todo"]
DATABASES = {"default": SQLITE | {"NAME": "site.sqlite3"}}
DATABASE_ROUTERS = []
ROOT_URLCONF = "realm_sync.urls"
"""


def in_own_process(directory: Path, program: str) -> str:
    environment = os.environ | {"PYTHONPATH": f"{directory}:{ROOT}", "DJANGO_SETTINGS_MODULE": "site_settings"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_written_imports_migrates_and_decides_as_the_rules_did(todo: Path, tmp_path: Path) -> None:
    app = tmp_path / "todo_site" / "todo"
    app.mkdir(parents=True)
    (app / "__init__.py").touch()
    (app / "models.py").write_text("from django.db import models\n\n# Create your models here.\n")
    (app.parent / "site_settings.py").write_text(SITE)
    assert "Wrote" in run(str(todo), "--into", str(app))
    told = in_own_process(app.parent, PROGRAM)
    lines = told.splitlines()
    # Readable, writable: the owner sees what she may write, readers see, and nobody else.
    assert "Item [2, 2] [1, 0]" in lines
    assert "Oslo [2, 0]" in lines
    assert "admin [2, 2]" in lines
    assert "TodoList [0, 0] [1, 1]" in lines
    # What did not translate lets nobody in: a role by a function, and one that may write and not delete.
    assert "Secret [0, 0] Shop [1, 0]" in lines
    assert "Reading True" in lines
    properties = lines[lines.index("_id objectId  False True") :]
    assert properties == [
        "_id objectId  False True",
        "isComplete bool  False False",
        "summary string  False False",
        "owner_id string  False True",
        "priority int  False True",
        "hours double  True False",
        "cost decimal128  True False",
        "due date  True False",
        "photo data  True False",
        "device uuid  True False",
        "anything mixed  True False",
        "tags list string False False",
        "readers set string False False",
        "scores dictionary int False False",
        "list object TodoList True True",
        "blockers list Item False False",
        "place object Place True False",
        "steps list Item_steps False False",
    ]


def test_what_did_not_translate_is_a_comment(todo: Path) -> None:
    text = run(str(todo))
    for sentence in (
        "# 'Item.nested' is left out: holds elements of the type 'array', which a collection of Realm cannot.",
        "# 'Item.delete' is left out: is not a name that a model field can have.",
        "# 'Place.seen' is left out: has the type 'timestamp', which Realm has not.",
        "# 'Item.owner_id' links to todo.Lists by 'owner_id', not by _id: it is the value that it stores.",
        "# Its filters are left out",
        '# The role "by function" applies when {"%%true": {"%function": {"name": "isSpy", "arguments": []}}}:',
        '# The role "half" may not delete, which writable_by cannot tell from other writing.',
        "# The collection todo.CustomUserData has no schema with a title",
        '# Log-in by "oauth2-google" was on, and has no counterpart',
        "# Triggers are left out",
        "# def closeList(user, *arguments): ...    # functions/closeList.js",
        "#     \"APP_ID\": 'todo-abcde',",
        '#     "HISTORY_DAYS": 60,',
        '#     "ANONYMOUS_LOGIN": False,',
        '#     "REGISTRATION": True,',
        "#     \"CONFIRMATION\": 'email',",
        "#     \"CONFIRMATION_URL\": 'https://todo.example/confirm',",
        "#     \"PASSWORD_RESET_URL\": 'https://todo.example/reset',",
        "# Collection todo.Item. Queryable: owner_id, priority, tags, list (here every property is).",
    ):
        assert sentence in text, sentence
    assert "secret" not in text
    assert 'return Q(owner_id=user_id(user))  # role "owner"' in text


def test_a_zip_file_says_the_same(todo: Path, tmp_path: Path) -> None:
    archive = tmp_path / "todo.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in todo.rglob("*"):
            if path.is_file():
                file.write(path, Path("todo-abcde") / path.relative_to(todo))
    assert run(str(archive)) == run(str(todo))


def test_code_that_is_there_is_not_overwritten(todo: Path, tmp_path: Path) -> None:
    (tmp_path / "sync.py").write_text("def mine(): ...\n")
    with pytest.raises(CommandError, match="sync.py has code already"):
        run(str(todo), "--into", str(tmp_path))
    assert not (tmp_path / "models.py").exists()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"readme.txt": "hello"}, "is no exported App Services application: it has no data_sources."),
        ({"services/a/config.json": {}}, "It looks like an export of before 2021"),
        ({"data_sources/a/b/C/schema.json": "{"}, "schema.json is not JSON"),
        ({"data_sources/a/b/C/schema.json": {"title": "C", "properties": {"x": {"bsonType": "int"}}}}, "has no _id"),
        (
            {"data_sources/a/b/C/schema.json": {"title": "C", "properties": {"_id": {"bsonType": "date"}}}},
            "The key of b.C cannot be one",
        ),
        (
            {
                f"data_sources/a/b/{name}/schema.json": {"title": "C", "properties": {"_id": {"bsonType": "int"}}}
                for name in ("one", "two")
            },
            "Two collections have the title 'C'",
        ),
    ],
)
def test_what_is_no_export_is_refused(tmp_path: Path, files: dict[str, Any], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        run(str(export(tmp_path / "export", files)))


def test_partition_based_sync(tmp_path: Path) -> None:
    files = EXPORTED | {
        "sync/config.json": {
            "type": "partition",
            "state": "enabled",
            "service_name": "mongodb-atlas",
            "partition": {
                "key": "owner_id",
                "type": "string",
                "required": True,
                "permissions": {
                    "read": {
                        "$or": [{"%%user.id": "%%partition"}, {"%%user.custom_data.readable": "%%partition"}],
                    },
                    "write": {"%%partition": "%%user.id"},
                },
            },
        }
    }
    text = sync_text(read_app(export(tmp_path, files)))
    assert "#     \"PARTITION_FIELD\": 'owner_id'," in text
    assert "Q(owner_id=user_id(user)) | Q(owner_id__in=listed(custom(user, 'readable')))" in text
    assert "# The class has no owner_id, and so was in no partition." in text
    compile(text, "sync.py", "exec")


def test_rules_of_older_exports_are_part_of_their_data_source(tmp_path: Path) -> None:
    files = {name: content for name, content in EXPORTED.items() if not name.startswith("sync/")}
    owner = {"owner_id": "%%user.id"}
    files["data_sources/mongodb-atlas/config.json"] = {
        "config": {
            "flexible_sync": {
                "state": "enabled",
                "queryable_fields_names": ["owner_id"],
                "permissions": {
                    "rules": {"Shop": [{"name": "all", "applyWhen": {}, "read": True, "write": False}]},
                    "defaultRoles": [{"name": "own", "applyWhen": {}, "read": owner, "write": owner}],
                },
            }
        }
    }
    del files["data_sources/mongodb-atlas/default_rule.json"]
    app = read_app(export(tmp_path, files))
    roles = {each.name: [role["name"] for role in each.roles] for each in app.collections}
    assert roles == {"Item": ["own"], "TodoList": ["own"], "Secret": ["own"], "Reading": ["own"], "Shop": ["all"]}
    text = sync_text(app)
    assert 'return True  # role "all"' in text and 'return False  # role "all"' in text


# --- docs/bring-your-realm-app.md ------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "bring-your-realm-app.md").read_text()
BLOCKS = {block.splitlines()[0]: block for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)}


def block(beginning: str) -> str:
    (found,) = (text for first, text in BLOCKS.items() if first.startswith(beginning))
    return found


BROUGHT = """
import json
import django; django.setup()
from django.core import mail
from django.core.management import call_command
from django.test import Client
from realm_sync.functions import functions

call_command("makemigrations", "todo", verbosity=0)
call_command("migrate", verbosity=0)
call_command("check", "--fail-level", "WARNING")
exec(open("bring_users.py").read(), {})
exec(open("bring_data.py").read(), {})

from django.contrib.auth import get_user_model
from todo import models
ann = get_user_model().objects.get()
item = models.Item.objects.get()
print(ann.pk, item.pk, item.list.pk, item.place.city, [step.text for step in item.steps], item.readers, item.scores)
print(item.priority, item.hours, item.cost, item.due, bytes(item.photo), item.device, item.anything, item.blockers)

http, base = Client(), "/api/client/v2.0/app/todo-abcde/auth/providers/local-userpass"
http.post(base + "/reset/send", {"email": "ann@example.org"}, "application/json")
link, = (word for word in mail.outbox[0].body.split() if word.startswith("https://todo.example.org/reset?"))
token, token_id = (part.partition("=")[2] for part in link.partition("?")[2].split("&"))
http.post(base + "/reset", {"token": token, "tokenId": token_id, "password": "runway 27 left"}, "application/json")
answer = http.post(base + "/login", {"username": "ann@example.org", "password": "runway 27 left"}, "application/json")
print(answer.json()["user_id"])
call = {"name": "closeList", "arguments": [{"$oid": str(item.list.pk)}]}
headers = {"Authorization": "Bearer " + answer.json()["access_token"]}
print(http.post(base.partition("/auth")[0] + "/functions/call", call, "application/json", headers=headers).json())
print(list(functions), models.Item.objects.get().isComplete)
"""
ITEM = {
    "_id": {"$oid": "65a1000000a61c6ddc060001"},
    "isComplete": False,
    "summary": "Nails",
    "owner_id": "65a1000000a61c6ddc06000f",
    "priority": {"$numberLong": "3"},
    "hours": 1.5,
    "cost": {"$numberDecimal": "12.50"},
    "due": {"$date": "2026-01-01T12:00:00.250Z"},
    "photo": {"$binary": {"base64": "AAEC", "subType": "00"}},
    "device": {"$binary": {"base64": "EjRWeBI0EjQSNBI0VniavA==", "subType": "04"}},
    "anything": [1, {"a": None}],
    "readers": ["x"],
    "scores": {"a": 1},
    "list": {"$oid": "65a1000000a61c6ddc060002"},
    "blockers": [{"$oid": "65a1000000a61c6ddc060001"}],
    "place": {"city": "Oslo", "shop": None, "seen": {"$timestamp": {"t": 1, "i": 1}}},
    "steps": [{"text": "hammer"}],
    "left": "behind",
}


def test_users_functions_and_data_are_brought_as_the_page_says(todo: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    app = site / "todo"
    app.mkdir(parents=True)
    (app / "__init__.py").touch()
    run(str(todo), "--into", str(app))
    with (app / "models.py").open("a") as file:
        file.write("from .users import User\n")
    with (app / "sync.py").open("a") as file:
        file.write(block("# todo/sync.py"))
    (app / "users.py").write_text(block("# todo/users.py"))
    settings = 'AUTH_USER_MODEL = "todo.User"\nEMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"\n'
    (site / "site_settings.py").write_text(SITE + settings + block("# settings.py"))
    (site / "bring_users.py").write_text(block("# python manage.py shell < bring_users.py"))
    (site / "bring_data.py").write_text(block("# python manage.py shell < bring_data.py"))
    (site / "users.json").write_text('[{"id": "65a1000000a61c6ddc06000f", "email": "ann@example.org"}]')
    del ITEM["place"]["seen"]  # BSON's timestamps have no type in Realm
    (site / "Item.json").write_text(json.dumps(ITEM) + "\n")
    todo_list = {"_id": ITEM["list"], "owner_id": ITEM["owner_id"]}
    (site / "Lists.json").write_text(json.dumps(todo_list) + "\n")
    _, brought, values, user_id, called, functions = in_own_process(site, BROUGHT).splitlines()
    assert brought == (
        "65a1000000a61c6ddc06000f 65a1000000a61c6ddc060001 65a1000000a61c6ddc060002 Oslo ['hammer'] {'x'} {'a': 1}"
    )
    assert values == (
        "3 1.5 12.5 2026-01-01 12:00:00.250000+00:00 b'\\x00\\x01\\x02' 12345678-1234-1234-1234-123456789abc "
        "[1, {'a': None}] [ObjectId('65a1000000a61c6ddc060001')]"
    )
    assert (user_id, called) == ("65a1000000a61c6ddc06000f", "{'$numberInt': '1'}")
    assert functions == "['closeList', 'report'] True"


def test_the_page_names_settings_and_links_that_exist() -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", PAGE)) | set(re.findall(r'REALM_SYNC\["([A-Z_]+)"\]', PAGE))
    own = {name for name in named if hasattr(conf.Settings, name)}
    assert named - own == {"ALLOWED_HOSTS", "PASSWORD_RESET_TIMEOUT", "SECURE_PROXY_SSL_HEADER"}
    for target in re.findall(r"\]\((?!http)(.*?)\)", PAGE):
        name, _, heading = target.partition("#")
        text = (ROOT / "docs" / name).read_text() if name else PAGE
        titles = re.findall(r"^##+ (.*)", text, re.M)
        anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert not heading or heading in anchors, target


# --- rules -----------------------------------------------------------------------------------------------------------

KINDS = {"_id": "scalar", "a": "scalar", "b": "scalar", "tags": "list", "place": "embedded Place", "any": "other"}
RULES = Rules(KINDS, {"Place": ["city"]}, {"limit": 5, "list": ["x"]}, "a")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (True, "True"),
        ({}, "True"),
        ("%%false", "False"),
        ({"a": "%%user.id"}, "Q(a=user_id(user))"),
        ({"%%root.a": "%%user.id"}, "Q(a=user_id(user))"),
        ({"_id": {"%stringToOid": "%%user.id"}}, "Q(pk=user_id(user))"),
        ({"a": 1, "b": {"$gt": "%%values.limit"}}, "Q(a=1) & Q(b__gt=5)"),
        ({"b": {"$gte": 1, "$lt": 2.5}}, "Q(b__gte=1) & Q(b__lt=2.5)"),
        ({"a": {"$ne": None}}, "~Q(a__isnull=True)"),
        ({"a": {"$in": ["x", None]}}, "Q(a__in=['x', None])"),
        ({"a": {"$nin": "%%user.custom_data.x.y"}}, "~Q(a__in=listed(custom(user, 'x', 'y')))"),
        ({"a": "%%user.custom_data.x"}, "Q(a__in=listed(custom(user, 'x')))"),
        ({"a": {"$exists": False}}, "Q(a__isnull=True)"),
        ({"a": {"$oid": "0123456789abcdef01234567"}}, "Q(a='0123456789abcdef01234567')"),
        ({"tags": "%%user.id"}, "Q(tags__contains=[user_id(user)])"),
        ({"tags": {"$in": "%%values.list"}}, "Q(tags__overlap=['x'])"),
        ({"tags": {"$all": ["x", "y"]}}, "Q(tags__contains=['x', 'y'])"),
        ({"place.city": "Oslo"}, "Q(place__city='Oslo')"),
        ({"$or": [{"a": 1}, {"$and": [{"b": 2}, {"a": 3}]}]}, "Q(a=1) | (Q(b=2) & Q(a=3))"),
        ({"$nor": [{"a": 1}, {"b": 2}]}, "~(Q(a=1) | Q(b=2))"),
        ({"$or": [{"a": 1}, True]}, "True"),
        ({"$and": [{"a": 1}, False]}, "False"),
        (
            {"$or": [{"%%user.custom_data.admin": True}, {"a": 1}]},
            "when(matches(custom(user, 'admin'), True)) | Q(a=1)",
        ),
        ({"%%partition": "%%user.id"}, "Q(a=user_id(user))"),
        ({"%%user.id": "%%partition"}, "Q(a=user_id(user))"),
        ({"%%user.custom_data.x": "%%root.b"}, "Q(b__in=listed(custom(user, 'x')))"),
        ({"a": "it's \"(\" '"}, "Q(a='it\\'s \"(\" \\'')"),
    ],
)
def test_rules_about_documents(rule: Any, text: str) -> None:
    assert RULES.filter(rule) == text
    names: dict[str, Any] = {"Q": Q, "user": None}
    exec("from typing import Any\n" + "".join(HELPERS.values()).format(place=""), names)
    names |= {"user_id": lambda user: "7", "custom_data": lambda user: {}}
    assert isinstance(eval(text, names), Q | bool)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({}, "True"),
        ({"%%user.id": "7"}, "matches(user_id(user), '7')"),
        ({"%%true": "%%user.custom_data.admin"}, "matches(custom(user, 'admin'), True)"),
        ({"%%user.data.email": {"$ne": "a@b.example"}}, "not matches(user.email, 'a@b.example')"),
        (
            {"%%user.custom_data.role": {"$in": ["a", "b"]}, "%%user.custom_data.x": {"$exists": True}},
            "(matches(custom(user, 'role'), 'a') or matches(custom(user, 'role'), 'b')) and custom(user, 'x') is not None",
        ),
    ],
)
def test_rules_about_users(rule: Any, text: str) -> None:
    assert RULES.of_user(rule) == text


@pytest.mark.parametrize(
    "rule",
    [
        7,
        None,
        {"nothing": 1},
        {"place": {"city": "Oslo"}},
        {"place.street": "x"},
        {"any": 1},
        {"a": ["x"]},
        {"a": {"b": 1}},
        {"a": {"$regex": "x"}},
        {"a": {"$in": "x"}},
        {"a": {"$date": "2026-01-01T00:00:00Z"}},
        {"a": "%%environment.tag"},
        {"a": "%%values.unknown"},
        {"a": "%%request.remoteIPAddress"},
        {"a": "%%user.custom_data"},
        {"$where": "1"},
        {"$and": {"a": 1}},
        {"%%prevRoot.a": 1},
        {"%%true": {"%function": {"name": "f"}}},
        {"%%user.custom_data.x": {"$gt": 5}},
        {"%%user.type": "server"},
    ],
)
def test_rules_that_have_no_counterpart(rule: Any) -> None:
    with pytest.raises(Untranslatable):
        RULES.filter(rule)


def test_who_a_role_applies_to_is_not_a_matter_of_documents() -> None:
    with pytest.raises(Untranslatable, match="it looks at documents"):
        RULES.of_user({"a": "%%user.id"})
