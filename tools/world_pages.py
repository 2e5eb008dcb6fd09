"""What `measure_world` found, as tables: in a terminal, on a page of the docs and in cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results_file import REPOSITORY, ResultsFile, filled

__all__ = ["RESULTS", "plain_table"]

# Of each line: its name, where the figure stands, how it is written.
SHOWN = (
    ("single clips", "single.accuracy", ".1%"),
    ("the same 20 dB softer", "single.accuracy_minus_20_db", ".1%"),
    ("40 dB softer", "single.accuracy_minus_40_db", ".1%"),
    ("in a room, 0.8 s of reverberation", "reverberation.accuracy", ".1%"),
    ("clips that keep their name above the threshold", "single.keep_their_name", ".1%"),
    ("noise, hum, tones, clicks named, worst kind", "noise.worst", ".1%"),
    ("real sounds of none of the labels named", "strangers.all", ".1%"),
    ("two sounds at once, both in the top 2", "mixtures.all_found", ".1%"),
    ("labels of scenes with 0 to 4 sounds, F1", "labels.f1", ".3f"),
    ("events within 1 s, F1", "events.collar.f1", ".3f"),
    ("events of any overlap, F1", "events.overlap.f1", ".3f"),
    ("events that are not there, per hour", "events.spurious_per_hour", ".1f"),
    ("8 recordings from elsewhere", "elsewhere.accuracy", ".0%"),
    ("time per clip, to `esc50-mn04`", "speed.clips_ratio", ".2f"),
    ("time of events, to `esc50-mn04`", "speed.events_ratio", ".2f"),
)
WEIGHTS = REPOSITORY / "weights"


def rows_of(results: dict[str, Any]) -> list[list[str]]:
    """A row per line, a column per model; lines that no model has are left out."""
    rows = []
    for title, place, form in SHOWN:
        cells = []
        for value in results.values():
            for key in place.split("."):
                value = value.get(key) if value else None
            cells.append("" if value is None else format(value, form))
        if any(cells):
            rows.append([title, *cells])
    return rows


def plain_table(results: dict[str, Any]) -> str:
    """For a terminal."""
    rows = [["", *results], *rows_of(results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown_table(results: dict[str, Any]) -> str:
    """For a page."""
    heads = [f"`{name}`, fold {entry['fold']}" for name, entry in results.items()]
    rows = [["figure", *heads], ["---"] * (len(heads) + 1), *rows_of(results)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def pages(results: dict[str, Any]) -> dict[Path, str]:
    """The page on scenes, and the cards of models that have a place for it."""
    wanted = {REPOSITORY / "docs" / "scenes.md": markdown_table(results)}
    for name, entry in results.items():
        card = WEIGHTS / name / "README.md"
        if card.is_file() and "<!-- world:begin -->" in card.read_text(encoding="utf-8"):
            wanted[card] = markdown_table({name: entry})
    return {page: filled(page, "world", text) for page, text in wanted.items()}


RESULTS = ResultsFile(REPOSITORY / "docs" / "world.json", pages)
