"""What an answer does to the batches aboard."""

import pytest

from leadlane.workers.ledger import manifest
from leadlane.workers.providers import PROVIDERS
from leadlane.workers.search import Search
from leadlane.workers.verdicts import Answered, Verdict, answered, silence
from tests.unit.workers.boarding import aboard

VOISO = PROVIDERS["voiso"]
IMPORT = VOISO.operations["import"]
NUMBERS = ["4930111", "4930222"]


def after(status: int, **fields: str) -> Verdict:
    """Both numbers were sent, and this came back; 0 for nothing."""
    one = aboard(NUMBERS, "..", **fields)
    if not status:
        return silence([one], IMPORT, "timeout", left=True, dice=lambda: 0.0)
    answer = Answered(status, {"error": "no"})
    return answered([one], manifest([one], "import"), VOISO, IMPORT, answer, dice=lambda: 0.0)


@pytest.mark.parametrize("status", [0, 401, 403, 409, 429, 500, 503])
@pytest.mark.parametrize("solo", [True, False])
def test_who_travels_alone_does_so_until_a_call_has_shown_more(status: int, solo: bool) -> None:
    (move,) = after(status, **({"solo": "1"} if solo else {})).moves
    assert move.act == "again"
    assert ("solo" in move.document(called=True)) == solo


def test_each_of_two_leads_refused_alone_keeps_the_words_of_its_own_refusal() -> None:
    suspected = Search(suspects=(1,), suspected=(0,), words="too short")
    one = aboard(NUMBERS, "..", search=suspected.to_json())
    answer = Answered(422, {"error": "too long"})
    answered([one], manifest([one], "import"), VOISO, IMPORT, answer, dice=lambda: 0.0)
    assert (one.text, one.why) == ("rr", {"0": "too short", "1": "too long"})
