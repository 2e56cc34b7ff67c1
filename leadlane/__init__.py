"""Leads, campaign states and agents into hosted dialers, under every rule of the dialer's API.

```python
from leadlane import Fleet

job = Fleet("redis://localhost:6379/0").campaign("voiso-emea/3").import_leads(rows)
job.wait(timeout=60)
```
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leadlane.command import Command
    from leadlane.fleet import Campaign, Fleet
    from leadlane.job import Job
    from leadlane.schemas.errors import (
        BadCampaign,
        DeadLetter,
        DialerFailed,
        ImportInterrupted,
        LaneFull,
        LeadlaneError,
        SettingsError,
        UnknownAccount,
        UnknownJob,
        Unreachable,
        UnsupportedOperation,
        WrongUse,
    )

__all__ = [
    "BadCampaign",
    "Campaign",
    "Command",
    "DeadLetter",
    "DialerFailed",
    "Fleet",
    "ImportInterrupted",
    "Job",
    "LaneFull",
    "LeadlaneError",
    "SettingsError",
    "UnknownAccount",
    "UnknownJob",
    "Unreachable",
    "UnsupportedOperation",
    "WrongUse",
]

_HOME = {
    "Campaign": "leadlane.fleet",
    "Command": "leadlane.command",
    "Fleet": "leadlane.fleet",
    "Job": "leadlane.job",
}


def __getattr__(name: str) -> object:
    """Names load when they are asked for: `import leadlane` costs a service nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'leadlane' has no attribute {name!r}")
    return getattr(import_module(_HOME.get(name, "leadlane.schemas.errors")), name)
