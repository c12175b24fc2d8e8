"""Make an environment for each peer: python make_environments.py FOLDER [NAME ...]

They become FOLDER/multivae, FOLDER/keras and so on, of this Python (3.11 is tested), and hold what
the packages need to train, without the CUDA libraries if the torch that pip finds has none. Where
one cannot be made, FOLDER/NAME.failed says why, and the others are made all the same.

- multiviewae pins pytorch-lightning 1.5.10, whose metadata ("torch>=1.7.*") today's pip refuses:
  both are installed without their dependencies, which are listed here instead. What else that
  Lightning needs on Python 3.11 is put right where it is used, in `run_multiviewae.py`.
- multivae imports torchvision for a grid of pictures, and Lightning imports it if it is there. A
  torchvision made for CUDA cannot be imported beside a torch without: it registers shapes of
  operators that it has not loaded. Nothing here uses these, so the registration is emptied.
- mvlearn pins a matplotlib that has no wheel for Python 3.11, and stops at scikit-learn 1.6: it is
  installed without its dependencies, beside the last that it works with.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TORCH = ("torch==2.13.0", "numpy==2.4.6")
ENVIRONMENTS = {
    "diffprivlib": [("diffprivlib==0.6.6", "scikit-learn==1.6.1", "numpy==2.4.6")],
    "opendp": [("opendp==0.16.0", "deprecated", "randomgen", "scikit-learn==1.9.1")],
    "prince": [("prince==0.23.0",)],
    "cca_zoo": [("cca-zoo==4.0.1",)],
    "mvlearn": [
        ("scikit-learn==1.5.2", "numpy<2", "pandas<3", "matplotlib", "seaborn"),
        ("--no-deps", "mvlearn==0.5.0"),
    ],
    "keras": [("keras==3.15.1", "jax==0.10.2")],
    "multivae": [TORCH, ("torchvision==0.28.0", "multivae==1.0.3")],
    "multiviewae": [
        TORCH,
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
    """Make those named, or all; exit with 1 if any failed."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder, *names = sys.argv[1:]
    failed = []
    for name in names or ENVIRONMENTS:
        note = Path(folder) / f"{name}.failed"
        note.unlink(missing_ok=True)
        try:
            make(Path(folder) / name, ENVIRONMENTS[name])
        except subprocess.CalledProcessError as error:
            lines = [line for line in (error.stderr or str(error)).splitlines() if line.strip()]
            note.write_text(lines[-1].strip() + "\n", encoding="utf-8")
            failed.append(f"{name}: {lines[-1].strip()}")
    if failed:
        sys.exit("\n".join(failed))


def make(folder, steps):
    """Make one, and see whether its package can be imported."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet"]
    # The pip that comes with 3.11 still takes Lightning's metadata.
    run(*pip, "pip==23.2.1")
    options = []
    for step in steps:
        run(*pip, *options, *step)
        if step is TORCH:
            torch = run(python, "-c", "from importlib.metadata import *; print(version('torch'))")
            constraints = folder / "constraints.txt"
            constraints.write_text(f"torch=={torch}\n")
            options = ["-c", constraints]
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"))
    registration = site / "torchvision" / "_meta_registrations.py"
    if (
        registration.exists()
        and subprocess.run(
            [python, "-c", "import torchvision"], stderr=subprocess.DEVNULL
        ).returncode
    ):
        registration.write_text("")
    run(python, "-c", f"import {folder.name}", env=os.environ | {"KERAS_BACKEND": "jax"})
    print(f"{python}: {folder.name} is there")


def run(*command, **options):
    """Return what a command prints; if it fails, its error has what it said."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
