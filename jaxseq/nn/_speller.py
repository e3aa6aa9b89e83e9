"""Words by their characters: a vector of each, whatever the words beside it."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Integer

from jaxseq._arrays import known
from jaxseq._checks import check_shape, error, shape_text
from jaxseq._types import Array, ArrayLike, Key, Lengths
from jaxseq.nn._arguments import check_sizes
from jaxseq.nn._reader import Reader, without_pads


class Speller(nnx.Module):
    """A layer that reads each word's characters both ways: what each direction has at its end.

    ``where`` is the model that errors name.
    """

    def __init__(
        self,
        where: str,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        *,
        rngs: nnx.Rngs | Key,
        **options: Any,
    ):
        check_sizes(where, char_embed_size=embed_size, char_hidden_size=hidden_size)
        self.where = where
        self.reader = Reader(
            where,
            embed_size,
            hidden_size,
            1,
            vocab_size=vocab_size,
            bidirectional=True,
            names=("characters", "char_vocab_size"),
            rngs=rngs,
            **options,
        )

    @property
    def output_size(self) -> int:
        """The width of a word's vector."""
        return self.reader.output_size

    def __call__(
        self,
        characters: Integer[ArrayLike, "*batch T C"],
        words: tuple[int, ...],
        *,
        char_lengths: Integer[ArrayLike, "*batch T"] | None,
        lengths: Lengths | None,
        rngs: nnx.Rngs | Key | None,
        **settings: Any,
    ) -> Float[Array, "*batch T O"]:
        """Returns the vectors of words, whose shape is ``words``: zeros in the pads, and of "".

        In the pads, neither the characters matter nor how many there are said to be.
        """
        shape = np.shape(characters)
        if shape[:-1] != words:
            raise error(
                self.where,
                f"`characters` must have shape (*batch, T, C) with (*batch, T) = "
                f"{shape_text(words)}, but they have shape {shape_text(shape)}",
            )
        if char_lengths is None:
            char_lengths = np.full(words, shape[-1], np.int32)
        check_shape(self.where, "char_lengths", jnp.asarray(char_lengths), "(*batch, T)", words)
        char_lengths = without_pads(self.where, char_lengths, lengths)
        self._check_lengths(char_lengths, shape[-1])
        vectors = self.reader.vectors(characters, char_lengths)
        ys = self.reader(vectors, lengths=char_lengths, rngs=rngs, **settings)
        return self.reader.ends(ys, char_lengths)

    def _check_lengths(self, char_lengths: Array, most: int) -> None:
        if not jnp.issubdtype(char_lengths.dtype, jnp.integer):
            problem = f"`char_lengths` must be integers, but they are {char_lengths.dtype}"
            raise error(self.where, problem, kind=TypeError)
        if not known(char_lengths):
            return
        seen = np.asarray(char_lengths)
        if seen.size and not (seen.min() >= 0 and seen.max() <= most):
            raise error(
                self.where,
                f"`char_lengths` must lie in [0, C] = [0, {most}], "
                f"but they range from {seen.min()} to {seen.max()}",
            )
