"""A stream of many lines takes no more memory than one of few."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "stream.py"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_lines() -> None:
    """In a process of its own: Linux counts in what the parent had."""
    command = [sys.executable, str(SCRIPT), "2000", "12000"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    few, many = (float(peak) for peak in re.findall(r"\| ([0-9]+) MiB \|", done.stdout))
    assert many < 1.1 * few, done.stdout
