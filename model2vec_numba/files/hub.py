"""Download the files of a model from the Hugging Face Hub, find them in its cache, or upload them."""

from __future__ import annotations

from pathlib import Path

from model2vec_numba.errors import ModelNotFoundError, shortened
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
    """Return the local snapshot folder of a Hub repository, with the files of the model in it.

    If all files are in the cache, the network is not used, unless `force_download` is true. If only the list of modules of sentence-transformers is
    missing, it is downloaded if possible. (Python model2vec does not download this list, so its snapshots lack it.)

    Args:
        repo_id: the name of the repository.
        token: the access token. ``None``: the token of the login.
        revision: the branch, tag or commit. ``None``: the main branch.
        cache_dir: the cache folder. ``None``: the default one.
        subfolder: the folder in the repository that holds the model.
        force_download: whether to download files that are in the cache.
        local_files_only: whether to use only the cache.

    Raises:
        ModelNotFoundError: the repository or the revision cannot be downloaded, or it is not in the cache and `local_files_only` is true.
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
            if (alone := _only_snapshot(repo_id, revision, cache_dir, subfolder)) is not None:
                return alone
            raise ModelNotFoundError(f"{repo_id}: not a local folder, and not completely in the local cache of the Hub")
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
        raise ModelNotFoundError(f"{repo_id}: not a local folder, and not a valid name of a Hub repository: {_one_line(error)}") from error
    except Exception as error:
        # The Hub's client raises its own errors, those of its HTTP library and those of the operating system. All mean that the download failed.
        if cached is None:
            cached = _only_snapshot(repo_id, revision, cache_dir, subfolder)
        if cached is not None:
            return cached
        raise ModelNotFoundError(f"{repo_id}: not a local folder, and it could not be downloaded from the Hub: {_one_line(error)}") from error
    return Path(folder)


def push(folder: Path, repo_id: str, *, private: bool, token: str | bool | None, subfolder: str | None) -> None:
    """Upload the files of a folder to a Hub repository. The repository is created if it does not exist."""
    from huggingface_hub import HfApi

    hub = HfApi(token=token)
    hub.create_repo(repo_id, private=private, exist_ok=True)
    hub.upload_folder(repo_id=repo_id, folder_path=folder, path_in_repo=subfolder, commit_message="Upload of a Model2Vec model")


def _cached_snapshot(repo_id: str, revision: str | None, cache_dir: str | Path | None, subfolder: str | None) -> Path | None:
    """Return the snapshot in the cache that holds all files of a model. ``None``: there is none.

    The cache is asked for each file. `snapshot_download(local_files_only=True)` would refuse a snapshot that another program downloaded with other
    patterns.
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


def _only_snapshot(repo_id: str, revision: str | None, cache_dir: str | Path | None, subfolder: str | None) -> Path | None:
    """Return the only snapshot in the cache with all files of a model. ``None``: there are several, or the cache says which branch one belongs to.

    A cache does not say it if it was copied without its links, or filled with a commit. The snapshot may not be the newest one, so it is used only
    without the network.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    repository = Path(cache_dir or constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo_id, repo_type="model")
    if revision is not None or ((repository / "refs").is_dir() and any((repository / "refs").iterdir())):
        return None
    snapshots = [path for path in repository.glob("snapshots/*") if find_layout(path / (subfolder or "")) is not None]
    return snapshots[0] if len(snapshots) == 1 else None


def _has_modules(folder: Path) -> bool:
    """Return whether the model in `folder` has its list of modules, or a layout that needs none."""
    layout = find_layout(folder)
    return layout is not None and (not layout.sentence_transformers or (folder / layout.modules).is_file())


def _one_line(error: Exception) -> str:
    """Return the type and the message of an error on one line."""
    return f"{type(error).__name__}: {shortened(error)}"
