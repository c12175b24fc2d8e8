"""The parts of `python -m benchmarks.proof`: tasks, and the page that shows what came out."""
