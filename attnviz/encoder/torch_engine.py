"""The encoder's array functions in torch: for long texts, batches, other dtypes and devices."""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attnviz.encoder.devices import DTYPES, HERE, Placement, as_numpy

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "gelu_10": lambda x: F.gelu(x).clamp(-10, 10),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "mish": F.mish,
    "relu2": lambda x: F.relu(x).square(),
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "laplace": lambda x: (1 + torch.erf((x - 0.707107) / (0.282095 * 2**0.5))) / 2,
    "sqrtsoftplus": lambda x: F.softplus(x).sqrt(),
    "identity": lambda x: x,
}


class TorchEngine:
    """Implements `Engine` on one device and in one dtype."""

    def __init__(self, place: Placement = HERE) -> None:
        self.place = place
        self.device = place.device.type
        self.dtype = next(name for name, dtype in DTYPES.items() if dtype == place.dtype)
        self._onednn = _onednn() if (self.device, self.dtype) == ("cpu", "float32") else None
        # workers may be many, if they began in numpy
        self._turn: AbstractContextManager[object] = RLock() if self.alone else nullcontext()

    @property
    def alone(self) -> bool:
        """See `Engine`."""
        return self.device != "cpu"

    def put(self, weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """See `Engine`. On the CPU, float32 stays where it is, mapped from a file."""
        tensors = {name: torch.from_numpy(np.asarray(array)) for name, array in weights.items()}
        return self.place.put(tensors)

    def array(self, numbers: np.ndarray) -> Tensor:
        """See `Engine`."""
        tensor = torch.from_numpy(numbers)
        dtype = self.place.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(self.place.device, dtype)

    def numpy(self, array: Tensor) -> np.ndarray:
        """See `Engine`."""
        return as_numpy(array)

    @contextmanager
    def running(self) -> Iterator[None]:
        """See `Engine`."""
        with self._turn, torch.inference_mode():
            yield

    def rows(self, table: Tensor, numbers: Tensor) -> Tensor:
        """See `Engine`."""
        return F.embedding(numbers, table)

    def whole(self, table: Tensor) -> Tensor:
        """See `Engine`."""
        return table

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """See `Engine`."""
        if self._onednn is None:
            return F.linear(x, weight, bias)
        product: Tensor = self._onednn(x, weight, bias, "none", [], "")
        return product

    def layer_norm(self, x: Tensor, gain: Tensor, shift: Tensor, eps: float) -> Tensor:
        """See `Engine`."""
        return F.layer_norm(x, gain.shape, gain, shift, eps)

    def activation(self, name: str, x: Tensor) -> Tensor:
        """See `Engine`."""
        return FUNCTIONS[name](x)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """See `Engine`."""
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def where(self, condition: Tensor, x: Tensor, other: float) -> Tensor:
        """See `Engine`."""
        return x.masked_fill(~condition, other)

    def joined(self, arrays: Sequence[Tensor]) -> Tensor:
        """See `Engine`."""
        return torch.cat(list(arrays))

    def repeated(self, array: Tensor, count: int) -> Tensor:
        """See `Engine`."""
        return array.expand(count, *array.shape[1:])

    def head_outputs(self, weight: Tensor, num_heads: int) -> Tensor:
        """See `Engine`."""
        return shape_of_output(weight, num_heads)

    def lengths(self, v: Tensor, outputs: Tensor) -> Tensor:
        """See `Engine`."""
        found: Tensor = torch.linalg.vector_norm(v.float() @ outputs, dim=-1)
        return found


def _onednn() -> Callable[..., Tensor] | None:
    """The product of oneDNN, which is faster than that of `F.linear`; None where torch lacks it.

    It is what torch.compile calls, and has no public name, so it is tried before it is used.
    """
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    if not (x86 and torch.backends.mkldnn.is_available()):  # type: ignore[no-untyped-call]
        return None
    x, weight, bias = torch.ones(1, 2), torch.ones(3, 2), torch.ones(3)
    try:
        product: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise
        found = product(x, weight, bias, "none", [], "")
    except (AttributeError, TypeError, RuntimeError):
        return None
    return product if torch.equal(found, F.linear(x, weight, bias)) else None


def shape_of_output(weight: Tensor, num_heads: int) -> Tensor:
    """Each head's part of W_O without its rotation, (num_heads, d_k, d_k), in float32.

    A head's part is L times orthonormal rows, which keep lengths: |v W_O| = |v L|, at d_k / d_model
    of the work. L is the transposed R of a QR decomposition.
    """
    # on the CPU: not every GPU has float64
    columns = weight.to("cpu", torch.float64).T.reshape(num_heads, -1, len(weight))
    upper: Tensor = torch.linalg.qr(columns.mT, mode="r").R
    return upper.mT.to(weight.device, torch.float32)
