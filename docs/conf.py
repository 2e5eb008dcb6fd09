from __future__ import annotations

import re
import runpy
import shutil
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from soundsep import __version__
from soundsep.frontends.scaling import Scaling
from soundsep.pipeline.tabulate import Answers

project = "soundsep"
author = "The soundsep developers"
project_copyright = "The soundsep developers"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.doctest",
    "myst_nb",  # Markdown, and the notebook
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
templates_path: list[str] = []

# A name in single backticks in a docstring becomes a link where there is something to link to.
default_role = "py:obj"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"AudioInput": "AudioInput", "ArrayLike": "ArrayLike"}
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

nb_execution_mode = "force"  # the notebook is kept without its outputs
nb_execution_raise_on_error = True
nb_execution_timeout = 300  # seconds for a cell; the first loads torch

# What is copied are commands and code alone, without prompts and without what was printed.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {  # a link to edit every page
    "source_repository": "https://github.com/soundsep/soundsep/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_title = f"soundsep {release}"
html_show_sphinx = False


# What Sphinx makes of NDArray[...], which takes three lines of a phone.
_ARRAY = re.compile(
    r"~?(?:numpy\.)?ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], "
    r"~?(?:numpy\.)?dtype\[~?(?:numpy\.|typing\.)?(\w+)\]\]"
)
# Names of types that no page explains, as AudioInput is explained, stand for their types.
_ALIASES = {"Answers": Answers, "Scaling": Scaling}
_ALIAS = re.compile(rf"\b(?:{'|'.join(_ALIASES)})\b")


def _written(types: str) -> str:
    """Types as they are written in the code, but for the aliases."""
    types = _ARRAY.sub(r"NDArray[\1]", types)
    types = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", types)
    return _ALIAS.sub(lambda found: _expanded(_ALIASES[found[0]]), types)


def _expanded(alias: Any) -> str:
    return re.sub(r"(?:\w+\.)+(\w+)", r"\1", repr(alias))


def _signature(
    app: Any,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    signature: str | None,
    result: str | None,
) -> tuple[str | None, str | None]:
    """Names of types as they are written, and the defaults of a dataclass, not "<factory>"."""
    if signature == "(*args, **kwargs)":  # of a protocol, which has no constructor
        return "", result
    signature = signature and _written(signature)
    result = result and re.sub(r"^[\w.~]*\bC$", "Self", _written(result))
    for one in fields(obj) if signature and "<factory>" in signature else ():
        if one.default_factory is not MISSING:
            signature = signature.replace("<factory>", _made_by(one.default_factory), 1)
    return signature and re.sub(r"[\w.~]*\bModel_co\b", "ClassifierLike", signature), result


def _made_by(factory: Any) -> str:
    """A default: of a class its name, of a lambda or a private function nothing."""
    return "..." if factory.__name__.startswith(("_", "<")) else f"{factory.__name__}()"


def _types_of_attributes(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    lines[:] = [_ARRAY.sub(r"NDArray[\1]", line) for line in lines]


def _types_of_properties(app: Any, doctree: Any, page: str) -> None:
    from docutils import nodes  # the tests run this file without Sphinx
    from sphinx import addnodes

    for shown in doctree.findall(addnodes.desc_annotation):
        if (types := _ARRAY.sub(r"NDArray[\1]", shown.astext())) != shown.astext():
            shown.children = [nodes.Text(types)]


def _draw_gallery(app: Any) -> None:
    """Draw the pictures of plots.md; none is kept in the repository."""
    examples, built = Path(__file__).parents[1] / "examples", Path(__file__).parent / "_build"
    sounds, pictures = built / "sounds", built / "gallery"
    shutil.rmtree(pictures, ignore_errors=True)
    runpy.run_path(str(examples / "synthesise_sounds.py"))["main"](sounds)
    runpy.run_path(str(examples / "plot_gallery.py"))["main"](sounds, pictures)


def setup(app: Any) -> None:
    app.connect("builder-inited", _draw_gallery)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _types_of_attributes, priority=900)  # after napoleon
    app.connect("doctree-resolved", _types_of_properties)
