from __future__ import annotations

import runpy
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

project = "soundsep"
author = "The soundsep developers"
project_copyright = "The soundsep developers"
version = release = metadata.version("soundsep")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.doctest",
    "myst_parser",
]
exclude_patterns = ["_build"]
templates_path: list[str] = []

# A name in single backticks in a docstring becomes a link where there is something to link to.
default_role = "py:obj"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"AudioInput": "AudioInput"}
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Shape"]

# pytest runs the examples in docstrings; here only those of the pages are run.
doctest_test_doctest_blocks = ""

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"soundsep {release}"
html_show_sphinx = False


def _name_default_factory(
    app: Any,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    result: str | None,
) -> tuple[str | None, str | None]:
    """Replace the "<factory>" of a dataclass, which Sphinx cannot parse, by what it makes."""
    return signature and signature.replace("<factory>", "MelConfig()"), result


def _draw_gallery(app: Any) -> None:
    """Draw the pictures of plots.md; none is kept in the repository."""
    examples, built = Path(__file__).parents[1] / "examples", Path(__file__).parent / "_build"
    sounds, pictures = built / "sounds", built / "gallery"
    shutil.rmtree(pictures, ignore_errors=True)
    runpy.run_path(str(examples / "synthesise_sounds.py"))["main"](sounds)
    runpy.run_path(str(examples / "plot_gallery.py"))["main"](sounds, pictures)


def setup(app: Any) -> None:
    app.connect("builder-inited", _draw_gallery)
    app.connect("autodoc-process-signature", _name_default_factory)
