"""Fetch files of demucs: from ``SOUNDSEP_WEIGHTS``, else from the Hugging Face Hub.

No hashes of these files are published that could be listed here. A file from the Hub is compared
with what the Hub states on delivery; a file from a mirror must be complete.
"""

from __future__ import annotations

import re
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from soundsep.checkpoints.cache import cache_root, writable
from soundsep.checkpoints.fetch import mismatch, receive, told
from soundsep.checkpoints.locate import is_offline, mirror
from soundsep.checkpoints.registry import PublishedFile
from soundsep.digests import digest
from soundsep.errors import WeightsError
from soundsep.files import replacing

__all__ = ["fetch_demucs"]


def fetch_demucs(name: str, repository: str, file: str) -> Path:
    """A file of a model, fetched if it is not on this machine yet.

    Args:
        name: Name of the model.
        repository: Repository on the Hugging Face Hub.
        file: File name in the repository; on a mirror the path is ``name/file``.

    Raises:
        ConfigError: ``SOUNDSEP_WEIGHTS`` is neither a folder nor an http(s) address.
        WeightsError: the file is not available, or is not what the Hub says of it.
    """
    base_url, folder = mirror()
    if base_url:
        return _from_mirror(base_url, name, file)
    if folder and (folder / name).is_dir():
        return folder / name / file
    return _from_hub(name, repository, file)


def _from_mirror(base_url: str, name: str, file: str) -> Path:
    mark = digest(base_url)[:12]
    target = cache_root() / "models" / name / mark / file
    if target.is_file():
        return target
    url = f"{base_url}/{name}/{file}"
    if is_offline():
        raise WeightsError(
            f"{target} is missing, and SOUNDSEP_OFFLINE or HF_HUB_OFFLINE forbids fetching it "
            f"from {url}; go online once, or put it there by hand"
        )
    target = writable(target.parent) / file
    if target.is_file():  # fetched before, where the cache cannot be written
        return target
    try:
        with replacing(target) as (temporary,), temporary.open("wb") as stream:
            receive(url, stream, size=None, progress=True)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise WeightsError(
            f"cannot fetch {url} to {target}: {told(error)}. Check SOUNDSEP_WEIGHTS, the "
            "connection, and that SOUNDSEP_CACHE can be written"
        ) from error
    return target


def _from_hub(name: str, repository: str, file: str) -> Path:
    from huggingface_hub import hf_hub_download  # slow to import

    try:
        path = Path(hf_hub_download(repository, file, local_files_only=is_offline()))
    except Exception as error:  # hub errors stem from requests or httpx, by its version
        hint = " SOUNDSEP_OFFLINE or HF_HUB_OFFLINE is set." if is_offline() else ""
        raise WeightsError(
            f"cannot fetch {file} of {repository!r} from the Hugging Face Hub: {error}.{hint} "
            f"SOUNDSEP_WEIGHTS may name a folder that holds {name}/{file}"
        ) from error
    # The Hub's client compares sizes; it names a large file after the sha256 the Hub has told it.
    blob = path.resolve()
    told = blob.name if re.fullmatch(r"[0-9a-f]{64}", blob.name) else None
    if problem := mismatch(blob, PublishedFile(file, told, blob.stat().st_size)):
        raise WeightsError(f"{path} is damaged: {problem}; remove {blob} to have it fetched again")
    return path
