"""Start, pause and stop at a dialer that a test plays: what is sent, what is looked at, how it ends."""

import json
from collections.abc import Callable

import httpx
import pytest
import structlog

from leadlane.workers import states
from tests.unit.workers.desk import KEY, Desk

CAMPAIGN = "/api/v4/campaigns/3"
Answer = httpx.Response | Exception | Callable[[], httpx.Response]


def is_(status: str) -> httpx.Response:
    return httpx.Response(200, json={"campaign": {"id": 3, "status": status}})


def bare(status: str) -> httpx.Response:
    return httpx.Response(200, json={"id": 3, "status": status})


def refused(words: str) -> httpx.Response:
    return httpx.Response(409, json={"errors": {"campaign": [words]}})


def error(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": f"said {status}"}, headers=headers)


LOST = httpx.ReadError("the line was cut")


class Dialer:
    """Answers in the order given; a call that nobody foresaw fails the test."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.url.path.startswith(CAMPAIGN)
        assert not request.content
        self.asked.append(f"{request.method} {request.url.path.removeprefix(CAMPAIGN)}".strip())
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer()


def desk(*answers: Answer, **account: object) -> tuple[Desk, Dialer]:
    dialer = Dialer(*answers)
    return Desk(dialer, "voiso", "3", **account), dialer


def run(desk: Desk, ticket: str, *, turns: int = 20) -> dict[str, object]:
    """The fate of a command that has had all its turns."""
    for _ in range(turns):
        if desk.fields(ticket)["state"] in ("done", "dead"):
            break
        until = float(desk.fields(ticket).get("not_before", 0)) - desk.engine.jobs._now_ms()
        offset = int(desk.client.hget("leadlane:clock", "offset") or 0)
        desk.later(max(until - offset, 0) / 1000)
        desk.turn(ticket)
    return desk.fate(ticket)


@pytest.mark.parametrize(
    ("operation", "status"),
    [("start", "active"), ("pause", "paused"), ("pause", "auto_paused"), ("stop", "stopped"), ("stop", "completed")],
)  # fmt: skip
def test_a_state_that_is_as_asked_is_reached(operation: str, status: str) -> None:
    at, dialer = desk(bare(status))
    fate = run(at, at.command(operation))
    assert (fate["outcome"], fate["state"], fate["reason"]) == ("reached", status, None)
    assert dialer.asked == [f"POST /{operation}"]


def test_a_campaign_on_its_way_is_looked_at_until_it_is_there() -> None:
    at, dialer = desk(bare("stopping"), is_("stopping"), is_("stopped"))
    fate = run(at, at.command("stop"))
    assert (fate["outcome"], fate["state"], fate["calls"]) == ("reached", "stopped", 3)
    assert dialer.asked == ["POST /stop", "GET", "GET"]


def test_a_campaign_that_never_arrives_is_not_looked_at_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "SETTLES_S", 3.0)
    at, _ = desk(bare("stopping"), *[is_("stopping")] * 8)
    fate = run(at, at.command("stop"))
    assert (fate["outcome"], fate["state"]) == ("accepted", "stopping")
    assert "was not seen to become otherwise" in str(fate["reason"])


def test_a_campaign_that_paused_itself_needs_no_new_start() -> None:
    at, dialer = desk(refused("cannot start a campaign that is auto_paused"), is_("auto_paused"))
    fate = run(at, at.command("start"))
    assert (fate["outcome"], fate["state"]) == ("accepted", "auto_paused")
    assert dialer.asked == ["POST /start", "GET"]


@pytest.mark.parametrize("status", ["stopped", "completed"])
def test_a_stop_that_is_refused_because_the_campaign_is_stopped_is_reached(status: str) -> None:
    at, dialer = desk(refused(f"cannot stop a campaign that is {status}"), is_(status))
    fate = run(at, at.command("stop"))
    assert (fate["outcome"], fate["state"]) == ("reached", status)
    assert dialer.asked == ["POST /stop", "GET"]  # in one turn


def test_a_stop_that_is_refused_while_a_start_is_under_way_goes_through_after_it() -> None:
    at, dialer = desk(
        refused("cannot stop a campaign that is processing"), is_("processing"), is_("active"), bare("stopped")
    )  # fmt: skip
    assert run(at, at.command("stop"))["outcome"] == "reached"
    assert dialer.asked == ["POST /stop", "GET", "GET", "POST /stop"]


def test_a_refusal_for_good_tells_the_dialers_words_and_the_state() -> None:
    at, dialer = desk(
        *[refused("pause is valid for active campaigns only"), is_("stopped")] * states.CONFLICTS
    )
    fate = run(at, at.command("pause"))
    assert fate["outcome"] == "rejected"
    assert fate["state"] == "stopped"
    assert "pause is valid for active campaigns only" in str(fate["reason"])
    assert str(fate["reason"]).endswith("the campaign is stopped")
    assert dialer.asked == ["POST /pause", "GET"] * states.CONFLICTS


def test_a_look_that_is_not_allowed_leaves_the_command_to_its_own_answers() -> None:
    """A key may have the scope to stop a campaign and not to see it: nothing is held for that."""
    at, _ = desk(*[refused("is not active"), error(403)] * states.CONFLICTS)
    fate = run(at, at.command("stop"))
    assert (fate["outcome"], fate["reason"]) == ("rejected", "campaign is not active") or fate[
        "state"
    ] is None
    assert at.told("hold:stop") == ""
    assert "is not active" in str(fate["reason"])


def test_a_lost_start_is_looked_at_before_it_is_sent_again() -> None:
    at, dialer = desk(LOST, is_("paused"), LOST, is_("active"))
    fate = run(at, at.command("start"))
    assert fate["outcome"] == "reached"
    assert dialer.asked == ["POST /start", "GET", "POST /start", "GET"]


def test_a_lost_look_does_not_make_a_command_lost() -> None:
    at, _ = desk(bare("stopping"), LOST, is_("stopped"))
    ticket = at.command("stop")
    at.turn(ticket)
    at.later(1)
    at.turn(ticket)
    assert "unsure:stop" not in [
        name.decode() for name in at.client.hkeys("leadlane:lane:state/voiso/dialer.test/3")
    ]
    assert run(at, ticket)["outcome"] == "reached"


@pytest.mark.parametrize("first", [LOST, error(504)])
def test_a_stop_after_a_lost_start_is_sent_at_once_and_confirmed_when_the_start_can_no_longer_run(
    first: Answer,
) -> None:
    at, dialer = desk(first, bare("stopped"), is_("active"), bare("stopped"), lost_call_s=30.0)
    start = at.command("start")
    at.turn(start)
    stop = at.command("stop")
    at.turn(stop)
    assert at.fate(start)["outcome"] == "superseded"
    assert dialer.asked == ["POST /start", "POST /stop"]
    assert "looked at again" in at.fields(stop)["reason"]
    at.later(20)
    assert at.turn(stop).verdict == "parked"  # not before
    assert len(dialer.asked) == 2
    fate = run(at, stop)  # the lost start did run: it is stopped once more
    assert (fate["outcome"], fate["state"]) == ("reached", "stopped")
    assert dialer.asked == ["POST /start", "POST /stop", "GET", "POST /stop"]


def test_a_stop_given_while_a_start_is_being_refused_spares_the_look() -> None:
    at, dialer = desk(lambda: (at.command("stop"), refused("later"))[1])
    start = at.command("start")
    at.turn(start)
    assert dialer.asked == ["POST /start"]
    assert at.fate(start)["outcome"] == "superseded"


def test_a_start_that_is_overtaken_after_it_was_granted_is_not_sent() -> None:
    at, dialer = desk()
    start = at.command("start")
    wanted = at.engine.lanes.wanted

    def overtaken(lane: str) -> object:
        at.command("stop")
        return wanted(lane)

    at.engine.lanes.wanted = overtaken  # type: ignore[method-assign]
    assert at.turn(start).verdict == "done"
    assert dialer.asked == []
    assert at.fate(start)["outcome"] == "superseded"


def test_a_worker_that_died_in_a_start_may_have_sent_it() -> None:
    at, dialer = desk(is_("active"))
    start = at.command("start")
    at.engine.lanes.enter(
        start, "dead", number=0, lease_ms=1000, turn_ms=1000, lost_ms=1000, gap_ms=0, room=1
    )
    at.later(2)
    at.engine.lanes.alive("w", for_ms=10_000, slots={"control": 0})
    at.engine.lanes.dispatch()
    assert run(at, start)["outcome"] == "reached"
    assert dialer.asked == ["GET"]


def test_a_429_costs_no_attempt_and_cools_the_account() -> None:
    at, dialer = desk(error(429, **{"retry-after": "7"}), bare("stopped"))
    stop = at.command("stop")
    at.turn(stop)
    assert at.fields(stop)["attempts"] == "0"
    assert at.turn(stop).verdict == "parked"
    at.later(7)
    assert run(at, stop)["outcome"] == "reached"
    assert dialer.asked == ["POST /stop"] * 2


def test_a_503_did_nothing_and_is_sent_again_without_a_look() -> None:
    at, dialer = desk(error(503), bare("stopped"))
    assert run(at, at.command("stop"))["outcome"] == "reached"
    assert dialer.asked == ["POST /stop"] * 2


@pytest.mark.parametrize(("status", "held"), [(401, "hold"), (403, "hold:start")])
def test_a_key_that_may_not_holds_what_it_may_not(status: int, held: str) -> None:
    at, _ = desk(error(status))
    start = at.command("start")
    at.turn(start)
    assert at.told(held) == f"{status}: said {status}"
    assert at.fields(start)["state"] == "waiting"


@pytest.mark.parametrize("status", [404, 405, 418])
def test_an_answer_that_nothing_follows_from_is_a_dead_letter(status: int) -> None:
    at, _ = desk(error(status))
    stop = at.command("stop")
    end = at.turn(stop)
    assert (end.verdict, end.detail) == ("dead", f"{status}: said {status}")
    assert at.fate(stop)["outcome"] == "dead"
    assert at.fate(stop)["reason"] == f"{status}: said {status}"


def test_a_dead_stop_still_keeps_older_starts_away() -> None:
    at, _ = desk(error(404))
    at.turn(at.command("stop", seq=9))
    assert at.fate(at.command("start", seq=8))["outcome"] == "superseded"


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_that_is_no_conflict_is_the_end(status: int) -> None:
    at, _ = desk(error(status))
    fate = run(at, at.command("start"))
    assert (fate["outcome"], fate["reason"]) == ("rejected", f"said {status}")


def test_a_yes_that_does_not_tell_the_state_is_looked_after() -> None:
    at, dialer = desk(httpx.Response(204), is_("stopped"))
    assert run(at, at.command("stop"))["outcome"] == "reached"
    assert dialer.asked == ["POST /stop", "GET"]


def test_a_dialer_that_says_yes_and_does_nothing_is_not_asked_for_ever() -> None:
    at, dialer = desk(*[httpx.Response(204), is_("active")] * 40)
    fate = run(at, at.command("stop"), turns=60)
    assert fate["outcome"] == "dead"
    assert "too_many_attempts" in str(fate["reason"])
    assert dialer.asked.count("POST /stop") <= at.engine.settings.max_attempts + 1


def test_without_its_payload_a_command_is_dead() -> None:
    at, _ = desk()
    stop = at.command("stop")
    at.client.delete(f"leadlane:pay:{stop}")
    end = at.turn(stop)
    assert (end.verdict, end.detail) == ("dead", "payload_lost")


def test_the_second_call_of_a_turn_takes_a_slot_of_the_rate() -> None:
    at, _ = desk(refused("no"), is_("stopped"))
    at.client.hset("leadlane:acct:acct", "gcra", "1000:0")
    slept: list[float] = []
    later = at.engine.sleep
    at.engine.sleep = lambda seconds: (slept.append(seconds), later(seconds))[1]
    assert run(at, at.command("stop"))["outcome"] == "reached"
    assert slept
    assert 0.5 < slept[0] <= 1.0
    assert float(at.told("tat1")) > at.engine.jobs._now_ms() + 1000


def test_the_log_tells_how_a_command_ended_and_why() -> None:
    at, _ = desk(error(422))
    with structlog.testing.capture_logs() as lines:
        at.turn(at.command("start"))
    (line,) = [line for line in lines if line["event"] == "command ended"]
    assert (line["asked"], line["outcome"], line["reason"]) == ("start", "rejected", "said 422")


def test_what_a_command_returns_holds_ids_only() -> None:
    at, _ = desk(bare("stopped"))
    stop = at.command("stop")
    result = at.turn(stop).result
    assert result == at.fate(stop) | {"waited_s": result["waited_s"]}
    assert json.loads(json.dumps(result)) == {
        "campaign": "acct/3", "command": stop, "asked": "stop", "outcome": "reached", "state": "stopped",
        "reason": None, "calls": 1, "waited_s": result["waited_s"],
    }  # fmt: skip
