"""Words about agents: folded into one wish, sent as the net difference, and what each answer does to it."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest

from leadlane.workers import commands, membership
from leadlane.workers.accounts import read_facts
from leadlane.workers.membership import Word, fold
from tests.unit.workers.desk import Desk

PAGE = 100
Odd = Callable[[httpx.Request], httpx.Response | Exception | None]


class Team:
    """A Voiso campaign with agents 1 to `there`, of users up to `users`; `odd` may answer in its place."""

    def __init__(self, there: int = 0, users: int = 1000, odd: Odd = lambda _: None) -> None:
        self.members = dict.fromkeys(range(1, there + 1))
        self.users, self.odd = users, odd
        self.changes: list[Any] = []
        self.looks = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            self.looks += 1
        else:
            self.changes.append(
                json.loads(request.content)["user_ids"] if request.content else self.of(request)
            )
        if (answer := self.odd(request)) is not None:
            if isinstance(answer, Exception):
                raise answer
            return answer
        if request.method == "GET":
            offset, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
            rows = [{"id": i, "name": f"Agent {i}"} for i in list(self.members)[offset : offset + limit]]
            return httpx.Response(200, json={"users": rows, "metadata": {"total": len(self.members)}})
        return self.add(self.changes[-1]) if request.method == "POST" else self.remove(self.changes[-1])

    def add(self, wanted: list[int]) -> httpx.Response:
        if len(wanted) > PAGE:
            return httpx.Response(422, json={"errors": {"user_ids": ["must be 100 at most"]}})
        if any(i > self.users for i in wanted):
            return httpx.Response(404, json={"error": "Not found"})
        self.members |= dict.fromkeys(wanted)
        return httpx.Response(200, json={"added_users": []})

    def remove(self, agent: int) -> httpx.Response:
        if agent not in self.members:
            return httpx.Response(404, json={"error": "Not found"})
        del self.members[agent]
        return httpx.Response(200, json={"user": {"id": agent}})

    @staticmethod
    def of(request: httpx.Request) -> int:
        return int(request.url.path.rpartition("/")[2])

    @property
    def shape(self) -> list[int]:
        """Agents of each change: how many an add named; 1 for a removal."""
        return [len(change) if isinstance(change, list) else 1 for change in self.changes]


def desk(team: Team, **account: Any) -> Desk:
    return Desk(team, "voiso", "3", **account)


def word(desk: Desk, operation: str, agents: Sequence[object]) -> str:
    """A command in the lane, as the face puts it there."""
    facts = read_facts(desk.engine.lanes, "acct")
    asked = commands.asked_of_agents(facts, operation, agents)
    ticket = commands.ticket(facts, operation, "3", asked, id=uuid4().hex[:16])
    desk.engine.jobs.open("acct", "3", ticket.lane, operation, job=ticket.job)
    desk.engine.lanes.submit(ticket, may_call=False)
    desk.engine.lanes.seal(ticket.job)
    return ticket.id


def fate(desk: Desk, ticket: str) -> tuple[Any, Any, Any]:
    told = desk.engine.jobs.fate(ticket, desk.fields(ticket))
    return told["outcome"], told.get("members"), told["reason"]


# The wish ---------------------------------------------------------------------------------------------


def test_the_last_word_about_an_agent_wins() -> None:
    wish = fold(
        [Word("add_agents", ["1", "2"]), Word("remove_agents", ["2", "3"]), Word("add_agents", ["3"])]
    )
    assert wish.net(["2", "9"]) == (["1", "3"], ["2"])
    assert [wish.overtaken(i) for i in range(3)] == [False, False, False]


def test_a_sync_wipes_what_was_said_before_and_later_words_add_to_it() -> None:
    wish = fold([Word("add_agents", ["1"]), Word("sync_agents", ["2", "3"]), Word("remove_agents", ["3"])])
    assert wish.net(["1", "3", "4"]) == (["2"], ["1", "3", "4"])
    assert [wish.overtaken(i) for i in range(3)] == [True, False, False]


def test_a_command_of_which_nothing_is_left_is_overtaken_and_an_empty_one_never() -> None:
    wish = fold(
        [
            Word("sync_agents", ["1"]),
            Word("add_agents", []),
            Word("sync_agents", []),
            Word("add_agents", ["5"]),
            Word("remove_agents", ["5"]),
        ]
    )
    assert [wish.overtaken(i) for i in range(5)] == [True, False, False, True, False]
    assert wish.net(["1", "5"]) == ([], ["1", "5"])


def test_a_wish_says_which_commands_want_what_came_of_an_agent() -> None:
    wish = fold([Word("remove_agents", ["1"]), Word("add_agents", ["1", "2"]), Word("add_agents", ["1"])])
    assert [wish.wants(i, "1") for i in range(3)] == [False, True, True]
    synced = fold([Word("sync_agents", ["1"]), Word("sync_agents", ["2"])])
    assert [synced.wants(i, "7") for i in range(2)] == [False, True]


# Turns ------------------------------------------------------------------------------------------------


def test_a_sync_sends_exactly_the_net_difference_in_chunks_and_nothing_when_run_again() -> None:
    team = Team(there=230)
    at = desk(team)
    first = word(at, "sync_agents", range(21, 371))
    assert at.turn(first).verdict == "done"
    assert team.shape == [100, 40, *[1] * 20]
    assert sorted(team.members) == [*range(21, 371)]
    assert fate(at, first) == ("reached", 350, None)
    assert at.fields(first)["calls"] == str(len(team.changes) + team.looks)
    team.changes.clear()
    again = word(at, "sync_agents", range(21, 371))
    assert at.turn(again).verdict == "done"
    assert team.changes == []


def test_commands_that_wait_leave_together_and_each_has_its_fate() -> None:
    team = Team(there=3)
    at = desk(team)
    words = [
        word(at, "add_agents", [7]),
        word(at, "sync_agents", [1, 8]),
        word(at, "add_agents", [9, "010"]),
        word(at, "remove_agents", [9]),
    ]
    assert at.turn(words[0]).verdict == "done"
    assert team.changes == [[8, 10], 2, 3]
    assert [fate(at, one)[0] for one in words] == ["superseded", "reached", "reached", "reached"]
    assert fate(at, words[3])[1] == 3


def test_a_refused_agent_is_found_by_halves_and_the_others_are_added() -> None:
    team = Team(users=100)
    at = desk(team)
    good, bad = word(at, "add_agents", range(1, 41)), word(at, "add_agents", [*range(41, 60), 999])
    assert at.turn(good).verdict == "done"
    assert sorted(team.members) == [*range(1, 60)]
    assert fate(at, good) == ("reached", 59, None)
    assert fate(at, bad) == ("rejected", 59, "the dialer refuses agents 999: Not found")
    assert len(team.changes) <= 14


def test_what_a_turn_found_refused_is_not_tried_again_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    team = Team(users=100)
    at = desk(team)
    ticket = word(at, "add_agents", [998, 999, *range(1, 5)])
    monkeypatch.setattr(membership, "SLICE_S", -1.0)  # a turn has no time beyond the first agents it settles
    turns = 1
    while at.turn(ticket).verdict != "done":
        turns += 1
        assert turns < 20
    assert turns > 3
    assert fate(at, ticket)[0] == "rejected"
    assert "998, 999" in fate(at, ticket)[2]
    assert sorted(team.members) == [1, 2, 3, 4]
    assert team.changes.count([998]) == team.changes.count([999]) == 1


def test_a_removal_of_one_who_is_no_member_any_more_is_success() -> None:
    def meanwhile(request: httpx.Request) -> None:
        if request.method == "DELETE":
            team.members.pop(2, None)

    team = Team(there=3, odd=meanwhile)
    at = desk(team)
    ticket = word(at, "remove_agents", [2])
    assert at.turn(ticket).verdict == "done"
    assert fate(at, ticket) == ("reached", 2, None)


def test_an_add_in_conflict_is_success_if_the_list_shows_it() -> None:
    def conflict(request: httpx.Request) -> httpx.Response | None:
        if request.method != "POST":
            return None
        team.members[5] = None
        return httpx.Response(409, json={"errors": {"user_ids": ["already a member"]}})

    team = Team(odd=conflict)
    at = desk(team)
    ticket = word(at, "add_agents", [5])
    assert at.turn(ticket).verdict == "done"
    assert fate(at, ticket)[0] == "reached"


def test_a_conflict_that_stays_is_tried_a_few_times_at_last_one_by_one_and_then_rejected() -> None:
    def conflict(request: httpx.Request) -> httpx.Response | None:
        if request.method == "POST" and 5 in json.loads(request.content)["user_ids"]:
            return httpx.Response(409, json={"error": "is on another campaign"})
        return None

    team = Team(odd=conflict)
    at = desk(team)
    ticket = word(at, "add_agents", [4, 5])
    turns = 1
    while at.turn(ticket).verdict != "done":
        turns += 1
        assert turns < 10
    assert turns == membership.CONFLICTS + 1
    assert list(team.members) == [4]
    assert fate(at, ticket) == ("rejected", 1, "the dialer refuses agents 5: is on another campaign")


def test_what_the_dialer_took_and_does_not_list_ends_as_accepted() -> None:
    def forgets(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(200, json={"added_users": []}) if request.method == "POST" else None

    at = desk(Team(odd=forgets))
    ticket = word(at, "add_agents", [5])
    for _ in range(membership.CONFLICTS):
        assert at.turn(ticket).verdict == "parked"
    assert at.turn(ticket).verdict == "done"
    outcome, members, reason = fate(at, ticket)
    assert (outcome, members) == ("accepted", 0)
    assert reason.endswith("its list does not show it: 5")


def test_a_lost_answer_is_looked_after_and_the_lane_rests_as_long_as_the_call_may_run() -> None:
    lost = iter([httpx.ReadError("gone")])

    def silent(request: httpx.Request) -> Exception | None:
        return next(lost, None) if request.method == "POST" else None

    team = Team(odd=silent)
    at = desk(team, lost_call_s=30.0)
    ticket = word(at, "add_agents", [5])
    assert at.turn(ticket).verdict == "parked"
    assert at.codes(ticket) == "~"
    assert at.turn(ticket).verdict == "parked"
    assert len(team.changes) == 1
    at.later(31)
    assert at.turn(ticket).verdict == "done"
    assert team.changes == [[5], [5]]
    assert fate(at, ticket)[0] == "reached"


def test_a_look_that_got_no_answer_costs_no_rest() -> None:
    lost = iter([httpx.ReadError("gone")])
    team = Team(odd=lambda _: next(lost, None))
    at = desk(team, lost_call_s=30.0)
    ticket = word(at, "add_agents", [5])
    assert at.turn(ticket).verdict == "parked"
    assert at.turn(ticket).verdict == "done"


@pytest.mark.parametrize(
    ("status", "held", "how"),
    [
        (401, "hold", "parked"),
        (403, "hold:sync_agents", "parked"),
        (429, "cool", "parked"),
        (503, "fails", "parked"),
    ],
)
def test_trouble_in_the_middle_keeps_what_was_done_and_does_what_the_table_says(
    status: int, held: str, how: str
) -> None:
    def trouble(request: httpx.Request) -> httpx.Response | None:
        refused = request.method == "DELETE" and Team.of(request) == 2 and not troubled.append(status)  # type: ignore[func-returns-value]
        return httpx.Response(status, json={"error": "no"}) if refused and len(troubled) == 1 else None

    troubled: list[int] = []
    team = Team(there=3, odd=trouble)
    at = desk(team)
    ticket = word(at, "sync_agents", [3, 4])
    assert at.turn(ticket).verdict == how
    assert sorted(team.members) == [2, 3, 4]
    assert at.codes(ticket) == ","
    assert at.told(held)
    at.engine.lanes.hold("account", "acct", "")
    at.engine.lanes.hold("operation", "acct", "", "sync_agents")
    assert at.turn(ticket).verdict == "done"
    assert team.changes == [[4], 1, 2, 2]


def test_a_campaign_that_the_dialer_does_not_have_is_dead_with_its_words() -> None:
    at = desk(Team(odd=lambda _: httpx.Response(404, json={"error": "Not found"})))
    ticket = word(at, "add_agents", [5])
    end = at.turn(ticket)
    assert (end.verdict, end.detail) == ("dead", "404: Not found")


def test_a_member_whose_id_no_call_takes_is_not_removed_blindly() -> None:
    rows = {"users": [{"id": "b1c2-77", "name": "x"}, {"id": 7}], "metadata": {"total": 2}}
    team = Team(odd=lambda request: httpx.Response(200, json=rows) if request.method == "GET" else None)
    at = desk(team)
    ticket = word(at, "sync_agents", [7])
    assert at.turn(ticket).verdict == "done"
    assert team.changes == []
    assert fate(at, ticket)[0] == "rejected"
    assert "b1c2-77" in fate(at, ticket)[2]


def test_every_call_takes_its_slot_of_the_accounts_rate() -> None:
    team = Team(there=250)
    at = desk(team)
    taken: list[int] = []
    admit = at.engine.lanes.admit
    at.engine.lanes.admit = lambda account: taken.append(admit(account)) or taken[-1]  # type: ignore[method-assign, func-returns-value]
    assert at.turn(word(at, "sync_agents", range(1, 249))).verdict == "done"
    assert len(team.changes) == 2
    assert taken == [0] * (team.looks + len(team.changes) - 1)  # the first came with the turn


def test_a_stop_that_waits_for_the_accounts_rate_goes_first() -> None:
    def stop_comes(request: httpx.Request) -> None:
        if request.method == "DELETE" and Team.of(request) == 2:
            at.client.zadd("leadlane:due:acct:control", {"state/voiso/dialer.test/4": 1})

    team = Team(there=4, odd=stop_comes)
    at = desk(team)
    ticket = word(at, "remove_agents", [1, 2, 3, 4])
    assert at.turn(ticket).verdict == "parked"
    assert team.changes == [1, 2]
    at.client.zrem("leadlane:due:acct:control", "state/voiso/dialer.test/4")
    assert at.turn(ticket).verdict == "done"
    assert team.changes == [1, 2, 3, 4]
