"""How often a dialer may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RATE = re.compile(r"(?P<count>[0-9]{1,6})\s*/\s*(?P<periods>[0-9]{1,4}(?:\.[0-9]{1,3})?)?\s*(?P<unit>[smh])")
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` calls in any ``period_s`` seconds."""

    count: int
    period_s: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        """The rate in ``10/s``, ``600/m`` or ``5/10s``. Raises ValueError."""
        found = _RATE.fullmatch(text.strip())
        if found:
            count, periods = int(found["count"]), float(found["periods"] or 1)
            if count and periods:
                return cls(count, periods * _UNIT_S[found["unit"]])
        raise ValueError("not a rate")

    def __str__(self) -> str:
        unit = next((unit for unit, seconds in _UNIT_S.items() if seconds == self.period_s), None)
        return f"{self.count}/{unit or f'{self.period_s:g}s'}"
