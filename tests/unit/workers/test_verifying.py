"""The judge of the call ledger: what it finds in calls that a test made up, and what it lets pass."""

from itertools import count
from typing import Any

import pytest

from leadlane.schemas.rates import Rate
from leadlane.workers.verifying import Call, Kept, Rules, judge

VOISO = Rules(exclusive=True, gap_s=2.0, most={"import": 1000, "update": 1000})
SINGLE = Rules(exclusive=False, gap_s=0.0, most={"import": 1}, rates=(Rate(3, 1.0),))
LEADS, STATE = "leads/voiso/x/1", "state/voiso/x/1"
ids = count()


def made(start: int, end: int, **more: Any) -> Call:
    """A call of 10 leads from and to these ms."""
    given: dict[str, Any] = {
        "lane": LEADS, "account": "acme", "operation": "import", "size": 10, "answer": "200",
        "id": f"token{next(ids)}/1", "worker": "w", "seq": 0,
    }  # fmt: skip
    return Call(start=start, end=end, **(given | more))


def word(start: int, operation: str, seq: int, **more: Any) -> Call:
    return made(start, start + 100, lane=STATE, operation=operation, size=0, seq=seq, **more)


def kept(*calls: Call, rules: Rules | None = VOISO) -> Kept:
    (one,) = judge(calls, {"acme": rules, "other": rules})
    return one


def test_calls_one_after_another_with_the_gap_between_them_break_nothing() -> None:
    found = kept(made(0, 300), made(2300, 2700, size=1000), made(4900, 5000))
    assert (found.campaign, found.calls, found.breaches) == ("acme/1", 3, 0)
    assert (found.most_at_once, found.smallest_gap_s, found.largest_call) == (1, 2.0, 1000)


@pytest.mark.parametrize(
    ("calls", "breach"),
    [
        ([made(0, 300), made(100, 400)], "simultaneous"),
        ([made(0, 300), made(0, 300)], "simultaneous"),
        ([made(0, 9000), made(100, 400, account="other")], "simultaneous"),
        ([made(0, 300), made(2200, 2300)], "too_early"),
        ([made(0, 300), made(2297, 2400, operation="update")], "too_early"),
        ([made(0, 300, size=1001)], "too_large"),
        ([word(0, "stop", 2), word(500, "start", 1)], "starts_after_newer_stop"),
        ([word(0, "pause", 2), word(500, "stop", 1), word(700, "start", 1)], "starts_after_newer_stop"),
    ],
)
def test_a_planted_breach_is_found_and_nothing_else(calls: list[Call], breach: str) -> None:
    found = kept(*calls)
    assert getattr(found, breach) == found.breaches == 1


def test_what_came_before_is_not_counted_but_what_came_too_soon_after_it_is() -> None:
    before = [
        made(0, 300, size=1001, entry="300-0"),
        made(100, 400, entry="400-0"),
        word(100, "stop", 2, entry="400-1"),
    ]
    after = [made(1_400, 1_500, entry="1500-0"), word(1_400, "start", 1, entry="1500-1")]
    (found,) = judge([*before, *after], {"acme": VOISO}, since_ms=1_000)
    assert (found.calls, found.largest_call, found.most_at_once, found.smallest_gap_s) == (2, 10, 1, 1.0)
    assert (found.too_early, found.starts_after_newer_stop, found.breaches) == (1, 1, 2)
    assert judge(before, {"acme": VOISO}, since_ms=1_000) == []


@pytest.mark.parametrize("jump", [-3_600_000, -4_000, 4_000, 3_600_000])
def test_a_server_with_another_clock_neither_makes_a_breach_nor_hides_one(jump: int) -> None:
    """Workers' clocks are 70 ms behind the first server's; the second one's differs by the jump."""

    def told(start: int, end: int, run: str, by: int = 0, **more: Any) -> Call:
        return made(start + by, end + by, run=run, skew=70 + by, **more)

    first = [told(0, 300, "one"), told(2_300, 2_400, "one")]
    assert kept(*first, told(4_400, 4_500, "two", jump)).breaches == 0
    found = kept(*first, told(3_400, 3_500, "two", jump))
    assert (found.too_early, found.breaches, found.smallest_gap_s) == (1, 1, 1.0)


def test_two_ms_are_rounding() -> None:
    assert kept(made(0, 300), made(2298, 2400)).breaches == 0


def test_a_gap_is_counted_from_the_last_end_not_from_the_last_start() -> None:
    found = kept(made(0, 5000), made(100, 200), made(2300, 2400))
    assert (found.simultaneous, found.too_early, found.most_at_once) == (2, 0, 2)
    assert found.smallest_gap_s == 0.0


def test_looks_and_commands_are_not_bound_by_the_gap_of_leads() -> None:
    calls = [made(0, 300), made(310, 320, operation="look", size=0), word(100, "start", 1)]
    assert kept(*calls).breaches == 0


def test_a_stop_after_a_start_and_a_newer_start_are_as_they_should_be() -> None:
    assert kept(word(0, "start", 1), word(50, "stop", 2), word(500, "start", 3)).breaches == 0


def test_where_several_calls_at_once_are_allowed_only_size_and_rate_are_judged() -> None:
    found = kept(made(0, 300, size=1), made(10, 300, size=1), made(20, 300, size=1), rules=SINGLE)
    assert (found.most_at_once, found.smallest_gap_s, found.breaches) == (3, None, 0)
    one_more = [made(start, start + 5, size=1) for start in (0, 10, 20, 990, 1010)]
    assert kept(*one_more, rules=SINGLE).over_rate == 1


def test_the_rate_is_of_the_account_over_all_its_campaigns() -> None:
    calls = [made(i, i + 1, size=1, lane=f"leads/voicery/x/{i}") for i in range(4)]
    assert [one.over_rate for one in judge(calls, {"acme": SINGLE})] == [0, 0, 0, 1]
    assert sum(one.over_rate for one in judge(calls, {"acme": VOISO})) == 0


def test_what_a_worker_tells_late_takes_the_place_of_what_was_taken_for_lost() -> None:
    lost = made(0, 6000, answer="lost", id="one/1")
    told = made(20, 60_000, id="one/1")  # it was frozen, and read the answer a minute later
    after = made(8000, 8100)
    for calls in ((lost, told, after), (told, lost, after)):
        found = kept(*calls)
        assert (found.calls, found.without_answer, found.breaches, found.smallest_gap_s) == (2, 0, 0, 2.0)


def test_what_was_sent_after_it_was_given_up_for_lost_counts_as_it_was() -> None:
    lost, after = made(0, 6000, answer="lost", id="one/1"), made(8000, 9000)
    for sent, broken in (((8500, 8600), "simultaneous"), ((7900, 8200), "simultaneous")):
        found = kept(lost, made(*sent, id="one/1"), after)
        assert getattr(found, broken) == 1, sent


def test_a_lost_call_counts_as_long_as_it_may_run() -> None:
    found = kept(made(0, 6000, answer="lost"), made(5000, 5100))
    assert (found.without_answer, found.simultaneous) == (1, 1)


def test_a_call_that_was_written_twice_is_one() -> None:
    assert kept(made(0, 300, id="one/1"), made(1, 301, id="one/1")).calls == 1


def test_accounts_with_keys_to_one_contact_centre_share_its_campaigns() -> None:
    assert kept(made(0, 300), made(2300, 2400, account="other")).campaign == "acme/1, other/1"


def test_calls_of_an_account_that_nobody_knows_are_counted_and_not_judged() -> None:
    found = kept(made(0, 300), made(0, 300), rules=None)
    assert (found.calls, found.breaches) == (2, 0)
