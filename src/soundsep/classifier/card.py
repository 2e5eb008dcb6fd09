"""The model card of a classifier of one's own: what it names, how it is used, what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from soundsep.classifier.config import ClassifierConfig
from soundsep.errors import ConfigError
from soundsep.names import printable

__all__ = ["model_card"]

MAX_LISTED = 200  # labels
_LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{0,60}")
NO_LICENCE = "No licence is stated: ask the author before you use the model."
TERMS = (
    "The weights derive from the backbone and from the recordings they were fitted to; the terms "
    "of both apply."
)


def model_card(
    config: ClassifierConfig,
    repository: str,
    *,
    licence: str | None = None,
    report: Mapping[str, Any] | None = None,
) -> str:
    """The text of ``README.md``, in the Markdown that the Hugging Face Hub shows.

    Args:
        config: Settings of the classifier.
        repository: ``org/repo``, where the model can be fetched.
        licence: Identifier as the Hub has it, such as ``cc-by-4.0``.
        report: Result of `soundsep.FitReport.to_dict`; its names of files are left out.

    Raises:
        ConfigError: the licence is no identifier.
    """
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise ConfigError(f"expected a licence such as cc-by-4.0 or mit, got {licence!r}")
    head = ["---", *([f"license: {licence}"] if licence else []), "library_name: soundsep"]
    head += ["pipeline_tag: audio-classification", "tags: [audio, environmental-sound]", "---", ""]
    several = config.activation == "sigmoid"
    body = [
        f"# {repository.rpartition('/')[2]}",
        "",
        f"A classifier of {len(config.labels)} sounds, "
        + ("any number of them at once or none." if several else "one for each recording."),
        "",
        "```python",
        "from soundsep import Pipeline",
        "",
        f'pipe = Pipeline.from_pretrained("{repository}")',
        'print(pipe("recording.wav").label)',
        "```",
        "",
        "## Labels",
        "",
        *_labels(config.labels),
        "",
        *_figures(report or {}),
        "## Licence",
        "",
        f"`{licence}`. {TERMS}" if licence else f"{NO_LICENCE} {TERMS}",
        "",
    ]
    return "\n".join([*head, *body])


def _labels(labels: tuple[str, ...]) -> Iterator[str]:
    """In a block of code, in which no label is taken for markup."""
    shown = [printable(label) for label in labels[:MAX_LISTED]]
    runs = (len(run) for label in shown for run in re.findall("`+", label))
    fence = "`" * (1 + max(2, *runs, 2))
    yield fence + "text"
    yield from shown
    if len(labels) > MAX_LISTED:
        yield f"... and {len(labels) - MAX_LISTED} more"
    yield fence


def _name(backbone: object) -> str:
    """The name of a backbone; of a folder, only its own."""
    text = str(backbone)
    return text if text.count("/") < 2 and text[:1] not in "./~" else Path(text).name


def _figures(report: Mapping[str, Any]) -> Iterator[str]:
    """What was measured by cross-validation; nothing where that was not."""
    accuracy, interval = report.get("accuracy"), report.get("interval_95")
    if not isinstance(accuracy, float) or not isinstance(interval, list) or len(interval) != 2:
        return
    low, high = map(float, interval)
    yield "## Figures"
    yield ""
    yield (
        f"{report.get('mode')} on `{_name(report.get('backbone'))}`, fitted to "
        f"{report.get('n_clips')} clips of {report.get('n_recordings')} recordings; measured on "
        f"recordings that were held out, in {report.get('n_folds')} folds:"
    )
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| accuracy | {accuracy:.1%} (95 % interval {low:.0%} to {high:.0%}) |"
    rows = {
        "macro recall": "macro_recall",
        "clips that get a label": "clips_named",
        "noise that gets a label": "noise_named",
    }
    for name, key in rows.items():
        if isinstance(value := report.get(key), float):
            yield f"| {name} | {value:.1%} |"
    yield ""
    if worth := report.get("worth"):
        yield str(worth)
        yield ""
