"""
Video clips and words
=====================

Video clips with captions: generate a clip from a sentence, and describe a clip. Files need ``pip
install 'sklearn-mmae[video]'``; here clips are arrays.
"""

# %%
# A dot, small or big, moves right, left, up or down. Each clip has its own start, speed and length.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
STEPS = {"right": (0, 1), "left": (0, -1), "up": (-1, 0), "down": (1, 0)}
rows, columns = np.mgrid[:16, :16]


def film(size, direction):
    n_frames = rng.integers(8, 13)
    speed = 10 / n_frames
    step = np.array(STEPS[direction]) * speed
    start = 7.5 - step * (n_frames - 1) / 2 + rng.uniform(-1.5, 1.5, 2)
    frames = []
    for t in range(n_frames):
        y, x = start + step * t
        distance = np.hypot(rows - y, columns - x)
        frames.append(255 / (1 + np.exp(3 * (distance - size))))
    return np.asarray(frames, dtype=np.uint8)


table = []
for _ in range(300):
    name, direction = rng.choice(["small", "big"]), rng.choice([*STEPS])
    table.append(
        (film({"small": 1.2, "big": 2.8}[name], direction), f"a {name} dot moves {direction}")
    )
frame = pd.DataFrame(table, columns=["clip", "caption"])
train, test = frame[:250], frame[250:].reset_index(drop=True)

# %%
# There are ten frames a second: ``rate`` says so for arrays. Files contain their rate.

from sklearn_mmae import MultimodalAutoencoder, TextModality, VideoModality

mmae = MultimodalAutoencoder(
    [
        ("clip", VideoModality(rate=10), ["clip"]),
        ("caption", TextModality(), ["caption"]),
    ],
    n_components=16,
    max_epochs=20,
    random_state=0,
).fit(train)

# %%
# Clips, and their reconstructions from 16 numbers:

import matplotlib.pyplot as plt

from sklearn_mmae.displays import ReconstructionDisplay, TranslationDisplay

ReconstructionDisplay.from_estimator(mmae, test, n_rows=3, modalities="clip")
plt.show()

# %%
# Clips from the caption alone. It does not say where the dot starts. So the prediction is the mean
# of such clips, which is blurred.

TranslationDisplay.from_estimator(mmae, test, given="caption", to="clip", n_rows=3)
plt.show()

# %%
# Captions from clips:

predicted = mmae.translate(test[["clip"]], to="caption")["caption"]
right = [set(a.split()) == set(b.split()) for a, b in zip(predicted, test["caption"], strict=True)]
print(pd.DataFrame({"caption": test["caption"], "predicted": predicted}).head(3))
print(f"all words right: {np.mean(right):.2f}")

# %%
# Recordings of a screen with their descriptions, from MP4 files: :doc:`../studies/film_clips`.
