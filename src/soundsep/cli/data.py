"""Opens the data set that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from soundsep.cli.recordings import note_passed_over
from soundsep.names import local_path

if TYPE_CHECKING:
    from soundsep.datasets import AudioFolder
    from soundsep.datasets.clip import Clip, FoldedClips

__all__ = ["DATA_HELP", "open_dataset", "refuse_fold", "refuse_learnt"]

DATA_HELP = (
    "folder of ESC-50 (with meta/esc50.csv), of UrbanSound8K (with metadata/UrbanSound8K.csv), or "
    "with one subfolder per class"
)


def open_dataset(
    roots: Sequence[Path],
    *,
    is_urban11: bool = False,
    annotations: Path | None = None,
    folds: Sequence[int] | None = None,
    is_split: bool = True,
) -> FoldedClips:
    """The data set in these folders; your own folder or table need not have folds.

    Args:
        roots: ESC-50, UrbanSound8K or a folder of classes; for urban11 any of them together.
        is_urban11: Map the labels of ESC-50 and UrbanSound8K to the eleven of urban11.
        annotations: A table of your own clips, instead of folders.
        folds: Open only these folds of ESC-50, UrbanSound8K or urban11; the others may be
            missing. With folders of your own among them, all clips are opened, for their folds
            depend on all.
        is_split: Whether a folder or table of your own is to be split by its recordings. If not,
            it may have one class, and one clip per class.

    Raises:
        ConfigError: no folder, too many folders, or two of one kind.
        DatasetError: a folder or the table does not hold what is expected.
    """
    from soundsep.datasets import ESC50, AudioTable, Concatenation, UrbanSound8K
    from soundsep.datasets.urban11 import Urban11
    from soundsep.errors import ConfigError

    if annotations is not None:
        if roots:
            raise ConfigError("--annotations names its own files; give --annotations or --data")
        return AudioTable(annotations, partial=not is_split)
    if not roots:
        raise ConfigError("which clips? give --data or --annotations")
    roots = [local_path(root) for root in roots]
    kinds = {kind.name: kind for kind in (ESC50, UrbanSound8K)}
    official: dict[str, Path] = {}
    own: list[Path] = []
    for root in roots:
        name = next((name for name, kind in kinds.items() if kind.is_in(root)), None)
        if name is None:
            own.append(root)
        elif name in official:
            raise ConfigError(f"{root} and {official[name]} both hold {name}")
        else:
            official[name] = root
    if is_urban11 and official:
        urban = Urban11(
            esc50=official.get(ESC50.name),
            urbansound8k=official.get(UrbanSound8K.name),
            folds=None if own else folds,
        )
        parts = [_folder(root, partial=True) for root in own]
        return Concatenation([urban, *parts], labels=urban.labels) if parts else urban
    if len(roots) > 1:
        raise ConfigError(
            "only a model of urban11 takes several folders at a time, ESC-50 or UrbanSound8K "
            "among them"
        )
    if own:
        return _folder(own[0]) if is_split else _folder(own[0], partial=True, group=".*")
    ((name, root),) = official.items()
    return kinds[name](root, folds=folds)


def _folder(root: Path, *, partial: bool = False, group: str | None = None) -> AudioFolder:
    from soundsep.datasets import AudioFolder

    folder = AudioFolder(root, partial=partial, group=group)
    note_passed_over(folder.passed_over)
    return folder


def refuse_fold(model: str, fold: int) -> None:
    """Refuse a fold that a published model was trained on.

    Raises:
        ConfigError: another fold was held out of the model's training.
    """
    from soundsep.checkpoints.registry import PUBLISHED
    from soundsep.errors import ConfigError

    held_out = PUBLISHED[model].test_fold if model in PUBLISHED else None
    if held_out not in (None, fold):
        raise ConfigError(
            f"{model} was trained on fold {fold}, so its metrics there say nothing; measure it "
            f"with --fold {held_out}"
        )


def refuse_learnt(model: str, clips: Sequence[Clip]) -> None:
    """Refuse clips that ``soundsep fit`` or ``train`` taught the model.

    Raises:
        ConfigError: the model was fitted to some of the clips.
    """
    from soundsep.errors import ConfigError
    from soundsep.training.learnt import learnt_clips

    if learnt := learnt_clips(local_path(model), clips):
        raise ConfigError(
            f"{model} was fitted to {len(learnt)} of these {len(clips)} clips, so its metrics "
            "there say nothing; give clips of other recordings, or insist with --any-clip"
        )
