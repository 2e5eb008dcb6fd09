#!/usr/bin/env python3
"""Name each of two sounds that lie over each other, and draw what was heard where.

    python examples/separate_and_name.py RECORDING [PICTURE.png]
    python examples/separate_and_name.py FIRST SECOND PICTURE.png      mixes the two before

The second form takes two recordings of one sound each, for a try. Drawing needs the extra "plot".
"""

from __future__ import annotations

import sys

import torch

from soundsep import Pipeline, load_audio
from soundsep.plots import plot_separation


def mixed(first: str, second: str, sample_rate: int) -> torch.Tensor:
    """The two at once, equally loud, as long as the shorter."""
    sounds = [load_audio(name, target_rate=sample_rate)[0] for name in (first, second)]
    n_samples = min(map(len, sounds))
    parts = [sound[:n_samples] / sound[:n_samples].square().mean().sqrt() for sound in sounds]
    mixture = parts[0] + parts[1]
    return 0.5 * mixture / mixture.abs().max()


def main(*arguments: str) -> None:
    """Separate, classify, print and draw."""
    pipe = Pipeline.from_pretrained("esc50-mn04", separator="esc50-mix2")
    *recordings, picture = arguments if len(arguments) > 1 else (*arguments, None)
    if len(recordings) == 2:
        result = pipe(mixed(*recordings, pipe.sample_rate), sample_rate=pipe.sample_rate)
    else:
        result = pipe(recordings[0])
    print(result)
    print(result.separation)
    if picture is not None:
        heard: dict[str, str] = {}
        for prediction in result.top(2):
            name = prediction.heard_in or "mixture"
            said = f"{prediction.label} ({prediction.score:.2f})"
            heard[name] = f"{heard[name]}, {said}" if name in heard else f"{name}: {said}"
        plot_separation(result.separation, titles=heard, path=picture)
        print(f"wrote {picture}")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
