"""`encode`, `encode_as_sequence` and `tokenize` against the reference and against Python model2vec, their arguments, and the properties of models."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from helpers import DTYPES, KINDS, new_tokenizer, random_matrix, random_parts
from numpy.typing import NDArray
from reference import Reference, assert_close, peer_model
from tokenizers import Tokenizer

from model2vec_numba import StaticModel

DIMS = (1, 2, 7, 64, 256)
MAX_LENGTHS = (None, 1, 7, 512)
VARIANTS = ("plain", "weights", "mapping", "both")


def from_parts(tokenizer: Tokenizer, parts: dict[str, NDArray[Any]], **arguments: Any) -> StaticModel:
    return StaticModel(parts["embeddings"], tokenizer, weights=parts.get("weights"), token_mapping=parts.get("mapping"), **arguments)


class Expected:
    """The ids of the texts by the reference, for each kind of tokenizer and each maximum length. They do not depend on the tensors."""

    def __init__(self, tokenizers: dict[str, Tokenizer], texts: list[str]) -> None:
        self._tokenizers = tokenizers
        self._texts = texts
        self._ids: dict[tuple[str, int | None], tuple[list[list[int]], NDArray[np.bool_]]] = {}

    def ids(self, kind: str, max_length: int | None) -> list[list[int]]:
        """Return the ids of each text."""
        return self._find(kind, max_length)[0]

    def peer_agrees(self, kind: str, max_length: int | None) -> NDArray[np.bool_]:
        """Return for which texts model2vec has the same ids by its own rules."""
        return self._find(kind, max_length)[1]

    def _find(self, kind: str, max_length: int | None) -> tuple[list[list[int]], NDArray[np.bool_]]:
        if (kind, max_length) not in self._ids:
            tokenizer = self._tokenizers[kind]
            reference = Reference(tokenizer, {"embeddings": np.zeros((tokenizer.get_vocab_size(), 1))})
            self._ids[kind, max_length] = reference.ids(self._texts, max_length), reference.peer_agrees(self._texts, max_length)
        return self._ids[kind, max_length]


@pytest.fixture(scope="module")
def expected(tokenizers: dict[str, Tokenizer], texts: list[str]) -> Expected:
    return Expected(tokenizers, texts)


def cases() -> Iterator[Any]:
    """Give each kind with each dtype and one of the variants. The other variants are exhaustive."""
    for i, kind in enumerate(KINDS):
        for j, dtype in enumerate(DTYPES):
            for k, variant in enumerate(VARIANTS):
                # Every dimension occurs with every dtype and every variant.
                dim = DIMS[(i + j + k) % len(DIMS)]
                marks = () if (i + j) % len(VARIANTS) == k else pytest.mark.exhaustive
                yield pytest.param(kind, dtype, variant, dim, id=f"{kind}-{dtype}-{variant}-{dim}", marks=marks)


@pytest.mark.parametrize(("kind", "dtype", "variant", "dim"), [*cases()])
def test_equals_reference_and_model2vec(
    kind: str, dtype: str, variant: str, dim: int, tokenizers: dict[str, Tokenizer], texts: list[str], expected: Expected
) -> None:
    tokenizer = tokenizers[kind]
    size = tokenizer.get_vocab_size()
    parts = random_parts(size, dim, dtype, weights=variant in ("weights", "both"), mapping=variant in ("mapping", "both"))
    model = from_parts(tokenizer, parts)
    reference = Reference(tokenizer, parts)
    peer = peer_model(tokenizer, parts)
    for max_length in MAX_LENGTHS:
        ids = expected.ids(kind, max_length)
        assert model.tokenize(texts, max_length=max_length) == ids
        means = np.array([reference.pool(each, False) for each in ids])
        norms = np.linalg.norm(means, axis=1, keepdims=True)
        for normalize in (False, True):
            found = model.encode(texts, max_length=max_length, normalize=normalize)
            what = f"{dim=} {max_length=} {normalize=}"
            assert_close(found, np.divide(means, norms, where=norms > 0, out=np.zeros_like(means)) if normalize else means, what)
            # A text that is encoded alone has the same vector as among others, to the bit.
            alone = [model.encode(text, max_length=max_length, normalize=normalize) for text in texts[::20]]
            np.testing.assert_array_equal(alone, found[::20], what)
    # model2vec tokenises at each call, which takes most of the time of this test. So it encodes once.
    max_length, normalize = MAX_LENGTHS[DTYPES.index(dtype) % len(MAX_LENGTHS)], dim % 2 == 0
    agree = expected.peer_agrees(kind, max_length)
    assert agree.mean() > 0.8
    theirs = peer.encode(texts, max_length=max_length, normalize=normalize, use_multiprocessing=False)
    found = model.encode(texts, max_length=max_length, normalize=normalize)
    assert_close(found[agree], theirs[agree], f"model2vec, {dim=} {max_length=} {normalize=}")


def test_unknown_tokens_are_dropped_before_cutting() -> None:
    model = StaticModel(random_matrix(4, 3, "float32"), new_tokenizer("alpha", "beta", "gamma"))
    assert (model.unk_token_id, model.median_token_length) == (0, 5)
    # Fifteen characters are kept. Two of the four tokens in them are unknown. If ids were cut before unknown ids are dropped, gamma would be lost.
    assert model.tokenize(["z alpha z gamma beta"], max_length=3) == [[1, 3]]
    expected = (model.embedding[1] + model.embedding[3]) / 2
    assert_close(model.encode(["z alpha z gamma beta"], max_length=3, normalize=False), expected[None])
    # The ids that remain after dropping are cut.
    assert model.tokenize(["z beta beta"], max_length=2) == [[2]]
    assert model.tokenize(["z z beta beta beta beta beta beta"], max_length=3) == [[2, 2]]
    assert model.tokenize(["beta " * 20], max_length=3) == [[2, 2, 2]]


def test_texts_are_cut_in_characters_first() -> None:
    tokenizer = new_tokenizer("aa", "bb", "cc", "a", "\u00e9\u00e9")
    model = StaticModel(random_matrix(6, 3, "float32"), tokenizer)
    assert model.median_token_length == 2
    # Two tokens are four characters, here "aa b".
    assert model.tokenize(["aa bb cc"], max_length=2) == [[1]]
    assert model.tokenize(["aa bb cc"], max_length=3) == [[1, 2]]
    assert model.tokenize(["aaa bb"], max_length=1) == [[1]]
    assert model.tokenize(["abb bb"], max_length=1) == [[]]
    assert model.tokenize(["a  bb cc"], max_length=3) == [[4, 2]]
    # Characters are code points. They are neither bytes nor UTF-16 units.
    assert model.tokenize(["\u00e9\u00e9 \U0001f600\u00e9\u00e9 \u00e9\u00e9"], max_length=4) == [[5]]
    assert model.tokenize(["\u00e9\u00e9 \u00e9\u00e9 \u00e9\u00e9"], max_length=4) == [[5, 5, 5]]
    assert model.tokenize(["aa bb cc"], max_length=None) == [[1, 2, 3]]


def test_unigram_follows_unk_id(tokenizers: dict[str, Tokenizer], make_model: Callable[..., StaticModel]) -> None:
    model = make_model("unigram")
    assert tokenizers["unigram"].token_to_id("<unk>") == 1
    assert model.unk_token_id == 3
    text = "\u13a0\u13a1 the <unk> \u13a2"
    [raw] = Reference(tokenizers["unigram"], {"embeddings": model.embedding}).raw_ids([text], None)
    assert 3 in raw and 1 in raw
    assert model.tokenize([text], max_length=None) == [[i for i in raw if i != 3]]


def test_truncation_and_padding_of_the_file_are_off(tokenizers: dict[str, Tokenizer], make_model: Callable[..., StaticModel]) -> None:
    for kind in KINDS:
        assert tokenizers[kind].truncation is not None and tokenizers[kind].padding is not None
        tokenizer = make_model(kind, max_length=None).tokenizer
        # The padding token is kept, as in model2vec.
        assert tokenizer.truncation is None and tokenizer.padding["length"] == 0
        assert tokenizer.padding["pad_token"] == tokenizers[kind].padding["pad_token"]
        [ids] = make_model(kind).tokenize("the value of the expression is the name of the object and so on")
        assert len(ids) > 9
        assert len(make_model(kind).tokenize("the")[0]) < 5


def test_no_sentences(default_model: StaticModel) -> None:
    nothings: list[Any] = [[], (), iter(()), np.array([], dtype=object), np.array([], dtype=str)]
    for nothing in nothings:
        assert default_model.encode(nothing).shape == (0, 256)
    assert default_model.encode([]).dtype == np.float32
    assert default_model.encode_as_sequence([]) == []
    assert default_model.tokenize([]) == []


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_texts_without_tokens_have_zero_vectors(dtype: str, normalize: bool) -> None:
    model = StaticModel(random_matrix(3, 5, dtype), new_tokenizer("a", "b"), normalize=normalize)
    vectors = model.encode(["", " ", "unknown words only", "a", "\n"])
    assert not vectors[[0, 1, 2, 4]].any()
    assert vectors[3].any()
    assert not model.encode("").any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_mean_stays_zero_when_normalised(dtype: str) -> None:
    stored = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    matrix = np.array([[9, 9], [0, 0], [3, -5], [-3, 5]]).astype(stored)
    model = StaticModel(matrix, new_tokenizer("zero", "plus", "minus"), normalize=True)
    with np.errstate(all="raise"):
        vectors = model.encode(["zero", "zero zero", "plus minus", "plus"])
    assert np.isfinite(vectors).all()
    assert not vectors[:3].any()
    assert_close(vectors[3:], np.array([[3, -5]]) / np.sqrt(34))


def test_tiny_and_huge_values_are_normalised() -> None:
    for factor in (1e-30, 1e-20, 1e20, 1e30):
        matrix = (random_matrix(3, 8, "float64") * factor).astype(np.float32)
        model = StaticModel(matrix, new_tokenizer("a", "b"), normalize=True)
        assert_close(model.encode(["a b", "b"]), Reference(new_tokenizer("a", "b"), {"embeddings": matrix}).encode(["a b", "b"]), str(factor))


@pytest.mark.parametrize("variant", ["plain", "both"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [512, 100_000])
def test_repeats_of_one_token(count: int, dtype: str, variant: str) -> None:
    words = [f"w{i}" for i in range(40)]
    parts = random_parts(41, 64, dtype, weights=variant == "both", mapping=variant == "both", seed=11)
    model = from_parts(new_tokenizer(*words), parts, max_length=None)
    reference = Reference(new_tokenizer(*words), parts)
    different = 8 if count < 1000 else 2
    texts = [" ".join([word] * count) for word in words[:different]]
    ids = [[i] * count for i in range(1, 1 + different)]
    assert model.tokenize(texts) == ids
    means = np.array([reference.pool(each, False) for each in ids])
    assert_close(model.encode(texts, normalize=False), means, "not normalised")
    assert_close(model.encode(texts, normalize=True), means / np.linalg.norm(means, axis=1, keepdims=True), "normalised")


@pytest.mark.parametrize("variant", ["plain", "both"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_long_texts(dtype: str, variant: str) -> None:
    """The rows of these long texts nearly cancel out, so that rounding errors would show."""
    words = [f"w{i}" for i in range(2000)]
    parts = random_parts(2001, 256, dtype, weights=variant == "both", mapping=variant == "both", seed=12)
    parts["embeddings"][::2] *= -1
    model = from_parts(new_tokenizer(*words), parts, max_length=None)
    reference = Reference(new_tokenizer(*words), parts)
    draw = np.random.default_rng(5)
    ids = [draw.integers(1, 2001, count).tolist() for count in (510, 511, 512, 513, 5_000, 50_000)]
    texts = [" ".join(words[i - 1] for i in each) for each in ids]
    means = np.array([reference.pool(each, False) for each in ids])
    assert_close(model.encode(texts, normalize=False), means, "not normalised")
    assert_close(model.encode(texts, normalize=True), means / np.linalg.norm(means, axis=1, keepdims=True), "normalised")


def test_one_string(default_model: StaticModel) -> None:
    vector = default_model.encode("one string")
    assert vector.shape == (256,)
    assert vector.dtype == np.float32
    assert vector.flags.c_contiguous
    np.testing.assert_array_equal(vector, default_model.encode(["one string"])[0])
    np.testing.assert_array_equal(default_model.encode_as_sequence("one string"), default_model.encode_as_sequence(["one string"])[0])
    assert default_model.tokenize("one string") == default_model.tokenize(["one string"])
    assert np.linalg.norm(default_model.encode("one string", normalize=False)) > 2
    assert not np.array_equal(default_model.encode("one two three", max_length=1), default_model.encode("one two three"))


class Text(str):
    """A subclass of str. Some libraries have such strings."""

    __slots__ = ()


def test_kinds_of_sequences(default_model: StaticModel) -> None:
    sentences = ["a first", "", "na\u00efve caf\u00e9", "a first", "\u65e5\u672c\u8a9e"]
    expected = default_model.encode(sentences)
    assert expected.any(axis=1).tolist() == [True, False, True, True, True]
    kinds: dict[str, Any] = {
        "tuple": tuple(sentences),
        "generator": (sentence for sentence in sentences),
        "iterator": iter(sentences),
        "object array": np.array(sentences, dtype=object),
        "str array": np.array(sentences),
        "str subclass": [Text(sentence) for sentence in sentences],
        "numpy strings": [np.str_(sentence) for sentence in sentences],
        "mixed": [Text(sentences[0]), *sentences[1:]],
        "dict keys and duplicates": [*dict.fromkeys(sentences), *sentences][:3] + sentences[3:],
    }
    for name, kind in kinds.items():
        np.testing.assert_array_equal(default_model.encode(kind), expected, err_msg=name)
    tokens = default_model.tokenize(sentences)
    assert default_model.tokenize(iter(sentences)) == tokens
    assert [len(sequence) for sequence in default_model.encode_as_sequence(iter(sentences))] == [len(ids) for ids in tokens]


@pytest.mark.parametrize("dtype", DTYPES)
def test_result_does_not_depend_on_batch_or_neighbours(dtype: str, texts: list[str], make_model: Callable[..., StaticModel]) -> None:
    model = make_model("wordpiece-uncased", 37, dtype, weights=True, mapping=True)
    texts = texts[:60]
    expected = model.encode(texts)
    for batch_size in (1, 2, 7, 64, 1000, 10**12):
        np.testing.assert_array_equal(model.encode(texts, batch_size=batch_size), expected, err_msg=f"{batch_size=}")
    for i, text in enumerate(texts):
        np.testing.assert_array_equal(model.encode([text])[0], expected[i], err_msg=repr(text))
        np.testing.assert_array_equal(model.encode(text), expected[i], err_msg=repr(text))
    np.testing.assert_array_equal(model.encode(texts[::-1])[::-1], expected)
    np.testing.assert_array_equal(model.encode([*texts, *texts, *texts])[len(texts) : 2 * len(texts)], expected)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_output(dtype: str, dim: int, texts: list[str], make_model: Callable[..., StaticModel]) -> None:
    vectors = make_model("byte-bpe", dim, dtype).encode(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), dim)
    assert vectors.flags.c_contiguous and vectors.flags.writeable and vectors.flags.owndata
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    np.testing.assert_allclose(norms[vectors.any(axis=1)], 1, atol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_encode_as_sequence(dtype: str, variant: str, tokenizers: dict[str, Tokenizer], texts: list[str], expected: Expected) -> None:
    tokenizer = tokenizers["wordlevel"]
    size = tokenizer.get_vocab_size()
    parts = random_parts(size, 19, dtype, weights=variant in ("weights", "both"), mapping=variant in ("mapping", "both"))
    model = from_parts(tokenizer, parts, normalize=True, max_length=2)
    reference = Reference(tokenizer, parts)
    for max_length in MAX_LENGTHS:
        sequences = model.encode_as_sequence(texts, max_length=max_length, batch_size=50)
        ids = expected.ids("wordlevel", max_length)
        assert [sequence.shape for sequence in sequences] == [(len(each), 19) for each in ids]
        assert {sequence.dtype for sequence in sequences} == {np.dtype(np.float32)}
        np.testing.assert_allclose(np.concatenate(sequences), reference.rows(np.concatenate(ids).astype(int)), rtol=2e-7, atol=1e-30)
    # The model's own max_length does not count, as in model2vec.
    sequences = model.encode_as_sequence(texts)
    assert [len(sequence) for sequence in sequences] == [len(each) for each in expected.ids("wordlevel", None)]
    if variant == "both":
        theirs = peer_model(tokenizer, parts).encode_as_sequence(texts)
        assert list(map(len, theirs)) == list(map(len, sequences))
        np.testing.assert_allclose(np.concatenate(sequences), np.concatenate(theirs), rtol=1e-6, atol=1e-30)


def test_sequence_arrays_are_independent(default_model: StaticModel) -> None:
    first, second = default_model.encode_as_sequence(["same words", "same words"])
    first[:] = 0
    assert second.any()
    assert default_model.encode("same words").any()


@pytest.mark.parametrize("kind", KINDS)
def test_tokenize(kind: str, texts: list[str], make_model: Callable[..., StaticModel], expected: Expected) -> None:
    model = make_model(kind, max_length=3)
    found = model.tokenize(texts, max_length=None)
    assert found == expected.ids(kind, None)
    assert all(type(token) is int for ids in found for token in ids)
    # The model's max_length counts only if there is no argument, and texts are not cut in characters then.
    assert model.tokenize(texts) == [ids[:3] for ids in found]
    for max_length in (1, 7, 512):
        assert model.tokenize(texts, max_length=max_length) == expected.ids(kind, max_length)


def test_properties(default_model: StaticModel) -> None:
    assert default_model.dim == 256
    assert default_model.normalize is True
    assert default_model.max_length == 512
    assert default_model.embedding_dtype == "int8"
    assert default_model.embedding.shape == (29_525, 256)
    assert default_model.embedding.dtype == np.int8
    assert default_model.weights is None
    assert default_model.token_mapping is None
    assert default_model.vocabulary_quantization is None
    vocabulary = default_model.tokenizer.get_vocab()
    assert default_model.median_token_length == int(np.median([len(token) for token in vocabulary]))
    assert default_model.unk_token_id == vocabulary["[UNK]"]
    assert len(default_model.tokens) == len(vocabulary)
    assert all(vocabulary[token] == i for i, token in enumerate(default_model.tokens))
    assert default_model.config["normalize"] is True
    assert default_model.tokenizer_backend


@pytest.mark.parametrize("dtype", DTYPES)
def test_properties_of_a_quantised_vocabulary(dtype: str, make_model: Callable[..., StaticModel]) -> None:
    model = make_model("wordlevel", 5, dtype, weights=True, mapping=True)
    assert model.embedding_dtype == dtype
    assert model.vocabulary_quantization == len(model.embedding) == 750
    assert model.token_mapping is not None and model.token_mapping.shape == (3000,)
    assert model.weights is not None and model.weights.shape == (3000,)
    assert make_model("byte-bpe").unk_token_id is None


def test_the_models_arrays_cannot_be_changed(make_model: Callable[..., StaticModel]) -> None:
    model = make_model(weights=True, mapping=True)
    for array in (model.embedding, model.weights, model.token_mapping):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_the_callers_arrays_stay_theirs() -> None:
    """The mapping is checked once. A later change of the caller's array must not reach the kernels."""
    tokenizer = new_tokenizer("a", "b")
    matrix, weights, mapping = random_matrix(2, 4, "float32"), np.ones(3, np.float32), np.array([0, 1, 1], np.int32)
    model = StaticModel(matrix, tokenizer, weights=weights, token_mapping=mapping)
    before = model.encode(["a b"])
    mapping[:] = 2**30
    weights[:] = np.nan
    np.testing.assert_array_equal(model.encode(["a b"]), before)
    assert matrix.flags.writeable and mapping.flags.writeable


def test_tokenizer_is_a_copy() -> None:
    tokenizer = new_tokenizer("a", "b")
    model = StaticModel(random_matrix(3, 4, "float32"), tokenizer)
    tokenizer.add_tokens(["c", "d"])
    assert model.tokenize("a c d e f b") == [[1, 2]]
    assert len(model.tokens) == 3


def test_setters(make_model: Callable[..., StaticModel], tokenizers: dict[str, Tokenizer]) -> None:
    model = make_model("wordlevel", normalize=False, max_length=512)
    reference = Reference(tokenizers["wordlevel"], {"embeddings": model.embedding})
    texts = ["the value of the name", "the name"]
    model.normalize = True
    assert model.normalize is True and model.config["normalize"] is True
    assert_close(model.encode(texts), reference.encode(texts, 512, True))
    model.max_length = 2
    assert model.max_length == 2 and model.config["max_length"] == 2
    assert_close(model.encode(texts), reference.encode(texts, 2, True))
    # An argument takes precedence over the model's setting and does not change it.
    assert_close(model.encode(texts, max_length=None, normalize=False), reference.encode(texts, None, False))
    assert (model.max_length, model.normalize) == (2, True)
    model.max_length = None
    assert_close(model.encode(texts), reference.encode(texts, None, True))
    for wrong in (0, -1, 1.5, "7", True):
        with pytest.raises(ValueError, match="max_length"):
            model.max_length = wrong  # type: ignore[assignment]
    assert model.max_length is None
    model.config["normalize"] = False
    assert model.normalize is False


def test_init_takes_settings_from_config() -> None:
    tokenizer, matrix = new_tokenizer("a"), random_matrix(2, 4, "float32")
    plain = StaticModel(matrix, tokenizer)
    assert (plain.normalize, plain.max_length) == (False, 512)
    from_config = StaticModel(matrix, tokenizer, config={"normalize": True, "max_length": 9, "language": ["en"]})
    assert (from_config.normalize, from_config.max_length) == (True, 9)
    assert from_config.config["language"] == ["en"]
    argument = StaticModel(matrix, tokenizer, config={"normalize": True, "max_length": 9}, normalize=False, max_length=None)
    assert (argument.normalize, argument.max_length) == (False, None)


def test_max_length_larger_than_anything(default_model: StaticModel) -> None:
    """`transformers` writes 10**30 if there is no limit, and callers pass `sys.maxsize`."""
    texts = ["the quick brown fox", "", "x " * 600]
    expected = default_model.encode(texts, max_length=None)
    for max_length in (10**9, sys.maxsize, 10**30):
        np.testing.assert_array_equal(default_model.encode(texts, max_length=max_length), expected)
        assert default_model.tokenize(texts, max_length=max_length) == default_model.tokenize(texts, max_length=None)


def test_integers_of_numpy_are_integers(default_model: StaticModel) -> None:
    expected = default_model.encode(["a b c", "d e"], max_length=2)
    found = default_model.encode(["a b c", "d e"], max_length=np.int64(2), batch_size=np.int32(1))
    np.testing.assert_array_equal(found, expected)


def test_repr(make_model: Callable[..., StaticModel]) -> None:
    text = repr(make_model("unigram", 7, "float16", max_length=None))
    assert text.startswith("StaticModel(") and text.endswith(")")
    for part in ("dim=7", "float16", "3000", "normalize=True", "max_length=None"):
        assert part in text


def test_show_progress_bar(default_model: StaticModel, capfd: pytest.CaptureFixture[str]) -> None:
    texts = ["some text"] * 20
    expected = default_model.encode(texts)
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(default_model.encode(texts, show_progress_bar=True, batch_size=5), expected)
    out, err = capfd.readouterr()
    assert out == ""
    assert "20" in err
    assert len(default_model.encode_as_sequence(texts, show_progress_bar=True)) == 20
    assert "20" in capfd.readouterr().err


def test_subclasses_load_as_themselves(default_model: StaticModel) -> None:
    class Mine(StaticModel):
        """A user's own class."""

    mine = Mine.from_pretrained()
    assert type(mine) is Mine
    assert repr(mine).startswith("Mine(")
    np.testing.assert_array_equal(mine.encode("a text"), default_model.encode("a text"))


def test_default_model_is_a_sensible_one(default_model: StaticModel) -> None:
    """Sentences with the same meaning are closer to each other than to other sentences."""
    texts = [
        "A man is playing a guitar.",
        "Someone plays the guitar.",
        "The stock market fell sharply today.",
        "Shares dropped on Wall Street.",
    ]
    guitar, guitar_too, market, market_too = default_model.encode(texts)
    assert min(guitar @ guitar_too, market @ market_too) > max(guitar @ market, guitar @ market_too, guitar_too @ market) + 0.1


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to a child process on Windows")
def test_interrupt() -> None:
    child = textwrap.dedent("""
        import sys, time
        from model2vec_numba import StaticModel
        model = StaticModel.from_pretrained()
        before = model.encode("unharmed")
        long = "some words of a long text, " * 8000
        model.encode([long] * 16, max_length=None)  # compiles the parallel kernels
        print("ready", flush=True)
        try:
            model.encode([long] * 40_000, max_length=None)
        except KeyboardInterrupt:
            stopped = time.monotonic()
            assert (model.encode("unharmed") == before).all()
            print("interrupted", stopped, flush=True)
            raise
    """)
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(1)
            assert process.poll() is None, "the encode is too short for this test"
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    word, stopped = out.split()
    assert word == "interrupted"
    assert float(stopped) - sent < 2
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT, 1)
