"""What the engine must know of a dialer before speaking to it: a record of data and a few mapping functions.

The engine never looks into a body. It hands wire leads to ``Operation.body`` and gets, from
``Operation.read``, one outcome code per number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from leadlane.workers.answers import Meaning

OperationName = Literal["import", "update"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says: outcome code by digits; or one code for all leads of the call."""

    codes: Mapping[str, str] = field(default_factory=dict)
    all: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on leads.

    Attributes:
        method: HTTP method; an account's setting of the name ``method_setting`` overrules it.
        path: below the account's ``base_url``, with ``{campaign}``.
        leads_per_call: the dialer's limit.
        carries: canonical fields it can carry.
        resend_safe: whether sending again after a lost answer is harmless.
        wire: canonical lead -> JSON object of the dialer.
        body: wire leads (JSON texts) -> request body.
        adapt: a wire lead made for another operation -> one of this operation.
        read: decoded JSON of a 2xx -> Reading; raises ValueError if it cannot be read.
        unreadable: outcome code of every lead when a 2xx cannot be read; '' makes the ticket dead.
        answers: rows that differ from the table in ``answers.py``.
        source: page of the provider's reference these facts come from.
    """

    method: str
    path: str
    leads_per_call: int
    carries: frozenset[str]
    resend_safe: bool
    wire: Callable[[Mapping[str, Any]], dict[str, Any]]
    body: Callable[[Sequence[str]], bytes]
    adapt: Callable[[str], str]
    read: Callable[[Any], Reading]
    source: str
    method_setting: str = ""
    unreadable: str = ""
    answers: Mapping[int, Meaning] = field(default_factory=dict)


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
        headers: API key -> request headers.
        canonical_campaign: campaign id as given -> its one form; raises ValueError saying what would be right.
        problem: decoded error body -> the dialer's words, free of phone numbers.
        bad_leads: decoded error body, leads in the call -> position -> words, if the error names positions.
        closed_words: words in a refusal that mean that the campaign, not a lead, is the trouble.
    """

    name: str
    gap_s: float
    operations: Mapping[str, Operation]
    headers: Callable[[str], dict[str, str]]
    canonical_campaign: Callable[[str], str]
    look: Look
    problem: Callable[[Any], str]
    bad_leads: Callable[[Any, int], Mapping[int, str] | None]
    closed_words: tuple[str, ...]
    source: str
