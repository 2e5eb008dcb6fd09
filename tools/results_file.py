"""What the tools share: a file of results, the pages that show it, and their options."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundsep.files import write_bytes, write_json

__all__ = ["REPOSITORY", "ResultsFile", "filled", "parser_of"]

REPOSITORY = Path(__file__).resolve().parents[1]

Pages = dict[Path, str]


@dataclass(frozen=True)
class ResultsFile:
    """JSON that a tool measures, and the pages that show it.

    Attributes:
        path: Of the JSON.
        pages: From what it holds to every page with what it should hold.
    """

    path: Path
    pages: Callable[[dict[str, Any]], Pages]

    def read(self) -> dict[str, Any]:
        """What it holds; nothing where there is no such file yet."""
        if not self.path.exists():
            return {}
        results: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return results

    def write(self, results: dict[str, Any]) -> None:
        """Write the file and its pages."""
        write_json(self.path, results)
        for page, text in self.pages(results).items():
            write_bytes(page, text.encode())

    def stale(self) -> list[Path]:
        """Pages that do not agree with the file."""
        wanted = self.pages(self.read())
        return [page for page, text in wanted.items() if page.read_text(encoding="utf-8") != text]

    def parser(self, doc: str | None) -> argparse.ArgumentParser:
        """The parser of a tool with the options ``--check`` and ``--pages``.

        The first sees that the pages agree. The second writes them anew, after their form changed.

        Args:
            doc: The tool's docstring.
        """
        results = self

        class Pages(argparse.Action):
            """Write the pages and leave, whatever else is given or missing."""

            def __call__(self, *_: Any) -> None:
                results.write(results.read())
                sys.exit()

        parser = parser_of(doc, lambda: [str(page) for page in self.stale()], str(self.path))
        parser.add_argument(
            "--pages", action=Pages, nargs=0, help="only write the pages, of what was measured"
        )
        return parser


def parser_of(
    doc: str | None, stale: Callable[[], Sequence[str]], truth: str
) -> argparse.ArgumentParser:
    """A tool's parser with an option ``--check``.

    Args:
        doc: The tool's docstring, which ``--help`` shows.
        stale: Gives names of what is out of date.
        truth: What that is out of date with.
    """

    class Check(argparse.Action):
        """Check and leave, as ``--help`` does, whatever else is given or missing."""

        def __call__(self, *_: Any) -> None:
            if names := stale():
                sys.exit(f"not what {truth} says: {', '.join(names)}")
            sys.exit()

    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action=Check, nargs=0, help="only see that all pages agree")
    return parser


def filled(page: Path, mark: str, text: str, *, within: str | None = None) -> str:
    """The page with a text between two lines such as <!-- results:begin --> and end.

    It ends the program where they are missing.

    Args:
        page: The page.
        mark: Name of the two lines.
        text: What belongs between them.
        within: What the page holds by now, if another part of it was filled before.
    """
    begin, end = f"<!-- {mark}:begin -->\n", f"<!-- {mark}:end -->"
    whole = page.read_text(encoding="utf-8") if within is None else within
    before, found, rest = whole.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{page} has no lines {begin.strip()} and {end}")
    return before + begin + text + end + after
