"""One step at a time: a call for each step of a stream, and a compiled loop of steps.

    python benchmarks/streaming.py

Every call gives the carry to the next, and its output is waited for, as whoever acts on it would.
"""

from typing import Any

import jax
import numpy as np
import peers
import torch
from measure import interleave, quartiles, ratio
from peers.ours import PARAMS

import jaxseq

SIZES = ((1, 128), (1, 256), (1, 512), (8, 256))  # rows and units; the inputs are as wide
STEPS = 64
KINDS = {"elman": torch.nn.RNNCell, "gru": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}
PEER = "torch"


def programs(kind: str, rows: int, hidden: int) -> tuple[dict[str, Any], float]:
    """Returns what follows a stream of so many steps, by name, and how far the outputs differ."""
    data = peers.draw(peers.Case(kind, (rows, STEPS, hidden, hidden)))
    weights = data.layers[0][0]
    cell = getattr(jaxseq, kind)(hidden, hidden)
    params = jax.device_put(PARAMS[kind](*weights))
    module = KINDS[kind](hidden, hidden)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    module.load_state_dict(
        {name: torch.from_numpy(field) for name, field in zip(names, weights, strict=True)}
    )
    steps = [jax.device_put(data.xs[:, t : t + 1]) for t in range(STEPS)]
    theirs = [torch.from_numpy(np.ascontiguousarray(data.xs[:, t])) for t in range(STEPS)]
    whole = jax.device_put(data.xs)
    scan = jax.jit(lambda params, xs, carry: jaxseq.scan(cell, params, xs, carry=carry))
    initial = cell.carry(params, (rows,))

    def calls():
        carry = initial
        for x in steps:
            carry, y = scan(params, x, carry)
            y.block_until_ready()
        return y[:, 0]

    def loop():
        return scan(params, whole, initial)[1].block_until_ready()[:, -1]

    def torch_calls():
        with torch.inference_mode():
            state = None
            for x in theirs:
                state = module(x, state)
            return state[0] if kind == "lstm" else state

    made = {"calls": calls, "loop": loop, PEER: torch_calls}
    outputs = [np.asarray(run()) for run in made.values()]
    return made, max(float(np.abs(one - outputs[-1]).max()) for one in outputs)


def measure(seconds: float) -> list[dict[str, Any]]:
    """Returns a row for each cell and size: microseconds a step, and ours by PyTorch's."""
    rows = []
    for kind in KINDS:
        for size in SIZES:
            runs, off = programs(kind, *size)
            if off > 1e-4:
                raise SystemExit(f"error: {kind} {size}: PyTorch's outputs are {off:.1e} off")
            times = interleave(runs, seconds=seconds)
            microseconds = {
                name: [round(1e6 * value / STEPS, 2) for value in quartiles(one)]
                for name, one in times.items()
            }
            ratios = {
                name: [round(value, 4) for value in ratio(times[name], times[PEER])]
                for name in ("calls", "loop")
            }
            rows.append({"kind": kind, "size": list(size), "us": microseconds, "ratios": ratios})
    return rows


if __name__ == "__main__":
    for row in measure(2.0):
        print(row["kind"], row["size"], row["us"], row["ratios"])
