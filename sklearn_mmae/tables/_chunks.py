"""`Chunks`: rows that are read part by part, as often as they are asked for."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from .._core.errors import CellError, check_names, listing
from .._core.optional import optional
from .._core.typing import PathLike
from ._kinds import kind_of, library
from ._table import select

__all__ = ["Chunks", "chunked", "naming_chunk", "write_parquet"]

N_ROWS = 2**15  # read at a time, where the source leaves that to us

Opened = Iterator[tuple[str, Any]]  # what each chunk is called, and its rows


class Chunks:
    """Rows that need not fit in memory, from a source that can be read again.

    Methods of an estimator that return something for every row take `Chunks` as they take a frame,
    and return an iterator of what they return for each chunk. With ``to="file.parquet"`` they
    write it there instead; but not `translate`, which has another `to`. `fit` learns from all rows,
    in several passes.

    Parameters
    ----------
    source : path, list of paths, pyarrow.dataset.Dataset, polars.LazyFrame, Dask DataFrame or \
            callable
        Files are Parquet or CSV; a path may be a pattern such as ``"rows/*.parquet"``. A callable
        returns, each time it is called, an iterator of frames or arrays: the same rows in the
        same order.
    columns : list of str, default=None
        Those to read; None reads all.

    Raises
    ------
    TypeError
        For an iterator, which ends after one reading, and for what is no source.
    FileNotFoundError
        If a path leads to nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_mmae import Chunks, MultimodalAutoencoder
    >>> def source():
    ...     rng = np.random.default_rng(0)
    ...     for _ in range(3):
    ...         yield rng.normal(size=(100, 1)) @ [[1.0, 2.0, -1.0]]
    >>> mmae = MultimodalAutoencoder(n_components=1, max_epochs=0, random_state=0)
    >>> [codes.shape for codes in mmae.fit(Chunks(source)).transform(Chunks(source))]
    [(100, 1), (100, 1), (100, 1)]
    """

    def __init__(self, source: Any, columns: list[str] | None = None) -> None:
        self.source, self.columns = source, columns
        self._open = _opener(source)

    def named(self) -> Opened:
        """Read the rows once, chunk by chunk, each with what errors are to call it.

        Raises
        ------
        TypeError, ValueError
            If a chunk is no table, or has other columns than the first one.
        """
        first = None
        for name, chunk in self._open(self.columns):
            with naming_chunk(name):
                names = _names(chunk)
                first = names if first is None else first
                if names != first:
                    raise ValueError(
                        f"the columns are {listing(map(repr, names))}, but those of the first chunk"
                        f" {listing(map(repr, first))}. Give the same ones, in one order."
                    )
            if len(chunk):
                yield name, chunk

    def __iter__(self) -> Iterator[Any]:
        """Read the rows once, chunk by chunk; empty ones are left out."""
        return (chunk for _, chunk in self.named())

    def measured(self) -> tuple[int, list]:
        """Return the number of rows, and their columns; Parquet files say it without being read."""
        if isinstance(self._open, _Files) and self._open.are_parquet:
            return self._open.measured(self.columns)
        n_rows, names = 0, []
        for chunk in self:
            n_rows, names = n_rows + len(chunk), _names(chunk)
        return n_rows, names


def chunked(X: Any) -> Any:
    """Return a Dask DataFrame as `Chunks`, anything else as it is."""
    return Chunks(X) if _is_dask_frame(X) else X


def _is_dask_frame(X: Any) -> bool:
    return hasattr(X, "dask") and hasattr(X, "partitions")


@contextmanager
def naming_chunk(name: str, rows: np.ndarray | None = None) -> Iterator[None]:
    """Let errors say which chunk they are about, and their row in it; they know some `rows`."""
    try:
        yield
    except CellError as error:
        if error.row is not None and rows is not None:
            error.row = rows[error.row].tolist()  # one, or several
        error.problem = f"{error.problem} ({name})"
        raise
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{name}: {error}") from error


def _names(chunk: Any) -> list:
    kind = kind_of(chunk)
    if kind == "slicedict" or (kind == "array" and getattr(chunk, "ndim", 0) != 2):
        raise TypeError(f"a {type(chunk).__name__} is no table. Give frames, or arrays.")
    return list(library(kind).names(chunk))


# Sources -----------------------------------------------------------------------------------------


def _opener(source: Any) -> Callable[[list[str] | None], Opened]:
    """Return what reads a source once, given the columns to read."""
    package, kind = type(source).__module__.partition(".")[0], type(source).__name__
    if hasattr(source, "__next__"):
        raise TypeError(
            f"a {kind} ends after one reading, and `fit` reads several times. Give a callable that"
            " returns a new one each time: Chunks(lambda: ...)."
        )
    if isinstance(source, str | os.PathLike | list | tuple):
        return _Files([source] if isinstance(source, str | os.PathLike) else source)
    if package == "pyarrow" and hasattr(source, "to_batches") and hasattr(source, "scanner"):
        return lambda columns: _numbered(
            batch.to_pandas() for batch in source.to_batches(columns=columns, batch_size=N_ROWS)
        )
    if package == "polars" and kind == "LazyFrame":
        return lambda columns: _numbered(_slices(source, columns))
    if _is_dask_frame(source):
        return lambda columns: _numbered(
            part.compute() for part in (source if columns is None else source[columns]).partitions
        )
    if callable(source):
        return lambda columns: _numbered(_chosen(chunk, columns) for chunk in source())
    raise TypeError(
        f"a {kind} is no source of chunks. Give paths, a data set of pyarrow, a LazyFrame, a Dask"
        " DataFrame, or a callable that returns an iterator of frames; a frame goes to the"
        " estimator as it is."
    )


def _chosen(chunk: Any, columns: list[str] | None) -> Any:
    if columns is None:
        return chunk
    return select(chunk, check_names(columns, _names(chunk), "columns", "column of the source"))


def _numbered(chunks: Any) -> Opened:
    return ((f"chunk {i}", chunk) for i, chunk in enumerate(chunks))


def _slices(lazy: Any, columns: list[str] | None) -> Iterator[Any]:
    lazy, start = lazy if columns is None else lazy.select(columns), 0
    while len(rows := lazy.slice(start, N_ROWS).collect()):
        yield rows
        start += N_ROWS


class _Files:
    """Parquet and CSV files, one after the other."""

    def __init__(self, given: Any):
        self.paths = []
        for path in map(os.fspath, given):
            found = sorted(glob.glob(path)) if glob.has_magic(path) else [path]
            if not found or not os.path.isfile(found[0]):
                raise FileNotFoundError(f"Chunks: {path!r} leads to no file.")
            self.paths += found
        other = [p for p in self.paths if not p.endswith((".parquet", ".pq", ".csv", ".csv.gz"))]
        if other or not self.paths:
            raise ValueError(
                f"Chunks reads files whose names end in .parquet or .csv, not {listing(other)}."
                " Read others by a callable that returns an iterator of frames."
            )

    def __call__(self, columns: list[str] | None) -> Opened:
        for path in self.paths:
            name, first = os.path.basename(path), 0
            with _saying_if_gone(path):
                for chunk in (_csv if _is_csv(path) else _parquet)(path, columns):
                    yield f"{name} from row {first:,} on" if first else name, chunk
                    first += len(chunk)

    @property
    def are_parquet(self) -> bool:
        """Whether none of them is CSV."""
        return not any(map(_is_csv, self.paths))

    def measured(self, columns: list[str] | None) -> tuple[int, list]:
        """Return what Parquet files say of their rows, and the columns of the last one."""
        n_rows, names = 0, []
        for path in self.paths:
            with _saying_if_gone(path), _opened(path, columns) as file:
                n_rows += file.metadata.num_rows
                names = columns or list(file.schema_arrow.empty_table().to_pandas())
        return n_rows, names


@contextmanager
def _saying_if_gone(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path!r} was there when Chunks was made, and is gone. Let all files stay until the"
            " fit is over."
        ) from None


def _is_csv(path: str) -> bool:
    return ".csv" in path[-7:]


def _csv(path: str, columns: list[str] | None) -> Iterator[pd.DataFrame]:
    with pd.read_csv(path, usecols=columns, chunksize=N_ROWS) as reader:
        for chunk in reader:
            yield chunk if columns is None else chunk[columns]


def _parquet(path: str, columns: list[str] | None) -> Iterator[pd.DataFrame]:
    with _opened(path, columns) as file:
        for batch in file.iter_batches(N_ROWS, columns=columns):
            yield batch.to_pandas()


@contextmanager
def _opened(path: str, columns: list[str] | None) -> Iterator[Any]:
    """Open a Parquet file, and refuse columns that it does not have."""
    parquet = optional("pyarrow.parquet", extra="parquet", why="Chunks of Parquet files")
    with parquet.ParquetFile(path, pre_buffer=False) as file:
        if columns is not None:
            check_names(columns, file.schema_arrow.names, "columns", "column of the file")
        yield file


# Results -----------------------------------------------------------------------------------------


def write_parquet(frames: Iterator[Any], path: PathLike) -> None:
    """Write frames of pandas or polars into one file, wholly or not at all.

    Parameters
    ----------
    frames : iterator of DataFrame
    path : path

    Raises
    ------
    ValueError
        For cells that Parquet does not hold, such as images, and if there are no rows.
    """
    parquet = optional("pyarrow.parquet", extra="parquet", why="to=")
    path, writer = os.fspath(path), None
    beside = f"{path}.part"
    try:
        for frame in frames:
            made = _to_arrow(frame, path)
            if writer is None:
                writer = parquet.ParquetWriter(beside, made.schema)
            writer.write_table(made.cast(writer.schema))
        if writer is None:
            raise ValueError(f"{path!r} is not written: the source has no rows.")
        writer.close()
        os.replace(beside, path)
    except BaseException:
        if writer is not None:
            writer.close()
            os.unlink(beside)
        raise


def _to_arrow(frame: Any, path: str) -> Any:
    pyarrow = optional("pyarrow", extra="parquet", why="to=")
    if kind_of(frame) == "polars":
        return frame.to_arrow()
    try:
        return pyarrow.Table.from_pandas(frame, preserve_index=False)
    except pyarrow.ArrowException as error:
        raise ValueError(
            f"{path!r} is not written: Parquet does not hold such cells ({error}). Leave `to` out,"
            " and keep what comes chunk by chunk."
        ) from error
