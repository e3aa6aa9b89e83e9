"""A symbol drawn from the model's distribution, again and again."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Integer

from jaxseq._checks import error
from jaxseq._types import ArrayLike, Key, PyTree
from jaxseq.decoding._filters import (
    Scalar,
    check_number,
    check_top_k,
    check_top_p,
    filter_top_k,
    filter_top_p,
)
from jaxseq.decoding._generate import Generated, Step, check_arguments, generate


def sample(
    step: Step,
    carry: PyTree,
    token: Integer[ArrayLike, " B"],
    *,
    key: Key,
    length: int,
    temperature: Scalar = 1.0,
    top_k: int | None = None,
    top_p: Scalar | None = None,
    stop: int | None = None,
) -> Generated:
    r"""Returns a text in which every symbol is drawn given those before it.

    .. math:: y_t \sim \operatorname{softmax}(l_t / \tau)

    Logits are divided by the temperature first, then cut to the ``top_k`` largest, then to the
    nucleus of probability ``top_p`` of what is left. The same key gives the same text, and a
    smaller ``length`` its beginning. The loop is one compiled program, kept for as long as
    ``step`` is the same function; see :func:`greedy` for where weights belong. Logits that are
    NaN make log-probabilities NaN.

    Args:
      step: the model, ``step(carry, token [B]) -> (carry, logits [B, V])``: reads a symbol, and
        returns the logits of the next.
      carry: the model's state after all symbols of the prompts but the last; any pytree.
      token: the last symbol of each prompt, in 0..V-1, which ``step`` has not read yet.
      key: a PRNG key.
      length: how many symbols to generate.
      temperature: below 1 the likely becomes likelier, above 1 all becomes more alike; it may be
        traced, and must be positive then too.
      top_k: as in :func:`filter_top_k`.
      top_p: as in :func:`filter_top_p`; it may be traced.
      stop: the symbol that ends a row. Generation goes on for the other rows; this one repeats
        ``stop``. A prompt may end in it.

    Returns:
      The symbols after the prompts, and their log-probabilities under the model itself, which
      know neither temperature nor filters.

    Raises:
      ValueError: if a shape is wrong, a number is out of range, or ``carry`` is that of a
        bidirectional model, which reads the future and so cannot generate it.
      TypeError: if ``step`` is not a function, or does not return what it must, or ``key`` is not
        a key.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq.decoding import sample
      >>> bigrams = jnp.log(jnp.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]]))
      >>> def step(bigrams, token):
      ...     return bigrams, bigrams[token]
      >>> text = sample(step, bigrams, jnp.array([0, 2]), key=jax.random.key(0), length=5)
      >>> text.tokens.shape, text.tokens[:, 0].tolist()
      ((2, 5), [1, 0])

    References:
      Ackley, Hinton and Sejnowski, "A Learning Algorithm for Boltzmann Machines", 1985 (the
      temperature); Fan, Lewis and Dauphin, "Hierarchical Neural Story Generation", 2018 (top-k);
      Holtzman, Buys, Du, Forbes and Choi, "The Curious Case of Neural Text Degeneration", 2020
      (top-p).
    """
    length, stop = check_arguments("sample", step, carry, token, length=length, stop=stop)
    _check_key(key)
    _check_temperature(temperature)
    if top_k is not None:
        top_k = check_top_k("sample", "top_k", top_k)
    if top_p is not None:
        check_top_p("sample", "top_p", top_p)
        top_p = jnp.asarray(top_p, jnp.float32)
    temperature = jnp.asarray(temperature, jnp.float32)
    return _sample(
        step,
        carry,
        jnp.asarray(token),
        key,
        temperature,
        top_p,
        length=length,
        top_k=top_k,
        stop=stop,
    )


@functools.partial(jax.jit, static_argnames=("step", "length", "top_k", "stop"))
def _sample(step, carry, token, key, temperature, top_p, *, length, top_k, stop):
    def choose(logits, t):
        # From the largest down, so that no temperature makes all of them infinite.
        logits = (logits - logits.max(-1, keepdims=True)) / temperature.astype(logits.dtype)
        if top_k is not None:
            check_top_k("sample", "top_k", top_k, logits.shape[-1])
            logits = filter_top_k(logits, top_k)
        if top_p is not None:
            logits = filter_top_p(logits, top_p)
        return jax.random.categorical(jax.random.fold_in(key, t), logits, axis=-1)

    return generate("sample", step, carry, token, choose, length=length, stop=stop)


def _check_key(key: Any) -> None:
    """Raises unless this is one PRNG key of the new style."""
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise error(
            "sample",
            f"`key` must be a PRNG key, but it is {key!r}",
            hint="jax.random.key(seed) makes one, and jax.random.wrap_key_data turns an array of "
            "jax.random.PRNGKey into one",
            kind=TypeError,
        )
    if key.ndim:
        raise error(
            "sample",
            f"`key` must be one PRNG key, but it has shape {tuple(key.shape)}",
            hint="one key is enough for all rows",
        )


def _check_temperature(temperature: Any) -> None:
    """Raises unless the temperature is positive and finite, or traced."""
    known = check_number("sample", "temperature", temperature)
    if known == 0:
        raise error(
            "sample",
            "`temperature` must be positive, but it is 0",
            hint="the limit of temperature 0 is the likeliest symbol: use jaxseq.decoding.greedy",
        )
    if known is not None and not (known > 0 and math.isfinite(known)):
        raise error("sample", f"`temperature` must be positive and finite, but it is {known}")
