"""The command line: ``python -m jaxseq``, a thin skin over the recipes."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxseq._checks import is_ours
from jaxseq.recipes import language_model

FAILED = 1
UNUSABLE = 2
INTERRUPTED = 143
"""Exit codes: the run failed; what was given cannot be used; ended by a signal (128 + SIGTERM)."""

Directory = Annotated[Path, tyro.conf.Positional]


def train_language_model(config: language_model.Config) -> int:
    """Trains a recurrent language model on a text."""
    report = language_model.train(config)
    if report.get("outcome") == "interrupted":
        print(
            f"stopped after step {report['step']}, with a checkpoint. To go on:\n"
            f"  python -m jaxseq train language-model --out {shlex.quote(str(config.out))} --resume"
        )
        return INTERRUPTED
    print(f"\n{(config.out / 'sample.txt').read_text(encoding='utf-8')}")
    print(f"held-out text of {report['data']}, bits per character (lower is better):")
    rows = {"this model": report["test"]["bits_per_character"]}
    for name, bits in (rows | report["bits_per_character_of_others"]).items():
        print(f"  {bits:6.3f}  {name}")
    took = report["training"]
    print(f"trained for {took['steps']} steps in {took['seconds']:.0f} s; written to {config.out}:")
    for path in sorted(config.out.iterdir()):
        if not path.name.startswith("."):
            print(f"  {path}")
    return 0


def evaluate(directory: Directory, data: str | None = None) -> int:
    """Measures a trained model on a text.

    Args:
      directory: of the run.
      data: a text file, or the name of a bundled text; by default the held-out part of the text
        that the model was trained on.
    """
    report = language_model.evaluate(directory, source=data)
    print(
        f"{report['bits_per_character']:.4f} bits per character on {report['characters']} "
        f"characters of {report['data']} ({report['unknown_symbols']} unknown symbols)"
    )
    return 0


def generate(
    directory: Directory,
    prompt: str | None = None,
    length: int = 400,
    temperature: float = 0.7,
    top_k: int | None = None,
    top_p: float | None = None,
    greedy: bool = False,
    seed: int = 0,
) -> int:
    """Lets a trained model go on with a text.

    Args:
      directory: of the run.
      prompt: what the text begins with; by default a new line, or a symbol that the model knows.
      length: symbols to write.
      temperature: below 1 more predictable, above 1 more surprising.
      top_k: only the k likeliest symbols.
      top_p: only the likeliest symbols that make up this probability.
      greedy: always the likeliest symbol, whatever the four options above say.
      seed: the same seed, the same text.
    """
    print(
        language_model.generate(
            directory,
            prompt=prompt,
            length=length,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            greedy=greedy,
            seed=seed,
        )
    )
    return 0


TASKS: dict[str, tuple[type, Callable[[Any], int]]] = {
    language_model.TASK: (language_model.Config, train_language_model)
}
VERBS = {"evaluate": evaluate, "generate": generate}


def run(arguments: list[str]) -> int:
    """Does what the words of a command line ask for, and returns the exit code."""
    if arguments[:1] == ["train"]:
        task, rest = arguments[1:2], arguments[2:]
        if task and task[0] in TASKS:
            config, train = TASKS[task[0]]
            return train(tyro.cli(config, prog=f"jaxseq train {task[0]}", args=rest))
        return _choose("jaxseq train", {name: config for name, (config, _) in TASKS.items()}, task)
    verb, rest = arguments[:1], arguments[1:]
    if verb and verb[0] in VERBS:
        return tyro.cli(VERBS[verb[0]], prog=f"jaxseq {verb[0]}", args=rest)
    return _choose("jaxseq", {"train": train_language_model, **VERBS}, verb)


def _choose(program: str, choices: dict[str, Any], word: list[str]) -> int:
    """Says what words there are: as help if asked for, else as an error."""
    lines = [f"usage: {program} {{{','.join(choices)}}} [--help] ..."]
    lines += [f"  {name:<16}{choice.__doc__.splitlines()[0]}" for name, choice in choices.items()]
    if word in (["-h"], ["--help"]):
        print("\n".join(lines))
        return 0
    problem = f"{word[0]!r} is none of its words" if word else "a word is missing"
    print(f"error: {program}: {problem}", *lines, sep="\n", file=sys.stderr)
    return UNUSABLE


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; what a person can mend is said in one line, without a traceback.

    Args:
      arguments: the words after ``python -m jaxseq``; those of this process by default.

    Returns:
      The exit code: 0; 1 if the run failed; 2 if what was given cannot be used; 143 if a signal
      ended it, a training run with a checkpoint.

    Example:
      >>> main(["evaluate", "no/such/run"])
      2
    """
    try:
        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, TypeError, ImportError, ArithmeticError, OSError) as problem:
        if not (isinstance(problem, OSError) or is_ours(problem)):
            raise
        print(f"error: {' '.join(str(problem).split())}", file=sys.stderr)
        return FAILED if isinstance(problem, (ArithmeticError, OSError)) else UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
