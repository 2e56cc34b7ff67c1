"""Idempotency keys: one stands for one job or command of an operation at one campaign (or opt-out scope)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leadlane.schemas.errors import WrongUse

LONGEST: Final = 1000


def checked(key: object) -> str:
    """The key as text; raises WrongUse if it is none."""
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST:
        raise WrongUse(f"idempotency_key: is not text of 1 to {LONGEST:,} characters; give such a text")
    return key


def hidden(where: str, operation: str, key: str) -> str:
    """The key as it is stored: nobody learns it from there."""
    return _sha(f"{where}/{operation}/{key}").hex()[:32]


def _sha(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class Said:
    """What a command says under a key: a digest of each part of its content, which only who has the key can make."""

    key: str
    digests: str

    @classmethod
    def of(cls, where: str, operation: str, key: str, content: Mapping[str, object]) -> Said:
        """``content`` is what must be the same when the key is given again, by the name of its argument."""
        secret = _sha(key)
        digests = {
            name: hashlib.blake2b(json.dumps(part).encode(), key=secret, digest_size=8).hexdigest()
            for name, part in content.items()
        }
        return cls(hidden(where, operation, key), json.dumps(digests))

    def check(self, before: str, command: str) -> None:
        """Raises WrongUse if something else was said under the key ``before``, naming what."""
        there = json.loads(before or "{}")
        if others := [name for name, digest in json.loads(self.digests).items() if there.get(name) != digest]:
            raise WrongUse(
                f"idempotency_key: was given before with other {', '.join(others)} (command {command}); "
                "use another key for another command"
            )
