import pytest

from leadlane.schemas.addresses import CampaignAddress, whole_number_id
from leadlane.schemas.errors import BadCampaign


@pytest.mark.parametrize(
    ("text", "account", "campaign"),
    [("voiso-emea/3", "voiso-emea", "3"), ("a1/cmp_x/y?z", "a1", "cmp_x/y?z"), ("a/ü 1", "a", "ü 1")],
)
def test_everything_after_the_first_slash_is_the_id(text: str, account: str, campaign: str) -> None:
    address = CampaignAddress.parse(text)
    assert (address.account, address.campaign) == (account, campaign)
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("voiso-emea", "names no account"),
        ("", "names no account"),
        ("Voiso_EMEA/3", "not an account name"),
        ("a--b/3", "not an account name"),
        ("/3", "not an account name"),
        ("voiso-emea/", "no campaign id"),
        ("voiso-emea/ 3", "no campaign id"),
        ("voiso-emea/3\n", "no campaign id"),
        ("voiso-emea/" + "3" * 201, "too long"),
        (3, "is not text"),
        (None, "is not text"),
    ],
)
def test_what_is_no_address_is_told_with_the_right_form(text: object, problem: str) -> None:
    with pytest.raises(BadCampaign, match=problem) as caught:
        CampaignAddress.parse(text)
    assert caught.value.remedy
    assert str(caught.value).isprintable()


def test_a_number_in_place_of_an_address_is_not_repeated() -> None:
    with pytest.raises(BadCampaign) as caught:
        CampaignAddress.parse("+493023125000")
    assert "23125" not in str(caught.value)


@pytest.mark.parametrize(("text", "canonical"), [("3", "3"), ("003", "3"), ("9" * 200, "9" * 200)])
def test_an_id_that_is_a_whole_number_has_one_form(text: str, canonical: str) -> None:
    assert whole_number_id(text, "Voiso") == canonical


@pytest.mark.parametrize("text", ["", "0", "00", "-3", "3.0", "3 ", "cmp_3", "³", "٣"])
def test_an_id_that_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Voiso campaign id; it is a whole number"):
        whole_number_id(text, "Voiso")
