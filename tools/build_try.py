#!/usr/bin/env python3
"""Build the page that runs a model in the browser: docs/try, a model, and ONNX Runtime for the web.

    python tools/build_try.py FOLDER                into this folder, such as docs/_build/html/try
    python tools/build_try.py FOLDER --model NAME   with another model

ONNX Runtime comes from the npm package onnxruntime-web, by the npm client, pinned to its bytes.
Open the page through a web server: python -m http.server --directory FOLDER.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = REPOSITORY / "docs" / "try"
VERSION = "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def fetch_runtime(folder: Path) -> None:
    """Put the files of ONNX Runtime into a folder.

    Raises:
        OSError: npm is not there, or fetched something else.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--pack-destination", place]
        done = subprocess.run(  # noqa: S603  # the arguments are ours
            command, capture_output=True, text=True, timeout=300, check=False
        )
        found = list(Path(place).glob("*.tgz"))
        if done.returncode or len(found) != 1:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise OSError(f"npm cannot fetch onnxruntime-web {VERSION}: {last}")
        digest = base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode()
        if digest != SHA512:
            raise OSError(f"onnxruntime-web {VERSION} is not what it was: sha512 {digest}")
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(found[0]) as archive:
            for name in RUNTIME:
                content = archive.extractfile(f"package/dist/{name}")
                assert content is not None
                (folder / name).write_bytes(content.read())


def build(folder: Path, *, model: str) -> None:
    """Write the whole page.

    Raises:
        OSError: ONNX Runtime cannot be had.
    """
    from soundsep import Classifier
    from soundsep.checkpoints import PUBLISHED
    from soundsep.export import export_onnx

    if not all((folder / "ort" / name).is_file() for name in RUNTIME):
        fetch_runtime(folder / "ort")
    # The page passes the model on, so it carries the notices too.
    for source in (*SOURCES.iterdir(), REPOSITORY / "LICENSE", REPOSITORY / "NOTICE"):
        shutil.copy(source, folder / source.name)
    classifier = Classifier.from_pretrained(model)
    export_onnx(classifier, folder / "model.onnx", name=model)
    config = classifier.config
    licence = PUBLISHED[model].licence if model in PUBLISHED else ""
    described = {
        "name": Path(model).name,
        "labels": config.labels,
        "sampleRate": classifier.sample_rate,
        "windowSamples": config.window_samples,
        "hopSamples": config.hop_samples,
        "minSamples": config.min_samples,
        "padding": config.padding,
        "activation": config.activation,
        "clipLevelDb": config.clip_level_db,
        "thresholds": config.label_thresholds,
        "terms": f"Licence: {licence}." if licence else "",
        "runtime": VERSION,
    }
    (folder / "model.json").write_text(json.dumps(described) + "\n", encoding="utf-8")


def main() -> int:
    """Build; without ONNX Runtime say so and leave the page out."""
    from soundsep.checkpoints import DEFAULT_MODEL

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument(
        "--optional", action="store_true", help="succeed if ONNX Runtime cannot be had"
    )
    arguments = parser.parse_args()
    try:
        build(arguments.folder, model=arguments.model)
    except OSError as error:
        print(f"the page is left out: {error}", file=sys.stderr)
        return 0 if arguments.optional else 1
    print(f"the page is in {arguments.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
