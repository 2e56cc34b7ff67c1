"""Random lives of lanes against the design's rules: what is held stands in ``lane_model.py``."""

import os
import sys
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from tests.integration.workers.lane_model import KINDS, LANES, RATES, SCOPES, World

DAY = 86_400_000
LIVES = int(os.environ.get("LEADLANE_TEST_LIVES", "1000"))
"""How many the slow test lives: half a second each, or more, and it must end within its time limit."""
LIFE = settings(deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
pick = st.integers(0, 30)
seeds = st.integers(0, 2**16)
jumps = st.sampled_from([0, -20_000, 20_000])
faults = st.sampled_from([0, 6_000, 15_000])
rarely = st.sampled_from([False, False, False, True])
ends = st.sampled_from(["ok", "ok", "ok", *KINDS])
lanes = st.sampled_from(LANES)
accounts = st.sampled_from([*RATES, "plain"])
tickets = st.fixed_dictionaries(
    {
        "lane": lanes,
        "account": accounts,
        "op": st.sampled_from(["import", "import", "import", "update"]),
        "priority": st.sampled_from(["urgent", "normal", "normal", "bulk"]),
        "n": st.integers(1, 4),
        "options": st.sampled_from(["", "", "", "update"]),
        "expires": st.sampled_from([None, None, None, 1_000, 5_000, 20_000]),
        "decided": st.sampled_from([0, 0, 1]),
        "job": st.sampled_from(["j1", "j2"]),
        "may_call": st.booleans(),
        "twice": rarely,
        "front": rarely,
        "bounded": st.booleans(),
    }
)


class Life(RuleBasedStateMachine):
    """What may happen to lanes; every act ends with a look at everything."""

    def __init__(self, client: Redis) -> None:
        super().__init__()
        self.world = World(client)

    @initialize(first=st.lists(tickets, min_size=3, max_size=9), turns=st.integers(0, 9))
    def begin_life(self, first: list[dict[str, Any]], turns: int) -> None:
        self.world.have_had_turns(turns)
        for ticket in first:
            self.world.submit(**ticket)

    # Producers and operators

    @rule(more=st.lists(tickets, min_size=1, max_size=3))
    def submit(self, more: list[dict[str, Any]]) -> None:
        for ticket in more:
            self.world.submit(**ticket)

    @rule(scope=st.sampled_from(SCOPES), may_call=st.booleans())
    def opt_out(self, scope: str, may_call: bool) -> None:
        self.world.opt_out(scope, may_call=may_call)

    @rule(index=pick)
    def cancel(self, index: int) -> None:
        names = sorted(self.world.batches)
        self.world.cancel(names[index % len(names)])

    @rule(index=pick, act=st.sampled_from(["delivered", "discard", "resend", "resend"]), seed=seeds)
    def resolve(self, index: int, act: str, seed: int) -> None:
        names = sorted(
            name for name in self.world.seen.scores("uncertain") if not self.world.batches[name].scope
        )
        if names:
            self.world.resolve(names[index % len(names)], act, seed)

    @rule(index=pick, act=st.sampled_from(["retry", "discard"]))
    def settle_dead(self, index: int, act: str) -> None:
        names = sorted(self.world.seen.scores("dead")) or sorted(self.world.batches)
        self.world.settle_dead(names[index % len(names)], act)

    @rule(job=st.sampled_from(["j1", "j2"]))
    def seal(self, job: str) -> None:
        if any(batch.job == job for batch in self.world.batches.values()):
            self.world.seal(job)

    @rule(account=accounts, op=st.sampled_from(["import", "update", ""]), reason=st.sampled_from(["", "key"]))
    def hold_account(self, account: str, op: str, reason: str) -> None:
        self.world.hold("operation" if op else "account", account, op, reason)

    @rule(lane=lanes, reason=st.sampled_from(["", "closed"]))
    def hold_lane(self, lane: str, reason: str) -> None:
        self.world.hold("lane", lane, "", reason)

    # Time, servers, dispatchers, the broker

    @rule(ms=st.sampled_from([10, 300, 1_000, 2_100, 5_100, 12_000, 40_000]))
    def pass_time(self, ms: int) -> None:
        self.world.pass_time(ms)

    @rule(times=st.integers(1, 4))
    def pass_to_next_moment(self, times: int) -> None:
        for _ in range(times):
            self.world.pass_to_next_moment()
            self.world.dispatch()

    @rule(finisher_dies=rarely)
    def dispatch(self, finisher_dies: bool) -> None:
        self.world.dispatch(finisher_dies=finisher_dies)

    @rule(jump=st.sampled_from([0, -20_000, -DAY, 20_000, DAY]))
    def fail_over(self, jump: int) -> None:
        self.world.fail_over(jump)

    @rule(jump=st.sampled_from([0, 0, -DAY]))
    def restart_cleanly(self, jump: int) -> None:
        self.world.fail_over(jump, clean=True)

    @rule(index=pick)
    def lose_message(self, index: int) -> None:
        self.world.lose_message(index)

    @rule(index=pick)
    def double_message(self, index: int) -> None:
        self.world.double_message(index)

    # Workers

    @rule(rounds=st.integers(1, 4))
    def work(self, rounds: int) -> None:
        for _ in range(rounds):
            self.world.work()
            self.world.pass_to_next_moment()

    @rule(index=st.just(0) | pick, begin=st.booleans(), lost_reply=rarely)
    def deliver(self, index: int, begin: bool, lost_reply: bool) -> None:
        self.world.deliver(index, begin=begin, lost_reply=lost_reply)

    @rule(index=pick, jump=jumps)
    def deliver_and_the_server_forgets(self, index: int, jump: int) -> None:
        if self.world.has_messages():
            memory = self.world.remember()
            self.world.deliver(index)
            self.world.fail_over(jump, forgotten=memory)

    @rule(index=pick)
    def begin(self, index: int) -> None:
        if run := self.world.a_run(index):
            self.world.begin(run)

    @rule(index=pick, kind=ends, late=st.sampled_from([0, 0, 1_000, 4_000]), seed=seeds, lost_reply=rarely)
    def leave(self, index: int, **end: Any) -> None:
        if run := self.world.a_run(index):
            self.world.leave(run, **end)

    @rule(index=pick, kind=ends, seed=seeds, jump=jumps)
    def leave_and_the_server_forgets(self, index: int, kind: str, seed: int, jump: int) -> None:
        if run := self.world.a_run(index):
            memory = self.world.remember()
            self.world.leave(run, kind, seed=seed)
            self.world.fail_over(jump, forgotten=memory)

    @rule(index=pick, ms=faults)
    def freeze(self, index: int, ms: int) -> None:
        if run := self.world.a_run(index):
            self.world.freeze(run)
            self.world.pass_time(ms)

    @rule(kind=ends, seed=seeds)
    def wake_up_and_leave(self, kind: str, seed: int) -> None:
        if run := next((run for run in self.world.runs if run.frozen), None):
            self.world.leave(run, kind, seed=seed)

    @rule(account=accounts)
    def look_at_a_campaign(self, account: str) -> None:
        self.world.admit(account)

    @rule(index=pick, ms=faults)
    def kill_worker(self, index: int, ms: int) -> None:
        if run := self.world.a_run(index):
            self.world.kill_worker(run.worker)
            self.world.pass_time(ms)

    @rule()
    def start_worker(self) -> None:
        if len(self.world.workers) < 3:
            self.world.start_worker()

    def teardown(self) -> None:
        # What an act left half done when it failed must not be told as what is wrong.
        if sys.exception() is None:
            self.world.drain()


def live(url: str, *, lives: int, acts: int, same: bool = False) -> None:
    """Runs that many random lives of at most that many acts; the same ones each time if asked for."""
    life = settings(LIFE, max_examples=lives, stateful_step_count=acts, derandomize=same, database=None)
    with Redis.from_url(url) as client:
        run_state_machine_as_test(partial(Life, client), settings=life)


# A time limit that strikes inside a life is told as a flaky strategy, or as whatever the half of an act left behind.
@pytest.mark.timeout(900)
def test_lanes_keep_their_rules(redis_url: str) -> None:
    live(redis_url, lives=40, acts=40, same=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_lanes_keep_their_rules_in_many_lives(redis_url: str) -> None:
    """About ten minutes on two busy cores; what it finds is told as acts that can be lived again to the ms."""
    live(redis_url, lives=LIVES, acts=60)
