"""The package as a whole: cheap imports, public names, and models that are pickled or sent to other processes."""

from __future__ import annotations

import concurrent.futures
import copy
import multiprocessing
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from helpers import DTYPES

import model2vec_numba
from model2vec_numba import StaticModel

TEXTS = ["some text", "", "more of it"]


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_importing_it_imports_little() -> None:
    heavy = "numba", "llvmlite", "numpy", "tokenizers", "huggingface_hub", "tqdm", "model2vec"
    code = f"import sys, model2vec_numba; print([name for name in {heavy} if name in sys.modules])"
    assert run_python(code) == "[]"
    code = "import sys, model2vec_numba; dir(model2vec_numba); model2vec_numba.__version__; print('numba' in sys.modules)"
    assert run_python(code) == "False"


def test_loading_a_local_model_imports_no_client() -> None:
    code = "import sys; from model2vec_numba import StaticModel; StaticModel.from_pretrained().encode('x'); print('huggingface_hub' in sys.modules)"
    assert run_python(code) == "False"


def test_other_tokenizers_are_refused(tmp_path: Path) -> None:
    package = tmp_path / "tokenizers"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '1.0.0'\nTokenizer = None\n", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from model2vec_numba import StaticModel"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: model2vec_numba needs tokenizers 0.20 or newer, but older than 1.0; found 1.0.0: pip install 'tokenizers<1'" in result.stderr


def test_names() -> None:
    assert model2vec_numba.__version__ == version("model2vec-numba")
    assert dir(model2vec_numba) == sorted(model2vec_numba.__all__)
    assert {"StaticModel", "ModelError", "ModelFormatError", "ModelNotFoundError", "TokenizationError", "__version__"} <= set(dir(model2vec_numba))
    for name in model2vec_numba.__all__:
        assert getattr(model2vec_numba, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonesuch'"):
        model2vec_numba.Nonesuch  # noqa: B018


def test_errors_are_kinds_of_one_another() -> None:
    errors = model2vec_numba.ModelFormatError, model2vec_numba.ModelNotFoundError, model2vec_numba.TokenizationError
    assert all(issubclass(error, model2vec_numba.ModelError) for error in errors)
    assert all(issubclass(error, ValueError) for error in errors)
    assert [issubclass(error, OSError) for error in errors] == [False, True, False]
    assert str(model2vec_numba.ModelNotFoundError("the whole story")) == "the whole story"


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("dtype", DTYPES)
def test_pickle(dtype: str, protocol: int, make_model: Callable[..., StaticModel]) -> None:
    model = make_model("unigram", 7, dtype, weights=True, mapping=True, normalize=False, max_length=9)
    expected = model.encode(TEXTS)
    for other in (pickle.loads(pickle.dumps(model, protocol)), copy.deepcopy(model), copy.copy(model)):
        assert type(other) is StaticModel
        np.testing.assert_array_equal(other.encode(TEXTS), expected)
        assert other.config == model.config
        assert repr(other) == repr(model)
        assert other.tokenize(TEXTS) == model.tokenize(TEXTS)
        # The arrays were checked once, so they must stay read-only.
        for array in (other.embedding, other.weights, other.token_mapping):
            assert array is not None
            assert not array.flags.writeable


def test_pickled_settings_are_its_own(default_model: StaticModel) -> None:
    other = pickle.loads(pickle.dumps(default_model))
    other.normalize, other.max_length = False, 3
    assert (default_model.normalize, default_model.max_length) == (True, 512)
    again = pickle.loads(pickle.dumps(other))
    assert (again.normalize, again.max_length) == (False, 3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(default_model)).encode(TEXTS), default_model.encode(TEXTS))


def test_pickles_refer_to_files(tiny_folder: Path) -> None:
    """A pickle refers to the model's files if they have not changed. Else it holds the model, or loading it is an error."""
    model = StaticModel.from_pretrained(tiny_folder, dimensionality=2, normalize=True, max_length=7)
    expected = model.encode(TEXTS)
    by_reference = pickle.dumps(model)
    assert model.tokenizer.to_str().encode() not in by_reference
    for other in (pickle.loads(by_reference), pickle.loads(pickle.dumps(pickle.loads(by_reference)))):
        np.testing.assert_array_equal(other.encode(TEXTS), expected)
        assert (other.dim, other.normalize, other.max_length) == (2, True, 7)
    # Another model in its place is an error.
    tensors = tiny_folder / "model.safetensors"
    content = tensors.read_bytes()
    tensors.unlink()
    tensors.write_bytes(content[:-12] + b"\0\0\0\1" + content[-8:])
    with pytest.raises(model2vec_numba.ModelFormatError, match="not the model that was pickled"):
        pickle.loads(by_reference)
    # A pickle that is made now holds the contents, and needs no files.
    by_value = pickle.dumps(model)
    tensors.unlink()
    np.testing.assert_array_equal(pickle.loads(by_value).encode(TEXTS), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).encode(TEXTS), expected)
    with pytest.raises(model2vec_numba.ModelNotFoundError, match="a pickled model refers to the files"):
        pickle.loads(by_reference)


def test_a_model_in_another_process(default_model: StaticModel) -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        found = pool.submit(default_model.encode, TEXTS).result(timeout=120)
    np.testing.assert_array_equal(found, default_model.encode(TEXTS))


def test_subinterpreters_are_refused() -> None:
    """The import of numba never ends there."""
    inner = """
        try:
            import model2vec_numba
        except ImportError as error:
            print("subinterpreter" in str(error), flush=True)
    """
    code = f"""
        import sys
        import model2vec_numba  # in the main interpreter
        interpreters = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
        interpreter = interpreters.create()
        result = interpreters.run_string(interpreter, {textwrap.dedent(inner)!r})
        assert result is None, result
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
