"""Parameters, checked as scikit-learn checks them."""

import re

from sklearn.utils._param_validation import InvalidParameterError

__all__ = ["validate_parameters"]

# A class of the package by the file that it is in: 'sklearn_mmae.fusion._base.Fusion'.
IN_A_FILE = re.compile(r"'(sklearn_mmae(?:\.[a-z]\w*)*)(?:\._\w+)+\.(\w+)'")


def validate_parameters(estimator):
    """Refuse values that an estimator's `_parameter_constraints` do not allow.

    Parameters
    ----------
    estimator : BaseEstimator

    Raises
    ------
    InvalidParameterError
        scikit-learn's, with classes of the package named as users import them.
    """
    try:
        estimator._validate_params()
    except InvalidParameterError as error:
        raise InvalidParameterError(IN_A_FILE.sub(r"'\1.\2'", str(error))) from None
