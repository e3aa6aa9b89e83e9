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


def peephole_lstm_step(params: Any, carry: Any, x: Any) -> tuple[Any, np.ndarray]:
    """Gers and Schmidhuber 2000: i and f see the cell before the step, o the cell after it."""
    w = gates(params, "ifgo")
    p_i, p_f, p_o = np.split(np.asarray(params.w_c, np.float64), 3)
    x, h, c = (np.asarray(a, np.float64) for a in (x, carry.h, carry.c))
    i = sigmoid(w["W_ii"] @ x + w["b_ii"] + w["W_hi"] @ h + w["b_hi"] + p_i * c)
    f = sigmoid(w["W_if"] @ x + w["b_if"] + w["W_hf"] @ h + w["b_hf"] + p_f * c)
    g = np.tanh(w["W_ig"] @ x + w["b_ig"] + w["W_hg"] @ h + w["b_hg"])
    c = f * c + i * g
    o = sigmoid(w["W_io"] @ x + w["b_io"] + w["W_ho"] @ h + w["b_ho"] + p_o * c)
    h = o * np.tanh(c)
    return carry._replace(h=h, c=c), h


def layer_norm(z: np.ndarray, gain: Any, bias: Any, epsilon: float) -> np.ndarray:
    """Ba, Kiros and Hinton 2016: to mean 0 and variance 1, then a gain and a bias."""
    gain, bias = np.asarray(gain, np.float64), np.asarray(bias, np.float64)
    return gain * (z - np.mean(z)) / np.sqrt(np.var(z) + epsilon) + bias


def layer_norm_lstm_step(
    params: Any, carry: Any, x: Any, *, epsilon: float = 1e-5
) -> tuple[Any, np.ndarray]:
    """Ba, Kiros and Hinton 2016: both products over all gates, and c where the output sees it."""
    w_ih, w_hh, x, h, c = (
        np.asarray(a, np.float64) for a in (params.w_ih, params.w_hh, x, carry.h, carry.c)
    )
    of_x = layer_norm(w_ih @ x, params.gain_ih, params.b_ih, epsilon)
    of_h = layer_norm(w_hh @ h, params.gain_hh, params.b_hh, epsilon)
    i, f, g, o = np.split(of_x + of_h, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(layer_norm(c, params.gain_c, params.b_c, epsilon))
    return carry._replace(h=h, c=c), h


def layer_norm_gru_step(
    params: Any, carry: Any, x: Any, *, epsilon: float = 1e-5
) -> tuple[Any, np.ndarray]:
    """Ba, Kiros and Hinton 2016: r and z together, n apart, the reset after the norm."""
    x, h = np.asarray(x, np.float64), np.asarray(carry.h, np.float64)
    of_x = np.asarray(params.w_ih, np.float64) @ x
    of_h = np.asarray(params.w_hh, np.float64) @ h
    gates, candidate = slice(0, 2 * len(h)), slice(2 * len(h), None)
    rz, n = 0.0, []
    for z, gain, bias in (
        (of_x, params.gain_ih, params.b_ih),
        (of_h, params.gain_hh, params.b_hh),
    ):
        rz = rz + layer_norm(z[gates], gain[gates], bias[gates], epsilon)
        n.append(layer_norm(z[candidate], gain[candidate], bias[candidate], epsilon))
    r, z = np.split(sigmoid(rz), 2)
    h = (1.0 - z) * np.tanh(n[0] + r * n[1]) + z * h
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
