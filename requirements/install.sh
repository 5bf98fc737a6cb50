#!/bin/sh
# Makes .venv where there is none and installs requirements/$1.lock into it: wheels with known hashes only, so nothing
# is compiled and nothing else than what was locked comes in. Says what it does, and on trouble the way out, in a line.
# `litellm`, `clients` and `aider` have environments of their own, .venv-litellm and so on: they want other versions than
# we do.
set -eu
lock="requirements/$1.lock"
venv=".venv"
case "$1" in litellm | clients | aider) venv=".venv-$1" ;; esac
# The first Python that is too new.
below=4
[ "$1" != aider ] || below="3, 13"
log="$venv/install.log"

trouble() {
    echo "Capstan: $1" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < ('"$below"',))' >/dev/null 2>&1
}

if ! new_enough "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=""
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if new_enough "$name"; then
            python="$name"
            break
        fi
    done
    [ -n "$python" ] || trouble "Python 3.11 or newer (for Aider below 3.13) is needed and none was found; install one, or name it: make PYTHON=/path/to/python3"
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        trouble "$python has no venv module; install it (Debian, Ubuntu: apt-get install python3-venv), or name another: make PYTHON=…"
    echo "  Making $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv" || trouble "$python could not make $venv here; is the folder writable and the disk not full?"
fi

echo "  Installing $lock (once; from the package index or pip's cache)"
began=$(date +%s)
# Byte code is written when a module is first imported: compiling all of them here takes longer than unpacking them.
# The lock is the whole of it, so pip follows nobody's wishes: where a package is wanted with extras, one before 23.3 looks
# at the newest release, which is not the one that is locked.
if ! "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --quiet --progress-bar off \
    --no-compile --no-deps --require-hashes --only-binary :all: --requirement "$lock" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    if grep -q "connection broken\|Connection aborted\|Max retries\|timed out\|SSL certificate\|Could not fetch URL" "$log"; then
        trouble "the package index could not be reached; check the network or pip's settings, then run make again"
    fi
    if grep -q "No matching distribution found\|Could not find a version" "$log"; then
        trouble "a package above has no wheel for this Python and platform; use CPython 3.11 to 3.13 on Linux (x86-64, arm64) or macOS, and see $log"
    fi
    trouble "pip could not install $lock; its whole output is in $log"
fi
if [ "$1" = litellm ]; then
    # Our plug-in as it stands here, so that what is tested is what another proxy would install.
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --quiet --no-index --no-deps \
        --no-build-isolation --editable integrations/litellm >>"$log" 2>&1 || trouble "pip could not install integrations/litellm; see $log"
fi
if [ "$venv" = .venv ]; then
    # What [project.scripts] says, from wherever it is called: nothing is built, so nothing has to be fetched for that.
    printf '#!/bin/sh\nexec "%s/.venv/bin/python" "%s/manage.py" "$@"\n' "$PWD" "$PWD" >.venv/bin/capstan
    chmod +x .venv/bin/capstan
fi
touch "$venv/$1.stamp"
# The developer's lock holds the other.
[ "$1" != dev ] || touch .venv/run.stamp
echo "  Installed in $(($(date +%s) - began)) s"
