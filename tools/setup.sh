#!/usr/bin/env bash
# Makes the tested environment beside this checkout: `make setup` (and `make demo`, `make test`, `make lint` first).
#
# Needs bash, a C++ compiler and a Python 3.10-3.13 with its headers; fetches the rest, uv included, from the package
# registry. A finished environment is known by its stamp in a second; a half-made or broken one is completed or remade.
#
#   STACK=upstream|onedl       upstream's packages in .venv (default), or the maintained forks in .venv-onedl
#   PYTHON=/path/to/python     the Python to use, or its version, instead of the best one found (3.11 first)
#   MAX_JOBS=N                 compilers at once (default: one a core, fewer if memory is short)
#   DPK_MM_MIN_FREE_GB=N       free disk space to insist on
#   VENV=DIR LOCK=FILE         another place, and another list of packages (tests/matrix.py)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$(pwd -P)
log=$root/.setup.log
uv_version=0.13.9

say() { printf 'set-up: %s\n' "$*"; }
die() {
  say "error: $*" >&2
  exit 1
}

case ${STACK:=upstream} in
  upstream) venv=$root/.venv lock=requirements/lock.txt pythons='3.11 3.12 3.10' ;; # its mmcv does not build on 3.13
  onedl) venv=$root/.venv-onedl lock=requirements/lock-onedl.txt pythons='3.11 3.12 3.13 3.10' ;;
  *) die "STACK=$STACK is neither upstream nor onedl" ;;
esac
venv=${VENV:-$venv} lock=${LOCK:-$lock}
python=$venv/bin/python
stamp=$venv/.dpk_mm-stamp
mmcv=$(grep -E '^(onedl-)?mmcv==' "$lock")

# Another environment's leftovers must not leak into this one; only the Pythons of this machine can be used.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX VENV LOCK
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1

# --- what is there -----------------------------------------------------------------------------------------------------

check() { "$python" -I tools/setup/check.py "$@"; }

# Everything the environment was made from.
fingerprint() {
  { cat "$lock" setup.py pyproject.toml requirements/*.txt tools/setup.sh tools/setup/* && echo "$root" && "$python" -VV; } \
    2>/dev/null | cksum
}

# Prints version, executable and folder of headers, with tabs between, of a 64-bit CPython 3.10-3.13 that really runs (a
# pyenv shim may not).
probe_python() {
  "$1" -I -c '
import os, struct, sys, sysconfig
if (3, 10) <= sys.version_info < (3, 14) and struct.calcsize("P") == 8 and sys.implementation.name == "cpython":
    print("%d.%d" % sys.version_info[:2], os.path.realpath(sys.executable), sysconfig.get_paths()["include"], sep="\t")
' 2>/dev/null
}

candidates() { # [VERSION]
  set +e
  local version
  for version in ${1:-$pythons}; do
    type -ap "python$version"
    compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version.*/bin/python"
  done
  [ -n "${1:-}" ] || type -ap python3 python
}

# Sets python_version, base_python and include: the first of the candidates, with headers before without.
choose_python() {
  local name found= fallback=
  while read -r name; do
    found=$(probe_python "$name") && [[ -n $found && " $pythons " == *" ${found%%$'\t'*} "* ]] || { found= && continue; }
    if [ -f "${found##*$'\t'}/Python.h" ]; then break; fi
    fallback=${fallback:-$found} found=
  done < <(case ${PYTHON:-} in '' | 3.*) candidates "${PYTHON:-}" ;; *) echo "$PYTHON" ;; esac)
  IFS=$'\t' read -r python_version base_python include <<<"${found:-$fallback}" || true
  [ -n "$base_python" ] || [ -z "${PYTHON:-}" ] || die "PYTHON=$PYTHON is no 64-bit Python that runs, of ${pythons// /, }"
  [ -n "$base_python" ] || die "no Python of ${pythons// /, } found: install one (3.11 is the tested one), or name it with PYTHON="
}

check_disk() { # NEEDED_GB
  local need=${DPK_MM_MIN_FREE_GB:-$1} free
  free=$(($(df -Pk "$root" | awk 'NR == 2 {print $4}') / 1048576))
  [ "$free" -ge "$need" ] ||
    die "disk full: $free GB free in $root, about $need GB needed (DPK_MM_MIN_FREE_GB=0 tries anyway)"
}

check_compiler() {
  # Headers and standard library are tried, not only the command's presence.
  ${CXX:=c++} -x c++ -std=c++17 -fsyntax-only - <<<'#include <vector>' >/dev/null 2>&1 ||
    die "no working C++ compiler ($CXX), which mmcv's ops need: install one (Debian, Ubuntu: apt install g++)"
  $CXX -x c++ -fsyntax-only -I"$include" - <<<'#include <Python.h>' >/dev/null 2>&1 ||
    die "no headers for Python $python_version ($include/Python.h): install them (Debian, Ubuntu: apt install python$python_version-dev)"
}

# Sets uv: the one on PATH if it is recent, else a throw-away one in .uv.
get_uv() {
  uv=uv
  case $(uv --version 2>/dev/null || true) in '' | 'uv 0.'[0-6].*) ;; *) return ;; esac
  uv=$root/.uv/bin/uv
  if "$uv" --version >/dev/null 2>&1; then return; fi
  say "fetching uv $uv_version"
  rm -rf "$root/.uv"
  "$base_python" -m venv "$root/.uv" >"$log" 2>&1 ||
    die "'$base_python -m venv' failed: install venv and pip for it (Debian, Ubuntu: apt install python3-venv), or put uv on PATH"
  "$root/.uv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv_version" >>"$log" 2>&1 ||
    die "pip could not install uv: $(tail -n 1 "$log")"
}

# --- the steps ---------------------------------------------------------------------------------------------------------

# Runs a command with its output in the log; says every 30 seconds how far it is (ninja counts its steps: [12/105]).
# A failure ends the set-up in one line that says why.
step() { # WHAT COMMAND...
  local what=$1 pid seconds=0
  shift
  say "$what"
  "$@" >"$log" 2>&1 &
  pid=$!
  trap 'kill $pid 2>/dev/null; exit 130' INT TERM
  while kill -0 $pid 2>/dev/null && sleep 0.5; do
    seconds=$((seconds + 1))
    [ $((seconds % 60)) != 0 ] ||
      say "$what: $((seconds / 2)) s $(grep -oE '\[[0-9]+/[0-9]+\]' "$log" | tail -n 1)"
  done
  trap - INT TERM
  if wait $pid; then return; fi
  ! grep -q 'No space left on device' "$log" || die "$what: disk full (No space left on device)"
  ! grep -qE 'Killed signal|signal: 9|cannot allocate memory' "$log" ||
    die "$what: out of memory; try again with MAX_JOBS=1"
  die "$what: $(grep -iE '(error|failed|×|╰)' "$log" | tail -n 1 | cut -c 1-300) (all of it: $log)"
}

make_venv() {
  rm -rf "$venv"
  step "making ${venv#"$root/"} with Python $python_version ($base_python)" \
    "$uv" venv --no-project --python "$base_python" "$venv"
}

compile_mmcv() { # EXTRA UV OPTIONS...
  local jobs memory header=$venv/.header
  jobs=$(getconf _NPROCESSORS_ONLN)
  # One compiler takes up to 1.5 GB.
  memory=$(awk '/^MemAvailable/ {print int($2 / 1572864)}' /proc/meminfo 2>/dev/null || true)
  if [ -n "$memory" ] && [ "$memory" -lt "$jobs" ]; then jobs=$((memory > 0 ? memory : 1)); fi
  export MMCV_WITH_OPS=1 CFLAGS='-g0 -O1' MAX_JOBS=${MAX_JOBS:-$jobs} PLAIN_CXX=$CXX HEADER_DIR=$header
  local CXX=$CXX
  trap 'rm -rf "$venv/.header"' EXIT
  rm -rf "$header" && mkdir "$header"
  if ! $CXX --version 2>/dev/null | grep -q 'Free Software Foundation'; then
    say "note: $CXX is not g++, so there is no precompiled header: the ops take three times as long"
  elif [ "$root" != "${root//[[:space:]]/}" ]; then
    say 'note: a path with blanks, so there is no precompiled header: the ops take three times as long'
  else
    CXX=$root/tools/setup/g++-with-torch
    # mmcv asks for C++17, and torch from 2.14 on refuses that.
    ! grep -q 202002L "$venv"/lib/python*/site-packages/torch/include/torch/csrc/api/include/torch/all.h ||
      export STANDARD=c++20
  fi
  # ninja is found through PATH; -v puts its counter into the log.
  step "compiling mmcv's ops (3 minutes on 2 cores)" \
    env CXX="$CXX" PATH="$venv/bin:$PATH" ${hide_gpu:+CUDA_VISIBLE_DEVICES=-1} \
    "$uv" pip install -v --python "$python" --no-deps --no-build-isolation --no-binary "${mmcv%==*}" "$@" "$mmcv"
  [ ! -e "$header/failed" ] || say 'note: the precompiled header failed, so the ops were compiled without it'
}

install_mmcv() { # cuda, cpu or no-nvcc
  local device=$1 hide_gpu=
  if [ "$device" = no-nvcc ]; then
    say "note: a GPU, but no CUDA compiler (nvcc) for this torch: mmcv's ops are built for the CPU only; to train on the GPU install that nvcc and run this again"
    device=cpu hide_gpu=1
  fi
  if check ops $device >/dev/null 2>&1; then return; fi
  compile_mmcv
  if check ops $device >"$log" 2>&1; then return; fi
  # uv keeps compiled wheels, whatever torch or options they were made with.
  say 'the mmcv found installed, or in the cache of uv, does not work with this torch: compiling it anew'
  compile_mmcv --reinstall-package "${mmcv%==*}"
  check ops $device >"$log" 2>&1 || die "mmcv was built but its ops do not work: $(tail -n 1 "$log")"
}

# The lock file is complete, so nothing is resolved; mmcv comes after, as it is compiled against this torch.
install_all() {
  local list=$venv/.dpk_mm-packages.txt device
  grep -vF "$mmcv" "$lock" >"$list"
  step 'installing torch and the rest' "$uv" pip install --python "$python" --no-deps --requirement "$list"
  device=$(check base 2>"$log") || return 1
  install_mmcv "$device"
  step 'installing dpk_mm' \
    "$uv" pip install --python "$python" --no-deps --no-build-isolation --editable .
  check whole >"$log" 2>&1 && check files "$root" >>"$log" 2>&1
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

wanted=${PYTHON:-}
case $wanted in '' | 3.*) ;; *) wanted=$(probe_python "$PYTHON" | cut -f 1) || wanted=none ;; esac
runs=$(probe_python "$python" | cut -f 1) || runs=
if [ -n "$runs" ] && [ "${wanted:-$runs}" = "$runs" ] && [ -f "$stamp" ] &&
  [ "$(cat "$stamp")" = "$(fingerprint)" ] && check files "$root" 2>/dev/null; then
  say "ready (${venv#"$root/"} is up to date)"
  exit 0
fi

choose_python
check_compiler
check_disk "$(compgen -G "$venv/lib/python*/site-packages/mmcv/_ext*.so" >/dev/null && echo 1 || echo 8)"
get_uv

rm -f "$stamp"
fresh=
if [ -z "$runs" ] || [ "${wanted:-$runs}" != "$runs" ]; then
  if [ -e "$venv" ]; then say "${venv#"$root/"} is broken, or of another Python: making it anew"; fi
  make_venv
  fresh=1
else
  say "completing ${venv#"$root/"}"
fi
if ! install_all; then
  [ -z "$fresh" ] || die "the packages are installed but do not import: $(tail -n 1 "$log")"
  say "what ${venv#"$root/"} holds cannot be completed ($(tail -n 1 "$log")): making it anew"
  make_venv
  install_all || die "the packages are installed but do not import: $(tail -n 1 "$log")"
fi
fingerprint >"$stamp.new" && mv "$stamp.new" "$stamp"
rm -f "$log"
say "ready: source ${venv#"$root/"}/bin/activate"
