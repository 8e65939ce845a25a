"""`attnviz heatmap --each`: a picture for each head, in files that a template names."""

import os
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from process import Workplace, workplace

import attnviz
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.cli.heatmap import MapOutput
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.show.figure.drawing import INK, ink_on, weight_colors, write_figure
from attnviz.show.figure.each import EachHead
from attnviz.show.forms import Style, figure

NAMES = "Attention_Layer{layer}_Head{head}.png"
GREY = ["--from-1", "--colours", "grey", "--scale", "0:1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, animal: Inspection) -> Workplace:
    return workplace(tmp_path_factory.mktemp("each"), animal)


def test_each_head_has_a_file_counted_from_1(place: Workplace) -> None:
    done = place("heatmap", "--layer", "0", "--each", "-o", NAMES, "--pieces", *GREY, "--quiet")
    names = [f"Attention_Layer1_Head{head}.png" for head in range(1, 13)]
    assert (done.code, done.out.splitlines(), done.err) == (0, names, "")
    assert set(names) <= set(os.listdir(place.folder))
    with Image.open(place.folder / names[0]) as picture:
        reds, greens, blues = np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0)
    cells = (reds == greens) & (greens == blues)
    assert cells[200:-300, 300:-400].mean() > 0.99  # the matrix has no colour


def test_a_file_of_each_is_that_of_its_head_alone(place: Workplace) -> None:
    each = ["--head", "L3H0", "--head", "L3H1", "--scale", "0:0.9"]
    assert place("heatmap", *each, "--each").code == 0
    assert place("heatmap", *each[2:], "-o", "alone.png").code == 0
    [own] = place.folder.glob("attnviz-minilm-L3H1-*.png")
    assert own.read_bytes() == (place.folder / "alone.png").read_bytes()


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("scale", [None, (0.0, 1.0), (0.0, 0.2)])
def test_heads_in_a_row_look_as_alone(animal: Inspection, special: bool, scale: Any) -> None:
    each, view = EachHead(scale, Style("grey")), animal.view(special=special)
    for place in ("L0H0", "L0H3", "L3H1", "L0H11", "L5H11"):
        head, drawn, alone = attnviz.matrices(view, head=place), BytesIO(), BytesIO()
        each.write(head, drawn)
        write_figure(figure(head, None, scale, Style("grey")), alone, "png")
        assert drawn.getvalue() == alone.getvalue()


def test_grey_is_black_to_white_and_numbers_stand_out(animal: Inspection) -> None:
    assert weight_colors()(0.0)[:3] > (0.9, 0.9, 0.9)
    assert (ink_on(0.2), ink_on(0.9)) == (INK, "white")
    drawn = figure(attnviz.matrices(animal, head="L3H1"), None, (0, 1), Style("grey"))
    axes = drawn.axes[0]
    [image] = axes.images
    assert image.cmap is not None
    assert [image.cmap(end)[:3] for end in (0.0, 1.0)] == [(0, 0, 0), (1, 1, 1)]
    inks = {text.get_text(): text.get_color() for text in axes.texts}
    assert (inks["0.68"], inks["0.10"]) == (INK, "white")


def test_titles_count_from_1_and_say_so(animal: Inspection) -> None:
    one = attnviz.matrices(animal, head="L3H1")
    titles = [figure(one, style=style).get_suptitle() for style in (None, Style(from_one=True))]
    assert titles == ["minilm · L3H1", "minilm · layer 4, head 2 (counted from 1)"]


def refusal(measure: MeasureName = "weights", **options: Any) -> str:
    """What is said of these options, of files without a sentence."""

    def look() -> object:
        output = MapOutput(**options)
        output.check_template(MEASURES[measure])
        return output.style

    with pytest.raises(RequestError) as raised:
        look()
    return raised.value.message


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x{layer}.png", "lacks {head}"),
        ("x.png", "lacks {layer} and {head}"),
        ("{layer}{head}{size}.png", "has {size}"),
        ("{layer}{head}{.png", "has {, and"),
        ("-", "standard output has room for one"),
    ],
)
def test_names_that_do_not_fit_are_refused(name: str, told: str) -> None:
    assert told in refusal(output=Path(name), each=True)


def test_two_heads_never_share_a_file(tmp_path: Path) -> None:
    names = MapOutput(output=tmp_path / "{layer}{head}.png", each=True)
    few, both = ([SimpleNamespace(heads=[one]) for one in some] for some in (
        [(0, 0), (1, 11)], [(1, 11), (11, 1)],
    ))  # fmt: skip
    assert [path.name for path in names.files_of(few)] == ["00.png", "111.png"]
    with pytest.raises(RequestError, match=r"several heads the name .*111\.png"):
        names.files_of(both)


def test_layers_alone_where_a_measure_mixes_heads() -> None:
    told = refusal("rollout", output=Path("{layer}{head}.png"), each=True)
    assert told.endswith("rollout has no heads")
    MapOutput(output=Path("L{layer}.png"), each=True).check_template(MEASURES["rollout"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"from_one": True}, "--each is missing"),
        ({"output": Path("L{layer}H{head}.png")}, "is for the pictures of --each"),
        ({"colours": "grey", "json": True}, "--colours is for pictures"),
        ({"each": True, "json": True}, "json is not one"),
    ],
)
def test_what_needs_each_or_a_picture(options: dict[str, Any], told: str) -> None:
    assert told in refusal(**options)


def test_a_refusal_comes_before_anything_is_written(place: Workplace) -> None:
    before = os.listdir(place.folder)
    done = place("heatmap", "--each", "-o", "x{layer}.png")
    assert (done.code, done.out, len(done.message)) == (2, "", 2)
    assert os.listdir(place.folder) == before


def test_several_sentences_have_no_room_in_one_set_of_names(place: Workplace) -> None:
    done = place("heatmap", "I am", "You are", "--each", "-o", NAMES)
    assert (done.code, done.out) == (2, "")
    assert "several sentences came" in done.err


def test_no_file_is_drawn_if_one_of_them_is_anothers(place: Workplace) -> None:
    mine = place.folder / "own-5-11.png"
    mine.write_text("mine")
    draw = ["heatmap", "--layer", "5", "--each", "-o", "own-{layer}-{head}.png"]
    done = place(*draw)
    assert (done.code, done.out) == (2, "")
    assert "own-5-11.png exists" in done.err
    assert [path.name for path in place.folder.glob("own-*")] == [mine.name]
    assert mine.read_text() == "mine"
    assert len(place(*draw, "--force").out.splitlines()) == 12
    assert mine.read_bytes().startswith(b"\x89PNG")
