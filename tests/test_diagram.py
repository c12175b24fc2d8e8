"""The diagram of an estimator, in a browser: beside a picture of it that somebody looked at.

The pictures are of the versions in constraints.txt. Where the diagram is meant to change, the test
says where the new picture lies: look at it, and copy it to tests/data.
"""

import shutil

import numpy as np
import pytest
import sklearn
from conftest import ROOT
from PIL import Image, ImageFilter
from sklearn.utils import estimator_html_repr

from sklearn_mmae import MultimodalAutoencoder
from sklearn_mmae.datasets import load_digits_frame

WINDOWS = {"phone": (390, 480), "desktop": (800, 480)}  # pixels
THEMES = {"light": "background: #fff; color: #000", "dark": "background: #111; color: #eee"}
# Fonts may differ by a pixel or two. A box that moves, or is cut off, changes much more.
BLUR, MOST = 4, 32  # pixels; grey levels of 255


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")  # from the extra `docs`
    program = shutil.which("chromium")
    if program is None or not sklearn.__version__.startswith("1.9."):
        pytest.skip("needs chromium, and scikit-learn 1.9, which drew the pictures")
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(executable_path=program, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def diagram():
    frame = load_digits_frame()[:50]
    fitted = MultimodalAutoencoder(n_components=4, max_epochs=0, random_state=0).fit(frame)
    return estimator_html_repr(fitted)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("theme", THEMES)
def test_the_diagram_looks_as_it_did(browser, diagram, window, theme, tmp_path):
    width, height = WINDOWS[window]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_content(f'<body style="{THEMES[theme]}">{diagram}</body>')
    new = tmp_path / f"diagram_{window}_{theme}.png"
    page.screenshot(path=new)
    page.close()
    pictures = [Image.open(file).convert("L") for file in (new, ROOT / "tests" / "data" / new.name)]
    shown, before = (
        np.asarray(picture.filter(ImageFilter.GaussianBlur(BLUR)), dtype=float)
        for picture in pictures
    )
    assert abs(shown - before).max() < MOST, f"the diagram has changed: look at {new}"
