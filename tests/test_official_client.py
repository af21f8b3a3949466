"""The model of the official client is the official client: it follows recordings of the real one, step by step.

The recordings are of npm `realm` 12.15.0. What the real client uploaded, at which base, with which sizes of lists, and the
progress it presented after a reconnect, the model must do alike; where that one died, the model says so.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from realm_sync.core.device_sync.changesets import encode
from realm_sync.core.device_sync.frames import Download
from realm_sync.core.device_sync.instructions import (
    NULL,
    AddColumn,
    AddInteger,
    AddTable,
    AnyInstruction,
    ArrayErase,
    ArrayInsert,
    ArrayMove,
    Clear,
    CreateObject,
    EraseObject,
    Payload,
    SetErase,
    SetInsert,
    Update,
)
from tests.official_client import errors
from tests.official_client.checker import Progress
from tests.official_client.client import RealmFile, Session
from tests.official_client.merge import Changeset, merge
from tests.official_client.replay import Replay, frame, lines
from tests.official_client.store import Store, plain
from tests.official_client.wire import decode_from_server, instructions

FOLDER = Path(__file__).parent / "vectors"
FOLLOWED = {
    "s1-open": 0, "s11-pbs": 9, "s12-d": 4, "s12-i": 7, "s2-write": 69, "s2b-embedded-replace": 14, "s3-live": 32,
    "s4-conflicts-Afirst": 280, "s4-conflicts-both": 280, "s4-conflicts-restartB": 280,
    "s4b-bootstrap-boot_v-rule-and-S-bumped": 3, "s4b-bootstrap-boot_v-rule-but-S-not-bumped": 3,
    "s4b-bootstrap-vs-unsynced-list-edit-literal-7-7": 3, "s4b-echo-own-creation-full-send-is-conflict": 3,
    "s4b-echo-own-creation-literal-7-7": 3, "s4b-no-echo": 3,
    "s4b-own-delete-then-create-in-two-tx-literal-7-7-tombstone-rule": 4,
    "s4b-own-delete-then-create-tomb-frm-checked": 4, "s5-filter": 10, "s7-compensating": 13, "s8-c": 4, "s8-e": 4,
    "s8-e2": 2, "s8-partial-bootstrap-reconnect": 1, "s8x-Update-ObjectValue-at-existing-dictionar": 2,
    "s8x-client-ed-k-qty-8-replaces-an-embedded-w": 3, "s8x-idempotent-Create-Erase-of-missing": 2,
    "s8x-zero-length-entry-filler": 1,
}  # fmt: skip
"""Recording → how many changesets the real client uploaded in it."""
REFUSED = {
    "s8x-MARK-reply-with-wrong-number": errors.WrongMark,
    "s8x-bad-prior_size": errors.ApplyFailed,
    "s8x-empty-bootstrap-0-batch_state-1-no-entri": errors.EmptyBootstrap,
    "s8x-error-104-connection-level-tryAgain-0": errors.ProcessAborted,
    "s8x-error-202-RefreshUser-1": errors.ProcessAborted,
    "s8x-error-203-ApplicationBug-0": errors.ProcessAborted,
    "s8x-error-207-ApplicationBug-0": errors.ProcessAborted,
    "s8x-log_message-unknown-level": errors.UnreadableMessage,
    "s8x-own-ident-as-origin": errors.WrongOrigin,
    "s8x-steady-download-instead-of-bootstrap-0": errors.MarkBeforeBootstrap,
    "s8x-trailing-bytes-in-body": errors.ProcessAborted,
    "s8x-unknown-property-in-data": errors.ApplyFailed,
    "s8x-unknown-word-from-server": errors.UnreadableMessage,
    "s8x-unsolicited-pong": errors.WrongPong,
    "s8x-update-of-a-missing-object": errors.ApplyFailed,
}
TASK = [
    AddTable("Sub", "embedded"),
    AddTable("Task", "top-level", "_id", "int"),
    AddColumn("Sub", "city", "string", True),
    AddColumn("Sub", "qty", "int", False),
    AddColumn("Task", "title", "string", True),
    AddColumn("Task", "done", "bool", False),
    AddColumn("Task", "n", "int", False),
    AddColumn("Task", "f", "float", False),
    AddColumn("Task", "d", "double", False),
    AddColumn("Task", "cnt", "int", False),
    AddColumn("Task", "req", "string", False),
    AddColumn("Task", "rdec", "decimal", False),
    AddColumn("Task", "tags", "string", False, "list"),
    AddColumn("Task", "nums", "int", False, "list"),
    AddColumn("Task", "labels", "string", False, "set"),
    AddColumn("Task", "attrs", "mixed", True, "dictionary"),
    AddColumn("Task", "sd", "string", False, "dictionary"),
    AddColumn("Task", "ed", "link", True, "dictionary", "Sub"),
    AddColumn("Task", "addr", "link", True, "", "Sub"),
    AddColumn("Task", "items", "link", False, "list", "Sub"),
    AddColumn("Task", "mix", "mixed", True),
    AddColumn("Task", "other", "link", True, "", "Task"),
    AddColumn("Task", "others", "link", False, "list", "Task"),
]
BEGINNING: dict[str, Any] = {
    "title": "t", "cnt": 10, "tags": ["a", "b", "c"], "nums": [1, 2, 3, 4], "labels": {"x"}, "attrs": {"a": 1},
    "sd": {"a": "1"}, "ed": {"k": {"city": "c", "qty": 1}}, "addr": {"city": "c", "qty": 1},
    "items": [{"qty": 1}, {"qty": 2}, {"qty": 3}], "mix": ["m"],
}  # fmt: skip


def recording(name: str) -> Path:
    folder = "device_sync_refused" if name in REFUSED else "device_sync"
    return FOLDER / folder / f"{name}.jsonl.gz"


@pytest.mark.parametrize("name", FOLLOWED)
def test_the_model_does_what_the_real_client_did(name: str) -> None:
    replay = Replay(recording(name)).run()
    assert replay.problems == []
    assert replay.compared == FOLLOWED[name]


@pytest.mark.parametrize("name", [name for name in FOLLOWED if name.startswith("s4-conflicts")])
def test_files_that_converged_then_converge_now(name: str) -> None:
    one, other = (plain(followed.file.store.objects) for followed in Replay(recording(name)).run().files.values())
    assert len(one["Task"]) > 60
    assert one == other


@pytest.mark.parametrize("name", REFUSED)
def test_the_model_dies_where_the_real_client_died(name: str) -> None:
    with pytest.raises(REFUSED[name]):
        Replay(recording(name)).run()


def beginning(keys: Iterable[int] = range(1001, 1145)) -> RealmFile:
    """A file as it was before the recording `s4ot-client-merge`."""
    file = RealmFile()
    file.declare(list(TASK))
    with file.write() as transaction:
        for key in keys:
            transaction.create("Task", key, BEGINNING | ({} if key < 1141 else {"others": []}))
    file.ident, file.salt, file.history = 2, 4374754433098276256, []
    file.progress = Progress(4, 513459590233, 4, 20, 20, 4)
    file.sets[0].state = "superseded"
    file.subscribe({"Task": "TRUEPREDICATE", "Person": "TRUEPREDICATE"})
    file.sets[1].state = "complete"
    file.version, file.scanned = 20, [(0, 4)]
    return file


def test_the_model_merges_what_the_real_client_merged() -> None:
    """71 kinds of conflict, the server's side earlier and later: no merge and no application of one fails."""
    replay = Replay(recording("s4ot-client-merge"), [beginning()]).run()
    assert replay.problems == []
    assert replay.compared == 144


def test_both_orders_of_a_recorded_conflict_lead_to_one_state() -> None:
    """Except where the real client is known to differ: moves of embedded objects, and new ones at a key of a dictionary,
    which replace those that are there."""
    differing = set()
    for key, (incoming, local) in recorded_conflicts().items():
        one, other = beginning([key.value]).store, beginning([key.value]).store
        original = list(incoming.left), list(local.left)
        merge([incoming], [local])
        apply(one, [*original[1], *incoming.left])
        apply(other, [*original[0], *local.left])
        if plain(one.objects["Task"]) != plain(other.objects["Task"]):
            differing.add(key.value)
    assert differing == {1103, 1109, 1110, 1119, 1120, 1121, 1122}


def recorded_conflicts() -> dict[Payload, tuple[Changeset, Changeset]]:
    found: dict[Payload, tuple[Changeset, Changeset]] = {}
    for line in lines(recording("s4ot-client-merge")):
        message = decode_from_server(frame(line)) if line["head"].startswith("download") else None
        for entry in message.entries if isinstance(message, Download) else ():
            for each in instructions(entry.changeset):
                pair = found.setdefault(each.key, (Changeset((entry.timestamp, 1)), Changeset((0, 2))))
                pair[0].instructions.append(each)
    replay = Replay(recording("s4ot-client-merge"), [beginning()])
    for entry in next(iter(replay.files.values())).writes:
        for each in instructions(entry.changeset):
            if each.key in found:
                found[each.key][1].order = (entry.timestamp, 2)
                found[each.key][1].instructions.append(each)
    return found


def apply(store: Store, done: list[AnyInstruction]) -> None:
    for instruction in done:
        store.apply(instruction)


# --- lists, sets and dictionaries at random --------------------------------------------------------------------------


def random_edit(source: random.Random, store: Store) -> AnyInstruction:
    """Something that may be done to the task now."""
    key = Payload("int", 1001)
    if source.random() < 0.25:
        kind = source.choice(["put", "erase", "clear", "include", "exclude", "add", "set"])
        if kind in ("put", "erase"):
            value = Payload("string", source.choice("xyz")) if kind == "put" else Payload("erased")
            return Update("Task", key, "sd", (source.choice("abc"),), value)
        if kind == "clear":
            return Clear("Task", key, "tags", (), "list")
        if kind in ("include", "exclude"):
            instruction = SetInsert if kind == "include" else SetErase
            return instruction("Task", key, "labels", (), Payload("string", source.choice("xyz")))
        if kind == "add":
            return AddInteger("Task", key, "cnt", (), source.randint(-5, 5))
        return Update("Task", key, "title", (), Payload("string", source.choice("xyz")))
    size = len(store.objects["Task"][key]["tags"])
    kind = source.choice(["insert", "insert", "erase", "move", "update"]) if size > 1 else "insert"
    if kind == "insert":
        return ArrayInsert(
            "Task", key, "tags", (source.randint(0, size),), Payload("string", source.choice("LR")), size
        )
    index = source.randrange(size)
    if kind == "erase":
        return ArrayErase("Task", key, "tags", (index,), size)
    if kind == "move":
        to = source.choice([other for other in range(size) if other != index])
        return ArrayMove("Task", key, "tags", (index,), to, size)
    return Update("Task", key, "tags", (index,), Payload("string", source.choice("UV")), size)


def test_merging_is_the_same_from_both_sides() -> None:
    """What one side makes of the other's edits is what the other makes of its own; no index leaves its list."""
    for seed in range(1500):
        both_sides(random.Random(seed))


def both_sides(source: random.Random) -> None:
    start = beginning([1001]).store
    sides = []
    for ident in (1, 2):
        store, changesets = start.copy(), []
        for _ in range(source.randint(1, 2)):
            changeset = Changeset((source.randint(1, 4), ident))
            for _ in range(source.randint(1, 2)):
                edit = random_edit(source, store)
                store.apply(edit)
                changeset.instructions.append(edit)
            changesets.append(changeset)
        sides.append((store, changesets))
    (one, incoming), (other, local) = sides
    before = [each for changeset in incoming for each in changeset.left], [each for c in local for each in c.left]
    merge(incoming, local)
    apply(other, [each for changeset in incoming for each in changeset.left])
    apply(one, [each for changeset in local for each in changeset.left])
    assert plain(one.objects["Task"]) == plain(other.objects["Task"]), before


# --- a session -------------------------------------------------------------------------------------------------------


class Script:
    """A server that says what a test wants it to."""

    def __init__(self) -> None:
        self.file = RealmFile()
        self.session = Session(self.file)
        self.said: list[Any] = list(self.session.outgoing())

    def say(self, *frames: bytes) -> list[Any]:
        """What the client answers."""
        for data in frames:
            self.session.receive(decode_from_server(data))
        answer = list(self.session.outgoing())
        self.said += answer
        return answer

    def open(self) -> None:
        self.say(b"ident 1 2 77\n")
        self.say(download((1, 0, 1, 0, 0), 0, 1, [(1, 0, list(TASK))]), b"mark 1 1\n")


def download(
    cursors: tuple[int, int, int, int, int], query: int, state: int, entries: list[tuple[int, int, list[Any]]]
) -> bytes:
    """`cursors`: D.sv, D.cv, L.sv, U.cv, U.sv."""
    body = b""
    for server, client, made in entries:
        data = encode(made)
        body += b"%d %d 5 1 %d %d %b" % (server, client, len(data), len(data), data)
    numbers = (*cursors[:3], 555, *cursors[3:])
    return b"download 1 %d %d %d %d %d %d %d %d 1 0 %d 0\n%b" % (*numbers, query, state, len(body), body)


def test_nothing_is_uploaded_before_the_first_mark() -> None:
    script = Script()
    script.say(b"ident 1 2 77\n")
    script.say(download((1, 0, 1, 0, 0), 0, 1, [(1, 0, list(TASK))]))
    script.file.subscribe({"Task": "TRUEPREDICATE"})
    assert script.say() == []
    assert [type(each).__name__ for each in script.say(b"mark 1 1\n")] == ["Upload", "Query", "Mark"]


def test_writes_before_a_subscription_are_uploaded_before_its_query() -> None:
    script = Script()
    script.open()
    with script.file.write() as transaction:
        transaction.create("Task", 1, {"title": "before"})
    script.file.subscribe({"Task": "n > 3"})
    with script.file.write() as transaction:
        transaction.set("Task", 1, "title", "after")
    kinds = [type(each).__name__ for each in script.say()]
    assert kinds == ["Upload", "Query", "Mark", "Upload"]
    assert [len(each.entries) for each in script.said if type(each).__name__ == "Upload"] == [0, 1, 1]


@pytest.mark.parametrize(
    ("data", "killed"),
    [
        (download((1, 0, 0, 0, 0), 0, 2, []), errors.LatestWentBack),
        (download((1, 0, 1, 999, 0), 0, 2, []), errors.WrongUploadCursor),
        (download((0, 0, 1, 0, 0), 0, 2, []), errors.WrongDownloadCursor),
        (download((3, 0, 2, 0, 0), 0, 2, []), errors.WrongDownloadCursor),
        (download((2, 1, 2, 0, 0), 0, 2, []), errors.WrongIntegratedVersion),
        (download((2, 0, 3, 0, 3), 0, 2, []), errors.DownloadBehindUpload),
        (download((2, 0, 2, 0, 0), 0, 2, [(0, 0, [])]), errors.WrongEntryVersion),
        (download((3, 0, 3, 0, 0), 0, 2, [(3, 0, []), (2, 0, [])]), errors.WrongEntryVersion),
        (download((2, 0, 2, 0, 0), 0, 2, [(3, 0, [])]), errors.WrongEntryVersion),
        (download((2, 0, 2, 0, 0), 0, 2, [(2, 1, [])]), errors.WrongEntryClientVersion),
        (download((2, 0, 2, 0, 0), 0, 2, [(2, 0, [])]).replace(b" 5 1 ", b" 5 2 "), errors.WrongOrigin),
        (download((2, 0, 2, 0, 0), 0, 2, [(2, 0, [])]).replace(b" 5 1 ", b" 5 0 "), errors.WrongOrigin),
        (download((2, 0, 2, 0, 0), 7, 1, [(2, 0, [])]), errors.UnknownQueryVersion),
        (download((2, 0, 2, 0, 0), 0, 1, []), errors.EmptyBootstrap),
        (download((2, 0, 2, 0, 0), 0, 2, [])[:-1], errors.UnreadableMessage),
        (b"download 1 2 0 2 555 0 0 0 2 1 0 5 0\n2 0 5", errors.UnreadableMessage),
        (b"download 1 2 0 2 555 0 0 0 2 1 0 13 0\n2 0 5 1 1 1 \xff", errors.BadChangeset),
        (b"mark 1 1\n", errors.WrongMark),
        (b"unbound 1\n", errors.OutOfOrder),
        (b"query_error 226 1 1 0\nx", errors.UnknownQueryVersion),
        (b"ident 1 3 4\n", errors.OutOfOrder),
        (b"json_error 200 2 1\n{}", errors.WrongErrorBody),
        (b"json_error 101 2 1\n{}", errors.WrongErrorBody),
    ],
)
def test_every_check_of_the_client_is_made(data: bytes, killed: type[Exception]) -> None:
    script = Script()
    script.open()
    with pytest.raises(killed):
        script.say(data)


def error(code: int, **more: Any) -> bytes:
    import msgspec

    body = {
        "message": "m", "tryAgain": True, "shouldClientReset": False, "isRecoveryModeDisabled": False, "logURL": "",
        "action": "Transient", **more,
    }  # fmt: skip
    data = msgspec.json.encode(body)
    return b"json_error %d %d 1\n%b" % (code, len(data), data)


def test_after_an_error_the_server_says_nothing_more() -> None:
    script = Script()
    script.open()
    assert [type(each).__name__ for each in script.say(error(200))] == ["Unbind"]
    with pytest.raises(errors.AfterError):
        script.say(b"unbound 1\n")


def test_a_compensating_write_is_reported_with_the_download_that_undoes_it() -> None:
    script = Script()
    script.open()
    with script.file.write() as transaction:
        transaction.create("Task", 1, {})
    [upload] = script.say()
    version = upload.entries[0].client_version
    refusal = error(
        231,
        action="Warning",
        rejectedUpdates=[{"table": "Task", "pk": "AQE=", "reason": "no"}],
        rejectedClientVersion=version,
        compensatingWriteServerVersion=2,
    )
    script.say(refusal)
    assert script.file.reported == []
    script.say(download((2, version, 2, version, 1), 0, 2, [(2, version, [EraseObject("Task", Payload("int", 1))])]))
    assert [each.key for each in script.file.reported] == [Payload("int", 1)]
    script.say(refusal)
    with pytest.raises(errors.CompensationOutOfReach):
        script.say(download((3, version, 3, version, 1), 0, 2, []))


def test_a_partial_commit_keeps_the_cursor_of_its_last_entry() -> None:
    script = Script()
    script.open()
    key = Payload("int", 9)
    entries = [(1, 0, [CreateObject("Task", key)]), (2, 0, [Update("Task", key, "title", (), Payload("string", "x"))])]
    script.session.receive(decode_from_server(download((2, 0, 2, 0, 0), 0, 2, entries)), commit_after=1)
    assert script.file.progress[:4] == (2, 555, 1, 0)
    assert script.file.store.objects["Task"][key]["title"] == NULL


def test_a_reset_file_does_its_unsynced_writes_again() -> None:
    old, fresh = RealmFile(), RealmFile()
    for file in (old, fresh):
        file.declare(list(TASK))
        with file.write() as transaction:
            transaction.create("Task", 1, BEGINNING)
            transaction.create("Task", 2, BEGINNING)
        file.history = []
    old.progress = Progress(9, 5, 9, old.version, old.version, 9)
    fresh.progress = Progress(3, 6, 3, 0, 0, 3)
    fresh.ident, fresh.salt = 4, 44
    with old.write(77) as transaction:
        transaction.add("Task", 1, "cnt", 5)
        transaction.insert("Task", 1, "tags", "d", (3,))
        transaction.insert("Task", 2, "tags", "d", (3,))
        transaction.set("Task", 2, "title", "mine")
    with fresh.write() as transaction:
        transaction.remove("Task", 2, "tags", (0,))
        transaction.set("Task", 1, "cnt", 100)
    fresh.history = []
    old.reset(fresh, recover=True)
    held = plain(old.store.objects["Task"])
    one, two = held[Payload("int", 1)], held[Payload("int", 2)]
    assert (one["cnt"], two["title"]) == (("int", 105), ("string", "mine"))
    assert [value for _, value in one["tags"]] == ["a", "b", "c", "d"]
    assert [value for _, value in two["tags"]] == ["a", "b", "c", "d"]
    [change] = old.history
    assert (change.base, change.timestamp, old.ident) == (3, 77, 4)
    assert old.progress == Progress(3, 6, 3, 0, 0, 3)
