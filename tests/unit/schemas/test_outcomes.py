from hypothesis import given
from hypothesis import strategies as st

from leadlane.schemas.outcomes import CODE_OF, DELIVERED, OUTCOME_OF, PENDING, Outcome, counts, pending


def test_every_outcome_has_a_letter_of_its_own_and_comes_back_from_it() -> None:
    assert set(CODE_OF) == set(Outcome)
    assert len(set(CODE_OF.values())) == len(Outcome)
    assert all(OUTCOME_OF[code] is outcome for outcome, code in CODE_OF.items())
    assert all(len(code) == 1 and code.isascii() and code not in PENDING for code in OUTCOME_OF)


def test_the_stored_letters_never_change() -> None:
    """They are in Redis for a week and longer: a change needs a new version of the stored form."""
    assert "".join(CODE_OF[outcome] for outcome in Outcome) == "cdaumrisexf?"
    assert PENDING == ".~,:"


def test_a_reconciled_lead_counts_as_created() -> None:
    assert counts("cCd") == {"created": 2, "duplicate": 1}


def test_what_is_delivered_is_what_was_asked_for() -> None:
    assert {str(outcome) for outcome in DELIVERED} == {
        "created",
        "duplicate",
        "accepted",
        "updated",
        "removed",
    }


@given(st.text(alphabet=[*OUTCOME_OF, *PENDING]))
def test_every_lead_is_either_pending_or_counted_once(codes: str) -> None:
    assert sum(counts(codes).values()) + pending(codes) == len(codes)
    assert all(counts(codes).values())
