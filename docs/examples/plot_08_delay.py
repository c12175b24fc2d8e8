"""
Time lags between streams
=========================

A pulse reaches the finger after the heart beat; sound is late against film. `DelayAligner`
estimates the lag of each stream, with a confidence interval, and removes it.
`MultimodalAutoencoder` does the same between its modalities, with ``max_lag``.
"""

# %%
# A pump's pressure, and two sensors downstream that measure it 1.2 and 3 seconds later, with
# noise. All are sampled ten times a second.

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
rate = 10
wave = np.convolve(rng.normal(size=3100), np.hanning(15), mode="valid")
pump = wave[60:3060]
table = pd.DataFrame(
    {
        "pump": pump,
        "valve": 0.8 * wave[60 - 12 : 3060 - 12],
        "outlet": -0.5 * wave[60 - 30 : 3060 - 30],
    }
)
table += rng.normal(0, 0.8, table.shape)

# %%
# Lags have 95 % confidence intervals. They are in seconds, since ``sampling_rate`` is given.

from sklearn_mmae import DelayAligner

aligner = DelayAligner(max_lag=6, sampling_rate=rate, causal=False).fit(table)
found = pd.DataFrame(aligner.lag_intervals_, index=["from (s)", "to (s)"]).T
found.insert(0, "lag (s)", pd.Series(aligner.lags_))
found.assign(**{"true (s)": [0, 1.2, 3.0]}).round(3)

# %%
# ``causal=False`` reads late streams ahead, to study a record. The default delays the early
# streams instead, so that no row holds anything of the future.

import matplotlib.pyplot as plt

aligned = aligner.transform(table)
seconds = np.arange(len(table)) / rate
colours = {"pump": "#0072B2", "valve": "#D55E00", "outlet": "#009E73"}
figure, axes = plt.subplots(2, 1, sharex=True, layout="constrained", figsize=(7, 5))
for ax, frame, title in zip(
    axes, [table, aligned], ["as recorded", "aligned by DelayAligner"], strict=True
):
    for place, (name, colour) in enumerate(colours.items()):
        values = (frame[name] - frame[name].mean()) / frame[name].std()
        ax.plot(seconds, values - 5 * place, color=colour)
        ax.text(20.1, -5 * place, name, color=colour, va="center")
    ax.set(xlim=(10, 20), yticks=[], ylabel="standardised,\nshifted apart", title=title)
axes[-1].set_xlabel("time (s)")
plt.show()

# %%
# Correlations with the pump, before and after:

pd.DataFrame({"before": table.corr()["pump"], "after": aligned.corr()["pump"]}).round(2)

# %%
# Between modalities
# ------------------
#
# Here each row is a record with its own length. One modality comes seven steps after the other, and
# is a square of it. With ``max_lag``, `fit` estimates the lag, and the networks learn from aligned
# records.

from sklearn_mmae import MultimodalAutoencoder, SequenceModality

rows = []
for length in rng.integers(90, 120, 80):
    force = np.convolve(rng.normal(size=length + 12), np.ones(6) / 2.4, mode="valid")
    glow = 0.5 * force[: len(force) - 7, None] ** 2
    rows.append((force[7:, None], glow + rng.normal(0, 0.1, glow.shape)))
signals = pd.DataFrame(rows, columns=["force", "glow"])

timed = MultimodalAutoencoder(
    [(name, SequenceModality(), [name]) for name in signals],
    n_components=16,
    max_lag=20,
    max_epochs=10,
    random_state=0,
).fit(signals)
print("lags in steps:", timed.lags_)
print("95 % intervals:", timed.lag_intervals_)
