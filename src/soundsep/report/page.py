"""The page: data, style and scripts in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any

from soundsep.digests import digest

__all__ = ["SCRIPTS", "data_json", "page"]

SCRIPTS = ("state.js", "save.js", "sound.js", "picture.js", "list.js", "main.js")  # in this order


def page(title: str, data: str, media: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """The parts of the page, in order.

    Args:
        title: Title of the page, any text.
        data: Result of `data_json`.
        media: Pictures and sounds by id, of letters and digits.
    """
    style = _text("page.css")
    scripts = [_text(name) for name in SCRIPTS]
    # The browser refuses everything else: other scripts, and other addresses.
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; "
        f"style-src {_hash(style)}; img-src data:; media-src blob:; base-uri 'none'; "
        "form-action 'none'"
    )
    head, body = _text("page.html").split("<!-- data -->\n")
    head = head.replace("{{policy}}", html.escape(policy, quote=False))
    head = head.replace("{{style}}", style).replace("{{title}}", html.escape(title))
    yield head
    key = digest(data)[:16]  # under which a browser keeps corrections
    yield f'<script type="application/json" id="data" data-digest="{key}">{data}</script>\n'
    for name, content in media:
        text = base64.b64encode(content).decode("ascii")
        yield f'<script type="text/plain" id="{name}">{text}</script>\n'
    for script in scripts:
        yield f"<script>{script}</script>\n"
    yield body


def data_json(data: Mapping[str, Any]) -> str:
    r"""JSON inside which no HTML tag or comment can begin.

    Examples:
        >>> data_json({"name": "</script><!--"})
        '{"name":"\\u003c/script>\\u003c!--"}'
    """
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _hash(text: str) -> str:
    sha256 = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(sha256).decode('ascii')}'"


def _text(name: str) -> str:
    return (resources.files("soundsep") / "report" / name).read_text(encoding="utf-8")
