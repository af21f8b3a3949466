"""The recorded conversations of the real client, spoken again with this server.

The client's side of the recordings is replayed against the real server: it opens, subscribes,
leaves and returns when the recorded client did, and writes the same instructions with the same timestamps, having
integrated what that one had. Its part is played by the model (tests/official_client), which checks everything that the
server says as a real client does. In the end all clients hold what the server's views hold, and, where the recorded
client was left with a settled state, just that.

Left out are recordings of servers that were wrong on purpose (s8x-…, most of them), of which the client's side is no more
than that it opened a realm: what kills a client is what test_official_client.py follows them for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connections
from django.db.models import Q

from realm_sync import capture, schema_models
from realm_sync.core.device_sync.changesets import key_from_text
from realm_sync.core.device_sync.frames import (
    Allocated,
    Bind,
    Download,
    Ident,
    JsonError,
    Mark,
    Query,
    Unbind,
    Unbound,
    Upload,
    UploadEntry,
)
from realm_sync.core.device_sync.instructions import (
    AddColumn,
    AddTable,
    AnyInstruction,
    EraseObject,
    ObjectInstruction,
    Payload,
)
from realm_sync.core.device_sync.schema import declare
from realm_sync.device_sync.sessions import DeviceConnection
from realm_sync.models import ClientFile
from realm_sync.registry import SyncedModel, registry
from tests.official_client.checker import ConnectionChecker, error_body
from tests.official_client.client import RealmFile, Session
from tests.official_client.replay import Name, Replay, frame, lines
from tests.official_client.store import plain
from tests.official_client.wire import decode_from_server, encode_from_client, instructions
from tests.phone import USER_AGENT, token_of
from tests.test_official_client import BEGINNING, TASK
from tests.world import db

FOLDER = Path(__file__).parent / "vectors" / "device_sync"
TIMEOUT = 10
REALM_TYPES = {"binary": "data", "timestamp": "date", "decimal": "decimal128"}


class Recording:
    """One recording: its messages, what each client file wrote, and what the server of then had of its own."""

    def __init__(self, path: Path) -> None:
        self.lines = [line for line in lines(path) if line["kind"] in ("ws", "ws-close")]
        self.messages: list[Any] = []
        self.writes: dict[Name, dict[int, UploadEntry]] = defaultdict(dict)
        """By client version: what each file uploaded, once."""
        self.names: dict[tuple[int, int], Name] = {}
        """By connection and session."""
        self.schema: dict[tuple[str, str], AnyInstruction] = {}
        self.of_server: dict[int, list[tuple[int, list[AnyInstruction]]]] = defaultdict(list)
        """By the place of the message before which they must have happened: writes that are no client's, with their
        timestamps."""
        self.undone: dict[Name, set[tuple[str, Payload]]] = defaultdict(set)
        """The compensating writes that each file was told of."""
        checkers: dict[int, ConnectionChecker] = defaultdict(ConnectionChecker)
        for line in self.lines:
            if line["kind"] == "ws-close":
                self.messages.append(None)
                continue
            # Some of these servers said what no client survives: the client's side is good all the same.
            decode = checkers[line["conn"]].sent if line["dir"] == "c2s" else decode_from_server
            self.messages.append(decode(frame(line)))
        self._read()

    def _read(self) -> None:
        for line, message in zip(self.lines, self.messages, strict=True):
            if isinstance(message, Ident):
                self.names[line["conn"], message.session] = message.ident, message.salt
            for entry in message.entries if isinstance(message, Upload | Download) else ():
                for each in instructions(entry.changeset):
                    if isinstance(each, AddTable | AddColumn):
                        self.schema[each.class_name, getattr(each, "property", "")] = each
                if isinstance(message, Upload):
                    name = self.names[line["conn"], message.session]
                    self.writes[name].setdefault(entry.client_version, entry)
            if isinstance(message, JsonError) and message.code == 231:
                name = self.names[line["conn"], message.session]
                undone = error_body(message)["rejectedUpdates"]
                self.undone[name] |= {(each["table"], key_from_text(each["pk"])) for each in undone}
        self._read_server()

    def _read_server(self) -> None:
        timestamps = {entry.timestamp for writes in self.writes.values() for entry in writes.values()}
        asked: dict[int, int] = {}
        seen: set[Any] = set()
        for place, (line, message) in enumerate(zip(self.lines, self.messages, strict=True)):
            if isinstance(message, Query | Ident):
                asked[line["conn"]] = place
            for entry in message.entries if isinstance(message, Download) else ():
                made = [
                    each
                    for each in instructions(entry.changeset)
                    if isinstance(each, ObjectInstruction)
                    and not isinstance(each, EraseObject)  # it left the view
                    and (entry.timestamp, repr(each)) not in seen
                ]
                if made and entry.origin == 1 and entry.timestamp not in timestamps:
                    seen |= {(entry.timestamp, repr(each)) for each in made}
                    before = place if message.batch_state == 2 else asked[line["conn"]]
                    self.of_server[before].append((entry.timestamp, made))


def declarations(schema: list[AnyInstruction]) -> list[dict[str, Any]]:
    """Realm object schemas of what was declared, embedded classes first."""
    tables = {each.class_name: each for each in schema if isinstance(each, AddTable)}
    found: dict[str, dict[str, Any]] = {}
    for name, each in tables.items():
        found[name] = {"name": name, "properties": {}}
        if each.kind == "embedded":
            found[name]["embedded"] = True
        else:
            assert each.key_name == "_id" and not each.key_nullable
            found[name]["properties"]["_id"] = each.key_type
            found[name] |= {"primaryKey": "_id", "asymmetric": each.kind == "asymmetric"}
    for column in schema:
        if isinstance(column, AddColumn):
            kind = REALM_TYPES.get(column.type, column.type)
            is_link = kind == "link"
            described: dict[str, Any] = {"type": kind, "optional": column.nullable}
            if column.collection:
                described |= {"type": column.collection, "objectType": column.target if is_link else kind}
            elif is_link:
                described = {"type": "object", "objectType": column.target}
            found[column.class_name]["properties"][column.property] = described
    return sorted(found.values(), key=lambda each: (not each.get("embedded"), each["name"]))


def embedded_classes(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Classes of the embedded ones among these declarations; those that hold others after them."""
    made: dict[str, Any] = {}
    waiting = deque(each for each in found if each.get("embedded"))
    while waiting:
        each = waiting.popleft()
        names = {kind.get("objectType") for kind in each["properties"].values()}
        if names & {other["name"] for other in waiting}:
            waiting.append(each)
        else:
            made[each["name"]] = SyncedModel.from_schema(each, app_label="testapp", embedded=made.values())
    return made


@contextmanager
def models_of(recording: Recording, alias: str, sync: dict[str, dict[str, Any]]) -> Iterator[None]:
    """The classes of a recording as synced models, and no others. `sync`: options by class."""
    before = dict(apps.all_models["testapp"])
    registered, registry._registered, registry._derived = registry._registered, {}, None
    try:
        found = declarations(list(recording.schema.values()))
        embedded = embedded_classes(found)
        everyone = {"readable_by": lambda self, user: True, "writable_by": lambda self, user: True}
        for each in found:
            if each["name"] not in embedded:
                options = everyone | sync.get(each["name"], {})
                each["properties"] |= options.pop("properties", {})
                SyncedModel.from_schema(each, app_label="testapp", sync=options, embedded=embedded.values())
        with connections[alias].schema_editor() as editor:
            for binding in registry:
                editor.create_model(binding.model)
        capture.install(connections[alias], list(registry))
        yield
    finally:
        registry._registered, registry._derived = registered, None
        for name in set(apps.all_models["testapp"]) - set(before):
            del apps.all_models["testapp"][name]
        apps.clear_cache()


class Connection:
    """A websocket without a socket. What the server says waits until it is read."""

    def __init__(self, token: str, is_flexible: bool) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.sessions: dict[int, Session] = {}
        self.checker = ConnectionChecker()
        self.server = DeviceConnection(self._take, token, USER_AGENT, is_flexible=is_flexible)
        self.task = asyncio.create_task(self.server.run())

    async def _take(self, frame: bytes) -> None:
        self.frames.put_nowait(frame)

    def bind(self, file: RealmFile, number: int = 1) -> Session:
        self.sessions[number] = Session(file, number, uploads_wait=False)
        return self.sessions[number]

    async def say(self, session: Session, kind: type[Any] | None = None) -> Any:
        """Everything that the client has to say, but no more after a message of this kind."""
        for message in session.outgoing():
            data = encode_from_client(message)
            self.checker.sent(data)
            await self.server.receive(data)
            if isinstance(message, Upload) and message.entries:
                await self.integrated(session.file.ident, message.progress_client)
            if kind is not None and isinstance(message, kind):
                return message
        return None

    async def integrated(self, ident: int, version: int) -> None:
        """Waits until the server has written what the file uploaded."""
        rows = ClientFile.objects.filter(ident=ident - 1, client_version__gte=version)
        for _ in range(TIMEOUT * 200):
            if await db(rows.exists):
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"not integrated: {[data[:300] for data in self.frames._queue]}")  # type: ignore[attr-defined]

    async def read(self) -> None:
        data = await asyncio.wait_for(self.frames.get(), TIMEOUT)
        message = self.checker.received(data)
        if isinstance(message, JsonError) and message.code not in (208, 231):
            raise AssertionError(f"{message.code}: {error_body(message)['message']}")
        self.sessions[message.session].receive(message)

    async def catch_up(self, session: Session) -> None:
        """Integrates everything that the server has by now."""
        mark = session.request_mark()
        await self.say(session, Mark)
        while session.mark_received < mark:
            await self.read()

    async def drop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@dataclass
class Follower:
    """A client file that does what the recorded one did."""

    file: RealmFile
    writes: list[UploadEntry] = field(default_factory=list)
    """Those it has not yet done."""
    server_version: int = 0
    """What the recorded one had integrated."""
    queries: set[int] = field(default_factory=set)
    is_refused: bool = False

    def write_up_to(self, base: int, client_version: int) -> None:
        while self.writes and self.writes[0].base <= base and self.writes[0].client_version <= client_version:
            entry = self.writes.pop(0)
            self.write(list(instructions(entry.changeset)), entry.timestamp)

    def write(self, made: list[AnyInstruction], timestamp: int | None = None) -> None:
        store = self.file.store
        for instruction in made:
            store.apply(instruction)
        for name, table in store.tables.items():
            if table.definition.kind == "asymmetric":
                store.objects[name].clear()
        self.file.commit(made, timestamp)


class Player:
    """Replays the clients' side of a recording."""

    def __init__(self, recording: Recording, token: str) -> None:
        self.recording, self.token = recording, token
        self.connections: dict[int, Connection] = {}
        self.followers: dict[Name, Follower] = {}
        self.desk: Connection | None = None
        """Whoever does what the server of the recording did by itself."""

    async def play(self) -> None:
        for place, (line, message) in enumerate(zip(self.recording.lines, self.recording.messages, strict=True)):
            if place in self.recording.of_server:
                await self.at_desk(self.recording.of_server[place])
            number = line["conn"]
            if message is None:
                if (connection := self.connections.pop(number, None)) is not None:
                    await connection.drop()
                continue
            name = self.recording.names.get((number, getattr(message, "session", 0)))
            if name is None:
                continue  # pings, and sessions that ended before they began
            if isinstance(message, Bind):
                self._bind(number, name, message)
            connection = self.connections[number]
            session, follower = connection.sessions[message.session], self.followers[name]
            if line["dir"] == "c2s":
                await self._said(connection, session, follower, message, place)
            else:
                await self._heard(connection, session, follower, message)
        for connection in self.connections.values():
            await connection.drop()
        self.connections = {}

    def _bind(self, number: int, name: Name, message: Bind) -> None:
        is_flexible = b"sessionReason" in message.path
        if number not in self.connections:
            self.connections[number] = Connection(self.token, is_flexible)
        if message.need_ident:
            file = RealmFile(partition=None if is_flexible else message.path.decode())
            self.followers[name] = Follower(file, list(self.recording.writes[name].values()))
        self.connections[number].bind(self.followers[name].file, message.session)

    async def _said(
        self, connection: Connection, session: Session, follower: Follower, message: Any, place: int
    ) -> None:
        match message:
            case Bind():
                await connection.say(session, Bind)
            case Ident():
                follower.is_refused = self._is_refused(place)
                if follower.is_refused:
                    await db(ClientFile.objects.filter(ident=session.file.ident - 1).update, salt=1)
                await connection.say(session, Ident)
            case Query(query_version=version):
                if version not in follower.queries:
                    follower.queries.add(version)
                    session.file.subscribe(msgspec.json.decode(message.query))
                await connection.say(session, Query)
            case Upload():
                last = max((entry.client_version for entry in message.entries), default=0)
                follower.write_up_to(2**63, last)
                await connection.say(session, Upload)
            case Mark() if not session.is_suspended:
                session.request_mark()
                await connection.say(session, Mark)
            case Unbind():
                session.unbind()
                await connection.say(session, Unbind)

    def _is_refused(self, place: int) -> bool:
        """Whether the server of the recording, which had forgotten the file, refused it."""
        after = zip(self.recording.lines[place + 1 :], self.recording.messages[place + 1 :], strict=True)
        answer = next((message for line, message in after if line["dir"] == "s2c"), None)
        return isinstance(answer, JsonError) and answer.code == 208

    async def _heard(self, connection: Connection, session: Session, follower: Follower, message: Any) -> None:
        match message:
            case Download():
                is_new = message.download_server > follower.server_version
                if message.batch_state == 1 or (message.batch_state == 2 and is_new):
                    follower.write_up_to(follower.server_version, 2**63)
                    follower.server_version = message.download_server
                    await connection.catch_up(session)
            case Mark():
                while session.mark_received < session.mark_sent:
                    await connection.read()
            case JsonError() if follower.is_refused:
                while not session.is_suspended:
                    await connection.read()
            case Allocated():
                while not session.file.ident:
                    await connection.read()
            case Unbound():
                while not session.is_ended:
                    await connection.read()

    async def at_desk(self, writes: list[tuple[int, list[AnyInstruction]]]) -> None:
        if self.desk is None:
            self.desk = await self.opened(RealmFile(), dict.fromkeys(symmetric(), "TRUEPREDICATE"))
        session = self.desk.sessions[1]
        await self.desk.catch_up(session)
        for timestamp, made in writes:
            Follower(session.file).write(made, timestamp)
        await self.desk.say(session, Upload)

    async def opened(self, file: RealmFile, queries: dict[str, str] | None = None) -> Connection:
        """A connection on which everything of the file is settled."""
        connection = Connection(self.token, file.partition is None)
        session = connection.bind(file)
        await connection.say(session)
        while not file.ident:
            await connection.read()
        if queries is not None:
            await connection.catch_up(session)
            file.subscribe(queries)
        await connection.say(session)
        await connection.catch_up(session)
        return connection

    async def settle(self) -> dict[Name, Follower]:
        """Every client that still can connects twice more, until nothing is under way."""
        left = {name: each for name, each in self.followers.items() if not each.is_refused}
        for follower in [*left.values()] * 2:
            assert not follower.writes
            connection = await self.opened(follower.file)
            await connection.drop()
            assert follower.file.is_uploaded
        return left

    async def held(self, file: RealmFile) -> dict[str, Any]:
        """What the server's view has of what a file asks for: a new file gets it."""
        fresh = RealmFile(partition=file.partition)
        connection = await self.opened(fresh, file.newest.queries if file.partition is None else None)
        await connection.drop()
        return plain(fresh.store.objects)


def symmetric() -> list[str]:
    return [binding.class_name for binding in registry if not binding.asymmetric]


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[Any, Any]:
    """Where what two files hold differs: by class, key and property."""
    found = {}
    for class_name in symmetric():
        for key in one[class_name].keys() | other[class_name].keys():
            pair = one[class_name].get(key), other[class_name].get(key)
            if None in pair:
                found[class_name, key.value] = pair
                continue
            for name in pair[0].keys() & pair[1].keys():
                if repr(pair[0][name]) != repr(pair[1][name]):  # which NaN does not prevent
                    found[class_name, key.value, name] = pair[0][name], pair[1][name]
    return found


def only_a_and_not_forbidden(self: Any, user: Any) -> Q:
    return (Q(owner=None) | Q(owner="a")) & ~Q(title__in=["forbidden", "forbidden create"])


RULES: dict[str, dict[str, dict[str, Any]]] = {
    "s7-compensating": {
        "Task": {"writable_by": only_a_and_not_forbidden},
        "Person": {"writable_by": lambda self, user: Q(name=None) | ~Q(name="forbidden")},
    },
    "s11-pbs": {
        "Dog": {
            "properties": {"partition": {"type": "string", "default": "part1"}},
            "read_only_fields": ["partition"],
        },
    },
}
"""Recording → class → what its server had for rules. Partitions were files there, and are a property here."""
A_FIRST = {
    121, 122, 123, 126, 130, 136, 137, 138, 139, 140, 141, 143, 145, 146, 147, 148, 150, 152, 153, 155, 156, 157, 158,
    160, 168, 169, 180, 181, 184, 188, 192, 194, 195, 198, 199, 200, 201, 202, 203, 205, 210, 215, 216, 217, 218, 222,
    228, 232, 233, 234, 240,
}  # fmt: skip
B_FIRST = {
    121, 122, 124, 125, 129, 135, 137, 138, 139, 140, 142, 144, 145, 146, 147, 148, 149, 151, 154, 155, 156, 157, 158,
    159, 167, 170, 179, 182, 183, 187, 191, 193, 196, 197, 199, 200, 201, 202, 204, 206, 209, 215, 216, 217, 218, 221,
    227, 231, 233, 234, 239,
}  # fmt: skip
"""Tasks whose conflicts end otherwise here than on the server of the recordings, which took things as they came."""
OTHERWISE: dict[str, set[Any]] = {
    "s4-conflicts-Afirst": A_FIRST,
    "s4-conflicts-Bfirst": B_FIRST,
    "s4-conflicts-both": A_FIRST,
    "s4-conflicts-restartB": A_FIRST,
    "s11-pbs": {"ace"},  # a list into which both inserted
    "s12-i": {1},  # written while another moved it out of the writer's view: undone here
    "s4b-echo-own-creation-literal-7-7": {1},  # where it was lost
    "s4b-own-delete-then-create-in-two-tx-literal-7-7-tombstone-rule": {1},  # where it was lost
    "s8x-Update-ObjectValue-at-existing-dictionar": {1},  # that server meant to do damage
}
"""Keys of objects of which the recorded client ended with other values."""
UNDONE: dict[str, set[Any]] = {
    # Links to objects that the other had deleted.
    "s4-conflicts-Afirst": {216, 217},
    "s4-conflicts-Bfirst": {215, 218},
    "s4-conflicts-both": {216, 217},
    "s4-conflicts-restartB": {216, 217},
    "s12-i": {1},
}
"""Keys of objects of which clients are told that a write was undone, other than in the recording."""
UNSETTLED = {
    "s4ot-client-merge": "was answered by nothing, so its client never heard of its own writes",
    "s6-subscriptions": "has an answer that the model does not survive: a mark before its bootstrap",
    "s8-e3": "has a server in the end that lost everything, even its classes",
    "s12-b2": "ends with a client whose classes are others than the server's",
}
"""Recordings that say nothing of the end."""
NAMES = sorted(path.name.removesuffix(".jsonl.gz") for path in FOLDER.iterdir())
NAMES.remove("s10-auth")  # only HTTP
PAIRS = [
    *(("sqlite", name) for name in NAMES if name != "s4-conflicts-both"),
    *(("postgresql", name) for name in ("s2-write", "s3-live", "s4-conflicts-both", "s4ot-client-merge")),
    *(("postgresql", name) for name in ("s7-compensating", "s11-pbs", "s12-i")),
]
"""Everything once, and on PostgreSQL, where it takes twice as long, what writes most."""


@pytest.mark.parametrize(("each_database", "name"), PAIRS, indirect=["each_database"])
async def test_the_client_of_the_recording_syncs_with_this_server(
    name: str, each_database: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    path = FOLDER / f"{name}.jsonl.gz"
    recording = Recording(path)
    if not recording.schema:
        recording.schema = {(each.class_name, getattr(each, "property", "")): each for each in TASK}
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    # They call a property `in`: nobody can write that in Python, but it can be a field.
    monkeypatch.setattr(schema_models, "_is_name", str.isidentifier)
    settings.REALM_SYNC = {**settings.REALM_SYNC, "PARTITION_FIELD": "partition"}
    user = get_user_model().objects.create_user("nora", "nora@example.org", "pw")
    with models_of(recording, each_database, RULES.get(name, {})):
        if name != "s11-pbs":
            assert sorted(map(repr, declare(registry.schema))) == sorted(map(repr, recording.schema.values()))
        player = Player(recording, token_of(user))
        if name == "s4ot-client-merge":
            await begin_client_merge(player)
        await player.play()
        left = await player.settle()
        undone: set[Any] = set()
        otherwise: set[Any] = set()
        then = {} if name in UNSETTLED else Replay(path).run().files
        for known, follower in left.items():
            held = plain(follower.file.store.objects)
            assert differences(held, await player.held(follower.file)) == {}
            told = {(it.class_name, it.key) for it in follower.file.reported}
            undone |= {key.value for _, key in told ^ recording.undone[known]}
            if known in then:
                otherwise |= {at[1] for at in differences(held, plain(then[known].file.store.objects))}
        if name == "s2-write" and each_database == "default":
            undone.remove(2)  # SQLite has no NaN
        assert undone == UNDONE.get(name, set())
        assert otherwise == OTHERWISE.get(name, set()), sorted(otherwise)


async def begin_client_merge(player: Player) -> None:
    """144 objects, and a file that has them."""
    start = RealmFile()
    start.declare(list(TASK))
    with start.write() as transaction:
        for key in range(1001, 1145):
            transaction.create("Task", key, BEGINNING | ({} if key < 1141 else {"others": []}))
    await player.at_desk([(1, transaction.done)])
    [(name, writes)] = player.recording.writes.items()
    file = RealmFile()
    await (await player.opened(file, {"Task": "TRUEPREDICATE"})).drop()
    player.followers[name] = Follower(file, list(writes.values()), 4)
