"""Rows of a batch over the devices of a mesh."""

from typing import Any, NamedTuple

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxseq._checks import error
from jaxseq._types import PyTree


class Places(NamedTuple):
    """Where things are on a mesh.

    Attributes:
      rows: the leading axis spread over the data axis.
      whole: a copy on every device.
      where: the function that the user called, for the error messages.
    """

    rows: NamedSharding
    whole: NamedSharding
    where: str


def places(where: str, mesh: Mesh | None, axis: str) -> Places | None:
    """Returns the places on a mesh; None without one.

    Inside, the mesh has automatic axes whatever the given one has: with explicit axes, every
    operation of a user's loss would have to say how its output is sharded.

    Args:
      where: the function that the user called.
      mesh: any mesh, or None.
      axis: the axis that the batch is spread over.

    Returns:
      The places, or None.

    Raises:
      ValueError: if the mesh has no such axis.

    Example:
      >>> import jax
      >>> tuple(places("f", jax.make_mesh((1,), ("data",)), "data").rows.spec)
      ('data',)
    """
    if mesh is None:
        return None
    if axis not in mesh.axis_names:
        raise error(
            where,
            f"`axis` must be one of the mesh's axes {mesh.axis_names}, but it is {axis!r}",
        )
    kinds = (AxisType.Auto,) * len(mesh.axis_names)
    mesh = Mesh(mesh.devices, mesh.axis_names, axis_types=kinds)
    rows, whole = PartitionSpec(axis), PartitionSpec()
    return Places(NamedSharding(mesh, rows), NamedSharding(mesh, whole), where)


def spread(at: Places, batch: PyTree) -> PyTree:
    """Returns the batch with its rows spread over the mesh.

    Raises:
      ValueError: if a leaf has no rows, or a number of rows that the devices do not divide.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> at = places("f", jax.make_mesh((1,), ("data",)), "data")
      >>> spread(at, jnp.ones((2, 3))).shape
      (2, 3)
    """
    axis = at.rows.spec[0]
    devices = at.rows.mesh.shape[axis]
    for leaf in jax.tree.leaves(batch):
        if not leaf.shape or leaf.shape[0] % devices:
            raise error(
                at.where,
                f"the batch must have a number of rows that is a multiple of {devices}, the size "
                f"of the mesh's axis {axis!r}, but it has a leaf of shape {tuple(leaf.shape)}",
                hint="choose another batch size, or drop the last, smaller batch",
            )
    return jax.device_put(batch, at.rows)


def on_mesh(at: Places, tree: PyTree) -> PyTree:
    """Returns a tree whose arrays are on the mesh: the others are copied to every device.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> at = places("f", jax.make_mesh((1,), ("data",)), "data")
      >>> tuple(on_mesh(at, jnp.ones(3)).sharding.spec)
      ()
    """

    def move(leaf: Any) -> Any:
        sharding = getattr(leaf, "sharding", None)
        if isinstance(sharding, NamedSharding) and sharding.mesh == at.whole.mesh:
            return leaf
        return jax.device_put(leaf, at.whole)

    return jax.tree.map(move, tree)
