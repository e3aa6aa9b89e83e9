"""``haiku.dynamic_unroll`` over ``hk.LSTM``, ``hk.GRU`` and ``hk.VanillaRNN``.

Haiku has no lengths. Its GRU applies the reset gate before the product, and its Elman network has
ReLU in place of tanh: the same products, and about the same work.
"""

import haiku
import jax.numpy as jnp
import numpy as np

from peers.case import Case, Data, Layer, Program, program

CORES = {"elman": haiku.VanillaRNN, "gru": haiku.GRU, "lstm": haiku.LSTM}


def load(kind: str, name: str, layer: Layer) -> dict[str, dict[str, np.ndarray]]:
    """Returns the parameters of one core."""
    w_ih, w_hh, b_ih, b_hh = layer
    if kind == "elman":
        return {
            f"{name}/linear": {"w": w_ih.T, "b": b_ih},
            f"{name}/linear_1": {"w": w_hh.T, "b": b_hh},
        }
    if kind == "gru":  # z, r, a
        r, z, n = np.split(np.concatenate([w_ih, w_hh, b_ih[:, None]], 1), 3)
        w_i, w_h, b = np.split(np.concatenate([z, r, n]), [w_ih.shape[1], -1], 1)
        return {name: {"w_i": w_i.T, "w_h": w_h.T, "b": b[:, 0]}}
    # i, g, f, o, and a forget gate that has 1 added to it at every step.
    i, f, g, o = np.split(np.concatenate([w_ih, w_hh, (b_ih + b_hh)[:, None]], 1), 4)
    f[:, -1] -= 1
    rows = np.concatenate([i, g, f, o])
    return {f"{name}/linear": {"w": rows[:, :-1].T, "b": rows[:, -1]}}


def build(case: Case, data: Data) -> Program | str:
    if case.ragged:
        return "has no lengths"
    batch, _, _, hidden = case.size

    @haiku.without_apply_rng
    @haiku.transform
    def network(ys):
        for depth in range(case.layers):
            outputs = []
            for d in range(case.directions):
                core = CORES[case.kind](hidden, name=f"core_{depth}_{d}")
                state = core.initial_state(batch)
                unrolled = haiku.dynamic_unroll(core, ys, state, time_major=False, reverse=bool(d))
                outputs.append(unrolled[0])
            ys = jnp.concatenate(outputs, -1) if case.bidirectional else outputs[0]
        return ys

    params = {}
    for depth, layer in enumerate(data.layers):
        for d, one in enumerate(layer):
            params |= load(case.kind, f"core_{depth}_{d}", one)

    def apply(params, xs, lengths, resets):
        return network.apply(params, xs)

    return program(apply, params, data)
