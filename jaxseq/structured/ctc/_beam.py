"""Prefix beam search: the likeliest labels, each the sum over its alignments."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from jaxseq._arrays import accumulator
from jaxseq._checks import error, shape_text
from jaxseq._types import Array, ArrayLike, Lengths, PyTree
from jaxseq.structured._arguments import valid_steps
from jaxseq.structured.ctc._arguments import check_frames, check_integer
from jaxseq.structured.ctc._prefixes import Prefixes, Scoring, start, step


class LanguageModel(NamedTuple):
    """What :func:`beam_search` asks about the labels of one hypothesis.

    Attributes:
      state: the model's state before the first label; any pytree of arrays.
      log_probs: the log-probability of the first label, ``[V]``.
      step: ``step(state, label []) -> (state, log_probs [V])``: reads a label, and says what comes
        next. A pure function on one hypothesis. Weights that change from call to call are given
        as ``jax.tree_util.Partial(step, weights)``; in a closure they would be compiled anew.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> bigrams = jnp.log(jnp.array([[0.1, 0.9], [0.5, 0.5]]))
      >>> model = ctc.LanguageModel((), bigrams[0], lambda state, label: (state, bigrams[label]))
      >>> model.step((), jnp.array(1))[1].tolist() == bigrams[1].tolist()
      True
    """

    state: PyTree
    log_probs: Array
    step: Callable[[PyTree, Array], tuple[PyTree, Array]]


class Beams(NamedTuple):
    """The best hypotheses of each row, the best one first.

    Attributes:
      labels: ``[*batch, n_best, L]`` int32; 0 after the last one.
      label_lengths: how many there are, ``[*batch, n_best]`` int32.
      scores: what they are ranked by, ``[*batch, n_best]``, in nats: ``log_probs``, and what the
        language model and the bonus add. -inf, with no labels, where there are fewer hypotheses.
      log_probs: the log-probability of the labels, ``[*batch, n_best]``, summed over the alignments
        that the beam has kept.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> probs = jnp.array([[0.6, 0.4], [0.6, 0.4]])
      >>> best = ctc.beam_search(jnp.log(probs), width=4, n_best=2)
      >>> [labels[:n] for labels, n in zip(best.labels.tolist(), best.label_lengths.tolist())]
      [[1], []]
      >>> [round(p, 2) for p in jnp.exp(best.log_probs).tolist()]
      [0.64, 0.36]
    """

    labels: Int[Array, "*batch n_best L"]
    label_lengths: Int[Array, "*batch n_best"]
    scores: Float[Array, "*batch n_best"]
    log_probs: Float[Array, "*batch n_best"]


def beam_search(
    log_probs: Float[ArrayLike, "*batch T V"],
    *,
    width: int,
    n_best: int = 1,
    lengths: Lengths | None = None,
    blank: int = 0,
    language_model: LanguageModel | None = None,
    weight: float | ArrayLike = 1.0,
    bonus: float | ArrayLike = 0.0,
    symbols: int | None = None,
    max_labels: int | None = None,
) -> Beams:
    r"""Returns the likeliest labels that a beam of prefixes finds.

    .. math:: \log p(y) + \lambda \log p_{LM}(y) + \beta\, |y|,
              \qquad p(y) = \sum_{\pi \,:\, \mathcal{B}(\pi) = y} \; \prod_t p_t(\pi_t)

    At each frame every prefix stays, or is extended by a label; what comes to the same prefix is
    added up, whichever way it came; and the ``width`` best go on. Prefixes are compared by their
    labels, not by a hash of them. With a width that holds all prefixes the result is exact. The
    whole search is one loop on the device, of static shapes. No gradient flows through it: the
    differentiable log-probability of what it finds is minus its :func:`loss`.

    Args:
      log_probs: the log-probabilities of the symbols at each frame.
      width: how many prefixes are kept, at least 1.
      n_best: how many hypotheses are returned, at most ``width``.
      lengths: how many frames of each row are valid; under jit one outside 0..T counts as the
        nearer end. What stands in the pads never matters.
      blank: the symbol that stands for none, in 0..V-1.
      language_model: says which labels follow which, or None.
      weight: of the language model's log-probabilities, :math:`\lambda`. A label of which it says
        -inf is ruled out, whatever the weight.
      bonus: added for each label, :math:`\beta`; against a language model's liking for short ones.
      symbols: by how many labels, the likeliest of a frame, prefixes are extended; None for all.
        Without a language model only ``width + 1`` of them can matter, and no more are looked at.
      max_labels: L, at which no label is added any more; None for T, the most there can be.
        Prefixes are stored with their labels, so a smaller number is less to move.

    Returns:
      The hypotheses, with scores. A row of length 0 has the empty one, of probability 1.

    Raises:
      ValueError: if a shape is wrong, a length or ``blank`` is out of range, ``width``, ``n_best``,
        ``symbols`` or ``max_labels`` is too small or too large, or the language model's
        log-probabilities are not one for each symbol.
      TypeError: if a dtype is wrong, an integer is none, or the language model's step is not a
        hashable function that keeps the state's structure, shapes and dtypes.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.structured import ctc
      >>> log_probs = jnp.log(jnp.array([[0.1, 0.5, 0.4], [0.1, 0.4, 0.5], [0.8, 0.1, 0.1]]))
      >>> best = ctc.beam_search(log_probs, width=8)
      >>> best.labels[0, : best.label_lengths[0]].tolist(), round(float(best.scores[0]), 4)
      ([2], -1.3548)
      >>> liking = jnp.log(jnp.array([0.01, 0.98, 0.01]))
      >>> model = ctc.LanguageModel((), liking, lambda state, label: (state, liking))
      >>> best = ctc.beam_search(log_probs, width=8, language_model=model)
      >>> best.labels[0, : best.label_lengths[0]].tolist()
      [1]

    References:
      Graves, Fernández, Gomez and Schmidhuber, "Connectionist Temporal Classification: Labelling
      Unsegmented Sequence Data with Recurrent Neural Networks", ICML 2006 (prefix search decoding).

      Hannun, Maas, Jurafsky and Ng, "First-Pass Large Vocabulary Continuous Speech Recognition
      using Bi-Directional Recurrent DNNs", 2014.
    """
    where = "ctc.beam_search"
    frames = check_frames(where, log_probs, lengths, blank)
    _, steps, size = frames.log_probs.shape
    width = _check_range(where, "width", width, 1, None)
    n_best = _check_range(where, "n_best", n_best, 1, ("width", width))
    count = size if symbols is None else _check_range(where, "symbols", symbols, 1, None)
    if language_model is None:
        count = min(count, width + 1)
    most = steps if max_labels is None else _check_range(where, "max_labels", max_labels, 0, None)
    dtype = accumulator(frames.log_probs.dtype)
    found = _beam_search(
        frames.log_probs,
        frames.lengths,
        _check_model(where, language_model, size, dtype),
        jnp.asarray(weight, dtype),
        jnp.asarray(bonus, dtype),
        sizes=(width, n_best, count, min(most, steps)),
        blank=frames.blank,
    )
    return Beams(*(frames.rows(array) for array in found))


@functools.partial(jax.jit, static_argnames=("sizes", "blank"))
def _beam_search(
    log_probs: Array,
    lengths: Array,
    model: PyTree,
    weight: Array,
    bonus: Array,
    *,
    sizes: tuple[int, int, int, int],
    blank: int,
) -> Beams:
    width, n_best, count, most = sizes
    _, steps, size = log_probs.shape
    log_probs = jax.lax.stop_gradient(log_probs).astype(weight.dtype)
    is_blank = jnp.arange(size) == blank
    # A pad is a frame that is certainly blank: it changes nothing.
    nothing = jnp.where(is_blank, jnp.zeros((), log_probs.dtype), -jnp.inf)
    valid = valid_steps(lengths, steps).T[..., None]
    log_probs = jnp.where(valid, log_probs, nothing[None, None])
    labels = jax.lax.broadcasted_iota(jnp.int32, log_probs.shape, 2)
    if count < size:
        only_labels = jnp.where(is_blank[None, None], -jnp.inf, log_probs)
        labels = jax.lax.top_k(only_labels, count)[1].astype(jnp.int32)

    def row(log_probs: Array, labels: Array) -> Prefixes:
        first = start(width, max(most, 1), model, log_probs.dtype)
        scoring = Scoring(model, weight, bonus, blank, most)
        return jax.lax.scan(functools.partial(step, scoring), first, (log_probs, labels))[0]

    last = jax.vmap(row)(log_probs, labels)
    log_p, prior = last.total[:, :n_best], last.prior[:, :n_best]
    some = log_p > -jnp.inf
    lengths = jnp.where(some, last.counts[:, :n_best], 0)
    place = jnp.arange(most, dtype=jnp.int32)
    there = jnp.expand_dims(place, (0, 1)) < lengths[..., None]
    found = jnp.where(there, last.labels[:, :n_best, :most], 0)
    return Beams(found, lengths, jnp.where(some, log_p + prior, -jnp.inf), log_p)


def _check_range(
    where: str, name: str, value: int, least: int, most: tuple[str, int] | None
) -> int:
    """Returns a Python integer in its range, or raises."""
    value = check_integer(where, name, value)
    if value < least:
        raise error(where, f"`{name}` must be at least {least}, but it is {value}")
    if most is not None and value > most[1]:
        raise error(where, f"`{name}` must be at most `{most[0]}` = {most[1]}, but it is {value}")
    return value


def _check_model(
    where: str, model: LanguageModel | None, size: int, dtype: Any
) -> LanguageModel | None:
    """Returns a model that goes through jit, or raises."""
    if model is None:
        return None
    next_step = _check_step(where, model.step)
    state, first = jax.tree.map(jnp.asarray, model.state), jnp.asarray(model.log_probs)
    after = jax.eval_shape(next_step, state, jax.ShapeDtypeStruct((), jnp.int32))
    if not isinstance(after, tuple) or len(after) != 2:
        raise error(
            where,
            f"the language model's step must return (state, log_probs), "
            f"but it returned a {type(after).__name__}",
            kind=TypeError,
        )
    for name, logs in (("log_probs", first), ("step's log_probs", after[1])):
        if logs.shape != (size,):
            raise error(
                where,
                f"the language model's {name} must have shape (V,) = ({size},), "
                f"but they have shape {shape_text(logs.shape)}",
            )
    before, kept = (
        jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree)
        for tree in (state, after[0])
    )
    if before != kept:
        raise error(
            where,
            "the language model's step must keep the state's structure, shapes and dtypes, "
            f"but {before} became {kept}",
            kind=TypeError,
        )
    return LanguageModel(state, first.astype(dtype), next_step)


def _check_step(where: str, step: Callable) -> jax.tree_util.Partial:
    """Returns a step whose arguments, if it has some of its own, go through jit, or raises."""
    if isinstance(step, jax.tree_util.Partial):
        return step
    try:
        hash(step)
    except TypeError as cause:
        raise error(
            where,
            f"the language model's step must be hashable, but it is a {type(step).__name__}",
            hint="give a plain function, or jax.tree_util.Partial(step, weights)",
            kind=TypeError,
        ) from cause
    return jax.tree_util.Partial(step)
