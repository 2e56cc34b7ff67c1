"""The face for producers: say what should be true of a campaign; the fleet of workers makes it so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from leadlane.command import Command
from leadlane.job import Job
from leadlane.reaching import reaching_redis
from leadlane.schemas.addresses import CampaignAddress
from leadlane.schemas.commands import load_lead_command
from leadlane.schemas.settings import Settings, load_settings

if TYPE_CHECKING:
    from leadlane.producer import Producer, Standing
    from leadlane.workers.accounts import Facts

Priority = Literal["urgent", "normal", "bulk"]


class Fleet:
    """A fleet of workers, seen from a producer. Holds one Redis pool; share it between threads.

    Args:
        redis_url: of the fleet; without it LEADLANE_REDIS_URL or leadlane.toml say it.
        settings: all settings at once, instead.
    """

    def __init__(self, redis_url: str | None = None, *, settings: Settings | None = None) -> None:
        from leadlane.producer import Producer

        given = settings or load_settings()
        self._producer = Producer(given if redis_url is None else given.at(redis_url))

    def campaign(self, address: str) -> Campaign:
        """The campaign at ``ACCOUNT/CAMPAIGN_ID``.

        Raises BadCampaign, UnknownAccount, Unreachable.
        """
        from leadlane.workers.accounts import canonical

        parsed = CampaignAddress.parse(address)
        facts = reaching_redis(lambda: self._producer.facts(parsed.account))
        return Campaign(self._producer, facts, replace(parsed, campaign=canonical(facts, parsed)))

    def job(self, id: str) -> Job:  # noqa: A002  the contract's word
        """A job by its id; raises UnknownJob if there is none."""
        job = Job(self._producer.jobs, id)
        job.progress()
        return job

    def close(self) -> None:
        """Give back the connections."""
        self._producer.lanes.client.close()


class Campaign:
    """One campaign of an account. Nothing here waits for the dialer."""

    def __init__(self, producer: Producer, facts: Facts, address: CampaignAddress) -> None:
        self._producer = producer
        self._facts = facts
        self.address = str(address)

    @property
    def facts(self) -> Facts:
        """What workers have published of its account."""
        return self._facts

    def job(self, id: str) -> Job:  # noqa: A002  the contract's word
        """One of its jobs, not asked for yet."""
        return Job(self._producer.jobs, id)

    def standing(self, operation: str, idempotency_key: str) -> Standing:
        """What has become of this key here: nothing yet, a job at work, one broken off, or a complete one.

        Raises Unreachable.
        """
        campaign = CampaignAddress.parse(self.address).campaign
        return self._producer.standing(self._facts, campaign, operation, idempotency_key)

    def __repr__(self) -> str:
        return f"Campaign({self.address!r})"

    def import_leads(
        self,
        rows: Iterable[object],
        *,
        priority: Priority = "normal",
        on_duplicate: Literal["keep", "update"] = "keep",
        idempotency_key: str | None = None,
        expires_in: float | None = None,
    ) -> Job:
        """Bring leads into the campaign: the job, as soon as all rows are stored.

        Args:
            rows: dicts with canonical keys, any number, read lazily; memory stays flat.
            priority: class of the job's batches in the lane.
            on_duplicate: ``update`` sends leads that the dialer has already again, as updates.
            idempotency_key: the same key and rows make one job, however often they are given; after a
                crash of the producer the job goes on where it was.
            expires_in: seconds after which batches that have not left are given up (``expired``).

        Raises:
            ImportInterrupted: ``rows`` raised; what it gave before is stored, the job stays open.
            UnsupportedOperation, WrongUse: nothing more was stored.
            Unreachable: Redis is away; batches stored before are kept.
        """
        options: dict[str, object] = {
            "priority": priority,
            "on_duplicate": on_duplicate,
            "expires_in": expires_in,
        }
        return self._send("import", rows, options, idempotency_key)

    def update_leads(
        self,
        rows: Iterable[object],
        *,
        priority: Priority = "normal",
        idempotency_key: str | None = None,
        expires_in: float | None = None,
    ) -> Job:
        """Change leads that the campaign has, found by their phone number: the job.

        An update never passes an import that was there before it. Arguments and errors as for import_leads.
        """
        return self._send("update", rows, {"priority": priority, "expires_in": expires_in}, idempotency_key)

    def remove_leads(
        self,
        numbers: Iterable[object],
        *,
        priority: Priority = "normal",
        idempotency_key: str | None = None,
        expires_in: float | None = None,
    ) -> Job:
        """Take leads out of the campaign: the job. Arguments and errors as for import_leads.

        ``numbers`` are phone numbers, or dicts with ``phone_number``.
        """
        rows = (number if isinstance(number, Mapping) else {"phone_number": number} for number in numbers)
        return self._send("remove", rows, {"priority": priority, "expires_in": expires_in}, idempotency_key)

    def start(self, *, after: Job | None = None) -> Command:
        """Want the campaign started. With ``after`` only once that job has ended, if nothing newer is wanted then.

        The newest of start, pause and stop is what is wanted; older ones that have not left end as
        ``superseded``. Raises UnsupportedOperation, UnknownJob, Unreachable.
        """
        if after is not None:
            after.progress()
        return self._command("start", after="" if after is None else after.id)

    def pause(self) -> Command:
        """Want the campaign paused. As for start."""
        return self._command("pause")

    def stop(self) -> Command:
        """Want the campaign stopped. No older start, however late it comes, undoes it. As for start."""
        return self._command("stop")

    def _command(self, operation: str, asked: Mapping[str, object] | None = None, after: str = "") -> Command:
        self._facts.check(operation)
        campaign = CampaignAddress.parse(self.address).campaign
        jobs = self._producer.jobs
        return Command(
            jobs, self._producer.command(self._facts, operation, campaign, asked or {}, after=after)
        )

    def _send(
        self, operation: str, rows: Iterable[object], options: dict[str, object], key: str | None
    ) -> Job:
        command = load_lead_command({"campaign": self.address, "leads": [], **options})
        self._facts.check(operation, command.on_duplicate)
        return Job(self._producer.jobs, self._producer.send(self._facts, operation, rows, command, key))
