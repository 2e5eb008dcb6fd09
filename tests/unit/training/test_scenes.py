from __future__ import annotations

import dataclasses
import functools
import itertools
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from soundsep import Classifier, ClassifierConfig, augment
from soundsep.datasets import SoundscapeConfig
from soundsep.errors import ConfigError, DatasetError, WeightsError
from soundsep.frontends import KaldiMelConfig
from soundsep.training import (
    SceneModel,
    SceneRecipe,
    load_tags_head,
    loop,
    scene_batches,
    scene_task,
    train_scenes,
    train_scenes_together,
)
from soundsep.training.pace import Pace
from soundsep.training.scene_batches import SceneBatch
from soundsep.training.scene_task import SceneLearner, SceneLoss

RATE = 8_000
RECIPE = SceneRecipe(
    scenes=SoundscapeConfig(
        sample_rate=RATE, seconds=1.0, n_sounds=(0.2, 0.4, 0.4), clip_share=0.3, cut=0.5
    ),
    n_steps=2,
    batch_size=4,
    steps_per_save=1,
    n_frozen=2,
)


def model() -> Classifier:
    torch.manual_seed(0)
    return Classifier(
        ClassifierConfig(
            labels=("low", "high"),
            network="mn04-frames",
            frontend=KaldiMelConfig(
                sample_rate=RATE,
                n_fft=256,
                win_length=200,
                hop_length=80,
                f_max=8_000.0,
                level_db=20.0,
            ),
            activation="sigmoid",
            window_seconds=1.0,
            hop_seconds=0.5,
        )
    ).eval()


def tones() -> list[tuple[torch.Tensor, int]]:
    time = torch.arange(RATE) / RATE
    return [
        (0.3 * torch.sin(6.2832 * hz * time) * (time < 0.7), int(hz > 1_000))
        for hz in (200.0, 300.0, 2_000.0, 3_000.0)
    ]


RECORDED = [[1.3863, 1.3863, 0.1733, 3.4104], [1.3863, 1.3863, 0.1732, 3.4102]]


def run(output, *, recipe=RECIPE, examples=None, n_tags=5, seed=0, tags=None):
    examples = tones() if examples is None else examples
    tags = torch.zeros(len(examples), n_tags) if tags is None else tags
    torch.manual_seed(1)
    head = nn.Linear(384, n_tags)
    return train_scenes(
        recipe,
        model(),
        head,
        examples,
        clip_tags=tags,
        output=output,
        strangers=[0.1 * torch.randn(RATE, generator=torch.Generator().manual_seed(2))],
        stranger_tags=torch.zeros(1, n_tags),
        seed=seed,
        progress=False,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One run, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_batches, "N_LOADERS", 0)
        return run(folder), folder


def test_later_layers_learn_and_the_first_stay_as_they_are(whole):
    before, after = model().state_dict(), whole[0].last.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert not {key for key in moved if "running" in key}  # batch norms keep their statistics
    assert not {key for key in moved if key.startswith(("network.stem", "network.blocks.1."))}
    assert {"network.head.weight", "network.attention.weight"} <= moved
    assert any(key.startswith("network.blocks.14.") for key in moved)
    rows = [json.loads(line) for line in (whole[1] / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    # As it was before all trainings shared one loop.
    losses = [[row[name] for name in ("frames", "scenes", "one", "tags")] for row in rows]
    assert losses == [pytest.approx(row, abs=1e-3) for row in RECORDED]
    moved = [
        m.state_dict()["network.head.weight"] - before["network.head.weight"] for m in whole[0]
    ]
    assert [float(m.abs().mean()) for m in moved] == pytest.approx([3.933e-4, 3.218e-4], rel=1e-2)


def test_a_second_stage_starts_with_the_head_of_tags_of_the_first(whole):
    head = nn.Linear(384, 5)
    load_tags_head(whole[1] / "state.safetensors", head)
    state = load_file(whole[1] / "state.safetensors")
    assert torch.equal(head.weight, state["ema.tags_head.weight"])
    assert torch.equal(head.bias, state["ema.tags_head.bias"])
    with pytest.raises(WeightsError, match="head of tags"):
        load_tags_head(whole[1] / "state.safetensors", nn.Linear(384, 4))
    with pytest.raises(WeightsError, match="metrics"):
        load_tags_head(whole[1] / "metrics.jsonl", head)


def test_masks_dropout_and_smoothing_change_what_is_learnt(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(scene_batches, "N_LOADERS", 0)
    options = {"mask_share": 0.5, "dropout": 0.5, "smoothing": 0.5}
    heads = [whole[0].last.network.head.weight]
    for name, value in options.items():
        recipe = dataclasses.replace(RECIPE, **{name: value})
        first, again = (run(tmp_path / f"{name}{i}", recipe=recipe) for i in range(2))
        assert torch.equal(first.last.network.head.weight, again.last.network.head.weight)
        heads.append(first.last.network.head.weight)
    for a, b in itertools.combinations(heads, 2):
        assert not torch.equal(a, b)
    with pytest.raises(ConfigError, match="dropout"):
        SceneRecipe(dropout=1.0)


def test_a_killed_run_goes_on_to_the_same_weights(whole, tmp_path, monkeypatch):
    kept = loop.save_state
    monkeypatch.setattr(scene_batches, "N_LOADERS", 0)

    def killed(*args, **kwargs):
        kept(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    monkeypatch.setattr(loop, "save_state", kept)
    resumed = run(tmp_path).ema.state_dict()
    assert all(torch.equal(v, resumed[k]) for k, v in whole[0].ema.state_dict().items())


def test_a_run_does_not_go_on_with_other_clips(whole):
    with pytest.raises(ConfigError, match="other settings"):
        run(whole[1], examples=tones()[1:] + tones()[:1])
    with pytest.raises(ConfigError, match="other settings"):
        run(whole[1], seed=1)


@pytest.mark.parametrize(
    "change", [lambda t: t.flip(0), lambda t: 0.9 * t, lambda t: torch.cat([t, 0 * t], dim=1)]
)
def test_a_run_does_not_go_on_with_other_answers_of_the_teacher(tmp_path, monkeypatch, change):
    monkeypatch.setattr(scene_batches, "N_LOADERS", 0)
    tags = torch.rand(4, 5, generator=torch.Generator().manual_seed(4))
    finished = weights_of(run(tmp_path, tags=tags))
    other = change(tags)
    with pytest.raises(ConfigError, match="other settings"):
        run(tmp_path, tags=other, n_tags=other.shape[1])
    # Another machine computes the same answers with other last digits.
    assert torch.equal(weights_of(run(tmp_path, tags=tags + 1e-6)), finished)


def test_a_run_does_not_go_on_with_other_embeddings_while_these_are_learnt(tmp_path):
    wanted = torch.randn(4, 1536, generator=torch.Generator().manual_seed(3))
    near = dataclasses.replace(RECIPE, embedding_weight=1.0)
    together(tmp_path / "near", {"m": (near, 0)}, embeddings=wanted)
    with pytest.raises(ConfigError, match="other settings"):
        together(tmp_path / "near", {"m": (near, 0)}, embeddings=wanted.flip(0))
    together(tmp_path / "free", {"m": (RECIPE, 0)}, embeddings=wanted)
    together(tmp_path / "free", {"m": (RECIPE, 0)}, embeddings=wanted.flip(0))  # not learnt


def varied_features():
    return torch.rand(2, 128, 101, generator=torch.Generator().manual_seed(5))


def hidden(monkeypatch, *, step, seed):
    """What a step hides: bands of the features, and channels of the last map."""
    learner = SceneLearner(model(), nn.Linear(384, 5)).eval()
    features = varied_features()
    n_frames = learner.network.embed_frames(features).shape[1]
    batch = SceneBatch(
        waveform=torch.zeros(2, RATE),
        presence=torch.zeros(2, n_frames, 2),
        weight=torch.ones(2, n_frames, 2),
        clip_presence=torch.zeros(2, 2),
        clip_weight=torch.ones(2, 2),
        tags=torch.zeros(2, 5),
        clip=torch.tensor([-1, -1]),
        fold=torch.tensor([1, 1]),
        step=torch.tensor(step),
    )
    seen = {}
    network = learner.network
    embed, pooled = network.embed_frames, network.pooled
    monkeypatch.setattr(
        network, "embed_frames", lambda x: (seen.update(bands=x != features), embed(x))[1]
    )
    monkeypatch.setattr(
        network, "pooled", lambda x: (seen.update(channels=(x == 0).all(dim=1)), pooled(x))[1]
    )
    recipe = dataclasses.replace(RECIPE, mask_share=0.5, dropout=0.5)
    SceneLoss(learner, recipe, 0, None, [1], seed=seed)(batch, features)
    return seen["bands"], seen["channels"]


def test_what_is_hidden_follows_the_step_and_the_seed(monkeypatch):
    first = hidden(monkeypatch, step=3, seed=0)
    for bands_or_channels, again in zip(first, hidden(monkeypatch, step=3, seed=0), strict=True):
        assert torch.equal(bands_or_channels, again)
        assert 0 < bands_or_channels.float().mean() < 1
    for other in (hidden(monkeypatch, step=3, seed=1), hidden(monkeypatch, step=4, seed=0)):
        assert not torch.equal(first[0], other[0])
        assert not torch.equal(first[1], other[1])
    # As before the seed counted, so that an older run with the default seed goes on as it began.
    features, rng = varied_features(), np.random.default_rng(3)
    masked = augment.mask(features, dim=1, max_width=64, n_masks=2, rng=rng)
    assert torch.equal(first[0], masked != features)


@pytest.mark.parametrize(
    "change", [{"n_steps": 0}, {"learning_rate": 1.0}, {"ema_decay": 1.0}, {"n_frozen": -1}]
)
def test_settings_that_cannot_be_run_are_refused(change):
    with pytest.raises(ConfigError, match=f"SceneRecipe.{next(iter(change))} must be"):
        SceneRecipe(**change)


def together(output, models, *, folds=(1, 1, 2, 2), examples=None, embeddings=None, seconds=None):
    examples = tones() if examples is None else examples
    torch.manual_seed(1)
    return train_scenes_together(
        {
            name: SceneModel(
                recipe=recipe, initial=model(), held_out=fold, clip_embeddings=embeddings
            )
            for name, (recipe, fold) in models.items()
        },
        nn.Linear(384, 5),
        examples,
        folds,
        clip_tags=torch.zeros(len(examples), 5),
        output=output,
        n_loaders=0,
        seconds=seconds,
        progress=False,
    )


BOTH = [((200.0, 0), 1), ((2_000.0, 1), 1), ((300.0, 0), 2), ((3_000.0, 1), 2)]


def two_folds(other=300.0):
    """Each class in each fold; a clip of the second may be another one."""
    time = torch.arange(RATE) / RATE
    return [
        (0.3 * torch.sin(6.2832 * (other if hz == 300.0 else hz) * time) * (time < 0.7), target)
        for (hz, target), _ in BOTH
    ]


def weights_of(trained):
    return trained.last.state_dict()["network.head.weight"]


def test_a_model_never_hears_the_fold_that_is_held_out(tmp_path):
    models = {"one": (RECIPE, 1), "two": (RECIPE, 2), "all": (RECIPE, 0)}
    first = together(tmp_path / "a", models, examples=two_folds())
    second = together(tmp_path / "b", models, examples=two_folds(other=700.0))  # in fold 2
    apart = {n: float((weights_of(first[n]) - weights_of(second[n])).abs().max()) for n in models}
    assert apart["one"] > 1e-5
    assert apart["all"] > 1e-5
    assert apart["two"] < 1e-5
    rows = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    assert [[*row] for row in rows] == [["step", "one", "two", "all", "seconds"]] * 2


def test_models_side_by_side_learn_what_each_learns_by_itself(tmp_path):
    quick = dataclasses.replace(RECIPE, learning_rate=1e-3, max_gradient=1e6)
    slow = dataclasses.replace(RECIPE, learning_rate=1e-4, max_gradient=1e6)
    pair = together(tmp_path / "pair", {"q": (quick, 0), "s": (slow, 2)})
    for name, recipe, fold in (("q", quick, 0), ("s", slow, 2)):
        (alone,) = together(tmp_path / name, {name: (recipe, fold)}).values()
        assert torch.allclose(weights_of(alone), weights_of(pair[name]), atol=1e-6)


def test_a_teacher_holds_the_embedding_of_single_clips(tmp_path):
    scenes = dataclasses.replace(RECIPE.scenes, clip_share=1.0)
    recipe = dataclasses.replace(RECIPE, scenes=scenes, embedding_weight=1.0)
    with pytest.raises(ConfigError, match="clip_embeddings"):
        together(tmp_path / "none", {"m": (recipe, 0)})
    network, frontend = model().network, model().frontend
    with torch.no_grad():
        wanted = network.embed(frontend(torch.stack([w for w, _ in tones()])))
    losses = {}
    for name, target in (("near", wanted), ("far", wanted + 1)):
        together(tmp_path / name, {"m": (recipe, 0)}, embeddings=target)
        row = json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])
        losses[name] = row["m"]["embedding"]
    assert losses["near"] < 0.1 < losses["far"]


def test_the_spread_of_embeddings_is_that_of_the_clips_that_are_heard(tmp_path):
    scenes = dataclasses.replace(RECIPE.scenes, clip_share=1.0)
    recipe = dataclasses.replace(RECIPE, scenes=scenes, embedding_weight=1.0)
    wanted = torch.randn(4, 1536, generator=torch.Generator().manual_seed(3))
    other = wanted.clone()
    other[2:] *= 50  # of the second fold, which is held out
    runs = [
        together(tmp_path / str(i), {"m": (recipe, 2)}, embeddings=e)
        for i, e in enumerate((wanted, other))
    ]
    assert torch.equal(weights_of(runs[0]["m"]), weights_of(runs[1]["m"]))


def test_a_run_does_not_go_on_with_another_fold_or_a_model_of_another_kind(tmp_path):
    together(tmp_path, {"m": (RECIPE, 1)})
    with pytest.raises(ConfigError, match="other settings"):
        together(tmp_path, {"m": (RECIPE, 2)})
    with pytest.raises(ConfigError, match="other settings"):
        together(tmp_path, {"m": (RECIPE, 1)}, folds=(1, 2, 1, 2))
    wide = dataclasses.replace(RECIPE, network="mn04-context")
    with pytest.raises(ConfigError, match="mn04-context, the initial model is mn04-frames"):
        together(tmp_path / "wide", {"m": (wide, 1)})
    near = dataclasses.replace(RECIPE, embedding_weight=1.0)
    with pytest.raises(ConfigError, match=r"must be \(4, 1536\).*got \(4, 384\)"):
        together(tmp_path / "near", {"m": (near, 1)}, embeddings=torch.zeros(4, 384))


def test_a_run_that_is_over_by_the_clock_learns_no_more(tmp_path, monkeypatch):
    """Every look at the clock takes a second, and a step a few looks."""
    seconds = itertools.count()
    limited = functools.partial(Pace, clock=lambda: float(next(seconds)))
    monkeypatch.setattr(scene_task, "Pace", limited)
    recipe = dataclasses.replace(RECIPE, n_steps=100, steps_per_save=4)
    first = together(tmp_path, {"m": (recipe, 0)}, seconds=15.0)
    kept = (tmp_path / "metrics.jsonl").read_text()
    rows = [json.loads(line) for line in kept.splitlines()]
    assert rows[-1]["step"] < 50
    assert rows[-1]["elapsed"] >= 15.0
    again = together(tmp_path, {"m": (recipe, 0)}, seconds=15.0)
    assert (tmp_path / "metrics.jsonl").read_text() == kept
    assert torch.equal(weights_of(first["m"]), weights_of(again["m"]))
    together(tmp_path, {"m": (recipe, 0)}, seconds=30.0)  # it may be given more
    more = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert more[: len(rows)] == rows
    assert 30.0 <= more[-1]["elapsed"] < 45.0


@pytest.mark.parametrize(
    ("folds", "held_out", "message"),
    [
        ((1, 2), 0, "the fold of each of 4 clips, got 2"),  # two were left out, and nothing said
        ((1, 1, 2, 2, 3), 0, "the fold of each of 4 clips, got 5"),
        ((1, 1, 2, 2), 7, r"model 'm' holds out fold 7, but the clips are of \[1, 2\]"),
        ((1, 1, 1, 0), 1, "no clips to make scenes of for model 'm'"),
        ((0, 0, 0, 0), 0, "no clips to make scenes of for model 'm'"),
    ],
)
def test_a_fold_that_cannot_be_left_out_is_refused(tmp_path, folds, held_out, message):
    with pytest.raises((ConfigError, DatasetError), match=message):
        together(tmp_path / "run", {"m": (RECIPE, held_out)}, folds=folds)
    assert not (tmp_path / "run").exists()


def test_models_and_tags_are_counted(tmp_path):
    with pytest.raises(ConfigError, match="no model"):
        together(tmp_path, {})
    tags = {"clip_tags": torch.zeros(4, 5), "strangers": [torch.zeros(RATE)]}
    with pytest.raises(ConfigError, match="stranger_tags of 1 sounds, got 0"):
        train_scenes(RECIPE, model(), nn.Linear(384, 5), tones(), output=tmp_path, **tags)
    with pytest.raises(ConfigError, match="clip_tags of 4 sounds, got 3"):
        train_scenes(
            RECIPE,
            model(),
            nn.Linear(384, 5),
            tones(),
            output=tmp_path,
            clip_tags=torch.zeros(3, 5),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ("high", "low")}, "the same labels; those of 'b' differ"),
        ({"frontend": model().config.frontend.replace(level_db=0.0)}, "one frontend"),
        ({"frontend": model().config.frontend.replace(sample_rate=16_000)}, "'b' expects 16000 Hz"),
    ],
)
def test_models_side_by_side_must_hear_and_name_the_same(tmp_path, change, message):
    other = Classifier(model().config.replace(**change)).eval()
    models = {
        "a": SceneModel(recipe=RECIPE, initial=model()),
        "b": SceneModel(recipe=RECIPE, initial=other),
    }
    with pytest.raises(ConfigError, match=message):
        train_scenes_together(
            models,
            nn.Linear(384, 5),
            tones(),
            (1, 1, 2, 2),
            clip_tags=torch.zeros(4, 5),
            output=tmp_path,
            n_loaders=0,
            progress=False,
        )


@pytest.mark.parametrize("target", [-1, 2])
def test_a_target_that_is_no_label_is_refused(tmp_path, target):
    with pytest.raises(DatasetError, match=f"clip 1: target {target} is not one of 2 labels"):
        run(tmp_path, examples=[tones()[0], (tones()[1][0], target)])


def test_the_global_generator_is_left_as_it_was(tmp_path):
    initial, head = model(), nn.Linear(384, 5)
    before = torch.get_rng_state()
    tags = torch.zeros(4, 5)
    options = {"clip_tags": tags, "output": tmp_path, "n_loaders": 0, "progress": False}
    train_scenes(RECIPE, initial, head, tones(), **options)
    assert torch.equal(before, torch.get_rng_state())
