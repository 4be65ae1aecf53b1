#!/usr/bin/env bash
# Builds Horovod 0.28.1 from its source on PyPI against the TensorFlow that is
# installed, into the same environment.
#
#   bash recipes/install_horovod.sh            # the `python` on PATH
#   PYTHON=/path/to/python bash recipes/install_horovod.sh
#   bash recipes/install_horovod.sh --force    # even if it is there already
#
# It needs a C++ compiler, make, and CMake (fetched with pip for the build
# where there is none). It takes some minutes. Gloo carries the messages, so
# MPI is not needed. Horovod's own variables are handed on, for example
# HOROVOD_GPU_OPERATIONS=NCCL on a machine with GPUs, HOROVOD_WITH_MPI=1.
set -euo pipefail

version=0.28.1
# The source is changed before it is built, and the version says by whom: the
# extra `horovod` of pyproject.toml asks for this one.
label=built.by.recipes.install.horovod.sh
checksum=92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0

fail() { # lines: why it cannot go on, and what to do
  printf 'install_horovod.sh: %s\n' "$@" >&2
  exit 1
}

force=""
for argument in "$@"; do
  [ "$argument" = --force ] || fail "unknown argument $argument; there is --force."
  force=1
done

python="${PYTHON:-python}"
command -v "$python" >/dev/null ||
  fail "there is no \`$python\`." "Activate an environment or set PYTHON."
python="$(command -v "$python")"
"$python" -m pip --version >/dev/null 2>&1 ||
  fail "$python has no pip." "Run: $python -m ensurepip"

tensorflow="$("$python" -c '
from importlib.metadata import PackageNotFoundError, version
for name in ("tensorflow", "tensorflow-cpu"):
    try:
        print(version(name))
        break
    except PackageNotFoundError:
        pass
')"
[ -n "$tensorflow" ] || fail \
  "TensorFlow is not installed for $python." \
  "Horovod is compiled against it. Run first: $python -m pip install ."

works() { # whether Horovod is there, built for this TensorFlow, and starts
  HOROVOD_VERSION="$version+$label" TENSORFLOW_VERSION="$tensorflow" \
    TF_CPP_MIN_LOG_LEVEL=3 "$python" - <<'PY'
import importlib.metadata
import json
import os
import pathlib

import horovod

assert importlib.metadata.version("horovod") == os.environ["HOROVOD_VERSION"]
metadata = pathlib.Path(horovod.__file__).with_name("metadata.json")
built_for = json.loads(metadata.read_text())["tensorflow"]
assert built_for == os.environ["TENSORFLOW_VERSION"], built_for

import horovod.tensorflow as hvd
import tensorflow as tf

assert hvd.gloo_built() or hvd.mpi_built()
hvd.init()
assert hvd.allreduce(tf.constant(1.0)).numpy() == 1.0
PY
}

if [ -z "$force" ] && works >/dev/null 2>&1; then
  echo "Horovod $version is installed for TensorFlow $tensorflow already."
  exit 0
fi

compiler="${CXX:-g++}"
command -v "$compiler" >/dev/null || fail \
  "there is no C++ compiler (\`$compiler\`)." \
  "Debian, Ubuntu: apt-get install g++ make. Fedora: dnf install gcc-c++ make." \
  "Another compiler: set CC and CXX."
command -v make >/dev/null || fail \
  "there is no \`make\`." "Debian, Ubuntu: apt-get install make."

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Build tools go into a folder of their own: the environment stays clean.
tools=("setuptools>=68,<81" wheel packaging)
new_enough() { # CMake 3.13 or later
  "$1" --version 2>/dev/null | "$python" -c '
import re, sys
found = re.search(r"version (\d+)\.(\d+)", sys.stdin.read())
sys.exit(not found or tuple(map(int, found.groups())) < (3, 13))'
}
cmake="${HOROVOD_CMAKE:-cmake}"
if ! new_enough "$cmake"; then
  echo "No CMake of 3.13 or later here: pip fetches one for the build."
  tools+=("cmake>=3.18,<4")
  cmake="$work/tools/bin/cmake"
fi
"$python" -m pip install --quiet --target "$work/tools" "${tools[@]}" || fail \
  "pip could not fetch the build tools (${tools[*]})." \
  "Without a network, install CMake with the system's packages," \
  "and setuptools, wheel and packaging with your mirror."
before="${PYTHONPATH:-}"
export PYTHONPATH="$work/tools${before:+:$before}"
new_enough "$cmake" || fail \
  "CMake does not start ($cmake)." "Debian, Ubuntu: apt-get install cmake."

# pip compares the checksum before it opens the file.
echo "horovod==$version --hash=sha256:$checksum" >"$work/source.txt"
"$python" -m pip download --quiet --no-deps --no-binary horovod \
  --no-build-isolation --require-hashes --requirement "$work/source.txt" \
  --dest "$work" || fail \
  "pip could not fetch Horovod $version with the checksum" "$checksum."
tar -xzf "$work/horovod-$version.tar.gz" -C "$work"
source="$work/horovod-$version"

# Its XLA operations do not compile with TensorFlow of today. They are
# optional: `compile(jit_compile=False)` does without.
lists="$source/horovod/tensorflow/CMakeLists.txt"
grep -q xla_mpi_ops.cc "$lists" || fail "$lists is not as expected."
sed -i.before '/xla_mpi_ops\.cc/d' "$lists"

init="$source/horovod/__init__.py"
grep -q "__version__ = '$version'" "$init" || fail "$init is not as expected."
sed -i.before "s/__version__ = '$version'/__version__ = '$version+$label'/" "$init"

"$python" -m pip install --quiet cloudpickle psutil pyyaml packaging

echo "Building Horovod $version for TensorFlow $tensorflow."
export HOROVOD_CMAKE="$cmake" HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITH_GLOO=1
export HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1
if [ -z "${HOROVOD_WITH_MPI:-}" ]; then export HOROVOD_WITHOUT_MPI=1; fi
# Its bundled libraries ask for a CMake of before 3.5, which 4 refuses.
export CMAKE_POLICY_VERSION_MINIMUM=3.5
export MAKEFLAGS="${MAKEFLAGS:--j$("$python" -c 'import os; print(os.cpu_count())')}"
"$python" -m pip wheel --no-deps --no-build-isolation --no-cache-dir \
  --wheel-dir "$work" "$source" >"$work/log" 2>&1 || {
  tail -n 40 "$work/log" >&2
  fail "the build failed; its last lines are above."
}
"$python" -m pip install --quiet --no-deps --force-reinstall \
  "$work"/horovod-*.whl

export PYTHONPATH="$before"
cd "$work" # not into a folder that is called horovod
works || fail "Horovod was built and does not start; see above."
scripts="$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))')"
echo "Horovod $version is installed. Try it:"
echo "  $scripts/horovodrun -np 2 --gloo $python -c 'import horovod.tensorflow as h; h.init(); print(h.rank(), h.size())'"
