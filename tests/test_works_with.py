"""What docs/works_with.md shows runs, package by package, where it is installed."""

import re

import numpy as np
import pytest
from conftest import ROOT

PAGE = (ROOT / "docs" / "works_with.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\S+)\n.*?^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
LEAST = {"skrub": "0.11"}  # versions with what the page shows
MODULES = {"imbalanced-learn": "imblearn", "dask-ml": "dask_ml"}
SETUP = re.search(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)[1]


@pytest.mark.filterwarnings("ignore")  # of the other packages
@pytest.mark.parametrize("package", SECTIONS)
def test_a_package_works_with_ours(package, tmp_path, monkeypatch):
    least = LEAST.get(package)
    pytest.importorskip(MODULES.get(package, package), minversion=least, exc_type=ImportError)
    if package == "mlflow":
        pytest.importorskip("skops")
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(SETUP + SECTIONS[package], found)
    globals()[f"check_{package.replace('-', '_')}"](found)


def check_skrub(found):
    assert "weight" in found["some"].columns
    assert "note" not in found["some"].columns
    assert len(found["search"].results_) == 2
    assert found["both"].shape[1] > 3


def check_imbalanced_learn(found):
    assert found["model"].score(found["X"], found["rare"]) > 0.8
    assert found["more"]["note"].isin(found["X"]["note"]).all()
    assert len(set(np.bincount(found["labels"]))) == 1


def check_optuna(found):
    states = {trial.state.name for trial in found["study"].trials}
    assert states == {"COMPLETE", "PRUNED"}


def check_mlflow(found):
    X, model = found["X"], found["model"]
    np.testing.assert_array_equal(found["served"].predict(X), model.predict(X))


def check_dask_ml(found):
    np.testing.assert_array_equal(found["Z"], found["mmae"].fit_transform(found["X"]))
    assert found["best"]["n_components"] in (2, 3)


def check_sktime(found):
    assert found["of_signals"].shape == (40, 3)
    assert len(found["of_summaries"].predict(found["frames"])) == 40
    assert np.isfinite(found["forecast"]).all()


def check_umap(found):
    assert found["points"].shape == (80, 2)


def check_hdbscan(found):
    assert found["clusters"].shape == (80,)


def check_shap(found):
    predicted = found["predict"](found["X"][:3].to_numpy(object))
    explained = found["shares"].sum(1) + found["explainer"].expected_value
    np.testing.assert_allclose(explained, predicted, atol=1e-6)
