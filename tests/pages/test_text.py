"""The text of the pages: nothing left of a merge, and a README that can stand on an index."""

from __future__ import annotations

import re
import sys

import page_inputs
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest brings

ROOT = page_inputs.ROOT
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/api/*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TARGET = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_left_of_a_merge(page):
    assert not re.findall(r"^(?:<{7}|={7}|>{7})(?: .*)?$", page.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_is_a_comment_by_accident(page):
    # MyST leaves out what begins with "%", which a line of codes for times does.
    assert not re.findall(r"^%.*", page.read_text("utf-8"), re.MULTILINE)


def test_what_an_index_shows_of_the_readme_has_addresses_at_the_tag():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme
    for rule in PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        shown = re.sub(rule["pattern"], rule["replacement"], shown)
    repository = PROJECT["project"]["urls"]["Repository"]
    ways = {"docs/street.png": "raw", "docs/scenes.md": "blob", "weights/": "blob"}
    for target, way in ways.items():
        assert f"]({target})" in readme
        assert f"]({repository}/{way}/v$HFPR_VERSION/{target})" in shown
    targets = TARGET.findall(readme)
    assert targets
    assert all((ROOT / target).exists() for target in targets if not target.startswith("https:"))
    assert all(target.startswith("https:") for target in TARGET.findall(shown))


def test_every_page_stands_in_the_navigation_and_on_the_first_page_in_one_order():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    trees = re.findall(r"^```\{toctree\}\n(?::.*\n)*\n((?:.+\n)*?)```", index, re.MULTILINE)
    navigation = [line for tree in trees for line in tree.splitlines() if "<" not in line]
    pages = {page.stem for page in ROOT.glob("docs/*.md")} - {"index"}
    assert sorted(navigation) == sorted(pages | {"first_steps", "api/index"})
    items = "".join(re.findall(r"^- \[.*\n", index, re.MULTILINE))
    listed = [target.rsplit(".", 1)[0] for target in TARGET.findall(items)]
    assert [page for page in listed if not page.startswith("https:")] == navigation


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_option_is_shown_with_a_dash(page):
    # Sphinx makes a dash of two hyphens that are not in code.
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(`+).*?\1|<!--.*?-->|\]\(.*?\)", "", text, flags=re.DOTALL)
    assert re.findall(r"(?<!-)--\w.*", text) == []
