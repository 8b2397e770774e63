#!/bin/sh
# Proves the CUDA kernels on a machine with a GPU, in steps that may be called one by one, and reports whatever happened.
#
# Usage: sh scripts/gpu.sh OUT [STEP...]     in the folder that scripts/gpu/pack.mjs packed; no network, no npm.
#
#   check     what is needed: Python with torch 2.11, nvcc 13, cmake, a C++ compiler, a GPU, Node.js
#   build     core and plugin (a minute on 16 cores)
#   laws      every family of kernels beside the host executor, a process each: one that crashes leaves the others their word
#   models    a recommender on the GPU beside the same on the CPU
#   sanitize  memcheck, racecheck, synccheck over every family, as far as the time goes
#   bench     times of each kernel
#
# Without steps: all of them. Each step takes at most BUDGET seconds (540 unless set) and begins where `build` left off.
# Leaves OUT/report.json, OUT/report.md and OUT/log.txt, also after a failure; ends with 1 when something failed.
#
# LIBTORCH, NVCC, PHANTOMGRAD_PYTHON: where they are, when not found by themselves. NODE_ARCHIVE: an archive of Node.js
# (.tar.gz or .tar.xz), where there is no `node` and none was packed (pack.mjs --node).
set -u
if [ $# -lt 1 ]; then
  echo 'Usage: sh scripts/gpu.sh OUT [check] [build] [laws] [models] [sanitize] [bench]' >&2
  exit 2
fi
out=$(mkdir -p "$1" && cd "$1" && pwd) || exit 2
shift
cd "$(dirname "$0")/.." || exit 2
work=$PWD/.setup/gpu
budget=${BUDGET:-540}
families='private_update stored_gradients linear_layers embeddings softmax_head attention norm_layers'
mkdir -p "$work"

say() { echo "$*" | tee -a "$out/log.txt"; }
stop() {
  say "STOP: $*"
  exit 1
}
# Runs a command with what time is left of the step; its output goes to the log, the last lines also here.
left() { echo $((deadline - $(date +%s))); }
logged() {
  if [ "$(left)" -lt 5 ]; then
    say "not run, the step's $budget s are over: $*"
    return 124
  fi
  timeout -k 5 "$(left)" "$@" >"$work/output.txt" 2>&1
  status=$?
  cat "$work/output.txt" >>"$out/log.txt"
  [ $status -eq 0 ] || tail -n 40 "$work/output.txt"
  return $status
}

# Node.js: the packed one, an archive that the caller names, or the machine's own.
if [ -n "${NODE_ARCHIVE:-}" ] && [ ! -x .setup/node/bin/node ]; then
  mkdir -p .setup/node
  tar -xf "$NODE_ARCHIVE" -C .setup/node --strip-components=1 || stop "$NODE_ARCHIVE cannot be unpacked"
fi
if [ -x .setup/node/bin/node ]; then PATH="$PWD/.setup/node/bin:$PATH"; fi
python=${PHANTOMGRAD_PYTHON:-python3}
find_torch='import importlib.util as u, os; s = u.find_spec("torch"); print(os.path.dirname(s.origin) if s else "")'
LIBTORCH=${LIBTORCH:-$("$python" -c "$find_torch" 2>/dev/null)}
if [ -z "${NVCC:-}" ]; then
  NVCC=$(command -v nvcc)
  for home in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda "${LIBTORCH%/torch}/nvidia/cu13"; do
    if [ -z "$NVCC" ] && [ -n "$home" ] && [ -x "$home/bin/nvcc" ]; then NVCC=$home/bin/nvcc; fi
  done
fi
export LIBTORCH NVCC

check() {
  missing=0
  need() { # what, how it shows itself, what to do
    if shown=$(sh -c "$2" 2>/dev/null) && [ -n "$shown" ]; then
      say "ok       $1: $(echo "$shown" | head -n 1)"
    else
      say "MISSING  $1: $3"
      missing=1
    fi
  }
  need 'packed suite' 'ls test/gpu/kernels.test.js' 'this folder is no packed suite: node scripts/gpu/pack.mjs makes one'
  need 'Node.js 20 or later' 'node -e "if (parseInt(process.versions.node) < 20) process.exit(1); console.log(process.version)"' \
    'pack with --node, or name an archive in NODE_ARCHIVE'
  need 'LibTorch 2.11' "grep -h \"^__version__ = '2.11\" '$LIBTORCH/version.py'" \
    "LIBTORCH must name the folder torch/ of a Python's torch 2.11 ($LIBTORCH)"
  need 'its CUDA libraries' "ls '$LIBTORCH/lib/libtorch_cuda.so'" 'this torch is for the CPU alone'
  need 'its headers' "ls '$LIBTORCH/include/torch/csrc/stable/library.h'" 'this torch has no include/'
  need 'nvcc 13' "'$NVCC' --version | grep 'release 13'" "NVCC must name the compiler of CUDA 13 ($NVCC)"
  need 'cmake' 'cmake --version' 'install cmake 3.18 or later'
  need 'C++ compiler' "${CXX:-c++} --version" 'install g++ 11 or later, or name one in CXX'
  need 'GPU' 'nvidia-smi -L | grep GPU' 'nvidia-smi lists none'
  [ $missing -eq 0 ] || stop 'what is MISSING above'
}

build() {
  # Straight through CMake: cmake-js is an npm package. Its one setting is where Node's headers are.
  includes="$PWD/node_modules/node-api-headers/include"
  jobs=$(nproc)
  say "build: core ($jobs jobs)"
  logged cmake -S . -B .cmake-gpu -DCMAKE_BUILD_TYPE=Release -DLIBTORCH="$LIBTORCH" -DCMAKE_JS_INC="$includes" ||
    stop 'the core does not configure'
  logged cmake --build .cmake-gpu --parallel "$jobs" || stop 'the core does not compile'
  say 'build: plugin'
  logged cmake -S csrc/cuda -B .cmake-cuda -DCMAKE_BUILD_TYPE=Release -DLIBTORCH="$LIBTORCH" \
    -DCMAKE_CUDA_COMPILER="$NVCC" || stop 'the plugin does not configure'
  logged cmake --build .cmake-cuda --parallel "$jobs" || stop 'the plugin does not compile'
  mkdir -p build/Release
  cp .cmake-gpu/phantomgrad.node .cmake-gpu/libphantomgrad-*.so .cmake-cuda/libphantomgrad_cuda.so build/Release/ ||
    stop 'the build left no libraries'
}

built() { [ -f build/Release/libphantomgrad_cuda.so ] || stop "nothing is built yet: sh scripts/gpu.sh OUT build"; }

# A suite's laws of one name, in a process of their own.
prove() { # suite, name of the result, how the names of its laws begin
  say "${3:-$1}"
  rm -f "$work/laws-$2.json"
  logged node scripts/gpu/harness.cjs "test/gpu/$1.test.js" "$work/laws-$2.json" "$3"
  status=$?
  tail -n 1 "$work/output.txt"
  if [ $status -ne 0 ]; then
    say "FAILED   ${3:-$1} (exit status $status)"
    failed=1
  fi
}

laws() {
  built
  for family in $families; do prove kernels "$family" "$(echo "$family" | tr _ ' ')"; done
  prove kernels trials 'every family'
}

models() {
  built
  prove models models ''
}

sanitize() {
  built
  : >"$work/sanitizers.txt"
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
  if [ -z "$sanitizer" ]; then
    echo 'compute-sanitizer is not installed: nothing was sanitized' >"$work/sanitizers.txt"
    return
  fi
  for tool in memcheck racecheck synccheck; do
    for family in $families; do
      name=$(echo "$family" | tr _ ' ')
      # Without its cache every tensor is an allocation of its own, so that memcheck sees what goes beyond one.
      logged env PYTORCH_NO_CUDA_MEMORY_CACHING=1 "$sanitizer" --tool "$tool" --error-exitcode 9 \
        node scripts/gpu/harness.cjs test/gpu/kernels.test.js "$work/sanitized.json" "$name on a GPU"
      case $? in
        0) verdict=clean ;;
        124) verdict='not finished' ;;
        *) verdict=FAILED failed=1 ;;
      esac
      echo "$tool, $name: $verdict" | tee -a "$work/sanitizers.txt"
    done
  done
}

bench() {
  built
  rm -f "$work/bench.json"
  logged node scripts/gpu/bench.cjs "$work/bench.json" || failed=1
}

# However it ends, what is known so far is written down.
failed=0
report() {
  status=$?
  if command -v node >/dev/null 2>&1; then node scripts/gpu/report.cjs "$work" "$out" || failed=1; fi
  if [ $status -ne 0 ] || [ $failed -ne 0 ]; then exit 1; fi
}
trap report EXIT

for step in "${@:-}"; do
  if [ -z "$step" ]; then continue; fi
  case $step in
    check | build | laws | models | sanitize | bench) ;;
    *) stop "no step is named $step" ;;
  esac
done
[ $# -gt 0 ] || set -- check build laws models sanitize bench
for step in "$@"; do
  deadline=$(($(date +%s) + budget))
  started=$(date +%s)
  "$step"
  say "step $step: $(($(date +%s) - started)) s"
done
