"""What the recipes do, besides running: the right texts are found, threads may call, nothing is compiled in a container."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, blocks, parts, run_code

from model2vec_numba import StaticModel

PACKAGE = ROOT / "model2vec_numba"
# Prints whether a model uses compiled code without waiting for it, and how many kernels were compiled for that. The first calls are too few for it.
COMPILED = """
from model2vec_numba.jit.cache import counts
from model2vec_numba.starting import compiling

MODEL.encode(["a long enough call"] * 20_000)
print(MODEL._roads.compiled is not None, len(compiling._compilations.states), counts.compiled)
"""


@pytest.mark.parametrize("part", parts("recipes/search.md"), ids=lambda part: part.heading)
def test_searches_find_the_same_texts(part: Any, tmp_path: Path) -> None:
    """The ten texts have the scores of an exact search. usearch may miss some."""
    found = run_code(part.code, tmp_path)
    model = StaticModel.from_pretrained()
    query = model.encode("music in the snow", normalize=True)
    lines = (tmp_path / "texts.txt").read_text(encoding="utf-8").splitlines()
    best = sorted(model.encode(lines, normalize=True) @ query)[-10:]
    assert len(found) == 10
    scores = [float(line.split()[0]) for line in found]
    assert scores == sorted(scores, reverse=True)
    assert sum(score > best[0] - 0.0006 for score in scores) >= (8 if part.heading == "usearch" else 10)
    for score, line in zip(scores, found, strict=True):
        assert float(model.encode(line.split(maxsplit=1)[1], normalize=True) @ query) == pytest.approx(score, abs=6e-4)


def test_duplicates(tmp_path: Path) -> None:
    (part,) = parts("recipes/duplicates.md")
    lines = run_code(part.code, tmp_path)
    assert len(lines) == 4 and lines[-1] == "3 texts are left"
    assert any("violin" in line and line.startswith("1.00") for line in lines)


def test_web_service(tmp_path: Path) -> None:
    """Many threads at once get the vectors that one gets."""
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx2")
    (service,) = blocks("recipes/web-service.md")[""]
    (tmp_path / "service.py").write_text(service, encoding="utf-8")
    client = """
import json
from concurrent.futures import ThreadPoolExecutor

from fastapi.testclient import TestClient

from model2vec_numba import StaticModel
from service import app

texts = [f"text {i} about the weather" for i in range(200)] + [""]
expected = StaticModel.from_pretrained().encode(texts).tolist()
with TestClient(app) as client, ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(lambda text: client.post("/encode", json={"texts": [text, "another"]}).json()[0], texts))
    print(answers == expected)
    print(sorted(text for _, text in client.get("/search", params={"query": "winter", "limit": 2}).json()))
    print(client.get("/search", params={"query": " "}).json(), client.post("/encode", json={"texts": [None]}).status_code)
"""
    assert run_code(client, tmp_path) == ["True", "['It is cold today.', 'The weather is chilly.']", "[] 422"]


def test_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook has the cells of the page, and they run in Jupyter's kernel."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("pandas")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells] == [code.rstrip("\n") for code in blocks("recipes/notebook.md")[""]]
    done = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = ["".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs) for cell in done.cells if cell.cell_type == "code"]
    assert outputs[1] == "(5, 256)"
    assert outputs[2].splitlines()[1].split(maxsplit=1)[1].startswith("The weather is chilly.")
    assert "He plays the violin." in outputs[3] and "NaN" not in outputs[3]


def without_rights() -> None:
    """Let the permissions of files count for the superuser too."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in range(41):
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def run_without_rights(code: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run code with a folder of packages that cannot be written to, and no other place for files."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "MODEL2VEC", "XDG"))}
    variables = {**clean, "HOME": "/dev/null", "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=variables, preexec_fn=without_rights, check=False, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def copy_package(folder: Path) -> Path:
    """Copy the package without compiled code, and the bundled model to `model` beside it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=ignored)
    shutil.copytree(PACKAGE / "default_model", folder / "model")
    return folder


def set_writable(folder: Path, writable: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200 if writable else path.stat().st_mode & ~0o222)


def shell(command: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Run a command of a recipe, with this Python."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "MODEL2VEC"))}
    command = re.sub(r"\bpython\b", shlex.quote(sys.executable), command)
    command = command.replace("model2vec-numba ", f"{shlex.quote(sys.executable)} -m model2vec_numba ")
    done = subprocess.run(["bash", "-euc", command], cwd=folder, env={**clean, **environment}, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="drops the superuser's rights as Linux does")


@needs_linux
@pytest.mark.exhaustive
def test_container(tmp_path: Path) -> None:
    """Run the steps of the Dockerfile that concern this package, in a folder instead of an image."""
    (dockerfile,) = blocks("recipes/container.md", "dockerfile")[""]
    lines = [line.partition(" ")[::2] for line in dockerfile.splitlines() if not line.startswith("#")]
    assert [name for name, _ in lines] == ["FROM", "COPY", "RUN", "COPY", "ENV", "RUN", "ENV", "COPY", "WORKDIR", "USER", "CMD"]
    copy_package(tmp_path)
    environment = {"PYTHONPATH": str(tmp_path)}
    for instruction, value in lines[3:8]:
        here = re.sub(r"(?<![\w/])/(model|numba-cache)\b", lambda match: f"{tmp_path}/{match[1]}", value)
        if instruction == "ENV":
            environment |= dict(part.split("=") for part in here.split())
        elif instruction == "RUN":
            shell(here, tmp_path, environment)
    set_writable(tmp_path, False)
    code = "import os\nfrom model2vec_numba import StaticModel\nMODEL = StaticModel.from_pretrained(os.environ['MODEL'])\nMODEL.encode(['a', ''])\n"
    assert run_without_rights(code + COMPILED, tmp_path, environment) == "True 0 0\n"
    set_writable(tmp_path, True)


@needs_linux
@pytest.mark.exhaustive
@pytest.mark.parametrize("variables", [{}, {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}], ids=["this processor", "x86-64-v3"])
def test_read_only(variables: dict[str, str], tmp_path: Path) -> None:
    """The folder is made in one place, moved to another, and cannot be written to there."""
    if variables and os.uname().machine != "x86_64":
        pytest.skip("a processor of another kind")
    (commands,) = blocks("recipes/read-only.md", "sh")[""]
    (handler,) = blocks("recipes/read-only.md")[""]
    install, copy, warmup = commands.splitlines()
    assert install.startswith("pip install --target function ") and copy == "cp -r path/to/a/model function/model"
    function = copy_package(tmp_path / "made" / "function")
    (function / "handler.py").write_text(handler, encoding="utf-8")
    shell(warmup, tmp_path / "made", variables)
    moved = (tmp_path / "made").rename(tmp_path / "moved") / "function"
    set_writable(moved, False)
    code = f"import json\nfrom handler import MODEL, handler\nprint(json.dumps(handler({{'texts': ['a cold day', '']}}, None)))\n{COMPILED}"
    vectors, compiled = run_without_rights(code, moved, {"PYTHONPATH": str(moved), **variables}).splitlines()
    assert compiled == "True 0 0"
    first, second = json.loads(vectors)
    assert len(first) == 256 and second is None
    set_writable(moved, True)


def test_notes_with_a_named_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled code for a processor that is named counts on every machine."""
    from model2vec_numba.starting import ready

    def name(processor: str) -> str:
        monkeypatch.setattr(ready, "_processor", lambda: processor)
        ready._circumstances.cache_clear()
        return ready._note_name("key")

    monkeypatch.delenv("NUMBA_CPU_FEATURES", raising=False)
    monkeypatch.setenv("NUMBA_CPU_NAME", "x86-64-v3")
    assert name("one") != name("another")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "")
    assert name("one") == name("another")
    monkeypatch.undo()
    ready._circumstances.cache_clear()
