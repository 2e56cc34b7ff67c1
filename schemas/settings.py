"""Settings: ``leadlane.toml`` and the environment, read once at the edge into one frozen object.

Every key of the file is an environment variable too, and the environment wins: ``redis_url`` is
``LEADLANE_REDIS_URL``; ``rate`` of the account ``voiso-emea`` is ``LEADLANE_ACCOUNTS__VOISO_EMEA__RATE``
(a dash in an account's name is an underscore there; several rates are parted by commas). An account may
stand in the environment alone. An empty variable is as good as none.

``redis_password`` says where the password of Redis is (``env:NAME`` or ``file:PATH``, never the password itself); it
goes into every Redis URL that has none. ``sentinel_password`` is likewise that of the sentinels, where the URLs name
some; ``sentinel_master`` is then the name under which they watch the primary. ``rediss://`` is TLS: ``redis_ca`` is a
file with the certificates that vouch for the server, those of the system unless given; ``redis_client_cert`` and
``redis_client_key`` are our own, if it asks for them.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from environs import Env
from marshmallow import ValidationError

from .addresses import is_account_name
from .errors import SettingsError, nearest
from .rates import Rate
from .redis_urls import canonical, is_sentinels, with_password
from .settings_schema import PROVIDERS, SUPPRESS_SCOPES, AccountSchema, SettingsSchema
from .strict import Strict, first_problem, shown_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .phones import PhoneCheck

SuppressScope = Literal["campaign", "account", "all"]

__all__ = [
    "HASH_KEY_REF",
    "SUPPRESS_SCOPES",
    "Account",
    "Rate",
    "Settings",
    "SuppressScope",
    "load_settings",
    "redis_is_given",
    "resolve_key",
    "resolve_reference",
]

CONFIG_FILE: Final = "leadlane.toml"
DEFAULT_REDIS_URL: Final = "redis://localhost:6379/0"
HASH_KEY_REF: Final = "env:LEADLANE_HASH_KEY"
REDIS_URLS: Final = ("redis_url", "broker_url", "result_url")
TLS_FILES: Final = ("redis_ca", "redis_client_cert", "redis_client_key")
LOST_CALL_S: Final = 60.0
TIMEOUT_S: Final = 30.0

_PREFIX = "LEADLANE_"
_ACCOUNT_PREFIX = "ACCOUNTS__"
_NOT_SETTINGS = frozenset({"LEADLANE_CONFIG", "LEADLANE_HASH_KEY"})
_NUMBERED_KEY = "LEADLANE_PAYLOAD_KEY_"  # what payload_keys may refer to: LEADLANE_PAYLOAD_KEY_1, _2 ...
_TYPING_ERROR = 0.8  # how like a known variable an unknown one must be to be taken for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One set of credentials at one provider. The key itself is never in here; see ``resolve_key``."""

    name: str
    provider: str
    base_url: str  # scheme, host and port; two accounts of one contact centre have it equal
    api_key: str = field(repr=False)  # where the key is: env:NAME or file:PATH
    rate: tuple[Rate, ...] = ()
    max_in_flight: int | None = None  # calls at once; None is no cap of ours
    max_waiting: int | None = None  # leads that may wait in all; None is no limit
    max_waiting_per_campaign: int | None = None
    default_region: str | None = None  # for national numbers
    import_gap_s: float | None = None  # None is the provider's rule
    timeout_s: float = TIMEOUT_S  # total deadline of a call
    lost_call_s: float = LOST_CALL_S  # how long an unanswered call may still run at the dialer
    phone_check: PhoneCheck = "possible"
    update_method: Literal["PUT", "PATCH"] = "PUT"
    suppress_scope: SuppressScope = "account"  # where an opt-out holds that comes with a lead
    leads_per_call: int | None = None  # None is the record's assumption, where the dialer does not say
    switches: frozenset[str] = frozenset()  # names of those that are on


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a process needs to know. Times are in seconds."""

    redis_url: str = field(default=DEFAULT_REDIS_URL, repr=False)
    broker_url: str = field(default="", repr=False)  # redis_url unless given
    result_url: str = field(default="", repr=False)  # redis_url unless given
    redis_password: str = field(default="", repr=False)  # for those of them that have none
    redis_ca: str = ""  # files, for those of them that are TLS
    redis_client_cert: str = ""
    redis_client_key: str = field(default="", repr=False)
    sentinel_master: str = ""  # what the sentinels in these URLs, if any, call the primary
    sentinel_password: str = field(default="", repr=False)
    key_prefix: str = "leadlane"
    accounts: Mapping[str, Account] = field(default_factory=lambda: MappingProxyType({}))
    max_attempts: int = 12
    max_age_s: float = 86_400.0  # of a ticket, from its first attempt
    retention_s: float = 7 * 86_400.0  # of what is done
    visibility_timeout_s: float = 120.0
    lease_s: float = 12.0
    call_ledger: int = 100_000  # entries kept, some 20 MB
    hash_key_ref: str = field(default=HASH_KEY_REF, repr=False)
    payload_keys: tuple[str, ...] = field(default=(), repr=False)  # where they are; the first one encrypts

    def __post_init__(self) -> None:
        for key in REDIS_URLS:
            url = getattr(self, key) or self.redis_url
            object.__setattr__(
                self, key, with_password(url, self.redis_password) if self.redis_password else url
            )
        object.__setattr__(self, "accounts", MappingProxyType(dict(self.accounts)))

    def at(self, redis_url: str) -> Settings:
        """The same settings with everything in the Redis at ``redis_url``. Raises SettingsError if it is no URL."""
        try:
            given = replace(self, redis_url=canonical(redis_url), broker_url="", result_url="")
        except ValueError as exc:
            problem, _, remedy = str(exc).partition("; ")
            raise SettingsError("redis_url", problem, remedy) from None
        return _with_master(given)


def load_settings(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    known_providers: tuple[str, ...] = PROVIDERS,
) -> Settings:
    """The settings of ``path``, else of the file in LEADLANE_CONFIG, else of ``./leadlane.toml`` if any.

    Raises SettingsError at the first missing, unknown or wrong key.
    """
    environment = _Environment(os.environ if environ is None else environ)
    tree = _read_file(path, environment)
    origins = _lay_over(tree, environment)

    tables = tree.pop("accounts", {})
    if not isinstance(tables, dict):
        raise SettingsError("accounts", "is not a table", "write one table for each, [accounts.NAME]")
    given = _checked(SettingsSchema(), tree, "", origins)
    for key in ("redis_password", "sentinel_password"):
        if reference := given.pop(key, ""):
            given[key] = resolve_reference(reference, key, environment.variables)
    for key in TLS_FILES:
        _check_file(key, given.get(key, ""))
    settings = _with_master(Settings(**given))
    if settings.retention_s < 10 * settings.visibility_timeout_s:
        # A message may come back that late; the ticket it belongs to must still be known then.
        raise SettingsError(
            "retention_s",
            "is below ten times visibility_timeout_s",
            f"write at least {10 * settings.visibility_timeout_s:g}",
        )
    schema = AccountSchema(known_providers)
    return replace(
        settings, accounts={name: _account(name, table, schema, origins) for name, table in tables.items()}
    )


def _with_master(settings: Settings) -> Settings:
    """The settings, if they say which primary is meant wherever they name sentinels. Raises SettingsError."""
    for key in REDIS_URLS:
        if is_sentinels(getattr(settings, key)) and not settings.sentinel_master:
            raise SettingsError(
                "sentinel_master",
                f"missing, and {key} names sentinels",
                "write the name under which they watch the primary, such as mymaster",
            )
    return settings


def _check_file(key: str, path: str) -> None:
    """Raises SettingsError if there is no file of certificates or keys there, where one is named."""
    if not path:
        return
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        problem = f"the file {path} cannot be read ({_reason(error)})"
        raise SettingsError(key, problem, "name a file that exists, in PEM") from None
    if "-----BEGIN " not in text:
        raise SettingsError(key, f"the file {path} is not in PEM", "it begins with -----BEGIN; convert it")


def redis_is_given(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the environment or the settings file names a Redis, rather than leaving it to the default."""
    environment = _Environment(os.environ if environ is None else environ)
    return bool(environment.str("LEADLANE_REDIS_URL", "")) or "redis_url" in _read_file(None, environment)


def resolve_key(account: Account, environ: Mapping[str, str] | None = None) -> str:
    """The API key of an account, from where its ``api_key`` says. For workers only. Raises SettingsError."""
    return resolve_reference(account.api_key, f"accounts.{account.name}.api_key", environ)


def resolve_reference(reference: str, path: str, environ: Mapping[str, str] | None = None) -> str:
    """The secret that ``env:NAME`` or ``file:PATH`` points to, without blanks around it.

    ``path`` is the setting that holds the reference, for the error. Raises SettingsError if there is
    nothing there.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        secret = (os.environ if environ is None else environ).get(place, "").strip()
        if not secret:
            raise SettingsError(
                path, f"the variable {place} is not set or empty", "set it where the worker starts"
            )
        return secret
    try:
        secret = Path(place).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        problem = f"the file {place} cannot be read ({_reason(error)})"
        raise SettingsError(path, problem, "put the key there and let the worker read it") from None
    if not secret:
        raise SettingsError(path, f"the file {place} is empty", "put the key into it")
    return secret


class _Environment(Env):
    """environs over any mapping, so that nothing but the edge reads ``os.environ``."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__()
        self.variables = variables

    def _get_value(self, env_key: str, default: Any) -> Any:  # as environs' own FileAwareEnv does
        return self.variables.get(env_key) or default

    def __iter__(self) -> Iterator[str]:
        return (name for name in sorted(self.variables) if self.variables[name].strip())


def _read_file(path: Path | None, environment: _Environment) -> dict[str, Any]:
    """The settings file as a tree; empty if there is none and none was asked for."""
    named = environment.str("LEADLANE_CONFIG", "").strip()
    file = path or Path(named or CONFIG_FILE)
    if not path and not named and not file.exists():
        return {}
    where = "LEADLANE_CONFIG" if named and not path else str(file)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(str(file), f"is not TOML ({error})", "correct that line") from None
    except (OSError, ValueError) as error:
        problem = f"the file {file} cannot be read ({_reason(error)})"
        raise SettingsError(where, problem, "name a file that exists and is UTF-8 text") from None


def _lay_over(tree: dict[str, Any], environment: _Environment) -> dict[str, str]:
    """Put what the environment says over the tree; returns which variable each key path came from."""
    known = {_PREFIX + key.upper(): key for key in SettingsSchema().load_fields}
    origins: dict[str, str] = {}
    for variable in environment:
        name = variable.removeprefix(_PREFIX)
        if variable in _NOT_SETTINGS or name == variable or variable.startswith(_NUMBERED_KEY):
            continue
        if variable in known:
            key = known[variable]
            tree[key] = environment.str(variable).strip()
            origins[key] = variable
        elif name.startswith(_ACCOUNT_PREFIX):
            account, key = _account_key(variable)
            accounts = tree.setdefault("accounts", {})
            table = accounts.setdefault(account, {}) if isinstance(accounts, dict) else None
            if isinstance(table, dict):
                table[key] = (
                    environment.list(variable) if key == "rate" else environment.str(variable).strip()
                )
                origins[f"accounts.{account}.{key}"] = variable
        # Other names are somebody else's: an account's key, or what Kubernetes sets for its services.
        elif close := nearest(
            name, (known_name.removeprefix(_PREFIX) for known_name in known), _TYPING_ERROR
        ):
            raise SettingsError(variable, "unknown", f"did you mean {_PREFIX}{close}?")
    return origins


def _account_key(variable: str) -> tuple[str, str]:
    account, *key = variable.removeprefix(_PREFIX + _ACCOUNT_PREFIX).split("__")
    if not account or len(key) != 1 or not key[0]:
        raise SettingsError(
            variable, "names no key of an account", f"write {_PREFIX}{_ACCOUNT_PREFIX}NAME__KEY"
        )
    return account.lower().replace("_", "-"), key[0].lower()


def _account(name: str, table: object, schema: AccountSchema, origins: Mapping[str, str]) -> Account:
    path = f"accounts.{shown_key(name)}"
    if not is_account_name(name):
        raise SettingsError(path, "is not an account name", "use lowercase letters, digits and single dashes")
    if not isinstance(table, dict):
        raise SettingsError(path, "is not a table", f"write [{path}] and its keys below it")
    given = _checked(schema, table, path, origins)
    # A call that we gave up may still run there; the next one must not begin meanwhile.
    given.setdefault("lost_call_s", max(LOST_CALL_S, given.get("timeout_s", TIMEOUT_S)))
    account = Account(name=name, **given)
    if account.lost_call_s < account.timeout_s:
        raise SettingsError(
            f"{path}.lost_call_s", "is below timeout_s", f"write at least {account.timeout_s:g}"
        )
    return account


def _checked(schema: Strict, tree: dict[str, Any], path: str, origins: Mapping[str, str]) -> dict[str, Any]:
    """The tree as its schema loads it. Raises SettingsError for one problem."""
    try:
        return cast("dict[str, Any]", schema.load(tree))
    except ValidationError as error:
        where, said = first_problem(error.messages, path)
    problem, _, remedy = said.partition("; ")
    if where in origins:
        remedy += f" (it comes from {origins[where]})"
    # Outside the except clause: the error of marshmallow holds the whole tree, passwords and all.
    raise SettingsError(where, problem, remedy)


def _reason(error: Exception) -> str:
    return (error.strerror or "unreadable").lower() if isinstance(error, OSError) else "not UTF-8 text"
