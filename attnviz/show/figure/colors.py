"""The pictures' colours: a scale for weights, and one colour a head for lines."""

from functools import cache

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap

_STOPS = np.array(
    [  # lightness, chroma and hue (degrees) in OKLCH (Ottosson 2020)
        (0.995, 0.000, 75.0),
        (0.900, 0.075, 75.0),
        (0.780, 0.135, 55.0),
        (0.640, 0.175, 25.0),
        (0.490, 0.165, -10.0),
        (0.340, 0.120, -45.0),
        (0.200, 0.060, -75.0),
    ]
)

_BELOW = np.array(
    [(0.985, 0.000, 245.0), (0.800, 0.075, 245.0), (0.580, 0.130, 250.0), (0.380, 0.130, 258.0)]
)
_ABOVE = np.array(
    [(0.985, 0.000, 65.0), (0.830, 0.085, 65.0), (0.680, 0.150, 52.0), (0.480, 0.135, 38.0)]
)

_LMS_FROM_LAB = np.array(
    [
        (1.0, 0.3963377774, 0.2158037573),
        (1.0, -0.1055613458, -0.0638541728),
        (1.0, -0.0894841775, -1.2914855480),
    ]
)
_RGB_FROM_LMS = np.array(
    [
        (4.0767416621, -3.3077115913, 0.2309699292),
        (-1.2684380046, 2.6097574011, -0.3413193965),
        (-0.0041960863, -0.7034186147, 1.7076147010),
    ]
)


@cache
def weight_colors() -> ListedColormap:
    """White for nothing, through orange and red, to nearly black: even steps in OKLab.

    Equal differences of weight look equally large, it prints, and it stays a scale in grey.
    """
    return ListedColormap(_even(_STOPS, 256), name="attnviz")


@cache
def signed_colors() -> ListedColormap:
    """White for nothing, through orange to brown above 0, through blue below: even steps too."""
    colors = np.concatenate([_even(_BELOW, 128)[::-1], _even(_ABOVE, 128)])
    return ListedColormap(colors, name="attnviz-signed")


def _even(stops: np.ndarray, count: int) -> np.ndarray:
    """So many colours, (count, red green blue), at even steps in OKLab along the stops' way."""
    places = np.linspace(0, 1, len(stops))
    fine = np.linspace(0, 1, 4096)
    lightness, chroma, hue = (np.interp(fine, places, column) for column in stops.T)
    angle = np.radians(hue)
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=1)
    way = np.concatenate([[0.0], np.linalg.norm(np.diff(lab, axis=0), axis=1).cumsum()])
    even = np.linspace(0, way[-1], count)
    lab = np.stack([np.interp(even, way, column) for column in lab.T], axis=1)
    linear = ((lab @ _LMS_FROM_LAB.T) ** 3) @ _RGB_FROM_LMS.T
    return _srgb(linear)


def _srgb(linear: np.ndarray) -> np.ndarray:
    clipped = np.clip(linear, 0, 1)
    curved = 1.055 * clipped ** (1 / 2.4) - 0.055
    return np.asarray(np.where(clipped <= 0.0031308, 12.92 * clipped, curved))


def head_colors(count: int) -> list[tuple[float, float, float]]:
    """A colour for each of `count` heads, as different as a picture permits; 20, then again."""
    tab = colormaps["tab20"]
    order = [*range(0, 20, 2), *range(1, 20, 2)]
    return [tab(order[i % 20])[:3] for i in range(count)]
