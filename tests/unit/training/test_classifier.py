from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from soundsep.audio.level import level_db
from soundsep.audio.windows import pad_to
from soundsep.augment import Gain, Mask, Mixup, Noise
from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.errors import ConfigError, DatasetError, ShapeError, WeightsError
from soundsep.frontends import MelConfig, MelFrontend
from soundsep.models import NETWORKS
from soundsep.training import Recipe, Stage, classifier_task, loop, step, train
from soundsep.training import teacher as teacher_module
from soundsep.training.classifier_task import ClassifierTask
from soundsep.training.state import load_state, save_state
from soundsep.training.teacher import Teacher

FRONTEND = MelConfig(
    sample_rate=2_000, n_fft=128, win_length=128, hop_length=64, n_mels=8, f_min=0.0, f_max=1_000.0
)
LABELS = ("low", "high")


class Tiny(nn.Module):
    """Batch norm and dropout: all that a resumed run has to remember or to draw again."""

    embedding_dim = 16

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3), nn.BatchNorm2d(16), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(16, n_classes))

    def embed(self, features: Tensor) -> Tensor:
        return self.body(features.unsqueeze(1)).amax(dim=(-2, -1))

    def forward(self, features: Tensor) -> Tensor:
        return self.head(self.embed(features))


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch):
    monkeypatch.setitem(NETWORKS, "tiny", Tiny)


def recipe(network: str = "tiny", **changes) -> Recipe:
    settings = {
        "frontend": FRONTEND,
        "window_seconds": 1.0,
        "stages": (Stage(epochs=2, crop_seconds=0.5, n_candidates=2), Stage(epochs=2)),
        "batch_size": 4,
        "ema_decay": 0.8,
        "report_every": 2,
        "label_smoothing": 0.1,
        "waveform_steps": (Gain(max_db=6.0), Mixup(probability=0.5)),
        "feature_steps": (Mask(axis="time", n_masks=2),),
    }
    return Recipe(name="toy", description="", network=network, **(settings | changes))


def noise_clips(n: int = 8, seed: int = 0) -> list[tuple[Tensor, int]]:
    clips = torch.randn(n, 2_000, generator=torch.Generator().manual_seed(seed)) * 0.1
    return [(clip, i % 2) for i, clip in enumerate(clips)]


def tone_clips(n: int, seed: int = 0) -> list[tuple[Tensor, int]]:
    """Something to learn: tones below 300 Hz and above 600 Hz, in noise."""
    rng = np.random.default_rng(seed)
    time = torch.arange(2_000) / 2_000
    return [
        (torch.sin(2 * math.pi * hz * time) + 0.1 * clip, i % 2)
        for i, (clip, _) in enumerate(noise_clips(n, seed))
        for hz in [rng.uniform(100, 300) if i % 2 == 0 else rng.uniform(600, 900)]
    ]


def run(folder, a_recipe: Recipe | None = None, **changes):
    settings = {
        "labels": LABELS,
        "training": noise_clips(),
        "held_out": noise_clips(4, seed=9),
        "output": folder,
        "seed": 5,
        "progress": False,
    }
    return train(a_recipe or recipe(), **(settings | changes))


def rows(folder) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    a, b = one.state_dict(), other.state_dict()
    assert list(a) == list(b)
    assert [k for k in a if not torch.equal(a[k], b[k])] == []


def test_an_offset_of_the_clips_is_not_learnt(tmp_path):
    noisy = recipe(
        waveform_steps=(Mixup(probability=1.0), Noise(snr_db=(5.0, 5.0), probability=1.0)),
        stages=(Stage(epochs=2, crop_seconds=0.5, n_candidates=1),),
        network="cnn4",  # without dropout
    )
    # Loud and soft, so that the levels of mixtures tell.
    clips = [(0.1 ** (i % 4) * clip, target) for i, (clip, target) in enumerate(noise_clips())]
    losses = []
    for offset in (0.2, -0.5):  # whole windows of either have one
        moved = [(clip + offset, target) for clip, target in clips]
        run(tmp_path / str(offset), noisy, training=moved)
        losses.append([row["training_loss"] for row in rows(tmp_path / str(offset))])
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


class Killed(BaseException):
    """What no ``except Exception`` holds up."""


def kill_at(monkeypatch, epoch: int, *, before: bool) -> None:
    """Stop the run just before or just after the state of ``epoch`` (from 1) is written."""

    def dying(path, **kwargs):
        now = len(kwargs["notes"]["metrics"]) == epoch
        if now and before:
            path.with_suffix(".tmp").write_bytes(b"half a file")
            raise Killed
        save_state(path, **kwargs)
        if now:
            raise Killed

    monkeypatch.setattr(loop, "save_state", dying)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", Tiny)
        models = run(folder)
    return folder, models


@pytest.mark.parametrize(
    ("epoch", "before"),
    [
        (1, True),
        (1, False),
        (2, False),
        (3, True),
        (4, True),
        (4, False),
    ],
)
def test_killed_and_resumed_is_the_same_to_the_last_bit(
    whole, tmp_path, monkeypatch, epoch, before
):
    folder, (last, ema) = whole
    with monkeypatch.context() as patch:
        kill_at(patch, epoch, before=before)
        with pytest.raises(Killed):
            run(tmp_path)
    resumed_last, resumed_ema = run(tmp_path)
    assert_same_weights(resumed_last, last)
    assert_same_weights(resumed_ema, ema)
    assert rows(tmp_path) == rows(folder)


def test_a_seeded_run_gives_the_figures_that_it_gave_before_the_loop_was_shared(whole):
    losses = [row["training_loss"] for row in rows(whole[0])]
    assert losses == pytest.approx([1.868432, 2.080862, 1.541993, 1.189292], rel=1e-4)
    # The order in which a mel band is summed moves it by 3e-4, training being what it is.
    assert rows(whole[0])[-1]["held_out_loss"] == pytest.approx(1.436134, rel=1e-3)


def test_resnet_is_resumed_to_the_last_bit(tmp_path, monkeypatch):
    short = recipe("resnet18", stages=(Stage(epochs=2),), bfloat16=True)
    last, ema = run(tmp_path / "whole", short)
    with monkeypatch.context() as patch:
        kill_at(patch, 1, before=False)
        with pytest.raises(Killed):
            run(tmp_path / "killed", short)
    resumed_last, resumed_ema = run(tmp_path / "killed", short)
    assert_same_weights(resumed_last, last)
    assert_same_weights(resumed_ema, ema)


def test_finished_run_is_loaded_and_not_trained_again(whole, monkeypatch):
    folder, (last, ema) = whole
    monkeypatch.setattr(ClassifierTask, "loss", lambda *_: pytest.fail("trained again"))
    again_last, again_ema = run(folder)
    assert_same_weights(again_last, last)
    assert_same_weights(again_ema, ema)
    assert len(rows(folder)) == 4


def test_seed_decides_the_weights(whole, tmp_path):
    _, (last, _) = whole
    other, _ = run(tmp_path, seed=6)
    assert not torch.equal(other.network.head[1].weight, last.network.head[1].weight)


def test_models_come_back_ready_for_use(whole):
    _, (last, ema) = whole
    assert not last.training
    assert not ema.training
    assert last.labels == LABELS
    assert not torch.equal(ema.network.head[1].weight, last.network.head[1].weight)


def test_held_out_clips_are_reported_when_asked_and_at_the_end(whole):
    folder, _ = whole
    reported = [row["epoch"] for row in rows(folder) if "held_out_accuracy" in row]
    assert reported == [2, 4]
    assert all(0 <= row["held_out_accuracy_last"] <= 1 for row in rows(folder)[1::2])
    assert json.loads((folder / "recipe.json").read_text(encoding="utf-8"))["seed"] == 5


def test_held_out_clips_never_touch_the_weights(whole, tmp_path):
    _, (last, ema) = whole
    other_last, other_ema = run(tmp_path, held_out=[])
    assert_same_weights(other_last, last)
    assert_same_weights(other_ema, ema)
    assert all(row.keys() == {"epoch", "training_loss"} for row in rows(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 6},
        {"labels": ("high", "low")},
        {"training": noise_clips(9)},
        {"learning_rate": 1e-4},
        {"stages": (Stage(epochs=5),)},
        {"network": "cnn4"},
    ],
    ids=["seed", "labels", "training", "rate", "stages", "network"],
)
def test_folder_of_another_run_is_refused_and_left_alone(whole, changes):
    folder, _ = whole
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    of_recipe = ("learning_rate", "stages", "network")
    a_recipe = recipe(**{k: v for k, v in changes.items() if k in of_recipe})
    rest = {k: v for k, v in changes.items() if k not in of_recipe}
    with pytest.raises(ConfigError, match="other settings"):
        run(folder, a_recipe, **rest)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize(
    "damage", ["cut", "garbage", "empty", "no notes", "other notes", "other network"]
)
def test_damaged_state_is_refused(whole, tmp_path, damage):
    folder, _ = whole
    content = (folder / "state.safetensors").read_bytes()
    state = tmp_path / "state.safetensors"
    if damage == "no notes":
        save_file(load_file(folder / "state.safetensors"), state)
    elif damage.startswith("other"):
        other, ema = nn.Linear(2, 2), nn.Linear(2, 2)
        optimizer = torch.optim.AdamW(other.parameters())
        with safe_open(folder / "state.safetensors", framework="pt") as file:
            notes = json.loads(file.metadata()["notes"]) if damage == "other network" else {}
        save_state(state, model=other, ema=ema, optimizer=optimizer, notes=notes)
    else:
        state.write_bytes({"cut": content[:-100], "garbage": b"x" * 1000, "empty": b""}[damage])
    with pytest.raises(WeightsError, match=r"(?s)cannot resume from .* delete the file"):
        run(tmp_path)


NOTES = {"settings": {"a": [1, "ü"]}, "metrics": [{"epoch": 1}]}


def test_state_there_and_back(tmp_path):
    def new() -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
        model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        return model, nn.Linear(3, 2), torch.optim.AdamW(model.parameters(), fused=True)

    model, ema, optimizer = new()
    model(torch.randn(5, 3)).square().sum().backward()
    optimizer.step()
    path = tmp_path / "state.safetensors"
    save_state(path, model=model, ema=ema, optimizer=optimizer, notes=NOTES)
    other_model, other_ema, other_optimizer = new()
    others = {"model": other_model, "ema": other_ema, "optimizer": other_optimizer}
    assert load_state(path, settings={"a": [1, "ü"]}, **others) == [{"epoch": 1}]
    assert_same_weights(other_model, model)
    assert_same_weights(other_ema, ema)
    saved, loaded = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert saved.keys() == loaded.keys()
    for index, moments in saved.items():
        for name, value in moments.items():
            assert torch.equal(loaded[index][name], value)
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_random_state_of_the_caller_is_untouched(tmp_path):
    state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002  # what is watched
    run(tmp_path, recipe(stages=(Stage(epochs=1),)))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002  # the same


def test_callers_random_state_does_not_change_the_run(whole, tmp_path):
    _, (last, _) = whole
    torch.manual_seed(1234)
    other, _ = run(tmp_path)
    assert_same_weights(other, last)


def test_training_leaves_the_clips_alone(tmp_path):
    clips = noise_clips()
    before = [clip.clone() for clip, _ in clips]
    run(tmp_path, training=clips)
    assert all(torch.equal(clip, b) for (clip, _), b in zip(clips, before, strict=True))


def test_toy_task_is_learnt(tmp_path):
    learnable = recipe(
        stages=(Stage(epochs=25),), learning_rate=1e-2, waveform_steps=(), report_every=100
    )
    training, held_out = tone_clips(16), tone_clips(12, seed=1)
    run(tmp_path, learnable, training=training, held_out=held_out)
    losses = [row["training_loss"] for row in rows(tmp_path)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:3])
    assert rows(tmp_path)[-1]["held_out_accuracy_last"] >= 0.9
    assert rows(tmp_path)[-1]["held_out_accuracy"] >= 0.9


def test_rate_rises_to_its_peak_and_falls_to_almost_nothing(tmp_path, monkeypatch):
    rates: list[float] = []
    stepped = torch.optim.AdamW.step

    def watched(optimizer, *args):
        rates.append(optimizer.param_groups[0]["lr"])
        assert len({group["lr"] for group in optimizer.param_groups}) == 1
        return stepped(optimizer, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    peak = 2e-3
    run(tmp_path, recipe(stages=(Stage(epochs=20),), learning_rate=peak, warmup=0.25))
    assert len(rates) == 40  # 2 steps of 4 clips an epoch
    assert rates[0] == pytest.approx(0.04 * peak)
    assert rates.index(max(rates)) == 10
    assert max(rates) == pytest.approx(peak)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.01 * peak


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_rate_with_no_rise_or_no_fall(warmup):
    shares = [step.rate_share(recipe(warmup=warmup), p) for p in (0.0, 0.5, 0.999)]
    assert shares == sorted(shares, reverse=warmup == 0)
    assert max(shares) == pytest.approx(1, rel=1e-3)


def test_a_step_schedule_falls_to_a_tenth():
    stepped = recipe(stages=(Stage(epochs=5),), schedule="step", step_epochs=2)
    shares = [step.rate_share(stepped, i / 5) for i in range(5)]
    assert shares == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_whole_clips_are_rolled_unless_the_stage_says_not(tmp_path, monkeypatch):
    heard: list[Tensor] = []

    def watched(self, waveform):
        heard.append(waveform)
        return forward(self, waveform)

    forward = MelFrontend.forward
    monkeypatch.setattr(MelFrontend, "forward", watched)
    clips = noise_clips(4)
    whole = torch.stack([clip for clip, _ in clips])
    for is_rolled in (False, True):
        heard.clear()
        stages = (Stage(epochs=1, is_rolled=is_rolled),)
        plain = recipe(stages=stages, waveform_steps=(), feature_steps=())
        run(tmp_path / str(is_rolled), plain, training=clips, held_out=())
        first = torch.cat(heard)[:4, 0]
        assert torch.equal(first.sort()[0], whole[:, 0].sort()[0]) != is_rolled


def test_features_that_never_change_are_computed_once_and_kept(tmp_path, monkeypatch):
    heard = []
    forward = MelFrontend.forward

    def watched(self, waveform):
        heard.append(len(waveform))
        return forward(self, waveform)

    monkeypatch.setattr(MelFrontend, "forward", watched)
    plain = recipe(stages=(Stage(epochs=3, is_rolled=False),), waveform_steps=(), n_variants=2)

    def trained(name: str) -> tuple[list[dict], int]:
        heard.clear()
        run(tmp_path / name, plain, held_out=(), cache=tmp_path / "cache")
        return rows(tmp_path / name), sum(heard)

    first, n_first = trained("first")
    again, n_again = trained("again")
    assert (n_first, n_again) == (8, 0)
    assert again == first
    monkeypatch.setattr(classifier_task, "fixed_features", lambda *_, **__: None)
    computed, n_computed = trained("computed")
    assert n_computed == 8 * 2 * 3
    for a, b in zip(first, computed, strict=True):
        assert a["training_loss"] == pytest.approx(b["training_loss"], abs=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"waveform_steps": (Gain(max_db=6.0),)},
        {"stages": (Stage(epochs=1),)},
        {"stages": (Stage(epochs=1, crop_seconds=0.5),)},
        {"teacher": "audioset-mn04"},
    ],
)
def test_what_makes_features_change(changes):
    plain = {"stages": (Stage(epochs=1, is_rolled=False),), "waveform_steps": ()}
    assert recipe(**plain).has_fixed_features
    assert not recipe(**(plain | changes)).has_fixed_features


def test_variants_and_balance_decide_what_an_epoch_hears(tmp_path, monkeypatch):
    """Two clips of the second class, six of the first."""
    heard: list[int] = []
    weights: list[Tensor | None] = []
    loss = ClassifierTask.loss

    def watched(task, batch):
        heard.extend(target for _, target in batch.clips)
        weights.append(batch.class_weight)
        return loss(task, batch)

    monkeypatch.setattr(ClassifierTask, "loss", watched)
    clips = [(clip, int(i > 5)) for i, (clip, _) in enumerate(noise_clips())]
    settings = {"stages": (Stage(epochs=1),), "waveform_steps": (), "n_variants": 3}
    counts = {}
    for balance in ("none", "weights", "sampler"):
        heard.clear()
        weights.clear()
        run(tmp_path / balance, recipe(**settings, balance=balance), training=clips)
        counts[balance] = [heard.count(0), heard.count(1)]
        if balance == "weights":
            torch.testing.assert_close(weights[0], torch.tensor([2 / 3, 2.0]))
        else:
            assert weights[0] is None
    assert counts == {"none": [18, 6], "weights": [18, 6], "sampler": [12, 12]}


def test_figures_of_every_epoch_are_handed_on(tmp_path):
    seen: list[dict] = []
    run(tmp_path, recipe(report_every=1, ema_decay=0.0), on_epoch=seen.append)
    assert [row["epoch"] for row in seen] == [1, 2, 3, 4]
    figures = {"loss", "accuracy", "macro_precision", "macro_recall", "macro_f1"}
    assert {f"held_out_{name}" for name in figures} < set(seen[0])
    assert "held_out_accuracy_last" not in seen[0]  # nothing is averaged, so there is but one


def test_averaged_weights_follow_the_definition():
    ema, model = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(1.0)
        model.num_batches_tracked.fill_(7)
    step.average_weights(step.weight_pairs(ema, model), 0.75)
    assert ema.weight.tolist() == [1.5, 1.5]
    assert ema.running_mean.tolist() == [0.25, 0.25]
    assert int(ema.num_batches_tracked) == 7


def test_a_short_run_does_not_stay_where_it_started(tmp_path):
    """With the full decay eight steps would move the average by a hundredth of the way."""
    initial = toy_classifier()
    a_recipe = recipe(ema_decay=0.999, backbone="someone")
    last, ema = run(tmp_path, a_recipe, initial=initial)
    name = "network.body.0.weight"
    start, end, average = (m.state_dict()[name] for m in (initial, last, ema))
    assert 0.3 < float((average - start).norm() / (end - start).norm()) < 1
    assert step.early_decay(0.999, 100_000) == 0.999
    assert step.early_decay(0.0, 1) == 0.0


def test_weight_decay_spares_scales_and_biases():
    decayed, spared = step.make_optimizer(Tiny(2), recipe(weight_decay=0.3)).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0.0)
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in spared["params"]} == {1}


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_clips_are_refused(tmp_path, n):
    with pytest.raises(DatasetError, match=f"at least 2 clips, got {n}"):
        run(tmp_path / "new", training=noise_clips()[:n])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("rate", [1e30, 1e38])
def test_a_training_that_diverges_is_stopped_before_it_is_written_down(tmp_path, rate):
    with pytest.raises(WeightsError, match=r"diverged at step \d; lower learning_rate"):
        run(tmp_path, recipe(learning_rate=rate))
    assert not (tmp_path / "state.safetensors").exists()
    assert not rows(tmp_path)


@pytest.mark.parametrize("clips", ["training", "held_out"])
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ((torch.zeros(2_000), 2), DatasetError),
        ((torch.zeros(2_000), -1), DatasetError),
        ((torch.zeros(1, 2_000), 0), ShapeError),
        ((torch.zeros(0), 0), ShapeError),
        ((torch.zeros(2_000, dtype=torch.float64), 0), ShapeError),
        ((np.zeros(2_000, np.float32), 0), ShapeError),
    ],
)
def test_clips_that_do_not_fit_are_refused(tmp_path, clips, wrong, error):
    with pytest.raises(error, match="clip"):
        run(tmp_path / "new", **{clips: [*noise_clips(4), wrong]})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_out_of_range_are_refused(tmp_path, seed):
    with pytest.raises(ConfigError, match="seed must be"):
        run(tmp_path, seed=seed)


def toy_classifier(seed: int = 0, **changes) -> Classifier:
    torch.manual_seed(seed)
    settings = {"labels": LABELS, "network": "tiny", "frontend": FRONTEND, "window_seconds": 1.0}
    return Classifier(ClassifierConfig(**(settings | {"hop_seconds": 0.5} | changes))).eval()


def test_training_starts_from_the_weights_it_is_given(tmp_path):
    initial = toy_classifier()
    before = copy.deepcopy(initial)
    slow = recipe(learning_rate=1e-9, freeze_batch_norm=True)
    last, ema = run(tmp_path, slow, initial=initial)
    assert_same_weights(initial, before)
    for name, value in initial.state_dict().items():
        torch.testing.assert_close(last.state_dict()[name], value, atol=1e-6, rtol=0)
        torch.testing.assert_close(ema.state_dict()[name], value, atol=1e-6, rtol=0)


def test_an_initial_classifier_keeps_its_own_settings(tmp_path):
    initial = toy_classifier(window_seconds=0.5, hop_seconds=0.25, padding="zero")
    assert run(tmp_path, initial=initial)[0].config == initial.config
    written = json.loads((tmp_path / "recipe.json").read_text(encoding="utf-8"))
    assert written["recipe"]["window_seconds"] == 0.5


def test_what_was_chosen_for_the_scores_of_an_initial_classifier_is_not_kept(tmp_path):
    initial = toy_classifier(temperature=2.0, unknown_below=0.5)
    config = run(tmp_path, initial=initial)[0].config
    assert (config.temperature, config.unknown_below) == (1.0, None)
    assert initial.config.temperature == 2.0


def test_soft_clips_are_raised_to_the_level_of_an_initial_classifier(tmp_path, monkeypatch):
    """The trained model, which has its config, will hear them so."""
    heard = []

    def stop(task: ClassifierTask) -> None:
        heard.extend(task.training)
        raise Killed

    monkeypatch.setattr(ClassifierTask, "prepare", stop)
    soft, loud = noise_clips()[0], (noise_clips()[1][0] * 10, 1)
    with pytest.raises(Killed):
        run(
            tmp_path,
            initial=toy_classifier(clip_level_db=-15.0),
            training=[(soft[0] * 1e-3, 0), soft, loud],
        )
    levels = [level_db(clip, sample_rate=2_000) for clip, _ in heard]
    assert levels[:2] == pytest.approx([-15, -15], abs=0.01)
    assert torch.equal(heard[2][0], loud[0])
    assert [target for _, target in heard] == [0, 0, 1]


def test_heads_that_were_fitted_to_the_clips_may_differ_in_their_last_digits(tmp_path):
    helped, initial, teacher = recipe(backbone="it", **TAUGHT), toy_classifier(), toy_classifier(3)
    expected, _ = run(tmp_path, helped, initial=initial, teacher=teacher)
    with torch.no_grad():
        for model in (initial, teacher):
            model.network.head[1].weight *= 1 + 1e-6
    again, _ = run(tmp_path, helped, initial=initial, teacher=teacher)
    assert_same_weights(again, expected)
    with pytest.raises(ConfigError, match="other settings"):
        run(tmp_path, helped, initial=toy_classifier(1), teacher=teacher)


def test_batch_norm_statistics_move_unless_they_are_frozen(tmp_path):
    initial = toy_classifier()
    name = "network.body.1.running_mean"
    frozen, _ = run(tmp_path / "frozen", recipe(freeze_batch_norm=True), initial=initial)
    assert torch.equal(frozen.state_dict()[name], initial.state_dict()[name])
    free, _ = run(tmp_path / "free", initial=initial)
    assert not torch.allclose(free.state_dict()[name], initial.state_dict()[name], atol=1e-3)


def test_the_first_layers_can_be_left_as_they_are(tmp_path):
    initial = toy_classifier()
    last, ema = run(tmp_path, recipe(frozen_share=0.5), initial=initial)
    for model in (last, ema):
        moved = {
            name
            for name, value in model.state_dict().items()
            if not torch.equal(value, initial.state_dict()[name])
        }
        assert moved
        assert not {name for name in moved if name.startswith("network.body.0.")}
        assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_result_can_lie_between_the_weights_before_and_after(tmp_path, share):
    initial = toy_classifier()
    named = recipe(backbone="someone", initial_share=share)
    _, far = run(tmp_path / "far", named.replace(initial_share=0.0), initial=initial)
    _, between = run(tmp_path / "between", named, initial=initial)
    before, after = initial.state_dict(), far.state_dict()
    for name, value in between.state_dict().items():
        wanted = torch.lerp(after[name].double(), before[name].double(), share)
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), wanted, atol=1e-6, rtol=1e-5)
    assert rows(tmp_path / "between")[:-1] == rows(tmp_path / "far")[:-1]
    _, again = run(tmp_path / "between", named, initial=initial)  # finished: nothing is averaged
    assert_same_weights(between, again)


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="backbone"):
        recipe(initial_share=0.5)


@pytest.mark.parametrize("is_fixed", [True, False])
def test_a_short_clip_is_heard_as_the_model_will_hear_it(tmp_path, is_fixed, monkeypatch):
    """Reflected, and not repeated, up to the length of a window."""
    plain = recipe(
        stages=(Stage(epochs=1, is_rolled=False),),
        waveform_steps=() if is_fixed else (Gain(max_db=0.0),),
        feature_steps=(),
    )
    assert plain.has_fixed_features is is_fixed
    heard = []
    frontend = type(toy_classifier().frontend)
    forward = frontend.forward

    def watched(self, waveform):
        heard.extend(waveform.detach().clone())
        return forward(self, waveform)

    monkeypatch.setattr(frontend, "forward", watched)
    short = [(clip[:1_200], target) for clip, target in noise_clips()]
    run(tmp_path, plain, training=short, held_out=())
    wanted = [pad_to(clip, 2_000, padding="reflect") for clip, _ in short]
    assert len(heard) == len(wanted)
    for waveform in heard:
        assert any(torch.allclose(waveform, other, atol=1e-6) for other in wanted)


TAUGHT = {"teacher": "someone", "teacher_share": 1.0, "embedding_weight": 1.0}


def test_a_teacher_that_knows_better_than_the_labels_is_believed(tmp_path):
    """All labels are wrong; only the teacher can lead the student to the right answers."""
    clips = tone_clips(32)
    learnt = {"stages": (Stage(epochs=25),), "learning_rate": 2e-2, "waveform_steps": ()}
    teacher, _ = run(tmp_path / "teacher", recipe(**learnt), training=clips, held_out=())
    swapped = [(clip, 1 - target) for clip, target in clips]
    student, _ = run(
        tmp_path / "student",
        recipe(**learnt, **TAUGHT),
        training=swapped,
        held_out=tone_clips(24, seed=3),
        teacher=teacher,
    )
    assert rows(tmp_path / "teacher")[-1]["training_loss"] < 0.65
    assert rows(tmp_path / "student")[-1]["held_out_accuracy_last"] > 0.8
    assert student.labels == LABELS


def test_the_teacher_stays_as_it_is_and_the_student_has_no_trace_of_it(tmp_path):
    teacher = toy_classifier(seed=3)
    before = copy.deepcopy(teacher)
    student, _ = run(tmp_path, recipe(**TAUGHT), teacher=teacher)
    assert_same_weights(teacher, before)
    assert list(student.state_dict()) == list(toy_classifier().state_dict())


def test_a_taught_run_resumes_with_the_same_weights(tmp_path, monkeypatch):
    taught, teacher = recipe(**TAUGHT), toy_classifier(seed=3)
    expected, _ = run(tmp_path / "whole", taught, teacher=teacher)
    kill_at(monkeypatch, 3, before=False)
    with pytest.raises(Killed):
        run(tmp_path / "killed", taught, teacher=teacher)
    monkeypatch.undo()
    monkeypatch.setitem(NETWORKS, "tiny", Tiny)
    resumed, _ = run(tmp_path / "killed", taught, teacher=teacher)
    assert_same_weights(resumed, expected)
    with pytest.raises(ConfigError, match="other settings"):
        run(tmp_path / "killed", taught, teacher=toy_classifier(seed=4))


def test_a_teacher_hears_its_own_rate(tmp_path):
    other = FRONTEND.replace(sample_rate=4_000, f_max=2_000.0)
    teacher = toy_classifier(frontend=other)
    guide = Teacher(teacher, [clip for clip, _ in noise_clips()], sample_rate=2_000)
    waveform = torch.sin(2 * math.pi * 200 * torch.arange(2_000) / 2_000)[None]
    doubled = torch.sin(2 * math.pi * 200 * torch.arange(4_000) / 4_000)[None]
    probabilities, _ = guide(waveform, bfloat16=False)
    torch.testing.assert_close(probabilities, teacher.predict(doubled), atol=5e-3, rtol=0)


def test_a_teacher_answers_as_in_use_and_learns_nothing():
    clips = [clip for clip, _ in noise_clips()]
    guide = Teacher(toy_classifier().train(), clips, sample_rate=2_000)
    assert not any(parameter.requires_grad for parameter in guide.parameters())
    waveforms = torch.stack(clips)
    probabilities, _ = guide(waveforms, bfloat16=False)
    torch.testing.assert_close(probabilities, toy_classifier().predict(waveforms))


@pytest.mark.parametrize(
    "changes",
    [{}, {"clip_level_db": 0.0}, {"frontend": FRONTEND.replace(sample_rate=4_000, f_max=2_000.0)}],
)
def test_a_teacher_s_embeddings_are_standardised_over_the_training_clips(changes):
    clips = [clip for clip, _ in noise_clips()]
    guide = Teacher(toy_classifier(**changes), clips, sample_rate=2_000)
    _, embeddings = guide(torch.stack(clips), bfloat16=False)
    torch.testing.assert_close(embeddings.mean(dim=0), torch.zeros(16), atol=1e-4, rtol=0)
    assert ((embeddings.std(dim=0, correction=0) - 1).abs() < 1e-3).any()


def test_a_teacher_s_means_lie_where_its_network_does(monkeypatch):
    rows = [(i, torch.randn(16)) for i in range(3)]  # on the CPU, as they always come
    monkeypatch.setattr(teacher_module, "embed_windows", lambda *_, **__: rows)
    guide = Teacher(toy_classifier().to("meta"), [torch.zeros(2_000)] * 3, sample_rate=2_000)
    assert guide.mean.device.type == guide.scale.device.type == "meta"


@pytest.mark.parametrize(
    ("changes", "helpers", "message"),
    [
        (TAUGHT, {}, "needs the teacher 'someone'"),
        ({}, {"teacher": {}}, "has no teacher"),
        ({"backbone": "something"}, {}, "starts from 'something'"),
        ({}, {"initial": {"labels": ("high", "low")}}, "initial classifier knows other labels"),
        (TAUGHT, {"teacher": {"labels": ("low", "high", "x")}}, "teacher knows other labels"),
    ],
)
def test_helpers_that_do_not_fit_are_refused(tmp_path, changes, helpers, message):
    given = {name: toy_classifier(**settings) for name, settings in helpers.items()}
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, recipe(**changes), **given)
