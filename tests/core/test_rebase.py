"""R8 inside values: a server and its clients in memory, one object of every type, random edits, partial downloads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from realm_sync.core.changes import Change
from realm_sync.core.edits import identity
from realm_sync.core.merge import Rivals, Stamp, merge, rebase, shapes_of
from realm_sync.core.messages import AnyInstruction, Create, Delete, Update

from .kits import KEY, KIT, SCHEMA, VALUES, edits

SHAPES = shapes_of(SCHEMA, KIT)
EMPTY = {name: SHAPES[name].read(None) for name in VALUES} | {"uses": 0}
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
        rivals = Rivals(self.history[base:], None, SHAPES, ident)
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
            if client.upload(server) and is_current and client is late:
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
