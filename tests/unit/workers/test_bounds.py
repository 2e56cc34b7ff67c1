"""How many leads wait, and how many may."""

import pytest

from leadlane.schemas.settings import Account, Settings
from leadlane.workers.accounts import publish_facts
from leadlane.workers.bounds import Full, full
from leadlane.workers.counting import count_once, recount
from leadlane.workers.lanes import NoRoomError
from tests.unit.workers.lane_kit import LANE, Kit, move

OTHER = "leads/voiso/x/2"


@pytest.fixture
def kit() -> Kit:
    """An account of which ten leads may wait, six in one campaign."""
    kit = Kit()
    kit.client.sadd("P:names", "acme")
    kit.client.hset("P:acct:acme", mapping={"max_waiting": 10, "max_waiting_per_campaign": 6})
    return kit


def load(kit: Kit, account: str = "acme") -> dict[str, int]:
    return {lane: int(n) for lane, n in kit.hash("load", account).items()}


def test_what_waits_or_is_in_a_turn_counts_until_it_is_done_or_dead(kit: Kit) -> None:
    for name in ("t1", "t2", "t3"):
        kit.submit(name, may_call=False)
    kit.submit("o1", lane=OTHER, may_call=False)
    kit.granted("t1", room=4)
    assert load(kit) == {"all": 8, LANE: 6, OTHER: 2}
    kit.leave(move("t1"), move("t2", "dead", ".."))
    assert load(kit) == {"all": 4, LANE: 2, OTHER: 2}
    kit.lanes.dead("t2", "retry")
    assert load(kit) == {"all": 6, LANE: 4, OTHER: 2}
    for name in ("t2", "t3", "o1"):
        kit.lanes.cancel(name)
    assert load(kit) == {}


def test_a_dead_batch_that_is_given_up_was_counted_off_when_it_died(kit: Kit) -> None:
    kit.submit("t1", may_call=False)
    kit.submit("t2", may_call=False)
    kit.granted("t1", room=2)
    kit.leave(move("t1", "dead", ".."))
    kit.lanes.dead("t1", "discard")
    assert load(kit) == {"all": 2, LANE: 2}


def test_what_is_sent_again_after_its_end_counts_again(kit: Kit) -> None:
    kit.submit("t1", may_call=False)
    kit.granted("t1")
    kit.leave(move("t1", codes="c?"))
    assert load(kit) == {}
    kit.lanes.resolve("t1", "resend", "", None)
    assert load(kit) == {"all": 2, LANE: 2}


def test_commands_opt_outs_and_decided_rows_never_count(kit: Kit) -> None:
    kit.submit("s1", lane="state/voiso/x/1", group="control", operation="start", seq=0, n=1)
    kit.submit("a1", lane="agents/voiso/x/1", group="control", operation="add_agents", n=1)
    kit.submit("t1", codes="ii", size=0)
    assert load(kit) == {}


def test_a_batch_that_would_break_the_limit_of_the_campaign_is_refused_and_leaves_nothing(kit: Kit) -> None:
    kit.submit("t1", n=5, may_call=False, bounded=True)
    with pytest.raises(NoRoomError):
        kit.submit("t2", n=2, bounded=True)
    assert (kit.ticket("t2"), kit.job()["leads"], kit.job()["refused"]) == ({}, "5", "2")
    assert full(kit.lanes, "acme", LANE, 2) == Full("campaign", 5, 6)
    assert full(kit.lanes, "acme", LANE, 1) is None
    kit.submit("t3", n=1, may_call=False, bounded=True)
    assert load(kit) == {"all": 6, LANE: 6}


def test_the_limit_of_the_account_is_over_all_its_campaigns(kit: Kit) -> None:
    kit.submit("t1", n=6, may_call=False, bounded=True)
    with pytest.raises(NoRoomError):
        kit.submit("o1", n=5, lane=OTHER, bounded=True)
    assert full(kit.lanes, "acme", OTHER, 5) == Full("account", 6, 10)
    kit.submit("o2", n=4, lane=OTHER, may_call=False, bounded=True)
    assert load(kit)["all"] == 10


def test_a_batch_larger_than_the_limit_goes_into_what_is_empty(kit: Kit) -> None:
    kit.submit("t1", n=1000, bounded=True)
    assert load(kit) == {"all": 1000, LANE: 1000}


def test_what_is_stored_already_is_never_refused(kit: Kit) -> None:
    kit.submit("t1", n=6, bounded=True)
    assert kit.submit("t1", n=6, bounded=True) is None


def test_who_does_not_ask_for_room_gets_in(kit: Kit) -> None:
    kit.submit("t1", n=6)
    kit.submit("t2", n=6)
    assert load(kit)["all"] == 12


def test_room_is_there_again_when_a_batch_is_over(kit: Kit) -> None:
    kit.submit("t1", n=6)
    kit.granted("t1")
    with pytest.raises(NoRoomError):
        kit.submit("t2", bounded=True)
    kit.leave(move("t1", codes="c" * 6))
    kit.submit("t2", bounded=True)
    assert load(kit) == {"all": 2, LANE: 2}


def test_what_an_older_version_stored_is_counted_when_the_first_new_worker_comes(kit: Kit) -> None:
    for name, lane in (("t1", LANE), ("t2", LANE), ("o1", OTHER)):
        kit.submit(name, lane=lane, may_call=False)
    kit.granted("t1", room=2)
    right = load(kit)
    kit.client.delete("P:load:acme")
    count_once(kit.lanes)
    assert load(kit) == right == {"all": 6, LANE: 4, OTHER: 2}
    kit.client.hincrby("P:load:acme", LANE, 7)
    count_once(kit.lanes)
    assert load(kit)[LANE] == 11


def test_counts_that_drifted_are_put_right(kit: Kit) -> None:
    kit.submit("t1", may_call=False)
    for field in ("all", OTHER):
        kit.client.hincrby("P:load:acme", field, 9)
    assert recount(kit.lanes) == 1
    assert load(kit) == {"all": 2, LANE: 2}
    assert recount(kit.lanes) == 0


def test_limits_are_published_and_taken_back_with_the_facts(kit: Kit) -> None:
    account = Account(name="acme", provider="voiso", base_url="https://x", api_key="env:K", max_waiting=3)
    publish_facts(kit.lanes, Settings(accounts={"acme": account}))
    fields = kit.hash("acct", "acme")
    assert (fields["max_waiting"], fields.get("max_waiting_per_campaign")) == ("3", None)
