"""Cells: one time step of a recurrent network on one example, as pure functions.

:func:`elman`, :func:`lstm` and :func:`gru` return a :class:`Cell`; :func:`stack`, :func:`residual`
and :func:`dropout` take cells and return one. The functions that a cell is made of are public too.
"""

from jaxseq.cells._cell import Cell, Maps, no_output_map, zero_carry
from jaxseq.cells._dropout import DropoutCarry, dropout, dropout_mask
from jaxseq.cells._elman import (
    ElmanCarry,
    ElmanParams,
    elman,
    elman_carry,
    elman_init,
    elman_step,
    elman_update,
)
from jaxseq.cells._gru import (
    GRUCarry,
    GRUParams,
    gru,
    gru_carry,
    gru_init,
    gru_reset_before_step,
    gru_step,
    gru_update,
)
from jaxseq.cells._lstm import (
    LSTMCarry,
    LSTMParams,
    LSTMProjParams,
    lstm,
    lstm_carry,
    lstm_init,
    lstm_project,
    lstm_step,
    lstm_update,
)
from jaxseq.cells._stack import residual, stack

__all__ = [
    "Cell",
    "DropoutCarry",
    "ElmanCarry",
    "ElmanParams",
    "GRUCarry",
    "GRUParams",
    "LSTMCarry",
    "LSTMParams",
    "LSTMProjParams",
    "Maps",
    "dropout",
    "dropout_mask",
    "elman",
    "elman_carry",
    "elman_init",
    "elman_step",
    "elman_update",
    "gru",
    "gru_carry",
    "gru_init",
    "gru_reset_before_step",
    "gru_step",
    "gru_update",
    "lstm",
    "lstm_carry",
    "lstm_init",
    "lstm_project",
    "lstm_step",
    "lstm_update",
    "no_output_map",
    "residual",
    "stack",
    "zero_carry",
]
