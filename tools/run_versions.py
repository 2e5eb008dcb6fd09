#!/usr/bin/env python3
"""Run the tests that touch torch with the oldest and the newest dependencies.

    python tools/run_versions.py [oldest] [newest] [between]

Each gets a fresh environment in a temporary folder: the oldest is Python 3.10 with the lower bounds
of pyproject.toml, the newest Python 3.13 with what pip finds, and so is, if it is asked for, Python
3.12 between them. It needs a package index and some 10 GB of disk; they run side by side where
there is room for all. A version whose interpreter is not on this machine is left out, and a line
says so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest brings

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHONS = {"oldest": "3.10", "newest": "3.13", "between": "3.12"}
ENDS = ("oldest", "newest")  # what is run by default
TOOLS = ("av", "hypothesis", "matplotlib", "pytest")  # of the extra dev, what the tests below need
TESTS = (
    "tests/unit/test_torchaudio.py",
    "tests/unit/frontends",
    "tests/unit/models",
    "tests/unit/classifier",
    "tests/unit/pipeline/test_pipeline.py",
    "tests/unit/plots",
    "tests/unit/separator/demucs/test_package.py",
    "tests/cli/test_cli.py",
)
ROOM = 12 * 2**30  # bytes of an environment with torch and CUDA while pip unpacks it
# Old releases use what their newer neighbours deprecate: matplotlib 3.8 and pyparsing 3.3.
OPTIONS = {"oldest": ("-W", "ignore::DeprecationWarning")}
SHOW = """
import sys
from importlib.metadata import version
print("Python", sys.version.split()[0])
for name in "torch torchaudio numpy scipy soundfile demucs matplotlib".split():
    print(name, version(name))
"""


def interpreter(version: str) -> str | None:
    """A Python of that version, on the path or among those of pyenv."""
    for candidate in _candidates(version):
        asked = subprocess.run(  # noqa: S603 (a Python of this machine)
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.stdout.strip() == version:
            return candidate
    return None


def _candidates(version: str) -> Iterator[str]:
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(root.glob(f"versions/{version}.*/bin/python")))


def requirements(end: str) -> list[str]:
    """What to install beside the package; of the oldest, its lower bounds."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    of_package = [Requirement(line) for line in project["dependencies"]]
    of_tests = [Requirement(line) for line in project["optional-dependencies"]["dev"]]
    of_tests = [wanted for wanted in of_tests if wanted.name in TOOLS]
    if end != "oldest":
        return [str(wanted) for wanted in of_tests]
    return [
        f"{wanted.name}=={bound.version}"
        for wanted in of_package + of_tests
        for bound in wanted.specifier
        if bound.operator == ">="
    ]


def run(end: str, python: str, folder: Path) -> tuple[int, str]:
    """Exit status, and what is to be shown."""
    began = time.monotonic()
    own = folder / "bin" / "python"
    text = ""
    for command in (
        [python, "-m", "venv", str(folder)],
        [str(own), "-m", "pip", "install", "--quiet", "-e", str(REPOSITORY), *requirements(end)],
        [str(own), "-c", SHOW],
        [str(own), "-m", "pytest", "-q", "-p", "no:cacheprovider", *OPTIONS.get(end, ()), *TESTS],
    ):
        done = subprocess.run(  # noqa: S603 (that Python, and one of an environment made here)
            command,
            cwd=REPOSITORY,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode or "pip" not in command:
            text += done.stdout
        if done.returncode:
            break
    shutil.rmtree(folder)
    seconds = time.monotonic() - began
    return (
        done.returncode,
        f"-- {end}\n{text}-- {end}: exit status {done.returncode}, {seconds:.0f} s",
    )


def at_once(environments: int, folder: Path) -> int:
    """How many of them the disk has room for, at least one."""
    return max(1, min(environments, shutil.disk_usage(folder).free // ROOM))


def main() -> None:
    """Run the ends that are asked for, as many side by side as the disk has room for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "ends", nargs="*", metavar="END", help="oldest, newest (default: both), between"
    )
    ends = parser.parse_args().ends or list(ENDS)
    if unknown := set(ends) - set(PYTHONS):
        parser.error(f"expected some of {', '.join(PYTHONS)}, got {', '.join(unknown)}")
    found = {end: interpreter(PYTHONS[end]) for end in ends}
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(at_once(len(ends), Path(folder))) as pool,
    ):
        runs = {
            end: pool.submit(run, end, python, Path(folder) / end)
            for end, python in found.items()
            if python is not None
        }
        for end in ends:
            if end not in runs:
                print(f"-- {end}: left out, there is no Python {PYTHONS[end]} on this machine")
        for future in runs.values():
            print(future.result()[1], flush=True)
    sys.exit(max((future.result()[0] for future in runs.values()), default=0))


if __name__ == "__main__":
    main()
