"""The house stands as it was drawn: imports, docstrings, dependencies, what an import does."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
import tomllib
import typing

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from sklearn.base import BaseEstimator

import sklearn_mmae

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PUBLIC_MODULES = ["", ".alignment", ".datasets", ".displays", ".fusion", ".metrics", ".modalities"]
PUBLIC_MODULES += [".testing"]


def public_objects():
    found = {}
    for suffix in PUBLIC_MODULES:
        module = importlib.import_module("sklearn_mmae" + suffix)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                found[name] = thing
    return found


OBJECTS = public_objects()
CLASSES = {name: thing for name, thing in OBJECTS.items() if inspect.isclass(thing)}
# What a user calls: functions, and the methods of the estimators.
CALLABLES = {name: thing for name, thing in OBJECTS.items() if inspect.isfunction(thing)} | {
    f"{name}.{method}": function
    for name, cls in CLASSES.items()
    if issubclass(cls, BaseEstimator) and hasattr(cls, "transform") and not inspect.isabstract(cls)
    if not issubclass(cls, sklearn_mmae.Modality)
    for method, function in inspect.getmembers(cls, inspect.isfunction)
    if not method.startswith("_") and function.__module__.startswith("sklearn_mmae")
}
WITH_EXAMPLE = {
    name: thing
    for name, thing in OBJECTS.items()
    if inspect.isfunction(thing)
    or (issubclass(thing, BaseEstimator) and not inspect.isabstract(thing))
}


def sections(thing):
    """Return the sections of a numpydoc docstring by their titles."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def undocumented(thing, function):
    """List the parameters of a function that a docstring does not name."""
    text = sections(thing).get("Parameters", "")
    named = re.findall(r"^(\S.*?)(?: :.*)?$", text, re.MULTILINE)
    named = {name.strip("* ") for names in named for name in names.split(",")}
    return [name for name in inspect.signature(function).parameters if name not in named | {"self"}]


def run_python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_import_contracts_hold():
    done = run_python(
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_import_is_quiet_changes_nothing_and_leaves_what_is_slow_until_it_is_needed():
    done = run_python(
        """
        import contextlib, random, sys, warnings
        import numpy, torch, sklearn, pandas, scipy
        with contextlib.suppress(ImportError):
            import sklearn.callback  # with rich, which draws a number

        def state():
            threads = torch.get_num_threads(), torch.get_num_interop_threads()
            numbers = torch.get_rng_state().tolist(), str(numpy.random.get_state())
            return threads, numbers, random.getstate(), list(warnings.filters), numpy.geterr()

        before, modules = state(), set(sys.modules)
        import sklearn_mmae
        assert state() == before
        late = {"skorch", "PIL", "sklearn.feature_extraction", "sklearn.model_selection"}
        early = late & (set(sys.modules) - modules)
        assert not early, early
        import PIL, skorch
        before = state()
        import sklearn_mmae.datasets, sklearn_mmae.displays, sklearn_mmae.metrics
        assert state() == before
        new = {name.partition(".")[0] for name in set(sys.modules) - modules}
        extras = {"av", "dask", "distributed", "hypothesis", "matplotlib", "polars", "pyarrow"}
        extras |= {"rich", "safetensors", "skrub", "soundfile", "soxr", "wordllama"}
        assert not new & extras, new & extras
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", OBJECTS)
def test_a_public_name_is_documented(name):
    assert inspect.getdoc(OBJECTS[name])


@pytest.mark.parametrize("name", CLASSES)
def test_the_parameters_of_a_class_are_documented(name):
    cls = CLASSES[name]
    own = cls.__dict__.get("__init__")
    if own is not None and not inspect.isabstract(cls):
        assert undocumented(cls, own) == []


@pytest.mark.parametrize("name", CALLABLES)
def test_a_function_says_what_it_takes_and_returns(name):
    function = CALLABLES[name]
    assert undocumented(function, function) == []
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    returns = any(isinstance(node, ast.Return) and node.value for node in ast.walk(tree))
    assert not returns or sections(function).get("Returns")


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_what_a_user_calls_has_an_example(name):
    assert ">>>" in sections(WITH_EXAMPLE[name]).get("Examples", "")


ANNOTATED = {
    *("alignment", "datasets", "displays", "estimators", "fusion", "metrics", "modalities"),
    *("objectives", "testing"),
}


def is_annotated(thing):
    return thing.__module__.split(".")[1:2] and thing.__module__.split(".")[1] in ANNOTATED


def methods_of(cls):
    """Return what a user calls of a class: its constructor, and all that has no underscore."""
    functions = inspect.getmembers(
        cls, lambda one: inspect.isfunction(one) or inspect.ismethod(one)
    )
    shown = ("__init__", "__call__")
    return {name: one for name, one in functions if name in shown or not name.startswith("_")}


ANNOTATED_CLASSES = {name: cls for name, cls in CLASSES.items() if is_annotated(cls)}
SIGNATURES = {
    name: inspect.unwrap(thing)
    for name, thing in [
        *((name, thing) for name, thing in OBJECTS.items() if inspect.isfunction(thing)),
        *(
            (f"{name}.{method}", function)
            for name, cls in ANNOTATED_CLASSES.items()
            for method, function in methods_of(cls).items()
        ),
    ]
    if is_annotated(inspect.unwrap(thing))
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_has_types(name):
    function = SIGNATURES[name]
    for one in typing.get_overloads(function) or [function]:
        signature = inspect.signature(one)
        bare = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
        assert set(bare) <= {"self", "cls"}
        assert signature.return_annotation is not signature.empty


@pytest.mark.parametrize("name", ANNOTATED_CLASSES)
def test_a_fitted_attribute_has_a_type(name):
    cls = ANNOTATED_CLASSES[name]
    lines = re.findall(r"^(\w+_(?:, \w+_)*) :", sections(cls).get("Attributes", ""), re.MULTILINE)
    documented = {attribute for line in lines for attribute in line.split(", ")}
    known = {key for owner in cls.__mro__ for key in inspect.get_annotations(owner)}
    known |= {name for name, _ in inspect.getmembers(cls, lambda one: isinstance(one, property))}
    assert documented <= known


def pins(file):
    """Return the versions that a file of constraints has, by package."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): version for name, version in found.items()}


def declared(*extras):
    """Return what the package requires, and what some of its extras do."""
    parts = PROJECT["dependencies"], *(PROJECT["optional-dependencies"][name] for name in extras)
    requirements = [Requirement(line) for part in parts for line in part]
    return [one for one in requirements if one.name != PROJECT["name"]]


def test_every_dependency_has_a_tested_version_in_its_range():
    tested = pins("constraints.txt")
    wrong = [
        str(requirement)
        for requirement in declared(*PROJECT["optional-dependencies"])
        if not requirement.specifier.contains(tested.get(requirement.name.lower(), "0"))
    ]
    assert not wrong


def test_the_oldest_tested_versions_are_the_lower_bounds():
    oldest = pins("constraints-oldest.txt")
    wrong = [
        str(requirement)
        for requirement in declared(
            "audio", "distributed", "onnx", "plot", "polars", "video", "test"
        )
        for bound in requirement.specifier
        if Version(oldest[requirement.name.lower()]) not in SpecifierSet(f"=={bound.version}.*")
    ]
    # Its oldest version is installed from no registry without gigabytes for GPUs.
    assert wrong == ["torch>=2.4"]


def test_tests_import_no_folder_beside_the_package():
    """A folder that is no package gives way to an installed package of its name."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"sklearn_mmae"}
    imported = set()
    for file in (ROOT / "tests").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    assert "pytest" in imported
    assert not imported & folders


def test_the_changelog_begins_with_this_version():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == sklearn_mmae.__version__


def test_the_citation_is_of_this_version():
    cited = re.search(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited[1] == sklearn_mmae.__version__
