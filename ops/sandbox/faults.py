"""What is to go wrong, on demand: rules that pick requests, and what they do to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .calls import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from .audit import Record

INSTEAD: Final = {"status": 503, "html": 200, "redirect": 302}
"""Faults that answer in the dialer's place, before any work, with their default status."""
LOST: Final = {"drop_before", "drop_after"}
"""Faults that cut the line without an answer, before the work or after it."""
SLOW: Final = {"latency": 1.0, "slow_body": 0.05}
"""Faults that take time, with the default seconds: within the work, or after each byte of the answer."""
KINDS: Final = (*INSTEAD, *sorted(LOST), *SLOW, "truncated_json")
MATCHES: Final = ("dialer", "operation", "campaign", "method", "path")

HTML: Final = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon.</body></html>"


@dataclass(slots=True)
class Fault:
    """One rule. Raises ValueError, saying what would be right, if it cannot be one."""

    fault: str
    match: Mapping[str, str] = field(default_factory=dict)
    """Fields of the record that must be equal; every request fits an empty one."""
    times: int | None = None
    """How often it strikes; None for always."""
    probability: float = 1.0
    status: int | None = None
    retry_after: float | str | None = None
    """Header of that name: seconds, or a date as text."""
    delay_s: float | None = None
    hits: int = 0

    def __post_init__(self) -> None:
        if self.fault not in KINDS:
            raise ValueError(f"fault: no such fault; there are {', '.join(KINDS)}")
        if not isinstance(self.match, Mapping) or not self.match.keys() <= set(MATCHES):
            raise ValueError(f"match: must be an object of some of {', '.join(MATCHES)}")
        if self.times is not None and (type(self.times) is not int or self.times < 1):
            raise ValueError("times: must be a count from 1, or null for always")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability: must be between 0 and 1")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status: must be between 200 and 599")
        if self.delay_s is not None and self.delay_s < 0:
            raise ValueError("delay_s: must be seconds, 0 or more")
        if self.status is None:
            self.status = INSTEAD.get(self.fault)
        if self.delay_s is None:
            self.delay_s = SLOW.get(self.fault, 0.0)

    def fits(self, record: Record) -> bool:
        """Whether the request is one of those it is meant for and it may strike once more."""
        left = self.times is None or self.hits < self.times
        return left and all(str(getattr(record, name)) == str(value) for name, value in self.match.items())

    @property
    def latency_s(self) -> float:
        """Seconds by which the dialer's work takes longer."""
        return (self.delay_s or 0.0) if self.fault == "latency" else 0.0

    def instead(self) -> Answer | None:
        """The answer given in the dialer's place, or None if the dialer shall answer."""
        if self.fault not in INSTEAD or self.status is None:
            return None
        again = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        if self.fault == "html":
            return Answer(self.status, HTML, {"content-type": "text/html; charset=utf-8"} | again)
        if self.fault == "redirect":
            return Answer(self.status, b"", {"location": "/login"} | again)
        plain = Answer.json(self.status, {"error": "A fault on demand"})
        return Answer(plain.status, plain.body, {**plain.headers, **again})

    def mangle(self, answer: Answer) -> Answer:
        """The dialer's answer as the client shall see it."""
        if self.fault != "truncated_json":
            return answer
        return Answer(self.status or answer.status, answer.body[: len(answer.body) // 2], answer.headers)

    @property
    def readable(self) -> bool:
        """Whether the client learns from the answer what the dialer did."""
        return self.fault in SLOW


class Faults:
    """The rules in force; the first that fits strikes."""

    def __init__(self, dice: Callable[[], float]) -> None:
        self._dice = dice
        self.rules: list[Fault] = []

    def add(self, rule: Mapping[str, Any]) -> None:
        """Put a rule behind the others; ValueError says what is wrong with it."""
        try:
            self.rules.append(Fault(**{name: value for name, value in rule.items() if name != "hits"}))
        except TypeError as exc:
            raise ValueError(f"not a rule for faults: {exc}") from exc

    def strike(self, record: Record) -> Fault | None:
        """The fault that befalls this request, counted and written into its record."""
        for rule in self.rules:
            if rule.fits(record) and (rule.probability >= 1 or self._dice() < rule.probability):
                rule.hits += 1
                record.fault = rule.fault
                return rule
        return None

    def forget(self) -> None:
        """Nothing goes wrong any more."""
        self.rules.clear()
