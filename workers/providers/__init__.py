"""The dialers: one module of data and mapping each, found by name here."""

from __future__ import annotations

from leadlane.workers.providers.contract import Operation, Provider
from leadlane.workers.providers.voiso import VOISO

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (VOISO,)}

__all__ = ["PROVIDERS", "Operation", "Provider"]
