from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from soundsep import ConfigError
from soundsep.pipeline import EventSummary
from soundsep.plots import plot_season

MAY_19, MAY_21 = date(2024, 5, 19), date(2024, 5, 21)
SUMMARY = EventSummary(
    counts={
        "owl": {(MAY_19, 22): 2, (MAY_21, 3): 1},
        "dog $x$": {(MAY_19, 3): 1},
    },
    untimed={"rain": 9},
    recorded={(MAY_19, 22): 60.0, (MAY_21, 3): 60.0},
)


def meshes(figure) -> list[np.ndarray]:
    return [axes.collections[0].get_array() for axes in figure.axes if axes.get_title()]


def test_hours_are_rows_and_days_columns(tmp_path):
    figure = plot_season(SUMMARY, path=tmp_path / "a.png", title="May")
    assert (tmp_path / "a.png").stat().st_size > 5_000
    owl, dog = meshes(figure)
    assert owl.shape == (24, 3)
    assert (owl[22, 0], owl[3, 2], owl.sum()) == (2, 1, 3)
    assert dog[3, 0] == 1
    assert [axes.get_title() for axes in figure.axes][:2] == ["owl", "dog $x$"]


def test_hours_that_were_not_recorded_are_left_out():
    owl, _ = meshes(plot_season(SUMMARY))
    # The hour of the dog was not recorded by what is told, but it was heard.
    assert {tuple(cell) for cell in np.argwhere(~np.ma.getmaskarray(owl))} == {
        (22, 0),
        (3, 2),
        (3, 0),
    }
    (all_told,) = meshes(plot_season(EventSummary(counts={"owl": {(MAY_19, 22): 2}})))
    assert not np.ma.getmaskarray(all_told).any()
    assert all_told.shape == (24, 1)


def test_of_many_years_no_event_falls_between_the_pixels():
    """As of a recorder whose clock was reset: some days of 1970 among those of 2024."""
    reset = date(1970, 1, 1)
    counts = {(reset, 0): 3, (MAY_19, 22): 2, (MAY_21, 22): 1}
    figure = plot_season(EventSummary(counts={"owl": counts}, recorded=dict.fromkeys(counts, 60.0)))
    (owl,) = meshes(figure)
    assert owl.shape == (24, 398)  # of 50 days each
    assert (owl[0, 0], owl[22, -1], owl.sum()) == (3, 3, 6)
    assert np.ma.getmaskarray(owl).sum() == owl.size - 2
    assert figure.axes[-1].get_ylabel() == "events in 50 days"


def test_labels_are_chosen():
    assert len(meshes(plot_season(SUMMARY, top_k=1))) == 1
    (dog,) = meshes(plot_season(SUMMARY, labels=["dog $x$"]))
    assert dog.sum() == 1
    for options, message in (
        ({"labels": ["rain"]}, "no event 'rain' has a time"),
        ({"labels": ["owll"]}, "did you mean 'owl'"),
        ({"top_k": 0}, "top_k must be an integer of at least 1, got 0"),
        ({"top_k": 25}, "top_k must be at most 24"),
    ):
        with pytest.raises(ConfigError, match=message):
            plot_season(SUMMARY, **options)
    with pytest.raises(ConfigError, match="no event has a time of day"):
        plot_season(EventSummary(counts={}, untimed={"rain": 1}))
