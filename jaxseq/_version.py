"""The version, as pyproject.toml states it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("jaxseq")
except PackageNotFoundError:  # a checkout on the path, never installed
    __version__ = "0+uninstalled"
