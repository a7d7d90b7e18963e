"""A model in the place of one of model2vec: everything can be set and is checked, and packages that check the class accept it."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import model2vec
import model2vec.model
import numpy as np
import pytest
from helpers import new_tokenizer, random_matrix
from model2vec.types import _UNSET
from safetensors.numpy import load_file
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from model2vec_numba import ModelFormatError, ModelNotFoundError, StaticModel, quantize_model
from model2vec_numba.integrations.model2vec import StaticModel as Both
from model2vec_numba.integrations.model2vec import from_model2vec, install
from model2vec_numba.starting.mode import VARIABLE

WORDS = ("a", "b", "c", "d", "e")
TEXTS = ["a b", "c", "", "d e e zzz", "A b"]


def make(tokenizer: Tokenizer | None = None, dtype: str = "float32", **arguments: Any) -> StaticModel:
    tokenizer = tokenizer or new_tokenizer(*WORDS)
    return StaticModel(random_matrix(tokenizer.get_vocab_size(), 4, dtype), tokenizer, **arguments)


def peer(model: StaticModel) -> model2vec.StaticModel:
    """Return the same model of model2vec."""
    weights = None if model.weights is None else np.array(model.weights)
    parts: dict[str, Any] = {"weights": weights, "token_mapping": model.token_mapping, "normalize": model.normalize, "max_length": model.max_length}
    return model2vec.StaticModel(np.array(model.embedding), model.tokenizer, **parts)


def assert_equal(model: StaticModel, other: Any) -> None:
    """Check that two models have the same ids and vectors."""
    assert model.tokenize(TEXTS) == other.tokenize(TEXTS)
    np.testing.assert_allclose(model.encode(TEXTS), other.encode(TEXTS), atol=2e-6)


# The constructor


def test_order_of_arguments() -> None:
    tokenizer, matrix = new_tokenizer(*WORDS), random_matrix(6, 4, "float64")
    weights, mapping = np.arange(6) + 0.5, np.array([0, 1, 2, 3, 4, 0])
    config = {"some": "value"}
    arguments = (matrix, tokenizer, config, True, "base", ["en", "nl"], weights, mapping, 30)
    ours, theirs = StaticModel(*arguments), model2vec.StaticModel(*arguments)
    assert ours.config == theirs.config == {"some": "value", "normalize": True, "max_length": 30}
    assert config == {"some": "value"}
    for name in ("base_model_name", "language", "dim", "tokens", "embedding_dtype", "median_token_length", "unk_token_id", "vocabulary_quantization"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("embedding", "weights", "token_mapping"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert ours.embedding.dtype == ours.weights.dtype == np.float64  # type: ignore[union-attr]
    assert_equal(ours, theirs)
    for name, wrong in {"config": weights, "base_model_name": 3, "language": [1], "weights": [1, 2], "token_mapping": [9] * 6}.items():
        with pytest.raises((TypeError, ModelFormatError), match=name.replace("token_", "")):
            StaticModel(matrix, tokenizer, **{name: wrong})


def test_object_for_arguments_that_are_not_given(tmp_path: Path) -> None:
    model = make(max_length=2)
    model.save_pretrained(tmp_path)
    assert StaticModel.from_pretrained(tmp_path, max_length=_UNSET).max_length == 2  # type: ignore[arg-type]
    assert make(max_length=_UNSET).max_length == 512
    np.testing.assert_array_equal(model.encode(["a b c"], max_length=_UNSET), model.encode(["a b c"]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_length"):
        model.encode("a", max_length=object())  # type: ignore[arg-type]


def test_missing_model_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model in this folder") as raised:
        StaticModel.from_pretrained(tmp_path)
    assert isinstance(raised.value, ModelNotFoundError) and isinstance(raised.value, OSError)


# Properties that can be set


def test_set_parts_of_the_table() -> None:
    model = make()
    for name, value in {
        "embedding": random_matrix(6, 7, "float16"),
        "weights": np.linspace(1, 2, 6),
        "token_mapping": np.array([5, 4, 3, 2, 1, 0]),
    }.items():
        setattr(model, name, value)
        np.testing.assert_array_equal(getattr(model, name), value)
        widened = peer(model)
        widened.embedding = widened.embedding.astype(np.float32)
        assert_equal(model, widened)
    assert (model.dim, model.embedding_dtype, model.weights.dtype) == (7, "float16", np.float64)  # type: ignore[union-attr]
    model.embedding = np.nan_to_num(model.embedding)
    vectors = model.encode(TEXTS)
    refused: list[tuple[str, Any]] = [
        ("embedding", random_matrix(5, 7, "float32")),
        ("embedding", np.ones(6)),
        ("embedding", None),
        ("embedding", np.ones((6, 7), np.int32)),
        ("weights", np.ones(5)),
        ("weights", np.ones(6, int)),
        ("token_mapping", np.array([0, 1, 2, 3, 4, 6])),
        ("token_mapping", np.zeros(6)),
        ("tokenizer", new_tokenizer(*WORDS, "f")),
    ]
    for name, wrong in refused:
        with pytest.raises(ModelFormatError, match=f"^{name}"):
            setattr(model, name, wrong)
        np.testing.assert_array_equal(model.encode(TEXTS), vectors)
    with pytest.raises(TypeError, match=r"tokenizers\.Tokenizer"):
        model.tokenizer = "tokenizer.json"  # type: ignore[assignment]
    model.token_mapping = None
    model.weights = None
    assert model.weights is None and model.token_mapping is None
    assert_equal(model, StaticModel(model.embedding, new_tokenizer(*WORDS)))


def test_weights_of_ones_are_kept(tmp_path: Path) -> None:
    model = make(weights=np.ones(6, np.float16))
    assert model.weights is not None and model.weights.dtype == np.float16
    model.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors")["weights"].dtype == np.float16
    assert quantize_model(model, quantize_to="int8").weights is not None


def test_int8_is_saved_with_weights(tmp_path: Path) -> None:
    model = make(dtype="int8")
    assert model.weights is None
    model.save_pretrained(tmp_path)
    np.testing.assert_array_equal(load_file(tmp_path / "model.safetensors")["weights"], np.ones(6, np.float32))
    assert_equal(model, StaticModel.from_pretrained(tmp_path))


def test_config_is_live(tmp_path: Path) -> None:
    model = make(config={"a": 1})
    model.config["head_config"] = {"n_layers": 2}
    model.config.update(normalize=True, max_length=1)
    assert (model.normalize, model.max_length) == (True, 1)
    for change in (
        lambda: model.config.update(b=2, max_length=0),
        lambda: model.config.__setitem__("normalize", "no"),
        lambda: model.config.pop("normalize"),
        lambda: model.config.__ior__({"max_length": "7"}),
    ):
        with pytest.raises((TypeError, ValueError), match=r"normalize|max_length"):
            change()
    assert model.config == {"a": 1, "head_config": {"n_layers": 2}, "normalize": True, "max_length": 1}
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["head_config"] == {"n_layers": 2}
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), quantize_model(model, quantize_to="float16")):
        assert other.config == model.config
        other.config["normalize"] = False
    assert model.normalize is True
    model.config.clear()
    assert model.config == {"normalize": True, "max_length": 1}
    model.config = {"b": 3, "max_length": None}
    assert (model.config, model.max_length) == ({"b": 3, "normalize": True, "max_length": None}, None)


def test_names_on_the_card(tmp_path: Path) -> None:
    model = make(base_model_name="some/base", language=["en", "nl"])
    model.save_pretrained(tmp_path / "model")
    for loaded in (StaticModel.from_pretrained(tmp_path / "model"), model2vec.StaticModel.from_pretrained(tmp_path / "model")):
        assert (loaded.base_model_name, loaded.language) == ("some/base", ["en", "nl"])
    loaded = StaticModel.from_pretrained(tmp_path / "model")
    loaded.base_model_name, loaded.language = "another", None
    loaded.save_pretrained(tmp_path / "again")
    again = StaticModel.from_pretrained(tmp_path / "again")
    assert (again.base_model_name, again.language) == ("another", None)
    assert (make().base_model_name, make().language) == (None, None)


# The tokeniser


def cased() -> Tokenizer:
    """Return a tokeniser of WORDS that makes them of upper-case letters too."""
    tokenizer = new_tokenizer(*WORDS)
    tokenizer.normalizer = normalizers.Lowercase()
    return tokenizer


def test_tokenizer_is_one_object() -> None:
    model = make(max_length=3)
    tokenizer = model.tokenizer
    assert model.tokenizer is tokenizer and tokenizer.truncation["max_length"] == 3
    model.max_length = 2
    assert tokenizer.truncation["max_length"] == 2
    model.config["max_length"] = None
    assert model.tokenizer.truncation is None
    tokenizer.enable_truncation(1)
    assert model.max_length == model.config["max_length"] == 1
    assert model.tokenize(["a b"]) == [[1]]
    tokenizer.enable_truncation(1, direction="left")
    for _ in range(2):
        with pytest.raises(ModelFormatError, match="direction"):
            model.encode("a b")
    tokenizer.no_truncation()
    assert model.tokenize(["a b"]) == [[1, 2]]


def change_normalizer(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Lowercase()


def change_pre_tokenizer(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Split("b", "isolated")


def change_flags_of_added_token(tokenizer: Tokenizer) -> None:
    tokenizer.add_tokens([AddedToken("b", single_word=True, rstrip=True)])


def change_model(tokenizer: Tokenizer) -> None:
    vocabulary = {word: 5 - i for i, word in enumerate(("[UNK]", *WORDS))}
    tokenizer.model = models.WordLevel(vocabulary, unk_token="[UNK]")


def change_unknown_token(tokenizer: Tokenizer) -> None:
    tokenizer.model.unk_token = "c"


@pytest.mark.parametrize("change", [change_normalizer, change_pre_tokenizer, change_flags_of_added_token, change_model, change_unknown_token])
@pytest.mark.parametrize("hold", [True, False])
def test_changes_of_the_tokenizer_are_heeded(change: Any, hold: bool) -> None:
    model = make()
    before = model.tokenize(TEXTS)
    tokenizer = model.tokenizer
    model.encode(TEXTS)
    if not hold:
        del tokenizer
        model.encode(TEXTS)
    change(model.tokenizer)
    expected = model2vec.StaticModel(np.array(model.embedding), model.tokenizer)
    assert_equal(model, expected)
    assert model.unk_token_id == expected.unk_token_id
    assert change is change_flags_of_added_token or model.tokenize(TEXTS) != before
    assert_equal(pickle.loads(pickle.dumps(model)), expected)
    assert_equal(quantize_model(model, quantize_to="float64"), expected)


@pytest.mark.parametrize("part", ["tokens", "encode", "save", "pickle", "quantize"])
def test_change_that_is_refused(part: str, tmp_path: Path) -> None:
    model = make()
    model.tokenizer.add_tokens(["f"])
    uses: dict[str, Any] = {
        "tokens": lambda: model.tokens,
        "encode": lambda: model.encode_as_sequence(["a"]),
        "save": lambda: model.save_pretrained(tmp_path),
        "pickle": lambda: pickle.dumps(model),
        "quantize": lambda: quantize_model(model, quantize_to="int8"),
    }
    for _ in range(2):
        with pytest.raises(ModelFormatError, match="6 rows, expected at least 7"):
            uses[part]()
    model.tokenizer = new_tokenizer(*WORDS)
    uses[part]()


@pytest.mark.parametrize("with_mapping", [False, True])
@pytest.mark.parametrize("with_weights", [False, True])
def test_tokens_are_added_before_their_rows(with_weights: bool, with_mapping: bool) -> None:
    """In the order in which users of model2vec do it. A call in between is refused, and says what to do."""
    models: list[Any] = []
    for kind in (StaticModel, model2vec.StaticModel):
        rng = np.random.default_rng(3)
        parts: dict[str, Any] = {"weights": rng.random(6).astype(np.float32)} if with_weights else {}
        parts |= {"token_mapping": np.array([0, 1, 2, 1, 0, 2])} if with_mapping else {}
        model: Any = kind(rng.normal(size=(3 if with_mapping else 6, 4)).astype(np.float32), new_tokenizer(*WORDS), **parts)
        models.append(model)
        before = model.encode(TEXTS)
        model.tokenizer.add_tokens(["f"])
        model.tokenizer.add_tokens(["g"])
        steps: dict[str, Any] = {"embedding": np.vstack([model.embedding, rng.normal(size=(2, 4)).astype(np.float32)])}
        steps |= {"weights": np.append(model.weights, np.float32([2, 3]))} if with_weights else {}
        steps |= {"token_mapping": np.append(model.token_mapping, [4, 3])} if with_mapping else {}
        for name, value in steps.items():
            if kind is StaticModel:
                for _ in range(2):
                    with pytest.raises(ModelFormatError, match=r"expected at least 8: the tokenizer has ids up to 7; set embedding, and weights"):
                        model.encode("f")
                with pytest.raises(ModelFormatError, match="expected"):
                    setattr(model, name, value[:2])
            setattr(model, name, value)
        assert len(model.encode(["f", "g f a"])) == 2
        assert np.array_equal(model.encode(TEXTS), before) or with_weights
    assert_equal(models[0], models[1])
    np.testing.assert_allclose(models[0].encode(["f", "g", "a f g"]), models[1].encode(["f", "g", "a f g"]), atol=1e-6)
    assert_equal(pickle.loads(pickle.dumps(models[0])), models[1])


def test_rows_that_wait_are_dropped_with_another_tokenizer() -> None:
    model = make()
    model.tokenizer.add_tokens(["f", "g"])
    model.embedding = np.ones((7, 4), np.float32)
    with pytest.raises(ModelFormatError, match="7 rows, expected at least 8"):
        model.encode("a")
    model.tokenizer = new_tokenizer(*WORDS)
    assert len(model.embedding) == 6 and model.encode("a").any()
    model.tokenizer.add_tokens(["f"])
    model.embedding = np.ones((7, 4), np.float32)
    assert len(model.embedding) == 7 and model.encode("f").any()


def test_settings_that_cannot_be_written_are_refused() -> None:
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -1.5)], 0, False))
    model = make(tokenizer)
    assert model.tokenize(["ab"]) == [[3]]
    model.tokenizer.encode_special_tokens = True
    with pytest.raises(ModelFormatError, match="encode_special_tokens"):
        model.encode("ab")
    with pytest.raises(ModelFormatError, match="encode_special_tokens"):
        model.tokenizer = model._shown._tokenizer  # type: ignore[union-attr]
    model._shown._tokenizer.encode_special_tokens = False  # type: ignore[union-attr]
    assert model.tokenize(["ab"]) == [[3]]


# Before version 0.23, the settings of Unigram cannot be set.
@pytest.mark.parametrize("setting", ["encode_special_tokens", *(["alpha"] if hasattr(models.Unigram, "alpha") else [])])
def test_a_model_is_not_made_with_settings_that_cannot_be_written(setting: str) -> None:
    tokenizer: Any = Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0), ("b", -1.0), ("ab", -1.5)], 0, False))
    if setting == "alpha":
        tokenizer.model.alpha = 0.5
    else:
        tokenizer.encode_special_tokens = True
    with pytest.raises(ModelFormatError, match=f"tokenizer: {setting} cannot be written"):
        make(tokenizer)


def test_set_tokenizer() -> None:
    model = make(max_length=7)
    tokenizer = cased()
    tokenizer.enable_truncation(2)
    model.tokenizer = tokenizer
    assert model.tokenizer is tokenizer and tokenizer.truncation["max_length"] == 7
    assert model.tokenize(["A B C"]) == [[1, 2, 3]]
    tokenizer.normalizer = None
    assert model.tokenize(["A b C"]) == [[2]]


@pytest.fixture(params=["wait", "never"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use compiled code, or none, and switch threads often."""
    monkeypatch.setenv(VARIABLE, request.param)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@contextmanager
def running(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Repeat some work in three threads during a ``with`` block, and yield a list for what it returns and raises."""
    stop, results = threading.Event(), []

    def attempt() -> Any:
        try:
            return work()
        except Exception as error:
            return error

    def repeat() -> None:
        while not stop.is_set():
            results.append(attempt())

    threads = [threading.Thread(target=repeat) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield results
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.usefixtures("road")
def test_setters_while_others_encode() -> None:
    """Each vector is that of a model that was set, and never of parts of two."""
    matrices = [random_matrix(6, 3, "float32", seed=1), random_matrix(6, 5, "float32", seed=2)]
    weights = [None, np.arange(1.0, 7.0)]
    tokenizers = [new_tokenizer(*WORDS), cased()]
    text = "a B c"
    expected = [StaticModel(m, t, weights=w).encode(text).tolist() for m in matrices for t in tokenizers for w in weights]
    model = StaticModel(matrices[0], tokenizers[0])
    with running(lambda: [model.encode(text), *model.encode([text] * 5), quantize_model(model, dimensionality=3).encode(text)]) as results:
        for i in range(24):
            model.embedding = matrices[i % 2]
            model.tokenizer = tokenizers[i // 2 % 2]
            model.weights = weights[i // 4 % 2]
    assert len(results) >= 3
    for vectors in results:
        *full, cut = [vector.tolist() for vector in vectors]
        assert all(vector in expected for vector in full)
        assert cut in [vector[:3] for vector in expected]


@pytest.mark.usefixtures("road")
def test_no_change_is_lost_while_others_encode() -> None:
    """The calls of other threads heed a change of the tokeniser, while this thread sets other parts. An older model must not come back."""
    matrices = [random_matrix(6, 3, "float32"), random_matrix(6, 5, "float32")]
    model = StaticModel(matrices[0], new_tokenizer(*WORDS))
    tokenizer = model.tokenizer
    with running(lambda: model.encode("a B")) as results:
        for i in range(40):
            tokenizer.normalizer = normalizers.Lowercase() if i % 2 else None  # type: ignore[assignment]
            model.embedding = matrices[i % 2]
            time.sleep(0.002)
            assert (model.dim, model.tokenize(["a B"])) == ((5, [[1, 2]]) if i % 2 else (3, [[1]]))
            if i % 4 == 0:
                tokenizer.normalizer = normalizers.Lowercase()
                model.tokenizer = tokenizer = new_tokenizer(*WORDS)
                time.sleep(0.002)
                assert model.tokenizer is tokenizer and model.tokenize(["a B"]) == [[1]]
    assert {len(vector) for vector in results} == {3, 5}


def test_change_of_the_tokenizer_before_max_length_is_set() -> None:
    model = make()
    model.tokenizer.normalizer = normalizers.Lowercase()  # type: ignore[assignment]
    tokenizer = model.tokenizer
    tokenizer.normalizer = None
    model.max_length = 3
    assert model.tokenize(["A b"]) == [[2]]
    tokenizer.normalizer = normalizers.Lowercase()  # type: ignore[assignment]
    model.max_length = 2
    assert model.tokenize(["A b c"]) == [[1, 2]]


def test_pickle_after_sets(tmp_path: Path) -> None:
    make().save_pretrained(tmp_path)
    model = StaticModel.from_pretrained(tmp_path)
    model.embedding = random_matrix(6, 3, "float32", seed=3)
    model.weights = np.arange(6.0)
    model.base_model_name = "x"
    other = pickle.loads(pickle.dumps(model))
    assert_equal(other, model)
    assert (other.base_model_name, other.weights.dtype) == ("x", np.float64)


# model2vec's class


def test_from_model2vec() -> None:
    theirs = model2vec.StaticModel(random_matrix(6, 4, "float64"), cased(), {"a": 1}, True, "base", ["en"], np.arange(6.0), None, 7)
    ours = from_model2vec(theirs)
    assert isinstance(ours, model2vec.StaticModel) and isinstance(ours, StaticModel) and "model2vec" in str(type(ours))
    assert ours.config == theirs.config and (ours.base_model_name, ours.language) == ("base", ["en"])
    assert np.shares_memory(ours.embedding, theirs.embedding)
    assert_equal(ours, theirs)
    assert type(pickle.loads(pickle.dumps(ours))) is Both
    assert_equal(model2vec.model.quantize_model(ours, quantize_to="float32"), ours)
    with pytest.raises(TypeError, match=r"model2vec\.StaticModel, not str"):
        from_model2vec("model")  # type: ignore[arg-type]


def test_public_names_of_model2vec_are_all_ours() -> None:
    names = {name for name in dir(model2vec.StaticModel) if not name.startswith("_")}
    assert names <= set(dir(StaticModel))
    assert {name for name in names if getattr(Both, name) is getattr(model2vec.StaticModel, name)} == set()


def test_install_and_undo(tmp_path: Path) -> None:
    original = model2vec.StaticModel
    make().save_pretrained(tmp_path)
    with install():
        from model2vec import StaticModel as Imported

        assert Imported is model2vec.model.StaticModel is Both
        assert isinstance(Imported.from_pretrained(tmp_path), StaticModel)
        again = install()
    assert model2vec.StaticModel is model2vec.model.StaticModel is original
    again.undo()
    assert model2vec.StaticModel is original


def test_install_after_other_modules_of_model2vec() -> None:
    code = """
import model2vec.inference
from model2vec_numba.integrations.model2vec import StaticModel, install
done = install()
assert model2vec.inference.model.StaticModel is StaticModel
done.undo()
assert model2vec.inference.model.StaticModel is model2vec.StaticModel is not StaticModel
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
