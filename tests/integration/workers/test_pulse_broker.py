from leadlane.ops.embedded import free_port
from leadlane.workers.pulse import answers


def test_a_redis_that_is_away_or_not_known_does_not_answer(redis_url: str) -> None:
    assert answers(redis_url)
    assert not answers(f"redis://127.0.0.1:{free_port()}")
    assert not answers("sentinel://a:26379;sentinel://b:26379")
