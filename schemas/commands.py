"""What a by-name task may ask for: its kwargs, read once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from marshmallow import ValidationError, fields, validates_schema

from .addresses import CampaignAddress, is_account_name
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
MAX_SEQ: Final = 2**53 - 1  # what Lua counts exactly
MAX_AGENTS: Final = 10_000

MAX_LEADS: Final = 100_000
"""Of one by-name task."""
MAX_KWARGS: Final = 20

_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}")
_ID = re.compile(_TASK_ID.pattern.replace("127", "199"))  # of a piece of a task, or of a Fleet's batch, too


def is_task_id(value: object) -> bool:
    """Whether a task may have this id: it names keys, and comes back as the id of a batch."""
    return isinstance(value, str) and _TASK_ID.fullmatch(value) is not None


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


@dataclass(frozen=True, slots=True)
class CampaignCommand:
    """A word about a campaign: ``seq`` is its place among those about the state, ``user_ids`` whom it is about."""

    campaign: CampaignAddress
    batch: str | None = None
    job: str | None = None
    seq: int | None = None
    user_ids: list[str] | None = None


def load_lead_command(kwargs: Mapping[str, Any]) -> LeadCommand:
    """The command in the kwargs of a task, in which None is as good as absent.

    Raises WrongUse, which names the kwarg that is missing, unknown or wrong. The leads are not looked at.
    """
    return LeadCommand(**_load(_SCHEMA, kwargs))


def load_state_command(kwargs: Mapping[str, Any]) -> CampaignCommand:
    """The command in the kwargs of ``leadlane.campaigns.start``, ``pause`` or ``stop``; errors as above."""
    return CampaignCommand(**_load(_STATE, kwargs))


def load_agents_command(kwargs: Mapping[str, Any]) -> CampaignCommand:
    """The command in the kwargs of ``leadlane.agents.add``, ``remove`` or ``sync``; errors as above."""
    return CampaignCommand(**_load(_AGENTS, kwargs))


def load_campaign_question(kwargs: Mapping[str, Any]) -> CampaignAddress:
    """The campaign in the kwargs of ``leadlane.campaigns.get`` or ``leadlane.agents.list``; errors as above."""
    asked: CampaignAddress = _load(_CAMPAIGN, kwargs)["campaign"]
    return asked


def load_account_question(kwargs: Mapping[str, Any]) -> str:
    """The account in the kwargs of ``leadlane.campaigns.list``; errors as above."""
    account: str = _load(_ACCOUNT, kwargs)["account"]
    return account


def load_suppress_command(kwargs: Mapping[str, Any]) -> str:
    """The ticket in the kwargs of ``leadlane.suppress.add``, ``remove`` or ``lookup``; errors as above."""
    return str(_load(_SUPPRESS, kwargs)["batch"])


def _load(schema: Strict, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    if len(kwargs) > MAX_KWARGS:
        raise WrongUse(f"kwargs: are more than {MAX_KWARGS}; give campaign and what is to be done, no more")
    try:
        loaded: dict[str, Any] = schema.load(
            {name: value for name, value in kwargs.items() if value is not None}
        )
    except ValidationError as error:
        # What is quoted may be in the wrong place: a number where the campaign should be.
        raise WrongUse(masked(": ".join(filter(None, first_problem(error.messages))))) from None
    return loaded


class Campaign(fields.Field[CampaignAddress]):
    """A campaign address."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> CampaignAddress:
        try:
            return CampaignAddress.parse(value)
        except BadCampaign as bad:
            raise ValidationError(f"'{bad.address}' {bad.problem}; {bad.remedy}") from None


class AccountName(fields.Field[str]):
    """The name of an account."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or not is_account_name(value):
            raise ValidationError("is no account name; use lowercase letters, digits and single dashes")
        return value


class Rows(fields.Field[list[object]]):
    """A list, whatever is in it: each lead is judged by itself later."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[object]:
        if not isinstance(value, (list, tuple)):
            raise ValidationError("is not a list; give a list of leads")
        if len(value) > MAX_LEADS:
            raise ValidationError(f"are more than {MAX_LEADS:,}; send them in several tasks")
        return list(value)


class Id(fields.Field[str]):
    """The id of a batch or job."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise ValidationError("is not an id; use up to 200 letters, digits and - _ . :")
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
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole and not (isinstance(value, float) and math.isfinite(value)):
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


class Sequence(fields.Field[int]):
    """The place of a command among its like: any count that grows, such as microseconds of a clock."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SEQ:
            raise ValidationError(f"is not a whole number from 1 to {MAX_SEQ}; give a count that grows")
        return value


class AgentIds(fields.Field[list[str]]):
    """Ids of agents, whole numbers or text, as text; the dialer's record judges their form."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        if not isinstance(value, (list, tuple)):
            raise ValidationError("is not a list; give a list of user ids")
        if len(value) > MAX_AGENTS:
            raise ValidationError(f"has more than {MAX_AGENTS:,} ids; give fewer")
        for i, one in enumerate(value):
            if isinstance(one, bool) or not isinstance(one, (int, str)) or not 0 < len(str(one)) <= 100:
                raise ValidationError(f"[{i}] is not a user id; give a whole number or text")
        return [str(one) for one in value]


class CampaignQuestionSchema(Strict):
    """The kwargs of ``leadlane.campaigns.get`` and ``leadlane.agents.list``."""

    campaign = Campaign(
        required=True, error_messages=required("write ACCOUNT/CAMPAIGN_ID, such as voiso-emea/3")
    )


class AccountQuestionSchema(Strict):
    """The kwargs of ``leadlane.campaigns.list``."""

    account = AccountName(
        required=True, error_messages=required("write the name of an account, such as voiso-emea")
    )


class CampaignCommandSchema(CampaignQuestionSchema):
    """The kwargs that every word about a campaign has."""

    batch = Id()
    job = Id()

    @validates_schema(skip_on_field_errors=True)
    def _own_job(self, data: Mapping[str, Any], **_: Any) -> None:
        if "job" in data and "batch" not in data:
            raise ValidationError("job is not for commands, each has one of its own; leave it out")


class StateCommandSchema(CampaignCommandSchema):
    """The kwargs of ``leadlane.campaigns.start``, ``pause`` and ``stop``."""

    seq = Sequence()


class AgentsCommandSchema(CampaignCommandSchema):
    """The kwargs of ``leadlane.agents.add``, ``remove`` and ``sync``."""

    user_ids = AgentIds()

    @validates_schema(skip_on_field_errors=True)
    def _one_source(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("user_ids" in data) == ("batch" in data):
            raise ValidationError(
                "either user_ids or batch must be given, not both; user_ids is a list, batch an id"
            )


class SuppressCommandSchema(Strict):
    """The kwargs of ``leadlane.suppress.add``, ``remove`` and ``lookup``."""

    otherwise = "numbers are given through Fleet.suppress or the command line, no message has them"

    batch = Id(required=True, error_messages=required("numbers are given through Fleet.suppress"))
    campaign = fields.String()
    job = Id()


_SCHEMA: Final = LeadCommandSchema()
_STATE: Final = StateCommandSchema()
_AGENTS: Final = AgentsCommandSchema()
_CAMPAIGN: Final = CampaignQuestionSchema()
_ACCOUNT: Final = AccountQuestionSchema()
_SUPPRESS: Final = SuppressCommandSchema()
