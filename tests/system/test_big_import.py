"""An import of any length: the producer reads its rows lazily and needs no more memory for many than for few."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import Town
from tests.system.judge import rules_kept

SERVICE = Path(__file__).with_name("service.py")
LEADS = 100_000
BOUND_MB = 16
"""Growth over the last 80 % of the rows. A job's numbers are remembered, to find twins: 60 bytes each."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_service_imports_a_hundred_thousand_leads_in_flat_memory(town: Town) -> None:
    town.sandbox.change(rejected_suffix="")
    workers = [town.worker("w1"), town.worker("w2")]
    ended = subprocess.run(
        [sys.executable, SERVICE, str(LEADS)],
        env=town.env,
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    told = json.loads(ended.stdout)
    memory_mb = [kb / 1024 for kb in told["memory_kb"]]
    grown_mb = max(memory_mb) - memory_mb[len(memory_mb) // 5]
    print(f"producer: {memory_mb[0]:.0f} to {max(memory_mb):.0f} MB, {grown_mb:.1f} MB over the last 80 %")
    assert grown_mb < BOUND_MB, memory_mb
    assert [progress["created"] for progress in told["ended"]] == [LEADS // 5] * 5
    assert rules_kept(town)["stored"] == LEADS
    assert all(worker.running for worker in workers)
