"""Who takes part. A rival is a module with three functions; each is called with the place where it works."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from .workloads import Workload

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


class Rival(Protocol):
    """One way to bring leads into campaigns."""

    def enqueue(self, site: Site, workload: Workload) -> list[str]:
        """Store all work; ids of the tasks from which its producers can learn what became of their batches."""

    def work(self, site: Site, name: str) -> None:
        """Be a worker process of that name until told to stop."""

    def finished(self, site: Site, tasks: list[str]) -> int:
        """How many of these tasks have their result."""


def rival(name: str) -> Rival:
    """The rival of that name."""
    return cast("Rival", import_module(f"{__package__}.{_MODULES[name]}"))
