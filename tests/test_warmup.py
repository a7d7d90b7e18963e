"""After `warmup` no kernel has to be compiled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import DTYPES, KINDS, model_bytes, random_parts, sample_texts, write_model
from numba.core.registry import CPUDispatcher
from tokenizers import Tokenizer

from model2vec_numba import warmup
from model2vec_numba.jit.cache import Counts, KernelCache
from model2vec_numba.starting.mode import VARIABLE

# Loads each of the models and uses it in every way.
USE = """
import json, sys
from model2vec_numba import StaticModel
from model2vec_numba.jit.cache import counts
from model2vec_numba.tokenization.spec import spec
spec._KERNEL_CHARACTERS = 0
folders, texts = json.load(sys.stdin)
for folder in folders:
    model = StaticModel.from_pretrained(folder)
    model.encode(texts[0])
    model.encode(texts)
    model.encode(texts * 4, batch_size=4096, max_length=None, normalize=False)
    model.encode_as_sequence(texts)
    model.tokenize(texts)
    tokenizer = spec.parse_tokenizer(open(folder + "/tokenizer.json", encoding="utf-8").read(), folder, uses_kernels=True)
    tokenizer.arrays.scores(), tokenizer.merges
print(json.dumps([counts.compiled, len(counts.loaded)]))
"""


@pytest.fixture(params=["shared cache", pytest.param("empty cache", marks=pytest.mark.exhaustive)])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of the commands. Filling an empty cache takes a minute, so the default run uses the cache of all tests."""
    return {**os.environ, **({"NUMBA_CACHE_DIR": str(tmp_path / "cache")} if request.param == "empty cache" else {})}


def test_after_it_nothing_is_compiled(tmp_path: Path, environment: dict[str, str], tokenizers: dict[str, Tokenizer]) -> None:
    folders = []
    for kind in KINDS:
        # Only pooling depends on the storage type.
        for dtype in DTYPES if kind == KINDS[0] else DTYPES[:1]:
            odd = dtype in {"float16", "int8"}
            parts = random_parts(tokenizers[kind].get_vocab_size(), 17, dtype, weights=odd, mapping=odd)
            folders.append(str(write_model(tmp_path / f"{kind}-{dtype}", model_bytes(tokenizers[kind], parts))))
    command = [sys.executable, "-m", "model2vec_numba", "warmup"]
    if "cache" in environment.get("NUMBA_CACHE_DIR", "") and not Path(environment["NUMBA_CACHE_DIR"]).exists():
        assert ", 0 found" in run(command, environment, "").splitlines()[-1]
    last = run(command, environment, "").splitlines()[-1]
    assert "files written" in last
    assert ", 0 found" not in last
    given = json.dumps([folders, sample_texts(40)])
    compiled, loaded = json.loads(run([sys.executable, "-c", USE], environment, given))
    assert compiled == 0 and loaded > 0


def test_for_one_model(tiny_folder: Path) -> None:
    """A later process in the background mode uses compiled code from the start, and starts no other process."""
    last = run([sys.executable, "-m", "model2vec_numba", "warmup", "-m", str(tiny_folder)], {**os.environ}, "").splitlines()[-1]
    assert "files written" in last
    code = "from model2vec_numba.starting.compiling import _compilations\nassert not _compilations.states\n"
    given = json.dumps([[str(tiny_folder)], sample_texts(40)])
    compiled, loaded = json.loads(run([sys.executable, "-c", USE + code], {**os.environ, VARIABLE: "background"}, given))
    assert compiled == 0 and loaded > 0


def run(command: list[str], environment: dict[str, str], given: str) -> str:
    done = subprocess.run(command, env=environment, check=True, input=given, capture_output=True, text=True, timeout=600)
    return done.stdout


def test_it_uses_every_kernel() -> None:
    """If a kernel is missing, it needs a tokenizer in `warmup._tokenizers` or a call in `warmup.use`."""
    warmed = warmup.warmup()
    assert set(warmed.folders) == {*warmed.written, *warmed.found}
    modules = [module for name, module in sys.modules.items() if name.startswith("model2vec_numba.")]
    dispatchers: list[Any] = [value for module in modules for value in vars(module).values() if isinstance(value, CPUDispatcher)]
    kernels = {kernel.py_func: kernel for kernel in dispatchers if isinstance(kernel._cache, KernelCache)}
    assert len(kernels) > 20
    # A kernel that only another kernel calls has no signature if that one comes from the cache.
    called = {name for function, kernel in kernels.items() if kernel.signatures for name in function.__code__.co_names}
    assert [function for function, kernel in kernels.items() if not kernel.signatures and function.__name__ not in called] == []


def test_what_cannot_be_kept_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts()

    def compile_in_vain(_: object) -> None:
        counts.compiled += 1

    monkeypatch.setattr(warmup, "counts", counts)
    monkeypatch.setattr(warmup, "use", compile_in_vain)
    monkeypatch.setattr(warmup, "use_long_text", lambda _: None)
    kernels = 2 * len(DTYPES) - 1 + len(warmup._tokenizers())
    with pytest.raises(OSError, match=f"only 0 of {kernels} compiled kernels could be stored"):
        warmup.warmup()
