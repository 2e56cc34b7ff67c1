"""What a call may do and how it ends, without a socket."""

import gzip
import logging
from importlib.metadata import version

import httpx
import pytest

from leadlane.workers.transport import Answer, CallHandle, NoAnswer, Request, Transport

KEY = "Bearer 5ecret-key"
PHONE = "4917012345678"


def a_request(url: str = f"https://dialer.example/leads/{PHONE}?a=b", body: bytes | None = b"[]") -> Request:
    return Request("POST", url, {"Authorization": KEY, "Content-Type": "application/json"}, body)


class FakeDialer:
    """Gives back the same response or error each time and keeps what it was asked."""

    def __init__(self, answer: httpx.Response | Exception | None = None) -> None:
        self.answer = answer or httpx.Response(200)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def transport_to(dialer: FakeDialer, max_answer_bytes: int = 10**6) -> Transport:
    return Transport(transport=httpx.MockTransport(dialer), max_answer_bytes=max_answer_bytes)


def test_an_answer_comes_whole_with_its_headers_in_lower_case() -> None:
    dialer = FakeDialer(
        httpx.Response(422, headers=[("Retry-After", "3"), ("X-A", "1"), ("X-A", "2")], text="no")
    )
    answer = transport_to(dialer).send(a_request(), timeout_s=5)
    assert (answer.status, answer.body) == (422, b"no")
    assert (answer.headers["retry-after"], answer.headers["x-a"]) == ("3", "1, 2")


def test_a_request_travels_as_it_is_and_says_who_sends_it() -> None:
    dialer = FakeDialer()
    transport_to(dialer).send(a_request(body=b"[1]"), timeout_s=5)
    seen = dialer.seen[0]
    assert (seen.method, str(seen.url), seen.content) == ("POST", a_request().url, b"[1]")
    assert seen.headers["authorization"] == KEY
    assert seen.headers["user-agent"] == f"leadlane/{version('leadlane')}"
    assert seen.headers["content-length"] == "3"


def test_a_redirect_is_an_answer_and_no_cookie_is_kept() -> None:
    dialer = FakeDialer(httpx.Response(302, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"}))
    transport = transport_to(dialer)
    assert [transport.send(a_request(), timeout_s=5).status for _ in range(2)] == [302, 302]
    assert len(dialer.seen) == 2
    assert "cookie" not in dialer.seen[1].headers


def test_a_lost_lease_lets_nothing_leave() -> None:
    dialer = FakeDialer()
    with pytest.raises(NoAnswer) as told:
        transport_to(dialer).send(a_request(), timeout_s=5, may_send=lambda: False)
    assert (told.value.reason, told.value.may_have_left) == ("lease lost", False)
    assert not dialer.seen


def test_an_error_of_may_send_reaches_the_caller() -> None:
    def no_redis() -> bool:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        transport_to(FakeDialer()).send(a_request(), timeout_s=5, may_send=no_redis)


def test_time_spent_on_asking_for_the_lease_counts() -> None:
    now, dialer = [0.0], FakeDialer()
    transport = Transport(transport=httpx.MockTransport(dialer), clock=lambda: now[0])

    def slow_yes() -> bool:
        now[0] += 6
        return True

    with pytest.raises(NoAnswer) as told:
        transport.send(a_request(), timeout_s=5, may_send=slow_yes)
    assert (told.value.reason, told.value.may_have_left) == ("timeout", False)
    assert not dialer.seen


def test_an_aborted_handle_ends_every_later_call() -> None:
    dialer, handle = FakeDialer(), CallHandle()
    handle.abort()
    with pytest.raises(NoAnswer) as told:
        transport_to(dialer).send(a_request(), timeout_s=5, handle=handle)
    assert (told.value.reason, told.value.may_have_left) == ("aborted", False)
    assert not dialer.seen


@pytest.mark.parametrize(
    ("error", "reason", "may_have_left"),
    [
        (httpx.ConnectError("x"), "no connection", False),
        (httpx.ConnectTimeout("x"), "timeout", False),
        (httpx.PoolTimeout("x"), "timeout", False),
        (httpx.WriteTimeout("x"), "timeout", True),
        (httpx.ReadTimeout("x"), "timeout", True),
        (httpx.WriteError("x"), "connection lost", True),
        (httpx.ReadError("x"), "connection lost", True),
        (httpx.RemoteProtocolError("x"), "connection lost", True),
        (httpx.DecodingError("x"), "unreadable answer", True),
    ],
)
def test_an_error_tells_its_reason_and_whether_the_request_may_have_left(
    error: Exception, reason: str, may_have_left: bool
) -> None:
    with pytest.raises(NoAnswer) as told:
        transport_to(FakeDialer(error)).send(a_request(), timeout_s=5)
    assert (told.value.reason, told.value.may_have_left) == (reason, may_have_left)


def test_an_error_nobody_foresaw_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        transport_to(FakeDialer(ZeroDivisionError())).send(a_request(), timeout_s=5)


@pytest.mark.parametrize(
    "request_",
    [
        a_request("ftp://dialer.example/leads"),
        a_request("dialer.example/leads"),
        a_request("https:///leads"),
        a_request("https://dialer.example:port/"),
        Request("GET", "https://dialer.example/", {"Authorization": "Bearer ключ\ud800"}, None),
    ],
    ids=["scheme", "no scheme", "no host", "port", "header"],
)
def test_a_request_that_cannot_be_sent_is_told_so_without_quoting_it(request_: Request) -> None:
    dialer = FakeDialer()
    with pytest.raises(NoAnswer) as told:
        transport_to(dialer).send(request_, timeout_s=5)
    assert (told.value.reason, told.value.may_have_left) == ("unusable request", False)
    assert not dialer.seen


@pytest.mark.parametrize("compressed", [False, True])
def test_an_answer_may_be_as_large_as_allowed_and_not_a_byte_larger(compressed: bool) -> None:
    def answer_of(size: int) -> httpx.Response:
        body = b"x" * size
        if compressed:
            return httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(body))
        return httpx.Response(200, content=body)

    transport = transport_to(FakeDialer(answer_of(1000)), max_answer_bytes=1000)
    assert len(transport.send(a_request(), timeout_s=5).body) == 1000
    with pytest.raises(NoAnswer) as told:
        transport_to(FakeDialer(answer_of(1001)), max_answer_bytes=1000).send(a_request(), timeout_s=5)
    assert (told.value.reason, told.value.may_have_left) == ("answer too large", True)


def test_neither_errors_nor_reprs_nor_logs_show_a_key_or_a_number(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = httpx.ReadError(f"{KEY} {PHONE}")
    with pytest.raises(NoAnswer) as told:
        transport_to(FakeDialer(error)).send(a_request(), timeout_s=5)
    assert told.value.__cause__ is None
    assert told.value.__context__ is None
    answer = Answer(200, {"x-key": KEY}, PHONE.encode())
    shown = f"{told.value!r} {a_request(body=PHONE.encode())!r} {answer!r} {caplog.text}"
    assert PHONE not in shown
    assert KEY not in shown
