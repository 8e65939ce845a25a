import numpy as np
import pytest
from matplotlib.colors import Colormap

from attnviz.show.figure.drawing import MOST_HEADS, head_colors, signed_colors, weight_colors

OKLAB = np.array(
    [
        (0.2104542553, 0.7936177850, -0.0040720468),
        (1.9779984951, -2.4285922050, 0.4505937099),
        (0.0259040371, 0.7827717662, -0.8086757660),
    ]
)
LMS = np.array(
    [
        (0.4122214708, 0.5363325363, 0.0514459929),
        (0.2119034982, 0.6806995451, 0.1073969566),
        (0.0883024619, 0.2817188376, 0.6299787005),
    ]
)


def oklab(colors: Colormap | np.ndarray) -> np.ndarray:
    """Colours, or the 256 of a scale, as (colour, lightness a b), by the published transform."""
    rgb = np.asarray(colors if isinstance(colors, np.ndarray) else colors(np.arange(256)))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ LMS.T) @ OKLAB.T)


def test_equal_steps_of_weight_look_equally_large() -> None:
    steps = np.linalg.norm(np.diff(oklab(weight_colors()), axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.08)


def test_more_weight_is_always_darker_from_white_to_nearly_black() -> None:
    lightness = oklab(weight_colors())[:, 0]
    assert (np.diff(lightness) < 0).all()
    assert lightness[0] > 0.99
    assert lightness[-1] < 0.25


@pytest.mark.parametrize(("side", "sign"), [(slice(127, None, -1), -1), (slice(128, None), 1)])
def test_signed_numbers_go_from_white_to_a_dark_colour_of_their_own(side: slice, sign: int) -> None:
    """Blue below 0 and orange above, in even steps, darker the further from 0."""
    lab = oklab(signed_colors())[side]
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.09)  # a corner cuts one short
    assert (np.diff(lab[:, 0]) < 0).all()
    assert lab[0, 0] > 0.98
    assert (sign * lab[1:, 2] > 0).all()  # b, from blue to yellow


@pytest.mark.parametrize(
    ("count", "apart"), [(2, 0.3), (12, 0.18), (24, 0.13), (72, 0.07), (144, 0.05)]
)
def test_no_two_heads_have_one_colour(count: int, apart: float) -> None:
    """Pairwise distances in OKLab, where 0.02 is just noticeable; all show on white."""
    colors = head_colors(count)
    lab = oklab(colors)
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert distances[~np.eye(count, dtype=bool)].min() >= apart
    assert np.linalg.norm(lab - (1, 0, 0), axis=1).min() > 0.2
    np.testing.assert_array_equal(colors, head_colors(MOST_HEADS)[:count])
