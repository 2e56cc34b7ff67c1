"""What the dialers' APIs have in common: an API key, a rate for each key, and paths that name operations."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from leadlane.schemas.settings import Rate

from .calls import Answer, Call, Dialer, RefusedError
from .rates import SlidingWindows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .book import Book
    from .settings import SandboxSettings


@dataclass(frozen=True, slots=True)
class Route:
    """What a method and path mean."""

    method: str
    template: str
    """The path as a document shows it, with parts in braces."""
    path: re.Pattern[str]
    operation: str


def routes_below(base: str, *table: tuple[str, str, str], part: str = "[^/]+") -> tuple[Route, ...]:
    """Routes below `base` out of method, path and operation; `part` is what a part in braces may hold."""
    return tuple(
        Route(method, base + path, re.compile(re.sub(r"{(\w+)}", rf"(?P<\1>{part})", base + path)), operation)
        for method, path, operation in table
    )


class Api(Dialer):
    """A dialer by its routes. What differs is the subclass's: keys, rates, form of an error, and the acts."""

    routes: ClassVar[tuple[Route, ...]]
    acts: ClassVar[Mapping[str, Callable[[Any, Call], Answer]]]
    """Operation to the method that does it."""
    opaque_ids: bool = False
    """Whether ids in paths may hold any character, a slash too, and so must come percent-encoded."""

    def __init__(self, settings: SandboxSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self.windows = SlidingWindows()

    @property
    def over_rate(self) -> int:
        """Requests refused because a key came too often."""
        return self.windows.refused

    # What differs

    def keys(self) -> Mapping[str, Iterable[str]]:
        """The keys it knows, each with its rates, unless the dialer says otherwise."""
        known: Mapping[str, Iterable[str]] = getattr(self.settings, f"{self.name}_keys")
        return known

    def rates(self, call: Call) -> Sequence[Rate]:
        """The rates of the key that a call came with; none if it is unknown."""
        return [Rate.parse(text) for text in self.keys().get(bearer(call) or "", ())]

    def refusal(self, status: int, words: str, **headers: str) -> RefusedError:
        """A refusal in the dialer's form."""
        raise NotImplementedError

    def check(self, call: Call) -> None:
        """Refuse a call whose key, rate and path are in order; or let it in."""

    def campaign_of(self, call: Call) -> str | None:
        """The campaign of a recognised call, for the record."""
        return call.params.get("campaign")

    # What the stage asks

    def recognise(self, call: Call) -> None:
        """Find key, operation and campaign."""
        record = call.record
        record.key = self._label(bearer(call))
        path = call.raw_path if self.opaque_ids else record.path
        for route in self.routes:
            match = route.path.fullmatch(path)
            if match is None:
                continue
            parts = match.groupdict()
            call.params = {name: unquote(part) for name, part in parts.items()} if self.opaque_ids else parts
            if route.method == record.method:
                record.operation = route.operation
                break
        record.campaign = self.campaign_of(call)

    def admit(self, call: Call) -> Answer | None:
        """Judge key, rate and path, then what the dialer checks besides."""
        try:
            self.check_key(call)
            self.check_rate(call)
            self.check_path(call)
            self.check(call)
        except RefusedError as refused:
            return refused.answer
        return None

    def work_s(self, call: Call) -> float:
        """Leads calls take time, all others none worth speaking of."""
        return self.settings.call_time_s if call.record.operation in self.leads_operations else 0.0

    def act(self, call: Call) -> Answer:
        """Do what method and path say."""
        try:
            return self.acts[call.record.operation](self, call)
        except RefusedError as refused:
            return refused.answer

    def forget(self) -> None:
        """Empty windows."""
        self.windows.forget()

    # What several of them do

    def rejected(self, number: str) -> bool:
        """Whether a number, sound in form, cannot be called."""
        suffix = self.settings.rejected_suffix
        return bool(suffix and number.endswith(suffix))

    def poisonous(self, number: str) -> bool:
        """Whether a number, sound in form, spoils the whole call."""
        return number.removeprefix("+") in self.settings.poison

    def check_json(self, call: Call) -> None:
        """The head must say that the body is JSON."""
        if media_type(call) != "application/json":
            raise self.refusal(400, "The body must be application/json")

    def watch(self, call: Call, book: Book, numbers: Sequence[str]) -> None:
        """Note an attempt that must not be repeated while the client cannot know what became of it."""
        record = call.record
        book.attempt(record.operation, numbers)
        call.at_end.append(
            lambda _ended, readable: book.attempted(
                record.operation, numbers, status=record.status, readable=readable
            )
        )

    # What refuses a request by its head

    def check_key(self, call: Call) -> None:
        """A known key must be there."""
        if bearer(call) not in self.keys():
            raise self.refusal(401, "Unauthorized")

    def check_rate(self, call: Call) -> None:
        """The key must not come too often."""
        wait_s = self.windows.wait_s(call.record.key, call.record.started, self.rates(call))
        if wait_s:
            again = {"retry_after": str(math.ceil(wait_s))} if self.settings.retry_after else {}
            raise self.refusal(429, "Too many requests", **again)

    def check_path(self, call: Call) -> None:
        """The path must mean something, with this method."""
        if call.record.operation in self.acts:
            return
        path = call.raw_path if self.opaque_ids else call.record.path
        methods = [route.method for route in self.routes if route.path.fullmatch(path)]
        if not methods:
            raise self.refusal(404, "Not found")
        raise self.refusal(405, "Method not allowed", allow=", ".join(methods))

    def _label(self, key: str | None) -> str:
        known = list(self.keys())
        if key in known:
            return f"key {known.index(key) + 1}"
        return "none" if key is None else "unknown"


def bearer(call: Call) -> str | None:
    """The key a request came with."""
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    return key if scheme == "Bearer" and key else None


def has_body(call: Call) -> bool:
    """Whether the head announces a body."""
    return call.headers.get("content-length", "0") != "0" or "transfer-encoding" in call.headers


def media_type(call: Call) -> str:
    """What the head says the body is, without parameters."""
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()


def numbered(text: object, prefix: str, most: int) -> bool:
    """Whether an id is the prefix and a number from 1 to `most`."""
    if type(text) is not str or not text.startswith(prefix) or len(text) > len(prefix) + 9:
        return False
    number = text.removeprefix(prefix)
    return number.isascii() and number.isdigit() and number[0] != "0" and int(number) <= most


def whole_of(query: Mapping[str, str], name: str, default: int, most: int | None = None) -> int | None:
    """A whole number from 1 out of a query, or None if it is none."""
    given = query.get(name, str(default))
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    return number if number >= 1 and (most is None or number <= most) else None


def page_of(rows: Sequence[Any], page: int, size: int) -> list[Any]:
    """The rows of a page counted from 1."""
    return list(rows[(page - 1) * size : page * size])


def pages(total: int, size: int) -> int:
    """How many pages there are."""
    return math.ceil(total / size)


def objections(found: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Problems by field, each said once."""
    errors: dict[str, list[str]] = {}
    for name, words in found:
        said = errors.setdefault(name, [])
        if words not in said:
            said.append(words)
    return errors
