#!/usr/bin/env bash
# Tests with one process a GPU (or, without one, gloo processes on the CPU), through torchrun.
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [flags of test.py]
#
# NNODES, NODE_RANK, MASTER_ADDR, PORT and PYTHON as in dist_train.sh.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: $0 CONFIG CHECKPOINT GPUS [flags of test.py]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/_launch.sh"
launch "$here/test.py" "$3" "$1" "$2" "${@:4}"
