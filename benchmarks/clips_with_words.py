"""Do clips and captions find one another, and what does it cost to read films?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from statistics import median
from time import process_time

import av
import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold

from sklearn_mmae import MultimodalAutoencoder, TextModality, VideoModality
from sklearn_mmae.cells import Cells
from sklearn_mmae.modalities.video._cells import decode

from ._retrieval import both, cca, searched, text_components
from ._table import Table, arguments, timed
from .shared_data import available, load_flutter, load_grid

COLUMNS = ("data", "measure", "ours", "rival", "which rival")
NOTES = (
    "*flutter*: means of 5 folds of 24 test clips. *of 24*: the share whose own caption is among"
    " the nearest 1 or 10 of the fold's 24 captions, and the other way (ours by `search`, CCA by"
    " cosine); chance is 0.04 and 0.42. *of 120*: the same among all 120 captions, or clips, those"
    " learned from included; chance is 0.01 and 0.08. PCA + CCA sees the frames that ours sees; of"
    " 9 pairs of numbers of components the best **by the test rows themselves** is shown.",
    "*grid*: clips of which both tracks decode, of 10: 75 frames, and about 3 seconds of sound.",
    "*memory*: the growth of the largest resident size of a fresh process while it decodes a film"
    " of 2,000 frames of 640 x 480, over the bytes of the frames that it keeps (all of them, at 96"
    " x 128).",
    "*files*: processor seconds of decoding, over those of a plain loop of PyAV that takes and"
    " resizes the same frames and checks nothing; and the seconds of a second `fit_transform` that"
    " finds the frames in `memory`, over those of the first.",
)
OPTIONS = {"mode": "RGB", "fps": 8.0, "rate": None, "units": {}, "max_pixels": 50_000_000}
GROWTH = """
import sys
import av, numpy as np
from sklearn_mmae.modalities.video._cells import decode

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

def read(n):
    frames = np.zeros((n, 96, 128, 3), np.uint8)
    options = dict(mode="RGB", fps=25.0, rate=None, units={}, max_pixels=50_000_000)
    return decode(sys.argv[1], frames, **options)[0] * frames[0].nbytes

read(1)
before = peak()
kept = read(2000)
print((peak() - before) / kept)
"""


def main():
    """Print the table."""
    options = arguments(__doc__)
    table = Table("clips_with_words", "Clips with words", COLUMNS, quick=options.quick, notes=NOTES)
    if available("flutter_motion"):
        frame = load_flutter()
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{row}.mp4" for row in range(len(frame))]
            for path, clip in zip(paths, frame["clip"], strict=True):
                path.write_bytes(clip)
            frame["clip"] = list(map(str, paths))
            retrieve(table, frame, Path(folder) / "cache", options)
            read_files(table, frame["clip"][:: 20 if options.quick else 2], folder)
    else:
        table.absent("flutter")
    if available("grid_lips"):
        decode_grid(table)
    else:
        table.absent("grid")
    memory(table, 100 if options.quick else 2000)
    table.show()


def retrieve(table, frame, cache, options):
    """Add the rows of the clips and their captions."""
    folds = list(KFold(5, shuffle=True, random_state=0).split(frame))
    found, rivals = [], {}
    for train, test in folds[: 1 if options.quick else 5]:
        known = frame.iloc[train]
        modalities = [
            ("clip", VideoModality(memory=cache), ["clip"]),
            ("text", TextModality(), ["text"]),
        ]
        settings = {"max_epochs": 2} if options.quick else {}
        mmae = MultimodalAutoencoder(modalities, random_state=0, **settings).fit(known)
        new, sides = frame.iloc[test], ("clip", "text")
        found.append(searched(mmae, new, sides) + searched(mmae, new, sides, (frame, test)))

        video = mmae.modalities_[0][1]
        frames = video.transform(cells(frame["clip"])).tensors["steps"]
        frames = frames.reshape(len(frame), -1).astype(np.float32) / 255
        for n, k in product((10, 25, 50), (4, 8, 16)):
            words = text_components(n).fit(known["text"])
            clips = PCA(n, random_state=0).fit(frames[train])
            sides = (
                clips.transform(frames[train]),
                words.transform(known["text"]),
                clips.transform(frames),
                words.transform(frame["text"]),
            )
            rivals.setdefault((n, k), []).append(both(*cca(*sides, min(k, n)), test))
    names = [
        f"{way} of {many}, first {first}"
        for many in (24, 120)
        for way in ("clip to words", "words to clip")
        for first in (1, 10)
    ]
    rivals = {key: np.mean(scores, 0) for key, scores in rivals.items()}
    n, k = max(rivals, key=lambda key: sum(rivals[key][1::2]))
    for name, own, other in zip(names, np.mean(found, 0), rivals[n, k], strict=True):
        table.add("flutter", name, own, other, f"PCA + CCA ({k} of {n})")


def read_files(table, paths, folder):
    """Add the rows of what reading files costs."""

    def read_ours():
        for path in paths:
            decode(path, np.zeros((128, 24, 32, 3), np.uint8), **OPTIONS)

    def read_theirs():
        for path in paths:
            frames = []
            with av.open(path) as container:
                for frame in container.decode(video=0):
                    if frame.time >= len(frames) / OPTIONS["fps"] and len(frames) < 128:
                        small = frame.reformat(32, 24, "rgb24", interpolation="AREA")
                        frames.append(small.to_ndarray())

    costs = [processor_seconds(read_ours) / processor_seconds(read_theirs) for _ in range(5)]
    table.add("files", "decoding", f"{median(costs):.2f}", "1", "plain loop of PyAV")
    modality = VideoModality(memory=Path(folder) / "again")
    seconds = [timed(modality.fit_transform, cells(paths))[1] for _ in range(2)]
    table.add("files", "again from memory", f"{seconds[1] / seconds[0]:.2f}", "1", "first fit")


def processor_seconds(work):
    """Return what a work takes of all cores: decoders use as many as there are."""
    start = process_time()
    work()
    return process_time() - start


def decode_grid(table):
    """Add the row of the talking faces."""
    good = 0
    for path in load_grid()["clip"]:
        frames = np.zeros((100, 36, 45, 3), np.uint8)
        length, _ = decode(path, frames, **OPTIONS | {"fps": 25.0})
        with av.open(path) as container:
            samples = sum(frame.samples for frame in container.decode(audio=0))
        good += length == 75 and abs(samples / 44_100 - 3) < 0.1
    table.add("grid", "clips with both tracks", f"{good} of 10", None, None)


def memory(table, n_frames):
    """Add the row of a long film."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        noise = np.random.default_rng(0).integers(0, 256, (32, 60, 80, 3)).astype(np.uint8)
        with av.open(path, "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height = 640, 480
            for number in range(n_frames):
                large = noise[number % 32].repeat(8, 0).repeat(8, 1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(large, "rgb24")))
            container.mux(stream.encode())
        command = [sys.executable, "-c", GROWTH, str(path)]
        done = subprocess.run(
            command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
        )
    table.add("memory", "growth over tensor", float(done.stdout), "1", "the tensor")


def cells(paths):
    """Return paths as a modality takes them."""
    return Cells(("clip",), (np.array(list(paths), object),))


if __name__ == "__main__":
    main()
