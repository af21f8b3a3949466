"""Every type, the whole way: Python clients, the ORM and a real server process between them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import router, transaction
from django.db.models import F

from realm_sync.client import (
    App,
    CompensatingWriteError,
    Credentials,
    Dictionary,
    Link,
    List,
    ObjectId,
    Realm,
    SyncConfiguration,
)
from tests.testapp.models import Kit, Reading
from tests.world import World


def until(condition: Callable[[], object], what: str = "it", seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.01)


def subscribe(subscriptions: Any, realm: Realm) -> None:
    for name in ("Airfield", "Team", "Kit"):
        subscriptions.add(realm.objects(name))


@pytest.fixture
def client(world: World, server: Callable[..., Any], tmp_path: Path):
    process, realms = server(), []

    def open(device: str, **options: Any) -> Realm:
        app = App("realm-sync", base_url=process.url, base_file_path=tmp_path / device)
        user = app.current_user or app.log_in(Credentials.email_password("nora@example.org", "pw")).result(10)
        realm = Realm.open(sync=SyncConfiguration(user, subscribe, **options)).result(20)
        realms.append(realm)
        return realm

    yield open
    for realm in realms:
        realm.close()


def settle(*realms: Realm) -> None:
    """Everything written is everywhere."""
    for realm in realms:
        realm.sync_session.upload_all_local_changes().result(20)
    for realm in realms:
        realm.sync_session.download_all_server_changes().result(20)


def same(*realms: Realm) -> dict[str, Any]:
    """The only kit, which is the same everywhere."""
    first, *others = [realm.objects("Kit")[0].to_dict() for realm in realms]
    for other in others:
        assert other == first
    return first


def part(name: str) -> dict[str, Any]:
    return {"name": name, "amount": 1, "used": 0}


VALUES: dict[str, Any] = {
    "name": "Tools", "visits": 3, "maybe_visits": None, "anything": {"a": [1, 2.5, None, {"b": Decimal("0.1")}]},
    "tags": ["a", "b", "a"], "maybe_tags": ["x", None], "numbers": [2**60, -1], "doubles": [0.1, 1e300],
    "decimals": [Decimal("0.1")], "dates": [datetime(2026, 1, 1, 12, 0, 0, 123456, UTC)], "blobs": [b"\x00\xff"],
    "flags": [True, False], "uuids": [UUID(int=1)], "object_ids": [ObjectId("0" * 24)],
    "mixes": [1, 1.5, "x", None, b"\x00", datetime(2026, 1, 1, tzinfo=UTC), UUID(int=2), [1, {"a": 1}]],
    "route": ["EDDM", "ENSB"], "tag_set": ["a", "b"], "number_set": [1, 2**60], "mixed_set": [None, 1, "x"],
    "airfield_set": ["ENSB"], "tag_map": {"a": "x"}, "number_map": {"n": None, "m": 2**60},
    "mixed_map": {"a": [1], "b": None}, "airfield_map": {"home": "EDDM", "none": None},
    "address": {"street": "Storgata", "city": "Tromsø", "lines": ["c/o", ""]},
    "parts": [{"name": "bolt", "amount": 3, "used": 2, "labels": ["m8"], "prices": {"nok": Decimal("9.5")}}],
    "part_map": {"spare": {"name": "nut", "amount": 1, "used": 0}, "none": None},
}  # fmt: skip


def test_every_type_goes_from_client_to_server_to_client(client):
    laptop, phone = client("laptop"), client("phone")
    with laptop.write():
        made = laptop.create("Kit", {"_id": uuid4()} | VALUES)
        made.anything["link"] = laptop.object_for_primary_key("Airfield", "EDDM")
    settle(laptop, phone)
    found = same(laptop, phone)
    assert found["anything"]["link"] == Link("Airfield", "EDDM")
    for name in VALUES.keys() - {"anything", "parts", "part_map"}:
        assert found[name] == VALUES[name], name
    there = phone.objects("Kit")[0]
    assert [field.name for field in there.route] == ["Munich", "Longyear"] and there.airfield_map[
        "home"
    ].name == "Munich"
    assert there.parts[0].used.value == 2 and there.part_map["spare"].amount == 1 and there.part_map["none"] is None
    kit = Kit.objects.get()
    assert kit.tags == VALUES["tags"] and kit.visits == 3 and kit.numbers == VALUES["numbers"]
    assert kit.address.city == "Tromsø" and kit.parts[0].prices == {"nok": Decimal("9.5")}


def test_edits_of_several_clients_and_the_orm_meet(client):
    laptop, phone = client("laptop"), client("phone")
    with laptop.write():
        laptop.create(
            "Kit", {"_id": uuid4(), "tags": ["a", "b", "c"], "visits": 1, "parts": [part("bolt"), part("nut")]}
        )
    settle(laptop, phone)
    for realm in (laptop, phone):
        realm.sync_session.pause()
    mine, theirs = laptop.objects("Kit")[0], phone.objects("Kit")[0]
    with laptop.write():
        mine.tags.insert(1, "laptop")
        mine.visits.increment(10)
        mine.tag_set.add("laptop")
        mine.tag_map["laptop"] = "x"
        mine.parts[1].amount = 7
        mine.anything = {"laptop": 1}
    with laptop.write():
        mine.tags.remove("c")
        mine.parts.insert(0, part("washer"))
    with phone.write():
        theirs.tags.append("phone")
        theirs.tags.remove("a")
        theirs.visits.increment(100)
        theirs.tag_set.add("phone")
        theirs.tag_map["phone"] = "y"
        theirs.parts[1].name = "wing nut"
        theirs.parts[0].used.increment()
    kit = Kit.objects.get()
    kit.tags = ["first", *kit.tags]
    kit.visits = 1001
    kit.save()
    for realm in (laptop, phone):
        realm.sync_session.resume()
    settle(laptop, phone)
    found = same(laptop, phone)
    assert found["tags"] == ["first", "laptop", "b", "phone"]
    assert found["visits"] == 1111 and found["tag_set"] == ["laptop", "phone"]
    assert found["tag_map"] == {"laptop": "x", "phone": "y"} and found["anything"] == {"laptop": 1}
    assert [(part["name"], part["amount"], part["used"]) for part in found["parts"]] == [
        ("washer", 1, 0), ("bolt", 1, 1), ("wing nut", 7, 0),
    ]  # fmt: skip


def test_typing_into_a_list_while_others_do(client):
    """Online, all at once: what is shown never loses or doubles an element, and all end with the same."""
    laptop, phone = client("laptop"), client("phone")
    with laptop.write():
        laptop.create("Kit", {"_id": uuid4(), "tags": ["0"], "visits": 0})
    settle(laptop, phone)
    for number in range(30):
        for realm, name in ((laptop, "l"), (phone, "p")):
            kit = realm.objects("Kit")[0]
            with realm.write():
                kit.tags.insert(len(kit.tags) // 2, f"{name}{number}")
                kit.visits.increment()
            shown = list(kit.tags)
            assert len(set(shown)) == len(shown)
        if number % 10 == 0:
            with transaction.atomic(router.db_for_write(Kit)):
                Kit.objects.update(visits=F("visits") + 1)  # locks it: what is read next stays until the end
                Kit.objects.update(tags=[f"s{number}", *Kit.objects.get().tags])
    settle(laptop, phone)
    settle(laptop, phone)
    found = same(laptop, phone)
    expected = {"0", "s0", "s10", "s20"} | {f"{name}{number}" for name in "lp" for number in range(30)}
    assert expected <= set(found["tags"]) and len(set(found["tags"])) == len(found["tags"])
    assert found["tags"] == Kit.objects.get().tags and found["visits"] == 63


def test_what_is_refused_is_undone_and_told_by_its_path(client):
    errors: list[Any] = []
    laptop = client("laptop", on_error=lambda session, error: errors.append(error))
    with laptop.write():
        kit = laptop.create("Kit", {"_id": uuid4(), "tags": ["a"]})
    settle(laptop)
    with laptop.write():
        kit.tags.append("much too long for a tag of a kit")
        kit.tags.append("b")
        kit.colours.append("no such colour")
        kit.visits.increment(5)
        kit.name = "stays"
    settle(laptop)
    until(lambda: errors, "the report")
    (error,) = errors
    assert isinstance(error, CompensatingWriteError)
    assert sorted((write.object_name, write.primary_key, write.property) for write in error.writes) == [
        ("Kit", kit._id, "colours[0]"), ("Kit", kit._id, "tags[1]"),
    ]  # fmt: skip
    assert all(write.code and write.reason for write in error.writes)
    assert kit.tags == ["a", "b"] and kit.colours == [] and kit.visits.value == 5 and kit.name == "stays"
    assert Kit.objects.get().tags == ["a", "b"]


def test_asymmetric_objects_are_uploaded(client, world):
    laptop = client("laptop")
    team = world.north.pk
    with laptop.write():
        made = laptop.create(
            "Reading", {"_id": uuid4(), "team": team, "value": 1.5, "at": datetime(2026, 1, 1, tzinfo=UTC)}
        )
    assert made is None
    settle(laptop)
    assert Reading.objects.get().value == 1.5
    assert laptop._store.pending_count() == 0


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_edited_all_end_with_what_the_server_has(client, seed):
    """Edits of every kind at random, online and offline, by two devices and the ORM."""
    rng = random.Random(seed)
    realms = [client("laptop"), client("phone")]
    with realms[0].write():
        realms[0].create("Kit", {"_id": uuid4(), "tags": ["0", "1", "2"], "parts": [part("a"), part("b")], "visits": 0})
    settle(*realms)
    for number in range(120):
        realm = rng.choice(realms)
        kit = realm.objects("Kit")[0]
        match rng.randrange(12):
            case 0:
                realm.sync_session.pause()
            case 1 | 2:
                realm.sync_session.resume()
            case 3:
                with transaction.atomic(router.db_for_write(Kit)):
                    Kit.objects.update(visits=F("visits") + 1)
                    there = Kit.objects.get()
                    rng.shuffle(there.tags)
                    there.tags = [*there.tags[1:], f"s{number}"]
                    there.parts = there.parts[1:]
                    Kit.objects.update(tags=there.tags, parts=there.parts)
            case _:
                with realm.write():
                    for _ in range(rng.randrange(1, 4)):
                        edit(rng, kit, str(number))
    for realm in realms:
        realm.sync_session.resume()
    settle(*realms)
    settle(*realms)
    found, kit = same(*realms), Kit.objects.get()
    assert found["tags"] == kit.tags and found["visits"] == kit.visits and found["tag_map"] == kit.tag_map
    assert set(found["tag_set"]) == set(kit.tag_set)
    assert [each["name"] for each in found["parts"]] == [each.name for each in kit.parts]


def edit(rng: random.Random, kit: Any, name: str) -> None:
    """One edit of a kit."""
    tags, parts = kit.tags, kit.parts
    match rng.randrange(16):
        case 0 | 1:
            tags.insert(rng.randint(0, len(tags)), name)
        case 2 if tags:
            del tags[rng.randrange(len(tags))]
        case 3 if tags:
            tags.move(rng.randrange(len(tags)), rng.randrange(len(tags)))
        case 4 if tags:
            tags[rng.randrange(len(tags))] = name
        case 5:
            kit.visits.increment(rng.randint(-3, 3))
        case 6:
            kit.tag_set.add(rng.choice("abcd"))
        case 7:
            kit.tag_set.discard(rng.choice("abcd"))
        case 8:
            kit.tag_map[rng.choice("abcd")] = name
        case 9:
            kit.tag_map.remove(rng.choice("abcd"))
        case 10:
            parts.insert(rng.randint(0, len(parts)), part(name))
        case 11 if parts:
            rng.choice(list(parts)).name = name
        case 12 if parts:
            rng.choice(list(parts)).used.increment()
        case 13 if parts:
            parts.move(rng.randrange(len(parts)), rng.randrange(len(parts)))
        case 14:
            kit.anything = rng.choice([{"list": [name]}, [name, {"deep": 1}], name])
        case 15:
            if isinstance(kit.anything, List):
                kit.anything.append(name)
            elif isinstance(kit.anything, Dictionary):
                kit.anything[rng.choice("abcd")] = [name]
