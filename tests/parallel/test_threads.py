"""How many threads a call uses: the environment, the container, the process's setting, and which call may use several."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numba import config

import model2vec_numba
from model2vec_numba import StaticModel
from model2vec_numba.parallel.threads import _container_limit, claim_threads, get_num_threads

MAXIMUM = config.NUMBA_NUM_THREADS


@pytest.fixture
def process_setting() -> Iterator[None]:
    yield
    model2vec_numba.set_num_threads(None)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"NUMBA_NUM_THREADS": "3"}, 3),
        ({"NUMBA_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, 3),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
    ],
)
def test_environment(environment: dict[str, str], expected: int) -> None:
    inherited = {name: value for name, value in os.environ.items() if name not in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")}
    code = "import model2vec_numba; print(model2vec_numba.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", code], env={**inherited, **environment}, check=True, capture_output=True, text=True)
    assert int(done.stdout) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 1 << 20),
        ({"cpu.max": "nonsense"}, 1 << 20),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1 << 20),
        ({}, 1 << 20),
    ],
)
def test_container_limit(files: dict[str, str], expected: int, tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert _container_limit(tmp_path) == expected


@pytest.mark.usefixtures("process_setting")
def test_settings() -> None:
    model2vec_numba.set_num_threads(1)
    assert get_num_threads() == 1
    with claim_threads(None) as count:
        assert count == 1
    model2vec_numba.set_num_threads(10_000)
    assert get_num_threads() == MAXIMUM
    # A call's own number comes first. No number is above the maximum.
    for requested, expected in ((1, 1), (None, MAXIMUM), (10_000, MAXIMUM)):
        with claim_threads(requested) as count:
            assert count == expected
    for wrong in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match="count must be None or an integer of 1 or more"):
            model2vec_numba.set_num_threads(wrong)  # type: ignore[arg-type]


@pytest.mark.skipif(MAXIMUM == 1, reason="one thread only")
@pytest.mark.usefixtures("process_setting")
def test_one_call_at_a_time_has_several_threads() -> None:
    model2vec_numba.set_num_threads(MAXIMUM)
    counts: list[int] = []

    def claim() -> None:
        with claim_threads(None) as count:
            counts.append(count)

    with claim_threads(None) as outer, claim_threads(None) as inner:
        assert (outer, inner) == (MAXIMUM, 1)
        thread = threading.Thread(target=claim)
        thread.start()
        thread.join()
    assert counts == [1]
    # An error gives the claim back, and a claim of one thread takes none.
    with pytest.raises(KeyError), claim_threads(None):
        raise KeyError
    with claim_threads(1):
        claim()
    claim()
    assert counts == [1, MAXIMUM, MAXIMUM]


def test_number_of_a_call(default_model: StaticModel) -> None:
    # Enough texts for several batches.
    texts = ["It is cold today.", "", "The weather is chilly."] * 20_000
    expected = default_model.encode(texts)
    for count in (1, 2, 100):
        np.testing.assert_array_equal(default_model.encode(texts, num_threads=count), expected)
    for wrong in (0, True, "2"):
        with pytest.raises(ValueError, match="num_threads must be None or an integer of 1 or more"):
            default_model.encode(texts, num_threads=wrong)  # type: ignore[call-overload]


@pytest.mark.parametrize("layer", ["nonesuch", "tbb"])
def test_a_threading_layer_that_is_missing(layer: str) -> None:
    """The package's own threads do the work, also for a text of more than a million tokens."""
    code = """
        import sys
        from numba.np.ufunc import parallel
        if sys.argv[1] == "tbb":
            def refuse(backend):
                raise ImportError(backend)
            parallel._check_tbb_version_compatible = lambda: refuse("tbb")
        import numba, numpy as np
        from model2vec_numba import StaticModel, get_num_threads
        model = StaticModel.from_pretrained(max_length=None)
        numba.config.THREADING_LAYER = sys.argv[1]
        texts = ["it is cold today"] * 5000
        vectors = model.encode(texts)
        long = model.encode(["it is cold " * 400_000, "a"])
        print(get_num_threads() >= 1, np.isfinite(long).all(), len(vectors))
    """
    environment = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), layer], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "True True 5000\n"), done.stderr


@pytest.mark.parametrize(("before", "expected"), [("['a', 'b']", "(2, 256)"), ("'a'", "(2, 256)"), (None, "RuntimeError")])
def test_encoding_while_the_interpreter_shuts_down(before: str | None, expected: str) -> None:
    code = f"""
        from model2vec_numba import StaticModel

        class Owner:
            def __init__(self):
                self.model = StaticModel.from_pretrained()

            def __del__(self):
                try:
                    print(self.model.encode(["a", "b"]).shape)
                except Exception as error:
                    print(type(error).__name__, "shuts down" in str(error))

        owner = Owner()
        {f"owner.model.encode({before})" if before else ""}
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(expected) and "False" not in done.stdout, (done.stdout, done.stderr)
