"""Numbers as a model that computes in fewer bits has them, in float32."""

import numpy as np


def rounded(numbers: np.ndarray, dtype: str) -> np.ndarray:
    """Float32 numbers rounded to "bfloat16" or "float16", ties to even; as they are for others."""
    if dtype == "float16":
        return numbers.astype(np.float16).astype(np.float32)
    if dtype != "bfloat16":
        return numbers
    # bfloat16 is the upper half of float32
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    halfway = np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    upper = (bits + halfway) & np.uint32(0xFFFF0000)
    out: np.ndarray = upper.view(np.float32)
    return out
