#!/usr/bin/env python3
"""Collect sounds of none of the labels of ESC-50: strangers, for models of scenes.

    apt-get download supertux-data && dpkg-deb -x supertux-data_*.deb raw/supertux-data
    python tools/collect_strangers.py raw strangers

reads every n-th recording of every folder in the first one, by name, at least `--most` if there are
so many and less than twice that, and writes to the second folder, at 16 kHz, those that are heard
(`MIN_SECONDS`, `MIN_PEAK`), each once, and are none of the labels: neither a word of their file
name nor a tag that `audioset-mn04` gives them is that of a label, or of something that sounds like
it. (So sounds are left out that a model might take for a label most easily, and figures measured
with the rest are kind.)
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import soundfile
import torch
from torch import Tensor, nn

from soundsep import Classifier, load_audio
from soundsep.audio.find import find_recordings
from soundsep.errors import SoundsepError
from train_scenes import RATE, at_rate_of

MIN_SECONDS, SHORTEST, MIN_PEAK = 0.15, 0.55, 1e-3  # shorter than the second is padded
MAX_SECONDS, TAGGED_SECONDS = 15, 10
MAX_BYTES = 8_000_000
MAX_TAG = 0.3
# Words of file names.
WORDS = """
    airplane alarm applause baby bang bee bell bells bird birds boom breath brush bug can car cat
    chainsaw chicken chime chirp clap click clock cough cow creak cricket crickets crow cry dog door
    drink drop drops engine explode explosion fire firework fireworks flame flush fly footstep
    footsteps frog glass helicopter hen horn insect insects jet key keyboard kitten knock lamb laugh
    lightning motor mouse pig plane pour rain rooster saw sea sheep sip siren sneeze snore splash
    step steps storm teeth thunder tick toilet train typing vacuum walk washing water wave waves
    wind break shatter
"""
# Parts of tags of AudioSet, in small letters. Those of speech and music are no label's.
TAGS = """
    dog|bark|chicken, rooster|crowing|pig|oink|cattle|moo|frog|croak|cat|meow|purr|insect|cricket|
    fly, housefly|bee|mosquito|sheep|bleat|goat|crow|caw|rain|ocean|waves, surf|fire|crackle|bird|
    chirp|drip|liquid|water|splash|wind|pour|fill|toilet flush|thunder|crying|sneeze|clapping|
    applause|breathing|gasp|pant|cough|walk, footsteps|run|laughter|giggle|chuckle|snicker|
    toothbrush|snoring|knock|tap|door|mouse|typing|computer keyboard|creak|squeak|vacuum cleaner|
    alarm|tick|clock|shatter|glass|breaking|helicopter|chainsaw|siren|civil defense|horn|honk|
    engine|idling|train|rail|bell|aircraft|airplane|explosion|boom|burst|sawing|hammer|wood|gunshot|
    fusillade|machine gun
"""


def like_labels(tags: Sequence[str]) -> list[int]:
    """Indices of the tags of AudioSet that sound like a label of ESC-50."""
    like = re.compile(r"\b(" + "|".join(part.strip() for part in TAGS.split("|")) + ")")
    return [
        index
        for index, tag in enumerate(tag.lower().replace("_", " ") for tag in tags)
        if like.search(tag) and not tag.startswith(("speech", "music"))
    ]


def is_named_like_a_label(path: Path) -> bool:
    """Whether a word of a file's name is one of a label."""
    return not {*WORDS.split()}.isdisjoint(re.split(r"[^a-z]+", path.stem.lower()))


class Strangers:
    """What is kept of recordings, none of them twice."""

    def __init__(self) -> None:
        self.tagger = Classifier.from_pretrained("audioset-mn04")
        self.refused = like_labels(self.tagger.labels)
        self.known: set[str] = set()

    def waveform(self, path: Path) -> Tensor | None:
        """Of a recording that is kept, (time,)."""
        if is_named_like_a_label(path) or path.stat().st_size > MAX_BYTES:
            return None
        try:
            waveform = load_audio(path, target_rate=RATE)[0][: MAX_SECONDS * RATE]
        except SoundsepError as error:
            print(f"left out: {error}")
            return None
        digest = hashlib.sha256(waveform.numpy().tobytes()).hexdigest()
        if digest in self.known or len(waveform) < MIN_SECONDS * RATE:
            return None
        self.known.add(digest)
        if waveform.abs().max() < MIN_PEAK or self._is_tagged(waveform[: TAGGED_SECONDS * RATE]):
            return None
        return nn.functional.pad(waveform, (0, max(0, round(SHORTEST * RATE) - len(waveform))))

    @torch.inference_mode()
    def _is_tagged(self, waveform: Tensor) -> bool:
        """Whether it sounds like a label."""
        tags = self.tagger.predict(at_rate_of(self.tagger, waveform)[None])[0]
        return int(tags.argmax()) in self.refused or float(tags[self.refused].max()) > MAX_TAG


def main() -> None:
    """Write what is kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("raw", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--most", type=int, default=120, help="see above")
    options = parser.parse_args()
    options.output.mkdir(parents=True)
    strangers, kept = Strangers(), Counter[str]()
    for folder in sorted(path for path in options.raw.iterdir() if path.is_dir()):
        paths = [Path(path) for path in find_recordings(folder).paths]
        for path in paths[:: max(1, len(paths) // options.most)]:
            waveform = strangers.waveform(path)
            if waveform is not None:
                kept[folder.name] += 1
                name = f"{folder.name}-{kept[folder.name]:03}.wav"
                soundfile.write(options.output / name, waveform.numpy(), RATE, subtype="PCM_16")
    print(f"{kept.total()} sounds:", *(f"{name} {n}" for name, n in kept.items()), sep="\n  ")


if __name__ == "__main__":
    main()
