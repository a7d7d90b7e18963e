"""Cases about how numbers are stored: types of the matrix, weights, and mappings from tokens to rows."""

from __future__ import annotations

from dataclasses import replace

from definitions.form import Case, Other, Tensor, Text, diagonal
from definitions.parts import CONFIG, MATRIX, NORMALIZE, STATIC, TEXTS, modules, word_level

__all__ = ["CASES"]

_MODULES = {"modules.json": modules(STATIC)}
_INTEGERS = [[0, 0, 0, 100], [127, 0, -20, 0], [0, -127, 1, 0], [3, 0, 64, 0]]
# Rows for five tokens that share three of them. The texts have only ids below three, so that a reader without mappings finds rows, though other ones.
_SHARED = Tensor("F32", [[9.0, 9.0, 9.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]])
_FIVE_WORDS = {"[UNK]": 0, "alpha": 1, "beta": 2, "gamma": 3, "delta": 4}
_FIVE_TEXTS = (Text("alpha", (1,)), Text("alpha beta beta", (1, 2, 2)))
_ROWS = [0, 2, 2, 1, 1]
_WEIGHTS = [0.5, 1.5, 2.0, 0.25]

_FLOAT = Case(
    "float32",
    question="Is a float32 matrix used as it is?",
    answer="Yes. The mean is accurate to float32: 2/3 here, not a rounder number.",
    reason="This is the type of nearly all models on the Hub.",
    texts=(Text("alpha", (1,)), Text("alpha beta gamma", (1, 2, 3)), Text("gamma gamma beta", (3, 3, 2))),
    tokenizer=word_level(),
    tensors={"embeddings": MATRIX},
    config=CONFIG,
    files=_MODULES,
)
_WEIGHTED = Case(
    "weights-float64",
    question="Are weights of float64 applied?",
    answer="Yes: the mean over the tokens of weight times row. The divisor is the number of tokens, not the sum of the weights.",
    reason="Weights that NumPy has computed are float64, and model2vec saves them as they are.",
    texts=TEXTS,
    tokenizer=word_level(),
    tensors={"embeddings": MATRIX, "weights": Tensor("F64", _WEIGHTS)},
    config=CONFIG,
    files=_MODULES,
    others=[
        Other("ignores the weights", weights=False),
        Other("divides by the sum of the weights", means=[[0, 2, 0, 0], [0, 3 / 3.5, 6 / 3.5, 0], [0, 0, 6 / 2.5, 2 / 2.5]]),
    ],
)
_MAPPED = Case(
    "mapping-int64",
    question="Is a mapping from ids to rows in int64 applied?",
    answer="Yes. Tokens may share a row, and the matrix has fewer rows than there are tokens.",
    reason="model2vec's vocabulary quantisation writes a mapping.",
    texts=_FIVE_TEXTS,
    tokenizer=word_level(_FIVE_WORDS),
    tensors={"embeddings": _SHARED, "mapping": Tensor("I64", _ROWS)},
    config={**CONFIG, "vocabulary_quantization": 3},
    files=_MODULES,
    others=[Other("ignores the mapping", mapping=False)],
)

CASES = (
    _FLOAT,
    replace(
        _FLOAT,
        name="float16",
        question="Is the mean of float16 rows computed in float32?",
        answer="Yes. The values are widened first, so the result is as exact as with float32.",
        reason="Models are stored in float16 to halve the download.",
        tensors={"embeddings": Tensor("F16", diagonal(4))},
        config={**CONFIG, "embedding_dtype": "float16"},
        others=[Other("rounds the mean to float16", means=[[0, 2, 0, 0], [0, 0.66650390625, 1.0, 1.3330078125], [0, 0, 1.0, 2.666015625]])],
    ),
    replace(
        _FLOAT,
        name="bfloat16",
        question="Is a bfloat16 matrix read?",
        answer="Yes. The values are widened to float32.",
        reason="PyTorch trains in bfloat16, and sentence-transformers saves what it has.",
        tensors={"embeddings": Tensor("BF16", diagonal(4))},
        others=[Other("rounds the mean to bfloat16", means=[[0, 2, 0, 0], [0, 0.66796875, 1.0, 1.3359375], [0, 0, 1.0, 2.671875]])],
    ),
    replace(
        _FLOAT,
        name="float64",
        question="Is a float64 matrix read?",
        answer="Yes. The vectors are float32 all the same.",
        reason="NumPy's default type: a matrix that went through scikit-learn's PCA is float64.",
        tensors={"embeddings": Tensor("F64", diagonal(4))},
        config={**CONFIG, "embedding_dtype": "float64"},
    ),
    replace(
        _FLOAT,
        name="int8",
        question="Are int8 values averaged as they are?",
        answer="Yes. model2vec stores no scale, so vectors that are not normalised are in integer units.",
        reason="model2vec writes int8 with quantize_to='int8', a quarter of the size.",
        texts=(Text("alpha", (1,)), Text("alpha beta gamma", (1, 2, 3))),
        tensors={"embeddings": Tensor("I8", _INTEGERS)},
        config={**CONFIG, "embedding_dtype": "int8"},
        others=[Other("cuts the mean to integers", means=[[127, 0, -20, 0], [43, -42, 15, 0]])],
    ),
    replace(
        _FLOAT,
        name="int8-normalized",
        question="Are int8 vectors normalised in floating point?",
        answer="Yes.",
        reason="Most int8 models are normalised, and then no scale is needed.",
        texts=(Text("alpha", (1,)), Text("alpha beta gamma", (1, 2, 3))),
        tensors={"embeddings": Tensor("I8", _INTEGERS)},
        config={**CONFIG, "embedding_dtype": "int8", "normalize": True},
        files={"modules.json": modules(STATIC, NORMALIZE)},
        normalize=True,
    ),
    replace(
        _FLOAT,
        name="int8-scale",
        question="Is a scale for int8 values applied that is stored as equal weights of all tokens?",
        answer="Yes. Vectors that are not normalised are then in the units of the original matrix.",
        reason="This package saves the scale of an int8 model so, in a form that other readers know.",
        texts=(Text("alpha", (1,)), Text("alpha beta gamma", (1, 2, 3))),
        tensors={"embeddings": Tensor("I8", _INTEGERS), "weights": Tensor("F32", [0.03125] * 4)},
        config={**CONFIG, "embedding_dtype": "int8"},
        others=[Other("ignores the weights", weights=False)],
    ),
    replace(
        _FLOAT,
        name="float8",
        question="Is a float8 matrix read?",
        answer="No. It is refused, and the error names the type.",
        reason="Large models are stored in float8, and safetensors knows the type.",
        tensors={"embeddings": Tensor("F8_E4M3", [[min(number, 4.0) for number in row] for row in diagonal(4)])},
        refused=True,
        others=[Other("reads the values")],
    ),
    replace(
        _FLOAT,
        name="uint8",
        question="Is a uint8 matrix read?",
        answer="No. It is refused: nobody can say what the bytes stand for, an offset or a code.",
        reason="sentence-transformers' quantize_embeddings makes uint8 vectors, and a user stores such a matrix.",
        tensors={"embeddings": Tensor("U8", [[int(number) + 200 * (number > 0) for number in row] for row in diagonal(4)])},
        refused=True,
        others=[
            Other("averages the bytes"),
            Other("averages the bytes and cuts the mean to an integer", means=[[0, 202, 0, 0], [0, 67, 67, 68], [0, 0, 67, 136]]),
            Other("reads the bytes as int8", matrix=[[number - 56 if number else 0 for number in row] for row in diagonal(4)]),
        ],
    ),
    _WEIGHTED,
    replace(
        _WEIGHTED,
        name="weights-float32",
        question="Are weights of float32 applied?",
        answer="Yes.",
        reason="This package and sentence-transformers' users write float32.",
        tensors={"embeddings": MATRIX, "weights": Tensor("F32", _WEIGHTS)},
    ),
    replace(
        _WEIGHTED,
        name="weights-float16",
        question="Are weights of float16 applied?",
        answer="Yes.",
        reason="A script that converts every tensor of a file to float16 converts the weights too.",
        tensors={"embeddings": MATRIX, "weights": Tensor("F16", _WEIGHTS)},
    ),
    replace(
        _WEIGHTED,
        name="weights-zero",
        question="Does a token with the weight 0 count in the mean?",
        answer="Yes, as a token with a row of zeros: the sum is divided by the number of all tokens.",
        reason="Users give stop words the weight 0.",
        texts=(Text("alpha beta", (1, 2)), Text("alpha alpha beta", (1, 1, 2)), Text("alpha", (1,))),
        tensors={"embeddings": MATRIX, "weights": Tensor("F32", [1.0, 0.0, 1.0, 1.0])},
        others=[Other("ignores the weights", weights=False), Other("leaves such tokens out", ids=[(2,), (2,), ()])],
    ),
    replace(
        _WEIGHTED,
        name="weights-negative",
        question="May a weight be negative?",
        answer="Yes. It is only a factor.",
        reason="Weights that a regression has learnt can be negative.",
        texts=(Text("alpha beta", (1, 2)),),
        tensors={"embeddings": MATRIX, "weights": Tensor("F32", [1.0, -0.5, 1.0, 1.0])},
        others=[Other("ignores the weights", weights=False)],
    ),
    _MAPPED,
    replace(
        _MAPPED,
        name="mapping-int32",
        question="Is a mapping in int32 applied?",
        answer="Yes.",
        reason="scikit-learn's KMeans labels, from which model2vec makes the mapping, are int32.",
        tensors={"embeddings": _SHARED, "mapping": Tensor("I32", _ROWS)},
    ),
    replace(
        _MAPPED,
        name="mapping-with-weights",
        question="With a mapping, does a weight belong to a token or to a row?",
        answer="To a token: weights[id] * matrix[mapping[id]].",
        reason="model2vec's vocabulary quantisation writes both.",
        tensors={"embeddings": _SHARED, "mapping": Tensor("I64", _ROWS), "weights": Tensor("F64", [1.0, 0.5, 2.0, 3.0, 0.25])},
        others=[
            Other("ignores the weights", weights=False),
            Other("ignores the mapping", mapping=False),
            Other("ignores the mapping and the weights", mapping=False, weights=False),
            Other("takes the weight of the row", weights=[1.0, 2.0, 2.0, 0.5, 0.5]),
        ],
    ),
)
