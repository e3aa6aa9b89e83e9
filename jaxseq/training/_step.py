"""One training step: loss, gradient, clipping, update."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Bool, Float

from jaxseq._checks import error
from jaxseq._types import Array, PyTree
from jaxseq.losses import SumCount, mean
from jaxseq.training._clip import check_max_norm, clip_by_global_norm
from jaxseq.training._leaves import difference, named_leaves
from jaxseq.training._mesh import Places, on_mesh, places, spread
from jaxseq.training._promotion import standard_promotion
from jaxseq.training._state import TrainState

Loss = Callable[..., Any]
"""``loss(params, carry, batch, key) -> (SumCount, carry)``; ``key`` is None in evaluation."""


class Metrics(NamedTuple):
    """What a step reports.

    Attributes:
      loss: the mean over what the loss counted; 0 if that is nothing.
      count: how many terms that are (tokens, say).
      norm: the gradient's global norm before clipping.
      clipped_norm: the one after.
      finite: whether loss and norm were finite, so that the step was applied.

    Example:
      >>> Metrics._fields
      ('loss', 'count', 'norm', 'clipped_norm', 'finite')
    """

    loss: Float[Array, ""]
    count: Float[Array, ""]
    norm: Float[Array, ""]
    clipped_norm: Float[Array, ""]
    finite: Bool[Array, ""]


Step = Callable[[TrainState, PyTree], tuple[TrainState, Metrics]]


def checked_loss(
    where: str, loss: Loss, params: PyTree, carry: PyTree, batch: PyTree, *, key: Any
) -> tuple[SumCount, PyTree]:
    """Calls the loss and checks what it returns; the sums come back in float32 or better.

    Raises:
      TypeError: if it does not return ``((total, count), carry)`` with two scalars and a carry of
        the structure, shapes and dtypes of the one that it was given.

    Example:
      >>> import jax.numpy as jnp
      >>> def loss(params, carry, batch, key):
      ...     return (params * 2.0, jnp.ones(())), carry
      >>> float(checked_loss("f", loss, jnp.ones(()), (), (), key=None)[0].total)
      2.0
    """
    returned = loss(params, carry, batch, key)
    pairs = isinstance(returned, tuple) and len(returned) == 2
    sums = returned[0] if pairs else None
    if not (isinstance(sums, tuple) and len(sums) == 2 and all(jnp.shape(s) == () for s in sums)):
        raise error(
            where,
            "`loss` must return ((total, count), carry) with two scalars, but it returned "
            f"{_brief(returned)}",
            hint="the losses in jaxseq.losses return (total, count); hand the carry on beside it",
            kind=TypeError,
        )
    _check_carry(where, carry, returned[1])
    total, count = map(jnp.asarray, sums)
    with standard_promotion():
        wide = jnp.promote_types(total.dtype, jnp.float32)
    return SumCount(total.astype(wide), jax.lax.stop_gradient(count.astype(wide))), returned[1]


def _brief(returned: Any) -> str:
    def name(leaf: Any) -> str:
        return f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "shape") else type(leaf).__name__

    return str(jax.tree.map(name, returned)).replace("'", "")


def _check_carry(where: str, old: PyTree, new: PyTree) -> None:
    of, than = "in what it returned", "in the state"
    old, new = jax.tree.map(jnp.asarray, (old, new))
    problem = difference(
        named_leaves(new, prefix="carry"), named_leaves(old, prefix="carry"), of=of, than=than
    )
    if problem is None and jax.tree.structure(old) != jax.tree.structure(new):
        problem = f"it is {jax.tree.structure(new)} {of}, but {jax.tree.structure(old)} {than}"
    if problem is not None:
        raise error(
            where,
            f"`loss` must return a carry like the one that it was given: {problem}",
            hint="give init_state the carry that the model starts with, carry=cell.carry(...)",
            kind=TypeError,
        )


def make_step(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    max_norm: float | None = None,
    mesh: Mesh | None = None,
    axis: str = "data",
    donate: bool = True,
) -> Step:
    r"""Returns the training step ``step(state, batch) -> (state, metrics)``, compiled.

    .. math:: \theta \leftarrow \theta + \mathrm{optimizer}\left(\mathrm{clip}\left(
        \nabla_\theta \frac{\mathrm{total}(\theta)}{\mathrm{count}}\right)\right)

    A step whose loss or gradient norm is not finite is not applied: params, optimizer state and
    carry stay as they were, ``skipped`` goes up by one, and so does ``step``. A batch in which the
    loss counts nothing has a zero gradient. No gradient flows through the carry handed on.

    Args:
      loss: ``loss(params, carry, batch, key) -> (SumCount, carry)``. A batch is any tree of arrays
        whose first axis is the batch.
      optimizer: any optax transformation; it is given the loss as ``value=`` if it takes that.
      max_norm: clips the gradient's global norm; leave clipping out of the optimizer then.
      mesh: the devices to spread the batch's rows over; params are copied to each.
      axis: the mesh's axis for the rows.
      donate: whether a step may overwrite the state that it is given, which then cannot be used
        again.

    Returns:
      The step.

    Raises:
      ValueError: if ``max_norm`` is not positive, the mesh lacks the axis, or (when called) the
        batch does not divide evenly.
      TypeError: when called, if ``loss`` returns something else.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jaxseq.training import init_state
      >>> def loss(params, carry, batch, key):
      ...     error = batch["x"] * params["w"] - batch["y"]
      ...     return (jnp.sum(error**2), jnp.array(2.0)), carry
      >>> optimizer = optax.sgd(0.1)
      >>> step = make_step(loss, optimizer, max_norm=1.0)
      >>> state = init_state({"w": jnp.array(1.0)}, optimizer, key=jax.random.key(0))
      >>> state, metrics = step(state, {"x": jnp.array([1.0, 2.0]), "y": jnp.array([2.0, 4.0])})
      >>> float(metrics.loss), float(metrics.norm), round(float(state.params["w"]), 3)
      (2.5, 5.0, 1.1)
    """
    check_max_norm("make_step", max_norm)
    at = places("make_step", mesh, axis)
    optimizer = optax.with_extra_args_support(optimizer)

    def train_step(state: TrainState, batch: PyTree) -> tuple[TrainState, Metrics]:
        if at is not None:
            batch = jax.lax.with_sharding_constraint(batch, at.rows)
        return _advance(loss, optimizer, max_norm, state, batch)

    compiled = jax.jit(_replicated(train_step, at), donate_argnums=0 if donate else ())
    if at is None:
        return compiled

    def step(state: TrainState, batch: PyTree) -> tuple[TrainState, Metrics]:
        return compiled(on_mesh(at, state), spread(at, batch))

    return step


def _replicated(step: Step, at: Places | None) -> Step:
    """Holds everything but the carry, whose place is the compiler's choice, on every device."""
    if at is None:
        return step

    def held(state: TrainState, batch: PyTree) -> tuple[TrainState, Metrics]:
        state, metrics = step(state, batch)
        rest, metrics = jax.lax.with_sharding_constraint(
            (state._replace(carry=()), metrics), at.whole
        )
        return rest._replace(carry=state.carry), metrics

    return held


def _advance(
    loss: Loss,
    optimizer: optax.GradientTransformationExtraArgs,
    max_norm: float | None,
    state: TrainState,
    batch: PyTree,
) -> tuple[TrainState, Metrics]:
    key, subkey = jax.random.split(state.key)
    carry = jax.lax.stop_gradient(state.carry)

    def objective(params: PyTree) -> tuple[Array, tuple[Array, PyTree]]:
        sums, new_carry = checked_loss("make_step", loss, params, carry, batch, key=subkey)
        return mean(sums), (sums.count, new_carry)

    (value, (count, carry)), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
    # Where nothing is counted, the loss may still be differentiated at a point without a slope.
    grads = jax.tree.map(lambda grad: jnp.where(count > 0, grad, 0), grads)
    grads, norm, clipped_norm = clip_by_global_norm(grads, max_norm)
    finite = jnp.isfinite(value) & jnp.isfinite(norm)
    with standard_promotion():
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params, value=value)
        params = optax.apply_updates(state.params, updates)
    new = (params, opt_state, jax.lax.stop_gradient(carry))
    old = (state.params, state.opt_state, state.carry)
    kept = jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)
    skipped = state.skipped + (~finite).astype(jnp.int32)
    after = TrainState(*kept, key=key, step=state.step + 1, skipped=skipped)
    return after, Metrics(value, count, norm, clipped_norm, finite)
