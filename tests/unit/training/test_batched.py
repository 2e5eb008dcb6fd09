from __future__ import annotations

import contextlib
import copy
import math

import pytest
import torch

from soundsep.classifier import Classifier, ClassifierConfig
from soundsep.errors import ConfigError
from soundsep.frontends import KaldiMelConfig, MelConfig
from soundsep.models.resnet import ResidualBlock
from soundsep.training import batched
from soundsep.training import teacher as teacher_module
from soundsep.training.batched import BatchedRun, whole_windows
from soundsep.training.batched_recipe import BatchedRecipe
from soundsep.training.clip_bank import ClipBank
from soundsep.training.conditions import Conditions
from soundsep.training.teacher import Teacher, Teachers

RATE = 4_000
LABELS = ("low", "high")
FRONTEND = MelConfig(
    sample_rate=RATE, n_fft=128, win_length=128, hop_length=64, n_mels=16, f_min=0.0, f_max=2_000.0
)
PLAIN = Conditions(reverb_share=0.0, noise_share=0.0, band_share=0.0, gain_share=0.0)


def recipe(**changes) -> BatchedRecipe:
    settings = {
        "network": "cnn4",
        "frontend": FRONTEND,
        "window_seconds": 1.0,
        "crop_seconds": 0.5,
        "batch_size": 8,
        "max_speed": 1.2,
        "n_mixes": 1,
        "teacher_hears": "same",
    }
    return BatchedRecipe(**(settings | changes))


def tones(n: int = 16) -> list[tuple[torch.Tensor, int]]:
    seconds = torch.arange(RATE) / RATE
    phase = torch.rand(n, generator=torch.Generator().manual_seed(0)) * 6
    hz = (300, 1_200)
    return [
        (0.1 * torch.sin(2 * math.pi * (hz[i % 2] + 5 * i) * seconds + phase[i]), i % 2)
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def teacher() -> Classifier:
    """It knows nothing, at another rate, with a batch norm behind each convolution."""
    config = ClassifierConfig(
        labels=LABELS,
        network="mn04-bands",
        frontend=KaldiMelConfig(sample_rate=8_000, f_max=4_000.0),
        window_seconds=1.0,
        hop_seconds=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Classifier(config).eval()


def make(teacher: Classifier, training: range = range(16), seed: int = 0, **changes) -> BatchedRun:
    return BatchedRun(recipe(**changes), LABELS, ClipBank(tones()), training, [teacher], seed=seed)


def test_crops_first_then_whole_clips_and_it_learns(teacher):
    run = make(teacher, teacher_share=0.0, mixup=0.0, learning_rate=1e-2, conditions=PLAIN)
    losses = []
    for step in range(40):
        run.step(step / 40)
        if step % 20 == 19:
            losses.append(run.losses()[0])
    assert (run.n_steps, run.n_whole, run.n_clips) == (40, 6, 320)  # from 0.85 on
    assert losses[1] < 0.5 * losses[0]
    assert run.n_steps * run.recipe.ema_share < 1  # an average of ten steps, then
    clips = tones()
    model = run.averaged()
    windows = whole_windows([clip for clip, _ in clips], model.config)
    assert windows.shape == (16, RATE)
    named = model(windows).argmax(dim=1).tolist()
    assert named == [target for _, target in clips]


@pytest.mark.parametrize("is_whole", [False, True])
def test_an_offset_of_the_clips_is_not_learnt(teacher, is_whole):
    features = []
    for offset in (0.2, -0.5):
        bank = ClipBank([(clip + offset, target) for clip, target in tones()])
        run = BatchedRun(recipe(n_candidates=1), LABELS, bank, range(16), [teacher])
        features.append(run._batch(batched.Stopwatch(), is_whole=is_whole)[0])
    torch.testing.assert_close(*features, atol=0.05, rtol=0)


def test_one_step_of_either_kind_is_made_however_late_it_is(teacher):
    run = make(teacher)
    run.step(1.0)
    assert run.n_whole == 0
    run.step(1.0)
    assert run.n_whole == 1


def test_what_is_held_out_is_never_heard(teacher):
    bank = ClipBank(tones())
    bank.waveforms[4:8] = math.nan
    rows = [*range(4), *range(8, 16)]
    run = BatchedRun(recipe(), LABELS, bank, rows, [teacher])
    for share in (0.0, 0.5, 0.9, 1.0):
        run.step(share)
    assert all(map(math.isfinite, run.losses()))
    assert all(value.isfinite().all() for value in run.averaged().state_dict().values())


def test_every_clip_is_heard_as_often(teacher):
    run = make(teacher)
    heard = torch.cat([run._next_rows() for _ in range(4)])
    assert torch.bincount(heard).tolist() == [2] * 16


def test_the_same_seed_gives_the_same_weights_and_leaves_the_teacher_alone(teacher):
    before = copy.deepcopy(teacher.state_dict())
    runs = [make(teacher, seed=seed) for seed in (1, 1, 2)]
    for run in runs:
        run.step(0.0)
        run.step(0.9)
    states = [run.averaged().state_dict() for run in runs]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert not all(torch.equal(states[0][k], states[2][k]) for k in states[0])
    assert all(torch.equal(before[k], v) for k, v in teacher.state_dict().items())


def test_averages_follow_the_weights_and_count_the_batches(teacher):
    run = make(teacher)
    first = copy.deepcopy(run.model.state_dict())
    run.step(0.5)
    for name, average in run.averaged().state_dict().items():
        now = run.model.state_dict()[name]
        if average.is_floating_point():
            assert torch.allclose(average, torch.lerp(first[name], now, 0.1), atol=1e-6)
        else:
            assert torch.equal(average, now)


@pytest.mark.parametrize("hears", ["same", "clean"])
def test_what_the_teacher_hears(teacher, hears):
    loud = PLAIN.replace(noise_share=1.0, gain_share=1.0, gain_db=(-60.0, -60.0))
    run = make(teacher, conditions=loud, teacher_hears=hears, mixup=0.0, max_speed=1.0)
    heard, usual = [], run.teacher
    run.teacher = lambda x, *, bfloat16: heard.append(x) or usual(x, bfloat16=bfloat16)
    run.step(0.0)
    assert heard[0].shape == (8, RATE // 2)
    level = heard[0].square().mean(dim=1).sqrt()
    assert level.min() > 0.06  # not what was made softer for the student
    # A tone is nearly all in a few bins, unless there is noise.
    spectrum = torch.fft.rfft(heard[0] * torch.hann_window(RATE // 2)).abs().square()
    rest = 1 - spectrum.topk(12, dim=1).values.sum(dim=1) / spectrum.sum(dim=1)
    assert (rest.max() < 1e-3) == (hears == "clean")


def test_a_teacher_without_batch_norms_answers_alike(teacher):
    run = make(teacher)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in run.teacher.modules())
    plain = Teacher(copy.deepcopy(teacher), [w for w, _ in tones()[::4]], sample_rate=RATE)
    x = torch.stack([w for w, _ in tones()])
    for ours, wanted in zip(run.teacher(x, bfloat16=False), plain(x, bfloat16=False), strict=True):
        assert torch.allclose(ours, wanted, atol=1e-3)


def test_several_teachers_are_believed_alike():
    """One label at a time or several: what counts is how the labels compare."""
    members = []
    for seed, activation in enumerate(("softmax", "sigmoid")):
        config = ClassifierConfig(
            labels=LABELS,
            network="mn04-frames" if activation == "sigmoid" else "cnn4",
            frontend=KaldiMelConfig(sample_rate=8_000, f_max=4_000.0),
            window_seconds=1.0,
            hop_seconds=0.5,
            activation=activation,
            temperature=2.0,
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            members.append(Classifier(config).eval())
    clips = [w for w, _ in tones()[::4]]
    teachers = Teachers([Teacher(m, clips, sample_rate=8_000) for m in members])
    x = torch.stack([w for w, _ in tones()]).repeat(1, 2)
    probabilities, embedding = teachers(x, bfloat16=False)
    wanted = torch.stack([(m(x) / 2.0).softmax(dim=-1) for m in members]).mean(dim=0)
    assert torch.allclose(probabilities, wanted, atol=1e-5)
    assert embedding.shape == (16, teachers.embedding_dim)
    widths = [m.network.embedding_dim for m in members]
    assert teachers.embedding_dim == sum(widths)
    for part, member in zip(embedding.split(widths, dim=1), members, strict=True):
        assert torch.allclose(part, Teacher(member, clips, sample_rate=8_000)(x, bfloat16=False)[1])


def test_without_a_teacher_nothing_can_be_learnt():
    with pytest.raises(ConfigError, match="no teacher"):
        BatchedRun(recipe(), LABELS, ClipBank(tones()), range(16), [])


def test_a_teacher_of_other_labels_is_refused(teacher):
    with pytest.raises(ConfigError, match="other labels"):
        BatchedRun(recipe(), LABELS[::-1], ClipBank(tones()), range(16), [teacher])


def test_every_mixing_doubles_the_clips_that_can_be_heard(teacher, monkeypatch):
    mixed = []
    mix = batched.mix_batch
    monkeypatch.setattr(batched, "mix_batch", lambda *a, **k: mixed.append(k) or mix(*a, **k))
    make(teacher, n_mixes=3, mixup=0.25).step(0.0)
    assert [k["probability"] for k in mixed] == [0.25] * 3


def test_late_blocks_are_skipped_more_often_and_only_in_training(teacher):
    run = make(teacher, network="resnet18", drop_path=0.5, batch_size=4)
    blocks = [m for m in run.model.modules() if isinstance(m, ResidualBlock)]
    x = torch.ones(4_000, 1, 1, 1)
    for i, block in enumerate(blocks):
        kept = 1 - 0.5 * (i + 1) / len(blocks)
        (hook,) = block.branch._forward_hooks.values()
        thinned = hook(block.branch, (), x)
        assert thinned.unique().tolist() == pytest.approx([0.0, 1 / kept])
        assert float((thinned > 0).float().mean()) == pytest.approx(kept, abs=0.03)
    assert not any(m._forward_hooks for m in run.averaged().modules())
    assert not any(m._forward_hooks for m in make(teacher, drop_path=0.0).model.modules())


def test_a_step_waits_for_nothing_and_stays_on_its_device(teacher, monkeypatch):
    # On "meta" there are no numbers: whatever asks for one fails, and so does what lies elsewhere.
    run = make(teacher)
    for name in ("rand", "randn", "randperm"):
        drawn = getattr(torch, name)
        monkeypatch.setattr(
            torch,
            name,
            lambda *a, generator, drawn=drawn, device, **k: drawn(*a, device=device, **k),
        )
    for owner in (run, run.bank):
        for name, value in vars(owner).items():
            if isinstance(value, torch.Tensor | torch.nn.Module):
                setattr(owner, name, value.to("meta"))
    run._averaged, run._current, run._counters = run._pairs()
    run._parameters = [*run.model.parameters(), *run.to_wanted.parameters()]
    monkeypatch.setattr(run, "optimizer", torch.optim.SGD(run._parameters, lr=0.1))
    monkeypatch.setattr(batched, "bfloat16_for", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(teacher_module, "bfloat16_for", batched.bfloat16_for)
    run.step(0.0)
    run.step(0.9)
    assert run.n_whole == 1


def test_a_recipe_is_plain_data_and_checked():
    ours = recipe(teacher_hears="clean")
    assert BatchedRecipe.from_dict(ours.to_dict()) == ours
    for wrong in ({"batch_size": 1}, {"crop_share": 1.5}, {"learning_rate": 0.0}):
        with pytest.raises(ConfigError, match="BatchedRecipe"):
            recipe(**wrong)


def test_shares_that_the_end_of_a_run_would_refuse_are_refused_before_it():
    conditions = Conditions(reverb_share=0.5)
    assert recipe(conditions=conditions, last_conditions=2.0).last_conditions == 2.0
    with pytest.raises(ConfigError, match=r"reverb_share.*1\.05"):
        recipe(conditions=conditions, last_conditions=2.1)
