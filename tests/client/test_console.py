"""The console tool, on real files."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from realm_sync.client import Realm, console
from realm_sync.client.console import main
from realm_sync.client.display import ShortKeys, table_lines, value_text
from realm_sync.client.store import Store
from realm_sync.core.declarations import parse_class
from realm_sync.core.messages import Set

from .conftest import LocalApp, inspection, key, until


@pytest.fixture
def file(server, open_realm):
    """A realm file with two inspections and a subscription, closed."""
    server.put("Airfield", {"_id": "EDDF", "name": "Frankfurt"})
    server.put_all("Inspection", [inspection(1, priority=3), inspection(2)])
    realm = open_realm()
    realm.close()
    return realm.path


def test_query_prints_a_table_that_fits_the_terminal(file, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["query", file, "Inspection", "priority == 3"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "_id                                   title         priority",
        f"{key(1)}  Inspection 1         3",
        "1 object of Inspection; --columns for team",
    ]
    assert main(["query", file, "Inspection", "--columns", "title,team, priority"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "title         team   priority",
        "Inspection 1  North         3",
    ]
    monkeypatch.setenv("COLUMNS", "55")
    assert main(["query", "--columns", "_id,title,team", file, "Inspection"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "00000000-0000-0000-0000-000000000…  Inspection 1  North"
    monkeypatch.delenv("COLUMNS")
    assert main(["query", file, "Inspection"]) == 0  # no terminal: no limit
    assert capsys.readouterr().out.splitlines()[0].split() == ["_id", "title", "team", "priority"]


def test_columns_that_the_query_names_go_first():
    cls = parse_class({"name": "Visit", "primaryKey": "_id", "properties": {"_id": "int", "a": "int", "b": "int"}})
    lines, left_out = table_lines(
        cls, [{"_id": 1, "a": 22222222, "b": 3}], lambda name, value: str(value), [], ["b"], 8
    )
    assert [line.plain for line in lines] == ["_id  b", "  1  3"] and left_out == ["a"]


def test_values_as_people_read_them():
    assert value_text(datetime(2026, 6, 1, tzinfo=UTC)) == "2026-06-01"
    moment = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
    assert value_text(moment) == f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
    assert value_text("Fence\n is \x1b[31mtorn") == "Fence is \N{REPLACEMENT CHARACTER}[31mtorn"
    assert value_text(None) == "" and value_text(True) == "true" and value_text(Decimal("0.10")) == "0.10"


def test_short_keys_tell_objects_apart():
    keys = ShortKeys({"Inspection": ["3fa85f64-1", "3fa85f64-2", "9c1e77a0-1"], "Team": ["9c1e77a0-1"]}.__getitem__)
    assert keys.text("Inspection", "uuid", "3fa85f64-1") == "3fa85f64-1"
    assert keys.text("Team", "uuid", "9c1e77a0-1") == "9c1e77a0"
    assert keys.text("Airfield", "string", "a long text") == "a long text"


def test_query_as_json_with_options_anywhere(file, capsys):
    assert main(["query", file, "Inspection", "--json", "TRUEPREDICATE SORT(title DESC)"]) == 0
    rows = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert rows == [inspection(2), inspection(1, priority=3)]
    assert main(["query", "--rows", "1", file, "--json", "--columns", "priority", "Inspection"]) == 0
    assert capsys.readouterr().out == '{"priority": 3}\n'


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


def test_an_edit_names_the_object_by_the_beginning_of_its_key(server, open_realm, capsys):
    first, second = "3fa85f64-0000-0000-0000-000000000000", "3fa85f64-1000-0000-0000-000000000000"
    server.put_all("Inspection", [inspection(1), inspection(1, _id=first), inspection(1, _id=second)])
    realm = open_realm()
    realm.close()
    assert main(["edit", realm.path, "Inspection", "3FA85F64-1", "title=Fence", "priority="]) == 0
    assert "~ 3fa85f64-1 Fence  title=Fence  priority=null" in capsys.readouterr().out
    assert main(["edit", realm.path, "Inspection", "3fa", "title=Fence"]) == 1
    assert f"2 objects of Inspection have keys that begin with 3fa: {first}, {second}." in capsys.readouterr().err
    assert main(["edit", "--delete", realm.path, "Inspection", "3fa85f64-0"]) == 0
    assert main(["query", realm.path, "Inspection", "--json", "--columns", "_id"]) == 0
    assert [json.loads(line)["_id"] for line in capsys.readouterr().out.splitlines()[2:]] == [key(1), second]


def test_an_edit_links_to_what_is_not_in_the_file(server, file, open_realm, capsys):
    server.put("Airfield", {"_id": "ENSB", "name": "Longyear"})
    assert main(["edit", file, "Inspection", key(1), "airfield=ENSB"]) == 0
    assert "airfield=ENSB" in capsys.readouterr().out
    realm = open_realm()
    realm.sync_session.upload_all_local_changes().result(5)
    assert server.image("Inspection", key(1))["airfield"] == "ENSB"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "nowhere.realm", "Inspection"], "There is no file 'nowhere.realm'."),
        (["query", "FILE", "Helicopter"], "Object type 'Helicopter' not found in schema."),
        (["query", "FILE", "Inspection", "pirority == 3"], "pirority"),
        (["edit", "FILE", "Inspection", key(1), "tittle=x"], "Inspection has no property 'tittle': it has _id, title"),
        (["edit", "FILE", "Inspection", key(1), "title"], "'title' changes nothing: write property=value."),
        (["edit", "FILE", "Inspection", key(1)], "Write what shall change"),
        (["query", "FILE", "Inspection", "--columns", "tittle"], "Inspection has no property 'tittle'"),
        (
            ["edit", "FILE", "Inspection", key(1), "priority=high"],
            "Inspection.priority: 'high' is not a value of type int",
        ),
        (["edit", "FILE", "Inspection", "new", "_id=3fa"], "Inspection._id: '3fa' is not a value of type uuid."),
        (["edit", "FILE", "Inspection", key(9), "--delete"], "This file has no Inspection with the key"),
        (["watch", "http://127.0.0.1:1", "Inspection"], "Nobody has logged in on this device: give --email"),
        (
            ["watch", "http://127.0.0.1:1", "Inspection", "--anonymous"],
            "http://127.0.0.1:1 does not answer: is the server running, and the URL right?",
        ),
    ],
)
def test_mistakes_are_explained(file, capsys, monkeypatch, tmp_path, arguments, message):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # where nobody has logged in
    assert main([file if argument == "FILE" else argument for argument in arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "The following arguments are required: COMMAND. See `realm-sync --help`."),
        (["edit", "x.realm"], "The following arguments are required: CLASS, KEY. See `realm-sync edit --help`."),
        (["query", "x.realm", "Inspection", "--jsn"], "Unrecognized arguments: --jsn. See `realm-sync --help`."),
    ],
)
def test_wrong_commands_are_explained(capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 1 and capsys.readouterr().err.strip() == message


def test_watch_prints_live_changes_and_uploads_what_edit_wrote_meanwhile(server, user, monkeypatch, tmp_path, capsys):
    server.put("Inspection", inspection(1, team="South", priority=2))
    server.refuse = lambda cls, step: "Not yours." if getattr(step, "values", {}).get("team") else None

    def app(id, *, base_url):
        app = LocalApp(id, base_url=base_url, base_file_path=tmp_path)
        app.sync_address = server.url
        return app

    monkeypatch.setattr(console, "App", app)
    path = str(tmp_path / "watched.realm")
    printed = ""

    def shows(text):
        nonlocal printed
        printed += capsys.readouterr().out
        return text in printed

    def edit(*values):
        command = [sys.executable, "-m", "realm_sync.client.console", "edit", path, "Inspection", key(1), *values]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    @contextlib.contextmanager
    def watching():
        stop = threading.Event()
        arguments = ["watch", "--file", path, "http://127.0.0.1:1", "Inspection"]
        thread = threading.Thread(target=main, args=(arguments, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)
        assert not thread.is_alive()

    with watching():
        until(lambda: shows(" online\n") and shows(" 1 object of Inspection; Ctrl-C ends\n"))
        server.put("Inspection", inspection(2))
        until(lambda: shows(f" + {key(2)} Inspection 2  team=North\n"))
        edit("title=Edited meanwhile", "priority=")
        until(lambda: server.image("Inspection", key(1))["title"] == "Edited meanwhile", 2)
        until(lambda: shows(f" ~ {key(1)} Edited meanwhile  title=Edited meanwhile  priority=null\n"))
        until(lambda: shows(" everything is uploaded\n"))
        server.erase("Inspection", key(2))
        until(lambda: shows(f" − {key(2)} Inspection 2\n"))
        server.stop()
        until(lambda: shows(" offline"))
        server.start()
        edit("team=North")
        until(lambda: shows("! refused and undone: Inspection 00000000 Edited meanwhile: Not yours. (WriteNotAllowed)"))
        assert printed.count(" online\n") == 2
    edit("priority=5")
    server.put("Inspection", inspection(3))
    printed = ""
    with watching():
        until(lambda: shows(" 1 transaction to be uploaded\n"))
        until(lambda: shows(f" + {key(3)} Inspection 3") and shows(" everything is uploaded\n"))
    assert "offline" not in printed + capsys.readouterr().out


def test_ctrl_c_and_a_reader_that_has_enough_end_quietly(file):
    command = [sys.executable, "-m", "realm_sync.client.console", "query", file, "Inspection"]
    script = 'exec 3>&1; "$@" | true'
    done = subprocess.run(["sh", "-c", script, "sh", *command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_watch_goes_on_offline_as_who_was_logged_in(server, user, monkeypatch, tmp_path, capsys):
    user._record["profile"] = {"email": "nora@example.org"}
    app = user.app
    monkeypatch.setattr(console, "App", lambda id, *, base_url: app)
    arguments = ["watch", "http://127.0.0.1:1", "Inspection", "--once", "--password", "x", "--email"]
    assert main([*arguments, "nora@example.org"]) == 0
    assert "0 objects of Inspection." in capsys.readouterr().out
    assert main([*arguments, "noah@example.org"]) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.fixture
def kit_file(tmp_path):
    """A local file whose objects hold more than scalars."""
    path = tmp_path / "kits.realm"
    with Realm(path, schema=KITS) as realm, realm.write():
        realm.create("Field", {"_id": "ENSB"})
        realm.create("Kit", {"_id": "k", "title": "Tools", "visits": 2, "site": {"city": "Alta", "lines": []}})
    return str(path)


KITS = [
    {"name": "Field", "properties": {"_id": "string"}},
    {"name": "Site", "embedded": True, "properties": {"city": "string", "lines": "string[]"}},
    {
        "name": "Kit",
        "properties": {
            "_id": "string", "title": "string", "tags": "string[]", "colors": "string<>", "prices": "int{}",
            "fields": "Field[]", "site": "Site", "extra": "mixed", "visits": "counter", "maybe": "counter?",
        },
    },
]  # fmt: skip


def test_collections_embedded_objects_and_counters_on_the_command_line(kit_file, capsys):
    def edit(*values):
        return main(["edit", kit_file, "Kit", "k", *values])

    assert edit('tags=["a", "b"]', 'prices={"x": 1}', 'fields=["ENSB", "GONE"]', 'extra={"n": [1.5, null]}') == 0
    assert capsys.readouterr().out.rstrip().endswith(
        '~ k Tools  tags=[a, b]  prices={x: 1}  fields=[ENSB, GONE]  extra={n: [1.5, null]}'
    )  # fmt: skip
    assert edit("tags+=c", "tags-=a", "colors+=red", "visits+=3", "fields-=ENSB", "extra=plain", "maybe=7") == 0
    assert capsys.readouterr().out.rstrip().endswith("tags=[b, c]  colors=[red]  visits=5  fields=[GONE]")
    assert edit("visits=9", "maybe=") == 0 and edit("visits-=1", 'site={"city": "Bodø"}') == 0
    capsys.readouterr()
    assert main(["query", kit_file, "Kit", "tags == 'c'", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "_id": "k", "title": "Tools", "tags": ["b", "c"], "colors": ["red"], "prices": {"x": 1}, "fields": ["GONE"],
        "site": {"city": "Bodø", "lines": []}, "extra": "plain", "visits": 8, "maybe": None,
    }  # fmt: skip
    assert main(["query", kit_file, "Kit", "--columns", "tags,site,visits"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == [
        "tags    site                     visits",
        "[b, c]  {city: Bodø, lines: []}       8",
    ]
    for values, text in (
        (["tags=a"], 'Kit.tags: \'a\' is not JSON (such as ["a", "b"]).'),
        (["tags=[1]"], "Expected 'Kit.tags[0]' to be a string, got a number"),
        (["tags-=x"], "There is no 'x' to be removed."),
        (["title+=x"], "Kit.title: only counters, lists and sets take +=."),
        (["visits+=x"], "Kit.visits: 'x' is not a value of type int (such as 3)."),
        (["maybe+=1"], "The counter is null: write property=value."),
    ):
        assert edit(*values) == 1
        assert capsys.readouterr().err.strip().replace("\n", " ") == text
    assert main(["query", kit_file, "Site"]) == 1
    assert capsys.readouterr().err.strip() == "You cannot query an embedded object."
    assert main(["status", kit_file]) == 0
    assert "1 Kit" in capsys.readouterr().out


def test_status_names_the_places_of_edits(tmp_path, capsys):
    store = Store(tmp_path / "kits.realm")
    store.add_schema([parse_class(cls) for cls in KITS])
    table = store.table("Kit")
    with store.transaction() as connection:
        writer = store.writer(connection)
        writer.create(table, {"_id": "k", "title": "Tools", "prices": {}})
        writer.finish(0)
    with store.transaction() as connection:
        writer = store.writer(connection)
        edit = Set(class_name="Kit", id="k", path=["prices", "x"], value=1)
        writer.edit(table, "k", [edit], None, None)
        writer.finish(0)
    store.close()
    assert main(["status", str(tmp_path / "kits.realm")]) == 0
    assert "set Kit k prices.x" in capsys.readouterr().out
