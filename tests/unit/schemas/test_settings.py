import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from leadlane.schemas.errors import SettingsError
from leadlane.schemas.rates import Rate
from leadlane.schemas.redis_urls import sentinels, without_password
from leadlane.schemas.settings import (
    Account,
    Settings,
    load_settings,
    redis_is_given,
    resolve_key,
    resolve_reference,
)

ACCOUNT = """
[accounts.voiso-emea]
provider = "voiso"
base_url = "https://emea.voiso.com"
api_key = "env:VOISO_EMEA_KEY"
"""
EMEA = "LEADLANE_ACCOUNTS__VOISO_EMEA__"
IN_ENVIRONMENT = {
    EMEA + "PROVIDER": "voiso",
    EMEA + "BASE_URL": "https://emea.voiso.com",
    EMEA + "API_KEY": "file:/run/secrets/voiso",
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str = "", environ: Mapping[str, str] | None = None) -> Settings:
    Path("leadlane.toml").write_text(text)
    return load_settings(environ=environ or {})


def test_the_contracts_file_is_read_whole() -> None:
    settings = load(
        'redis_url = "redis://localhost:6379/0"\n'
        + ACCOUNT
        + 'rate = ["10/s"]\ndefault_region = "DE"\nimport_gap_s = 2.0\ntimeout_s = 30\nlost_call_s = 60\n'
    )
    assert settings.broker_url == settings.result_url == settings.redis_url == "redis://localhost:6379/0"
    assert settings.accounts == {
        "voiso-emea": Account(
            name="voiso-emea",
            provider="voiso",
            base_url="https://emea.voiso.com",
            api_key="env:VOISO_EMEA_KEY",
            rate=(Rate(10, 1.0),),
            default_region="DE",
            import_gap_s=2.0,
        )
    }


def test_no_file_and_no_variable_is_a_redis_on_this_machine() -> None:
    assert load_settings(environ={}) == Settings()
    assert load_settings(environ={}).redis_url == "redis://localhost:6379/0"


def test_every_key_is_a_variable_too_and_the_variable_wins() -> None:
    settings = load(
        'redis_url = "redis://file/0"\nmax_attempts = 3\n' + ACCOUNT + 'rate = ["1/s"]\n',
        {
            "LEADLANE_REDIS_URL": "redis://variable/0",
            "LEADLANE_BROKER_URL": "rediss://other/1",
            "LEADLANE_LEASE_S": "15",
            EMEA + "RATE": "10/s, 600/m",
            EMEA + "MAX_IN_FLIGHT": "4",
            EMEA + "TIMEOUT_S": "",
        },
    )
    assert settings.redis_url == settings.result_url == "redis://variable/0"
    assert (settings.broker_url, settings.max_attempts, settings.lease_s) == ("rediss://other/1", 3, 15.0)
    account = settings.accounts["voiso-emea"]
    assert account.rate == (Rate(10, 1.0), Rate(600, 60.0))
    assert (account.max_in_flight, account.timeout_s) == (4, 30.0)


def test_an_account_may_stand_in_the_environment_alone() -> None:
    account = load_settings(environ=IN_ENVIRONMENT).accounts["voiso-emea"]
    assert (account.provider, account.api_key) == ("voiso", "file:/run/secrets/voiso")


def test_the_process_environment_is_read_only_if_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADLANE_KEY_PREFIX", "mine")
    assert load_settings().key_prefix == "mine"
    assert load_settings(environ={}).key_prefix == "leadlane"


def test_the_file_is_the_one_given_else_the_one_in_leadlane_config(tmp_path: Path) -> None:
    other, third = tmp_path / "other.toml", tmp_path / "third.toml"
    other.write_text('key_prefix = "other"')
    third.write_text('key_prefix = "third"')
    assert load('key_prefix = "here"').key_prefix == "here"
    environ = {"LEADLANE_CONFIG": str(other)}
    assert load_settings(environ=environ).key_prefix == "other"
    assert load_settings(third, environ).key_prefix == "third"


def test_a_file_that_is_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"LEADLANE_CONFIG: the file .*nowhere\.toml cannot be read"):
        load_settings(environ={"LEADLANE_CONFIG": "nowhere.toml"})
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "nowhere.toml", {})
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ('redis_ulr = "redis://x"', "redis_ulr", "unknown; did you mean 'redis_url'?"),
        ('redis_url = "http://x"', "redis_url", "is not a Redis URL; "),
        ('redis_url = "redis://:secret@x:port/0"', "redis_url", "is not a Redis URL; "),
        ('redis_url = "unix://"', "redis_url", "is not a Redis URL; "),
        ('redis_url = "sentinel://a;redis://b"', "redis_url", "is not a list of sentinels; "),
        ('redis_url = "sentinel://a/1;b/2"', "redis_url", "is not a list of sentinels; "),
        ('redis_url = "sentinel://:secret@a;:other@b"', "redis_url", "is not a list of sentinels; "),
        ('redis_url = "sentinel://a;b"', "sentinel_master", "missing, and redis_url names sentinels; "),
        ('result_url = "sentinel://a;b"', "sentinel_master", "missing, and result_url names sentinels; "),
        ('sentinel_master = "my master"', "sentinel_master", "is not a name; "),
        ('sentinel_password = "secret"', "sentinel_password", "is not a reference "),
        ("redis_url = 5", "redis_url", "is not text; "),
        ('key_prefix = "a:{b}"', "key_prefix", "is not a prefix of keys; "),
        ("max_attempts = 0", "max_attempts", "is not a whole number from 1 to 1000; "),
        ("max_attempts = 2.5", "max_attempts", "is not a whole number"),
        ("max_attempts = true", "max_attempts", "is not a whole number"),
        ("lease_s = nan", "lease_s", "is not a number from 1 to 60; "),
        ("retention_s = 600", "retention_s", "is below ten times visibility_timeout_s; write at least 1200"),
        ('hash_key_ref = "abc"', "hash_key_ref", "is not a reference to a key; "),
        ("accounts = 5", "accounts", "is not a table; "),
        ("[accounts]\nvoiso = 5", "accounts.voiso", "is not a table; write [accounts.voiso]"),
        ("[accounts.Voiso_EMEA]", "accounts.Voiso_EMEA", "is not an account name; "),
        ("[accounts.voiso]", "accounts.voiso.api_key", "missing; write env:NAME or file:PATH"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key_and_what_would_be_right(
    text: str, path: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(text)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: {said}")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("line", "key", "said"),
    [
        ('provider = "voisso"', "provider", "'voisso' is not known here; did you mean 'voiso'?"),
        ('base_url = "emea.voiso.com"', "base_url", "is not scheme, host and port alone; "),
        ('base_url = "https://emea.voiso.com/api/v4"', "base_url", "is not scheme, host and port alone; "),
        ('base_url = "https://u:secret@emea.voiso.com"', "base_url", "is not scheme, host and port alone; "),
        (
            'base_url = "https://emea.voiso.com?key=secret"',
            "base_url",
            "is not scheme, host and port alone; ",
        ),
        ('base_url = "ftp://emea.voiso.com"', "base_url", "is not scheme, host and port alone; "),
        ('base_url = "https://emea.voiso.com:99999"', "base_url", "is not scheme, host and port alone; "),
        ('api_key = "sk_secret"', "api_key", "is not a reference to a key; write env:NAME or file:PATH"),
        ('api_key = "env:sk-secret"', "api_key", "is not a reference to a key; "),
        ('api_key = "env:"', "api_key", "is not a reference to a key; "),
        ('suppress_scope = "team"', "suppress_scope", "'team' is not known here; "),
        ('api_ky = "env:KEY"', "api_ky", "unknown; did you mean 'api_key'?"),
        ('rate = ["10 per s"]', "rate", '\'10 per s\' is not a rate; write "10/s" or "600/m"'),
        ("rate = [10]", "rate", '(int) is not a rate; write "10/s"'),
        ('rate = ["0/s"]', "rate", "'0/s' is not a rate; "),
        ('default_region = "UK"', "default_region", "'UK' is not a country; "),
        ('timeout_s = "soon"', "timeout_s", "is not a number from 0.1 to 3600; write one, such as 30"),
        ("timeout_s = -1", "timeout_s", "is not a number from 0.1 to 3600; "),
        ("lost_call_s = 20", "lost_call_s", "is below timeout_s; write at least 30"),
        ("max_in_flight = 0", "max_in_flight", "is not a whole number from 1 to 10000; "),
        ('phone_check = "strict"', "phone_check", "'strict' is not known here; known: possible, valid"),
        ('update_method = "POST"', "update_method", "'POST' is not known here; "),
        ("file_upload = true", "file_upload", "is no switch of voiso; leave it out"),
        ("leads_per_call = 50", "leads_per_call", "is the dialer's own rule; leave it out"),
        ('provider = "dialnexa"\nfile_upload = 1', "file_upload", "is neither true nor false; "),
        (
            'provider = "dialnexa"\nsibling_operations = true',
            "sibling_operations",
            "is no switch of dialnexa; its accounts have file_upload, assumed_operations",
        ),
        ('provider = "dialnexa"\nfile_uplaod = true', "file_uplaod", "unknown; did you mean 'file_upload'?"),
        (
            'provider = "voiceaiwrapper"\nleads_per_call = 1001',
            "leads_per_call",
            "is not a whole number from 1",
        ),
        ('provider = "voiceaiwrapper"\nleads_per_call = 0', "leads_per_call", "is not a whole number from 1"),
    ],
)
def test_a_wrong_key_of_an_account_is_refused_with_its_full_path(line: str, key: str, said: str) -> None:
    given = {one.split(" ")[0] for one in line.splitlines()}
    kept = [old for old in ACCOUNT.splitlines() if old.split(" ")[0] not in given]
    with pytest.raises(SettingsError) as caught:
        load("\n".join([*kept, line]))
    assert str(caught.value).startswith(f"accounts.voiso-emea.{key}: {said}")
    assert caught.value.remedy
    assert "secret" not in repr(caught.value) + str(caught.value)
    assert caught.value.__context__ is None  # marshmallow's error would hold the whole file


def test_a_wrong_variable_is_told_by_key_and_name() -> None:
    with pytest.raises(SettingsError) as caught:
        load(ACCOUNT, {EMEA + "RATE": "often"})
    assert caught.value.path == "accounts.voiso-emea.rate"
    assert f"(it comes from {EMEA}RATE)" in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("LEADLANE_REDIS_ULR", "did you mean LEADLANE_REDIS_URL?"),
        ("LEADLANE_MAX_ATTEMPT", "did you mean LEADLANE_MAX_ATTEMPTS?"),
        ("LEADLANE_ACCOUNTS__VOISO", "write LEADLANE_ACCOUNTS__NAME__KEY"),
        (EMEA + "RATES", "did you mean 'rate'?"),
    ],
)
def test_a_mistyped_variable_is_refused(variable: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ={**IN_ENVIRONMENT, variable: "1"})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "variable",
    [
        "LEADLANE_HASH_KEY",
        "LEADLANE_VOISO_KEY",
        "LEADLANE_REDIS_PORT",
        "LEADLANE_REDIS_SERVICE_HOST",
        "OTHER",
    ],
)
def test_variables_that_are_none_of_our_settings_are_left_alone(variable: str) -> None:
    assert load_settings(environ={variable: "tcp://10.0.0.1:6379"}) == Settings()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("HTTPS://EMEA.voiso.com:443/", "https://emea.voiso.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_one_contact_centre_has_one_base_url(given: str, kept: str) -> None:
    settings = load_settings(environ={**IN_ENVIRONMENT, EMEA + "BASE_URL": given})
    assert settings.accounts["voiso-emea"].base_url == kept


def test_switches_are_off_unless_they_are_set() -> None:
    here = {**IN_ENVIRONMENT, EMEA + "PROVIDER": "dialnexa"}
    assert load_settings(environ=here).accounts["voiso-emea"].switches == frozenset()
    here |= {EMEA + "FILE_UPLOAD": "True", EMEA + "ASSUMED_OPERATIONS": "false"}
    assert load_settings(environ=here).accounts["voiso-emea"].switches == {"file_upload"}


def test_a_switch_in_the_environment_is_told_with_its_variable() -> None:
    with pytest.raises(SettingsError, match=rf"sibling_operations: .*it comes from {EMEA}SIBLING_OPERATIONS"):
        load_settings(environ={**IN_ENVIRONMENT, EMEA + "SIBLING_OPERATIONS": "true"})


def test_leads_of_a_call_may_be_set_where_the_dialer_does_not_say() -> None:
    here = {**IN_ENVIRONMENT, EMEA + "PROVIDER": "voiceaiwrapper", EMEA + "LEADS_PER_CALL": "250"}
    assert load_settings(environ=here).accounts["voiso-emea"].leads_per_call == 250


def test_a_long_timeout_takes_the_time_of_a_lost_call_with_it() -> None:
    account = load(ACCOUNT + "timeout_s = 90").accounts["voiso-emea"]
    assert account.lost_call_s == 90.0


def test_only_providers_that_are_there_are_accepted() -> None:
    Path("leadlane.toml").write_text(ACCOUNT)
    with pytest.raises(SettingsError, match="known: nexa"):
        load_settings(environ={}, known_providers=("nexa",))


def test_a_broken_file_is_told_with_its_line() -> None:
    with pytest.raises(SettingsError, match=r"leadlane\.toml: is not TOML \(.*line 2"):
        load('key_prefix = "a"\nredis_url = \n')
    Path("leadlane.toml").write_bytes(b'key_prefix = "\xff"')
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(environ={})


def test_a_key_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    account = load(ACCOUNT).accounts["voiso-emea"]
    assert resolve_key(account, {"VOISO_EMEA_KEY": " sk_secret\n"}) == "sk_secret"
    (tmp_path / "key").write_text("sk_secret\n")
    assert resolve_reference(f"file:{tmp_path}/key", "hash_key_ref") == "sk_secret"


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_key_that_is_not_there_is_told_by_its_place(tmp_path: Path, content: str | None) -> None:
    account = load(ACCOUNT).accounts["voiso-emea"]
    environ = {} if content is None else {"VOISO_EMEA_KEY": content}
    with pytest.raises(
        SettingsError, match=r"accounts\.voiso-emea\.api_key: the variable VOISO_EMEA_KEY is not set"
    ):
        resolve_key(account, environ)
    if content is not None:
        (tmp_path / "key").write_text(content)
    with pytest.raises(SettingsError, match="hash_key_ref: the file"):
        resolve_reference(f"file:{tmp_path}/key", "hash_key_ref")


def test_no_password_and_no_key_is_in_a_repr() -> None:
    environ = {
        **IN_ENVIRONMENT,
        "LEADLANE_REDIS_URL": "redis://:secret@redis:6379/0",
        EMEA + "API_KEY": "env:SECRET",
    }
    assert "secret" not in repr(load_settings(environ=environ)).lower()


def test_settings_are_frozen() -> None:
    settings = load(ACCOUNT)
    with pytest.raises(AttributeError):
        settings.redis_url = "redis://other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.accounts["x"] = settings.accounts["voiso-emea"]  # type: ignore[index]


def test_settings_move_whole_to_another_redis() -> None:
    moved = load("max_attempts = 3").at("redis://other/0")
    assert moved.redis_url == moved.broker_url == moved.result_url == "redis://other/0"
    assert moved.max_attempts == 3


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://user:se@c;r?et@redis:6379/0?password=x", "redis://redis:6379/0"),
        ("unix://:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
        ("sentinel://:secret@a:1;sentinel://:secret@b:2/0", "sentinel://a:1;b:2/0"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_reading_settings_changes_nothing_in_the_environment() -> None:
    before = dict(os.environ)
    load(ACCOUNT, IN_ENVIRONMENT)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10, 1.0)),
        ("600/m", Rate(600, 60.0)),
        ("5/10s", Rate(5, 10.0)),
        (" 1 / 0.5 s ", Rate(1, 0.5)),
        ("100/h", Rate(100, 3600.0)),
    ],
)
def test_a_rate_is_calls_per_time(text: str, rate: Rate) -> None:
    assert Rate.parse(text) == rate
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "10/", "/s", "0/s", "10/0s", "-1/s", "10/d", "1.5/s", "10 per s", "٣/s"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("url", "with_password"),
    [
        ("redis://cache:6379/1", "redis://:a%2Fb%40c@cache:6379/1"),
        ("rediss://me@cache", "rediss://me:a%2Fb%40c@cache"),
        ("unix:///run/redis.sock?db=1", "unix://:a%2Fb%40c@/run/redis.sock?db=1"),
        ("redis://:own@cache/0", "redis://:own@cache/0"),
        ("sentinel://a;b:1/2", "sentinel://:a%2Fb%40c@a:26379/2;sentinel://:a%2Fb%40c@b:1/2"),
    ],
)
def test_the_password_of_redis_comes_from_where_it_is_kept(url: str, with_password: str) -> None:
    Path("password").write_text("a/b@c\n")
    settings = load(
        'redis_password = "file:password"\nbroker_url = "redis://broker"\nsentinel_master = "m"',
        {"LEADLANE_REDIS_URL": url},
    )
    assert settings.redis_url == settings.result_url == with_password
    assert settings.broker_url == "redis://:a%2Fb%40c@broker"
    assert "a/b@c" not in repr(settings)
    assert "a%2Fb" not in without_password(settings.redis_url)


def test_the_password_goes_to_the_redis_that_nobody_named_too() -> None:
    settings = load("", {"LEADLANE_REDIS_PASSWORD": "env:PASSWORD", "PASSWORD": "s"})
    assert settings.redis_url == "redis://:s@localhost:6379/0"


@pytest.mark.parametrize(
    ("text", "environ", "problem"),
    [
        ('redis_password = "hunter2"', {}, "is not a reference"),
        ('redis_password = "file:nowhere"', {}, "cannot be read"),
        ('redis_password = "env:PASSWORD"', {}, "PASSWORD is not set"),
    ],
)
def test_a_password_that_cannot_be_had_is_said_and_not_shown(
    text: str, environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(text, environ)
    assert refused.value.path == "redis_password"
    assert problem in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_whether_a_redis_is_named_is_known() -> None:
    assert not redis_is_given({})
    assert redis_is_given({"LEADLANE_REDIS_URL": "redis://x"})
    load('redis_url = "redis://localhost:6379/0"')
    assert redis_is_given({})


@pytest.mark.parametrize(
    "url",
    ["sentinel://a;b:7/0", "sentinel://a:26379;sentinel://b:7", "sentinel://a:26379/0;sentinel://b:7/0"],
)
def test_sentinels_may_be_written_as_celery_writes_them_and_shorter(url: str) -> None:
    settings = load(f'redis_url = "{url}"\nsentinel_master = "mymaster"')
    assert settings.redis_url == settings.broker_url == "sentinel://a:26379/0;sentinel://b:7/0"


def test_the_password_of_sentinels_is_another_and_not_shown() -> None:
    settings = load(
        'redis_url = "sentinel://u:own@a;b"\nsentinel_master = "m"\nsentinel_password = "env:P"',
        {"P": "hunter2"},
    )
    assert settings.sentinel_password == "hunter2"
    assert sentinels(settings.redis_url) == ([("a", 26379), ("b", 26379)], "u", "own", 0)
    assert "hunter2" not in repr(settings)
    assert without_password(settings.redis_url) == "sentinel://a:26379/0;b:26379/0"


def test_a_producer_may_name_sentinels_where_their_primary_is_known() -> None:
    assert (
        Settings(sentinel_master="m").at("sentinel://a;b").result_url
        == "sentinel://a:26379/0;sentinel://b:26379/0"
    )
    with pytest.raises(SettingsError, match="sentinel_master: missing, and redis_url names sentinels"):
        Settings().at("sentinel://a;b")
    with pytest.raises(SettingsError, match="redis_url: is not a Redis URL"):
        Settings().at("localhost")


@pytest.mark.parametrize("key", ["redis_ca", "redis_client_cert", "redis_client_key"])
def test_a_file_of_tls_must_be_there_and_in_pem(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsError, match=rf"{key}: the file {tmp_path}/ca cannot be read \(no such file"):
        load(f'{key} = "{tmp_path}/ca"')
    (tmp_path / "ca").write_bytes(b"\x30\x82")
    with pytest.raises(SettingsError, match=f"{key}: the file {tmp_path}/ca .*PEM"):
        load(f'{key} = "{tmp_path}/ca"')
    (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----\n")
    assert getattr(load(f'{key} = "{tmp_path}/ca"'), key) == f"{tmp_path}/ca"


@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "x=1&ssl_ca_certs=ca"])
@pytest.mark.parametrize("key", ["redis_url", "broker_url", "result_url"])
def test_no_url_turns_the_look_at_a_certificate_off(key: str, option: str) -> None:
    with pytest.raises(SettingsError, match=f"{key}: has settings of TLS in it; .* always verified"):
        load(f'{key} = "rediss://h:6379/0?{option}"')
    with pytest.raises(SettingsError, match="redis_url: has settings of TLS in it"):
        load().at(f"rediss://h:6379/0?{option}")


def test_a_producer_that_names_the_url_has_password_and_ca_from_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----\n")
    settings = load(f'redis_password = "env:PASSWORD"\nredis_ca = "{tmp_path}/ca"', {"PASSWORD": "s3cret"})
    at = settings.at("rediss://leadlane-producer@h:6379/0")
    assert at.redis_url == at.broker_url == at.result_url == "rediss://leadlane-producer:s3cret@h:6379/0"
    assert at.redis_ca == f"{tmp_path}/ca"
    assert "s3cret" not in repr(at)
