"""What a producer holds of an import or update: its progress, its end, its report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from leadlane.reaching import reaching_redis
from leadlane.schemas.errors import UnknownJob
from leadlane.workers.blocking import blocked_by, waits_for_room
from leadlane.workers.jobs import counts_of

if TYPE_CHECKING:
    from leadlane.workers.jobs import Jobs

LOOK_S = 0.25


Progress = dict[str, Any]


def waited(look: Callable[[], Progress], say: Callable[[Progress], str], timeout: float | None) -> Progress:
    """The first progress that has ended; raises TimeoutError with what ``say`` makes of the last."""
    looks = _until(look, say, timeout)
    while not (progress := next(looks))["ended"]:
        time.sleep(LOOK_S)
    return progress


async def waited_async(
    look: Callable[[], Progress], say: Callable[[Progress], str], timeout: float | None
) -> Progress:
    """The same without blocking an event loop."""
    looks = _until(look, say, timeout)
    while not (progress := await asyncio.to_thread(next, looks))["ended"]:
        await asyncio.sleep(LOOK_S)
    return progress


def _until(
    look: Callable[[], Progress], say: Callable[[Progress], str], timeout: float | None
) -> Iterator[Progress]:
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        progress = look()
        if not progress["ended"] and deadline is not None and time.monotonic() >= deadline:
            why = f"; blocked by: {progress['blocked_by']}" if progress["blocked_by"] else ""
            raise TimeoutError(say(progress) + why)
        yield progress


class Job:
    """A job by its id; every question is answered from Redis, so any process may ask."""

    def __init__(self, jobs: Jobs, id: str) -> None:  # noqa: A002  the contract's word
        self.id = id
        self._jobs = jobs

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    @property
    def eta(self) -> str | None:
        """When its last lead is expected to have left, as `progress` has it now. Raises UnknownJob, Unreachable."""
        found: str | None = self.progress()["eta"]
        return found

    def progress(self) -> dict[str, Any]:
        """Leads per outcome, with ``leads``, ``waiting`` and ``dead``; ``ended``; ``blocked_by``; ``eta``.

        The outcomes, ``waiting`` and ``dead`` add up to ``leads``. ``ended`` is true once the job has all its
        batches and each of them is done or dead. ``blocked_by`` says why nothing moves, or is None.
        ``eta`` is when the last lead that waits is expected to have left, in ISO 8601, UTC, if nothing comes between: a
        moment rather than seconds, so that it stays true when it is kept or passed on. It is None where nothing moves.
        ``uncarried`` lists fields of these leads that the dialer cannot carry. ``undone_by`` is the job that takes
        back what this one brought, ``undoes`` the one that this job takes back.

        Raises UnknownJob, Unreachable.
        """
        return reaching_redis(self._progress)

    def _progress(self) -> dict[str, Any]:
        from leadlane.workers.eta import eta

        fields = self._jobs.look(self.id)
        if not fields:
            raise UnknownJob(self.id)
        counts: dict[str, Any] = dict(counts_of(fields))
        ended = "ended" in fields
        counts["ended"] = ended
        stopped = None if ended else blocked_by(self._jobs.lanes, fields)
        counts["blocked_by"] = stopped or (None if ended else waits_for_room(self._jobs.lanes, fields))
        counts["eta"] = None if ended or stopped else eta(self._jobs.lanes, self.id, fields)
        if "uncarried" in fields:
            counts["uncarried"] = fields["uncarried"].split(",")
        counts |= {name: fields[name] for name in ("undoes", "undone_by") if name in fields}
        return counts

    def wait(self, timeout: float | None = None) -> dict[str, Any]:
        """The progress at the end of the job; ``timeout`` in seconds.

        Raises TimeoutError, which says how far it is and what blocks it.
        """
        return waited(self.progress, self._waiting, timeout)

    async def wait_async(self, timeout: float | None = None) -> dict[str, Any]:
        """The same for asyncio services: the event loop is never blocked."""
        return await waited_async(self.progress, self._waiting, timeout)

    def _waiting(self, progress: dict[str, Any]) -> str:
        return f"job {self.id}: {progress['waiting']} leads are still waiting"

    def report(self) -> Iterator[dict[str, Any]]:
        """One dict per lead, in order: ``index``, ``phone_number``, ``outcome``, ``reason``."""
        rows = self._jobs.report(self.id)
        while (row := reaching_redis(lambda: next(rows, None))) is not None:
            yield row.as_dict()

    def cancel(self) -> dict[str, int]:
        """Cancel what has not left yet: batches ``cancelled``, ``flagged`` (on their way) and ``done``."""
        self.progress()
        return reaching_redis(lambda: self._jobs.cancel(self.id))

    def undo(self) -> Job:
        """Take back what this import brought: the job that does so; said again, the same one.

        What has not left is cancelled. Leads that were, or may have been, created are removed as far as the dialer
        can, also those of a call that is under way now; what was there before stays. Of the job, ``progress`` and
        ``report`` tell leads that are ``removed`` (``updated``, where the dialer can only make them inactive) and,
        with the reason, those that cannot be taken back: ``failed``, ``rejected``. It is stored when this returns,
        also while no worker is there.

        Raises UnknownJob; WrongUse if it is no import; SettingsError if its leads are encrypted and the keys are not
        here; Unreachable.
        """
        from leadlane.workers.undoing import undo

        return Job(self._jobs, reaching_redis(lambda: undo(self._jobs, self.id)))
