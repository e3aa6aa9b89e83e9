"""A translator with all that it takes to use it, and how it is trained."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxseq import data, nn
from jaxseq._types import Key, PyTree
from jaxseq.data import Pair
from jaxseq.losses import SumCount, cross_entropy
from jaxseq.recipes import _nearest_translation
from jaxseq.recipes._directory import config_of, damaged, read_settings
from jaxseq.recipes._nearest_translation import Nearest
from jaxseq.recipes._pieces import ranks_of
from jaxseq.recipes._run import initial_state, saved_params
from jaxseq.recipes._translation_config import TASK, Config, as_begun
from jaxseq.recipes._translation_data import Packed, Rows, pack, slots_of, texts_of
from jaxseq.recipes._translation_units import (
    FIRST,
    Symbols,
    placeholders,
    split,
    split_source,
    symbols_of,
)

BUCKETS = 5


class Functions(NamedTuple):
    """What a network of a translator computes; all are pure functions of its params.

    Attributes:
      logits: ``(params, source, target, *, source_lengths, lengths, sampling, rngs)``.
      encode: ``(params, source, *, lengths)``: the carry before the first symbol.
      step: ``(params, carry, token)``: the carry, and the logits of the next symbol.
      alignments: ``(params, source, target, *, source_lengths, lengths)``.

    Example:
      >>> Functions._fields
      ('logits', 'encode', 'step', 'alignments')
    """

    logits: Callable[..., Any]
    encode: Callable[..., Any]
    step: Callable[..., Any]
    alignments: Callable[..., Any]


class Model(NamedTuple):
    """A translator with all that it takes to use it.

    Attributes:
      params: the weights; of several networks, a tuple of those of each.
      functions: what each network computes.
      source: the symbols of sources.
      target: the symbols of targets.
      growth: how many symbols a target has for one of its source, in the mean.
      memory: the training pairs, if their translations have a say in those of others.
      config: the settings that it was made with.

    Example:
      >>> Model._fields
      ('params', 'functions', 'source', 'target', 'growth', 'memory', 'config')
    """

    params: PyTree
    functions: Functions
    source: Symbols
    target: Symbols
    growth: float
    memory: Nearest | None
    config: Config

    def read(self, sources: Sequence[str]) -> list[list[str]]:
        """Returns the symbols of sources that are to be translated."""
        units = self.source.units
        return [self.source.cut(split_source(text, units)) for text in sources]


def build(
    config: Config,
    source: Symbols,
    target: Symbols,
    *,
    growth: float = 1.0,
    memory: Nearest | None = None,
) -> Model:
    """Returns a model with fresh weights.

    Args:
      config: the settings, none of which is left out.
      source: the symbols of sources.
      target: the symbols of targets.
      growth: how many symbols a target has for one of its source.
      memory: the training pairs, if their translations have a say in those of others.

    Example:
      >>> from jaxseq.recipes import translation
      >>> from jaxseq.recipes._translation_config import resolved
      >>> from jaxseq.recipes._translation_units import symbols_of
      >>> config = resolved(translation.Config(hidden_size=4, embed_size=4))
      >>> letters = symbols_of(["ox"], "characters", slots=0)
      >>> phones = symbols_of([["AA", "K", "S"]], "spaces", slots=0)
      >>> model = translation.build(config, letters, phones)
      >>> model.params["decoder"]["embedding"].shape
      (5, 4)
    """
    given: Any = config  # in which no setting is None
    key = jax.random.key(given.seed)
    modules = [
        nn.Seq2Seq(
            source.size,
            target.size,
            given.embed_size,
            given.hidden_size,
            given.num_layers,
            cell=given.cell,
            attention=given.attention,
            input_feeding=given.input_feeding,
            dropout=given.dropout,
            tied=given.tied,
            rngs=jax.random.fold_in(key, number) if number else key,
        )
        for number in range(given.networks)
    ]
    names = ("__call__", "encode", "step", "alignments")
    functions = Functions(*(nn.pure(modules[0], method=name).apply for name in names))
    each = tuple(nn.pure(module).params for module in modules)
    params = each if len(each) > 1 else each[0]
    return Model(params, functions, source, target, growth, memory, config)


def networks_of(params: PyTree) -> tuple[PyTree, ...]:
    """Returns the weights of each network.

    Example:
      >>> networks_of({"w": 1}), networks_of(({"w": 1}, {"w": 2}))
      (({'w': 1},), ({'w': 1}, {'w': 2}))
    """
    return params if isinstance(params, tuple) else (params,)


def built_for(config: Config, rows: Rows) -> Model:
    """Returns a model with fresh weights for training pairs."""
    given: Any = config
    slots = slots_of(rows, config)
    sources = [split_source(row.source, given.source_units) for row in rows]
    targets = [split(row.target, given.target_units) for row in rows]
    limits = {"slots": slots, "min_count": given.min_count, "pieces": given.pieces}
    source = symbols_of(sources, given.source_units, **limits)
    target = symbols_of(targets, given.target_units, **limits)
    read, written = (
        sum(len(side.cut(text)) for text in texts)
        for side, texts in ((source, sources), (target, targets))
    )
    return build(config, source, target, growth=written / max(read, 1))


def memory_of(rows: Rows) -> Nearest:
    """Returns what finds the translation of the nearest training source."""
    texts = texts_of(rows)
    return _nearest_translation.fit(texts.sources, [right[0] for right in texts.targets])


def page_of(model: Model) -> dict[str, Any]:
    """Returns what a run writes beside its settings, so that its model can be built again."""
    return {
        "source_symbols": list(model.source.numbers),
        "target_symbols": list(model.target.numbers),
        "source_pieces": list(map(list, model.source.ranks)),
        "target_pieces": list(map(list, model.target.ranks)),
        "placeholders": model.source.slots,
        "growth": model.growth,
        "memory": None if model.memory is None else [*map(list, _pairs_in(model.memory))],
    }


def _pairs_in(memory: Nearest) -> Iterable[tuple[str, str]]:
    return zip(memory.sources, memory.targets, strict=True)


def load(directory: Path) -> Model:
    """Returns the model of a run, with its best weights.

    Args:
      directory: of the run.

    Returns:
      The model.

    Raises:
      InputError: if there is no run, or its settings or its checkpoint are damaged or of another
        model.

    Example:
      >>> load(Path("no/such/run"))
      Traceback (most recent call last):
        ...
      jaxseq._checks.InputError: recipes: no/such/run holds no run: there is no config.json in it.
        Hint: `python -m jaxseq train translation --out no/such/run` makes one.
    """
    directory = Path(directory)
    page = read_settings(directory, TASK)
    config = as_begun(config_of(page, Config, directory))
    try:
        slots = int(page["placeholders"])
        source, target = (
            Symbols(
                units,
                {s: n for n, s in enumerate(page[f"{side}_symbols"], FIRST + slots)},
                slots,
                ranks_of(page[f"{side}_pieces"]),
            )
            for side, units in (
                ("source", str(config.source_units)),
                ("target", str(config.target_units)),
            )
        )
        kept = page["memory"]
        memory = None if kept is None else memory_of([Pair(*row) for row in kept])
        model = build(config, source, target, growth=float(page["growth"]), memory=memory)
    except (LookupError, TypeError, ValueError) as cause:
        raise damaged(directory, cause) from cause
    return model._replace(params=saved_params(directory, initial_state(config, model.params, 1)))


def encoded_pairs(model: Model, rows: Rows) -> Packed:
    """Returns the numbers of pairs, as batches of them are made of."""
    sources, targets = [], []
    for source, target in rows:
        symbols = model.source.cut(split_source(source, model.source.units))
        right = model.target.cut(split(target, model.target.units))
        names = placeholders(symbols)
        sources.append(model.source.encode(symbols, names))
        targets.append(model.target.encode(right, names))
    return pack(sources, targets, count=BUCKETS)


def make_loss(model: Model, sources: dict[int, int]) -> Callable[..., Any]:
    """Returns the loss on batches of packed pairs, in nats a symbol, the end among them.

    Args:
      model: to train; of several networks the loss is the mean of theirs.
      sources: how many steps the source has in arrays of each width, from :func:`pack`.
    """
    given: Any = model.config

    def loss(
        params: PyTree, carry: Any, batch: data.BucketBatch, key: Key | None
    ) -> tuple[SumCount, Any]:
        values, real = jnp.asarray(batch.values), jnp.asarray(batch.lengths) > 0
        steps = sources[values.shape[1]]
        source, target = values[:, :steps], values[:, steps:]
        # 0 is what pads and what begins and ends a target: a shift is padding on either side.
        lengths = jnp.where(real, (target > 0).sum(-1, dtype=jnp.int32) + 1, 0)
        right = jnp.pad(target, ((0, 0), (0, 1)))
        smoothing = given.label_smoothing if key is not None else 0.0
        sums = []
        for number, network in enumerate(networks_of(params)):
            logits = model.functions.logits(
                network,
                source,
                jnp.pad(target, ((0, 0), (1, 0))),
                source_lengths=(source > 0).sum(-1, dtype=jnp.int32),
                lengths=lengths,
                sampling=given.sampling if key is not None else 0.0,
                rngs=key if key is None or not number else jax.random.fold_in(key, number),
            )
            sums.append(cross_entropy(logits, right, lengths=lengths, label_smoothing=smoothing))
        # The symbols counted are those of the batch, however many networks read them.
        total = jnp.stack([each.total for each in sums]).mean()
        return SumCount(total, sums[0].count), carry

    return loss
