"""How often a dialer may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RATE = re.compile(r"(?P<count>[0-9]{1,6})\s*/\s*(?P<periods>[0-9]{1,8}(?:\.[0-9]{1,6})?)?\s*(?P<unit>[smh])")
_LONGEST_S = 366 * 86_400
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
            count, period_s = int(found["count"]), float(found["periods"] or 1) * _UNIT_S[found["unit"]]
            if count and 0 < period_s <= _LONGEST_S:
                return cls(count, period_s)
        raise ValueError("not a rate")

    def __str__(self) -> str:
        unit = next((unit for unit, seconds in _UNIT_S.items() if seconds == self.period_s), None)
        return f"{self.count}/{unit or f'{self.period_s:.6f}'.rstrip('0').rstrip('.') + 's'}"
