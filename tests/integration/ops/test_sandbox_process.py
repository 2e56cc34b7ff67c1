"""The sandbox on a real socket, in a process of its own."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.ops.sandbox.server import listen

LEADS = "/api/v4/campaigns/3/leads"
LEAD = [{"phone_number": "15550000001"}]


@pytest.fixture(scope="module")
def shared() -> Iterator[SandboxProcess]:
    with SandboxProcess() as process:
        yield process


@pytest.fixture
def sandbox(shared: SandboxProcess) -> SandboxProcess:
    shared.reset()
    shared.change(gap_s=0)
    return shared


@pytest.fixture
def client(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    headers = {"authorization": "Bearer sandbox-key"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client:
        yield client


def until(done: Callable[[], bool]) -> None:
    """Look again until it is so; the test's own timeout ends what never comes."""
    while not done():
        threading.Event().wait(0.01)


def test_an_import_over_the_wire_is_stored_and_audited(sandbox: SandboxProcess, client: httpx.Client) -> None:
    numbers = [str(15550001001 + n) for n in range(1000)]
    answer = client.post(LEADS, json=[{"phone_number": number, "name": "x" * 200} for number in numbers])
    assert answer.json()["leads_import"]["created"] == numbers
    assert [(row["status"], row["size"]) for row in sandbox.audit()] == [(200, 1000)]
    assert sandbox.verify()["breaches"] == 0


@pytest.mark.parametrize(("fault", "stored"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_answer_is_a_broken_connection_for_the_client(
    sandbox: SandboxProcess, client: httpx.Client, fault: str, stored: int
) -> None:
    sandbox.fault(fault, match={"operation": "import"}, times=1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.post(LEADS, json=LEAD)
    assert [(row["status"], row["answered"], row["stored"]) for row in sandbox.audit()] == [
        (None, False, stored)
    ]
    assert client.post(LEADS, json=LEAD).status_code == 200


def test_a_client_that_leaves_does_not_end_the_work(sandbox: SandboxProcess, client: httpx.Client) -> None:
    sandbox.fault("latency", delay_s=1.5, times=1)
    with pytest.raises(httpx.ReadTimeout):
        client.post(LEADS, json=LEAD, timeout=0.1)
    assert client.post(LEADS, json=LEAD).status_code == 409
    until(lambda: sandbox.audit()[0]["ended"] is not None)
    first = sandbox.audit()[0]
    assert (first["answered"], first["stored"]) == (False, 1)


def test_a_slow_body_ends_when_its_client_leaves(sandbox: SandboxProcess, client: httpx.Client) -> None:
    sandbox.fault("slow_body", delay_s=0.2, times=1)
    with client.stream("POST", LEADS, json=LEAD) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw())
    until(lambda: sandbox.audit()[0]["ended"] is not None)
    assert sandbox.audit()[0]["answered"] is False


def test_a_line_sends_at_once() -> None:
    """Head and body leave in two writes; the second must not wait until the first is acknowledged."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        line, _ = listener.accept()
        with line:
            assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_wrong_setting_is_told_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="gap_s: must be seconds"):
        SandboxProcess(gap_s=-1)


def test_the_control_api_says_what_it_refuses(sandbox: SandboxProcess) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        sandbox.fault("earthquake")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_and_quietly_with_a_call_in_flight(tmp_path: Path, signum: signal.Signals) -> None:
    audit = tmp_path / "audit.jsonl"
    code = (
        "from leadlane.ops.sandbox.server import run;"
        f"run(port=0, call_time_s=600, audit_file={str(audit)!r}, on_ready=lambda u: print(u, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    url = process.stdout.readline().strip()
    lost: list[Any] = []

    def call() -> None:
        try:
            key = {"authorization": "Bearer sandbox-key"}
            httpx.post(url + LEADS, json=LEAD, headers=key, timeout=60, trust_env=False)
        except httpx.HTTPError as exc:
            lost.append(type(exc))

    caller = threading.Thread(target=call)
    caller.start()
    until(lambda: bool(httpx.get(f"{url}/_sandbox/audit", trust_env=False).json()["requests"]))
    process.send_signal(signum)
    _, said = process.communicate(timeout=30)
    caller.join()
    assert (process.returncode, said) == (0, "")
    assert lost in ([httpx.RemoteProtocolError], [httpx.ReadError])
    assert [json.loads(line)["answered"] for line in audit.read_text().splitlines()] == [False]


def test_it_does_not_outlive_its_owner() -> None:
    code = (
        "import os; from leadlane.ops.sandbox.process import SandboxProcess;"
        "s = SandboxProcess().start(); print(s.url, flush=True); os._exit(1)"
    )
    url = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True).stdout.strip()

    def gone() -> bool:
        try:
            httpx.get(f"{url}/_sandbox/", trust_env=False)
        except httpx.TransportError:
            return True
        return False

    until(gone)
