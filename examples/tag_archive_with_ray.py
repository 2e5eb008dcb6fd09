#!/usr/bin/env python3
"""Tag a folder of recordings with Ray Data, into a folder of Parquet files.

    pip install "soundsep[ray]"
    python examples/tag_archive_with_ray.py FOLDER OUT_DIR

A row has the recording's `id`, its path below FOLDER, and `labels`, `scores` and `error`. Run it
again after it was stopped: it tags what is in no Parquet file yet, and a file is there whole or
not at all. `pandas.read_parquet(OUT_DIR)` reads all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from soundsep.audio import find_recordings, passed_over
from soundsep.checkpoints import DEFAULT_MODEL
from soundsep.integrations.ray import Tagger

CLIPS_A_BLOCK = 64  # what a worker takes at a time, and what is tagged again if it dies
COLUMNS = ["id", "labels", "scores", "error"]


def names_below(folder: Path) -> Iterator[str]:
    """Paths below ``folder``, in order; Parquet holds text, so a name has to be some."""
    found = find_recordings(folder)
    if line := passed_over(found.passed_over):
        print(line, file=sys.stderr)
    for path in found.paths:
        name = Path(path).relative_to(folder).as_posix()
        try:
            name.encode()
        except UnicodeEncodeError:
            print(f"left out, rename it: {name!a}", file=sys.stderr)
        else:
            yield name


def write_part(table: pa.Table, path: Path) -> None:
    """Write a Parquet file that is there whole or not at all."""
    hidden = path.with_name(f".{path.name}")
    pq.write_table(table, hidden)
    os.replace(hidden, path)


def main(folder: Path, output: Path, model: str, n_workers: int, part: int) -> None:
    """Tag whatever has not been tagged yet."""
    output.mkdir(parents=True, exist_ok=True)
    files = sorted(output.glob("part-*.parquet"))
    done = {i for file in files for i in pq.read_table(file, columns=["id"])["id"].to_pylist()}
    ids = [name for name in names_below(folder) if name not in done]
    print(f"{len(done)} recordings are tagged, {len(ids)} are left", flush=True)
    if not ids:
        return
    paths = [str(folder.resolve() / name) for name in ids]
    left = pa.table({"id": ids, "path": paths})
    ray.init(include_dashboard=False)
    tagged = ray.data.from_arrow(
        [left.slice(start, CLIPS_A_BLOCK) for start in range(0, len(ids), CLIPS_A_BLOCK)]
    ).map_batches(
        Tagger,
        fn_constructor_args=[model],
        batch_size=CLIPS_A_BLOCK,
        compute=ray.data.ActorPoolStrategy(size=n_workers),
    )
    number = 1 + max((int(file.stem.removeprefix("part-")) for file in files), default=-1)
    # The rows come back to this one process, so what Ray has to repeat is still written once.
    for table in tagged.iter_batches(batch_size=part, batch_format="pyarrow"):
        write_part(table.select(COLUMNS), output / f"part-{number:06}.parquet")
        number += 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("output", type=Path, metavar="OUT_DIR")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument(
        "--part",
        type=int,
        default=512,
        metavar="N",
        help="rows of a Parquet file, and what is tagged again if all of it is stopped",
    )
    arguments = parser.parse_args()
    main(arguments.folder, arguments.output, arguments.model, arguments.workers, arguments.part)
