"""How many words of documents are in their text: against pdfium for PDFs, against LibreOffice for the others.

Words are counted with their repetitions. Scans are not read, since the others do not read them either.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path

import pypdfium2

from docpipe.convert.document import convert

_WORD = re.compile(r"\w+")
_OFFICE = {".doc", ".docx", ".odt", ".rtf", ".ppt", ".pptx", ".odp", ".xls", ".xlsx", ".ods"}
_NO_TIME = 0.001
"""Seconds that leave none for OCR."""


def words(text: str) -> Counter[str]:
    """The words of a text; raised digits, ligatures and hyphens at the end of a line make no difference."""
    plain = unicodedata.normalize("NFKC", text).replace("\xad", "").replace("\\", "")
    return Counter(_WORD.findall(re.sub(r"(?<=\w)[-\x02\ufffe]\s*", "", plain)))


def own(path: Path, folder: Path) -> str:
    """The text that docpipe writes of a document; empty where it is stored or fails."""
    folder.mkdir()
    (folder / "siblings.json").write_text("[]")
    job = {"path": str(path), "name": path.name, "declared": None, "folder": str(folder), "facts": {}}
    done = convert({**job, "siblings": str(folder / "siblings.json"), "seconds": _NO_TIME})
    text = folder / "text.md"
    return text.read_text() if "text.md" in done["outputs"] else ""


def others(path: Path, folder: Path) -> str:
    """The text that pdfium or LibreOffice gives."""
    if path.suffix.lower() == ".pdf":
        with pypdfium2.PdfDocument(path) as document:
            return "\n".join(page.get_textpage().get_text_range() for page in document)
    command = [
        "soffice",
        f"-env:UserInstallation=file://{folder}/profile",
        "--headless",
        "--convert-to",
        "pdf",
    ]
    subprocess.run([*command, "--outdir", folder, path], capture_output=True, check=False, timeout=120)
    made = folder / f"{path.stem}.pdf"
    return others(made, folder) if made.exists() else ""


def main() -> int:
    """Print a line for each document that both read."""
    made = argparse.ArgumentParser(prog="python -m tests.corpus.recall", description=__doc__)
    made.add_argument("folders", type=Path, nargs="+")
    args = made.parse_args()
    shares: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, path in enumerate(sorted(path for each in args.folders for path in each.rglob("*"))):
            if path.suffix.lower() not in {".pdf", *_OFFICE}:
                continue
            try:
                reference = words(others(path, folder))
            except pypdfium2.PdfiumError:
                continue
            if not reference:
                continue
            missing = reference - words(own(path, folder / str(number)))
            shares.append(1 - missing.total() / reference.total())
            print(f"{shares[-1]:.3f} {reference.total():>7} {path.name}  {' '.join(sorted(missing)[:12])}")
    if shares:
        print(f"{len(shares)} documents, mean {sum(shares) / len(shares):.4f}, least {min(shares):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
