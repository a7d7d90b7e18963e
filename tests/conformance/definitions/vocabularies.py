"""Cases about vocabularies and the spelling of tokenizer.json."""

from __future__ import annotations

from dataclasses import replace

from definitions.form import Case, Other, Tensor, Text, diagonal
from definitions.parts import CONFIG, MATRIX, STATIC, TEXTS, bpe, modules, unigram, word_level

__all__ = ["CASES"]

_FILES = {"modules.json": modules(STATIC)}
_WORDS = Case(
    "ids-with-holes",
    question="May a vocabulary leave ids out?",
    answer="Yes. The id is the number of the row, so rows without a token are not used.",
    reason="A vocabulary from which rare words were removed, without numbering the others anew.",
    texts=(Text("alpha", (2,)), Text("alpha beta", (2, 5))),
    tokenizer=word_level({"[UNK]": 0, "alpha": 2, "beta": 5}),
    tensors={"embeddings": Tensor("F32", diagonal(6))},
    config={**CONFIG, "hidden_dim": 6},
    files=_FILES,
    others=[Other("uses the place among the tokens as the row", ids=[(1,), (1, 2)])],
)
_LETTERS = ("[UNK]", "a", "b", "e", "t", "be", "ta", "beta")
_BPE = Case(
    "merges-as-strings",
    question="Are merges read that are written as 'b e'?",
    answer="Yes.",
    reason="Files that were saved before tokenizers 0.20.",
    texts=(Text("beta", (7,)), Text("be ta", (5, 6))),
    tokenizer=bpe(_LETTERS, ("b e", "t a", "be ta"), unk_token="[UNK]"),
    tensors={"embeddings": Tensor("F32", diagonal(8))},
    config={**CONFIG, "hidden_dim": 8},
    files=_FILES,
    others=[Other("merges nothing", ids=[(2, 3, 4, 1), (2, 3, 4, 1)])],
)
_OLD_WORDS = word_level()
_PIECES = (("<unk>", 0.0), ("\u2581", -3.0), ("\u2581alpha", -1.0), ("\u2581be", -2.0), ("ta", -2.0))
_UNIGRAM = Case(
    "metaspace-old-spelling",
    question="Is the older spelling of Metaspace read, with add_prefix_space instead of prepend_scheme?",
    answer="Yes. true means that each word gets a mark.",
    reason="XLM-R's tokenizer.json, of which multilingual models are made, is older than prepend_scheme.",
    texts=(Text("alpha beta", (2, 3, 4)), Text("beta", (3, 4))),
    tokenizer=unigram(_PIECES, pre_tokenizer={"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}),
    tensors={"embeddings": Tensor("F32", diagonal(5))},
    config={**CONFIG, "hidden_dim": 5},
    files=_FILES,
    others=[Other("marks no first word", ids=[(3, 4), (4,)])],
)

CASES = (
    _WORDS,
    replace(
        _WORDS,
        name="ids-shared",
        question="May two tokens have the same id?",
        answer="Yes. Both have the same row, and the matrix has as many rows as there are ids.",
        reason="A vocabulary in which two spellings of a word were given one vector.",
        texts=(Text("alpha", (1,)), Text("ALPHA beta", (1, 2))),
        tokenizer=word_level({"[UNK]": 0, "alpha": 1, "ALPHA": 1, "beta": 2}),
        tensors={"embeddings": Tensor("F32", diagonal(3))},
        config={**CONFIG, "hidden_dim": 3},
        others=[],
    ),
    replace(
        _UNIGRAM,
        name="pieces-listed-twice",
        question="Which row has a piece that Unigram's vocabulary lists twice?",
        answer="The last one, as in the tokenizers library: row 5 here.",
        reason="Vocabularies to which words were appended, also some that were there already.",
        texts=(Text("alpha beta", (5, 3, 4)),),
        tokenizer=unigram((*_PIECES, ("\u2581alpha", -1.0))),
        tensors={"embeddings": Tensor("F32", diagonal(6))},
        config={**CONFIG, "hidden_dim": 6},
        others=[Other("uses the first row of the piece", ids=[(2, 3, 4)])],
    ),
    replace(
        _WORDS,
        name="model-without-type",
        question="Is a tokenizer.json read whose model has no type?",
        answer="Yes. The tokenizers library tells the type from the other members.",
        reason="Old files lack it, and they are still on the Hub.",
        texts=TEXTS,
        tokenizer={**_OLD_WORDS, "model": {name: value for name, value in _OLD_WORDS["model"].items() if name != "type"}},
        tensors={"embeddings": MATRIX},
        config=CONFIG,
        others=[],
    ),
    _BPE,
    replace(
        _BPE,
        name="merges-as-pairs",
        question="Are merges read that are written as ['b', 'e']?",
        answer="Yes.",
        reason="Files that were saved since tokenizers 0.20.",
        tokenizer=bpe(_LETTERS, (["b", "e"], ["t", "a"], ["be", "ta"]), unk_token="[UNK]"),
    ),
    _UNIGRAM,
    replace(
        _UNIGRAM,
        name="metaspace-first",
        question="With prepend_scheme 'first', does only the first word get a mark that has no space before it?",
        answer="Yes. Other words have the marks of their spaces, and after an added token there is no mark.",
        reason="Tokenizers of Llama's family.",
        texts=(Text("alpha beta", (2, 3, 4)), Text("<s>ta", (5, 4), "'ta' is not at the beginning of the text, so it gets no mark.")),
        tokenizer=unigram(
            (*_PIECES, ("<s>", 0.0)),
            pre_tokenizer={"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True},
            added_tokens=[{"id": 5, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}],
        ),
        tensors={"embeddings": Tensor("F32", diagonal(6))},
        config={**CONFIG, "hidden_dim": 6},
        others=[Other("marks every part of a text", ids=[(2, 3, 4), (5, 1, 4)])],
    ),
    replace(
        _UNIGRAM,
        name="byte-level-bpe",
        question="Are bytes of byte-level BPE written as the characters that stand for them?",
        answer="Yes: a space is '\u0120', and '\u00e9' is the bytes '\u00c3\u00a9'. There is no unknown token.",
        reason="Tokenizers of GPT-2, RoBERTa, ModernBERT and Qwen.",
        texts=(Text("a \u00e9", (0, 4), "The merges join the space and both bytes."), Text("aa", (0, 0))),
        tokenizer=bpe(
            ("a", "\u0120", "\u00c3", "\u00a9", "\u0120\u00c3\u00a9", "\u00c3\u00a9"),
            ("\u00c3 \u00a9", "\u0120 \u00c3\u00a9"),
            pre_tokenizer={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        ),
        tensors={"embeddings": Tensor("F32", diagonal(6))},
        config={**CONFIG, "hidden_dim": 6},
        others=[Other("drops id 0 as unknown", ids=[(4,), ()])],
    ),
)
