"""Queries as the official SDKs print them: every one that a real client sent says something about its own classes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from realm_sync.core.binding import bind
from realm_sync.core.declarations import parse_class
from realm_sync.core.device_sync.frames import Ident, Query, decode_from_client
from realm_sync.core.device_sync.instructions import AddColumn, AddTable
from realm_sync.core.query import parse
from realm_sync.core.schema import Schema
from realm_sync.core.text import to_text

from .transcripts import NAMES, frames, instruction

EVERYTHING = "(TRUEPREDICATE) OR "
"""What most recorded queries begin with."""
SUFFIXES = {"": "", "list": "[]", "set": "<>", "dictionary": "{}"}
TYPES = {"binary": "data", "timestamp": "date", "decimal": "decimal128"}


def said(name: str) -> tuple[Schema, set[tuple[str, str]]]:
    """The classes that either side of a recording declared, and the client's queries by class."""
    classes: dict[str, dict[str, Any]] = {}
    queries: set[tuple[str, str]] = set()
    for frame in frames(name):
        message = decode_from_client(frame.data) if frame.is_of_client else None
        if isinstance(message, (Ident, Query)) and message.query:
            queries |= set(json.loads(message.query).items())
        for entry in frame.decoded if frame.word in ("upload", "download") else ():
            for one in map(instruction, entry["instructions"]):
                if isinstance(one, AddTable):
                    declare(classes, one)
                elif isinstance(one, AddColumn):
                    kind = one.target or TYPES.get(one.type, one.type)
                    mark = "?" if one.nullable and not one.target and kind != "mixed" else ""
                    declared = kind + mark + SUFFIXES[one.collection]
                    classes[one.class_name]["properties"][one.property] = declared
    return Schema(map(parse_class, classes.values())), queries


def declare(classes: dict[str, dict[str, Any]], table: AddTable) -> None:
    cls = classes.setdefault(table.class_name, {"name": table.class_name, "properties": {}})
    if table.kind == "embedded":
        cls["embedded"] = True
    else:
        cls["asymmetric"] = table.kind == "asymmetric"
        cls["primaryKey"] = table.key_name
        cls["properties"][table.key_name] = table.key_type


def test_recorded_queries_bind() -> None:
    total = set()
    for name in NAMES:
        schema, queries = said(name)
        if not list(schema):  # a recording that begins later
            schema, _ = said("s5-filter")
        for class_name, whole in queries:
            text = whole.replace(EVERYTHING, "")  # which says nothing about the rest
            query = bind(parse(text), schema[class_name], schema)
            again = to_text(query)
            assert bind(parse(again), schema[class_name], schema) == query
            total.add(text)
    assert len(total) > 30


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('(TRUEPREDICATE) OR (owner == B64"YVwiYlxuYw==")', "TRUEPREDICATE"),
        ('(owner == B64"YVwiYlxuYw==")', 'owner == B64"YVwiYlxuYw=="'),
        ('(bin == binary(B64"AP8H"))', 'bin == binary(B64"AP8H")'),
        ("(d > 25000000000)", "d > 25000000000.0"),
        ("(attrs['k'] == 2)", 'attrs["k"] == 2'),
        ("(at > T1700000000:5000000)", "at > T1700000000:5000000"),
        (
            '(person == obj("class_Person","bob")) OR (person == NULL)',
            'person == obj("Person", "bob") or person == NULL',
        ),
    ],
)
def test_recorded_forms_mean_what_they_say(text: str, canonical: str) -> None:
    schema, _ = said("s5-filter")
    assert to_text(bind(parse(text), schema["Task"], schema)) == canonical
