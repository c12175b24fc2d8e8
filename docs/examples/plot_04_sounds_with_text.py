"""
Sounds and words
================

Sounds with descriptions: generate sounds from words, and describe sounds. Needs ``pip install
'sklearn-mmae[audio]'``.
"""

# %%
# The sounds are simulated: tones that are low or high, and rise, fall or stay, once or twice. Each
# has its own pitch, loudness, length and noise.

import numpy as np
import pandas as pd

RATE = 8000
rng = np.random.default_rng(0)
PITCH = {"low": 300, "high": 1200}
SLOPE = {"rising": 1.5, "steady": 1.0, "falling": 1 / 1.5}


def tone(pitch, slope, times):
    seconds = rng.uniform(0.3, 0.4)
    at = np.arange(int(RATE * seconds)) / RATE
    start = PITCH[pitch] * rng.uniform(0.85, 1.15)
    frequency = start * SLOPE[slope] ** (at / seconds)
    wave = np.sin(2 * np.pi * np.cumsum(frequency) / RATE) * np.hanning(len(at))
    wave = np.concatenate([wave, np.zeros(400)] * times)
    return (0.5 * rng.uniform(0.5, 1) * wave + rng.normal(0, 0.005, len(wave))).astype(np.float32)


rows = []
for _ in range(360):
    pitch, slope, times = rng.choice([*PITCH]), rng.choice([*SLOPE]), int(rng.integers(1, 3))
    words = f"a {pitch} {slope} tone, {'once' if times == 1 else 'twice'}"
    rows.append((tone(pitch, slope, times), words))
frame = pd.DataFrame(rows, columns=["sound", "words"])
train, test = frame[:300], frame[300:].reset_index(drop=True)

# %%
# Sounds may be files, bytes, ``(rate, samples)``, or arrays of samples at a `rate`. They are
# learned as log-mel spectrograms.

from sklearn_mmae import AudioModality, MultimodalAutoencoder, TextModality

mmae = MultimodalAutoencoder(
    [
        ("sound", AudioModality(rate=RATE), ["sound"]),
        ("words", TextModality(), ["words"]),
    ],
    n_components=16,
    max_epochs=20,
    random_state=0,
).fit(train)

# %%
# From words to sounds, beside a real one. A generated sound is the average of those that fit the
# words.

import matplotlib.pyplot as plt

from sklearn_mmae.displays import TranslationDisplay

TranslationDisplay.from_estimator(mmae, test, given="words", to="sound", n_rows=3)
plt.show()

# %%
# It is an array of samples, and can be written to a file and played:

generated = mmae.translate(pd.DataFrame({"words": ["a high falling tone, twice"]}), to="sound")[
    "sound"
][0]
print(generated.dtype, generated.shape, "samples,", round(len(generated) / RATE, 2), "s")
# soundfile.write("tone.wav", generated, RATE)

# %%
# From sounds to words: the share of test sounds whose every word is right.

predicted = mmae.translate(test[["sound"]], to="words")["words"]
true = [set(words.replace(",", "").split()) for words in test["words"]]
right = [set(words.split()) >= meant - {"a"} for words, meant in zip(predicted, true, strict=True)]
print(pd.DataFrame({"true": test["words"], "predicted": predicted}).head(3))
print(f"all words right: {np.mean(right):.2f}")

# %%
# A missing sound is imputed from its words:

gaps = test.copy()
gaps.loc[::2, "sound"] = None
print("sounds missing:", mmae.impute(gaps)["sound"].isna().sum())

# %%
# The same with real speech, beside baselines: :doc:`../studies/spoken_digits`.
