# Sourced by the other scripts: gives $python, a Python with mtlbench installed. $1: the extra, or nothing.
# An active virtual environment is used as it is, an existing .venv is reused, otherwise .venv is made.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -n "${VIRTUAL_ENV:-}" ]; then
  python=$VIRTUAL_ENV/bin/python
else
  if ! "$root/.venv/bin/python" -m pip --version > /dev/null 2>&1; then # or it was interrupted when it was made
    base=${PYTHON:-python3}
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
      echo "mtlbench needs Python 3.11 or newer; $base is $("$base" --version 2>&1). Set PYTHON=/path/to/python3.11" >&2
      exit 2
    }
    "$base" -m venv "$root/.venv"
  fi
  python=$root/.venv/bin/python
fi
# Installing takes seconds even when all is there, so it is skipped while nothing that decides it has changed.
stamp=$("$python" -c 'import sys; print(sys.prefix)')/mtlbench-$(cat "$root/pyproject.toml" "$root/constraints.txt" | cksum | cut -d' ' -f1)-${1:-base}
if [ ! -f "$stamp" ]; then
  "$python" -m pip install --quiet --disable-pip-version-check -e "$root${1:+[$1]}" -c "$root/constraints.txt"
  touch "$stamp"
fi
