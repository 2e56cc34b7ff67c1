"""Who takes part. A rival is a module with three functions, each of which is told the place where it works."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Protocol, cast

NAMES: Final = ("leadlane", "cookbook", "drain")
_MODULES: Final = {"leadlane": "ours", "cookbook": "cookbook", "drain": "drain"}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a rival finds its Redis and the dialer, and what it must know of that one."""

    redis_url: str
    api_url: str
    api_key: str
    gap_s: float
    threads: int
    dialer: str = "voiso"
    rate: str = ""
    """What the dialer takes of us, as in `leadlane.toml`; empty if that is no matter."""


class Send(Protocol):
    """Store a batch for a campaign."""

    def __call__(self, campaign: int, leads: list[dict[str, Any]], /) -> list[str]:
        """The ids of its tasks."""


class Rival(Protocol):
    """One way to bring leads into campaigns."""

    def producer(self, site: Site) -> Send:
        """A producer: what it calls to have a batch of leads brought to a campaign.

        Its answer is the ids of the tasks from which it can learn what became of the batch.
        """

    def work(self, site: Site, name: str) -> None:
        """Be a worker process of that name until told to stop."""

    def finished(self, site: Site, tasks: list[str]) -> int:
        """How many of these tasks have their result."""


def rival(name: str) -> Rival:
    """The rival of that name."""
    return cast("Rival", import_module(f"{__package__}.{_MODULES[name]}"))
