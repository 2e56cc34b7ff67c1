"""Values that nobody in their right mind sends, the same ones for each seed; what the storms are made of."""

import random
from typing import Any

NUMBER = "12125550123"
"""Stands in what is hostile, and must be seen nowhere."""
SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, -(10**30), 1.5, -0.0, 1e308,
    float("nan"), float("inf"), -float("inf"),
    "", " ", "x", "a" * 300, "\x00", "\ud800", "x\udfffy", "\u202e", "½", "²", "٣", "\n", "a/b:c\nd", "../../x", "*",
    f"+{NUMBER}", NUMBER, "true", "voiso/1", "voiso/" + "9" * 5000, "voiso/1/2", "nobody/1", "voiso/\x00",
    "2026-01-01T00:00:00", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00", "never", "urgent", "update",
)  # fmt: skip


def deep(levels: int, kind: str = "[]") -> str:
    """JSON nested so deep."""
    return kind[0] * levels + kind[1] * levels if kind == "[]" else '{"a":' * levels + "1" + "}" * levels


class Imp:
    """Makes hostile values out of one seed."""

    def __init__(self, seed: int, names: tuple[str, ...]) -> None:
        self.dice = random.Random(seed)
        self.names = names

    def scalar(self) -> Any:
        return self.dice.choice(SCALARS)

    def name(self) -> str:
        return self.dice.choice((*self.names, "x", "", "\ud800", "a" * 100, NUMBER, "__class__"))

    def value(self, depth: int = 3) -> Any:
        """Any JSON value."""
        kind = self.dice.random() if depth else 0.0
        if kind < 0.5:
            return self.scalar()
        size = self.dice.choice((0, 1, 1, 2, 3, 30))
        if kind < 0.75:
            return [self.value(depth - 1) for _ in range(size)]
        return {self.name(): self.value(depth - 1) for _ in range(size)}

    def but(self, given: dict[str, Any], changes: int = 1) -> dict[str, Any]:
        """The same with so many entries that are something else, missing or new."""
        made = dict(given)
        for _ in range(changes):
            key = self.dice.choice((*given, *self.names)) if given else self.name()
            if self.dice.random() < 0.2:
                made.pop(key, None)
            else:
                made[key] = self.value()
        return made
