"""The page's colours: heads are told apart by people who see colours in other ways too."""

import re
from itertools import combinations

import numpy as np
import pytest

from attnviz.show.figure.drawing import _TO_CONES, _TO_LAB
from attnviz.show.page.bundle import FOLDER

# Machado, Oliveira and Fernandes 2009, severity 1, on linear sRGB
SIGHTS = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            (0.152286, 1.052583, -0.204868),
            (0.114503, 0.786281, 0.099216),
            (-0.003882, -0.048116, 1.051998),
        ]
    ),
    "deuteranopia": np.array(
        [
            (0.367322, 0.860646, -0.227968),
            (0.280085, 0.672501, 0.047413),
            (-0.01182, 0.04294, 0.968881),
        ]
    ),
    "tritanopia": np.array(
        [
            (1.255528, -0.076749, -0.178779),
            (-0.078411, 0.930809, 0.147602),
            (0.004733, 0.691367, 0.3039),
        ]
    ),
}
GROUNDS = {"light": "#fdfcfa", "dark": "#17171b"}


def seen(colour: str, sight: np.ndarray) -> np.ndarray:
    """A colour in OKLab, as someone sees it."""
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    lab: np.ndarray = _TO_LAB @ np.cbrt(_TO_CONES @ (sight @ linear).clip(0, 1))
    return lab


def colours(theme: str) -> list[str]:
    """The colours of the first twelve heads."""
    script = (FOLDER / "script" / "colours.js").read_text(encoding="utf-8")
    eyes = re.search(r'EYES = "(.*?)"', script)
    own = re.search(rf"{theme}: `\$\{{EYES\}} (.*?)`", script)
    assert eyes is not None
    assert own is not None
    return f"{eyes[1]} {own[1]}".split()


@pytest.mark.parametrize("theme", GROUNDS)
@pytest.mark.parametrize("sight", SIGHTS)
def test_heads_are_told_apart_by_any_eye(theme: str, sight: str) -> None:
    own = [seen(colour, SIGHTS[sight]) for colour in colours(theme)]
    assert len(own) == 12
    assert min(np.linalg.norm(one - other) for one, other in combinations(own, 2)) > 0.07
    ground = seen(GROUNDS[theme], SIGHTS[sight])
    assert min(np.linalg.norm(one - ground) for one in own) > 0.2
