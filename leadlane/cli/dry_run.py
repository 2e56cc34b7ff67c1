"""`--dry-run`: what a file would come to, row by row, and nothing queued."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import typer

from leadlane.schemas.outcomes import OUTCOME_OF, Outcome

from . import output
from .watching import display

if TYPE_CHECKING:
    from leadlane.files.reading import Leads
    from leadlane.workers.accounts import Facts
    from leadlane.workers.intake import Draft

BAD_ROWS: Final = 10
"""Rows that are told with their reason."""
BAD: Final = frozenset({Outcome.INVALID, Outcome.SUPPRESSED})
SHOW_EVERY: Final = 1000
TO_SEND: Final = "to send"


@dataclass(slots=True)
class Findings:
    """What would become of the rows."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[dict[str, Any]] = field(default_factory=list)

    def take(self, draft: Draft, lines: list[int]) -> None:
        """Count a batch whose rows stand in these lines."""
        for place, code in enumerate(draft.codes):
            outcome = OUTCOME_OF.get(code)
            self.counts[outcome.value if outcome else TO_SEND] += 1
            if outcome in BAD:
                reason = draft.why[place]
                self.reasons[reason] += 1
                if len(self.first) < BAD_ROWS:
                    self.first.append({"line": lines[place], "outcome": outcome, "reason": reason})


def rehearse(leads: Leads, facts: Facts, operation: str, campaign: str, *, json: bool) -> None:
    """Check every row as an import would, say what would become of them, and exit: 0 if all would be sent, else 1."""
    from leadlane.workers.intake import Intake

    intake, found, lines = Intake(facts, operation), Findings(), list[int]()
    with display() as screen:

        def rows() -> Iterator[object]:
            for n, row in enumerate(leads.rows(), 1):
                lines.append(leads.line)
                yield row
                if n % SHOW_EVERY == 0:
                    screen.read(n)

        for draft in intake.drafts(rows()):
            found.take(draft, lines)
            lines.clear()
    bad = sum(found.counts[one] for one in BAD)
    left_out = list(dict.fromkeys([*leads.columns.left_out, *sorted(intake.uncarried)]))
    if json:
        counts = {name.replace(" ", "_"): n for name, n in found.counts.items()}
        about = {
            "campaign": campaign,
            "operation": operation,
            "understood": leads.about,
            "left_out": left_out,
        }
        reasons = {"reasons": dict(found.reasons.most_common()), "first_bad_rows": found.first}
        output.document({"dry_run": True, **about, "leads": intake.rows, **counts, **reasons})
    else:
        output.line(f"nothing was queued; what would become of the rows for {campaign}:")
        output.table(("outcome", "leads"), [*found.counts.most_common(), ("all", intake.rows)])
        _tell_bad(found, bad)
        output.line("the same command without --dry-run sends them")
    raise typer.Exit(1 if bad else 0)


def _tell_bad(found: Findings, bad: int) -> None:
    if not bad:
        return
    output.line(f"the first of {bad:,} that would not be sent:")
    rows = [(str(row["line"]), row["outcome"], row["reason"]) for row in found.first]
    output.table(("line", "outcome", "reason"), rows)
    output.line("why, and how many:")
    output.table(("leads", "reason"), [(n, reason) for reason, n in found.reasons.most_common(BAD_ROWS)])
