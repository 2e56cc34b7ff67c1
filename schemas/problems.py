"""What a dialer says is wrong: any error body becomes one line without phone numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from .phones import masked

MAX_PROBLEM: Final = 300  # characters of the dialer's words that we keep
_MAX_LEAVES = 50
_LOOKED_AT: Final = 20 * MAX_PROBLEM  # characters; of a text, and of all together
_MAX_NAME = 100


def told(body: object, *keys: str) -> str:
    """What ``body`` says under the first of ``keys`` that says anything, else all of it, as ``one_line``."""
    if isinstance(body, Mapping):
        return one_line(next((said for key in keys if (said := body.get(key))), body))
    return one_line(body)


def one_line(said: object) -> str:
    """The texts in any JSON value, each after the name it stands under: at most 300 characters, numbers masked."""
    text = "; ".join(islice(_leaves(said), _MAX_LEAVES))
    text = "".join(c if c.isprintable() else " " for c in text[:_LOOKED_AT])
    # Masked before it is cut: half a number is still a number.
    text = masked(" ".join(text.split()))
    return text if len(text) <= MAX_PROBLEM else text[: MAX_PROBLEM - 1] + "…"


def bad_indices(body: object, n: int) -> dict[int, str] | None:
    """The problem of each lead that the error names by its place in an array of ``n``, from 0.

    None unless every key of ``errors`` names a place: ``3``, ``[3]``, ``leads[3].priority``,
    ``3.priority``.
    """
    errors = body.get("errors") if isinstance(body, Mapping) else None
    if not isinstance(errors, Mapping) or not errors:
        return None
    found: dict[int, list[str]] = {}
    for key, said in errors.items():
        place = _PLACE.fullmatch(str(key).strip()) if isinstance(key, (str, int)) else None
        if place is None or int(place["index"]) >= n:
            return None
        field = place["field"]
        found.setdefault(int(place["index"]), []).append(one_line({field: said} if field else said))
    return {index: "; ".join(texts)[:MAX_PROBLEM] for index, texts in found.items()}


_PLACE = re.compile(r"(?:leads?\.?)?(\[)?(?P<index>[0-9]{1,4})(?(1)\])(?:[./](?P<field>.+))?")


def _leaves(said: object, name: str = "", depth: int = 5) -> Iterator[str]:
    """The texts in ``said``, each after the name it stands under."""
    if isinstance(said, Mapping) and depth:
        for key, inner in said.items():
            part = str(key)[:_MAX_NAME]
            yield from _leaves(inner, f"{name}.{part}" if name else part, depth - 1)
    elif isinstance(said, list) and depth:
        for inner in said:
            yield from _leaves(inner, name, depth - 1)
    elif isinstance(said, (str, bytes, int, float)):
        text = (
            said[:_LOOKED_AT].decode(errors="replace") if isinstance(said, bytes) else str(said)[:_LOOKED_AT]
        )
        yield f"{name}: {text}" if name else text
