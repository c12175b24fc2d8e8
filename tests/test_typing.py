"""Type checkers and editors know every public name, and its parameters."""

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import jedi
import pytest
from conftest import ROOT

import sklearn_mmae

MODULES = ["alignment", "datasets", "displays", "fusion", "metrics", "modalities", "testing"]
CONSTRUCTED = sorted(
    name
    for name in sklearn_mmae.__all__
    if inspect.isclass(getattr(sklearn_mmae, name))
    and not inspect.isabstract(getattr(sklearn_mmae, name))
    and not issubclass(getattr(sklearn_mmae, name), Exception)
)
METHODS = ["fit", "transform", "inverse_transform", "translate", "impute", "score_samples", "save"]


def run(*arguments, cwd, **variables):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_wheel_says_that_the_package_is_typed(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "sklearn_mmae", source / "sklearn_mmae")
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    done = run("-c", build, cwd=source)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
    assert "sklearn_mmae/py.typed" in names
    assert "sklearn_mmae/displays/__init__.py" in names


def check(tmp_path, script):
    """Return what mypy says of a user's script."""
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    config = "--config-file", str(ROOT / "pyproject.toml")
    cache = "--cache-dir", str(tmp_path / "cache")
    done = run("-m", "mypy", *config, *cache, "script.py", cwd=tmp_path, MYPYPATH=str(ROOT))
    return done.stdout + done.stderr


def test_mypy_knows_every_public_name(tmp_path):
    lines = ["import sklearn_mmae"]
    for name in sklearn_mmae.__all__:
        lines += [f"from sklearn_mmae import {name} as a_{name}", f"sklearn_mmae.{name}"]
    for module in MODULES:
        for name in importlib.import_module(f"sklearn_mmae.{module}").__all__:
            lines += [f"from sklearn_mmae.{module} import {name} as {module}_{name}"]
    lines += [f"sklearn_mmae.{module}.__all__" for module in ("datasets", "displays", "metrics")]
    lines += ["reveal_type(sklearn_mmae.DelayAligner())", "sklearn_mmae.no_such_name"]
    said = check(tmp_path, "\n".join(lines))
    assert "sklearn_mmae.alignment._aligner.DelayAligner" in said
    assert 'Module has no attribute "no_such_name"' in said
    assert "Found 1 error" in said, said


def test_mypy_finds_a_misspelt_parameter(tmp_path):
    said = check(
        tmp_path,
        """
        from sklearn_mmae import ImageModality, MultimodalAutoencoder
        from sklearn_mmae.displays import LatentDisplay

        photo = ("photo", ImageModality(sise=32), ["photo"])
        mmae = MultimodalAutoencoder([photo], n_component=4)
        LatentDisplay([[0, 1]], nam="")
        """,
    )
    for misspelt in ("sise", "n_component", "nam"):
        assert f'Unexpected keyword argument "{misspelt}"' in said
    assert "Found 3 errors" in said, said


@pytest.mark.slow
def test_pyright_accepts_the_code_of_the_readme(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "readme.py").write_text("\n".join(blocks), encoding="utf-8")
    misspelt = "import sklearn_mmae\nsklearn_mmae.MultimodalAutoencoder(n_component=4)"
    (tmp_path / "misspelt.py").write_text(misspelt)
    settings = {"typeCheckingMode": "basic", "extraPaths": [str(ROOT)]}
    settings["include"] = ["readme.py", "misspelt.py"]
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    offline = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # it would ask whether it is the newest
    command = "-m", "pyright", "--outputjson", "--pythonpath", sys.executable
    done = run(*command, cwd=tmp_path, **offline)
    found = json.loads(done.stdout)["generalDiagnostics"]
    said = [f"{Path(one['file']).name}: {one['message']}" for one in found]
    assert said == ['misspelt.py: No parameter named "n_component"'], "\n".join(said)


def completed(code):
    """Return the parameters that an editor shows at the end of some code, by definition."""
    script = jedi.Script(code, project=jedi.Project(ROOT))
    lines = code.split("\n")
    found = script.get_signatures(len(lines), len(lines[-1]))
    return {tuple(parameter.name for parameter in signature.params) for signature in found}


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_an_editor_shows_every_parameter_of_a_constructor(name):
    expected = inspect.signature(getattr(sklearn_mmae, name)).parameters
    assert not {p.kind for p in expected.values()} & {
        inspect.Parameter.VAR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    }
    assert completed(f"import sklearn_mmae\nsklearn_mmae.{name}(") == {tuple(expected)}


@pytest.mark.parametrize("method", METHODS)
def test_an_editor_shows_every_parameter_of_a_method(method):
    expected = list(inspect.signature(getattr(sklearn_mmae.MultimodalVAE, method)).parameters)[1:]
    code = f"from sklearn_mmae import MultimodalVAE\nvae = MultimodalVAE()\nvae.{method}("
    assert completed(code) == {tuple(expected)}


def test_dir_names_what_is_imported_late():
    assert {*sklearn_mmae.__all__, "datasets", "displays", "metrics"} <= set(dir(sklearn_mmae))
