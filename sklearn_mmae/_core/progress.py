"""Bars and log lines for those who wait: where somebody looks, and nowhere else."""

from __future__ import annotations

import logging
import multiprocessing
import sys

__all__ = ["LOG", "progress_bar"]

LOG = logging.getLogger("sklearn_mmae")

SECONDS_IN_A_FILE = 10  # between two states of a bar that is written to a file


def progress_bar(total, description, unit, verbose):
    """Open a bar on standard error, or in the notebook.

    Parameters
    ----------
    total : int
    description, unit : str
    verbose : int
        0 shows nothing; 1 a bar, unless this is a worker of joblib; 2 also in workers. Where
        standard error leads to a file or a log, the bar has a line every ten seconds.

    Returns
    -------
    tqdm or None
    """
    # Several workers would write over one another.
    is_worker = multiprocessing.current_process().name != "MainProcess"
    if not total or verbose < 1 or (verbose < 2 and is_worker):
        return None
    from tqdm.auto import tqdm

    watched = "ipykernel" in sys.modules or bool(sys.stderr and sys.stderr.isatty())
    interval = 0.1 if watched else SECONDS_IN_A_FILE
    bar = tqdm(total=total, desc=description, unit=unit, mininterval=interval)
    box = getattr(bar, "container", None)  # in a notebook
    if box is not None:
        box.layout.flex_flow = "row wrap"  # a phone shows all of it, in several lines
    return bar
