from __future__ import annotations

import numpy as np
import pytest

from soundsep import Event, plots

RATE = 16_000
NOISE = np.random.default_rng(0).normal(0, 0.1, 10 * RATE).astype(np.float32)


def draw(*events: Event, **options):
    return plots.plot_events(NOISE, events, sample_rate=RATE, **options).axes[0]


def boxes(axes) -> list[tuple[float, float]]:
    return [(box.get_x(), box.get_x() + box.get_width()) for box in axes.patches]


def names(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_event_has_a_box_and_its_name_at_its_start(tmp_path):
    axes = draw(
        Event(1.0, 4.0, "rain", 0.9),
        Event(2.0, 2.5, "dog", 0.8),
        Event(6.0, 7.0, "rain", 0.7),
        path=tmp_path / "scene.png",
    )
    assert boxes(axes) == [(1.0, 4.0), (2.0, 2.5), (6.0, 7.0)]
    assert names(axes) == ["rain", "dog", "rain"]
    assert [text.xy[0] for text in axes.texts] == [1.0, 2.0, 6.0]
    first, second, third = (box.get_edgecolor() for box in axes.patches)
    assert first == third != second
    assert (tmp_path / "scene.png").read_bytes().startswith(b"\x89PNG")


def test_names_do_not_cover_each_other():
    axes = draw(Event(1.0, 1.2, "church_bells", 0.9), Event(1.3, 1.5, "wind", 0.9))
    axes.figure.draw_without_rendering()
    first, second = (text.get_window_extent() for text in axes.texts)
    assert not first.overlaps(second)


def test_a_long_name_at_the_end_stays_in_the_picture():
    axes = draw(Event(9.8, 10.0, "washing_machine", 0.9))
    axes.figure.draw_without_rendering()
    (text,) = axes.texts
    assert text.get_window_extent().x1 <= axes.get_window_extent().x1
    assert boxes(axes) == [(9.8, 10.0)]


def test_only_the_shown_part_of_an_event_is_drawn():
    axes = draw(
        Event(0.0, 1.0, "cat", 0.9),
        Event(1.5, 3.0, "dog", 0.9),
        Event(3.5, 9.0, "rain", 0.9),
        Event(4.0, 5.0, "wind", 0.9),
        start_seconds=2.0,
        duration_seconds=2.0,
    )
    assert boxes(axes) == [(2.0, 3.0), (3.5, 4.0)]
    assert names(axes) == ["dog", "rain"]


def test_a_crowd_of_events_keeps_its_boxes_and_drops_names():
    crowd = [Event(0.01 * i, 9.0, "dog", 0.9) for i in range(100)]
    axes = draw(*crowd)
    assert len(boxes(axes)) == 100
    assert 1 <= len(names(axes)) < 10


@pytest.mark.parametrize("label", ["$x$", "a\u202eb", "\x1b[31m"])
def test_names_are_shown_and_not_obeyed(label):
    axes = draw(Event(1.0, 2.0, label, 0.9))
    axes.figure.draw_without_rendering()
    (name,) = names(axes)
    assert name.isprintable()


def test_no_events_leave_the_spectrogram():
    axes = draw()
    assert not axes.patches
    assert len(axes.images) == 1
