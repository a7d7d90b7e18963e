"""Fixtures that the tests share; what takes time to make is made once a session."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import KINDS, ModelBytes, corpus, model_bytes, new_tokenizer, random_parts, sample_texts, train_tokenizer, write_model
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer

from model2vec_numba import StaticModel

# Compiling a kernel on its first call takes seconds; the same examples every time, so that a failure can be seen again.
settings.register_profile("default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

# A shell's background jobs inherit that Ctrl-C is ignored, and so would the processes that tests start and send it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("model2vec-numba")
    group.addoption("--stress", action="store_true", help="also run the tests that take minutes")
    group.addoption("--seconds", type=float, default=2, metavar="N", help="how long threads encode at once, in the tests of concurrency")
    group.addoption("--rounds", type=int, default=1, metavar="N", help="how often processes start together, in the tests of concurrency")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("stress"):
        for item in items:
            if item.get_closest_marker("stress"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: --stress runs it"))


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    """A trained tokenizer of each kind. Not to be changed."""
    lines = corpus()
    return {kind: train_tokenizer(kind, lines) for kind in KINDS}


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Edge cases and texts of all lengths."""
    return sample_texts(120)


@pytest.fixture(scope="session")
def default_model() -> StaticModel:
    """The bundled model. Not to be changed."""
    return StaticModel.from_pretrained()


@pytest.fixture(scope="session")
def tiny() -> ModelBytes:
    """The files of a model of five tokens and three float32 dimensions."""
    tokenizer = new_tokenizer("the", "cat", "sat", "here")
    return model_bytes(tokenizer, {"embeddings": np.arange(15, dtype=np.float32).reshape(5, 3) - 7}, {"normalize": False})


@pytest.fixture
def tiny_folder(tmp_path: Path, tiny: ModelBytes) -> Path:
    """A folder with the tiny model in it."""
    return write_model(tmp_path / "tiny", tiny)


@pytest.fixture(scope="session")
def make_model(tokenizers: dict[str, Tokenizer]) -> Callable[..., StaticModel]:
    """Make a model with random tensors: `make_model(kind, dim, dtype, weights=False, mapping=False, **arguments of StaticModel)`."""

    def make(
        kind: str = "wordpiece-uncased",
        dim: int = 16,
        dtype: str = "float32",
        *,
        weights: bool = False,
        mapping: bool = False,
        normalize: bool = True,
        max_length: int | None = 512,
    ) -> StaticModel:
        tokenizer = tokenizers[kind]
        parts = random_parts(tokenizer.get_vocab_size(), dim, dtype, weights=weights, mapping=mapping)
        tensors = parts["embeddings"], tokenizer, parts.get("weights"), parts.get("mapping")
        return StaticModel(*tensors, normalize=normalize, max_length=max_length)

    return make


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of models, fixtures and texts beside the checkout; tests that need it skip where there is none."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "models").is_dir():
        pytest.skip("no ../shared here")
    return folder
