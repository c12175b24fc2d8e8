"""Make an environment for each peer: python make_environments.py FOLDER

They become FOLDER/multivae and FOLDER/multiviewae, of this Python (3.11 is tested), and hold what
the two need to train, without the CUDA libraries if the torch that pip finds has none.

- multiviewae pins pytorch-lightning 1.5.10, whose metadata ("torch>=1.7.*") today's pip refuses:
  both are installed without their dependencies, which are listed here instead. What else that
  Lightning needs on Python 3.11 is put right where it is used, in `run_multiviewae.py`.
- multivae imports torchvision for a grid of pictures, and Lightning imports it if it is there. A
  torchvision made for CUDA cannot be imported beside a torch without: it registers shapes of
  operators that it has not loaded. Nothing here uses these, so the registration is emptied.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TORCH = ("torch==2.13.0", "numpy==2.4.6")
ENVIRONMENTS = {
    "multivae": [("torchvision==0.28.0", "multivae==1.0.3")],
    "multiviewae": [
        (
            "fsspec",
            "future",
            "hydra-core==1.3.8",
            "matplotlib",
            "ordereddict",
            "packaging",
            "pandas",
            "pyDeprecate==0.3.1",
            "PyYAML",
            "schema",
            "scipy",
            "setuptools<81",  # Lightning 1.5.10 imports pkg_resources
            "tensorboard",
            "torchmetrics",
            "tqdm",
        ),
        ("--no-deps", "pytorch-lightning==1.5.10", "multiviewae==1.1.8"),
    ],
}


def main():
    """Make both."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for name, steps in ENVIRONMENTS.items():
        make(Path(sys.argv[1]) / name, steps)


def make(folder, steps):
    """Make one, and see whether its package can be imported."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet"]
    # The pip that comes with 3.11 still takes Lightning's metadata.
    subprocess.run([*pip, "pip==23.2.1"], check=True)
    subprocess.run([*pip, *TORCH], check=True)
    torch = output(python, "from importlib.metadata import version; print(version('torch'))")
    constraints = folder / "constraints.txt"
    constraints.write_text(f"torch=={torch}\n")
    for step in steps:
        subprocess.run([*pip, "-c", constraints, *step], check=True)
    site = Path(output(python, "import sysconfig; print(sysconfig.get_paths()['purelib'])"))
    registration = site / "torchvision" / "_meta_registrations.py"
    if (
        registration.exists()
        and subprocess.run(
            [python, "-c", "import torchvision"], stderr=subprocess.DEVNULL
        ).returncode
    ):
        registration.write_text("")
    output(python, f"import {folder.name}.models")
    print(f"{python}: {folder.name} with torch {torch}")


def output(python, code):
    """Return what a Python prints."""
    return subprocess.run(
        [python, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
