from __future__ import annotations

import pytest
import torch

from soundsep import Classifier, ClassifierConfig
from soundsep.errors import DatasetError
from soundsep.frontends import KaldiMelConfig
from soundsep.training.frame_head import NOTHING, frame_probe, with_frame_head


def test_each_class_is_learnt_by_itself_and_nothing_is_none_of_them():
    rng = torch.Generator().manual_seed(0)
    centres = torch.tensor([[4.0, 0.0], [0.0, 4.0], [0.0, 0.0]])  # the last is nothing
    kinds = torch.randint(3, (300,), generator=rng)
    rows = centres[kinds] + 0.3 * torch.randn(300, 2, generator=rng)
    targets = torch.where(kinds == 2, NOTHING, kinds)
    weight, bias = frame_probe(rows, targets, n_classes=2)
    logits = torch.tensor([[4.0, 0.0], [0.0, 4.0], [0.0, 0.0], [4.0, 4.0]]) @ weight.T + bias
    assert (logits > 0).tolist() == [[True, False], [False, True], [False, False], [True, True]]
    with pytest.raises(DatasetError):
        frame_probe(rows[:0], targets[:0], n_classes=2)


def test_a_class_of_few_rows_has_the_same_say():
    rows = torch.tensor([[1.0]] * 90 + [[-1.0]] * 10 + [[0.0]] * 50)
    targets = torch.tensor([0] * 90 + [1] * 10 + [NOTHING] * 50)
    weight, bias = frame_probe(rows, targets, n_classes=2)
    few = frame_probe(rows[80:], targets[80:], n_classes=2)
    mirrored = rows.new_tensor([[1.0], [-1.0]])
    # As far as the scale of the features allows, which follows their spread.
    for head in ((weight, bias), few):
        logits = mirrored @ head[0].T + head[1]
        assert (logits.diagonal() > 0).all()
        assert (logits.flip(1).diagonal() < 0).all()


def test_what_sounds_for_a_moment_counts_for_the_whole():
    torch.manual_seed(0)
    backbone = Classifier(
        ClassifierConfig(labels=("x",), network="mn04-frames", frontend=KaldiMelConfig())
    ).eval()
    dim = backbone.network.embedding_dim
    weight = torch.zeros(2, dim)
    weight[0, 0] = 1.0
    model = with_frame_head(backbone, ("a", "b"), weight, torch.tensor([-3.0, -3.0]))
    assert (model.config.activation, model.labels) == ("sigmoid", ("a", "b"))
    frames = torch.zeros(1, 20, dim)
    frames[0, 3, 0] = 8.0
    frame_logits, logits = model.network.pooled(frames)
    share = torch.tensor(8.0).exp() / (torch.tensor(8.0).exp() + 19)
    assert frame_logits[0, 3, 0] == 5
    torch.testing.assert_close(logits[0], torch.tensor([8 * float(share) - 3, -3.0]))


def test_nothing_is_learnt_about_a_class_that_may_be_there_too():
    """Rows of class 0 in which class 1 is heard as well, beside some of either alone."""
    rng = torch.Generator().manual_seed(0)
    kinds = torch.tensor([0, 1, 2, 3] * 60)
    centres = torch.tensor([[4.0, 0.0], [0.0, 4.0], [0.0, 0.0], [4.0, 4.0]])
    rows = centres[kinds] + 0.3 * torch.randn(240, 2, generator=rng)
    targets = torch.tensor([0, 1, NOTHING, 0])[kinds]
    unsure = torch.zeros(240, 2, dtype=torch.bool)
    unsure[kinds == 3, 1] = True
    both = torch.tensor([4.0, 4.0])
    for mask, is_named in ((None, [True, False]), (unsure, [True, True])):
        weight, bias = frame_probe(rows, targets, n_classes=2, unsure=mask)
        assert ((weight @ both + bias) > 0).tolist() == is_named
