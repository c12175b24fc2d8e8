"""Clips: read from anything, frames chosen in time, refused with a reason, and brought back."""

import gc
import io
import os
import struct
import sys
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from joblib import Memory
from PIL import Image
from skorch.helper import SliceDict

from sklearn_mmae import (
    CellError,
    DataWarning,
    ImageModality,
    MultimodalAutoencoder,
    TextModality,
    VideoModality,
    load,
)
from sklearn_mmae.modalities._detect import detect
from sklearn_mmae.modalities.video import _cells as _video
from sklearn_mmae.modalities.video._cells import decode, describe
from sklearn_mmae.nn._blocks import initialise
from sklearn_mmae.tables import Cells, read

MANY = 50_000_000


def column(*cells):
    array = np.empty(len(cells), object)
    for i, cell in enumerate(cells):
        array[i] = cell
    return Cells(("clip",), (array,))


def turned(film, degrees):
    """Return the bytes of an MP4 whose track says by how much it is to be turned."""
    place = film.index(b"tkhd") + 44
    cos, sin = round(np.cos(np.radians(degrees))) << 16, round(np.sin(np.radians(degrees))) << 16
    matrix = struct.pack(">9i", cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30)
    return film[:place] + matrix + film[place + len(matrix) :]


def levels(values, size=(32, 24)):
    """Return grey frames, (T, height, width, 3), one level each."""
    width, height = size
    return np.array(values, np.uint8)[:, None, None, None] * np.ones((height, width, 3), np.uint8)


def film(frames, kind="mp4", codec="libx264", pixels="yuv420p", rate=25, times=None):
    """Return the bytes of a film; `times` in seconds where the rate varies."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        if codec == "libx264":
            stream.options = {"crf": "5"}
        if pixels == "yuva420p":
            stream.options, stream.metadata["alpha_mode"] = {"auto-alt-ref": "0"}, "1"
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, "rgba" if array.shape[2] == 4 else "rgb24")
            if times is not None:
                frame.pts = round(1000 * times[number])
                frame.time_base = stream.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def sound(*, cover=False):
    """Return the bytes of an MP4 without a film, perhaps with the picture of an album."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44_100)
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 32, 24, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            container.mux(picture.encode(av.VideoFrame.from_ndarray(levels([99])[0], "rgb24")))
            container.mux(picture.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), "fltp", "mono")
        frame.rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def no_frames(kind, codec, pixels):
    """Return the bytes of a film that ends before its first frame."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, pixels
        container.start_encoding()
    return file.getvalue()


def shown(cell, fps, *, n_frames=100, size=(6, 8), mode="RGB", rate=None):
    """Return the frames of a cell."""
    frames = np.zeros((n_frames, *size, {"L": 1, "RGB": 3}[mode]), np.uint8)
    length, _ = decode(cell, frames, mode=mode, fps=fps, rate=rate, units={}, max_pixels=MANY)
    return frames[:length]


def means(clip):
    return clip.reshape(len(clip), -1).mean(1)


# Reading

CODECS = [
    ("mp4", "libx264", "yuv420p"),
    ("mp4", "libx264", "yuv444p"),
    ("mp4", "mpeg4", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("mpeg", "mpeg1video", "yuv420p"),
    ("mpegts", "mpeg2video", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("matroska", "ffv1", "yuv420p10le"),
    ("mov", "png", "rgb24"),
    ("gif", "gif", "rgb8"),
]


@pytest.mark.parametrize(("kind", "codec", "pixels"), CODECS)
def test_every_kind_of_file_gives_its_frames(kind, codec, pixels, tmp_path):
    grey = np.linspace(20, 235, 25).astype(int)
    data = film(levels(grey), kind, codec, pixels)
    path = tmp_path / "clip.bin"
    path.write_bytes(data)
    facts = describe(data, max_pixels=MANY)
    assert (facts.height, facts.width, facts.grey) == (24, 32, False)
    assert (facts.rate, facts.seconds) == (25, pytest.approx(1, abs=0.05))
    clip = shown(path, 25)
    assert clip.shape == (25, 6, 8, 3)
    # GIF here has 8 levels of red and green and 4 of blue; the others differ by rounding.
    assert np.abs(means(clip) - grey).max() < (25 if kind == "gif" else 4)
    np.testing.assert_array_equal(shown(str(path), 25), clip)
    np.testing.assert_array_equal(shown(bytearray(data), 25), clip)


@pytest.mark.parametrize("fps", [5, 10, 25, 50])
def test_frames_are_those_on_the_screen_at_whole_steps_of_time(fps):
    grey = np.arange(50) * 5
    clip = shown(film(levels(grey)), fps)  # 2 seconds at 25 frames a second
    wanted = grey[np.floor(np.arange(2 * fps) * 25 / fps + 1e-9).astype(int)]
    assert len(clip) == 2 * fps
    assert np.abs(means(clip) - wanted).max() < 3


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_a_varying_rate_is_followed_in_time_not_by_count(kind):
    times = [0, 0.1, 0.2, 1.0, 1.05, 1.1, 1.9, 2.0]
    data = film(levels([10, 40, 70, 100, 130, 160, 190, 220]), kind, times=times)
    found = means(shown(data, 4))  # at 0, 0.25, 0.5, ...
    assert np.abs(found[:8] - [10, 70, 70, 70, 100, 160, 160, 160]).max() < 3
    assert abs(found[8] - 220) < 3


def test_a_file_that_says_0_hz_is_read_by_what_else_it_says():
    data = film(levels([10, 90, 170, 250]), "avi", "mjpeg", "yuvj420p")
    no_rate = patched(data, b"strh", 28, bytes(8))  # scale and rate of the track
    facts = describe(no_rate, max_pixels=MANY)
    assert (facts.rate, facts.seconds) == (25, pytest.approx(4 / 25))
    assert np.abs(means(shown(no_rate, 25)) - [10, 90, 170, 250]).max() < 4


def test_a_clip_that_begins_late_begins_with_its_first_frame():
    data = film(levels([50, 100, 150, 200]), "matroska", times=[5.0, 5.5, 6.0, 6.5])
    assert np.abs(means(shown(data, 2))[:4] - [50, 100, 150, 200]).max() < 3


def test_what_lasts_longer_is_not_decoded(monkeypatch):
    decoded = []
    pixels = _video._pixels
    monkeypatch.setattr(_video, "_pixels", lambda *a: decoded.append(a[0].time) or pixels(*a))
    clip = shown(film(levels(np.arange(100))), 5, n_frames=3)
    assert len(clip) == 3
    np.testing.assert_allclose(decoded, [0, 0.2, 0.4], atol=0.01)


def test_a_clip_shorter_than_a_step_is_one_frame():
    assert len(shown(film(levels([90, 90])), 1)) == 1


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_clips_are_upright_as_their_metadata_say(turn):
    picture = np.zeros((3, 32, 48, 3), np.uint8)
    picture[:, :16, :24] = 255  # a bright corner, upper left
    data = turned(film(picture), turn)
    facts = describe(data, max_pixels=MANY)
    assert (facts.height, facts.width) == ((32, 48) if turn == 180 else (48, 32))
    upright = np.rot90(picture[0], turn // 90)
    height, width = upright.shape[:2]
    found = shown(data, 25, size=(height // 8, width // 8))[0]
    assert np.abs(found.astype(int) - upright[4::8, 4::8]).max() < 25


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("down", [1, -1])
@pytest.mark.parametrize("right", [1, -1])
def test_mirrored_clips_are_as_their_display_matrix_says(swapped, down, right):
    picture = np.zeros((3, 32, 48, 3), np.uint8)
    picture[:, :16, :16] = 255
    data, one = film(picture), 1 << 16
    a, b, c, d = (0, down, right, 0) if swapped else (right, 0, 0, down)
    place = data.index(b"tkhd") + 44
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    data = data[:place] + matrix + data[place + len(matrix) :]
    expected = picture[0].swapaxes(0, 1) if swapped else picture[0]
    expected = expected[::down, ::right]  # where a pixel goes: x to a x + c y, y to b x + d y
    facts = describe(data, max_pixels=MANY)
    assert (facts.height, facts.width) == expected.shape[:2]
    found = shown(data, 25, size=expected.shape[:2])[0]
    assert np.abs(found.astype(int) - expected).max() < 25


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_transparent_webm_is_laid_over_white(codec):
    frames = np.zeros((3, 32, 32, 4), np.uint8)
    frames[:, :, :16] = 200, 0, 0, 255
    data = film(frames, "webm", codec, "yuva420p", rate=10)
    clip = shown(data, 10, size=(4, 4))
    assert np.abs(clip[:, :, 3].astype(int) - 255).max() < 10
    assert np.abs(clip[:, :, 0].astype(int) - [200, 0, 0]).max() < 40


class WithPauses:
    """A container after each of whose packets comes an empty one, as of Theora."""

    def __init__(self, container, seconds):
        self.container, self.seconds = container, seconds

    def demux(self, stream):
        for packet in self.container.demux(stream):
            yield packet
            if packet.pts is not None:
                empty = av.Packet()
                empty.time_base = packet.time_base
                empty.pts = packet.pts + int(self.seconds / packet.time_base)
                yield empty


def test_a_frame_stays_on_during_empty_packets():
    with av.open(io.BytesIO(film(levels([10, 90, 200]), codec="mpeg4", rate=5))) as container:
        stream = container.streams.video[0]
        frames = _video._in_turn(
            _video._decoded(WithPauses(container, 0.1), stream, MANY), stream, 10
        )
        ends = [end for _, end in frames]
    np.testing.assert_allclose(ends, [0.2, 0.4, 0.7], atol=1e-6)  # the last: 0.5 and a frame


def test_what_is_transparent_is_laid_over_white():
    frames = [Image.new("RGBA", (16, 16), (0, 0, 0, 0)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.paste((200, 0, 0, 255), (0, 0, 8, 8 + number))
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    clip = shown(file.getvalue(), 10, size=(16, 16))
    assert len(clip) == 3
    np.testing.assert_array_equal(clip[:, 15, 15], 255)
    np.testing.assert_array_equal(clip[:, 0, 0], [[200, 0, 0]] * 3)


def test_grey_files_are_grey():
    data = film(levels([0, 128, 255]), "matroska", "ffv1", "gray")
    assert describe(data, max_pixels=MANY).grey
    np.testing.assert_allclose(means(shown(data, 25, mode="L")), [0, 128, 255], atol=2)


def test_arrays_are_read_at_their_own_rate_in_any_unit():
    clip = levels(np.arange(30) * 8)
    np.testing.assert_array_equal(means(shown(clip, 10, rate=30)), np.arange(10) * 24)
    np.testing.assert_array_equal(means(shown(clip, 60, rate=30)), np.arange(60) // 2 * 8)
    modality = VideoModality(rate=30)
    whole = modality.fit(column(clip, clip[:20])).transform(column(clip)).tensors["steps"]
    for other in (clip / 255, clip / 255 * 65535, clip.astype(np.float32)):
        other = other if other.max() < 256 else other.astype(np.uint16)
        fitted = VideoModality(rate=30).fit(column(other, other[:20]))
        np.testing.assert_array_equal(fitted.transform(column(other)).tensors["steps"], whole)
    grey = VideoModality(rate=30).fit(column(clip[..., 0], clip[:9, ..., :1]))
    assert (grey.mode_, grey.size_) == ("L", (24, 32))


def test_decoding_keeps_no_more_than_the_frames_that_are_wanted():
    data = film(levels(np.arange(300) % 256, (320, 240)))
    frames = np.zeros((300, 24, 32, 3), np.uint8)
    decode(data, frames, mode="RGB", fps=25, rate=None, units={}, max_pixels=MANY)
    tracemalloc.start()
    decode(data, frames, mode="RGB", fps=25, rate=None, units={}, max_pixels=MANY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < frames.nbytes / 2  # on top of the array that they are written to


def test_decoded_frames_do_not_wait_for_the_collector():
    """What a frame holds is FFmpeg's, so that the collector does not know how much waits for it."""
    data = film(levels(np.arange(50), (32, 24)))
    frames = np.zeros((50, 24, 32, 3), np.uint8)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            describe(data, max_pixels=MANY)
            decode(data, frames, mode="RGB", fps=25, rate=None, units={}, max_pixels=MANY)
        kept = sum(type(each) is av.VideoFrame for each in gc.get_objects())
    finally:
        gc.enable()
    assert kept < 5


# The modality


def test_defaults_are_learned_from_the_training_clips():
    long, short = film(levels(np.arange(100), (64, 32))), film(levels(np.arange(50), (64, 32)))
    modality = VideoModality().fit(column(long, short, short))
    assert (modality.size_, modality.mode_) == ((16, 32), "RGB")
    assert modality.n_frames_ == 16
    assert modality.fps_ == pytest.approx(4)
    assert modality.step_seconds_ == 1 / modality.fps_
    values = modality.transform(column(long, None, short))
    assert values.tensors["steps"].dtype == np.uint8
    assert values.tensors["length"].tolist() == [16, 0, 8]
    assert not values.tensors["steps"][2, 8:].any()
    given = VideoModality(size=(5, 7), mode="L", fps=10, max_seconds=3).fit(column(long, short))
    assert (given.size_, given.mode_, given.fps_, given.n_frames_) == ((5, 7), "L", 10.0, 30)
    assert VideoModality(fps=10, max_seconds=30).fit(column(long, short)).n_frames_ == 40


def test_clips_come_back_as_long_as_they_were():
    clips = column(*(film(levels(np.arange(n) * 4)) for n in (20, 40, 60)))
    modality = VideoModality(fps=25)
    values = modality.fit_transform(clips)
    network = modality.network(2, 16, 0.0)
    tensors = {name: torch.from_numpy(array) for name, array in values.tensors.items()}
    predictions = network.predict(network.view(tensors)).numpy()
    for given in (predictions, modality.with_length_of(predictions * 0 + 1, values.tensors)):
        (back,) = modality.inverse_transform(given)
        assert [clip.shape for clip in back] == [(n, 24, 32, 3) for n in (20, 40, 60)]
        assert all(clip.dtype == np.uint8 for clip in back)
    (back,) = modality.inverse_transform(predictions)
    assert np.abs(means(back[2]) - np.arange(60) * 4).max() < 4
    hole = modality.transform(column(None, clips.columns[0][2]))
    predictions[:2, -1] = 7
    lengths = modality.with_length_of(predictions[:2], hole.tensors)[:, -1]
    assert lengths.tolist() == [7, 60]


def test_the_length_is_one_number_among_many():
    clips = column(*(film(levels(np.arange(n) * n % 256)) for n in (20, 40, 60)))
    modality = VideoModality(fps=10)
    tensors = {k: torch.from_numpy(v) for k, v in modality.fit_transform(clips).tensors.items()}
    network = modality.network(2, 16, 0.0).eval()
    initialise(network, torch.Generator().manual_seed(0))
    view = network.view(tensors)
    with torch.no_grad():
        features = network.encode(view)
        moved = {}
        for name, part in {"length": slice(-1, None), "frames": slice(0, -1)}.items():
            other = view.clone()
            other[:, part] = view.flip(0)[:, part]
            moved[name] = (network.encode(other) - features).square().mean()
    assert 0 < moved["length"] < moved["frames"]


def make_frame(folder, n_rows=24):
    """Return paths of clips with words that tell which way a bar moves, and how fast."""
    paths, texts = [], []
    for row in range(n_rows):
        fast, right = row % 2, row // 2 % 2
        clip = np.full((20 if fast else 40, 24, 32, 3), 30, np.uint8)
        for time in range(len(clip)):
            at = time * (2 if fast else 1) * 24 // 40
            clip[time, 4:20, slice(at, at + 8) if right else slice(24 - at, 32 - at)] = 220
        path = folder / f"{row}.mp4"
        path.write_bytes(film(clip))
        paths.append(str(path))
        texts.append(
            f"a bar moves {'right' if right else 'left'} {'quickly' if fast else 'slowly'}"
        )
    return pd.DataFrame({"clip": paths, "caption": texts})


def test_clips_and_captions_tell_of_one_another(tmp_path):
    frame = make_frame(tmp_path)
    modalities = [
        ("clip", VideoModality(), ["clip"]),
        ("caption", TextModality(), ["caption"]),
    ]
    mmae = MultimodalAutoencoder(modalities, n_components=4, max_epochs=10, random_state=0)
    mmae.fit(frame)
    words = mmae.translate(frame[["clip"]], to="caption")["caption"]
    for word in ("right", "left", "quickly", "slowly"):
        says = frame["caption"].str.contains(word)
        assert (words.str.contains(word) == says).mean() > 0.9
    clips = mmae.translate(frame[["caption"]], to="clip")["clip"]
    first = np.stack([clip[0].mean((0, 2)) for clip in clips])
    to_the_right = first[:, 16:].sum(1) < first[:, :16].sum(1)
    assert (to_the_right == frame["caption"].str.contains("right")).mean() > 0.9
    lengths = np.array([len(clip) for clip in clips])
    quick = frame["caption"].str.contains("quickly").to_numpy()
    assert abs(lengths[quick].mean() - 8) < 1.5 < 14 < lengths[~quick].mean()
    mmae.save(tmp_path / "model.mmae")
    again = load(tmp_path / "model.mmae")
    np.testing.assert_array_equal(again.transform(frame), mmae.transform(frame))
    holes = frame.assign(clip=[None, *frame["clip"][1:]])
    filled = mmae.impute(holes)["clip"]
    assert filled[0].ndim == 4
    assert filled[1] == frame["clip"][1]


def test_paths_come_back_as_arrays_in_polars_too(tmp_path):
    frame = pl.DataFrame(make_frame(tmp_path, 8).to_dict("list")).with_columns(row=pl.arange(8))
    mmae = MultimodalAutoencoder(n_components=2, max_epochs=1, random_state=0).fit(frame)
    clips = mmae.translate(frame[["caption", "row"]], to="clip")["clip"]
    assert all(clip.dtype == np.uint8 and clip.ndim == 4 for clip in clips)


def test_no_file_says_where_to_keep_frames(tmp_path):
    frame = make_frame(tmp_path, 8)
    mmae = MultimodalAutoencoder(
        [("clip", VideoModality(memory=Memory(tmp_path / "cache", verbose=0)), ["clip"])],
        n_components=2,
        max_epochs=1,
        random_state=0,
    ).fit(frame)
    mmae.save(tmp_path / "model.mmae")
    again = load(tmp_path / "model.mmae")
    assert again.modalities_[0][1].memory is None
    np.testing.assert_array_equal(again.transform(frame), mmae.transform(frame))


def test_a_second_fit_reads_what_the_first_one_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(film(levels(np.arange(50))))
    other = tmp_path / "b.mp4"
    other.write_bytes(film(levels(np.arange(50) + 100)))
    cells, opened = column(str(path), str(other)), []
    really = _video._opened
    monkeypatch.setattr(_video, "_opened", lambda *a: opened.append(a[0]) or really(*a))
    modality = VideoModality(memory=tmp_path / "cache")
    first = modality.fit_transform(cells)
    assert len(opened) == 4  # header and frames
    second = VideoModality(memory=str(tmp_path / "cache")).fit_transform(cells)
    assert len(opened) == 4
    np.testing.assert_array_equal(second.tensors["steps"], first.tensors["steps"])
    path.write_bytes(film(levels(np.arange(50) + 50)))
    os.utime(path, ns=(1, 1))
    changed = modality.fit_transform(cells)
    assert opened[4:] == [str(path)] * 2
    assert not np.array_equal(changed.tensors["steps"][0], first.tensors["steps"][0])
    modality.set_params(fps=5.0).fit(cells)
    assert len(opened) == 8  # other frames of both
    VideoModality().fit(cells)
    assert len(opened) == 12


def test_progress_is_shown_on_stderr_only_when_asked_for(capsys):
    cells = column(film(levels([1, 2])), film(levels([1, 2])))
    VideoModality().fit(cells)
    assert capsys.readouterr() == ("", "")
    shown = VideoModality(verbose=2).fit_transform(cells)
    out, err = capsys.readouterr()
    assert shown.tensors["steps"][:, 0].any(1).tolist() == [True, True]
    assert out == ""
    assert "2/2" in err
    assert "clip" in err


# Which columns are clips


def found(*cells):
    ((_, modality, _),) = detect(read(pd.DataFrame({"a": column(*cells).columns[0]}), None))
    return type(modality).__name__


def test_auto_knows_clips_by_name_first_bytes_or_shape(tmp_path):
    mp4, moving, still = tmp_path / "a.MP4", tmp_path / "b.gif", tmp_path / "c.gif"
    mp4.write_bytes(film(levels([1, 2])))
    pictures = [Image.new("L", (8, 8), level) for level in (0, 99, 200)]
    pictures[0].save(moving, save_all=True, append_images=pictures[1:])
    pictures[1].save(still)
    assert found(str(mp4), None, mp4) == "VideoModality"
    assert found(str(moving), str(still)) == "VideoModality"
    assert found(str(still), None) == "ImageModality"
    assert found(moving.read_bytes()) == "VideoModality"
    assert found(still.read_bytes()) == "ImageModality"
    for kind, codec, pixels in CODECS:
        if kind != "mpegts":
            assert found(film(levels([1, 60, 99]), kind, codec, pixels)) == "VideoModality"
    assert found(levels([1, 2]), levels([3])) == "VideoModality"
    assert found(levels([1, 2])[0]) == "ImageModality"
    assert found(str(tmp_path / "absent.mp4"), "a film") != "VideoModality"
    stack = np.zeros((4, 3, 8, 8, 3), np.uint8)
    ((_, modality, _),) = detect(read(SliceDict(a=stack), None))
    assert isinstance(modality, VideoModality)


def test_a_column_of_pictures_with_a_moving_gif_among_them_is_of_pictures(tmp_path):
    pictures = [Image.new("L", (8, 8), level) for level in (0, 99, 200)]
    pictures[0].save(tmp_path / "b.gif", save_all=True, append_images=pictures[1:])
    pictures[0].save(tmp_path / "a.png")
    assert found(str(tmp_path / "a.png"), str(tmp_path / "b.gif")) == ImageModality.__name__


# What cannot be read


def patched(data, marker, offset, value):
    data = bytearray(data)
    at = data.index(marker) + offset
    data[at : at + len(value)] = value
    return bytes(data)


def test_bytes_that_are_no_clip_are_refused_with_the_reason(subtests):
    good = film(levels(np.arange(100)), "matroska")
    cases = {
        "no clip that can be read": b"not a film at all" * 50,
        "is empty: 0 bytes": b"",
        "no video track, but sound only": sound(),
        "no video track, but sound": sound(cover=True),
        "is cut short|damaged": good[: len(good) // 2],
        "no frames|no clip that can be read": good[:600],
        "bytes has no frames": no_frames("avi", "mjpeg", "yuvj420p"),
        "no video track, but nothing that can be shown": no_frames("mp4", "libx264", "yuv420p"),
        "a clip of zero frames": np.zeros((0, 4, 4, 3), np.uint8),
        "frame 1 has pixels that are NaN": np.array([levels([1])[0], levels([1])[0] * np.nan]),
        "shape 4x4 is not a clip": np.zeros((4, 4)),
        "shape 5x3x8x9 is not a clip. Move": np.zeros((5, 3, 8, 9)),
        "an array of object": np.full((2, 2, 2), None),
        "a int is not a clip": 3,
        "pixels from -5": levels([1, 2]) - 6.0,
    }
    for problem, cell in cases.items():
        with subtests.test(problem):
            with pytest.raises(CellError, match=f"column 'clip'.*{problem}") as caught:
                VideoModality(rate=1).fit(column(levels([1, 2]), cell))
            assert caught.value.remedy


def test_paths_that_are_no_clip_are_refused_with_the_reason(tmp_path, subtests):
    (tmp_path / "text.mp4").write_text("#EXTM3U\nfile:///etc/passwd\n", encoding="utf-8")
    (tmp_path / "concat.mp4").write_text(
        f"ffconcat version 1.0\nfile {tmp_path / 'good.mp4'}\n", encoding="utf-8"
    )
    (tmp_path / "good.mp4").write_bytes(film(levels([1, 2])))
    (tmp_path / "folder.mp4").mkdir()
    os.symlink(tmp_path / "loop.mp4", tmp_path / "loop.mp4")
    cases = {
        "text.mp4": "no clip that can be read",
        "concat.mp4": "no clip that can be read",
        "folder.mp4": "is a folder, not a file",
        "loop.mp4": "cannot be read",
        "god.mp4": "no such file.* Did you mean 'good.mp4'",
        "http://localhost/a.mp4": "is a URL, and nothing is fetched",
        "../a.mp4": "leads out of root",
    }
    for name, problem in cases.items():
        cells = column("good.mp4", name)
        with (
            subtests.test(name),
            pytest.raises(CellError, match=f"column 'clip', row 1: .*{problem}"),
        ):
            VideoModality(root=tmp_path).fit(cells)


def test_a_bomb_is_refused_before_it_is_decoded(subtests):
    small = film(levels([1, 2, 3], (64, 48)), "mov", "png", "rgb24")
    gif = film(levels([1, 60, 99]), "gif", "gif", "rgb8")
    bombs = {
        "png, 30,000 x 30,000": patched(small, b"IHDR", 4, struct.pack(">II", 30_000, 30_000)),
        "png, 12,000 x 12,000": patched(small, b"IHDR", 4, struct.pack(">II", 12_000, 12_000)),
        "gif, 30,000 x 30,000": patched(gif, b"GIF89a", 6, struct.pack("<HH", 30_000, 30_000)),
        "gif, 12,000 x 12,000": patched(gif, b"GIF89a", 6, struct.pack("<HH", 12_000, 12_000)),
    }
    for name, bomb in bombs.items():
        tracemalloc.start()
        with subtests.test(name), pytest.raises(CellError, match=r"max_pixels|can be read"):
            describe(bomb, max_pixels=MANY)
        assert tracemalloc.get_traced_memory()[1] < 5e6
        tracemalloc.stop()
    with pytest.raises(CellError, match="64 x 48 pixels, more than max_pixels=3071"):
        describe(small, max_pixels=3071)
    assert describe(small, max_pixels=3072).height == 48  # what codecs add around it is not counted


def test_unreadable_cells_are_holes_where_asked_for_and_are_counted():
    good, bad = film(levels(np.arange(50)), "matroska"), b"no film"
    cells = column(good, bad, None, good, good[: len(good) // 2])
    modality = VideoModality(on_error="missing")
    with pytest.warns(
        DataWarning, match="rows 1, 4: 2 cells cannot be read .* as missing"
    ) as caught:
        values = modality.fit_transform(cells)
    assert len(caught) == 1
    assert values.present.tolist() == [True, False, False, True, False]
    assert not values.tensors["steps"][[1, 2, 4]].any()
    with pytest.raises(CellError, match="no clip in any row"):
        VideoModality(on_error="missing").fit(column(bad, None))


def test_arrays_beside_files_must_say_their_rate():
    data = film(levels(np.arange(25)))
    with pytest.raises(
        CellError, match=r"row 1: an array does not say .*VideoModality\(rate=...\)"
    ):
        VideoModality().fit(column(data, levels([1, 2])))
    with pytest.raises(CellError, match="row 0: an array does not say"):
        VideoModality().fit(column(data, data)).transform(column(levels([1])))


def test_arrays_in_another_unit_than_in_training_are_warned_of():
    clip = levels([0, 128, 250]).astype(float)
    modality = VideoModality().fit(column(clip, clip[:2]))
    with pytest.warns(DataWarning, match="row 1: the pixels suggest another unit"):
        modality.transform(column(clip, clip / 255))


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        ImportError, match=r"VideoModality needs av: pip install 'sklearn-mmae\[video\]'"
    ):
        VideoModality().fit(column(b"anything"))
    VideoModality().fit(column(levels([1, 2]), levels([3])))  # arrays need no package


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"size": (3, 4, 5)},
        {"mode": "RGBA"},
        {"fps": 0},
        {"fps": np.inf},
        {"max_seconds": -1},
        {"rate": "25"},
        {"rate": 0},
        {"max_pixels": 0},
        {"on_error": "ignore"},
        {"memory": 3},
    ],
)
def test_a_wrong_parameter_is_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VideoModality(**wrong).fit(column(levels([1, 2])))
