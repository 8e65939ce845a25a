"""What may be written over without being asked, and names that cannot be written at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from attnviz.cli.output import check_overwrite
from attnviz.errors import RequestError

LONG = "a" * 300


def attnviz(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attnviz", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_only_a_file_of_somebody_elses_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "empty").write_text("")
    for name in ("empty", "absent", LONG, "."):
        check_overwrite(tmp_path / name, False, lambda path: False)
    check_overwrite(tmp_path / "old", True, lambda path: False)
    check_overwrite(tmp_path / "old", False, lambda path: True)
    with pytest.raises(RequestError, match="attnviz did not write it"):
        check_overwrite(tmp_path / "old", False, lambda path: False)


@pytest.mark.parametrize("option", ["-o", "--save"])
def test_a_name_too_long_is_told_in_words(tmp_path: Path, option: str) -> None:
    done = attnviz("run", "I am", "--json", option, LONG, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"attnviz: cannot write {LONG}: file name too long"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_standard_output_led_to_a_file_is_no_file_in_the_way(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("old\n")
    command = [sys.executable, "-m", "attnviz", "run", "I am", "--json", "-o", "/dev/stdout"]
    with log.open("a") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = log.read_text().splitlines()
    assert first == "old"
    assert second.startswith('{"schema":"attnviz.run/1"')
