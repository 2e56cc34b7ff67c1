"""What a producer holds of a command: its fate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from leadlane.job import waited, waited_async
from leadlane.reaching import reaching_redis
from leadlane.schemas.errors import UnknownJob
from leadlane.workers.blocking import blocked_by
from leadlane.workers.jobs import counts_of

if TYPE_CHECKING:
    from leadlane.workers.jobs import Jobs


class Command:
    """A word about a campaign, its state or its agents, by its id; any process may ask what became of it."""

    def __init__(self, jobs: Jobs, id: str) -> None:  # noqa: A002  the contract's word
        self.id = id
        self._jobs = jobs

    def __repr__(self) -> str:
        return f"Command({self.id!r})"

    def progress(self) -> dict[str, Any]:
        """What became of it so far.

        ``asked`` is what was asked for (``stop``); ``outcome`` is ``waiting``, ``dead``, or its fate: ``reached``,
        ``accepted`` (the dialer brings it about by itself), ``superseded`` (a newer command came), ``rejected``,
        ``cancelled``, ``expired``, ``failed``, ``uncertain``. ``state`` is the state of the campaign as the dialer
        said at the end (``stopped``), ``members`` (after words about agents) how many it then has. ``reason`` says
        why, ``ended`` whether it is over, ``blocked_by`` why nothing moves.

        Raises UnknownJob, Unreachable.
        """
        return reaching_redis(self._progress)

    def _progress(self) -> dict[str, Any]:
        fields = self._jobs.ticket(self.id)
        if not fields:
            raise UnknownJob(self.id)
        ended = fields["state"] in ("done", "dead")
        blocked = None
        if fields["state"] == "kept":
            blocked = self._awaited(fields["after"])
        elif not ended:
            blocked = blocked_by(self._jobs.lanes, fields)
        return {**self._jobs.fate(self.id, fields), "ended": ended, "blocked_by": blocked}

    def _awaited(self, job: str) -> str:
        fields = self._jobs.look(job)
        if "sealed" not in fields:
            return f"it waits for job {job}, which is open: its producer may send more"
        why = blocked_by(self._jobs.lanes, fields)
        waiting = counts_of(fields)["waiting"]
        return f"it waits for job {job}, of which {waiting} leads wait" + (f": {why}" if why else "")

    def wait(self, timeout: float | None = None) -> dict[str, Any]:
        """Its progress at the end, with the state reached; ``timeout`` in seconds.

        Raises TimeoutError, which says what blocks it.
        """
        return waited(self.progress, self._waiting, timeout)

    async def wait_async(self, timeout: float | None = None) -> dict[str, Any]:
        """The same for asyncio services: the event loop is never blocked."""
        return await waited_async(self.progress, self._waiting, timeout)

    def cancel(self) -> str:
        """Take it back if it has not left: ``cancelled``, ``flagged`` (it is on its way) or ``done``."""
        self.progress()
        return reaching_redis(lambda: self._jobs.lanes.cancel(self.id))

    def _waiting(self, progress: dict[str, Any]) -> str:
        reason = f" ({progress['reason']})" if progress["reason"] else ""
        return f"command {self.id}: {progress['asked']} of {progress['campaign']} is not over{reason}"
