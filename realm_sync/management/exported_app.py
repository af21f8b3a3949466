"""An exported App Services application, read into what this package has a word for.

Decides which class a collection is, what its properties are in Realm's types, which roles apply to it, and what of the
rest has a setting here. Whatever has no counterpart becomes a sentence in `notes`, never a guess. Writes nothing:
models_text.py and sync_text.py do, from what this returns.

    realm_config.json  auth/*.json  functions/  values/  sync/config.json
    data_sources/<service>/{config,default_rule}.json
    data_sources/<service>/<database>/<collection>/{schema,relationships,rules}.json
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from realm_sync.core.errors import SchemaError
from realm_sync.core.schema import INDEXABLE
from realm_sync.core.values import SCALARS
from realm_sync.schema_models import fields_of_schema

SCALAR_TYPES = {
    "bool": "bool", "boolean": "bool", "int": "int", "long": "int", "integer": "int", "double": "double",
    "float": "float", "number": "double", "decimal": "decimal128", "string": "string", "binData": "data", "date": "date",
    "objectId": "objectId", "uuid": "uuid",
}  # fmt: skip
"""Realm's type for each of BSON's, and of JSON's own."""


class ExportError(Exception):
    """The export cannot be read; the text says what was found, where, and what was expected."""


@dataclass
class Collection:
    """A class that syncs, and the collection it was in."""

    name: str
    """Of the class: the title of the schema."""
    place: str
    """`database.collection`."""
    declaration: dict[str, Any]
    """A Realm object schema."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Property → "scalar", "list", "set", "embedded Class" or "other": what access rules can ask of it."""
    roles: list[dict[str, Any]] = field(default_factory=list)
    queryable: list[str] = field(default_factory=list)
    asymmetric: bool = False
    notes: list[str] = field(default_factory=list)
    """What was left out."""


@dataclass
class ExportedApp:
    app_id: str = ""
    collections: list[Collection] = field(default_factory=list)
    embedded: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Embedded classes by name, as Realm object schemas."""
    partition: dict[str, Any] | None = None
    """The partition key and its permissions, of an app with partition-based sync."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Keys of REALM_SYNC with their values."""
    functions: list[str] = field(default_factory=list)
    custom_data: str = ""
    """Where custom user data was: `database.collection`, and by which field."""
    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def declarations(self) -> list[dict[str, Any]]:
        return [*self.embedded.values(), *(each.declaration for each in self.collections)]


def read_app(path: Path) -> ExportedApp:
    """Reads the directory, or the zip file, of an export. Raises ExportError."""
    root = _root(zipfile.Path(path) if zipfile.is_zipfile(path) else path)
    app = ExportedApp()
    sync = _json(root / "sync" / "config.json") or {}
    configs = _sync_configs(root)
    if not sync and configs:  # before 2022 the configuration of sync was part of its data source
        service, sync = next(iter(configs.items()))
        sync = {"service_name": service, **sync}
    named = sync.get("service_name")
    # Sections of newer and older exports.
    app.partition = sync.get("partition") if sync.get("type") == "partition" or "partition" in sync else None
    found = list(_collections(root, named if isinstance(named, str) else None))
    app.values = _values(root)
    _read_classes(app, found, sync)
    _read_roles(app, root, found, sync)
    _read_settings(app, root, sync)
    return app


# --- files -----------------------------------------------------------------------------------------------------------


def _root(path: Any) -> Any:
    """The directory that has data_sources: of archives it is often one further down."""
    candidates = [path, *sorted((each for each in path.iterdir() if each.is_dir()), key=lambda each: str(each.name))]
    for each in candidates:
        if (each / "data_sources").is_dir():
            return each
    older = any((each / "services").is_dir() for each in candidates)
    hint = (
        "It looks like an export of before 2021: import it into an App Services app and export that." if older else ""
    )
    raise ExportError(f"{path} is no exported App Services application: it has no data_sources. {hint}".strip())


def _json(path: Any) -> Any:
    """What a file says; None if there is none."""
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(f"{path} is not JSON: {error}.") from error


def _directories(path: Any) -> list[Any]:
    return (
        sorted((each for each in path.iterdir() if each.is_dir()), key=lambda each: str(each.name))
        if path.is_dir()
        else []
    )


def _sync_configs(root: Any) -> dict[str, dict[str, Any]]:
    """The configurations of sync that are in data sources, by the name of the source."""
    found = {}
    for source in _directories(root / "data_sources"):
        config = (_json(source / "config.json") or {}).get("config") or {}
        inner = config.get("flexible_sync") or config.get("sync")
        if isinstance(inner, dict) and inner:
            found[str(source.name)] = inner
    return found


class _Files:
    """One collection's files."""

    def __init__(self, source: Any, database: str, directory: Any) -> None:
        self.source = str(source.name)
        self.database, self.collection = database, str(directory.name)
        self.schema = _json(directory / "schema.json")
        self.relationships = _json(directory / "relationships.json") or {}
        self.rules = _json(directory / "rules.json") or {}
        if self.rules.get(
            "collection"
        ):  # the directory's name may differ, where that has characters files may not have
            self.database, self.collection = str(self.rules.get("database", database)), str(self.rules["collection"])

    @property
    def place(self) -> str:
        return f"{self.database}.{self.collection}"


def _collections(root: Any, service: str | None) -> Iterator[_Files]:
    for source in _directories(root / "data_sources"):
        if service is not None and str(source.name) != service:
            continue
        for database in _directories(source):
            for collection in _directories(database):
                yield _Files(source, str(database.name), collection)


# --- classes ---------------------------------------------------------------------------------------------------------


def _read_classes(app: ExportedApp, found: list[_Files], sync: Mapping[str, Any]) -> None:
    titles: dict[str, str] = {}
    for files in found:
        title = files.schema.get("title") if isinstance(files.schema, dict) else None
        if not title or not files.schema.get("properties"):
            app.notes.append(
                f"The collection {files.place} has no schema with a title: it did not sync, and is left out."
            )
        elif title in titles.values():
            raise ExportError(f"Two collections have the title '{title}'; {files.place} is one. Rename one of them.")
        else:
            titles[files.place] = str(title)
    asymmetric = set(sync.get("asymmetric_tables") or [])
    for files in found:
        if files.place in titles:
            reader = _ClassReader(app, files, titles)
            collection = reader.read()
            collection.queryable = _queryable(sync, collection.name, files.collection)
            collection.asymmetric = collection.name in asymmetric
            app.collections.append(collection)
    for collection in app.collections:
        _index(collection)


def _queryable(sync: Mapping[str, Any], *names: str) -> list[str]:
    found = list(sync.get("queryable_fields_names") or [])
    by_collection = sync.get("collection_queryable_fields_names") or {}
    for name in names:
        found += by_collection.get(name) or []
    return list(dict.fromkeys(each for each in found if isinstance(each, str)))


def _index(collection: Collection) -> None:
    properties = collection.declaration["properties"]
    for name in collection.queryable:
        given = properties.get(name)
        # Embedded objects, collections and links have an index of their own kind, or none.
        if isinstance(given, str) and given.removesuffix("?") in INDEXABLE and given.removesuffix("?") in SCALARS:
            optional = {"optional": True} if given.endswith("?") else {}
            properties[name] = {"type": given.removesuffix("?"), **optional, "indexed": True}
    collection.queryable = [name for name in collection.queryable if name in properties and name != "_id"]


class _ClassReader:
    """Reads one collection's schema, and the embedded classes in it."""

    def __init__(self, app: ExportedApp, files: _Files, titles: Mapping[str, str]) -> None:
        self.app, self.files, self.titles = app, files, titles
        self.name = titles[files.place]
        self.notes: list[str] = []

    def read(self) -> Collection:
        schema = self.files.schema
        if "_id" not in schema["properties"]:
            raise ExportError(f"The schema of {self.files.place} has no _id, which every class that syncs needs.")
        properties, kinds = self.properties(self.name, schema, "")
        declaration = {"name": self.name, "primaryKey": "_id", "properties": properties}
        return Collection(self.name, self.files.place, declaration, kinds, notes=self.notes)

    def properties(self, owner: str, schema: Mapping[str, Any], path: str) -> tuple[dict[str, Any], dict[str, str]]:
        """The properties of a class, or of an embedded one at `path`; those that cannot be are notes."""
        required = set(schema.get("required") or [])
        properties: dict[str, Any] = {}
        kinds: dict[str, str] = {}
        for name, given in schema["properties"].items():
            if not isinstance(given, dict):
                continue
            inner = f"{path}.{name}" if path else name
            is_key = not path and name == "_id"
            try:
                text, kind = self.property(owner, name, given, inner, is_key or name in required)
                self.check(owner, bool(path), name, text)
            except SchemaError as error:
                if is_key:
                    raise ExportError(f"The key of {self.files.place} cannot be one: {error}") from error
                self.notes.append(f"'{owner}.{name}' is left out: {error.problem} {error.remedy}".strip())
                continue
            properties[name], kinds[name] = text, kind
        return properties, kinds

    def property(self, owner: str, name: str, given: Mapping[str, Any], path: str, required: bool) -> tuple[str, str]:
        """The shorthand of a property, and what rules can ask of it. SchemaError if it has none."""
        where = f"{owner}.{name}"
        target = self.target(where, path)
        kind, nullable = _bson_type(given)
        optional = "" if required and not nullable else "?"
        if kind == "array":
            suffix = "<>" if given.get("uniqueItems") else "[]"
            element = target or self.element(where, owner, name, given.get("items"), path)
            return f"{element}{suffix}", "set" if suffix == "<>" else "list"
        if target:
            return target, "scalar"
        if kind == "object":
            if given.get("properties"):
                embedded = self.embedded(owner, name, given, path)
                return embedded, f"embedded {embedded}"
            values = given.get("additionalProperties")
            element = self.element(where, owner, name, values if isinstance(values, dict) else {}, path)
            return f"{element}{{}}", "other"
        if kind == "mixed":
            return "mixed", "other"
        if kind not in SCALAR_TYPES:
            raise SchemaError(where, f"has the type '{kind}', which Realm has not.")
        return f"{SCALAR_TYPES[kind]}{optional}", "scalar"

    def element(self, where: str, owner: str, name: str, given: Any, path: str) -> str:
        if not isinstance(given, dict) or not given:
            return "mixed"
        kind, nullable = _bson_type(given)
        if kind == "object" and given.get("properties"):
            return self.embedded(owner, name, given, path)
        if kind == "mixed":
            return "mixed"
        if kind not in SCALAR_TYPES:
            raise SchemaError(where, f"holds elements of the type '{kind}', which a collection of Realm cannot.")
        return SCALAR_TYPES[kind] + ("?" if nullable else "")

    def embedded(self, owner: str, name: str, given: Mapping[str, Any], path: str) -> str:
        """The name of an embedded class: its title, or what the SDKs call one without."""
        title = str(given.get("title") or f"{owner}_{name}")
        properties, _ = self.properties(title, given, path)
        declaration = {"name": title, "embedded": True, "properties": properties}
        if self.app.embedded.setdefault(title, declaration) != declaration or title in self.titles.values():
            raise SchemaError(f"{owner}.{name}", f"holds a '{title}' that differs from another class of that name.")
        return title

    def target(self, where: str, path: str) -> str:
        """The class a property links to, or ""."""
        related = self.files.relationships.get(path) or self.files.relationships.get(f"{path}.[]")
        if not isinstance(related, dict):
            return ""
        place = ".".join(str(related.get("ref", "")).split("/")[-2:])
        if place not in self.titles:
            raise SchemaError(where, f"links to {place}, which does not sync.")
        if related.get("foreign_key", "_id") != "_id":
            self.notes.append(
                f"'{where}' links to {place} by '{related['foreign_key']}', not by _id: it is the value that it stores."
            )
            return ""
        return self.titles[place]

    def check(self, owner: str, is_embedded: bool, name: str, text: str) -> None:
        """SchemaError if no Django field can be this property."""
        known = {each: each for each in self.app.embedded}
        head = {"embedded": True} if is_embedded else {"primaryKey": "_id"}
        properties = {name: text} if is_embedded or name == "_id" else {"_id": "uuid", name: text}
        fields_of_schema({"name": owner, **head, "properties": properties}, embedded=known)


def _bson_type(given: Mapping[str, Any]) -> tuple[str, bool]:
    """The one type a schema names, and whether null is another."""
    named = given.get("bsonType", given.get("type", "mixed"))
    kinds = [named] if isinstance(named, str) else [each for each in named if isinstance(each, str)]
    rest = [each for each in kinds if each != "null"]
    return (rest[0] if len(rest) == 1 else "mixed"), len(rest) < len(kinds)


# --- roles -----------------------------------------------------------------------------------------------------------


def _read_roles(app: ExportedApp, root: Any, found: list[_Files], sync: Mapping[str, Any]) -> None:
    """Of the collection, else of its data source, else those that older exports keep with the configuration of sync."""
    permissions = sync.get("permissions") or {}
    older = {name: _older(roles) for name, roles in (permissions.get("rules") or {}).items()}
    by_place = {files.place: files for files in found}
    for collection in app.collections:
        files = by_place[collection.place]
        default = (_json(root / "data_sources" / files.source / "default_rule.json") or {}).get("roles")
        own = files.rules.get("roles") if not older else older.get(collection.name)
        roles = own or default or _older(permissions.get("defaultRoles") or [])
        collection.roles = [role for role in roles if isinstance(role, dict)]
        if files.rules.get("filters"):
            collection.notes.append("Its filters are left out: they changed what queries of MongoDB found.")


def _older(roles: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": role.get("name", ""),
            "apply_when": role.get("applyWhen", {}),
            "document_filters": {"read": role.get("read", False), "write": role.get("write", False)},
            "read": True,
            "write": True,
        }
        for role in roles
        if isinstance(role, dict)
    ]


# --- the rest --------------------------------------------------------------------------------------------------------


def _values(root: Any) -> dict[str, Any]:
    found = {}
    directory = root / "values"
    for path in directory.iterdir() if directory.is_dir() else ():
        given = _json(path) if str(path.name).endswith(".json") else None
        if isinstance(given, dict) and isinstance(given.get("name"), str) and "value" in given:
            found[given["name"]] = given["value"]
    return found


def _read_settings(app: ExportedApp, root: Any, sync: Mapping[str, Any]) -> None:
    head = _json(root / "realm_config.json") or _json(root / "root_config.json") or {}
    app.app_id = str(head.get("app_id") or head.get("name") or "")
    if app.app_id:
        app.settings["APP_ID"] = app.app_id
    days = sync.get("client_max_offline_days")
    if isinstance(days, int) and days > 0:
        app.settings["HISTORY_DAYS"] = days
    if app.partition and isinstance(app.partition.get("key"), str) and app.partition["key"] != "_partition":
        app.settings["PARTITION_FIELD"] = app.partition["key"]
    providers = _json(root / "auth" / "providers.json") or {}
    enabled = {
        name: given.get("config") or {}
        for name, given in providers.items()
        if isinstance(given, dict) and not given.get("disabled")
    }
    app.settings["ANONYMOUS_LOGIN"] = "anon-user" in enabled
    if (config := enabled.pop("local-userpass", None)) is not None:
        _read_email_password(app, config)
    if "custom-token" in enabled:
        app.notes.append(
            'Log-in with custom tokens was on: set REALM_SYNC["CUSTOM_JWT"] with the key of your other system.'
        )
    if config := enabled.get("custom-function"):
        name = config.get("authFunctionName")
        app.notes.append(
            f'Log-in by the function "{name}" was on: write it in Python, for REALM_SYNC["LOGIN_FUNCTION"].'
        )
    known = {"anon-user", "api-key", "custom-token", "custom-function"}
    for name in sorted(set(enabled) - known):
        app.notes.append(
            f'Log-in by "{name}" was on, and has no counterpart: let your site verify it and issue custom tokens.'
        )
    data = _json(root / "auth" / "custom_user_data.json") or {}
    if data.get("enabled"):
        named = (data.get("database_name"), data.get("collection_name"), data.get("user_id_field"))
        database, collection, by = (re.sub(r"[^\w.-]", "?", str(name)) for name in named)
        app.custom_data = f"{database}.{collection}, by {by}"
        app.settings["USER_DATA"] = "<this module>.custom_data"
    app.functions = sorted(_functions(root))
    for name, what in (("triggers", "Triggers"), ("http_endpoints", "HTTP endpoints"), ("hosting", "Hosting")):
        directory = root / name
        if directory.is_dir() and any(directory.iterdir()):
            app.notes.append(f"{what} are left out: Django has signals, views and static files for that.")


def _read_email_password(app: ExportedApp, config: Mapping[str, Any]) -> None:
    app.settings["REGISTRATION"] = True
    if config.get("runConfirmationFunction"):
        app.settings["CONFIRMATION"] = f"<this app>.{config.get('confirmationFunctionName')}"
    elif not config.get("autoConfirm"):
        app.settings["CONFIRMATION"] = "email"
        app.settings["CONFIRMATION_URL"] = config.get("emailConfirmationUrl", "")
    if config.get("runResetFunction"):
        app.settings["PASSWORD_RESET_FUNCTION"] = f"<this app>.{config.get('resetFunctionName')}"
    elif config.get("resetPasswordUrl"):
        app.settings["PASSWORD_RESET_URL"] = config["resetPasswordUrl"]


def _functions(root: Any) -> Iterator[str]:
    """Names of the functions that clients could call."""
    listed = _json(root / "functions" / "config.json")
    beside = (_json(directory / "config.json") for directory in _directories(root / "functions"))
    for each in listed if isinstance(listed, list) else beside:
        if isinstance(each, dict) and not each.get("private") and str(each.get("name")).isidentifier():
            yield str(each["name"])
