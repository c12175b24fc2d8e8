"""What the runners of all peers share: requests from stdin, answers to files, timed epochs.

A runner is a process in the peer's own environment. It reads one request a line from stdin, as
JSON, and answers each by one line on stdout. A request to "fit" names an .npz of training and test
rows, and the .npz to write predictions to; it is answered by the seconds that training took. A
request to "time" trains one epoch for every further line, and answers each by its CPU seconds, so
that the caller can let several sides take turns.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time

import numpy as np


def serve(answer, train_in_turns=None):
    """Answer requests until stdin ends.

    `answer(request, train, test, folder)` returns the arrays to write, by name, and the seconds of
    training; train and test are dictionaries of arrays. `train_in_turns(request, train, folder,
    turn)` trains one epoch a turn.
    """
    replies, sys.stdout = sys.stdout, sys.stderr  # what the peer prints is no reply

    def reply(content):
        print(json.dumps(content), file=replies, flush=True)

    class Turn:
        """One epoch: begins when the caller says so, ends with a reply of its CPU seconds."""

        def begin(self):
            sys.stdin.readline()
            self.start = time.process_time()

        def end(self):
            reply(time.process_time() - self.start)

    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        with np.load(request["data"]) as data, tempfile.TemporaryDirectory() as folder:
            train, test = (
                {name: data[f"{part}/{name}"] for name in request["modalities"]}
                for part in ("train", "test")
            )
            if request["task"] == "time":
                train_in_turns(request, train, folder, Turn())
                continue
            found, seconds = answer(request, train, test, folder)
            np.savez(request["out"] + ".part.npz", **found)
            os.replace(request["out"] + ".part.npz", request["out"])  # whole, or not there
            reply(seconds)


def within(limit, reconstruct):
    """Return an `answer` to requests for rows that come back, within public bounds and a limit.

    ``reconstruct(rows, others, low, high, request)`` has as many seconds of CPU.
    """

    def stop(*_):
        raise TimeoutError(f"no fit within {limit} s")

    def answer(request, train, test, folder):
        low, high = np.array(request["low"]), np.array(request["high"])
        signal.signal(signal.SIGPROF, stop)
        signal.setitimer(signal.ITIMER_PROF, limit)
        back, seconds = timed(reconstruct, train["rows"], test["rows"], low, high, request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {"back": back}, seconds

    return answer


def timed(work, *args, **kwargs):
    """Return what a work returns, and its seconds."""
    start = time.perf_counter()
    result = work(*args, **kwargs)
    return result, time.perf_counter() - start
