"""Whatever comes in at a boundary: it is right, or one clear error says what would be."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from leadlane.schemas import commands, problems
from leadlane.schemas.addresses import CampaignAddress
from leadlane.schemas.errors import BadCampaign, SettingsError, WrongUse
from leadlane.schemas.leads import Clean, clean
from leadlane.schemas.phones import BadPhone, masked, normalise, region_of
from leadlane.schemas.quick import proven
from leadlane.schemas.rates import Rate
from leadlane.schemas.settings import load_settings
from leadlane.schemas.settings_schema import AccountSchema, SettingsSchema
from leadlane.schemas.wire import encoded
from leadlane.workers.providers import PROVIDERS
from tests.hostile import NUMBER, Imp
from tests.properties import any_json, holds, holds_for_imps, is_short_error

LEAD = (
    "phone_number", "name", "first_name", "last_name", "email", "priority", "active", "source", "context_headers",
    "variables", "secondary_contacts", "do_not_call", "mark_as_unanswered", "allow_duplicate", "external_id",
    "country_code", "system", "url", "X-Id",
)  # fmt: skip
KWARGS = (
    "campaign",
    "leads",
    "batch",
    "job",
    "priority",
    "on_duplicate",
    "expires_in",
    "seq",
    "user_ids",
    "account",
)
LOADERS = (
    commands.load_lead_command, commands.load_state_command, commands.load_agents_command,
    commands.load_campaign_question, commands.load_account_question, commands.load_suppress_command,
)  # fmt: skip
CAMPAIGNS = {"voiso": "3", "dialnexa": "cmp_1", "voicery": "3", "voiceaiwrapper": "camp_1"}


def judged(row: object, region: str | None) -> None:
    """A lead is invalid in few words without its number, or every dialer's form can be made of it."""
    (found,) = clean([row], region=region)
    if not isinstance(found, Clean):
        assert 0 < len(found.problems) <= 600
        assert NUMBER not in found.problems
        assert len(found.phone) <= 40
        found.phone.encode()
        return
    (again,) = clean([found.lead], region=None)
    assert isinstance(again, Clean)
    assert again.lead == found.lead
    for name, provider in PROVIDERS.items():
        for operation in provider.operations.values():
            if operation.refuses(found.lead):
                continue
            wire = encoded(operation.wire(found.lead))
            operation.body(wire.encode(), CAMPAIGNS[name])
            for ask in (operation.others, operation.silences, operation.apart, operation.resend_safe):
                ask(wire)


@holds(
    slow=3_000,
    row=any_json(*LEAD),
    phone=st.sampled_from(["+12125550123", "030 123456", "x"]),
    region=st.sampled_from([None, "DE", "US"]),
)
def test_every_row_is_a_lead_or_is_told_why_not(row: Any, phone: str, region: str | None) -> None:
    judged({"phone_number": phone, **row} if isinstance(row, dict) else row, region)


@holds_for_imps(slow=20_000, names=LEAD)
def test_every_hostile_row_is_a_lead_or_is_told_why_not(imp: Imp) -> None:
    row = imp.but({"phone_number": f"+{NUMBER}", "name": "A"}, imp.dice.randint(0, 4))
    judged(row, imp.dice.choice((None, "DE")))
    quick = proven(row)
    if quick is not None:
        (slow,) = clean([dict(row)], region=None, phone_check="valid")
        assert not isinstance(slow, Clean) or slow.lead == quick


@holds_for_imps(slow=20_000, names=KWARGS)
def test_every_kwargs_are_a_command_or_one_short_error(imp: Imp) -> None:
    kwargs = imp.but({"campaign": "voiso/3", "leads": [], "user_ids": [1]}, imp.dice.randint(0, 5))
    for load in LOADERS:
        try:
            load(kwargs)
        except WrongUse as wrong:
            is_short_error(wrong)


@holds(slow=3_000, text=st.one_of(st.text(max_size=40), st.from_regex(r"[a-z0-9\-]{1,10}/.{0,20}")))
def test_an_address_reads_as_it_is_written(text: str) -> None:
    try:
        address = CampaignAddress.parse(text)
    except BadCampaign as bad:
        is_short_error(bad)
        return
    assert CampaignAddress.parse(str(address)) == address
    for provider in PROVIDERS.values():
        try:
            one = provider.canonical_campaign(address.campaign)
        except ValueError:
            continue
        assert provider.canonical_campaign(one) == one


@holds(
    slow=3_000, text=st.one_of(st.text(max_size=20), st.from_regex(r"\A[0-9]{1,7} ?/ ?[0-9.]{0,8}[smhd]?\Z"))
)
def test_a_rate_reads_as_it_is_written(text: str) -> None:
    try:
        rate = Rate.parse(text)
    except ValueError:
        return
    again = Rate.parse(str(rate))
    assert again.count == rate.count
    assert again.period_s == pytest.approx(rate.period_s)


@holds(
    slow=8_000,
    text=st.one_of(st.text(max_size=300), st.text("+0123456789 ()-/.x;", max_size=40)),
    region=st.sampled_from([None, "DE", "US", "IT", "IN"]),
)
def test_a_number_reads_as_it_is_written(text: str, region: str | None) -> None:
    try:
        number = normalise(text, region)
    except BadPhone as bad:
        is_short_error(bad)
        return
    assert normalise(number) == number


@holds(slow=4_000, text=st.text(max_size=30))
def test_a_country_is_one_or_is_told(text: str) -> None:
    try:
        assert region_of(region_of(text)) == region_of(text)
    except BadPhone:
        pass


@holds(slow=8_000, said=any_json("message", "errors", "a" * 200))
def test_anything_said_is_one_short_line(said: Any) -> None:
    line = problems.one_line(said)
    assert len(line) <= problems.MAX_PROBLEM
    assert not line or line.isprintable()
    assert masked(line) == line


KEYS = (*SettingsSchema().load_fields, *AccountSchema().load_fields, "accounts", "voiso", "a-b")


@holds_for_imps(slow=6_000, names=tuple(KEYS))
def test_every_settings_file_is_read_or_its_wrong_key_named(imp: Imp) -> None:
    table = imp.but(
        {"provider": "voiso", "base_url": "https://x.y", "api_key": "env:K"}, imp.dice.randint(0, 2)
    )
    tree = imp.but({"redis_url": "redis://h"}, imp.dice.randint(0, 2)) | {"accounts": {"voiso": table}}
    path = Path("leadlane.toml")
    path.write_text(toml(tree), encoding="utf-8", errors="surrogatepass")
    try:
        load_settings(path, environ={})
    except SettingsError as wrong:
        is_short_error(wrong, 6000, hides="")  # the path of a file is told


@holds_for_imps(slow=6_000, names=tuple(f"LEADLANE_{key.upper()}" for key in KEYS))
def test_every_environment_is_read_or_its_wrong_variable_named(imp: Imp) -> None:
    names = [f"LEADLANE_ACCOUNTS__VOISO__{key.upper()}" for key in AccountSchema().load_fields]
    given = {
        imp.dice.choice((imp.name(), *names)): str(imp.scalar())[:200] for _ in range(imp.dice.randint(1, 4))
    }
    try:
        load_settings(environ=given | {"LEADLANE_CONFIG": ""})
    except SettingsError as wrong:
        is_short_error(wrong, 6000, hides="")


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def toml(tree: dict[str, Any]) -> str:
    """The tree as TOML, as far as there is any: what has no form there is written as JSON would."""
    lines = [f"{quoted(name)} = {value(it)}" for name, it in tree.items() if name != "accounts"]
    for name, table in tree.get("accounts", {}).items():
        lines += [
            f"[accounts.{quoted(name)}]",
            *(f"{quoted(key)} = {value(it)}" for key, it in table.items()),
        ]
    return "\n".join(lines)


def quoted(text: str) -> str:
    escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in text)
    return f'"{escaped}"'


def value(it: Any) -> str:
    if isinstance(it, bool):
        return str(it).lower()
    if isinstance(it, dict):
        return "{" + ", ".join(f"{quoted(name)} = {value(inner)}" for name, inner in it.items()) + "}"
    if isinstance(it, list):
        return "[" + ", ".join(map(value, it)) + "]"
    return quoted(it) if isinstance(it, str) else str(it)
