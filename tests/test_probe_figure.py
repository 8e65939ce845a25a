"""The picture of a probe: best heads beside baselines, and a map of all heads."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from probes import found, some

import attnviz
from attnviz.answers.probe import Probe
from attnviz.errors import RequestError
from attnviz.show.figure import probe as drawn
from attnviz.show.forms import Style, figure


@pytest.fixture(scope="module")
def probe() -> Probe:
    return found(some(7, count=60))


def panels(picture: Figure) -> tuple[Axes, Axes]:
    return picture.axes[0], picture.axes[1]


def names(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def dots(axes: Axes, name: str) -> list[tuple[float, float]]:
    (marks,) = (one for one in axes.collections if one.get_label() == name)
    return [(float(x), float(y)) for x, y in np.asarray(marks.get_offsets())]


def test_a_row_a_relation_with_its_numbers(probe: Probe) -> None:
    left, right = panels(attnviz.figure(probe))
    assert names(left) == [one.name for one in probe.relations]
    for row, relation in enumerate(probe.relations):
        assert (relation.accuracy.mean, row) in dots(left, "best head")
        offset = relation.asked.baselines["offset"].accuracy.mean
        assert (offset, row) in dots(left, "best fixed offset")
    (image,) = right.images
    assert np.asarray(image.get_array()).shape == (len(probe.relations), 6)
    assert image.get_clim() == (0, 1)


def test_the_most_frequent_ones(probe: Probe) -> None:
    left, _ = panels(attnviz.figure(probe, 3))
    assert names(left) == [one.name for one in probe.relations[:3]]


def test_of_many_heads_the_best_of_each_layer(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawn, "MOST_HEADS", 5)
    (image,) = panels(attnviz.figure(probe))[1].images
    numbers = np.asarray(image.get_array())
    assert numbers.shape == (len(probe.relations), 2)
    for row, relation in zip(numbers, probe.relations, strict=True):
        assert max(row) == relation.accuracy.mean


def test_in_korean(probe: Probe) -> None:
    left, right = panels(figure(probe, style=Style(language="ko")))
    said = [text.get_text() for axes in (left, right) for text in axes.texts]
    assert "관계마다 가장 좋은 헤드가 찾아낸 비율; 굵은 글씨: 기준선보다 확실히 높음" in said
    legend = left.get_legend()
    assert legend is not None
    assert all(not text.get_text().isascii() for text in legend.get_texts())


def test_nothing_to_draw(probe: Probe) -> None:
    with pytest.raises(RequestError, match="there is no link in what was read"):
        attnviz.figure(replace(probe, relations=()))
