import io
import os
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.figure import Figure
from PIL import Image
from pypdf import PdfReader
from shown import heatmap

from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model
from attnviz.show.figure.drawing import (
    FigureFormat,
    drawing,
    format_of,
    text_width,
    write_figure,
    written_by_attnviz,
)

MATHS = r"Let $x_1^2$ be \frac{a}{b} of ^hat"
FORMATS: tuple[FigureFormat, ...] = ("png", "svg", "pdf")


def written(figure: Figure, form: FigureFormat) -> bytes:
    stream = io.BytesIO()
    write_figure(figure, stream, form)
    return stream.getvalue()


@pytest.fixture(scope="module")
def maths(minilm: Model) -> Figure:
    return heatmap(minilm.inspect(MATHS).view(), [HeadId(3, 1)])


@pytest.fixture(scope="module")
def korean(minilm: Model) -> Figure:
    return heatmap(minilm.inspect("그 동물은 길을 건너지 않았다").view(), [HeadId(3, 1)])


def test_png_has_the_figure_s_size(maths: Figure) -> None:
    with Image.open(io.BytesIO(written(maths, "png"))) as image:
        assert image.format == "PNG"
        width, height = maths.get_size_inches()
        assert image.size == (round(width * 200), round(height * 200))
        assert image.text["Software"] == "attnviz"  # type: ignore[attr-defined]


def test_svg_is_xml_with_every_token_as_text(maths: Figure) -> None:
    root = ElementTree.fromstring(written(maths, "svg"))
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert f"“{MATHS}”" in texts
    for token in ("x_1", "^@4", "\\", "frac"):
        assert texts.count(token) >= 2


def test_svg_loads_nothing_from_elsewhere(maths: Figure) -> None:
    svg = written(maths, "svg").decode()
    assert not re.search(r"href=\"http|@import|url\(http", svg)
    assert "sans-serif" in svg


def test_pdf_text_can_be_extracted(maths: Figure, korean: Figure) -> None:
    text = PdfReader(io.BytesIO(written(maths, "pdf"))).pages[0].extract_text()
    assert MATHS in text
    assert "query: who looks" in text
    text = PdfReader(io.BytesIO(written(korean, "pdf"))).pages[0].extract_text()
    assert "동물은" in text


def test_pdf_fonts_are_embedded_whole_letters_not_outlines(korean: Figure) -> None:
    page: Any = PdfReader(io.BytesIO(written(korean, "pdf"))).pages[0]
    fonts = page["/Resources"]["/Font"].values()
    kinds = [font.get_object()["/DescendantFonts"][0].get_object()["/Subtype"] for font in fonts]
    assert kinds == ["/CIDFontType2"] * len(kinds)
    assert len(kinds) >= 2


@pytest.mark.parametrize("form", FORMATS)
def test_same_figure_same_bytes_again_and_again(maths: Figure, form: FigureFormat) -> None:
    assert written(maths, form) == written(maths, form)


@pytest.mark.slow
def test_same_input_same_bytes_in_two_processes(animal: Inspection, tmp_path: Path) -> None:
    from attnviz.inspection.storage import save

    save(animal, tmp_path / "animal.safetensors")
    script = (
        "import hashlib, io, sys\n"
        "from pathlib import Path\n"
        "from attnviz.inspection import HeadId\n"
        "from attnviz.inspection.storage import load\n"
        "from attnviz.show.figure.drawing import write_figure\n"
        "from attnviz.answers.links import links\n"
        "from attnviz.answers.matrices import matrices\n"
        "from attnviz.show.figure import heatmap, lines\n"
        "view = load(Path(sys.argv[1])).view()\n"
        "heads = [HeadId(3, 1), HeadId(3, 2)]\n"
        "pictures = heatmap.figure(matrices(view, heads)), lines.figure(links(view, heads, 8))\n"
        "for figure in pictures:\n"
        "    for form in ('png', 'svg', 'pdf'):\n"
        "        stream = io.BytesIO()\n"
        "        write_figure(figure, stream, form)\n"
        "        print(hashlib.sha256(stream.getvalue()).hexdigest())\n"
        "bad = {'matplotlib.pyplot', 'koreanize_matplotlib', 'torch', 'typer'} & set(sys.modules)\n"
        "sys.exit(f'imported {bad}' if bad else 0)\n"
    )
    outputs = []
    for seed, year in (("1", "0"), ("2", "86400000")):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, str(tmp_path / "animal.safetensors")],
            env={**os.environ, "PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": year},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append(done.stdout.split())
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0])) == 6


@pytest.mark.parametrize("form", FORMATS)
def test_our_own_pictures_are_recognised(maths: Figure, form: FigureFormat, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{form}"
    path.write_bytes(written(maths, form))
    assert written_by_attnviz(path)


@pytest.mark.parametrize("form", FORMATS)
def test_others_pictures_are_not_ours(form: FigureFormat, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{form}"
    figure = Figure()
    figure.text(0.1, 0.5, "attnviz /Creator (attnviz) <dc:title>attnviz</dc:title>")
    figure.savefig(path, format=form)
    assert not written_by_attnviz(path)
    for content in (b"", b"tEXtSoftware\x00attnviz", b"notes: /Creator (attnviz)"):
        path.write_bytes(content)
        assert not written_by_attnviz(path)


def test_a_large_svg_of_ours_is_recognised(minilm: Model, tmp_path: Path) -> None:
    view = minilm.inspect("one two three four five six seven eight").view()
    path = tmp_path / "large.svg"
    content = written(heatmap(view, view.all_heads()), "svg")
    path.write_bytes(content)
    assert len(content) > 1 << 17
    assert written_by_attnviz(path)


def test_the_suffix_names_the_form() -> None:
    assert [format_of(Path(f"a.{s}")) for s in ("png", "SVG", "Pdf")] == ["png", "svg", "pdf"]
    with pytest.raises(RequestError, match=r"a\.gif"):
        format_of(Path("a.gif"))


def test_a_user_s_matplotlibrc_changes_nothing_and_is_left_alone(animal: Inspection) -> None:
    plain = written(heatmap(animal.view(), [HeadId(3, 1)]), "svg")
    odd: dict[Any, Any] = {
        "font.size": 30,
        "svg.fonttype": "path",
        "axes.facecolor": "k",
        "text.color": "r",
    }
    with matplotlib.rc_context(odd):
        before = {key: matplotlib.rcParams[key] for key in odd}
        assert written(heatmap(animal.view(), [HeadId(3, 1)]), "svg") == plain
        assert {key: matplotlib.rcParams[key] for key in odd} == before


@pytest.mark.parametrize("form", FORMATS)
def test_missing_glyphs_warn_nobody(
    minilm: Model, form: FigureFormat, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "שלום 👩\u200d👩\u200d👧 \U0010fffd 𒀀 नमस्ते \x07\u202e"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert written(heatmap(minilm.inspect(text).view(), [HeadId(0, 0)]), form)
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")


def test_text_width_grows_with_text_size_and_weight() -> None:
    with drawing():
        width = text_width("animal", 10)
        assert 0.3 < width < 0.7
        assert text_width("animal", 20) == pytest.approx(2 * width, rel=0.1)
        assert text_width("animal", 10, bold=True) > width
