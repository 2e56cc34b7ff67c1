"""The chaos suite's judge finds what is wrong, and forgives what nobody could have known."""

from typing import Any

import pytest

from leadlane.ops.chaos.judge import Findings, Freeze, Told, Worker, compare, dark_since, judge, merged
from leadlane.ops.chaos.plan import ROLES, Errand, errand
from leadlane.ops.chaos.standstill import SLACK_S, Cause
from leadlane.workers.verifying import Kept

RIDERS = next(role for role in ROLES if role.name == "riders")
BY_NAME = next(role for role in ROLES if role.by_name)
TIMEOUT_S, LOST_CALL_S, GAP_S = 2.0, 3.0, 0.5
FOREVER = float("inf")


def call(n: int, started: float, ended: float, key: str = "key 1", **more: Any) -> dict[str, Any]:
    """A call that the sandbox answered, as its audit has it; Unix seconds are monotonic ones plus 1000."""
    told = {"operation": "import", "dialer": "voiso", "campaign": "8", "status": 200, "resent": {}}
    return {"n": n, "started": started, "ended": ended, "wall": started + 1000, "key": key} | told | more


def told(of: Errand, outcome: str = "created", **more: Any) -> Told:
    """Its producer was told this outcome of every lead."""
    sums = {"leads": of.leads, outcome: of.leads}
    rows = [(number, outcome) for number in of.numbers()]
    return Told(of, **({"progress": sums, "rows": rows} | more))


def book(of: Errand) -> dict[str, dict[str, dict[str, int]]]:
    """The dialer has every lead."""
    return {of.address: {number.lstrip("+"): {"stored": 1} for number in of.numbers()}}


def found(
    *audit: dict[str, Any],
    by: Told | None = None,
    books: Any = None,
    workers: dict[str, Worker] | None = None,
    freezes: tuple[Freeze, ...] = (),
    causes: tuple[Cause, ...] = (),
    **figures: int,
) -> Findings:
    one = by or told(errand(RIDERS, 0, 1))
    dialer = {"smallest_gap_s": 1.0, "stored_twice": 0, "resent_after_silence": 0} | figures
    return judge(
        [one],
        audit,
        {"dialers": {"voiso": dialer}, "breaches": figures.get("breaches", 0)},
        book(one.errand) if books is None else books,
        workers or {"key 1": Worker("key 1")},
        freezes,
        causes,
        timeout_s=TIMEOUT_S,
        lost_call_s=LOST_CALL_S,
        gap_s=GAP_S,
    )


def test_a_run_in_which_all_is_well_has_nothing_wrong() -> None:
    findings = found(call(1, 0.0, 0.1), call(2, 0.7, 0.8))
    assert (findings.wrong, findings.calls, findings.leads) == (0, 2, errand(RIDERS, 0, 1).leads)


@pytest.mark.parametrize(
    ("second", "name"),
    [((0.05, 0.2), "simultaneous"), ((0.4, 0.5), "within_gap")],
)
def test_calls_of_one_campaign_that_come_too_early_are_told_apart(
    second: tuple[float, float], name: str
) -> None:
    findings = found(call(1, 0.0, 0.1), call(2, *second), breaches=1)
    assert getattr(findings, name) == findings.broken == 1


def test_a_breach_that_only_the_sandbox_has_seen_counts() -> None:
    assert found(breaches=1).other_breaches == 1


def test_requests_of_all_workers_together_must_keep_the_rate() -> None:
    keys = {f"key {i}": Worker(f"key {i}") for i in (1, 2)}
    many = [call(i, i / 1000, i / 1000, f"key {i % 2 + 1}", operation="get_campaign") for i in range(51)]
    assert found(*many, workers=keys).over_rate == 1


@pytest.mark.parametrize(
    ("dark", "ended", "counts"),
    [
        ([], 0.1, "resent_after_answer"),
        ([(0.0, FOREVER)], 0.1, "excused"),
        ([(0.2, FOREVER)], 0.1, "resent_after_answer"),
        ([], TIMEOUT_S, "excused"),  # the client may have left
    ],
)
def test_a_lead_sent_again_after_an_answer_is_doubled_unless_the_answer_died_with_its_worker(
    dark: list[tuple[float, float]], ended: float, counts: str
) -> None:
    again = call(2, 5.0, 5.1, "key 2", resent={"1": 3})
    workers = {"key 1": Worker("key 1", dark), "key 2": Worker("key 2")}
    findings = found(call(1, 0.0, ended), again, workers=workers)
    assert getattr(findings, counts) == 3
    assert findings.doubled == (3 if counts == "resent_after_answer" else 0)


@pytest.mark.parametrize("figure", ["stored_twice", "resent_after_silence"])
def test_what_the_sandbox_calls_doubled_is_doubled(figure: str) -> None:
    assert found(**{figure: 2}).doubled == 2


def test_an_answer_may_have_been_in_the_hands_of_its_worker_as_long_as_redis_was_away() -> None:
    assert dark_since(10.0, []) == 9.0
    assert dark_since(10.0, [(4.0, 7.0)]) == 3.0
    assert dark_since(20.0, [(4.0, 7.0)]) == 19.0


def test_a_lead_without_a_trace_is_lost() -> None:
    of = errand(RIDERS, 0, 1)
    assert found(by=Told(of)).lost == of.leads
    assert found(by=told(of), books={}).lost == of.leads


def test_a_lead_that_is_there_must_not_be_told_to_be_missing() -> None:
    of = errand(RIDERS, 0, 1)
    assert found(by=told(of, "rejected")).mistold == of.leads
    assert found(by=told(of, "rejected"), books={}).wrong == 0
    assert found(by=told(of, "uncertain")).wrong == 0


@pytest.mark.parametrize("state", ["waiting", "dead"])
def test_a_lead_without_an_outcome_is_unsettled(state: str) -> None:
    of = errand(RIDERS, 0, 1)
    assert found(by=told(of, state)).unsettled == of.leads


def test_progress_report_and_result_must_agree() -> None:
    of = errand(RIDERS, 0, 1)
    assert found(by=told(of, progress={"leads": of.leads, "created": of.leads - 1})).sums_broken == 1
    named = errand(BY_NAME, 0, 1)
    right = {"leads": named.leads, "created": named.leads}
    assert found(by=told(named, result=right)).wrong == 0
    assert found(by=told(named)).sums_broken


def waiting(until: float) -> tuple[Told, str]:
    """A complete job from second 0 to this one, and its campaign."""
    by = told(errand(RIDERS, 0, 1), busy=(1000.0, 1000.0 + until))
    return by, by.errand.campaign


def test_a_lane_that_stands_still_for_no_reason_is_wrong() -> None:
    by, campaign = waiting(30.0)
    findings = found(
        call(1, 0.0, 2.0, campaign=campaign), call(2, 8.0, 9.5, campaign=campaign), by=by,
        causes=(Cause(1002.0, 1050.0, "cool-down", "another"),),
    )  # fmt: skip
    assert (findings.standstill.lane, findings.standstill.lasted_s) == (by.errand.address, 20.5)
    assert (findings.beyond_s, findings.wrong, len(findings.notes)) == (20.0, 1, 1)


@pytest.mark.parametrize("where", ["", "voiso", "its lane"])
def test_a_standstill_is_explained_by_what_befell_its_lane_its_account_or_the_fleet(where: str) -> None:
    by, campaign = waiting(30.0)
    lane = by.errand.address if where == "its lane" else where
    causes = (
        Cause(1001.0, 1012.0, "turn lost", lane),
        Cause(1015.0, 1027.0, "restart of Redis", lane),  # before it got going again
    )
    findings = found(call(1, 0.0, 1.0, campaign=campaign), by=by, causes=causes)
    assert findings.standstill.causes == ("turn lost", "restart of Redis")
    assert (findings.beyond_s, findings.wrong) == (3.0, 0)
    late = (causes[0], Cause(1012.1 + SLACK_S, 1027.0, "restart of Redis", lane))
    assert found(call(1, 0.0, 1.0, campaign=campaign), by=by, causes=late).wrong == 1


@pytest.mark.parametrize(
    ("call_", "why", "until"),
    [
        (call(1, 0.0, 0.1, status=None), ("lost call", "backoff"), 4.5),
        (call(1, 0.0, 0.1, status=503), ("backoff",), 4.1),
        (call(1, 0.0, 0.1, status=429), ("429",), 2.1),
        (call(1, 0.0, 0.1), (), 0.6),
    ],
)
def test_a_call_that_failed_lets_its_lane_wait_as_long_as_the_rules_say(
    call_: dict[str, Any], why: tuple[str, ...], until: float
) -> None:
    by, campaign = waiting(12.0)
    findings = found(call_ | {"campaign": campaign}, by=by)
    assert set(findings.standstill.causes) <= set(why)
    assert bool(findings.standstill.causes) == bool(why)
    assert findings.beyond_s == pytest.approx(12.0 - until)


def test_after_a_429_all_lanes_of_the_account_wait_for_the_end_of_the_call_that_goes_first() -> None:
    by, campaign = waiting(30.0)
    throttled = call(1, 0.0, 0.1, campaign=campaign, status=429)
    probe = call(2, 2.5, 14.5, campaign="another", status=None)
    findings = found(throttled, probe, by=by)
    assert findings.standstill.causes == ("429", "probe")
    assert findings.beyond_s == pytest.approx(15.5)
    assert found(throttled, probe | {"dialer": "another"}, by=by).standstill.causes == ("429",)


def frozen(*audit: dict[str, Any], **more: Any) -> Findings:
    """Key 1 stood still from second 10 to 70 with a turn in the lane; key 2 lived."""
    freeze = Freeze("key 1", 10.0, 70.0, ("voiso/8",))
    workers = {"key 1": Worker("key 1", [(9.0, 70.0)]), "key 2": Worker("key 2", **more)}
    return found(*audit, workers=workers, freezes=(freeze,))


def test_a_worker_that_was_frozen_may_call_again_in_a_new_turn() -> None:
    findings = frozen(call(1, 9.9, 10.2), call(2, 20.0, 20.1, "key 2", resent={"1": 5}), call(3, 70.1, 70.2))
    assert (findings.frozen_turns, findings.frozen_calls, findings.taken_over) == (1, 1, 1)
    assert (findings.unleased, findings.excused, findings.wrong) == (0, 5, 0)


@pytest.mark.parametrize(
    "stray",
    [call(3, 30.0, 30.1), call(3, 70.1, 70.2, resent={"2": 5})],
    ids=["while it stands still", "with leads that another has brought meanwhile"],
)
def test_a_call_of_a_worker_for_a_turn_that_it_lost_is_wrong(stray: dict[str, Any]) -> None:
    assert frozen(call(2, 20.0, 20.1, "key 2"), stray).unleased == 1


def test_spans_that_touch_are_one() -> None:
    assert merged([(3.0, 4.0), (0.0, 2.0), (1.0, 2.5)]) == [(0.0, 2.5), (3.0, 4.0)]


@pytest.mark.parametrize(
    ("calls", "silent", "breaches", "wrong", "unwritten"),
    [(2, 0, 0, 0, 0), (3, 1, 0, 0, 0), (3, 0, 0, 1, 0), (1, 0, 0, 0, 1), (2, 0, 2, 2, 0)],
)
def test_the_ledger_must_agree_with_the_audit(
    calls: int, silent: int, breaches: int, wrong: int, unwritten: int
) -> None:
    audit = [call(1, 0.0, 0.1), call(2, 0.7, 0.8)]
    findings = found(*audit)
    compare(findings, audit, [Kept("voiso/8", calls, without_answer=silent, too_early=breaches)])
    assert (findings.wrong, findings.unwritten) == (wrong, unwritten)


def test_a_campaign_of_which_the_ledger_knows_nothing_is_unwritten() -> None:
    audit = [call(1, 0.0, 0.1), call(2, 0.7, 0.8)]
    findings = found(*audit)
    compare(findings, audit, [])
    assert findings.unwritten == 2
