"""Files of a model that change while it is loaded or being loaded, and file systems that cannot map files."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, LAYOUTS, model_bytes, new_tokenizer, random_parts, write_model

from model2vec_numba import ModelError, ModelFormatError, ModelNotFoundError, StaticModel
from model2vec_numba.files import tensors

WORDS = [f"w{i}" for i in range(999)]
TEXTS = ["w1 w2", "w998", "", " ".join(WORDS)]


def write(folder: Path, dtype: str = "float32", layout: int = 1, *, weights: bool = False, mapping: bool = False) -> Path:
    parts = random_parts(1000, 64, dtype, weights=weights, mapping=mapping)
    return write_model(folder / "model", model_bytes(new_tokenizer(*WORDS), parts, {"normalize": True}), layout)


def run(code: str, *arguments: str) -> Any:
    """Run code in a process of its own and return the JSON that it prints. A signal would end the tests too."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return json.loads(done.stdout)


CHANGE = """
    import json, os, sys
    from pathlib import Path
    import numpy as np
    from model2vec_numba import ModelError, StaticModel

    folder, names = sys.argv[1], sys.argv[2:]
    paths = [Path(folder, name) for name in names]
    contents = [path.read_bytes() for path in paths]
    texts = ["w1 w2", "w998", "", " ".join(f"w{i}" for i in range(999))]
    changes = {
        "empty": lambda content: b"",
        "half": lambda content: content[: len(content) // 2],
        "zeros": lambda content: bytes(len(content)),
        "reversed": lambda content: content[::-1],
        "longer": lambda content: content * 2,
    }
    results = {}
    for change, change_content in changes.items():
        for path, content in zip(paths, contents):
            path.write_bytes(content)
        # Each way of loading, and a model whose tokens nobody has used yet.
        models = [StaticModel.from_pretrained(folder), StaticModel.from_pretrained(folder, quantize_to="float16", dimensionality=8)]
        expected = [StaticModel.from_pretrained(folder).encode(texts), models[1].encode(texts)]
        for path, content in zip(paths, contents):
            with open(path, "r+b") as file:  # the same file, as `cp` and `rsync --inplace` write it
                file.truncate(len(change_content(content)))
                file.write(change_content(content))
        same = all(np.array_equal(model.encode(texts), vectors) for model, vectors in zip(models, expected))
        try:
            StaticModel.from_pretrained(folder)
            loads = "loads"
        except ModelError as error:
            loads = str(error).startswith(folder)
        results[change] = [same, loads]
    print(json.dumps(results))
"""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_that_are_overwritten_in_place(layout: int, tmp_path: Path) -> None:
    folder = write(tmp_path, layout=layout, weights=layout == 2, mapping=layout == 3)
    found = run(CHANGE, str(folder), LAYOUTS[layout][2])
    # A file of another model of the same size can be loaded again, and so can a longer one.
    assert {change: same for change, (same, _) in found.items()} == dict.fromkeys(found, True)
    assert [found[change][1] for change in ("empty", "half", "zeros", "reversed")] == [True] * 4
    everything = run(CHANGE, str(write(tmp_path / "all", layout=layout)), *LAYOUTS[layout][:3])
    assert all(same for same, _ in everything.values()) and all(loads is True for _, loads in everything.values())


WRITE = """
    import ctypes, json, sys
    from model2vec_numba import StaticModel

    models = [StaticModel.from_pretrained(folder) for folder in sys.argv[1:]] + [StaticModel.from_pretrained()]
    for model in models:
        before = model.encode("w1 w2 it is cold")
        for array in (model.embedding, model.weights, model.token_mapping):
            if array is not None:
                # Other libraries do not know NumPy's flag for memory that is read-only.
                assert not array.flags.writeable
                ctypes.memset(array.ctypes.data, 0, array.nbytes)
        assert model.encode("w1 w2 it is cold").shape == before.shape
    print(json.dumps(len(models)))
"""


def test_writing_to_the_matrix_does_not_end_the_process(tmp_path: Path) -> None:
    folders = [write(tmp_path / dtype, dtype, weights=i % 2 == 0, mapping=i % 3 == 0) for i, dtype in enumerate(DTYPES)]
    before = [(folder / "model.safetensors").read_bytes() for folder in folders]
    assert run(WRITE, *map(str, folders)) == len(folders) + 1
    assert [(folder / "model.safetensors").read_bytes() for folder in folders] == before


NO_MAPPING = """
    import errno, json, mmap, os, sys

    class Mmap(mmap.mmap):
        def __new__(cls, fileno, *arguments, **keywords):
            if fileno != -1:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            return super().__new__(cls, fileno, *arguments, **keywords)

    mmap.mmap = Mmap
    from model2vec_numba import StaticModel

    model = StaticModel.from_pretrained(sys.argv[1])
    model.save_pretrained(sys.argv[2])
    print(json.dumps(StaticModel.from_pretrained(sys.argv[2], quantize_to="int8").encode(["w1 w2"]).shape))
"""


def test_a_file_system_that_cannot_map_files(tmp_path: Path) -> None:
    assert run(NO_MAPPING, str(write(tmp_path)), str(tmp_path / "to")) == [1, 64]


def change_during_the_read(monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]) -> None:
    """Call `change` when the header of a tensors file has been read and the tensors have not."""
    real = tensors._entries

    def entries(text: bytes, size: int, names: Any, source: str, required: Any) -> Any:
        found = real(text, size, names, source, required)
        change(Path(source))
        return found

    monkeypatch.setattr(tensors, "_entries", entries)


@pytest.mark.parametrize("size", [0, 1000])
def test_a_file_that_is_truncated_while_it_is_read(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path)
    change_during_the_read(monkeypatch, lambda path: os.truncate(path, size))
    with pytest.raises(ModelFormatError, match=r"model\.safetensors: another program truncated the file while it was read"):
        StaticModel.from_pretrained(folder)


def test_a_file_that_is_written_to_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path)

    def change(path: Path) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    change_during_the_read(monkeypatch, change)
    with pytest.raises(ModelFormatError, match=r"model\.safetensors: another program changed the file while it was read"):
        StaticModel.from_pretrained(folder)


@pytest.mark.parametrize("code", [5, 116])
def test_a_disk_that_fails(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.FileIO):
        def readinto(self, buffer: Any) -> int:
            if len(buffer) > 8:
                raise OSError(code, os.strerror(code))
            return super().readinto(buffer) or 0

    folder = write(tmp_path)
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: Failing(self) if self.suffix == ".safetensors" else real(self, *a, **k))
    with pytest.raises(ModelNotFoundError, match=r"model\.safetensors: cannot be read: "):
        StaticModel.from_pretrained(folder)


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: Any) -> Any:
        raise MemoryError

    folder = write(tmp_path)
    monkeypatch.setattr(tensors, "empty_matrix", no_memory)
    with pytest.raises(ModelError, match=r"model\.safetensors: .* not enough memory"):
        StaticModel.from_pretrained(folder)


def test_a_pickle_of_a_model_whose_file_changed_in_place(tmp_path: Path) -> None:
    """The files are no longer those of the model, so the pickle holds its contents."""
    folder = write(tmp_path)
    model = StaticModel.from_pretrained(folder)
    expected = model.encode(TEXTS)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"1234")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).encode(TEXTS), expected)
