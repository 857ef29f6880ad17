#!/usr/bin/env bash
# Trains with one process a GPU (or, without one, gloo processes on the CPU), through torchrun.
#
#   bash tools/dist_train.sh CONFIG GPUS [flags of train.py]
#
# Several nodes: on each one, with NNODES, NODE_RANK, MASTER_ADDR and PORT. PORT defaults to a free one on a single
# node, so that two jobs never meet, and to 29500 on several. PYTHON defaults to .venv's, else `python`.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: $0 CONFIG GPUS [flags of train.py]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/_launch.sh"
launch "$here/train.py" "$2" "$1" "${@:3}"
