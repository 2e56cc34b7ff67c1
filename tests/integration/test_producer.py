"""What a producer does when Redis forgets, while it still reads rows, what it had stored."""

from collections.abc import Iterator

import pytest
from redis import Redis

from leadlane import Fleet, producer
from leadlane.errors import Unreachable
from leadlane.schemas.settings import Account, Settings

ACCOUNT = Account(name="voiso", provider="voiso", base_url="https://dialer.example", api_key="env:NONE")


@pytest.fixture
def fleet(redis_url: str) -> Iterator[Fleet]:
    fleet = Fleet(settings=Settings(redis_url=redis_url, accounts={"voiso": ACCOUNT}))
    yield fleet
    fleet.close()


def rows(redis_url: str, *, forgets_after: int = 2500) -> Iterator[dict[str, object]]:
    """3500 rows, one of them an opt-out; on the way the server comes back without anything."""
    for i in range(3500):
        if i == forgets_after:
            with Redis.from_url(redis_url) as client:
                client.flushall()
        yield {"phone_number": f"+1212{2000000 + i}", "do_not_call": i == 7}


@pytest.mark.parametrize("key", [None, "k"])
def test_batches_that_a_failover_took_are_said_again_before_the_job_is_sealed(
    fleet: Fleet, redis_url: str, key: str | None
) -> None:
    job = fleet.campaign("voiso/3").import_leads(rows(redis_url), idempotency_key=key)
    assert job.progress() | {"blocked_by": None} == {
        "leads": 3500, "suppressed": 1, "waiting": 3499, "dead": 0, "ended": False, "blocked_by": None, "eta": None,
    }  # fmt: skip
    assert sorted(row["index"] for row in job.report()) == list(range(3500))
    with Redis.from_url(redis_url) as client:
        assert client.scard("leadlane:unturned:account/voiso/dialer.example") == 1


def test_more_than_is_remembered_is_said_and_the_same_call_again_completes_it(
    fleet: Fleet, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "REMEMBERED", 1)
    spring = fleet.campaign("voiso/3")
    with pytest.raises(Unreachable, match="lost batches that it had stored; give all rows again"):
        spring.import_leads(rows(redis_url), idempotency_key="k")
    job = spring.import_leads(rows(redis_url, forgets_after=-1), idempotency_key="k")
    assert job.progress()["leads"] == 3500
    assert sorted(row["index"] for row in job.report()) == list(range(3500))
    assert spring.import_leads([], idempotency_key="k").id == job.id
