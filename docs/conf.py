"""The site: ``python -m sphinx -W --keep-going docs build/docs``, offline, from the root."""

import re
import shutil
from pathlib import Path

from docutils import nodes

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
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_theme_options = {
    "header_links_before_dropdown": 4,  # more would take a second line at 1280 px
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages without pages below them need no list of these.
ALONE = (
    "index",
    "getting_started",
    "faq",
    "hard_questions",
    "measured",
    "terms",
    "versioning",
    "contributing",
    "changelog",
)
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
    "write_computation_times": False,
}

# What a link in the repository leads to, and the page that the site has of it.
PAGES = {
    r"\.\./benchmarks/README\.md": "benchmarks.md",
    r"\.\./benchmarks/results/": "results/",
    r"\.\./CONTRIBUTING\.md": "contributing.md",
    r"\.\./CHANGELOG\.md": "changelog.md",
    r"examples/README\.rst": "auto_examples/index.rst",
    r"examples/(?P<name>plot_\w+)\.py": r"auto_examples/\g<name>.rst",
}


# Words that people search for, before the heading to which they lead; None is the top of the page.
# `check_search.py` asks the built site.
SEARCHED = {
    ("holes_and_noise", None): ("missing values", "imputation"),
    ("translation", None): ("anomaly", "outlier", "translation"),
    ("targets", None): ("supervised", "target", "labels"),
    ("large_data", None): ("large data", "out-of-core"),
    ("uncertainty", None): ("uncertainty", "prediction interval"),
    ("cost", None): ("cost", "speed"),
    ("privacy", None): ("privacy", "differential privacy"),
    ("metrics", "## Retrieval: one modality finds its row by another"): ("retrieval",),
    ("faq", "## Can it use a GPU?"): ("GPU", "CUDA"),
    ("faq", "## What is the embedding, and how long should it be?"): ("embedding",),
    ("faq", "## Can I set a time limit?"): ("time limit",),
}

# Where others explain a name that docstrings mention; no inventory is downloaded for it.
SITES = {
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated/{}.html",
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{}.html",
}
ELSEWHERE = (
    "scipy.io.wavfile.read",
    "sklearn.compose.ColumnTransformer",
    "sklearn.compose.make_column_selector",
    "sklearn.decomposition.PCA",
    "sklearn.feature_extraction.text.CountVectorizer",
    "sklearn.feature_extraction.text.HashingVectorizer",
    "sklearn.feature_extraction.text.TfidfVectorizer",
    "sklearn.metrics.pairwise_distances",
    "sklearn.model_selection.GridSearchCV",
    "sklearn.model_selection.TimeSeriesSplit",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing.TargetEncoder",
    "sklearn.utils.multiclass.type_of_target",
)


def copy_results(app):
    """Give each table of the benchmarks a page."""
    pages = DOCS / "results"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(DOCS.parent / "benchmarks" / "results", pages)


def link_within_the_site(app, docname, source):
    """Lead the links of Markdown pages to pages, where the site has one."""
    for file, page in PAGES.items():
        source[0] = re.sub(rf"(?P<before>\]\((\.\./)*?){file}", rf"\g<before>{page}", source[0])


def lead_searches(app, docname, source):
    """Put the words that people search for into the index of the site."""
    for (page, heading), words in SEARCHED.items():
        if page == docname:
            entries = ", ".join(f"! {word}" for word in words)
            block = f"```{{index}} {entries}\n```\n\n"
            place = 0 if heading is None else source[0].index(f"{heading}\n")
            source[0] = source[0][:place] + block + source[0][place:]


def link_elsewhere(app, env, node, contnode):
    """Lead names of other packages to their sites."""
    for name in ELSEWHERE:
        if node["reftarget"] in (name, name.rsplit(".", 1)[1]):
            site = SITES[name.split(".")[0]]
            return nodes.reference("", "", contnode, internal=False, refuri=site.format(name))
    return None


def leave_out_what_others_wrote(app, what, name, thing, skip, options):
    """Show no methods that come from scikit-learn, torch or Python; theirs are explained there."""
    module = getattr(getattr(thing, "fget", thing), "__module__", None) or ""
    return skip or not module.startswith(sklearn_mmae.__name__)


def setup(app):
    """Connect what has to be done before pages are read."""
    app.connect("config-inited", lambda app, config: copy_results(app))
    app.connect("autodoc-skip-member", leave_out_what_others_wrote)
    app.connect("source-read", link_within_the_site)
    app.connect("source-read", lead_searches)
    app.connect("missing-reference", link_elsewhere)
