"""Folders, arrays and the digits become tables whose rows belong together."""

import os

import numpy as np
import pandas as pd
import pytest
from conftest import load_benchmark
from PIL import Image

from sklearn_mmae._core.errors import CellError, CellTypeError, DataWarning
from sklearn_mmae.datasets import (
    as_frame,
    load_audio_folder,
    load_captioned_folder,
    load_digits_frame,
    load_image_folder,
    load_paired_folders,
    load_text_folder,
    load_video_folder,
)

shared_data = load_benchmark("shared_data")


def picture(path, width=4, height=3, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path, **options)


def text(path, content="words", encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))


def names(frame, folder):
    return [os.path.relpath(path, folder).replace(os.sep, "/") for path in frame["path"]]


# Pictures


def test_pictures_come_in_natural_order(tmp_path):
    for name in ["img10.png", "img2.png", "IMG3.PNG", "a/10/1.png", "a/9/1.png", "b.jpg"]:
        picture(tmp_path / name)
    expected = ["a/9/1.png", "a/10/1.png", "b.jpg", "img2.png", "IMG3.PNG", "img10.png"]
    assert names(load_image_folder(tmp_path), tmp_path) == expected
    assert names(load_image_folder(str(tmp_path)), tmp_path) == expected


def test_a_label_is_the_sub_folder(tmp_path):
    for name in ["cat/1.png", "cat/young/1.png", "dog/1.png"]:
        picture(tmp_path / name)
    assert load_image_folder(tmp_path)["label"].tolist() == ["cat", "cat/young", "dog"]
    assert "label" not in load_image_folder(tmp_path / "dog")
    picture(tmp_path / "loose.png")
    assert load_image_folder(tmp_path)["label"].isna().tolist() == [False, False, False, True]
    assert names(load_image_folder(tmp_path, recursive=False), tmp_path) == ["loose.png"]


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    for name in ["1.png", ".2.png", ".cache/3.png", "__MACOSX/4.png", "a/__MACOSX/5.png"]:
        picture(tmp_path / name)
    text(tmp_path / "notes.txt")
    assert names(load_image_folder(tmp_path), tmp_path) == ["1.png"]


def test_a_pattern_chooses_files(tmp_path):
    for name in ["1_rgb.png", "1_depth.png", "2_RGB.jpg"]:
        picture(tmp_path / name)
    assert names(load_image_folder(tmp_path, pattern="*_rgb.*"), tmp_path) == [
        "1_rgb.png",
        "2_RGB.jpg",
    ]
    chosen = load_image_folder(tmp_path, pattern=["*_depth.png", "2*"])
    assert names(chosen, tmp_path) == ["1_depth.png", "2_RGB.jpg"]


def test_links_never_lead_in_circles_or_out_upwards(tmp_path):
    root = tmp_path / "root"
    picture(root / "a" / "1.png")
    picture(tmp_path / "beside" / "2.png")
    picture(tmp_path / "not mine.png")
    (root / "again").symlink_to(root / "a")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "above").symlink_to(tmp_path)
    (root / "linked").symlink_to(tmp_path / "beside")
    assert names(load_image_folder(root), root) == ["a/1.png", "linked/2.png"]


def test_sizes_are_upright_and_need_no_pixels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    for name in ["1.jpg", "2.png", "3.webp", "4.tif"]:
        picture(tmp_path / name, 40, 30, exif=exif)
    picture(tmp_path / "5.png", 40, 30)
    content = (tmp_path / "5.png").read_bytes()
    (tmp_path / "5.png").write_bytes(content[: content.index(b"IDAT") + 4])
    frame = load_image_folder(tmp_path, sizes=True)
    assert frame["width"].tolist() == [30, 30, 30, 30, 40]
    assert frame["height"].tolist() == [40, 40, 40, 40, 30]
    assert frame["width"].dtype == np.int64


def test_a_picture_without_a_header_is_named(tmp_path):
    picture(tmp_path / "1.png")
    text(tmp_path / "2.png", "no picture")
    assert len(load_image_folder(tmp_path)) == 2
    with pytest.raises(CellError, match=r"column 'path', row 1: .*2\.png.* Replace or remove"):
        load_image_folder(tmp_path, sizes=True)


@pytest.mark.parametrize("load", [load_image_folder, load_text_folder])
def test_folders_that_give_no_rows_say_why(tmp_path, load):
    text(tmp_path / "file.csv")
    with pytest.raises(ValueError, match=r"holds no file like \*\."):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*missing"):
        load(tmp_path / "missing")
    with pytest.raises(NotADirectoryError, match=r"not a folder: .*file\.csv"):
        load(tmp_path / "file.csv")


def test_a_broken_link_is_an_error_not_a_missing_row(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"'2\.png' .* broken link"):
        load_image_folder(tmp_path)


# Texts

SENTENCE = "Crème brûlée, “naïve” façade — 5 € déjà"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "utf-16-be", "utf-32-be"]
)
def test_encodings_are_recognised(tmp_path, encoding):
    mark = {"utf-16-be": b"\xfe\xff", "utf-32-be": b"\0\0\xfe\xff"}.get(encoding, b"")
    text(tmp_path / "1.txt", mark + SENTENCE.encode(encoding))
    assert load_text_folder(tmp_path)["text"].tolist() == [SENTENCE]


@pytest.mark.parametrize(
    ("sentence", "encoding"),
    [
        ("Привет, как дела?", "cp1251"),
        ("Привет, как дела?", "koi8-r"),
        ("日本語の文章です。", "shift_jis"),
        ("中文句子很好。", "gbk"),
        ("Wałęsa, Łódź", "iso-8859-2"),
        ("Un café déjà très bon", "mac-roman"),
        ("Un café déjà très bon", "cp437"),
        ("Καλημέρα", "cp1253"),
    ],
)
def test_an_encoding_that_cannot_be_told_is_refused_by_name(tmp_path, sentence, encoding):
    text(tmp_path / "1.txt", "fine")
    text(tmp_path / "2.txt", sentence, encoding)
    with pytest.raises(CellError, match=r"column 'text', row 1: .*2\.txt.* `encoding=`"):
        load_text_folder(tmp_path)
    assert load_text_folder(tmp_path, encoding=encoding)["text"][1] == sentence


@pytest.mark.parametrize("encoding", ["auto", "utf-8", "latin-1"])
def test_a_binary_file_is_refused_by_name(tmp_path, encoding):
    text(tmp_path / "1.txt", b"GIF89a\1\0\0\2")
    with pytest.raises(CellError, match=r"1\.txt' is no text but binary"):
        load_text_folder(tmp_path, encoding=encoding)


def test_a_mark_must_keep_its_word(tmp_path):
    text(tmp_path / "1.txt", b"\xef\xbb\xbfna\xefve")
    with pytest.raises(CellError, match="not encoded as utf-8-sig"):
        load_text_folder(tmp_path)


@pytest.mark.parametrize("encoding", ["utf8000", "base64"])
def test_an_encoding_that_does_not_exist_is_refused(tmp_path, encoding):
    text(tmp_path / "1.txt")
    with pytest.raises(ValueError, match=f"unknown encoding '{encoding}'"):
        load_text_folder(tmp_path, encoding=encoding)


def test_texts_come_with_labels_and_plain_line_ends(tmp_path):
    text(tmp_path / "good" / "10.txt", "a\r\nb\rc\n")
    text(tmp_path / "good" / "9.TXT", "")
    text(tmp_path / "bad" / "1.md", "tab\there")
    frame = load_text_folder(tmp_path)
    assert frame["text"].tolist() == ["tab\there", "", "a\nb\nc\n"]
    assert frame["label"].tolist() == ["bad", "good", "good"]


# Sounds and clips


@pytest.mark.parametrize(
    ("load", "wanted", "other"),
    [
        (load_audio_folder, ["1.wav", "2.MP3"], "1.mp4"),
        (load_video_folder, ["1.mp4", "2.GIF"], "1.wav"),
    ],
)
def test_sounds_and_clips_are_listed_like_pictures(tmp_path, load, wanted, other):
    for name in [*wanted, other, ".hidden/3.wav", ".hidden/3.mp4"]:
        text(tmp_path / "walk" / name)
    frame = load(tmp_path)
    assert names(frame, tmp_path) == [f"walk/{name}" for name in wanted]
    assert frame["label"].tolist() == ["walk", "walk"]
    assert names(load(tmp_path, pattern=other), tmp_path) == [f"walk/{other}"]
    with pytest.raises(ValueError, match="holds no file like"):
        load(tmp_path, recursive=False)


# Pairs


def test_pairs_are_matched_by_stem_and_what_lacks_is_a_hole(tmp_path):
    for stem in ["trip/2", "trip/10", "only_picture"]:
        picture(tmp_path / "photos" / f"{stem}.png", 40, 30)
    for stem in ["trip/10", "trip/2", "only_text"]:
        text(tmp_path / "notes" / f"{stem}.txt", f"about {stem}")
    with pytest.warns(DataWarning, match="of 4 .* 1 without image: only_text; 1 without text"):
        frame = load_paired_folders(image=tmp_path / "photos", text=tmp_path / "notes", sizes=True)
    assert frame.index.tolist() == ["only_picture", "only_text", "trip/2", "trip/10"]
    assert list(frame) == ["image", "text", "width", "height"]
    assert frame["text"].tolist()[1:] == ["about only_text", "about trip/2", "about trip/10"]
    assert frame["text"].isna().tolist() == [True, False, False, False]
    assert frame["image"].isna().tolist() == [False, True, False, False]
    assert [os.path.basename(path) for path in frame["image"][2:]] == ["2.png", "10.png"]
    assert frame["width"].isna().tolist() == [False, True, False, False]
    assert frame["height"].iloc[0] == 30


def test_both_kinds_may_share_a_folder_and_accents_match_either_way(tmp_path):
    picture(tmp_path / "caf\u00e9.png")  # one character
    text(tmp_path / "cafe\u0301.txt", "coffee")  # a letter and an accent
    frame = load_paired_folders(image=tmp_path, text=tmp_path)
    assert frame.index.tolist() == ["caf\u00e9"]
    assert frame["text"].tolist() == ["coffee"]


def test_two_files_of_one_stem_are_an_error_that_names_both(tmp_path):
    picture(tmp_path / "1.png")
    picture(tmp_path / "1.jpg")
    text(tmp_path / "1.txt")
    with pytest.raises(ValueError, match=r"1\.jpg' and .*1\.png' differ only in their ending"):
        load_paired_folders(image=tmp_path, text=tmp_path)


def test_folders_that_share_nothing_are_an_error(tmp_path):
    picture(tmp_path / "img_1.png")
    text(tmp_path / "txt_1.txt")
    with pytest.raises(ValueError, match="image: img_1; text: txt_1"):
        load_paired_folders(image=tmp_path, text=tmp_path)


def test_one_kind_is_no_pair(tmp_path):
    with pytest.raises(ValueError, match="no folder for text, audio, video: two kinds"):
        load_paired_folders(image=tmp_path)


def test_any_kinds_are_paired_and_each_column_is_what_was_given(tmp_path):
    for name in ["clips/1.mp4", "clips/2.webm", "sounds/1.wav", "sounds/3.flac"]:
        text(tmp_path / name)
    text(tmp_path / "notes" / "1.txt", "one")
    folders = {"video": tmp_path / "clips", "audio": tmp_path / "sounds"}
    with pytest.warns(DataWarning, match="of 3 .* 1 without audio: 2; 1 without video: 3"):
        frame = load_paired_folders(**folders)
    assert frame.index.tolist() == ["1", "2", "3"]
    assert list(frame) == ["audio", "video"]
    assert frame.isna().to_numpy().tolist() == [[False, False], [True, False], [False, True]]
    with pytest.warns(DataWarning, match="2 without text: 2, 3"):
        frame = load_paired_folders(**folders, text=tmp_path / "notes")
    assert frame.loc["1", "text"] == "one"
    assert os.path.basename(frame.loc["1", "audio"]) == "1.wav"


# Arrays


def test_cells_are_views_of_the_arrays():
    photos = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    clips = np.zeros((2, 5, 4, 4, 3), np.uint8)
    frame = as_frame(photo=photos, clip=clips)
    for row in range(2):
        assert np.shares_memory(frame["photo"][row], photos)
        np.testing.assert_array_equal(frame["photo"][row], photos[row])
        assert np.shares_memory(frame["clip"][row], clips)


def test_every_kind_of_column_keeps_its_values_and_type():
    signals = [np.zeros(3), np.zeros(5), None]
    frame = as_frame(
        caption=["a", None, "c"],
        age=np.array([1, 2, 3], np.int8),
        when=np.array(["2024-01-01", "NaT", "2024-01-03"], "M8[ns]"),
        size=np.array([[1.5, 2], [3, 4], [5, 6]]),
        kind=pd.Series(["x", "y", "x"], dtype="category"),
        signal=signals,
        raw=(b"1", b"2", b"3"),
    )
    assert list(frame) == ["caption", "age", "when", "size_0", "size_1", "kind", "signal", "raw"]
    assert frame["caption"].isna().tolist() == [False, True, False]
    assert frame["age"].dtype == np.int8
    assert frame["when"].dtype == "M8[ns]"
    assert frame["size_1"].tolist() == [2, 4, 6]
    assert frame["kind"].dtype == "category"
    assert frame["signal"][1] is signals[1]
    assert frame["signal"][2] is None
    assert frame["raw"][2] == b"3"


def test_arrays_of_one_shape_in_a_list_stay_cells():
    frame = as_frame(signal=list(np.zeros((3, 8))))
    assert frame["signal"][0].shape == (8,)


def test_a_series_gives_its_index_and_two_must_agree():
    age = pd.Series([1, 2], index=["p", "q"])
    assert as_frame(name=["a", "b"], age=age).index.tolist() == ["p", "q"]
    with pytest.raises(ValueError, match="age and other have different indexes"):
        as_frame(age=age, other=age[::-1])


def test_different_lengths_are_listed():
    with pytest.raises(ValueError, match="photo 3, caption 2, age 3"):
        as_frame(photo=np.zeros((3, 4, 4)), caption=["a", "b"], age=[1, 2, 3])


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ValueError, match="called size_0"):
        as_frame(size=np.zeros((2, 2)), size_0=[1, 2])
    with pytest.raises(ValueError, match="no columns"):
        as_frame()


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ("text", "a str is no column"),
        ({"a": 1}, "a dict is no column"),
        (iter([1]), "a list_iterator is no column"),
        (pd.DataFrame({"a": [1]}), "a DataFrame is no column"),
        (np.array(3), "no rows"),
        (np.ma.masked_array([1, 2], [True, False]), "lose its mask"),
        ([[1, 2], [3, 4]], "row 0: a list is no cell"),
    ],
)
def test_what_is_no_column_is_refused(column, problem):
    with pytest.raises(CellTypeError, match=f"column 'photo'.*{problem}"):
        as_frame(photo=column)


# Digits


def test_the_digits_are_the_same_table_every_time():
    frame, target = load_digits_frame(return_target=True)
    again = load_digits_frame(as_words=False)
    assert len(frame) == len(target) == 1797
    assert list(frame) == ["image", "caption", "ink", "width", "slant", "balance"]
    assert list(again) == ["image", "ink", "width", "slant", "balance"]
    pd.testing.assert_frame_equal(frame[["ink", "slant"]], again[["ink", "slant"]])
    pixels = np.stack(list(frame["image"]))
    np.testing.assert_array_equal(pixels, np.stack(list(again["image"])))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (1797, 8, 8))
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_words_name_the_digit_and_say_what_can_be_seen():
    frame, target = load_digits_frame(return_target=True)
    said = frame["caption"].str.split(", ")
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert said.str[0].tolist() == [words[digit] for digit in target]
    ink = (
        frame["ink"]
        .groupby(frame["caption"].str.extract("(thin|medium|heavy)")[0])
        .agg(["min", "max"])
    )
    assert ink["max"]["thin"] < ink["min"]["medium"] < ink["max"]["medium"] < ink["min"]["heavy"]
    assert (frame["slant"][frame["caption"].str.contains("leans right")] > 0).all()
    assert (frame["slant"][frame["caption"].str.contains("leans left")] < 0).all()
    wide, narrow = (frame["caption"].str.contains(word) for word in ("wide", "narrow"))
    assert frame["width"][wide].min() > frame["width"][narrow].max()
    one_loop = frame["caption"].str.contains("one loop")
    assert one_loop[target == 0].mean() > 0.8
    assert one_loop[target == 1].mean() < 0.02


def test_slant_is_positive_to_the_right():
    frame, target = load_digits_frame(return_target=True)
    assert frame["slant"][target == 7].mean() > 0.1 > 0 > frame["slant"][target == 6].mean()
    picture = frame["image"][frame["slant"].idxmax()]
    columns = np.arange(8)
    upper, lower = (half.sum(0) @ columns / half.sum() for half in (picture[:4], picture[4:]))
    assert upper > lower


# Shared data


def needs(name):
    there = shared_data.available(name)
    return pytest.mark.skipif(not there, reason=f"the data set {name} is not here")


def test_shared_data_is_looked_for_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SKLEARN_MMAE_DATA", str(tmp_path))
    assert not shared_data.available("nutrimouse")
    with pytest.raises(FileNotFoundError, match="SKLEARN_MMAE_DATA"):
        shared_data.load_nutrimouse()


@needs("uci_mfeat")
def test_mfeat_has_six_aligned_views_in_shuffled_order():
    views, y = shared_data.load_mfeat()
    widths = {"fou": 76, "fac": 216, "kar": 64, "pix": 240, "zer": 47, "mor": 6}
    assert {name: view.shape for name, view in views.items()} == {
        name: (2000, width) for name, width in widths.items()
    }
    assert np.bincount(y).tolist() == [200] * 10
    assert len(set(y[:20])) > 5


@needs("nutrimouse")
def test_nutrimouse_has_forty_mice():
    gene, lipid, diet, genotype = shared_data.load_nutrimouse()
    assert (gene.shape, lipid.shape) == ((40, 120), (40, 21))
    assert (diet.nunique(), genotype.nunique()) == (5, 2)


@needs("women_clothing_reviews")
def test_clothing_keeps_holes_and_the_published_split():
    frame, rating, train, test = shared_data.load_clothing()
    assert (len(frame), len(train), len(test)) == (23_486, 18_788, 4_698)
    assert sorted([*train, *test]) == list(range(23_486))
    assert frame["Title"].isna().sum() == 3_810
    assert "Rating" not in frame
    assert set(rating) == {1, 2, 3, 4, 5}


@needs("employee_salaries")
def test_salaries_are_apart_from_the_facts():
    frame, salary = shared_data.load_salaries()
    assert len(frame) == len(salary) == 9_228
    assert "current_annual_salary" not in frame
    assert frame["gender"].isna().sum() == 17


@needs("noto_emoji")
def test_emoji_have_pictures_words_and_a_fixed_split():
    frame, train, test = shared_data.load_emoji()
    assert (len(train), len(test)) == (1_320, 330)
    assert sorted([*train, *test]) == list(range(1_650))
    assert all(picture.startswith(b"\x89PNG") for picture in frame["picture"])
    assert not frame.isna().any(axis=None)


@needs("grocery_store_trainval")
def test_grocery_photos_come_with_their_class():
    frame = shared_data.load_grocery()
    assert frame["split"].value_counts().to_dict() == {"train": 2_640, "val": 296}
    assert frame["class"].nunique() == 81
    assert all(photo.startswith(b"\xff\xd8") for photo in frame["photo"])


@needs("flutter_motion")
def test_flutter_clips_come_with_a_caption_each():
    frame = shared_data.load_flutter()
    assert frame.shape == (120, 3)
    assert all(clip[4:8] == b"ftyp" for clip in frame["clip"])
    assert frame["family"].nunique() == 9
    assert (frame["text"].str.len() > 5).all()


@needs("grid_lips")
def test_grid_clips_are_ten_files_with_what_is_said():
    frame = shared_data.load_grid()
    assert len(frame) == 10
    assert all(os.path.isfile(path) for path in frame["clip"])
    assert (frame["text"].str.split().str.len() == 6).all()


def test_halves_make_the_whole_digit():
    left, right, y = shared_data.load_halves()
    assert left.shape == right.shape == (1797, 32)
    whole = np.concatenate([left.reshape(-1, 8, 4), right.reshape(-1, 8, 4)], axis=2)
    frame, target = load_digits_frame(return_target=True)
    np.testing.assert_array_equal(np.rint(255 * whole[5]), frame["image"][5])
    np.testing.assert_array_equal(y, target)


# A folder and a table that names its files


@pytest.fixture
def captioned(tmp_path):
    for name in ("0017.png", "cats/1.png", "dogs/1.png", "dogs/Köter.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_files_are_joined_to_the_rows_that_name_them(captioned, separator):
    names = ["0017", "cats/1.png", "dogs\\1", "/elsewhere/photos/dogs/Ko\u0308ter.png", "0017.png"]
    lines = [separator.join(["number", "file_name", "caption"])]
    lines += [separator.join([str(i / 2), name, f"text {i}"]) for i, name in enumerate(names)]
    table = captioned / "captions.txt"
    table.write_text("\n".join(lines), encoding="utf-8")
    frame = load_captioned_folder(captioned, table)
    expected = ["0017.png", "cats/1.png", "dogs/1.png", "dogs/Köter.png", "0017.png"]
    assert frame["file_name"].tolist() == [str(captioned / name) for name in expected]
    assert frame["number"].tolist() == [0, 0.5, 1, 1.5, 2]
    assert frame["caption"].tolist() == [f"text {i}" for i in range(5)]


def test_rows_and_files_without_one_another_are_counted(captioned):
    table = pd.DataFrame({"caption": ["a", "b"], "path": ["0017.png", "birds/1.png"]}, [7, 9])
    with pytest.warns(DataWarning, match=r"1 rows without .*'birds/1.png'; 3 files .*'cats/1.png'"):
        frame = load_captioned_folder(captioned, table)
    assert frame["path"].to_dict() == {7: str(captioned / "0017.png"), 9: None}
    assert table["path"].tolist() == ["0017.png", "birds/1.png"]  # the user's own stays as it is


def test_what_cannot_be_joined_is_told(captioned):
    table = pd.DataFrame({"path": ["1.png"], "caption": ["a cat"]})
    with pytest.raises(ValueError, match=r"'1\.png' may mean '.*cats/1\.png', '.*dogs/1\.png'"):
        load_captioned_folder(captioned, table)
    with pytest.raises(ValueError, match=r"no column of the table \('caption'\) names files of"):
        load_captioned_folder(captioned, table[["caption"]])
    with pytest.raises(ValueError, match=r"column='pat'.*Did you mean 'path'"):
        load_captioned_folder(captioned, table, column="pat")
    with pytest.raises(FileNotFoundError):
        load_captioned_folder(captioned, captioned / "none.csv")
