"""The client's half of the protocol: a total table of state × message, then what each rule promises."""

from __future__ import annotations

import pytest

from realm_sync.core.client_session import (
    CATCH_UP_MARK,
    PING_SECONDS,
    PONG_SECONDS,
    UNBIND_SECONDS,
    UPLOADS_AHEAD,
    ApplyDownload,
    ClientSession,
    DropParts,
    Ended,
    FileState,
    HoldRejected,
    Marked,
    ReadPending,
    RefuseSet,
    Send,
    StoreBound,
    StorePart,
    UnsentSet,
)
from realm_sync.core.errors import ProtocolError
from realm_sync.core.messages import (
    Bind,
    Bound,
    Changeset,
    ClientFile,
    Delete,
    Download,
    Error,
    Ident,
    Insert,
    Limits,
    Mark,
    Ping,
    Pong,
    Progress,
    Query,
    QueryError,
    Rejected,
    Unbind,
    Unbound,
    Update,
    Upload,
)

FILE = ClientFile(ident=7, salt="42")
LIMITS = Limits(max_message_bytes=700_000, max_subscriptions=10, max_query_bytes=1000, window=4)


def bound(client_version=0, query_version=0):
    return Bound(
        epoch="e", server_version=5, client_version=client_version, query_version=query_version, server_time=0,
        schema=[], limits=LIMITS,
    )  # fmt: skip


def download(batch_state="steady", client_version=0, query_version=1, view=1):
    return Download(
        query_version=query_version, batch_state=batch_state, server_version=9, client_version=client_version,
        progress=1.0, view=view,
    )  # fmt: skip


def changeset(version):
    steps = [Delete(class_name="Inspection", id="x")]
    return Changeset(client_version=version, base_version=0, timestamp=0, instructions=steps)


def session(state="bound", client_file=FILE, sets=(), resetting=False, **bound_values):
    """A session brought into `state` by the regular way."""
    made = ClientSession(FileState(client_file, "e", Progress(), tuple(sets), resetting), "token", None)
    if state != "new":
        made.opened(0.0)
    if state in ("bound", "unbinding"):
        if client_file is None:
            made.receive(Ident(client_file=FILE), 0.0)
        perform(made, made.receive(bound(**bound_values), 0.0), [])
    if state == "unbinding":
        made.close()
    if state == "closed":
        made.lost()
    assert made.state == state
    return made


def perform(made, effects, pending):
    """Performs ReadPending against a list of changesets; everything else is collected."""
    done, queue = [], list(effects)
    while queue:
        effect = queue.pop(0)
        if isinstance(effect, ReadPending):
            chosen = [c for c in pending if c.client_version > effect.after]
            if effect.upto is not None:
                chosen = [c for c in chosen if c.client_version <= effect.upto]
            queue = [*made.pending_read(chosen[:1]), *queue]
        else:
            done.append(effect)
    return done


def messages(effects):
    return [effect.message for effect in effects if isinstance(effect, Send)]


MESSAGES = {
    "ident": Ident(client_file=FILE),
    "bound": bound(),
    "download": download(),
    "mark": Mark(request_ident=1),
    "queryError": QueryError(query_version=1, code="InvalidSubscriptionQuery", message="no"),
    "rejected": Rejected(client_version=1, writes=[]),
    "pong": Pong(timestamp=1),
    "unbound": Unbound(),
    "error": Error(code="InternalServerError", message="oops", fatal=False, action="retry"),
}
VIOLATION = "violation"
TABLE = {
    "new": dict.fromkeys(MESSAGES, VIOLATION) | {"error": Ended},
    "binding": dict.fromkeys(MESSAGES, VIOLATION) | {"bound": StoreBound, "error": Ended},
    "bound": {
        "ident": VIOLATION, "bound": VIOLATION, "download": ApplyDownload, "mark": Marked, "queryError": RefuseSet,
        "rejected": HoldRejected, "pong": None, "unbound": VIOLATION, "error": Ended,
    },
    "unbinding": dict.fromkeys(MESSAGES) | {"unbound": Ended, "error": Ended},
    "closed": dict.fromkeys(MESSAGES),
}  # fmt: skip


@pytest.mark.parametrize(("state", "kind"), [(state, kind) for state in TABLE for kind in MESSAGES])
def test_every_state_answers_every_message(state, kind):
    made = session(state)
    made.request_mark(1)
    effects = made.receive(MESSAGES[kind], 1.0)
    expected = TABLE[state][kind]
    if expected is None:
        assert effects == []
    elif expected == VIOLATION:
        (ended,) = effects
        assert (ended.action, ended.error.code) == ("stop", "BadMessageOrder")
        assert kind in str(ended.error).lower() or type(MESSAGES[kind]).__name__ in str(ended.error)
        assert made.state == "closed"
    else:
        assert isinstance(effects[0], expected)


def test_an_ident_is_stored_with_bound_before_anything_else():
    made = session("binding", client_file=None)
    assert made.receive(Ident(client_file=FILE), 0.0) == []
    effects = made.receive(bound(), 0.0)
    assert effects[0] == StoreBound(FILE, bound())


def test_bound_without_the_ident_that_was_asked_for_is_a_violation():
    made = session("binding", client_file=None)
    assert made.receive(bound(), 0.0)[0].error.code == "BadMessageOrder"


def test_opening_drops_the_parts_of_dead_sessions_and_binds():
    made = ClientSession(FileState(FILE, "e", Progress(server_version=3)), "token", None, "agent")
    drop, send = made.opened(0.0)
    assert drop == DropParts()
    bind = Bind(token="token", client_file=FILE, epoch="e", progress=Progress(server_version=3), user_agent="agent")
    assert send == Send(bind)


@pytest.mark.parametrize("action", ["retry", "reauthenticate", "reset", "stop"])
def test_an_error_ends_the_session_by_its_action(action):
    error = Error(code="AuthError", message="expired", fatal=False, action=action, retry_after=3.0)
    made = session("bound")
    assert made.receive(error, 0.0) == [Ended(action, error, 3.0)]
    assert made.state == "closed"


def test_a_frame_that_is_no_message_ends_the_session():
    made = session("bound")
    error = ProtocolError("BadSyntax", "The frame is not JSON")
    assert made.undecodable(error) == [Ended("stop", error)]
    assert made.undecodable(error) == []


# --- uploads (R6) ----------------------------------------------------------------------------------------------------


def test_nothing_is_uploaded_before_bound():
    made = session("binding")
    assert made.local_commit() == []


def test_what_the_server_has_already_is_not_uploaded_again():
    made = session("binding")
    pending = [changeset(n) for n in (1, 2, 3)]
    uploads = messages(perform(made, made.receive(bound(client_version=2), 0.0), pending))
    assert [u.changesets[0].client_version for u in uploads] == [3]


def test_at_most_so_many_uploads_are_ahead_of_the_acknowledgement():
    made = session("bound")
    pending = [changeset(n) for n in range(1, 11)]
    sent = messages(perform(made, made.local_commit(), pending))
    assert [u.changesets[0].client_version for u in sent] == list(range(1, UPLOADS_AHEAD + 1))
    made.receive(download(client_version=2), 0.0)
    sent = messages(perform(made, made.applied(download(client_version=2)), pending))
    assert [u.changesets[0].client_version for u in sent] == [5, 6]


def test_uploads_stay_below_the_servers_limit():
    made = session("binding")
    small = Limits(max_message_bytes=10_000, max_subscriptions=1, max_query_bytes=1, window=4)
    answer = Bound(
        epoch="e", server_version=0, client_version=0, query_version=0, server_time=0, schema=[], limits=small
    )
    (read,) = [effect for effect in made.receive(answer, 0.0) if isinstance(effect, ReadPending)]
    assert read.max_bytes < 10_000


def test_reading_stops_when_there_is_nothing_and_goes_on_after_a_commit():
    made = session("bound")
    assert perform(made, made.applied(download()), []) == []
    (read,) = made.local_commit()
    assert isinstance(read, ReadPending)


# --- subscriptions ---------------------------------------------------------------------------------------------------


def test_a_set_follows_the_changesets_made_before_it_and_precedes_those_after():
    made = session("binding", sets=[UnsentSet(1, after=2, subscriptions=())])
    pending = [changeset(n) for n in (1, 2, 3)]
    sent = messages(perform(made, made.receive(bound(), 0.0), pending))
    kinds = [m.changesets[0].client_version if isinstance(m, Upload) else "query" for m in sent]
    assert kinds == [1, 2, "query", 3]


def test_a_set_waits_for_changesets_that_wait_for_acknowledgement():
    made = session("binding", sets=[UnsentSet(1, after=6, subscriptions=())])
    pending = [changeset(n) for n in range(1, 8)]
    sent = messages(perform(made, made.receive(bound(), 0.0), pending))
    assert not any(isinstance(m, Query) for m in sent)
    sent = messages(perform(made, made.applied(download(client_version=4)), pending))
    assert [type(m).__name__ for m in sent] == ["Upload", "Upload", "Query", "Upload"]


def test_of_several_sets_with_no_changeset_between_only_the_newest_is_sent():
    sets = [UnsentSet(1, 0, ()), UnsentSet(2, 0, ()), UnsentSet(3, 1, ())]
    made = session("binding", sets=sets)
    sent = messages(perform(made, made.receive(bound(), 0.0), [changeset(1)]))
    kinds = [m.query_version if isinstance(m, Query) else "upload" for m in sent]
    assert kinds == [2, "upload", 3]


def test_a_set_the_server_has_is_not_sent_again():
    made = session("binding", sets=[UnsentSet(4, 0, ())])
    assert messages(perform(made, made.receive(bound(query_version=4), 0.0), [])) == []
    sent = messages(perform(made, made.subscriptions_changed([UnsentSet(4, 0, ()), UnsentSet(5, 0, ())]), []))
    assert [m.query_version for m in sent] == [5]


# --- downloads -------------------------------------------------------------------------------------------------------


def test_parts_are_stored_and_applied_with_the_last():
    made = session("bound")
    more = download("more")
    assert made.receive(more, 0.0) == [StorePart(more)]
    last = download("last")
    assert made.receive(last, 0.0) == [ApplyDownload(last, with_parts=True)]
    steady = download()
    assert made.receive(steady, 0.0) == [ApplyDownload(steady, with_parts=False)]


def test_parts_of_a_bootstrap_that_another_one_replaced_are_dropped():
    made = session("bound")
    made.receive(download("more", view=1), 0.0)
    again = download("more", query_version=2, view=2)
    assert made.receive(again, 0.0) == [DropParts(), StorePart(again)]


def test_the_server_is_told_to_go_on_when_half_its_window_is_used():
    made = session("bound")
    assert messages(made.stored()) == []
    assert messages(made.stored()) == [Upload(received=2)]
    assert messages(made.stored()) == []
    sent = messages(perform(made, made.local_commit(), [changeset(1)]))
    assert sent[0].received == 3


def test_the_end_of_a_bootstrap_is_acknowledged_at_once():
    made = session("bound")
    made.receive(download("last"), 0.0)
    assert messages(perform(made, made.applied(download("last")), [])) == [Upload(received=1)]


# --- first what happened, then uploads ------------------------------------------------------------------------------


def returning(pending=(), sets=(), client_file=FILE, resetting=False):
    """A session that is to catch up first, bound; and what it sent at that."""
    made = ClientSession(
        FileState(client_file, "e", Progress(), tuple(sets), resetting), "token", None, download_first=True
    )
    made.opened(0.0)
    if client_file is None:
        made.receive(Ident(client_file=FILE), 0.0)
    sent = messages(perform(made, made.receive(bound(), 0.0), list(pending)))
    assert not made.caught_up
    return made, sent


CAUGHT_UP = Mark(request_ident=CATCH_UP_MARK)


def test_who_was_away_uploads_once_everything_that_happened_is_there():
    pending = [changeset(1), changeset(2)]
    made, sent = returning(pending)
    assert sent == [CAUGHT_UP]
    assert perform(made, made.local_commit(), pending) == []
    assert perform(made, made.applied(download()), pending) == []
    uploads = messages(perform(made, made.receive(CAUGHT_UP, 0.0), pending))
    assert [u.changesets[0].client_version for u in uploads] == [1, 2] and made.caught_up
    assert perform(made, made.receive(CAUGHT_UP, 0.0), pending) == [], "one answer is enough"


def test_catching_up_acknowledges_as_ever():
    made, _ = returning([changeset(1)])
    made.stored()
    assert messages(made.stored()) == [Upload(received=2)]
    assert messages(perform(made, made.applied(download("last")), [changeset(1)])) == [Upload(received=3)]


def test_while_catching_up_sets_go_out_that_follow_no_changeset():
    pending = [changeset(1), changeset(2)]
    made, sent = returning(pending, [UnsentSet(1, 0, ()), UnsentSet(2, 1, ())])
    assert [m.query_version if isinstance(m, Query) else type(m) for m in sent] == [1, Mark]
    sent = messages(perform(made, made.receive(CAUGHT_UP, 0.0), pending))
    assert [m.query_version if isinstance(m, Query) else "upload" for m in sent] == ["upload", 2, "upload"]


def test_a_set_whose_changesets_are_gone_is_sent_when_all_is_there():
    made, sent = returning([], [UnsentSet(1, 4, ())])
    assert sent == [CAUGHT_UP]
    assert [type(m) for m in messages(perform(made, made.receive(CAUGHT_UP, 0.0), []))] == [Query]


def test_a_set_made_while_catching_up_does_not_wait():
    made, _ = returning([changeset(1)])
    assert [type(m) for m in messages(made.subscriptions_changed([UnsentSet(1, 0, ())]))] == [Query]
    assert made.receive(QueryError(query_version=1, code="InvalidSubscriptionQuery", message="no"), 0.0) != []
    assert [type(m) for m in messages(perform(made, made.receive(CAUGHT_UP, 0.0), [changeset(1)]))] == [Upload]


def test_marks_of_the_app_are_answered_while_catching_up():
    made, _ = returning([changeset(1)])
    assert messages(made.request_mark(1)) == [Mark(request_ident=1)]
    assert made.receive(Mark(request_ident=1), 0.0) == [Marked(1)]
    assert not made.caught_up


@pytest.mark.parametrize("mark_first", [True, False])
def test_a_client_reset_that_catches_up_waits_for_both(mark_first):
    pending = [changeset(1)]
    made, sent = returning(pending, [UnsentSet(3, 2, ())], client_file=None, resetting=True)
    assert [type(m) for m in sent] == [Query, Mark]
    steps = [lambda: made.receive(CAUGHT_UP, 0.0), lambda: made.applied(download("last", query_version=3))]
    first, second = steps if mark_first else reversed(steps)
    assert not any(isinstance(m, Upload) and m.changesets for m in messages(perform(made, first(), pending)))
    assert any(isinstance(m, Upload) and m.changesets for m in messages(perform(made, second(), pending)))


@pytest.mark.parametrize("end", ["error", "lost", "close"])
def test_a_session_may_end_while_it_catches_up(end):
    made, _ = returning([changeset(1)])
    effects = made.receive(MESSAGES["error"], 0.0) if end == "error" else getattr(made, end)()
    assert (effects == [Send(Unbind())]) == (end == "close")
    assert made.receive(CAUGHT_UP, 0.0) == [] and not made.caught_up


# --- marks, pings, the end -------------------------------------------------------------------------------------------


def test_marks_wait_for_bound_and_are_answered_once():
    made = session("new")
    assert made.request_mark(5) == []
    made.opened(0.0)
    effects = made.receive(bound(), 0.0)
    assert messages(effects) == [Mark(request_ident=5)]
    assert made.receive(Mark(request_ident=5), 0.0) == [Marked(5)]
    assert made.receive(Mark(request_ident=5), 0.0) == []


def test_pings_go_out_and_silence_ends_the_session():
    made = session("bound")
    assert made.tick(PING_SECONDS - 1) == []
    assert messages(made.tick(PING_SECONDS)) == [Ping(timestamp=int(PING_SECONDS * 1000))]
    assert made.tick(PING_SECONDS + 1) == []
    made.receive(Pong(timestamp=1), PING_SECONDS + 1)
    assert messages(made.tick(PONG_SECONDS)) != []
    assert made.tick(PING_SECONDS + 1 + PONG_SECONDS) == [Ended("retry")]


def test_closing_says_good_bye_and_does_not_wait_for_ever():
    made = session("bound")
    assert made.close() == [Send(Unbind())]
    assert made.close() == []
    assert made.tick(1.0) == []
    assert made.tick(1.0 + UNBIND_SECONDS) == [Ended("done")]


def test_only_unbound_leaves_the_socket_free_for_another_session():
    unbound, refused, lost = session("unbinding"), session("unbinding"), session("unbinding")
    unbound.receive(download(), 0.0)
    assert not unbound.unbound
    assert unbound.receive(Unbound(), 0.0) == refused.receive(MESSAGES["error"], 0.0) == lost.lost() == [Ended("done")]
    assert (unbound.unbound, refused.unbound, lost.unbound) == (True, False, False)


def test_a_lost_socket_is_retried_unless_the_session_was_ending():
    assert session("bound").lost() == [Ended("retry")]
    assert session("unbinding").lost() == [Ended("done")]
    assert session("closed").lost() == []


# --- client reset ----------------------------------------------------------------------------------------------------


def test_a_client_reset_uploads_nothing_until_the_new_content_is_there():
    made = session("binding", client_file=None, sets=[UnsentSet(3, 0, ())], resetting=True)
    made.receive(Ident(client_file=FILE), 0.0)
    pending = [changeset(1)]
    sent = messages(perform(made, made.receive(bound(), 0.0), pending))
    assert [type(m) for m in sent] == [Query]
    assert perform(made, made.local_commit(), pending) == []
    sent = messages(perform(made, made.applied(download("last", query_version=3)), pending))
    assert [type(m) for m in sent] == [Upload, Upload], "the acknowledgement, then the changesets"
    assert not sent[0].changesets and sent[1].changesets == pending


# --- the hold rule ---------------------------------------------------------------------------------------------------


def uploaded(sent):
    return [changeset.client_version for message in sent for changeset in getattr(message, "changesets", ())]


def editing(version, *keys):
    steps = [Insert(class_name="Inspection", id=key, path=["tags", 0], value="new") for key in keys]
    return Changeset(client_version=version, base_version=0, timestamp=0, instructions=steps)


def writing(version, *keys):
    steps = [Update(class_name="Inspection", id=key, values={"title": "Fence"}) for key in keys]
    return Changeset(client_version=version, base_version=0, timestamp=0, instructions=steps)


HOLDS = {
    "nothing is on its way": ([], [editing(1, "x")], 1),
    "another object is on its way": ([writing(1, "y")], [editing(2, "x")], 1),
    "its object is on its way": ([writing(1, "x")], [editing(2, "x")], 0),
    "an edit of its object is on its way": ([editing(1, "x")], [editing(2, "x")], 0),
    "a delete of its object is on its way": ([changeset(1)], [editing(2, "x")], 0),
    "one of its objects is on its way": ([writing(1, "y")], [editing(2, "x", "y")], 0),
    "it writes whole values only": ([editing(1, "x")], [writing(2, "x")], 1),
    "an earlier one of the same message edits its object": ([], [editing(1, "x"), editing(2, "x")], 2),
    "what stands before it goes": ([writing(1, "x")], [writing(2, "z"), editing(3, "x")], 1),
    "what stands after it waits as well": ([writing(1, "x")], [editing(2, "x"), writing(3, "z")], 0),
}
"""On its way, pending, and how many of these are sent."""


@pytest.mark.parametrize("case", HOLDS)
@pytest.mark.parametrize("acknowledged", [False, True])
def test_an_edit_waits_for_what_is_on_its_way_to_its_object(case, acknowledged):
    before, pending, count = HOLDS[case]
    made = session("bound")
    made.local_commit()
    if before:
        made.pending_read(before)
    if acknowledged:
        made.applied(download(client_version=len(before)))
        count = len(pending)
    sent = messages(made.pending_read(pending))
    assert uploaded(sent) == [each.client_version for each in pending[:count]]


def test_a_held_edit_is_read_again_when_what_it_waits_for_is_acknowledged():
    made = session("bound")
    pending = [writing(1, "x"), editing(2, "x"), editing(3, "x")]
    sent = messages(perform(made, made.local_commit(), pending))
    assert uploaded(sent) == [1]
    assert perform(made, made.local_commit(), pending) == []
    assert uploaded(messages(perform(made, made.applied(download()), pending))) == []
    sent = messages(perform(made, made.applied(download(client_version=1)), pending))
    assert uploaded(sent) == [2]


def test_a_held_edit_holds_the_set_made_after_it():
    made = session("binding", sets=[UnsentSet(1, after=2, subscriptions=())])
    pending = [writing(1, "x"), editing(2, "x")]
    sent = messages(perform(made, made.receive(bound(), 0.0), pending))
    assert [type(m).__name__ for m in sent] == ["Upload"]
    sent = messages(perform(made, made.applied(download(client_version=1)), pending))
    assert [type(m).__name__ for m in sent if not isinstance(m, Upload) or m.changesets] == ["Upload", "Query"]


def test_edits_wait_for_what_an_earlier_session_sent():
    """The server has it, the file does not know: what it touched cannot be told any more."""
    made = session("binding")
    pending = [writing(1, "x"), writing(2, "z"), editing(3, "y")]
    sent = messages(perform(made, made.receive(bound(client_version=1), 0.0), pending))
    assert uploaded(sent) == [2]
    assert uploaded(messages(perform(made, made.applied(download(client_version=0)), pending))) == []
    sent = messages(perform(made, made.applied(download(client_version=1)), pending))
    assert uploaded(sent) == [3]
