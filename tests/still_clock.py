"""A clock for lanes that stands still until a test moves it."""

from leadlane.workers.connection import lua
from leadlane.workers.lanes import Lanes

BEGINNING_MS = 1_800_000_000_000


def on_a_still_clock(lanes: Lanes) -> Lanes:
    """The lanes, their scripts reading the time from P:clock instead of Redis; ``offset`` there moves it, in ms."""
    for name in lanes._scripts:
        text = lua(name)
        assert text.count("redis.call('TIME')") == 1
        still = text.replace("redis.call('TIME')", "redis.call('HMGET', P .. ':clock', 's', 'us')")
        lanes._scripts[name] = lanes.client.register_script(still)
    lanes.client.hset(lanes.key("clock"), mapping={"s": BEGINNING_MS // 1000, "us": 0})
    return lanes
