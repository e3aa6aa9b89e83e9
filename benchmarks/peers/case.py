"""A case, its data, and what every adapter makes of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

KINDS = {"elman": 1, "gru": 3, "lstm": 4}  # and how many gates each has


class Case(NamedTuple):
    """What is computed.

    Attributes:
      kind: ``"elman"``, ``"gru"`` or ``"lstm"``.
      size: (B, T, I, H).
      layers: how many.
      bidirectional: whether each layer runs in both directions.
      ragged: whether the rows have lengths, uniform in T/4..T.
      resets: whether rows begin anew here and there; ours only.
    """

    kind: str
    size: tuple[int, int, int, int]
    layers: int = 1
    bidirectional: bool = False
    ragged: bool = False
    resets: bool = False

    @property
    def directions(self) -> int:
        return 1 + self.bidirectional

    @property
    def widths(self) -> list[int]:
        """The width of the input of each layer."""
        _, _, width, hidden = self.size
        return [width] + (self.layers - 1) * [self.directions * hidden]

    @property
    def flops(self) -> int:
        """Floating-point operations of the products in inference; a training step has three times
        as many. Ragged rows count in full: padding is computed too."""
        batch, steps, _, hidden = self.size
        gates = KINDS[self.kind] * hidden
        return sum(
            2 * batch * steps * gates * (width + hidden) * self.directions for width in self.widths
        )


class Layer(NamedTuple):
    """The weights of one direction of one layer, in PyTorch's layout and order of gates."""

    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray
    b_hh: np.ndarray


class Data(NamedTuple):
    """What every adapter is given.

    Attributes:
      layers: ``layers[l][d]``: the weights of layer l in direction d.
      xs: the inputs ``[B, T, I]``.
      lengths: ``[B]`` int32, or None.
      resets: ``[B, T]`` booleans, or None.
    """

    layers: list[list[Layer]]
    xs: np.ndarray
    lengths: np.ndarray | None
    resets: np.ndarray | None


class Program(NamedTuple):
    """A peer at work on one case; both calls return when the results are there.

    Attributes:
      train: returns the gradients of the mean of ys**2 by all weights, as a list in the peer's own
        layout, and by ``xs [B, T, I]``.
      infer: returns ``ys [B, T, O]``, zero in the padding.
      lower: ``(work) -> jax.stages.Lowered``, of programs that are JAX's.
    """

    train: Callable[[], tuple[list[Any], Any]]
    infer: Callable[[], Any]
    lower: Callable[[str], Any] | None = None


def draw(case: Case, seed: int = 0) -> Data:
    """Draws the data of a case: weights uniform in ±1/sqrt(H), inputs normal.

    ``b_hh`` is zero, since some peers have one bias where others have two.
    """
    random = np.random.default_rng(seed)
    batch, steps, width, hidden = case.size
    gates = KINDS[case.kind] * hidden
    bound = hidden**-0.5

    def uniform(*shape):
        return random.uniform(-bound, bound, shape).astype(np.float32)

    layers = [
        [
            Layer(
                uniform(gates, width), uniform(gates, hidden), uniform(gates), np.zeros(gates, "f")
            )
            for _ in range(case.directions)
        ]
        for width in case.widths
    ]
    xs = random.standard_normal((batch, steps, width), np.float32)
    lengths = random.integers(max(1, steps // 4), steps + 1, batch, dtype=np.int32)
    resets = random.random((batch, steps)) < 1 / 32
    return Data(layers, xs, lengths if case.ragged else None, resets if case.resets else None)


def program(apply: Callable, params: Any, data: Data) -> Program:
    """Returns the program of a pure function ``apply(params, xs, lengths, resets) -> ys``.

    Weights are handed over as a flat list of arrays, so that no peer pays for its containers at
    every call.
    """
    leaves, tree = jax.tree.flatten(jax.tree.map(jnp.asarray, params))
    arguments = jax.device_put((leaves, *data[1:]))

    def infer(leaves, xs, lengths, resets):
        return apply(jax.tree.unflatten(tree, leaves), xs, lengths, resets)

    def loss(*arguments):
        return jnp.mean(infer(*arguments) ** 2)

    works = {"train": jax.jit(jax.grad(loss, argnums=(0, 1))), "infer": jax.jit(infer)}
    return Program(
        train=lambda: jax.block_until_ready(works["train"](*arguments)),
        infer=lambda: jax.block_until_ready(works["infer"](*arguments)),
        lower=lambda work: works[work].lower(*arguments),
    )


def valid(lengths: Any, steps: int) -> Any:
    """Returns which steps are no padding, ``[B, T]``."""
    return jnp.arange(steps)[None, :] < lengths[:, None]
