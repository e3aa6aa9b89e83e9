"""The linear recurrences in NumPy, from their papers' equations; they share no code with jaxseq.

A step takes one example, as those of ``twins`` do; ``sequence`` there needs a carry with an ``h``,
so here is one for any carry.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from twins import sigmoid


def lru_step(params: Any, carry: Any, x: Any) -> tuple[Any, np.ndarray]:
    """Orvieto et al. 2023: x_k = Lambda x_{k-1} + exp(gamma_log) * (B u_k), y = Re(C x) + D u."""
    w = {name: np.asarray(leaf, np.float64) for name, leaf in params._asdict().items()}
    Lambda = np.exp(-np.exp(w["nu_log"]) + 1j * np.exp(w["theta_log"]))
    B, C = w["B_re"] + 1j * w["B_im"], w["C_re"] + 1j * w["C_im"]
    u = np.asarray(x, np.float64)
    state = Lambda * (np.asarray(carry.re) + 1j * np.asarray(carry.im))
    state = state + np.exp(w["gamma_log"]) * (B @ u)
    return carry._replace(re=state.real, im=state.imag), (C @ state).real + w["D"] @ u


def min_gru_step(params: Any, carry: Any, x: Any) -> tuple[Any, np.ndarray]:
    """Feng et al. 2024: z = sigmoid(Linear(x)), h = (1 - z) h + z Linear(x)."""
    W, b = (np.asarray(leaf, np.float64) for leaf in params)
    (W_z, W_h), (b_z, b_h) = np.split(W, 2), np.split(b, 2)
    z = sigmoid(W_z @ x + b_z)
    h = (1.0 - z) * np.asarray(carry.h) + z * (W_h @ x + b_h)
    return carry._replace(h=h), h


def min_lstm_step(params: Any, carry: Any, x: Any) -> tuple[Any, np.ndarray]:
    """Feng et al. 2024, with the gates f / (f + i) and i / (f + i)."""
    W, b = (np.asarray(leaf, np.float64) for leaf in params)
    (W_i, W_f, W_h), (b_i, b_f, b_h) = np.split(W, 3), np.split(b, 3)
    i, f = sigmoid(W_i @ x + b_i), sigmoid(W_f @ x + b_f)
    h = f / (f + i) * np.asarray(carry.h) + i / (f + i) * (W_h @ x + b_h)
    return carry._replace(h=h), h


def sequence(
    step: Callable[..., tuple[Any, np.ndarray]],
    params: Any,
    carry: Any,
    xs: Any,
    *,
    lengths: Any,
    resets: Any,
    reverse: bool,
) -> tuple[Any, np.ndarray]:
    """Runs every row of ``xs [*batch, T, I]`` alone, over its valid steps only."""
    *batch, time, _ = xs.shape
    final = [np.array(leaf, np.float64) for leaf in carry]
    ys = None
    for row in np.ndindex(*batch):
        state = type(carry)(*(leaf[row] for leaf in final))
        steps = range(int(lengths[row]))
        for t in reversed(steps) if reverse else steps:
            begins = t + 1 in steps and resets[(*row, t + 1)] if reverse else resets[(*row, t)]
            if begins:
                state = type(carry)(*(np.zeros_like(leaf) for leaf in state))
            state, y = step(params, state, np.asarray(xs[(*row, t)], np.float64))
            ys = np.zeros((*batch, time, y.size)) if ys is None else ys
            ys[(*row, t)] = y
        for leaf, last in zip(final, state, strict=True):
            leaf[row] = last
    return type(carry)(*final), ys
