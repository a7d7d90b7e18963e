"""Cases about settings: normalising, the modules of sentence-transformers, `max_length`, and settings in tokenizer.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from definitions.form import Case, Other, Tensor, Text, diagonal
from definitions.parts import CONFIG, MATRIX, NORMALIZE, STATIC, TEXTS, added_token, modules, word_level

__all__ = ["CASES"]

_SETTINGS: dict[str, Any] = {"model_type": "SentenceTransformer", "prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
_WITHOUT = {name: value for name, value in CONFIG.items() if name != "normalize"}
_DENSE = "sentence_transformers.models.Dense"

_PLAIN = Case(
    "normalize-false",
    question="If normalize is false, do vectors keep their length?",
    answer="Yes.",
    reason="The length says how much the tokens of a text agree, and some users need it.",
    texts=TEXTS,
    tokenizer=word_level(),
    tensors={"embeddings": MATRIX},
    config=CONFIG,
    files={"modules.json": modules(STATIC)},
)
_MODULES_CASE = Case(
    "modules-without-normalize",
    question="Is a folder of sentence-transformers normalised if modules.json lists no Normalize module?",
    answer="No.",
    reason="Models that were trained with sentence-transformers often have none, because its similarity function normalises.",
    texts=TEXTS,
    tokenizer=word_level(),
    tensors={"embedding.weight": MATRIX},
    files={"config_sentence_transformers.json": _SETTINGS, "modules.json": modules(STATIC, first="")},
)

# Words of one letter beside longer ones, so that 512 tokens have fewer characters than 512 times the median length.
_LETTERS = {"[UNK]": 0, "a": 1, "b": 2, "alpha": 3, "omega": 4}
_RUSSIAN = {
    "[UNK]": 0,
    "\u0434\u043e\u043c": 1,
    "\u043a\u043e\u0442": 2,
    "\u043b\u0435\u0441": 3,
    "\u043c\u0438\u0440": 4,
    "\u043c\u043e\u0441\u043a\u0432\u0430": 5,
    "\u0431\u0435\u0440\u043b\u0438\u043d": 6,
}
_LONG = Case(
    "max-length-absent",
    question="How long may a text be if config.json does not say?",
    answer="512 tokens. The others are cut off.",
    reason="Older config files have no max_length, and documents are longer than 512 tokens.",
    texts=(Text("a " * 512 + "b " * 88, (1,) * 512, "600 tokens, of which the first 512 count."), Text("a b", (1, 2))),
    tokenizer=word_level(_LETTERS),
    tensors={"embeddings": Tensor("F32", diagonal(5))},
    config={**CONFIG, "hidden_dim": 5},
    files={"modules.json": modules(STATIC)},
    others=[Other("uses all tokens", ids=[(1,) * 512 + (2,) * 88, (1, 2)])],
)
_CUT = Case(
    "max-length-config",
    question="Is max_length of config.json obeyed?",
    answer="Yes: the ids are cut to it.",
    reason="model2vec 0.10 writes it, and a user lowers it for speed.",
    texts=(Text("a b b b b", (1, 2, 2)), Text("b a", (2, 1))),
    tokenizer=word_level(_LETTERS),
    tensors={"embeddings": Tensor("F32", diagonal(5))},
    config={**CONFIG, "hidden_dim": 5, "max_length": 3},
    files={"modules.json": modules(STATIC)},
    others=[Other("uses all tokens", ids=[(1, 2, 2, 2, 2), (2, 1)])],
)

CASES = (
    _PLAIN,
    replace(
        _PLAIN,
        name="normalize-true",
        question="If normalize is true, are vectors divided by their length?",
        answer="Yes.",
        reason="The models of the potion family have this setting.",
        config={**CONFIG, "normalize": True},
        files={"modules.json": modules(STATIC, NORMALIZE)},
        normalize=True,
    ),
    replace(
        _PLAIN,
        name="normalize-absent",
        question="Is a vector normalised if config.json does not say?",
        answer="No, as in every Python version of model2vec.",
        reason="Config files that were written by hand, or by a conversion, lack the setting.",
        config=_WITHOUT,
    ),
    replace(
        _PLAIN,
        name="normalize-null",
        question="Does null for normalize mean the same as no setting?",
        answer="Yes: not normalised.",
        reason="A program writes None for a setting that it does not know.",
        config={**CONFIG, "normalize": None},
    ),
    replace(
        _PLAIN,
        name="normalize-modules-differ",
        question="If config.json says true and modules.json lists no Normalize module, which one wins?",
        answer="config.json: vectors are normalised.",
        reason="A user edits config.json and not modules.json.",
        config={**CONFIG, "normalize": True},
        normalize=True,
    ),
    _MODULES_CASE,
    replace(
        _MODULES_CASE,
        name="modules-with-normalize",
        question="Is a folder of sentence-transformers normalised if modules.json lists a Normalize module?",
        answer="Yes.",
        reason="A model2vec model that was loaded in sentence-transformers, normalised there, and saved.",
        files={"config_sentence_transformers.json": _SETTINGS, "modules.json": modules(STATIC, NORMALIZE, first="")},
        normalize=True,
    ),
    replace(
        _MODULES_CASE,
        name="modules-new-names",
        question="Are the longer names of modules known that newer versions of sentence-transformers write?",
        answer="Yes. Only the last part of the name counts.",
        reason="Version 6 writes names such as sentence_transformers.base.modules.normalize.Normalize.",
        files={
            "config_sentence_transformers.json": _SETTINGS,
            "modules.json": modules(
                "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding",
                "sentence_transformers.base.modules.normalize.Normalize",
                first="",
            ),
        },
        normalize=True,
    ),
    replace(
        _MODULES_CASE,
        name="modules-dense",
        question="What happens if modules.json lists a module that changes the vectors in another way?",
        answer="The model is refused, and the error names the module. Without it, all vectors would be others.",
        reason="Users put a Dense layer after the static embedding to get fewer dimensions.",
        files={
            "config_sentence_transformers.json": _SETTINGS,
            "modules.json": modules(STATIC, _DENSE, first=""),
            "1_Dense/config.json": {"in_features": 4, "out_features": 2, "bias": False, "activation_function": "torch.nn.modules.linear.Identity"},
            "1_Dense/model.safetensors": {"linear.weight": Tensor("F32", [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])},
        },
        refused=True,
        others=[Other("applies the Dense module", means=[[2, 0], [1, 1.5], [0, -5 / 3]]), Other("leaves the module out")],
    ),
    replace(
        _MODULES_CASE,
        name="prompts-unused",
        question="Are prompts without a default_prompt_name left out?",
        answer="Yes. They are for callers that ask for them.",
        reason="Many models name prompts for queries and documents, and use none by default.",
        files={
            "config_sentence_transformers.json": {**_SETTINGS, "prompts": {"query": "gamma ", "document": ""}},
            "modules.json": modules(STATIC, first=""),
        },
        others=[Other("puts the prompt of queries first", ids=[(3, 1), (3, 1, 2), (3, 3, 3, 2)])],
    ),
    replace(
        _MODULES_CASE,
        name="prompts-default",
        question="What happens if sentence-transformers puts a prompt before each text by default?",
        answer="The model is refused: this package applies no prompts, and without the prompt all vectors would be others.",
        reason="A model that was trained with an instruction before each text.",
        files={
            "config_sentence_transformers.json": {**_SETTINGS, "prompts": {"query": "gamma "}, "default_prompt_name": "query"},
            "modules.json": modules(STATIC, first=""),
        },
        refused=True,
        others=[Other("puts the prompt first", ids=[(3, 1), (3, 1, 2), (3, 3, 3, 2)]), Other("leaves the prompt out")],
    ),
    _LONG,
    _CUT,
    replace(
        _CUT,
        name="max-length-null",
        question="Does null for max_length mean that no text is cut?",
        answer="Yes.",
        reason="A user embeds whole documents.",
        texts=(Text("a " * 512 + "b " * 88, (1,) * 512 + (2,) * 88), Text("b a", (2, 1))),
        config={**CONFIG, "hidden_dim": 5, "max_length": None},
        others=[Other("cuts to 512 tokens", ids=[(1,) * 512, (2, 1)])],
    ),
    replace(
        _LONG,
        name="max-length-characters",
        question="Is a text cut before it is tokenised?",
        answer="Yes, to max_length times the median length of the tokens in characters: 512 * 5 here. The last word can be cut into an unknown one.",
        reason="Every long text of a model of model2vec. The cut saves the time to tokenise a book.",
        texts=(
            Text(
                "alpha " * 420 + "gamma " * 300,
                (1,) * 420 + (3,) * 6,
                "The first 2,560 characters end with 6 times 'gamma' and then 'gamm', which is unknown.",
            ),
        ),
        tokenizer=word_level(),
        tensors={"embeddings": MATRIX},
        config=CONFIG,
        others=[
            Other("cuts no characters", ids=[(1,) * 420 + (3,) * 92]),
            Other("uses all tokens", ids=[(1,) * 420 + (3,) * 300]),
            Other("averages the unknown token in", ids=[(1,) * 420 + (3,) * 6 + (0,)]),
        ],
    ),
    replace(
        _LONG,
        name="max-length-two-bytes",
        question="Is the length of a token in characters or in bytes?",
        answer="In characters, so the median is 3 here and not 6, and 512 * 3 characters are kept.",
        reason="All languages that are not written in ASCII, such as Russian.",
        texts=(
            Text(
                "\u043c\u043e\u0441\u043a\u0432\u0430 " * 220 + "\u0431\u0435\u0440\u043b\u0438\u043d " * 400,
                (5,) * 219,
                "The first 1,536 characters are 219 words with their spaces and 3 characters of the next, which are unknown.",
            ),
        ),
        tokenizer=word_level(_RUSSIAN),
        tensors={"embeddings": Tensor("F32", diagonal(7))},
        config={**CONFIG, "hidden_dim": 7},
        others=[
            Other("takes the length in bytes", ids=[(5,) * 220 + (6,) * 219]),
            Other("cuts no characters", ids=[(5,) * 220 + (6,) * 292]),
            Other("uses all tokens", ids=[(5,) * 220 + (6,) * 400]),
        ],
    ),
    replace(
        _LONG,
        name="max-length-even-median",
        question="With an even number of tokens, is the median the mean of the middle two?",
        answer="Yes, rounded down. The lengths 1, 1, 1, 4, 4 and 5 have the median 2, so 512 * 2 characters are kept.",
        reason="Half of all vocabularies have an even number of tokens.",
        texts=(Text("bird " * 205 + "wolf " * 400, (4,) * 205, "The first 1,024 characters are 205 times 'bird'."),),
        tokenizer=word_level({"[UNK]": 0, "a": 1, "b": 2, "c": 3, "bird": 4, "wolf": 5}),
        tensors={"embeddings": Tensor("F32", diagonal(6))},
        config={**CONFIG, "hidden_dim": 6},
        others=[
            Other("takes the larger of the middle two", ids=[(4,) * 205 + (5,) * 204]),
            Other("cuts no characters", ids=[(4,) * 205 + (5,) * 307]),
            Other("uses all tokens", ids=[(4,) * 205 + (5,) * 400]),
        ],
    ),
    replace(
        _LONG,
        name="max-length-added-tokens",
        question="Do added tokens count in the median?",
        answer="Yes. The lengths 1, 1, 5, 5 and 5 have the median 5, so 512 * 5 characters are kept. Without the added tokens, 512 would be kept.",
        reason="A vocabulary of pieces with long words added. The median is that of all tokens that the tokenizer lists.",
        texts=(Text("a " * 256 + "b " * 100, (1,) * 256 + (2,) * 100), Text("alpha", (3,))),
        tokenizer=word_level({"[UNK]": 0, "a": 1, "b": 2}, added_tokens=[added_token(3, "alpha"), added_token(4, "gamma")]),
        others=[Other("leaves added tokens out of the median", ids=[(1,) * 256, (3,)])],
    ),
    replace(
        _CUT,
        name="max-length-unknown-first",
        question="Are unknown tokens dropped before the ids are cut, or after?",
        answer="Before. So max_length counts tokens that have a meaning.",
        reason="Texts with names, numbers or emoji that the vocabulary lacks.",
        texts=(Text("z " * 512 + "a", (1,), "512 unknown tokens, and a known one."), Text("z b z a", (2, 1))),
        config={**CONFIG, "hidden_dim": 5},
        others=[
            Other("cuts first, and then drops unknown tokens", ids=[(), (2, 1)]),
            Other("averages the unknown token in", ids=[(*(0,) * 512, 1), (0, 2, 0, 1)]),
            Other("cuts to 512 tokens and averages the unknown token in", ids=[(0,) * 512, (0, 2, 0, 1)]),
        ],
    ),
    replace(
        _PLAIN,
        name="truncation-in-file",
        question="Is the truncation of tokenizer.json obeyed?",
        answer="No. Only max_length counts, which is 512 here.",
        reason="model2vec 0.10 writes its own truncation into the file, and a tokenizer of a transformer brings one.",
        texts=(Text("alpha beta gamma", (1, 2, 3)),),
        tokenizer=word_level(truncation={"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}),
        others=[Other("obeys the truncation", ids=[(1, 2)])],
    ),
    replace(
        _PLAIN,
        name="padding-to-length",
        question="Are the tokens of a fixed padding in tokenizer.json averaged in?",
        answer="No. Padding is switched off.",
        reason="Tokenizers that were exported for programs that need inputs of one length.",
        texts=(Text("alpha", (1,)), Text("alpha beta", (1, 2))),
        tokenizer=word_level(
            padding={
                "strategy": {"Fixed": 4},
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 3,
                "pad_type_id": 0,
                "pad_token": "gamma",
            }
        ),
        others=[Other("averages padding in", ids=[(1, 3, 3, 3), (1, 2, 3, 3)])],
    ),
    replace(
        _PLAIN,
        name="padding-in-batches",
        question="Do the vectors of a text depend on the other texts of the call?",
        answer="No, although the padding in tokenizer.json makes all texts of a call equally long.",
        reason="Nearly every tokenizer that was used in training has this padding.",
        texts=(Text("alpha", (1,)), Text("alpha beta beta", (1, 2, 2))),
        tokenizer=word_level(
            padding={
                "strategy": "BatchLongest",
                "direction": "Right",
                "pad_to_multiple_of": None,
                "pad_id": 3,
                "pad_type_id": 0,
                "pad_token": "gamma",
            }
        ),
        others=[Other("averages padding in", ids=[(1, 3, 3), (1, 2, 2)])],
    ),
    replace(
        _PLAIN,
        name="special-tokens-not-added",
        question="Are the special tokens of the post-processor added to a text?",
        answer="No.",
        reason="Tokenizers of BERT put [CLS] and [SEP] around each text.",
        texts=(Text("alpha", (1,)),),
        tokenizer=word_level(
            post_processor={
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "gamma", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"gamma": {"id": "gamma", "ids": [3], "tokens": ["gamma"]}},
            }
        ),
        others=[Other("adds the special token", ids=[(3, 1)])],
    ),
)
