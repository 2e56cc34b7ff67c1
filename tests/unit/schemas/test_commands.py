import re
from typing import Any

import pytest

from leadlane.schemas.addresses import CampaignAddress
from leadlane.schemas.commands import (
    CampaignCommand,
    LeadCommand,
    load_account_question,
    load_agents_command,
    load_campaign_question,
    load_lead_command,
)
from leadlane.schemas.errors import WrongUse


def test_a_command_needs_a_campaign_and_leads_only() -> None:
    command = load_lead_command({"campaign": "voiso-emea/3", "leads": [{"phone_number": "x"}, 5]})
    assert command == LeadCommand(CampaignAddress("voiso-emea", "3"), leads=[{"phone_number": "x"}, 5])
    assert (command.priority, command.on_duplicate) == ("normal", "keep")


def test_a_command_may_name_a_stored_batch_and_all_the_rest() -> None:
    command = load_lead_command(
        {
            "campaign": "voiso-emea/3",
            "batch": "spring-7.1",
            "leads": None,
            "priority": "bulk",
            "job": "spring-7",
            "on_duplicate": "update",
            "expires_in": 60,
        }
    )
    assert command == LeadCommand(
        CampaignAddress("voiso-emea", "3"), None, "spring-7.1", "bulk", "spring-7", "update", 60.0
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"campaign": None}, "campaign: missing; write ACCOUNT/CAMPAIGN_ID, such as voiso-emea/3"),
        ({"campaign": "voiso"}, "campaign: 'voiso' names no account; "),
        ({"campaign": None, "campaing": "voiso/3"}, "campaing: unknown; did you mean 'campaign'?"),
        ({"leads": None}, "either leads or batch must be given, not both; "),
        ({"batch": "b1"}, "either leads or batch must be given, not both; "),
        ({"leads": {"phone_number": "x"}}, "leads: is not a list; "),
        ({"leads": None, "batch": "a b"}, "batch: is not an id; "),
        ({"job": "x" * 201}, "job: is not an id; "),
        ({"job": 7}, "job: is not an id; "),
        ({"priority": "high"}, "priority: is none of urgent, normal, bulk; "),
        ({"priority": ["bulk"]}, "priority: is none of urgent, normal, bulk; "),
        ({"on_duplicate": "replace"}, "on_duplicate: is none of keep, update; "),
        ({"expires_in": 0}, "expires_in: is not in the coming year; "),
        ({"expires_in": float("nan")}, "expires_in: is not a number of seconds; "),
        ({"expires_in": True}, "expires_in: is not a number of seconds; "),
        ({"expires_in": "60"}, "expires_in: is not a number of seconds; "),
    ],
)
def test_a_wrong_command_is_told_with_its_remedy(change: dict[str, Any], said: str) -> None:
    with pytest.raises(WrongUse, match=re.escape(said)):
        load_lead_command({"campaign": "voiso-emea/3", "leads": [], **change})


def test_a_commands_repr_shows_no_lead() -> None:
    command = load_lead_command({"campaign": "voiso-emea/3", "leads": [{"phone_number": "+493023125000"}]})
    assert "23125" not in repr(command)


def test_agents_are_named_by_numbers_or_text() -> None:
    command = load_agents_command({"campaign": "voiso-emea/3", "user_ids": [42, "b-7"], "batch": None})
    assert command == CampaignCommand(CampaignAddress("voiso-emea", "3"), user_ids=["42", "b-7"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user_ids": None}, "either user_ids or batch must be given, not both; "),
        ({"batch": "b1"}, "either user_ids or batch must be given, not both; "),
        ({"user_ids": "42"}, "user_ids: is not a list; "),
        ({"user_ids": [1, 2.5]}, "user_ids: [1] is not a user id; "),
        ({"user_ids": [True]}, "user_ids: [0] is not a user id; "),
        ({"user_ids": list(range(10_001))}, "user_ids: has more than 10,000 ids; "),
        ({"seq": 4}, "seq: unknown"),
    ],
)
def test_a_wrong_word_about_agents_is_told_with_its_remedy(change: dict[str, Any], said: str) -> None:
    with pytest.raises(WrongUse, match=re.escape(said)):
        load_agents_command({"campaign": "voiso-emea/3", "user_ids": [1], **change})


def test_a_question_names_a_campaign_or_an_account_and_nothing_else() -> None:
    assert load_campaign_question({"campaign": "voiso-emea/3"}) == CampaignAddress("voiso-emea", "3")
    assert load_account_question({"account": "voiso-emea"}) == "voiso-emea"
    for load, kwargs, said in (
        (load_campaign_question, {}, "campaign: missing; "),
        (load_campaign_question, {"campaign": "voiso-emea/3", "account": "voiso-emea"}, "account: unknown"),
        (load_account_question, {}, "account: missing; "),
        (load_account_question, {"account": "Voiso EMEA"}, "account: is no account name; "),
    ):
        with pytest.raises(WrongUse, match=re.escape(said)):
            load(kwargs)
