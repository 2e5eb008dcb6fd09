from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest
import soundfile
import torch
from torch import Tensor

from soundsep import Classifier, ClassifierConfig, MelConfig
from soundsep.checkpoints.locate import find_local
from soundsep.checkpoints.registry import PUBLISHED
from soundsep.errors import DependencyError
from soundsep.evaluation.psds import import_sed_scores_eval

REPOSITORY = Path(__file__).resolve().parents[1]
# Resolved now: some tests work in other folders.
DATA = Path(os.environ.get("SOUNDSEP_TEST_DATA") or REPOSITORY.parent / "shared").resolve()


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory):
    """Neither tests nor the fixtures they share use the user's cache or the user's settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOUNDSEP_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in ("SOUNDSEP_OFFLINE", "SOUNDSEP_WEIGHTS", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory):
    """No test finds what another one has cached."""
    monkeypatch.setenv("SOUNDSEP_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def sed_scores_eval() -> ModuleType:
    """The package of the extra ``eval``, which wants a C compiler and so is not in ``dev``."""
    try:
        return import_sed_scores_eval()
    except DependencyError as error:
        absent("needs the extra eval", str(error))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A saved classifier that is small and untrained; modules with other needs have their own."""
    config = ClassifierConfig(
        labels=("dog", "rain", "siren"),
        network="mn04",
        frontend=MelConfig(n_mels=32),
        window_seconds=0.5,
        hop_seconds=0.5,
    )
    folder = tmp_path_factory.mktemp("model")
    Classifier(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def browser():
    """A real browser: Debian's Chromium, or that which CHROMIUM names."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        # As root, as in containers, Chromium starts without its sandbox only.
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def absent(reason: str, details: str | None = None) -> NoReturn:
    """Skip, or fail where everything is known to be there: a skip would hide the tests."""
    if os.environ.get("CI"):
        pytest.fail(details or reason)
    pytest.skip(reason)


def _found(folder: Path) -> Path:
    if folder.is_dir():
        return folder
    absent(f"no test data at {folder}; SOUNDSEP_TEST_DATA says where it is")


@pytest.fixture(scope="session")
def all_weights() -> None:
    """Every model of ``weights/`` can be loaded; without a checkout, the defaults alone can."""
    own = [m for m in PUBLISHED.values() if not any(file.url for file in m.files)]
    missing = [model.name for model in own if find_local(model) is None]
    if missing:
        absent("only an imported checkout has all weights", f"no weights of {', '.join(missing)}")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of shared test data, which holds ``data`` and ``models``."""
    return _found(DATA)


@pytest.fixture(scope="session")
def esc50_root(data_dir: Path) -> Path:
    """All of ESC-50, at 16 kHz."""
    return _found(data_dir / "data" / "esc50-16k")


@pytest.fixture(scope="session")
def real_clips(esc50_root: Path) -> list[Tensor]:
    """20 clips of ESC-50 spread over all folds and classes, (80000,) each, at 16 kHz."""
    paths = sorted((esc50_root / "audio").glob("*.flac"))[::100]
    return [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]


@pytest.fixture(scope="session")
def real_clips_44k(data_dir: Path) -> list[Tensor]:
    """4 clips of ESC-10 at their original 44.1 kHz, (time,) each."""
    paths = sorted(_found(data_dir / "data" / "esc10-44k").glob("*/*.ogg"))[::15]
    return [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]
