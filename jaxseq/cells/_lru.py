"""The Linear Recurrent Unit: a diagonal complex recurrence between two dense maps."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxseq._arrays import accumulator
from jaxseq._checks import check_shape, error
from jaxseq._types import Array, Key
from jaxseq.cells._affine import check_sizes
from jaxseq.cells._cell import Cell
from jaxseq.cells._linear import Linear, check_input, zero_state


class LRUParams(NamedTuple):
    r"""The weights of an LRU with N complex state units; all of them real arrays.

    Attributes:
      nu_log: ``[N]``; a unit's eigenvalue is
        :math:`\lambda = \exp(-\exp(\nu^{\log}) + i \exp(\theta^{\log}))`, inside the unit circle
        whatever the weights are.
      theta_log: ``[N]``.
      gamma_log: ``[N]``, of the factor :math:`\exp(\gamma^{\log})` of each unit's input.
      B_re: input to state, ``[N, I]``, the real part.
      B_im: its imaginary part.
      C_re: state to output, ``[O, N]``, the real part.
      C_im: its imaginary part.
      D: input to output, ``[O, I]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import lru
      >>> params = lru(3, 4, 8).init(jax.random.key(0))
      >>> params.B_re.shape, params.C_re.shape, params.D.shape
      ((8, 3), (4, 8), (4, 3))
    """

    nu_log: Float[Array, " N"]
    theta_log: Float[Array, " N"]
    gamma_log: Float[Array, " N"]
    B_re: Float[Array, "N I"]
    B_im: Float[Array, "N I"]
    C_re: Float[Array, "O N"]
    C_im: Float[Array, "O N"]
    D: Float[Array, "O I"]


class LRUCarry(NamedTuple):
    """The state of an LRU, one complex number a unit, in float32 or better.

    Real and imaginary part are two real arrays: each dtype comes in two, products of matrices stay
    real, and so does every gradient.

    Attributes:
      re: the real part, ``[*batch, N]``.
      im: the imaginary part, ``[*batch, N]``.

    Example:
      >>> import jax
      >>> from jaxseq.cells import lru
      >>> cell = lru(3, 4, 8)
      >>> cell.carry(cell.init(jax.random.key(0)), (2,)).re.shape
      (2, 8)
    """

    re: Float[Array, "*batch N"]
    im: Float[Array, "*batch N"]


def lru_init(
    key: Key,
    sizes: tuple[int, int, int],
    *,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 2.0 * math.pi,
    dtype: Any = jnp.float32,
) -> LRUParams:
    r"""Returns fresh weights, as in the paper.

    The eigenvalues are uniform, by area, in the ring :math:`r_{\min} \le |\lambda| \le r_{\max}`
    at phases in :math:`[0, \mathit{max\_phase}]`. B is complex normal with variance 1/I, C with
    variance 2/N, D normal with variance 1/I, and :math:`\gamma = \sqrt{1 - |\lambda|^2}`, so that
    a state driven by white noise has the scale of its input, however slow the unit.

    Args:
      key: a PRNG key.
      sizes: I, O and N.
      r_min: the least modulus of an eigenvalue.
      r_max: the greatest.
      max_phase: the greatest phase of an eigenvalue, in radians; small for long memories, since
        fast oscillations then do not drown what is slow.
      dtype: of the weights.

    Returns:
      The weights.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = lru_init(jax.random.key(0), (3, 4, 8), r_min=0.9, r_max=0.99)
      >>> modulus = jnp.exp(-jnp.exp(params.nu_log))
      >>> bool(((modulus > 0.89) & (modulus < 1.0)).all())
      True

    References:
      Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", 2023, appendix A.
    """
    input_size, output_size, state_size = sizes
    draw = accumulator(dtype)
    keys = jax.random.split(key, 7)

    def normal(key, shape, variance):
        return variance**0.5 * jax.random.normal(key, shape, draw)

    # Neither log(0) nor an eigenvalue on the circle, where gamma would be 0.
    tiny, eps = float(jnp.finfo(draw).tiny), float(jnp.finfo(draw).eps)
    square = jax.random.uniform(keys[0], (state_size,), draw, r_min**2, r_max**2)
    nu = -0.5 * jnp.log(jnp.clip(square, tiny, 1.0 - eps))
    phase = jax.random.uniform(keys[1], (state_size,), draw, 0.0, max_phase)
    params = LRUParams(
        nu_log=jnp.log(nu),
        theta_log=jnp.log(jnp.maximum(phase, tiny)),
        gamma_log=0.5 * jnp.log(-jnp.expm1(-2.0 * nu)),
        B_re=normal(keys[2], (state_size, input_size), 0.5 / input_size),
        B_im=normal(keys[3], (state_size, input_size), 0.5 / input_size),
        C_re=normal(keys[4], (output_size, state_size), 1.0 / state_size),
        C_im=normal(keys[5], (output_size, state_size), 1.0 / state_size),
        D=normal(keys[6], (output_size, input_size), 1.0 / input_size),
    )
    return LRUParams(*(leaf.astype(dtype) for leaf in params))


def lru_carry(
    params: LRUParams, batch_shape: tuple[int, ...] = (), *, key: Key | None = None
) -> LRUCarry:
    """Returns the initial state: zeros.

    Args:
      params: the weights, which say how wide and of which dtype.
      batch_shape: leading axes.
      key: not used; zeros need none.

    Returns:
      The carry.

    Example:
      >>> import jax
      >>> lru_carry(lru_init(jax.random.key(0), (3, 4, 2))).re.tolist()
      [0.0, 0.0]
    """
    del key
    size, dtype = params.nu_log.shape[0], params.nu_log.dtype
    return LRUCarry(zero_state(batch_shape, size, dtype), zero_state(batch_shape, size, dtype))


def _product(w: Float[Array, "N M"], x: Float[Array, " M"]) -> Float[Array, " N"]:
    """Returns ``w x``, accumulated in float32 or better."""
    return jnp.dot(x.astype(w.dtype), w.T, preferred_element_type=accumulator(w.dtype))


def lru_coefficients(params: LRUParams, x: Float[Array, " I"]) -> tuple[LRUCarry, LRUCarry]:
    r"""Returns ``(a, b)`` of the recurrence :math:`h_t = a \, h_{t-1} + b`, on one example.

    .. math::
        a = \lambda = \exp(-\exp(\nu^{\log}) + i \exp(\theta^{\log})), \quad
        b = \exp(\gamma^{\log}) \, B x_t

    Args:
      params: the weights.
      x: the input at this step.

    Returns:
      Both, each like the carry; ``a`` does not depend on ``x``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> a, b = lru_coefficients(lru_init(jax.random.key(0), (3, 4, 2)), jnp.zeros(3))
      >>> bool((a.re**2 + a.im**2 < 1).all()), b.re.tolist()
      (True, [0.0, 0.0])
    """
    dtype = accumulator(params.nu_log.dtype)
    modulus = jnp.exp(-jnp.exp(params.nu_log.astype(dtype)))
    phase = jnp.exp(params.theta_log.astype(dtype))
    gamma = jnp.exp(params.gamma_log.astype(dtype))[:, None]
    # Rows of weights are scaled, of which there are fewer than there are steps.
    B_re, B_im = ((gamma * B.astype(dtype)).astype(B.dtype) for B in (params.B_re, params.B_im))
    a = LRUCarry(modulus * jnp.cos(phase), modulus * jnp.sin(phase))
    return a, LRUCarry(_product(B_re, x), _product(B_im, x))


def lru_read(params: LRUParams, carry: LRUCarry, x: Float[Array, " I"]) -> Float[Array, " O"]:
    """Returns the output, ``Re(C h) + D x``, in the dtype of the weights."""
    y = _product(params.C_re, carry.re) + _product(-params.C_im, carry.im)
    return (y + _product(params.D, x)).astype(params.D.dtype)


def lru_step(
    params: LRUParams, carry: LRUCarry, x: Float[Array, " I"]
) -> tuple[LRUCarry, Float[Array, " O"]]:
    r"""Advances a Linear Recurrent Unit by one time step, on one example.

    .. math::
        \lambda &= \exp(-\exp(\nu^{\log}) + i \exp(\theta^{\log})) \\
        h_t &= \lambda \, h_{t-1} + \exp(\gamma^{\log}) \, B x_t \\
        y_t &= \mathrm{Re}(C h_t) + D x_t

    The paper's block puts what is not linear (a GLU) behind it, over features; here that is the
    caller's. D is a matrix, so that the output may have another width than the input.

    Args:
      params: the weights, from :func:`lru_init`.
      carry: the state after the previous step.
      x: the input at this step.

    Returns:
      The carry after this step, and the output ``y``.

    Raises:
      ValueError: if ``x`` is not one input of the size that ``params`` expect.
      TypeError: if ``x`` does not have the dtype of ``params``.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> params = lru_init(jax.random.key(0), (3, 4, 8))
      >>> carry, y = lru_step(params, lru_carry(params), jnp.ones(3))
      >>> y.shape
      (4,)

    References:
      Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", 2023.
    """
    check_input("lru_step", params.B_re, x)
    for name, part in zip(carry._fields, carry, strict=True):
        size = params.nu_log.shape
        check_shape("lru_step", f"carry.{name}", part, "(state_size,)", size, hint="see cell.carry")
    a, b = lru_coefficients(params, x)
    carry = LRUCarry(
        re=a.re * carry.re - a.im * carry.im + b.re,
        im=a.re * carry.im + a.im * carry.re + b.im,
    )
    return carry, lru_read(params, carry, x)


@functools.cache
def lru(
    input_size: int,
    output_size: int,
    state_size: int,
    *,
    r_min: float = 0.0,
    r_max: float = 1.0,
    max_phase: float = 2.0 * math.pi,
) -> Cell:
    """Returns a Linear Recurrent Unit: a linear recurrence, which needs no loop over time.

    Args:
      input_size: I.
      output_size: O.
      state_size: N, complex units.
      r_min: the least modulus of an eigenvalue at the start.
      r_max: the greatest.
      max_phase: the greatest phase of an eigenvalue at the start, in radians.

    Returns:
      The cell; its params are :class:`LRUParams`, its carry :class:`LRUCarry`.

    Raises:
      ValueError: if a size is not a positive integer, or the eigenvalues would not lie in a ring
        inside the unit circle.

    Example:
      >>> import jax, jax.numpy as jnp, jaxseq
      >>> cell = jaxseq.lru(3, 4, 8, r_min=0.9, r_max=0.999)
      >>> params = cell.init(jax.random.key(0))
      >>> carry, ys = jaxseq.scan(cell, params, jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.re.shape
      ((2, 5, 4), (2, 8))

    References:
      Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", 2023.
    """
    check_sizes("lru", input_size=input_size, output_size=output_size, state_size=state_size)
    if not 0.0 <= r_min < r_max <= 1.0:
        problem = f"`r_min` and `r_max` must satisfy 0 <= r_min < r_max <= 1, but are {r_min!r}"
        raise error("lru", f"{problem} and {r_max!r}")
    if not 0.0 < max_phase < math.inf:
        raise error("lru", f"`max_phase` must be positive and finite, but it is {max_phase!r}")
    ring = {"r_min": r_min, "r_max": r_max, "max_phase": max_phase}
    return Cell(
        name="lru",
        input_size=input_size,
        output_size=output_size,
        init=lambda key, dtype=jnp.float32: lru_init(
            key, (input_size, output_size, state_size), dtype=dtype, **ring
        ),
        carry=lru_carry,
        step=lru_step,
        linear=Linear(lru_coefficients, lru_read, complex=True, constant=True),
    )
