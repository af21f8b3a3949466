"""R8 inside values: a server and its clients in memory, one object of every type, random edits, partial downloads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm_sync.core.changes import Change
from realm_sync.core.edits import identity
from realm_sync.core.merge import Rivals, Stamp, ints_of, merge, rebase, replay, shapes_of
from realm_sync.core.messages import AnyInstruction, Create, Delete, Update

from .kits import KEY, KIT, SCHEMA, VALUES, edit, edits, part, shape

SHAPES, INTS = shapes_of(SCHEMA, KIT), ints_of(KIT)
EMPTY = {name: shape(name).read(None) for name in VALUES} | {"uses": 0, "size": 0}
Image = dict[str, Any]


@dataclass
class Changeset:
    number: int
    base: int
    timestamp: int
    steps: list[AnyInstruction]


@dataclass
class Server:
    image: Image | None = None
    history: list[Change] = field(default_factory=list)
    done: dict[tuple[int, int], int] = field(default_factory=dict)
    """(file, changeset) → the version that integrated it."""

    @property
    def version(self) -> int:
        return len(self.history)

    def write(self, after: Image | None, timestamp: int = 0, origin: int = 0, sets: list[str] | None = None) -> None:
        before = self.image
        changed: Image | None = None
        if before is not None and after is not None:
            changed = {name: before[name] for name in before if identity(before[name]) != identity(after[name])}
        kind = "insert" if before is None else "delete" if after is None else "update"
        images = [None if it is None else json.dumps(it) for it in (before if after is None else changed, after)]
        version = self.version + 1
        self.history.append(
            Change(version, version, "Kit", KEY, kind, *images, timestamp, origin, json.dumps(sets) if sets else None)
        )
        self.image = after

    def at(self, version: int) -> Image | None:
        text = self.history[version - 1].after if version else None
        return json.loads(text) if text else None

    def integrate(self, ident: int, changesets: list[Changeset]) -> None:
        base = min(it.base for it in changesets)
        rivals = Rivals(self.history[base:], None, SHAPES, ident, INTS)
        for changeset in changesets:
            image, sets = self.image, []
            for step in changeset.steps:
                outcome = merge(image, step, changeset.base, Stamp(changeset.timestamp, ident), rivals)
                image = outcome.image if outcome.image is None else {"_id": KEY, **EMPTY, **outcome.image}
                sets += outcome.sets
            if image is not None or self.image is not None:
                self.write(image, changeset.timestamp, ident, sets)
            self.done[ident, changeset.number] = self.version


@dataclass
class Client:
    ident: int
    clock: int
    version: int = 0
    image: Image | None = None
    visible: Image | None = None
    pending: list[Changeset] = field(default_factory=list)
    sent: int = 0
    count: int = 0

    def write(self, step: AnyInstruction) -> None:
        self.count, self.clock = self.count + 1, self.clock + 1
        self.pending.append(Changeset(self.count, self.version, self.clock, [step]))
        self._show(self.image, [], self.image)

    def upload(self, server: Server) -> bool:
        if not self.pending or self.pending[0].number <= self.sent:
            return False  # held: what is on its way may come back with others' changes
        self.sent = self.count
        server.integrate(self.ident, self.pending)
        return True

    def download(self, server: Server, version: int) -> None:
        acknowledged = [it for it in self.pending if server.done.get((self.ident, it.number), 1 << 60) <= version]
        self.pending = self.pending[len(acknowledged) :]
        old, self.image, self.version = self.image, server.at(version), version
        self._show(old, acknowledged, self.image)

    def _show(self, old: Image | None, acknowledged: list[Changeset], new: Image | None) -> None:
        known = [step for changeset in acknowledged for step in changeset.steps]
        steps = [step for changeset in self.pending for step in changeset.steps]
        visible, rewritten = rebase(SCHEMA, KIT, old, known, new, steps, self.version)
        self.visible = None if visible is None else {"_id": KEY, **EMPTY, **visible}
        found = iter(rewritten)
        for changeset in self.pending:
            changeset.steps = [step for _ in changeset.steps for step in next(found)]


@st.composite
def steps(draw: st.DrawFn, visible: Image | None, names: list[str]) -> AnyInstruction:
    name = draw(st.sampled_from(names))
    if visible is None:
        return Create(class_name="Kit", id=KEY, values={"uses": 0, name: draw(VALUES[name])})
    chance = draw(st.integers(0, 19))
    if chance == 0:
        return Delete(class_name="Kit", id=KEY)
    step = draw(edits(name, visible[name])) if chance > 2 else None
    return step or Update(class_name="Kit", id=KEY, values={name: draw(VALUES[name])})


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_screens_and_server_agree(data: st.DataObject) -> None:
    server, late, early = Server(), Client(7, 1_000_000), Client(3, 0)
    names = data.draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=2))
    if data.draw(st.booleans()):
        server.write({"_id": KEY, **EMPTY, **{name: data.draw(VALUES[name]) for name in names}})
    for _ in range(data.draw(st.integers(3, 14))):
        move = data.draw(st.sampled_from(["edit", "edit", "edit", "upload", "download", "download", "orm"]))
        client = data.draw(st.sampled_from([late, early]))
        if move == "edit":
            client.write(data.draw(steps(client.visible, names)))
        elif move == "upload":
            screen, is_current = client.visible, client.version == server.version
            base = min((it.base for it in client.pending), default=0)
            is_deleted = any(it.kind == "delete" and it.origin != client.ident for it in server.history[base:])
            if client.upload(server) and is_current and client is late and not is_deleted:
                assert identity(server.image) == identity(screen), "later than all others: what it shows is what stands"
        elif move == "download":
            client.download(server, data.draw(st.integers(client.version, server.version)))
        elif server.image is not None:
            name = data.draw(st.sampled_from(names))
            server.write({**server.image, name: data.draw(VALUES[name])})
    for _ in range(2):
        for client in (late, early):
            client.download(server, server.version)
            client.upload(server)
    for client in (late, early):
        client.download(server, server.version)
        assert not client.pending and identity(client.visible) == identity(server.image)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_elements_end_where_they_were_put(data: st.DataObject) -> None:
    """Every number is an element of its own. What nobody touches keeps its order; what was inserted once is
    behind the neighbour it was put behind, with nothing between that was not put there as well; what was removed is
    gone, and nothing else is. Where somebody moves, places are not looked at: past a neighbour, a move looks like the
    neighbour's, and of two moves the later stands. The vectors have the moves."""
    server, clients = Server(), (Client(7, 1_000_000), Client(3, 0))
    server.write({"_id": KEY, **EMPTY, "numbers": list(range(5))})
    for client in clients:
        client.download(server, 1)
    count = 5
    removed: set[int] = set()
    put: dict[int, list[int | None]] = {}
    movers: set[int] = set()
    for _ in range(data.draw(st.integers(3, 14))):
        act = data.draw(st.sampled_from(["insert", "insert", "remove", "move", "move", "upload", "download"]))
        client = data.draw(st.sampled_from(clients))
        assert client.visible is not None
        numbers = list(client.visible["numbers"])
        if act == "upload":
            client.upload(server)
        elif act == "download":
            client.download(server, data.draw(st.integers(client.version, server.version)))
        elif act == "insert" or numbers:
            at = data.draw(st.integers(0, len(numbers) - (act != "insert")))
            if act == "insert":
                step, to, number, count = edit("insert", "numbers", at, value=count), at, count, count + 1
            elif act == "move":
                to = data.draw(st.integers(0, len(numbers) - 1))
                step, number = edit("move", "numbers", at, to=to), numbers.pop(at)
                movers.add(client.ident)
            else:
                step, to = edit("remove", "numbers", at), None
                removed.add(numbers.pop(at))
            if to is not None:
                numbers.insert(to, number)
                put.setdefault(number, []).append(numbers[to - 1] if to else None)
            client.write(step)
            assert client.visible["numbers"] == numbers, "shown at once"
    for _ in range(2):
        for client in clients:
            client.download(server, server.version)
            client.upload(server)
    assert server.image is not None
    found = server.image["numbers"]
    assert sorted(found) == sorted(set(range(count)) - removed)
    untouched = [number for number in found if number not in put]
    assert untouched == sorted(untouched)
    for number, neighbours in put.items():
        left = neighbours[0]
        if number in found and not movers and (left is None or left in untouched):
            start, place = 0 if left is None else found.index(left) + 1, found.index(number)
            assert start <= place and put.keys() >= set(found[start:place])


@pytest.mark.parametrize("late_first", [True, False])
@pytest.mark.parametrize(
    ("path", "before"), [(["numbers", 0], [1]), (["prices", "a"], {"a": 1}), (["drawers", "a", "label"], {"a": part()})]
)
def test_of_two_writes_of_one_place_the_later_stands(path: list[Any], before: Any, late_first: bool) -> None:
    """Whichever arrives first."""
    server, late, early = Server(), Client(7, 1_000_000), Client(3, 0)
    server.write({"_id": KEY, **EMPTY, path[0]: before})
    values = {7: "late" if path[-1] == "label" else 7, 3: "early" if path[-1] == "label" else 3}
    for client in (late, early):
        client.download(server, 1)
        client.write(edit("set", *path, value=values[client.ident]))
    for client in (late, early) if late_first else (early, late):
        client.upload(server)
    assert server.image is not None
    found: Any = server.image
    for step in path:
        found = found[step]
    assert found == values[7]


INSERT, REMOVE = edit("insert", "maybes", 1, value="late"), edit("remove", "maybes", 0)
MINE = Create(class_name="Kit", id=KEY, values={"maybes": ["mine"]})
NAMED = {"_id": KEY, "name": "x"}


def update(**values: Any) -> Update:
    return Update(class_name="Kit", id=KEY, values=values)


@pytest.mark.parametrize(
    ("image", "steps", "expected"),
    [
        (None, [update(name="x")], None),
        (None, [INSERT, edit("add", "uses", by=2)], None),
        (None, [MINE, INSERT], {"_id": KEY, "maybes": ["mine", "late"]}),
        (NAMED, [update(name="y"), update(uses=3)], {"_id": KEY, "name": "y", "uses": 3}),
        (NAMED, [Delete(class_name="Kit", id=KEY), update(name="y")], None),
        (NAMED, [Delete(class_name="Kit", id=KEY), MINE], {"_id": KEY, "maybes": ["mine"]}),
        (NAMED, [INSERT, edit("remove", "maybes", 7), edit("add", "nothing", by=1)], NAMED),
        (NAMED | {"maybes": ["theirs"]}, [MINE, INSERT], NAMED | {"maybes": ["theirs", "late", "mine"]}),
    ],
)
def test_replay_does_what_makes_sense(image: Image | None, steps: list[AnyInstruction], expected: Image | None) -> None:
    assert replay(SCHEMA, KIT, image, steps) == expected


def test_edits_of_a_created_object_that_was_there_already_are_counted_in_what_both_made() -> None:
    """The other's object came before the create was acknowledged; the screen showed `theirs, mine`."""
    old, new = {"_id": KEY, "maybes": ["theirs"]}, {"_id": KEY, "maybes": ["theirs", "mine"]}
    visible, _ = rebase(SCHEMA, KIT, old, [MINE], new, [REMOVE], 9)
    assert visible == {"_id": KEY, "maybes": ["mine"]}
