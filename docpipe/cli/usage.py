"""A command line parser whose errors are one sentence, with the nearest known word."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from docpipe.util.spelling import nearest

_ALIKE: Final = 0.7
"""How alike, of 1, a word and its suggestion are; with less, `--open` would be suggested for `--json`."""


def meant(word: str, known: Iterable[str]) -> str:
    """A question such as `: did you mean "run"?` where the word is nearly a known one, else empty."""
    near = nearest(word, known, _ALIKE)
    return f": did you mean `{near}`?" if near else ""


class Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line that names the help of the same command."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        end = "" if message.endswith("?") else ";"
        self.exit(2, f"{self.prog}: {message}{end} `{self.prog} --help` lists the options.\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help or the version; argparse would drop an error of standard output, and end with 0."""
        if message and file is sys.stdout:
            print(message, end="", file=file, flush=True)
        else:
            super()._print_message(message, file)

    def parse_known_args(  # type: ignore[override]  # typeshed has one overload for each type of namespace
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Refuse what nothing takes here, where the command is known, rather than above."""
        commands = any(isinstance(action, argparse._SubParsersAction) for action in self._actions)  # noqa: SLF001 -- no public name
        if commands and args is not None:
            self._refuse_options_before_the_command(args)
        parsed, extra = super().parse_known_args(args, namespace)
        if extra:
            option = next((word for word in extra if word.startswith("-")), None)
            if option is not None:
                self._refuse(option)
            self.error(f"unrecognized arguments: {' '.join(extra)}")
        return parsed, extra

    def _refuse_options_before_the_command(self, args: Sequence[str]) -> None:
        """Their values would be taken for the command."""
        words = iter(args)
        for word in words:
            if not word.startswith("-"):
                return
            name, is_whole, _ = word.partition("=")
            actions = [action for option, action in self._options().items() if option.startswith(name)]
            if not actions:
                self._refuse(word)
            if actions[0].nargs is None and not is_whole:
                next(words, None)

    def _refuse(self, option: str) -> NoReturn:
        """Name an unknown option without its value, which may be a secret."""
        name = option.partition("=")[0]
        self.error(f"there is no option {name}{meant(name, self._options())}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Convert a value; name in plain words what is no number."""
        if action.type is int:
            try:
                return int(arg_string)
            except ValueError:
                raise argparse.ArgumentError(action, f"{arg_string!r} is not a whole number") from None
        return super()._get_value(action, arg_string)

    def _options(self) -> dict[str, argparse.Action]:
        return {option: action for action in self._actions for option in action.option_strings}

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Name the closest choice, else all choices."""
        if action.choices is None or value in action.choices:
            return
        if isinstance(action.choices, range):
            wanted = f"from {action.choices[0]} to {action.choices[-1]}"
            raise argparse.ArgumentError(action, f"{value} is not a number {wanted}")
        known = [str(choice) for choice in action.choices]
        what = "command" if isinstance(action, argparse._SubParsersAction) else "choice"  # noqa: SLF001 -- no public name
        message = f"there is no {what} {value!r}" + (
            meant(str(value), known) or f"; they are {', '.join(known)}"
        )
        if what == "command":
            self.error(message)
        raise argparse.ArgumentError(action, message)
