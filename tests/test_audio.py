"""Sounds: every way to give one is read, comes back as loud as it was; bad ones are named."""

import io
import os
import sys

import av
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import soundfile
import torch
from scipy.io import wavfile

from sklearn_mmae import (
    AudioModality,
    CellError,
    DataWarning,
    ModelFileError,
    MultimodalAutoencoder,
    TextModality,
    load,
)
from sklearn_mmae._core import archive
from sklearn_mmae.modalities._detect import detect
from sklearn_mmae.modalities.audio import _modality as _audio
from sklearn_mmae.modalities.audio._cells import describe
from sklearn_mmae.modalities.audio._network import stretch
from sklearn_mmae.modalities.audio._spectrogram import MelSpectrogram
from sklearn_mmae.nn._blocks import initialise
from sklearn_mmae.tables import Cells, read

RATE = 8000


def tone(pitch=440.0, seconds=0.3, level=0.5, rate=RATE):
    turns = pitch * np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * turns)).astype(np.float32)


def encoded(samples, kind="WAV", rate=RATE, **options):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, **options)
    return file.getvalue()


def column(*cells):
    array = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        array[i] = cell
    return Cells(("sound",), (array,))


def steps(modality, *cells):
    """Return each cell's own levels, in decibels."""
    tensors = modality.transform(column(*cells)).tensors
    return [
        levels[:length] * 0.4 - 96.0
        for levels, length in zip(tensors["steps"], tensors["length"], strict=True)
    ]


def loudness(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=float))))


def pitch_of(samples, rate):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return spectrum.argmax() * rate / len(samples)


def back(modality, *cells):
    """Return cells as they come back from perfect predictions, each at its own length."""
    values = modality.transform(column(*cells))
    network = modality.network(4, 16, 0.0)
    initialise(network, torch.Generator().manual_seed(0))
    tensors = {name: torch.from_numpy(array) for name, array in values.tensors.items()}
    predictions = network.predict(network.view(tensors)).numpy()
    predictions = modality.with_length_of(predictions, values.tensors)
    return modality.inverse_transform(predictions)[0]


def sounds(n=40, seed=0):
    """Return a table of beeps and what they are called."""
    rng = np.random.default_rng(seed)
    high = rng.random(n) < 0.5
    cells = [(RATE, tone(rng.normal(2000 if h else 300, 30), rng.uniform(0.15, 0.3))) for h in high]
    return pd.DataFrame({"sound": cells, "word": np.where(high, "high whistle", "low hum")})


def small(**options):
    settings = {"n_components": 4, "width": 16, "max_epochs": 3, "random_state": 0}
    return MultimodalAutoencoder(**settings | options)


# Reading


def test_every_way_to_give_a_sound_reads_the_same(tmp_path):
    samples = np.rint(tone() * 32767).astype(np.int16)
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(samples))
    ways = (
        *(str(path), path, path.read_bytes(), bytearray(path.read_bytes())),
        *(wavfile.read(path), soundfile.read(path), (np.int64(RATE), samples)),
        *(samples, np.stack([samples, samples], 1)),
    )
    modality = AudioModality(rate=RATE).fit(column(*ways))
    first, *others = steps(modality, *ways)
    assert first.max() == pytest.approx(20 * np.log10(0.5), abs=1)
    for other in others:
        np.testing.assert_array_equal(other, first)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64"])
def test_every_format(kind):
    samples = tone(rate=16_000)
    modality = AudioModality().fit(column((16_000, samples)))
    exact, read = steps(modality, (16_000, samples), encoded(samples, kind, 16_000))
    n = min(len(exact), len(read))
    # The first and the last windows see where a lossy format smears the edges.
    exact, read = exact[2 : n - 4], read[2 : n - 4]
    np.testing.assert_allclose(read[exact > -50], exact[exact > -50], atol=3)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "i8", "u2", "f2", "f4", "f8"])
def test_whole_numbers_count_to_the_end_of_their_dtype(dtype):
    samples, dtype = tone().astype(float), np.dtype(dtype)
    if dtype.kind == "f":
        as_dtype = samples.astype(dtype)
    else:
        full = 2.0 ** (8 * dtype.itemsize - 1)
        as_dtype = np.floor(samples * full + (full if dtype.kind == "u" else 0)).astype(dtype)
    modality = AudioModality(rate=RATE).fit(column(samples))
    exact, read = steps(modality, samples, as_dtype)
    np.testing.assert_allclose(read[exact > -40], exact[exact > -40], atol=1)


@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100, 48_000, 192_000])
def test_other_rates_are_resampled_without_aliases(rate):
    modality = AudioModality(sampling_rate=RATE).fit(column((RATE, tone())))
    exact, read = steps(modality, (RATE, tone()), (rate, tone(rate=rate)))
    assert len(exact) == len(read)
    np.testing.assert_allclose(read[3:-4].max(1), exact[3:-4].max(1), atol=0.9)
    if rate > 3 * RATE:
        (above,) = steps(modality, (rate, tone(pitch=7000, rate=rate)))
        assert above[3:-4].max() < -60


def test_the_power_of_channels_is_averaged():
    left, right = tone(500), tone(1500)
    both = np.stack([left, right], 1)
    modality = AudioModality(rate=RATE).fit(column(left))
    mixed, mono, file = steps(modality, both, (left + right) / 2**0.5, encoded(both, "FLAC"))
    heard = mono > -30
    heard[:4] = heard[-4:] = False  # the edges of both have the same phase
    for found in (mixed, file):
        np.testing.assert_allclose(found[heard], mono[heard], atol=0.5)


@pytest.mark.parametrize("gains", [(1, -1), (1, 1), (0, 2**0.5), (0.5, -0.5, 1.5, 0.5, -1, 0.5)])
def test_no_channel_cancels_another(gains):
    gains = np.array(gains) / np.sqrt(np.mean(np.square(gains)))
    modality = AudioModality(rate=RATE).fit(column(tone()))
    mono, channels = steps(modality, tone(), tone()[:, None] * gains)
    np.testing.assert_allclose(channels, mono, atol=0.5)


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8"])
def test_whole_numbers_of_another_dtype_than_theirs_are_refused(dtype):
    samples = np.abs(tone() * 32767).astype(dtype)
    with pytest.raises(CellError, match=r"row 1: .*samples reach 16\d{3}, but .*astype\('int16'\)"):
        AudioModality(rate=RATE).fit(column(tone(), samples))


def test_what_is_too_loud_for_levels_is_warned_of():
    with pytest.warns(DataWarning, match="row 1: more than 6 dB above full scale"):
        AudioModality(rate=RATE).fit(column(tone(level=1.0), tone(level=4.0)))


# Streams that are longer or shorter than they say


def mp3(samples, rate=16_000, *, header=True, quality=0.5):
    """Return an MP3 of variable bit rate, perhaps without the frame that says how long it is."""
    pytest.importorskip("soundfile", minversion="0.13")
    data = encoded(
        samples, "MP3", rate, subtype="MPEG_LAYER_III", bitrate_mode="VARIABLE",
        compression_level=quality,
    )  # fmt: skip
    assert b"Xing" in data[:200]
    return data if header else data.replace(b"Xing", bytes(4), 1)


def seconds(*cells):
    modality = AudioModality(max_seconds=20.0, hop_length=160, sampling_rate=16_000)
    return modality.fit(column(*cells)).transform(column(*cells)).tensors["length"] / 100


HISS = 0.3 * np.random.default_rng(0).normal(size=16_000).clip(-3, 3).astype(np.float32)
UNEVEN = np.r_[HISS, np.zeros(32_000, np.float32), tone(rate=16_000, seconds=1.0)]  # 4 s


@pytest.mark.parametrize("quality", [0.1, 0.9])
@pytest.mark.parametrize("samples", [UNEVEN, UNEVEN[::-1]], ids=["loud first", "quiet first"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_an_mp3_is_read_to_its_end_whatever_its_header_says(samples, quality, rate):
    data = mp3(samples, rate, header=False, quality=quality)
    found, tagged, there = seconds(data, mp3(samples, rate, quality=quality), (rate, samples))
    assert tagged == pytest.approx(there, abs=0.12)
    assert found == pytest.approx(there, abs=0.2)  # with the delay of encoder and decoder
    assert describe(data).seconds == pytest.approx(there, abs=0.2)
    (last,) = steps(AudioModality(rate).fit(column(data)), data)
    assert last[-30:].max() > -20  # the end is heard


def test_tags_and_damage_within_an_mp3_are_passed_over():
    data = mp3(UNEVEN)
    cover = b"ID3\x03\0\0\0\1\0\0" + bytes(2**14)
    half = len(data) // 2
    odd = (cover + data, data + b"TAG" + bytes(125), data[:half] + bytes(50) + data[half + 50 :])
    np.testing.assert_allclose(seconds(data, *odd, data + cover + data), [4, 4, 4, 4, 8], atol=0.3)


@pytest.mark.parametrize("kind", ["OGG", "FLAC", "MP3", "Opus"])
def test_streams_that_were_joined_are_read_one_after_the_other(kind):
    options = {"format": "OGG", "subtype": "OPUS"} if kind == "Opus" else {"format": kind}
    files = []
    for samples in (UNEVEN, np.stack([HISS, HISS], 1) if kind in ("OGG", "FLAC") else HISS):
        file = io.BytesIO()
        soundfile.write(file, samples, 16_000, **options)
        files.append(file.getvalue())
    np.testing.assert_allclose(seconds(files[0], b"".join(files)), [4, 5], atol=0.2)
    read = AudioModality(16_000, max_seconds=20.0, hop_length=160)
    _, joined = steps(read.fit(column(*files)), files[0], b"".join(files))
    assert joined[-40:].max(1).mean() > joined[150:250].max(1).mean() + 30  # noise after silence


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_streams_that_were_cut_are_refused_by_row(kind):
    whole = encoded(UNEVEN, kind, 16_000)
    cells = column(whole, whole[: len(whole) // 2])
    with pytest.raises(CellError, match=r"row 1: .*(cut short|truncated|damaged)"):
        AudioModality(max_seconds=20.0).fit(cells)
    with pytest.warns(DataWarning, match="row 1: 1 cells cannot be read"):
        values = AudioModality(max_seconds=20.0, on_error="missing").fit_transform(cells)
    assert values.present.tolist() == [True, False]


def test_a_wav_that_goes_on_beyond_its_header_is_refused():
    data = bytearray(encoded(HISS, "WAV", 16_000))
    data[40:44] = (8000).to_bytes(4, "little")
    with pytest.raises(CellError, match="goes on where its header says that it ends"):
        seconds(bytes(data))


def test_formats_are_listed_where_one_is_not_read():
    with pytest.raises(CellError, match="WAV, FLAC, OGG, MP3, AIFF, AU or CAF"):
        seconds(film())


def test_rate_and_length_are_those_of_most_sounds():
    cells = [(44_100, tone(rate=44_100))] * 3 + [(RATE, tone())] * 8
    assert AudioModality().fit(column(*cells)).sampling_rate_ == RATE
    modality = AudioModality().fit(column((192_000, tone(rate=192_000))))
    assert modality.sampling_rate_ == 22_050
    assert modality.max_seconds_ == pytest.approx(0.3)
    assert modality.step_seconds_ == pytest.approx(0.01, rel=0.01)
    long = AudioModality().fit(column((RATE, tone(seconds=9.0))))
    assert long.transform(column((RATE, tone(seconds=9.0)))).tensors["steps"].shape[1] <= 256


def test_what_is_longer_than_the_training_sounds_is_cut_with_a_warning():
    modality = AudioModality(rate=RATE).fit(column(*[tone(seconds=s) for s in (0.1, 0.2, 0.3)]))
    cells = column(tone(), tone(seconds=0.4), None)
    with pytest.warns(DataWarning, match=r"'sound': sounds that last longer .* max_seconds"):
        values = modality.transform(cells)
    assert values.tensors["length"].tolist() == [30, 30, 0]
    asked = AudioModality(rate=RATE, max_seconds=0.2).fit(cells)
    assert asked.transform(cells).tensors["length"].tolist() == [20, 20, 0]


def test_few_training_sounds_that_are_very_long_do_not_set_the_length():
    cells = [tone(seconds=0.1)] * 150 + [tone(seconds=8.0)]
    with pytest.warns(DataWarning, match=r"sounds that last longer .* max_seconds"):
        modality = AudioModality(rate=RATE).fit(column(*cells))
    assert modality.max_seconds_ == pytest.approx(0.1)


def test_only_what_is_kept_is_decoded(monkeypatch):
    hour = encoded(np.zeros(60 * 60 * RATE // 10, np.int16), "FLAC")
    frames = []
    read = soundfile.SoundFile.read

    def counted(file, *args, **options):
        block = read(file, *args, **options)
        frames.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    modality = AudioModality(max_seconds=0.5).fit(column(hour, (RATE, tone())))
    assert modality.max_seconds_ == 0.5
    assert sum(frames) < 0.6 * RATE


# Writing


@pytest.mark.parametrize("level", [0.02, 0.2, 0.9])
def test_a_sound_comes_back_audible_and_as_loud_as_it_was(level):
    cells = [(RATE, tone(pitch, level=level)) for pitch in (300, 700, 1900)]
    modality = AudioModality().fit(column(*cells))
    for (_, was), sound in zip(cells, back(modality, *cells), strict=True):
        assert (sound.dtype, sound.ndim) == (np.float32, 1)
        assert abs(len(sound) - len(was)) < modality.hop_length_
        assert pitch_of(sound, RATE) == pytest.approx(pitch_of(was, RATE), rel=0.05)
        assert loudness(sound) == pytest.approx(loudness(was), rel=0.2)


def test_each_sound_comes_back_at_its_own_length():
    cells = [(RATE, tone(seconds=s)) for s in (0.01, 0.1, 0.25, 0.4)]
    modality = AudioModality().fit(column(*cells))
    lengths = [len(sound) for sound in back(modality, *cells)]
    np.testing.assert_allclose(lengths, [80, 800, 2000, 3200], atol=79)


def test_silence_stays_silence_and_clipping_stays_in_range():
    clipped = np.sign(tone()).astype(np.float32)
    cells = [(RATE, np.zeros(2000, np.int16)), (RATE, clipped), (RATE, tone())]
    modality = AudioModality().fit(column(*cells))
    silent, loud, _ = back(modality, *cells)
    assert not silent.any()
    assert np.abs(loud).max() <= 1
    assert loudness(loud) > 0.7


def test_nothing_but_silence_can_be_learned():
    cells = column(*[(RATE, np.zeros(2000, np.int16))] * 3)
    modality = AudioModality().fit(cells)
    assert not back(modality, cells.columns[0][0])[0].any()


def test_what_comes_back_does_not_depend_on_other_rows_nor_on_numpys_state():
    cells = sounds(6)["sound"].tolist()
    modality = AudioModality().fit(column(*cells))
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    together = back(modality, *cells)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    for cell, sound in zip(cells, together, strict=True):
        np.testing.assert_allclose(back(modality, cell)[0], sound, atol=1e-3)


def test_levels_and_samples_are_inverse_to_one_another():
    random = np.random.default_rng(0)
    samples = random.normal(0, 0.1, 4000).astype(np.float32) * tone(3, 0.5, 1.0)
    spectrogram = MelSpectrogram(RATE, 512, 80, 64, 20.0, 4000.0)
    levels = spectrogram.levels(samples)
    again = spectrogram.levels(spectrogram.samples(levels))
    assert np.abs(levels.astype(float) - again).mean() * 0.4 < 2
    assert (spectrogram.filters.sum(1) > 0).all()


def test_stretching_keeps_means_and_undoes_itself():
    rows = torch.rand(3, 12, 2, generator=torch.Generator().manual_seed(0))
    length = torch.tensor([12, 5, 0])
    long = stretch(rows, length, 60)
    torch.testing.assert_close(long[1].mean(0), rows[1, :5].mean(0))
    assert not long[2].any()
    torch.testing.assert_close(stretch(long[1:2], torch.tensor([60]), 5)[0], rows[1, :5])


# With the estimator


def test_sounds_are_found_by_themselves(tmp_path):
    frame = sounds(12)
    path = [tmp_path / f"{i}.wav" for i in range(12)]
    for p, (rate, samples) in zip(path, frame["sound"], strict=True):
        soundfile.write(p, samples, rate)
    names = {
        "pair": frame["sound"],
        "path": pd.Series([str(p) for p in path]),
        "pathlib": pd.Series(path),
        "bytes": pd.Series([p.read_bytes() for p in path]),
    }
    for name, cells in names.items():
        found = detect(read(pd.DataFrame({name: cells}, dtype=object), None))
        assert [type(modality) for _, modality, _ in found] == [AudioModality], name
    for other in (tone(), [*path[0].parts], b"no sound", 3.0, "gone.wav", ("a", "b"), (1, 2)):
        cells = np.empty(3, object)
        cells[:] = [other] * 3
        assert not AudioModality.accepts("x", cells)


def test_words_and_sounds_are_translated_into_one_another():
    frame = sounds()
    modalities = [("sound", AudioModality(), ["sound"]), ("word", TextModality(), ["word"])]
    mmae = small(modalities=modalities).fit(frame)
    words = mmae.translate(frame[["sound"]], to="word")["word"]
    same = [set(a.split()) == set(b.split()) for a, b in zip(words, frame["word"], strict=True)]
    assert np.mean(same) > 0.9
    spoken = mmae.translate(pd.DataFrame({"word": ["high whistle", "low hum"]}), to="sound")
    high, low = (pitch_of(sound, RATE) for sound in spoken["sound"])
    assert 1500 < high < 2500
    assert 150 < low < 600


def test_holes_and_whole_missing_columns():
    frame = sounds()
    holes = frame.copy()
    holes.loc[::5, "sound"] = None
    mmae = small().fit(holes)
    assert np.isfinite(mmae.transform(frame[["word"]])).all()
    whole = mmae.impute(holes)
    assert all(isinstance(sound, np.ndarray) for sound in whole["sound"][::5])
    assert whole["sound"][1] is holes["sound"][1]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_paths_in_a_frame_come_back_as_sounds(frame, tmp_path):
    paths = []
    for i, (rate, samples) in enumerate(sounds(16)["sound"]):
        paths.append(str(tmp_path / f"{i}.flac"))
        soundfile.write(paths[-1], samples, rate)
    table = frame({"sound": paths})
    mmae = small().fit(table)
    again = mmae.inverse_transform(mmae.transform(table))
    assert type(again) is frame
    assert all(isinstance(sound, np.ndarray) for sound in again["sound"])
    assert np.isfinite(mmae.transform(again)).all()


def test_a_saved_model_speaks_the_same_bits(tmp_path):
    frame = sounds()
    mmae = small(modalities=[("sound", AudioModality(memory=str(tmp_path)), ["sound"])])
    mmae.fit(frame[["sound"]])
    mmae.save(tmp_path / "model.mmae")
    again = load(tmp_path / "model.mmae")
    assert again.modalities_[0][1].memory is None  # a file must not name folders to unpickle from
    codes = mmae.transform(frame[["sound"]])
    np.testing.assert_array_equal(again.transform(frame[["sound"]]), codes)
    for one, other in zip(
        mmae.inverse_transform(codes[:2])["sound"],
        again.inverse_transform(codes[:2])["sound"],
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_arrays_come_back_as_arrays_of_the_rate_that_was_given():
    cells = [tone(rate=44_100)] * 3
    modality = AudioModality(rate=44_100).fit(column(*cells))
    assert modality.sampling_rate_ == 44_100
    assert pitch_of(back(modality, cells[0])[0], 44_100) == pytest.approx(440, rel=0.05)


def test_a_row_has_the_same_bits_wherever_it_stands():
    frame = sounds(40)
    mmae = small(max_epochs=1).fit(frame)
    codes = mmae.transform(frame[["sound"]])
    np.testing.assert_array_equal(mmae.transform(frame[["sound"]][::-1])[::-1], codes)
    np.testing.assert_array_equal(mmae.transform(frame[["sound"]][7:9]), codes[7:9])


def lies(**state):
    return lambda entry: entry["state"].update(state)


LIES = {
    "a folder to unpickle from": lambda entry: entry["modality"]["parameters"].update(memory="/x"),
    "a hop of 0": lies(hop_length_=0),
    "a window without end": lies(n_fft_=2**30),
    "an odd window": lies(n_fft_=511),
    "a rate of text": lies(sampling_rate_="8000"),
    "a rate without end": lies(sampling_rate_=10**12),
    "another step": lies(step_seconds_=1.0),
    "a length without end": lies(max_seconds_=1e12),
    "a length that is infinite": lies(max_seconds_=float("inf")),
    "a scale of 0": lies(scale_=0.0),
    "a mean of nan": lies(mean_=np.full((30, 64), np.nan, np.float32)),
    "a mean of another shape": lies(mean_=np.zeros((30, 63), np.float32)),
    "a mean that is flat": lies(mean_=np.zeros(64, np.float32)),
    "a logarithm of text": lies(log_length_="3"),
    "a logarithm without end": lies(log_length_=1e9),
    "lengths that spread without end": lies(log_length_scale_=float("inf")),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the file of a fitted estimator of sounds."""
    path = tmp_path_factory.mktemp("model") / "model.mmae"
    small(max_epochs=0).fit(sounds()[["sound"]]).save(path)
    return path


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_about_sounds_is_refused(lie, model, tmp_path):
    tree = archive.read(model, kind="estimator")
    LIES[lie](tree["attributes"]["modalities"][0])
    archive.write(tmp_path / "lie.mmae", tree, kind="estimator")
    with pytest.raises(ModelFileError):
        load(tmp_path / "lie.mmae")


# Cache


def test_a_second_fit_on_the_same_files_decodes_nothing(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.wav" for i in range(4)]
    for i, path in enumerate(paths):
        soundfile.write(path, tone(300 + 100 * i), RATE)
    decoded = []
    decode = _audio.decode
    monkeypatch.setattr(
        _audio, "decode", lambda cell, **options: decoded.append(cell) or decode(cell, **options)
    )
    folder = tmp_path / "cache"
    first = AudioModality(memory=folder).fit_transform(column(*paths))
    assert len(decoded) == 4
    memory = joblib.Memory(folder / "joblib", verbose=0)
    second = AudioModality(memory=memory).fit_transform(column(*map(str, paths)))
    assert len(decoded) == 4
    np.testing.assert_array_equal(first.tensors["steps"], second.tensors["steps"])
    soundfile.write(paths[2], tone(300, 0.2), RATE)
    changed = AudioModality(memory=folder).fit_transform(column(*paths))
    assert decoded[4:] == [paths[2]]
    assert changed.tensors["length"][2] == 20
    AudioModality(memory=folder, n_mels=40).fit(column(*paths))
    assert len(decoded) == 9


# Bad input


def cut(data, share=0.5):
    return data[: int(len(data) * share)]


def with_rate(rate):
    data = bytearray(encoded(tone()))
    data[24:28] = int(rate).to_bytes(4, "little")
    return bytes(data)


def film():
    """Return the bytes of a film without a sound."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 4000)
REFUSED = {
    "a film": (film(), "no sound that can be read"),
    "no sound": (b"no sound at all" * 9, "135 bytes is no sound that can be read"),
    "nothing": (b"", "empty: 0 bytes"),
    "truncated WAV": (cut(encoded(NOISE)), "truncated"),
    "truncated FLAC": (cut(encoded(NOISE, "FLAC")), "cannot be read|can be read|truncated"),
    "truncated OGG": (cut(encoded(NOISE, "OGG")), "no sound that can be read|no samples|truncated"),
    "a header alone": (encoded(NOISE)[:30], "no sound that can be read"),
    "half an MP3 header": (encoded(NOISE, "MP3", 16_000)[:30], "no sound that can be read"),
    "zero frames": (encoded(NOISE[:0]), "no samples"),
    "0 Hz": (with_rate(0), "no sound that can be read"),
    "2 GHz": (with_rate(2**31 - 1), "rate of 2.14748e"),
    "NaN": (np.array([0.0, np.nan, 0.1]), "NaN or infinite"),
    "infinite": (np.array([0.0, np.inf, 0.1]), "NaN or infinite"),
    "infinite on both sides": (np.array([[np.inf, -np.inf]]), "NaN or infinite"),
    "float32 overflows": (np.array([0.0, 1e300]), "NaN or infinite"),
    "too large": (np.array([0.0, 30_000.0]), "floats count from -1 to 1"),
    "small numbers in a large dtype": (np.arange(-50, 50), "int64 counts to .* int16"),
    "strings": (np.array(["a", "b"]), "not a sound"),
    "complex": (np.ones(5, complex), "complex128 is not a sound"),
    "bools": (np.ones(5, bool), "bool is not a sound"),
    "empty": (np.zeros(0), "no samples"),
    "no channels": (np.zeros((5, 0)), "no samples"),
    "a number": (np.array(3.0), "shape"),
    "a picture": (np.zeros((3, 4, 5)), "shape 3x4x5"),
    "channels first": (np.zeros((2, 4000)), r"4000 channels .* \.T"),
    "negative rate": ((-8000, NOISE), "rate of -8000"),
    "zero rate": ((NOISE, 0), "rate of 0"),
    "huge rate": ((10**9, NOISE), "rate of 1e"),
    "NaN rate": ((np.nan, NOISE), "rate of nan"),
    "fraction of a rate": ((8000.5, NOISE), "rate of 8000.5"),
    "no pair": ((1, 2, 3), "no pair"),
    "a dict": ({"rate": 8000}, "dict is not a sound"),
    "a URL": ("https://a.b/c.wav", "URL"),
    "no such file": ("gone.wav", "no such file"),
    "a folder": (os.curdir, "folder"),
    "a device": ("/dev/null", "device"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_where_it_is_and_what_to_do(case):
    bad, problem = REFUSED[case]
    modality = AudioModality(rate=RATE)
    cells = column(tone(), None, bad)
    for work in (modality.fit, AudioModality(rate=RATE).fit(column(tone())).transform):
        with pytest.raises(CellError, match=problem) as caught:
            work(cells)
        assert (caught.value.column, caught.value.row) == ("sound", 2)
        assert caught.value.remedy
    forgiving = AudioModality(rate=RATE, on_error="missing")
    with pytest.warns(DataWarning, match=r"'sound', row 2: 1 cells cannot be read") as warned:
        values = forgiving.fit_transform(cells)
    assert len(warned) == 1
    assert values.present.tolist() == [True, False, False]


def test_files_that_are_none(tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "text.mp4").write_text("no sound")
    (tmp_path / "film.mp4").write_bytes(film())
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "raw.raw").write_bytes(bytes(100))
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    for name, problem in {
        "text.wav": "no sound that can be read",
        "text.mp4": "no sound that can be read",
        "film.mp4": "no sound that can be read",
        "folder.wav": "is a folder",
        "raw.raw": "no sound that can be read",
        "loop.wav": "loop|symbolic",
        "pipe.wav": "pipe",
    }.items():
        with pytest.raises(CellError, match=problem) as caught:
            AudioModality().fit(column(tmp_path / name))
        assert name in str(caught.value)
    with pytest.raises(CellError, match="out of root"):
        AudioModality(root=tmp_path).fit(column("../secret.wav"))


def test_an_array_without_a_rate_says_how_to_give_one():
    with pytest.raises(CellError, match=r"does not say its rate.*rate="):
        AudioModality().fit(column(tone()))
    assert AudioModality(sampling_rate=RATE).fit(column(tone())).sampling_rate_ == RATE


def test_columns_of_nothing():
    for cells in (column(None, np.nan, pd.NA), column(None)):
        with pytest.raises(CellError, match="no sound in any row"):
            AudioModality().fit(cells)
    with pytest.raises(CellError, match="no sound in any row"):
        AudioModality(on_error="missing").fit(column(b"bad"))


@pytest.mark.parametrize("package", ["soundfile", "soxr"])
def test_a_missing_package_names_its_extra(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    cells = column(encoded(tone()), (2 * RATE, tone()))
    with pytest.raises(ImportError, match=rf"AudioModality needs {package}: pip .*\[audio\]"):
        AudioModality(sampling_rate=RATE).fit(cells)
    AudioModality(rate=RATE).fit(column(tone()))  # samples at their own rate need neither


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"sampling_rate": 0}, "sampling_rate=0"),
        ({"sampling_rate": 10**9}, "sampling_rate"),
        ({"rate": -1}, "rate=-1"),
        ({"rate": True}, "rate=True"),
        ({"max_seconds": 0}, "max_seconds=0"),
        ({"max_seconds": np.inf}, "max_seconds=inf"),
        ({"n_mels": 0}, "n_mels=0"),
        ({"n_mels": 10_000}, "n_mels=10000"),
        ({"n_fft": 511}, "n_fft=511"),
        ({"n_fft": 256, "hop_length": 200}, "hop_length=200"),
        ({"f_min": -1}, "f_min=-1"),
        ({"f_min": 500, "f_max": 400}, "f_max=400"),
        ({"f_max": 30_000}, "f_max=30000"),
        ({"f_min": 5000}, "f_min=5000"),
        ({"on_error": "ignore"}, "on_error='ignore'"),
        ({"hop_length": 1, "n_fft": 16_384}, "hop_length"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters, problem):
    with pytest.raises(ValueError, match=problem):
        AudioModality(**{"sampling_rate": RATE} | parameters).fit(column(tone(seconds=2.0)))


def test_every_parameter_makes_a_difference():
    cells = column(*[tone(300 * i, 0.1 * i) for i in (1, 2, 3)])
    plain = AudioModality(RATE).fit_transform(cells).tensors["steps"]
    for name, value in {
        "rate": 2 * RATE,
        "max_seconds": 0.1,
        "n_mels": 30,
        "n_fft": 256,
        "hop_length": 100,
        "f_min": 200,
        "f_max": 3000,
    }.items():
        other = AudioModality(RATE, **{name: value}).fit_transform(cells).tensors["steps"]
        assert other.shape != plain.shape or (other != plain).any(), name
