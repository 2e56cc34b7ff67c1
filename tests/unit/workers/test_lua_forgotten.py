"""A server that failed over has forgotten tickets; what their calls brought is kept for whoever submits them again."""

import pytest

from tests.unit.workers.lane_kit import LOST, Kit, move

MOMENT = 3_000


@pytest.fixture
def kit() -> Kit:
    """Ticket ``a`` was granted its turn; then the server forgot it, and the keeper has asserted the turn again."""
    kit = Kit()
    kit.submit("a", may_call=False)
    kit.granted("a")
    kit.client.flushall()
    kit = Kit()
    kit.boot("one")
    kit.client.hset("P:clock", "lost", 60_000)
    kit.boot("two")
    assert kit.renew("a") == []
    return kit


def test_an_answer_for_a_forgotten_ticket_makes_no_ticket(kit: Kit) -> None:
    kit.leave(move("a", codes="cd"))
    assert kit.ticket("a") == {}
    assert kit.job() == {}
    assert kit.lane()["state"] == "idle"


def test_a_ticket_submitted_again_has_what_its_call_brought(kit: Kit) -> None:
    kit.leave(move("a", codes="cr", why={"1": "no"}))
    assert not kit.lives_for_ever("out", "a")
    assert kit.submit("a") is None
    assert (kit.state("a"), kit.codes("a")) == ("done", "cr")
    assert {name: kit.job()[name] for name in ("leads", "n:c", "n:r", "done")} == {
        "leads": "2", "n:c": "1", "n:r": "1", "done": "1",
    }  # fmt: skip
    assert kit.hash("why", "a") == {"1": "no"}


def test_what_is_still_to_be_sent_of_it_waits(kit: Kit) -> None:
    kit.leave(move("a", act="again", codes="c."))
    kit.submit("a")
    assert (kit.state("a"), kit.codes("a")) == ("waiting", "c.")
    assert kit.lives_for_ever("out", "a")
    assert kit.job()["n:c"] == "1"


def test_it_may_be_told_before_and_after_it_is_submitted_again(kit: Kit) -> None:
    kit.leave(move("a", codes="cc"), replay=True, token="earlier")
    kit.submit("a")
    kit.leave(move("a", codes="cc"), replay=True, token="earlier")
    kit.leave(move("a", codes="cc"))
    assert kit.codes("a") == "cc"
    assert kit.job()["n:c"] == "2"


def test_a_later_word_does_not_undo_an_earlier_one(kit: Kit) -> None:
    kit.leave(move("a", codes="c?"), replay=True, token="earlier")
    kit.leave(move("a", act="again", codes="..", why={}), token="late")
    kit.submit("a")
    assert kit.codes("a") == "c?"


class TestAway:
    """The server is there again after no worker could reach it for longer than a lease; it has forgotten nothing."""

    @pytest.fixture
    def back(self) -> Kit:
        kit = Kit()
        kit.client.hset("P:clock", "lost", LOST)
        kit.submit("a", may_call=False)
        kit.submit("b", lane="leads/voiso/x/2", may_call=False)
        kit.granted("a")
        kit.client.hincrby("P:clock", "offset", 10 * LOST)
        return kit

    def test_no_turn_is_given_before_answers_in_hand_are_told(self, back: Kit) -> None:
        assert back.called() == []
        back.pass_ms(MOMENT - 1)
        assert back.called() == []
        assert back.leave(move("a", codes="cc")) is not None
        assert back.codes("a") == "cc"
        back.pass_ms(1)
        assert back.called() == ["b"]  # and not `a`

    def test_that_happens_once(self, back: Kit) -> None:
        back.called()
        back.pass_ms(MOMENT)
        assert back.called() == ["b", "a"]
        back.pass_ms(1)
        assert back.at("clock", "quiet") == 10 * LOST + MOMENT

    def test_where_no_turn_was_under_way_nobody_waits(self) -> None:
        kit = Kit()
        kit.client.hset("P:clock", "lost", LOST)
        kit.client.hincrby("P:clock", "offset", 10 * LOST)
        kit.lanes.alive("worker", for_ms=60_000, slots={"turns": 1})
        assert kit.submit("a") is not None
