"""How many clean leads a second a producer brings in, beside the plain way to check the same ones."""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

import phonenumbers
from marshmallow import Schema, ValidationError, fields, validate

from leadlane.schemas.leads import LeadSchema

from . import ours
from .ground import ground
from .workloads import leads_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEADS: Final = 20_000
ROUNDS: Final = 3
"""Each way in turn; the median counts."""


class Phone(fields.Field[str]):
    """A number as E.164, if phonenumbers says that it is possible."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        try:
            number = phonenumbers.parse(value)
        except phonenumbers.NumberParseException as exc:
            raise ValidationError(str(exc)) from exc
        if not phonenumbers.is_possible_number(number):
            raise ValidationError("not possible")
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


class PlainSource(Schema):
    """As below."""

    system = fields.String()
    url = fields.String()


class PlainLead(Schema):
    """The lead as one writes its schema on the first day."""

    phone_number = Phone(required=True)
    name = fields.String(validate=validate.Length(max=2000))
    priority = fields.Integer(validate=validate.Range(1, 1000))
    active = fields.Boolean()
    source = fields.Nested(PlainSource)


def measure() -> Iterator[dict[str, Any]]:
    """Leads a second: our producer's whole way into Redis; the plain check and JSON, stored nowhere."""
    leads = leads_from(0, LEADS)
    plain, ours_alone = PlainLead(), LeadSchema(region=None)
    with ground(gap_s=0.5, call_s=0.1, campaigns=1) as place:
        campaign = ours.fleet(place.site).campaign(ours.address(place.site, 1))
        campaign.import_leads(leads[:1000])  # tables and scripts are loaded
        ways: dict[str, Callable[[], object]] = {
            "import_leads": lambda: campaign.import_leads(leads),
            "marshmallow + phonenumbers": lambda: [json.dumps(plain.load(lead)) for lead in leads],
            "our schema without its fast path": lambda: [ours_alone.load(lead) for lead in leads],
        }
        rounds = [{name: _seconds(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    for name in ways:
        spent = statistics.median(one[name] for one in rounds)
        yield {
            "bench": "intake",
            "way": name,
            "leads": LEADS,
            "leads_per_s": round(LEADS / spent),
            "us_per_lead": round(spent / LEADS * 1e6, 1),
        }


def _seconds(way: Callable[[], object]) -> float:
    began = time.perf_counter()
    way()
    return time.perf_counter() - began
