"""What each setting may be. Every message reads ``problem; remedy``; none shows a password or a key."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates, validates_schema

from .errors import did_you_mean
from .phones import is_region
from .rates import Rate
from .redis_urls import canonical
from .strict import Strict, required, shown_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marshmallow.types import ErrorMessages

SWITCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "voiso": (),
    "dialnexa": ("file_upload", "assumed_operations"),
    "voicery": ("sibling_operations",),
    "voiceaiwrapper": ("duplicates_ignored",),
}
"""Each dialer with the switches that its accounts have; all are off unless set."""
LEADS_AT_MOST: Final[Mapping[str, int]] = {"voiceaiwrapper": 1000}
"""To which ``leads_per_call`` may be set, where the dialer does not say how many leads a call may have."""
PROVIDERS: Final = tuple(SWITCHES)
SUPPRESS_SCOPES: Final = ("campaign", "account", "all")

_DAY_S = 86_400
_YEAR_S = 366 * _DAY_S


def _number(low: float, high: float, example: str, *, whole: bool = False) -> fields.Field[Any]:
    noun = "a whole number" if whole else "a number"
    said = f"is not {noun} from {low} to {high}; write one, such as {example}"
    messages: ErrorMessages = {"invalid": said, "special": said, "too_large": said, "null": said}
    bounds = validate.Range(low, high, error=said)
    if whole:
        return _Whole(validate=bounds, error_messages=messages)
    return fields.Float(validate=bounds, error_messages=messages)


class _Whole(fields.Integer):
    """An integer, or its digits as the environment has them; no 2.5, and no 2.0 either."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        if isinstance(value, float):
            raise self.make_error("invalid")
        return super()._deserialize(value, *args, **kwargs)


class _Checked(fields.Field[str]):
    """Text that ``check`` returns as it shall be kept; it raises ValidationError."""

    def __init__(self, check: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError("is not text; write it in quotes")
        return self.check(value.strip())


class _Switch(fields.Field[bool]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        word = value.strip().lower() if isinstance(value, str) else value
        if word not in ("true", "false") and not isinstance(word, bool):
            raise ValidationError("is neither true nor false; write one of them")
        return word in ("true", True)


class _Rates(fields.Field[tuple[Rate, ...]]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[Rate, ...]:
        found = []
        for text in value if isinstance(value, list) else [value]:
            try:
                found.append(Rate.parse(text))
            except (ValueError, AttributeError):
                shown = f"'{shown_key(text)}'" if isinstance(text, str) else shown_key(text)
                raise ValidationError(f'{shown} is not a rate; write "10/s" or "600/m"') from None
        return tuple(found)


def _word(text: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise ValidationError(f"'{shown_key(text)}' is not known here; {did_you_mean(text, words)}")
    return text


def _redis_url(text: str) -> str:
    try:
        return canonical(text)
    except ValueError as exc:
        raise ValidationError(str(exc)) from None


def _sentinel_master(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{1,100}", text):
        raise ValidationError(
            "is not a name; write the one under which the sentinels watch the primary, such as mymaster"
        )
    return text


def _base_url(text: str) -> str:
    """Scheme, host and port, in one way of writing: lanes are shared by accounts whose URL is equal."""
    wrong = ValidationError(
        "is not scheme, host and port alone; write it like https://emea.voiso.com, without path or key"
    )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    bare = parts.path in {"", "/"} and not (parts.query or parts.fragment) and "@" not in parts.netloc
    if parts.scheme not in {"http", "https"} or not host or not bare or re.search(r"[\s?#]", text):
        raise wrong
    host = f"[{host}]" if ":" in host else host
    if port in {None, {"http": 80, "https": 443}[parts.scheme]}:
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"


def _reference(text: str) -> str:
    kind, _, place = text.partition(":")
    # Never echoed: whoever writes this wrong has most likely written the key itself.
    if kind not in {"env", "file"} or not place or (kind == "env" and not _VARIABLE.fullmatch(place)):
        raise ValidationError(
            "is not a reference to a key; write env:NAME or file:PATH, never the key itself"
        )
    return text


class _References(fields.Field[tuple[str, ...]]):
    """References to keys, as a list or parted by commas."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValidationError('is not a list; write it like ["env:NAME", "file:PATH"]')
        return tuple(_reference(word.strip()) for word in words)


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _region(text: str) -> str:
    code = text.upper()
    if not is_region(code):
        raise ValidationError(f"'{shown_key(text)}' is not a country; write two letters such as DE or GB")
    return code


def _key_prefix(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,39}", text):
        raise ValidationError("is not a prefix of keys; use up to 40 letters, digits and - _ .")
    return text


class SettingsSchema(Strict):
    """The keys at the top of ``leadlane.toml``, but for the accounts."""

    redis_url = _Checked(_redis_url)
    broker_url = _Checked(_redis_url)
    result_url = _Checked(_redis_url)
    redis_password = _Checked(_reference)
    redis_ca = _Checked(str)
    redis_client_cert = _Checked(str)
    redis_client_key = _Checked(str)
    sentinel_master = _Checked(_sentinel_master)
    sentinel_password = _Checked(_reference)
    key_prefix = _Checked(_key_prefix)
    max_attempts = _number(1, 1000, "12", whole=True)
    max_age_s = _number(1, _YEAR_S, "86400")
    retention_s = _number(60, _YEAR_S, "604800")
    visibility_timeout_s = _number(1, _DAY_S, "120")
    lease_s = _number(1, 60, "12")
    call_ledger = _number(1000, 10_000_000, "100000", whole=True)
    hash_key_ref = _Checked(_reference)
    payload_keys = _References()


_Switches = Schema.from_dict(
    {name: _Switch() for names in SWITCHES.values() for name in names}, name="Switches"
)


class AccountSchema(Strict, _Switches):  # type: ignore[misc, valid-type]  # made of data
    """The keys of one account."""

    provider = _Checked(str, required=True, error_messages=required(f"write one of {', '.join(PROVIDERS)}"))
    base_url = _Checked(
        _base_url,
        required=True,
        error_messages=required("write the dialer's address, such as https://emea.voiso.com"),
    )
    api_key = _Checked(
        _reference,
        required=True,
        error_messages=required("write env:NAME or file:PATH, never the key itself"),
    )
    rate = _Rates()
    max_in_flight = _number(1, 10_000, "4", whole=True)
    max_waiting = _number(1, 1_000_000_000, "1000000", whole=True)
    max_waiting_per_campaign = _number(1, 1_000_000_000, "100000", whole=True)
    default_region = _Checked(_region)
    import_gap_s = _number(0, 3600, "2.0")
    timeout_s = _number(0.1, 3600, "30")
    lost_call_s = _number(0.1, _DAY_S, "60")
    phone_check = _Checked(partial(_word, words=("possible", "valid")))
    update_method = _Checked(partial(_word, words=("PUT", "PATCH")))
    suppress_scope = _Checked(partial(_word, words=SUPPRESS_SCOPES))
    leads_per_call = _number(1, 1000, "100", whole=True)

    def __init__(self, known_providers: tuple[str, ...] = PROVIDERS) -> None:
        super().__init__()
        self.known_providers = known_providers

    @validates("provider")
    def _known_provider(self, text: str, **_: Any) -> None:
        _word(text, self.known_providers)

    @validates_schema(skip_on_field_errors=True)
    def _known_to_the_provider(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse switches, and a number of leads a call, that this dialer does not have."""
        provider = data["provider"]
        has = SWITCHES.get(provider, ())
        for names in SWITCHES.values():
            for name in names:
                if name in data and name not in has:
                    known = f"its accounts have {', '.join(has)}" if has else "leave it out"
                    raise ValidationError(f"is no switch of {provider}; {known}", name)
        most = LEADS_AT_MOST.get(provider, 0)
        if data.get("leads_per_call", 0) > most:
            said = (
                f"is above what fits; write at most {most}"
                if most
                else "is the dialer's own rule; leave it out"
            )
            raise ValidationError(said, "leads_per_call")

    @post_load
    def _gather_switches(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        known = {name for names in SWITCHES.values() for name in names}
        return {
            **{name: value for name, value in data.items() if name not in known},
            "switches": frozenset(name for name in known if data.get(name)),
        }
