"""Targets of scenes, by hand."""

from __future__ import annotations

import numpy as np
import torch

from soundsep.datasets.scene import Scene
from soundsep.training.scene_batches import SceneBatches

ALWAYS, NEVER = np.ones(8, np.bool_), np.zeros(8, np.bool_)
PARTLY = np.arange(8) < 4


def scene(number: int, **changes) -> Scene:
    silent = {"events": (), "active": (), "hidden": (), "clips": (), "strangers": ()}
    waveform = torch.full((4,), float(number))
    return Scene(waveform=waveform, **(silent | {"is_clip": False} | changes))


def batches() -> SceneBatches:
    first = [
        scene(0, active=((1, ALWAYS),), clips=(2,), is_clip=True),
        scene(1, hidden=((0, PARTLY), (2, NEVER)), active=((1, ALWAYS),), clips=(0, 1)),
        scene(2),
        scene(3),
    ]
    second = [
        scene(10, hidden=((1, ALWAYS),), active=((1, ALWAYS),), clips=(1,), strangers=(0,)),
        scene(11, strangers=(1,)),
        scene(12),
        scene(13),
        scene(14),
        scene(15),
    ]
    return SceneBatches(
        {1: first, 4: second},
        {1: (5, 3, 0), 4: (1, 4)},
        batch_size=2,
        n_classes=3,
        n_frames=2,
        frame=4,
        clip_tags=torch.tensor([[0.1, 0], [0.2, 0], [0.3, 0], [0.4, 0.9], [0.5, 0.2], [0.6, 0.3]]),
        stranger_tags=torch.tensor([[0.0, 0.8], [0.7, 0.0]]),
    )


def test_a_batch_has_as_many_scenes_of_each_fold_with_what_is_there_hidden_and_tagged():
    batch = batches()[0]
    assert batch.waveform[:, 0].tolist() == [0, 1, 10, 11]
    assert batch.fold.tolist() == [1, 1, 4, 4]
    # The third clip of the first fold is the first of all; the other scenes are no single clip.
    assert batch.clip.tolist() == [0, -1, -1, -1]
    assert batch.clip_presence.tolist() == [[0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]]
    # A class that may be hidden does not count, unless it is heard elsewhere in the scene.
    assert batch.clip_weight.tolist() == [[1, 1, 1], [0, 1, 1], [1, 1, 1], [1, 1, 1]]
    # The highest tag of all its clips and strangers.
    expected = torch.tensor([[0.1, 0], [0.6, 0.9], [0.5, 0.8], [0.7, 0]])
    torch.testing.assert_close(batch.tags, expected)
    assert batch.presence[:, :, 1].tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]
    assert batch.weight[1].tolist() == [[0, 1, 1], [0, 1, 1]]


def test_the_steps_go_through_the_scenes_until_the_shortest_list_ends():
    made = batches()
    assert len(made) == 2
    last = made[1]
    assert int(last.step) == 1
    assert last.waveform[:, 0].tolist() == [2, 3, 12, 13]
    streamed = [*made.stream(range(1, 2), n_loaders=0)]
    assert [batch.waveform[:, 0].tolist() for batch in streamed] == [[2, 3, 12, 13]]
    assert last.tags.eq(0).all()  # nothing is there


def test_rows_are_those_of_the_scenes_that_are_chosen():
    batch = batches()[0]
    rows = batch.rows(torch.tensor([3, 0]))
    assert rows.fold.tolist() == [4, 1]
    assert rows.clip.tolist() == [-1, 0]
    assert torch.equal(rows.presence, batch.presence[[3, 0]])
    assert len(rows.waveform) == 0
    assert int(rows.step) == 0
