"""A module taken apart: a plain tree of arrays, and a pure function of it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from flax import nnx

from jaxseq._checks import error, shape_text
from jaxseq._types import PyTree

Path = tuple[Any, ...]
Model = TypeVar("Model", bound=nnx.Module)


class Pure(NamedTuple):
    """A module without Flax: its weights, and what it computes from weights.

    Attributes:
      params: nested dicts of arrays, whose keys are strings.
      apply: ``(params, *args, **kwargs)``: what the method of a module with these params returns.
        Modules that are constructed alike have one and the same function, so it is a good static
        argument.

    Example:
      >>> import jax
      >>> from jaxseq import nn
      >>> net = nn.pure(nn.GRU(3, 4, rngs=jax.random.key(0)))
      >>> net.params["layers"]["0"]["w_ih"].shape
      (12, 3)
    """

    params: PyTree
    apply: Callable[..., Any]


def pure(model: nnx.Module, *, method: str = "__call__") -> Pure:
    """Returns the weights of a module as nested dicts, and one of its methods as a pure function.

    The dicts are an ordinary pytree: differentiate, train and save them without Flax.

    Args:
      model: a module whose whole state is ``nnx.Param``.
      method: which method ``apply`` is.

    Returns:
      A :class:`Pure`; ``apply(params, *args, **kwargs)``.

    Raises:
      ValueError: if the module has no such method.
      TypeError: if ``model`` is no module, or it holds state besides its params, which a pure
        function could not change. ``apply`` raises it too, for params that are not of this module.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jaxseq import nn
      >>> model = nn.LanguageModel(5, 3, 4, rngs=jax.random.key(0))
      >>> params, apply = nn.pure(model)
      >>> def loss(params, tokens):
      ...     return (apply(params, tokens)[1] ** 2).sum()
      >>> gradient = jax.grad(loss)(params, jnp.array([[1, 2]]))
      >>> gradient["embedding"].shape
      (5, 3)
      >>> step = nn.pure(model, method="step").apply
      >>> carry, logits = step(params, model.carry((2,)), jnp.array([1, 2]))
      >>> logits.shape
      (2, 5)
    """
    graphdef, leaves = _split("pure", model)
    if not callable(getattr(type(model), method, None)):
        raise error("pure", f"`method` must be one of {type(model).__name__}, but it is {method!r}")
    return Pure(_nested(leaves), _function(graphdef, tuple(leaves), method))


def with_params(model: Model, params: PyTree) -> Model:
    """Returns the module with other weights; ``model`` itself stays as it is.

    Args:
      model: the module.
      params: as :func:`pure` returns them. Dtypes may differ from the module's.

    Returns:
      A new module.

    Raises:
      ValueError: if an array has another shape than the module's.
      TypeError: if the arrays are not those of the module.

    Example:
      >>> import jax
      >>> from jaxseq import nn
      >>> layer = nn.GRU(3, 4, rngs=jax.random.key(0))
      >>> halved = jax.tree.map(lambda leaf: 0.5 * leaf, nn.pure(layer).params)
      >>> bool((nn.with_params(layer, halved).params[0].w_hh == 0.5 * layer.params[0].w_hh).all())
      True
    """
    graphdef, leaves = _split("with_params", model)
    given = _checked("with_params", params, tuple(leaves))
    for path, old in leaves.items():
        if np.shape(given[path]) != np.shape(old):
            raise error(
                "with_params",
                f"`params` must have {_name(path)} of shape {shape_text(np.shape(old))}, "
                f"but there it has shape {shape_text(np.shape(given[path]))}",
            )
    return nnx.merge(graphdef, nnx.from_flat_state(given))


def _split(where: str, model: nnx.Module) -> tuple[nnx.GraphDef, dict[Path, Any]]:
    if not isinstance(model, nnx.Module):
        raise error(where, f"`model` must be an nnx.Module, but it is {model!r}", kind=TypeError)
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)
    if rest:
        names = ", ".join(_name(path) for path, _ in nnx.to_flat_state(rest))
        raise error(
            where,
            f"`model` must hold no state but nnx.Param, but it holds {names}",
            hint="give randomness to the call, as a key",
            kind=TypeError,
        )
    return graphdef, {path: leaf.get_value() for path, leaf in nnx.to_flat_state(params)}


@functools.cache
def _function(graphdef: nnx.GraphDef, paths: tuple[Path, ...], method: str) -> Callable[..., Any]:
    def apply(params: PyTree, *args: Any, **kwargs: Any) -> Any:
        leaves = _checked("apply", params, paths)
        model = nnx.merge(graphdef, nnx.from_flat_state(leaves))
        return getattr(model, method)(*args, **kwargs)

    return apply


def _nested(leaves: dict[Path, Any]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path, leaf in leaves.items():
        node = root
        for part in path[:-1]:
            node = node.setdefault(str(part), {})
        node[str(path[-1])] = leaf
    return root


def _checked(where: str, params: PyTree, paths: tuple[Path, ...]) -> dict[Path, Any]:
    """Returns the leaves of nested dicts by their paths in the module, or raises."""
    flat = _flat(params)
    expected = {tuple(map(str, path)): path for path in paths}
    if flat.keys() != expected.keys():
        missing = [_name(path) for path in expected if path not in flat]
        extra = [_name(path) for path in flat if path not in expected]
        parts = [f"{', '.join(missing)} is missing"] if missing else []
        parts += [f"{', '.join(extra)} is not the module's"] if extra else []
        raise error(
            where,
            f"`params` must be those of the module, but {'; '.join(parts)}",
            hint="nn.pure(model).params has the right ones",
            kind=TypeError,
        )
    return {path: flat[key] for key, path in expected.items()}


def _flat(tree: PyTree, path: Path = ()) -> dict[Path, Any]:
    if not isinstance(tree, Mapping):
        return {path: tree}
    return {key: leaf for part in tree for key, leaf in _flat(tree[part], (*path, part)).items()}


def _name(path: Path) -> str:
    return ".".join(map(str, path)) or "a single leaf"
