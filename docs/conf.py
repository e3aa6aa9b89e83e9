"""How Sphinx builds these pages. A public name that is missing from them fails the build."""

import ast
import importlib
import inspect
import re
import textwrap
import tomllib
import types
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

import jaxseq

ROOT = Path(__file__).parent.parent
logger = logging.getLogger(__name__)

project = "jaxseq"
author = "The jaxseq authors"
copyright = "2026, The jaxseq authors"
release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
pygments_dark_style = "monokai"  # of Furo's own choice, imports look like links
html_title = f"jaxseq {release}"
html_static_path = ["_static"]
html_css_files = ["jaxseq.css"]
html_math_renderer = "mathml"  # see visit_math

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # `make notebooks` has executed them already

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True  # `activation=jnp.tanh`, not the address of a function
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = (
    False  # the shapes stand in the text; the stars of `*batch` read as markup
)


def public_names() -> dict[str, str]:
    """The full name under which each public object is documented, by its name as users write it."""
    rooms = sorted(
        f"jaxseq.{path.parent.name}" for path in (ROOT / "jaxseq").glob("[!_]*/__init__.py")
    )
    names = {}
    while rooms:
        room = rooms.pop(0)
        module = importlib.import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, types.ModuleType):
                rooms.append(f"{room}.{name}")
            names[f"{room}.{name}"] = f"{room}.{name}"
            if getattr(jaxseq, name, None) is value:
                names.setdefault(f"jaxseq.{name}", f"{room}.{name}")
    return names


NAMES = public_names()


def list_notebooks() -> None:
    """Writes the page that lists what `make docs` has put into docs/notebooks, be it nothing."""
    folder = ROOT / "docs" / "notebooks"
    folder.mkdir(exist_ok=True)
    names = "".join(f"{path.stem}\n" for path in sorted(folder.glob("*.ipynb")))
    toctree = f"```{{toctree}}\n:maxdepth: 1\n\n{names}```\n"
    (folder / "index.md").write_text(f"# Notebooks\n\n{TUTORIAL}\n\n{toctree}")


TUTORIAL = """\
A textbook chapter on sequence modelling as notebooks, in its order. Each states what the chapter
states, computes it, shows it, tries it on real data, and asserts what it says; exercises have their
answers. `make notebooks` executes all of them, in under 90 seconds each on two cores, without the
network."""

list_notebooks()


def resolve_top_level(app, env, node, content):
    """Links ``jaxseq.scan`` to ``jaxseq.sequence.scan``: a name is documented once, in its room."""
    target = node.get("reftarget")
    if node.get("refdomain") != "py" or target not in NAMES or NAMES[target] == target:
        return None
    node["reftarget"] = NAMES[target]
    domain = env.get_domain("py")
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], NAMES[target], node, content
    )


def check_coverage(app, env):
    """Warns, which fails the build, about every public name that no page documents."""
    documented = env.get_domain("py").objects
    for name in sorted(set(NAMES.values()) - set(documented)):
        logger.warning("%s is public, but no page of docs/reference documents it", name)


def skip_tuple_fields(app, what, name, obj, skip, options):
    """Leaves out what a NamedTuple's fields say of themselves: the class docstring names them."""
    return skip or type(obj).__name__ == "_tuplegetter"


def tidy_signature(app, what, name, obj, options, signature, returns):
    """Writes ``Float[Array, "T I"]`` for JAX's array or NumPy's, as the sources do."""

    def tidy(text):
        if text is None:
            return None
        text = text.replace("jaxlib._jax.Array", "Array")
        return re.sub(
            r"(~?[\w.]+)\[Array, ('[^']*')\] \| \1\[ndarray, \2\]", r"\1[Array, \2]", text
        )

    if what == "class" and signature == "(*args: Any, **kwargs: Any)":
        signature = constructor(obj)  # a metaclass, as of NNX, hides it
    return None if signature is None else (tidy(signature), tidy(returns))


def constructor(kind):
    """Returns the arguments of a class as its source writes them, without their types."""
    source = textwrap.dedent(inspect.getsource(kind.__init__))
    arguments = ast.parse(source).body[0].args
    del arguments.args[0]  # self
    for node in ast.walk(arguments):
        if isinstance(node, ast.arg):
            node.annotation = None
    return f"({ast.unparse(arguments)})"


def escape_letters(app, what, name, obj, options, lines):
    """Keeps an argument that is explained by one letter, ``K.``, from being item K of a list."""
    lines[:] = [re.sub(r"^(\s+\w+: )(?=[A-Z]\.$)", r"\1\\", line) for line in lines]


MATHML = {
    r"\\dots(?![a-z])|…": r"\\ldots ",
    r"\\[bB]igg?[lrm]?(?![a-z])": "",
    r"\\textstyle(?![a-z])": "",
}
"""What docutils does not know, and what stands for it; parentheses grow by themselves."""


def visit_math(translator, node):
    """Writes a formula as MathML, which browsers draw without a script and without the network."""
    block = isinstance(node, nodes.math_block)
    text = node.astext()
    for unknown, known in MATHML.items():
        text = re.sub(unknown, known, text)
    if block and r"\\" in text and r"\begin" not in text:
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    try:
        formula = tex2mathml(text, as_block=block)
    except MathError as problem:
        logger.warning("the formula %r: %s", node.astext(), problem, location=node)
        raise nodes.SkipNode from None
    translator.body.append(f'<div class="math">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("autodoc-process-docstring", escape_letters, priority=400)  # before napoleon
    app.connect("missing-reference", resolve_top_level)
    app.connect("env-check-consistency", check_coverage)
    app.connect("autodoc-skip-member", skip_tuple_fields)
