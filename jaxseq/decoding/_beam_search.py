"""Beam search: the likeliest texts that a beam of so many finds."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Integer

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array, ArrayLike, PyTree
from jaxseq.decoding._filters import Scalar, check_integer, check_number
from jaxseq.decoding._generate import Step, check_arguments, checked_step

WHERE = "beam_search"


class Beams(NamedTuple):
    """The texts that a search has found after each prompt, the best first.

    Attributes:
      tokens: the symbols, ``[B, W, length]`` int32; from the stop symbol on, the stop symbol.
      lengths: how many symbols come before the stop symbol, ``[B, W]`` int32; ``length`` without
        one.
      log_probs: the log-probability of each text, ``[B, W]`` float32, in nats; that of the first
        stop symbol is in it. -inf, with nothing in the text, where there are fewer texts than W.
      scores: what they are ranked by, ``[B, W]``: ``log_probs`` over the length penalty.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.decoding import beam_search
      >>> bigrams = jnp.log(jnp.array([[0.4, 0.6, 0.0], [0.5, 0.1, 0.4], [0.0, 0.0, 1.0]]))
      >>> def step(bigrams, token):
      ...     return bigrams, bigrams[token]
      >>> found = beam_search(step, bigrams, jnp.array([0]), axes=None, width=2, length=2, stop=2)
      >>> found.tokens.tolist(), [round(p, 2) for p in jnp.exp(found.log_probs[0]).tolist()]
      ([[[1, 0], [1, 2]]], [0.3, 0.24])
    """

    tokens: Int[Array, "B W length"]
    lengths: Int[Array, "B W"]
    log_probs: Float[Array, "B W"]
    scores: Float[Array, "B W"]


def beam_search(
    step: Step,
    carry: PyTree,
    token: Integer[ArrayLike, " B"],
    *,
    width: int,
    length: int,
    stop: int | None = None,
    length_penalty: Scalar = 0.0,
    axes: PyTree = 0,
) -> Beams:
    r"""Returns the likeliest texts that a beam of ``width`` finds, the best first.

    .. math:: \mathit{score}(y) = \log p(y) \left/ \left(\frac{5 + |y|}{6}\right)^{\alpha}\right.

    At each step every beam goes on with every symbol, and the ``width`` texts of highest score are
    kept. A text that has come to ``stop`` is finished: it keeps its score, and its place as long as
    no ``width`` others have a higher one. The length :math:`|y|` counts the stop symbol. The search
    ends when all texts kept are finished, in all rows, or after ``length`` symbols. With a width of
    1 it is :func:`greedy`; with one that holds all texts, the result is exact. Of equal scores the
    earlier beam, and then the smaller symbol, comes first.

    The loop is one compiled program, kept for as long as ``step`` is the same function; see
    :func:`greedy` for where weights belong. No gradient flows through it.

    Args:
      step: the model, ``step(carry, token [R]) -> (carry, logits [R, V])``: reads a symbol, and
        returns the logits of the next. It is run on ``R = B * width`` rows, those of a prompt side
        by side.
      carry: the model's state after all symbols of the prompts but the last; any pytree.
      token: the last symbol of each prompt, in 0..V-1, which ``step`` has not read yet.
      width: W, how many texts are kept and returned.
      length: how many symbols to generate, at most.
      stop: the symbol that ends a text.
      length_penalty: :math:`\alpha`, at least 0; it may be traced. 0 ranks by log-probability,
        which likes short texts.
      axes: which axis of each array of the carry is the batch, as ``in_axes`` of :func:`jax.vmap`:
        an integer or a tree of them that is a prefix of ``carry``. None is for what is no beam's
        own, such as weights, or the source of a translation: ``step`` gets it as it is, never
        repeated or moved. Neither is moved what ``step`` hands back untouched.

    Returns:
      The texts after the prompts, with their log-probabilities and scores.

    Raises:
      ValueError: if a shape is wrong, ``width``, ``length``, ``stop`` or ``length_penalty`` is out
        of range, an axis is not the batch, or ``carry`` is that of a bidirectional model.
      TypeError: if ``step`` is not a function, or does not return what it must, or ``axes`` are not
        a prefix of ``carry``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import decoding, nn
      >>> model = nn.LanguageModel(5, 3, 4, rngs=jax.random.key(0))
      >>> params, read = nn.pure(model, method="step")
      >>> def step(carry, token):
      ...     params, state = carry
      ...     state, logits = read(params, state, token)
      ...     return (params, state), logits
      >>> carry = (params, model.carry((2,)))  # every field [L, B, H]
      >>> found = decoding.beam_search(
      ...     step, carry, jnp.array([1, 2]), axes=(None, 1), width=3, length=4, stop=0)
      >>> found.tokens.shape, found.scores.shape
      ((2, 3, 4), (2, 3))

    References:
      Sutskever, Vinyals and Le, "Sequence to Sequence Learning with Neural Networks", 2014; Wu et
      al., "Google's Neural Machine Translation System", 2016 (the length penalty).
    """
    length, stop = check_arguments(WHERE, step, carry, token, length=length, stop=stop)
    width = check_integer(WHERE, "width", width)
    if width < 1:
        raise error(WHERE, f"`width` must be at least 1, but it is {width}")
    alpha = check_number(WHERE, "length_penalty", length_penalty)
    if alpha is not None and not 0 <= alpha < float("inf"):
        problem = f"`length_penalty` must be at least 0 and finite, but it is {alpha}"
        raise error(WHERE, problem)
    token = jnp.asarray(token)
    return _beam_search(
        step,
        carry,
        token,
        jnp.asarray(length_penalty, jnp.float32),
        axes=_checked_axes(axes, carry, len(token)),
        sizes=(width, length),
        stop=stop,
    )


class State(NamedTuple):
    """What the loop carries; ``[B, W]`` but for the step, the model's carry and the texts."""

    t: Array
    carry: PyTree
    texts: Array  # [B, W, length]
    last: Array
    lengths: Array
    log_probs: Array
    scores: Array
    done: Array


@functools.partial(jax.jit, static_argnames=("step", "axes", "sizes", "stop"))
def _beam_search(step, carry, token, alpha, *, axes, sizes, stop):
    _, length = sizes

    def going(state):
        open_ends = ~state.done & (state.log_probs > -jnp.inf)
        return (state.t < length) & open_ends.any()

    def body(state):
        carry, logits = checked_step(
            WHERE, step, state.carry, state.last.reshape(-1), stop, rows="B * width"
        )
        log_probs = jax.nn.log_softmax(logits.astype(accumulator(logits.dtype)))
        steps = log_probs.astype(jnp.float32).reshape(*state.last.shape, -1)
        beam, chosen = _best(state, steps, alpha, stop)
        place = jax.lax.broadcasted_iota(jnp.int32, chosen.texts.shape, 2)
        texts = jnp.where(place == state.t, chosen.last[..., None], chosen.texts)
        carry = _moved(carry, state.carry, axes, beam)
        return chosen._replace(t=state.t + 1, carry=carry, texts=texts)

    final = jax.lax.while_loop(going, body, _start(carry, token, axes, sizes, stop))
    some = final.log_probs != -jnp.inf
    texts = jnp.where(some[..., None], final.texts, 0 if stop is None else stop)
    return Beams(texts, jnp.where(some, final.lengths, 0), final.log_probs, final.scores)


def _start(carry, token, axes, sizes, stop):
    """Returns the state before the first step: one text a row, and the other beams empty."""
    width, length = sizes
    grid = (token.shape[0], width)
    only_first = jnp.where(jnp.arange(width) == 0, 0.0, -jnp.inf).astype(jnp.float32)
    log_probs = jnp.broadcast_to(only_first[None], grid)
    leaves, tree = jax.tree.flatten(carry)
    pairs = zip(leaves, axes, strict=True)
    rows = [leaf if a is None else jnp.repeat(leaf, width, axis=a) for leaf, a in pairs]
    return State(
        t=jnp.zeros((), jnp.int32),
        carry=jax.tree.unflatten(tree, rows),
        texts=jnp.full((*grid, length), 0 if stop is None else stop, jnp.int32),
        last=jnp.broadcast_to(token.astype(jnp.int32)[:, None], grid),
        lengths=jnp.zeros(grid, jnp.int32),
        log_probs=log_probs,
        scores=log_probs,
        done=jnp.zeros(grid, bool),
    )


def _best(state, steps, alpha, stop):
    """Returns which beams the best texts come from, and these texts' state, but for the carry."""
    size = steps.shape[-1]
    done = state.done[..., None]
    totals, penalty = (
        state.log_probs[..., None] + steps,
        ((6.0 + state.t.astype(jnp.float32)) / 6.0) ** alpha,
    )
    scores = totals / penalty
    if stop is not None:  # a finished text goes on in one way, at no cost
        way = jax.lax.broadcasted_iota(jnp.int32, steps.shape, 2) == stop

        def kept(array):
            return jnp.where(way, array[..., None], -jnp.inf)

        totals = jnp.where(done, kept(state.log_probs), totals)
        scores = jnp.where(done, kept(state.scores), scores)
    flat = (scores.shape[0], -1)
    best, index = jax.lax.top_k(scores.reshape(flat), scores.shape[1])
    beam, symbol = index // size, (index % size).astype(jnp.int32)

    def of(array):
        return jnp.take_along_axis(array, beam, axis=1)

    done = of(state.done)
    ends = done if stop is None else symbol == stop
    return beam, state._replace(
        texts=jnp.take_along_axis(state.texts, beam[..., None], axis=1),
        last=symbol,
        lengths=of(state.lengths) + (~ends).astype(jnp.int32),
        log_probs=jnp.take_along_axis(totals.reshape(flat), index, axis=1),
        scores=best,
        done=ends,
    )


def _moved(carry, before, axes, beam):
    """Returns the carry whose rows are those of the beams, where a step has changed anything."""
    batch, width = beam.shape
    rows = (jnp.arange(batch, dtype=beam.dtype)[:, None] * width + beam).reshape(-1)
    leaves, tree = jax.tree.flatten(carry)
    triples = zip(leaves, jax.tree.leaves(before), axes, strict=True)
    return jax.tree.unflatten(
        tree,
        [
            # What a step hands back untouched is the same for all beams of a row, as at the start.
            new if axis is None or new is old else jnp.take(new, rows, axis=axis, mode="clip")
            for new, old, axis in triples
        ],
    )


def _checked_axes(axes: PyTree, carry: PyTree, batch: int) -> tuple[int | None, ...]:
    """Returns the batch axis of every leaf of the carry, or raises."""
    given, tree = jax.tree.flatten(axes, is_leaf=lambda axis: axis is None)
    try:
        parts = tree.flatten_up_to(carry)
    except ValueError as cause:
        raise error(
            WHERE,
            "`axes` must be a prefix of `carry`, as `in_axes` of jax.vmap, but they are "
            f"{axes!r}, and the carry is {jax.tree.structure(carry)}",
            kind=TypeError,
        ) from cause
    flat = [axis for axis, part in zip(given, parts, strict=True) for _ in jax.tree.leaves(part)]
    leaves = jax.tree_util.tree_leaves_with_path(carry)
    for axis, (path, leaf) in zip(flat, leaves, strict=True):
        if axis is None:
            continue
        axis = check_integer(WHERE, "axes", axis)
        shape = np.shape(leaf)
        if not -len(shape) <= axis < len(shape) or shape[axis] != batch:
            raise error(
                WHERE,
                f"`axes` must say which axis of the carry is the batch of B = {batch}, but "
                f"`carry{jax.tree_util.keystr(path)}` has shape {shape_text(shape)}, and its axis "
                f"is to be {axis}",
                hint="of a layer's carry it is 1; None is for what is no beam's own, as weights",
            )
    return tuple(None if axis is None else int(axis) for axis in flat)
