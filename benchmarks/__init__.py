"""What is measured, not promised: one script for each question, `python -m benchmarks.<script>`."""
