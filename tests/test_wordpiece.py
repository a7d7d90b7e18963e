"""The compiled WordPiece backend against the `tokenizers` library: ids must be equal, for every text. More of it: `fuzz_wordpiece.py`."""

from __future__ import annotations

import json
import random
import string
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice, pairwise
from typing import Any

import numba
import numpy as np
import pytest
from helpers import EDGE_TEXTS, random_matrix
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from numpy.typing import NDArray
from tokenizers import Tokenizer
from wordpiece_cases import (
    ALL_VARIANTS,
    REPRESENTATIVES,
    VARIANTS,
    Case,
    Parts,
    alphabet_parts,
    assigned_characters,
    bundled_parts,
    characters,
    natural_texts,
    pairs,
    random_texts,
    trained_parts,
    with_normalizer,
    with_tokens,
    with_vocabulary,
)

from model2vec_numba import StaticModel
from model2vec_numba.errors import TokenizationError
from model2vec_numba.text import TextBatch, flatten, utf8_of
from model2vec_numba.tokenization import TokenBatch, TokenizerBackend, bert, choose_backend, memo, parse_tokenizer
from model2vec_numba.tokenization.bert import BertBackend
from model2vec_numba.tokenization.library import LibraryBackend
from model2vec_numba.words import alnum_length, load_word, lowercase_word, store_word, word_mask

VOCABULARIES: dict[str, Callable[[], Parts]] = {"bundled": bundled_parts, "trained": trained_parts}


@cache
def case(vocabulary: str = "trained", variant: str = "uncased") -> Case:
    """One of the tokenizers that several tests use."""
    return Case(with_normalizer(VOCABULARIES[vocabulary](), VARIANTS[variant]))


@pytest.fixture
def thread_count() -> Iterator[Callable[[int], None]]:
    """Sets numba's number of threads, for the test."""
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


# The whole of Unicode.


@pytest.mark.exhaustive
def test_every_code_point() -> None:
    """Alone and between letters, with a vocabulary that shows what became of it; those that have thousands like them, many to a text."""
    assigned = assigned_characters()
    every = Case(with_normalizer(alphabet_parts(assigned), {}))
    single = [c for c in assigned if not unicodedata.name(c, "").startswith(("CJK UNIFIED", "HANGUL SYL", "TANGUT", "EGYPTIAN", "CUNEIFORM"))]
    every.check(single, 1 << 15)
    every.check((f"a{c}b" for c in single), 1 << 15)
    rest = iter(sorted(set(characters()) - set(single)))
    every.check(iter(lambda: " ".join(f"{c} a{c}b" for c in islice(rest, 64)), ""), 1 << 12)


@pytest.mark.exhaustive
@pytest.mark.parametrize("variant", VARIANTS)
def test_pairs(variant: str) -> None:
    """Every pair of a set of code points that has all classes."""
    Case(with_normalizer(alphabet_parts(REPRESENTATIVES), VARIANTS[variant])).check(pairs())


@pytest.mark.parametrize("settings", ALL_VARIANTS, ids=lambda settings: "-".join(map(str, settings.values())))
def test_representatives_in_all_variants(settings: Parts) -> None:
    every = Case(with_normalizer(alphabet_parts(REPRESENTATIVES), settings))
    every.check([text for c in REPRESENTATIVES for text in (c, f"a{c}b", c + c, f"{c}a")])


@pytest.mark.exhaustive
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_random_texts(variant: str, vocabulary: str) -> None:
    case(vocabulary, variant).check(random_texts(10_000, [*VARIANTS].index(variant)))


@given(st.lists(st.text(), max_size=5), st.sampled_from([*VARIANTS]), st.sampled_from([*VOCABULARIES]))
def test_any_texts(texts: list[str], variant: str, vocabulary: str) -> None:
    case(vocabulary, variant).check(texts)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_edge_texts(variant: str, vocabulary: str) -> None:
    case(vocabulary, variant).check(EDGE_TEXTS)


# Vocabularies, and words that they do not have.


@pytest.mark.parametrize(
    ("prefix", "limit"), [("##", 1), ("##", 5), ("##", 1000), ("", 5), ("", 100), ("@@", 100), ("x", 1000), ("\u00e9\u4e00", 100)]
)
def test_prefixes_and_limits(prefix: str, limit: int) -> None:
    every = Case(trained_parts(prefix, limit))
    lengths = [limit - 1, limit, limit + 1, 8, 15, 16, 17, 64]
    every.check([letter * length for letter in "a\u00e9\u4e00\u0939\u0130\U00010400\uac01" for length in lengths if length > 0])
    every.check([f"x {('ab1' * 400)[:length]}, {('ü' * 1200)[:length]}!" for length in lengths if length > 0])
    every.check(natural_texts()[::20])
    every.check(random_texts(1000, 5))


def test_limit_of_no_characters() -> None:
    """Every word is too long then, punctuation too."""
    check_ids(trained_parts("##", 0), ["a", "!", "\u4e00", "x a, \u00fc!", "the cat", "[MASK]"])


def test_long_tokens() -> None:
    """Tokens longer than any fast key, of each length, as words and as pieces, and what begins like one and is none."""
    letters = random.Random(0)
    words = ["".join(letters.choices(string.ascii_lowercase[:4], k=length)) for length in range(1, 70)]
    words += ["\u0434" * length for length in (4, 5, 8, 9, 16, 17, 40)] + ["z" * length for length in (7, 8, 9, 15, 16, 17, 31, 32, 33)]
    every = Case(with_normalizer(with_vocabulary(trained_parts(), [*words, *(f"##{word}" for word in words)]), {}))
    cut = [word[:length] for word in words for length in (-1, -2, -8, -9)]
    every.check([*words, *cut, *(a + b for a in words for b in words), *(f"{a} {b}." for a in words for b in cut[::9])])


def test_unknown_words() -> None:
    """A word that ends, begins or goes on in something unknown is unknown as a whole, and an id that is the unknown one's is dropped."""
    parts = with_vocabulary(trained_parts(), [])
    vocabulary = {"[UNK]": 0, "the": 1, "##s": 2, "ab": 3, "##cd": 4, "##c": 5, "a": 6, "un": 0, "##un": 0, ".": 0, "!": 8}
    parts = {**with_normalizer(parts, {}), "added_tokens": [], "model": {**parts["model"], "vocab": vocabulary}}
    words = ["the", "thes", "thess", "ab", "abcd", "abcx", "abc", "xab", "a", "b", "un", "unun", "thesun", "aun", "s", "\u4e00", "\U00010428"]
    every = Case(parts)
    every.check([*words, *(f"{a} {b}. {c}!" for a in words for b in words for c in words[::3])])


def test_tokens_that_no_text_gives() -> None:
    """Vocabularies with tokens that are empty, are just the prefix, or hold NUL, capitals, spaces or padding-like bytes."""
    tokens = ["", "##", "a\0", "\0", "##\0", "THE", "new york", "\ufffd", "##\ufffd", "\u0130", "i\u0307", "###", "###a"]
    every = Case(with_normalizer(with_vocabulary(trained_parts(), tokens), {}))
    every.check([*tokens, *EDGE_TEXTS, "a", "a\0", "#", "##", "####a", "new york"])


@pytest.mark.parametrize("unit", ["ab", "\u0439", "\U00010400", "\u1ed9"])
def test_words_of_a_million_characters(unit: str) -> None:
    """Over the limit, and, where there is none, cut into pieces; the library takes quadratic time there, so it sees a shorter one."""
    word = unit * (1_000_000 // len(unit))
    case().check([word, f"the {word} cat", f"{word}."])
    boundless = Case({**trained_parts("##", 1 << 40)})
    boundless.check([unit * count for count in (1, 7, 100, 700)])
    tokens = boundless.backend.tokenize(flatten([word]), None)
    assert len(tokens.ids) > 0 or len(boundless.expected([unit * 100])[0]) == 0


@pytest.mark.parametrize("unit", ["don't,", "\u4e00a\u0308"])
def test_megabytes_without_spaces(unit: str) -> None:
    text = unit * (2_500_000 // len(unit.encode()))
    case().check([text])


# The batch.


def test_batches() -> None:
    for texts in ([], [""], ["", ""], ["", "a", ""], [" "], ["", " \n", "the"], ["the", "", "", "cat", ""]):
        tokens = case().backend.tokenize(flatten(texts), None)
        assert tokens.ids.dtype == np.int32 and tokens.offsets.dtype == np.int64 and len(tokens) == len(texts)
        case().check(texts)


def test_ends_of_the_data() -> None:
    """Texts shorter than what is loaded at once, last in the data, and at every place in it."""
    for length in range(40):
        for last in (string.ascii_letters[:length], ("a1" * 20)[:length], ("the \u00e9" * 10)[:length], ("\u00fc" * length)):
            case().check([last])
            case().check(["The cat", last])
    for shift in range(40):
        case().check(["x" * shift, "Internationalisation of caf\u00e9s, na\u00efve 12345 \u4e16", "A"])


def test_runs_at_the_edges_of_blocks() -> None:
    """Text is cut 64 bytes at a time, in windows of 4,096: what is found must not depend on where in those it stands."""
    features = [
        "cat",
        "\u201ccat\u201d",
        "x\u2014y",
        "don\u2019t",
        "na\u00efve.",
        "\u2026",
        "...",
        "a1b2",
        "\u4e16\u754c",
        "internationalisation",
        "\u201c",
        "!",
        "\t",
    ]
    for feature in features:
        for fill in ("x", " ", "."):
            case().check([fill * shift + feature + tail for shift in range(50, 70) for tail in ("", " the cat", "y" * 70)])
    long = ["x" * 5000, "x" * 4095 + " y", "x" * 4096 + " y", "x " * 5000, "." * 9000, " " * 9000 + "x", "ab, " * 3000 + "\u201d"]
    case().check([*long, *(text + "\x00" for text in long), *(" ".join(features) * 100 + text for text in long)])


def test_views() -> None:
    """A batch whose data goes on past its texts, and begins before them."""
    texts = ["Hello", "world of caf\u00e9s", "", "the end"]
    whole = flatten(["before it", *texts, "after it"])
    inner = TextBatch(whole.data, whole.offsets[1:-1])
    found, expected = case().backend.tokenize(inner, None), case().backend.tokenize(flatten(texts), None)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.offsets, expected.offsets)


def test_threads(thread_count: Callable[[int], None]) -> None:
    """Parallel equals serial, also where texts are empty, of very different lengths, or go to the library."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one core")
    texts = [*natural_texts()[:3000], "", "", "word " * 20_000, "", *random_texts(2000, 77), *["[MASK] here", ""] * 50]
    every = Case(with_tokens(with_normalizer(trained_parts(), {}), "New York", normalized=True))
    for batch in (texts, texts[::-1], ["", "x " * 9000, ""], ["\u0301\u302e" * 3000, "the cat"]):
        for max_tokens in (None, 3):
            thread_count(1)
            serial = every.backend.tokenize(flatten(batch), max_tokens)
            thread_count(2)
            parallel = every.backend.tokenize(flatten(batch), max_tokens)
            np.testing.assert_array_equal(parallel.ids, serial.ids)
            np.testing.assert_array_equal(parallel.offsets, serial.offsets)
    every.check(texts)


def test_more_threads_from_one_round_to_the_next(thread_count: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread has a memo of its own, also where another Python thread raises their number while tables are learnt."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one core")
    backend = BertBackend.for_spec(parse_tokenizer(json.dumps(with_normalizer(trained_parts(), {})), "test"))
    assert backend is not None
    learn, tokenize, workers = backend._table.pages.learn, bert.tokenize_segments, []

    def learn_and_raise(missing: NDArray[np.uint8]) -> bool:
        thread_count(2)
        return learn(missing)

    def checked_tokenize(*arguments: Any) -> Any:
        workers.append(arguments[3])
        assert len(arguments[-5]) >= workers[-1] and arguments[-5].ndim == 2
        return tokenize(*arguments)

    monkeypatch.setattr(backend._table.pages, "learn", learn_and_raise)
    monkeypatch.setattr(bert, "tokenize_segments", checked_tokenize)
    texts = ["\u0430\u0431\u0432 word naïve wörter \u05d0\u05d1 " * 400] * 8
    thread_count(1)
    found = backend.tokenize(flatten(texts), None)
    assert workers == [2]
    expected = LibraryBackend(parse_tokenizer(json.dumps(with_normalizer(trained_parts(), {})), "test")).tokenize(flatten(texts), None)
    np.testing.assert_array_equal(found.ids, expected.ids)


def test_words_that_share_places_in_the_memo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words of up to 16 bytes and a few more, of few and of many pieces and unknown, remembered in a table of two places."""
    monkeypatch.setattr(memo, "_ROWS", 2)
    small = Case(with_normalizer(trained_parts("##", 60), {}))
    draw = random.Random(9)
    words = ["".join(draw.choices("etaoinshr\u00e9\u65e5", k=draw.randint(1, 19))) for _ in range(400)]
    small.check([" ".join(draw.choices(words, k=60)) for _ in range(300)])


@pytest.mark.parametrize("max_tokens", [0, 1, 2, 5, None])
def test_truncation(max_tokens: int | None) -> None:
    """Unknown ids are dropped first, then the list is cut."""
    unknown = "\U0001f9ff\u4e00 "
    texts = ["", unknown, unknown * 9, f"{unknown}the cat {unknown}sat on, internationalisationing of [MASK] mats", *natural_texts()[:500]]
    texts += [f"the [MASK] {unknown}", "[UNK] [UNK] the", "\u302e\u0301\u302e the cat sat", *random_texts(500, 3)]
    ids, offsets = case().expected(texts)
    tokens = case().backend.tokenize(flatten(texts), max_tokens)
    for i, (begin, end) in enumerate(tokens.bounds()):
        np.testing.assert_array_equal(tokens.ids[begin:end], ids[offsets[i] : offsets[i + 1]][:max_tokens], texts[i])


def ids_alone(one: Case, max_tokens: int | None, text: str, *meanwhile: str) -> list[list[int]]:
    """The ids of a text on its own, and of others, each tokenised while the one before it is in use."""
    found: list[list[int]] = []

    def use(tokens: TokenBatch) -> None:
        if meanwhile:
            found.extend(ids_alone(one, max_tokens, *meanwhile))
        found.insert(0, tokens.ids[tokens.offsets[0] : tokens.offsets[1]].tolist())
        assert len(tokens) == 1

    one.backend.tokenize_one(utf8_of(text, None), max_tokens, use)
    return found


# What is looked for as it is, what is looked for as normalised, and neither.
@pytest.mark.parametrize("added", [(), (False,), (True,)], ids=str)
def test_one_text(added: tuple[bool, ...]) -> None:
    """A text on its own, whatever came before it: longer, in another script, for the library, cut, or failed on."""
    unknown = "\U0001f9ff\u4e00 "
    texts = ["the cat", "", "a [MASK] b", unknown * 5, "\u302e\u0301\u302e the cat sat", "\u0430\u0431\u0432 na\u00efve \u05d0\u05d1", "the"]
    texts += [("the cat " * 200)[:size] for size in (bert._SHORT_BYTES - 1, bert._SHORT_BYTES, bert._SHORT_BYTES + 1)]
    texts += [text for two in zip(natural_texts()[:300], random_texts(300, 5), strict=True) for text in two]
    parts = with_normalizer(trained_parts(), {})
    for normalized in added:
        parts = with_tokens(parts, "New York", normalized=normalized)
    one = Case(parts)
    ids, offsets = one.expected(texts)
    expected = [ids[begin:end].tolist() for begin, end in pairwise(offsets)]
    for max_tokens in (None, 3):
        for i in range(len(texts)):
            three = [i, i - 1, i // 2]
            assert ids_alone(one, max_tokens, *(texts[k] for k in three)) == [expected[k][:max_tokens] for k in three]
            with pytest.raises(ZeroDivisionError):
                one.backend.tokenize_one(utf8_of(texts[i], None), max_tokens, lambda _: 1 // 0)
    one.check(texts)


def test_one_text_after_another_for_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the short road cannot do is a batch; the next text takes the short road again."""
    one = Case(with_normalizer(trained_parts(), {}))
    batches = []
    tokenize = one.backend.tokenize
    monkeypatch.setattr(one.backend, "tokenize", lambda texts, max_tokens: (batches.append(texts.text(0)), tokenize(texts, max_tokens))[1])
    texts = ["the cat", "a [MASK] b", "the \u302e\u0301 cat", "the cat", "\u0436", "\u0436", "x" * (bert._SHORT_BYTES + 1), "the"]
    for text in texts:
        ids_alone(one, None, text)
    assert batches == ["a [MASK] b", "the \u302e\u0301 cat", "\u0436", "x" * (bert._SHORT_BYTES + 1)]


# Added tokens, and texts that go to the library.

FLAGS: list[dict[str, bool]] = [
    {"special": True},
    {"lstrip": True},
    {"rstrip": True},
    {"single_word": True},
    {"normalized": True},
    {"normalized": True, "single_word": True, "lstrip": True, "rstrip": True},
    {"normalized": True, "special": True},
]
CONTENTS = ("[MASK]", "[UNK]", "<X>", "NewToken", "tok", "new york", "New  York", "caf\u00e9", "e\u0301t", "a", "##s", "\u4e16\u754c", "\u00c5n", "!")


def around(content: str) -> list[str]:
    """Texts with an added token in every position, and with what only looks like it."""
    forms = {content, content.lower(), content.upper(), content.capitalize(), content.replace(" ", "\t"), content.replace(" ", ""), content[:-1]}
    texts = [
        shape.format(form)
        for form in forms
        for shape in ("{0}", "the {0} cat", "the{0}cat", " {0} ", "{0}{0}", "{0} {0}", ".{0}!", "\u0301{0}\u0301")
    ]
    return [*texts, f"x {' '.join(content)} y", "the cat sat", "", f"\u4e16{content}\u754c", f"a\0{content}", f"{content}\u302e\u0301"]


@pytest.mark.parametrize("variant", ["uncased", "cased", "keeps-accents", "no-clean"])
@pytest.mark.parametrize("flags", FLAGS, ids="+".join)
def test_added_tokens(flags: dict[str, bool], variant: str) -> None:
    base = with_normalizer(trained_parts(), VARIANTS[variant])
    every = Case(with_tokens(base, *CONTENTS, **flags))
    texts = [text for content in CONTENTS for text in around(content)]
    every.check(texts)
    every.check(f"{a}{b}" for a in CONTENTS for b in CONTENTS)
    every.check(natural_texts()[::40])
    for content in CONTENTS[3:6]:
        one = Case(with_tokens(base, content, **flags))
        one.check(around(content))
        one.check(texts)


def test_added_tokens_of_both_kinds() -> None:
    """One token inside another, one that is normalised and one that is not."""
    parts = with_tokens(with_normalizer(trained_parts(), {}), "York", "New York", normalized=True)
    parts = with_tokens(parts, "ork", "[M", single_word=True)
    Case(parts).check([*around("New York"), *around("York"), *around("ork"), *around("[M"), "[MASK]", "NEW YORKS", "new yo\u0308rk"])


# Found by looking for them: tokens that are nothing once normalised, or that hold what Python, but not the library, takes for white space.
ODD_CONTENTS = (" ", "\u0301", "\u200b", "\u00ad", "\x85", "\u3000the", "x\x1cy", "\x1f", "a\0b", "\ufffd")


@pytest.mark.parametrize("variant", ["uncased", "no-clean"])
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("content", ODD_CONTENTS, ids=ascii)
def test_odd_added_tokens(content: str, normalized: bool, variant: str) -> None:
    parts = with_tokens(with_normalizer(trained_parts(), VARIANTS[variant]), content, normalized=normalized)
    check_ids(parts, [*around(content), content * 2, "xy", "ab", "X\x1cY", "\x1c"])


def check_ids(parts: Parts, texts: Sequence[str]) -> str:
    """Fail unless the backend chosen for a tokenizer gives the library's ids; return the backend's name."""
    spec = parse_tokenizer(json.dumps(parts), "test")
    backend = choose_backend(spec)
    for text in texts:
        found, expected = (ids_or_refusal(tokenizer, text) for tokenizer in (backend, LibraryBackend(spec)))
        assert found == expected, f"{text!r}: {found}, not {expected}"
    return backend.name


def ids_or_refusal(backend: TokenizerBackend, text: str) -> list[int] | None:
    """The ids of a text; ``None`` if the library refuses it, or fails on it."""
    try:
        ids: list[int] = backend.tokenize(flatten([text]), None).ids.tolist()
    except TokenizationError:
        return None
    return ids


def test_added_token_that_the_model_does_not_know() -> None:
    parts = with_tokens(with_normalizer(trained_parts(), {}), "Brand-new", known=False)
    texts = [*around("Brand-new"), *natural_texts()[:50]]
    check_ids(parts, texts)
    tokenizer = Tokenizer.from_str(json.dumps(parts))
    model = StaticModel(random_matrix(tokenizer.get_vocab_size(), 4, "float32"), tokenizer)
    unknown = model.unk_token_id
    lists = tokenizer.encode_batch(texts, add_special_tokens=False)
    assert model.tokenize(texts) == [[i for i in encoding.ids if i != unknown] for encoding in lists]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_natural_text_never_falls_back(variant: str, vocabulary: str) -> None:
    assert case(vocabulary, variant).backend.fallback_count(flatten(natural_texts())) == 0


def test_fallbacks() -> None:
    """Only where an added token may stand, or canonical ordering is at work."""
    backend = case().backend
    assert backend.fallback_count(flatten(["a [MASK] b", "[MASK]", "[UNK]", "[mask]", "[ MASK ]", "the", ""])) == 3
    assert backend.fallback_count(flatten(["\u302e", "a\u302e\u0301", "a\u0323\u0301", "\u302e\u302e", "\u302ea\u302e"])) == 1
    known = Case(with_tokens(with_normalizer(trained_parts(), {}), "New York", normalized=True)).backend
    assert known.fallback_count(flatten(["in New York", "in n\u00e9w york", "NEWYORK", "new", "york new"])) == 3
    assert backend.fallback_count(flatten([])) == 0


# Which tokenizers are taken.


def changed(part: str, changes: Parts, *without: str) -> Parts:
    """The trained tokenizer with members of one part changed or left out."""
    parts = with_normalizer(trained_parts(), {})
    members = {name: value for name, value in {**parts[part], **changes}.items() if name not in without}
    return {**parts, part: members}


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
LOWERCASE: Parts = {"type": "Lowercase"}
OTHERS: dict[str, Callable[[], Parts]] = {
    "another normaliser": lambda: {**trained_parts(), "normalizer": LOWERCASE},
    "a sequence": lambda: {**trained_parts(), "normalizer": {"type": "Sequence", "normalizers": [LOWERCASE]}},
    "no normaliser": lambda: {**trained_parts(), "normalizer": None},
    "extra key in the normaliser": lambda: changed("normalizer", {"surprise": True}),
    "another pre-tokeniser": lambda: {**trained_parts(), "pre_tokenizer": {"type": "Whitespace"}},
    "byte level": lambda: {**trained_parts(), "pre_tokenizer": BYTE_LEVEL},
    "no pre-tokeniser": lambda: {**trained_parts(), "pre_tokenizer": None},
    "extra key in the pre-tokeniser": lambda: changed("pre_tokenizer", {"surprise": True}),
    "extra key in the model": lambda: changed("model", {"surprise": True}),
    "no type of model": lambda: changed("model", {}, "type"),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_pipelines(make: Callable[[], Parts]) -> None:
    """Another backend has them, whichever; the ids are the library's."""
    parts = make()
    check_ids(parts, [*EDGE_TEXTS, *natural_texts()[:20]])
    assert BertBackend.for_spec(parse_tokenizer(json.dumps(parts), "test")) is None


def test_other_models(tokenizers: dict[str, Tokenizer]) -> None:
    for kind, tokenizer in tokenizers.items():
        backend = choose_backend(parse_tokenizer(tokenizer.to_str(), "test"))
        assert isinstance(backend, BertBackend) == kind.startswith("wordpiece"), kind
    assert choose_backend(parse_tokenizer(tokenizers["byte-bpe"].to_str(), "test")).name == "bpe"


def test_unknown_token_that_is_no_token() -> None:
    """The library refuses a text with an unknown word then; so it must see every text."""
    parts = changed("model", {"unk_token": "[MISSING]"})
    assert choose_backend(parse_tokenizer(json.dumps(parts), "test")).name == "tokenizers"


SEQUENCE_A: Parts = {"Sequence": {"id": "A", "type_id": 0}}
SEQUENCE_B: Parts = {"Sequence": {"id": "B", "type_id": 0}}
CLS: Parts = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
TEMPLATES: dict[str, list[Parts]] = {"once": [SEQUENCE_A], "framed": [CLS, SEQUENCE_A, CLS], "twice": [SEQUENCE_A, SEQUENCE_A], "never": [CLS]}


@pytest.mark.parametrize("single", TEMPLATES.values(), ids=TEMPLATES)
def test_templates(single: list[Parts]) -> None:
    """A template may repeat the text's ids, or leave them out."""
    special = {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}
    template = {"type": "TemplateProcessing", "single": single, "pair": [SEQUENCE_A, SEQUENCE_B], "special_tokens": special}
    name = check_ids({**with_normalizer(trained_parts(), {}), "post_processor": template}, ["the cat", "", "[MASK] sat"])
    assert name == "wordpiece" or len([part for part in single if part == SEQUENCE_A]) != 1


@pytest.mark.parametrize("kind", ["BertProcessing", "RobertaProcessing"])
def test_other_post_processors(kind: str) -> None:
    processor: Parts = {"type": kind, "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    if kind == "RobertaProcessing":
        processor |= {"trim_offsets": True, "add_prefix_space": False}
    check_ids({**with_normalizer(trained_parts(), {}), "post_processor": processor}, ["the cat", "", "[MASK] sat"])


def test_vocabulary_of_the_file() -> None:
    """What is read from the file without the library is what the library has."""
    base = with_normalizer(trained_parts(), {})
    unordered = {**base, "added_tokens": base["added_tokens"][::-1]}
    for parts in (bundled_parts(), base, unordered, with_tokens(base, "a", "Zz"), with_tokens(base, "Zz", known=False)):
        spec = parse_tokenizer(json.dumps(parts), "test")
        plain, library = spec.plain_vocabulary, Tokenizer.from_str(spec.text).get_vocab(with_added_tokens=True)
        assert plain is None or plain == library
        assert spec.vocabulary == library
        assert (plain is None) == any(token["content"] not in parts["model"]["vocab"] for token in parts["added_tokens"])


def test_added_token_under_another_id() -> None:
    """An added token that the file gives an id other than the vocabulary's."""
    parts = with_tokens(with_normalizer(trained_parts(), {}), "Zz", "the")
    moved = [{**token, "id": token["id"] + 1} if token["content"] == "Zz" else token for token in parts["added_tokens"]]
    check_ids({**parts, "added_tokens": moved}, [*around("Zz"), *around("the"), *EDGE_TEXTS])


# Eight bytes at a time, against plain Python.

_WORDS = [
    b"abcdefgh",
    b"ABCDEFGH",
    b"a1Z9 bcd",
    b"@[`{/:AZ",
    b"az09az09",
    b"\0" * 8,
    b"\xff" * 8,
    b"caf\xc3\xa9 ab",
    b"\x80\x7f\xe1AZaz\x00",
    b"zzzzzzz{",
]


@njit
def load_at(data: NDArray[np.uint8], i: int) -> np.uint64:
    return load_word(data, i)


@njit
def store_at(data: NDArray[np.uint8], i: int, word: np.uint64) -> None:
    store_word(data, i, word)


def random_words() -> list[bytes]:
    draw = random.Random(4)
    return _WORDS + [bytes(draw.choices(range(256), k=8)) for _ in range(500)] + [bytes(draw.choices(b"aZ09@[`{/: ", k=8)) for _ in range(500)]


def as_word(data: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(data, "little"))


def test_alnum_length() -> None:
    alnum = frozenset((string.ascii_letters + string.digits).encode())
    for byte in range(256):
        for place in range(8):
            data = b"a" * place + bytes([byte]) + b"0" * (7 - place)
            assert alnum_length(as_word(data)) == (8 if byte in alnum else place), data
    for data in random_words():
        assert alnum_length(as_word(data)) == next((i for i, byte in enumerate(data) if byte not in alnum), 8), data


def test_lowercase_word() -> None:
    """Of ASCII bytes."""
    for data in [bytes([byte] * 8) for byte in range(128)] + [bytes(byte & 127 for byte in data) for data in random_words()]:
        assert lowercase_word(as_word(data)) == as_word(data.lower()), data


def test_word_mask() -> None:
    for length in range(9):
        assert word_mask(length) == as_word(b"\xff" * length)


def test_load_and_store() -> None:
    data = np.arange(1, 33, dtype=np.uint8)
    for i in range(25):
        assert load_at(data, i) == as_word(data[i : i + 8].tobytes())
        for word in random_words()[:40]:
            target: NDArray[Any] = data.copy()
            store_at(target, i, as_word(word))
            assert target.tobytes() == data[:i].tobytes() + word + data[i + 8 :].tobytes()
