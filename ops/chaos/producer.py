"""A service that sends leads, is killed now and then, and goes on where it was.

It writes down what it is about to send, and what has ended. After a kill -9 it sends again whatever it may have
sent: Leadlane knows a job by its idempotency key and a task by its id, so that nothing is sent twice.
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from leadlane.cli import output
from leadlane.fleet import Fleet
from leadlane.ops.chaos.plan import ROLES, Errand, Role, errand
from leadlane.ops.children import end_with_parent
from leadlane.schemas.errors import Unreachable, WrongUse
from leadlane.schemas.settings import load_settings
from leadlane.workers.celery_app import make_app
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Lanes

AWAY: Final = (Unreachable, redis.RedisError, OperationalError)
"""What Redis, when it is down, makes of any call."""
LOOK_S: Final = 0.05
AGAIN_S: Final = 2.0
UNKNOWN_S: Final = 20.0
"""After so long a task that no worker has entered is sent again: a broker may lose its message."""


class Journal:
    """What a producer remembers over its own death: the job of each errand, "" until it is known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.jobs: dict[int, str] = {}
        self.ended: set[int] = set()
        self.again = 0
        for line in path.read_text().splitlines() if path.exists() else ():
            self._take(json.loads(line))

    def note(self, **entry: Any) -> None:
        """Remember it from now on."""
        self._take(entry)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def _take(self, entry: dict[str, Any]) -> None:
        self.jobs[entry["n"]] = entry.get("job", "")
        if entry.get("ended"):
            self.ended.add(entry["n"])
        self.again += entry.get("again", 0)


def lead(number: str) -> dict[str, str]:
    """Somebody with this number; not every dialer takes leads without a name."""
    return {"phone_number": number, "name": "Ada"}


def task_id(of: Errand) -> str:
    """Of an errand by name; the same each time it is sent."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, of.key))


class Producer:
    """Sends the errands of one role, a few at a time, until it is told to stop and all of them have ended."""

    def __init__(self, role: Role, seed: int, folder: Path, *, trickle: bool) -> None:
        settings = load_settings()
        self._role, self._seed, self._trickle = role, seed, trickle
        self._stop = folder / "stop"
        self._journal = Journal(journal_of(folder, role))
        self._fleet = Fleet(settings=settings)
        self._app: Celery = make_app(settings)
        self._jobs = Jobs(Lanes.of(settings))
        self._due: dict[int, float] = {}  # when to send an errand that may not be there yet

    def run(self) -> None:
        """Returns when it was told to stop and everything has ended."""
        while True:
            journal = self._journal
            waiting = [n for n in journal.jobs if n not in journal.ended]
            for n in waiting:
                self._look(errand(self._role, n, self._seed))
            if self._stop.exists():
                if not waiting:
                    return
            elif len(waiting) < self._role.open:
                journal.note(n=len(journal.jobs))
                continue
            time.sleep(LOOK_S)

    def _look(self, at: Errand) -> None:
        """See to one errand: send it if it is due, note its end."""
        job = self._journal.jobs[at.n]
        try:
            if not job and time.monotonic() >= self._due.get(at.n, 0.0):
                job = self._sent(at)
            if not job and self._role.by_name:
                job = self._jobs.ticket(task_id(at)).get("job", "")
            if job and job != self._journal.jobs[at.n]:
                self._journal.note(n=at.n, job=job)
            if job and self._fleet.job(job).progress()["ended"]:
                self._journal.note(n=at.n, job=job, ended=True)
        except AWAY:
            self._due.pop(at.n, None)
            time.sleep(LOOK_S)
        except WrongUse as exc:  # it was killed while it filled this job: the key is free a minute later
            output.note(str(exc))
            self._due[at.n] = time.monotonic() + AGAIN_S

    def _sent(self, at: Errand) -> str:
        """The job, if that is known at once."""
        if not self._role.by_name:
            return self._fleet.campaign(at.address).import_leads(self._rows(at), idempotency_key=at.key).id
        if at.n in self._due:
            self._journal.note(n=at.n, again=1)
        self._due[at.n] = time.monotonic() + UNKNOWN_S
        kwargs = {"campaign": at.address, "leads": [lead(number) for number in at.numbers()]}
        self._app.send_task("leadlane.leads.import", kwargs=kwargs, task_id=task_id(at))
        return ""

    def _rows(self, at: Errand) -> Iterator[dict[str, str]]:
        dice = random.Random(at.key)  # noqa: S311  chaos, not cryptography
        for i, number in enumerate(at.numbers(), 1):
            if self._trickle and i % 1000 == 0:
                time.sleep(dice.uniform(0, self._role.trickle_s))
            yield lead(number)


def journal_of(folder: Path, role: Role) -> Path:
    """Where a producer of this role remembers."""
    return folder / f"{role.name.replace(' ', '-')}.jsonl"


def main() -> None:
    """Run the producer that the arguments name: place in ROLES, seed, folder, whether rows trickle."""
    end_with_parent()
    role, seed, folder, trickle = sys.argv[1:]
    Producer(ROLES[int(role)], int(seed), Path(folder), trickle=trickle == "1").run()


if __name__ == "__main__":
    main()
