"""The command line: ``python -m jaxseq``, a thin skin over the recipes."""

import inspect
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from jaxseq._checks import InputError, error, is_ours
from jaxseq.recipes import (
    classification,
    forecasting,
    language_model,
    memory,
    speech,
    tagging,
    translation,
)
from jaxseq.recipes._directory import evaluation_directory, task_of

FAILED = 1
UNUSABLE = 2
INTERRUPTED = 143
"""Exit codes: the run failed; what was given cannot be used; ended by a signal (128 + SIGTERM)."""

Directory = Annotated[Path, tyro.conf.Positional]


def train(task: str, config: Any) -> int:
    """Trains a model of a task: ``jaxseq train TASK``."""
    recipe = TASKS[task]
    report = recipe.train(config)
    if report.get("outcome") == "interrupted":
        print(
            f"stopped after step {report['step']}, with a checkpoint. To go on:\n"
            f"  python -m jaxseq train {task} --out {shlex.quote(str(config.out))} --resume"
        )
        return INTERRUPTED
    print(recipe.summary(report))
    took = report.get("training", report)
    steps = f" for {took['steps']} steps" if "steps" in took else ""
    print(f"trained{steps} in {took['seconds']:.0f} s; written to {config.out}:")
    for path in sorted(config.out.iterdir()):
        if not path.name.startswith("."):
            print(f"  {path}")
    return 0


def evaluate(directory: Directory, data: str | None = None) -> int:
    """Measures a trained model, and writes the report into its directory.

    Args:
      directory: of the run.
      data: a file, or the name of bundled data; by default the held-out part of what the model was
        trained on.
    """
    recipe = _recipe_of(directory, "evaluate")
    report = recipe.evaluate(directory, source=data)
    print(recipe.summary(report))
    print(f"written to {evaluation_directory(directory, report['data'])}")
    return 0


def predict(directory: Directory, data: str, to: Path, n_best: int | None = None) -> int:
    """Applies a trained model to a file, and writes a file with what it says.

    Args:
      directory: of the run.
      data: a file of the task's format; labels in it play no part.
      to: the file to write.
      n_best: how many predictions of each, the best first, if the task has more than one.
    """
    recipe = _recipe_of(directory, "predict")
    options = {} if n_best is None else {"n_best": n_best}
    if not options.keys() <= inspect.signature(recipe.predict).parameters.keys():
        problem = f"{recipe.TASK} has one prediction of each, and no `n_best`"
        raise error("jaxseq", problem, hint="leave --n-best out", kind=InputError)
    if to.exists() and Path(data).exists() and to.samefile(data):
        problem = f"{to} is the file that is read, and would be overwritten"
        raise error("jaxseq", problem, hint="name another one with --to", kind=InputError)
    number = recipe.predict(directory, source=data, to=to, **options)
    print(f"{number} rows written to {to}")
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
    recipe = _recipe_of(directory, "generate")
    print(
        recipe.generate(
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


TASKS: dict[str, Any] = {
    recipe.TASK: recipe
    for recipe in (
        *(language_model, classification, tagging, memory, translation, speech),
        forecasting,
    )
}
VERBS = {"evaluate": evaluate, "predict": predict, "generate": generate}


def _recipe_of(directory: Path, verb: str) -> Any:
    """Returns the recipe of the run in a directory, if it has what a verb asks for."""
    task = task_of(directory)
    recipe = TASKS.get(task)
    if not hasattr(recipe, verb):
        able = ", ".join(name for name, other in TASKS.items() if hasattr(other, verb))
        problem = f"{directory} holds a run of the task {task!r}, for which there is no {verb}"
        raise error("jaxseq", problem, hint=f"there is one for {able}", kind=InputError)
    return recipe


def run(arguments: list[str]) -> int:
    """Does what the words of a command line ask for, and returns the exit code."""
    if arguments[:1] == ["train"]:
        task, rest = arguments[1:2], arguments[2:]
        if task and task[0] in TASKS:
            config = TASKS[task[0]].Config
            return train(task[0], tyro.cli(config, prog=f"jaxseq train {task[0]}", args=rest))
        return _choose("jaxseq train", {name: made.Config for name, made in TASKS.items()}, task)
    verb, rest = arguments[:1], arguments[1:]
    if verb and verb[0] in VERBS:
        return tyro.cli(VERBS[verb[0]], prog=f"jaxseq {verb[0]}", args=rest)
    return _choose("jaxseq", {"train": train, **VERBS}, verb)


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
