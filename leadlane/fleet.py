"""The face for producers: say what should be true of a campaign; the fleet of workers makes it so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from leadlane.command import Command
from leadlane.job import Job
from leadlane.reaching import reaching_redis
from leadlane.schemas.addresses import CampaignAddress
from leadlane.schemas.commands import load_agents_command, load_lead_command
from leadlane.schemas.settings import Settings, load_settings

if TYPE_CHECKING:
    from leadlane.opt_outs import Reach
    from leadlane.producer import Producer, Standing
    from leadlane.room import OnFull
    from leadlane.workers.accounts import Facts
    from leadlane.workers.lanes import Ticket

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

    def campaigns(self, account: str, *, timeout: float = 30.0) -> list[dict[str, str]]:
        """The campaigns of an account as its dialer lists them now: dicts of ``id``, ``name``, ``status``.

        Asked by a worker; ``timeout`` in seconds. Raises UnknownAccount, UnsupportedOperation, DialerFailed;
        TimeoutError, which says what blocks; Unreachable.
        """
        facts = reaching_redis(lambda: self._producer.facts(account))
        found: list[dict[str, str]] = self._producer.ask(
            facts, "campaigns", {"account": account}, timeout=timeout
        )
        return found

    def job(self, id: str) -> Job:  # noqa: A002  the contract's word
        """A job by its id; raises UnknownJob if there is none."""
        job = Job(self._producer.jobs, id)
        job.progress()
        return job

    def suppress(
        self,
        numbers: Iterable[object],
        *,
        account: str = "",
        campaign: str = "",
        idempotency_key: str | None = None,
    ) -> Command:
        """Have nobody call these numbers any more: in a campaign (``ACCOUNT/ID``), at an account, or everywhere.

        From the moment of the call nothing leaves for that scope until it is so. ``wait`` tells ``numbers``,
        ``new`` ones, ``campaigns_told`` and ``campaigns_not_told``, whose dialer has no way. ``idempotency_key``:
        the same key and numbers are one command.

        Raises WrongUse at a number that is none, or if the key was given for other numbers; UnknownAccount,
        BadCampaign, Unreachable; then nothing is stored.
        """
        from leadlane.workers.optouts import suppress

        reach = self._reach(account, campaign)
        return self._opt_out("suppress", suppress, reach.scope, reach.digits(numbers), idempotency_key)

    def unsuppress(
        self,
        numbers: Iterable[object],
        *,
        account: str = "",
        campaign: str = "",
        idempotency_key: str | None = None,
    ) -> Command:
        """Take back opt-outs of exactly this scope. ``wait`` tells how many were ``removed``.

        Under a key that was given before nothing is taken back again. Errors as above.
        """
        from leadlane.workers.optouts import unsuppress

        reach = self._reach(account, campaign)
        return self._opt_out("unsuppress", unsuppress, reach.scope, reach.digits(numbers), idempotency_key)

    def suppressed(self, numbers: Iterable[object], *, account: str = "", campaign: str = "") -> Command:
        """Ask which of these numbers nobody may call there, by an opt-out of that scope or of a wider one.

        Without a scope: by any opt-out, and which campaigns got them in the last hundred days. ``wait`` tells their
        places in ``suppressed``, per scope in ``scopes``, and per campaign in ``campaigns``; errors as above.
        """
        from leadlane.workers.optouts import lookup

        reach = self._reach(account, campaign)
        ticket = lookup(reach.scope, reach.digits(numbers))
        return Command(self._producer.jobs, self._producer.enter(ticket))

    def _reach(self, account: str, campaign: str) -> Reach:
        from leadlane.opt_outs import Reach

        return Reach(self._producer, account, campaign)

    def _opt_out(
        self, operation: str, ticket: Callable[..., Ticket], scope: str, digits: list[str], key: str | None
    ) -> Command:
        producer = self._producer
        said = producer.said(f"optout/{scope}", operation, key, {"numbers": sorted(set(digits))})
        entered = producer.enter(ticket(scope, digits, id=producer.id_of(said)), said)
        return Command(producer.jobs, entered)

    def close(self) -> None:
        """Give back the connections."""
        self._producer.lanes.client.close()


class Campaign:
    """One campaign of an account. Nothing here waits for the dialer but ``status`` and ``agents``."""

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
        as_file: bool = False,
        on_full: OnFull = "wait",
    ) -> Job:
        """Bring leads into the campaign: the job, as soon as all rows are stored.

        Args:
            rows: dicts with canonical keys, any number, read lazily; memory stays flat.
            priority: class of the job's batches in the lane.
            on_duplicate: ``update`` sends leads that the dialer has already again, as updates.
            idempotency_key: the same key and rows make one job, however often they are given; after a
                crash of the producer the job goes on where it was.
            as_file: bring them as files of up to 1000 leads, where the dialer takes such: quick for a first load,
                but of a file with a lost answer, or one that was taken in part, all leads end as ``uncertain``,
                and none can later be updated or removed by its number.
            expires_in: seconds after which batches that have not left are given up (``expired``).
            on_full: while as many leads wait as the account's ``max_waiting`` and ``max_waiting_per_campaign`` allow,
                ``wait`` for room, the default, since rows are read lazily and nothing is lost by it; ``raise``; or a
                function that gets the LaneFull at each look, every second at most, and may raise to give up.

        Raises:
            LaneFull: with ``on_full="raise"``; what it says to be stored is safe, the job stays open.
            ImportInterrupted: ``rows`` raised; what it gave before is stored, the job stays open.
            UnsupportedOperation, WrongUse: nothing more was stored.
            Unreachable: Redis is away; batches stored before are kept.
        """
        options: dict[str, object] = {
            "priority": priority,
            "on_duplicate": on_duplicate,
            "expires_in": expires_in,
        }
        return self._send("upload" if as_file else "import", rows, options, idempotency_key, on_full)

    def update_leads(
        self,
        rows: Iterable[object],
        *,
        priority: Priority = "normal",
        idempotency_key: str | None = None,
        expires_in: float | None = None,
        on_full: OnFull = "wait",
    ) -> Job:
        """Change leads that the campaign has, found by their phone number: the job.

        An update never passes an import that was there before it. Arguments and errors as for import_leads.
        """
        options = {"priority": priority, "expires_in": expires_in}
        return self._send("update", rows, options, idempotency_key, on_full)

    def remove_leads(
        self,
        numbers: Iterable[object],
        *,
        priority: Priority = "normal",
        idempotency_key: str | None = None,
        expires_in: float | None = None,
        on_full: OnFull = "wait",
    ) -> Job:
        """Take leads out of the campaign: the job. Arguments and errors as for import_leads.

        ``numbers`` are phone numbers, or dicts with ``phone_number``.
        """
        rows = (number if isinstance(number, Mapping) else {"phone_number": number} for number in numbers)
        options = {"priority": priority, "expires_in": expires_in}
        return self._send("remove", rows, options, idempotency_key, on_full)

    def start(self, *, after: Job | None = None, idempotency_key: str | None = None) -> Command:
        """Want the campaign started. With ``after`` only once that job has ended, if nothing newer is wanted then.

        The newest of start, pause and stop is what is wanted; older ones that have not left end as
        ``superseded``. The same ``idempotency_key`` is the same command, as it is by then: given again after a
        newer word it brings nothing back. Raises UnsupportedOperation, UnknownJob, Unreachable; WrongUse if the key
        was given with another ``after``.
        """
        if after is not None:
            after.progress()
        return self._command("start", idempotency_key, after="" if after is None else after.id)

    def pause(self, *, idempotency_key: str | None = None) -> Command:
        """Want the campaign paused. As for start."""
        return self._command("pause", idempotency_key)

    def stop(self, *, idempotency_key: str | None = None) -> Command:
        """Want the campaign stopped. No older start, however late it comes, undoes it. As for start."""
        return self._command("stop", idempotency_key)

    def add_agents(self, user_ids: Iterable[int | str], *, idempotency_key: str | None = None) -> Command:
        """Want these agents on the campaign; who is there already stays.

        Words about agents that wait together leave as one: the last word about an agent wins, and only the
        difference to who is there is sent. The same ``idempotency_key`` and agents are one command. Raises
        UnsupportedOperation; WrongUse, naming the id that the dialer cannot have, or if the key was given for
        other agents; Unreachable.
        """
        return self._agents_command("add_agents", user_ids, idempotency_key)

    def remove_agents(self, user_ids: Iterable[int | str], *, idempotency_key: str | None = None) -> Command:
        """Want these agents off the campaign. As for add_agents."""
        return self._agents_command("remove_agents", user_ids, idempotency_key)

    def sync_agents(self, user_ids: Iterable[int | str], *, idempotency_key: str | None = None) -> Command:
        """Want exactly these agents on the campaign, nobody else. As for add_agents."""
        return self._agents_command("sync_agents", user_ids, idempotency_key)

    def status(self, *, timeout: float = 30.0) -> dict[str, str]:
        """What the dialer says of the campaign now: ``campaign``, ``name``, ``status``, ``phase``.

        ``status`` is its own word; ``phase`` is ``started``, ``paused``, ``stopped``, ``changing`` or ``other``.
        Asked by a worker; ``timeout`` in seconds. Raises UnsupportedOperation; BadCampaign if the dialer has no
        such campaign; DialerFailed; TimeoutError, which says what blocks; Unreachable.
        """
        found: dict[str, str] = self._ask("status", timeout)
        return found

    def agents(self, *, timeout: float = 30.0) -> list[dict[str, str]]:
        """Who is on the campaign now: dicts of ``id`` and ``name``. As for status."""
        found: list[dict[str, str]] = self._ask("agents", timeout)
        return found

    def _ask(self, what: str, timeout: float) -> Any:
        return self._producer.ask(self._facts, what, {"campaign": self.address}, timeout=timeout)

    def _agents_command(self, operation: str, user_ids: Iterable[int | str], key: str | None) -> Command:
        from leadlane.workers.commands import asked_of_agents

        self._facts.check(operation)
        ids = load_agents_command({"campaign": self.address, "user_ids": list(user_ids)}).user_ids or []
        return self._command(operation, key, asked_of_agents(self._facts, operation, ids))

    def _command(
        self, operation: str, key: str | None, asked: Mapping[str, object] | None = None, after: str = ""
    ) -> Command:
        self._facts.check(operation)
        campaign = CampaignAddress.parse(self.address).campaign
        producer = self._producer
        command = producer.command(self._facts, operation, campaign, asked or {}, after=after, key=key)
        return Command(producer.jobs, command)

    def _send(
        self,
        operation: str,
        rows: Iterable[object],
        options: Mapping[str, object],
        key: str | None,
        on_full: OnFull,
    ) -> Job:
        command = load_lead_command({"campaign": self.address, "leads": [], **options})
        self._facts.check(operation, command.on_duplicate)
        job = self._producer.send(self._facts, operation, rows, command, key, on_full)
        return Job(self._producer.jobs, job)
