"""The one voice in which errors speak: who complains, about what, what arrived, what to do."""

from collections.abc import Sequence
from typing import Any


class InputError(ValueError):
    """What a person gave cannot be used: a file, a text, a prompt, a checkpoint.

    The command line prints it as one line; everywhere else it is a :class:`ValueError`.

    Example:
      >>> from jaxseq._checks import InputError
      >>> issubclass(InputError, ValueError)
      True
    """


def error(
    where: str, problem: str, *, hint: str | None = None, kind: type[Exception] = ValueError
) -> Exception:
    """Returns the exception that says ``where: problem`` and, below it, the hint.

    Args:
      where: the function that the user called.
      problem: the argument, its axes, and what arrived; no full stop.
      hint: what to do about it; no full stop.
      kind: ``ValueError`` for shapes and values, ``TypeError`` for structure and dtype.

    Returns:
      The exception, for the caller to raise, so that type checkers see the control flow.

    Example:
      >>> print(error("scan", "`unroll` must be at least 1, but it is 0", hint="leave it out"))
      scan: `unroll` must be at least 1, but it is 0.
        Hint: leave it out.
    """
    exception = kind(f"{where}: {problem}." + (f"\n  Hint: {hint}." if hint else ""))
    exception.jaxseq = True  # type: ignore[attr-defined]  any exception takes an attribute
    return exception


def is_ours(exception: BaseException) -> bool:
    """Returns whether :func:`error` made the exception, so that its text says what to mend.

    Example:
      >>> is_ours(error("scan", "`unroll` is 0")), is_ours(ValueError("of NumPy"))
      (True, False)
    """
    return getattr(exception, "jaxseq", False)


def shape_text(shape: Sequence[int]) -> str:
    """Returns a shape as Python writes a tuple.

    Example:
      >>> shape_text([3])
      '(3,)'
    """
    return str(tuple(int(size) for size in shape))


def check_shape(
    where: str,
    name: str,
    array: Any,
    axes: str,
    expected: Sequence[int],
    *,
    hint: str | None = None,
) -> None:
    """Raises unless ``array`` has exactly the expected shape.

    Args:
      where: the function that the user called.
      name: the argument, as the user wrote it.
      array: anything with a ``shape``.
      axes: the names of the axes, as in ``"(input_size,)"``.
      expected: the sizes of these axes.
      hint: what to do about it.

    Raises:
      ValueError: naming the axes, the sizes expected, and the shape that arrived.

    Example:
      >>> import numpy as np
      >>> check_shape("f", "x", np.zeros(3), "(input_size,)", (3,))
    """
    if tuple(array.shape) != tuple(expected):
        raise error(
            where,
            f"`{name}` must have shape {axes} = {shape_text(expected)}, "
            f"but it has shape {shape_text(array.shape)}",
            hint=hint,
        )
