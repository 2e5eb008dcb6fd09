"""The tables of models on scenes: a column of those that differ in their fold only."""

from __future__ import annotations

from world_pages import LEVELS_DB, levels_table, pooled_table, summary


def test_models_of_several_folds_are_one_column() -> None:
    """With the mean and the range; a figure that none has is an empty cell."""
    results = {
        "b-fold5": {"fold": 5, "single": {"accuracy": 0.75}, "labels": None},
        "a": {"fold": 5, "single": {"accuracy": 0.5}, "labels": {"f1": 0.25}},
        "b-fold1": {"fold": 1, "single": {"accuracy": 0.25}, "labels": None},
    }
    lines = pooled_table(results).splitlines()
    several = "`b-fold1` and `-fold5`: mean (range)"
    assert lines[0] == f"| figure | `a`, fold 5 | {several} |"
    assert "| single clips | 50.0% | 50.0% (25.0 to 75.0%) |" in lines
    assert "| labels of scenes with 0 to 4 sounds, F1 | 0.250 |  |" in lines
    assert not any("noise" in line for line in lines)


def test_the_figures_of_a_model_of_all_folds_are_means_of_those_without_one() -> None:
    def measured(fold: int, f1: float, accuracy: float) -> dict[str, object]:
        events = {"collar": {"f1": f1}}
        return {"fold": fold, "events": events, "single": {"accuracy": accuracy}}

    both = {"a-fold1": measured(1, 0.5, 0.8), "a-fold2": measured(2, 0.6, 0.9)}
    assert (
        summary(both).items()
        >= {
            "protocol": "mean over 2 folds, each held out of one of 2 models",
            "events_f1": 0.55,
            "clips_accuracy": 0.85,
        }.items()
    )
    assert (
        summary({"a-fold2": both["a-fold2"]}).items()
        >= {
            "protocol": "fold 2 held out",
            "events_f1": 0.6,
        }.items()
    )


def test_levels_over_the_background_are_means_of_a_family() -> None:
    def measured(fold: int, share: float) -> dict[str, object]:
        figures = {"accuracy": share, "named": share / 2, "others_only": 0.1}
        return {"fold": fold, "levels": {str(db): figures for db in LEVELS_DB}}

    results = {"a-fold1": measured(1, 0.4), "a-fold2": measured(2, 0.6), "b": {"fold": 5}}
    lines = levels_table(results).splitlines()
    assert lines[0].startswith(f"| sound over background | {LEVELS_DB[0]} dB | ")
    cells = [set(line.split(" | ")[1:-1]) for line in lines[2:]]
    assert cells == [{"50%"}, {"25%"}, {"10%"}]
    assert lines[2].startswith("| `a`, best label right | ")
