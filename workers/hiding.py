"""Hidden numbers: what stands for a phone number where the number itself must not lie.

The number as one block of AES-256: a permutation that nobody can follow without its key. A hash without a key would
not do, for phone numbers are few and whoever reads Redis could try them all; one with a key takes five times as long,
which for a thousand leads a call is a tenth of all that a worker does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from secrets import token_hex

import structlog

from leadlane.schemas.errors import SettingsError
from leadlane.schemas.settings import HASH_KEY_REF, Settings, resolve_reference
from leadlane.workers.lanes import Lanes

log = structlog.get_logger(__name__)
SIZE = 16
"""Bytes of a hidden number."""
OTHER_KEY = "is another key than the one with which this fleet has hidden its numbers"
REMEDY = "give every worker the same; where none was given, the first made one that lies in Redis under {}"


class Hider:
    """Hides numbers with one key. Takes less than a tenth of a millisecond for a thousand."""

    def __init__(self, key: bytes) -> None:
        # Here, since producers load this module too, and have nothing to hide.
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import ECB

        # Each number is a block of its own, and the same number is to be hidden alike each time: what ECB is.
        self._cipher = Cipher(AES(hashlib.sha256(key).digest()), ECB())  # noqa: S305

    def hidden(self, number: str) -> bytes:
        """What stands for the number, in digits, 32 at most: 16 bytes. Raises ValueError for what is no such number."""
        return self.all_hidden([number])

    def all_hidden(self, numbers: Sequence[str]) -> bytes:
        """The same for all of them, one after the other."""
        blocks = bytes.fromhex("".join([number.ljust(2 * SIZE, "f") for number in numbers]))
        if len(blocks) != SIZE * len(numbers):
            raise ValueError("not all of these are phone numbers in digits")
        return self._cipher.encryptor().update(blocks)


def hash_key(settings: Settings, lanes: Lanes) -> bytes:
    """The key with which this fleet hides numbers; the first worker that is given none makes one.

    Raises SettingsError if the reference leads nowhere, or to another key than that of the numbers hidden so far:
    with another key nobody's opt-out would be found.
    """
    return checked_key(settings, lanes) or _checked(_made(lanes), lanes)


def checked_key(settings: Settings, lanes: Lanes) -> bytes | None:
    """The key that is given, None if none is; errors as above."""
    try:
        key = resolve_reference(settings.hash_key_ref, "hash_key_ref", os.environ)
    except SettingsError:
        if settings.hash_key_ref != HASH_KEY_REF:
            raise
        return None
    return _checked(key.encode(), lanes)


def _checked(key: bytes, lanes: Lanes) -> bytes:
    seal = hashlib.sha256(b"leadlane hash key 2 " + key).hexdigest()[:16]
    name = lanes.key("hashprint")
    lanes.client.set(name, seal, nx=True)
    if lanes.client.get(name) != seal.encode():
        raise SettingsError("hash_key_ref", OTHER_KEY, REMEDY.format(lanes.key("hashkey")))
    return key


def _made(lanes: Lanes) -> bytes:
    name = lanes.key("hashkey")
    if lanes.client.set(name, token_hex(32), nx=True):
        log.warning("no LEADLANE_HASH_KEY is given: one was made and lies in Redis, good enough for a trial")
    key: bytes = lanes.client.get(name)  # type: ignore[assignment]
    return key
