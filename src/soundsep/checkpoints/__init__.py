"""Checkpoints: which are published, where they lie, how their files are read and written.

This room's face holds the table and does not load torch; `soundsep.checkpoints.resolve` and
`soundsep.checkpoints.files` read folders.
"""

from __future__ import annotations

from soundsep.checkpoints.registry import (
    DEFAULT_EVENT_MODEL,
    DEFAULT_MODEL,
    PUBLISHED,
    PublishedFile,
    PublishedModel,
    Upstream,
    list_models,
    published_results,
)

__all__ = [
    "DEFAULT_EVENT_MODEL",
    "DEFAULT_MODEL",
    "PUBLISHED",
    "PublishedFile",
    "PublishedModel",
    "Upstream",
    "list_models",
    "published_results",
]
