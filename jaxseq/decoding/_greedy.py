"""The likeliest symbol, again and again."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Integer

from jaxseq._types import ArrayLike, PyTree
from jaxseq.decoding._generate import Generated, Step, check_arguments, generate


def greedy(
    step: Step,
    carry: PyTree,
    token: Integer[ArrayLike, " B"],
    *,
    length: int,
    stop: int | None = None,
) -> Generated:
    r"""Returns the text in which every symbol is the likeliest after those before it.

    .. math:: y_t = \arg\max_v \, p(v \mid y_{<t})

    Of equally likely symbols it takes the first. The loop is one compiled program, kept for as
    long as ``step`` is the same function: define it once. What changes from call to call, such as
    weights, belongs into the carry, ``carry = (params, state)``, and not into a closure, which
    would be compiled anew. Logits that are NaN make log-probabilities NaN.

    Args:
      step: the model, ``step(carry, token [B]) -> (carry, logits [B, V])``: reads a symbol, and
        returns the logits of the next.
      carry: the model's state after all symbols of the prompts but the last; any pytree.
      token: the last symbol of each prompt, in 0..V-1, which ``step`` has not read yet.
      length: how many symbols to generate.
      stop: the symbol that ends a row. Generation goes on for the other rows; this one repeats
        ``stop``. A prompt may end in it.

    Returns:
      The symbols after the prompts, and their log-probabilities.

    Raises:
      ValueError: if a shape is wrong, ``length`` or ``stop`` is out of range, or ``carry`` is that
        of a bidirectional model, which reads the future and so cannot generate it.
      TypeError: if ``step`` is not a function, or does not return what it must.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.decoding import greedy
      >>> bigrams = jnp.log(jnp.array([[0.1, 0.9, 0.0], [0.2, 0.0, 0.8], [0.5, 0.3, 0.2]]))
      >>> def step(bigrams, token):
      ...     return bigrams, bigrams[token]
      >>> text = greedy(step, bigrams, jnp.array([0]), length=4)
      >>> text.tokens.tolist(), round(float(jnp.exp(text.log_probs.sum())), 3)
      ([[1, 2, 0, 1]], 0.324)
    """
    length, stop = check_arguments("greedy", step, carry, token, length=length, stop=stop)
    return _greedy(step, carry, jnp.asarray(token), length=length, stop=stop)


@functools.partial(jax.jit, static_argnames=("step", "length", "stop"))
def _greedy(step, carry, token, *, length, stop):
    def choose(logits, t):
        del t
        return jnp.argmax(logits, axis=-1)

    return generate("greedy", step, carry, token, choose, length=length, stop=stop)
