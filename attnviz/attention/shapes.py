"""`Float[np.ndarray, "head query key"]`: arrays in annotations, with the names of their axes.

The names are those of docs/shapes.md. In the tests they are jaxtyping's, which checks each call;
otherwise they cost nothing: jaxtyping takes a tenth of a second to import.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int
else:

    class Float:
        """An array of floating-point numbers; without the tests, any array."""

        def __class_getitem__(cls, array_and_axes: tuple[type, str]) -> type:
            return array_and_axes[0]

    Bool = Int = Float

__all__ = ["Bool", "Float", "Int"]
