"""The random matrices of the model that was never trained, each drawn by itself.

A matrix follows from the seed and its name alone, so that one layer's can be had without the
others, and without torch.
"""

import numpy as np


def draw_matrix(out: np.ndarray, seed: int, name: str) -> None:
    """Fill a float32 matrix Xavier-uniformly (Glorot & Bengio 2010, equation 16)."""
    # the generator takes numbers, so the name goes in letter by letter
    np.random.default_rng([seed, *name.encode()]).random(out=out, dtype=np.float32)
    bound = (6 / sum(out.shape)) ** 0.5
    out *= 2 * bound
    out -= bound
