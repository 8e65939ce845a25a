"""`Float[np.ndarray, "head query key"]`: arrays with named axes (docs/shapes.md).

In the tests these are jaxtyping's, which takes 0.1 s to import and checks each call.
"""

import sys
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int
else:
    Bool = Float = Int = Annotated

__all__ = ["Bool", "Float", "Int"]
