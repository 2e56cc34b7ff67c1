"""How long to wait after a failure."""

from __future__ import annotations

from collections.abc import Callable

BASE_S = 2.0
CAP_S = 60.0


def full_jitter(
    attempt: int, *, dice: Callable[[], float], base_s: float = BASE_S, cap_s: float = CAP_S
) -> float:
    """Seconds to wait after failed try ``attempt`` (0-based): uniform in [0, min(cap, base * 2**attempt)].

    The exponent is bounded, since attempts that cost nothing are not counted out.
    """
    return dice() * min(cap_s, base_s * 2.0 ** min(attempt, 16))
