"""One request in hand, and what a dialer does with it: the seam between the server and the dialers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .audit import Record
    from .book import Book

UNREADABLE: Final = object()
"""What `Call.json` gives for a body that is not JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})

    @classmethod
    def json(cls, status: int, content: object, **headers: str) -> Answer:
        """An answer of JSON; `retry_after="2"` becomes the header `retry-after`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(content, separators=(",", ":")).encode()
        return cls(status, body, {"content-type": "application/json"} | named)

    @property
    def good(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300


class RefusedError(Exception):
    """The request ends here, with this answer."""

    def __init__(self, status: int, content: object, **headers: str) -> None:
        super().__init__(status)
        self.answer = Answer.json(status, content, **headers)


@dataclass(slots=True)
class Call:
    """A request as a dialer sees it; the dialer completes the record as it learns more."""

    record: Record
    headers: Mapping[str, str]
    query_string: str = ""
    raw_path: str = ""
    """The path as it came over the wire, with its percent signs."""
    params: dict[str, str] = field(default_factory=dict)
    """Parts of the path, by the names the dialer gives them."""
    body: bytes | None = None
    """None until it has been read."""
    parsed: Any = None
    """What a dialer has read out of the body, for itself."""
    at_end: list[Callable[[float, bool], None]] = field(default_factory=list)
    """Called once with the moment of the end and whether the client got an answer it can read."""
    _json: Any = None

    @property
    def query(self) -> dict[str, str]:
        """The query; of a name given twice the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    def json(self, loads: Callable[[bytes], Any] = json.loads) -> Any:
        """The body, decoded once; `UNREADABLE` if it is not JSON."""
        if self._json is None:
            try:
                self._json = loads(self.body or b"")
            except (ValueError, RecursionError):
                self._json = UNREADABLE
        return self._json

    def forget_json(self) -> None:
        """Let go of the decoded body, and of the body itself: it has been read."""
        self._json, self.body = None, b""


class Dialer:
    """The rules of one API, without sockets or faults; a dialer's module says what differs from this one.

    For each request the stage calls `recognise`, `admit`, `arrived` and `act` in that order; before `act` it
    lets `work_s` pass. The body is read after `admit`, or, if `body_first`, before everything else.
    """

    name: str
    prefixes: tuple[str, ...]
    """Paths that begin so are this dialer's."""
    leads_operations: frozenset[str] = frozenset()
    """Operations that `verify` judges by the rules for leads calls."""
    body_first: bool = False
    """Whether only the body says which operation or campaign it is."""

    @property
    def call_size(self) -> int | None:
        """Leads allowed in one call; None if that is no question."""
        return None

    @property
    def gap_s(self) -> float | None:
        """Rest between two leads calls of a campaign; None if they may overlap."""
        return None

    @property
    def over_rate(self) -> int:
        """Requests refused because a key came too often; 0 says that every window was kept."""
        return 0

    def recognise(self, call: Call) -> None:
        """Write into the record whose key, which operation and which campaign it is."""

    def admit(self, call: Call) -> Answer | None:
        """Judge by the head alone: None lets it in, an answer refuses it. May register an `at_end`."""
        raise NotImplementedError

    def arrived(self, call: Call) -> None:
        """Note what the body holds, whatever was or will be answered."""

    def work_s(self, call: Call) -> float:
        """Seconds the dialer will work on an admitted call."""
        raise NotImplementedError

    def act(self, call: Call) -> Answer:
        """Do the work of an admitted call."""
        raise NotImplementedError

    def books(self) -> Mapping[str, Book]:
        """The books of the campaigns used so far, by campaign id."""
        return {}

    def alter(self, campaign: str, wanted: Mapping[str, object]) -> None:
        """Put a campaign into a state, as its owner might by hand; ValueError says what is possible."""
        raise NotImplementedError

    def forget(self) -> None:
        """Return to the state of the first day."""
