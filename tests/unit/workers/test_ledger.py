"""What the ledger makes of answers, and of a batch whose payload is gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlane.workers.ledger import manifest, settle_all
from leadlane.workers.providers.contract import Reading
from tests.unit.workers.boarding import aboard
from tests.unit.workers.desk import Desk, FakeDialer, leads

A, B = "4930111", "4930222"


@pytest.mark.parametrize("before", ["~~.", ",~.", "~,."])
def test_a_number_that_stands_twice_is_reconciled_once(before: str) -> None:
    """Our lost attempt has created one lead of it, not two."""
    one = aboard([A, A, B], before)
    settle_all([one], manifest([one], "import"), Reading(codes={A: "d", B: "d"}))
    assert one.text == "Cdd"


def test_a_number_is_reconciled_in_the_batch_whose_answer_was_lost() -> None:
    new, lost = aboard([A], "."), aboard([A], "~")
    settle_all([new, lost], manifest([new, lost], "import"), Reading(codes={A: "d"}))
    assert (new.text, lost.text) == ("d", "C")


@given(
    numbers=st.lists(st.sampled_from([A, B, "4930333"]), min_size=1, max_size=4),
    named=st.dictionaries(st.sampled_from([A, B, "4930333"]), st.sampled_from("cdr"), max_size=3),
    before=st.sampled_from([".", "~", ","]),
    options=st.sampled_from(["", "update"]),
)
def test_a_batch_settled_at_once_ends_as_row_by_row(
    numbers: list[str], named: dict[str, str], before: str, options: str
) -> None:
    codes = before + "." * (len(numbers) - 1)
    at_once, by_row = (aboard(numbers, codes, options=options) for _ in range(2))
    settle_all([at_once], manifest([at_once], "import"), Reading(named))
    nobody = {"4930999": "f"}  # what comes later is looked for row by row
    settle_all([by_row], manifest([by_row], "import"), Reading(named, later=nobody))
    assert (at_once.text, at_once.why) == (by_row.text, by_row.why)


@pytest.mark.parametrize(("lost", "ends"), [("1", "??"), ("", "xx")])
def test_leads_that_may_have_left_are_uncertain_though_their_payload_is_gone(lost: str, ends: str) -> None:
    desk = Desk(FakeDialer(), "voiso", "3")
    ticket = desk.put(leads(2))
    if lost:
        desk.client.hset(f"leadlane:t:{ticket}", "lost", lost)
    desk.client.delete(f"leadlane:pay:{ticket}")
    end = desk.turn(ticket)
    assert (end.verdict, end.detail) == ("dead", "payload_lost")
    assert desk.engine.lanes.cancel(ticket) == "cancelled"
    assert desk.codes(ticket) == ends
