"""One frame of a prefix beam search, on one row: stay, extend, merge, select."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq._types import Array, PyTree


class Prefixes(NamedTuple):
    """The beam after some frames, the best first. W prefixes, no two of them equal.

    A prefix of probability 0 is a free place: nothing is merged with it.

    Attributes:
      ends_blank: the log-probability of the alignments that end in a blank, ``[W]``.
      ends_label: of those that end in the last label, ``[W]``.
      prior: what the language model and the bonus have added, ``[W]``.
      labels: ``[W, L]`` int32; -1 after the last.
      counts: how many there are, ``[W]`` int32.
      common: how many labels two prefixes have in common from the first on, ``[W, W]`` int32.
      state: the language model's, each leaf ``[W, ...]``.
      after: what it says of the next label, ``[W, V]``; None without one.
    """

    ends_blank: Array
    ends_label: Array
    prior: Array
    labels: Array
    counts: Array
    common: Array
    state: PyTree
    after: Array | None

    @property
    def total(self) -> Array:
        """The log-probability of all alignments."""
        return jnp.logaddexp(self.ends_blank, self.ends_label)

    @property
    def last(self) -> Array:
        """The last labels, ``[W]``; -1 of the empty prefix."""
        return _at(self.labels, self.counts[:, None] - 1)[:, 0]


class Scoring(NamedTuple):
    """What does not change from frame to frame.

    Attributes:
      model: with ``step``, or None.
      weight: of the language model.
      bonus: for each label.
      blank: the blank.
      most: how many labels a prefix may have.
    """

    model: Any
    weight: Array
    bonus: Array
    blank: int
    most: int


class Choice(NamedTuple):
    """Which candidates go on.

    Attributes:
      source: the prefix that it comes from, ``[W]`` int32.
      label: the label that is added, ``[W]`` int32; -1 for none.
    """

    source: Array
    label: Array


def start(width: int, room: int, model: Any, dtype: Any) -> Prefixes:
    """Returns the empty prefix, and free places."""
    impossible = jnp.full(width, -jnp.inf, dtype)
    state, after = (None, None) if model is None else (model.state, model.log_probs)
    state, after = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf[None], (width, *leaf.shape)), (state, after)
    )
    return Prefixes(
        impossible.at[0].set(0),
        impossible,
        jnp.zeros(width, dtype),
        jnp.full((width, room), -1, jnp.int32),
        jnp.zeros(width, jnp.int32),
        jnp.zeros((width, width), jnp.int32),
        state,
        after,
    )


def step(scoring: Scoring, beam: Prefixes, x: tuple[Array, Array]) -> tuple[Prefixes, None]:
    """Advances the beam by one frame.

    Args:
      scoring: how prefixes are scored.
      beam: the prefixes.
      x: the log-probabilities of all symbols, ``[V]``, and the labels, ``[K]``, to extend by.
    """
    log_probs, labels = x
    total, last = beam.total, beam.last
    has_parent, parent = _parents(beam, total)
    repeat = jnp.where(last < 0, -jnp.inf, log_probs[jnp.maximum(last, 0)])
    arrives = jnp.where(last[parent] == last, beam.ends_blank[parent], total[parent]) + repeat
    arrives = jnp.where(has_parent, arrives, -jnp.inf)
    stays_blank = total + log_probs[scoring.blank]
    stays_label = jnp.logaddexp(beam.ends_label + repeat, arrives)

    # The same label again is a new one only after a blank.
    new = jnp.where(labels[None] == last[:, None], beam.ends_blank[:, None], total[:, None])
    new = new + log_probs[labels][None]
    prior, allowed = _priors(scoring, beam, labels)
    new = jnp.where(allowed & (labels != scoring.blank)[None], new, -jnp.inf)
    new = _without_merged(new, labels, jnp.where(has_parent, parent, new.shape[0]), last)

    stay_score = jnp.logaddexp(stays_blank, stays_label) + beam.prior
    scores = jnp.concatenate([stay_score, (new + prior).reshape(-1)])
    index = jax.lax.top_k(scores, total.shape[0])[1].astype(jnp.int32)
    extended = index >= total.shape[0]
    place = jnp.where(extended, index - total.shape[0], 0)
    source = jnp.where(extended, place // labels.shape[0], index)
    choice = Choice(source, jnp.where(extended, labels[place % labels.shape[0]], -1))
    beam = beam._replace(
        ends_blank=jnp.where(extended, -jnp.inf, stays_blank[source]),
        ends_label=jnp.where(extended, new.reshape(-1)[place], stays_label[source]),
        prior=jnp.where(extended, prior.reshape(-1)[place], beam.prior[source]),
    )
    return _remember(scoring, _moved(beam, choice), choice), None


def _parents(beam: Prefixes, total: Array) -> tuple[Array, Array]:
    """Returns whether a prefix without its last label is in the beam too, and where: ``[W]``."""
    alive = total > -jnp.inf
    counts = beam.counts
    child = (counts[:, None] == counts[None] + 1) & (beam.common == counts[None])
    child = child & alive[:, None] & alive[None]
    return jnp.any(child, axis=1), jnp.argmax(child, axis=1).astype(jnp.int32)


def _priors(scoring: Scoring, beam: Prefixes, labels: Array) -> tuple[Array, Array]:
    """Returns the priors of all extensions, ``[W, K]``, and which of them are allowed."""
    shape = (beam.prior.shape[0], labels.shape[0])
    allowed = jnp.broadcast_to((beam.counts < scoring.most)[:, None], shape)
    prior = jnp.broadcast_to((beam.prior + scoring.bonus)[:, None], shape)
    if beam.after is None:
        return prior, allowed
    after = beam.after[:, labels]
    possible = after > -jnp.inf
    return prior + scoring.weight * jnp.where(possible, after, 0), allowed & possible


def _without_merged(new: Array, labels: Array, parent: Array, last: Array) -> Array:
    """Returns the extensions ``[W, K]`` without those that are prefixes of the beam already.

    Args:
      new: their log-probabilities.
      labels: ``[K]``.
      parent: of each prefix, ``[W]``; W where it is not in the beam.
      last: the prefixes' last labels.
    """
    same = labels[None] == last[:, None]
    parent = jnp.where(jnp.any(same, axis=1), parent, new.shape[0])
    return new.at[parent, jnp.argmax(same, axis=1)].set(-jnp.inf, mode="drop")


def _moved(beam: Prefixes, choice: Choice) -> Prefixes:
    """Returns the labels of the chosen ones, and what they have in common."""
    source, label = choice
    counts = beam.counts[source]
    column = jnp.arange(beam.labels.shape[1], dtype=jnp.int32)
    added = (label >= 0)[:, None] & (column[None] == counts[:, None])
    labels = jnp.where(added, label[:, None], beam.labels[source])
    # Two prefixes part where they parted before, unless one of them just got there: then the
    # label that it got is compared with the other's, and behind it there is nothing.
    common = beam.common[source][:, source]
    here = _at(labels, common)
    common = common + ((here == here.T) & (here >= 0)).astype(jnp.int32)
    counts = counts + (label >= 0).astype(jnp.int32)
    return beam._replace(labels=labels, counts=counts, common=common)


def _remember(scoring: Scoring, beam: Prefixes, choice: Choice) -> Prefixes:
    """Returns the beam with the language model's states of the chosen ones."""
    if scoring.model is None:
        return beam
    old = jax.tree.map(lambda leaf: leaf[choice.source], (beam.state, beam.after))
    state, after = jax.vmap(scoring.model.step)(old[0], jnp.maximum(choice.label, 0))
    new = (state, after.astype(old[1].dtype))

    def choose(new: Array, old: Array) -> Array:
        return jnp.where(jnp.expand_dims(choice.label >= 0, range(1, new.ndim)), new, old)

    state, after = jax.tree.map(choose, new, old)
    return beam._replace(state=state, after=after)


def _at(labels: Array, place: Array) -> Array:
    """Returns labels ``[W, L]`` at places ``[W, M]``; -1 at places that are none."""
    inside = (place >= 0) & (place < labels.shape[1])
    place = jnp.clip(place, 0, labels.shape[1] - 1)
    return jnp.where(inside, jnp.take_along_axis(labels, place, axis=1), -1)
