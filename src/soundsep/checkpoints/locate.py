"""Find a published checkpoint: in the package, cache, mirror or checkout, or at the release.

Nothing is used before its size and sha256 match the table in `soundsep.checkpoints.registry`,
wherever it came from; a file whose sha256 is not known is never fetched. Environment variables:

- ``SOUNDSEP_CACHE``: the cache's folder. Default: ``$XDG_CACHE_HOME/soundsep``, else
  ``~/.cache/soundsep``, on every platform.
- ``SOUNDSEP_WEIGHTS``: a mirror, either a folder or a base URL, that holds ``<name>/<file>``.
  A file of other authors may also lie in the folder itself.
- ``SOUNDSEP_OFFLINE`` or ``HF_HUB_OFFLINE``: with ``1`` no socket is opened.
"""

from __future__ import annotations

import functools
import json
import os
import threading
from contextlib import suppress
from importlib import metadata, resources
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from soundsep.checkpoints.cache import cache_root, folder_of_this_process, writable
from soundsep.checkpoints.fetch import fetch_file, mismatch
from soundsep.checkpoints.registry import PublishedFile, PublishedModel
from soundsep.digests import digest
from soundsep.errors import ConfigError, WeightsError
from soundsep.files import sweep, write_bytes
from soundsep.names import local_path

__all__ = [
    "cache_folder",
    "cache_root",
    "find_local",
    "find_published",
    "is_offline",
    "mirror",
    "release_url",
]

ORIGIN = "direct_url.json"


def is_offline() -> bool:
    """Whether the environment forbids opening a socket."""
    values = (os.environ.get(name, "") for name in ("SOUNDSEP_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value.strip().lower() in ("1", "on", "yes", "true") for value in values)


def cache_folder(model: PublishedModel) -> Path:
    """Folder of a checkpoint in the cache; other contents of the same name have another folder.

    Args:
        model: Entry of the table.
    """
    hashes = "".join(file.sha256 or file.name for file in model.files)
    return cache_root() / "models" / model.name / digest(hashes)[:12]


def release_url(model: PublishedModel, file: PublishedFile) -> str:
    """Address of a file at the tag of the release that holds it.

    Args:
        model: Entry of the table.
        file: One of its files.

    Raises:
        WeightsError: soundsep's package metadata is missing or names another host than GitHub.
    """
    try:
        about = metadata.metadata("soundsep")
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            f"the address of '{model.name}' is in soundsep's package metadata, but soundsep is not "
            "installed; install it, or set SOUNDSEP_WEIGHTS to a mirror"
        ) from error
    urls = dict(entry.split(", ", 1) for entry in about.get_all("Project-URL") or [])
    host, repository = "https://github.com/", urls.get("Repository", "").removesuffix("/")
    if not repository.startswith(host):
        raise WeightsError(
            f"where '{model.name}' is published cannot be told from the project URL "
            f"{repository!r}: expected {host}...; set SOUNDSEP_WEIGHTS to a mirror"
        )
    raw = "https://raw.githubusercontent.com/" + repository.removeprefix(host)
    return f"{raw}/v{model.release or about['Version']}/weights/{model.name}/{file.name}"


def mirror() -> tuple[str | None, Path | None]:
    """The base URL or the folder in ``SOUNDSEP_WEIGHTS``; both are ``None`` if it is not set.

    Raises:
        ConfigError: it is neither an existing folder nor an http(s) address.
    """
    value = os.environ.get("SOUNDSEP_WEIGHTS", "")
    if not value or value.lower().startswith(("http://", "https://")):
        return value.rstrip("/") or None, None
    with suppress(OSError, ConfigError):  # too long; no such user
        folder = local_path(value).absolute()
        if folder.is_dir():
            return None, folder
    raise ConfigError(
        f"SOUNDSEP_WEIGHTS is {value[:200]!r}: expected an existing folder or a base URL (http:// "
        "or https://); correct it or unset it"
    )


def find_local(model: PublishedModel) -> Path | None:
    """The folder on this machine that holds the verified files of a model, or ``None``.

    The order is: the installed package, which holds the default model; the cache;
    ``SOUNDSEP_WEIGHTS``; ``weights/`` of the source checkout. A folder that lacks the model is
    passed over; one that holds other bytes under its name is an error.

    Args:
        model: Entry of the table.

    Raises:
        ConfigError: ``SOUNDSEP_WEIGHTS`` is neither a folder nor an http(s) address.
        WeightsError: a folder holds other files of that name.
    """
    inside = _inside_the_package(model)
    if inside is not None and _is_whole(inside, model, "the installed package"):
        return inside
    with suppress(ConfigError):  # no home, so nothing is cached
        cached = cache_folder(model)
        sweep(cached)
        if _missing(cached, model) == {}:
            return cached
    for place, folder in _places()[1].items():
        if _is_whole(folder / model.name, model, place):
            return folder / model.name
        # Our own files are called the same for every model, those of others are not.
        if all(file.url for file in model.files) and _is_whole(folder, model, place):
            return folder
    return None


def find_published(model: PublishedModel, *, progress: bool = True) -> Path:
    """A local folder that holds the verified files of a published checkpoint.

    What `find_local` does not find is fetched into the cache: from ``SOUNDSEP_WEIGHTS`` if that is
    a base URL, else from the release. A base URL that does not have the files is an error: whoever
    sets a mirror may not want the internet used instead.

    Args:
        model: Entry of `soundsep.checkpoints.registry.PUBLISHED`.
        progress: Show a bar on standard error while downloading.

    Raises:
        ConfigError: ``SOUNDSEP_WEIGHTS`` is neither a folder nor an http(s) address.
        WeightsError: the files are not available, or are not what the table says.
    """
    if (found := find_local(model)) is not None:
        return found
    cached = cache_folder(model)
    base_url, _ = _places()
    with _one_at_a_time(os.getpid()):
        if not is_offline() and (wanted := _missing(cached, model)):
            cached = writable(cached, sum(file.size for file in wanted))
        wanted = _missing(cached, model)
        _require_pinned(model, wanted)
        urls = {
            file: f"{base_url}/{model.name}/{file.name}"
            if base_url
            else file.url or release_url(model, file)
            for file in wanted
        }
        if wanted and is_offline():
            raise WeightsError(
                f"'{model.name}' is not complete in the cache, and SOUNDSEP_OFFLINE or "
                "HF_HUB_OFFLINE forbids fetching it:\n"
                + "\n".join(
                    f"  {cached / file.name}: {problem}; it would come from {urls[file]}"
                    for file, problem in wanted.items()
                )
                + "\nGo online once, put the files there by hand, or set SOUNDSEP_WEIGHTS to a "
                f"folder that holds {model.name}/"
            )
        for file, url in urls.items():
            fetch_file(url, cached / file.name, file, progress=progress)
    return cached


@functools.cache
def _one_at_a_time(process: int) -> threading.Lock:
    """Only saves threads a double download; hashes and atomic moves guarantee that files are whole.

    A forked process has a lock of its own: a thread that its parent alone has may hold that of its
    parent.
    """
    return threading.Lock()


def _require_pinned(model: PublishedModel, wanted: dict[PublishedFile, str]) -> None:
    for file, problem in wanted.items():
        if file.sha256 is None:
            path = cache_folder(model) / file.name
            raise WeightsError(
                f"'{model.name}' is not fetched by itself, because the sha256 of {file.name} is "
                f"not known here, and no download goes unchecked. If you trust {file.url} "
                f"({file.size} bytes), download it yourself to {path} ({problem}) or to a folder "
                "that SOUNDSEP_WEIGHTS names"
            )


def _places() -> tuple[str | None, dict[str, Path]]:
    """The base URL of the mirror, if there is one, and the local folders to try before a URL."""
    base_url, folder = mirror()
    if base_url:
        return base_url, {}
    folders = {} if folder is None else {"SOUNDSEP_WEIGHTS": folder}
    if checkout := _checkout():
        folders["the checkout's weights"] = checkout / "weights"
    return None, folders


def _inside_the_package(model: PublishedModel) -> Path | None:
    """The folder of a model inside the wheel; a checkout has none."""
    held = resources.files("soundsep") / "_weights" / model.name
    if isinstance(held, Path):
        return held if held.is_dir() else None
    # The package is imported from a zip archive, and safetensors reads only files.
    if not all((held / file.name).is_file() for file in model.files):
        return None
    folder = folder_of_this_process() / "package" / model.name
    for file in model.files:
        if not (folder / file.name).is_file():  # or no longer: some systems tidy such folders
            write_bytes(folder / file.name, (held / file.name).read_bytes())
    return folder


def _checkout() -> Path | None:
    """The source checkout that this package is part of, or was installed from."""
    package = Path(__file__).absolute().parents[1]
    if package.parent.name == "src" and (package.parents[1] / "pyproject.toml").is_file():
        return package.parents[1]
    with suppress(
        metadata.PackageNotFoundError, ValueError, LookupError, TypeError, AttributeError, OSError
    ):
        # pip writes it when it installs from a folder (PEP 610).
        noted = metadata.distribution("soundsep").read_text(ORIGIN) or "{}"
        origin = urlsplit(json.loads(noted)["url"])
        folder = Path(url2pathname(origin.path))
        if origin.scheme == "file" and (folder / "weights").is_dir():
            return folder
    return None


def _missing(folder: Path, model: PublishedModel) -> dict[PublishedFile, str]:
    """The files that are absent or damaged, and what is wrong with each."""
    problems = {file: mismatch(folder / file.name, file) for file in model.files}
    return {file: problem for file, problem in problems.items() if problem is not None}


def _is_whole(folder: Path, model: PublishedModel, place: str) -> bool:
    """Whether a local folder holds all files; wrong ones are an error, absent ones are not."""
    try:
        if not all((folder / file.name).is_file() for file in model.files):
            return False
    except OSError:  # no permission: it is somebody else's
        return False
    for file, problem in _missing(folder, model).items():
        own = "" if file.url else f", or load it as a folder of your own: {str(folder)!r}"
        raise WeightsError(
            f"{folder / file.name} ({place}) is not the published file of '{model.name}': "
            f"{problem}. Replace it{own}"
        )
    return True
