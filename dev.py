#!/usr/bin/env python3
"""Everything a newcomer or a contributor runs, with Python alone.

    python3 dev.py demo [FILE...]   classify synthetic sounds, or recordings of your own
    python3 dev.py test [ARG...]    the tests; arguments go to pytest
    python3 dev.py check            lint, format and types
    python3 dev.py docs             the documentation, into docs/_build/html
    python3 dev.py build            the wheel and the source distribution, into dist/
    python3 dev.py results ESC50 URBANSOUND8K   measure the shipped weights again

Each makes the virtual environment .venv first, if it is not there or pyproject.toml has changed.
On Windows type py instead of python3.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"


def programs(environment: Path, system: str = os.name) -> tuple[Path, Path]:
    """Where the programs of an environment lie, and its Python."""
    folder = environment / ("Scripts" if system == "nt" else "bin")
    return folder, folder / ("python.exe" if system == "nt" else "python")


BIN, PYTHON = programs(VENV)


def to_type(program: str, folder: str, path: ModuleType = os.path) -> str:
    """What starts a program from a folder; ``path`` is `posixpath` or `ntpath`."""
    drives = (path.normcase(path.splitdrive(name)[0]) for name in (program, folder))
    if len(set(drives)) == 1:  # on Windows there is no way from one drive to another
        program = path.relpath(program, folder)
    if path.sep == "/":
        return shlex.quote(program)
    return f'"{program}"' if " " in program else program


def run(*command: str | Path) -> None:
    """Run a command in the repository's root; stop with its exit code if it fails."""
    print("$", *command, flush=True)
    status = subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode
    if status:
        sys.exit(status)


def python(*arguments: str | Path) -> None:
    """Run the environment's Python."""
    run(PYTHON, *arguments)


def prepare(extras: str) -> None:
    """Make the virtual environment and install the package with its ``extras``."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest() + extras
    stamp = VENV / f"installed-{extras or 'package'}"
    # Another system may have made it: Windows and its Linux keep programs in different folders.
    if PYTHON.exists() and stamp.is_file() and stamp.read_text() == wanted:
        return
    if not PYTHON.exists():
        print("making .venv; torch is a large download, this can take some minutes", flush=True)
        venv.create(VENV, with_pip=True)
    quiet = [] if sys.stdout.isatty() else ["--quiet"]  # people want to see the download move
    python("-m", "pip", "install", *quiet, "--editable", f".[{extras}]" if extras else ".")
    stamp.write_text(wanted)


def demo(*files: str) -> None:
    """Classify ``files``; without any, sounds that are synthesised first."""
    paths = [str(Path(file).resolve()) for file in files]  # this runs in the root
    prepare("")
    if not paths:
        python("examples/synthesise_sounds.py", "examples/sounds")
        paths = ["examples/sounds"]
    python("-m", "soundsep.cli", "classify", "--top", "3", *paths)
    command = to_type(str(BIN / "soundsep"), str(Path.cwd()))
    print(f"\nnow a recording of yours: {command} classify RECORDING", flush=True)


def test(*arguments: str) -> None:
    """Run the tests; all of them, a file at a time, on up to four cores."""
    prepare("dev")
    if all(argument.startswith("-") for argument in arguments):  # no file, name or mark is chosen
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # else each process would use every core
        arguments = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile", *arguments)
    python("-m", "pytest", *arguments)


def check() -> None:
    """Lint, format, types."""
    prepare("dev")
    python("-m", "ruff", "check", ".")
    python("-m", "ruff", "format", "--check", ".")
    python("-m", "mypy")


def docs() -> None:
    """Build the documentation; a warning is an error."""
    prepare("docs,onnx")
    python("-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html")
    python("tools/build_try.py", "docs/_build/html/try", "--optional")
    print("the documentation is in docs/_build/html/index.html")


def build() -> None:
    """Build the distributions and check their metadata."""
    prepare("dev")
    python("-m", "build", "--outdir", "dist", ".")
    python("-m", "twine", "check", "--strict", *sorted((ROOT / "dist").glob("soundsep-*")))


def results(esc50: str, urbansound8k: str) -> None:
    """Measure the shipped weights and rewrite every table of numbers."""
    prepare("dev")
    python("tools/update_results.py", esc50, urbansound8k)
    python("tools/measure_separation.py", esc50)


TASKS = {task.__name__: task for task in (demo, test, check, docs, build, results)}

if __name__ == "__main__":
    if sys.version_info < (3, 10):
        sys.exit(f"soundsep needs Python 3.10 or newer, this is {sys.version.split()[0]}")
    if len(sys.argv) < 2 or sys.argv[1] not in TASKS:
        sys.exit(__doc__)
    TASKS[sys.argv[1]](*sys.argv[2:])
