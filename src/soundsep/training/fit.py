"""Fit a classifier for your own classes to a folder of clips, and measure it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from soundsep.audio import find_recordings, passed_over
from soundsep.classifier import Classifier
from soundsep.classifier.checks import reaches
from soundsep.config import check_choice, check_seed, check_whole
from soundsep.datasets import AudioFolder, AudioTable, Clip, Piece
from soundsep.datasets.audio_table import is_table
from soundsep.datasets.clip import checked_clips
from soundsep.datasets.folder import require_classes
from soundsep.datasets.subsets import of_several_labels
from soundsep.errors import ConfigError, DatasetError
from soundsep.models import FrameNetwork
from soundsep.names import label_fault
from soundsep.training.assess import assess
from soundsep.training.cross_validation import group_folds, held_out_logits
from soundsep.training.embedding_cache import embed_files, load_all
from soundsep.training.examples import check_one_label
from soundsep.training.frame_copies import FrameCopies
from soundsep.training.frame_learner import FrameLearner
from soundsep.training.learner import Learner
from soundsep.training.probe import as_backbone, hearing_soft
from soundsep.training.report import FitReport

__all__ = ["fit"]


def fit(
    data: str | Path | Iterable[Clip],
    *,
    backbone: str | Path | Classifier = "audioset-mn04",
    mode: Literal["probe", "finetune"] = "probe",
    activation: Literal["softmax", "sigmoid"] | None = None,
    backgrounds: str | Path | Iterable[str | Path | Piece] = (),
    copies: bool = False,
    n_folds: int = 5,
    seed: int = 0,
    device: str | torch.device = "cpu",
    errors: Literal["raise", "skip"] = "raise",
    progress: bool = True,
) -> tuple[Classifier, FitReport]:
    """Fit a classifier for other classes on top of a trained one, and measure it.

    The accuracy is measured by cross-validation: the recordings (a clip's ``origin``) are assigned
    to folds, and each fold is classified by a model that was not fitted to it. The classifier
    returned is then fitted to all clips. Every class has the same weight, however many clips it
    has.

    With ``activation="sigmoid"`` every label is learnt by itself, from a few copies of each clip: 0
    to 50 dB softer, over computed noise or ``backgrounds``, some in a room. The classifier then
    names any number of sounds, or none in mere noise; with a backbone that has frames
    (``mn04-frames``) it also says when each occurs. Copies of a clip stay in its fold. Other sounds
    in a clip (``Clip.also``) are not learnt as absent, and naming them is no mistake.

    With ``"softmax"`` exactly one label applies, so clips of several are refused. The score that
    only one computed noise in fifty reaches is measured and kept as ``unknown_below``, below which
    a pipeline with ``unknown=True`` names nothing. Level does not matter with a backbone of Kaldi's
    features, as that of EfficientAT: soft windows are amplified.

    A class with a single recording is learnt, but nothing is measured on it. There are no more
    folds than the largest class has recordings.

    Args:
        data: A folder (see `soundsep.datasets.AudioFolder`), a ``.csv`` or ``.txt`` table
            (`AudioTable`), or clips, such as any data set of `soundsep.datasets`. Classes are
            ordered by their targets; the clips' own folds are not used.
        backbone: Trained model to fit a new head to: a published name, a folder, ``org/repo`` on
            the Hugging Face Hub, or a classifier, which is not changed.
        mode: ``"probe"`` fits a linear layer to the backbone's embeddings, in seconds and without
            randomness. ``"finetune"`` then trains the later layers of the network on the clips,
            once per fold and once for all.
        activation: ``"softmax"`` if exactly one class applies, ``"sigmoid"`` if any number of
            labels may. By default ``"sigmoid"`` for a probe if the backbone has frames, there are
            ``backgrounds``, or a clip has several labels; else ``"softmax"``.
        backgrounds: Recordings, folders of them or pieces of them, that hold none of the sounds.
        copies: Learn from these copies with ``"softmax"`` too, for recordings in noise and rooms;
            about ten times as long the first time.
        n_folds: Folds of the cross-validation, at least 2.
        seed: Seed of the folds and of fine-tuning.
        device: Device for embeddings and fine-tuning, such as ``"cpu"`` or ``"cuda"``.
        errors: ``"raise"`` stops at the first file that cannot be used; ``"skip"`` leaves such
            files out and lists them in the report.
        progress: Show progress bars.

    Returns:
        The classifier, on the CPU and with calibrated scores, and the report.

    Raises:
        AudioError: a file cannot be used, and ``errors`` is ``"raise"``, or none of the backgrounds
            can.
        DatasetError: there are fewer than two classes, fewer than two usable clips of a class, or
            two classes with one name or one target.
        ConfigError: ``data`` is something else, an option is invalid, ``seed`` is not a seed, the
            backbone or device does not exist, or a clip has several of the labels and
            ``activation`` is ``"softmax"`` or ``mode`` is ``"finetune"``.
        WeightsError: the backbone is not available, or is damaged.
    """
    check_choice("mode", mode, ("probe", "finetune"))
    check_choice("errors", errors, ("raise", "skip"))
    if activation is not None:
        check_choice("activation", activation, ("softmax", "sigmoid"))
    backgrounds = _found(backgrounds)
    if mode == "finetune" and (activation == "sigmoid" or backgrounds or copies):
        raise ConfigError(
            "mode='finetune' learns classes of which one applies, and no background; leave out "
            "activation, backgrounds and copies, or use mode='probe'"
        )
    check_whole("n_folds", n_folds, least=2)
    check_seed(seed)
    where = str(data) if isinstance(data, (str, Path)) else f"the {type(data).__name__} given"
    if isinstance(data, (str, Path)):
        data = AudioTable(data) if is_table(data) else AudioFolder(data)
    clips = checked_clips("fit takes a folder, a table, or clips", data)
    labels = _labels(clips)
    known = backbone if isinstance(backbone, Classifier) else Classifier.from_pretrained(backbone)
    base = hearing_soft(as_backbone(known))
    audio = [clip.audio for clip in clips]
    if activation is None:
        overlap = of_several_labels(clips, labels)
        several = isinstance(base.network, FrameNetwork) or backgrounds or overlap
        activation = "sigmoid" if several and mode == "probe" else "softmax"
    if activation == "softmax":
        what = "mode='finetune'" if mode == "finetune" else "activation='softmax'"
        hint = "use mode='probe' with activation='sigmoid', which learns every label by itself"
        check_one_label(clips, labels, what=what, hint=hint)
    copier = None
    if copies or activation == "sigmoid":
        copier = FrameCopies(base, backgrounds=backgrounds, device=device, errors=errors)
    if copier is not None and activation == "sigmoid":
        found, skipped = copier.of_files(audio, errors=errors, progress=progress)
    else:
        found, skipped = embed_files(base, audio, device=device, errors=errors, progress=progress)
    if clips and not found:
        raise DatasetError(
            f"none of the {len(clips)} files can be used: {next(iter(skipped.values()))}"
        )
    if copier is not None:
        skipped |= copier.skipped
    clips = tuple(clip for clip in clips if clip.audio in found)
    require_classes(labels, (clip.label for clip in clips), where=where)
    targets = torch.tensor([labels.index(clip.label) for clip in clips])
    also = torch.tensor([[label in clip.also for label in labels] for clip in clips])
    embeddings = [found[clip.audio] for clip in clips]
    learner: Learner | FrameLearner
    if copier is not None and activation == "sigmoid":
        learner = FrameLearner(
            base,
            labels,
            embeddings,
            copier.of_noise(0),
            copier.of_noise(1),
            copier.of_noise(3),  # of the backgrounds that 1 has
            targets,
            also,
            [clip.audio for clip in clips],
            device=device,
        )
    else:
        learner = Learner(
            base,
            labels,
            torch.stack(embeddings),
            targets,
            _waveforms(clips, base) if mode == "finetune" else None,
            copies=None if copier is None else _copied(clips, copier, progress=progress),
            seed=seed,
            device=device,
            progress=progress,
        )
    folds, n_dealt = group_folds(
        learner.targets.tolist(), [clip.origin for clip in clips], n_folds=n_folds, seed=seed
    )
    logits, held_out = held_out_logits(learner, folds, n_dealt, progress=progress)
    measured = assess(
        learner,
        logits,
        np.where(held_out, folds, -1),
        mode=mode,
        backbone=str(backbone) if isinstance(backbone, (str, Path)) else backbone.config.network,
        labels=labels,
        clips=clips,
        skipped=skipped,
        notes=(*getattr(data, "notes", ()), *_left_out(data)),
    )
    whole = learner.learn(np.arange(len(clips)))
    classifier, doubt = learner.calibrated(whole, measured.calibration)
    report = replace(measured.report, threshold=doubt.threshold, noise_named=doubt.noise_named)
    if len(measured.confidences):
        sure = reaches(measured.confidences, doubt.threshold)
        report = replace(report, clips_named=float(sure.mean()))
    return classifier, report


def _found(backgrounds: str | Path | Iterable[str | Path | Piece]) -> list[Path | Piece]:
    """The recordings that files, folders and patterns stand for, and the pieces given."""
    given = [backgrounds] if isinstance(backgrounds, (str, Path, Piece)) else [*backgrounds]
    places: list[Path | Piece] = []
    for one in given:
        if isinstance(one, Piece):
            places.append(one)
            continue
        found = find_recordings(one)
        if not found.paths:
            raise ConfigError(f"{found.none_found}, given as a background")
        places += map(Path, found.paths)
    return places


def _waveforms(clips: Sequence[Clip], base: Classifier) -> list[Tensor]:
    found = load_all([clip.audio for clip in clips], base)
    return [found[clip.audio] for clip in clips]


def _copied(clips: Sequence[Clip], copier: FrameCopies, *, progress: bool) -> list[Tensor]:
    """Embeddings (n_rows, embedding_dim) of every clip's copies; none of one without a sound."""
    rows, _ = copier.of_files([clip.audio for clip in clips], errors="skip", progress=progress)
    none = torch.empty(0, 1 + copier.model.network.embedding_dim)
    found = [rows.get(clip.audio, none) for clip in clips]
    return [of_clip[of_clip[:, 0] > 0, 1:] for of_clip in found]


def _left_out(data: object) -> Iterator[str]:
    if isinstance(data, AudioFolder) and (line := passed_over(data.passed_over)):
        yield line


def _labels(clips: Sequence[Clip]) -> tuple[str, ...]:
    pairs = sorted({(clip.target, clip.label) for clip in clips})
    labels = tuple(label for _, label in pairs)
    if len({target for target, _ in pairs}) < len(pairs) or len(set(labels)) < len(pairs):
        raise DatasetError("the clips give one label several targets, or one target several labels")
    if faults := [fault for label in labels if (fault := label_fault(label))]:
        raise DatasetError(f"a class needs another name: {faults[0]}")
    return labels
