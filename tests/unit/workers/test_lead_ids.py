"""Ids that dialers gave to leads: found for 90 days, by a number that nobody can read there."""

import fakeredis
import pytest

from leadlane.workers.lanes import Lanes
from leadlane.workers.lead_ids import LeadIds

DAY_S = 86_400.0
NUMBER = "12125550001"


class Ids(LeadIds):
    """With a clock to turn."""

    def __init__(self, key: bytes = b"k" * 32, client: fakeredis.FakeRedis | None = None) -> None:
        self.client = client or fakeredis.FakeRedis()
        self.now_s = 1_800_000_000.0
        super().__init__(Lanes(self.client, "leadlane"), key, clock=lambda: self.now_s)


@pytest.mark.parametrize("days", [0, 1, 7, 30, 89, 90])
def test_an_id_is_known_for_ninety_days(days: int) -> None:
    ids = Ids()
    ids.keep("acct", "cmp_1", NUMBER, "lead_1")
    ids.now_s += days * DAY_S
    assert ids.find("acct", "cmp_1", NUMBER) == "lead_1"


def test_the_newest_id_is_the_one() -> None:
    ids = Ids()
    ids.keep("acct", "cmp_1", NUMBER, "lead_1")
    ids.keep("acct", "cmp_1", NUMBER, "lead_2")
    assert ids.find("acct", "cmp_1", NUMBER) == "lead_2"
    ids.now_s += 20 * DAY_S
    ids.keep("acct", "cmp_1", NUMBER, "lead_3")
    assert ids.find("acct", "cmp_1", NUMBER) == "lead_3"


def test_an_id_belongs_to_one_campaign_of_one_account() -> None:
    ids = Ids()
    ids.keep("acct", "cmp_1", NUMBER, "lead_1")
    assert ids.find("acct", "cmp_2", NUMBER) == ids.find("other", "cmp_1", NUMBER) == ""
    assert ids.find("acct", "cmp_1", "12125550002") == ""


def test_nobody_reads_a_number_there_nor_finds_one_without_the_key() -> None:
    ids = Ids()
    ids.keep("acct", "cmp_1", NUMBER, "lead_1")
    assert all(
        NUMBER.encode() not in name
        for key in ids.client.scan_iter()
        for name in (key, *ids.client.hkeys(key))
    )
    assert Ids(b"other", ids.client).find("acct", "cmp_1", NUMBER) == ""


def test_ids_are_forgotten_some_day() -> None:
    ids = Ids()
    ids.keep("acct", "cmp_1", NUMBER, "lead_1")
    (key,) = ids.client.keys()
    assert 90 * DAY_S < ids.client.ttl(key) < 100 * DAY_S
