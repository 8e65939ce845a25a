"""How long values are once W_O has taken them up (Kobayashi et al. 2020)."""

import torch
from torch import Tensor


def shape_of_output(weight: Tensor, num_heads: int) -> Tensor:
    """Each head's part of W_O without its rotation, (num_heads, d_k, d_k), in float32.

    weight: (d_model, num_heads x d_k). A head's part is L times orthonormal rows, which keep
    lengths: |v W_O| = |v L|, at d_k / d_model of the work. L is the transposed R of a QR
    decomposition.
    """
    # on the processor: not every GPU has float64
    columns = weight.to("cpu", torch.float64).T.reshape(num_heads, -1, len(weight))
    upper: Tensor = torch.linalg.qr(columns.mT, mode="r").R
    return upper.mT.to(weight.device, torch.float32)
