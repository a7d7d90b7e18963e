"""Cases about unknown tokens, empty texts, and added tokens."""

from __future__ import annotations

from dataclasses import replace

from definitions.form import Case, Other, Tensor, Text, diagonal
from definitions.parts import CONFIG, MATRIX, NORMALIZE, STATIC, added_token, bpe, modules, tokenizer, unigram, word_level, word_piece

__all__ = ["CASES"]

_MODULES = {"modules.json": modules(STATIC)}
_UNKNOWN = "averages the unknown token in"


def _matrix(rows: int) -> dict[str, Tensor]:
    return {"embeddings": Tensor("F32", diagonal(rows))}


def _config(rows: int) -> dict[str, object]:
    return {**CONFIG, "hidden_dim": rows}


_WORD_LEVEL = Case(
    "unknown-word-level",
    question="Is an unknown word of a WordLevel model left out?",
    answer="Yes. It neither adds a row nor counts in the mean.",
    reason="Every text with a word that the vocabulary lacks.",
    texts=(Text("alpha zzz", (1,)), Text("zzz beta zzz gamma", (2, 3))),
    tokenizer=word_level(),
    tensors={"embeddings": MATRIX},
    config=CONFIG,
    files=_MODULES,
    others=[Other(_UNKNOWN, ids=[(1, 0), (0, 2, 0, 3)])],
)
_BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "al", "##pha", "beta", "!")
_WORD_PIECE = Case(
    "unknown-word-piece",
    question="Is an unknown word of a WordPiece model left out?",
    answer="Yes, as a whole: if one piece of a word is missing, the word has no known piece.",
    reason="BERT's tokenizer, which most models have.",
    texts=(
        Text("Alpha!", (4, 5, 7), "Lower case, and punctuation is a word of its own."),
        Text("ALPH\u00c1", (4, 5), "The accent is stripped."),
        Text("alx beta", (6,), "'al' is known, '##x' is not, so 'alx' is unknown."),
    ),
    tokenizer=word_piece(_BERT),
    tensors=_matrix(8),
    config=_config(8),
    files=_MODULES,
    others=[Other(_UNKNOWN, ids=[(4, 5, 7), (4, 5), (1, 6)])],
)
# Pieces of "alpha" and "beta", made by merges.
_LETTERS = ("[UNK]", "a", "b", "e", "t", "be", "ta", "beta")
_MERGES = ("b e", "t a", "be ta")
_BPE = Case(
    "unknown-bpe",
    question="Is an unknown character of a BPE model with an unk_token left out?",
    answer="Yes. The other characters of the word keep their tokens.",
    reason="BPE models of characters, such as those for Chinese.",
    texts=(Text("beta", (7,)), Text("beta a", (7, 1)), Text("bexta", (5, 6), "'x' is unknown, between 'be' and 'ta'.")),
    tokenizer=bpe(_LETTERS, _MERGES, unk_token="[UNK]"),
    tensors=_matrix(8),
    config=_config(8),
    files=_MODULES,
    others=[Other(_UNKNOWN, ids=[(7,), (7, 1), (5, 0, 6)])],
)
_PIECES = (("<unk>", 0.0), ("\u2581", -3.0), ("\u2581alpha", -1.0), ("\u2581be", -2.0), ("ta", -2.0))
_UNIGRAM = Case(
    "unknown-unigram",
    question="Is an unknown piece of a Unigram model left out?",
    answer="Yes. It is model.unk_id of tokenizer.json, because Unigram has no unk_token.",
    reason="Multilingual models, and texts with emoji or other scripts.",
    texts=(
        Text("alpha beta", (2, 3, 4)),
        Text("alpha zzz", (2, 1), "'zzz' is one unknown piece after the mark of its word."),
    ),
    tokenizer=unigram(_PIECES),
    tensors=_matrix(5),
    config=_config(5),
    files=_MODULES,
    others=[Other(_UNKNOWN, ids=[(2, 3, 4), (2, 1, 0)])],
)
_NORMALIZED = {"config": {**CONFIG, "normalize": True}, "files": {"modules.json": modules(STATIC, NORMALIZE)}, "normalize": True}

_ADDED = Case(
    "added-in-vocabulary",
    question="Is an added token found inside a word, before the text is split?",
    answer="Yes, with the id of the vocabulary.",
    reason="Texts with markup such as <b>, which a tokenizer has as added tokens.",
    texts=(Text("alpha<b>beta", (1, 3, 2)), Text("<b>", (3,))),
    tokenizer=word_level({"[UNK]": 0, "alpha": 1, "beta": 2, "<b>": 3}, added_tokens=[added_token(3, "<b>")]),
    tensors={"embeddings": MATRIX},
    config=CONFIG,
    files=_MODULES,
    others=[Other("splits first, so the word is unknown", ids=[(), (3,)])],
)
# Ten rows. The last number of each row from row 4 on says which row it is.
_TEN_ROWS = Tensor("F32", [*([*row, 0.0] for row in diagonal(4)), *([0.0] * 4 + [10.0 * row] for row in range(4, 10))])

CASES = (
    _WORD_LEVEL,
    _WORD_PIECE,
    replace(
        _WORD_PIECE,
        name="unknown-long-word",
        question="Is a word longer than max_input_chars_per_word left out?",
        answer="Yes, as unknown: 11 characters of known pieces are too many here.",
        reason="Long chemical names, hashes and URLs. The limit of BERT is 100 characters.",
        texts=(Text("alphaphapha beta", (6,)), Text("alphapha", (4, 5, 5))),
        tokenizer={**word_piece(_BERT), "model": {**word_piece(_BERT)["model"], "max_input_chars_per_word": 10}},
        others=[Other(_UNKNOWN, ids=[(1, 6), (4, 5, 5)]), Other("has no limit", ids=[(4, 5, 5, 5, 6), (4, 5, 5)])],
    ),
    _BPE,
    replace(
        _BPE,
        name="unknown-bpe-without-token",
        question="What becomes of an unknown character of a BPE model without an unk_token?",
        answer="Nothing: the tokenizers library leaves it out before it merges pieces. No id is dropped, also not id 0.",
        reason="BPE tokenizers trained without special tokens.",
        texts=(Text("bexta", (7,), "Without 'x', the word is 'beta'."), Text("\u00e9", ()), Text("aa", (0, 0), "Id 0 is an ordinary token here.")),
        tokenizer=bpe(("a", "?", "b", "e", "t", "be", "ta", "beta"), _MERGES),
        others=[Other("drops id 0 as unknown", ids=[(7,), (), ()]), Other("merges no pieces across the character", ids=[(5, 6), (), (0, 0)])],
    ),
    replace(
        _BPE,
        name="byte-fallback",
        question="With byte_fallback, does an unknown character become the tokens of its bytes?",
        answer="Yes, if the vocabulary has them all. They are known tokens and count in the mean.",
        reason="Tokenizers of Llama and Gemma, of which static models are distilled.",
        texts=(Text("a\u00e9", (1, 2, 3), "The bytes of '\u00e9' are C3 and A9."),),
        tokenizer=bpe(("[UNK]", "a", "<0xC3>", "<0xA9>"), (), unk_token="[UNK]", byte_fallback=True),
        tensors={"embeddings": MATRIX},
        config=CONFIG,
        others=[Other("leaves the character out", ids=[(1,)]), Other(_UNKNOWN, ids=[(1, 0)])],
    ),
    _UNIGRAM,
    replace(
        _UNIGRAM,
        name="unknown-unigram-not-first",
        question="If unk_id is not the id of the token <unk>, which one is left out?",
        answer="unk_id. <unk> is an ordinary piece then.",
        reason="Files exist where special tokens were put before <unk> and unk_id stayed 0.",
        texts=(Text("alpha zzz", (3, 2)), Text("<unk> alpha", (1, 3), "<unk> is an added token here, with the id 1.")),
        tokenizer=unigram(
            (("<pad>", 0.0), ("<unk>", 0.0), ("\u2581", -3.0), ("\u2581alpha", -1.0), ("ta", -2.0)),
            added_tokens=[added_token(1, "<unk>", special=True)],
        ),
        others=[
            Other(_UNKNOWN, ids=[(3, 2, 0), (1, 3)]),
            Other("drops <unk>, and averages the unknown piece in", ids=[(3, 2, 0), (3,)]),
            Other("drops <unk> too", ids=[(3, 2), (3,)]),
        ],
    ),
    replace(
        _WORD_LEVEL,
        name="unknown-written-out",
        question="Is the unknown token left out if the text itself contains it?",
        answer="Yes. Every id that is equal to the unknown id is dropped.",
        reason="Texts that were tokenised and joined before, in corpora such as WikiText.",
        texts=(Text("alpha [UNK] beta", (1, 2)),),
        tokenizer=word_level(added_tokens=[added_token(0, "[UNK]", special=True)]),
        others=[Other(_UNKNOWN, ids=[(1, 0, 2)])],
    ),
    replace(
        _WORD_LEVEL,
        name="text-empty",
        question="Which vector has an empty text?",
        answer="Zeros.",
        reason="Empty cells of a table.",
        texts=(Text("", ()), Text("alpha", (1,))),
        others=[],
    ),
    replace(
        _WORD_LEVEL,
        name="text-empty-normalized",
        question="Which vector has an empty text if vectors are normalised?",
        answer="Zeros, never NaN.",
        reason="Empty cells of a table. One NaN spoils every sum that it enters.",
        texts=(Text("", ()), Text(" \t\n", ()), Text("alpha", (1,))),
        others=[Other("gives NaN", means=[[float("nan")] * 4, [float("nan")] * 4, [0, 2, 0, 0]])],
        **_NORMALIZED,  # type: ignore[arg-type]
    ),
    replace(
        _WORD_LEVEL,
        name="text-unknown-only",
        question="Which vector has a text of unknown tokens alone?",
        answer="Zeros, as an empty text.",
        reason="A name, a number or another script in a short cell.",
        texts=(Text("zzz", ()), Text("zzz zzz", ()), Text("alpha", (1,))),
        others=[
            Other(_UNKNOWN, ids=[(0,), (0, 0), (1,)]),
            Other("gives NaN", means=[[float("nan")] * 4, [float("nan")] * 4, [0, 2, 0, 0]]),
        ],
        **_NORMALIZED,  # type: ignore[arg-type]
    ),
    replace(
        _WORD_LEVEL,
        name="text-white-space",
        question="Do all kinds of white space separate words?",
        answer="Yes: tabs, line ends, no-break and ideographic spaces, as Unicode has them.",
        reason="Texts from web pages, tables and East Asian sources.",
        texts=(Text("alpha\tbeta\r\ngamma", (1, 2, 3)), Text("alpha\u00a0beta\u3000gamma\u2028alpha", (1, 2, 3, 1))),
        others=[Other("knows only ASCII's white space", ids=[(1, 2, 3), ()])],
    ),
    _ADDED,
    replace(
        _ADDED,
        name="added-outside-vocabulary",
        question="Which row has an added token that the vocabulary lacks?",
        answer="The one after the vocabulary: the file's id, if that is the next one.",
        reason="Users add tokens to a tokenizer, and model2vec's distillation adds words.",
        texts=(Text("alpha <b>", (1, 4)), Text("<c><b>", (5, 4))),
        tokenizer=word_level(added_tokens=[added_token(4, "<b>"), added_token(5, "<c>")]),
        tensors=_matrix(6),
        config=_config(6),
        others=[Other("leaves added tokens out", ids=[(1,), ()])],
    ),
    replace(
        _ADDED,
        name="added-with-a-gap",
        question="Which row has an added token whose id in the file leaves a gap after the vocabulary?",
        answer="The next one after the vocabulary, as the tokenizers library numbers it: row 4 here, although the file says 9.",
        reason="A tokenizer from which tokens were removed.",
        texts=(Text("alpha <b>", (1, 4)),),
        tokenizer=word_level(added_tokens=[added_token(9, "<b>")]),
        tensors={"embeddings": _TEN_ROWS},
        config={**CONFIG, "hidden_dim": 5},
        others=[Other("uses the file's id", ids=[(1, 9)]), Other("leaves the added token out", ids=[(1,)])],
    ),
    replace(
        _ADDED,
        name="added-out-of-order",
        question="Which rows have added tokens that the file does not list in the order of their ids?",
        answer="Those in the order of the list, as the tokenizers library numbers them. The ids in the file are not used.",
        reason="Files that were edited by hand or merged by a script.",
        texts=(Text("<b>", (4,)), Text("<c>", (5,))),
        tokenizer=word_level(added_tokens=[added_token(5, "<b>"), added_token(4, "<c>")]),
        tensors=_matrix(6),
        config=_config(6),
        others=[Other("uses the file's ids", ids=[(5,), (4,)])],
    ),
    replace(
        _ADDED,
        name="added-single-word",
        question="Is an added token with single_word found inside a longer word?",
        answer="No.",
        reason="Abbreviations as added tokens: 'US' must not be found in 'USER'.",
        texts=(
            Text("alpha US", (1, 3)),
            Text("USB alpha", (1,), "'USB' is an unknown word."),
            Text("US-alpha", (3,), "'-alpha' is an unknown word."),
        ),
        tokenizer=word_level({"[UNK]": 0, "alpha": 1, "beta": 2, "US": 3}, added_tokens=[added_token(3, "US", single_word=True)]),
        others=[Other("finds it inside words", ids=[(1, 3), (3, 1), (3,)]), Other(_UNKNOWN, ids=[(1, 3), (0, 1), (3, 0)])],
    ),
    replace(
        _ADDED,
        name="added-normalized",
        question="Is an added token with normalized found in the normalised text?",
        answer="Yes, in any spelling that the normaliser makes the same. Without the flag, only its own spelling is found.",
        reason="Names of several words as added tokens, and a tokenizer for lower case.",
        texts=(
            Text("NEW YORK alpha", (2, 1)),
            Text("new york", (2,)),
            Text("Old Town", (3,)),
            Text("old town", (), "'old' and 'town' are unknown words."),
        ),
        tokenizer=word_level(
            {"[UNK]": 0, "alpha": 1, "New York": 2, "Old Town": 3},
            normalizer={"type": "Lowercase"},
            added_tokens=[added_token(2, "New York", normalized=True), added_token(3, "Old Town")],
        ),
        others=[Other(_UNKNOWN, ids=[(2, 1), (2,), (3,), (0, 0)])],
    ),
    replace(
        _ADDED,
        name="added-strips",
        question="Does an added token with lstrip and rstrip take the spaces around it?",
        answer="Yes. So the space before it makes no token.",
        reason="<mask> of RoBERTa and XLM-R has lstrip.",
        texts=(Text("alpha <m> ta", (2, 3, 1, 4), "After <m>, 'ta' is a text of its own, which gets the mark of a word."), Text("<m>", (3,))),
        tokenizer=unigram(
            (("<unk>", 0.0), ("\u2581", -3.0), ("\u2581alpha", -1.0), ("<m>", 0.0), ("ta", -2.0)),
            added_tokens=[added_token(3, "<m>", lstrip=True, rstrip=True, special=True)],
        ),
        tensors=_matrix(5),
        config=_config(5),
        others=[Other("keeps the space before it as a mark", ids=[(2, 1, 3, 1, 4), (3,)])],
    ),
    replace(
        _ADDED,
        name="added-overlapping",
        question="Which of two added tokens is found where both begin?",
        answer="The longer one.",
        reason="Added tokens such as <|im| and <|im_end|>.",
        texts=(Text("<b>", (4,)), Text("<b <bb", (3, 3), "'b' after the second '<b' is an unknown word.")),
        tokenizer=word_level({"[UNK]": 0, "alpha": 1, "beta": 2, "<b": 3, "<b>": 4}, added_tokens=[added_token(3, "<b"), added_token(4, "<b>")]),
        tensors=_matrix(5),
        config=_config(5),
        others=[Other("finds the shorter one", ids=[(3,), (3, 3)]), Other(_UNKNOWN, ids=[(4,), (3, 3, 0)])],
    ),
    replace(
        _WORD_LEVEL,
        name="normalizer-unicode",
        question="Are Unicode's compatibility forms replaced if the tokenizer says so?",
        answer="Yes, with NFKC and lower case: wide letters, ligatures and decomposed accents.",
        reason="East Asian texts with wide letters, and text from PDF files with ligatures.",
        texts=(Text("\uff21lpha \ufb01ne", (1, 2)), Text("caf\u00e9 cafe\u0301", (3, 3))),
        tokenizer=word_level(
            {"[UNK]": 0, "alpha": 1, "fine": 2, "caf\u00e9": 3},
            normalizer={"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]},
        ),
        others=[],
    ),
    replace(
        _WORD_LEVEL,
        name="pre-tokenizer-absent",
        question="Without a pre-tokeniser, is the whole text one word?",
        answer="Yes.",
        reason="Vocabularies of phrases, such as product names.",
        texts=(Text("alpha beta", (2,)), Text("alpha", (1,)), Text("alpha gamma", ())),
        tokenizer=tokenizer({"type": "WordLevel", "vocab": {"[UNK]": 0, "alpha": 1, "alpha beta": 2, "gamma": 3}, "unk_token": "[UNK]"}),
        others=[Other("splits at white space", ids=[(1,), (1,), (1, 3)]), Other(_UNKNOWN, ids=[(2,), (1,), (0,)])],
    ),
)
