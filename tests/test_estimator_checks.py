"""scikit-learn's own tests, with no expected failure and no skip, and those that it leaves out."""

import re
from unittest import SkipTest

import pytest
import sklearn
from conftest import ROOT
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE, TabularModality

# In scikit-learn's own suite, but not in check_estimator.
LEFT_OUT = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]

TWO_TABLES = [
    ("first", TabularModality(), [0]),
    ("others", TabularModality(), slice(1, None)),
]

ESTIMATORS = [
    MultimodalAutoencoder(),
    # scikit-learn checks partial_fit only of estimators without early stopping.
    MultimodalAutoencoder(
        TWO_TABLES, n_components=3, max_epochs=1, early_stopping=False, fusion="mean"
    ),
    MultimodalVAE(
        TWO_TABLES, n_components=3, max_epochs=1, width=16, objective="jmvae", init="random"
    ),
    MultimodalVAE(max_epochs=1, width=16, early_stopping=False, noise_scale="modality"),
]


def passes(check, *arguments):
    """Run a check; one that skips itself has shown nothing."""
    try:
        check(*arguments)
    except SkipTest as reason:
        pytest.fail(f"skipped: {reason}")


@parametrize_with_checks(ESTIMATORS)
def test_check_of_scikit_learn(estimator, check):
    passes(check, estimator)


# Some of these checks transform an array after fitting a frame, of which scikit-learn warns.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("check", LEFT_OUT)
@pytest.mark.parametrize("estimator", [ESTIMATORS[0], ESTIMATORS[2]], ids=repr)
def test_check_that_scikit_learn_leaves_out(estimator, check):
    start = clone(estimator).set_params(max_epochs=0)  # they ask for containers and names
    passes(getattr(estimator_checks, check), type(estimator).__name__, start)


@pytest.mark.parametrize("kind", [MultimodalAutoencoder, MultimodalVAE])
def test_the_readme_says_how_many_checks_there_are(kind):
    said = re.search(
        r"(\d+) checks of `check_estimator` and the (\d+) that it\s+leaves out "
        r"\(\d+ in all, scikit-learn (\d+\.\d+)\)",
        (ROOT / "README.md").read_text(encoding="utf-8"),
    )
    assert int(said[2]) == len(LEFT_OUT)
    if sklearn.__version__.startswith(f"{said[3]}."):  # others have other checks
        assert int(said[1]) == len(list(estimator_checks_generator(kind())))
