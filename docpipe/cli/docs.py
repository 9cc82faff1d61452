"""`docpipe docs`: the documentation that ships with the package, in the terminal and without a network."""

import argparse
import difflib
import os
import sys
from importlib import resources

from docpipe.errors import UsageError


def topics() -> dict[str, str]:
    """Each topic and its title, from the first line of its page."""
    pages = resources.files("docpipe").joinpath("docs").iterdir()
    texts = {
        page.name.removesuffix(".md"): page.read_text("utf-8") for page in pages if page.name.endswith(".md")
    }
    return {name: text.partition("\n")[0].lstrip("# ") for name, text in sorted(texts.items())}


def docs(args: argparse.Namespace) -> int:
    """Print the list of topics, or one of them.

    Raises:
        UsageError: if there is no such topic.
    """
    titles = topics()
    if args.topic is None:
        width = max(map(len, titles))
        print("\n".join(f"{name:<{width}}  {title}" for name, title in titles.items()))
        print("\nRead one with `docpipe docs TOPIC`.")
        return 0
    if args.topic not in titles:
        close = difflib.get_close_matches(args.topic, titles, 1)
        hint = f" Did you mean `docpipe docs {close[0]}`?" if close else f" There are: {', '.join(titles)}."
        raise UsageError(f"There is no topic {args.topic}.{hint}")
    text = resources.files("docpipe").joinpath("docs", f"{args.topic}.md").read_text("utf-8")
    if not sys.stdout.isatty():
        print(text, end="")
        return 0
    from rich.console import Console  # noqa: PLC0415 -- only a terminal needs it
    from rich.markdown import Markdown  # noqa: PLC0415

    console = Console()
    with console.pager(styles="NO_COLOR" not in os.environ):
        console.print(Markdown(text))
    return 0
