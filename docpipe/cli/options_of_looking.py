"""The options of `docpipe logs`, `report`, `completion` and `docs`."""

import argparse


def add_logs(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    """Add the command and its options."""
    logs = commands.add_parser(
        "logs",
        parents=parents,
        help="show what the activity log says of a run",
        description="Show every try of every activity of a run, from activity_log.csv and the logs that "
        "were put aside.",
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
        description="Print the last report of a patient as text, and where it lies.",
        epilog="example: docpipe report P123 --open",
    )
    report.add_argument("which", metavar="PATIENT|RUN", help="a patient, for the latest report, or a run")
    report.add_argument("--open", action="store_true", help="open report.html in the browser instead")


def add_completion(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    completion = commands.add_parser(
        "completion",
        help="print a script that completes commands in a shell",
        description="Print a script for completion by the Tab key.",
        epilog="bash: docpipe completion bash > ~/.local/share/bash-completion/completions/docpipe    "
        "zsh: docpipe completion zsh > a file _docpipe in a folder of $fpath",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def add_docs(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    docs = commands.add_parser(
        "docs",
        help="read the documentation, offline",
        description="Print a page of the documentation; without a topic, list the topics.",
        epilog="example: docpipe docs configuration",
    )
    docs.add_argument("topic", nargs="?", metavar="TOPIC", help="the page, such as `operations`")
