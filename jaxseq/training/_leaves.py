"""The leaves of a tree by name: how two trees differ, and how one is written as plain arrays."""

import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseq._types import PyTree


class Leaf(NamedTuple):
    """What a checkpoint says about one leaf.

    Attributes:
      name: the path to it, as in ``"params.w_ih"``.
      shape: as a list, since it is written as JSON.
      dtype: by name.
      key: for a PRNG key, its implementation; otherwise None.
      checksum: the CRC-32 of its bytes; None for a leaf without elements, or one that is spread
        over several processes.
    """

    name: str
    shape: list[int]
    dtype: str
    key: str | None
    checksum: int | None


def named_leaves(tree: PyTree, *, prefix: str = "") -> list[tuple[str, Any]]:
    """Returns the leaves with the paths that a person would write.

    Example:
      >>> [name for name, _ in named_leaves({"w": 1, "more": (2, 3)})]
      ['more.0', 'more.1', 'w']
    """
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    names = (jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves)
    return [
        (".".join(part for part in (prefix, name) if part), leaf)
        for name, (_, leaf) in zip(names, leaves, strict=True)
    ]


def is_key(leaf: Any) -> bool:
    """Returns whether a leaf is a typed PRNG key, or describes one.

    Example:
      >>> import jax
      >>> is_key(jax.random.key(0)), is_key(jax.random.key_data(jax.random.key(0)))
      (True, False)
    """
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def describe(leaf: Any) -> str:
    """Returns shape and dtype, as an error message writes them.

    Example:
      >>> import jax.numpy as jnp
      >>> describe(jnp.zeros((2, 3)))
      'shape (2, 3) and dtype float32'
    """
    return f"shape {tuple(leaf.shape)} and dtype {leaf.dtype}"


def difference(
    there: list[tuple[str, Any]], here: list[tuple[str, Any]], *, of: str, than: str
) -> str | None:
    """Returns how the first leaf that differs does so, or None if none does.

    Args:
      there: named leaves; anything with a shape and a dtype.
      here: named leaves, to compare with.
      of: whose the first are, as in ``"in the checkpoint"``.
      than: whose the second are.

    Returns:
      A sentence without a full stop, or None.

    Example:
      >>> import jax.numpy as jnp
      >>> difference([("w", jnp.zeros(2))], [("w", jnp.zeros(3))], of="there", than="here")
      '`w` has shape (2,) and dtype float32 there, but shape (3,) and dtype float32 here'
    """
    theirs, ours = dict(there), dict(here)
    for name, leaf in here:
        if name not in theirs:
            return f"`{name}` is {than} ({describe(leaf)}), but not {of}"
        if describe(theirs[name]) != describe(leaf):
            return f"`{name}` has {describe(theirs[name])} {of}, but {describe(leaf)} {than}"
    for name, leaf in there:
        if name not in ours:
            return f"`{name}` is {of} ({describe(leaf)}), but not {than}"
    return None


def plain(leaf: Any) -> Any:
    """Returns a leaf as a plain array: a PRNG key as its data.

    Example:
      >>> import jax
      >>> plain(jax.random.key(0)).tolist()
      [0, 0]
    """
    return jax.random.key_data(leaf) if is_key(leaf) else jnp.asarray(leaf)


def checksum(array: Any) -> int | None:
    """Returns the CRC-32 of an array's bytes, or None if this process does not hold all of them.

    Orbax guards the tree of a checkpoint, not the numbers in it: a flipped bit would go unnoticed.

    Example:
      >>> import jax.numpy as jnp
      >>> checksum(jnp.zeros(4, jnp.uint8)) == zlib.crc32(bytes(4))
      True
    """
    if not array.size or not array.is_fully_addressable:
        return None
    return zlib.crc32(np.ascontiguousarray(np.asarray(array)).tobytes())


def pack(named: list[tuple[str, Any]]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Returns the arrays to write, by number, and what the checkpoint says about each leaf.

    Leaves without elements are only described: Orbax does not write them.

    Example:
      >>> import jax.numpy as jnp
      >>> arrays, about = pack([("w", jnp.zeros(2)), ("none", jnp.zeros(0))])
      >>> sorted(arrays), about[1]
      (['0'], ['none', [0], 'float32', None, None])
    """
    arrays, about = {}, []
    for number, (name, leaf) in enumerate(named):
        array = plain(leaf)
        kind = str(jax.random.key_impl(leaf)) if is_key(leaf) else None
        about.append(list(Leaf(name, list(leaf.shape), str(leaf.dtype), kind, checksum(array))))
        if array.size:
            arrays[str(number)] = array
    return arrays, about


def templates(named: list[tuple[str, Any]]) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns what Orbax is to read: shape, dtype and place of each array that was written.

    Example:
      >>> import jax.numpy as jnp
      >>> templates([("w", jnp.zeros(2))])["0"].shape
      (2,)
    """
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    wanted = {}
    for number, (_, leaf) in enumerate(named):
        form = jax.eval_shape(plain, jax.ShapeDtypeStruct(leaf.shape, leaf.dtype))
        # A key is small, and its data have one axis more than the key: it is read to one device.
        place = None if is_key(leaf) else getattr(leaf, "sharding", None)
        if form.size:
            wanted[str(number)] = jax.ShapeDtypeStruct(
                form.shape, form.dtype, sharding=place or here
            )
    return wanted


def unpack(arrays: dict[str, Any], about: list[Leaf]) -> tuple[list[Any], str | None]:
    """Returns the leaves again, and the name of the first one that was damaged, if any.

    Example:
      >>> import jax.numpy as jnp
      >>> arrays, about = pack([("w", jnp.ones(2))])
      >>> leaves, damaged = unpack(arrays, [Leaf(*line) for line in about])
      >>> leaves[0].tolist(), damaged
      ([1.0, 1.0], None)
    """
    leaves, damaged = [], None
    for number, leaf in enumerate(about):
        array = arrays.get(str(number))
        if array is None:
            array = jnp.zeros(leaf.shape, leaf.dtype)
        elif leaf.checksum is not None and checksum(array) != leaf.checksum:
            damaged = damaged or leaf.name
        leaves.append(array if leaf.key is None else jax.random.wrap_key_data(array, impl=leaf.key))
    return leaves, damaged
