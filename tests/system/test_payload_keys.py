"""Leads that lie encrypted, while keys are changed under a fleet at work."""

from pathlib import Path

from leadlane.workers.payloads import PayloadUnreadableError, unpack
from tests.system.conftest import Town
from tests.system.judge import batches, leads

OLD, NEW = "0d" * 32, "f1" * 32


def test_keys_are_changed_while_leads_wait_and_those_without_them_are_told(
    town: Town, tmp_path: Path
) -> None:
    for name, key in (("old", OLD), ("new", NEW)):
        (tmp_path / name).write_text(key)
    old, new = f"file:{tmp_path}/old", f"file:{tmp_path}/new"

    town.env["LEADLANE_PAYLOAD_KEYS"] = f"{old},{new}"
    worker = town.worker("w1")
    before = town.fleet().campaign("voiso/3").import_leads(leads(1200))
    assert before.wait(timeout=60)["created"] == 1200
    worker.stop()
    waiting = town.fleet().campaign("voiso/4").import_leads(leads(5))

    town.env["LEADLANE_PAYLOAD_KEYS"] = f"{new},{old}"
    town.worker("w2")
    assert waiting.wait(timeout=60)["created"] == 5
    after = town.fleet().campaign("voiso/5").import_leads(leads(5))
    assert after.wait(timeout=60)["created"] == 5
    for job, n in ((before, 1200), (waiting, 5), (after, 5)):
        read = town.fleet().job(job.id)
        assert [row["outcome"] for row in read.report()] == ["created"] * n
        for batch in batches(town, job.id):
            assert not readable(town, batch)

    del town.env["LEADLANE_PAYLOAD_KEYS"]
    for command in (["worker"], ["import", "-", "--campaign", "voiso/6"], ["job", "report", after.id]):
        ran = town.run(*command, stdin="phone\n+12125550199\n")
        assert ran.returncode == 2, ran.stdout + ran.stderr
        assert "payload_keys" in ran.stderr
        assert "Traceback" not in ran.stderr


def readable(town: Town, batch: str) -> bool:
    from redis import Redis

    with Redis.from_url(town.redis.url) as client:
        stored = client.get(f"leadlane:pay:{batch}")
    try:
        unpack(stored or b"")
    except PayloadUnreadableError:
        return False
    return True
