"""What a dialer quotes of the leads it was sent is not told on."""

import json
from typing import Any

import pytest

from leadlane.workers.ledger import Manifest
from leadlane.workers.verdicts import unquoted

LEADS: list[dict[str, Any]] = [
    {"phone_number": "12125550187", "name": "Zoe Quill", "priority": 3},
    {"phone_number": "12125550188", "name": "", "source": {"system": "crm", "url": "https://crm.example/7"}},
    {"phone_number": "12125550189", "name": "C++ (née Öz)", "context_headers": {"X-Team": "blue"}},
]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("name 'Zoe Quill' is too long", "name '[hidden]' is too long"),
        ("12125550187 and 12125550188 are one", "[hidden] and [hidden] are one"),
        ("no system crm at https://crm.example/7", "no system [hidden] at [hidden]"),
        ("C++ (née Öz)? X-Team: blue", "[hidden]? X-Team: [hidden]"),
        ("the crmless are bluest", "the crmless are bluest"),
        ("priority: must be between 1 and 1000", "priority: must be between 1 and 1000"),
        ("", ""),
    ],
)
def test_values_of_leads_are_struck_out_as_whole_words(words: str, told: str) -> None:
    assert unquoted(words, Manifest("\n".join(json.dumps(lead) for lead in LEADS).encode())) == told
