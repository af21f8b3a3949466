"""What it costs to merge edits with what others wrote meanwhile: per instruction, and as sizes double."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from realm_sync.core.changes import Change
from realm_sync.core.merge import Rivals, Stamp, merge, shapes_of
from realm_sync.core.messages import Add, AnyInstruction, Insert, Move, Remove, SetInsert, Update
from realm_sync.core.messages import Set as SetValue
from realm_sync.core.schema import ObjectSchema, Property, Schema

from .setting import Figure, Setting, seconds

LOG = ObjectSchema(
    name="Log",
    properties={
        "_id": Property(type="int"),
        "title": Property(type="string"),
        "entries": Property(type="list", object_type="int"),
        "tags": Property(type="set", object_type="string"),
        "readings": Property(type="dictionary", object_type="int"),
        "visits": Property(type="int", presentation="counter"),
    },
)
SHAPES = shapes_of(Schema([LOG]), LOG)
STAMP = Stamp(2000, 7)
OBJECTS = 100
ENTRIES = 50
Image = dict[str, Any]


def run(setting: Setting) -> Iterator[Figure]:
    """A changeset spreads over a hundred objects that others wrote as often as its history says, and then over a
    single one; a list of ten thousand elements is edited while another edits it as well."""
    rows = setting.size(10_000, 2000)
    for objects, where in ((OBJECTS, f"{OBJECTS} objects"), (1, "one object")):
        alone, once, twice = (
            _median(partial(_merging, objects, rows * scale, theirs))
            for scale, theirs in ((1, False), (1, True), (2, True))
        )
        what = f"merging {rows // 10:,} instructions on {where} with {rows:,} changes of others, each instruction"
        yield Figure(what, "none", once, "µs", "nobody else wrote", alone)
        yield Figure(
            f"… {2 * rows // 10:,} on {where} with {2 * rows:,}", "none", twice, "µs", "half as many of both", once, 1.5,
            at_most=True, targets_ratio=True,
        )  # fmt: skip
    length = setting.size(10_000, 2000)
    plain, once, twice = (
        _median(partial(_long_list, size, theirs))
        for size, theirs in ((length, False), (length, True), (2 * length, True))
    )
    yield Figure(
        f"an edit of a list of {length:,} that another edits", "none", once, "µs", "nobody else edits it", plain
    )
    yield Figure(
        f"an edit of a list of {2 * length:,} that another edits",
        "none",
        twice,
        "µs",
        f"{length:,} elements",
        once,
        2.5,
        at_most=True,
        targets_ratio=True,
    )


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(3))


def _merging(objects: int, rows: int, theirs: bool) -> float:
    """Microseconds for each instruction of a changeset of a tenth as many as others' changes."""
    chosen = random.Random(1)
    images: dict[int, Image] = {key: _image(key) for key in range(objects)}
    histories: dict[int, list[Change]] = {key: [] for key in images}
    for version in range(1, rows + 1):
        key = version % objects
        histories[key].append(_theirs(chosen, images[key], version))
    steps = [(number % objects, _mine(chosen, number % objects, number)) for number in range(rows // 10)]

    def merge_all() -> None:
        present = dict(images)
        rivals = {key: Rivals(histories[key] if theirs else (), None, SHAPES, 7) for key in images}
        for key, step in steps:
            present[key] = merge(present[key], step, 0, STAMP, rivals[key]).image or {}

    return seconds(merge_all) / len(steps) * 1e6


def _image(key: int) -> Image:
    return {"_id": key, "title": "", "entries": [*range(ENTRIES)], "tags": [], "readings": {}, "visits": 0}


def _theirs(chosen: random.Random, image: Image, version: int) -> Change:
    """Another writes one property; the image is written on."""
    name = chosen.choice(["title", "entries", "tags", "readings", "visits"])
    before = {name: image[name]}
    if name == "title":
        image[name] = str(version)
    elif name == "entries":  # as many come as go
        entries = list(image[name])
        entries.insert(chosen.randrange(len(entries)), version * 10)
        del entries[chosen.randrange(ENTRIES, len(entries)) if len(entries) > ENTRIES + 1 else -1]
        image[name] = entries
    elif name == "tags":
        image[name] = sorted({*image[name][-20:], f"t{version % 40:02}"})
    elif name == "readings":
        image[name] = {**image[name], f"r{version % 40}": version}
    else:
        image[name] += 1
    return Change(version, version, "Log", str(image["_id"]), "update", json.dumps(before), json.dumps(image), 1000, 3)


def _mine(chosen: random.Random, key: int, number: int) -> AnyInstruction:
    of: dict[str, Any] = {"class_name": "Log", "id": key}
    place = chosen.randrange(ENTRIES // 2)
    return chosen.choice(
        [
            lambda: Insert(path=["entries", place], value=-number, **of),
            lambda: Move(path=["entries", place], to=0, **of),
            lambda: SetInsert(path=["tags"], value=f"m{number % 40}", **of),
            lambda: SetValue(path=["readings", f"m{number % 40}"], value=number, **of),
            lambda: Add(path=["visits"], by=1, **of),
            lambda: Update(values={"title": "mine"}, **of),
        ]
    )()


def _long_list(length: int, theirs: bool) -> float:
    """Microseconds for each of a thousand edits of a long list, of which another edited a hundred elements."""
    chosen = random.Random(2)
    image = _image(0) | {"entries": [*range(length)]}
    history = []
    for version in range(1, 11):
        before = {"entries": image["entries"]}
        entries = list(image["entries"])
        for number in range(10):
            entries.insert(chosen.randrange(len(entries)), -version * 10 - number)
        image = {**image, "entries": entries}
        history.append(Change(version, version, "Log", "0", "update", json.dumps(before), json.dumps(image), 1000, 3))
    of: dict[str, Any] = {"class_name": "Log", "id": 0}
    steps: list[AnyInstruction] = []
    for number in range(1000):
        place = chosen.randrange(length - 10)
        made: list[AnyInstruction] = [
            Insert(path=["entries", place], value=length + number, **of),
            Remove(path=["entries", place], **of),
            Move(path=["entries", place], to=chosen.randrange(length - 10), **of),
            SetValue(path=["entries", place], value=length + number, **of),
        ]
        steps.append(made[number % 4])

    def merge_all() -> None:
        present: Image = image
        rivals = Rivals(history if theirs else (), None, SHAPES, 7)
        for step in steps:
            present = merge(present, step, 0, STAMP, rivals).image or {}

    return seconds(merge_all) / len(steps) * 1e6
