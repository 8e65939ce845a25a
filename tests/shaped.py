"""A type checker for jaxtyping that looks at arrays alone: their shapes and kinds of numbers.

All else is mypy's work. pyproject.toml has pytest apply it to the rooms whose arrays are annotated.
"""

import functools
import inspect
from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

from jaxtyping import AbstractArray


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which raises TypeError where an array is not as its annotation has it."""
    signature = inspect.signature(function)
    expected = {
        name: hints
        for name, parameter in signature.parameters.items()
        if (hints := _arrays(parameter.annotation))
    }
    returned = _arrays(signature.return_annotation)
    if not expected and not returned:
        return function

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        for name, hints in expected.items():
            if name in given:
                _check(name, given[name], hints)
        result = function(*args, **kwargs)
        if returned:
            _check("the result", result, returned)
        return result

    return wrapper


def _arrays(annotation: Any) -> tuple[Any, ...]:
    """What a value may be, if its annotation says that it is an array, or that or None."""
    union = get_origin(annotation) in (Union, UnionType)
    hints = get_args(annotation) if union else (annotation,)
    arrays = [hint for hint in hints if isinstance(hint, type) and issubclass(hint, AbstractArray)]
    return hints if arrays else ()


def _check(name: str, value: Any, hints: tuple[Any, ...]) -> None:
    if not isinstance(value, hints):
        found = f"{value.dtype}{value.shape}" if hasattr(value, "shape") else repr(value)
        raise TypeError(f"{name} is {found}, not {' or '.join(map(str, hints))}")
