"""Models from the Hugging Face Hub. A server on this machine has the routes of the Hub that its client uses."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import LAYOUTS, ModelBytes, model_bytes, new_tokenizer, random_matrix, write_model
from hub_server import HubServer, Repository

from model2vec_numba import StaticModel
from model2vec_numba.files.layouts import hub_path, hub_patterns

TEXTS = ["alpha beta", "gamma gamma", ""]
EXTRAS = {
    "README.md": b"# A model",
    ".gitattributes": b"*.safetensors filter=lfs",
    "pytorch_model.bin": bytes(3_000_000),
    "onnx/model.onnx": bytes(1_000_000),
    "other.safetensors": bytes(1000),
    "onnx/tokenizer.json": b"{}",
    "special_tokens_map.json": b"{}",
}
NORMALIZE = [{"type": "sentence_transformers.models.StaticEmbedding"}, {"type": "sentence_transformers.models.Normalize"}]

# The client's constants that the environment sets. The client reads most of them when it is imported.
CONSTANTS = (
    "ENDPOINT",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HUB_DISABLE_XET",
    "HF_HUB_OFFLINE",
    "HF_TOKEN_PATH",
    "HUGGINGFACE_CO_URL_TEMPLATE",
)

PROCESS = f"""
    import sys
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    sys.path.insert(0, {str(Path(__file__).parents[1])!r})
    import json
    from test_hub import attempt
    print(json.dumps([attempt(arguments) for arguments in json.loads(sys.argv[1])]))
"""


def attempt(arguments: dict[str, Any]) -> dict[str, Any]:
    """Load a model, upload it if asked to, and return its vectors or the error. Or call `snapshot_download`."""
    import huggingface_hub

    if "snapshot_download" in arguments:
        return {"path": huggingface_hub.snapshot_download(**arguments["snapshot_download"])}
    arguments = dict(arguments)
    upload = arguments.pop("push_to_hub", None)
    try:
        model = StaticModel.from_pretrained(**arguments)
        if upload is not None:
            model.push_to_hub(**upload)
    except Exception as error:
        return {"error": [kind.__name__ for kind in type(error).__mro__], "message": str(error)}
    return {"vectors": model.encode(TEXTS).tolist(), "normalize": model.normalize}


class Client:
    """Loads models from the server as from the Hub, with a cache of its own."""

    def __init__(self, hub: HubServer, folder: Path) -> None:
        self.hub = hub
        self.folder = folder
        self.cache = folder / "hub"

    def load(self, *calls: dict[str, Any], **environment: str) -> list[dict[str, Any]]:
        """Return the result of `attempt` for each call, in this process."""
        with pytest.MonkeyPatch.context() as patch:
            self._patch(patch, environment)
            return [attempt(arguments) for arguments in calls]

    def load_in_process(self, *calls: dict[str, Any], **environment: str) -> list[dict[str, Any]]:
        """Return the result of `attempt` for each call, in a new process, which reads all settings from its environment."""
        with pytest.MonkeyPatch.context() as patch:
            self._patch(patch, environment)
            command = [sys.executable, "-c", textwrap.dedent(PROCESS), json.dumps(calls)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        results: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return results

    def _patch(self, patch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
        """Set the environment and the client's constants for the server."""
        import huggingface_hub

        for name in list(os.environ):
            if name.startswith(("HF_", "HUGGINGFACE", "TRANSFORMERS_")) or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
                patch.delenv(name)
        variables = {
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.folder),
            "HF_HUB_CACHE": str(self.cache),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            **environment,
        }
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.chdir(self.folder)
        values = (
            self.hub.url,
            str(self.folder),
            str(self.cache),
            str(self.cache),
            True,
            True,
            "HF_HUB_OFFLINE" in environment,
            str(self.folder / "token"),
            self.hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        # Old versions of the client copy the constants to the modules that use them.
        modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "huggingface_hub"]
        for name, value in zip(CONSTANTS, values, strict=True):
            for module in modules:
                if name in vars(module):
                    patch.setattr(module, name, value)
        # Connections remember the proxy, and in old versions also whether the client is offline.
        reset = getattr(huggingface_hub, "close_session", None) or importlib.import_module("huggingface_hub.utils").reset_sessions
        reset()


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def client(hub: HubServer, tmp_path: Path) -> Client:
    return Client(hub, tmp_path)


def contents(seed: int, config: Any = None) -> ModelBytes:
    return model_bytes(new_tokenizer("alpha", "beta", "gamma"), {"embeddings": random_matrix(4, 6, "float32", seed)}, config)


def repository_files(seed: int, layout: int = 1, subfolder: str | None = None, *, config: Any = None, modules: Any = None) -> dict[str, bytes]:
    """Return a model's files by their paths in a repository, among other files."""
    paths = [hub_path(name, subfolder) for name in LAYOUTS[layout]]
    files = contents(seed, config)
    parts = (files.config, files.tokenizer, files.model, None if modules is None else json.dumps(modules).encode())
    model = {path: part for path, part in zip(paths, parts, strict=True) if path is not None and part is not None}
    return dict(sorted({**EXTRAS, **model}.items()))


def model_paths(files: dict[str, bytes]) -> set[str]:
    return set(files) - set(EXTRAS) | {"README.md"}


def check(result: dict[str, Any], seed: int, *, normalize: bool = False) -> None:
    """Check that a call loaded the model with the contents of a seed."""
    assert "message" not in result, result
    assert result["normalize"] is normalize
    expected = StaticModel.from_bytes(*contents(seed), normalize=normalize).encode(TEXTS)
    np.testing.assert_allclose(np.array(result["vectors"]), expected, atol=1e-6)


def check_not_found(result: dict[str, Any], *said: str) -> None:
    assert "error" in result, result
    assert {"ModelNotFoundError", "ModelError", "OSError"} <= set(result["error"])
    message = result["message"]
    assert "\n" not in message
    assert len(message) < 1000
    for part in said:
        assert part in message


def test_download_then_cache(hub: HubServer, client: Client) -> None:
    files = repository_files(1)
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", files)
    [result] = client.load_in_process({"path": "org/name"})
    check(result, 1)
    assert hub.fetched() == model_paths(files) == {"README.md", "config.json", "tokenizer.json", "model.safetensors"}
    assert not any(extra in request.path for request in hub.requests for extra in EXTRAS if extra != "README.md")
    assert any("cursor" in request.path for request in hub.requests) or not any("/tree/" in request.path for request in hub.requests)
    assert all(request.token is None for request in hub.requests)
    # From now on the network is neither needed nor used.
    repository.commit("second", repository_files(2))
    hub.requests.clear()
    for result in client.load({"path": "org/name"}, {"path": "org/name"}, {"path": "org/name", "local_files_only": True}):
        check(result, 1)
    assert hub.requests == []
    check(client.load_in_process({"path": "org/name"}, HF_HUB_OFFLINE="1")[0], 1)
    hub.stop()
    check(client.load({"path": "org/name"})[0], 1)
    assert hub.requests == []


def test_a_name_without_owner(hub: HubServer, client: Client) -> None:
    hub.repositories["name"] = repository = Repository()
    repository.commit("first", repository_files(1))
    check(client.load({"path": "name"})[0], 1)


def test_a_local_folder_goes_first(hub: HubServer, client: Client) -> None:
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", repository_files(1))
    write_model(client.folder / "org" / "name", contents(2))
    check(client.load({"path": "org/name"})[0], 2)
    assert hub.requests == []


def test_private_repository(hub: HubServer, client: Client) -> None:
    hub.repositories["org/private"] = repository = Repository(token="hf_right")
    repository.commit("first", repository_files(1))
    without, wrong = client.load({"path": "org/private"}, {"path": "org/private", "token": "hf_wrong"})
    check_not_found(without, "org/private: ")
    check_not_found(wrong, "org/private: ")
    assert "hf_wrong" not in wrong["message"]
    assert {request.token for request in hub.requests} == {None, "hf_wrong"}
    hub.requests.clear()
    check(client.load({"path": "org/private", "token": "hf_right"})[0], 1)
    assert {request.token for request in hub.requests if not request.path.startswith("/content/")} == {"hf_right"}
    assert {request.token for request in hub.requests if request.path.startswith("/content/")} == {None}
    # The environment can hold the token.
    other = Client(hub, client.folder / "other")
    other.folder.mkdir()
    check(other.load({"path": "org/private"}, HF_TOKEN="hf_right")[0], 1)
    refused = {"path": "org/private", "token": False, "cache_dir": str(client.folder / "empty")}
    check_not_found(other.load(refused, HF_TOKEN="hf_right")[0], "org/private: ")


def test_revisions(hub: HubServer, client: Client) -> None:
    hub.repositories["org/name"] = repository = Repository()
    old = repository.commit("old", repository_files(1), "v1.0")
    dev = repository.commit("dev", repository_files(2), "dev", "refs/pr/7")
    new = repository.commit("new", repository_files(3), "main")
    wanted = {"v1.0": 1, old: 1, "dev": 2, "refs/pr/7": 2, dev: 2, "main": 3, new: 3}
    calls = [{"path": "org/name", "revision": revision} for revision in wanted]
    for result, seed in zip(client.load(*calls), wanted.values(), strict=True):
        check(result, seed)
    check(client.load({"path": "org/name"})[0], 3)
    hub.requests.clear()
    for result, seed in zip(client.load(*calls, HF_HUB_OFFLINE="1"), wanted.values(), strict=True):
        check(result, seed)
    assert hub.requests == []
    check_not_found(client.load({"path": "org/name", "revision": "no-such-branch"})[0], "org/name", "no-such-branch")


def test_cache_dir(hub: HubServer, client: Client) -> None:
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", repository_files(1))
    elsewhere = client.folder / "elsewhere"
    check(client.load({"path": "org/name", "cache_dir": str(elsewhere)})[0], 1)
    assert list(elsewhere.rglob("model.safetensors"))
    assert not list(client.cache.rglob("model.safetensors"))
    hub.stop()
    check(client.load({"path": "org/name", "cache_dir": str(elsewhere)})[0], 1)
    check_not_found(client.load({"path": "org/name", "local_files_only": True})[0], "org/name")


@pytest.mark.parametrize(
    ("layout", "subfolder"),
    [(2, None), (3, None), (1, "sub"), (2, "deep/sub"), (3, "sub"), (4, "0_StaticEmbedding"), (4, "sub/0_StaticEmbedding")],
)
def test_layouts_and_subfolders(layout: int, subfolder: str | None, hub: HubServer, client: Client) -> None:
    """Only the model's files are fetched. For a 0_StaticEmbedding these include the configuration and the modules in its parent."""
    files = repository_files(1, layout, subfolder, modules=NORMALIZE)
    if subfolder not in (None, "0_StaticEmbedding"):
        # Another model in the root, which must not be fetched.
        files |= {name: part for name, part in repository_files(9).items() if name not in files}
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", files)
    check(client.load({"path": "org/name", "subfolder": subfolder})[0], 1, normalize=layout > 1)
    expected = {hub_path(name, subfolder) for name in LAYOUTS[layout]}
    assert expected <= hub.fetched() <= expected | {"README.md", f"{subfolder}/README.md"}
    hub.stop()
    again, other = client.load({"path": "org/name", "subfolder": subfolder}, {"path": "org/name", "subfolder": "other", "local_files_only": True})
    check(again, 1, normalize=layout > 1)
    check_not_found(other, "org/name")


def test_force_download(hub: HubServer, client: Client) -> None:
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", repository_files(1))
    check(client.load({"path": "org/name"})[0], 1)
    hub.requests.clear()
    # The commit has not changed, but its files are fetched again.
    check(client.load({"path": "org/name", "force_download": True})[0], 1)
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= hub.fetched()
    repository.commit("second", repository_files(2))
    check(client.load({"path": "org/name"})[0], 1)
    check(client.load({"path": "org/name", "force_download": True})[0], 2)
    check(client.load({"path": "org/name"})[0], 2)


def test_local_files_only_with_a_cold_cache(hub: HubServer, client: Client) -> None:
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", repository_files(1))
    [result] = client.load({"path": "org/name", "local_files_only": True})
    check_not_found(result, "org/name: ", "cache")
    assert hub.requests == []


def test_cold_cache_offline(hub: HubServer, client: Client) -> None:
    check_not_found(client.load({"path": "org/name"}, HF_HUB_OFFLINE="1")[0], "org/name: ", "Hub")
    assert hub.requests == []
    hub.stop()
    began = time.monotonic()
    check_not_found(client.load({"path": "org/name"})[0], "org/name: ", "Hub")
    assert time.monotonic() - began < 60


def test_missing_repository(hub: HubServer, client: Client) -> None:
    results = client.load({"path": "org/nothing"}, {"path": "no such/repository"}, {"path": "a/b/c"})
    for result, name in zip(results, ("org/nothing", "no such/repository", "a/b/c"), strict=True):
        check_not_found(result, f"{name}: not a local folder", "Hub")
    assert not any("no such" in request.path for request in hub.requests)


def test_a_repository_without_a_model(hub: HubServer, client: Client) -> None:
    hub.repositories["org/other"] = repository = Repository()
    repository.commit("first", EXTRAS)
    [result] = client.load({"path": "org/other"})
    check_not_found(result, "other", "tokenizer.json", "model.safetensors")
    assert hub.fetched() <= {"README.md"}


def test_an_unfinished_download_is_completed(hub: HubServer, client: Client) -> None:
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", repository_files(1))
    client.load({"snapshot_download": {"repo_id": "org/name", "allow_patterns": ["config.json", "tokenizer.json"]}})
    check_not_found(client.load({"path": "org/name", "local_files_only": True})[0], "org/name")
    hub.requests.clear()
    check(client.load({"path": "org/name"})[0], 1)
    assert "model.safetensors" in hub.fetched()


def test_what_model2vec_left_in_the_cache(hub: HubServer, client: Client) -> None:
    """model2vec does not fetch modules.json, which decides whether vectors are normalised. It is fetched if the network allows."""
    files = repository_files(1, 3, modules=NORMALIZE)
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", files)
    patterns = ["config_sentence_transformers.json", "0_StaticEmbedding/tokenizer.json", "0_StaticEmbedding/model.safetensors"]
    client.load({"snapshot_download": {"repo_id": "org/name", "allow_patterns": patterns}})
    hub.requests.clear()
    for result in client.load({"path": "org/name"}, {"path": "org/name", "local_files_only": True}, HF_HUB_OFFLINE="1"):
        check(result, 1, normalize=False)
    assert hub.requests == []
    check(client.load({"path": "org/name"})[0], 1, normalize=True)
    assert "modules.json" in hub.fetched()
    assert "0_StaticEmbedding/model.safetensors" not in hub.fetched()


def test_paths_inside_a_repository() -> None:
    assert hub_path("config.json", None) == hub_path("config.json", "") == hub_path("config.json", ".") == "config.json"
    assert hub_path("config.json", "a/b/") == hub_path("config.json", "/a/./b") == "a/b/config.json"
    assert hub_path("../modules.json", "a/b") == "a/modules.json"
    assert hub_path("../modules.json", "a") == "modules.json"
    assert hub_path("../modules.json", None) is None
    root = ["README.md", "config.json", "config_sentence_transformers.json", "model.safetensors", "modules.json", "tokenizer.json"]
    assert hub_patterns(None) == sorted([*root, "0_StaticEmbedding/model.safetensors", "0_StaticEmbedding/tokenizer.json"])
    assert set(hub_patterns("a")) == {f"a/{name}" for name in hub_patterns(None)} | {"config_sentence_transformers.json", "modules.json"}


@pytest.mark.parametrize("private", [False, True])
def test_push_and_load(private: bool, hub: HubServer, client: Client, tmp_path: Path) -> None:
    """Push to a new repository, then to a folder of it. Both models can be loaded."""
    folder = write_model(tmp_path / "model", contents(5, {"normalize": True, "language": ["en"]}))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: en\nbase_model: owner/teacher\n---\nA model.", encoding="utf-8")
    upload = {"repo_id": "owner/name", "private": private, "token": "hf_secret"}
    at_root, below = client.load(
        {"path": str(folder), "push_to_hub": upload},
        {"path": str(folder), "dimensionality": 3, "push_to_hub": {**upload, "subfolder": "small"}},
    )
    assert hub.repositories["owner/name"].private is private
    files = hub.repositories["owner/name"].commits[hub.repositories["owner/name"].refs["main"]]
    names = {"config.json", "tokenizer.json", "model.safetensors", "modules.json", "README.md"}
    assert set(files) == names | {f"small/{name}" for name in names} | {".gitattributes"}
    card = files["README.md"].decode()
    assert "license: apache-2.0" in card and "base_model: owner/teacher" in card and "language: en" in card and "# owner/name" in card
    loaded, loaded_below = client.load(
        {"path": "owner/name", "token": "hf_secret"}, {"path": "owner/name", "subfolder": "small", "token": "hf_secret"}
    )
    assert (loaded["vectors"], loaded_below["vectors"]) == (at_root["vectors"], below["vectors"])
    if private:
        (refused,) = client.load({"path": "owner/name", "cache_dir": str(tmp_path / "other")})
        assert "ModelNotFoundError" in refused["error"]


def test_push_that_is_refused(client: Client, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", contents(5))
    (refused,) = client.load({"path": str(folder), "push_to_hub": {"repo_id": "owner/name", "token": False}})
    assert "HfHubHTTPError" in refused["error"] and "401" in refused["message"]


@pytest.mark.parametrize(("layout", "subfolder"), [(1, None), (3, None), (1, "deep/sub")])
def test_a_cache_without_refs(layout: int, subfolder: str | None, hub: HubServer, client: Client) -> None:
    """Caches that were copied, or filled by commit, may not say which branch their snapshot is of."""
    hub.repositories["org/name"] = repository = Repository()
    repository.commit("first", repository_files(1, layout, subfolder))
    call = {"path": "org/name", "subfolder": subfolder}
    check(client.load(call)[0], 1)
    home = client.cache / "models--org--name"
    shutil.rmtree(home / "refs")
    hub.stop()
    for result in (*client.load(call, {**call, "local_files_only": True}), *client.load_in_process(call, HF_HUB_OFFLINE="1")):
        check(result, 1)
    # A named branch is not in the cache.
    check_not_found(client.load({**call, "revision": "main", "local_files_only": True})[0], "org/name")
    # Of two snapshots nobody knows which one is meant. One that is not whole does not count.
    other = home / "snapshots" / ("0" * 40)
    shutil.copytree(next(home.glob("snapshots/*")), other)
    check_not_found(client.load({**call, "local_files_only": True})[0], "org/name")
    (other / (subfolder or "") / LAYOUTS[layout][2]).unlink()
    check(client.load({**call, "local_files_only": True})[0], 1)


def test_a_url_is_named_as_it_was_given(hub: HubServer, client: Client) -> None:
    for url in ("https://huggingface.co/org/name", "https://huggingface.co/org/name/"):
        check_not_found(client.load({"path": url})[0], f"{url}: not a local folder")
    assert hub.requests == []
