"""What a by-name task may ask for: the kwargs of ``leadlane.leads.import`` and ``.update``, read once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from marshmallow import ValidationError, fields, validates_schema

from .addresses import CampaignAddress
from .errors import BadCampaign, WrongUse
from .phones import masked
from .strict import Strict, first_problem, required

if TYPE_CHECKING:
    from collections.abc import Mapping

Priority = Literal["urgent", "normal", "bulk"]
OnDuplicate = Literal["keep", "update"]

PRIORITIES: Final[tuple[Priority, ...]] = ("urgent", "normal", "bulk")
ON_DUPLICATE: Final[tuple[OnDuplicate, ...]] = ("keep", "update")
MAX_EXPIRES_S: Final = 366 * 86_400

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}")


@dataclass(frozen=True, slots=True)
class LeadCommand:
    """Leads for a campaign, either here (``leads``, not yet looked at) or stored before (``batch``)."""

    campaign: CampaignAddress
    leads: list[object] | None = field(default=None, repr=False)
    batch: str | None = None
    priority: Priority = "normal"
    job: str | None = None
    on_duplicate: OnDuplicate = "keep"
    expires_in: float | None = None  # seconds from now


def load_lead_command(kwargs: Mapping[str, Any]) -> LeadCommand:
    """The command in the kwargs of a task, in which None is as good as absent.

    Raises WrongUse, which names the kwarg that is missing, unknown or wrong. The leads are not looked at.
    """
    try:
        given = _SCHEMA.load({name: value for name, value in kwargs.items() if value is not None})
    except ValidationError as error:
        # What is quoted may be in the wrong place: a number where the campaign should be.
        raise WrongUse(masked(": ".join(filter(None, first_problem(error.messages))))) from None
    return LeadCommand(**given)


class Campaign(fields.Field[CampaignAddress]):
    """A campaign address."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> CampaignAddress:
        try:
            return CampaignAddress.parse(value)
        except BadCampaign as bad:
            raise ValidationError(f"'{bad.address}' {bad.problem}; {bad.remedy}") from None


class Rows(fields.Field[list[object]]):
    """A list, whatever is in it: each lead is judged by itself later."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[object]:
        if not isinstance(value, (list, tuple)):
            raise ValidationError("is not a list; give a list of leads")
        return list(value)


class Id(fields.Field[str]):
    """The id of a batch or job."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise ValidationError("is not an id; use up to 128 letters, digits and - _ . :")
        return value


class OneOf(fields.Field[str]):
    """One of a few words."""

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        self.words = words

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValidationError(f"is none of {', '.join(self.words)}; write one of them")
        return value


class Seconds(fields.Field[float]):
    """A time from now, in seconds."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        number = cast("float", value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(number):
            raise ValidationError("is not a number of seconds; give one, such as 3600")
        if not 0 < number <= MAX_EXPIRES_S:
            raise ValidationError("is not in the coming year; give seconds from now, such as 3600")
        return float(number)


class LeadCommandSchema(Strict):
    """The kwargs of ``leadlane.leads.import`` and ``leadlane.leads.update``."""

    campaign = Campaign(
        required=True, error_messages=required("write ACCOUNT/CAMPAIGN_ID, such as voiso-emea/3")
    )
    leads = Rows()
    batch = Id()
    priority = OneOf(PRIORITIES)
    job = Id()
    on_duplicate = OneOf(ON_DUPLICATE)
    expires_in = Seconds()

    @validates_schema(skip_on_field_errors=True)
    def _one_source(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("leads" in data) == ("batch" in data):
            raise ValidationError(
                "either leads or batch must be given, not both; leads is a list, batch an id"
            )


_SCHEMA: Final = LeadCommandSchema()
