"""What an account's settings make of its dialer: switches, leads a call, files, calls of their own."""

import json
from typing import Any

import httpx
import pytest

from leadlane.ops.sandbox.upload import file_of, rows_of
from leadlane.schemas.errors import UnsupportedOperation, WrongUse
from leadlane.workers.accounts import Facts, read_facts
from leadlane.workers.ledger import LOST_WORDS
from leadlane.workers.slices import UNKNOWN_LEAD
from tests.unit.workers.desk import Desk, FakeDialer, leads, number

LOST = httpx.ReadError("gone")
SIBLINGS = frozenset({"sibling_operations"})


def until_done(desk: Desk, ticket: str, turns: int = 12) -> int:
    for n in range(1, turns + 1):
        if desk.turn(ticket).verdict == "done":
            return n
        desk.later(5)
    raise AssertionError(f"not done after {turns} turns: {desk.codes(ticket)} {desk.fields(ticket)}")


class Bulk:
    """VoiceAIWrapper: does what it is told; `odd` are answers to its first calls."""

    def __init__(self, *odd: Any) -> None:
        self.odd = list(odd)
        self.calls: list[list[dict[str, Any]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)
        self.calls.append(items)
        answer = self.odd.pop(0) if self.odd else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer  # type: ignore[no-any-return]
        results = [{"index": i, "success": True} for i in range(len(items))]
        return httpx.Response(200, json={"status": "success", "message": "done", "results": results})


class Files:
    """DialNexa's upload; `odd` are answers to its first calls. Remembers the rows of each file."""

    def __init__(self, *odd: Any) -> None:
        self.odd = list(odd)
        self.files: list[list[dict[str, str]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("POST", "/v1/campaigns-leads/upload-file/cmp_1")
        name, content = file_of(request.content, request.headers["content-type"], "file")
        rows = [row for _, row in rows_of(name, content)[1]]
        self.files.append(rows)
        answer = self.odd.pop(0) if self.odd else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            return answer  # type: ignore[no-any-return]
        return httpx.Response(201, json={"leads_created": len(rows), "leads_skipped": 0})


def wrapper(dialer: Bulk, **account: Any) -> Desk:
    return Desk(dialer, "voiceaiwrapper", "camp_1", **account)


def nexa(dialer: Files) -> Desk:
    return Desk(dialer, "dialnexa", "cmp_1", switches=frozenset({"file_upload"}))


def flagged(rows: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """Updates of numbers, each with a flag or a name."""
    return [{"phone_number": number(i), **({flag: True} if flag else {"name": "Ann"})} for i, flag in rows]


# Facts ----------------------------------------------------------------------------------------------------


def test_what_is_behind_a_switch_is_refused_with_the_switch_that_turns_it_on() -> None:
    facts = read_facts(Desk(FakeDialer(), "voicery", "3").engine.lanes, "acct")
    for operation in ("update", "remove", "start", "stop"):
        with pytest.raises(UnsupportedOperation) as refused:
            facts.check(operation)
        assert "sibling_operations = true" in str(refused.value)
        assert f"'{operation}'" in str(refused.value)
    with pytest.raises(UnsupportedOperation) as refused:
        facts.check("pause")
    assert refused.value.switch == ""
    assert facts.dialer.supported == ("import",)


def test_what_is_switched_on_is_there() -> None:
    facts = read_facts(Desk(FakeDialer(), "voicery", "3", switches=SIBLINGS).engine.lanes, "acct")
    for operation in ("import", "update", "remove", "start", "stop"):
        facts.check(operation)
    facts.check("import", "update")


def test_facts_of_an_older_worker_have_no_switches() -> None:
    desk = Desk(FakeDialer(), "dialnexa", "cmp_1", switches=frozenset({"file_upload"}))
    raw = json.loads(desk.told("facts"))
    assert raw.pop("switches") == ["file_upload"]
    desk.client.hset("leadlane:acct:acct", "facts", json.dumps(raw))
    facts = read_facts(desk.engine.lanes, "acct")
    assert facts == Facts("acct", "dialnexa", "http://dialer.test", None, "possible")
    with pytest.raises(UnsupportedOperation, match="file_upload = true"):
        facts.check("upload")


def test_a_file_cannot_bring_updates_of_duplicates() -> None:
    facts = read_facts(nexa(Files()).engine.lanes, "acct")
    with pytest.raises(WrongUse, match="on_duplicate"):
        facts.check("upload", "update")


# VoiceAIWrapper -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("set_to", "sizes"), [(None, [100, 100, 50]), (120, [120, 120, 10]), (1, [1, 1, 1])])
def test_an_account_says_how_many_leads_a_call_has(set_to: int | None, sizes: list[int]) -> None:
    dialer = Bulk()
    desk = wrapper(dialer, leads_per_call=set_to)
    ticket = desk.put(leads(250 if set_to != 1 else 3))
    until_done(desk, ticket)
    assert [len(call) for call in dialer.calls] == sizes
    assert set(desk.codes(ticket)) == {"a"}


def test_an_add_without_an_answer_is_not_sent_again() -> None:
    dialer = Bulk(LOST)
    desk = wrapper(dialer)
    ticket = desk.put(leads(3))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "???"
    assert len(dialer.calls) == 1


def test_an_add_without_an_answer_is_sent_again_where_duplicates_are_ignored() -> None:
    dialer = Bulk(LOST)
    desk = wrapper(dialer, switches=frozenset({"duplicates_ignored"}))
    ticket = desk.put(leads(3))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "aaa"
    assert dialer.calls[0] == dialer.calls[1]


def test_an_add_whose_answer_cannot_be_read_is_uncertain_and_says_why() -> None:
    dialer = Bulk(httpx.Response(200, text="<html>"))
    desk = wrapper(dialer)
    ticket = desk.put(leads(3))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "???"
    assert desk.reasons(ticket) == {"?": "200: the dialer's answer cannot be read"}
    assert len(dialer.calls) == 1


def test_updates_with_a_flag_travel_in_calls_of_their_own() -> None:
    dialer = Bulk()
    desk = wrapper(dialer)
    ticket = desk.put(
        flagged([(0, ""), (1, "mark_as_unanswered"), (2, "do_not_call"), (3, ""), (4, "mark_as_unanswered")]),
        "update",
    )
    until_done(desk, ticket)
    assert [[item["phone_number"] for item in call] for call in dialer.calls] == [
        [number(0), number(3)],
        [number(1), number(4)],
        [number(2)],
    ]
    assert desk.codes(ticket) == "uuuuu"


def test_no_update_overtakes_an_earlier_one_of_its_number() -> None:
    dialer = Bulk()
    desk = wrapper(dialer)
    rows = [
        {"phone_number": number(0), "name": "Ann"},
        {"phone_number": number(1), "mark_as_unanswered": True, "email": "old@example.com"},
        {"phone_number": number(1), "email": "new@example.com"},
    ]
    until_done(desk, desk.put(rows, "update"))
    emails = [item.get("email") for call in dialer.calls for item in call]
    assert emails == [None, "old@example.com", "new@example.com"]


def test_updates_without_an_answer_are_sent_again_but_none_that_re_queues_a_lead() -> None:
    dialer = Bulk(LOST, None, LOST)
    desk = wrapper(dialer)
    ticket = desk.put(flagged([(0, ""), (1, "mark_as_unanswered"), (2, "mark_as_unanswered")]), "update")
    until_done(desk, ticket)
    assert desk.codes(ticket) == "u??"
    assert desk.reasons(ticket)["?"] == LOST_WORDS
    assert [len(call) for call in dialer.calls] == [1, 1, 2]


def test_a_worker_that_dies_leaves_re_queued_leads_uncertain_whichever_batches_shared_its_calls() -> None:
    """Which rows had left must be known from the batch alone."""
    dialer = Bulk()
    desk = wrapper(dialer)
    plain = desk.put(flagged([(0, "mark_as_unanswered")]), "update")
    mixed = desk.put(flagged([(1, ""), (2, "mark_as_unanswered")]), "update")
    entry = desk.engine.lanes.enter(
        plain, "t1", number=0, lease_ms=1, turn_ms=9, lost_ms=0, gap_ms=0, room=100
    )
    assert [row.ticket for row in entry.rows] == [plain]  # the other has rows of two kinds and travels alone
    desk.later(5)
    desk.engine.lanes.dispatch()
    until_done(desk, plain)
    assert desk.codes(plain) == "?"
    until_done(desk, mixed)
    assert desk.codes(mixed) == "uu"
    assert [len(call) for call in dialer.calls] == [1, 1]


@pytest.mark.parametrize(
    ("provider", "campaign", "operation"),
    [("voiceaiwrapper", "camp_1", "import"), ("voiso", "3", "update"), ("dialnexa", "cmp_1", "update")],
)
def test_a_lead_is_not_re_queued_where_the_dialer_cannot(
    provider: str, campaign: str, operation: str
) -> None:
    desk = Desk(FakeDialer(), provider, campaign)
    ticket = desk.put(
        [
            {"phone_number": number(0), "name": "Ann", "mark_as_unanswered": True},
        ],
        operation,
    )
    assert desk.codes(ticket) == "i"
    assert desk.reasons(ticket)["0"].startswith("mark_as_unanswered: ")


# DialNexa's files -----------------------------------------------------------------------------------------


def test_a_batch_goes_as_one_file_and_its_leads_have_no_ids() -> None:
    dialer = Files()
    desk = nexa(dialer)
    ticket = desk.put(leads(1000, variables={"plan": "gold"}), "upload")
    assert until_done(desk, ticket) == 1
    assert desk.codes(ticket) == "c" * 1000
    assert desk.reasons(ticket) == {}
    [rows] = dialer.files
    assert rows[7] == {"phone_number": number(7), "name": "Lead 7", "plan": "gold"}
    update = desk.put(leads(1), "update")
    until_done(desk, update)
    assert desk.codes(update) == "r"
    assert desk.reasons(update) == {"0": UNKNOWN_LEAD}
    assert "as a file" in UNKNOWN_LEAD


def test_leads_with_more_columns_than_a_file_has_go_in_several() -> None:
    dialer = Files()
    desk = nexa(dialer)
    rows = [{"phone_number": number(i), "variables": {f"v{i}-{j}": "x" for j in range(8)}} for i in range(4)]
    ticket = desk.put(rows, "upload")
    until_done(desk, ticket)
    assert [len(file) for file in dialer.files] == [1, 1, 1, 1]
    assert desk.codes(ticket) == "cccc"


def test_of_a_file_taken_in_part_all_leads_are_uncertain() -> None:
    dialer = Files(httpx.Response(201, json={"leads_created": 98, "leads_skipped": 2}))
    desk = nexa(dialer)
    ticket = desk.put(leads(100), "upload")
    until_done(desk, ticket)
    assert desk.codes(ticket) == "?" * 100
    assert desk.reasons(ticket)["?"].startswith("the dialer took 98 of the 100 leads")
    assert len(dialer.files) == 1


@pytest.mark.parametrize("answer", [LOST, httpx.Response(502), httpx.Response(201, text="ok")])
def test_a_file_is_never_sent_again_blindly(answer: Any) -> None:
    dialer = Files(answer)
    desk = nexa(dialer)
    ticket = desk.put(leads(5), "upload")
    until_done(desk, ticket)
    assert desk.codes(ticket) == "?" * 5
    assert len(dialer.files) == 1


@pytest.mark.parametrize("answer", [httpx.ConnectError("nobody"), httpx.Response(429), httpx.Response(503)])
def test_a_file_that_was_surely_not_taken_is_sent_again(answer: Any) -> None:
    dialer = Files(answer)
    desk = nexa(dialer)
    ticket = desk.put(leads(5), "upload")
    until_done(desk, ticket)
    assert desk.codes(ticket) == "c" * 5


def test_rows_that_a_refusal_names_are_rejected_and_the_others_sent() -> None:
    errors = [{"reason": "The destination is blocked", "rows": [3, 5]}]
    dialer = Files(httpx.Response(400, json={"statusCode": 400, "message": "no", "errors": errors}))
    desk = nexa(dialer)
    ticket = desk.put(leads(5), "upload")
    until_done(desk, ticket)
    assert desk.codes(ticket) == "crcrc"
    assert desk.reasons(ticket) == {"1": "The destination is blocked", "3": "The destination is blocked"}
    assert [len(file) for file in dialer.files] == [5, 3]


def test_a_lost_file_is_uncertain_after_a_crash() -> None:
    dialer = Files()
    desk = nexa(dialer)
    ticket = desk.put(leads(5), "upload")
    desk.engine.lanes.enter(ticket, "t1", number=0, lease_ms=1, turn_ms=9, lost_ms=0, gap_ms=0, room=1000)
    desk.later(5)
    desk.engine.lanes.dispatch()
    until_done(desk, ticket)
    assert desk.codes(ticket) == "?" * 5
    assert dialer.files == []


# Voicery's sibling operations -----------------------------------------------------------------------------


def siblings(answer: Any = None) -> tuple[Desk, FakeDialer]:
    dialer = FakeDialer(answer=answer)
    desk = Desk(dialer, "voicery", "3", switches=SIBLINGS)
    desk.engine.lead_ids.keep("acct", "3", number(0)[1:], "71")
    return desk, dialer


@pytest.mark.parametrize(
    ("operation", "method", "body", "code"),
    [
        ("update", "PUT", {"variables": {"plan": "gold", "customer_name": "Ann"}}, "u"),
        ("remove", "DELETE", None, "m"),
    ],
)
def test_a_lead_of_voicery_is_named_by_its_id(operation: str, method: str, body: object, code: str) -> None:
    desk, dialer = siblings()
    row = {"phone_number": number(0), "name": "Ann", "variables": {"plan": "gold"}}
    ticket = desk.put([row, {**row, "phone_number": number(1)}], operation)
    until_done(desk, ticket)
    assert desk.codes(ticket) == f"{code}r"
    assert desk.reasons(ticket) == {"1": UNKNOWN_LEAD}
    [request] = dialer.requests
    assert (request.method, request.url.path) == (method, "/api/user/leads/71")
    assert (json.loads(request.content) if request.content else None) == body


@pytest.mark.parametrize(("operation", "code"), [("update", "r"), ("remove", "m")])
def test_a_lead_that_is_gone_is_removed_and_cannot_be_updated(operation: str, code: str) -> None:
    desk, _ = siblings(httpx.Response(404, json={"message": "Lead not found"}))
    ticket = desk.put(leads(1), operation)
    until_done(desk, ticket)
    assert desk.codes(ticket) == code


@pytest.mark.parametrize("operation", ["update", "remove"])
def test_a_path_that_is_not_there_is_no_answer_about_the_lead(operation: str) -> None:
    desk, _ = siblings(httpx.Response(404, json={"message": "The route could not be found."}))
    ticket = desk.put(leads(1), operation)
    assert desk.turn(ticket).verdict == "dead"
    assert desk.fields(ticket)["reason"].startswith("404: The route")


@pytest.mark.parametrize("operation", ["update", "remove"])
def test_what_the_answer_says_was_not_done_is_not_done(operation: str) -> None:
    desk, _ = siblings(httpx.Response(200, json={"success": False, "message": "Lead is processing"}))
    ticket = desk.put(leads(1), operation)
    until_done(desk, ticket)
    assert desk.codes(ticket) == "r"
    assert desk.reasons(ticket) == {"0": "Lead is processing"}
