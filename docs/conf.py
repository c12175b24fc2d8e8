"""The site: ``python -m sphinx -W --keep-going docs build/docs``, offline, from the root."""

import re
import shutil
from pathlib import Path

import sklearn_mmae

DOCS = Path(__file__).parent

project = "sklearn-mmae"
author = "sklearn-mmae developers"
project_copyright = f"2026, {author}"
version = release = sklearn_mmae.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["examples"]  # their pages are made of them, in auto_examples
default_role = "py:obj"  # `Fusion` in a docstring is a link, and code if nothing has that name

autosummary_generate = True
maximum_signature_line_length = 88
autodoc_default_options = {"member-order": "bysource"}
numpydoc_show_class_members = False  # the template of a class lists them
numpydoc_class_members_toctree = False

myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without pages below them need no list of these.
ALONE = ("index", "getting_started", "hard_questions", "terms", "contributing", "changelog")
html_sidebars = {page: [] for page in ALONE}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sklearn_mmae",),
    "backreferences_dir": "generated/backreferences",
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
}

# What a link in the repository leads to, and the page that the site has of it.
PAGES = {
    r"\.\./benchmarks/README\.md": "benchmarks.md",
    r"\.\./benchmarks/results/": "results/",
    r"\.\./CONTRIBUTING\.md": "contributing.md",
    r"examples/README\.rst": "auto_examples/index.rst",
    r"examples/(?P<name>plot_\w+)\.py": r"auto_examples/\g<name>.rst",
}


def copy_results(app):
    """Give each table of the benchmarks a page."""
    pages = DOCS / "results"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(DOCS.parent / "benchmarks" / "results", pages)


def link_within_the_site(app, docname, source):
    """Lead the links of Markdown pages to pages, where the site has one."""
    for file, page in PAGES.items():
        source[0] = re.sub(rf"(?P<before>\]\((\.\./)*?){file}", rf"\g<before>{page}", source[0])


def leave_out_what_others_wrote(app, what, name, thing, skip, options):
    """Show no methods that come from scikit-learn, torch or Python; theirs are explained there."""
    module = getattr(getattr(thing, "fget", thing), "__module__", None) or ""
    return skip or not module.startswith(sklearn_mmae.__name__)


def setup(app):
    """Connect what has to be done before pages are read."""
    app.connect("config-inited", lambda app, config: copy_results(app))
    app.connect("autodoc-skip-member", leave_out_what_others_wrote)
    app.connect("source-read", link_within_the_site)
