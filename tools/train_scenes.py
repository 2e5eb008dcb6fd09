"""Train models on scenes: ``python tools/train_scenes.py --esc50 DIR --held-out 5 --output DIR``.

Several folds after ``--held-out`` make a model each, side by side from the same scenes, which is
what an accelerator wants; 0 stands for none held out. So do several recipes. Sounds of none of the
labels come from classes of UrbanSound8K (folds 1 and 2) and from folders of recordings,
backgrounds from a folder.

The training starts from the trunk of ``--trunk`` with a head fitted to some scenes, or, with
``--initial FOLDER``, from what an earlier training left in its output folder (or from any folder of
a frame-wise classifier): a second stage. A trunk taught on ESC-50 must not have heard the fold that
is held out: ``--trunk esc50-mn04-fold{fold}``. Recipes with an ``embedding_weight`` stay near it.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from soundsep import Classifier, ClassifierConfig, load_audio
from soundsep.datasets import ESC50, UrbanSound8K, load_examples
from soundsep.datasets.soundscapes import Scene, Soundscapes
from soundsep.devices import forked_rng, to_device
from soundsep.frontends import KaldiMelConfig
from soundsep.models.frames import FrameMobileNetV3
from soundsep.training import SceneModel, SceneRecipe, load_tags_head, train_scenes_together
from soundsep.training.scene_recipe import FRAME_NETWORKS

RATE = 16_000
END_SECONDS = 6.0  # to save all models
N_HEAD_SCENES = 1_200
SUFFIXES = (".flac", ".ogg", ".opus", ".wav")
#: Classes of UrbanSound8K that are ESC-50's too; its six others are strangers.
SHARED = {"car_horn": "car_horn", "dog_bark": "dog", "siren": "siren", "engine_idling": "engine"}
#: The loudest tenth of a second of ESC-50's median clip, in dB of mel power.
FRONTEND = KaldiMelConfig(
    sample_rate=RATE, n_fft=512, win_length=400, hop_length=160, level_db=23.5
)


def recordings(folders: Sequence[str], seconds: float = 5.0) -> list[Tensor]:
    """Pieces of every recording in some folders."""
    pieces: list[Tensor] = []
    for folder in folders:
        for path in sorted(p for p in Path(folder).rglob("*") if p.suffix in SUFFIXES):
            waveform = load_audio(path, target_rate=RATE)[0]
            pieces += [
                w for w in torch.split(waveform, round(seconds * RATE)) if len(w) > RATE // 2
            ]
    return pieces


def in_batches(answer: Callable[[Tensor], Tensor], waveforms: Sequence[Tensor]) -> Tensor:
    """What a function of (batch, time) makes of waveforms, those of one length together."""
    by_length: dict[int, list[int]] = {}
    for i, waveform in enumerate(waveforms):
        by_length.setdefault(len(waveform), []).append(i)
    rows: dict[int, Tensor] = {}
    for places in by_length.values():
        for some in (places[i : i + 32] for i in range(0, len(places), 32)):
            with torch.inference_mode():
                answers = answer(torch.stack([waveforms[i] for i in some])).cpu()
            rows |= dict(zip(some, answers, strict=True))
    return torch.stack([rows[i] for i in range(len(waveforms))]).clone()


def at_rate_of(model: Classifier, waveforms: Tensor) -> Tensor:
    """At a model's rate, at least one second long, and where the model is."""
    import torchaudio

    device = next(model.parameters()).device
    heard = torchaudio.functional.resample(waveforms.to(device), RATE, model.sample_rate)
    return nn.functional.pad(heard, (0, max(0, model.sample_rate - heard.shape[-1])))


class _Tags(Dataset[Tensor]):
    """What a model says of each waveform."""

    def __init__(self, teacher: Classifier, waveforms: Sequence[Tensor]) -> None:
        self.teacher, self.waveforms = teacher, waveforms

    def __len__(self) -> int:
        return len(self.waveforms)

    def __getitem__(self, index: int) -> Tensor:
        with torch.inference_mode():
            tags = self.teacher.predict(at_rate_of(self.teacher, self.waveforms[index])[None])[0]
        return tags.clone()


def teacher_tags(teacher: Classifier, waveforms: Sequence[Tensor], n_workers: int) -> Tensor:
    """What the AudioSet model says of each waveform, (n_waveforms, 527).

    On the processor: an accelerator takes longer to prepare for each of a thousand lengths.
    """
    tags = DataLoader(_Tags(teacher, waveforms), batch_size=None, num_workers=n_workers)
    return torch.stack([*tags]) if waveforms else torch.zeros(0, len(teacher.labels))


def embeddings(trunk: Classifier, waveforms: Sequence[Tensor]) -> Tensor:
    """What a trunk makes of each waveform on average over time, (n_waveforms, embedding_dim)."""

    def answer(batch: Tensor) -> Tensor:
        embedded: Tensor = trunk.network.embed(trunk.features(at_rate_of(trunk, batch)))
        return embedded

    return in_batches(answer, waveforms)


def grouped(scenes: Iterable[Scene], n: int) -> Iterator[list[Scene]]:
    """So many at a time."""
    rest = iter(scenes)
    while some := [*itertools.islice(rest, n)]:
        yield some


def fit_head(model: Classifier, scenes: Iterable[Scene], n_epochs: int = 12) -> None:
    """Give the frame head a logistic regression on the frames of some scenes."""
    device = next(model.parameters()).device
    network = cast(FrameMobileNetV3, model.network)
    frames, presence = [], []
    with torch.inference_mode():
        for some in grouped(scenes, 32):
            waveforms = torch.stack([scene.waveform for scene in some]).to(device)
            frames.append(network.embed_frames(model.features(waveforms)))
            n = frames[-1].shape[1]
            presence += [s.frame_targets(len(model.labels), n, 8)[0] for s in some]
    x, y = torch.cat(frames).flatten(0, 1).clone(), torch.cat(presence).to(device)
    mean, scale = x.mean(dim=0), x.std(dim=0) + 1e-2
    x = (x - mean) / scale
    rng = torch.Generator().manual_seed(0)
    head = nn.Linear(x.shape[1], y.shape[1]).to(device)
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, -4.0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.1)
    for epoch in range(n_epochs):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - epoch / n_epochs)
        total = torch.zeros((), device=device)
        for rows in torch.split(torch.randperm(len(x), generator=rng).to(device), 512):
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(head(x[rows]), y[rows])
            torch.autograd.backward(loss * y.shape[1])
            optimizer.step()
            total += loss.detach() * len(rows) / len(x) * y.shape[1]
    print(f"head: loss per frame {float(total):.3f}")
    with torch.no_grad():
        network.get_parameter("head.weight").copy_(head.weight / scale)
        network.get_parameter("head.bias").copy_(head.bias - head.weight @ (mean / scale))


def with_trunk(teacher: Classifier, labels: tuple[str, ...], name: str) -> Classifier:
    """A frame-wise classifier with the trunk of a MobileNet, and a head that knows nothing."""
    config = ClassifierConfig(labels=labels, network=name, frontend=FRONTEND, activation="sigmoid")
    with forked_rng(0):  # a context begins with random weights
        model = Classifier(config).eval()
    known, network = cast(nn.Module, teacher.network), cast(nn.Module, model.network)
    body = {k: v for k, v in known.state_dict().items() if not k.startswith("head.")}
    missing, unexpected = network.load_state_dict(body, strict=False)
    assert not unexpected
    assert all(k.startswith(("head.", "attention.", "context.")) for k in missing)
    return model


def saved(folder: str, labels: tuple[str, ...], tags_head: nn.Module | None) -> Classifier:
    """The classifier of an earlier training; its head of tags is loaded, where it was kept."""
    at = Path(folder)
    if not (at / "config.json").exists():
        at = at / "ema"
    model = Classifier.from_pretrained(at)
    if model.config.network not in FRAME_NETWORKS or model.labels != labels:
        raise SystemExit(f"{at} is no classifier of frames for the labels of ESC-50")
    if model.sample_rate != RATE:
        raise SystemExit(f"{at} wants {model.sample_rate} Hz; scenes are made at {RATE} Hz")
    states = [place / "state.safetensors" for place in (at, at.parent)]
    state = next((path for path in states if path.exists()), None)
    if tags_head is None or state is None:
        state = None
    else:
        load_tags_head(state, tags_head)
    print(f"starts from {at}, with the head of tags of {state or 'audioset-mn04'}")
    return model


def of_fold(name: str, fold: int) -> str:
    """The name of a model that has not heard a fold; 0 for the one that has heard all."""
    return name.replace("{fold}", str(fold)).removesuffix("-fold0")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--esc50", required=True)
    parser.add_argument("--urbansound8k")
    parser.add_argument("--backgrounds", nargs="*", default=[])
    parser.add_argument("--strangers", nargs="*", default=[])
    parser.add_argument(
        "--held-out", type=int, nargs="+", required=True, help="folds of ESC-50; 0 for none"
    )
    parser.add_argument("--output", required=True)
    parser.add_argument("--cache", help="folder for decoded clips")
    parser.add_argument("--recipe", nargs="+", default=[], help="JSON of settings that differ")
    parser.add_argument(
        "--trunk", default="audioset-mn04", help="model, in which {fold} is the held-out one"
    )
    parser.add_argument(
        "--initial", metavar="FOLDER", help="of an earlier training, or a model's; may hold {fold}"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="instead of those of the recipes")
    parser.add_argument("--minutes", type=float, help="from the start of the program to its end")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--loaders", type=int, help="processes that make scenes")
    args = parser.parse_args()
    if args.initial and len(args.held_out) > 1 and "{fold}" not in args.initial:
        parser.error("--initial of several models needs {fold} in it")
    return args


def recipes_of(args: argparse.Namespace) -> dict[str, SceneRecipe]:
    """By the names of their files."""
    settings = {Path(path).stem: json.loads(Path(path).read_text("utf-8")) for path in args.recipe}
    recipes = {k: SceneRecipe.from_dict(v) for k, v in settings.items()} or {"": SceneRecipe()}
    if args.steps:
        recipes = {k: recipe.replace(n_steps=args.steps) for k, recipe in recipes.items()}
    return recipes


@dataclass(frozen=True)
class Clips:
    """Clips, the fold of each (0 for those of no fold), and sounds of none of the labels.

    For a single model, all clips of ESC-50 that were read count as one fold.
    """

    examples: list[tuple[Tensor, int]]
    folds: list[int]
    strangers: list[Tensor]
    backgrounds: list[Tensor]

    def head_scenes(
        self, recipe: SceneRecipe, *, seed: int, n_loaders: int
    ) -> list[tuple[int, Scene]]:
        """Some scenes to fit heads to, each of clips of the one fold that is told with it."""
        folds = sorted({*self.folds} - {0})
        lists = [
            Soundscapes(
                [e for e, f in zip(self.examples, self.folds, strict=True) if f in (0, fold)],
                n_scenes=N_HEAD_SCENES // len(folds),
                seed=seed + fold,
                config=recipe.scenes,
                backgrounds=self.backgrounds,
                strangers=self.strangers,
            )
            for fold in folds
        ]
        data: Dataset[Scene] = ConcatDataset([cast(Dataset[Scene], scenes) for scenes in lists])
        scenes = DataLoader(data, batch_size=None, num_workers=n_loaders)
        numbers = [fold for fold, made in zip(folds, lists, strict=True) for _ in range(len(made))]
        return [*zip(numbers, scenes, strict=True)]


def load_clips(args: argparse.Namespace, esc50: ESC50) -> Clips:
    """Read all that scenes are made of."""
    chosen = [clip for clip in esc50 if [clip.fold] != args.held_out]
    examples = load_examples(chosen, sample_rate=RATE, cache=args.cache)
    # A single model may hear clips of all these folds in one scene.
    folds = [clip.fold if len(args.held_out) > 1 else 1 for clip in chosen]
    strangers = recordings(args.strangers)
    if args.urbansound8k:
        origins = {clip.origin for clip in esc50}  # a recording of ESC-50 may be in any fold
        slices = [c for c in UrbanSound8K(args.urbansound8k) if c.fold in (1, 2)]
        slices = [c for c in slices if c.origin not in origins]
        known = [
            replace(c, label=SHARED[c.label], target=esc50.labels.index(SHARED[c.label]))
            for c in slices
            if c.label in SHARED
        ]
        examples += load_examples(known, sample_rate=RATE, cache=args.cache)
        folds += [0] * len(known)
        unknown = [c for c in slices if c.label not in SHARED]
        strangers += [w for w, _ in load_examples(unknown, sample_rate=RATE, cache=args.cache)]
    return Clips(examples, folds, strangers, recordings(args.backgrounds, seconds=3_600))


def main() -> None:
    """Assemble the data, train, and save the averaged weights."""
    began = time.monotonic()
    args = parse()
    esc50, recipes = ESC50(args.esc50), recipes_of(args)
    clips = load_clips(args, esc50)
    print(
        f"{len(clips.examples)} clips, {len(clips.strangers)} strangers, "
        f"{len(clips.backgrounds)} backgrounds"
    )
    teacher = Classifier.from_pretrained("audioset-mn04")
    tags_head = copy.deepcopy(teacher.network.head)
    waveforms = [waveform for waveform, _ in clips.examples]
    n_loaders = args.loaders or 0
    clip_tags = teacher_tags(teacher, waveforms, n_loaders)
    stranger_tags = teacher_tags(teacher, clips.strangers, n_loaders)
    print(f"{time.monotonic() - began:.0f} s: tags are there")
    models: dict[str, SceneModel] = {}
    scenes: list[tuple[int, Scene]] = []
    if not args.initial and not (Path(args.output) / "state.safetensors").exists():
        first = next(iter(recipes.values()))
        scenes = clips.head_scenes(first, seed=args.seed + 1, n_loaders=n_loaders)
    for fold in args.held_out:
        held_out = fold if len(args.held_out) > 1 else 0  # of the clips that were read
        trunk = to_device(Classifier.from_pretrained(of_fold(args.trunk, fold)), args.device)
        wants = any(recipe.embedding_weight for recipe in recipes.values())
        embedded = embeddings(trunk, waveforms) if wants else None
        if args.initial:
            # All models share one head of tags, which must not come from one of their trainings.
            own = tags_head if len(args.held_out) == 1 else None
            model = saved(of_fold(args.initial, fold), esc50.labels, own)
        else:
            model = to_device(with_trunk(trunk, esc50.labels, "mn04-frames"), args.device)
            if scenes:
                fit_head(model, [scene for number, scene in scenes if number != held_out])
        for kind, recipe in recipes.items():
            initial = model.cpu()
            if not args.initial and recipe.network != model.config.network:
                initial = with_trunk(trunk, esc50.labels, recipe.network)
                initial.network.head.load_state_dict(model.network.head.state_dict())
            models[f"{kind}-fold{fold}".lstrip("-")] = SceneModel(
                recipe=recipe, initial=initial.cpu(), held_out=held_out, clip_embeddings=embedded
            )
    spent = time.monotonic() - began
    print(f"{spent:.0f} s: the training begins")
    trained = train_scenes_together(
        models,
        tags_head,
        clips.examples,
        clips.folds,
        clip_tags=clip_tags,
        output=args.output,
        backgrounds=clips.backgrounds,
        strangers=clips.strangers,
        stranger_tags=stranger_tags,
        seed=args.seed,
        n_loaders=args.loaders,
        seconds=60 * args.minutes - spent - END_SECONDS if args.minutes else None,
        device=args.device,
    )
    for name, pair in trained.items():
        for kind, classifier in pair._asdict().items():
            at = Path(args.output) / (name if len(models) > 1 else "") / kind
            classifier.cpu().save_pretrained(at)


if __name__ == "__main__":
    main()
