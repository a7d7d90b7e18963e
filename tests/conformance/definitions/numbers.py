"""Cases about numbers: tiny and huge ones, NaN, sums of many rows, and few dimensions."""

from __future__ import annotations

from dataclasses import replace

from definitions.form import Case, Other, Tensor, Text
from definitions.parts import CONFIG, NORMALIZE, STATIC, modules, word_level

__all__ = ["CASES"]

_NAN = float("nan")
_WORDS = {"[UNK]": 0, "a": 1, "b": 2, "c": 3}
_PLAIN = Case(
    "tiny-normalized",
    question="Has a vector of length 1e-30 the length 1 after it was normalised?",
    answer="Yes: it is divided by its length, whatever the length is.",
    reason="A matrix that was scaled down, or multiplied by weights such as probabilities.",
    texts=(Text("a", (1,)), Text("a b", (1, 2))),
    tokenizer=word_level(_WORDS),
    tensors={"embeddings": Tensor("F32", [[0.0, 0.0], [3e-30, 4e-30], [1e-30, 0.0], [0.0, 1e-30]])},
    config={**CONFIG, "hidden_dim": 2, "normalize": True},
    files={"modules.json": modules(STATIC, NORMALIZE)},
    normalize=True,
    others=[
        Other("gives zeros", means=[[0, 0], [0, 0]]),
        Other("divides by 1e-32 instead of the length", vectors=[[300.0, 400.0], [200.0, 200.0]]),
        Other("divides by 1e-12 instead of the length", vectors=[[3e-18, 4e-18], [2e-18, 2e-18]]),
        Other("divides the sum of the rows by 1e-12 instead of its length", vectors=[[3e-18, 4e-18], [4e-18, 4e-18]]),
    ],
)
_SUM = Case(
    "sum-of-many",
    question="Is the mean of 4,000 equal rows the row?",
    answer="Yes, to within 2e-6: the sum is more accurate than adding one float32 after another.",
    reason="Documents without a max_length, and counts of one frequent word.",
    texts=(Text("a " * 4000, (1,) * 4000), Text("a " * 3000 + "b " * 1000, (1,) * 3000 + (2,) * 1000)),
    tokenizer=word_level(_WORDS),
    tensors={"embeddings": Tensor("F32", [[0.0, 0.0], [0.1, 0.7], [-0.3, 0.2], [1.0, 1.0]])},
    config={**CONFIG, "hidden_dim": 2, "max_length": None},
    files={"modules.json": modules(STATIC)},
    others=[Other("cuts to 512 tokens", ids=[(1,) * 512, (1,) * 512])],
)

CASES = (
    _PLAIN,
    replace(
        _PLAIN,
        name="tiny",
        question="Does a vector of length 1e-30 stay as it is if it is not normalised?",
        answer="Yes.",
        reason="As above, with normalize false.",
        config={**CONFIG, "hidden_dim": 2},
        files={"modules.json": modules(STATIC)},
        normalize=False,
        others=[
            Other("gives zeros", means=[[0, 0], [0, 0]]),
            Other("is normalised, and divides by 1e-12 instead of the length", vectors=[[3e-18, 4e-18], [2e-18, 2e-18]]),
            Other("is normalised, and divides the sum of the rows by 1e-12", vectors=[[3e-18, 4e-18], [4e-18, 4e-18]]),
        ],
    ),
    replace(
        _PLAIN,
        name="huge-normalized",
        question="Has a vector of length 5e30 the length 1 after it was normalised?",
        answer="Yes, although the square of its length is more than a float32 can hold.",
        reason="A training run that diverged, or a matrix in other units.",
        tensors={"embeddings": Tensor("F32", [[0.0, 0.0], [3e30, 4e30], [1e30, 0.0], [0.0, 1e30]])},
        others=[Other("gives zeros", means=[[0, 0], [0, 0]]), Other("gives NaN", means=[[_NAN, _NAN], [_NAN, _NAN]])],
    ),
    replace(
        _PLAIN,
        name="opposites",
        question="Which vector has a text whose rows add up to zero, if vectors are normalised?",
        answer="Zeros, never NaN.",
        reason="Rows that are the negatives of others, in small vocabularies and in tests.",
        texts=(Text("a b", (1, 2)), Text("a", (1,))),
        tensors={"embeddings": Tensor("F32", [[0.0, 0.0], [3.0, 4.0], [-3.0, -4.0], [0.0, 1.0]])},
        others=[Other("gives NaN", means=[[_NAN, _NAN], [3, 4]])],
    ),
    replace(
        _PLAIN,
        name="nan-row",
        question="Does a NaN in the matrix touch texts without its token?",
        answer="No. Texts with the token have NaN in that dimension, and the model loads.",
        reason="A row that training divided by zero.",
        texts=(Text("a c", (1, 3)), Text("a", (1,))),
        tensors={"embeddings": Tensor("F32", [[0.0, 0.0], [3.0, 4.0], [1.0, 0.0], [5.0, _NAN]])},
        config={**CONFIG, "hidden_dim": 2},
        files={"modules.json": modules(STATIC)},
        normalize=False,
        others=[Other("gives NaN for all texts", means=[[4, _NAN], [_NAN, _NAN]]), Other("leaves the row out", ids=[(1,), (1,)])],
    ),
    replace(
        _PLAIN,
        name="half-large-sum",
        question="Can the sum of float16 rows be larger than float16 holds?",
        answer="Yes. It is summed in float32, so the mean of rows of 60,000 is 60,000.",
        reason="Models in float16 whose rows are not normalised.",
        texts=(Text("a a a", (1, 1, 1)), Text("a b", (1, 2))),
        tensors={"embeddings": Tensor("F16", [[0.0, 0.0], [60000.0, 1.0], [30000.0, 0.0], [1.0, 1.0]])},
        config={**CONFIG, "hidden_dim": 2},
        files={"modules.json": modules(STATIC)},
        normalize=False,
        others=[Other("rounds the mean to float16", means=[[60000.0, 1.0], [44992.0, 0.5]])],
    ),
    replace(
        _PLAIN,
        name="int8-many",
        question="Is a sum of many int8 rows exact?",
        answer="Yes: 500 times 127 is summed in integers that hold it.",
        reason="Long texts and int8 models.",
        texts=(Text("a " * 500, (1,) * 500), Text("a " * 250 + "b " * 250, (1,) * 250 + (2,) * 250)),
        tokenizer=word_level({"[UNK]": 0, "a": 1, "b": 2, "alpha": 3, "omega": 4}),
        tensors={"embeddings": Tensor("I8", [[0, 0], [127, -127], [1, -128], [5, 5], [6, 6]])},
        config={**CONFIG, "hidden_dim": 2},
        files={"modules.json": modules(STATIC)},
        normalize=False,
        others=[],
    ),
    replace(
        _PLAIN,
        name="one-dimension",
        question="May vectors have one dimension?",
        answer="Yes. Normalised, they are 1, -1 or 0.",
        reason="dimensionality=1 in a test, or a score for each word.",
        texts=(Text("a", (1,)), Text("b", (2,)), Text("a b", (1, 2)), Text("", ())),
        tensors={"embeddings": Tensor("F32", [[0.0], [0.5], [-2.0], [1.0]])},
        config={**CONFIG, "hidden_dim": 1, "normalize": True},
        others=[],
    ),
    _SUM,
    replace(
        _SUM,
        name="weights-tiny",
        question="Are weights of float64 kept that float16 or float32 rounds to zero or to a subnormal number?",
        answer="float32 is enough: 1e-7 is kept, which float16 rounds to 1.2e-7.",
        reason="Weights such as 1e-4 / (1e-4 + frequency) span many sizes.",
        texts=(Text("a", (1,)), Text("a b", (1, 2))),
        tensors={
            "embeddings": Tensor("F32", [[0.0, 0.0], [3.0, 4.0], [1.0, 0.0], [0.0, 1.0]]),
            "weights": Tensor("F64", [1.0, 1e-7, 3e-8, 1.0]),
        },
        config={**CONFIG, "hidden_dim": 2},
        others=[Other("ignores the weights", weights=False)],
    ),
)
