"""The options of `docpipe worker`, `logs`, `report`, `search`, `chart`, `forget`, `completion` and `docs`."""

import argparse
from pathlib import Path
from typing import Final

QUEUES: Final = ("begin", "docex", "tracker", "convert")
"""As of `fleet.queues.Queue`, which only a fleet loads."""


def _queues(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or (bad := [name for name in names if name not in QUEUES]):
        wrong = f"there is no queue {bad[0]!r}" if names else "no queue is named"
        raise argparse.ArgumentTypeError(f"{wrong}; they are {', '.join(QUEUES)}")
    return names


def add_worker(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    """Add the command and its options."""
    worker = commands.add_parser(
        "worker",
        parents=parents,
        help="do the work of a fleet's runs, together with other machines",
        description="Do the activities of the runs that the Temporal server at fleet.temporal keeps, on as "
        "many machines as one likes, until SIGTERM or Ctrl-C. A worker that is stopped or lost leaves what "
        "it was at to the others. Each needs a state folder of its own.",
        epilog="example: docpipe worker --queues convert",
    )
    worker.add_argument(
        "--queues",
        type=_queues,
        default=list(QUEUES),
        metavar="QUEUES",
        help="what this one does, separated by commas: begin (patients, tasks, searches), docex (polls and "
        "downloads), tracker (status and reports), convert (conversion and storing); default: all",
    )


def add_logs(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    """Add the command and its options."""
    logs = commands.add_parser(
        "logs",
        parents=parents,
        help="show the activity log of a run",
        description="Show every try of every activity of a run, from activity_log.csv and its rotated files.",
        epilog="example: docpipe logs P123",
    )
    logs.add_argument("which", metavar="RUN|PATIENT", help="a run, or a patient for the latest one")


def add_report(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    """Add the command and its options."""
    report = commands.add_parser(
        "report",
        parents=parents,
        help="show the last report of a patient",
        description="Print the last report of a patient as text, and where report.html is.",
        epilog="example: docpipe report P123 --open",
    )
    report.add_argument("which", metavar="PATIENT|RUN", help="a patient, for the latest report, or a run")
    report.add_argument("--open", action="store_true", help="open report.html in the browser instead")


def add_search(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    """Add the command and its options."""
    search = commands.add_parser(
        "search",
        parents=parents,
        help="search in the text of stored documents",
        description="Search in the text, title, name and author of stored documents. All words must occur; "
        "case and accents do not matter. Several words in quotes are a phrase, a word that ends with * "
        "stands for all that begin with it.",
        epilog="examples: docpipe search warfarin 'heart failure' --patient P123; docpipe search 'cardio*'",
    )
    search.add_argument("words", nargs="*", metavar="WORDS", help="what to search for")
    search.add_argument("--patient", metavar="ID", help="only documents of this patient")
    search.add_argument(
        "--limit",
        type=int,
        choices=range(1, 1001),
        default=20,
        metavar="N",
        help="show at most N documents (20)",
    )
    search.add_argument(
        "--rebuild", action="store_true", help="rebuild the index from the stored documents, and exit"
    )


def add_forget(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    """Add the command and its options."""
    forget = commands.add_parser(
        "forget",
        parents=parents,
        help="remove all data of a patient",
        description="Remove what docpipe keeps of a patient: documents and reports in the storage, runs and "
        "checkpoints, the spool, lines of the activity log, the search index, and the row in docpipe's own "
        "patients database. Lists what it cannot reach, such as backups. No docpipe process may be using the "
        "state folder, and the patient may have no unfinished run.",
        epilog="examples: docpipe forget P123 --dry-run; docpipe forget P123 --yes",
    )
    forget.add_argument("patient", metavar="PATIENT", help="the patient's id")
    forget.add_argument("--dry-run", action="store_true", help="list what is kept, and remove nothing")
    forget.add_argument("--yes", action="store_true", help="remove without a question")


def add_chart(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    """Add the command and its options."""
    chart = commands.add_parser(
        "chart",
        parents=parents,
        help="write a patient's documents as one PDF or one ZIP",
        description="Write every readable document of a patient, or of one run, into one PDF: a cover with "
        "what is missing, a table of contents, then the documents in order of date. A file that ends in .zip "
        "gets the originals, PDFs and texts instead.",
        epilog="examples: docpipe chart P123 -o chart.pdf; docpipe chart P123 -o documents.zip",
    )
    chart.add_argument("which", metavar="PATIENT|RUN", help="a patient, for all runs, or one run")
    chart.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the file; it is replaced"
    )


def add_completion(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    completion = commands.add_parser(
        "completion",
        help="print a script that completes commands in a shell",
        description="Print a script for completion by the Tab key.",
        epilog="bash: docpipe completion bash > ~/.local/share/bash-completion/completions/docpipe\n"
        "zsh:  docpipe completion zsh > a file _docpipe in a folder of $fpath\n"
        "fish: docpipe completion fish > ~/.config/fish/completions/docpipe.fish\n"
        "tcsh: docpipe completion tcsh > a file that ~/.tcshrc sources",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # a path stays in one line
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh", "fish"))


def add_docs(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    docs = commands.add_parser(
        "docs",
        help="read the documentation, offline",
        description="Print a page of the documentation; without a topic, list the topics.",
        epilog="example: docpipe docs configuration",
    )
    docs.add_argument("topic", nargs="?", metavar="TOPIC", help="the page, such as `operations`")
