"""pandas, Polars, DuckDB and scikit-learn against `encode` with a list of the same texts."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model2vec_numba import StaticModel
from model2vec_numba.files.layouts import DEFAULT_MODEL

pytest.importorskip("pyarrow")

TEXTS = ["some text", None, "na\u00efve \u65e5\u672c\u8a9e", "", "more of it, and longer than the others by some words", None, "some text"]
FILLED = [text or "" for text in TEXTS]

# Options of a call, and the type of the elements.
FORMS: list[tuple[dict[str, Any], str]] = [
    ({"dimensionality": 20}, "float32"),
    ({"dimensionality": 20, "precision": "int8", "ranges": np.repeat([[-0.1], [0.1]], 20, axis=1)}, "int8"),
    ({"precision": "uint8", "ranges": np.repeat([[-0.1], [0.1]], 256, axis=1)}, "uint8"),
    ({"precision": "binary"}, "int8"),
    ({"dimensionality": 9, "precision": "ubinary"}, "uint8"),
]


@pytest.fixture(scope="module")
def expected(default_model: StaticModel) -> NDArray[np.float32]:
    return default_model.encode(FILLED)


def assert_same(found: list[Any], expected: NDArray[np.float32], texts: list[str | None] = TEXTS) -> None:
    """Check that lists of numbers are the vectors to the bit, and None for texts that are None."""
    assert len(found) == len(texts)
    for vector, row, text in zip(found, expected, texts, strict=True):
        assert vector is None if text is None else np.array(vector, np.float32).tobytes() == row.tobytes()


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [("polars", "polars", "polars"), ("scikit_learn", "sklearn", "scikit-learn"), ("polars", "pyarrow", "polars")],
)
def test_what_is_missing_is_named(module: str, package: str, extra: str) -> None:
    pytest.importorskip(module.replace("scikit_learn", "sklearn"))
    code = f"import sys; sys.modules[{package!r}] = None; import model2vec_numba.integrations.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    message = f"ImportError: model2vec_numba.integrations.{module} needs {package}: pip install 'model2vec-numba[{extra}]'"
    assert done.stderr.splitlines()[-1] == message


def test_what_is_missing_in_a_package_that_is_there_is_not_blamed_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from model2vec_numba.extras import require

    (tmp_path / "half_there.py").write_text("import nonesuch_at_all", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'nonesuch_at_all'"):
        require("half_there", "this test", "half")


# pandas


@pytest.fixture
def pandas() -> Any:
    return pytest.importorskip("pandas")


def pandas_series(pandas: Any, texts: list[str | None]) -> list[Any]:
    """Return a column of texts in each type that pandas has for texts."""
    import pyarrow as pa

    types = [object, "string", "category", pandas.ArrowDtype(pa.string()), pandas.ArrowDtype(pa.large_string())]
    return [pandas.Series(texts, index=range(100, 100 + len(texts)), dtype=kind) for kind in types] + [pandas.Series(texts)]


def test_pandas(pandas: Any, default_model: StaticModel, expected: NDArray[np.float32]) -> None:
    for series in pandas_series(pandas, TEXTS):
        if hasattr(series, "__arrow_c_stream__"):  # since pandas 3
            vectors = pandas.Series(pandas.arrays.ArrowExtensionArray(default_model.encode_arrow(series)), index=series.index)
            assert vectors.index.equals(series.index)
            assert_same([None if vector is pandas.NA else vector for vector in vectors], expected)
        with pytest.raises(TypeError, match=r"sentences\[1\] must be a str, not (null|NoneType|float|NAType)"):
            default_model.encode(series)
    for series in pandas_series(pandas, FILLED):
        assert default_model.encode(series).tobytes() == expected.tobytes()
        assert default_model.encode(series[::-1]).tobytes() == expected[::-1].tobytes()
        assert default_model.encode(series[:0]).shape == (0, default_model.dim)
    assert default_model.encode(pandas.Index(FILLED)).tobytes() == expected.tobytes()


def test_pandas_other_elements_are_named(pandas: Any, default_model: StaticModel) -> None:
    for culprit, name in ((7, "int"), (b"bytes", "bytes"), (["list"], "list")):
        with pytest.raises(TypeError, match=rf"sentences\[1\] must be a str, not {name}"):
            default_model.encode(pandas.Series(["a", culprit], dtype=object))
    with pytest.raises(ValueError, match=r"sentences\[1\] cannot be UTF-8"):
        default_model.encode(pandas.Series(["a", "\ud800"], dtype=object))
    with pytest.raises(TypeError, match="one column of str, not DataFrame of shape"):
        default_model.encode(pandas.DataFrame({"text": FILLED}))


# Polars


@pytest.fixture
def polars() -> Any:
    module = pytest.importorskip("polars")
    pytest.importorskip("model2vec_numba.integrations.polars")
    return module


def test_polars_series(polars: Any, default_model: StaticModel, expected: NDArray[np.float32]) -> None:
    for kind in (polars.String, polars.Categorical, polars.Enum(sorted(set(FILLED)))):
        series = polars.Series("text", TEXTS, kind)
        assert_same(polars.Series(default_model.encode_arrow(series)).to_list(), expected)
        for rechunked in (series, polars.concat([series[:2], series[2:3], series[3:]], rechunk=False)):
            assert_same(default_model.encode_arrow(rechunked).to_pylist(), expected)
        assert default_model.encode(polars.Series(FILLED, dtype=kind)).tobytes() == expected.tobytes()
    with pytest.raises(TypeError, match=r"sentences\[1\] must be a str, not null"):
        default_model.encode(polars.Series(TEXTS))
    for series in (polars.Series([1, 2]), polars.Series([["a"]]), polars.Series([object()], dtype=polars.Object)):
        with pytest.raises(TypeError):
            default_model.encode(series)
    with pytest.raises(TypeError, match="one column of str, not DataFrame of shape"):
        default_model.encode(polars.DataFrame({"text": FILLED}))


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_polars_queries(engine: str, polars: Any, default_model: StaticModel, expected: NDArray[np.float32]) -> None:
    frame = polars.DataFrame({"n": range(len(TEXTS)), "text": TEXTS})
    vectors = polars.col("text").model2vec.encode(default_model)
    query = frame.lazy().with_columns(v=vectors)
    assert query.collect_schema()["v"] == polars.Array(polars.Float32, default_model.dim)
    found = query.collect(engine=engine)
    assert found["v"].dtype == polars.Array(polars.Float32, default_model.dim)
    assert_same(found["v"].to_list(), expected)
    kept = query.filter(polars.col("n") % 2 == 0).sort("n").collect(engine=engine)
    assert_same(kept["v"].to_list(), expected[::2], TEXTS[::2])
    assert query.filter(polars.col("n") < 0).collect(engine=engine)["v"].to_list() == []
    assert frame.lazy().select(vectors).collect(engine=engine).columns == ["text"]
    nothing = polars.LazyFrame({"text": [None, None]}).select(vectors).collect(engine=engine)
    assert nothing["text"].to_list() == [None, None]


def test_polars_streams_files(polars: Any, default_model: StaticModel, expected: NDArray[np.float32], tmp_path: Path) -> None:
    """From a file to a file, with more rows than the streaming engine handles at a time."""
    count = 30_000
    polars.DataFrame({"text": TEXTS * count}).write_parquet(tmp_path / "in.parquet", row_group_size=50_000)
    pieces = []
    encode_arrow = default_model.encode_arrow

    class Model(StaticModel):
        """A model that records the sizes of the arrays that it encodes."""

        def encode_arrow(self, array: Any, **options: Any) -> Any:
            pieces.append(len(array))
            return encode_arrow(array, **options)

    model = Model.from_pretrained()
    query = polars.scan_parquet(tmp_path / "in.parquet").select(polars.col("text").model2vec.encode(model).arr.get(0))
    query.sink_parquet(tmp_path / "out.parquet")
    first = polars.read_parquet(tmp_path / "out.parquet")["text"]
    assert sum(pieces) == len(TEXTS) * count
    assert max(pieces) < sum(pieces)
    wanted = [None if text is None else row[0] for text, row in zip(TEXTS, expected, strict=True)]
    assert first.equals(polars.Series("text", wanted * count, polars.Float32))


def test_polars_options(polars: Any, make_model: Callable[..., StaticModel]) -> None:
    model = make_model(normalize=False)
    frame = polars.DataFrame({"text": FILLED})
    found = frame.select(polars.col("text").model2vec.encode(model, max_length=2, normalize=True))
    assert_same(found["text"].to_list(), model.encode(FILLED, max_length=2, normalize=True), list(FILLED))
    found = frame.select(polars.col("text").model2vec.encode(model, dtype="float16"))
    assert found["text"].dtype == polars.Array(polars.Float16, model.dim)
    assert_same(found["text"].to_list(), model.encode(FILLED).astype(np.float16).astype(np.float32), list(FILLED))


def test_polars_forms(polars: Any, default_model: StaticModel) -> None:
    frame = polars.DataFrame({"text": TEXTS})
    for options, dtype in FORMS:
        kind = {"float32": polars.Float32, "int8": polars.Int8, "uint8": polars.UInt8}[dtype]
        right = default_model.encode(FILLED, **options)
        query = frame.lazy().select(polars.col("text").model2vec.encode(default_model, num_threads=1, **options))
        assert query.collect_schema()["text"] == polars.Array(kind, right.shape[1])
        found = query.collect()["text"]
        assert found.dtype == polars.Array(kind, right.shape[1])
        assert found.to_list() == [None if text is None else row.tolist() for text, row in zip(TEXTS, right, strict=True)]
    with pytest.raises(ValueError, match="needs ranges="):
        polars.col("text").model2vec.encode(default_model, precision="int8")


def test_polars_errors_come_through(polars: Any, default_model: StaticModel) -> None:
    with pytest.raises(TypeError, match="array must be a column of strings, not of Arrow's type int64"):
        polars.DataFrame({"text": [1]}).select(polars.col("text").model2vec.encode(default_model))


# DuckDB


@pytest.fixture
def duckdb() -> Any:
    return pytest.importorskip("duckdb")


def test_duckdb(duckdb: Any, default_model: StaticModel, expected: NDArray[np.float32]) -> None:
    from model2vec_numba.integrations.duckdb import register

    with duckdb.connect() as connection:
        register(connection, default_model)
        connection.execute("CREATE TABLE texts (n INTEGER, text VARCHAR)")
        connection.executemany("INSERT INTO texts VALUES (?, ?)", list(enumerate(TEXTS)))
        query = connection.sql("SELECT embed(text) AS v FROM texts ORDER BY n")
        assert str(query.types[0]) == f"FLOAT[{default_model.dim}]"
        assert_same([row[0] for row in query.fetchall()], expected)
        assert connection.sql("SELECT embed(text) FROM texts WHERE n < 0").fetchall() == []
        assert connection.sql("SELECT embed(NULL)").fetchall() == [(None,)]
        nearest = connection.sql(
            "SELECT text FROM texts WHERE text <> '' ORDER BY array_cosine_similarity(embed(text), embed('some text')) DESC LIMIT 1"
        )
        assert nearest.fetchall() == [("some text",)]
        # A column of a query can be encoded without the function.
        column = connection.sql("SELECT text FROM texts ORDER BY n").to_arrow_table()["text"]
        assert_same(default_model.encode_arrow(column).to_pylist(), expected)


def test_duckdb_forms(duckdb: Any, default_model: StaticModel) -> None:
    from model2vec_numba.integrations.duckdb import register

    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE texts (n INTEGER, text VARCHAR)")
        connection.executemany("INSERT INTO texts VALUES (?, ?)", list(enumerate(TEXTS)))
        for number, (options, dtype) in enumerate(FORMS):
            register(connection, default_model, f"embed_{number}", num_threads=1, **options)
            right = default_model.encode(FILLED, **options)
            query = connection.sql(f"SELECT embed_{number}(text) AS v FROM texts ORDER BY n")
            assert str(query.types[0]) == f"{ {'float32': 'FLOAT', 'int8': 'TINYINT', 'uint8': 'UTINYINT'}[dtype] }[{right.shape[1]}]"
            found = [row[0] if row[0] is None else list(row[0]) for row in query.fetchall()]
            assert found == [None if text is None else row.tolist() for text, row in zip(TEXTS, right, strict=True)]
        with pytest.raises(ValueError, match="precision='float16' is not possible: DuckDB has no type for it"):
            register(connection, default_model, precision="float16")


def test_duckdb_vectors_in_threads(duckdb: Any, default_model: StaticModel) -> None:
    """More rows than DuckDB handles at once, with several of its threads."""
    from model2vec_numba.integrations.duckdb import register

    count = 300_000
    with duckdb.connect(config={"threads": 4}) as connection:
        register(connection, default_model, "vector_of", max_length=3)
        query = f"SELECT n, vector_of(CASE WHEN n % 5 = 0 THEN NULL ELSE 'text ' || n % 97 END)[1] AS x FROM range({count}) t(n) ORDER BY n"
        found = connection.sql(query).fetchnumpy()["x"]
    first = default_model.encode([f"text {n}" for n in range(97)], max_length=3)[:, 0]
    n = np.arange(count)
    np.testing.assert_array_equal(np.ma.getmaskarray(found), n % 5 == 0)
    np.testing.assert_array_equal(found[n % 5 != 0], first[n % 97][n % 5 != 0])


# scikit-learn


@pytest.fixture
def transformers() -> ModuleType:
    pytest.importorskip("sklearn")
    from model2vec_numba.integrations import scikit_learn

    return scikit_learn


def test_scikit_learn_transform(transformers: Any, default_model: StaticModel, expected: NDArray[np.float32], tiny_folder: Path) -> None:
    transformer = transformers.StaticModelTransformer()
    for found in (transformer.transform(FILLED), transformer.fit(FILLED).transform(np.array(FILLED)), transformer.fit_transform(FILLED, [0] * 7)):
        assert found.tobytes() == expected.tobytes()
    assert transformer.transform([]).shape == (0, default_model.dim)
    options = {"max_length": 1, "normalize": True}
    found = transformers.StaticModelTransformer(tiny_folder, **options).transform(["the cat", "cat"])
    assert found.tobytes() == StaticModel.from_pretrained(tiny_folder).encode(["the cat", "cat"], **options).tobytes()
    assert list(transformer.get_feature_names_out()) == [f"staticmodeltransformer{i}" for i in range(default_model.dim)]
    assert len(transformers.StaticModelTransformer(tiny_folder).get_feature_names_out()) == 3
    with pytest.raises(TypeError, match=r"sentences\[1\] must be a str"):
        transformer.transform(TEXTS)
    for method in (transformer.fit, transformer.transform, transformer.fit_transform):
        with pytest.raises(ValueError, match="not one str"):
            method("one text")


def test_scikit_learn_forms(transformers: Any, default_model: StaticModel) -> None:
    for options, _ in FORMS:
        transformer = transformers.StaticModelTransformer(num_threads=1, **options)
        right = default_model.encode(FILLED, **options)
        found = transformer.fit_transform(FILLED)
        assert (found.dtype, found.tobytes()) == (right.dtype, right.tobytes())
        assert len(transformer.get_feature_names_out()) == right.shape[1]


def test_scikit_learn_estimator(transformers: Any) -> None:
    """`check_estimator`, and those of its checks that need no numbers. It skips them for estimators of texts."""
    from sklearn.exceptions import SkipTestWarning
    from sklearn.utils import estimator_checks as checks

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        checks.check_estimator(transformers.StaticModelTransformer())
    names = [
        "check_estimator_cloneable",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_mixin_order",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
    ]
    for name in names:
        getattr(checks, name)("StaticModelTransformer", transformers.StaticModelTransformer())


@pytest.mark.parametrize("given", ["default", "folder", "model"])
def test_scikit_learn_copies(given: str, transformers: Any, default_model: StaticModel, expected: NDArray[np.float32]) -> None:
    from sklearn.base import clone

    model = {"default": None, "folder": DEFAULT_MODEL, "model": default_model}[given]
    transformer = transformers.StaticModelTransformer(model, max_length=512).fit(FILLED)
    for copy in (clone(transformer), pickle.loads(pickle.dumps(transformer))):
        assert copy.get_params().keys() == transformer.get_params().keys()
        assert copy.max_length == 512
        assert copy.transform(FILLED).tobytes() == expected.tobytes()
    # The pickle refers to the files and does not hold the model.
    assert len(pickle.dumps(transformer)) < 1000


def test_scikit_learn_pipeline(transformers: Any, default_model: StaticModel) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    animals = ["the cat sleeps", "a dog barks", "two horses run", "the bird sings", "a cow eats grass", "mice hide from cats"]
    money = ["stocks fell", "the bank lends money", "interest rates rise", "a loan is paid back", "shares and bonds", "the price of gold"]
    texts, labels = animals + money, [0] * 6 + [1] * 6
    pipeline = make_pipeline(transformers.StaticModelTransformer(), LogisticRegression())
    pipeline.fit(texts, labels)
    assert list(pipeline.predict(["my dog and my cat", "the bank's interest rates"])) == [0, 1]
    alone = LogisticRegression().fit(default_model.encode(texts), labels)
    np.testing.assert_array_equal(pipeline.predict_proba(texts), alone.predict_proba(default_model.encode(texts)))
    search = GridSearchCV(pipeline, {"staticmodeltransformer__max_length": [1, 512]}, cv=2).fit(texts, labels)
    assert search.best_params_["staticmodeltransformer__max_length"] in {1, 512}


def test_scikit_learn_columns(transformers: Any, pandas: Any, default_model: StaticModel) -> None:
    from sklearn.compose import ColumnTransformer

    frame = pandas.DataFrame({"text": FILLED, "n": range(len(FILLED))})
    columns = ColumnTransformer([("v", transformers.StaticModelTransformer(), "text")], remainder="passthrough")
    found = columns.fit_transform(frame)
    np.testing.assert_array_equal(found[:, :-1], default_model.encode(FILLED))
    output = transformers.StaticModelTransformer().set_output(transform="pandas").fit_transform(frame["text"])
    assert output.columns[1] == "staticmodeltransformer1"
    np.testing.assert_array_equal(output.to_numpy(), default_model.encode(FILLED))


def test_called_as_sentence_transformers_is(make_model: Callable[..., StaticModel]) -> None:
    model = make_model(normalize=False)
    keywords = {"batch_size": 32, "show_progress_bar": False, "convert_to_numpy": True, "device": "cpu", "prompt_name": None}
    np.testing.assert_array_equal(model.encode(FILLED, **keywords), model.encode(FILLED))
    for sentences in (FILLED, FILLED[0]):
        np.testing.assert_array_equal(model.encode(sentences, normalize_embeddings=True, **keywords), model.encode(sentences, normalize=True))
    np.testing.assert_array_equal(model.encode(FILLED, normalize_embeddings=False), model.encode(FILLED))
