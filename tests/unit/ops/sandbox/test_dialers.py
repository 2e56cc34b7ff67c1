"""What holds for all dialers of the sandbox."""

from collections.abc import Callable
from typing import Any

import pytest

from leadlane.ops.sandbox.api import Api
from leadlane.ops.sandbox.control import OPERATIONS
from leadlane.ops.sandbox.openapi import document
from leadlane.ops.sandbox.sandbox import Sandbox

Stands = Callable[..., Any]
JSON = {"accept": "application/json"}
ONE = {
    "voiso": ("POST", "/api/v4/campaigns/3/leads", [{"phone_number": "15550000001"}]),
    "voiceaiwrapper": (
        "POST",
        "/api/v2/voice-campaigns/camp_3/leads/bulk",
        [{"phone_number": "+34600100200"}],
    ),
    "dialnexa": (
        "POST",
        "/v1/campaigns-leads",
        {"name": "Eva", "phoneNumber": "9811100022", "campaignId": "cmp_3"},
    ),
    "voicery": ("POST", "/api/user/lead", {"phone_number": "+34600100200", "campaign_id": 3}),
}
CAMPAIGN = {"voiso": "3", "voiceaiwrapper": "camp_3", "dialnexa": "cmp_3", "voicery": "3"}


def test_the_document_has_every_route_and_no_other() -> None:
    described = {
        (method.upper(), path)
        for path, methods in document(OPERATIONS)["paths"].items()
        for method in methods
    }
    dialers = Sandbox().dialers.values()
    assert described == {
        (route.method, route.template)
        for dialer in dialers
        if isinstance(dialer, Api)
        for route in dialer.routes
    }


def test_every_operation_has_somebody_to_do_it() -> None:
    for dialer in Sandbox().dialers.values():
        assert isinstance(dialer, Api)
        assert {route.operation for route in dialer.routes} <= dialer.acts.keys()
        assert dialer.leads_operations <= dialer.acts.keys()


@pytest.mark.parametrize("name", ONE)
def test_an_import_is_audited_and_judged(stand: Stands, name: str) -> None:
    dialer = stand(call_time_s=0.25)
    assert dialer.send(*ONE[name], headers=JSON).status_code in {200, 201}
    [row] = dialer.get("audit")["requests"]
    expected = (name, "import", CAMPAIGN[name], "key 1", 1, 1, 0.25)
    took_s = row["ended"] - row["started"]
    found = (*(row[k] for k in ("dialer", "operation", "campaign", "key", "size", "stored")), took_s)
    assert found == expected
    assert not any(secret in str(row) for secret in ("sandbox-key", "1555", "346001", "98111"))
    verdict = dialer.get("verify")
    figures = verdict["dialers"][name]
    assert (figures["calls"], figures["stored"], figures["breaches"], figures["over_rate"]) == (1, 1, 0, 0)
    assert figures["operations"] == {"import": 1}
    assert verdict["campaigns"][f"{name}/{CAMPAIGN[name]}"]["stored"] == 1
    assert set(verdict["dialers"]) == set(ONE)


@pytest.mark.parametrize("name", ONE)
def test_a_fault_strikes_one_campaign_of_one_dialer(stand: Stands, name: str) -> None:
    dialer = stand()
    match = {"dialer": name, "campaign": CAMPAIGN[name], "operation": "import"}
    dialer.fault("status", match=match, status=502)
    for other in ONE:
        assert (dialer.send(*ONE[other], headers=JSON).status_code == 502) == (other == name)


@pytest.mark.parametrize("name", ONE)
def test_a_reset_forgets_leads_figures_and_rates(stand: Stands, name: str) -> None:
    dialer = stand(
        **{
            "rate" if name == "voiso" else f"{name}_keys": ["1/h"]
            if name == "voiso"
            else {"sandbox-key": ["1/h"]}
        }
    )
    for _ in range(2):
        assert dialer.send(*ONE[name], headers=JSON).status_code in {200, 201}
        assert dialer.send(*ONE[name], headers=JSON).status_code == 429
        assert dialer.get("verify")["dialers"][name]["over_rate"] == 1
        dialer.send("POST", "/_sandbox/reset")
        figures = dialer.get("verify")["dialers"][name]
        assert (figures["requests"], figures["stored"], figures["over_rate"]) == (0, 0, 0)


@pytest.mark.parametrize("name", ONE)
def test_an_unknown_path_or_method_is_refused(stand: Stands, name: str) -> None:
    dialer = stand(voicery_siblings=True)
    _, path, _ = ONE[name]
    assert dialer.send("OPTIONS", path, headers=JSON).status_code == 405
    assert dialer.send("GET", f"{path}/x/y", headers=JSON).status_code == 404


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("body", [b"[{", b"[" * 100_000, b"null", b""])
def test_a_body_that_is_not_json_is_refused(stand: Stands, name: str, body: bytes) -> None:
    method, path, _ = ONE[name]
    headers = {**JSON, "content-type": "application/json"}
    assert stand().send(method, path, content=body, headers=headers).status_code == 400


def test_a_path_with_a_line_break_is_in_the_audit(stand: Stands) -> None:
    dialer = stand()
    assert dialer.send("GET", "/v1/campaigns/%0Ax").json()["message"] == "Campaign not found"
    assert dialer.get("audit")["total"] == 1


def test_most_at_once_counts_all_requests_of_a_dialer(stand: Stands) -> None:
    dialer = stand(call_time_s=1.0)

    async def sleep(seconds: float) -> None:
        async with dialer.client() as client:
            await client.get("/v1/campaigns")
            await client.get("/api/v4/campaigns")

    dialer.sleep = sleep
    dialer.send(*ONE["dialnexa"])
    figures = dialer.get("verify")["dialers"]
    assert (figures["dialnexa"]["most_at_once"], figures["voiso"]["most_at_once"]) == (2, 1)


def test_keys_of_all_dialers_are_shown_as_labels(stand: Stands) -> None:
    shown = stand().get("settings")
    assert shown["dialnexa_keys"] == {"key 1": ["5/s"]}
    assert "sandbox-key" not in str(shown)
