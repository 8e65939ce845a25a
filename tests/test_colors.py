import numpy as np

from attnviz.render.figure.colors import head_colors, weight_colors

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


def oklab() -> np.ndarray:
    """The scale's colours, (256, lightness a b), by the published forward transform."""
    rgb = np.asarray(weight_colors()(np.arange(256)))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ LMS.T) @ OKLAB.T)


def test_equal_steps_of_weight_look_equally_large() -> None:
    steps = np.linalg.norm(np.diff(oklab(), axis=0), axis=1)
    np.testing.assert_allclose(steps, steps.mean(), rtol=0.03)


def test_more_weight_is_always_darker_from_white_to_nearly_black() -> None:
    lightness = oklab()[:, 0]
    assert (np.diff(lightness) < 0).all()
    assert lightness[0] > 0.99
    assert lightness[-1] < 0.25


def test_twenty_heads_have_twenty_colours() -> None:
    assert len(set(head_colors(20))) == 20
    assert head_colors(25)[20:] == head_colors(5)
