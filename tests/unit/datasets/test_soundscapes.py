from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from soundsep.datasets import Clip, SoundscapeConfig, Soundscapes, soundscapes
from soundsep.datasets.clip import FoldedClips
from soundsep.errors import ConfigError, DatasetError

RATE = 16_000
HZ = (300, 1_500, 3_000, 6_000)  # a class each, in bands of their own

# Sounds as they are: no room, no device, nothing behind them.
PLAIN = SoundscapeConfig(
    seconds=6.0,
    silent_share=1.0,
    reverb_share=0.0,
    device_share=0.0,
    clip_db=(0.0, 0.0),
    gain_db=(-6.0, -6.0),
)


# Clip, start and end of every event; a change here changes the tests of every model.
GOLDEN = [
    [(3, 3.5, 4.1)],
    [(5, 0.28, 1.68), (0, 4.26, 4.86)],
    [(1, 0.24, 1.24), (5, 0.54, 1.94)],
    [(6, 1.72, 2.32), (6, 3.46, 4.06), (9, 3.86, 4.46)],
    [(10, 0.76, 1.76)],
    [(6, 0.52, 1.12), (4, 3.78, 4.78)],
]


def tone(hz: float, seconds: float = 1.0, *, before: float = 1.0, after: float = 3.0) -> Tensor:
    """A tone with silence on both sides."""
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    parts = (np.zeros(round(before * RATE)), wave, np.zeros(round(after * RATE)))
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))


EXAMPLES = [(tone(hz, 0.6 + 0.4 * i), k) for k, hz in enumerate(HZ) for i in range(3)]


def scenes(config: SoundscapeConfig = PLAIN, n_scenes: int = 30, **options) -> Soundscapes:
    return Soundscapes(EXAMPLES, n_scenes=n_scenes, config=config, **options)


def power_at(waveform: Tensor, hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(waveform.numpy())) ** 2
    frequencies = np.fft.rfftfreq(len(waveform), 1 / RATE)
    return float(spectrum[np.abs(frequencies - hz) < 20].sum())


def test_the_same_list_every_time_and_in_any_order():
    strangers = [tone(900)]
    config = SoundscapeConfig(seconds=3.0)
    one, other = (scenes(config, 12, seed=3, strangers=strangers) for _ in range(2))
    backwards = [other[i] for i in reversed(range(12))][::-1]
    for i, b in enumerate(backwards):
        a = one[i]
        assert torch.equal(a.waveform, b.waveform)
        assert (a.events, a.clips, a.strangers) == (b.events, b.clips, b.strangers)
    different = scenes(config, 12, seed=4, strangers=strangers)
    assert [one[i].clips for i in range(12)] != [different[i].clips for i in range(12)]


def test_kept_sounds_are_bounded_and_change_no_scene(monkeypatch):
    config = SoundscapeConfig(seconds=3.0, speed_share=1.0)
    usual, bounded = (scenes(config, 40, strangers=[tone(900)]) for _ in range(2))
    expected = [usual[i] for i in range(40)]
    n_bytes = usual._n_kept_bytes
    monkeypatch.setattr(soundscapes, "MAX_KEPT_BYTES", n_bytes // 4)
    for i in range(40):
        assert torch.equal(bounded[i].waveform, expected[i].waveform)
        assert bounded[i].events == expected[i].events
    assert n_bytes // 4 <= bounded._n_kept_bytes < n_bytes // 2
    assert bounded._n_kept_bytes == sum(s.n_bytes for s in bounded._prepared.values() if s)


def test_a_longer_list_begins_like_a_shorter_one():
    short, long = scenes(n_scenes=3), scenes(n_scenes=30)
    assert all(torch.equal(short[i].waveform, long[i].waveform) for i in range(3))


def test_what_a_seed_draws_stays_for_ever():
    made = scenes(n_scenes=6, seed=0)
    drawn = [
        [(e.clip, round(e.start_seconds, 2), round(e.end_seconds, 2)) for e in made[i].events]
        for i in range(6)
    ]
    assert drawn == GOLDEN


def test_the_truth_is_where_the_energy_is():
    config = PLAIN.replace(n_sounds=(0.0, 1.0), cut=0.5, part_share=0.5, speed_share=0.5)
    for i in range(30):
        scene = scenes(config)[i]
        (event,) = scene.events
        loud = np.flatnonzero(scene.waveform.abs().numpy() > 0.02) / RATE
        assert abs(loud[0] - event.start_seconds) <= 0.02
        assert abs(loud[-1] - event.end_seconds) <= 0.02
        ((target, active),) = scene.active
        assert target == event.target == EXAMPLES[event.clip][1]
        assert active.sum() * 0.02 == pytest.approx(event.end_seconds - event.start_seconds)


def test_silence_around_a_sound_is_cut_away():
    lengths = {0.6, 1.0, 1.4}
    for i in range(20):
        scene = scenes(PLAIN.replace(n_sounds=(0.0, 1.0)))[i]
        (event,) = scene.events
        length = event.end_seconds - event.start_seconds
        assert min(abs(length - known) for known in lengths) < 0.03


def test_levels_are_as_asked():
    config = PLAIN.replace(n_sounds=(0.0, 0.0, 1.0), level_db=(-5.0, 5.0))
    levels = []
    for i in range(80):
        scene = scenes(config, 80)[i]
        first, second = ({e.clip: e for e in scene.events}[c] for c in scene.clips[:2])
        if first.target == second.target:
            continue
        powers = [
            power_at(scene.waveform, HZ[e.target]) / (e.end_seconds - e.start_seconds)
            for e in (first, second)
        ]
        levels.append(10 * np.log10(powers[1] / powers[0]))
    assert -5.5 < min(levels) < -3
    assert 3 < max(levels) < 5.5


def test_the_background_is_so_much_softer_than_the_first_sound():
    config = PLAIN.replace(
        n_sounds=(0.0, 1.0), silent_share=0.0, real_share=1.0, snr_db=(10.0, 10.0)
    )
    hiss = torch.from_numpy(np.random.default_rng(1).standard_normal(40_000).astype(np.float32))
    for i in range(10):
        scene = scenes(config, backgrounds=[hiss])[i]
        (event,) = scene.events
        first, last = (round(t * RATE) for t in (event.start_seconds, event.end_seconds))
        quiet = torch.cat((scene.waveform[: max(0, first - 320)], scene.waveform[last + 320 :]))
        ratio = scene.waveform[first:last].square().mean() / quiet.square().mean()
        assert 10 * np.log10(float(ratio) - 1) == pytest.approx(10, abs=0.7)


def test_peaks_are_in_their_range():
    config = SoundscapeConfig(seconds=3.0, gain_db=(-50.0, -3.0))
    peaks = [
        20 * float(s.waveform.abs().max().log10())
        for s in map(scenes(config).__getitem__, range(30))
    ]
    assert all(-50.5 < peak < -2.9 for peak in peaks)
    assert min(peaks) < -40
    assert max(peaks) > -12


def test_a_sound_that_cannot_be_heard_does_not_count():
    same = [(tone(1_000, 4.0), 0), (tone(1_010, 4.0), 1)]  # in one band, all over each other
    config = PLAIN.replace(seconds=4.0, n_sounds=(0.0, 0.0, 1.0), level_db=(-30.0, -30.0))
    made = Soundscapes(same, n_scenes=20, config=config)
    n_both = 0
    for i in range(20):
        scene = made[i]
        targets = {EXAMPLES[0][1], 1}
        assert len(scene.events) == 1
        hidden = [t for t, active in scene.hidden if active.any()]
        assert {scene.events[0].target, *hidden} <= targets
        n_both += bool(hidden) and hidden[0] != scene.events[0].target
    assert n_both > 3
    apart = [(tone(300, 4.0), 0), (tone(6_000, 4.0), 1)]  # each alone in its band: heard
    made = Soundscapes(apart, n_scenes=20, config=config)
    assert max(len({e.target for e in made[i].events}) for i in range(20)) == 2


def test_a_scene_without_sounds_may_hold_strangers_that_are_no_truth():
    config = PLAIN.replace(n_sounds=(1.0,), stranger_share=1.0)
    scene = scenes(config, strangers=[tone(900)])[0]
    assert (scene.events, scene.active, scene.strangers) == ((), (), (0,))
    assert power_at(scene.waveform, 900) > 1
    assert scenes(config)[0].waveform.abs().max() == 0


@pytest.mark.parametrize("at_once", [1, 2, 4])
def test_sounds_are_all_along_a_long_scene_and_only_so_many_at_once(at_once):
    config = PLAIN.replace(seconds=120.0, sounds_per_minute=20.0, max_at_once=at_once)
    scene = scenes(config, strangers=[tone(900)])[0]
    assert len(scene.clips) == 40
    n_sounding = sum(active.astype(int) for _, active in scene.active)
    assert n_sounding.max() <= at_once
    starts = np.array([event.start_seconds for event in scene.events])
    assert all(((starts >= a) & (starts < a + 30)).any() for a in (0, 30, 60, 90))
    assert list(starts) == sorted(starts)
    assert len(scene.strangers) > 1


def test_a_full_scene_leaves_out_what_finds_no_room():
    config = PLAIN.replace(seconds=10.0, sounds_per_minute=60.0, max_at_once=1)
    assert 5 <= len(scenes(config)[0].clips) < 10


def test_clips_alone_are_whole_and_hardly_disturbed():
    config = PLAIN.replace(seconds=5.0, clip_share=1.0, silent_share=0.0)
    scene = scenes(config)[0]
    assert scene.is_clip
    assert len(scene.events) == 1


def test_clips_of_silence_are_passed_over_and_a_list_of_nothing_else_is_refused():
    silent = [(torch.zeros(RATE), 0)]
    made = Soundscapes([*silent, *EXAMPLES], n_scenes=20, config=PLAIN)
    assert all(0 not in made[i].clips for i in range(20))
    with pytest.raises(DatasetError, match="nothing but silence"):
        Soundscapes(silent, n_scenes=1, config=PLAIN.replace(n_sounds=(0.0, 1.0)))[0]
    with pytest.raises(DatasetError, match="no clips"):
        Soundscapes([], n_scenes=1)


def test_bad_places_and_seeds_are_refused():
    with pytest.raises(IndexError):
        scenes(n_scenes=2)[2]
    with pytest.raises(ConfigError, match="seed must be"):
        scenes(seed=-1)


class Data(FoldedClips):
    name, labels, fold_numbers = "tones", ("low", "high"), (1, 2, 3)


@pytest.fixture
def data(tmp_path) -> Data:
    """Two clips a fold, of origins of their own, but for one that is in two folds."""
    clips = []
    for fold in (1, 2, 3):
        for target in (0, 1):
            path = tmp_path / f"{fold}-{target}.wav"
            soundfile.write(path, tone(500 * fold + 3_000 * target, 1.0).numpy(), RATE)
            origin = "shared" if (fold, target) in ((1, 1), (3, 0)) else path.stem
            clips.append(
                Clip(path=path, label=Data.labels[target], target=target, fold=fold, origin=origin)
            )
    dataset = Data()
    dataset.clips = tuple(clips)
    return dataset


def heard_hz(made: Soundscapes) -> set[int]:
    """Tones of all its clips."""
    found = set()
    for waveform, _ in made.examples:
        spectrum = np.abs(np.fft.rfft(waveform.numpy()))
        found.add(round(spectrum.argmax() * RATE / len(waveform) / 100) * 100)
    return found


def test_training_and_test_folds_are_never_mixed(data):
    test = Soundscapes.of_fold(data, 3, n_scenes=4, config=PLAIN)
    training = Soundscapes.of_fold(data, 3, training=True, n_scenes=4, config=PLAIN)
    assert heard_hz(test) == {1_500, 4_500}
    assert heard_hz(training) == {500, 1_000, 4_000}  # 3_500 is of a recording that fold 3 holds
    again = Soundscapes.of_fold(data, 3, n_scenes=4, config=PLAIN)
    assert all(torch.equal(test[i].waveform, again[i].waveform) for i in range(4))
    with pytest.raises(ConfigError, match="no clips in fold 4"):
        Soundscapes.of_fold(data, 4, n_scenes=1)


def test_a_clip_that_holds_another_label_is_in_no_scene(data):
    first, *others = data.clips
    data.clips = (replace(first, also=("high",)), *others)
    assert heard_hz(Soundscapes.of_fold(data, 3, training=True, n_scenes=8, config=PLAIN)) == {
        1_000,
        4_000,
    }
    data.clips = tuple(replace(clip, also=("wind",)) for clip in data.clips)
    with pytest.raises(DatasetError, match="no clips to make scenes of"):
        Soundscapes.of_fold(data, 3, n_scenes=1)


def test_what_is_printed_is_one_line_without_samples():
    made = scenes(n_scenes=4, seed=2)
    assert repr(made) == "Soundscapes(4 of 12 clips, 6.0 s each, seed 2)"
    n_events = len(made[0].events)
    assert repr(made[0]) == f"Scene(96000 samples, {n_events} events, 0 strangers)"
