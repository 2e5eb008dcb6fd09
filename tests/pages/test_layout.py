"""The built documentation in a real browser, as wide as a phone and as a small screen."""

from __future__ import annotations

import page_inputs
import pytest

BUILT = page_inputs.ROOT / "docs" / "_build" / "html"
LEFT_OUT = ("_modules", "_static")  # listings of code, and no pages

# What is wider than the window, and code that has to be moved to be read.
FAULTS = """() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`${root.scrollWidth} pixels wide`);
  const text = document.querySelector(".content");  // none where the page is no text: try/
  if (text && text.scrollWidth > text.clientWidth) found.push(`text of ${text.scrollWidth} pixels`);
  for (const code of document.querySelectorAll("article div:not(.drawing) > div.highlight > pre"))
    if (code.scrollWidth > code.clientWidth + 1) found.push(`cut off: ${code.innerText}`);
  for (const word of document.querySelectorAll("article td code")) {
    const box = word.getBoundingClientRect();
    if (word.innerText.length > 8 && box.width < 50) found.push(`in pieces: ${word.innerText}`);
  }
  // On a phone a table may be moved; elsewhere all of it is in sight. Short values stay together.
  for (const table of document.querySelectorAll("article .table-wrapper"))
    if (innerWidth > 700 && table.scrollWidth > table.clientWidth)
      found.push(`a table of ${table.scrollWidth} pixels`);
  for (const cell of document.querySelectorAll("article td")) {
    const inside = document.createRange();
    inside.selectNodeContents(cell);
    const line = parseFloat(getComputedStyle(cell).lineHeight);
    if (cell.innerText.length < 12 && inside.getBoundingClientRect().height > 2.5 * line)
      found.push(`in three lines: ${cell.innerText}`);
  }
  // The mark that links to a heading is hidden, and must not take a line of its own.
  for (const mark of document.querySelectorAll("article :is(h1, h2, h3, h4) > a.headerlink")) {
    const heading = mark.parentElement;
    const height = heading.offsetHeight;
    mark.style.display = "none";
    if (heading.offsetHeight < height) found.push(`an empty line: ${heading.innerText}`);
    mark.style.display = "";
  }
  return found;
}"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1_100, 1_280])
def test_pages_fit_and_nothing_is_cut_off(browser, width):
    pages = [
        page for page in BUILT.rglob("*.html") if page.relative_to(BUILT).parts[0] not in LEFT_OUT
    ]
    if not pages:
        pytest.skip("the documentation is not built: python3 dev.py docs")
    context = browser.new_context(viewport={"width": width, "height": 900}, is_mobile=width < 500)
    tab = context.new_page()
    found = {}
    for page in pages:
        tab.goto(page.as_uri())
        if faults := tab.evaluate(FAULTS):
            found[str(page.relative_to(BUILT))] = faults
    context.close()
    assert found == {}
