#!/bin/sh
# Runs the tests on every Python of $MATRIX that is found, each in an environment of its own.
# The Python of .venv is left out: `make test` runs on it. What pip gives each Python differs:
# 3.12 and 3.13 get a newer JAX and Flax than 3.11.
set -eu

probe='import sys, venv, ensurepip; raise SystemExit("%d.%d" % sys.version_info[:2] != sys.argv[1])'
default=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
ran=0

find_python() {
  for candidate in "python$1" "$HOME/.pyenv/versions/$1".*/bin/python3 "/usr/local/bin/python$1" \
    "/opt/homebrew/bin/python$1" python3; do
    if "$candidate" -c "$probe" "$1" >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
}

for version in ${MATRIX:-3.11 3.12 3.13}; do
  if [ "$version" = "$default" ]; then
    echo "== Python $version: the one of .venv, see make test"
    continue
  fi
  python=$(find_python "$version")
  if [ -z "$python" ]; then
    echo "== Python $version: not found"
    continue
  fi
  venv=".venv-$version"
  stamp="$venv/.installed"
  if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check install -qq --editable '.[dev]'
    touch "$stamp"
  fi
  echo "== Python $version: $("$venv/bin/python" -c \
    'import flax, jax; print(f"jax {jax.__version__}, flax {flax.__version__}")')"
  "$venv/bin/python" -m pytest -n "${WORKERS:-2}" --dist loadfile
  ran=$((ran + 1))
done

if [ "$ran" = 0 ]; then
  echo "error: no other Python of ${MATRIX:-3.11 3.12 3.13} was found" >&2
  exit 1
fi
