"""A file comes back as it was written, or not at all."""

import hashlib
import json
import multiprocessing
import os
import pickle
import random
import signal
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklearn_mmae._core import archive
from sklearn_mmae._core.archive import read, write
from sklearn_mmae._core.errors import ModelFileError

KINDS = [f"<{kind}{n}" for kind in "iu" for n in (1, 2, 4, 8)] + ["<f2", "<f4", "<f8", "?"]
MOMENTS = ["M8[D]", "<M8[ns]", "M8[25s]", "m8[ms]", "m8", "M8"]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from([np.float32(0.1), np.int8(-3), np.bool_(True), np.datetime64("2024-02-29")])
)
arrays = st.sampled_from(KINDS + MOMENTS).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)
trees = st.recursive(
    scalars | arrays,
    lambda node: (
        st.lists(node, max_size=4)
        | st.lists(node, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.sampled_from(["$", "$array", "$$"]), node)
    ),
    max_leaves=12,
)


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        little = a.dtype.newbyteorder("<") == b.dtype.newbyteorder("<")
        return little and a.shape == b.shape and a.tobytes() == b.tobytes()
    return repr(a) == repr(b)  # nan is nan, -0.0 is not 0.0


@settings(max_examples=100, deadline=None, database=None)
@given(trees)
def test_a_tree_comes_back_as_it_was(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "tree.mmae"
    write(path, tree, kind="test")
    assert same(read(path, kind="test"), tree)


def test_any_layout_in_memory_is_kept_by_value(tmp_path):
    values = np.arange(24.0).reshape(2, 3, 4)
    path = tmp_path / "a.mmae"
    layouts = [values.T, values[::-1, ::2], values.astype(">f8"), np.asfortranarray(values)]
    write(path, layouts, kind="test")
    for layout, again in zip(layouts, read(path, kind="test"), strict=True):
        np.testing.assert_array_equal(again, layout)
        assert again.flags.writeable
        assert again.flags.c_contiguous


def test_arrays_do_not_depend_on_the_file(tmp_path):
    path = tmp_path / "a.mmae"
    write(path, np.arange(1000), kind="test")
    array = read(path, kind="test")
    path.write_bytes(b"")
    assert array.sum() == 499_500


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        {1, 2},
        1j,
        object(),
        np.array(["text"]),
        np.array([None], dtype=object),
        np.ones(2, complex),
        np.ma.masked_array([1, 2], [True, False]),
        np.dtype("f4"),
        {3: "key"},
        os.sep.join,
    ],
)
def test_other_values_are_refused_with_their_place(tmp_path, value):
    with pytest.raises(TypeError, match=r"tree\['outer'\]\[1\]"):
        write(tmp_path / "a.mmae", {"outer": [0, value]}, kind="test")
    assert not list(tmp_path.iterdir())


def test_a_tree_without_end_is_refused(tmp_path):
    tree = []
    tree.append(tree)
    with pytest.raises(ValueError, match="nested more than"):
        write(tmp_path / "a.mmae", tree, kind="test")


def test_what_could_not_be_read_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="too many arrays"):
        write(tmp_path / "a.mmae", [np.int8(0)] * 10_001, kind="test")
    with pytest.raises(ValueError, match="too many values"):
        write(tmp_path / "a.mmae", [0] * 300_001, kind="test")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, step):
    path = tmp_path / "a.mmae"
    write(path, "old", kind="test")

    def disk_full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, disk_full)
        with pytest.raises(OSError, match="No space left"):
            write(path, "new", kind="test")
    assert [file.name for file in tmp_path.iterdir()] == ["a.mmae"]
    assert read(path, kind="test") == "old"


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "latest.mmae"
    link.symlink_to(tmp_path / "real" / "a.mmae")
    write(link, "tree", kind="test")
    assert link.is_symlink()
    assert read(tmp_path / "real" / "a.mmae", kind="test") == "tree"


def test_safetensors_opens_our_files(tmp_path):
    reader = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "a.mmae"
    tree = [np.array([True]), np.arange(5, dtype="<i2"), np.random.default_rng(0).random(3)]
    write(path, tree, kind="test")
    loaded = reader.load_file(path)
    assert sorted(loaded) == ["0", "1", "2"]
    for number, array in enumerate(tree):
        np.testing.assert_array_equal(loaded[str(number)], array)
        assert loaded[str(number)].dtype == array.dtype


# Damaged and hostile files


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole.mmae"
    generator = np.random.default_rng(0)
    tree = {
        "n_components": 8,
        "mean_": generator.random(20),
        "words_": ["a", "ü", "naïve"],
        "present_": np.array([True, False]),
        "size": (3, float("inf")),
        "first_": np.array(["2020-01-01"], "M8[ns]"),
    }
    write(path, tree, kind="test")
    return path.read_bytes()


def rebuild(whole, change=lambda entries, tree: None, data=None, text=None):
    """Return the file with its header changed and its checksum right: a forgery."""
    length = int.from_bytes(whole[:8], "little")
    entries = json.loads(whole[8 : 8 + length])
    metadata = entries["__metadata__"]
    tree = json.loads(metadata["tree"])
    change(entries, tree)
    metadata["tree"] = json.dumps(tree) if text is None else text
    metadata["sha256"] = "0" * 64
    header = json.dumps(entries).encode()
    forged = len(header).to_bytes(8, "little") + header
    forged += whole[8 + length :] if data is None else data
    digest = hashlib.sha256(forged).hexdigest()
    return forged.replace(b"0" * 64, digest.encode(), 1)


NOT_BY_CHECKSUM = "^(?!.*checksum)"


def refused(tmp_path, content, match="cannot read"):
    path = tmp_path / "odd.mmae"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=match) as caught:
        read(path, kind="test")
    assert str(path) in str(caught.value)


def test_a_forgery_that_changes_nothing_is_read(tmp_path, whole):
    (tmp_path / "same.mmae").write_bytes(rebuild(whole))
    assert read(tmp_path / "same.mmae", kind="test")["n_components"] == 8


def test_every_random_change_is_noticed(tmp_path, whole):
    draw = random.Random(0)
    for _ in range(500):
        broken = bytearray(whole)
        place = draw.randrange(len(broken))
        change = draw.choice(["flip", "cut", "insert", "delete"])
        if change == "flip":
            broken[place] ^= 1 << draw.randrange(8)
        elif change == "cut":
            del broken[place:]
        elif change == "insert":
            broken[place:place] = draw.randbytes(draw.randint(1, 9))
        else:
            del broken[place : place + draw.randint(1, 9)]
        if broken != whole:
            refused(tmp_path, bytes(broken))


def test_every_flipped_bit_of_the_header_is_noticed(tmp_path, whole):
    for place in range(8 + int.from_bytes(whole[:8], "little")):
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        refused(tmp_path, bytes(broken))


def test_files_of_other_programs_are_refused(tmp_path, whole):
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    for content in (
        b"",
        b"\0" * 8,
        b"\0" * 100,
        b"\xff" * 100,
        pickle.dumps(Evil()),
        b"PK\3\4" + bytes(100),
        (4).to_bytes(8, "little") + b"[1]]",
        (2).to_bytes(8, "little") + b"{}",
        (24).to_bytes(8, "little") + b'{"__metadata__": [1, 2]}',
        (2**63).to_bytes(8, "little") + whole[8:],
    ):
        refused(tmp_path, content)
    assert not marker.exists()


def test_folders_and_pipes_are_refused_and_a_missing_file_is_missing(tmp_path):
    with pytest.raises(ModelFileError, match="folder"):
        read(tmp_path, kind="test")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="device"):
        read(tmp_path / "pipe", kind="test")
    with pytest.raises(FileNotFoundError, match=r"none\.mmae"):
        read(tmp_path / "none.mmae", kind="test")


def test_another_kind_is_refused(tmp_path):
    write(tmp_path / "a.mmae", 0, kind="MultimodalVAE")
    with pytest.raises(ModelFileError, match="holds 'MultimodalVAE', not 'test'"):
        read(tmp_path / "a.mmae", kind="test")


def test_a_newer_version_says_so_whatever_else_it_holds(tmp_path, whole):
    def newer(entries, tree):
        entries["__metadata__"].update(version="7", extra="unknown")
        entries["0"]["dtype"] = "F8_E4M3"

    refused(tmp_path, rebuild(whole, newer), "version 7, newer than the 2 .* Update sklearn-mmae")


def test_an_older_version_says_what_to_do(tmp_path, whole):
    def older(entries, tree):
        entries["__metadata__"]["version"] = "1"

    refused(tmp_path, rebuild(whole, older), "version 1, older than the 2 .* Fit the model again")


@pytest.mark.parametrize("version", ["0", "-1", "1.0", " 1", "1" * 5000, "one", "\u0661", None, 1])
def test_a_version_is_a_whole_number(tmp_path, whole, version):
    def change(entries, tree):
        entries["__metadata__"]["version"] = version

    refused(tmp_path, rebuild(whole, change), "version")


ENTRIES = {
    "extra key": lambda e: e["0"].update(extra=1),
    "no dtype": lambda e: e["0"].pop("dtype"),
    "not described": lambda e: e.update({"0": [1]}),
    "unknown dtype": lambda e: e["0"].update(dtype="BF16"),
    "dtype no text": lambda e: e["0"].update(dtype=["F32"]),
    "other dtype": lambda e: e["0"].update(dtype="F32"),
    "negative side": lambda e: e["0"].update(shape=[-20]),
    "broken side": lambda e: e["0"].update(shape=[20.0]),
    "bool side": lambda e: e["0"].update(shape=[20, True]),
    "huge side": lambda e: e["0"].update(shape=[10**12]),
    "endless side": lambda e: e["0"].update(shape=[10**4000, 0]),
    "empty and huge": lambda e: e["0"].update(shape=[0, 2**62, 2**62], data_offsets=[0, 0]),
    "many sides": lambda e: e["0"].update(shape=[20] + [1] * 100_000),
    "no shape": lambda e: e["0"].update(shape=None),
    "hole": lambda e: e["0"].update(data_offsets=[8, 168]),
    "overlap": lambda e: e["2"].update(data_offsets=[0, 8]),
    "beyond": lambda e: e["0"].update(shape=[30], data_offsets=[0, 240]),
    "backwards": lambda e: e["0"].update(data_offsets=[160, 0]),
    "another name": lambda e: e.update({"../../etc/passwd": e.pop("0")}),
    "one more": lambda e: e.update({"3": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}),
    "no metadata": lambda e: e.pop("__metadata__") and e.update(__metadata__={"sha256": ""}),
    "more metadata": lambda e: e["__metadata__"].update(extra="1"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_forged_header_is_refused(tmp_path, whole, name):
    refused(tmp_path, rebuild(whole, lambda entries, tree: ENTRIES[name](entries)), NOT_BY_CHECKSUM)


TREES = {
    "unknown tag": {"$object": "os.system"},
    "two tags": {"$tuple": [], "$float": "nan"},
    "tag and key": {"$tuple": [], "other": 1},
    "tuple of none": {"$tuple": None},
    "no such float": {"$float": "1e999"},
    "float no text": {"$float": [1]},
    "no such array": {"$array": [99]},
    "array no list": {"$array": 0},
    "array none": {"$array": []},
    "array bool": {"$array": [True]},
    "array twice": [{"$array": [0]}, {"$array": [0]}],
    "moment of floats": {"$array": [0, "datetime64[ns]"]},
    "moment unknown": {"$array": [2, "datetime64[fortnight]"]},
    "moment object": {"$array": [2, "O"]},
    "moment no text": {"$array": [2, [1]]},
    "moment huge": {"$array": [2, "datetime64[99999999999s]"]},
    "scalar of many": {"$scalar": [0]},
    "nothing used": {},
}


@pytest.mark.parametrize("name", TREES)
def test_a_forged_tree_is_refused(tmp_path, whole, name):
    refused(tmp_path, rebuild(whole, text=json.dumps(TREES[name])), NOT_BY_CHECKSUM)


@pytest.mark.parametrize(
    "text",
    [
        "NaN",
        "[Infinity]",
        "1e999",
        '{"a": 1, "a": 2}',
        "1" * 5000,
        "[" * 100_000,
        "[" * 900 + "]" * 900,
        '"é"',
        "",
        "[1]]",
    ],
)
def test_json_that_is_not_strict_is_refused(tmp_path, whole, text):
    refused(tmp_path, rebuild(whole, text=text), NOT_BY_CHECKSUM)


def test_a_header_key_that_occurs_twice_is_refused(tmp_path, whole):
    length = int.from_bytes(whole[:8], "little")
    header = whole[8 : 8 + length].rstrip()[:-1] + b',"__metadata__":{}}'
    refused(tmp_path, len(header).to_bytes(8, "little") + header + whole[8 + length :])


def test_bools_are_zero_or_one(tmp_path, whole):
    data = whole[8 + int.from_bytes(whole[:8], "little") :]
    refused(tmp_path, rebuild(whole, data=data[:-1] + b"\2"), "bools")


@pytest.mark.parametrize("text", ["[" + "[]," * 2_000_000 + "[]]", "[" + "0," * 5_000_000 + "0]"])
def test_a_bomb_costs_no_memory(tmp_path, whole, text):
    path = tmp_path / "bomb.mmae"
    path.write_bytes(rebuild(whole, text="[]").replace(b'"[]"', json.dumps(text).encode()))
    content = path.read_bytes()
    length = len(content) - 8 - (len(whole) - 8 - int.from_bytes(whole[:8], "little"))
    path.write_bytes(length.to_bytes(8, "little") + content[8:])
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        read(path, kind="test")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_reading_takes_little_more_memory_than_the_file(tmp_path):
    path = tmp_path / "big.mmae"
    write(path, [np.zeros(1_000_000), np.zeros(4_000_000, np.float32)], kind="test")
    tracemalloc.start()
    read(path, kind="test")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * path.stat().st_size


# Many writers of one file


def forked(*calls):
    """Run each call in a process of its own, and return how these ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, for other threads
        processes = [multiprocessing.get_context("fork").Process(target=call) for call in calls]
        for process in processes:
            process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def test_threads_that_write_one_path_leave_one_whole_file(tmp_path):
    path = tmp_path / "a.mmae"

    def save(number):
        for _ in range(10):
            write(path, np.full(50_000, number), kind="test")

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            assert np.ptp(read(path, kind="test")) == 0
    for thread in threads:
        thread.join()
    assert [file.name for file in tmp_path.iterdir()] == ["a.mmae"]


def test_processes_that_write_one_path_leave_one_whole_file(tmp_path):
    path = tmp_path / "a.mmae"

    def save(number):
        for _ in range(20):
            write(path, np.full(50_000, number), kind="test")

    assert forked(lambda: save(1), lambda: save(2)) == [0, 0]
    assert np.ptp(read(path, kind="test")) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a.mmae"]


def test_only_files_are_written_over_and_keep_their_mode(tmp_path):
    path, pipe = tmp_path / "a.mmae", tmp_path / "pipe"
    os.mkfifo(pipe)
    for other in (pipe, tmp_path):
        with pytest.raises(ModelFileError, match="a folder or a device"):
            write(other, {}, kind="test")
    write(path, {}, kind="test")
    path.chmod(0o640)
    write(path, {"a": 1}, kind="test")
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.mmae"

    def parts():
        yield bytes(10**6)
        os.kill(os.getpid(), signal.SIGKILL)

    assert forked(lambda: archive._replace(path, parts())) == [-signal.SIGKILL]
    assert len([*tmp_path.iterdir()]) == 1
    write(path, {}, kind="test")
    assert [*tmp_path.iterdir()] == [path]


def test_nothing_is_removed_that_is_still_written(tmp_path):
    def parts():
        yield b"some"
        write(tmp_path / "b.mmae", {}, kind="test")  # as another process would
        yield b"more"

    archive._replace(tmp_path / "a.mmae", parts())
    assert (tmp_path / "a.mmae").read_bytes() == b"somemore"
