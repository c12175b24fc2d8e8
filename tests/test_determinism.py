"""The same bits for the same seed, whatever runs beside; and nothing of the caller's is touched."""

import hashlib
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_frame
from sklearn.base import clone
from skorch.callbacks import Callback
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_mmae import MultimodalAutoencoder, TabularModality
from sklearn_mmae.training._gradients import LEAST_ROWS

# So many columns that two threads would share a sum, and round it differently (2,048 are too few).
MANY_COLUMNS = 3_072


def make_wide():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(60, 3)) @ rng.normal(size=(3, MANY_COLUMNS))
    return (signal + rng.normal(size=signal.shape)).astype(np.float32)


def make_estimator(**parameters):
    return MultimodalAutoencoder(
        n_components=3, width=32, max_epochs=2, random_state=0, **parameters
    )


def fingerprint(estimator, X):
    """Return a digest of the weights and of the vectors."""
    digest = hashlib.sha256()
    for tensor in estimator.net_.module_.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    digest.update(estimator.transform(X).tobytes())
    return digest.hexdigest()


def fit_fingerprint(estimator, X):
    return fingerprint(clone(estimator).fit(X), X)


@pytest.fixture(scope="module")
def mixed():
    """Rows of every kind with holes, an estimator fitted to them, and its fingerprint."""
    X = make_frame(holes=True)
    estimator = make_estimator().fit(X)
    return X, estimator, fingerprint(estimator, X)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_fitting_again_gives_the_same_bits_whatever_the_global_seeds(mixed):
    X, estimator, reference = mixed
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    assert fit_fingerprint(estimator, X) == reference
    assert fit_fingerprint(clone(estimator).set_params(random_state=1), X) != reference


def test_a_random_state_object_moves_on_from_fit_to_fit():
    X = make_frame()
    estimator = make_estimator().set_params(random_state=np.random.RandomState(0))
    first = fingerprint(estimator.fit(X), X)
    assert fingerprint(estimator.fit(X), X) != first


def test_one_and_two_torch_threads_give_the_same_bits(two_threads):
    X, half = make_wide(), MANY_COLUMNS // 2
    estimator = make_estimator(
        modalities=[
            ("left", TabularModality(), slice(0, half)),
            ("right", TabularModality(), slice(half, None)),
        ]
    )
    with_two = fit_fingerprint(estimator, X)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert fit_fingerprint(estimator, X) == with_two


def make_sharded():
    """Return an estimator whose steps are cut into shards, and rows for it."""
    X = make_wide()[:, :300].repeat(6, 0)
    X += np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    X[:30, :150] = np.nan
    half = [("left", TabularModality(), slice(150)), ("right", TabularModality(), slice(150, 300))]
    return make_estimator(modalities=half, batch_size=256).set_params(width=256), X


def partial_fit_fingerprint(estimator, X):
    return fingerprint(clone(estimator).fit(X).partial_fit(X), X)


def test_steps_in_shards_give_the_same_bits_with_one_two_and_four_threads(two_threads):
    estimator, X = make_sharded()
    assert estimator.batch_size >= LEAST_ROWS
    found = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found.append(partial_fit_fingerprint(estimator, X))
        assert torch.get_num_threads() == threads
    assert len(set(found)) == 1


def test_fits_in_threads_and_processes_beside_give_the_same_bits_in_shards(two_threads):
    estimator, X = make_sharded()
    reference = partial_fit_fingerprint(estimator, X)
    for backend in ("threading", "loky"):
        found = joblib.Parallel(n_jobs=2, backend=backend)(
            joblib.delayed(partial_fit_fingerprint)(estimator, X) for _ in range(2)
        )
        assert found == [reference] * 2


def test_pictures_and_texts_give_the_same_bits_with_one_and_two_threads(two_threads):
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 255, (40, 32, 32, 3)).astype(np.uint8))
    texts = [
        " ".join(f"w{chr(97 + i)}{chr(97 + j)}" for i, j in rng.integers(0, 26, (30, 2)))
        for _ in range(40)
    ]
    X = pd.DataFrame({"photo": pictures, "note": texts})
    estimator = make_estimator(early_stopping=False)
    with_two = fit_fingerprint(estimator, X)
    torch.set_num_threads(1)
    assert fit_fingerprint(estimator, X) == with_two


def test_using_an_estimator_does_not_depend_on_the_threads(two_threads):
    X = make_wide()
    estimator = make_estimator(early_stopping=False).fit(X)

    def use():
        codes = estimator.transform(X)
        return codes, estimator.inverse_transform(codes), estimator.score_samples(X)

    with_two = use()
    torch.set_num_threads(1)
    for one, two in zip(use(), with_two, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_two_threads_in_a_fresh_process_and_in_what_it_forks_give_the_same_bits():
    """Nor do workers hang that were forked after a fit with two threads."""
    program = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        import torch
        from joblib import Parallel, delayed
        from test_determinism import fit_fingerprint, make_estimator, make_sharded, make_wide

        assert torch.get_num_threads() == 2
        print(fit_fingerprint(make_estimator(), make_wide()), fit_fingerprint(*make_sharded()))
        task = delayed(fit_fingerprint)(*make_sharded())
        print(*Parallel(2, backend="multiprocessing")([task] * 2))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(Path(__file__).parent)],
        env=os.environ | {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    wide = fit_fingerprint(make_estimator(), make_wide())
    assert done.stdout.split() == [wide] + [fit_fingerprint(*make_sharded())] * 3


def test_processes_beside_give_the_same_bits(mixed):
    X, estimator, reference = mixed
    found = joblib.Parallel(n_jobs=2)(
        joblib.delayed(fit_fingerprint)(estimator, X) for _ in range(2)
    )
    assert found == [reference] * 2


def test_four_threads_at_once_give_the_same_bits(mixed):
    X, estimator, reference = mixed
    found = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(fit_fingerprint)(estimator, X) for _ in range(4)
    )
    assert found == [reference] * 4


def test_threads_that_fit_leave_no_trace_on_the_thread_counts(two_threads):
    X, estimator = make_wide()[:, :300], make_estimator(early_stopping=False)

    def fit_and_count(_):
        clone(estimator).fit(X).transform(X)
        return torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(fit_and_count, range(4))) == {2}
        assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 2


def blas_threads():
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return [library["num_threads"] for library in libraries]


class CountsThreadsOfBlas(Callback):
    def on_epoch_end(self, net, **kwargs):
        self.seen_ = blas_threads()


class Interrupts(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_blas_computes_alone_until_the_last_fit_is_over():
    X, counts = make_wide()[:, :40], CountsThreadsOfBlas()
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        estimator = make_estimator(callbacks=[counts])
        with ThreadPoolExecutor(2) as pool:
            assert len(list(pool.map(lambda _: clone(estimator).fit(X), range(4)))) == 4
        assert blas_threads() == before
        estimator.fit(X)
        assert set(estimator.callbacks[0].seen_) == {1}
        with pytest.raises(KeyboardInterrupt):
            estimator.set_params(callbacks=[Interrupts()]).fit(X)
        assert blas_threads() == before


def global_state():
    return [
        torch.get_rng_state().numpy().tobytes(),
        str(np.random.get_state()),
        random.getstate(),
        torch.get_num_threads(),
        blas_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_grad_enabled(),
        np.geterr(),
    ]


@pytest.mark.parametrize(("random_state", "threads"), [(0, 2), (None, 1)])
def test_nothing_of_the_callers_changes(random_state, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        X = make_frame(holes=True)
        cells = joblib.hash(X)
        state = global_state()
        estimator = make_estimator().set_params(random_state=random_state).fit(X)
        codes = estimator.transform(X)
        estimator.inverse_transform(codes)
        estimator.impute(X)
        estimator.translate(X, to="photo")
        estimator.score(X)
        estimator.score_samples(X)
        estimator.partial_fit(X)
        assert global_state() == state
        assert joblib.hash(X) == cells
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_array_is_left_as_it_was(dtype):
    X = np.random.default_rng(0).normal(size=(60, 5)).astype(dtype)
    before = X.copy()
    estimator = make_estimator().fit(X)
    estimator.partial_fit(X)
    estimator.impute(X)
    np.testing.assert_array_equal(X, before)


def of_mixed_frame():
    X = make_frame(70, holes=True)
    return X, lambda rows: X.iloc[rows]


def of_array(dtype, *, holes):
    X = np.random.default_rng(0).normal(size=(700, 6)).astype(dtype)
    if holes:
        X[3, 2] = X[600, 1] = np.nan
    return X, lambda rows: X[rows]


@pytest.mark.parametrize(
    "make",
    [
        of_mixed_frame,
        lambda: of_array(np.float32, holes=False),
        lambda: of_array(np.float32, holes=True),
        lambda: of_array(np.float64, holes=True),
    ],
    ids=["mixed", "float32", "float32 with holes", "float64 with holes"],
)
def test_a_row_does_not_depend_on_the_rows_beside_it(make):
    X, rows_of = make()
    estimator = make_estimator().fit(X)
    together, scores = estimator.transform(X), estimator.score_samples(X)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_array_equal(estimator.transform(rows_of(order)), together[order])
    np.testing.assert_array_equal(estimator.score_samples(rows_of(order)), scores[order])
    for row in (0, 3, 4, len(X) - 1):
        np.testing.assert_array_equal(estimator.transform(rows_of([row])), together[[row]])
        np.testing.assert_array_equal(estimator.score_samples(rows_of([row])), scores[[row]])
    decoded, alone = map(estimator.inverse_transform, (together, together[[3]]))
    assert joblib.hash(np.asarray(alone)[0].tolist()) == joblib.hash(
        np.asarray(decoded)[3].tolist()
    )


def test_eight_threads_transform_at_once(mixed):
    X, estimator, _ = mixed
    parts = [X.iloc[start : start + 20] for start in (0, 5, 10, 15, 20)] * 8
    expected = [estimator.transform(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(estimator.transform, parts))
    for codes, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(codes, right)
