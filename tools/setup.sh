#!/usr/bin/env bash
# Makes the tested environment in .venv beside this checkout: `make setup` (and `make demo`, `make test`, `make lint` first).
#
# Needs bash, a C++ compiler and a Python 3.9-3.12 with its headers; fetches the rest, uv included, from the package
# registry. A finished .venv is recognised in a second by its stamp; a half-made or broken one is completed or remade.
#
#   PYTHON=/path/to/python     the Python to use, instead of the best one found (3.11 is the tested one)
#   MAX_JOBS=N                 compilers at once (default: one a core, fewer if memory is short)
#   DPK_MM_MIN_FREE_GB=N       free disk space to insist on
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
venv=$root/.venv
python=$venv/bin/python
stamp=$venv/.dpk_mm-stamp
log=$root/.setup.log
uv_version=0.13.9

# Another environment's leftovers must not leak into this one; only the Pythons of this machine can be used.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1

say() { printf 'set-up: %s\n' "$*"; }
die() {
  printf 'set-up: error: %s\n' "$*" >&2
  exit 1
}

# --- what is there -----------------------------------------------------------------------------------------------------

# Prints "VERSION EXECUTABLE INCLUDE_DIR" of a 64-bit CPython 3.9-3.12 that really runs (a pyenv shim may not).
probe_python() {
  "$1" -I -c '
import os, struct, sys, sysconfig
if (3, 9) <= sys.version_info < (3, 13) and struct.calcsize("P") == 8 and sys.implementation.name == "cpython":
    print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable), sysconfig.get_paths()["include"])
' 2>/dev/null
}

# Sets python_version, base_python and include: 3.11 before 3.12, 3.10, 3.9; with headers before without.
choose_python() {
  local candidates=() version name found fallback=
  if [ -n "${PYTHON:-}" ]; then
    candidates=("$PYTHON")
  else
    for version in 3.11 3.12 3.10 3.9; do
      candidates+=("python$version" "/usr/bin/python$version" "/usr/local/bin/python$version")
      for name in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do candidates+=("$name"); done
    done
    candidates+=(python3 python)
  fi
  for name in "${candidates[@]}"; do
    found=$(probe_python "$name") || continue
    [ -n "$found" ] || continue
    if [ -f "${found##* }/Python.h" ]; then break; fi
    fallback=${fallback:-$found}
    found=
  done
  found=${found:-$fallback}
  if [ -z "$found" ]; then
    if [ -n "${PYTHON:-}" ]; then die "PYTHON=$PYTHON is not a 64-bit Python 3.9-3.12 that runs"; fi
    die 'no Python 3.9-3.12 found: install one (3.11 is the tested one), or name it with PYTHON='
  fi
  read -r python_version base_python include <<<"$found"
}

check_disk() { # NEEDED_GB
  local need=${DPK_MM_MIN_FREE_GB:-$1} free
  free=$(($(df -Pk "$root" | awk 'NR == 2 {print $4}') / 1048576))
  [ "$free" -ge "$need" ] ||
    die "disk full: $free GB free in $root, about $need GB needed (DPK_MM_MIN_FREE_GB=0 tries anyway)"
}

check_compiler() {
  local cxx=${CXX:-c++}
  # Headers and standard library are tried, not only the command's presence.
  $cxx -x c++ -std=c++17 -fsyntax-only - <<<'#include <vector>' >/dev/null 2>&1 ||
    die "no working C++ compiler ($cxx), which mmcv's ops need: install one (Debian, Ubuntu: apt install g++)"
  $cxx -x c++ -fsyntax-only -I"$include" - <<<'#include <Python.h>' >/dev/null 2>&1 ||
    die "no headers for Python $python_version ($include/Python.h): install them (Debian, Ubuntu: apt install python$python_version-dev)"
}

# Sets uv: the one on PATH if it is recent, else a throw-away one in .uv.
get_uv() {
  local version
  uv=uv
  version=$(uv --version 2>/dev/null | awk '{print $2}') || version=
  case $version in '' | 0.[0-4].*) ;; *) return ;; esac
  uv=$root/.uv/bin/uv
  if "$uv" --version >/dev/null 2>&1; then return; fi
  say "fetching uv $uv_version"
  rm -rf "$root/.uv"
  "$base_python" -m venv "$root/.uv" >"$log" 2>&1 ||
    die "'$base_python -m venv' failed: install venv and pip for it (Debian, Ubuntu: apt install python3-venv), or put uv on PATH"
  "$root/.uv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version" >>"$log" 2>&1 ||
    die "pip could not install uv: $(tail -n 1 "$log")"
}

# --- checks ------------------------------------------------------------------------------------------------------------

# The stamp: everything the environment was made from.
fingerprint() {
  { cat requirements/*.txt setup.py tools/setup.sh && echo "$root" && "$python" -VV; } 2>/dev/null | cksum
}

# Fast: nothing is imported, only looked for.
quick_check() {
  "$python" -I - "$root" <<'EOF'
import glob, importlib.util as util, os, sys
for name in 'torch torchvision mmengine mmcv mmdet mmpretrain pycocotools cv2 sklearn skimage pytest ruff'.split():
    assert util.find_spec(name), name
assert glob.glob(os.path.join(os.path.dirname(util.find_spec('mmcv').origin), '_ext*.so'))
assert os.path.dirname(os.path.dirname(util.find_spec('dpk_mm').origin)) == sys.argv[1]
EOF
}

# A build of mmcv can succeed without its ops, or have been made for another torch: so one op is run.
ops_work() {
  "$python" -I - "${1:-cpu}" <<'EOF'
import sys, torch
from mmcv.ops import nms
boxes = torch.tensor([[0., 0., 9., 9.], [0., 0., 9., 8.]], device=sys.argv[1])
assert len(nms(boxes, boxes[:, 3], 0.5)[1]) == 1
EOF
}

# What mmcv is compiled with; a package that lost files is still "installed" to uv.
base_check() {
  "$python" -I -c 'import cv2, mmengine, ninja, numpy, pkg_resources, setuptools, torch, torchvision, wheel, yaml'
}

full_check() {
  "$python" -I -c 'import mmdet.models, mmpretrain.models, pycocotools.mask, pytest, skimage, sklearn'
}

# --- the steps ---------------------------------------------------------------------------------------------------------

# Runs a command with its output in the log and a line that ticks: every second on a terminal, else every 30 seconds.
with_progress() { # WHAT COMMAND...
  local what=$1 start=$SECONDS pid status=0 done_of line last=0
  shift
  [ -t 1 ] || say "$what"
  "$@" >"$log" 2>&1 &
  pid=$!
  trap 'kill $pid 2>/dev/null; exit 130' INT TERM
  while kill -0 $pid 2>/dev/null; do
    sleep 1
    # ninja counts its steps in the log: [12/105]
    done_of=$(grep -oE '\[[0-9]+/[0-9]+\]' "$log" | tail -n 1) || done_of=
    line=$(printf '%s: %d:%02d %s' "$what" $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)) "$done_of")
    if [ -t 1 ]; then
      printf '\rset-up: %-70s' "$line"
    elif [ $((SECONDS - start)) -ge $((last + 30)) ]; then
      last=$((SECONDS - start))
      say "$line"
    fi
  done
  trap - INT TERM
  wait $pid || status=$?
  if [ -t 1 ]; then printf '\r%-78s\r' ''; fi
  return $status
}

# One line that says why, from the log of a command that failed.
explain() { # WHAT
  if grep -q 'No space left on device' "$log"; then die "$1: disk full (No space left on device)"; fi
  if grep -qE 'Killed signal|signal: 9|cannot allocate memory' "$log"; then
    die "$1: out of memory; try again with MAX_JOBS=1"
  fi
  die "$1: $(grep -iE '(error|failed|×|╰)' "$log" | tail -n 1 | cut -c 1-300) (all of it: $log)"
}

make_venv() {
  rm -rf "$venv"
  say "making .venv with Python $python_version ($base_python)"
  "$uv" venv --quiet --no-project --python "$base_python" "$venv" >"$log" 2>&1 || explain 'cannot make .venv'
}

# The lock file is complete, so nothing is resolved; mmcv comes after, as it is compiled against this torch.
install_packages() {
  local list=$venv/.dpk_mm-packages.txt
  grep -v '^mmcv==' requirements/lock.txt >"$list"
  if "$python" -I -c 'import importlib.metadata as m; m.version("opencv-python")' 2>/dev/null; then
    "$uv" pip uninstall --quiet --python "$python" opencv-python opencv-python-headless >"$log" 2>&1 || true
  fi
  with_progress 'installing torch and the rest' \
    "$uv" pip install --python "$python" --no-deps --requirement "$list" || explain 'cannot install the packages'
}

# Sets device (what mmcv's ops are built and checked for) and hide_gpu.
choose_device() {
  device=cpu hide_gpu=
  case $("$python" -I - 2>/dev/null <<'EOF'
import re, subprocess, torch
from torch.utils.cpp_extension import CUDA_HOME
if torch.cuda.is_available():
    try:
        text = subprocess.check_output([CUDA_HOME + '/bin/nvcc', '--version'], text=True)
        ours, theirs = re.search(r'release (\d+)', text).group(1), torch.version.cuda.split('.')[0]
    except (TypeError, OSError, AttributeError, subprocess.CalledProcessError):
        ours = theirs = None
    print('cuda' if ours and ours == theirs else 'no-nvcc')
EOF
  ) in
    cuda) device=cuda ;;
    no-nvcc)
      hide_gpu=1
      say "note: a GPU, but no CUDA compiler (nvcc) for this torch: mmcv's ops are built for the CPU only; to train on the GPU install that nvcc and run this again"
      ;;
  esac
}

compile_mmcv() { # EXTRA UV OPTIONS...
  local jobs memory
  jobs=$(getconf _NPROCESSORS_ONLN)
  # One compiler takes up to 1.5 GB.
  memory=$(awk '/^MemAvailable/ {print int($2 / 1572864)}' /proc/meminfo 2>/dev/null || true)
  if [ -n "$memory" ] && [ "$memory" -lt "$jobs" ]; then jobs=$((memory > 0 ? memory : 1)); fi
  export MMCV_WITH_OPS=1 CFLAGS='-g0 -O1' MAX_JOBS=${MAX_JOBS:-$jobs}
  # ninja is found through PATH; -v puts its counter into the log.
  with_progress "compiling mmcv's ops (6-9 minutes on 2 cores)" \
    env PATH="$venv/bin:$PATH" ${hide_gpu:+CUDA_VISIBLE_DEVICES=-1} \
    "$uv" pip install -v --python "$python" --no-deps --no-build-isolation --no-binary mmcv "$@" \
    "$(grep '^mmcv==' requirements/lock.txt)" || explain "cannot compile mmcv's ops"
}

install_mmcv() {
  choose_device
  if ops_work $device >/dev/null 2>&1; then return; fi
  # uv keeps compiled wheels, whatever torch or options they were made with; --reinstall compiles anew.
  compile_mmcv
  if ops_work $device >"$log" 2>&1; then return; fi
  say 'the mmcv found installed, or in the cache of uv, does not work with this torch: compiling it anew'
  compile_mmcv --reinstall-package mmcv
  ops_work $device >"$log" 2>&1 || die "mmcv was built but its ops do not work: $(tail -n 1 "$log")"
}

install_ourselves() {
  "$uv" pip install --quiet --python "$python" --no-deps --no-build-isolation --editable . >"$log" 2>&1 ||
    explain 'cannot install dpk_mm'
}

install_all() {
  install_packages
  base_check >"$log" 2>&1 || return 1
  install_mmcv
  install_ourselves
  full_check >"$log" 2>&1 && quick_check >>"$log" 2>&1
}

# --- main --------------------------------------------------------------------------------------------------------------

# One at a time: a second call waits, then finds the work done.
if command -v flock >/dev/null; then
  exec 9>"$root/.setup.lock"
  flock --nonblock 9 || {
    say 'another set-up is at work in this checkout; waiting for it'
    flock 9
  }
fi

wanted=$([ -z "${PYTHON:-}" ] || probe_python "$PYTHON" | cut -d ' ' -f 1) || wanted=none
runs=$(probe_python "$python" | cut -d ' ' -f 1) || runs=
if [ -n "$runs" ] && [ "${wanted:-$runs}" = "$runs" ] && [ -f "$stamp" ] &&
  [ "$(cat "$stamp")" = "$(fingerprint)" ] && quick_check 2>/dev/null; then
  say 'ready (.venv is up to date)'
  exit 0
fi

choose_python
has_mmcv=$(compgen -G "$venv/lib/python*/site-packages/mmcv/_ext*.so" || true)
if [ -z "$has_mmcv" ]; then
  check_compiler
  check_disk 8
else
  check_disk 1
fi
get_uv

rm -f "$stamp"
fresh=
if [ -z "$runs" ] || [ "${wanted:-$runs}" != "$runs" ]; then
  if [ -e "$venv" ]; then say '.venv is broken, or of another Python: making it anew'; fi
  make_venv
  fresh=1
else
  say 'completing .venv'
fi
if ! install_all; then
  [ -z "$fresh" ] || die "the packages are installed but do not import: $(tail -n 1 "$log")"
  say "what .venv holds cannot be completed ($(tail -n 1 "$log")): making it anew"
  check_compiler
  make_venv
  install_all || die "the packages are installed but do not import: $(tail -n 1 "$log")"
fi
fingerprint >"$stamp.new" && mv "$stamp.new" "$stamp"
rm -f "$log"
say 'ready'
