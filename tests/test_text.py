"""What users of text columns rely on."""

import pickle
import sys
import unicodedata
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from torch.nn import functional as F

from sklearn_mmae import MultimodalAutoencoder, MultimodalVAE
from sklearn_mmae._core.errors import CellError, CellTypeError, DataWarning
from sklearn_mmae.modalities import TabularModality
from sklearn_mmae.modalities.text._cells import decode_tokens, encode_tokens, learn_tokens
from sklearn_mmae.modalities.text._modality import TextModality
from sklearn_mmae.modalities.text._network import TextNetwork
from sklearn_mmae.model._read import as_rows
from sklearn_mmae.nn._blocks import initialise, matmul
from sklearn_mmae.nn._sparse import as_tensors
from sklearn_mmae.tables._cells import Cells

NAMES = [
    "red heart",
    "blue heart",
    "smiling face",
    "smiling face with heart eyes",
    "red car",
    "blue car",
    "police car",
    "",
    None,
]


def cells_of(texts, name="name"):
    column = np.empty(len(texts), object)
    column[:] = texts
    return Cells((name,), (column,))


def tensors_of(values):
    return {name: tensor[:] for name, tensor in as_tensors(values.tensors).items()}


def built(modality, n_components=4, width=16, seed=0):
    network = modality.network(n_components, width, 0.0)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def fitted(texts=NAMES, **options):
    """Return a modality, its values and tensors for texts, and a network."""
    modality = TextModality(**options).fit(cells_of(texts))
    values = modality.transform(cells_of(texts))
    return modality, values, tensors_of(values), built(modality)


def sentences(n):
    who = ["The old cat", "A dog", "My sister", "Mr. O'Neil", "Nobody"]
    does = ["sees", "doesn't like", "buys", "paints", "remembers"]
    what = ["3 red apples.", "the sea!", "Zürich,  in winter", "a house (blue)", "you?"]
    every = [f"{a} {b} {c}" for a in who for b in does for c in what]
    return [every[i] for i in np.random.default_rng(0).permutation(len(every))[:n]]


# ------------------------------------------------------------------ view and deviance


HASHED = HashingVectorizer(n_features=64)


@pytest.mark.parametrize("vectorizer", ["subwords", None, HASHED, ["subwords", HASHED]])
def test_view_is_centred_with_variance_one_and_zero_in_the_holes(vectorizer):
    _, values, tensors, network = fitted(vectorizer=vectorizer)
    view = network.view(tensors).to_dense()
    assert view.shape == (len(NAMES), network.n_view)
    np.testing.assert_allclose(view[values.present].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(view[values.present].square().sum(1).mean(), 1, rtol=1e-5)
    assert (view[~torch.from_numpy(values.present)] == 0).all()


@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_null_deviance_has_mean_one(decoder):
    _, values, tensors, network = fitted(decoder=decoder)
    null = network.null_outputs.expand(len(NAMES), -1)
    deviance = network.deviance(null, tensors).detach()
    np.testing.assert_allclose(deviance[values.present].mean(), 1, rtol=1e-5)
    assert (deviance[~values.present] == 0).all()


def test_words_deviance_is_the_divergence_of_the_tf_idf_shares():
    modality, _, tensors, network = fitted(["a b b", "a c", "c d"], vectorizer=None)
    assert modality.vocabulary_ == ["a", "b", "c", "d"]
    idf = np.log(4 / (1 + np.array([2, 1, 2, 1]))) + 1
    damped = np.array([[1, 1 + np.log(2), 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]]) * idf
    shares = damped / damped.sum(1, keepdims=True)
    outputs = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))

    def divergence(log_p):
        log_shares = np.log(np.where(shares > 0, shares, 1))
        return (shares * (log_shares - log_p)).sum(1)

    null = divergence(np.log(shares.mean(0))).mean()
    expected = divergence(F.log_softmax(outputs, -1).numpy()) / null
    np.testing.assert_allclose(network.deviance(outputs, tensors), expected, rtol=1e-5)
    perfect = torch.from_numpy(np.log(shares + 1e-12)).float()
    np.testing.assert_allclose(network.deviance(perfect, tensors), 0, atol=1e-5)


@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_several_codes_of_a_row_give_what_each_gives(decoder):
    _, _, tensors, network = fitted(decoder=decoder)
    code = torch.randn(2, 3, len(NAMES), 4, generator=torch.Generator().manual_seed(0))
    outputs = network.decode(code)
    deviance = network.deviance(outputs, tensors)
    assert deviance.shape == (2, 3, len(NAMES))
    alone = network.deviance(outputs[1, 2], tensors)
    np.testing.assert_allclose(deviance[1, 2].detach(), alone.detach(), rtol=1e-5)


@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_gradients_are_finite_with_holes_empty_and_unknown_texts(decoder):
    modality, _, _, network = fitted(decoder=decoder)
    tensors = tensors_of(modality.transform(cells_of(["", "   ", "qqqq!?", None, np.nan, pd.NA])))
    # Not at zero, or nothing would reach the deeper layers.
    initialise(network, torch.Generator().manual_seed(1), residuals_at_zero=False)
    features = network.encode(network.view(tensors))
    network.deviance(network.decode(features[:, :4]), tensors).sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_a_row_does_not_depend_on_the_rows_beside_it(decoder):
    modality, _, tensors, network = fitted(decoder=decoder)
    long = cells_of([NAMES[3], " ".join(NAMES[:7]) * 20])
    beside_long = tensors_of(modality.transform(long))
    assert torch.equal(network.view(beside_long).to_dense()[0], network.view(tensors).to_dense()[3])
    outputs = network.null_outputs.expand(2, -1)
    deviance = network.deviance(outputs, beside_long)[0]
    alone = network.deviance(network.null_outputs.expand(9, -1), tensors)[3]
    np.testing.assert_allclose(deviance.detach(), alone.detach(), rtol=1e-6)


def test_linear_start_explains_the_words():
    _, _, tensors, network = fitted(NAMES[:7] * 3)
    view = network.view(tensors).to_dense()
    _, spread, axes = torch.linalg.svd(view, full_matrices=False)
    spread = spread[:4] / len(view) ** 0.5
    code = view @ axes[:4].T / spread
    deviances = []
    for gain in (0.25, 0.5, 1.0, 2.0):
        network.gain.fill_(gain)
        network.start(axes[:4].T * spread)
        with torch.no_grad():
            deviances.append(float(network.deviance(network.decode(code), tensors).mean()))
    assert min(deviances) < 0.6


@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_start_alone_predicts_the_average_row(decoder):
    _, _, _, network = fitted(decoder=decoder)
    network.start(torch.zeros(network.n_view, 4))
    outputs = network.decode(torch.zeros(1, 4))[0]
    np.testing.assert_allclose(
        outputs[: network.n_logits].detach(), network.null_outputs[: network.n_logits]
    )


def test_noise_drops_words_and_leaves_holes_and_other_cells_alone():
    _, values, tensors, network = fitted()
    sparse, generator = network.view(tensors), torch.Generator().manual_seed(0)
    view, noisy = sparse.to_dense(), network.corrupt(sparse, 0.5, generator).to_dense()
    changed = noisy != view
    has_it = (view + network.mean).abs() > 1e-6
    assert (changed & has_it).sum() > 10
    assert not (changed & ~has_it).any()
    assert (noisy[~torch.from_numpy(values.present)] == 0).all()
    torch.testing.assert_close(noisy[changed], (-network.mean).expand_as(view)[changed])
    assert torch.equal(network.corrupt(sparse, 0.0, generator).to_dense(), view)


def test_products_and_gradients_of_a_sparse_view_are_those_of_the_dense_one():
    texts = [*sentences(60), None, ""]
    _, _, tensors, network = fitted(texts)
    view, generator = network.view(tensors), torch.Generator().manual_seed(0)
    view = network.corrupt(view, 0.3, generator)
    dense = view.to_dense()
    weight = torch.randn(24, network.n_view, generator=generator, requires_grad=True)
    bias = torch.randn(24, generator=generator)
    slope = torch.randn(len(texts), 24, generator=generator)
    product, expected = matmul(view, weight, bias), matmul(dense, weight, bias)
    torch.testing.assert_close(product, expected, atol=1e-5, rtol=1e-5)
    (found,), (known,) = (
        torch.autograd.grad(values, weight, slope) for values in (product, expected)
    )
    assert (found - known).abs().max() < 1e-6 * known.abs().max()
    # As the linear start multiplies.
    view, dense, basis = view.double(), dense.double(), weight.detach().T.double()
    torch.testing.assert_close(view @ basis, dense @ basis, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        view.T @ slope.double(), dense.T @ slope.double(), rtol=1e-6, atol=1e-6
    )
    some = torch.tensor([60, 3, 17])
    alone = network.view({name: rows[some] for name, rows in tensors.items()}).double() @ basis
    assert torch.equal(alone, (network.view(tensors).double() @ basis)[some])


@pytest.mark.parametrize("estimator", [MultimodalAutoencoder, MultimodalVAE])
@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_a_start_from_sparse_views_is_that_from_dense_ones(monkeypatch, estimator, decoder):
    rng = np.random.default_rng(0)
    words = ["".join(letters) for letters in rng.choice([*"abcdefghijkl"], (200, 6))]
    wide = [" ".join(some) for some in rng.choice(words, (120, 9))]
    X = pd.DataFrame({"text": sentences(120), "other": wide, "n": range(120)})
    X.loc[5, "text"] = None
    modalities = [(name, TextModality(decoder=decoder), [name]) for name in ("text", "other")]
    modalities.append(("n", TabularModality(), ["n"]))
    model = estimator(modalities, n_components=8, max_epochs=0, random_state=0)
    sparse = clone(model).fit(X)
    assert sparse.net_.module_.networks[1].n_view > 700, "as wide as what is reduced first"
    view = TextNetwork.view
    monkeypatch.setattr(TextNetwork, "view", lambda *args: view(*args).to_dense())
    dense = clone(model).fit(X)
    np.testing.assert_allclose(sparse.transform(X), dense.transform(X), atol=1e-4)
    np.testing.assert_allclose(sparse.score(X), dense.score(X), rtol=1e-5)


def test_a_transformer_can_be_the_vectorizer():
    texts = [f"{colour} {thing}" for colour in ("red", "blue", "green") for thing in "abcdefgh"]
    vectorizer = make_pipeline(HashingVectorizer(n_features=512), TruncatedSVD(5, random_state=0))
    modality, _, tensors, network = fitted(texts, vectorizer=vectorizer)
    assert network.n_view == len(modality.vocabulary_) + 5
    own = network.view(tensors).to_dense()[:, -5:]
    np.testing.assert_allclose(own.square().sum(1).mean(), 0.5, rtol=1e-5)  # half of the view
    assert not hasattr(vectorizer[1], "components_")  # the user's own was not fitted
    nothing = modality.transform(cells_of([None, None]))
    assert (network.view(tensors_of(nothing)).to_dense() == 0).all()


TOYS = [f"{colour} {thing}" for colour in ("red", "blue", "green") for thing in "abcdefgh"]
REDUCED = make_pipeline(HashingVectorizer(n_features=512), TruncatedSVD(5, random_state=0))


def test_each_of_a_list_is_a_block_of_the_same_variance():
    vectorizer = [REDUCED, "subwords", HASHED, REDUCED]
    modality, _, tensors, network = fitted(TOYS, vectorizer=vectorizer)
    widths = [len(modality.vocabulary_), 5, len(modality.subwords_), 64, 5]
    blocks = network.view(tensors).to_dense().split(widths, 1)
    for block in blocks:
        np.testing.assert_allclose(block.square().sum(1).mean(), 0.2, rtol=1e-5)
    np.testing.assert_array_equal(blocks[1], blocks[4])
    assert [type(one) for one in modality.vectorizers_] == [
        type(one) for one in (REDUCED, HASHED, REDUCED)
    ]
    alone = fitted(TOYS, vectorizer=REDUCED)
    np.testing.assert_allclose(
        blocks[1], alone[3].view(alone[2]).to_dense()[:, -5:] * np.sqrt(2 / 5), rtol=1e-4, atol=1e-6
    )


def test_codes_of_a_list_are_not_those_of_each():
    X = pd.DataFrame({"name": TOYS})

    def codes(vectorizer):
        modalities = [("name", TextModality(vectorizer=vectorizer), ["name"])]
        mmae = MultimodalAutoencoder(modalities, n_components=3, max_epochs=0, random_state=0)
        return mmae.fit_transform(X)

    both = codes(["subwords", HASHED])
    np.testing.assert_array_equal(both, codes(("subwords", HASHED)))
    for alone in ("subwords", HASHED, None):
        assert abs(both - codes(alone)).max() > 1e-3
    np.testing.assert_array_equal(codes(["subwords"]), codes("subwords"))


@pytest.mark.parametrize("vectorizer", [HASHED, CountVectorizer(), TfidfVectorizer()])
def test_scikit_learns_vectorizers_see_what_they_see_elsewhere(vectorizer):
    _, _, tensors, network = fitted(TOYS, vectorizer=vectorizer)
    columns = clone(vectorizer).fit_transform(np.array(TOYS)).toarray()
    view = (network.view(tensors).to_dense() + network.mean)[:, -columns.shape[1] :].numpy()
    largest = np.unravel_index(columns.argmax(), columns.shape)
    scale = view[largest] / columns[largest]
    np.testing.assert_allclose(view, scale * columns, atol=1e-6)


def skrubs_encoder(name, tmp_path, monkeypatch):
    skrub = pytest.importorskip("skrub")
    if name == "TextEncoder":
        # All that it asks of sentence-transformers, which are too large for a test.
        def encode(texts, **options):
            return np.array([[len(text), text.count("e"), ord(text[0])] for text in texts], float)

        def load(*args, **options):
            return SimpleNamespace(encode=encode)

        stub = SimpleNamespace(SentenceTransformer=load)
        monkeypatch.setitem(sys.modules, "sentence_transformers", stub)
        kind = getattr(skrub, "LLMEncoder", None) or skrub.TextEncoder  # it has a new name
        return kind(n_components=2, cache_folder=str(tmp_path))
    encoder = getattr(skrub, name)(n_components=2)
    return encoder.set_params(random_state=0) if "random_state" in vars(encoder) else encoder


@pytest.mark.parametrize("name", ["StringEncoder", "GapEncoder", "MinHashEncoder", "TextEncoder"])
def test_skrubs_encoders_can_be_the_vectorizer(name, tmp_path, monkeypatch):
    vectorizer = ["subwords", skrubs_encoder(name, tmp_path, monkeypatch)]
    modality, values, tensors, network = fitted(TOYS, vectorizer=vectorizer)
    own = network.view(tensors).to_dense()[:, -2:]
    np.testing.assert_allclose(own.square().sum(1).mean(), 1 / 3, rtol=1e-5)
    few = modality.transform(cells_of([TOYS[3], None]))
    of_few, of_all = (rows.tensors["weights"].toarray() for rows in (few, values))
    np.testing.assert_allclose(of_few[0], of_all[3], rtol=1e-5)


# ------------------------------------------------------------------ the way back


def test_exact_predictions_come_back_as_the_words_of_each_row():
    modality, values, tensors, network = fitted()
    present = torch.from_numpy(values.present)
    words = network.view(tensors).to_dense()[:, : network.n_words] + network.mean[: network.n_words]
    outputs = (words[present] + 1e-12).log()
    (texts,) = modality.inverse_transform(network.predict(outputs).numpy())
    assert texts.dtype == object
    for text, original in zip(texts[:7], NAMES, strict=False):
        assert sorted(text.split()) == sorted(original.split())


def test_at_most_n_words_come_back_and_the_average_row_is_the_most_usual_ones():
    modality, _, _, network = fitted(n_words=2)
    ids = network.predict(network.null_outputs[None]).numpy()
    (texts,) = modality.inverse_transform(ids)
    usual = np.argsort(-modality.shares_, kind="stable")[:2]
    assert texts[0].split() == [modality.vocabulary_[i] for i in usual]


def test_a_constant_column_comes_back():
    modality, _, tensors, network = fitted(["red car"] * 4)
    assert network.view(tensors).to_dense().abs().max() < 1e-6
    assert network.deviance(network.null_outputs.expand(4, -1), tensors).abs().max() < 1e-5
    (texts,) = modality.inverse_transform(network.predict(network.null_outputs[None]).numpy())
    assert sorted(texts[0].split()) == ["car", "red"]


def test_tokens_join_to_the_same_text():
    texts = [
        *sentences(40),
        "",
        "  two  spaces ",
        "tab\tand\nnewline",
        "naïve 👩‍🚀 שלום !!",
        "\x00",
    ]
    tokens = learn_tokens(texts, 1000, 64)
    codes = encode_tokens(texts, tokens, 64)
    assert decode_tokens(codes.clip(0), tokens).tolist() == texts
    few = learn_tokens(texts, 3, 64)  # what is not among the pieces is spelled
    assert decode_tokens(encode_tokens(texts, few, 64).clip(0), few).tolist() == texts


def test_sequence_decoder_writes_sentences_back():
    texts = sentences(50)
    modality = TextModality(decoder="sequence").fit(cells_of(texts))
    tensors = tensors_of(modality.transform(cells_of(texts)))
    network = built(modality, n_components=16, width=64)
    view = network.view(tensors).to_dense()
    _, spread, axes = torch.linalg.svd(view, full_matrices=False)
    code = view @ axes[:16].T / (spread[:16] / len(view) ** 0.5)
    network.gain.fill_(0.25)
    network.start(axes[:16].T * spread[:16] / len(view) ** 0.5)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = network.deviance(network.decode(code), tensors).mean()
        loss.backward()
        optimizer.step()
    (written,) = modality.inverse_transform(network.predict(network.decode(code)).numpy())
    assert np.mean([a == b for a, b in zip(written, texts, strict=True)]) >= 0.8
    assert float(loss.detach()) < 0.1


# ------------------------------------------------------------------ cells


def test_holes_are_absent_and_empty_texts_are_present():
    modality, *_ = fitted()
    values = modality.transform(cells_of([None, np.nan, pd.NA, "", "  ", "unknownword", "red"]))
    assert values.present.tolist() == [False] * 3 + [True] * 4
    assert np.isfinite(values.tensors["weights"].data).all()
    whole = modality.transform(cells_of(["red"]))
    assert "present" not in whole.tensors
    nothing = modality.transform(cells_of([None, None]))
    assert not nothing.present.any()
    assert nothing.tensors["weights"].nnz == 0


@pytest.mark.parametrize("cell", [3, 2.5, b"bytes", ["a", "list"], True])
def test_what_is_not_text_is_an_error_that_names_column_and_rows(cell):
    texts = ["red", cell, None, cell]
    with pytest.raises(CellTypeError, match=r"column 'name', rows 1, 3: holds .*str"):
        TextModality().fit(cells_of(texts))
    modality, *_ = fitted()
    with pytest.raises(CellTypeError, match=r"rows 1, 3"):
        modality.transform(cells_of(texts))


def test_odd_characters_survive():
    odd = ["caf\u00e9", "cafe\u0301", "\ud800 lone", "nul\x00byte", "שלום עולם", "😀 😀🚗"]
    for decoder in ("words", "sequence"):
        modality, _, tensors, network = fitted(odd, decoder=decoder)
        view = network.view(tensors).to_dense()
        assert torch.equal(view[0], view[1])  # composed or not, it is the same word
        assert {"café", "שלום", "😀", "🚗"} <= set(modality.vocabulary_)
    # Whatever is learned can be written to a file.
    "".join([*modality.vocabulary_, *modality.subwords_, *modality.tokens_]).encode("utf-8")


def test_a_huge_cell_is_cut_with_a_warning_that_names_its_row():
    huge = "word" + " blue red" * 1_200_000
    with pytest.warns(DataWarning, match=r"column 'name', row 1: longer than 1,000,000"):
        modality = TextModality().fit(cells_of(["red heart", huge, "blue"]))
    with pytest.warns(DataWarning):
        values = modality.transform(cells_of(["red heart", huge, "blue"]))
    assert values.nbytes < 10_000


def test_a_long_text_keeps_its_most_telling_words():
    text = " ".join(f"w{i}" for i in range(2000))
    modality = TextModality(vectorizer=None).fit(cells_of([text, "w1 w2", "w1"]))
    values = modality.transform(cells_of([text]))
    (kept,) = values.tensors["weights"].tolil().rows
    assert len(kept) == 512
    assert modality.vocabulary_.index("w1") not in kept  # the usual ones go


@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_one_long_text_makes_no_other_row_long(decoder):
    long = " ".join(f"w{i}" for i in range(400))
    short = ["red heart", "blue car", "a red car", None, ""] * 100
    modality = TextModality(decoder=decoder, max_length=8).fit(cells_of([*short, long]))
    values = modality.transform(cells_of(short))
    beside = modality.transform(cells_of([*short, long]))
    alone = modality.transform(cells_of([long]))
    assert beside.nbytes <= values.nbytes + alone.nbytes + 1  # its `present`
    # A batch is as wide as its own rows ask, and holds the same numbers.
    rows, wide = as_rows([beside], np.zeros(501, int)), tensors_of(beside)["weights"]
    of_short, of_long = (
        rows.take(torch.tensor(some)).values[0]["weights"] for some in ([3, 2, 2], [0, 500])
    )
    assert of_short.shape[1] < 50 < 400 <= of_long.shape[1] == wide.shape[1]
    assert torch.equal(of_short, wide[[3, 2, 2], : of_short.shape[1]])
    assert torch.equal(of_long, wide[[0, 500]])
    assert not wide[[3, 2, 2], of_short.shape[1] :].any()


def test_numpy_and_pandas_strings_are_text():
    plain = TextModality().fit(Cells(("name",), (np.array(["red car", "blue car"]),)))
    column = pd.Series(["red car", "blue car"], dtype="str").to_numpy(object)
    assert plain.vocabulary_ == TextModality().fit(Cells(("name",), (column,))).vocabulary_


def test_two_columns_or_no_text_or_no_words_are_errors():
    column = cells_of(["red"]).columns[0]
    with pytest.raises(CellError, match=r"one column, not 2 \('a', 'b'\)\. Give each"):
        TextModality().fit(Cells(("a", "b"), (column, column)))
    for texts in ([None, None], ["", " ", "!!"]):
        with pytest.raises(CellError, match=r"column 'name': no word .*Leave the column out"):
            TextModality().fit(cells_of(texts))


class Broken(BaseEstimator):
    """A vectorizer whose columns are `columns`."""

    def __init__(self, columns=None):
        self.columns = columns

    def fit(self, texts):
        """Learn nothing."""
        return self

    def transform(self, texts):
        """Return the columns."""
        return self.columns


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (np.array([[1.0], [np.nan], [0.0]]), r"row 2: Broken gave .*not finite"),
        (csr_array([[1.0], [np.nan], [0.0]]), r"row 2: Broken gave .*not finite"),
        (np.array([[1.0], [1e39], [0.0]]), r"row 2: Broken gave .*too large"),
        (np.zeros((2, 4)), r"'name': Broken gave .*shape \(2, 4\) for 3 texts"),
        (np.zeros(3), r"shape \(3,\) for 3 texts"),
        (np.zeros((3, 0)), r"shape \(3, 0\) for 3 texts.*a column at least"),
        (np.zeros((3, 20_001)), r"20,001 columns.*TruncatedSVD"),
    ],
)
def test_a_bad_vectorizer_is_an_error(columns, message):
    for vectorizer in (Broken(columns), ["subwords", Broken(columns)]):
        with pytest.raises(CellError, match=message):
            TextModality(vectorizer=vectorizer).fit(cells_of(["a", None, "b", "c"]))


def test_a_vectorizer_whose_columns_change_is_an_error():
    modality = TextModality(vectorizer=["subwords", Broken(np.eye(3))]).fit(
        cells_of(["a", "b", "c"])
    )
    modality.vectorizers_[0].columns = np.eye(3)[:, :2]
    with pytest.raises(CellError, match=r"Broken gave 2 columns, in fit 3.*same columns"):
        modality.transform(cells_of(["a", "b", "c"]))


def test_parameters_of_a_transformer_are_reached_where_it_stands_alone():
    alone = TextModality(vectorizer=HashingVectorizer()).set_params(vectorizer__n_features=8)
    assert alone.vectorizer.n_features == 8
    listed = TextModality(vectorizer=["subwords", HashingVectorizer()])
    assert (
        listed.set_params(vectorizer=["subwords", alone.vectorizer]).vectorizer[1].n_features == 8
    )


def test_text_columns_are_told_from_others():
    def accepts(*column):
        return TextModality.accepts("x", cells_of(column).columns[0])

    assert accepts("a b c", None, "d")
    assert TextModality.accepts("x", np.array(["a", "b"]))
    assert not accepts("a", 1)
    assert not accepts(None, None)
    assert not TextModality.accepts("x", np.zeros(3))
    assert not TextModality.accepts("x", np.zeros((3, 4, 4)))


# ------------------------------------------------------------------ estimator


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": "word"}, "Did you mean 'words'"),
        ({"vectorizer": "subword"}, "Did you mean 'subwords'"),
        ({"vectorizer": ["subword"]}, r"vectorizer\[0\]='subword'.*Did you mean 'subwords'"),
        ({"vectorizer": []}, r"vectorizer=\[\]: list one at least, or give None"),
        (
            {"vectorizer": ["subwords", None]},
            r"vectorizer\[1\]=None: give 'subwords', 'phrases', or a trans",
        ),
        ({"vectorizer": ["subwords", HASHED, "subwords"]}, "list 'subwords' once"),
        ({"vectorizer": [HashingVectorizer]}, r"is a class. Write HashingVectorizer\(\)"),
        (
            {"vectorizer": 3},
            "vectorizer=3: give 'subwords', 'phrases', None, a transformer, or a list",
        ),
        ({"n_words": 0}, "n_words=0"),
        ({"max_length": 2.5}, "max_length=2.5"),
        ({"max_length": True}, "max_length=True"),
        ({"max_features": 0}, "max_features"),
        ({"stop_words": "klingon"}, "stop_words"),
    ],
)
def test_parameters_out_of_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message):
        TextModality(**options).fit(cells_of(NAMES))


def test_every_parameter_changes_the_result():
    texts = ["the red heart and the blue heart", "the car", "a smiling face with heart eyes"]
    default = fitted(texts)[0]
    assert "the" not in fitted(texts, stop_words="english")[0].vocabulary_
    assert fitted(texts, max_features=2)[0].vocabulary_ == ["heart", "the"]
    assert len(fitted(texts, vectorizer=None)[0].mean_) < len(default.mean_)
    assert fitted(texts, n_words=1)[3].n_key_words == 1
    assert fitted(texts, decoder="sequence", max_length=3)[0].n_tokens_ == 3


@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_what_is_learned_is_plain_and_the_same_every_time(decoder):
    modality, values, *_ = fitted(decoder=decoder)
    learned = {name: value for name, value in vars(modality).items() if name.endswith("_")}
    assert all(isinstance(value, list | np.ndarray | float | int) for value in learned.values())
    again = clone(modality).fit(cells_of(NAMES))
    for name, value in learned.items():
        np.testing.assert_array_equal(getattr(again, name), value)
    at_once = clone(modality).fit_transform(cells_of(NAMES))
    restored = pickle.loads(pickle.dumps(modality)).transform(cells_of(NAMES))
    for other in (restored, at_once):
        for name, tensor in tensors_of(values).items():
            assert torch.equal(tensors_of(other)[name], tensor)


@pytest.mark.parametrize("decoder", ["words", "sequence"])
def test_the_global_random_state_and_the_input_stay_as_they_were(decoder):
    cells = cells_of(NAMES)
    before, state = list(cells.columns[0]), torch.get_rng_state()
    modality = TextModality(decoder=decoder).fit(cells)
    network = built(modality)
    network.predict(network.decode(torch.zeros(3, 4)))
    network.corrupt(network.view(tensors_of(modality.transform(cells))), 0.3, torch.Generator())
    assert torch.equal(torch.get_rng_state(), state)
    assert list(cells.columns[0]) == before


# Scripts of the world ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["हिन्दी", "किताब", "क्रिकेट", "खिलाड़ी"],
        ["తెలుగు", "పుస్తకం"],
        ["ภาษาไทย", "น้ำ"],
        ["שָׁלוֹם", "עוֹלָם"],
        ["كِتَابٌ", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"],
        [
            "👩\u200d❤️\u200d👨",
            "🇫🇷",
            "👍🏽",
            "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
            "⭐",
        ],
        ["don't", "isn\u2019t", "naïve", "c3"],
    ],
)
def test_words_are_whole_in_every_script(words):
    texts = np.array([" ".join(words)] * 3, object)
    assert TextModality().fit(Cells(("t",), (texts,))).vocabulary_ == sorted(
        unicodedata.normalize("NFC", word) for word in words
    )


@given(st.text())
def test_pieces_join_to_the_text(text):
    tokens = learn_tokens([text], None, 10_000)
    assert decode_tokens(encode_tokens([text], tokens, 10_000), tokens)[0] == text


# Steps with many words ---------------------------------------------------------------------------


def many_words(rng, n_rows=40, n_words=1100):
    words = np.array([f"w{i}" for i in range(n_words)])
    counts = rng.integers(3, 12, n_rows)
    rows = [" ".join(rng.choice(words, count)) for count in counts]
    texts = [*rows, " ".join(words), " ".join(words), None]
    modality = TextModality(vectorizer=None).fit(cells_of(texts))
    return modality, tensors_of(modality.transform(cells_of([*rows[:9], None])))


def test_a_step_estimates_the_deviance_of_many_words_by_some_of_them():
    modality, tensors = many_words(np.random.default_rng(0))
    network = built(modality)
    assert network.n_words > 1024
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3, generator=generator)
    codes = torch.randn(2, 10, 4, generator=generator)
    with torch.no_grad():
        exact = network.deviance(network.decode(codes), tensors)
        estimates = torch.stack([network.decoded_deviance(codes, tensors) for _ in range(200)])
        assert torch.equal(network.eval().decoded_deviance(codes, tensors), exact)
    assert (estimates[..., -1] == 0).all()  # the row without words
    assert estimates[:, 0, 0].std() > 0
    torch.testing.assert_close(estimates.mean(0), exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("is_linear", [False, True])
def test_some_outputs_are_those_of_all(is_linear):
    network = built(many_words(np.random.default_rng(0))[0])
    network.keep_linear(is_linear)
    codes, some = torch.randn(3, 4), torch.tensor([5, 0, 700])
    torch.testing.assert_close(
        network.decoder.some(codes, some), network.decode(codes)[:, some], rtol=1e-5, atol=1e-5
    )
