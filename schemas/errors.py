"""What can go wrong, as one tree. Branch by what you will do next.

```text
LeadlaneError                 exit code 1
  WrongUse                    exit code 2   the caller's mistake; nothing was queued
    SettingsError             a setting is missing, unknown or wrong      .path .problem .remedy
    UnknownAccount            no such account                             .name .known
    UnsupportedOperation      the provider has no such operation          .account .operation .supported .switch
    BadCampaign               not an address, or not an id of this dialer .address .problem .remedy
    BadFile                   a file cannot be read as leads              .path .problem .remedy
    UnknownJob                no such job, or its time of keeping is over .job_id
  Unreachable                 exit code 3   Redis or the broker does not answer; try later
  DialerFailed                exit code 3   a dialer gave a look-up no good answer            .account .problem .remedy
  DeadLetter                  a ticket that will not be tried again by itself  .reason
  LaneFull                    exit code 3   no room for more leads; try later
                                            .campaign .of .waiting .limit .job_id .rows_stored .room_in_s
  ImportInterrupted           a producer's iterable raised; the job stays open .job_id .rows_taken
```

Every message is one sentence: what is wrong, where, and what would be right. None holds a phone
number or a key. Each error can be made again from its ``args``, which are plain JSON: Celery's
result backend and pickle carry it whole.
"""

# ruff: noqa: N818 - an error is named for what happened, in the words of the design

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], likeness: float = 0.55) -> str | None:
    """The known word most like ``word``, whatever its case, or None if none is like it at all."""
    by_folded = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), by_folded, n=1, cutoff=likeness)
    return by_folded[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A remedy for an unknown word: the nearest known one, else all of them."""
    names = sorted(known)
    close = nearest(word, names)
    if close:
        return f"did you mean '{close}'?"
    return f"known: {', '.join(names)}" if names else "none is known yet"


class LeadlaneError(Exception):
    """Anything Leadlane raises on purpose; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class WrongUse(LeadlaneError):
    """The caller's mistake. Nothing was queued."""

    exit_code: ClassVar[int] = 2


class SettingsError(WrongUse):
    """A setting that is missing, unknown or wrong; ``path`` is its full key, ``accounts.voiso-emea.rate``."""

    def __init__(self, path: str, problem: str, remedy: str = "") -> None:
        super().__init__(path, problem, remedy)
        self.path, self.problem, self.remedy = path, problem, remedy

    def __str__(self) -> str:
        return _sentence(self.path, self.problem, self.remedy)


class UnknownAccount(WrongUse):
    """No worker and no ``leadlane.toml`` knows this account; ``known`` are those that exist."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(name, self.known)

    def __str__(self) -> str:
        if not self.known:
            return (
                f"account '{self.name}' is unknown: no worker has published it yet; "
                "start a worker that has it in its leadlane.toml"
            )
        return f"account '{self.name}' is unknown; {did_you_mean(self.name, self.known)}"


class UnsupportedOperation(WrongUse):
    """The account's dialer cannot do this; ``supported`` is what it can.

    ``switch`` is the setting of the account that turns it on, if there is one.
    """

    def __init__(self, account: str, operation: str, supported: Iterable[str] = (), switch: str = "") -> None:
        self.account, self.operation, self.supported = account, operation, tuple(supported)
        self.switch = switch
        super().__init__(account, operation, self.supported, switch)

    def __str__(self) -> str:
        can = f"; it can {', '.join(self.supported)}" if self.supported else ""
        if self.switch:
            return (
                f"account '{self.account}': '{self.operation}' is off{can}; "
                f"{self.switch} = true in the account's settings turns it on"
            )
        return f"account '{self.account}': its dialer has no '{self.operation}'{can}"


class BadCampaign(WrongUse):
    """Not a campaign address, or an id that this dialer cannot have given out."""

    def __init__(self, address: str, problem: str, remedy: str = "") -> None:
        super().__init__(address, problem, remedy)
        self.address, self.problem, self.remedy = address, problem, remedy

    def __str__(self) -> str:
        return _sentence(f"campaign '{self.address}'", self.problem, self.remedy)


class BadFile(WrongUse):
    """A file that is missing, unreadable, or not of a form we read."""

    def __init__(self, path: str, problem: str, remedy: str = "") -> None:
        super().__init__(path, problem, remedy)
        self.path, self.problem, self.remedy = path, problem, remedy

    def __str__(self) -> str:
        return _sentence(self.path, self.problem, self.remedy)


class UnknownJob(WrongUse):
    """No such job here, or it ended so long ago that it is no longer kept."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.job_id = job_id

    def __str__(self) -> str:
        return (
            f"job '{self.job_id}' is unknown: the id is wrong, it ended longer ago than retention_s, or a failover of "
            "Redis lost it, and the same call with the same idempotency key brings it back; look at `leadlane job list`"
        )


class Unreachable(LeadlaneError):
    """Redis or the broker does not answer. What was accepted before is kept; try again later."""

    exit_code: ClassVar[int] = 3

    def __init__(self, what: str, problem: str, remedy: str = "") -> None:
        super().__init__(what, problem, remedy)
        self.what, self.problem, self.remedy = what, problem, remedy

    def __str__(self) -> str:
        return _sentence(self.what, self.problem, self.remedy)


class DialerFailed(LeadlaneError):
    """A look-up got no good answer of the dialer, or was not made: on hold, cooling, no rate left."""

    exit_code: ClassVar[int] = 3

    def __init__(self, account: str, problem: str, remedy: str = "") -> None:
        super().__init__(account, problem, remedy)
        self.account, self.problem, self.remedy = account, problem, remedy

    def __str__(self) -> str:
        return _sentence(f"account '{self.account}'", self.problem, self.remedy)


class DeadLetter(LeadlaneError):
    """A ticket that will not be tried again by itself; `leadlane dead` shows, retries or discards it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LaneFull(LeadlaneError):
    """As many leads wait as the account's settings allow; the job stays open, and what it has stored is sent.

    ``of`` is ``campaign`` or ``account``: whose ``limit`` it is, and of what ``waiting`` leads wait. ``rows_stored`` is
    how many rows of the job ``job_id`` are safe; ``room_in_s`` is in how many seconds the next batch is expected to
    fit, None if nobody can say.
    """

    exit_code: ClassVar[int] = 3

    def __init__(
        self,
        campaign: str,
        of: str,
        waiting: int,
        limit: int,
        job_id: str,
        rows_stored: int,
        room_in_s: float | None = None,
    ) -> None:
        super().__init__(campaign, of, waiting, limit, job_id, rows_stored, room_in_s)
        self.campaign, self.of, self.waiting, self.limit = campaign, of, waiting, limit
        self.job_id, self.rows_stored, self.room_in_s = job_id, rows_stored, room_in_s

    def __str__(self) -> str:
        whose = (
            f"account '{self.campaign.partition('/')[0]}'"
            if self.of == "account"
            else f"campaign '{self.campaign}'"
        )
        room = (
            "nobody can say when there is room"
            if self.room_in_s is None
            else f"room in about {self.room_in_s:,.0f} s"
        )
        return (
            f"{whose}: {self.waiting:,} leads wait, of {self.limit:,} that may, and {room}; job {self.job_id} has "
            f"{self.rows_stored:,} rows stored, which are sent, and stays open: give the same rows under the same "
            "idempotency key to go on, if it had one, or on_full='wait'"
        )


class ImportInterrupted(LeadlaneError):
    """A producer's iterable raised (the cause is chained); what it gave before is queued, the job is open."""

    def __init__(self, job_id: str, rows_taken: int) -> None:
        super().__init__(job_id, rows_taken)
        self.job_id, self.rows_taken = job_id, rows_taken

    def __str__(self) -> str:
        return (
            f"job {self.job_id}: the rows stopped with an error after {self.rows_taken} were taken, and the "
            "job stays open; give the same rows under the same idempotency key to go on, if it had one, "
            f"or close it with `leadlane job cancel {self.job_id}`"
        )


def _sentence(where: str, problem: str, remedy: str) -> str:
    return f"{where}: {problem}; {remedy}" if remedy else f"{where}: {problem}"
