"""Follows the recorded conversations of the real client with the model, and tells where they differ.

The model gets what the server said then, and the writes that the real client uploaded, at the base at which that one
made them. It must take every message, apply every write to just the state that the real client had (sizes of lists
are in the instructions), present the same progress after a reconnect, and upload the same.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from realm_sync.core.device_sync.frames import Bind, Download, FromServer, Ident, Query, Upload, UploadEntry

from .checker import ConnectionChecker
from .client import RealmFile, Session, Subscriptions
from .wire import instructions

Name = tuple[int, int]
"""A client file's ident and salt: some transcripts are of several servers."""
LATER = 1 << 62
"""A query version: the model says only what the real client said."""


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as recorded:
        for line in recorded:
            yield json.loads(line)


def frame(line: dict[str, Any]) -> bytes:
    return line["head"].rstrip("\n").encode() + b"\n" + bytes.fromhex(line["body_hex"] or "")  # type: ignore[no-any-return]


@dataclass
class Followed:
    """One client file of a transcript."""

    file: RealmFile
    writes: list[UploadEntry] = field(default_factory=list)
    """What the real client wrote and the model has not yet, by client version."""
    uploaded: dict[int, UploadEntry] = field(default_factory=dict)
    """By the model."""

    def write_up_to(self, base: int, client_version: int = LATER) -> None:
        """The writes that the real client made before it had more than `base`."""
        while self.writes and self.writes[0].base <= base and self.writes[0].client_version <= client_version:
            entry = self.writes.pop(0)
            made = instructions(entry.changeset)
            for instruction in made:
                self.file.store.apply(instruction)
            self.file.version = max(self.file.version, entry.client_version - 1)
            self.file.commit(made, entry.timestamp, entry.client_version)


class Replay:
    """One transcript. `problems`: where the model is not the real client; it raises where it would not survive."""

    def __init__(self, path: Path, start: Iterable[RealmFile] = ()) -> None:
        """`start`: files as they were when the recording began."""
        self.lines = [line for line in lines(path) if line["kind"] in ("ws", "ws-close")]
        self.problems: list[str] = []
        self.compared = 0
        """Changesets uploaded alike."""
        self.files: dict[Name, Followed] = {(file.ident, file.salt): Followed(file) for file in start}
        self.sessions: dict[tuple[int, int], tuple[Session, Followed]] = {}
        self._find_writes()

    def _find_writes(self) -> None:
        """All uploads of each file, in order and once."""
        self.found: dict[Name, dict[int, UploadEntry]] = {}
        self.idents: dict[Name, list[Ident]] = {}
        names: dict[tuple[ConnectionChecker, int], Name] = {}
        checkers: dict[int, ConnectionChecker] = {}
        for line in self.lines:
            if line["kind"] == "ws" and line["dir"] == "c2s":
                checker = checkers.setdefault(line["conn"], ConnectionChecker())
                message = checker.sent(frame(line))
                if isinstance(message, Ident):
                    names[checker, message.session] = name = (message.ident, message.salt)
                    self.idents.setdefault(name, []).append(message)
                elif isinstance(message, Upload):
                    ident = names[checker, message.session]
                    for entry in message.entries:
                        self.found.setdefault(ident, {}).setdefault(entry.client_version, entry)
        for name, followed in self.files.items():
            followed.writes = list(self.found.get(name, {}).values())

    def run(self) -> Replay:
        checkers: dict[int, ConnectionChecker] = {}
        for line in self.lines:
            number = line["conn"]
            if line["kind"] == "ws-close":
                for key in [key for key in self.sessions if key[0] == number]:
                    del self.sessions[key]
                continue
            checker = checkers.setdefault(number, ConnectionChecker())
            if line["dir"] == "c2s":
                self._said(number, checker.sent(frame(line)))
            else:
                self._heard(number, checker.received(frame(line)))
        for name, followed in self.files.items():
            for version, entry in self.found.get(name, {}).items():
                if version not in followed.uploaded:
                    self.problems.append(f"file {name}: {version} was not uploaded: {entry}")
        return self

    def _said(self, number: int, message: Any) -> None:
        key = (number, getattr(message, "session", 0))
        match message:
            case Bind(need_ident=True):
                is_flexible = b"sessionReason" in message.path
                file = RealmFile(partition=None if is_flexible else message.path.decode())
                session = Session(file, message.session, uploads_wait=False)
                list(session.outgoing())
                self.sessions[key] = (session, Followed(session.file))
            case Bind():
                self.sessions.pop(key, None)
            case Ident():
                self._ident(key, message)
            case Query():
                session, followed = self.sessions[key]
                queries = msgspec.json.decode(message.query)
                file = followed.file
                held = file.sets.get(message.query_version)
                if held is None or held.queries != queries:
                    file.sets[message.query_version] = Subscriptions(message.query_version, queries, file.version)
                session.query_sent = message.query_version - 1
                self._pump(key)
                session.query_sent = LATER
            case Upload():
                session, followed = self.sessions[key]
                last = max((entry.client_version for entry in message.entries), default=0)
                followed.write_up_to(LATER, last)
                followed.file.version = max(followed.file.version, message.progress_client)
                self._pump(key)
                for entry in message.entries:
                    self._compare(followed, entry)
            case _:
                if key in self.sessions and type(message).__name__ == "Mark":
                    session, _ = self.sessions[key]
                    assert session.checker is not None
                    session.target_mark = session.mark_sent = message.request
                    session.checker.sent(message)
                elif key in self.sessions and type(message).__name__ == "Unbind":
                    session, _ = self.sessions[key]
                    session.unbind()
                    list(session.outgoing())

    def _ident(self, key: tuple[int, int], message: Ident) -> None:
        if key in self.sessions:
            session, followed = self.sessions[key]
            self.files[message.ident, message.salt] = followed
            followed.writes = list(self.found.get((message.ident, message.salt), {}).values())
        else:
            followed = self.files[message.ident, message.salt]
            session = Session(followed.file, message.session, uploads_wait=False)
            self.sessions[key] = (session, followed)
        followed.write_up_to(followed.file.progress.download_server, 0)
        self.idents[message.ident, message.salt].pop(0)
        session.query_sent = LATER
        said = [each for each in session.outgoing() if isinstance(each, (Ident, Upload))]
        mine = said[0]
        assert isinstance(mine, Ident)
        if mine[:7] != message[:7] or mine.query_version != message.query_version:
            self.problems.append(f"IDENT {mine[:9]} where the client said {message[:9]}")
        self._note(followed, said[1:])

    def _pump(self, key: tuple[int, int]) -> None:
        session, followed = self.sessions[key]
        self._note(followed, session.outgoing())

    @staticmethod
    def _note(followed: Followed, said: Any) -> None:
        for each in said:
            if isinstance(each, Upload):
                for entry in each.entries:
                    followed.uploaded[entry.client_version] = entry

    def _compare(self, followed: Followed, entry: UploadEntry) -> None:
        mine = followed.uploaded.get(entry.client_version)
        if mine is None:
            self.problems.append(f"not uploaded when the client did: {entry}")
        elif mine[:4] != entry[:4] or repr(instructions(mine.changeset)) != repr(instructions(entry.changeset)):
            self.problems.append(f"uploaded {mine} where the client did {entry}")
        else:
            self.compared += 1

    def _heard(self, number: int, message: FromServer) -> None:
        key = (number, getattr(message, "session", 0))
        if key not in self.sessions:
            return
        session, followed = self.sessions[key]
        file = followed.file
        if isinstance(message, Download):
            coming = self.idents.get((file.ident, file.salt))
            if coming and message.download_client > coming[0].download_client:
                return  # it was on its way when the client left
            if message.download_server > file.progress.download_server:
                followed.write_up_to(file.progress.download_server)
            file.version = max(file.version, message.upload_client)
        session.receive(message)
