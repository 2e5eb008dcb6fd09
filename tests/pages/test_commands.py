"""Every line of a shell on the pages is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import page_inputs
import pytest

from soundsep.cli.commands import make_parser

ROOT = page_inputs.ROOT
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[list[str]]:
    """The arguments of each ``soundsep ...`` in a page's blocks of shell lines."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```(?:sh|console|bash)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words and re.fullmatch(r"\w+=\S*", words[0]):  # what is set for this command alone
            del words[0]
        if words[:1] == ["soundsep"]:
            found.append(words[1:])
        elif words[:3] == ["python", "-m", "soundsep"]:
            found.append(words[3:])
    return found


ALL = [
    pytest.param(arguments, id=f"{page.stem}: {shlex.join(arguments)}")
    for page in PAGES
    for arguments in commands(page)
]


def test_the_pages_have_commands():
    assert len(ALL) > 35
    names = {param.values[0][0] for param in ALL}
    assert names >= {"classify", "events", "listen", "separate", "fit", "train", "evaluate", "plot"}


@pytest.mark.parametrize("arguments", ALL)
def test_the_command_line_takes_it(arguments):
    assert callable(make_parser().parse_args(arguments).run)


def test_a_wrong_option_would_be_noticed():
    with pytest.raises(SystemExit):
        make_parser().parse_args(["classify", "--tops", "3", "yard.wav"])
