"""How strict, how fast and how large the sandbox is; may be changed while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from leadlane.schemas.settings import Rate

SCOPES: Final = ("campaigns.manage", "campaigns.read", "users.read")


@dataclass
class SandboxSettings:
    """Shared by all parts of one sandbox, which read it at every request."""

    gap_s: float = 2.0
    """Rest of a campaign between the end of a leads call and the start of the next [seed 001]."""
    call_time_s: float = 0.0
    """How long the dialer works on a leads call that it lets in."""
    transition_s: float = 0.0
    """How long start, pause and stop stay `processing`, `pausing`, `stopping`."""
    rate: list[str] = field(default_factory=list)
    """Requests per key of Voiso, as in `leadlane.toml`, such as "10/s"; sliding windows, and all of them hold."""
    retry_after: bool = True
    """Whether a 429 says when to come again."""
    rejected_suffix: str = "0000"
    """Numbers that end so are refused one by one, as the dialer does that; empty refuses none."""
    poison: list[str] = field(default_factory=list)
    """Numbers, in digits, that make it refuse the whole call they are in, with 422."""
    indexed_errors: bool = False
    """Whether a 422 names the lead ("3.priority") or, as far as the documents say, only the field."""
    keep_fields: bool = False
    """Whether the leads' fields are kept beside the numbers; costs about 1 kB a lead."""
    campaigns: int = 500
    """Campaigns 1 to this number exist, live and active, be they called 3, camp_3 or cmp_3.

    Voiso's 9001 is stopped and 9002 not live.
    """
    users: int = 200
    """Users 1 to this number exist."""
    keys: dict[str, Iterable[str]] = field(default_factory=lambda: {"sandbox-key": SCOPES}, repr=False)
    """API key of Voiso to its scopes."""

    voiceaiwrapper_keys: dict[str, list[str]] = field(default_factory=lambda: {"sandbox-key": []}, repr=False)
    """API key to its own rates; no limit is documented."""
    voiceaiwrapper_call_size: int = 100
    """Leads in one bulk call; the limit is not documented."""
    voiceaiwrapper_visible_after_s: float = 1.0
    """How long leads are queued: until then an update or removal does not find them."""
    voiceaiwrapper_ignores_duplicates: bool = False
    """Whether a number that is there already is passed over; else it becomes a second lead. Not documented."""

    dialnexa_keys: dict[str, list[str]] = field(default_factory=lambda: {"sandbox-key": ["5/s"]}, repr=False)
    """API key to its own rates; that there are some is documented, the numbers are not."""
    dialnexa_blocked: list[str] = field(default_factory=lambda: ["+881", "+882"])
    """Beginnings of numbers that the workspace must not call: 403."""
    dialnexa_pausing: bool = False
    """Whether `status` can be set in PATCH /campaigns/{id}; described, but no such field is documented."""

    voicery_keys: dict[str, list[str]] = field(default_factory=lambda: {"sandbox-key": []}, repr=False)
    """API key to its own rates; no limit is documented."""
    voicery_siblings: bool = False
    """Whether the operations exist that only products of the same making document."""

    def __post_init__(self) -> None:
        self.change({f.name: getattr(self, f.name) for f in dataclasses.fields(self)})

    def change(self, wanted: Mapping[str, object]) -> None:
        """Take the settings named in `wanted`, all of them or, if one is wrong, none.

        Raises ValueError that names the setting and what would be right.
        """
        for name, value in wanted.items():
            if name not in CHECKS:
                raise ValueError(f"{name}: no such setting; there are {', '.join(CHECKS)}")
            right, fits = CHECKS[name]
            if not fits(value):
                raise ValueError(f"{name}: must be {right}")
        for name, value in wanted.items():
            setattr(self, name, value)

    @property
    def windows(self) -> list[Rate]:
        """The rates, read."""
        return [Rate.parse(text) for text in self.rate]

    def as_dict(self) -> dict[str, Any]:
        """For people to see: every setting, the keys as labels."""
        shown = {name: getattr(self, name) for name in CHECKS}
        labelled = {
            name: {f"key {n}": list(may) for n, may in enumerate(keys.values(), 1)}
            for name, keys in shown.items()
            if name.endswith("keys")
        }
        return shown | labelled


def _seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _rates(value: object) -> bool:
    try:
        return isinstance(value, list | tuple) and all(Rate.parse(text) for text in value)
    except (ValueError, AttributeError):
        return False


def _rated_keys(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_rates, value.values()))


def _keys(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(scopes, list | tuple | set | frozenset) and all(scope in SCOPES for scope in scopes)
        for scopes in value.values()
    )


RATED_KEYS: Final = (
    'API keys, each with a list of its rates, such as ["10/s"], or an empty one',
    _rated_keys,
)

CHECKS: Final[dict[str, tuple[str, Callable[[object], bool]]]] = {
    "gap_s": ("seconds, 0 or more", _seconds),
    "call_time_s": ("seconds, 0 or more", _seconds),
    "transition_s": ("seconds, 0 or more", _seconds),
    "rate": ('a list of rates, such as ["10/s", "600/m"]', _rates),
    "retry_after": ("true or false", _flag),
    "rejected_suffix": ("digits, or empty", lambda value: isinstance(value, str)),
    "poison": ("a list of numbers in digits", _texts),
    "indexed_errors": ("true or false", _flag),
    "keep_fields": ("true or false", _flag),
    "campaigns": ("a count, 0 or more", _count),
    "users": ("a count, 0 or more", _count),
    "keys": (f"API keys, each with its scopes out of {', '.join(SCOPES)}", _keys),
    "voiceaiwrapper_keys": RATED_KEYS,
    "voiceaiwrapper_call_size": ("a count, 0 or more", _count),
    "voiceaiwrapper_visible_after_s": ("seconds, 0 or more", _seconds),
    "voiceaiwrapper_ignores_duplicates": ("true or false", _flag),
    "dialnexa_keys": RATED_KEYS,
    "dialnexa_blocked": ('a list of beginnings of numbers, such as ["+881"]', _texts),
    "dialnexa_pausing": ("true or false", _flag),
    "voicery_keys": RATED_KEYS,
    "voicery_siblings": ("true or false", _flag),
}
