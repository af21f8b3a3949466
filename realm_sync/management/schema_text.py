"""The schema as text for clients: JSON, JavaScript classes, Python classes.

Decides only text. Classes come in the schema's order: what is linked to, or embedded, before what holds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from realm_sync.core.schema import PRIMARY_KEY, ObjectSchema, Property, type_text
from realm_sync.core.values import SCALARS


def schema_as_json(classes: Iterable[ObjectSchema]) -> str:
    """A list of Realm object schemas, as every Realm SDK, and the verb `models`, accepts them."""
    return json.dumps([declaration(cls) for cls in classes], indent=2, ensure_ascii=False)


def schema_as_python(classes: Iterable[ObjectSchema]) -> str:
    """Classes for the Python client."""
    bodies, words = [], set()
    for cls in classes:
        base = "EmbeddedObject" if cls.embedded else "Object"
        lines = [f"class {cls.name}({base}{', asymmetric=True' if cls.asymmetric else ''}):"]
        words |= {base}
        for name, prop in cls.properties.items():
            hint = _python_type(prop)
            words |= set(re.findall(r"\w+", hint))
            options = []
            if name == PRIMARY_KEY:
                options.append("primary_key=True")
                if prop.type in PYTHON_KEYS:
                    options.append(f"default={PYTHON_KEYS[prop.type]}")
                    words.add(PYTHON_KEYS[prop.type])
            elif prop.indexed and prop.type != "object":
                options.append("indexed=True")
            words |= {"field"} if options else set()
            lines.append(f"    {name}: {hint}" + (f" = field({', '.join(options)})" if options else ""))
        bodies.append("\n".join(lines))
    imports = [
        f"from {module} import {', '.join(name for name in names if name in words)}"
        for module, names in PYTHON_IMPORTS.items()
        if words & set(names)
    ]
    header = ["from __future__ import annotations", "", *imports, *([""] if imports else [])]
    header.append(f"from realm_sync.client import {', '.join(name for name in CLIENT_NAMES if name in words)}")
    return "\n".join(header) + "\n\n\n" + "\n\n\n".join(bodies)


PYTHON_TYPES = {
    "bool": "bool", "int": "int", "float": 'Annotated[float, "float"]', "double": "float", "decimal128": "Decimal",
    "string": "str", "data": "bytes", "date": "datetime", "objectId": "ObjectId", "uuid": "UUID", "mixed": "Mixed",
}  # fmt: skip
"""The annotation that means each Realm type to the Python client."""
PYTHON_COLLECTIONS = {"list": "list[{}]", "set": "set[{}]", "dictionary": "dict[str, {}]"}
PYTHON_KEYS = {"uuid": "uuid4", "objectId": "new_object_id"}
"""What makes a new key of each type that clients can make."""
PYTHON_IMPORTS = {
    "datetime": ("datetime",), "decimal": ("Decimal",), "typing": ("Annotated",), "uuid": ("UUID", "uuid4"),
}  # fmt: skip
CLIENT_NAMES = ("Counter", "EmbeddedObject", "Mixed", "Object", "ObjectId", "field", "new_object_id")


def _python_type(prop: Property) -> str:
    if prop.is_collection:
        element = str(prop.object_type)
        optional = prop.optional and element != "mixed"
        text = PYTHON_TYPES.get(element, element) + (" | None" if optional else "")
        return PYTHON_COLLECTIONS[prop.type].format(text)
    text = "Counter" if prop.is_counter else PYTHON_TYPES.get(prop.type, str(prop.object_type))
    return text + (" | None" if prop.optional and prop.type != "mixed" else "")


def schema_as_javascript(classes: Iterable[ObjectSchema]) -> str:
    """A module of classes for the browser SDK (`{% realm_sync_config %}` maps "realm") and Realm's own JavaScript SDK."""
    parts = ['import Realm from "realm";']
    for cls in classes:
        given = declaration(cls)
        lines = [
            f"export class {cls.name} extends Realm.Object {{",
            "    static schema = {",
            f'        name: "{cls.name}",',
        ]
        if not cls.embedded:
            lines.append(f'        primaryKey: "{PRIMARY_KEY}",')
        lines += [f"        {kind}: true," for kind in ("embedded", "asymmetric") if kind in given]
        lines.append("        properties: {")
        for name, each in given["properties"].items():
            lines.append(f"            {name}: {_javascript_property(name, each)},")
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
    head: dict[str, Any] = {"name": cls.name}
    if cls.embedded:
        head["embedded"] = True
    else:
        head["primaryKey"] = cls.primary_key
    if cls.asymmetric:
        head["asymmetric"] = True
    return head | {"properties": properties}


def _declared(name: str, prop: Property) -> str | dict[str, Any]:
    if prop.indexed and name != PRIMARY_KEY and prop.type in SCALARS:
        return {"type": prop.type} | ({"optional": True} if prop.optional else {}) | {"indexed": True}
    return type_text(prop)


def _javascript_property(name: str, given: str | dict[str, Any]) -> str:
    makes = {"uuid": "new Realm.BSON.UUID()", "objectId": "new Realm.BSON.ObjectId()"}
    if name == PRIMARY_KEY and isinstance(given, str) and given in makes:
        return f'{{ type: "{given}", default: () => {makes[given]} }}'
    if isinstance(given, str):
        return f'"{given}"'
    return "{ " + ", ".join(f"{key}: {json.dumps(value)}" for key, value in given.items()) + " }"
