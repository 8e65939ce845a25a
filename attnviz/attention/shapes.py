"""`Float[np.ndarray, "head query key"]`: arrays with named axes (docs/shapes.md).

In the tests these are jaxtyping's, which takes 0.1 s to import and checks each call.
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
