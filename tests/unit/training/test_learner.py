from __future__ import annotations

import numpy as np
import pytest
import torch

from soundsep import Classifier, ClassifierConfig, MelConfig, Pipeline
from soundsep.training import RECIPES, Stage
from soundsep.training.learner import Learner

RATE = 16_000


@pytest.fixture(scope="module")
def backbone() -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = ClassifierConfig(
            labels=("x", "y"),
            network="cnn4",
            frontend=MelConfig(n_mels=16),
            window_seconds=0.5,
            hop_seconds=0.25,
        )
        return Classifier(config).eval()


def learner(backbone: Classifier, chosen: np.ndarray, **changes: object) -> Learner:
    """Of some of 12 clips of two classes that overlap, each with none to two copies."""
    draw = torch.Generator().manual_seed(0)
    dim = backbone.network.embedding_dim
    targets = torch.arange(12) % 2
    embeddings = torch.randn(12, dim, generator=draw) + 0.5 * targets[:, None]
    copies = [row + torch.randn(i % 3, dim, generator=draw) for i, row in enumerate(embeddings)]
    options = {"copies": [copies[i] for i in chosen], "seed": 0, "device": "cpu", "progress": False}
    return Learner(
        backbone,
        ("a", "b"),
        embeddings[chosen],
        targets[chosen],
        **{"waveforms": None, **options, **changes},
    )


def test_clips_that_are_held_out_teach_nothing_nor_do_their_copies(backbone):
    chosen = np.array([0, 1, 4, 5, 8, 11])
    of_all = learner(backbone, np.arange(12)).learn(chosen)
    of_these = learner(backbone, chosen).learn(np.arange(6))
    without = learner(backbone, chosen, copies=None).learn(np.arange(6))
    head = of_all.network.head.weight
    assert torch.equal(head, of_these.network.head.weight)
    assert not torch.allclose(head, without.network.head.weight)


def test_a_copy_has_the_class_of_its_clip(backbone):
    chosen = np.arange(12)
    copied = learner(backbone, chosen)
    embeddings = torch.cat([copied.embeddings, *copied.copies])
    pairs = zip(copied.targets, copied.copies, strict=True)
    targets = torch.tensor([*copied.targets, *(t for t, of_clip in pairs for _ in of_clip)])
    written_out = Learner(
        backbone, ("a", "b"), embeddings, targets, None, seed=0, device="cpu", progress=False
    ).learn(np.arange(len(targets)))
    torch.testing.assert_close(
        copied.learn(chosen).network.head.weight, written_out.network.head.weight
    )


def test_fine_tuning_follows_its_seed_and_answers_as_the_pipeline_does(backbone, monkeypatch):
    short = RECIPES["finetune"].replace(stages=(Stage(epochs=1),), bfloat16=False)
    monkeypatch.setitem(RECIPES, "finetune", short)
    draw = torch.Generator().manual_seed(1)
    waveforms = [0.1 * torch.randn(RATE, generator=draw) for _ in range(4)]  # three windows each
    chosen = np.arange(4)
    first, again, other = (
        learner(backbone, chosen, copies=None, waveforms=waveforms, seed=seed) for seed in (0, 0, 1)
    )
    model = first.learn(chosen)
    head = model.network.head.weight
    assert torch.equal(head, again.learn(chosen).network.head.weight)
    assert not torch.equal(head, other.learn(chosen).network.head.weight)
    answers = first.answer(model, chosen[1:])
    for waveform, answer in zip(waveforms[1:], answers, strict=True):
        result = Pipeline(model)(waveform, sample_rate=RATE)
        scores = {prediction.label: prediction.score for prediction in result.top(2)}
        assert answer.softmax(dim=0).tolist() == pytest.approx([scores["a"], scores["b"]])
