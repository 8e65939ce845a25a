"""What is the same in all layers whose queries may look at the same keys?"""

from collections.abc import Callable
from typing import TypeVar

from attnviz.inspection import View

_Made = TypeVar("_Made")


def by_mask(view: View, make: Callable[[int], _Made]) -> Callable[[int], _Made]:
    """What `make` makes of a layer, made once for all layers with the same mask.

    Of a long text that is much work, and most models have one mask or two.
    """
    made: dict[object, _Made] = {}

    def of(layer: int) -> _Made:
        mask = _mask(view, layer)
        if mask not in made:
            made[mask] = make(layer)
        return made[mask]

    return of


def _mask(view: View, layer: int) -> object:
    """What tells the mask of a layer from those of others."""
    if not view.measured.per_head:
        return layer  # what is reached grows from layer to layer
    record = view.inspection.layer(layer)
    visible = None if record.visible is None else record.visible.tobytes()
    return visible, None if record.bias is None else id(record.bias)
