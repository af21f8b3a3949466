"""Convergence with official clients (R8): whatever arrives in whatever order, their files end with the server's data.

Models of the official client, which merge by themselves and tell nobody, write at random: everywhere inside objects of every
type, offline and online, before and after downloads that are still on their way. Connections break at any frame, uploads
come twice, processes end in the middle of a download, subscriptions change; others write to the tables meanwhile, and
refuse some of it. In the end every file holds just what the database has in its view, to the last element. That no
message on the way would have stopped a real client is checked at every one.
"""

from __future__ import annotations

import random
import time
import uuid
from contextlib import suppress
from decimal import Decimal
from typing import Any

from django.db import DataError, IntegrityError, transaction

from realm_sync.access import access_of
from realm_sync.conf import settings as ours
from realm_sync.core.changes import decode_image
from realm_sync.core.device_sync.assertions import Assertions
from realm_sync.core.device_sync.instructions import Payload
from realm_sync.core.device_sync.schema import declare
from realm_sync.core.encoding import decode_property
from realm_sync.core.nodes import and_
from realm_sync.downloads import select_images
from realm_sync.models import ClientFile
from realm_sync.registry import registry
from realm_sync.subscriptions import bound_views
from tests.device_engine import Phone
from tests.mutations import Mutations
from tests.official_client.edits import Edits
from tests.official_client.store import Embedded, Store
from tests.testapp.models import Inspection, Kit, Team
from tests.world import World

CLASSES = ("Kit", "Kit", "Kit", "Inspection", "Inspection", "Sample")
"""Of objects that are written, as often as they are chosen."""
DEVICE_EPOCH = 1_420_070_400_000
STEPS = {
    "create": 5, "edit": 40, "delete": 3, "orm_create": 3, "orm_update": 14, "orm_delete": 2, "orm_team": 1, "reset": 0.5,
    "connect": 6, "disconnect": 3, "subscribe": 3, "up": 22, "work": 20, "down": 30, "die": 2, "settle": 2,
}  # fmt: skip
"""How often each kind of step is taken, relative to the others."""


class Run:
    """One random history of the kits and inspections of one team, from none to the comparison at the end."""

    def __init__(self, world: World, seed: int) -> None:
        self.random = rng = random.Random(seed)
        self.schema = registry.schema
        self.teams = [Team.objects.create(name=f"Team {uuid.UUID(int=rng.getrandbits(128))}") for _ in range(2)]
        for team in self.teams:
            team.members.add(world.nora)
        self.teams[0].members.add(world.sol)  # but not the other
        self.keys = {name: [self.new_key(name) for _ in range(rng.randint(1, 4))] for name in sorted(set(CLASSES))}
        teams = [str(team.pk) for team in self.teams]
        self.mutations = Mutations(
            rng,
            self.schema,
            {
                "colours": ["red", "blue", "green"], "json": [None, True, 1.5, "a", 7], "Team": teams, "teams": teams,
                "days": ["2026-01-01T00:00:00.000000Z"], "Airfield": ["EDDM", "ENSB"], "tags": ["a", "b", "c"],
                "status": ["planned", "running", "done"], "hours": ["0", "1.5", "99.25"], "priority": list(range(10)),
                "due": [None, "2026-01-01T00:00:00.000000Z"], "title": ["", "x", "y"],
            },
        )  # fmt: skip
        links = {"Team": [Payload("uuid", team.pk.bytes) for team in self.teams]}
        links["Airfield"] = [Payload("string", key) for key in ("EDDM", "ENSB", "XXXX")]
        self.edits = Edits(
            rng,
            {
                "colours": ["red", "blue", "red", "green"],
                "tags": ["a", "b", "c", "d", "too long for twenty characters"],
                "days": [Payload("timestamp", (1767225600, 0)), Payload("timestamp", (1767268800, 123456000))],
                "status": ["planned", "running", "done", "nonsense"],
                "hours": [Payload("decimal", (15, -1, False)), Payload("decimal", (9925, -2, False))],
                "priority": list(range(10)),
                "due": [None, Payload("timestamp", (1767225600, 0))],
                "inspector": [None],
                "json": [None, "a", Payload("double", 1.5), True],
            },
            links,
        )
        self.focus = self.focused()
        self.phones = [
            Phone(user, lambda: self.now() - DEVICE_EPOCH + rng.randint(-3000, 3000), self.now)
            for user in (world.nora, world.nora, world.sol)
        ]
        self.log: list[str] = []

    @staticmethod
    def now() -> int:
        return int(time.time() * 1000)

    def new_key(self, name: str) -> str:
        if name == "Sample":
            return f"{self.random.getrandbits(96):024x}"
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    def focused(self) -> dict[str, list[str]]:
        """The properties that are edited: often only few, so that everybody edits the same."""
        every = {
            name: [
                each
                for each, it in self.schema[name].properties.items()
                if each != "_id" and it.type != "linkingObjects"
            ]
            for name in self.keys
        }
        if self.random.random() < 0.3:
            return every
        return {name: self.random.sample(names, self.random.randint(1, 4)) for name, names in every.items()}

    # --- steps

    def begin(self) -> None:
        for phone in self.phones:
            if self.random.random() < 0.4:
                phone.file.declare(declare(self.schema))  # as an app that opens its realm at once
            else:
                phone.settle()
            self.subscribe(phone)

    def queries(self) -> dict[str, str]:
        team = f"team == uuid({self.teams[0].pk})"
        kits = " OR ".join(f"_id == uuid({key})" for key in self.keys["Kit"])
        chosen = {"Airfield": "TRUEPREDICATE"} if self.random.random() < 0.3 else {}
        inspections = self.random.choice(["TRUEPREDICATE", "priority < 5", 'status == "planned" or priority == 7'])
        chosen["Inspection"] = f"({team}) and ({inspections})"
        kinds = self.random.choice([f"({kits})", f"({kits})", f'({kits}) and name != "a"', f"({kits}) and visits > 2"])
        samples = " OR ".join(f"_id == oid({key})" for key in self.keys["Sample"])
        return chosen | {"Kit": kinds, "Team": "TRUEPREDICATE", "Sample": samples}

    def subscribe(self, phone: Phone) -> None:
        phone.file.subscribe(self.queries())

    def step(self) -> None:
        [kind] = self.random.choices(list(STEPS), list(STEPS.values()))
        phone = self.random.choice(self.phones)
        self.log.append(f"{kind} {self.phones.index(phone)}")
        getattr(self, f"step_{kind}")(phone)

    def target(self) -> tuple[str, Payload]:
        name = self.random.choice(CLASSES)
        key = self.random.choice(self.keys[name])
        if name == "Sample":
            return name, Payload("objectId", bytes.fromhex(key))
        return name, Payload("uuid", uuid.UUID(key).bytes)

    def required(self, name: str) -> dict[str, Any]:
        if name != "Inspection":
            return {}
        team = self.random.choice([*self.teams, self.teams[0]])  # of which not everybody may write
        links = {"airfield": Payload("link", ("Airfield", Payload("string", "EDDM")))}
        return links | {"team": Payload("link", ("Team", Payload("uuid", team.pk.bytes)))}

    def step_create(self, phone: Phone) -> None:
        name, key = self.target()
        if name in phone.file.store.tables and key not in phone.file.store.objects[name]:
            with phone.file.write() as writes:
                self.edits.create(writes, name, key, **self.required(name))
                if self.random.random() < 0.2:
                    team = Payload("link", ("Team", Payload("uuid", self.teams[0].pk.bytes)))
                    self.edits.create(writes, "Reading", Payload("uuid", uuid.uuid4().bytes), team=team)

    def step_edit(self, phone: Phone) -> None:
        with phone.file.write() as writes:
            for _ in range(self.random.choice([1, 1, 1, 2, 4])):
                name, key = self.target()
                if key in phone.file.store.objects.get(name, {}):
                    self.edits.edit(writes, name, key, self.focus[name])

    def step_delete(self, phone: Phone) -> None:
        name, key = self.target()
        if key in phone.file.store.objects.get(name, {}):
            with phone.file.write() as writes:
                writes.delete(name, key)
                if self.random.random() < 0.3:
                    self.edits.create(writes, name, key, **self.required(name))

    def step_orm_create(self, phone: Phone) -> None:
        kits = [Kit(pk=self.random.choice(self.keys["Kit"]), name="server's")]
        Kit.objects.bulk_create(kits, ignore_conflicts=True)
        inspection = Inspection(
            pk=self.random.choice(self.keys["Inspection"]), team=self.teams[0], airfield_id="EDDM", title="server's"
        )
        Inspection.objects.bulk_create([inspection], ignore_conflicts=True)

    def step_orm_update(self, phone: Phone) -> None:
        name = self.random.choice(CLASSES)
        key, cls = self.random.choice(self.keys[name]), self.schema[name]
        image = self.images(name, "TRUEPREDICATE").get(key)
        changed = self.random.choice(self.focus[name])
        if cls.properties[changed].read_only or changed == "teams":
            return
        sync = registry.get(name)
        assert sync is not None
        field = sync.fields_by_name.get(changed)
        if image is None or field is None:
            return
        wire = self.mutations.changed(cls, image, changed)
        decoded = wire if changed == "json" else decode_property(self.schema, changed, cls.properties[changed], wire)
        model: Any = sync.model
        with suppress(IntegrityError, DataError), transaction.atomic(ours.DATABASE):
            if self.random.random() < 0.5:
                model.objects.filter(pk=key).update(**{field.attname: field.to_python(decoded)})
            else:
                row = model.objects.get(pk=key)
                setattr(row, field.attname, field.to_python(decoded))
                row.save()

    def step_orm_delete(self, phone: Phone) -> None:
        name = self.random.choice(CLASSES)
        sync = registry.get(name)
        assert sync is not None
        sync.model._default_manager.filter(pk=self.random.choice(self.keys[name])).delete()

    def step_orm_team(self, phone: Phone) -> None:
        """A team is deleted, and with it or in it whatever refers to it; or it comes back."""
        team = self.teams[1]
        if not Team.objects.filter(pk=team.pk).delete()[0]:
            team.save(force_insert=True)
            team.members.add(self.phones[0].user)

    def step_reset(self, phone: Phone) -> None:
        """An operator has the file start over: what is pending is done again, or dropped."""
        phone.recovers = self.random.random() < 0.7
        if phone.file.ident:
            ClientFile.objects.filter(ident=phone.file.ident - 1).update(reset_reason="The test asks for it.")
            phone.disconnect()

    def step_connect(self, phone: Phone) -> None:
        if not phone.is_connected:
            phone.connect(uploads_wait=self.random.random() < 0.3)

    def step_disconnect(self, phone: Phone) -> None:
        phone.disconnect()

    def step_subscribe(self, phone: Phone) -> None:
        self.subscribe(phone)
        if phone.is_connected:
            phone.say()

    def step_up(self, phone: Phone) -> None:
        if phone.is_connected:
            phone.say()
            for _ in range(self.random.randint(1, 4)):
                phone.server_takes()

    def step_work(self, phone: Phone) -> None:
        phone.server_works()

    def step_down(self, phone: Phone) -> None:
        for _ in range(self.random.randint(1, 3)):
            phone.client_takes()

    def step_die(self, phone: Phone) -> None:
        """The process ends, perhaps in the middle of a download."""
        if not phone.client_takes(commit_after=self.random.randint(0, 3)):
            phone.disconnect()
            phone.file.restart()

    def step_settle(self, phone: Phone) -> None:
        phone.settle()

    # --- the end

    def images(self, name: str, query: str, user: Any = None) -> dict[str, Any]:
        sync = registry.get(name)
        assert sync is not None
        node = bound_views({name: query})[name]
        if user is not None:
            node = and_(node, access_of(user).readable[name])
        found = [decode_image(text) for chunk in select_images(sync, node) for text in chunk]
        return {image["_id"]: image for image in found}

    def check(self) -> None:
        for phone in (*self.phones, *self.phones):
            phone.settle()
        for number, phone in enumerate(self.phones):
            queries = phone.file.active.queries
            expected = Store()
            for instruction in phone.file.store.schema:
                expected.apply(instruction)
            for name, query in queries.items():
                says = Assertions(self.schema, self.schema[name])
                for image in self.images(name, query, phone.user).values():
                    for instruction in says.create(image):
                        expected.apply(instruction)
            for name in self.keys:
                held, wanted = phone.file.store.objects[name], expected.objects[name]
                found = differences(held, wanted)
                assert not found, f"{name} of phone {number}: {found[:3]}"


def differences(held: dict[Any, Any], expected: dict[Any, Any]) -> list[Any]:
    """(key, property, what the phone holds, what the database has)"""
    return [
        (key.value.hex(), name, held.get(key, {}).get(name), expected.get(key, {}).get(name))
        for key in held.keys() | expected.keys()
        for name in held.get(key, {}) | expected.get(key, {})
        if canonical(held.get(key, {}).get(name)) != canonical(expected.get(key, {}).get(name))
    ]


def canonical(value: Any) -> Any:
    """Decimals are equal however many zeros they have, and NaN is NaN."""
    if isinstance(value, Payload):
        if value.type == "decimal":
            coefficient, exponent, is_negative = value.value
            number = Decimal(coefficient).scaleb(exponent).normalize() if coefficient else Decimal(0)
            return ("decimal", -number if is_negative else number)
        return (value.type, "NaN" if value.value != value.value else value.value)
    if isinstance(value, set):
        return {canonical(each) for each in value}
    if isinstance(value, list):
        return [canonical(each) for each in value]
    if isinstance(value, Embedded | dict):
        return {key: canonical(each) for key, each in value.items()}
    return value


def converge(world: World, seed: int, steps: int) -> Run:
    run = Run(world, seed)
    try:
        run.begin()
        for _ in range(steps):
            run.step()
        run.check()
    except BaseException as error:
        error.add_note(f"seed {seed}, after {len(run.log)} steps: {', '.join(run.log[-12:])}")
        raise
    return run


def test_official_clients_end_with_the_servers_data(world: World) -> None:
    """10 000 steps on each database."""
    for seed in range(50):
        converge(world, seed, 200)


# --- What the machine has found --------------------------------------------------------------------------------------


def phone_of(user: Any, **queries: str) -> Phone:
    phone = Phone(user, lambda: Run.now() - DEVICE_EPOCH, Run.now)
    if queries:
        phone.settle()
        phone.file.subscribe(queries)
        phone.settle()
    return phone


def uuid_key() -> Payload:
    return Payload("uuid", uuid.uuid4().bytes)


def test_what_was_refused_before_the_first_download_is_undone(world: World) -> None:
    """The connection broke right after the file had its ident: its writes come before it holds anything."""
    phone = phone_of(world.nora)
    phone.file.declare(declare(registry.schema))
    phone.connect()
    while not phone.file.ident:
        assert phone.server_takes() and phone.client_takes()
    phone.disconnect()
    phone.file.subscribe({"Kit": 'name != "a"'})
    shown, hidden = uuid_key(), uuid_key()
    with phone.file.write() as writes:
        writes.create("Kit", shown, {"name": "b"})
        writes.create("Kit", hidden, {"name": "a"})
    phone.connect(uploads_wait=False)
    phone.settle()
    assert list(phone.file.store.objects["Kit"]) == [shown]
    assert [each.key for each in phone.file.reported] == [hidden]


def test_what_others_deleted_before_the_first_download_is_gone(world: World) -> None:
    phone = phone_of(world.nora)
    phone.file.declare(declare(registry.schema))
    phone.connect()
    while not phone.file.ident:
        assert phone.server_takes() and phone.client_takes()
    phone.disconnect()
    phone.file.subscribe({"Kit": "TRUEPREDICATE"})
    with phone.file.write() as writes:
        key = writes.create("Kit", uuid_key(), {"name": "b"})
    phone.connect(uploads_wait=False)
    while not Kit.objects.filter(pk=uuid.UUID(bytes=key.value)).exists():
        assert phone.server_takes()
    Kit.objects.all().delete()
    phone.settle()
    assert phone.file.store.objects["Kit"] == {}


def test_an_embedded_object_that_is_recovered_over_another_is_told(world: World) -> None:
    """The client keeps the one that it has by now, and writes into it."""
    kit = Kit.objects.create(name="k")
    phone = phone_of(world.nora, Kit="TRUEPREDICATE")
    phone.disconnect()
    with phone.file.write() as writes:
        writes.assign("Kit", kit.pk, "part", {"name": "mine"})
    kit.part = {"name": "theirs", "weight": 2.5}
    kit.save()
    ClientFile.objects.filter(ident=phone.file.ident - 1).update(reset_reason="The test asks for it.")
    phone.settle()
    held = phone.file.store.objects["Kit"][Payload("uuid", kit.pk.bytes)]["part"]
    kit.refresh_from_db()
    assert held["name"] == Payload("string", "mine") == Payload("string", kit.part.name)
    assert canonical(held["weight"]) == canonical(
        Payload("null") if kit.part.weight is None else Payload("double", 2.5)
    )


def test_an_edit_that_crosses_the_first_bootstrap_is_told(world: World) -> None:
    """What it uploaded before is in the bootstrap, and said without what it wrote since."""
    phone = phone_of(world.nora)
    phone.file.declare(declare(registry.schema))
    phone.connect()
    while not phone.file.ident:
        assert phone.server_takes() and phone.client_takes()
    phone.disconnect()
    phone.file.subscribe({"Kit": "TRUEPREDICATE"})
    with phone.file.write() as writes:
        key = writes.create("Kit", uuid_key(), {"name": "b"})
    phone.connect(uploads_wait=False)
    while phone.server_takes():
        pass
    assert Kit.objects.get().tags == []
    with phone.file.write() as writes:
        writes.insert("Kit", key, "tags", "mine", (0,))
    phone.server_works()
    phone.settle()
    assert phone.file.store.objects["Kit"][key]["tags"] == [Payload("string", "mine")]
    assert Kit.objects.get().tags == ["mine"]


def test_an_edit_that_a_bootstrap_took_back_is_not_counted_with(world: World) -> None:
    """The object is new to the view, and said whole: its user sees no more what he wrote before, and goes on from there."""
    phone = phone_of(world.nora, Kit='name == "a"')
    phone.file.subscribe({"Kit": "TRUEPREDICATE"})
    with phone.file.write() as writes:
        key = writes.create("Kit", uuid_key(), {"name": "b", "tags": ["a", "b"]})
    phone.say()
    while phone.server_takes():
        pass
    with phone.file.write() as writes:
        writes.insert("Kit", key, "tags", "x", (0,))
    phone.server_works()
    assert phone.session is not None
    while phone.down:  # and it says nothing yet
        phone.session.receive(phone.checker.received(phone.down.popleft()), None)
    tags = phone.file.store.objects["Kit"][key]["tags"]
    assert tags == [Payload("string", "a"), Payload("string", "b")]
    with phone.file.write() as writes:
        writes.remove("Kit", key, "tags", (0,))
    phone.say()
    phone.settle()
    assert phone.file.store.objects["Kit"][key]["tags"] == [Payload("string", "x"), Payload("string", "b")]
    assert Kit.objects.get().tags == ["x", "b"]
