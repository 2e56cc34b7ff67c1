"""The errors a user of leadlane may meet; the tree is drawn in ``leadlane.schemas.errors``."""

from leadlane.schemas.errors import (
    BadCampaign,
    BadFile,
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
    "BadFile",
    "DeadLetter",
    "DialerFailed",
    "ImportInterrupted",
    "LaneFull",
    "LeadlaneError",
    "SettingsError",
    "UnknownAccount",
    "UnknownJob",
    "Unreachable",
    "UnsupportedOperation",
    "WrongUse",
]
