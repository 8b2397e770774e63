#!/bin/sh
# Builds the core and the CUDA plugin on a machine with a GPU, runs the laws of test/gpu there, sanitizers, a benchmark.
#
# Usage: sh scripts/gpu.sh OUT [NODE_ARCHIVE]     in the folder that scripts/gpu/pack.mjs packed (or in a checkout that
# was built: then `node_modules` and `dist` are its own). Needs Python with torch 2.11, nvcc 13, cmake and a C++ compiler; no network, no npm.
# NODE_ARCHIVE: a Node.js binary archive (.tar.gz or .tar.xz), where there is no `node`.
# Leaves OUT/report.json and OUT/report.md; ends with 1 when a law failed.
set -eu
out=$(mkdir -p "$1" && cd "$1" && pwd)
node_archive=${2:-}
cd "$(dirname "$0")/.."

if [ -n "$node_archive" ]; then
  mkdir -p .setup/node
  tar -xf "$node_archive" -C .setup/node --strip-components=1
  PATH="$PWD/.setup/node/bin:$PATH"
fi
node_home=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
python=${PHANTOMGRAD_PYTHON:-python3}
LIBTORCH=${LIBTORCH:-$("$python" -c "import importlib.util as u, os; print(os.path.dirname(u.find_spec('torch').origin))")}
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
export LIBTORCH NVCC="$nvcc"
jobs=$(nproc)

# Straight through CMake: cmake-js is an npm package. Its one setting is where Node's headers are.
includes="$node_home/include/node;$PWD/node_modules/node-addon-api"
cmake -S . -B .cmake-gpu -DCMAKE_BUILD_TYPE=Release -DLIBTORCH="$LIBTORCH" -DCMAKE_JS_INC="$includes"
cmake --build .cmake-gpu --parallel "$jobs"
cmake -S csrc/cuda -B .cmake-cuda -DCMAKE_BUILD_TYPE=Release -DLIBTORCH="$LIBTORCH" -DCMAKE_CUDA_COMPILER="$nvcc"
cmake --build .cmake-cuda --parallel "$jobs"
mkdir -p build/Release
find .cmake-gpu .cmake-cuda -maxdepth 2 \( -name 'phantomgrad.node' -o -name 'libphantomgrad*.so' \) -exec cp {} build/Release/ \;

suite=test/gpu/kernels.test.js
status=0
node scripts/gpu/harness.cjs "$suite" "$out/laws.json" || status=1

# Slow, so small: one kernel family at a time is enough to see a race or a stray access.
sanitizer=$(command -v compute-sanitizer || true)
: >"$out/sanitizers.txt"
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck synccheck; do
    for family in 'clip factors on a GPU' 'norm layers on a GPU' 'embeddings on a GPU' 'attention on a GPU'; do
      if "$sanitizer" --tool "$tool" --error-exitcode 9 \
        node scripts/gpu/harness.cjs "$suite" "$out/sanitized.json" "$family" >"$out/sanitizer.log" 2>&1; then
        echo "$tool, $family: clean" >>"$out/sanitizers.txt"
      else
        echo "$tool, $family: FAILED" >>"$out/sanitizers.txt"
        tail -40 "$out/sanitizer.log" >>"$out/sanitizers.txt"
        status=1
      fi
    done
  done
else
  echo 'compute-sanitizer is not installed: nothing was sanitized' >>"$out/sanitizers.txt"
fi

node scripts/gpu/bench.cjs "$out" || status=1
exit $status
