"""The recurrent layers: one module for each kind of cell."""

from collections.abc import Sequence
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx

from jaxseq._types import Activation, Key
from jaxseq.cells import Cell, elman, gru, lstm
from jaxseq.nn._layers import Layers


class LSTM(Layers):
    """Layers of LSTM cells over time, in one direction or both.

    Call it as ``layer(xs, carry=None, lengths=None, resets=None, rngs=None) -> (carry, ys)``:
    inputs ``[*batch, T, I]``, outputs ``[*batch, T, D*O]``, and every field of the carry
    ``[L*D, *batch, H]``, in the textbook's and PyTorch's order: layer 0 forward, layer 0 backward,
    layer 1 forward, … The weights are ``layers[k].w_ih``, ``w_hh``, ``b_ih``, ``b_hh`` (and
    ``w_hr``), one ``nnx.Param`` an array, in the same order; ``params`` is what the functional
    core takes. With weights of PyTorch it computes what ``torch.nn.LSTM`` computes.

    Three kinds of dropout, all off unless the call is given ``rngs``: ``dropout`` draws anew for
    every step and acts between layers, ``input_dropout`` and ``state_dropout`` are variational,
    one mask for a whole sequence, on what each layer reads and on the state that its recurrent map
    reads. The masks are drawn before the loop, and are no part of the carry.

    Args:
      input_size: I.
      hidden_size: H.
      num_layers: L.
      bidirectional: whether a layer runs both ways: for all, or one bool a layer. The directions
        share no weights, and the next layer reads both. Such a layer reads the future, so it
        cannot :meth:`step`, or generate.
      dropout: rate, in [0, 1), on the input of every layer but the first; nothing with one layer.
      input_dropout: rate of variational dropout on the input of every layer.
      state_dropout: rate of variational dropout on the state of every layer.
      residual: whether every layer but the first adds its input, as it was before dropout, to its
        output; the two must be equally wide.
      forget_bias: what the forget gate's bias begins at, in the parameter.
      proj_size: P, the width that ``h`` is projected to, smaller than H; ``c`` keeps H.
      init: ``"glorot"`` or ``"torch"``, as in :func:`jaxseq.cells.lstm_init`.
      param_dtype: of the weights; inputs must have it.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.

    Raises:
      ValueError: if a size or a rate is out of range, ``bidirectional`` is not one bool a layer,
        or the widths do not allow ``residual``.
      TypeError: if ``param_dtype`` or ``rngs`` is none of the above.

    Example:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from jaxseq import nn
      >>> layer = nn.LSTM(3, 4, 3, bidirectional=(False, True, False), rngs=nnx.Rngs(0))
      >>> carry, ys = layer(jnp.ones((2, 5, 3)), lengths=jnp.array([5, 2]))
      >>> ys.shape, carry.c.shape
      ((2, 5, 4), (4, 2, 4))
      >>> carry, more = layer(jnp.ones((2, 5, 3)), carry=carry)

    References:
      Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997; Graves,
      Mohamed and Hinton, "Speech Recognition with Deep Recurrent Neural Networks", 2013 (stacked,
      bidirectional); Zaremba, Sutskever and Vinyals, "Recurrent Neural Network Regularization",
      2014 (``dropout``); Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in
      Recurrent Neural Networks", 2016 (``input_dropout``, ``state_dropout``); Wu et al., "Google's
      Neural Machine Translation System", 2016 (``residual``).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool | Sequence[bool] = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        state_dropout: float = 0.0,
        residual: bool = False,
        forget_bias: float = 1.0,
        proj_size: int | None = None,
        init: Literal["glorot", "torch"] = "glorot",
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
    ):
        self.forget_bias = forget_bias
        self.proj_size = proj_size
        self.init = init
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            input_dropout=input_dropout,
            state_dropout=state_dropout,
            residual=residual,
            param_dtype=param_dtype,
            rngs=rngs,
        )

    def _cell(self, input_size: int) -> Cell:
        return lstm(
            input_size,
            self.hidden_size,
            forget_bias=self.forget_bias,
            proj_size=self.proj_size,
            init=self.init,
        )


class GRU(Layers):
    """Layers of GRU cells over time, in one direction or both.

    Everything but the cell is that of :class:`LSTM`: the call, the orders, the kinds of dropout.

    Args:
      input_size: I.
      hidden_size: H.
      num_layers: L.
      bidirectional: as in :class:`LSTM`.
      dropout: as in :class:`LSTM`.
      input_dropout: as in :class:`LSTM`.
      state_dropout: as in :class:`LSTM`; needs ``reset_after``.
      residual: as in :class:`LSTM`.
      reset_after: True for the form of PyTorch and cuDNN, False for that of Cho et al.
      init: ``"glorot"`` or ``"torch"``, as in :func:`jaxseq.cells.gru_init`.
      param_dtype: of the weights; inputs must have it.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.

    Raises:
      ValueError: as in :class:`LSTM`; and if ``state_dropout`` is to act on a GRU that resets
        before the product.
      TypeError: as in :class:`LSTM`.

    Example:
      >>> import jax.numpy as jnp
      >>> from flax import nnx
      >>> from jaxseq import nn
      >>> layer = nn.GRU(3, 4, 2, dropout=0.5, rngs=nnx.Rngs(0))
      >>> carry, ys = layer(jnp.ones((2, 5, 3)), rngs=nnx.Rngs(dropout=1))
      >>> ys.shape, carry.h.shape
      ((2, 5, 4), (2, 2, 4))

    References:
      Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
      Translation", 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool | Sequence[bool] = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        state_dropout: float = 0.0,
        residual: bool = False,
        reset_after: bool = True,
        init: Literal["glorot", "torch"] = "glorot",
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
    ):
        self.reset_after = reset_after
        self.init = init
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            input_dropout=input_dropout,
            state_dropout=state_dropout,
            residual=residual,
            param_dtype=param_dtype,
            rngs=rngs,
        )

    def _cell(self, input_size: int) -> Cell:
        return gru(input_size, self.hidden_size, reset_after=self.reset_after, init=self.init)


class Elman(Layers):
    """Layers of Elman cells, the textbook's recurrent network, over time.

    Everything but the cell is that of :class:`LSTM`: the call, the orders, the kinds of dropout.

    Args:
      input_size: I.
      hidden_size: H.
      num_layers: L.
      bidirectional: as in :class:`LSTM`.
      dropout: as in :class:`LSTM`.
      input_dropout: as in :class:`LSTM`.
      state_dropout: as in :class:`LSTM`.
      residual: as in :class:`LSTM`.
      activation: elementwise, in place of the tanh. It is compared by identity: name a function
        of your own once, and pass that.
      init: ``"glorot"`` or ``"torch"``, as in :func:`jaxseq.cells.elman_init`.
      param_dtype: of the weights; inputs must have it.
      rngs: an ``nnx.Rngs``, whose stream ``params`` (or ``default``) gives one key, or a key.

    Raises:
      ValueError: as in :class:`LSTM`.
      TypeError: as in :class:`LSTM`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from flax import nnx
      >>> from jaxseq import nn
      >>> layer = nn.Elman(3, 4, activation=jax.nn.relu, rngs=nnx.Rngs(0))
      >>> carry, ys = layer(jnp.ones((2, 5, 3)))
      >>> ys.shape, carry.h.shape
      ((2, 5, 4), (1, 2, 4))

    References:
      Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool | Sequence[bool] = False,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        state_dropout: float = 0.0,
        residual: bool = False,
        activation: Activation = jnp.tanh,
        init: Literal["glorot", "torch"] = "glorot",
        param_dtype: Any = jnp.float32,
        rngs: nnx.Rngs | Key,
    ):
        self.activation = activation
        self.init = init
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            input_dropout=input_dropout,
            state_dropout=state_dropout,
            residual=residual,
            param_dtype=param_dtype,
            rngs=rngs,
        )

    def _cell(self, input_size: int) -> Cell:
        return elman(input_size, self.hidden_size, activation=self.activation, init=self.init)
