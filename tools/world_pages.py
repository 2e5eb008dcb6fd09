"""What `measure_world` found, as tables: in a terminal, on a page of the docs and in cards.

And in short in the published results, from which `soundsep models` shows it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from results_file import REPOSITORY, ResultsFile, filled

__all__ = ["LEVELS_DB", "RESULTS", "plain_table"]

LEVELS_DB = (25, 15, 10, 5, 0, -5, -10)  # of a sound over the background

# Of each line: its name, where the figure stands, how it is written.
SHOWN = (
    ("single clips", "single.accuracy", ".1%"),
    ("the same 20 dB softer", "single.accuracy_minus_20_db", ".1%"),
    ("40 dB softer", "single.accuracy_minus_40_db", ".1%"),
    ("in a room, 0.8 s of reverberation", "reverberation.accuracy", ".1%"),
    ("clips that keep their name above the threshold", "single.keep_their_name", ".1%"),
    ("noise, hum, tones, clicks named, worst kind", "noise.worst", ".1%"),
    ("real sounds of none of the labels named", "strangers.all", ".1%"),
    ("the same, where 85 % of the clips keep their name", "strangers.all_at_85_kept", ".1%"),
    ("sounds of games and programs named", "strangers.packages", ".1%"),
    ("the same, where 85 % keep their name", "strangers.packages_at_85_kept", ".1%"),
    ("knocking machines, computed, named", "machines.knocks", ".1%"),
    ("two sounds at once, both in the top 2", "mixtures.all_found", ".1%"),
    ("labels of scenes with 0 to 4 sounds, F1", "labels.f1", ".3f"),
    ("the same, the first sound at least 10 dB over the background", "labels.clear_f1", ".3f"),
    ("labels of scenes of clips that were in the training, F1", "heard.f1", ".3f"),
    ("events within 1 s, F1", "events.collar.f1", ".3f"),
    ("events of any overlap, F1", "events.overlap.f1", ".3f"),
    ("events that are not there, per hour", "events.spurious_per_hour", ".1f"),
    ("8 recordings from elsewhere", "elsewhere.accuracy", ".0%"),
    ("time per clip, to `esc50-mn04`", "speed.clips_ratio", ".2f"),
    ("time of events, to `esc50-mn04`", "speed.events_ratio", ".2f"),
)
# Of one sound at each level.
OF_LEVELS = (
    ("best label right", "accuracy"),
    ("named rightly", "named"),
    ("another name only", "others_only"),
)
WEIGHTS = REPOSITORY / "weights"
PUBLISHED = REPOSITORY / "src" / "soundsep" / "published_results.json"


def rows_of(results: dict[str, Any]) -> list[list[str]]:
    """A row per line, a column per model; lines that no model has are left out."""
    rows = []
    for title, place, form in SHOWN:
        values = [_at(entry, place) for entry in results.values()]
        if values != [None] * len(values):
            cells = ["" if value is None else format(value, form) for value in values]
            rows.append([title, *cells])
    return rows


def _at(entry: dict[str, Any], place: str) -> float | None:
    """What stands at ``a.b`` of an entry, if it was measured."""
    value: Any = entry
    for key in place.split("."):
        value = value.get(key) if value else None
    return None if value is None else float(value)


def plain_table(results: dict[str, Any]) -> str:
    """For a terminal."""
    rows = [["", *results], *rows_of(results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def families(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Models that differ in the fold they never heard only, under the name they share."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in sorted(results.items(), key=lambda item: item[1]["fold"]):
        found.setdefault(re.sub(r"-fold\d$", "", name), {})[name] = entry
    return dict(sorted(found.items()))


def _head(entries: dict[str, Any]) -> str:
    """The name and fold of one model; of several, that the cells are means."""
    first, *others = entries
    folds = [entry["fold"] for entry in entries.values()]
    if not others:
        return f"`{first}`, fold {folds[0]}"
    last = f"`-fold{folds[-1]}`"
    if folds == list(range(folds[0], folds[-1] + 1)):
        return f"`{first}` to {last}: mean (range)"
    between = "".join(f", `-fold{fold}`" for fold in folds[1:-1])
    return f"`{first}`{between} and {last}: mean (range)"


def pooled_table(results: dict[str, Any]) -> str:
    """For a page: a column of each family of models."""
    columns = list(families(results).values())
    rows = [["figure", *map(_head, columns)], ["---"] * (len(columns) + 1)]
    for title, place, form in SHOWN:
        cells = [_cell(entries, place, form) for entries in columns]
        if any(cells):
            rows.append([title, *cells])
    return _markdown(rows)


def levels_table(results: dict[str, Any]) -> str:
    """For a page: a column for each level of a sound over the background, means of a family."""
    rows = [["sound over background", *(f"{db} dB" for db in LEVELS_DB)]]
    rows.append(["---"] * len(rows[0]))
    for name, entries in families(results).items():
        for title, figure in OF_LEVELS:
            cells = [_values(entries, f"levels.{db}.{figure}") for db in LEVELS_DB]
            if all(cells):
                rows.append([f"`{name}`, {title}", *(f"{_mean(cell):.0%}" for cell in cells)])
    return _markdown(rows)


def _cell(entries: dict[str, Any], place: str, form: str) -> str:
    """The mean of the models, and its range where there are several."""
    values = _values(entries, place)
    if not values:
        return ""
    mean, low, high = (format(value, form) for value in (_mean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low.removesuffix('%')} to {high})"


def _values(entries: dict[str, Any], place: str) -> list[float]:
    """What stands at ``a.b`` of each model of which it was measured."""
    return [value for entry in entries.values() if (value := _at(entry, place)) is not None]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _markdown(rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def pages(results: dict[str, Any]) -> dict[Path, str]:
    """The page on scenes, the cards that have a place for it, and the published results."""
    models = {name: {name: entry} for name, entry in results.items()}
    models |= {name: entries for name, entries in families(results).items() if len(entries) > 1}
    models = {name: entries for name, entries in models.items() if has_place(card_of(name))}
    tables = {card_of(name): entries for name, entries in models.items()}
    scenes = REPOSITORY / "docs" / "scenes.md"
    tables[scenes] = results
    wanted = {page: filled(page, "world", pooled_table(shown)) for page, shown in tables.items()}
    wanted[scenes] = filled(scenes, "over-background", levels_table(results), within=wanted[scenes])
    return wanted | {PUBLISHED: json.dumps(published(models), indent=2) + "\n"}


def published(models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The published results, with those models of which nothing else is in them."""
    told: dict[str, Any] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return told | {
        name: summary(entries)
        for name, entries in models.items()
        if "accuracy" not in told.get(name, {})  # else by `update_results`
    }


def summary(entries: dict[str, Any]) -> dict[str, Any]:
    """What `soundsep models` shows of a model: of several folds the means."""
    folds = [entry["fold"] for entry in entries.values()]
    n = len(folds)
    several = f"mean over {n} folds, each held out of one of {n} models"
    return {
        "data": "scenes and clips of ESC-50 at 16 kHz",
        "protocol": several if n > 1 else f"fold {folds[0]} held out",
        "events_f1": round(_mean(_values(entries, "events.collar.f1")), 6),
        "clips_accuracy": round(_mean(_values(entries, "single.accuracy")), 6),
    }


def card_of(name: str) -> Path:
    """The card of a model of that name, which need not be there."""
    return WEIGHTS / name / "README.md"


def has_place(card: Path) -> bool:
    """Whether the card is there and wants the table."""
    return card.is_file() and "<!-- world:begin -->" in card.read_text(encoding="utf-8")


RESULTS = ResultsFile(REPOSITORY / "docs" / "world.json", pages)
