"""A classifier for one's own classes, from a folder of clips, and how good it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundsep.audio import passed_over
from soundsep.classifier import Classifier
from soundsep.config import check_choice, check_seed, check_whole
from soundsep.datasets import AudioFolder, AudioTable, Clip, Piece
from soundsep.datasets.audio_table import is_table
from soundsep.datasets.folder import require_classes
from soundsep.errors import DatasetError
from soundsep.metrics import calibration_error, confusion_matrix
from soundsep.models import FrameNetwork
from soundsep.names import label_fault
from soundsep.training.calibration import Calibration
from soundsep.training.cross_validation import group_folds, held_out_logits
from soundsep.training.embedding_cache import embed_files, load_all
from soundsep.training.frame_copies import FrameCopies
from soundsep.training.frame_learner import FrameLearner
from soundsep.training.learner import Learner
from soundsep.training.probe import as_backbone
from soundsep.training.report import FitReport, wilson_interval

__all__ = ["fit"]

FEW_CLIPS = 5  # of a class: below, a probe is little better than a guess
UNBALANCED = 10  # times as many clips of one class as of another


def fit(
    data: str | Path | Iterable[Clip],
    *,
    backbone: str | Path | Classifier = "audioset-mn04",
    mode: Literal["probe", "finetune"] = "probe",
    backgrounds: Iterable[str | Path | Piece] = (),
    n_folds: int = 5,
    seed: int = 0,
    device: str | torch.device = "cpu",
    errors: Literal["raise", "skip"] = "raise",
    progress: bool = True,
) -> tuple[Classifier, FitReport]:
    """Fit a classifier for other classes on top of a trained one, and measure it.

    The accuracy is measured by cross-validation: the recordings (a clip's ``origin``) are dealt
    out to folds, and each fold is answered by a classifier that has not heard it. The classifier
    returned is then fitted to all clips. Every class has the same say, however many clips it has.

    With a backbone that has frames (``mn04-frames``) and ``mode="probe"``, every label is learnt by
    itself, frame by frame, from a few copies of each clip: 0 to 50 dB softer, over computed noise
    or ``backgrounds``, some in a room. The classifier then names any number of sounds, or none in
    mere noise, and says when each is to be heard. Copies of a clip stay in its fold.

    A class of which there is one recording only is learnt, but nothing is measured on it. Where
    a class has fewer recordings than ``n_folds``, there are so many folds.

    Args:
        data: A folder (see `soundsep.datasets.AudioFolder`), a ``.csv`` or ``.txt`` table
            (`AudioTable`), or clips, as any data set of `soundsep.datasets` holds them. Of those
            that occur, classes go by their target; the clips' own folds are not used.
        backbone: What to build upon: a published name, a folder, ``org/repo`` on the Hugging Face
            Hub, or a classifier, which is left as it is.
        mode: ``"probe"`` fits a linear layer to the backbone's embeddings: seconds, and nothing in
            it is random. ``"finetune"`` goes on from there to train the later layers of the network
            on the clips, once for each fold and once for all.
        backgrounds: Recordings of places where none of the sounds is to be heard, for a backbone
            with frames.
        n_folds: Folds of the cross-validation, at least 2.
        seed: Seed of the folds and of fine-tuning.
        device: Where embeddings are computed and the network is fine-tuned.
        errors: ``"raise"`` stops at the first file that cannot be used; ``"skip"`` leaves such
            files out and lists them in the report.
        progress: Show progress bars.

    Returns:
        The classifier, on the CPU and with calibrated scores, and the report.

    Raises:
        AudioError: a file cannot be read, and ``errors`` is ``"raise"``.
        DatasetError: there are fewer than two classes, fewer than two usable clips of a class, or
            two classes of one name or one target.
        ConfigError: an option is not one of those listed, the seed is not one, or there is no such
            backbone or device.
        WeightsError: the backbone is not available, or is damaged.
    """
    check_choice("mode", mode, ("probe", "finetune"))
    check_choice("errors", errors, ("raise", "skip"))
    check_whole("n_folds", n_folds, least=2)
    check_seed(seed)
    where = str(data) if isinstance(data, (str, Path)) else f"the {type(data).__name__} given"
    if isinstance(data, (str, Path)):
        data = AudioTable(data) if is_table(data) else AudioFolder(data)
    clips = tuple(data)
    labels = _labels(clips)
    base = as_backbone(
        backbone if isinstance(backbone, Classifier) else Classifier.from_pretrained(backbone)
    )
    audio = [clip.audio for clip in clips]
    has_frames = mode == "probe" and isinstance(base.network, FrameNetwork)
    copies = FrameCopies(base, backgrounds=[*backgrounds], device=device) if has_frames else None
    if copies is not None:
        found, skipped = copies.of_files(audio, errors=errors, progress=progress)
    else:
        found, skipped = embed_files(base, audio, device=device, errors=errors, progress=progress)
    if clips and not found:
        raise DatasetError(
            f"none of the {len(clips)} files can be used: {next(iter(skipped.values()))}"
        )
    clips = tuple(clip for clip in clips if clip.audio in found)
    require_classes(labels, (clip.label for clip in clips), where=where)
    targets = torch.tensor([labels.index(clip.label) for clip in clips])
    embeddings = [found[clip.audio] for clip in clips]
    learner: Learner | FrameLearner
    if copies is not None:
        learner = FrameLearner(
            base,
            labels,
            embeddings,
            copies.of_noise(0),
            copies.of_noise(1),
            targets,
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
            seed=seed,
            device=device,
            progress=progress,
        )
    folds, n_dealt = group_folds(
        learner.targets.tolist(), [clip.origin for clip in clips], n_folds=n_folds, seed=seed
    )
    logits, held_out = held_out_logits(learner, folds, n_dealt, progress=progress)
    report, calibration = _report(
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
    classifier = learner.learn(np.arange(len(clips)))
    return learner.calibrated(classifier, calibration), report


def _waveforms(clips: Sequence[Clip], base: Classifier) -> list[Tensor]:
    found = load_all([clip.audio for clip in clips], base)
    return [found[clip.audio] for clip in clips]


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


def _report(
    learner: Learner | FrameLearner,
    logits: Tensor,
    folds: NDArray[np.int64],
    *,
    mode: str,
    backbone: str,
    labels: tuple[str, ...],
    clips: Sequence[Clip],
    skipped: dict[Path | Piece, str],
    notes: Sequence[str],
) -> tuple[FitReport, Calibration]:
    """``folds`` is -1 for clips that were not held out."""
    targets = learner.targets
    counts = Counter(clip.label for clip in clips)
    recordings = Counter(label for label, _ in {(clip.label, clip.origin) for clip in clips})
    measured = np.flatnonzero(folds >= 0)
    origins = {clip.origin for clip, fold in zip(clips, folds, strict=True) if fold >= 0}
    accuracy = interval = error = None
    calibration = Calibration()
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    if len(measured):
        answers = logits.argmax(dim=1)
        correct = (answers == targets).numpy()[measured]
        accuracy = float(correct.mean())
        interval = wilson_interval(accuracy, len(origins))
        confusion = confusion_matrix(targets[measured], answers[measured], n_classes=len(labels))
        calibration = learner.calibrate(logits[measured], targets[measured])
        confidences = np.zeros(len(folds))
        for fold in np.unique(folds[measured]):
            others = np.flatnonzero((folds >= 0) & (folds != fold))
            chosen = np.flatnonzero(folds == fold)
            apart = Calibration()
            if len(others):
                apart = learner.calibrate(logits[others], targets[others])
            confidences[chosen] = learner.confidences(logits[chosen], apart).numpy()
        error = calibration_error(confidences[measured], correct)
    report = FitReport(
        mode=mode,
        activation=learner.activation,
        backbone=backbone,
        labels=labels,
        clips_per_class=tuple(counts[label] for label in labels),
        recordings_per_class=tuple(recordings[label] for label in labels),
        n_recordings=len({clip.origin for clip in clips}),
        n_folds=len(np.unique(folds[measured])),
        n_recordings_measured=len(origins),
        accuracy=accuracy,
        interval=interval,
        confusion=confusion,
        calibration_error=error,
        temperature=calibration.temperature,
        skipped=tuple((str(path), reason) for path, reason in skipped.items()),
        warnings=(*notes, *_warnings(labels, counts, confusion)),
    )
    return report, calibration


def _warnings(
    labels: Sequence[str], counts: Counter[str], confusion: NDArray[np.int64]
) -> list[str]:
    warnings = []
    if few := [f"{label} ({counts[label]})" for label in labels if counts[label] < FEW_CLIPS]:
        warnings.append(f"fewer than {FEW_CLIPS} clips, expect little of {', '.join(few)}")
    if max(counts.values()) >= UNBALANCED * min(counts.values()):
        warnings.append(
            f"from {min(counts.values())} to {max(counts.values())} clips per class: the accuracy "
            "mostly reflects the large ones; look at the macro recall"
        )
    if unknown := [label for label, row in zip(labels, confusion, strict=True) if not row.any()]:
        warnings.append(f"one recording only, so nothing was measured on: {', '.join(unknown)}")
    return warnings
