"""Wrong usage is answered in one line: what is wrong, what was perhaps meant, and the command's own help."""

import pytest

from docpipe.cli.options import parser

WRONG = {  # what is typed: whose help is named, and what is wrong
    "staus": ("", "there is no command 'staus': did you mean `status`?"),
    "RUN": ("", "there is no command 'RUN': did you mean `run`?"),
    "patients lst": (" patients", "there is no command 'lst': did you mean `list`?"),
    "patients xyz": (" patients", "there is no command 'xyz'; they are import, list;"),
    "run --pateint P1": (" run", "there is no option --pateint: did you mean `--patient`?"),
    "run -patient P1": (" run", "there is no option -patient: did you mean `--patient`?"),
    "run --tokn=canary": (" run", "there is no option --tokn;"),
    "report P1 --json": (" report", "there is no option --json;"),
    "status P1 P2": (" status", "unrecognized arguments: P2;"),
    "patients list --jsn": (" patients list", "there is no option --jsn: did you mean `--json`?"),
    "--confg x.toml run": ("", "there is no option --confg: did you mean `--config`?"),
    "--config x.toml --debg run": ("", "there is no option --debg: did you mean `--debug`?"),
    "completion bsh": (
        " completion",
        "argument shell: there is no choice 'bsh': did you mean `bash`?",
    ),
    "retry P1 --from DocEx_Serch": (
        " retry",
        "argument --from: there is no activity 'DocEx_Serch': did you mean `DocEx_Search`?",
    ),
    "serve --port abc": (" serve", "argument --port: 'abc' is not a whole number;"),
    "serve --port 70000": (" serve", "argument --port: 70000 is not a number from 0 to 65535;"),
}
RIGHT = {
    "--config x.toml run --patient P1": "run",
    "--config=x.toml --debug status": "status",
    "--conf x.toml status": "status",
    "run --patient P1 --config x.toml --debug": "run",
    "status --service": "status",
    "run --where age>=3 --priority 9 --until DocEx_Search": "run",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_was_meant_is_named(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With status 2 and nothing on standard output; values of unknown options may be secrets."""
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(words.split())
    command, wrong = WRONG[words]
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err == f"docpipe{command}: {wrong} `docpipe{command} --help` lists the options.\n"


@pytest.mark.parametrize("words", RIGHT)
def test_right_usage_is_taken(words: str) -> None:
    """Options before the command and after it, whole and shortened."""
    assert parser().parse_args(words.split()).command == RIGHT[words]


def test_a_path_to_be_typed_stays_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a narrow terminal: whoever copies it gets all of it."""
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        parser().parse_args(["completion", "--help"])
    assert "~/.local/share/bash-completion/completions/docpipe\n" in capsys.readouterr().out
