"""Numpy in, numpy out: files, bytes and pictures to compact arrays and back. Knows no torch."""
