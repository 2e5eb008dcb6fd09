"""Every line of a shell on the pages is one that the command line takes."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import page_inputs
import pytest

from soundsep.cli.commands import make_parser

ROOT = page_inputs.ROOT
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def shell_lines(page: Path) -> Iterator[list[str]]:
    """The words of each line in a page's blocks of shell lines."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```(?:sh|console|bash)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    for line in lines:
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words and re.fullmatch(r"\w+=\S*", words[0]):  # what is set for this command alone
            del words[0]
        yield words


def commands(page: Path) -> list[list[str]]:
    """The arguments of each ``soundsep ...`` in a page's blocks of shell lines."""
    found = []
    for words in shell_lines(page):
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


PROGRAMS = [
    pytest.param(words[1], words[2:], id=f"{page.stem}: {shlex.join(words[1:])}")
    for page in PAGES
    for words in shell_lines(page)
    if words[:1] == ["python"] and re.match("(tools|benchmarks)/", words[1])
]


@pytest.mark.parametrize(("program", "arguments"), PROGRAMS)
def test_the_tool_takes_it(program, arguments, monkeypatch):
    class Taken(Exception):
        pass

    def parse(parser: argparse.ArgumentParser) -> None:
        _, unknown = parser.parse_known_args()
        raise Taken(unknown)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(sys, "argv", [program, *arguments])
    with pytest.raises(Taken) as taken:
        runpy.run_path(str(ROOT / program), run_name="__main__")
    assert taken.value.args == ([],)


def test_the_pages_have_commands():
    assert len(ALL) > 35
    assert len(PROGRAMS) > 5
    names = {param.values[0][0] for param in ALL}
    assert names >= {"classify", "events", "listen", "separate", "fit", "train", "evaluate", "plot"}


@pytest.mark.parametrize("arguments", ALL)
def test_the_command_line_takes_it(arguments):
    assert callable(make_parser().parse_args(arguments).run)


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The long names of what a parser and the commands below it take."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options(command)
        names = [name for name in action.option_strings if name.startswith("--")]
        yield from names[:1]  # others are other spellings


def test_every_option_is_on_a_page_of_users():
    pages = [page for page in PAGES if page.name != "CONTRIBUTING.md"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    found = sorted(set(options(make_parser())))
    assert len(found) > 80
    assert [name for name in found if not re.search(rf"{name}(?![\w-])", text)] == []


def test_a_wrong_option_would_be_noticed():
    with pytest.raises(SystemExit):
        make_parser().parse_args(["classify", "--tops", "3", "yard.wav"])
