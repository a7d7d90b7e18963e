"""Write the small tokenizers in `tests/data`: ``python tests/tokenization/make_data.py``, with `tests` in ``PYTHONPATH``.

The files stay as they are: another version of the library or other texts would give other tokenizers, and the tests need none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from tokenization.texts import natural_texts

_DATA = Path(__file__).parents[1] / "data"
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_UNKNOWN = "[UNK]"
# Tokens longer than the keys of the fast tables, and tokens that one character makes longer or shorter.
_LONG_TOKENS = ("abcdefghi", "internationalisation", "a" * 33, "\u00e9" * 17, "\u4e00\u4e01", "\u0939\u093f\u0928\u094d\u0926\u0940\u092d\u093e")


def _train(model: Any, pre_tokenizer: Any, trainer: Any, normalizer: Any = None, step: int = 5) -> dict[str, Any]:
    """Return a tokenizer as a JSON object, trained on every text whose number `step` divides."""
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(natural_texts()[::step], trainer)
    config: dict[str, Any] = json.loads(tokenizer.to_str())
    return config


def _word_piece() -> dict[str, Any]:
    """Return BERT's tokenizer with a vocabulary of words with capitals and accents."""
    settings: dict[str, Any] = {"vocab_size": 600, "limit_alphabet": 150, "special_tokens": _SPECIAL, "show_progress": False}
    trainer = trainers.WordPieceTrainer(**settings)
    normalizer = normalizers.BertNormalizer(lowercase=False)
    config = _train(models.WordPiece(unk_token=_UNKNOWN), pre_tokenizers.BertPreTokenizer(), trainer, normalizer)
    vocabulary = config["model"]["vocab"]
    for token in (*_LONG_TOKENS, *(f"##{token}" for token in _LONG_TOKENS)):
        vocabulary.setdefault(token, len(vocabulary))
    return config


def _word_level() -> dict[str, Any]:
    trainer = trainers.WordLevelTrainer(vocab_size=400, special_tokens=[_UNKNOWN], show_progress=False)
    return _train(models.WordLevel(unk_token=_UNKNOWN), pre_tokenizers.Whitespace(), trainer)


def _unigram(*, splits: bool) -> dict[str, Any]:
    """Return a Unigram tokenizer. Its tokens contain spaces inside, unless text is split at spaces."""
    trainer = trainers.UnigramTrainer(vocab_size=900, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    # Every character of the texts becomes a token, so the texts must be few.
    config = _train(models.Unigram(), pre_tokenizers.Metaspace(split=splits), trainer, step=90)
    # Scores of few digits keep the file small.
    config["model"]["vocab"] = [[token, round(score, 6)] for token, score in config["model"]["vocab"]]
    return config


def _bpe(*, prefix: str = "", suffix: str = "", byte_level: bool = False) -> dict[str, Any]:
    """Return a BPE tokenizer of characters or of bytes."""
    affixes = {name: affix for name, affix in (("continuing_subword_prefix", prefix), ("end_of_word_suffix", suffix)) if affix}
    alphabet = pre_tokenizers.ByteLevel.alphabet() if byte_level else []
    pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if byte_level else pre_tokenizers.Whitespace()
    settings: dict[str, Any] = {"vocab_size": 600, "limit_alphabet": 150, "special_tokens": [_UNKNOWN], "show_progress": False, **affixes}
    trainer = trainers.BpeTrainer(**settings, initial_alphabet=alphabet)
    return _train(models.BPE(unk_token=_UNKNOWN, **affixes), pre_tokenizer, trainer)


def main() -> None:
    configs = {
        "wordpiece": _word_piece(),
        "wordlevel": _word_level(),
        "unigram": _unigram(splits=True),
        "unigram-phrases": _unigram(splits=False),
        "bpe": _bpe(),
        "bpe-prefix": _bpe(prefix="##"),
        "bpe-suffix": _bpe(suffix="</w>"),
        "bpe-both": _bpe(prefix="@", suffix="\u0120\u00e9"),
        "bpe-bytes": _bpe(byte_level=True),
        "bpe-bytes-suffix": _bpe(suffix="</w>", byte_level=True),
    }
    _DATA.mkdir(exist_ok=True)
    for name, config in configs.items():
        text = json.dumps(config, ensure_ascii=False, separators=(",", ":"))
        (_DATA / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
