"""The textbook's cells in NumPy float64: what the tests of every cell compare with.

Written from the equations, one gate a line, each gate with its own matrices; it shares no code
with jaxseq. Parameters and carries are NamedTuples with jaxseq's field names; a carry comes back as
the type that went in, so that ``jax.tree.map`` compares the two. A step takes one example.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[..., tuple[Any, np.ndarray]]


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-a)), as a tanh, which never overflows."""
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def gates(params: Any, names: str) -> dict[str, np.ndarray]:
    """Returns each gate's own ``W_i?``, ``W_h?``, ``b_i?``, ``b_h?``, cut from the fused arrays."""
    own = {}
    for prefix, fused in (
        ("W_i", params.w_ih),
        ("W_h", params.w_hh),
        ("b_i", params.b_ih),
        ("b_h", params.b_hh),
    ):
        rows = np.asarray(fused, np.float64)
        size = rows.shape[0] // len(names)
        for k, name in enumerate(names):
            own[prefix + name] = rows[k * size : (k + 1) * size]
    return own


def elman_step(
    params: Any, carry: Any, x: Any, *, activation: Callable[..., np.ndarray] = np.tanh
) -> tuple[Any, np.ndarray]:
    """Elman 1990: h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""
    w_ih, w_hh, b_ih, b_hh = (np.asarray(leaf, np.float64) for leaf in params)
    x, h = np.asarray(x, np.float64), np.asarray(carry.h, np.float64)
    h = activation(w_ih @ x + b_ih + w_hh @ h + b_hh)
    return carry._replace(h=h), h


def relu(a: np.ndarray) -> np.ndarray:
    """Returns max(a, 0)."""
    return np.maximum(a, 0.0)


def lstm_step(params: Any, carry: Any, x: Any) -> tuple[Any, np.ndarray]:
    """Hochreiter and Schmidhuber 1997, with forget gates; ``w_hr``, if there, projects h'."""
    w = gates(params, "ifgo")
    x, h, c = (np.asarray(a, np.float64) for a in (x, carry.h, carry.c))
    i = sigmoid(w["W_ii"] @ x + w["b_ii"] + w["W_hi"] @ h + w["b_hi"])
    f = sigmoid(w["W_if"] @ x + w["b_if"] + w["W_hf"] @ h + w["b_hf"])
    g = np.tanh(w["W_ig"] @ x + w["b_ig"] + w["W_hg"] @ h + w["b_hg"])
    o = sigmoid(w["W_io"] @ x + w["b_io"] + w["W_ho"] @ h + w["b_ho"])
    c = f * c + i * g
    h = o * np.tanh(c)
    if hasattr(params, "w_hr"):
        h = np.asarray(params.w_hr, np.float64) @ h
    return carry._replace(h=h, c=c), h


def gru_step(
    params: Any, carry: Any, x: Any, *, reset_after: bool = True
) -> tuple[Any, np.ndarray]:
    """Cho 2014 (the reset before the product), or cuDNN's and PyTorch's form (after it)."""
    w = gates(params, "rzn")
    x, h = np.asarray(x, np.float64), np.asarray(carry.h, np.float64)
    r = sigmoid(w["W_ir"] @ x + w["b_ir"] + w["W_hr"] @ h + w["b_hr"])
    z = sigmoid(w["W_iz"] @ x + w["b_iz"] + w["W_hz"] @ h + w["b_hz"])
    if reset_after:
        n = np.tanh(w["W_in"] @ x + w["b_in"] + r * (w["W_hn"] @ h + w["b_hn"]))
    else:
        n = np.tanh(w["W_in"] @ x + w["b_in"] + w["W_hn"] @ (r * h) + w["b_hn"])
    h = (1.0 - z) * n + z * h
    return carry._replace(h=h), h


def sequence(
    step: Step,
    params: Any,
    carry: Any,
    xs: Any,
    *,
    lengths: Any = None,
    resets: Any = None,
    reverse: bool = False,
) -> tuple[Any, np.ndarray]:
    """Runs every row alone, over its valid steps only: what the padding contract promises.

    Args:
      step: one of the steps above, ``(params, carry, x) -> (carry, y)``.
      params: the weights.
      carry: the state before, a NamedTuple of ``[*batch, ...]`` (it has no default).
      xs: ``[*batch, T, I]``; what stands in the pads is never read.
      lengths: ``[*batch]``; all T steps without.
      resets: ``[*batch, T]``, true at the first step of a piece that begins from zeros (reversed:
        that begins from zeros at its last step).
      reverse: from each row's last valid step to its first; ``ys`` stay in input order.

    Returns:
      The carry after each row's last step, and ``ys [*batch, T, O]``, 0 at padded steps.
    """
    xs = np.asarray(xs, np.float64)
    *batch, time, _ = xs.shape
    lengths = np.full(batch, time) if lengths is None else np.asarray(lengths)
    resets = np.zeros((*batch, time), bool) if resets is None else np.asarray(resets)
    final = {name: np.array(leaf, np.float64) for name, leaf in carry._asdict().items()}
    ys = np.zeros((*batch, time, carry.h.shape[-1]))
    for row in np.ndindex(*batch):
        fresh = {name: np.zeros_like(leaf[row]) for name, leaf in final.items()}
        state = carry._replace(**{name: leaf[row] for name, leaf in final.items()})
        valid = range(lengths[row])
        for t in reversed(valid) if reverse else valid:
            begins = t + 1 in valid and resets[(*row, t + 1)] if reverse else resets[(*row, t)]
            state = state._replace(**fresh) if begins else state
            state, ys[(*row, t)] = step(params, state, xs[(*row, t)])
        for name, leaf in final.items():
            leaf[row] = getattr(state, name)
    return carry._replace(**final), ys
