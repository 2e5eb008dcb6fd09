"""A report of events: one page to see, hear and correct them, which needs no network."""

from __future__ import annotations

from soundsep.report.write import MAX_BYTES, write_report

__all__ = ["MAX_BYTES", "write_report"]
