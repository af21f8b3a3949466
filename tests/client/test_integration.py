"""Pending edits when downloads arrive: counted anew, so that what they meant is what is shown and what is sent."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realm_sync.client.rebase import EDITS, edit_data
from realm_sync.client.store import Store
from realm_sync.core.declarations import parse_class
from realm_sync.core.edits import Shape, edit_value
from realm_sync.core.messages import Changes, Download, Edit
from realm_sync.core.schema import Schema

SCHEMA = Schema(
    [
        parse_class({"name": "Part", "embedded": True, "properties": {"name": "string", "count": "counter"}}),
        parse_class(
            {
                "name": "Kit",
                "properties": {
                    "_id": "string", "title": "string?", "tags": "string[]", "visits": "counter", "parts": "Part[]",
                    "colors": "string<>", "prices": "int{}",
                },
            }
        ),
        parse_class({"name": "Reading", "asymmetric": True, "properties": {"_id": "string", "value": "double"}}),
    ]
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "kits.realm")
    store.add_schema(SCHEMA)
    yield store
    store.close()


def kit(**values):
    return {"_id": "k", "title": None, "tags": [], "visits": 0, "parts": [], "colors": [], "prices": {}} | values


def edit(store, *edits, key="k"):
    """One local transaction of (op, path, more)."""
    table = store.table("Kit")
    with store.transaction() as connection:
        writer = store.writer(connection)
        for op, path, more in edits:
            name = path[0]
            row = writer.get(table, key)
            known = writer.edited(table, key, name)
            root = known.root if known else table.to_wire(name, row[table.place[name]])
            made = EDITS[op](class_name="Kit", id=key, path=list(path), **more)
            writer.edit(table, key, [made], row[table.place[name]], root)
        return writer.finish(1000)


def put(*images, erase=()):
    return Changes(class_name="Kit", put=list(images), erase=list(erase))


def apply(store, version, *changes, client_version=0):
    message = Download(
        query_version=0, batch_state="steady", server_version=version, client_version=client_version, progress=1.0,
        view=1, changes=list(changes),
    )  # fmt: skip
    return store.apply(message, False)


def visible(store, name):
    table = store.table("Kit")
    row = store.connection.execute(table.select_one, ("k",)).fetchone()
    return None if row is None else table.image(row)[name]


def pending(store):
    """Op, and what the instruction says, of everything that is to be uploaded."""
    return [
        (type(step).__name__, edit_data(step) if isinstance(step, Edit) else getattr(step, "values", None))
        for changeset in store.pending(0, None, 10**6)
        for step in changeset.instructions
    ]


def test_an_edit_is_shown_at_once_and_sent_as_an_edit(store):
    apply(store, 1, put(kit(tags=["a", "c"])))
    edit(store, ("insert", ["tags", 1], {"value": "b"}), ("add", ["visits"], {"by": 2}))
    assert visible(store, "tags") == ["a", "b", "c"] and visible(store, "visits") == 2
    assert pending(store) == [
        ("Insert", {"path": ["tags", 1], "value": "b"}),
        ("Add", {"path": ["visits"], "by": 2}),
    ]


def test_pending_edits_follow_what_others_inserted_and_removed(store):
    apply(store, 1, put(kit(tags=["a", "b", "c"])))
    edit(store, ("insert", ["tags", 2], {"value": "mine"}))
    edit(store, ("remove", ["tags", 3], {}))
    assert visible(store, "tags") == ["a", "b", "mine"]
    apply(store, 7, put(kit(tags=["first", "a", "b", "c", "last"])))
    assert visible(store, "tags") == ["first", "a", "b", "mine", "last"]
    assert pending(store) == [
        ("Insert", {"path": ["tags", 3], "base": 7, "value": "mine"}),
        ("Remove", {"path": ["tags", 4], "base": 7}),
    ]
    apply(store, 8, put(kit(tags=["a", "b", "c", "last"])))
    assert visible(store, "tags") == ["a", "b", "mine", "last"]
    assert [data["base"] for _, data in pending(store)] == [8, 8]


def test_what_another_created_too_is_shown_as_the_server_will_make_it(store):
    table = store.table("Kit")
    with store.transaction() as connection:
        writer = store.writer(connection)
        writer.create(table, {"_id": "k", "tags": ["mine"]})
        writer.finish(1000)
    apply(store, 2, put(kit(tags=["theirs"], visits=3)))
    assert visible(store, "tags") == ["theirs", "mine"] and visible(store, "visits") == 3
    edit(store, ("remove", ["tags", 0], {}))
    apply(store, 3, put(kit(tags=["theirs", "mine"], visits=3)), client_version=1)
    assert visible(store, "tags") == ["mine"]
    assert pending(store) == [("Remove", {"path": ["tags", 0], "base": 3})]


def test_edits_that_became_many_count_for_the_message_they_are_sent_in(store):
    """A server ends the session of a client whose message is too large: it would come again with the same."""
    tags = [f"tag {number}" for number in range(60)]
    apply(store, 1, put(kit(tags=tags, prices=dict.fromkeys(tags, 1))))
    edit(store, ("clear", ["tags"], {}))
    edit(store, ("clear", ["prices"], {}))
    assert len(store.pending(0, None, 5_000)) == 2
    apply(store, 2, put(kit(tags=["new", *tags], prices=dict.fromkeys([*tags, "new"], 1))))
    assert visible(store, "tags") == ["new"] and visible(store, "prices") == {"new": 1}
    [first] = store.pending(0, None, 5_000)
    assert len(first.instructions) == 60
    assert len(store.pending(0, None, 100_000)) == 2


def test_an_edit_of_an_element_that_another_removed_goes(store):
    apply(store, 1, put(kit(parts=[{"name": "bolt", "count": 1}, {"name": "nut", "count": 2}])))
    edit(store, ("set", ["parts", 1, "name"], {"value": "wing nut"}), ("add", ["parts", 0, "count"], {"by": 5}))
    apply(store, 2, put(kit(parts=[{"name": "bolt", "count": 1}])))
    assert visible(store, "parts") == [{"name": "bolt", "count": 6}]
    assert pending(store) == [("Add", {"path": ["parts", 0, "count"], "base": 2, "by": 5})]


def test_counters_add_up_while_waiting(store):
    apply(store, 1, put(kit(visits=10)))
    edit(store, ("add", ["visits"], {"by": 1}))
    apply(store, 2, put(kit(visits=15)))
    assert visible(store, "visits") == 16


def test_what_is_acknowledged_is_not_done_twice(store):
    apply(store, 1, put(kit(tags=["a"])))
    edit(store, ("insert", ["tags", 1], {"value": "b"}))
    edit(store, ("insert", ["tags", 2], {"value": "c"}))
    # The server has put another's element between the two.
    apply(store, 5, put(kit(tags=["a", "b", "theirs"])), client_version=1)
    assert visible(store, "tags") == ["a", "b", "theirs", "c"]
    assert pending(store) == [("Insert", {"path": ["tags", 3], "base": 5, "value": "c"})]
    apply(store, 6, put(kit(tags=["a", "b", "theirs", "c"])), client_version=2)
    assert visible(store, "tags") == ["a", "b", "theirs", "c"] and pending(store) == []


def test_an_acknowledged_edit_that_was_refused_is_gone_and_later_ones_stay(store):
    apply(store, 1, put(kit(tags=["a"])))
    edit(store, ("insert", ["tags", 0], {"value": "refused"}))
    edit(store, ("insert", ["tags", 2], {"value": "stays"}))
    apply(store, 5, put(kit(tags=["a"])), client_version=1)
    assert visible(store, "tags") == ["a", "stays"]
    assert pending(store) == [("Insert", {"path": ["tags", 1], "base": 5, "value": "stays"})]


def test_sets_and_dictionaries_keep_both_sides(store):
    apply(store, 1, put(kit(colors=["blue", "red"], prices={"a": 1})))
    edit(
        store,
        ("setInsert", ["colors"], {"value": "green"}),
        ("setRemove", ["colors"], {"value": "red"}),
        ("set", ["prices", "b"], {"value": 2}),
    )
    apply(store, 2, put(kit(colors=["blue", "red", "white"], prices={"a": 5, "c": 3})))
    assert visible(store, "colors") == ["blue", "green", "white"]
    assert visible(store, "prices") == {"a": 5, "b": 2, "c": 3}


def test_a_download_that_concerns_other_objects_leaves_edits_as_they_are(store):
    apply(store, 1, put(kit(tags=["a"])))
    edit(store, ("insert", ["tags", 1], {"value": "b"}))
    before = pending(store)
    apply(store, 9, put(kit(_id="other")))
    assert pending(store) == before == [("Insert", {"path": ["tags", 1], "value": "b"})]


def test_an_object_that_left_takes_its_edits_along_and_brings_them_back(store):
    apply(store, 1, put(kit(tags=["a"])))
    edit(store, ("insert", ["tags", 1], {"value": "b"}))
    apply(store, 2, put(erase=["k"]))
    assert visible(store, "tags") is None
    assert [op for op, _ in pending(store)] in ([], ["Insert"])


def test_one_step_that_becomes_several_keeps_the_order(store, monkeypatch):
    from realm_sync.client import integration

    apply(store, 1, put(kit(tags=["a"])))
    edit(store, ("remove", ["tags", 0], {}), ("add", ["visits"], {"by": 1}), ("set", ["prices", "a"], {"value": 1}))

    def split(schema, cls, old, acknowledged, new, steps, version):
        return new, [[step, step] if isinstance(step, EDITS["add"]) else [step] for step in steps]

    monkeypatch.setattr(integration, "rebase", split)
    apply(store, 2, put(kit(tags=["a", "b"])))
    apply(store, 3, put(kit(tags=["a", "b", "c"])))
    assert [op for op, _ in pending(store)] == ["Remove", *["Add"] * 4, "Set"]


def test_a_client_reset_counts_edits_anew_on_what_came(store):
    apply(store, 40, put(kit(tags=["a", "b"])))
    edit(store, ("insert", ["tags", 1], {"value": "mine"}))
    apply(store, 41, put(kit(tags=["x", "a", "b"])))
    assert pending(store)[0][1]["base"] == 41
    store.begin_reset("recover")
    message = Download(
        query_version=0, batch_state="last", server_version=3, client_version=0, progress=1.0, view=1,
        changes=[put(kit(tags=["b", "a", "new"]))],
    )  # fmt: skip
    assert store.apply(message, True).reset == "recover"
    assert visible(store, "tags") == ["b", "a", "new", "mine"]
    (changeset,) = store.pending(0, None, 10**6)
    (step,) = changeset.instructions
    assert (changeset.base_version, step.path, step.base) == (3, ["tags", 3], 3)


def test_a_crash_while_a_download_is_applied_leaves_the_edits_as_they_were(store, monkeypatch):
    from realm_sync.client import integration

    apply(store, 1, put(kit(tags=["a"])))
    edit(store, ("insert", ["tags", 1], {"value": "b"}))
    before, real = pending(store), integration.Integration._rewrite

    def crash(*arguments):
        real(*arguments)
        raise OSError("killed")

    monkeypatch.setattr(integration.Integration, "_rewrite", crash)
    with pytest.raises(OSError, match="killed"):
        apply(store, 2, put(kit(tags=["x", "a"])))
    assert pending(store) == before and visible(store, "tags") == ["a", "b"]
    assert store.file().progress.server_version == 1


def test_asymmetric_objects_are_uploaded_and_visible_to_nobody(store):
    table = store.table("Reading")
    with store.transaction() as connection:
        writer = store.writer(connection)
        writer.create(table, {"_id": "r", "value": 1.5})
        writer.finish(0)
    assert pending(store) == [("Create", {"value": 1.5})]
    apply(store, 1, client_version=0)
    store.begin_reset("recover")
    message = Download(
        query_version=0, batch_state="last", server_version=2, client_version=0, progress=1.0, view=1, changes=[]
    )
    store.apply(message, True)
    assert pending(store) == [("Create", {"value": 1.5})]
    apply(store, 3, client_version=1)
    assert pending(store) == []
    assert store.connection.execute("SELECT count(*) FROM Reading").fetchone()[0] == 0


def test_a_file_of_an_older_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.realm"
    store = Store(path)
    store.add_schema([parse_class({"name": "Kit", "properties": {"_id": "string", "title": "string?"}})])
    apply(store, 1, Changes(class_name="Kit", put=[{"_id": "k", "title": "old"}]))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE __realm_file DROP COLUMN integrated")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    store = Store(path)
    store.add_schema(SCHEMA)
    edit(store, ("insert", ["tags", 0], {"value": "new"}))
    assert visible(store, "title") == "old" and visible(store, "tags") == ["new"]
    store.close()


# --- any order of events ---------------------------------------------------------------------------------------------

edits = st.tuples(st.sampled_from(["insert", "remove", "move"]), st.integers(0, 9), st.integers(0, 9))
events = st.lists(st.tuples(st.sampled_from(["local", "theirs", "sent", "download"]), edits), max_size=14)


@settings(max_examples=60, deadline=None)
@given(events)
def test_the_screen_is_what_the_pending_edits_make_of_the_servers_value(tmp_path_factory, events):
    """Whatever is interleaved: replaying what is to be sent on the server's value gives what is shown; nothing that was
    inserted on either side is lost or doubled while nobody removed it."""
    store = Store(tmp_path_factory.mktemp("any") / "kits.realm")
    try:
        store.add_schema(SCHEMA)
        server, version, acknowledged = ["a", "b", "c"], 1, 0
        shape = Shape(SCHEMA, SCHEMA["Kit"].properties["tags"])
        apply(store, version, put(kit(tags=server)))
        kept: set[str] = set()
        for counter, (kind, (op, first, second)) in enumerate(events):
            if kind == "local":
                now = visible(store, "tags")
                value, path = f"c{counter}", ["tags", first % (len(now) + 1)]
                if op == "insert":
                    edit(store, ("insert", path, {"value": value}))
                    kept.add(value)
                elif now and op == "remove":
                    kept.discard(now[first % len(now)])
                    edit(store, ("remove", ["tags", first % len(now)], {}))
                elif now:
                    edit(store, ("move", ["tags", first % len(now)], {"to": second % len(now)}))
            elif kind == "theirs":
                if op == "insert":
                    server.insert(first % (len(server) + 1), f"s{counter}")
                    kept.add(f"s{counter}")
                elif server and op == "remove":
                    kept.discard(server.pop(first % len(server)))
                elif server:
                    server.insert(second % len(server), server.pop(first % len(server)))
            elif kind == "sent":
                # The server takes the oldest changeset as it is counted now: all that it has was downloaded before.
                version += 1
                apply(store, version, put(kit(tags=server)), client_version=acknowledged)
                waiting = store.pending(acknowledged, None, 1)
                for step in waiting[0].instructions if waiting else ():
                    server = edit_value(shape, server, step)
                acknowledged += bool(waiting)
            else:
                version += 1
                apply(store, version, put(kit(tags=server)), client_version=acknowledged)
                replayed = server
                for changeset in store.pending(acknowledged, None, 10**6):
                    for step in changeset.instructions:
                        replayed = edit_value(shape, replayed, step)
                shown = visible(store, "tags")
                assert shown == replayed and len(set(shown)) == len(shown) and kept <= set(shown)
    finally:
        store.close()
