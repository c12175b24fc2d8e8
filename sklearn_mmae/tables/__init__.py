"""Containers of rows, read and written: pandas, polars, arrays, sparse matrices, SliceDict."""
