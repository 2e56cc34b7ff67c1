"""VoiceAIWrapper, API v2: https://docs.voiceaiwrapper.app/api-reference. Bulk; an add is only queued.

Whether a second add doubles a lead is not documented: what got no answer is not sent again, unless the account
says that duplicates are ignored. An update that puts a lead back in the queue is never sent again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from leadlane.schemas import voiceaiwrapper as wire
from leadlane.schemas.outcomes import CODE_OF
from leadlane.workers.providers.contract import (
    CallRefusedError,
    Operation,
    OptOut,
    Provider,
    Reading,
    always,
    array,
    never,
)

LEADS = "https://docs.voiceaiwrapper.app/api-reference/leads-v2"
LEADS_PER_CALL, LEADS_AT_MOST = 100, 1000  # the limit is not documented


def _read_accepted(body: Any, _sent: Sequence[str]) -> Reading:
    _raise_if_refused(body)
    outcome = wire.read_accepted(body)
    if outcome is None:
        raise ValueError("the answer does not say that the leads are queued")
    return Reading(all=CODE_OF[outcome])


def _read_results(operation: wire.Operation) -> Callable[[Any, Sequence[str]], Reading]:
    def read(body: Any, sent: Sequence[str]) -> Reading:
        _raise_if_refused(body)
        results = wire.read_results(body, operation, sent)
        if results is None:
            raise ValueError("the answer has no results")
        by_number = {sent[index]: result for index, result in results.items()}
        # An add is queued: a lead that is not found may still come, also one that is to be removed.
        late = {n: r for n, r in by_number.items() if r.not_found}
        return Reading(
            codes={n: CODE_OF[r.outcome] for n, r in by_number.items() if n not in late},
            words={n: r.words for n, r in by_number.items() if r.words and operation != "remove"},
            later={n: CODE_OF[r.outcome] for n, r in late.items()},
        )

    return read


def _raise_if_refused(body: Any) -> None:
    if words := wire.refusal(body):
        raise CallRefusedError(words)


def _to_wire(operation: wire.Operation) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda lead: wire.to_wire(lead, operation)


def _bulk(name: wire.Operation, method: str, path: str, page: str, **facts: Any) -> Operation:
    return Operation(
        method=method,
        path=f"/api/v2/voice-campaigns/{{campaign}}/leads/{path}",
        leads_per_call=LEADS_PER_CALL,
        leads_at_most=LEADS_AT_MOST,
        carries=wire.CARRIES[name],
        wire=_to_wire(name),
        refuses=lambda lead: wire.refuses(lead, name),
        body=array,
        source=f"{LEADS}/{page}",
        **facts,
    )


VOICEAIWRAPPER = Provider(
    name="voiceaiwrapper",
    gap_s=0.0,
    exclusive=True,
    parallel=1,
    rates=("1/s",),  # nothing is documented
    headers=lambda key: {"Authorization": f"Bearer {key}"},
    canonical_campaign=wire.canonical_campaign,
    look=None,
    problem=wire.problem_text,
    bad_leads=wire.bad_indices,
    closed_words=(),
    source=LEADS,
    opt_out=OptOut("update", {"do_not_call": True}),
    operations={
        "import": _bulk(
            "import",
            "POST",
            "bulk",
            "bulk-add-to-voice-campaign",
            resend_safe=never,
            read=_read_accepted,
            unreadable="?",
            harmless_with="duplicates_ignored",
        ),
        "update": _bulk(
            "update",
            "PATCH",
            "update/bulk",
            "bulk-update-in-voice-campaign",
            resend_safe=lambda lead: wire.resend_safe(json.loads(lead)),
            apart=lambda lead: wire.kind(json.loads(lead)),
            read=_read_results("update"),
            silences=lambda lead: json.loads(lead).get("do_not_call") is True,
        ),
        "remove": _bulk(
            "remove",
            "DELETE",
            "remove/bulk",
            "bulk-remove-from-voice-campaign",
            resend_safe=always,
            read=_read_results("remove"),
            silences=always,
        ),
    },
)
