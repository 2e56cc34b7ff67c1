"""The dialers: one module of data and mapping each, found by name here."""

from __future__ import annotations

from leadlane.workers.providers.contract import Operation, Provider
from leadlane.workers.providers.dialnexa import DIALNEXA
from leadlane.workers.providers.voiceaiwrapper import VOICEAIWRAPPER
from leadlane.workers.providers.voicery import VOICERY
from leadlane.workers.providers.voiso import VOISO

PROVIDERS: dict[str, Provider] = {
    provider.name: provider for provider in (VOISO, VOICEAIWRAPPER, DIALNEXA, VOICERY)
}

__all__ = ["PROVIDERS", "Operation", "Provider"]
