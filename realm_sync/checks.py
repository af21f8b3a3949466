"""System checks: what is wrong with the settings, the database and the declared classes, and the line that mends it.

Decides nothing that works at run time: registry.py leaves out what cannot sync, this module says so before anybody
wonders. Ids are stable. `manage.py check` runs all but the triggers, which need `--database` (migrate runs them too).

    E001 unknown setting                    E008 field that cannot sync
    E002 setting of a wrong type or value   E009 option names a field that does not exist
    E003 USE_TZ is off                      E010 foreign key to something else than a primary key
    E004 database is not supported          E011 multi-table inheritance
    E005 class_name used twice              W001 SQLite without the options for concurrent writers
    E006 key that clients cannot make       W002 nobody may see or write the class
    E007 key that cannot be one             W003 triggers are missing or outdated
    W004 option that looks misspelt         W005 clients cannot create objects
    E012 CUSTOM_JWT that is not safe        E013 class name of an embedded class used twice
    E014 part of a column that cannot be one (of fields/columns.py: in models that do not sync, too)
    E015 function or page of the auth API that is not there
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models
from django.utils.module_loading import import_string

from . import auth, capture
from .conf import CLIENT_CLASSES, PER_CLIENT, Settings, settings
from .core.schema import KEY_TYPES
from .fields import LONGEST_KEY, realm_type
from .models import Change
from .registry import ModelSync, SyncedModel, embedded_classes, every_field, refusal, registry

TAG = "realm_sync"
VENDORS = ("sqlite", "postgresql")


@register(TAG)
def check_custom_jwt(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    try:
        auth.custom_jwt()
    except ImproperlyConfigured as error:
        hint = 'Such as "CUSTOM_JWT": {"key": PUBLIC_PEM, "algorithms": ["RS256"], "audience": "my-app"}.'
        return [Error(str(error), hint=hint, id="realm_sync.E012")]
    return []


HOOKS = ("CONFIRMATION", "PASSWORD_RESET_FUNCTION", "LOGIN_FUNCTION", "USER_DATA")


@register(TAG)
def check_accounts(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """What users would meet one by one, when they register or log in."""
    found: list[CheckMessage] = []
    for name in HOOKS:
        value = getattr(settings, name)
        if not isinstance(value, str) or (name == "CONFIRMATION" and value in ("automatic", "email")):
            continue
        try:
            is_function = callable(import_string(value))
        except ImportError:
            is_function = False
        if not is_function:
            choice = '"automatic", "email" or ' if name == "CONFIRMATION" else ""
            problem = f'REALM_SYNC["{name}"] is {value!r}, and there is no such function.'
            hint = f'Write {choice}the dotted path of a function, such as "{name}": "my_app.accounts.decide".'
            found.append(Error(problem, hint=hint, id="realm_sync.E015"))
    if settings.CONFIRMATION == "email" and not settings.CONFIRMATION_URL:
        problem = 'REALM_SYNC["CONFIRMATION_URL"] is empty, so the mail that confirms an address has nowhere to lead.'
        hint = 'Write "CONFIRMATION_URL": "https://…", a page that calls confirmUser with token and tokenId of its URL.'
        found.append(Error(problem, hint=hint, id="realm_sync.E015"))
    for name, schemes in (("BASE_URL", ("http", "https")), ("WEBSOCKET_URL", ("ws", "wss"))):
        value = getattr(settings, name)
        parts = urlsplit(value) if isinstance(value, str) else None
        if parts is not None and value and (parts.scheme not in schemes or not parts.netloc):
            problem = (
                f'REALM_SYNC["{name}"] is {value!r}, not a URL that begins with {schemes[1]}:// or {schemes[0]}://.'
            )
            hint = f'Write "{name}": "{schemes[1]}://sync.example.org", or leave the key out.'
            found.append(Error(problem, hint=hint, id="realm_sync.E002"))
    return found


@register(TAG)
def check_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    configured = getattr(django_settings, "REALM_SYNC", {})
    if not isinstance(configured, dict):
        return [
            Error("REALM_SYNC is not a dict.", hint='Write REALM_SYNC = {"APP_ID": "my-app"}.', id="realm_sync.E001")
        ]
    expected = get_type_hints(Settings)
    found: list[CheckMessage] = []
    for name, value in configured.items():
        if name not in Settings.names():
            close = get_close_matches(str(name).upper(), Settings.names(), n=1, cutoff=0.5)
            hint = f'Write "{close[0]}".' if close else f"Use one of {', '.join(Settings.names())}."
            found.append(Error(f"REALM_SYNC has the unknown key {name!r}.", hint=hint, id="realm_sync.E001"))
        elif problem := _misfit(value, expected[name]):
            hint = f'Write "{name}": {getattr(Settings, name)!r}, which is the default, or leave the key out.'
            found.append(Error(f'REALM_SYNC["{name}"] is {value!r}, {problem}.', hint=hint, id="realm_sync.E002"))
    return found


def _misfit(value: Any, expected: Any) -> str | None:
    """What is wrong with a setting's value, as the end of a sentence, or None. Numbers must be above zero."""
    if get_origin(expected) in (types.UnionType, Union):
        problems = [_misfit(value, each) for each in get_args(expected)]
        return None if None in problems else problems[0]
    if get_origin(expected) is Callable:
        return None if callable(value) else "not a function"
    if get_origin(expected) is Literal:
        return None if value in get_args(expected) else f"not one of {', '.join(map(repr, get_args(expected)))}"
    kind = get_origin(expected) or expected
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        names = {str: "a string", int: "a whole number", float: "a number", bool: "True or False", dict: "a dict"}
        return f"not {names.get(kind, f'a {kind.__name__}')}"
    if kind in (int, float) and not value > 0:
        return "and must be above 0"
    return None


BEHAVIORS = ("NEW_REALM_FILE_BEHAVIOR", "EXISTING_REALM_FILE_BEHAVIOR")
BEHAVIOR_VALUES = {
    "type": ("downloadBeforeOpen", "openImmediately"),
    "timeOutBehavior": ("throwException", "openLocalRealm"),
}


@register(TAG)
def check_client_settings(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """What is wrong inside of the dicts that clients get; they would find out one by one."""
    found = list(_for_clients("clients", "REALM_SYNC", {name: getattr(settings, name) for name in PER_CLIENT}))
    clients = settings.CLIENTS
    if not isinstance(clients, dict):
        return found
    place = 'REALM_SYNC["CLIENTS"]'
    found += _unknown_keys(place, clients, CLIENT_CLASSES)
    types = get_type_hints(Settings)
    for client, own in clients.items():
        if client not in CLIENT_CLASSES:
            continue
        inside = f'{place}["{client}"]'
        if not isinstance(own, dict):
            hint = f'Write "{client}": {{"CLIENT_TIMEOUTS": {{"connect": 10_000}}}}, or leave the key out.'
            found.append(Error(f"{inside} is {own!r}, not a dict.", hint=hint, id="realm_sync.E002"))
            continue
        found += _unknown_keys(inside, own, PER_CLIENT)
        for name in PER_CLIENT:
            if name in own and (problem := _misfit(own[name], types[name])):
                hint = f'Write "{name}": {getattr(Settings, name)!r}, or leave the key out: the project\'s value holds then.'
                found.append(_inner_error(inside, name, own, problem, hint))
        found += _for_clients(f"{client} clients", inside, own)
    return found


def _for_clients(whom: str, place: str, given: dict[str, Any]) -> Iterator[CheckMessage]:
    """Of the project, or of one class of clients, whose other timeouts are the project's."""
    for name in BEHAVIORS:
        if isinstance(given.get(name), dict):
            yield from _behavior(f'{place}["{name}"]', given[name])
    if isinstance(given.get("CLIENT_TIMEOUTS"), dict):
        yield from _timeouts(whom, f'{place}["CLIENT_TIMEOUTS"]', given["CLIENT_TIMEOUTS"])


def _behavior(place: str, behavior: dict[str, Any]) -> Iterator[CheckMessage]:
    yield from _unknown_keys(place, behavior, [*BEHAVIOR_VALUES, "timeOut"])
    for key, accepted in BEHAVIOR_VALUES.items():
        value = behavior.get(key)
        if value in accepted or (value is None and key != "type"):
            continue
        close = get_close_matches(str(value), accepted, n=1, cutoff=0.4)
        hint = f'Write "{key}": "{close[0]}".' if close else f"Use one of {', '.join(map(repr, accepted))}."
        yield _inner_error(place, key, behavior, f"not one of {', '.join(map(repr, accepted))}", hint)
    time_out = behavior.get("timeOut")
    if time_out is not None and (problem := _misfit(time_out, int)):
        hint = 'Write milliseconds, such as "timeOut": 30000, or leave the key out to wait without a limit.'
        yield _inner_error(place, "timeOut", behavior, problem, hint)
    elif (
        time_out is not None
        and behavior.get("type") == "downloadBeforeOpen"
        and behavior.get("timeOutBehavior") is None
    ):
        yield Error(
            f'{place} has a "timeOut" and does not say what happens then.',
            hint='Write "timeOutBehavior": "throwException", or "openLocalRealm" to open what is there.',
            id="realm_sync.E002",
        )


def _timeouts(whom: str, place: str, timeouts: dict[str, Any]) -> Iterator[CheckMessage]:
    defaults = Settings.CLIENT_TIMEOUTS
    yield from _unknown_keys(place, timeouts, list(defaults))
    for key, value in timeouts.items():
        nothing = key == "linger" and value == 0 and not isinstance(value, bool)
        if key in defaults and not nothing and (problem := _misfit(value, int)):
            hint = f'Write milliseconds, such as "{key}": {defaults[key]}, which is the default.'
            yield _inner_error(place, key, timeouts, problem, hint)
    if whom != "clients" and not {"ping", "pong"}.intersection(timeouts):
        return  # theirs are the project's, which are checked once
    ping, pong = (timeouts.get(key, defaults[key]) for key in ("ping", "pong"))
    if not _misfit(ping, int) and not _misfit(pong, int) and ping >= pong:
        problem = f"{place} lets {whom} ping every {ping} milliseconds, and give up after {pong} without an answer."
        yield Error(problem, hint=f'Write "pong": {ping * 2}, or a smaller "ping".', id="realm_sync.E002")
    if whom != "clients" and "ping" not in timeouts:
        return
    idle = settings.IDLE_SECONDS
    if not _misfit(ping, int) and not _misfit(idle, int) and ping >= idle * 1000:
        problem = f'REALM_SYNC["IDLE_SECONDS"] is {idle}, but {whom} ping every {ping} milliseconds.'
        hint = f'Write "IDLE_SECONDS": {ping * 3 // 1000}, or a smaller "ping" in CLIENT_TIMEOUTS.'
        yield Error(problem, hint=hint, id="realm_sync.E002")


def _unknown_keys(place: str, given: dict[Any, Any], known: Sequence[str]) -> Iterator[CheckMessage]:
    for key in given:
        if key not in known:
            spelled = {each.lower().replace("_", ""): each for each in known}
            close = get_close_matches(str(key).lower().replace("_", ""), spelled, n=1, cutoff=0.5)
            hint = f'Write "{spelled[close[0]]}".' if close else f"Use one of {', '.join(known)}."
            yield Error(f"{place} has the unknown key {key!r}.", hint=hint, id="realm_sync.E001")


def _inner_error(place: str, key: str, given: dict[str, Any], problem: str, hint: str) -> CheckMessage:
    said = f"is {given[key]!r}" if key in given else "is missing"
    return Error(f'{place}["{key}"] {said}, {problem}.', hint=hint, id="realm_sync.E002")


@register(TAG)
def check_project(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not django_settings.USE_TZ:
        problem = "USE_TZ is False: dates without a time zone mean another moment on every client."
        found.append(Error(problem, hint="Write USE_TZ = True in the settings.", id="realm_sync.E003"))
    alias = settings.DATABASE
    if alias not in connections.settings:
        aliases = ", ".join(map(repr, connections.settings))
        problem = f'REALM_SYNC["DATABASE"] is {alias!r}, and DATABASES has no such alias.'
        return [*found, Error(problem, hint=f"Use one of {aliases}.", id="realm_sync.E002")]
    connection = connections[alias]
    if connection.vendor not in VENDORS:
        problem = (
            f"The database {alias!r} is {connection.display_name}; realm_sync has triggers for SQLite and PostgreSQL."
        )
        hint = 'Write "ENGINE": "django.db.backends.postgresql", or name another alias in REALM_SYNC["DATABASE"].'
        found.append(Error(problem, hint=hint, id="realm_sync.E004"))
    if connection.vendor == "sqlite":
        options = connection.settings_dict.get("OPTIONS", {})
        if "timeout" not in options or options.get("transaction_mode") != "IMMEDIATE":
            problem = f"Concurrent writers of the SQLite database {alias!r} will meet 'database is locked'."
            hint = f'Write "OPTIONS": {{"timeout": 20, "transaction_mode": "IMMEDIATE"}} in DATABASES["{alias}"].'
            found.append(Warning(problem, hint=hint, id="realm_sync.W001"))
    return found


@register(TAG, Tags.database)
def check_triggers(
    app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """A warning, not an error: migrate runs this check first, and is what mends it."""
    if settings.DATABASE not in (databases or ()):
        return []
    connection = connections[settings.DATABASE]
    if connection.vendor not in VENDORS or Change._meta.db_table not in connection.introspection.table_names():
        return []
    wrong = [row for row in capture.status(connection) if row.state != "INSTALLED"]
    if not wrong:
        return []
    states = ", ".join(sorted({f"{row.table} ({row.state})" for row in wrong}))
    return [
        Warning(
            f"Triggers are not as they should be, and changes may not reach clients: {states}.",
            hint="Run manage.py migrate, or manage.py realm_sync triggers --repair.",
            id="realm_sync.W003",
        )
    ]


@register(TAG)
def check_classes(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    return check_bindings(
        [each for each in registry.registered if app_configs is None or each.model._meta.app_config in app_configs],
        registry.registered,
    )


def check_bindings(bindings: Iterable[ModelSync], every: Sequence[ModelSync]) -> list[CheckMessage]:
    """What is wrong with these bindings, among all that are registered."""
    return [
        message
        for binding in bindings
        for check in (
            _check_name,
            _check_embedded,
            _check_table,
            _check_key,
            _check_options,
            _check_fields,
            _check_access,
        )
        for message in check(binding, every)
    ]


def _check_name(binding: ModelSync, every: Sequence[ModelSync]) -> Iterator[CheckMessage]:
    first = next(each for each in every if each.class_name == binding.class_name)
    if first is not binding:
        yield Error(
            f"The class name '{binding.class_name}' is taken by {first.model._meta.label}; this model does not sync.",
            hint=f'Write class_name = "{_other_name(binding)}" in {_place(binding)}.',
            obj=binding.model,
            id="realm_sync.E005",
        )


def _check_embedded(binding: ModelSync, every: Sequence[ModelSync]) -> Iterator[CheckMessage]:
    """Every class of the schema has a name of its own, embedded ones too."""
    taken: dict[str, Any] = {each.class_name: each.model for each in every}
    for other in every:
        for cls in embedded_classes(other.fields_by_name.values()):
            taken.setdefault(cls.wire_name(), cls)
    for field in binding.fields_by_name.values():
        for cls in embedded_classes([field]):
            first = taken[cls.wire_name()]
            if first is not cls:
                yield Error(
                    f"The class name '{cls.wire_name()}' of an embedded class is taken by {first.__module__}."
                    f"{first.__qualname__}.",
                    hint=f'Write class_name = "{cls.__name__}Part" in {cls.__name__}, or another name that is free.',
                    obj=field,
                    id="realm_sync.E013",
                )


def _check_table(binding: ModelSync, every: Sequence[ModelSync]) -> Iterator[CheckMessage]:
    parent = next(iter(binding.model._meta.parents), None)
    if parent is not None:
        yield Error(
            f"The model inherits from {parent.__name__} with a table of its own; an object whose row is spread "
            "over two tables does not sync, because each table's trigger would see half of it.",
            hint=f"Write abstract = True in class Meta of {parent.__name__}, or link to it with a ForeignKey.",
            obj=binding.model,
            id="realm_sync.E011",
        )


def _check_key(binding: ModelSync, every: Sequence[ModelSync]) -> Iterator[CheckMessage]:
    key = binding.primary_key
    if binding.model._meta.parents:
        return
    if isinstance(key, models.AutoField | models.BigAutoField | models.SmallAutoField) and not binding.read_only:
        yield Error(
            f"The primary key is a {type(key).__name__}: the database makes it, but clients create objects offline.",
            hint=f"Write {key.name} = models.UUIDField(primary_key=True, default=uuid.uuid4) in the model, "
            f"or read_only = True in {_place(binding)} if clients only read.",
            obj=binding.model,
            id="realm_sync.E006",
        )
    kind = realm_type(key)
    length = key.max_length if isinstance(key, models.CharField) else None
    if kind not in KEY_TYPES:
        problem = f"The primary key is a {type(key).__name__}; a key on the wire is one of {', '.join(KEY_TYPES)}."
    elif kind == "string" and not isinstance(key, models.ForeignKey) and (length is None or length > LONGEST_KEY):
        problem = f"The primary key can be longer than {LONGEST_KEY} characters, which the history has no room for."
    else:
        return
    hint = (
        f"Write {key.name} = models.CharField(primary_key=True, max_length={LONGEST_KEY}) in the model, or a UUIDField."
    )
    yield Error(problem, hint=hint, obj=binding.model, id="realm_sync.E007")


def _check_options(binding: ModelSync, every: Sequence[ModelSync]) -> Iterator[CheckMessage]:
    known = [field.name for field in every_field(binding.model)]
    for option in ("fields", "exclude", "read_only_fields"):
        names = getattr(binding, option)
        if isinstance(names, str):
            yield _option_error(binding, f"{option} is a string, not a list.", f'Write {option} = ["{names}"]')
            continue
        for name in names or ():
            if name == binding.primary_key.name and option == "exclude":
                problem = f"exclude names '{name}', but the primary key always syncs."
                yield _option_error(binding, problem, f'Remove "{name}" from exclude')
            elif name not in known:
                close = get_close_matches(str(name), known, n=1)
                remedy = f'Write "{close[0]}" in {option}' if close else f'Remove "{name}" from {option}'
                problem = f"{option} names '{name}', but {binding.model.__name__} has no such field."
                yield _option_error(binding, problem, remedy)
    for name in {name for each in type(binding).__mro__[:-1] if each is not ModelSync for name in vars(each)}:
        close = get_close_matches(name, ModelSync.OPTIONS, n=1, cutoff=0.8)
        if close and not name.startswith("_") and not hasattr(ModelSync, name):
            yield Warning(
                f"'{name}' is not an option and has no effect.",
                hint=f"Write {close[0]} in {_place(binding)}.",
                obj=binding.model,
                id="realm_sync.W004",
            )


def _option_error(binding: ModelSync, problem: str, remedy: str) -> CheckMessage:
    return Error(problem, hint=f"{remedy} of {_place(binding)}.", obj=binding.model, id="realm_sync.E009")


def _check_fields(binding: ModelSync, every: Sequence[ModelSync]) -> Iterator[CheckMessage]:
    if binding.model._meta.parents:
        return
    chosen = [field for field in binding.chosen_fields if field is not binding.primary_key]
    refused = [field.name for field in chosen if refusal(field)]
    for field in chosen:
        if reason := refusal(field):
            exclude = _listed([*binding.exclude, *refused])
            fields = _listed([each.name for each in chosen if each.name not in refused])
            yield Error(
                f"The field {reason}.",
                hint=f"Write exclude = {exclude} in {_place(binding)}, or name what syncs: fields = {fields}.",
                obj=field,
                id="realm_sync.E010"
                if isinstance(field, models.ForeignKey) and realm_type(field)
                else "realm_sync.E008",
            )
    synced = set(binding.fields_by_name.values())
    given = [f for f in binding.model._meta.concrete_fields if f not in synced or f.name in binding.read_only_fields]
    missing = [field.name for field in given if not field.null and not field.primary_key and not _fills_itself(field)]
    if missing and not binding.read_only and not _is_default(binding, "writable_by"):
        yield Warning(
            f"Clients cannot create objects: they do not write {', '.join(missing)}, which may not be null and "
            "has no default.",
            hint=f"Give the field a default or null=True, let it sync, or write read_only = True in {_place(binding)}.",
            obj=binding.model,
            id="realm_sync.W005",
        )


def _fills_itself(field: Any) -> bool:
    return bool(
        field.has_default()
        or field.has_db_default()
        or field.generated
        or getattr(field, "auto_now", False)
        or getattr(field, "auto_now_add", False)
        or (field.blank and field.empty_strings_allowed)
    )


def _check_access(binding: ModelSync, every: Sequence[ModelSync]) -> Iterator[CheckMessage]:
    if binding.asymmetric:
        if binding.read_only:
            problem = "asymmetric and read_only are both set: clients could neither send nor see an object."
            yield _option_error(binding, problem, "Remove one of them")
        elif _is_default(binding, "writable_by"):
            yield Warning(
                "Nobody may send objects of this class: writable_by is not defined.",
                hint=f"Write def writable_by(self, user): return True in {_place(binding)}, or return a Q.",
                obj=binding.model,
                id="realm_sync.W002",
            )
        return
    if _is_default(binding, "readable_by") and _is_default(binding, "writable_by"):
        yield Warning(
            "Nobody may see or write objects of this class: neither readable_by nor writable_by is defined.",
            hint=f"Write def readable_by(self, user): return True in {_place(binding)}, or return a Q.",
            obj=binding.model,
            id="realm_sync.W002",
        )


def _is_default(binding: ModelSync, rule: str) -> bool:
    return getattr(type(binding), rule) is getattr(ModelSync, rule)


def _place(binding: ModelSync) -> str:
    """Where the options of the binding are written, for hints."""
    return (
        f"class Sync of {binding.model.__name__}" if issubclass(binding.model, SyncedModel) else type(binding).__name__
    )


def _other_name(binding: ModelSync) -> str:
    return binding.model._meta.app_label.title().replace("_", "") + binding.class_name


def _listed(names: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
