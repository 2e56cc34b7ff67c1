"""slice.lua on a real Redis: what is written when a process dies between two of its steps is exact."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from leadlane.schemas.settings import Account, Rate, Settings
from leadlane.workers.accounts import publish_facts, read_facts
from leadlane.workers.connection import connect
from leadlane.workers.intake import Intake
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import TICKET_CANCELLED, Entry, Lanes

LEADS = 4
NOBODY_WAITS = {"number": 0, "lease_ms": 1000, "turn_ms": 60_000, "lost_ms": 0, "gap_ms": 0, "room": 0}


class Batch:
    """One batch of four leads for DialNexa, which a slice sends lead by lead."""

    def __init__(self, redis_url: str, rate: str) -> None:
        self.lanes = Lanes(connect(Settings(redis_url=redis_url)), "leadlane")
        self.client: Any = Redis.from_url(redis_url, decode_responses=True)
        account = Account(
            name="acct", provider="dialnexa", base_url="http://d", api_key="env:K", rate=(Rate.parse(rate),)
        )
        publish_facts(self.lanes, Settings(accounts={"acct": account}))
        facts = read_facts(self.lanes, "acct")
        intake, jobs = Intake(facts, "import"), Jobs(self.lanes)
        self.lane = facts.lane("cmp_1")
        self.job = jobs.open("acct", "cmp_1", self.lane, "import")
        rows = [{"phone_number": f"+1212555000{i}", "name": "Ada"} for i in range(LEADS)]
        (draft,) = intake.drafts(rows)
        ticket = intake.ticket(draft, job=self.job, campaign="cmp_1", priority="normal")
        self.id = ticket.id
        self.lanes.submit(ticket, may_call=False)
        self.lanes.seal(self.job)

    def enter(self, token: str) -> Entry:
        return self.lanes.enter(self.id, token, **NOBODY_WAITS)

    def step(self, token: str, **what: Any) -> int:
        for name in ("ended", "begins"):
            if name in what:
                what[name] = (self.id, what[name])
        return self.lanes.slice(self.lane, token, **what)

    def later(self, ms: int) -> None:
        self.client.hincrby("leadlane:clock", "offset", ms)

    @property
    def codes(self) -> str:
        return self.client.get(f"leadlane:out:{self.id}") or "." * LEADS

    @property
    def counted(self) -> dict[str, int]:
        found = self.client.hgetall(f"leadlane:job:{self.job}")
        return {name[2:]: int(n) for name, n in found.items() if name.startswith("n:") and n != "0"}

    def slots(self) -> float:
        """How far the account's rate has been used."""
        return float(self.client.hget("leadlane:acct:acct", "tat1") or 0)


@pytest.fixture
def batch(redis_url: str) -> Iterator[Batch]:
    batch = Batch(redis_url, "1000/s")
    yield batch
    batch.lanes.client.close()
    batch.client.close()


def test_a_lead_is_marked_before_its_call_begins_and_settled_when_it_ends(batch: Batch) -> None:
    assert batch.enter("one").verdict == "granted"
    assert batch.codes == "...."
    assert batch.step("one", begins=0) == 0
    assert batch.codes == "~..."
    assert batch.step("one", ended=0, code="c", begins=2) == 0
    assert batch.codes == "c.~."
    assert batch.step("one", ended=2, code="r", why="no good") == 0
    assert batch.codes == "c.r."
    assert batch.counted == {"c": 1, "r": 1}
    assert batch.client.hgetall(f"leadlane:why:{batch.id}") == {"2": "no good"}


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([], "...."),
        ([{"begins": 0}], "~..."),
        ([{"begins": 0}, {"begins": 1}], "~~.."),
        ([{"begins": 0}, {"ended": 0, "code": "c", "begins": 1}], "c~.."),
        ([{"begins": 0}, {"ended": 0, "code": "c"}], "c..."),
        ([{"begins": 0}, {"ended": 0, "code": "."}], "...."),
        ([{"begins": 0}, {"begins": 3}, {"ended": 3, "code": "?", "why": "lost", "begins": 1}], "~~.?"),
    ],
)
def test_the_next_turn_sees_exactly_what_was_in_the_air_at_the_crash(
    batch: Batch, steps: list[dict[str, Any]], left: str
) -> None:
    batch.enter("dead")
    for step in steps:
        assert batch.step("dead", **step) == 0
    batch.later(5000)
    batch.lanes.dispatch()  # the lease is over
    entry = batch.enter("next")
    assert entry.verdict == "granted"
    assert entry.rows[0].codes == left
    assert batch.step("dead", begins=3) == -1  # should the dead one come back


def test_a_cancel_after_a_crash_calls_uncertain_what_was_in_the_air_and_nothing_else(batch: Batch) -> None:
    batch.enter("dead")
    batch.step("dead", begins=0)
    batch.step("dead", ended=0, code="c", begins=1)
    batch.later(5000)
    batch.lanes.dispatch()
    assert batch.lanes.cancel(batch.id) == "cancelled"
    assert batch.codes == "c?xx"


def test_a_step_said_twice_since_its_reply_was_lost_changes_no_outcome(batch: Batch) -> None:
    batch.enter("one")
    batch.step("one", begins=0)
    for _ in range(2):
        assert batch.step("one", ended=0, code="c", begins=1) == 0
    assert batch.codes == "c~.."
    assert batch.counted == {"c": 1}


def test_a_cancelled_ticket_lets_no_further_call_begin_but_records_the_last(batch: Batch) -> None:
    batch.enter("one")
    batch.step("one", begins=0)
    assert batch.lanes.cancel(batch.id) == "flagged"
    assert batch.step("one", ended=0, code="c", begins=1) == TICKET_CANCELLED
    assert batch.codes == "c..."


def test_only_calls_take_slots_of_the_rate_and_too_early_ones_wait_unmarked(redis_url: str) -> None:
    batch = Batch(redis_url, "1/m")
    assert batch.enter("one").verdict == "granted"
    assert batch.slots() == 0  # the turn itself is no call
    assert batch.step("one", begins=0) == 0
    wait_ms = batch.step("one", ended=0, code="c", begins=1)
    assert 55_000 < wait_ms <= 66_000
    assert batch.codes == "c..."
    batch.later(wait_ms)
    assert batch.step("one", begins=1) == 0
    assert batch.codes == "c~.."


def test_an_account_on_hold_or_cooling_down_lets_no_call_begin(batch: Batch) -> None:
    batch.enter("one")
    batch.lanes.hold("account", "acct", "by hand")
    assert batch.step("one", begins=0) > 0
    batch.lanes.hold("account", "acct", "")
    batch.lanes.hold("operation", "acct", "by hand", "import")
    assert batch.step("one", begins=0) > 0
    batch.lanes.hold("operation", "acct", "", "import")
    assert batch.step("one", begins=0) == 0
    assert batch.codes == "~..."


def test_what_comes_after_the_ticket_is_done_leaves_nothing_for_ever(batch: Batch) -> None:
    batch.enter("one")
    batch.step("one", begins=0)
    batch.later(5000)
    batch.lanes.dispatch()
    batch.lanes.cancel(batch.id)
    assert batch.codes == "?xxx"
    batch.step("one", ended=0, code="r", why="late")
    assert batch.codes == "rxxx"
    for kind in ("out", "why"):
        assert batch.client.ttl(f"leadlane:{kind}:{batch.id}") > 0
