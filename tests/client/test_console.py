"""The console tool, on real files."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from realm_sync.client import console
from realm_sync.client.console import main

from .conftest import LocalApp, inspection, key, until


@pytest.fixture
def file(server, open_realm):
    """A realm file with two inspections and a subscription, closed."""
    server.put("Airfield", {"_id": "EDDF", "name": "Frankfurt"})
    server.put_all("Inspection", [inspection(1, priority=3), inspection(2)])
    realm = open_realm()
    realm.close()
    return realm.path


def test_query_prints_a_table(file, capsys):
    assert main(["query", file, "Inspection", "priority == 3"]) == 0
    printed = capsys.readouterr().out
    assert "Inspection 1" in printed.replace("\n", " ") or "priority" in printed
    assert "1 object" in printed


def test_query_as_json(file, capsys):
    assert main(["query", file, "Inspection", "TRUEPREDICATE SORT(title DESC)", "--json"]) == 0
    assert [line.split('"title": ')[1][:14] for line in capsys.readouterr().out.splitlines()] == [
        '"Inspection 2"',
        '"Inspection 1"',
    ]


def test_an_offline_edit_waits_and_is_uploaded_when_the_file_syncs_again(server, file, open_realm, capsys):
    assert main(["edit", file, "Inspection", key(1), "title=Edited offline", "airfield=EDDF"]) == 0
    assert main(["edit", file, "Inspection", "new", "title=Made offline", "team=South"]) == 0
    assert main(["edit", file, "Inspection", key(2), "--delete"]) == 0
    assert main(["status", file]) == 0
    assert "To be uploaded  3 transactions" in capsys.readouterr().out
    realm = open_realm()
    realm.sync_session.upload_all_local_changes().result(5)
    assert server.image("Inspection", key(1))["title"] == "Edited offline"
    assert server.image("Inspection", key(1))["airfield"] == "EDDF"
    assert server.image("Inspection", key(2)) is None
    assert any(image["title"] == "Made offline" for image in server.objects.values() if "title" in image)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "nowhere.realm", "Inspection"], "There is no file 'nowhere.realm'."),
        (["query", "FILE", "Helicopter"], "Object type 'Helicopter' not found in schema."),
        (["query", "FILE", "Inspection", "pirority == 3"], "pirority"),
        (["edit", "FILE", "Inspection", key(1), "tittle=x"], "'tittle=x' is not an assignment to a property"),
        (
            ["edit", "FILE", "Inspection", key(1), "priority=high"],
            "Inspection.priority: 'high' is not a value of type int",
        ),
        (["edit", "FILE", "Inspection", key(1), "airfield=XXXX"], "there is no Airfield with the key XXXX"),
        (["edit", "FILE", "Inspection", key(9), "--delete"], "There is no Inspection with the key"),
    ],
)
def test_mistakes_are_explained(file, capsys, arguments, message):
    assert main([file if argument == "FILE" else argument for argument in arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


def test_watch_prints_live_changes_and_uploads_what_edit_wrote_meanwhile(server, user, monkeypatch, tmp_path, capsys):
    server.put("Inspection", inspection(1))

    def app(id, *, base_url):
        app = LocalApp(id, base_url=base_url, base_file_path=tmp_path)
        app.sync_address = server.url
        return app

    stop = threading.Event()
    monkeypatch.setattr(console, "App", app)
    path = str(tmp_path / "watched.realm")
    arguments = ["watch", "http://127.0.0.1:1", "Inspection", "--file", path]
    watching = threading.Thread(target=main, args=(arguments, stop))
    watching.start()
    printed = ""

    def shows(text):
        nonlocal printed
        printed += capsys.readouterr().out
        return text in printed

    until(lambda: shows("1 object of Inspection."))
    server.put("Inspection", inspection(2))
    until(lambda: shows("+ _id=" + key(2)))
    command = [sys.executable, "-m", "realm_sync.client.console", "edit", path, "Inspection", key(1)]
    subprocess.run([*command, "title=Edited meanwhile"], check=True, stdout=subprocess.DEVNULL)
    until(lambda: server.image("Inspection", key(1))["title"] == "Edited meanwhile", 2)
    until(lambda: shows(f"~ _id={key(1)}  title=Edited meanwhile"))
    server.erase("Inspection", key(2))
    until(lambda: shows("- _id=" + key(2)))
    stop.set()
    watching.join(10)
    assert not watching.is_alive()
