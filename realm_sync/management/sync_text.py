"""A sync.py, and the models.py beside it, from an exported App Services application.

Decides only text. What does not translate stands in it as a comment, and until somebody has decided about it nobody gets
in that way: App Services, too, gives no access by a role that it cannot evaluate for sync.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from realm_sync.management.exported_app import Collection, ExportedApp
from realm_sync.management.models_text import models_text
from realm_sync.management.rules_text import Rules, Untranslatable, either

HELPERS = {
    "user_id": '''
def user_id(user: Any) -> str:
    """%%user.id: what `app.currentUser.id` is on devices. Data that you import must name users by it."""
    return str(user.pk)
''',
    "custom_data": '''
def custom_data(user: Any) -> dict[str, Any]:
    """%%user.custom_data: what was the document of the user{place}. Return it from a model of yours.

    When it changes, call sync.access_changed(user) in the same transaction."""
    return {{}}
''',
    "custom": '''
def custom(user: Any, *path: str) -> Any:
    """%%user.custom_data.a.b, or None."""
    value: Any = custom_data(user)
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
''',
    "listed": '''
def listed(value: Any) -> list[Any]:
    """What a value of a rule matches: itself, or each of a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
''',
    "matches": '''
def matches(value: Any, expected: Any) -> bool:
    """As MongoDB compares: a list matches what it contains."""
    return value == expected or (isinstance(value, list) and expected in value)
''',
    "when": '''
def when(condition: bool) -> Q:
    """A condition on the user, as one on objects: all of them, or none."""
    return ~Q(pk__in=[]) if condition else Q(pk__in=[])
''',
}
NEEDS = {"custom": ("custom_data",)}


def app_models_text(app: ExportedApp) -> str:
    """The models.py. SchemaError for what cannot be one."""
    header = [
        f"# Made from the App Services application {json.dumps(app.app_id)} by `manage.py realm_sync models`. What is left to do:",
        "# * read the comments: they name what was left out;",
        "# * queryable fields have an index: drop db_index where values may be longer than some 2000 bytes;",
        "# * decide what deleting the target of a link does (on_delete);",
        "# * run makemigrations and migrate.",
    ]
    notes = {each.name: each.notes for each in app.collections}
    return models_text(app.declarations, header=header, plain=True, notes=notes)


def sync_text(app: ExportedApp) -> str:
    """The sync.py beside it."""
    classes = "\n".join("\n\n" + "\n".join(_class(app, each)) + "\n" for each in app.collections)
    has_custom_data = bool(app.custom_data)
    used = {name for name in HELPERS if f"{name}(" in classes} | ({"custom_data"} if has_custom_data else set())
    used |= {need for name in used for need in NEEDS.get(name, ())}
    place = f" in {app.custom_data}" if has_custom_data else ""
    helpers = [
        HELPERS[name].format(place=place) if name == "custom_data" else HELPERS[name]
        for name in HELPERS
        if name in used
    ]
    header = [
        f'"""Who may see and write what: the rules of the App Services application {json.dumps(app.app_id)}.',
        "",
        "Made by `manage.py realm_sync models`. Where a rule did not translate, the comment has it, and nobody gets in that",
        'way until you have written it in Python."""',
        "",
        "from __future__ import annotations",
        "",
        *(["from typing import Any", ""] if helpers or app.collections else []),
        *(["from django.db.models import Q", ""] if "Q(" in classes or "when" in used else []),
        *(["from realm_sync import sync", "", "from . import models"] if app.collections else []),
        *_remarks(app),
    ]
    text = "\n".join(header) + "\n" + "\n".join("\n" + each for each in helpers) + classes
    return re.sub(r"\n{4,}", "\n\n\n", text)


def _remarks(app: ExportedApp) -> Iterator[str]:
    yield ""
    yield "# In settings.py:"
    yield "# REALM_SYNC = {"
    for name, value in app.settings.items():
        yield f"#     {json.dumps(name)}: {value!r},"
    yield "# }"
    for note in app.notes:
        yield f"# {_one_line(note)}"
    if app.functions:
        yield "# Functions that clients called. Write them here, each with the user as its first argument:"
        for name in app.functions:
            yield "#"
            yield "# @sync.function"
            yield f"# def {name}(user, *arguments): ...    # functions/{name}.js"


def _class(app: ExportedApp, collection: Collection) -> Iterator[str]:
    yield f"# Collection {_one_line(collection.place)}." + (
        f" Queryable: {', '.join(collection.queryable)} (here every property is)." if collection.queryable else ""
    )
    yield f"@sync.register(models.{collection.name})"
    yield f"class {collection.name}Sync(sync.ModelSync):"
    if collection.asymmetric:
        yield "    asymmetric = True"
        yield ""
    embedded = {name: list(each["properties"]) for name, each in app.embedded.items()}
    key = str(app.partition.get("key")) if app.partition else None
    rules = Rules(collection.kinds, embedded, app.values, key)
    bodies = list(_partition(app.partition, collection, rules) if app.partition else _roles(collection, rules))
    methods = ("writable_by",) if collection.asymmetric else ("readable_by", "writable_by")
    for at, method in enumerate(methods):
        if at:
            yield ""
        yield f"    def {method}(self, user: Any) -> Q | bool:"
        for line in bodies[0 if method == "readable_by" else 1]:
            yield f"        {line}"


def _partition(partition: Mapping[str, Any], collection: Collection, rules: Rules) -> Iterator[list[str]]:
    """The bodies of readable_by and writable_by, of an app with partition-based sync."""
    if rules.partition not in collection.kinds:
        note = f"# The class has no {_one_line(str(rules.partition))}, and so was in no partition."
        yield [note, "return False"]
        yield [note, "return False"]
        return
    permissions = partition.get("permissions") or {}
    read, write = permissions.get("read", False), permissions.get("write", False)
    yield _attempt(lambda: either(rules.filter(read), rules.filter(write)), "", read)
    yield _attempt(lambda: rules.filter(write), "", write)


def _roles(collection: Collection, rules: Rules) -> Iterator[list[str]]:
    """The same from roles: the first that applies decides."""
    for writing in (False, True):
        lines: list[str] = []
        decided = False
        for role in collection.roles:
            name = f"role {json.dumps(str(role.get('name', '')), ensure_ascii=False)}"
            body = _role(role, name, rules, writing)
            try:
                applies = rules.of_user(role.get("apply_when", {}))
            except Untranslatable as error:
                lines.append(f"# The {name} applies when {_shown(role.get('apply_when'))}: {_one_line(str(error))}.")
                lines += ["# Write that condition here; until then nobody gets as far as the roles below.", "if True:"]
                lines += ["    return False"]
                continue
            if applies == "False":
                continue
            if applies == "True":
                lines += body
                decided = True
                break
            lines += [f"if {applies}:", *(f"    {line}" for line in body)]
        if not decided:
            lines.append("return False" if collection.roles else "return False  # no role was given")
        yield lines


def _role(role: Mapping[str, Any], name: str, rules: Rules, writing: bool) -> list[str]:
    """What a role that applies lets a user see, or write."""
    filters = role.get("document_filters")
    if not isinstance(filters, dict) or "read" not in filters or "write" not in filters:
        return [
            f"# The {name} has no document filters, without which App Services gave no access by sync.",
            "return False",
        ]
    fields = {key: role[key] for key in ("fields", "additional_fields") if role.get(key)}
    sees, writes = role.get("read") is True or role.get("write") is True, role.get("write") is True
    if not (writes if writing else sees):
        what = "writes" if writing else "sees"
        if not fields and not isinstance(role.get("write" if writing else "read"), (dict, str)):
            return [f"return False  # {name}"]
        rest = {key: role.get(key) for key in ("read", "write") if key in role} | fields
        return [f"# The {name} {what} some properties only: {_shown(rest)}.", "return False"]
    if writing:
        refused = [word for word in ("insert", "delete") if role.get(word, True) is not True]
        if refused:
            lines = _attempt(lambda: rules.filter(filters["write"]), name, filters["write"])
            return [
                f"# The {name} may not {' or '.join(refused)}, which writable_by cannot tell from other writing. To allow",
                "# both, and raise ValidationError in the model's save() or delete() for what you do not want:",
                *(f"# {line}" for line in lines if not line.startswith("#")),
                "return False",
            ]
        return _attempt(lambda: rules.filter(filters["write"]), name, filters["write"])
    return _attempt(lambda: either(rules.filter(filters["read"]), rules.filter(filters["write"])), name, filters)


def _attempt(translate: Any, name: str, rule: Any) -> list[str]:
    try:
        return [f"return {translate()}" + (f"  # {name}" if name else "")]
    except Untranslatable as error:
        return [
            f"# {name + ': ' if name else ''}{_shown(rule)} does not translate: {_one_line(str(error))}.",
            "return False",
        ]


def _shown(rule: Any) -> str:
    return json.dumps(rule, ensure_ascii=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())
