"""Uploads of the official SDKs: merged and written as any other, and what their client must be told of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection
from typing import Any

import pytest
from django.db import connections
from django.db.models.signals import post_save, pre_save

from realm_sync import history
from realm_sync.access import access_of
from realm_sync.conf import settings as realm_settings
from realm_sync.core import messages as m
from realm_sync.core.device_sync import instructions as wired
from realm_sync.core.device_sync.changesets import encode
from realm_sync.core.device_sync.doubt import Advance, decode_advance, encode_advance
from realm_sync.core.device_sync.errors import DeviceSyncError
from realm_sync.core.device_sync.frames import UploadEntry
from realm_sync.core.device_sync.instructions import Payload
from realm_sync.core.device_sync.payloads import zeros
from realm_sync.core.nodes import TRUE, and_
from realm_sync.device_sync import uploads
from realm_sync.device_sync.entries import EPOCH
from realm_sync.device_sync.uploads import Translated, integrate_translated
from realm_sync.models import Change, ClientFile
from realm_sync.registry import registry
from realm_sync.subscriptions import bound_views
from tests.testapp.models import Inspection, Kit, Reading, Sample, Team
from tests.world import World

NOW = int(time.time() * 1000)


def newest() -> int:
    return history.newest(connections[realm_settings.DATABASE])


class Device:
    """A client file that writes in our words: what of it reaches the database is what is tested here."""

    def __init__(self, user: Any, **queries: str) -> None:
        file = ClientFile.objects.using(realm_settings.DATABASE).create(
            user=user, encoding=ClientFile.Encoding.DEVICE_SYNC
        )
        self.ident, self.user, self.version = file.ident, user, 0
        queries = queries or dict.fromkeys(("Inspection", "Kit", "Team", "Sample"), "TRUEPREDICATE")
        self.access = access_of(user)
        self.views = {name: and_(node, self.access.readable[name]) for name, node in bound_views(queries).items()}
        self.base = newest()

    def sync(self) -> None:
        """It has integrated everything there is."""
        self.base = newest()

    def changeset(
        self, *steps: Any, base: int | None = None, at: int = 0, inexact: dict[Any, Collection[str]] | None = None
    ) -> Translated:
        self.version += 1
        defaults = {
            (step.class_name, step.id): {
                name for name, zero in zeros_of(step.class_name).items() if step.values.get(name) == zero
            }
            for step in steps
            if isinstance(step, m.Create)
        }
        return Translated(self.version, self.base if base is None else base, NOW + at, steps, inexact or {}, defaults)

    def upload(self, *changesets: Translated) -> list[Advance]:
        """Integrates them; what the advances say."""
        before = Change.objects.using(realm_settings.DATABASE).order_by("-pk").values_list("pk", flat=True).first() or 0
        done = integrate_translated(
            self.ident, changesets, self.version, self.base, self.access, self.views, NOW + 10_000
        )
        assert done == self.version
        return [
            decode_advance(after or "")
            for after in Change.objects.using(realm_settings.DATABASE)
            .filter(pk__gt=before, kind="advance").order_by("pk").values_list("after", flat=True)
        ]  # fmt: skip

    def write(self, *steps: Any, base: int | None = None, at: int = 0, **more: Any) -> Advance:
        (advance,) = self.upload(self.changeset(*steps, base=base, at=at, **more))
        return advance


def create(cls: str, id: Any = None, **values: Any) -> m.Create:
    """As the translation says it: with Realm's zeros in what was not given."""
    return m.Create(class_name=cls, id=str(id or uuid.uuid4()), values=zeros_of(cls) | values)


def zeros_of(cls: str) -> dict[str, Any]:
    schema = registry.schema
    found = zeros(schema, schema[cls])
    return {name: zero for name, zero in found.items() if not schema[cls].properties[name].read_only}


def update(it: Any, **values: Any) -> m.Update:
    return m.Update(class_name=type(it).__name__, id=str(it.pk), values=values)


def delete(it: Any) -> m.Delete:
    return m.Delete(class_name=type(it).__name__, id=str(it.pk))


def on(it: Any, op: type[m.Edit], *path: str | int, **fields: Any) -> Any:
    return op(class_name=type(it).__name__, id=str(it.pk), path=list(path), **fields)


def owed(advance: Advance, it: Any = None) -> Any:
    """What is owed of an object, or of the only one."""
    if it is not None:
        return advance.owed.get(type(it).__name__, {}).get(str(it.pk))
    everything = [what for objects in advance.owed.values() for what in objects.values()]
    assert len(everything) < 2
    return everything[0] if everything else None


@pytest.fixture
def device(world: World) -> Device:
    return Device(world.nora)


def test_what_everybody_agrees_on_is_not_told(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"], visits=1)
    device.sync()
    advance = device.write(
        update(kit, name="Nora's"), on(kit, m.Insert, "tags", 1, value="b"), on(kit, m.Add, "visits", by=2)
    )
    assert advance == Advance(client_version=1, server_version=device.base, base=device.base)
    kit.refresh_from_db()
    assert (kit.name, kit.tags, kit.visits) == ("Nora's", ["a", "b"], 3)
    again = device.write(on(kit, m.Insert, "tags", 2, value="c"), delete(kit))
    assert owed(again) is None and not Kit.objects.exists()


def test_a_creation_is_told_as_far_as_the_server_filled_it_in(device: Device, world: World) -> None:
    new = create("Kit", name="new", tags=["x"])
    assert owed(device.write(new)) is None
    advance = device.write(create("Inspection", **world.values(status="planned")))
    assert owed(advance) == ["created_at"] and advance.rejected == []
    row = Inspection.objects.get()
    assert (row.title, row.priority, row.notes) == ("Windsock", 0, "")


def test_zero_is_no_write_that_could_be_refused(device: Device, world: World) -> None:
    """The status has choices, and the empty string that nobody gave is none of them: the model's default stands."""
    advance = device.write(create("Inspection", **world.values()))
    assert owed(advance) == ["created_at", "status"] and advance.rejected == []
    assert Inspection.objects.get().status == "planned"


def test_what_others_wrote_meanwhile_is_in_conflict(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"], name="old")
    device.sync()
    Kit.objects.filter(pk=kit.pk).update(tags=["orm", "a"])
    advance = device.write(on(kit, m.Insert, "tags", 1, value="b"), update(kit, name="new"))
    assert owed(advance) == ["tags"]
    kit.refresh_from_db()
    assert (kit.tags, kit.name) == (["orm", "a", "b"], "new")
    device.sync()
    assert owed(device.write(on(kit, m.Insert, "tags", 3, value="c"))) is None


def test_the_next_changeset_of_a_base_is_in_conflict_as_well(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"])
    device.sync()
    Kit.objects.filter(pk=kit.pk).update(tags=["orm", "a"])
    one = device.changeset(on(kit, m.Insert, "tags", 1, value="b"))
    two = device.changeset(on(kit, m.Insert, "tags", 2, value="c"), at=1)
    (advance,) = device.upload(one, two)
    assert owed(advance) == ["tags"] and advance.client_version == 2
    assert owed(device.write(on(kit, m.Insert, "tags", 3, value="d"), at=2)) == ["tags"], "told since, perhaps"
    kit.refresh_from_db()
    assert kit.tags == ["orm", "a", "b", "c", "d"]


def test_changesets_of_several_bases_are_several_groups(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"])
    device.sync()
    first = device.changeset(on(kit, m.Insert, "tags", 1, value="b"))
    Kit.objects.filter(pk=kit.pk).update(name="orm")
    device.sync()
    second = device.changeset(on(kit, m.Insert, "tags", 2, value="c"), update(kit, name="ours"), at=5)
    one, two = device.upload(first, second)
    assert (one.client_version, one.base, owed(one)) == (1, first.base, None)
    assert (two.client_version, two.base, owed(two)) == (2, second.base, None)
    kit.refresh_from_db()
    assert (kit.tags, kit.name) == (["a", "b", "c"], "ours")


def test_an_edit_that_its_author_lost_sight_of_counts_as_anothers(device: Device) -> None:
    """The list was told to the file while the first edit waited: Clear, and what was there. So the second edit is
    counted without the first."""
    kit = Kit.objects.create(tags=["a", "b"])
    device.sync()
    first = device.changeset(on(kit, m.Insert, "tags", 0, value="first"))
    Kit.objects.filter(pk=kit.pk).update(tags=["a", "b", "orm"])
    device.sync()
    second = device.changeset(on(kit, m.Remove, "tags", 0), at=5)
    one, two = device.upload(first, second)
    assert owed(one) == owed(two) == ["tags"] and one.rejected == two.rejected == []
    kit.refresh_from_db()
    assert kit.tags == ["first", "b", "orm"]


def test_an_edit_that_its_author_saw_counts_as_seen(device: Device) -> None:
    kit = Kit.objects.create(tags=["a", "b"], numbers=[1])
    device.sync()
    first = device.changeset(on(kit, m.Insert, "tags", 0, value="first"), on(kit, m.Insert, "numbers", 0, value=0))
    Kit.objects.filter(pk=kit.pk).update(name="orm", numbers=[1, 2])
    device.sync()
    second = device.changeset(on(kit, m.Remove, "tags", 1), on(kit, m.Remove, "numbers", 1), at=5)
    one, two = device.upload(first, second)
    assert owed(one) == owed(two) == ["numbers"]
    kit.refresh_from_db()
    assert (kit.tags, kit.numbers) == (["first", "b"], [0, 1])


def test_a_bootstrap_hides_no_edit(device: Device) -> None:
    """It says what is new to the views; the list was there before."""
    kit = Kit.objects.create(tags=["a", "b"])
    device.sync()
    first = device.changeset(on(kit, m.Insert, "tags", 0, value="first"))
    advance = Advance(client_version=0, bootstrap=True)
    history.record_advance(connections[realm_settings.DATABASE], device.ident, encode_advance(advance).decode())
    device.sync()
    second = device.changeset(on(kit, m.Remove, "tags", 2), at=5)
    device.upload(first, second)
    kit.refresh_from_db()
    assert kit.tags == ["first", "a"]


def test_an_edit_that_fits_nothing_is_no_refusal(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"])
    device.sync()
    Kit.objects.filter(pk=kit.pk).update(tags=[])
    advance = device.write(on(kit, m.Remove, "tags", 7), on(kit, m.Insert, "numbers", 3, value=1))
    assert owed(advance) == ["numbers", "tags"] and advance.rejected == []


def test_the_second_of_two_messages_knows_what_the_first_is_told(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"])
    device.sync()
    Kit.objects.filter(pk=kit.pk).update(tags=["orm"])
    after = newest()
    assert owed(device.write(on(kit, m.Insert, "tags", 0, value="b"))) == ["tags"]
    # It has integrated what the server wrote, but not yet what is told of its own write.
    assert owed(device.write(on(kit, m.Insert, "tags", 0, value="c"), base=after)) == ["tags"]
    device.sync()
    assert owed(device.write(on(kit, m.Insert, "tags", 0, value="d"))) is None


def test_a_write_before_a_bootstrap_is_in_conflict_with_it(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"])
    device.sync()
    advance = Advance(client_version=0, bootstrap=True)
    history.record_advance(connections[realm_settings.DATABASE], device.ident, encode_advance(advance).decode())
    assert owed(device.write(on(kit, m.Insert, "tags", 0, value="b"))) is True
    device.sync()
    assert owed(device.write(on(kit, m.Insert, "tags", 0, value="c"))) is None


def test_an_object_that_entered_the_view_is_in_conflict(world: World) -> None:
    kit = Kit.objects.create(tags=["a"], name="elsewhere")
    device = Device(world.nora, Kit='name == "here"')
    Kit.objects.filter(pk=kit.pk).update(name="here")
    assert owed(device.write(on(kit, m.Insert, "tags", 0, value="b"))) is True


def test_what_the_file_was_told_depends_on_the_view_it_had(world: World) -> None:
    """It asks for everything now; but while the list was edited, the object entered the view it had."""
    kit, other = Kit.objects.create(name="elsewhere"), Kit.objects.create(name="elsewhere")
    device = Device(world.nora, Kit="TRUEPREDICATE")
    files = ClientFile.objects.filter(ident=device.ident)
    files.update(views={str(device.base): {"": "digest", "Kit": 'name == "here"'}})
    Kit.objects.filter(pk=kit.pk).update(name="here")
    assert owed(device.write(on(kit, m.Insert, "tags", 0, value="b"))) is True
    files.update(views={"1": {"Kit": 'name == "here"'}, str(device.base): {"Kit": "TRUEPREDICATE"}})
    Kit.objects.filter(pk=other.pk).update(name="here")
    assert owed(device.write(on(other, m.Insert, "tags", 0, value="b"))) is None, "a view of long ago"


def test_pruned_history_leaves_everything_in_doubt(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"])
    device.sync()
    connection = connections[realm_settings.DATABASE]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE realm_sync_epoch SET pruned_upto = %s", [device.base + 1])
    assert owed(device.write(update(kit, name="new"))) is True


# --- objects that come and go ----------------------------------------------------------------------------------------


def test_own_deletion_and_creation_in_two_transactions_of_one_upload(device: Device) -> None:
    kit = Kit.objects.create(name="old", tags=["a"])
    device.sync()
    (advance,) = device.upload(
        device.changeset(delete(kit)), device.changeset(create("Kit", kit.pk, name="new", tags=["b"]), at=1)
    )
    assert owed(advance) is None
    kit.refresh_from_db()
    assert (kit.name, kit.tags) == ("new", ["b"])


def test_an_object_that_is_created_and_deleted_in_one_transaction_is_nothing(device: Device) -> None:
    new = create("Kit", tags=["x"])
    advance = device.write(new, m.Delete(class_name="Kit", id=new.id))
    assert owed(advance) is None and advance.rejected == [] and not Kit.objects.exists()


@pytest.mark.parametrize("in_one", [True, False])
def test_own_deletion_and_creation_while_another_deletes(device: Device, in_one: bool) -> None:
    kit = Kit.objects.create(name="old", tags=["a"])
    device.sync()
    base = device.base
    Kit.objects.filter(pk=kit.pk).delete()
    steps = [delete(kit), create("Kit", kit.pk, name="new", tags=["b"]), on(kit, m.Insert, "tags", 0, value="c")]
    if in_one:
        advances = device.upload(device.changeset(*steps))
    else:
        first = device.changeset(steps[0], base=base - 1)
        advances = device.upload(first, *(device.changeset(step, base=base, at=n) for n, step in enumerate(steps[1:])))
    assert owed(advances[-1]) is True, "it may have been told that the object is gone"
    kit.refresh_from_db()
    assert (kit.name, kit.tags) == ("new", ["c", "b"])


def test_another_deleted_what_the_file_changed(device: Device) -> None:
    kit = Kit.objects.create(tags=["a"])
    device.sync()
    Kit.objects.filter(pk=kit.pk).delete()
    advance = device.write(on(kit, m.Insert, "tags", 0, value="b"))
    assert owed(advance) is True and advance.rejected == [] and not Kit.objects.exists()


def test_another_created_the_same_key(device: Device) -> None:
    base = device.base
    kit = Kit.objects.create(name="theirs", tags=["a"], visits=3)
    advance = device.write(create("Kit", kit.pk, tags=["b"]), base=base, at=9000)
    assert owed(advance) is True and advance.rejected == []
    kit.refresh_from_db()
    assert (kit.name, kit.tags, kit.visits) == ("theirs", ["a", "b"], 3), "zeros that nobody wrote stand over nothing"


def test_a_file_that_creates_what_it_does_not_see_is_told(world: World) -> None:
    kit = Kit.objects.create(name="elsewhere", tags=["a"])
    device = Device(world.nora, Kit='name == "here"')
    assert owed(device.write(create("Kit", kit.pk, name="here"))) is True


def test_cascades_are_the_servers_doing(device: Device, world: World) -> None:
    """What the file did not touch it hears of as of anybody's write."""
    team = Team.objects.create(name="Gone")
    world.nora.teams.add(team)
    kit, sample = Kit.objects.create(team=team), Sample.objects.create(team=team)
    device.access = access_of(world.nora)._replace(writable={**device.access.writable, "Team": TRUE})
    device.views = dict.fromkeys(device.views, TRUE)
    device.sync()
    advance = device.write(update(kit, team=None), delete(team))
    assert advance.rejected == [] and advance.owed == {}
    rows = Change.objects.filter(version__gt=device.base).exclude(kind="advance")
    assert {(it.class_name, it.kind, it.origin) for it in rows} == {
        ("Team", "delete", device.ident), ("Kit", "update", device.ident), ("Sample", "update", 0),
    }  # fmt: skip
    assert Sample.objects.get(pk=sample.pk).team is None


# --- refusals --------------------------------------------------------------------------------------------------------


def test_what_is_refused_is_owed(device: Device) -> None:
    kit = Kit.objects.create(name="old", tags=["a"], numbers=[1])
    device.sync()
    advance = device.write(
        update(kit, name="x" * 61, colours=["green"]),
        on(kit, m.Insert, "tags", 0, value="x" * 21),
        on(kit, m.Insert, "numbers", 0, value=0),
    )
    assert owed(advance) == ["colours", "name", "tags"]
    assert {it.property for it in advance.rejected} == {"name", "colours", "tags[0]"}
    kit.refresh_from_db()
    assert (kit.name, kit.tags, kit.numbers) == ("old", ["a"], [0, 1])


def test_objects_that_are_refused_are_owed(device: Device, world: World) -> None:
    elsewhere = create("Inspection", **world.values(team=str(world.south.pk)))
    advance = device.write(elsewhere)
    assert owed(advance) is True and [it.code for it in advance.rejected] == ["WriteNotAllowed"]
    nowhere = create("Inspection", **world.values(airfield="NONE"))
    advance = device.write(nowhere)
    assert owed(advance) is True and [it.property for it in advance.rejected] == ["airfield"]
    lacking = create("Inspection", team=str(world.north.pk))
    assert owed(device.write(lacking)) is True
    assert not Inspection.objects.exists()
    theirs = world.inspection(world.south)
    device.sync()
    advance = device.write(update(theirs, title="mine"))
    assert owed(advance) is True and [it.code for it in advance.rejected] == ["OutsideView"]


def test_a_deletion_that_is_refused_is_owed(world: World) -> None:
    device = Device(world.sol)
    theirs = world.inspection(world.north)
    advance = device.write(delete(theirs))
    assert owed(advance) is True and len(advance.rejected) == 1


def test_nothing_is_owed_of_what_is_never_downloaded(device: Device, world: World) -> None:
    reading = create("Reading", team=str(world.north.pk), value=1.5, at="2026-01-01T00:00:00.000000Z")
    refused = create("Reading", team=str(world.south.pk), value=1.5, at="2026-01-01T00:00:00.000000Z")
    advance = device.write(reading, refused)
    assert advance.owed == {} and [it.id for it in advance.rejected] == [refused.id]
    assert Reading.objects.count() == 1


# --- rows that say something else ------------------------------------------------------------------------------------


@pytest.fixture
def on_save() -> Any:
    connected: list[tuple[Any, Any, Any]] = []

    def connect(signal: Any, sender: Any, receiver: Callable[..., None]) -> None:
        signal.connect(receiver, sender=sender, weak=False)
        connected.append((signal, sender, receiver))

    yield connect
    for signal, sender, receiver in connected:
        signal.disconnect(receiver, sender=sender)


def test_what_save_made_of_it_is_owed(device: Device, on_save: Any) -> None:
    def shout(sender: Any, instance: Any, **_: Any) -> None:
        instance.name = instance.name.upper()

    kit, quiet = Kit.objects.create(name="OLD"), Kit.objects.create(name="QUIET")
    on_save(pre_save, Kit, shout)
    device.sync()
    advance = device.write(update(kit, name="new"), on(quiet, m.Insert, "tags", 0, value="x"))
    assert owed(advance, kit) == ["name"] and owed(advance, quiet) is None
    kit.refresh_from_db()
    assert kit.name == "NEW"


def test_an_object_that_is_not_there_after_all_is_owed(device: Device, on_save: Any) -> None:
    on_save(post_save, Kit, lambda sender, instance, **_: instance.delete())
    advance = device.write(create("Kit", name="new"))
    assert owed(advance) is True and advance.rejected == []


def test_what_clients_do_not_write_is_zero_on_theirs(device: Device, world: World) -> None:
    """Which is what the table has in this case, though nobody said so."""
    device.access = device.access._replace(writable={**device.access.writable, "Team": TRUE})
    device.views = {**device.views, "Team": TRUE}
    new = str(uuid.uuid4())
    device.access = device.access._replace(readable={**device.access.readable, "Team": TRUE})
    assert owed(device.write(create("Team", new))) is None
    assert Team.objects.get(pk=new).name == ""


def test_what_signals_do_elsewhere_is_the_servers_doing(device: Device, on_save: Any) -> None:
    def log(sender: Any, instance: Any, **_: Any) -> None:
        Sample.objects.create(a_string=instance.name)

    on_save(post_save, Kit, log)
    advance = device.write(create("Kit", name="new"))
    assert advance.owed == {}
    assert Change.objects.get(class_name="Sample").origin == 0
    assert Change.objects.get(class_name="Kit").origin == device.ident


def test_values_that_are_others_here_are_owed(device: Device) -> None:
    sample, kit = Sample.objects.create(), Kit.objects.create(tags=["a"])
    device.sync()
    advance = device.write(
        update(sample, a_fixed="1.5", a_string="exact", a_day="2026-01-01T00:00:00.000000Z"),
        update(kit, tags=None),
        inexact={("Sample", str(sample.pk)): {"a_string"}},
    )
    assert owed(advance, sample) == ["a_string"] and owed(advance, kit) is None and advance.rejected == []


# --- messages --------------------------------------------------------------------------------------------------------


def test_a_changeset_sent_twice_is_applied_once(device: Device) -> None:
    kit = Kit.objects.create(visits=1)
    device.sync()
    changeset = device.changeset(on(kit, m.Add, "visits", by=1))
    assert len(device.upload(changeset)) == 1
    assert device.upload(changeset) == []
    kit.refresh_from_db()
    assert kit.visits == 2


def test_progress_without_changesets_writes_nothing(device: Device) -> None:
    latest = history.latest(connections[realm_settings.DATABASE])
    file = ClientFile.objects.filter(ident=device.ident)
    assert integrate_translated(device.ident, [], 5, device.base, device.access, device.views, NOW) == 0
    assert history.latest(connections[realm_settings.DATABASE]) == latest
    assert file.get().client_version == 0


def test_the_last_advance_says_how_far_the_client_had_come(device: Device) -> None:
    kit = Kit.objects.create()
    device.sync()
    changeset = device.changeset(update(kit, name="new"))
    device.version = 9
    (advance,) = device.upload(changeset)
    assert (advance.client_version, advance.server_version) == (9, device.base)
    assert ClientFile.objects.get(ident=device.ident).client_version == 9


def test_a_changeset_without_instructions_is_an_advance(device: Device) -> None:
    """A client waits for its schema to be integrated, too."""
    (advance,) = device.upload(device.changeset())
    assert advance.client_version == 1


def test_a_file_to_be_reset_is_refused(device: Device) -> None:
    ClientFile.objects.filter(ident=device.ident).update(reset_reason="Restored.")
    with pytest.raises(DeviceSyncError, match="217: Restored"):
        device.write(create("Kit"))


def test_versions_of_the_future_are_refused(device: Device) -> None:
    with pytest.raises(DeviceSyncError, match="209"):
        device.write(create("Kit"), base=newest() + 1000)
    assert not Kit.objects.exists()


def wire(version: int, *instructions: Any, base: int) -> UploadEntry:
    return UploadEntry(version, base, NOW - EPOCH, 0, encode(instructions))


def test_changesets_as_they_travel(device: Device) -> None:
    key, other = (Payload("uuid", uuid.UUID(int=n).bytes) for n in (1, 2))
    made = wire(
        1,
        wired.CreateObject("Kit", key),
        wired.Update("Kit", key, "name", (), Payload("string", "made")),
        wired.CreateObject("Kit", other),
        base=device.base,
    )
    changed = wire(2, wired.Update("Kit", key, "name", (), Payload("string", "x" * 61)), base=device.base)

    def integrate(*entries: UploadEntry, progress: int = 3) -> int:
        return uploads.integrate(
            device.ident, entries, progress, device.base, device.access, device.views, NOW + 10_000
        )

    broken = changed._replace(changeset=b"\xff")
    unknown = wire(2, wired.EraseObject("Nothing", key), base=device.base)
    mistyped = wire(2, wired.Update("Kit", key, "name", (), Payload("int", 1)), base=device.base)
    for bad in (broken, unknown, mistyped):
        with pytest.raises(DeviceSyncError, match="212: Changeset 2: "):
            integrate(made, bad)
    assert not Kit.objects.exists(), "nothing of the message is applied"
    assert integrate(made, changed) == 3
    assert sorted(Kit.objects.values_list("name", flat=True)) == ["", "made"]
    assert {it.timestamp for it in Change.objects.filter(class_name="Kit")} == {NOW}
    advance = decode_advance(Change.objects.get(kind="advance").after or "")
    assert advance.owed == {"Kit": {str(uuid.UUID(int=1)): ["name"]}}
    assert [it.property for it in advance.rejected] == ["name"]
    assert integrate(made, broken) == 3, "what is integrated already is not even read"


def test_what_a_new_object_has_where_clients_do_not_write_is_the_servers(device: Device, world: World) -> None:
    """SDKs create no object without a value for each required property, so that is no write; a later one is."""
    key, link = (
        Payload("uuid", uuid.UUID(int=1).bytes),
        Payload("link", ("Team", Payload("uuid", world.north.pk.bytes))),
    )
    airfield = Payload("link", ("Airfield", Payload("string", "EDDM")))
    given = wired.Update("Inspection", key, "created_at", (), Payload("timestamp", (0, 0)))
    made = wire(
        1,
        wired.CreateObject("Inspection", key),
        given,
        wired.Update("Inspection", key, "airfield", (), airfield),
        wired.Update("Inspection", key, "team", (), link),
        wired.Update("Inspection", key, "status", (), Payload("string", "planned")),
        base=device.base,
    )
    arguments = (device.base, device.access, device.views, NOW + 10_000)
    assert uploads.integrate(device.ident, [made], 1, *arguments) == 1
    created = Inspection.objects.get().created_at
    assert created.timestamp() > NOW / 1000 - 60
    changed = wire(2, given, base=device.base)
    assert uploads.integrate(device.ident, [changed], 2, *arguments) == 2
    one, two = [decode_advance(it.after or "") for it in Change.objects.filter(kind="advance").order_by("pk")]
    owed = {"Inspection": {str(uuid.UUID(int=1)): ["created_at"]}}
    assert (one.owed, one.rejected) == (owed, [])
    assert two.owed == owed and [(it.property, it.code) for it in two.rejected] == [("created_at", "ReadOnlyProperty")]
    assert Inspection.objects.get().created_at == created
