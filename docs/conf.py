"""How Sphinx builds these pages. A public name that is missing from them fails the build."""

import importlib
import re
import tomllib
import types
from pathlib import Path

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
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"jaxseq {release}"

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
    (folder / "index.md").write_text(f"# Notebooks\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}```\n")


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

    return None if signature is None else (tidy(signature), tidy(returns))


def setup(app):
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("missing-reference", resolve_top_level)
    app.connect("env-check-consistency", check_coverage)
    app.connect("autodoc-skip-member", skip_tuple_fields)
