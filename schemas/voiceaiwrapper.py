"""VoiceAIWrapper's wire form (API v2): bulk calls of leads, and their answers.

Rules: https://docs.voiceaiwrapper.app/api-reference/leads-v2 (bulk-add-to-voice-campaign,
bulk-update-in-voice-campaign, bulk-remove-from-voice-campaign). An add is only queued; updates and
removals are answered item by item, by index. Errors are not documented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from .outcomes import Outcome
from .phones import digits
from .problems import bad_indices as bad_indices
from .problems import one_line, told
from .wire import texts

Operation = Literal["import", "update", "remove"]

_FIELDS = frozenset({"phone_number", "name", "first_name", "last_name", "email", "variables"})

CARRIES: Final[dict[Operation, frozenset[str]]] = {
    "import": _FIELDS,
    "update": _FIELDS | {"do_not_call", "mark_as_unanswered"},
    "remove": frozenset({"phone_number"}),
}
"""The canonical fields that reach VoiceAIWrapper, for each operation."""

FLAGS: Final = ("do_not_call", "mark_as_unanswered")
_DONE: Final[dict[Operation, Outcome]] = {"update": Outcome.UPDATED, "remove": Outcome.REMOVED}
_NOT_FOUND = re.compile(r"not found|no such lead|does ?n[o']t exist", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item of a bulk update or removal.

    ``not_found`` says that the campaign has no such lead. An add is queued, so the lead may still come:
    the outcome is what it ends as when asking again has not helped (a removal is then done). ``words`` are
    the dialer's, of an item that failed, numbers masked.
    """

    outcome: Outcome
    not_found: bool = False
    words: str = ""


def to_wire(lead: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
    """A canonical lead as VoiceAIWrapper takes it: the number in E.164 first, no field it cannot carry.

    A lone ``name`` is parted at its first blank into first and last name. ``variables`` become
    ``custom_fields``, as texts; an update replaces all that the lead has. The flags go with an
    update only if true: to have a person called again is no by-product of an update.
    """
    wire: dict[str, Any] = {"phone_number": lead["phone_number"]}
    if operation != "remove":
        wire.update(_names(lead))
        if email := lead.get("email"):
            wire["email"] = email
        if custom := texts(lead.get("variables") or {}):
            wire["custom_fields"] = custom
        if operation == "update":
            wire.update({flag: True for flag in FLAGS if lead.get(flag)})
    return wire


def refuses(lead: Mapping[str, Any], operation: Operation) -> str:
    """Why a canonical lead cannot be sent, as ``field: problem; remedy``; "" if it can."""
    if operation == "update" and to_wire(lead, operation).keys() == {"phone_number"}:
        return "lead: has nothing to update; give a name, email or variables"
    if operation == "update" and all(lead.get(flag) for flag in FLAGS):
        return "mark_as_unanswered: has the person called again, do_not_call forbids it; give one of them"
    return ""


def kind(wire: Mapping[str, Any]) -> str:
    """The flag that a wire update carries, or '': updates of different kinds travel in calls of their own."""
    return next((flag for flag in FLAGS if flag in wire), "")


def resend_safe(wire: Mapping[str, Any]) -> bool:
    """Whether a wire update may be sent again: one that re-queues a lead may have somebody called once more."""
    return "mark_as_unanswered" not in wire


def canonical_campaign(text: str) -> str:
    """The campaign id, which is opaque; raises ValueError if it cannot be one.

    The ids on the dialer's pages are of two kinds, ``camp_abc123`` and base64 with ``=``; neither holds
    blanks or ``%``, and an id that came out of a URL would be a second name for the same campaign.
    """
    if _OPAQUE.fullmatch(text) and text.strip("."):
        return text
    raise ValueError(
        f"{text!r} is not a VoiceAIWrapper campaign id; write it as the dialer shows it, "
        "e.g. camp_abc123, not as it stands in a URL"
    )


def refusal(body: object) -> str:
    """The dialer's words if the body of a 2xx says that the whole call failed; "" if it does not."""
    status = body.get("status") if isinstance(body, Mapping) else None
    if status is None or str(status).casefold() == "success":
        return ""
    return problem_text(body) or "the answer says that the call failed"


def read_accepted(body: object) -> Outcome | None:
    """Accepted, for all leads of an add: they are queued, and nothing more will be said of them.

    None if the answer does not say so; ``refusal`` tells whether it says the opposite.
    """
    said = isinstance(body, Mapping) and body.get("status") is not None and not refusal(body)
    return Outcome.ACCEPTED if said else None


def read_results(body: object, operation: Operation, sent: Sequence[str]) -> dict[int, Result] | None:
    """What became of each item of an update or removal, by its index in ``sent``, the numbers in digits.

    The top of the answer says success even if items fail. An item is believed if the number it names, if
    any, is the one sent at that index; the others are missing. None if the answer cannot be read.
    """
    results = body.get("results") if isinstance(body, Mapping) and not refusal(body) else None
    if not isinstance(results, list):
        return None
    found: dict[int, Result] = {}
    for index, item in _matching(results, sent):
        found.setdefault(index, _result(item, _DONE[operation]))
    return found


def problem_text(body: object) -> str:
    """The dialer's words about what is wrong, in one line of at most 300 characters, numbers masked.

    Nothing is documented: reads ``errors``, ``detail``, ``message`` and ``error``, in this order.
    """
    return told(body, "errors", "detail", "message", "error")


_OPAQUE = re.compile(r"[!-$&-~]+")  # ASCII that can be seen, without "%"


def _names(lead: Mapping[str, Any]) -> dict[str, str]:
    given = {key: lead[key] for key in ("first_name", "last_name") if lead.get(key)}
    if given:
        return given
    parts = (lead.get("name") or "").split(maxsplit=1)
    return dict(zip(("first_name", "last_name"), parts, strict=False))


def _matching(results: list[object], sent: Sequence[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for item in results:
        if not isinstance(item, Mapping) or not isinstance(item.get("success"), bool):
            continue
        index = item.get("index")
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(sent):
            continue
        number = item.get("phone_number")
        if number is None or digits(str(number)) == sent[index]:
            yield index, item


def _result(item: Mapping[str, Any], done: Outcome) -> Result:
    if item["success"]:
        return Result(done)
    words = one_line(item.get("message"))
    not_found = _NOT_FOUND.search(words) is not None
    if not_found and done is Outcome.REMOVED:
        return Result(done, not_found, words)
    return Result(Outcome.REJECTED, not_found, words)
