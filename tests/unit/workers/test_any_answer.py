"""Whatever a dialer answers: every reader of every record has a word for it, and what is kept of it is short."""

import json
from typing import Any

from hypothesis import strategies as st

from leadlane.workers import answers, payloads, verdicts
from leadlane.workers.conduct import without_key
from leadlane.workers.lookups import OddAnswerError, every_row, phase
from leadlane.workers.messages import wrong, wrong_body
from leadlane.workers.providers import PROVIDERS, Provider
from leadlane.workers.providers.contract import CallRefusedError, Listing, Reading
from leadlane.workers.slices import spent_s
from leadlane.workers.verdicts import Answered
from tests.hostile import Imp
from tests.properties import any_json, holds, holds_for_imps, is_short_error

NAMES = (
    "status", "id", "data", "errors", "error", "message", "leads_import", "created", "duplicates", "rejected",
    "campaign",
    "live", "results", "index", "success", "phone_number", "detail", "leads_created", "leads_skipped", "rows", "reason",
    "meta", "totalPages", "campaigns", "users", "metadata", "total", "name", "campaign_id", "0", "[0]",
    "leads[0].name",
    "statusCode", "failed", "updated",
)  # fmt: skip
SENT = ("12125550001", "12125550002", "12125550003")
CODES = set("cduamr?")


def is_short(words: str, most: int = 301) -> bool:
    return len(words) <= most and (words.isprintable() or not words)


def every_reader(body: Any) -> None:
    """Ask each record everything about this body."""
    for provider in PROVIDERS.values():
        for operation in provider.operations.values():
            read_leads(operation, body)
            for status in (400, 403, 404, 409, 422):
                assert operation.judge(status, body) in {"", *CODES}
        assert is_short(provider.problem(body))
        bad = provider.bad_leads(body, len(SENT))
        assert bad is None or all(0 <= place < len(SENT) and is_short(words) for place, words in bad.items())
        if provider.look:
            assert is_short(provider.look.closed(body))
        if provider.states:
            read_state(provider.states, body)
        for listing in filter(
            None, (provider.states and provider.states.listing, provider.agents and provider.agents.listing)
        ):
            try:
                for row in every_row(listing, lambda _: Answered(200, body)):
                    assert 0 < len(row["id"]) <= 200
            except OddAnswerError:
                pass


def listings(provider: Provider) -> list[Listing]:
    found = (provider.states and provider.states.listing, provider.agents and provider.agents.listing)
    return [listing for listing in found if listing]


def read_leads(operation: Any, body: Any) -> None:
    try:
        reading: Reading = operation.read(body, SENT)
    except (ValueError, CallRefusedError) as exc:
        is_short_error(exc, 400)
        return
    assert {reading.all, *reading.codes.values(), *reading.later.values()} <= {"", *CODES}
    assert all(map(is_short, reading.words.values()))
    assert is_short(reading.lead_id)


def read_state(states: Any, body: Any) -> None:
    try:
        phase(states, states.status(body, "3"))
    except (ValueError, CallRefusedError) as exc:
        is_short_error(exc, 400)
    states.name(body)


@holds(slow=8_000, body=any_json(*NAMES))
def test_every_body_has_a_meaning(body: Any) -> None:
    every_reader(body)


@holds_for_imps(slow=20_000, names=NAMES)
def test_every_hostile_body_has_a_meaning(imp: Imp) -> None:
    every_reader(imp.value(depth=4))


@holds(slow=8_000, body=st.binary(max_size=200))
def test_any_bytes_are_json_or_nothing(body: bytes) -> None:
    verdicts.decode(body)


@holds_for_imps(slow=10_000, names=NAMES)
def test_a_damaged_body_is_json_or_nothing(imp: Imp) -> None:
    body = bytearray(json.dumps(imp.value(depth=3)).encode())
    for _ in range(imp.dice.randint(1, 4)):
        if body:
            body[imp.dice.randrange(len(body))] = imp.dice.randrange(256)
    every_reader(verdicts.decode(bytes(body[: imp.dice.randint(0, len(body))])))


@holds(
    slow=15_000,
    header=st.one_of(
        st.text(max_size=40),
        st.text("0123456789 ,:-+GMTSunNov", max_size=40),
        st.datetimes().map(lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    ),
)
def test_retry_after_is_nothing_or_at_most_an_hour(header: str) -> None:
    wait = answers.retry_after_s(header, 1e9)
    assert wait is None or 0 <= wait <= answers.LONGEST_COOL_DOWN_S
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": header}
    assert 0 <= spent_s(headers, PROVIDERS["dialnexa"], 1e9) <= answers.LONGEST_COOL_DOWN_S


@holds(slow=900, status=st.integers(100, 999))
def test_every_status_means_one_thing(status: int) -> None:
    assert isinstance(answers.meaning(status), answers.Meaning)


@holds(
    slow=8_000,
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    noise=st.text(" \n", max_size=20),  # of letters that no key begins with
    escaped=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_the_key_is_in_no_answer_however_its_json_writes_it(
    key: str, noise: str, escaped: list[bool]
) -> None:
    said = "".join(
        f"\\u{ord(c):04X}" if as_code else "\\/" if c == "/" else json.dumps(c)[1:-1]
        for c, as_code in zip(key, escaped, strict=False)
    )
    body = f'{{"error": {json.dumps(noise)[:-1]}{said}"}}'.encode()
    assert json.loads(without_key(body, key)) == {"error": f"{noise}[key]"}
    assert without_key(f"{noise}{key}".encode(), key) == f"{noise}[key]".encode()


BATCH = payloads.Batch.of(7, "import", ["12125550001", "12125550002"], ['{"a":1}', ""])


@holds_for_imps(slow=20_000)
def test_a_damaged_payload_is_lost_and_nothing_worse(imp: Imp) -> None:
    stored = bytearray(payloads.pack(BATCH))
    for _ in range(imp.dice.randint(0, 3)):
        stored[imp.dice.randrange(len(stored))] = imp.dice.randrange(256)
    try:
        found = payloads.unpack(bytes(stored[: imp.dice.randint(0, len(stored))]))
    except payloads.PayloadUnreadableError:
        return
    assert (found.numbers, found.wires) == (BATCH.numbers, BATCH.wires)


@holds(slow=5_000, stored=st.binary(max_size=100))
def test_any_bytes_are_no_payload(stored: bytes) -> None:
    for prefix in (b"", b"\x01", payloads.VERSION):
        try:
            payloads.unpack(prefix + stored)
        except payloads.PayloadUnreadableError:
            pass


HEADERS = (
    "id",
    "eta",
    "expires",
    "retries",
    "timelimit",
    "group",
    "shadow",
    "stamps",
    "leadlane_call",
    "leadlane_links",
    "stamped_headers",
)
PROPERTIES = ("priority", "reply_to", "correlation_id")


@holds_for_imps(slow=20_000, names=HEADERS)
def test_every_outside_of_a_message_is_right_or_told(imp: Imp) -> None:
    headers = imp.but({"id": "a", "expires": None, "retries": 0}, 3)
    imp.names = PROPERTIES
    said = wrong(headers, imp.but({"priority": 0}), imp.dice.choice((0, 10**9)))
    body = wrong_body(imp.dice.choice((imp.value(), [imp.value(), imp.value(), imp.value()])))
    assert is_short(said, 200)
    assert is_short(body, 200)
    assert all("; " in words for words in (said, body) if words)
