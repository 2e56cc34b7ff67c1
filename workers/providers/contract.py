"""What the engine must know of a dialer before speaking to it: a record of data and a few mapping functions.

The engine never looks into a body. It hands wire leads to ``Operation.body`` and gets, from
``Operation.read``, one outcome code per number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from leadlane.workers.answers import Meaning

STATE_WORDS = ("start", "pause", "stop")
AGENT_WORDS = ("add_agents", "remove_agents", "sync_agents")
LOOK_WORDS = ("status", "campaigns", "agents")


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says: outcome code by digits, or one code for all leads of the call.

    ``words`` are the dialer's, of leads it did not do; under ''
    those about all of them. ``later`` holds leads it does not know yet, with the
    code they end as if it never does. ``lead_id`` is its own id of the one lead of the call.
    """

    codes: Mapping[str, str] = field(default_factory=dict)
    all: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    later: Mapping[str, str] = field(default_factory=dict)
    lead_id: str = ""


class CallRefusedError(Exception):
    """A 2xx whose body says that the whole call was refused; its text is the dialer's words."""


def always(_: str) -> bool:
    """Sending any lead again is harmless."""
    return True


def never(_: str) -> bool:
    """Sending a lead again may double it."""
    return False


def one_kind(_: str) -> str:
    """All leads may share a call."""
    return ""


def array(lines: bytes, _campaign: str) -> bytes:
    """A body that is the JSON array of the wire leads."""
    return b"[%s]" % lines.replace(b"\n", b",")


def alone(lines: bytes, _campaign: str) -> bytes:
    """A body that is the one wire lead of the call."""
    return lines


def no_body(_lines: bytes, _campaign: str) -> None:
    """A call whose path says it all."""
    return


def no_others(_: str) -> Sequence[str]:
    """A lead has no further numbers."""
    return ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on leads.

    Attributes:
        method: HTTP method; an account's setting of the name ``method_setting`` overrules it.
        path: below the account's ``base_url``, with ``{campaign}`` or ``{lead}`` (the dialer's id of it).
        leads_per_call: the dialer's limit; with 1 a batch is sent in slices, several calls at once.
        leads_at_most: to which an account may set ``leads_per_call``, where that is an assumption of ours; else 0.
        behind: name of the account's switch without which the operation does not exist for it; '' is always on.
        harmless_with: name of the account's switch with which sending any lead again is harmless.
        carries: canonical fields it can carry.
        resend_safe: wire lead -> whether sending it again after a lost answer is harmless.
        wire: canonical lead -> JSON object of the dialer.
        body: wire leads (JSON texts, one a line), campaign -> request body.
        content_type: request body -> its media type.
        fits: wire leads in order -> how many of them, from the first on, one body can carry.
        apart: wire lead -> its kind; leads of different kinds never share a call.
        adapt: a wire lead made for another operation -> one of this operation.
        read: decoded JSON of a 2xx, digits of the leads sent -> Reading. Raises ValueError if it cannot be
            read, CallRefusedError if it says that the call was refused.
        unreadable: outcome code of every lead when a 2xx cannot be read; '' makes the ticket dead.
        refuses: canonical lead -> why the dialer could not take it, or ''.
        judge: status, decoded error body -> outcome code if the refusal is about the one lead of the call
            and final, or '' to go by the table.
        answers: rows that differ from the table in ``answers.py``.
        silences: wire lead -> whether it has the dialer leave its person alone; such a one goes also to somebody
            who has opted out.
        others: wire lead -> further numbers that it has called, in digits.
        without: wire lead, numbers in digits -> the wire lead without those of its further numbers.
        source: page of the provider's reference these facts come from.
    """

    method: str
    path: str
    leads_per_call: int
    carries: frozenset[str]
    resend_safe: Callable[[str], bool]
    wire: Callable[[Mapping[str, Any]], dict[str, Any]]
    body: Callable[[bytes, str], bytes | None]
    read: Callable[[Any, Sequence[str]], Reading]
    source: str
    leads_at_most: int = 0
    behind: str = ""
    harmless_with: str = ""
    content_type: Callable[[bytes], str] = lambda _: "application/json"
    fits: Callable[[Sequence[str]], int] = len
    apart: Callable[[str], str] = one_kind
    adapt: Callable[[str], str] = lambda wire: wire
    method_setting: str = ""
    unreadable: str = ""
    refuses: Callable[[Mapping[str, Any]], str] = lambda _: ""
    judge: Callable[[int, Any], str] = lambda _status, _body: ""
    answers: Mapping[int, Meaning] = field(default_factory=dict)
    silences: Callable[[str], bool] = never
    others: Callable[[str], Sequence[str]] = no_others
    without: Callable[[str, Collection[str]], str] = lambda wire, _: wire

    @property
    def by_id(self) -> bool:
        """Whether a lead is named by the id that the dialer gave it."""
        return "{lead}" in self.path

    @property
    def in_slices(self) -> bool:
        """Whether the dialer takes one lead a call, and so several calls at once."""
        return self.leads_per_call == 1 and not self.leads_at_most

    def at(self, switches: Collection[str], leads_per_call: int | None) -> Operation:
        """The operation as it is for an account with these switches and this setting."""
        most = leads_per_call if leads_per_call and self.leads_at_most else self.leads_per_call
        safe = always if self.harmless_with in switches else self.resend_safe
        return replace(self, leads_per_call=most, resend_safe=safe)


@dataclass(frozen=True, slots=True)
class OptOut:
    """How a campaign is told that a person has opted out: an operation, with these fields of its lead."""

    operation: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TakingBack:
    """How a lead that was imported is taken back: an operation, with these fields of the lead.

    ``words`` say what that leaves, where the lead does not go.
    """

    operation: str = "remove"
    fields: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A call that carries no leads.

    ``path`` may name ``{campaign}`` and ``{agent}``; ``body`` makes the request body from the campaign's id and
    the ids of agents, or gives None; ``behind`` is the account's switch without which it is off.
    """

    method: str
    path: str
    source: str
    body: Callable[[str, Sequence[str]], bytes | None] = lambda _campaign, _agents: None
    behind: str = ""

    def target(self, campaign: str, agents: Sequence[str] = (), query: str = "") -> str:
        """The path and query of one call; ``{agent}`` is the first of ``agents``."""
        names = {"campaign": quote(campaign, safe=""), "agent": quote(agents[0], safe="") if agents else ""}
        return self.path.format(**names) + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its rows, and whether another page follows."""

    rows: Sequence[Mapping[str, Any]]
    more: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that comes in pages.

    Attributes:
        endpoint: where it is.
        query: number of a page, from 0 -> its query string.
        read: decoded answer, number of the page -> Page. Raises ValueError if it cannot be read.
    """

    endpoint: Endpoint
    query: Callable[[int], str]
    read: Callable[[Any, int], Page]


@dataclass(frozen=True, slots=True)
class States:
    """How campaigns are started, paused and stopped, and how their state is read.

    Attributes:
        commands: ``start``, ``pause``, ``stop`` -> its call. A command is a set operation: once more is harmless.
        look: the call that shows a campaign.
        status: decoded answer of ``look`` or of a command, campaign's id -> the dialer's word for its state.
            Raises ValueError if it cannot be read, CallRefusedError if it says that the command was refused.
        name: decoded answer of ``look`` -> the campaign's name, or ''.
        reached: command -> states that are what it asks for.
        by_itself: command -> states that will become what it asks for without another word.
        passing: states that go over into others by themselves within a short time.
        listing: the campaigns of the account; each row has ``id``, ``name`` and ``status``.
    """

    commands: Mapping[str, Endpoint]
    look: Endpoint | None
    status: Callable[[Any, str], str]
    reached: Mapping[str, frozenset[str]]
    by_itself: Mapping[str, frozenset[str]]
    passing: frozenset[str]
    listing: Listing | None
    name: Callable[[Any], str] = lambda _: ""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All its calls."""
        others = (self.look, self.listing and self.listing.endpoint)
        return (*self.commands.values(), *(endpoint for endpoint in others if endpoint))

    def offered(self, on: Collection[str]) -> States:
        """Without what is behind a switch that is not among ``on``."""
        return replace(
            self,
            commands={name: one for name, one in self.commands.items() if one.behind in on},
            look=self.look if self.look and self.look.behind in on else None,
            listing=self.listing if self.listing and self.listing.endpoint.behind in on else None,
        )


@dataclass(frozen=True, slots=True)
class Agents:
    """Who works on a campaign.

    Attributes:
        listing: the agents of a campaign; each row has ``id`` and ``name``.
        add: puts at most ``most`` agents on it in one call.
        remove: takes one off.
        canonical: id as given -> its one form; raises ValueError saying what would be right.
    """

    listing: Listing
    add: Endpoint
    remove: Endpoint
    most: int
    canonical: Callable[[object], str]


@dataclass(frozen=True, slots=True)
class Look:
    """How to look at a campaign, and what its answer says about taking leads.

    ``closed`` gives the reason why the campaign takes no leads, or '' if it does or may again.
    """

    path: str
    closed: Callable[[Any], str]
    source: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A dialer.

    Attributes:
        gap_s: rest of a campaign from the end of one leads call to the start of the next.
        exclusive: whether a campaign takes one call at a time, so that a lost one must be waited for.
        parallel: calls at once for one campaign, where a call carries one lead.
        headers: API key -> request headers.
        canonical_campaign: campaign id as given -> its one form; raises ValueError saying what would be right.
        problem: decoded error body -> the dialer's words, free of phone numbers.
        bad_leads: decoded error body, leads in the call -> position -> words, if the error names positions.
        look: how to look at a campaign, where that is documented.
        rates: limits of an account that sets none of its own.
        budget: headers that tell how many calls are left, and when (Unix seconds) the count begins anew.
        closed_words: words in a refusal that mean that the campaign, not a lead, is the trouble.
        opt_out: how a campaign is told of an opt-out; None if it cannot be.
        undo: how an import is undone, where the account has the operation.
        states: campaign states, where the dialer lets us see or set them.
        agents: agents of campaigns, where it has such.
    """

    name: str
    gap_s: float
    exclusive: bool
    parallel: int
    operations: Mapping[str, Operation]
    headers: Callable[[str], dict[str, str]]
    canonical_campaign: Callable[[str], str]
    look: Look | None
    problem: Callable[[Any], str]
    bad_leads: Callable[[Any, int], Mapping[int, str] | None]
    closed_words: tuple[str, ...]
    source: str
    rates: tuple[str, ...] = ()
    budget: tuple[str, str] | None = None
    opt_out: OptOut | None = None
    undo: TakingBack = TakingBack()
    states: States | None = None
    agents: Agents | None = None

    @property
    def calls(self) -> dict[str, tuple[Endpoint, ...]]:
        """What it can do beside operations on leads, by name: commands, words about agents, look-ups."""
        found: dict[str, tuple[Endpoint, ...]] = {}
        if self.states:
            found |= {name: (endpoint,) for name, endpoint in self.states.commands.items()}
            listed = (self.states.listing.endpoint,) if self.states.listing else ()
            seen = (self.states.look,) if self.states.look else listed
            found |= {"status": seen} if seen else {}
            found |= {"campaigns": listed} if listed else {}
        if self.agents:
            add, remove, listed = self.agents.add, self.agents.remove, (self.agents.listing.endpoint,)
            changes = {"add_agents": (add,), "remove_agents": (remove,), "sync_agents": (add, remove)}
            found |= changes | {"agents": listed}
        return found

    @property
    def switches(self) -> frozenset[str]:
        """Names of the account switches that mean anything here."""
        named = {name for one in self.operations.values() for name in (one.behind, one.harmless_with)}
        if self.states:
            named |= {endpoint.behind for endpoint in self.states.endpoints}
        return frozenset(named - {""})

    def at(self, switches: Collection[str], leads_per_call: int | None = None) -> Provider:
        """The record as it is for an account. What is behind a switch stays in it: what was accepted is done."""
        return replace(
            self, operations={name: one.at(switches, leads_per_call) for name, one in self.operations.items()}
        )

    def offered(self, switches: Collection[str]) -> Provider:
        """The record without what these switches leave off."""
        on = {"", *switches}
        operations = {name: one for name, one in self.operations.items() if one.behind in on}
        return replace(self, operations=operations, states=self.states and self.states.offered(on))

    def switch_of(self, operation: str) -> str:
        """The switch that an operation or command is behind; '' if it is behind none, or does not exist."""
        if operation in self.operations:
            return self.operations[operation].behind
        return next((one.behind for one in self.calls.get(operation, ()) if one.behind), "")

    @property
    def supported(self) -> tuple[str, ...]:
        """Names of all it can do."""
        return (*self.operations, *self.calls)
