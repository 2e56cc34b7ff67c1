"""A command: a ticket of one row whose wire says what is asked of a campaign, its state or its agents.

The codes of its row: ``.`` to be sent, ``,`` to be looked after before it is sent (again), ``~`` sent and the answer
lost, then a fate (``schemas/outcomes.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from leadlane.schemas.errors import WrongUse
from leadlane.schemas.outcomes import FATE_OF
from leadlane.schemas.phones import masked
from leadlane.workers import optouts, payloads
from leadlane.workers.lanes import Ticket
from leadlane.workers.providers.contract import AGENT_WORDS, STATE_WORDS

if TYPE_CHECKING:
    from leadlane.workers.accounts import Facts

COMMANDS = (*STATE_WORDS, *AGENT_WORDS, *optouts.WORDS)
TO_SEND, TO_LOOK, LOST = ".", ",", "~"


def ticket(
    facts: Facts,
    operation: str,
    campaign: str,
    asked: Mapping[str, Any],
    *,
    id: str,  # noqa: A002  the ticket's own word
    seq: int | None = None,
    after: str = "",
    signature: str = "",
    links: str = "",
    expires_in_ms: int | None = None,
    said: str = "",
) -> Ticket:
    """A command as it enters its lane; its job has its id."""
    kind = "state" if operation in STATE_WORDS else "agents"
    batch = payloads.Batch.of(0, operation, [""], [json.dumps(asked)], links)
    return Ticket(
        id=id,
        lane=facts.lane(campaign, kind),
        address={"campaign": campaign, "provider": facts.provider, "base_url": facts.base_url},
        account=facts.name,
        operation=operation,
        campaign=campaign,
        job=id,
        payload=payloads.pack(batch),
        n=1,
        size=1,
        priority="urgent",
        group="control",
        signature=signature,
        linked=bool(links),
        expires_in_ms=expires_in_ms,
        seq=seq,
        after=after,
        said=said,
    )


def asked_of_agents(facts: Facts, operation: str, user_ids: Iterable[object]) -> dict[str, list[str]]:
    """What a command about these agents asks, each of them once, in the dialer's one form.

    Raises UnsupportedOperation, WrongUse naming the first id of a form that the dialer does not have.
    """
    facts.check(operation)
    agents = facts.dialer.agents
    assert agents is not None  # noqa: S101  just checked
    found: dict[str, None] = {}
    for i, given in enumerate(user_ids):
        try:
            found[agents.canonical(given)] = None
        except ValueError as wrong:
            raise WrongUse(f"user_ids[{i}]: {masked(str(wrong))}") from None
    return {"agents": list(found)}


def fate(
    fields: Mapping[str, str], code: str, why: Mapping[str, str], *, command: str, now_ms: int, calls: int = 0
) -> dict[str, object]:
    """What the task of a command returns, and `Command.wait` tells."""
    dead = fields.get("state") == "dead"
    ended = FATE_OF.get(code)
    first = int(float(fields.get("first") or now_ms))
    members = {"members": int(why["members"])} if "members" in why else {}
    return {
        "campaign": f"{fields['acct']}/{fields['campaign']}".removeprefix(f"{optouts.NOBODY}/"),
        "command": command,
        "asked": fields["op"],
        "outcome": ended.value if ended else ("dead" if dead else "waiting"),
        "state": why.get("state"),
        **members,
        "reason": why.get("reason") or (fields.get("reason") if dead or not ended else None) or None,
        "calls": int(fields.get("calls") or 0) + calls,
        **json.loads(why.get("told") or "{}"),
        "waited_s": round(max(first - int(float(fields.get("created") or now_ms)), 0) / 1000, 3),
    }
