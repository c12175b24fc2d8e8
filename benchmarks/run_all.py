"""Run every benchmark, one after the other; those that have a result already are skipped."""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from ._table import RESULTS

NAMES = (
    "first_hour",
    "never_below_linear",
    "translation",
    "odd_modality",
    "tables_with_text",
    "features",
    "probes",
    "curves",
    "flights",
    "kinds",
    "large_data",
    "large_media",
    "targets",
    "flight_delays",
    "scenes",
    "pictures_with_words",
    "clips_with_words",
    "signals",
    "sounds_with_words",
    "search",
    "search_text",
    "speed",
    "cost",
    "fusion",
    "delay",
    "exactness",
    "sampling",
    "intervals",
    "noise",
    "holes",
    "imputers",
    "peers",
)


def main():
    """Run them; exit with 1 if any failed, having run the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMES, help=f"default: {' '.join(NAMES)}")
    parser.add_argument("--again", action="store_true", help="run those with a result, too")
    parser.add_argument(
        "--since",
        type=datetime.fromisoformat,
        default=datetime.min,
        help="run those with an older result, such as 2026-11-23T12:00, too",
    )
    parser.add_argument("--quick", action="store_true", help="few rows and epochs, no results")
    options = parser.parse_args()
    failed = []
    for name in options.names:
        result = RESULTS / f"{name}.md"
        known = result.exists() and datetime.fromtimestamp(result.stat().st_mtime) >= options.since
        if known and not options.again and not options.quick:
            print(f"{name}: skipped, {result} is there", file=sys.stderr)
            continue
        command = [sys.executable, "-m", f"benchmarks.{name}", *["--quick"] * options.quick]
        if subprocess.run(command, cwd=Path(__file__).parents[1]).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
