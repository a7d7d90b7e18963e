"""Fetch a model's files from the Hugging Face Hub, or find them in its cache; and push them there."""

from __future__ import annotations

from pathlib import Path

from model2vec_numba.errors import ModelNotFoundError
from model2vec_numba.files.layouts import LAYOUTS, find_layout, hub_path, hub_patterns

__all__ = ["fetch", "push"]


def fetch(
    repo_id: str,
    *,
    token: str | bool | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    subfolder: str | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
) -> Path:
    """The local snapshot folder of a Hub repository, with the files of the model in it.

    A model that is whole in the cache is used as it is, without a question to the network; `force_download` asks the Hub again. One that
    only lacks sentence-transformers' list of modules, as it does where Python model2vec fetched it, is completed if the network allows.

    Raises:
        ModelNotFoundError: the repository, the revision or the network cannot be reached, or nothing is cached and `local_files_only` is set.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    cached = None
    try:
        if not force_download:
            cached = _cached_snapshot(repo_id, revision, cache_dir, subfolder)
        if cached is not None and (local_files_only or _has_modules(cached / (subfolder or ""))):
            return cached
        if local_files_only:
            raise ModelNotFoundError(f"{repo_id}: no such folder, and not whole in the local cache of the Hugging Face Hub")
        folder = snapshot_download(
            repo_id,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            allow_patterns=hub_patterns(subfolder),
            force_download=force_download,
        )
    except ModelNotFoundError:
        raise
    except HFValidationError as error:
        raise ModelNotFoundError(f"{repo_id}: no such folder, and not a name of a Hub repository: {_one_line(error)}") from error
    except Exception as error:
        # The Hub's client raises its own errors, its HTTP library's and the operating system's; to the caller all of them mean one thing.
        if cached is not None:
            return cached
        raise ModelNotFoundError(f"{repo_id}: no such folder, and not to be had from the Hugging Face Hub: {_one_line(error)}") from error
    return Path(folder)


def push(folder: Path, repo_id: str, *, private: bool, token: str | bool | None, subfolder: str | None) -> None:
    """Upload the files of a folder to a Hub repository, which is made if need be."""
    from huggingface_hub import HfApi

    hub = HfApi(token=token)
    hub.create_repo(repo_id, private=private, exist_ok=True)
    hub.upload_folder(repo_id=repo_id, folder_path=folder, path_in_repo=subfolder, commit_message="Upload of a Model2Vec model")


def _cached_snapshot(repo_id: str, revision: str | None, cache_dir: str | Path | None, subfolder: str | None) -> Path | None:
    """The cached snapshot that holds a whole model, or ``None``.

    `snapshot_download(local_files_only=True)` would refuse a snapshot that another program fetched with other patterns, so the cache is
    asked for the files themselves.
    """
    from huggingface_hub import try_to_load_from_cache

    for layout in LAYOUTS:
        config = hub_path(layout.config, subfolder)
        cached = config and try_to_load_from_cache(repo_id, config, cache_dir=cache_dir, revision=revision)
        if config and isinstance(cached, str):
            snapshot = Path(cached).parents[config.count("/")]
            if find_layout(snapshot / (subfolder or "")) is not None:
                return snapshot
    return None


def _has_modules(folder: Path) -> bool:
    """Whether the model in `folder` has its list of modules, or is of a layout that has no use for it."""
    layout = find_layout(folder)
    return layout is not None and (not layout.sentence_transformers or (folder / layout.modules).is_file())


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
