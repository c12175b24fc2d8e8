"""Whether the pages of the built site hold in a browser: ``python docs/check_pages.py FOLDER``.

Chromium opens each page as a phone and as a desktop, light and dark. What is wrong is printed, line
by line: what is wider than the window, text of too little contrast (WCAG AA), images and links
without a text, images that do not load, links within the site that lead nowhere. A second folder
gets a picture of each page, to be looked at: ``python docs/check_pages.py FOLDER PICTURES``.
"""

import functools
import multiprocessing
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import axe_playwright_python
from playwright.sync_api import sync_playwright

WIDTHS = (390, 1280)  # of a phone and of a desktop, in pixels
THEMES = ("light", "dark")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OF_THE_THEME = ("_static",)  # templates, not pages
RULES = ["button-name", "color-contrast", "document-title", "image-alt", "label", "link-name"]
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
PROCESSES = 2

# What stands out of the window and cannot be scrolled to within a box of its own.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = (element) => element && (
    getComputedStyle(element).overflowX !== "visible" || scrolls(element.parentElement));
  const out = [...document.body.querySelectorAll("*")].filter((element) =>
    element.getBoundingClientRect().right > width + 1
    && element.checkVisibility({ visibilityProperty: true })
    && !scrolls(element.parentElement));
  const name = (element) => `<${element.localName} class="${element.className}">`;
  return document.documentElement.scrollWidth > width || out.length
    ? [...new Set(out.map(name))].slice(0, 3).join(" ") || "the page" : null;
}"""
# Lists of addresses and names, and images that are broken or say nothing where they are content.
CONTENT = """() => ({
  links: [...document.querySelectorAll("a[href]")].map((link) => link.href),
  names: [...document.querySelectorAll("[id]")].map((element) => element.id),
  broken: [...document.images].filter((image) => image.complete && !image.naturalWidth)
    .map((image) => image.src),
  silent: [...document.querySelectorAll("article img")]
    .filter((image) => !image.alt.trim() && !image.closest(".sphx-glr-thumbcontainer"))
    .map((image) => image.src),
})"""
ASK_AXE = """(rules) => axe.run({ runOnly: rules, resultTypes: ["violations"] }).then(
  (result) => result.violations.flatMap((rule) => rule.nodes.map((node) =>
    `${rule.id}: ${node.html.slice(0, 100)} ${node.any[0]?.message ?? ""}`)))"""


def chromium():
    """Return the path of the browser, None if there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def open_page(browser):
    """Return an empty page; nothing in it moves, or is taken from the network."""
    context = browser.new_context(reduced_motion="reduce")
    context.route(lambda address: not address.startswith("file:"), lambda route: route.abort())
    return context.new_page()


def faults_of(page, picture):
    """Return what is wrong with an open page, in each theme and at each width."""
    found = page.evaluate(CONTENT)
    faults = [f"image does not load: {source}" for source in found["broken"]]
    faults += [f"image without a text: {source}" for source in found["silent"]]
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        page.wait_for_function(
            "(theme) => document.documentElement.dataset.theme === theme", arg=theme
        )
        faults += [f"{theme}: {fault}" for fault in page.evaluate(ASK_AXE, RULES)]
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate(TOO_WIDE)
            faults += [f"wider than {width} px: {wide}"] if wide else []
            if picture:
                page.screenshot(path=f"{picture}-{width}-{theme}.png", full_page=True)
    return faults, found


def look(folder, pictures, files):
    """Return what is wrong with some pages, the links of each, and the names in it to link to."""
    wrong, links, names = [], {}, {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = open_page(browser)
        for file in files:
            page.goto(file.as_uri())
            shown = file.relative_to(folder)
            picture = pictures and pictures / "-".join(shown.with_suffix("").parts)
            faults, found = faults_of(page, picture)
            wrong += [f"{shown}: {fault}" for fault in faults]
            links[file], names[file] = found["links"], set(found["names"])
    return wrong, links, names


def broken_links(folder, links, names):
    """Return the links to files, or places in pages, that are not there."""
    wrong = set()
    for file, addresses in links.items():
        for address in addresses:
            parts = urlsplit(address)
            if parts.scheme != "file":
                continue
            target = Path(unquote(parts.path))
            place = unquote(parts.fragment)
            if not target.exists() or (place and target in names and place not in names[target]):
                wrong.add(f"{file.relative_to(folder)}: link leads nowhere: {address}")
    return sorted(wrong)


def main(folder, pictures=None):
    """Return what is wrong, line by line."""
    if chromium() is None:
        return "check_pages.py needs a Chromium: apt-get install chromium"
    folder = Path(folder).resolve()
    if pictures is not None:
        pictures = Path(pictures)
        pictures.mkdir(parents=True, exist_ok=True)
    files = sorted(folder.rglob("*.html"))
    files = [file for file in files if file.relative_to(folder).parts[0] not in OF_THE_THEME]
    if not files:
        return f"no pages in {folder}"
    shares = [files[start::PROCESSES] for start in range(PROCESSES)]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        looks = pool.map(functools.partial(look, folder, pictures), shares)
    wrong, links, names = [], {}, {}
    for some_wrong, some_links, some_names in looks:
        wrong += some_wrong
        links |= some_links
        names |= some_names
    return "\n".join(wrong + broken_links(folder, links, names))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or None)
