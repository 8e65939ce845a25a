"""Scripts of the page compute what Python does, from numbers as they are and as they are packed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_fixture import CODED, STORED, fixture, of_text, request

SCRIPT = Path(__file__).parent / "page_mathematics.mjs"
KINDS: list[dict[str, Any]] = json.loads(STORED.read_text(encoding="utf-8"))
NAMES = [kind["name"] for kind in KINDS]

Results = dict[str, Any]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, list[Results]]:
    """What the scripts make of all kinds, not rounded and rounded."""
    found = {}
    for rounded in (False, True):
        path = tmp_path_factory.mktemp("page") / "requests.json"
        path.write_text(json.dumps([request(kind, rounded) for kind in KINDS]))
        run = subprocess.run(["node", SCRIPT, path], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        found[rounded] = json.loads(run.stdout)
    return found


def assert_near(found: Any, expected: Any, near: float, *, what: str) -> None:
    """Numbers, as text or plain, differ by at most so much; the same place by place in lists."""
    if isinstance(expected, list | dict):
        assert type(found) is type(expected), what
        assert len(found) == len(expected), what
        places = expected if isinstance(expected, dict) else range(len(expected))
        for place in places:
            assert_near(found[place], expected[place], near, what=f"{what} {place}")
    elif isinstance(expected, str) and expected.startswith(CODED):
        np.testing.assert_allclose(of_text(found), of_text(expected), 1e-6, near, err_msg=what)
    elif isinstance(expected, float):
        np.testing.assert_allclose(found, expected, 1e-6, near, err_msg=what)
    else:
        assert found == expected, what


def test_there_are_many_kinds() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 20


def test_the_stored_results_are_what_python_computes() -> None:
    """Run tests/page_fixture.py where kinds or the specification have changed."""
    assert_near(json.loads(json.dumps(fixture())), KINDS, 1e-6, what="kind")


@pytest.mark.parametrize("place", range(len(KINDS)), ids=NAMES)
def test_scripts_repeat_python(computed: dict[bool, list[Results]], place: int) -> None:
    kind = KINDS[place]
    for what in ("shown", "explained", "found"):
        assert_near(computed[False][place][what], kind["results"][what], 1e-6, what=what)


@pytest.mark.parametrize("place", range(len(KINDS)), ids=NAMES)
def test_packed_numbers_keep_every_weight(computed: dict[bool, list[Results]], place: int) -> None:
    kind = KINDS[place]
    assert_near(computed[True][place]["shown"], kind["results"]["shown"], 1e-3, what="shown")
