"""`docpipe docs`: the pages of the documentation, offline, as they ship with the package."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from docpipe.errors import UsageError
from docpipe.util.spelling import nearest

FOLDER: Final = Path(__file__).parents[1] / "docs"
"""Where the pages are, one Markdown file a topic."""


def docs(args: argparse.Namespace) -> int:
    """Print a page, or the list of topics."""
    if args.topic is None:
        pages = {page.stem: title(page) for page in sorted(FOLDER.glob("*.md"))}
        width = max(map(len, pages))
        for topic, heading in pages.items():
            print(f"{topic:{width}}  {heading}")
        return 0
    text = page_of(args.topic).read_text("utf-8")
    if sys.stdout.isatty():
        _print_rich(text)
    else:
        print(text, end="")
    return 0


def page_of(topic: str) -> Path:
    """The page of a topic.

    Raises:
        UsageError: if there is no such topic, with the nearest one.
    """
    pages = {page.stem: page for page in sorted(FOLDER.glob("*.md"))}
    if topic in pages:
        return pages[topic]
    near = nearest(topic, pages)
    hint = f"did you mean `{near}`?" if near else f"topics are {', '.join(pages)}."
    raise UsageError(f"There is no topic {topic!r}; {hint}")


def title(page: Path) -> str:
    """The first heading of a page."""
    with page.open(encoding="utf-8") as lines:
        return lines.readline().removeprefix("# ").strip()


def _print_rich(text: str) -> None:
    """Print Markdown for people, through a pager where there is one."""
    from rich.console import Console  # noqa: PLC0415 -- heavy, and only a terminal needs it
    from rich.markdown import Markdown  # noqa: PLC0415

    console = Console()
    if "PAGER" in os.environ or shutil.which("less"):
        os.environ.setdefault("LESS", "-FRX")  # colours, and no pager for what fits on the screen
        with console.pager(styles="less" in os.environ.get("PAGER", "less")):
            console.print(Markdown(text))
    else:
        console.print(Markdown(text))
