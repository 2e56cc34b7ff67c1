from leadlane.ops.embedded import free_port
from leadlane.schemas.settings import Settings
from leadlane.workers.connection import reach_at_once
from leadlane.workers.pulse import answers


def test_a_redis_that_is_away_does_not_answer(redis_url: str) -> None:
    settings = Settings(sentinel_master="m")
    away = f"127.0.0.1:{free_port()}"
    assert answers(reach_at_once(settings, redis_url))
    assert not answers(reach_at_once(settings, f"redis://{away}"))
    assert not answers(reach_at_once(settings, f"sentinel://{away}/0"))
