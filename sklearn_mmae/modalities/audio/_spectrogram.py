"""Samples to mel bands in decibels, and back by Griffin and Lim's algorithm.

Written on scipy's FFT: librosa does the same, but brings numba (200 MB, a second or more to compile
in every process), and ran at half the speed.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from ..._core.compat import cached_property

__all__ = ["FLOOR", "STEP", "MelSpectrogram"]

STEP = 0.4  # decibels per unit of a uint8; rounding adds 0.1 dB of error
FLOOR = -96.0  # decibels below a sine of full scale; the top is then 6 above it
ITERATIONS = 32
MOMENTUM = 0.99  # of the fast algorithm
MEL_ITERATIONS = 20  # from bands to a spectrum
SMALLEST = 1e-12


@dataclass(frozen=True)
class MelSpectrogram:
    """Short-time spectra in bands of equal width on the mel scale.

    Parameters
    ----------
    sampling_rate : int
        In hertz.
    n_fft : int
        Samples per window (Hann's), even.
    hop_length : int
        Samples from one window to the next; the first is centred at the first sample.
    n_mels : int
        Bands.
    f_min, f_max : float
        In hertz.

    References
    ----------
    .. [1] Stevens, Volkmann & Newman (1937), "A scale for the measurement of the psychological
       magnitude pitch", JASA 8(3).
    .. [2] Griffin & Lim (1984), "Signal estimation from modified short-time Fourier transform",
       IEEE Trans. ASSP 32(2).
    .. [3] Perraudin, Balazs & Sondergaard (2013), "A fast Griffin-Lim algorithm", WASPAA.
    .. [4] Lee & Seung (2000), "Algorithms for non-negative matrix factorization", NIPS.
    """

    sampling_rate: int
    n_fft: int
    hop_length: int
    n_mels: int
    f_min: float
    f_max: float

    def __reduce__(self) -> tuple:
        return type(self), astuple(self)  # what is computed of these is no part of it

    def levels(self, samples: np.ndarray) -> np.ndarray:
        """Return the level of each band at each step.

        Parameters
        ----------
        samples : ndarray of shape (n,) or (n, channels), float32, n > 0
            Of channels the mean power: none cancels another, as in a mean of samples.

        Returns
        -------
        ndarray of shape (steps, n_mels), uint8
            In units of 0.4 dB above -96 dB; a sine of full scale has 0 dB. One step for every
            started `hop_length`.
        """
        channels = samples.reshape(len(samples), -1).T
        power = sum(map(self._power, channels)) / np.float32(len(channels))
        decibels = 10 * np.log10(np.maximum(power, SMALLEST))
        return np.rint((decibels - FLOOR) / STEP).clip(0, 255).astype(np.uint8)

    def samples(self, levels: np.ndarray) -> np.ndarray:
        """Return a sound with given levels, its phases by Griffin and Lim's algorithm.

        Parameters
        ----------
        levels : ndarray of shape (steps, n_mels)
            As from `levels`, not necessarily whole. What is at the floor is silent.

        Returns
        -------
        ndarray of shape (steps * hop_length,), float32
            In -1..1, at the loudness that the levels say.
        """
        # Smoothly to zero at the floor, so that silence is silent.
        power = 10 ** ((levels * STEP + FLOOR) / 10) - 10 ** (FLOOR / 10)
        power = np.maximum(power, 0).astype(np.float32)
        if not power.any():
            return np.zeros(len(levels) * self.hop_length, np.float32)
        magnitude = np.sqrt(self._spread(power)) / self._gain
        random = np.random.default_rng(0)  # the same phases for each row, whatever its place
        angles = random.uniform(0, 2 * np.pi, magnitude.shape)
        phase, before = np.exp(1j * angles).astype(np.complex64), 0
        for _ in range(ITERATIONS):
            spectra = self._spectra(self._overlapped(magnitude * phase))
            phase = spectra - np.float32(MOMENTUM / (1 + MOMENTUM)) * before
            phase /= np.maximum(np.abs(phase), SMALLEST)
            before = spectra
        samples = self._overlapped(magnitude * phase)
        # No signal has exactly these spectra; the nearest one is too quiet.
        energy = np.square(self._spectra(samples).view(np.float32)).sum()
        samples *= np.sqrt(np.square(magnitude).sum() / max(energy, SMALLEST))
        return samples.clip(-1, 1)

    def _power(self, samples: np.ndarray) -> np.ndarray:
        """Return the power in each band at each step."""
        spectrum = np.abs(self._spectra(samples)) * self._gain
        return (spectrum * spectrum) @ self.filters.T

    @property
    def centres(self) -> np.ndarray:
        """Middles of the bands in hertz, (n_mels,)."""
        return self._edges[1:-1]

    @cached_property
    def _edges(self) -> np.ndarray:
        ends = 2595 * np.log10(1 + np.array([self.f_min, self.f_max]) / 700)
        return 700 * (10 ** (np.linspace(*ends, self.n_mels + 2) / 2595) - 1)

    @cached_property
    def filters(self) -> np.ndarray:
        """Triangles over the frequencies, (n_mels, n_fft // 2 + 1) float32, each of height 1."""
        edges = self._edges
        frequencies = np.linspace(0, self.sampling_rate / 2, self.n_fft // 2 + 1)
        # Low bands may be narrower than the distance of two frequencies; none must be empty.
        resolution = self.sampling_rate / self.n_fft
        centre = edges[1:-1, None]
        rise = np.maximum(centre - edges[:-2, None], resolution)
        fall = np.maximum(edges[2:, None] - centre, resolution)
        distance = frequencies - centre
        weight = 1 - np.where(distance < 0, -distance / rise, distance / fall)
        return np.maximum(weight, 0).astype(np.float32)

    @cached_property
    def _window(self) -> np.ndarray:
        return np.float32(0.5) - np.float32(0.5) * np.cos(
            2 * np.pi * np.arange(self.n_fft, dtype=np.float32) / self.n_fft
        )

    @cached_property
    def _gain(self) -> np.float32:
        """What makes the spectrum of a sine as high as its amplitude."""
        return np.float32(2 / self._window.sum())

    def _spectra(self, samples: np.ndarray) -> np.ndarray:
        from scipy.fft import rfft

        n_steps = -(-len(samples) // self.hop_length)
        padded = np.zeros((n_steps - 1) * self.hop_length + self.n_fft, np.float32)
        own = padded[self.n_fft // 2 :]
        own[: len(samples)] = samples[: len(own)]
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop_length]
        return rfft(frames * self._window, axis=1)

    def _overlapped(self, spectra: np.ndarray) -> np.ndarray:
        """Return the samples whose spectra are nearest, `_spectra`'s inverse."""
        from scipy.fft import irfft

        frames = irfft(spectra, self.n_fft, axis=1) * self._window
        samples, weight = np.zeros((2, (len(frames) - 1) * self.hop_length + self.n_fft))
        square = np.square(self._window)
        for i, frame in enumerate(frames):
            place = slice(i * self.hop_length, i * self.hop_length + self.n_fft)
            samples[place] += frame
            weight[place] += square
        # Where hardly any window reaches, nothing is known.
        samples /= np.maximum(weight, 1e-2)
        return samples[self.n_fft // 2 :][: len(frames) * self.hop_length].astype(np.float32)

    def _spread(self, power: np.ndarray) -> np.ndarray:
        """Return non-negative spectra with given power in the bands, by multiplicative updates."""
        filters = self.filters
        spectra = power @ (filters / np.maximum(filters.sum(1, keepdims=True), SMALLEST))
        target = power @ filters
        for _ in range(MEL_ITERATIONS):
            spectra *= target / np.maximum(spectra @ filters.T @ filters, SMALLEST)
        return spectra
