"""Payloads at rest: sealed with AES-256-GCM where ``payload_keys`` are given, else as they are.

Version 2 of a payload: a byte 0x02, four that name the key, twelve of a fresh nonce, then another version encrypted,
and its tag of 16 bytes. All before the nonce and the id of the ticket go into the tag: what was changed, or moved to
another ticket, does not open. The first key seals, all of them open: so keys are changed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

from leadlane.schemas.errors import SettingsError
from leadlane.schemas.settings import Settings, resolve_reference
from leadlane.workers.payloads import PayloadUnreadableError

if TYPE_CHECKING:
    import redis

SEALED = b"\x02"
_NAME, _NONCE = 4, 12
_KEY = re.compile(r"[0-9A-Fa-f]{64}")
NO_KEY = "payload_keys of a worker lack the key"
"""How the reason begins for which an account is on hold whose leads came to such a worker; the key's name follows."""


class KeyMissingError(SettingsError):
    """A payload is sealed with a key that this process does not have; ``name`` is the key's."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "payload_keys",
            f"lacks the key {name}, with which these leads are encrypted",
            "give it here as the fleet's workers have it",
        )
        self.name = name


class Vault:
    """Seals payloads with the first of these keys, each 32 bytes, and opens what any of them has sealed."""

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._ciphers: dict[bytes, Any] = {_name(key): _cipher(key) for key in keys}
        self._first = next(iter(self._ciphers), b"")

    @classmethod
    def of(cls, settings: Settings) -> Vault:
        """With the keys that the settings refer to; SettingsError names the one that is none."""
        return cls(_key(reference, f"payload_keys[{i}]") for i, reference in enumerate(settings.payload_keys))

    def sealed(self, ticket: str, payload: bytes) -> bytes:
        """The payload as it is to be stored."""
        if not self._first:
            return payload
        head, nonce = SEALED + self._first, token_bytes(_NONCE)
        return (
            head + nonce + bytes(self._ciphers[self._first].encrypt(nonce, payload, head + ticket.encode()))
        )

    def opened(self, ticket: str, stored: bytes) -> bytes:
        """The payload as it was given; raises KeyMissingError, PayloadUnreadableError."""
        if stored[:1] != SEALED:
            return stored
        from cryptography.exceptions import InvalidTag

        head, rest = stored[: 1 + _NAME], stored[1 + _NAME :]
        if (cipher := self._ciphers.get(head[1:])) is None:
            raise KeyMissingError(head[1:].hex())
        try:
            return bytes(cipher.decrypt(rest[:_NONCE], rest[_NONCE:], head + ticket.encode()))
        except (InvalidTag, ValueError):
            raise PayloadUnreadableError("payload was changed, or is another ticket's") from None

    def has(self, name: str) -> bool:
        """Whether the key of this name is one of ours."""
        return name in self._names

    @property
    def _names(self) -> list[str]:
        return [name.hex() for name in self._ciphers]

    def take_part(self, client: redis.Redis, clock: str) -> None:
        """For workers: say to the fleet which keys it has, under the key ``clock`` (``lane.lua``).

        Raises SettingsError if it lacks the one with which the fleet seals.
        """
        said: bytes | None = client.hget(clock, "sealed")  # type: ignore[assignment]
        first = (said or b"").decode().partition(",")[0]
        if first and not self.has(first):
            raise KeyMissingError(first)
        client.hset(clock, "sealed", ",".join(self._names))

    def check(self, client: redis.Redis, clock: str) -> None:
        """For producers: raises SettingsError if workers lack the key used here, or encrypt and nobody does here."""
        said: bytes | None = client.hget(clock, "sealed")  # type: ignore[assignment]
        if said is None or self._first.hex() in said.decode().split(","):
            return
        if not self._first:
            raise SettingsError(
                "payload_keys",
                "is not set, but this fleet encrypts its leads",
                "give the keys here as the workers have them",
            )
        raise SettingsError(
            "payload_keys[0]",
            f"is a key that the fleet's workers lack ({self._first.hex()})",
            "give it to the workers first",
        )


PLAIN = Vault()
"""Without keys."""


def _key(reference: str, path: str) -> bytes:
    text = resolve_reference(reference, path)
    if not _KEY.fullmatch(text):
        raise SettingsError(path, "is not a key of 32 bytes in hex", "make one: openssl rand -hex 32")
    return bytes.fromhex(text)


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"leadlane payload key " + key).digest()[:_NAME]


def _cipher(key: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # here: most producers encrypt nothing

    return AESGCM(key)
