"""Patients: imported, looked up, refused one by one."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.errors import DatabaseUnusableError, PatientError, UsageError
from docpipe.model import Patient
from docpipe.patients import PatientDatabase, checked, csvfiles, ids_of, read_csv

HEADER = "id,given,family,birth_date,sex,postal_code\n"


def written(folder: Path, data: bytes | str) -> Path:
    path = folder / "patients.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


async def test_bad_rows_are_refused_with_their_line(tmp_path: Path) -> None:
    """Each bad row is reported by its line and its fault, without its values; the rest is imported."""
    text = HEADER + (
        "P1,José,Nuñez,1957-03-31,m,12345\n"
        "P2,Ann,Lee,31.03.1957,female,\n"
        ",Ann,Lee,1957-03-31,female,\n"
        "P4,Ann,Lee,1957-03-31\n"
        "\n"
        'P5,"Anna\nMaria",Lee,1957-03-31,female,\n'
        "P1,Other,Person,1957-03-31,female,\n"
        "P7,Ann,Lee,1957-03-31,robot,\n"
        "P8,Zoë,Lee,1957-03-31T00:00:00,,\n"
        "P9,Ann,Lee,1961-02-031,,\n"
        "P10,Ann,Lee,2999-01-01,,\n"
    )
    good, refused = await read_csv(written(tmp_path, text))
    assert [patient.id for patient in good] == ["P1", "P8"]
    assert good[0] == Patient("P1", "José", "Nuñez", "1957-03-31", "male", "12345")
    assert [(row.line, row.reason.split()[0]) for row in refused] == [
        (3, "birth_date"),
        (4, "id"),
        (5, "the"),
        (8, "given"),
        (9, "the"),
        (10, "sex"),
        (12, "birth_date"),
        (13, "birth_date"),
    ]
    assert not any("Lee" in row.reason or "Person" in row.reason for row in refused)


async def test_lines_and_quotes_of_csv_files(tmp_path: Path) -> None:
    """CR line ends lose no row, comments and `sep=;` are heeded, a quote left open refuses the whole file."""
    row = "Zoë,Lee,1957-03-31,,"
    good, refused = await read_csv(
        written(tmp_path, (HEADER + f"P1,{row}\n#P9,{row}\nP2,{row}\n").replace("\n", "\r"))
    )
    assert ([patient.id for patient in good], refused) == (["P1", "P2"], [])
    good, refused = await read_csv(written(tmp_path, "sep=;\n" + (HEADER + f"P1,{row}\n").replace(",", ";")))
    assert ([patient.id for patient in good], refused) == (["P1"], [])
    with pytest.raises(UsageError, match=r"opened on line 3 is not closed"):
        await read_csv(written(tmp_path, HEADER + f'P1,{row}\nP2,"Ann,Lee,1957-03-31,,\nP3,{row}\n'))
    with pytest.raises(
        UsageError, match=r"given, family, birth_date in its first line; its columns are id, x\."
    ):
        await read_csv(written(tmp_path, "id,x\n"))
    with pytest.raises(UsageError, match=r"birth_date in its first line\."):  # a patient, who is not quoted
        await read_csv(written(tmp_path, "P1,Ann,Lee,1957-03-31\n"))


async def test_files_as_spreadsheets_write_them(tmp_path: Path) -> None:
    """A byte-order mark, semicolons and columns in another order are read; another encoding is refused."""
    text = "\ufeffFamily;Given;ID;birth_date\r\nLee;Zoë;P1;1957-03-31\r\n"
    good, refused = await read_csv(written(tmp_path, text))
    assert (good, refused) == ([Patient("P1", "Zoë", "Lee", "1957-03-31")], [])
    good, refused = await read_csv(written(tmp_path, (HEADER + "P1,Zoë,Lee,1957-03-31,,\n").encode("cp1252")))
    assert not good
    assert "not UTF-8" in refused[0].reason


@pytest.mark.parametrize("data", ["", "id,given\nP1,Ann\n", "\n\n"])
async def test_files_without_the_columns_are_refused(tmp_path: Path, data: str) -> None:
    """A file that lacks a column is refused as a whole, naming what is missing."""
    with pytest.raises(UsageError, match="birth_date"):
        await read_csv(written(tmp_path, data))
    with pytest.raises(UsageError, match="cannot be read"):
        await read_csv(tmp_path / "none.csv")


async def test_lookup(tmp_path: Path) -> None:
    """An imported patient is found; another import replaces the row."""
    database = PatientDatabase(f"sqlite:///{tmp_path}/db/patients.db")
    with pytest.raises(DatabaseUnusableError, match="docpipe patients import"):
        await database.find("P1")
    await database.put([checked({"id": "P1", "given": "Ann", "family": "Lee", "birth_date": "1957-03-31"})])
    await database.put(
        [Patient("P1", "Ann", "Moss", "1957-03-31"), Patient("P'2;--", "A", "B", "2001-01-01")]
    )
    assert (await database.find("P1")).family == "Moss"
    assert (await database.find("P'2;--")).given == "A"
    with pytest.raises(PatientError, match="There is no patient P9"):
        await database.find("P9")
    rows: list[dict[str, str]] = []
    await database.each(rows.append)
    assert [row["id"] for row in rows] == ["P'2;--", "P1"]
    assert (tmp_path / "db" / "patients.db").stat().st_mode & 0o077 == 0
    await database.aclose()


@given(st.dictionaries(st.sampled_from(["id", "given", "family", "birth_date", "sex"]), st.text(max_size=30)))
def test_any_row_is_read_or_refused(row: dict[str, str]) -> None:
    """Whatever stands in a row, it becomes a patient or a ValueError."""
    try:
        patient = checked(row)
    except ValueError:
        return
    assert patient.id
    assert len(patient.birth_date) == 10


@pytest.mark.parametrize("how", ["rename", "copy"])
async def test_a_database_that_is_replaced_is_seen_at_the_next_look_up(tmp_path: Path, how: str) -> None:
    """A nightly export takes the place of the file: nobody is looked up by what stood in the old one."""

    async def filled(name: str, *patients: Patient) -> Path:
        database = PatientDatabase(f"sqlite:///{tmp_path}/{name}")
        await database.put(patients)
        await database.aclose()
        return tmp_path / name

    current = await filled("patients.db", Patient("P1", "Ann", "Lee", "1957-03-31"))
    new = Patient("P1", "Ann", "Moore", "1957-03-30"), Patient("P9", "Zoe", "Ray", "1960-01-01")
    export = await filled("export.db", *new)
    database = PatientDatabase(f"sqlite:///{current}")
    assert (await database.find("P1")).family == "Lee"
    if how == "rename":
        export.replace(current)
    else:
        current.write_bytes(export.read_bytes())
    assert (await database.find("P1")).family == "Moore"
    assert (await database.find("P9")).given == "Zoe"
    await database.aclose()


async def test_a_long_file_is_taken_apart_beside_the_loop(tmp_path, monkeypatch):
    """To split 100,000 lines holds whoever does it for a tenth of a second."""
    threads = []

    def split(text, lines=csvfiles._lines):
        threads.append(threading.current_thread())
        return lines(text)

    monkeypatch.setattr(csvfiles, "_lines", split)
    good, _ = await read_csv(written(tmp_path, HEADER + "P1,Ann,Lee,1957-03-31,,\n"))
    assert [patient.id for patient in good] == ["P1"]
    assert [pair async for pair in ids_of("P1\nP2\n")] == [(1, "P1"), (2, "P2")]
    assert threading.main_thread() not in threads
