import json
import pickle

import pytest

from leadlane import errors as face
from leadlane.schemas import errors
from leadlane.schemas.errors import (
    BadCampaign,
    BadFile,
    DeadLetter,
    DialerFailed,
    ImportInterrupted,
    LaneFull,
    LeadlaneError,
    SettingsError,
    UnknownAccount,
    UnknownJob,
    Unreachable,
    UnsupportedOperation,
    WrongUse,
    did_you_mean,
    nearest,
)

EXAMPLES = [
    WrongUse("give a number of leads"),
    SettingsError("accounts.voiso-emea.rate", "'10 per s' is not a rate", 'write "10/s" or "600/m"'),
    UnknownAccount("voiso-emae", ["voiso-emea", "voiso-us"]),
    UnsupportedOperation("nexa", "start", ["import", "remove"]),
    BadCampaign("voiso-emea", "names no account", "write ACCOUNT/CAMPAIGN_ID"),
    BadFile("leads.pdf", "is no form of leads", "give CSV or JSONL"),
    UnknownJob("spring-7"),
    Unreachable("Redis at redis://localhost:6379/0", "nobody listens there", "start it"),
    DialerFailed("voiso-emea", "its dialer gives no answer (timeout)", "try again later"),
    DeadLetter("payload_lost"),
    LaneFull("voiso-emea/3", "campaign", 50_000, 50_400, "spring-7", 12_000, 8.5),
    ImportInterrupted("spring-7", 1200),
]


def test_a_settings_error_names_the_key_and_the_remedy() -> None:
    error = SettingsError("accounts.voiso-emea.rate", "'10 per s' is not a rate", 'write "10/s" or "600/m"')
    assert str(error) == 'accounts.voiso-emea.rate: \'10 per s\' is not a rate; write "10/s" or "600/m"'


def test_an_unknown_account_is_told_with_the_nearest_one() -> None:
    assert "did you mean 'voiso-emea'?" in str(UnknownAccount("voiso-emae", ["voiso-emea", "nexa"]))
    assert "known: nexa, voicery" in str(UnknownAccount("xyz", ["voicery", "nexa"]))
    assert "no worker has published it yet" in str(UnknownAccount("voiso-emea"))


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (
            error,
            2
            if isinstance(error, WrongUse)
            else 3
            if isinstance(error, Unreachable | DialerFailed | LaneFull)
            else 1,
        )
        for error in EXAMPLES
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes_are_those_of_the_command_line(error: LeadlaneError, exit_code: int) -> None:
    assert error.exit_code == exit_code


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickle_and_the_result_backend(error: LeadlaneError) -> None:
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(type(error)(*json.loads(json.dumps(error.args)))) == str(error)


def test_the_face_has_every_error_of_the_tree() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, LeadlaneError)
    }
    assert set(face.__all__) == tree
    assert sorted(face.__all__) == face.__all__
    assert {type(error) for error in EXAMPLES} | {LeadlaneError} == {getattr(face, name) for name in tree}


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("phone", "phone_number"),
        ("Phone Number", "phone_number"),
        ("PRIORITY", "priority"),
        ("lastname", "last_name"),
        ("company", None),
        ("", None),
    ],
)
def test_the_nearest_known_word_is_found_whatever_its_case(word: str, found: str | None) -> None:
    assert nearest(word, ["phone_number", "priority", "last_name", "email"]) == found


def test_a_word_like_no_known_one_is_told_all_of_them() -> None:
    assert did_you_mean("xyz", ["b", "a"]) == "known: a, b"
    assert did_you_mean("xyz", []) == "none is known yet"
