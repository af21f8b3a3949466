"""Reading, writing, querying, listening on local files; and what misuse is answered with, in Realm's words."""

from __future__ import annotations

import queue
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realm_sync.client import (
    CollectionChanges,
    Configuration,
    Object,
    ObjectChanges,
    ObjectId,
    OpenBehavior,
    QueryError,
    Realm,
    RealmError,
    SchemaError,
    SyncConfiguration,
    ValueTypeError,
    field,
    new_object_id,
)
from realm_sync.client.declared import declared_schema
from realm_sync.client.listeners import collection_changes
from realm_sync.client.store import Store

from .conftest import Airfield, Inspection, until


class Sighting(Object):
    _id: ObjectId = field(primary_key=True, default=new_object_id)
    flag: bool = False
    count: int = field(default=0, indexed=True)
    height: float = 0.0
    narrow: Annotated[float, "float"] = 0.0
    price: Decimal = Decimal("0")
    note: str | None
    picture: bytes = b""
    seen: datetime | None
    code: UUID = field(default=uuid4)


@pytest.fixture
def realm(tmp_path):
    with Realm(tmp_path / "local.realm", schema=[Airfield, Inspection, Sighting]) as realm:
        yield realm


def add(realm, title="x", **values):
    with realm.write():
        return realm.create(Inspection, {"title": title} | values)


# --- classes ---------------------------------------------------------------------------------------------------------


def test_annotations_give_the_realm_types():
    schema = declared_schema(Sighting, {})
    assert {name: (p.type, p.optional, p.indexed) for name, p in schema.properties.items()} == {
        "_id": ("objectId", False, False),
        "flag": ("bool", False, False),
        "count": ("int", False, True),
        "height": ("double", False, False),
        "narrow": ("float", False, False),
        "price": ("decimal128", False, False),
        "note": ("string", True, False),
        "picture": ("data", False, False),
        "seen": ("date", True, False),
        "code": ("uuid", False, False),
    }
    link = declared_schema(Inspection, {"Airfield": Airfield}).properties["airfield"]
    assert (link.type, link.object_type, link.optional) == ("object", "Airfield", True)


def test_classes_that_cannot_sync_are_refused_by_name(tmp_path):
    class Keyless(Object):
        title: str

    class Listed(Object):
        _id: str
        tags: frozenset

    for cls, message in (
        (Keyless, "primary key property named '_id'"),
        (Listed, r"Listed\.tags: the type .* does not sync"),
    ):
        with pytest.raises(SchemaError, match=message):
            Realm(tmp_path / "x.realm", schema=[cls])


def test_objects_are_not_constructed():
    with pytest.raises(TypeError, match=r"realm\.create\(Inspection"):
        Inspection(title="x")


# --- objects ---------------------------------------------------------------------------------------------------------


def test_values_of_every_type_survive(realm):
    moment = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    values = {
        "flag": True, "count": 2**60, "height": float("inf"), "price": Decimal("0.10"), "note": "Zürich 🛩",
        "picture": b"\x00\xff", "seen": moment, "narrow": 0.5,
    }  # fmt: skip
    with realm.write():
        made = realm.create(Sighting, values)
        nan = realm.create(Sighting, {"height": float("nan")})
    assert {name: getattr(made, name) for name in values} == values
    assert nan.height != nan.height and nan.note is None and isinstance(nan.code, UUID)
    assert realm.object_for_primary_key(Sighting, made._id) == made


def test_objects_are_live(realm):
    made = add(realm, "before")
    other = realm.objects(Inspection)[0]
    with realm.write():
        made.title = "after"
        assert other.title == "after"
    assert other.title == "after" and other == made and hash(other) == hash(made)


def test_links(realm):
    with realm.write():
        field = realm.create(Airfield, {"_id": "EDDF", "name": "Frankfurt"})
        made = realm.create(Inspection, {"title": "x", "airfield": field})
        nested = realm.create(Inspection, {"title": "y", "airfield": {"_id": "EDDM", "name": "München"}})
    assert made.airfield == field and nested.airfield.name == "München"
    assert [i.title for i in field.linking_objects(Inspection, "airfield")] == ["x"]
    assert made.to_dict()["airfield"] == "EDDF"
    with realm.write():
        realm.delete(field)
    assert made.airfield is None and made.is_valid()


def test_a_link_takes_its_targets_key_also_of_what_is_not_here(realm):
    with realm.write():
        made = realm.create(Inspection, {"title": "x", "airfield": "ENSB"})
        assert made.airfield is None and made.to_dict()["airfield"] == "ENSB"
        airfield = realm.create(Airfield, {"_id": "ENSB", "name": "Longyear"})
        assert made.airfield == airfield
        made.airfield = "EDDF"
    assert made.airfield is None
    assert list(realm.objects(Inspection).filtered("airfield == $0", "EDDF")) == [made]
    with realm.write(), pytest.raises(ValueTypeError, match="to be an instance of Airfield, or its key, got a number"):
        made.airfield = 5


def test_modes_of_create(realm):
    with realm.write():
        realm.create(Airfield, {"_id": "EDDF", "name": "Frankfurt"})
        with pytest.raises(RealmError, match="object of type 'Airfield' with an existing primary key value 'EDDF'"):
            realm.create(Airfield, {"_id": "EDDF", "name": "x"})
        changed = realm.create(Airfield, {"_id": "EDDF", "name": "Frankfurt Main"}, "modified")
        assert changed.name == "Frankfurt Main"
        realm.create(Airfield, {"_id": "EDDF"}, "all")
        assert changed.name == "Frankfurt Main"
    assert len(realm.objects(Airfield)) == 1


def test_a_transaction_that_raises_leaves_nothing(realm):
    made = add(realm, "before")
    with pytest.raises(ZeroDivisionError), realm.write():
        made.title = "after"
        realm.create(Inspection, {"title": "another"})
        1 / 0  # noqa: B018
    assert made.title == "before" and len(realm.objects(Inspection)) == 1
    assert realm.write(lambda: 42) == 42
    realm.begin_transaction()
    made.title = "manual"
    realm.cancel_transaction()
    assert made.title == "before"


def test_another_thread_waits_for_the_end_of_the_transaction(realm):
    made, order = add(realm), []

    def other():
        with realm.write():
            order.append("other")
            made.title = "other"

    thread = threading.Thread(target=other)
    with realm.write():
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "other"] and made.title == "other"


# --- misuse ----------------------------------------------------------------------------------------------------------


def test_misuse_gets_the_errors_that_realm_users_know(realm):
    made = add(realm)
    with pytest.raises(RealmError, match="Cannot modify managed objects outside of a write transaction."):
        made.title = "x"
    with pytest.raises(RealmError, match="Cannot modify managed objects outside of a write transaction."):
        realm.create(Inspection, {"title": "x"})
    with pytest.raises(RealmError, match="Can only delete objects within a transaction."):
        realm.delete(made)
    with pytest.raises(RealmError, match="Can't commit a non-existing write transaction"):
        realm.commit_transaction()
    with pytest.raises(RealmError, match="Can't cancel a non-existing write transaction"):
        realm.cancel_transaction()
    with pytest.raises(RealmError, match="Object type 'Helicopter' not found in schema."):
        realm.objects("Helicopter")
    with pytest.raises(RealmError, match="`subscriptions` can only be accessed if flexible sync is enabled"):
        realm.subscriptions  # noqa: B018
    with pytest.raises(ValueTypeError):
        realm.object_for_primary_key(Inspection, "not a UUID")
    with realm.write():
        with pytest.raises(RealmError, match="The Realm is already in a write transaction"):
            realm.begin_transaction()
        with pytest.raises(RealmError, match="Missing value for property 'Inspection.title'"):
            realm.create(Inspection, {})
        with pytest.raises(ValueTypeError, match="Expected 'title' to be a string, got a number"):
            made.title = 5
        with pytest.raises(ValueTypeError, match="Expected 'title' to be a string, got null"):
            made.title = None
        with pytest.raises(ValueTypeError, match="Expected 'airfield' to be an instance of Airfield"):
            made.airfield = made
        with pytest.raises(RealmError, match="Cannot change value of primary key"):
            made._id = uuid4()
        with pytest.raises(RealmError, match="Can only delete objects, lists and results."):
            realm.delete("x")
        with pytest.raises(RealmError, match="Cannot create asynchronous query"):
            realm.objects(Inspection).add_listener(print)
        realm.delete(made)
        with pytest.raises(RealmError, match="Object is invalid. Either it has been previously deleted"):
            realm.delete(made)
    assert not made.is_valid() and "deleted" in repr(made)
    with pytest.raises(RealmError, match="Accessing object which has been invalidated or deleted"):
        made.title  # noqa: B018
    realm.close()
    realm.close()
    with pytest.raises(RealmError, match="Cannot access realm that has been closed."):
        realm.objects(Inspection)


def test_a_class_without_subscription_cannot_be_written(open_realm):
    realm = open_realm(everything=False)
    with (
        realm.write(),
        pytest.raises(RealmError, match="Cannot write to class Inspection when no flexible sync sub") as e,
    ):
        realm.create(Inspection, {"title": "x"})
    assert e.value.code == "NoSubscriptionForWrite"
    realm.subscriptions.update(lambda subs: subs.add(realm.objects(Inspection)))
    add(realm, "a pending subscription is enough")


def test_subscriptions_are_refused_where_they_cannot_be(open_realm):
    realm = open_realm()
    with realm.write(), pytest.raises(RealmError, match="cannot be updated in a write transaction"):
        realm.subscriptions.update(lambda subs: subs.remove_all())
    limited = realm.objects(Inspection).filtered("TRUEPREDICATE LIMIT(3)")
    with pytest.raises(QueryError, match="LIMIT cannot be used in a subscription"):
        realm.subscriptions.update(lambda subs: subs.add(limited))
    with pytest.raises(ZeroDivisionError):
        realm.subscriptions.update(lambda subs: 1 / 0)
    before = realm.subscriptions.version
    ordered = realm.objects(Inspection).sorted("title")
    assert realm.subscriptions.find_by_query(ordered) is not None, "sorting is no part of a subscription"
    named = realm.objects(Inspection).filtered("team == 'North'")
    realm.subscriptions.update(lambda subs: subs.add(named, name="mine")).result(5)
    with pytest.raises(
        RealmError, match="A subscription with the name 'mine' already exists but has a different query"
    ):
        realm.subscriptions.update(lambda subs: subs.add(ordered, name="mine", throw_on_update=True))
    assert realm.subscriptions.version == before + 1


def test_configurations_that_make_no_sense_are_refused(tmp_path, user):
    with pytest.raises(RealmError, match="The path cannot be empty"):
        Configuration(path="")
    with pytest.raises(ValueTypeError, match="Expected 'user' on realm sync configuration to be an instance of User"):
        SyncConfiguration("nora")
    with pytest.raises(RealmError, match="Invalid 'type': 'sometimes'"):
        OpenBehavior("sometimes")
    with pytest.raises(RealmError, match="Invalid 'time_out_behavior': 'None'"):
        OpenBehavior("download_before_open", 5)
    with pytest.raises(RealmError, match="can't have an identifier reserved by the filesystem"):
        Realm(path="..", sync=SyncConfiguration(user))


def test_files_lie_where_realm_users_look_for_them(user, tmp_path):
    base = tmp_path / "mongodb-realm" / "realm-sync" / "nora"
    assert Configuration(sync=SyncConfiguration(user)).file_path == base / "flx_sync_default.realm"
    assert Configuration("a/b.realm", sync=SyncConfiguration(user)).file_path == base / "a%2Fb.realm"
    assert Configuration("/x/y.db", sync=SyncConfiguration(user)).file_path.as_posix() == "/x/y.db"


# --- queries ---------------------------------------------------------------------------------------------------------


def test_filter_sort_limit_and_distinct(realm):
    for number, team in enumerate(["North", "South", "North", "South", "North"]):
        add(realm, f"t{number}", team=team, priority=number % 3 or None)
    inspections = realm.objects(Inspection)
    north = inspections.filtered("team == $0", "North")

    def titles(results):
        return [i.title for i in results]

    assert titles(north) == ["t0", "t2", "t4"]
    assert titles(north.filtered("priority != nil")) == ["t2", "t4"]
    assert titles(inspections.sorted("title", reverse=True)) == ["t4", "t3", "t2", "t1", "t0"]
    assert titles(inspections.sorted([("team", True), "title"])) == ["t1", "t3", "t0", "t2", "t4"]
    assert titles(inspections.sorted("title", reverse=True).sorted("team")) == ["t4", "t2", "t0", "t3", "t1"]
    assert titles(inspections.filtered("TRUEPREDICATE SORT(title DESC) LIMIT(2)")) == ["t4", "t3"]
    assert titles(inspections.filtered("TRUEPREDICATE SORT(title DESC) DISTINCT(team)")) == ["t4", "t3"]
    assert titles(inspections.filtered("TRUEPREDICATE LIMIT(2)").sorted("title", True)) == ["t1", "t0"]
    assert north[0] in inspections and inspections.index(north[1]) == 2 and inspections[-1].title == "t4"
    assert titles(inspections[1:3]) == ["t1", "t2"]
    assert (inspections.min("priority"), inspections.max("priority"), inspections.sum("priority")) == (1, 2, 4)
    assert inspections.avg("priority") == 4 / 3
    with pytest.raises(QueryError):
        inspections.filtered("tittle == 'x'")
    with pytest.raises(QueryError):
        inspections.sorted("tittle")
    with pytest.raises(RealmError, match="Operation 'sum' not supported for string property 'Inspection.title'"):
        inspections.sum("title")


def test_results_are_live_iteration_is_not(realm):
    inspections = realm.objects(Inspection)
    for number in range(4):
        add(realm, f"t{number}")
    snapshot = inspections.snapshot()
    with realm.write():
        for inspection in inspections:
            realm.delete(inspection) if inspection.title != "t3" else None
        inspections.update("team", "South")
    assert [i.title for i in inspections] == ["t3"] and inspections[0].team == "South"
    assert [i and i.title for i in snapshot] == [None, None, None, "t3"]


# --- listeners -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("abc", "abc", CollectionChanges()),
        ("", "ab", CollectionChanges(insertions=(0, 1))),
        ("abc", "ac", CollectionChanges(deletions=(1,))),
        ("abc", "xabc", CollectionChanges(insertions=(0,))),
        ("abcd", "dabc", CollectionChanges(insertions=(0,), deletions=(3,))),
        ("abc", "aBc", CollectionChanges(new_modifications=(1,), old_modifications=(1,))),
        ("abc", "xBc", CollectionChanges((0,), (0,), (1,), (1,))),
        ("abcde", "Axde", CollectionChanges((1,), (1, 2), (0,), (0,))),
        ("abc", "cba", CollectionChanges((0, 1), (1, 2))),
        ("abcd", "abCD", CollectionChanges((), (), (2, 3), (2, 3))),
        ("aab"[1:], "b", CollectionChanges(deletions=(0,))),
    ],
)
def test_change_sets(old, new, expected):
    """Letters are keys; a capital one is the same key with another revision."""
    members = [[(letter.lower(), letter) for letter in letters] for letters in (old, new)]
    assert collection_changes(*members) == expected


def test_collection_listeners(realm):
    heard = queue.Queue()
    north = realm.objects(Inspection).filtered("team == 'North'").sorted("title")

    def listen(collection, changes):
        heard.put(([i.title for i in collection], changes))

    north.add_listener(listen)
    with pytest.raises(RealmError, match="Remove callback before adding it again"):
        north.add_listener(listen)
    assert heard.get(timeout=5) == ([], CollectionChanges())
    made = add(realm, "b")
    assert heard.get(timeout=5) == (["b"], CollectionChanges(insertions=(0,)))
    add(realm, "a", team="South")
    with realm.write():
        made.title = "c"
    titles, changes = heard.get(timeout=5)
    assert titles == ["c"] and changes.modifications == (0,)
    with realm.write():
        made.team = "South"
    assert heard.get(timeout=5) == ([], CollectionChanges(deletions=(0,)))
    north.remove_listener(listen)
    add(realm, "unheard")
    with pytest.raises(queue.Empty):
        heard.get(timeout=0.1)


def test_object_and_realm_listeners(realm):
    made, heard, commits = add(realm), queue.Queue(), []
    made.add_listener(lambda instance, changes: heard.put(changes))
    realm.add_listener("change", lambda realm, name: commits.append(name))
    assert heard.get(timeout=5) == ObjectChanges()
    with realm.write():
        made.title, made.priority = "y", 3
    assert commits == ["change"]
    assert heard.get(timeout=5) == ObjectChanges(changed_properties=("title", "priority"))
    with realm.write():
        realm.delete(made)
    assert heard.get(timeout=5) == ObjectChanges(deleted=True)
    assert commits == ["change", "change"]
    time.sleep(0.05)
    assert commits == ["change", "change"]


def test_a_listener_that_raises_harms_nobody_else(realm, caplog):
    heard = queue.Queue()
    inspections = realm.objects(Inspection)
    inspections.add_listener(lambda collection, changes: 1 / 0)
    inspections.add_listener(lambda collection, changes: heard.put(len(collection)))
    assert heard.get(timeout=5) == 0
    add(realm)
    assert heard.get(timeout=5) == 1
    until(lambda: "A listener raised an exception" in caplog.text)


def test_another_connection_to_the_file_is_noticed(realm):
    """As another process does it: not through this process's notifier."""
    made = add(realm, "x")
    heard = queue.Queue()
    realm.objects(Inspection).add_listener(lambda collection, changes: heard.put([i.title for i in collection]))
    assert heard.get(timeout=5) == ["x"]
    other = Store(realm.path, synced=False)
    with other.transaction() as connection:
        writer = other.writer(connection)
        writer.update(other.table("Inspection"), str(made._id), {"title": "y"})
        writer.finish(0)
    other.close()
    assert heard.get(timeout=5) == ["y"]


@given(st.permutations("abcdefgh").map(lambda p: p[:5]), st.permutations("abcdefgh").map(lambda p: p[:5]))
def test_change_sets_turn_the_old_collection_into_the_new_one(old, new):
    """As user interfaces apply them: deletions from high to low, then insertions from low to high."""
    changes = collection_changes([(key, 0) for key in old], [(key, 0) for key in new])
    shown = list(old)
    for index in reversed(changes.deletions):
        del shown[index]
    for index in changes.insertions:
        shown.insert(index, new[index])
    assert shown == list(new)


def test_the_first_of_results_is_what_the_keys_say(realm):
    with realm.write():
        for number in range(5):
            realm.create(Airfield, {"_id": f"A{number}", "name": f"{9 - number}"})
    ordered = realm.objects(Airfield).sorted("name")
    for results in (ordered, realm.objects(Airfield).filtered("name != '9'"), realm.objects(Airfield)):
        assert results[0] == results.first() == results[0] == list(results)[0]
        with realm.write():
            realm.delete(results[0])
        assert results.first() == results[0] == list(results)[0]
    none = realm.objects(Airfield).filtered("name == 'none'")
    assert none.first() is None
    with pytest.raises(IndexError):
        realm.objects(Airfield).filtered("name == 'none'")[0]
