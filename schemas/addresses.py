"""Campaign addresses: ``ACCOUNT/CAMPAIGN_ID``, the one way to name a campaign."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from .errors import BadCampaign
from .phones import masked

ACCOUNT_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
"""Lowercase letters, digits and single dashes, so that environment variables can name it too."""

MAX_ACCOUNT_NAME: Final = 64
MAX_CAMPAIGN_ID: Final = 200


def is_account_name(text: str) -> bool:
    """Whether ``text`` can be the name of an account."""
    return len(text) <= MAX_ACCOUNT_NAME and ACCOUNT_NAME.fullmatch(text) is not None


def whole_number_id(text: str, dialer: str) -> str:
    """The one form of a campaign id that is a whole number: ``3`` for ``003`` too.

    Raises ValueError, in which ``dialer`` is the name of whose id it is not.
    """
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise ValueError(f"{text!r} is not a {dialer} campaign id; it is a whole number, e.g. 3")
    return str(int(text))


@dataclass(frozen=True, slots=True, order=True)
class CampaignAddress:
    """A campaign of an account. The id is the provider's own text; only the provider knows its form."""

    account: str
    campaign: str

    @classmethod
    def parse(cls, text: object) -> CampaignAddress:
        """The address in ``text``; everything after the first slash is the id. Raises BadCampaign."""
        if not isinstance(text, str):
            raise BadCampaign(type(text).__name__, "is not text", "write ACCOUNT/CAMPAIGN_ID")
        account, slash, campaign = text.partition("/")
        # What has no slash may be anything, even a phone number; and errors are logged.
        shown = text[:80] if slash else masked(text[:80])
        shown = "".join(c if c.isprintable() else "?" for c in shown)
        if not slash:
            raise BadCampaign(shown, "names no account", "write ACCOUNT/CAMPAIGN_ID, such as voiso-emea/3")
        if not is_account_name(account):
            raise BadCampaign(
                shown,
                "the part before the slash is not an account name",
                "use lowercase letters, digits and single dashes, such as voiso-emea/3",
            )
        if not campaign or campaign != campaign.strip() or not campaign.isprintable():
            raise BadCampaign(
                shown, "has no campaign id after the slash", f"write {account}/ID, without blanks"
            )
        if len(campaign) > MAX_CAMPAIGN_ID:
            raise BadCampaign(
                shown, "the campaign id is too long", f"give at most {MAX_CAMPAIGN_ID} characters"
            )
        return cls(account, campaign)

    def __str__(self) -> str:
        return f"{self.account}/{self.campaign}"
