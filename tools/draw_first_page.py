#!/usr/bin/env python3
"""Run the first lines of code of docs/index.md, and show what they draw and print.

    python tools/draw_first_page.py           writes docs/street.png, and the answer into the pages
    python tools/draw_first_page.py --check   only see that the pages show the same

The picture is kept in the repository, for README.md; its colours are few, so that it is small.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path

from results_file import REPOSITORY, filled, parser_of
from soundsep.files import write_bytes

FIRST = REPOSITORY / "docs" / "index.md"
PAGES = (FIRST, REPOSITORY / "README.md")
PICTURE = REPOSITORY / "docs" / "street.png"
N_COLOURS = 64


def code() -> str:
    """The first block of Python on the first page."""
    match = re.search(r"^```python\n(.*?)^```$", FIRST.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


def run(folder: Path) -> str:
    """What the lines print; they write their picture to a folder."""
    printed = io.StringIO()
    here = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code(), str(FIRST), "exec"), {})  # noqa: S102 our own page
    finally:
        os.chdir(here)
    return printed.getvalue()


def pages(printed: str) -> dict[Path, str]:
    """Every page with the code and its answer."""
    text = f"```python\n{code()}```\n\n```text\n{printed}```\n"
    return {page: filled(page, "street", text) for page in PAGES}


def small(picture: Path) -> bytes:
    """A picture in few colours, the rare ones of names among them."""
    from PIL import Image

    with Image.open(picture) as image:
        few = image.convert("RGB").quantize(
            N_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
    written = io.BytesIO()
    few.save(written, "png", optimize=True)
    return written.getvalue()


def stale() -> list[str]:
    """Pages that show something else."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = pages(run(Path(folder)))
    return [str(page) for page, text in wanted.items() if page.read_text("utf-8") != text]


def main() -> None:
    """Draw and write, or check."""
    parser_of(__doc__, stale, str(FIRST)).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wanted = pages(run(Path(folder)))
        write_bytes(PICTURE, small(Path(folder, PICTURE.name)))
    for page, text in wanted.items():
        write_bytes(page, text.encode())


if __name__ == "__main__":
    main()
