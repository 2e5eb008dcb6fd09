"""Train a model on scenes: ``python tools/train_scenes.py --esc50 DIR --held-out 5 --output DIR``.

With ``--held-out 0`` all five folds are learnt. Sounds of none of the labels come from classes of
UrbanSound8K (folds 1 and 2) and from folders of recordings, backgrounds from a folder.

The training starts from the trunk of ``audioset-mn04`` with a head fitted to some scenes, or, with
``--initial FOLDER``, from what an earlier training left in its output folder (or from any folder of
a frame-wise classifier): a second stage.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from soundsep import Classifier, ClassifierConfig, load_audio
from soundsep.datasets import ESC50, UrbanSound8K, load_examples
from soundsep.datasets.soundscapes import Soundscapes
from soundsep.frontends import KaldiMelConfig
from soundsep.training import SceneRecipe, load_tags_head, train_scenes

RATE = 16_000
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
        for path in sorted(p for p in Path(folder).rglob("*") if p.suffix in (".ogg", ".wav")):
            waveform = load_audio(path, target_rate=RATE)[0]
            pieces += [w for w in waveform.split(round(seconds * RATE)) if len(w) > RATE // 2]
    return pieces


def teacher_tags(teacher: Classifier, waveforms: Sequence[Tensor]) -> Tensor:
    """What the AudioSet model says of each waveform, (n_waveforms, 527)."""
    import torchaudio

    rows = []
    for waveform in waveforms:
        heard = torchaudio.functional.resample(waveform, RATE, teacher.sample_rate)
        heard = nn.functional.pad(heard, (0, max(0, teacher.sample_rate - len(heard))))
        with torch.inference_mode():
            rows.append(teacher.predict(heard[None])[0])
    return torch.stack(rows)


def fit_head(model: Classifier, scenes: Soundscapes, n_epochs: int = 12) -> None:
    """Give the frame head a logistic regression on the frames of some scenes."""
    frames, presence = [], []
    with torch.inference_mode():
        for scene in scenes:
            frames.append(model.network.embed_frames(model.frontend(scene.waveform[None]))[0])
            n_frames = len(frames[-1])
            presence.append(scene.frame_targets(len(model.labels), n_frames, 8)[0])
    x, y = torch.cat(frames).clone(), torch.cat(presence).clone()
    mean, scale = x.mean(dim=0), x.std(dim=0) + 1e-2
    x = (x - mean) / scale
    rng = torch.Generator().manual_seed(0)
    head = nn.Linear(x.shape[1], y.shape[1])
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, -4.0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.1)
    for epoch in range(n_epochs):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - epoch / n_epochs)
        total = 0.0
        for rows in torch.randperm(len(x), generator=rng).split(512):
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(head(x[rows]), y[rows])
            (loss * y.shape[1]).backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows) / len(x) * y.shape[1]
    print(f"head: loss per frame {total:.3f}")
    with torch.no_grad():
        model.network.head.weight.copy_(head.weight / scale)
        model.network.head.bias.copy_(head.bias - head.weight @ (mean / scale))


def with_trunk(teacher: Classifier, labels: tuple[str, ...]) -> Classifier:
    """A frame-wise classifier with the trunk of a MobileNet, and a head that knows nothing."""
    config = ClassifierConfig(
        labels=labels, network="mn04-frames", frontend=FRONTEND, activation="sigmoid"
    )
    model = Classifier(config).eval()
    body = {k: v for k, v in teacher.network.state_dict().items() if not k.startswith("head.")}
    missing, unexpected = model.network.load_state_dict(body, strict=False)
    assert not unexpected
    assert all(k.startswith(("head.", "attention.")) for k in missing)
    return model


def saved(folder: str, labels: tuple[str, ...], tags_head: nn.Module) -> Classifier:
    """The classifier of an earlier training; its head of tags is loaded, where it was kept."""
    at = Path(folder)
    if not (at / "config.json").exists():
        at = at / "ema"
    model = Classifier.from_pretrained(at)
    if model.config.network != "mn04-frames" or model.labels != labels:
        raise SystemExit(f"{at} is no classifier of frames for the labels of ESC-50")
    if model.sample_rate != RATE:
        raise SystemExit(f"{at} wants {model.sample_rate} Hz; scenes are made at {RATE} Hz")
    states = [place / "state.safetensors" for place in (at, at.parent)]
    state = next((path for path in states if path.exists()), None)
    if state is not None:
        load_tags_head(state, tags_head)
    print(f"starts from {at}, with the head of tags of {state or 'audioset-mn04'}")
    return model


def main() -> None:
    """Assemble the data, train, and save the averaged weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--esc50", required=True)
    parser.add_argument("--urbansound8k")
    parser.add_argument("--backgrounds", nargs="*", default=[])
    parser.add_argument("--strangers", nargs="*", default=[])
    parser.add_argument("--held-out", type=int, required=True, help="fold of ESC-50; 0 for none")
    parser.add_argument("--output", required=True)
    parser.add_argument("--cache", help="folder for decoded clips")
    parser.add_argument("--recipe", help="JSON of settings that differ")
    parser.add_argument("--initial", metavar="FOLDER", help="of an earlier training, or a model's")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    esc50 = ESC50(args.esc50)
    clips = [clip for clip in esc50 if clip.fold != args.held_out]
    examples = load_examples(clips, sample_rate=RATE, cache=args.cache)
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
        unknown = [c for c in slices if c.label not in SHARED]
        strangers += [w for w, _ in load_examples(unknown, sample_rate=RATE, cache=args.cache)]
    backgrounds = recordings(args.backgrounds, seconds=3_600)
    print(f"{len(examples)} clips, {len(strangers)} strangers, {len(backgrounds)} backgrounds")

    teacher = Classifier.from_pretrained("audioset-mn04")
    settings = json.loads(Path(args.recipe).read_text()) if args.recipe else {}
    recipe = SceneRecipe.from_dict(settings)
    if args.initial:
        model = saved(args.initial, esc50.labels, teacher.network.head)
    else:
        model = with_trunk(teacher, esc50.labels)
        if not (Path(args.output) / "state.safetensors").exists():
            scenes = Soundscapes(
                examples,
                n_scenes=1_200,
                seed=args.seed + 1,
                config=recipe.scenes,
                backgrounds=backgrounds,
                strangers=strangers,
            )
            fit_head(model, scenes)
    trained = train_scenes(
        recipe,
        model,
        teacher.network.head,
        examples,
        clip_tags=teacher_tags(teacher, [w for w, _ in examples]),
        output=args.output,
        backgrounds=backgrounds,
        strangers=strangers,
        stranger_tags=teacher_tags(teacher, strangers),
        seed=args.seed,
    )
    for name, classifier in trained._asdict().items():
        classifier.save_pretrained(Path(args.output) / name)


if __name__ == "__main__":
    main()
