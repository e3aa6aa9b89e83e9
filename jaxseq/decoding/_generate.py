"""The one loop behind every way to generate: choose a symbol, and feed it back."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array, PyTree
from jaxseq.decoding._filters import check_integer
from jaxseq.sequence import Directions

Step = Callable[[PyTree, Array], tuple[PyTree, Array]]
"""``step(carry, token [B]) -> (carry, logits [B, V])``: the next symbol's logits."""

Choose = Callable[[Array, Array], Array]
"""``choose(logits [B, V], t) -> token [B]``: one symbol for each row, at step t."""


class Generated(NamedTuple):
    """What was generated, a row for each prompt.

    Attributes:
      tokens: the symbols, ``[B, length]`` int32; from the stop symbol on, the stop symbol.
      lengths: how many symbols come before the stop symbol, ``[B]`` int32; ``length`` without one.
      log_probs: the model's own log-probability of each symbol, ``[B, length]`` float32, in nats:
        of its logits as they are, before temperature and filters, so that texts drawn in different
        ways can be compared. That of the first stop symbol is in it; after it they are 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.decoding import greedy
      >>> def step(carry, token):
      ...     return carry, 9.0 * jax.nn.one_hot((token + 1) % 4, 4)
      >>> text = greedy(step, None, jnp.array([0, 2]), length=3, stop=3)
      >>> text.tokens.tolist(), text.lengths.tolist()
      ([[1, 2, 3], [3, 3, 3]], [2, 0])
    """

    tokens: Int[Array, "B length"]
    lengths: Int[Array, " B"]
    log_probs: Float[Array, "B length"]


def generate(
    where: str,
    step: Step,
    carry: PyTree,
    token: Array,
    choose: Choose,
    *,
    length: int,
    stop: int | None,
) -> Generated:
    """Runs the model on its own output, as one scan over time.

    Args:
      where: the function that the user called.
      step: the model.
      carry: its state before ``token``.
      token: the last symbol of each prompt.
      choose: picks the next symbols.
      length: how many.
      stop: the symbol that ends a row.

    Returns:
      What was generated.
    """

    def body(state, t):
        carry, token, done = state
        carry, logits = checked_step(where, step, carry, token, stop)
        logits = logits.astype(accumulator(logits.dtype))
        chosen = choose(logits, t).astype(jnp.int32)
        log_probs = jax.nn.log_softmax(logits, axis=-1)
        log_prob = jnp.take_along_axis(log_probs, chosen[:, None], axis=-1)[:, 0]
        if stop is not None:
            chosen, log_prob = jnp.where(done, stop, chosen), jnp.where(done, 0, log_prob)
            done = done | (chosen == stop)
        return (carry, chosen, done), (chosen, log_prob.astype(jnp.float32), ~done)

    start = (carry, token.astype(jnp.int32), jnp.zeros(token.shape, bool))
    _, (tokens, log_probs, going) = jax.lax.scan(body, start, jnp.arange(length))
    return Generated(tokens.T, going.sum(0, dtype=jnp.int32), log_probs.T)


def check_arguments(
    where: str, step: Any, carry: PyTree, token: Any, *, length: Any, stop: Any
) -> tuple[int, int | None]:
    """Returns ``length`` and ``stop`` as Python integers, or raises what is wrong before the run.

    Args:
      where: the function that the user called.
      step: as the user gave it, and so on.
      carry: searched for a :class:`jaxseq.Directions`.
      token: only its shape and dtype are read.
      length: how many symbols.
      stop: a symbol, or None.
    """
    _check_step(where, step)
    _check_carry(where, carry)
    if token.ndim != 1:
        raise error(
            where,
            f"`token` must have shape (B,), but it has shape {shape_text(token.shape)}",
            hint="it is the last symbol of each prompt; for a single prompt use token[None]"
            if token.ndim == 0
            else "it is the last symbol of each prompt; run the symbols before it through the "
            "model, and give the carry after them",
        )
    if not jnp.issubdtype(token.dtype, jnp.integer):
        raise error(
            where, f"`token` must be integers, but it has dtype {token.dtype}", kind=TypeError
        )
    length = check_integer(where, "length", length)
    if length < 1:
        raise error(where, f"`length` must be at least 1, but it is {length}")
    return length, None if stop is None else check_integer(where, "stop", stop)


def _check_step(where: str, step: Any) -> None:
    """Raises unless ``step`` is a function that a compiled program can be filed under."""
    if not callable(step):
        raise error(
            where,
            f"`step` must be a function (carry, token) -> (carry, logits), but it is {step!r}",
            kind=TypeError,
        )
    try:
        hash(step)
    except TypeError as cause:
        raise error(
            where,
            f"`step` must be hashable, but it is a {type(step).__name__}",
            hint="give a plain function, and put what it needs, such as weights, into the carry",
            kind=TypeError,
        ) from cause


def _check_carry(where: str, carry: PyTree) -> None:
    """Raises if the carry is, or holds, that of a bidirectional model."""

    def both(node):
        return isinstance(node, Directions)

    if any(both(leaf) for leaf in jax.tree.leaves(carry, is_leaf=both)):
        raise error(
            where,
            "`carry` belongs to a bidirectional model, which cannot generate: its output at a step "
            "also reads the symbols after that step, and these are still to be generated",
            hint="train the model with bidirectional=False",
        )


def checked_step(
    where: str, step: Step, carry: PyTree, token: Array, stop: int | None, *, rows: str = "B"
) -> tuple[PyTree, Array]:
    """Runs ``step``, or raises if what it returns cannot be gone on with.

    ``rows`` is what errors call the number of symbols.
    """
    out = step(carry, token)
    if not isinstance(out, tuple) or len(out) != 2:
        raise error(
            where,
            f"`step` must return (carry, logits), but it returned a {type(out).__name__}",
            kind=TypeError,
        )
    _check_same(where, carry, out[0])
    logits = jnp.asarray(out[1])
    if logits.ndim != 2 or logits.shape[0] != token.shape[0] or not logits.shape[1]:
        raise error(
            where,
            f"`step` must return logits of shape ({rows}, V) with {rows} = {token.shape[0]}, "
            f"but they have shape {shape_text(logits.shape)}",
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise error(
            where,
            f"`step` must return floating logits, but they have dtype {logits.dtype}",
            kind=TypeError,
        )
    if stop is not None and not 0 <= stop < logits.shape[1]:
        raise error(
            where, f"`stop` must be between 0 and V - 1 = {logits.shape[1] - 1}, but it is {stop}"
        )
    return out[0], logits


def _check_same(where: str, before: PyTree, after: PyTree) -> None:
    """Raises unless the carry has kept its structure, shapes and dtypes."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise error(
            where,
            "`step` must return the carry in the structure in which it got it, "
            f"{jax.tree.structure(before)}, but it is {jax.tree.structure(after)}",
            kind=TypeError,
        )
    pairs = zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True)
    for (path, old), new in pairs:
        new = jnp.asarray(new) if isinstance(new, bool | int | float | complex) else new
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise error(
                where,
                f"`step` must keep shapes and dtypes of the carry, but "
                f"`carry{jax.tree_util.keystr(path)}` had {old.dtype} {shape_text(old.shape)} "
                f"and has {new.dtype} {shape_text(new.shape)}",
                kind=ValueError if old.dtype == new.dtype else TypeError,
            )
