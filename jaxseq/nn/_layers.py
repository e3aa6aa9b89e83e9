"""Layers over time: what the three recurrent modules have in common."""

import abc
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Float

from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array, ArrayLike, Inputs, Key, Lengths, PyTree, Resets
from jaxseq.cells import Cell, DropoutCarry, dropout, dropout_mask
from jaxseq.nn._arguments import (
    check_param_dtype,
    check_rates,
    check_sizes,
    directions,
    draw_key,
)
from jaxseq.sequence import Directions, bidirectional, scan


class Weights(nnx.Module):
    """The weights of one direction of one layer: one ``nnx.Param`` an array."""

    def __init__(self, params: Any):
        self.kind = type(params)
        for name, leaf in params._asdict().items():
            setattr(self, name, nnx.Param(leaf))

    @property
    def params(self) -> Any:
        """The core's NamedTuple of these weights."""
        return self.kind(*(getattr(self, name).get_value() for name in self.kind._fields))


class Layers(nnx.Module):
    """Layers of one kind of cell; a subclass says which, and keeps what its factory needs."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        *,
        bidirectional: bool | Sequence[bool],
        dropout: float,
        input_dropout: float,
        state_dropout: float,
        residual: bool,
        param_dtype: Any,
        rngs: nnx.Rngs | Key,
    ):
        where = type(self).__name__
        check_sizes(where, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_rates(
            where, dropout=dropout, input_dropout=input_dropout, state_dropout=state_dropout
        )
        check_param_dtype(where, param_dtype)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = directions(where, bidirectional, num_layers)
        self.dropout = float(dropout)
        self.input_dropout = float(input_dropout)
        self.state_dropout = float(state_dropout)
        self.residual = bool(residual)
        self._check_options()
        cells = [
            cell
            for cell, both in zip(self.cells, self.bidirectional, strict=True)
            for _ in range(1 + both)
        ]
        keys = jax.random.split(draw_key(where, rngs, "params"), len(cells))
        self.layers = nnx.List(
            [Weights(cell.init(key, param_dtype)) for cell, key in zip(cells, keys, strict=True)]
        )

    @abc.abstractmethod
    def _cell(self, input_size: int) -> Cell:
        """Returns the cell of a layer that reads ``input_size`` features."""

    def _check_options(self) -> None:
        where = type(self).__name__
        if self.state_dropout and self.cells[0].maps is None:
            raise error(
                where,
                "`state_dropout` needs a cell that decomposes into maps, which "
                f"{where}(reset_after=False) does not",
                hint="leave state_dropout at 0, or reset_after at True",
            )
        widths = [cell.output_size * (1 + both) for cell, both in self._kinds()]
        for k, (below, width) in enumerate(itertools.pairwise(widths), start=1):
            if self.residual and below != width:
                raise error(
                    where,
                    "`residual` needs layers that are as wide as their input, "
                    f"but layer {k} takes {below} features and gives {width}",
                    hint="let all layers run in the same number of directions",
                )

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cell of each layer; the factories are cached, so these are always the same ones."""
        inputs, width = [], self.input_size
        for both in self.bidirectional:
            inputs.append(self._cell(width))
            width = inputs[-1].output_size * (1 + both)
        return tuple(inputs)

    @property
    def output_size(self) -> int:
        """The width of ``ys``: both directions of the top layer, if it has two."""
        cell, both = list(self._kinds())[-1]
        return cell.output_size * (1 + both)

    @property
    def params(self) -> tuple[Any, ...]:
        """The weights as the functional core takes them, one entry a layer.

        An entry is the cell's NamedTuple, or a :class:`jaxseq.Directions` of two.

        Example:
          >>> import jax
          >>> from jaxseq import nn
          >>> layer = nn.GRU(3, 4, 2, bidirectional=(True, False), rngs=jax.random.key(0))
          >>> bottom, top = layer.params
          >>> bottom.backward.w_ih.shape, top.w_ih.shape
          ((12, 3), (12, 8))
        """
        return self._by_layer([weights.params for weights in self.layers])

    def _kinds(self) -> Iterator[tuple[Cell, bool]]:
        return zip(self.cells, self.bidirectional, strict=True)

    def _by_layer(self, flat: Sequence[Any]) -> tuple[Any, ...]:
        """Gathers what there is one of for each direction of each layer."""
        each = iter(flat)
        return tuple(
            Directions(next(each), next(each)) if both else next(each)
            for both in self.bidirectional
        )

    def carry(self, batch_shape: tuple[int, ...] = ()) -> Any:
        """Returns the initial state of all layers: zeros, which need no key.

        Args:
          batch_shape: the batch axes of ``xs``.

        Returns:
          The cell's carry, every field ``[L*D, *batch, H]``: layer 0 forward, layer 0 backward,
          layer 1 forward, … with an entry for each direction that there is.

        Example:
          >>> import jax
          >>> from jaxseq import nn
          >>> layer = nn.LSTM(3, 4, 2, bidirectional=True, rngs=jax.random.key(0))
          >>> layer.carry((5,)).h.shape
          (4, 5, 4)
        """
        # The carry's shape and dtype depend on w_hh alone, which is alike in all layers.
        return self.cells[0].carry(self.layers[0].params, (len(self.layers), *batch_shape))

    def __call__(
        self,
        xs: Inputs,
        *,
        carry: Any = None,
        lengths: Lengths | None = None,
        resets: Resets | None = None,
        rngs: nnx.Rngs | Key | None = None,
        backend: str = "auto",
        remat: int | str | None = None,
        unroll: int | None = None,
    ) -> tuple[Any, Array]:
        """Runs the layers over time, over any number of batch axes.

        Each layer is a :func:`jaxseq.scan`, or a :func:`jaxseq.bidirectional`, with its whole
        padding contract. Nothing in the module changes.

        Args:
          xs: the inputs, ``[*batch, T, I]``, in the dtype of the weights.
          carry: the state before the first step, as :meth:`carry` returns it; None for that.
            (A backward direction starts from its entry at each row's last valid step.)
          lengths: how many steps of each row are valid, ``[*batch]``.
          resets: ``[*batch, T]`` booleans, true where a new piece begins.
          rngs: for dropout: an ``nnx.Rngs``, whose stream ``dropout`` (or ``default``) gives one
            key, or a key itself. None is evaluation: nothing is dropped. Within a ``jax.grad`` or
            ``jax.jit`` that closes over the module, give a key; drawing one changes an
            ``nnx.Rngs``, which Flax allows only where it came in as an argument.
          backend: as in :func:`jaxseq.scan`.
          remat: as in :func:`jaxseq.scan`.
          unroll: as in :func:`jaxseq.scan`.

        Returns:
          The carry after the last valid step of each row, every field ``[L*D, *batch, H]``, and
          the top layer's outputs ``[*batch, T, D*O]``, 0 at padded steps.

        Raises:
          ValueError: if a shape does not fit; and all of :func:`jaxseq.scan`.
          TypeError: if ``carry`` has another structure or dtype, or ``rngs`` is none of the above;
            and all of :func:`jaxseq.scan`.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> layer = nn.LSTM(3, 4, 2, bidirectional=True, rngs=jax.random.key(0))
          >>> carry, ys = layer(jnp.ones((2, 5, 3)), lengths=jnp.array([5, 2]))
          >>> ys.shape, carry.h.shape
          ((2, 5, 8), (4, 2, 4))
        """
        xs = jnp.asarray(xs)
        states = self._states(xs, carry)
        keys = self._keys(rngs)
        settings = {"backend": backend, "remat": remat, "unroll": unroll}
        finals = []
        for k, (cell, params) in enumerate(zip(self.cells, self.params, strict=True)):
            below = xs
            if k > 0 and self.dropout and keys is not None:
                xs = dropout_mask(keys[k, 0], self.dropout, xs.shape, xs.dtype) * xs
            state = states[k]
            if keys is not None and (self.input_dropout or self.state_dropout):
                cell = dropout(cell, self.input_dropout, state_rate=self.state_dropout)
                state = masked_carry(cell, params, state, xs.shape[:-2], keys[k, 1])
            run = bidirectional if isinstance(params, Directions) else scan
            final, xs = run(
                cell, params, xs, carry=state, lengths=lengths, resets=resets, **settings
            )
            finals += final if isinstance(final, Directions) else [final]
            if k > 0 and self.residual:
                xs = below + xs
        return stacked(finals), xs

    def step(
        self, carry: Any, x: Float[ArrayLike, "*batch I"]
    ) -> tuple[Any, Float[Array, "*batch O"]]:
        """Advances all layers by one time step: for streams, and for generating.

        This is the module called on a sequence of one step, without dropout.

        Args:
          carry: the state after the previous step, every field ``[L, *batch, H]``.
          x: the input at this step, ``[*batch, I]``.

        Returns:
          The carry after this step, and the top layer's output ``[*batch, O]``.

        Raises:
          ValueError: if a layer is bidirectional, or a shape does not fit.
          TypeError: as in a call.

        Example:
          >>> import jax, jax.numpy as jnp
          >>> from jaxseq import nn
          >>> layer = nn.GRU(3, 4, 2, rngs=jax.random.key(0))
          >>> carry, y = layer.step(layer.carry((5,)), jnp.ones((5, 3)))
          >>> y.shape, carry.h.shape
          ((5, 4), (2, 5, 4))
        """
        where = f"{type(self).__name__}.step"
        if any(self.bidirectional):
            raise error(
                where,
                "a bidirectional layer cannot run step by step: its backward direction begins "
                "at the end of the sequence, and so reads the future",
                hint="call it on whole sequences, or construct it with bidirectional=False",
            )
        x = jnp.asarray(x)
        if x.ndim < 1 or x.shape[-1] != self.input_size:
            raise error(
                where,
                "`x` must have shape (*batch, input_size) with "
                f"input_size = {self.input_size}, but it has shape {shape_text(x.shape)}",
            )
        carry, ys = self(x[..., None, :], carry=carry)
        return carry, ys[..., 0, :]

    def _states(self, xs: Array, carry: Any) -> tuple[Any, ...]:
        """Returns the initial state of each layer, or None where it is that of the cell."""
        where = type(self).__name__
        if xs.ndim < 2 or xs.shape[-1] != self.input_size:
            raise error(
                where,
                "`xs` must have shape (*batch, T, input_size) with "
                f"input_size = {self.input_size}, but it has shape {shape_text(xs.shape)}",
                hint="one step is layer.step" if xs.ndim < 2 else None,
            )
        if carry is None:
            return self._by_layer([None] * len(self.layers))
        batch_shape = xs.shape[:-2]
        expected = jax.eval_shape(lambda: self.carry(batch_shape))
        hint = f"it is what carry(batch_shape={shape_text(batch_shape)}) returns"
        if jax.tree.structure(carry) != jax.tree.structure(expected):
            name = type(expected).__name__
            raise error(
                where,
                f"`carry` must be one {name} of all layers, but it is {jax.tree.structure(carry)}",
                hint=hint,
                kind=TypeError,
            )
        for name, leaf, like in zip(carry._fields, carry, expected, strict=True):
            axes = "(L*D, *batch, size)"
            check_shape(where, f"carry.{name}", jnp.asarray(leaf), axes, like.shape, hint=hint)
        return self._by_layer(
            [jax.tree.map(lambda leaf, k=k: leaf[k], carry) for k in range(len(self.layers))]
        )

    def _keys(self, rngs: nnx.Rngs | Key | None) -> Array | None:
        """Returns two keys a layer: of the dropout below it, and of its variational dropout."""
        if rngs is None or not (self.dropout or self.input_dropout or self.state_dropout):
            return None
        key = draw_key(type(self).__name__, rngs, "dropout")
        return jax.random.split(key, (self.num_layers, 2))


def masked_carry(
    cell: Cell, params: PyTree, state: PyTree, batch_shape: tuple[int, ...], key: Key
) -> PyTree:
    """Returns the carry of a cell with dropout: ``state`` and fresh masks, in each direction."""
    if isinstance(params, Directions):
        pairs = zip(params, state, jax.random.split(key), strict=True)
        return Directions(*(masked_carry(cell, p, s, batch_shape, k) for p, s, k in pairs))
    carry = cell.carry(params, batch_shape, key=key)
    return carry if state is None else carry._replace(cell=state)


def stacked(finals: Sequence[Any]) -> Any:
    """Returns one carry of all layers and directions, without the masks of dropout."""
    plain = [final.cell if isinstance(final, DropoutCarry) else final for final in finals]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *plain)
