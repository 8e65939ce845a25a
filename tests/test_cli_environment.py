"""What a process finds around it: environment, standard streams, its own cache; nothing ends it."""

import os
import subprocess

import pytest
from conftest import ANIMAL
from process import Workplace, workplace

from attnviz.inspection import Inspection
from attnviz.inspection.storage import save

ODD = {
    "MPLBACKEND": "module://no_such_notebook.backend_inline",
    "SOURCE_DATE_EPOCH": "now",
    "HF_HUB_ETAG_TIMEOUT": "10s",
    "HF_HUB_DOWNLOAD_TIMEOUT": "x",
    "TERMINAL_WIDTH": "auto",
    "TQDM_MININTERVAL": "often",
    "TQDM_NCOLS": "x",
    "COLUMNS": "abc",
    "LINES": "-1",
    "LC_ALL": "C",
    "HF_HUB_VERBOSITY": "loud",
    "PYTHONWARNINGS": "default",
    "FORCE_COLOR": "",
    "TORCH_LOGS": "nonsense",
    "TORCH_TRACE": "/dev/null/x",
    "TORCH_COMPILE_DEBUG": "x",
    "TORCHINDUCTOR_CACHE_DIR": "/dev/null/x",
    "TORCHINDUCTOR_COMPILE_THREADS": "x",
    "TORCHDYNAMO_REPRO_LEVEL": "x",
    "TORCH_SHOW_CPP_STACKTRACES": "x",
    "PYTORCH_JIT": "x",
}
"""What libraries read from the environment, and cannot use."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    place = workplace(tmp_path_factory.mktemp("environment"), animal)
    save(animal, place.folder / "kept")
    return place


@pytest.mark.slow
def test_a_picture_needs_no_backend_and_no_settings(place: Workplace) -> None:
    settings = place.folder / "matplotlibrc"
    for form, backend, content in (
        ("pdf", ODD["MPLBACKEND"], b"axes.grid: True\xff\xfe\n"),
        ("svg", "nonsense", b"nonsense\nlines.linewidth: x\naxes.grid: True\n"),
    ):
        head = ("heatmap", "--head", "L3H1", "--force", "-o", f"head.{form}")
        assert place(*head).code == 0
        usual = (place.folder / f"head.{form}").read_bytes()
        settings.write_bytes(content)
        done = place(*head, env={**ODD, "MPLBACKEND": backend})
        settings.unlink()
        assert (done.code, done.message) == (0, [])
        assert (place.folder / f"head.{form}").read_bytes() == usual


@pytest.mark.slow
def test_a_command_does_not_mind_an_odd_environment(place: Workplace) -> None:
    usual = place("run", ANIMAL, "--head", "L3H1")
    done = place("run", ANIMAL, "--head", "L3H1", env=ODD)
    assert (done.code, done.out, done.err) == (0, usual.out, "")
    assert place("--help", env=ODD).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("folder", [{"MPLCONFIGDIR": "/proc"}, {"XDG_CACHE_HOME": "/dev/null"}])
def test_matplotlib_has_no_folder(place: Workplace, folder: dict[str, str]) -> None:
    env = {"MPLCONFIGDIR": "", **folder}
    done = place("heatmap", "--head", "L3H1", "--force", "-o", "x.pdf", "--load", "kept", env=env)
    assert (done.code, done.err) == (0, "")


def test_a_library_that_cannot_be_imported(place: Workplace) -> None:
    """Such as torch, whose error about a variable has many lines."""
    library = place.folder / "broken" / "torch.py"
    library.parent.mkdir()
    library.write_text('raise ValueError("\\nUnknown setting of X: 0 or 1.\\nmore")')
    env = {"PYTHONPATH": str(library.parent), "ATTNVIZ_ENGINE": "torch"}
    done = place("run", ANIMAL, env=env)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "attnviz: torch cannot be imported: Unknown setting of X: 0 or 1",
        "  check the environment variables that torch reads, or install it again",
    ]


def test_help_that_nobody_asked_for_is_no_result(place: Workplace) -> None:
    done = place()
    assert (done.code, done.out) == (2, "")
    assert done.err.rstrip() == place("--help").out.rstrip()


def test_messages_that_nobody_reads(place: Workplace) -> None:
    end, begin = os.pipe()
    os.close(end)
    with open("/dev/full", "wb") as full, open(begin, "wb", 0) as pipe:
        for stream in (full, pipe):
            assert place("run", "--colour", stderr=stream).code == 2
        assert place("run", "--query", "dog", stderr=full).code == 2
        assert place("run", "--head", "L3H1", stderr=pipe).code == 0


@pytest.mark.slow
def test_a_line_without_end(place: Workplace) -> None:
    with subprocess.Popen(["yes", "the cat"], stdout=subprocess.PIPE) as lines:
        with subprocess.Popen(
            ["tr", "\\n", " "], stdin=lines.stdout, stdout=subprocess.PIPE
        ) as line:
            done = place("run", "-", stdin=line.stdout)
            line.kill()
        lines.kill()
    assert (done.code, done.out) == (2, "")
    assert done.message == [
        "attnviz: line 1: the line is longer than 16 MiB, and is not read further",
        "  give a sentence a line",
        "attnviz: 1 sentence left out, see above",
    ]
