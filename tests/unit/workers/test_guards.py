"""What a worker checks and mends before it takes work."""

import celery.app.utils
import pytest
import redis
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from kombu import Connection
from kombu.transport.redis import Channel

from leadlane.workers.guards import guard_closed_channels, hide_redbeat_url, refuse_foreign_pool


@pytest.mark.parametrize("pool", [ThreadPool, SoloPool, type("OurThreads", (ThreadPool,), {})])
def test_threads_and_solo_are_taken(pool: type) -> None:
    refuse_foreign_pool(pool)


def test_prefork_is_refused_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        refuse_foreign_pool(PreforkPool)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "the prefork pool is refused: the threads that" in said
    assert said.count("\n") == 1


def test_a_channel_whose_connection_is_gone_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Channel, "_connparams", Channel._connparams)
    guard_closed_channels()
    channel = Channel.__new__(Channel)
    with Connection("redis://") as connection:
        channel.connection = connection.transport
        assert channel._connparams()["host"] == "127.0.0.1"
        connection.transport.client = None
        with pytest.raises(redis.ConnectionError, match="is closed"):
            channel._connparams()


def test_the_guard_is_put_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Channel, "_connparams", Channel._connparams)
    guard_closed_channels()
    guarded = Channel._connparams
    guard_closed_channels()
    assert Channel._connparams is guarded


def test_redbeats_url_is_hidden_like_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery.app.utils, "HIDDEN_SETTINGS", celery.app.utils.HIDDEN_SETTINGS)
    hide_redbeat_url()
    hide_redbeat_url()
    shown = celery.app.utils.filter_hidden_settings(
        {"redbeat_redis_url": "redis://:secret@h/0", "redis_max_connections": 3, "some_token": "secret"}
    )
    assert shown == {"redbeat_redis_url": "********", "redis_max_connections": 3, "some_token": "********"}
