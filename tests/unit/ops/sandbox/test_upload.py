"""Files in forms: which part they are in, and what they hold."""

import io
import zipfile

import pytest

from leadlane.ops.sandbox.upload import file_of, rows_of

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def form(*parts: bytes, boundary: str = "b1") -> tuple[bytes, str]:
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return body + b"--" + boundary.encode() + b"--\r\n", f'multipart/form-data; boundary="{boundary}"'


def xlsx(sheet: str, shared: str = "") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as book:
        book.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {MAIN}><sheetData>{sheet}</sheetData></worksheet>"
        )
        if shared:
            book.writestr("xl/sharedStrings.xml", f"<sst {MAIN}>{shared}</sst>")
    return file.getvalue()


def test_the_file_is_found_byte_for_byte_among_other_parts() -> None:
    content = bytes(range(256)) + b"\r\n--b\r\n\r\n"
    body, kind = form(
        b'Content-Disposition: form-data; name="note"\r\n\r\nhello',
        b'content-type: text/csv\r\ncontent-disposition: form-data; name="file"; filename="a b.csv"\r\n\r\n'
        + content,
    )
    assert file_of(body, kind, "file") == ("a b.csv", content)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (b'Content-Disposition: form-data; name="file"\r\n\r\nx', None),
        (b'Content-Disposition: form-data; name="other"; filename="a.csv"\r\n\r\nx', None),
        (b"no head", None),
        (b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nx', "application/json"),
        (b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nx', "multipart/form-data"),
    ],
)
def test_a_form_without_the_file_is_told(part: bytes, kind: str | None) -> None:
    body, right = form(part)
    with pytest.raises(ValueError, match=r"form|multipart"):
        file_of(body, kind or right, "file")


def test_rows_of_a_csv_have_the_numbers_a_person_counts() -> None:
    text = '\ufeffphone_number, city\n+34600100200,"Vigo, ES"\n\n+34600100201\n'
    columns, rows = rows_of("Leads.CSV", text.encode())
    assert columns == ["phone_number", "city"]
    assert rows == [
        (2, {"phone_number": "+34600100200", "city": "Vigo, ES"}),
        (4, {"phone_number": "+34600100201", "city": ""}),
    ]


def test_cells_of_an_xlsx_are_where_they_say() -> None:
    shared = "<si><t>phone_number</t></si><si><r><t>Vi</t></r><r><t>go</t></r></si>"
    sheet = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>city</t></is></c>'
        '<c r="C1" t="str"><v>age</v></c></row>'
        '<row r="3"><c r="B3" t="s"><v>1</v></c><c r="C3"><v>40</v></c></row>'
    )
    columns, rows = rows_of("leads.xlsx", xlsx(sheet, shared))
    assert columns == ["phone_number", "city", "age"]
    assert rows == [(3, {"phone_number": "", "city": "Vigo", "age": "40"})]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"\xff"),
        ("a.csv", b'a\n"b'),
        ("a.csv", b"a,a\n1,2"),
        ("a.xlsx", b"PK"),
        ("a.xlsx", xlsx("<row>")),
        ("a.xlsx", xlsx('<row><c t="s"><v>7</v></c></row>')),
        ("a", b"x"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(name: str, content: bytes) -> None:
    with pytest.raises(ValueError, match="The file"):
        rows_of(name, content)
