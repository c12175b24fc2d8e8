"""What the documentation shows runs, in order, and does what it says."""

import importlib
import re
import sys
import warnings
from types import ModuleType

import numpy as np
import pytest
from conftest import ROOT
from sklearn.base import clone

from sklearn_mmae import datasets
from sklearn_mmae.datasets import load_digits_frame

PAGES = sorted(ROOT.glob("docs/**/*.md")) + sorted(ROOT.glob("*.md"))
PUBLIC = (
    "",
    ".alignment",
    ".cells",
    ".datasets",
    ".displays",
    ".fusion",
    ".metrics",
    ".modalities",
    ".nn",
    ".objectives",
    ".testing",
)
COMPASS = ROOT / "docs" / "add_a_modality.md"
WORKS_WITH = ROOT / "docs" / "works_with.md"
NEEDS = {ROOT / "docs" / "text.md": "wordllama"}  # from the extra `docs`
# They show the digits, and claim nothing of them: it is enough to run on some.
SHOW_DIGITS = [ROOT / "README.md", ROOT / "docs" / "index.md", ROOT / "docs" / "user_guide.md"]


def some_digits(*, return_target=False):
    frame, digit = load_digits_frame(return_target=True)
    return (frame[:250], digit[:250]) if return_target else frame[:250]


def run(page):
    """Run the blocks of a page in one namespace, and return it."""
    text = page.read_text(encoding="utf-8")
    # A module that can be imported: the classes of a page are to be pickled, as a user's are.
    module = sys.modules[f"page_{page.stem}"] = ModuleType(f"page_{page.stem}")
    namespace = vars(module)
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        # Blank lines before it, so that a traceback has the line of the page.
        before = "\n" * (text.count("\n", 0, block.start()) + 1)
        exec(compile(before + block[1], str(page), "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def compass():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return run(COMPASS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch, request):
    if page == COMPASS:
        request.getfixturevalue("compass")
        return
    if page == WORKS_WITH:
        pytest.skip("test_works_with.py runs it, package by package")
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    if page in SHOW_DIGITS:
        monkeypatch.setattr(datasets, "load_digits_frame", some_digits)
    monkeypatch.chdir(tmp_path)
    run(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert len(prose.split()) < 700
    paragraphs = [part for part in re.split(r"\n\s*\n", prose) if not part.startswith("|")]
    assert max(len(part.split()) for part in paragraphs) <= 60


def test_every_public_name_has_a_page_in_the_api_reference():
    pages = (ROOT / "docs" / "api").glob("*.rst")
    reference = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    listed = set(re.findall(r"^   (?:\w+\.)*(\w+)$", reference, re.MULTILINE))
    for part in PUBLIC:
        module = importlib.import_module(f"sklearn_mmae{part}")
        names = {name for name in module.__all__ if callable(getattr(module, name))}
        assert not names - listed


def apart(one, other):
    """Return the angle between directions in degrees, 0 to 180."""
    return np.abs((np.asarray(one) - np.asarray(other) + 180) % 360 - 180)


def test_an_outside_modality_is_translated_and_imputed(compass):
    wind, weather = compass["wind"], compass["weather"]
    hole = weather["wind"].isna()
    assert compass["guessed"].columns.tolist() == ["wind"]
    assert apart(compass["guessed"]["wind"], wind).mean() < 15  # by chance: 90
    whole = compass["whole"]
    assert apart(whole["wind"], wind)[hole].mean() < 15
    assert (whole["wind"][~hole] == weather["wind"][~hole]).all()
    assert whole["wind"].between(0, 360).all()


def test_north_has_no_seam(compass):
    mmae, weather = compass["mmae"], compass["weather"]
    near_north = weather[apart(weather["wind"].fillna(180), 0) < 20]
    assert near_north["wind"].max() - near_north["wind"].min() > 300
    again = mmae.reconstruct(near_north)
    assert apart(again["wind"], near_north["wind"]).mean() < 10


def test_the_parameters_of_an_outside_modality_are_reached(compass):
    mmae = clone(compass["mmae"]).set_params(wind__n_points=8, max_epochs=0)
    again = mmae.fit(compass["weather"]).reconstruct(compass["weather"])
    assert set(again["wind"]) <= set(np.arange(0, 360, 45))


def test_an_outside_modality_may_be_absent_later(compass):
    mmae, weather = compass["mmae"], compass["weather"]
    assert np.isfinite(mmae.transform(weather[["temperature", "rain"]])).all()
    assert np.isfinite(mmae.transform(weather[["wind"]].dropna())).all()


def test_an_error_of_an_outside_modality_is_located(compass):
    weather = compass["weather"].copy()
    weather.loc[7, "wind"] = 400
    with pytest.raises(ValueError, match=r"modality 'wind', column 'wind', row 7: .*0 to 360"):
        compass["mmae"].transform(weather)
