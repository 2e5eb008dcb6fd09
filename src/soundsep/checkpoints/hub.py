"""Checkpoints on the Hugging Face Hub: fetched from there, and pushed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from soundsep.checkpoints.files import CONFIG_NAME, WEIGHTS_NAME
from soundsep.checkpoints.locate import is_offline
from soundsep.errors import ConfigError, WeightsError

__all__ = ["CARD_NAME", "fetch_repository", "is_repository", "push_folder"]

CARD_NAME = "README.md"
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_SECRET = re.compile(r"hf_[A-Za-z0-9]{8,}|(?i:bearer)\s+\S+")


def is_repository(name: str) -> bool:
    """Whether a name can be ``org/repo`` on the Hub."""
    return bool(_HUB_ID.fullmatch(name)) and ".." not in name and "--" not in name


def fetch_repository(repository: str) -> Path:
    """Folder with the checkpoint of a repository, from the cache of the Hub where it is current.

    Raises:
        WeightsError: it cannot be fetched.
    """
    from huggingface_hub import snapshot_download  # slow to import, and rarely needed

    try:
        folder = snapshot_download(
            repository, allow_patterns=[CONFIG_NAME, WEIGHTS_NAME], local_files_only=is_offline()
        )
    except Exception as error:  # hub errors stem from requests or httpx, by its version
        # Offline the Hub's client advises on an argument that nobody here has.
        reason = (
            "they are not in its cache, and SOUNDSEP_OFFLINE or HF_HUB_OFFLINE is set"
            if is_offline()
            else str(error).rstrip(".")
        )
        raise WeightsError(
            f"cannot fetch {CONFIG_NAME} and {WEIGHTS_NAME} of {repository!r} from the Hugging "
            f"Face Hub: {reason}. There is no folder of that name either"
        ) from error
    return Path(folder)


def push_folder(
    folder: Path,
    repository: str,
    *,
    private: bool = False,
    token: str | None = None,
    keep_card: bool = False,
) -> str:
    """Put a checkpoint and its card into a repository, in one commit; other files are left alone.

    Args:
        folder: Folder with ``config.json``, ``model.safetensors`` and ``README.md``; nothing else
            in it is sent.
        repository: ``org/repo``; created if it does not exist.
        private: Create it so that only its owners see it; an existing one stays as it is.
        token: Access token with the right to write; by default that of ``hf auth login`` or of the
            environment variable ``HF_TOKEN``. It is never shown.
        keep_card: Leave the card of an existing repository as it is.

    Returns:
        The address of the commit.

    Raises:
        ConfigError: the name is no repository's, or the environment forbids the network.
        WeightsError: the Hub refuses, or cannot be reached.
    """
    if not isinstance(repository, str) or not is_repository(repository):
        raise ConfigError(f"expected org/repo on the Hugging Face Hub, got {repository!r}")
    if is_offline():
        raise ConfigError("SOUNDSEP_OFFLINE or HF_HUB_OFFLINE is set, so nothing can be pushed")
    from huggingface_hub import HfApi

    api = HfApi(token=token, library_name="soundsep")
    names = [CONFIG_NAME, WEIGHTS_NAME, CARD_NAME]
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        if keep_card and api.file_exists(repository, CARD_NAME):
            names.remove(CARD_NAME)
        commit: Any = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=names,
            commit_message="Upload a model of soundsep",
        )
    except Exception as error:  # of requests or httpx, by the version of huggingface_hub
        # Not chained: what lies below may hold the headers of the request.
        raise WeightsError(
            f"cannot push to {repository!r} on the Hugging Face Hub: {_told(error, token)}; see "
            "that the name is right and that you may write there (hf auth login, or HF_TOKEN)"
        ) from None
    return str(getattr(commit, "commit_url", commit))


def _told(error: Exception, token: str | None) -> str:
    """The message of an error, without what opens the door."""
    text = f"{type(error).__name__}: {error}"
    return _SECRET.sub("***", text.replace(token, "***") if token else text).strip()
