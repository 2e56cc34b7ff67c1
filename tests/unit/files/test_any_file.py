"""Whatever program wrote a file: what was in it is what is read."""

import csv
import io
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadlane.files import sources
from leadlane.files.columns import FIELDS, Dialer, Wishes
from leadlane.files.reading import read_leads

LETTERS = "abz ÄÖÜßéèñçØå,;|\t\"'\n.-"
"""All of them are in every encoding, and none makes Windows-1252 look like UTF-8."""
TITLES = ["Export 18.11.", "sep=;", "list, of; many|leads", '"quoted, title"']

names = st.text(LETTERS, max_size=12).filter(lambda text: not text.strip() or text[0] not in "'=-\t")
tables = st.lists(st.tuples(names, st.integers(10**6, 10**12)), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=tables,
    titles=st.lists(st.sampled_from(TITLES), max_size=3),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    blank=st.booleans(),
)
def test_what_was_written_is_read(
    table: list[tuple[str, int]],
    titles: list[str],
    delimiter: str,
    encoding: str,
    end: str,
    quoting: int,
    blank: bool,
) -> None:
    text = io.StringIO(newline="")
    text.writelines(title + end for title in titles)
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["Vollständiger Name", "Telefon"])
    for row in table:
        writer.writerow(row)
        text.write(end * blank)
    Path("leads.csv").write_bytes(text.getvalue().encode(encoding))
    source = sources.find("leads.csv")
    found = list(read_leads(source, Wishes(), Dialer("dialer", FIELDS)).rows())
    wanted = [
        {"name": name, "phone_number": str(number)} if name.strip() else {"phone_number": str(number)}
        for name, number in table
    ]
    assert found == wanted


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), ending=st.sampled_from(["csv", "json", "jsonl", "xlsx"]))
def test_no_file_makes_the_reader_break(content: bytes, ending: str) -> None:
    from leadlane.schemas.errors import BadFile

    for begin in (b"", b"phone,name\n", b'{"phone": "1"}\n', b'[{"phone": 1},', b"PK\x03\x04"):
        Path(f"any.{ending}").write_bytes(begin + content)
        try:
            rows = list(read_leads(sources.find(f"any.{ending}"), Wishes(), Dialer("d", FIELDS)).rows())
        except BadFile:
            continue
        assert rows
