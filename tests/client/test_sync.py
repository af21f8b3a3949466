"""Whole sessions against the fake server: download, upload, reconnect, restart, refused writes, client reset."""

from __future__ import annotations

from .conftest import Inspection, inspection, key, until


def test_what_the_server_has_is_there_after_open(server, open_realm):
    server.put_all("Inspection", [inspection(n) for n in range(2500)])
    realm = open_realm()
    assert len(realm.objects(Inspection)) == 2500
    assert realm.objects(Inspection).filtered("title == $0", "Inspection 7").first()._id.int == 7


def test_a_local_write_reaches_the_server_and_is_no_longer_pending(server, open_realm):
    realm = open_realm()
    with realm.write():
        made = realm.create(Inspection, {"title": "Runway lights"})
    realm.sync_session.upload_all_local_changes().result(5)
    assert server.image("Inspection", str(made._id))["title"] == "Runway lights"
    assert realm._store.pending_count() == 0
    assert made.title == "Runway lights"


def test_a_write_of_somebody_else_arrives(server, open_realm):
    realm = open_realm()
    server.put("Inspection", inspection(1))
    until(lambda: len(realm.objects(Inspection)) == 1)
    server.put("Inspection", inspection(1, title="Changed"))
    until(lambda: realm.objects(Inspection)[0].title == "Changed")
    server.erase("Inspection", key(1))
    until(lambda: len(realm.objects(Inspection)) == 0)
