"""The sandbox against its own OpenAPI document: what it says it takes it takes, and nothing else."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from leadlane.ops.sandbox import control, openapi
from leadlane.ops.sandbox.process import SandboxProcess

DOCUMENT = openapi.document(control.OPERATIONS)
HEADERS = {"Authorization": "Bearer sandbox-key", "Accept": "application/json"}

# A schema cannot say what a CSV is, nor that a number may come only once.
MAY_REFUSE_SOUND_DATA = {"dialnexa_upload_file", "voicery_import", "voicery_update"}

api = schemathesis.openapi.from_dict(DOCUMENT)
api.config.generation.update(with_security_parameters=False)  # the key is in HEADERS; one check leaves it out


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """Everything that may be refused for other reasons than its form is allowed."""
    with SandboxProcess(
        gap_s=0,
        rejected_suffix="",
        voiceaiwrapper_visible_after_s=0,
        dialnexa_keys={"sandbox-key": ["999999/s"]},
        dialnexa_blocked=[],
        dialnexa_pausing=True,
        voicery_siblings=True,
    ) as process:
        yield process


def test_the_document_is_served(sandbox: SandboxProcess) -> None:
    assert httpx.get(f"{sandbox.url}/_sandbox/openapi.json", trust_env=False).json() == DOCUMENT


def tried(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@api.parametrize()
@tried(5)
def test_an_operation_keeps_its_contract(case: Any, sandbox: SandboxProcess) -> None:
    call(case, sandbox)


@pytest.mark.slow
@api.parametrize()
@tried(100)
def test_an_operation_keeps_its_contract_however_long_one_looks(case: Any, sandbox: SandboxProcess) -> None:
    call(case, sandbox)


def call(case: Any, sandbox: SandboxProcess) -> None:
    """Send the case and judge the answer by all that the document says."""
    case.body = plain(case.body)
    may_refuse = case.operation.definition.raw["operationId"] in MAY_REFUSE_SOUND_DATA
    excluded = [positive_data_acceptance] if may_refuse else None
    case.call_and_validate(base_url=sandbox.url, headers=HEADERS, excluded_checks=excluded)


def plain(body: Any) -> Any:
    """The body with 3 for 3.0: the same to JSON Schema, but not to the sandbox, and no client means it so."""
    match body:
        case float():
            return int(body) if body.is_integer() else body
        case list():
            return [plain(one) for one in body]
        case dict():
            return {name: plain(one) for name, one in body.items()}
        case _:
            return body
