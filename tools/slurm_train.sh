#!/usr/bin/env bash
# Trains on a Slurm cluster.
#
#   [GPUS=8] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS='...'] \
#     bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [flags of train.py]
#
# Two jobs on one node need ports of their own: export MASTER_PORT (29500 if unset).
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [flags of train.py]" >&2
  exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/_launch.sh"
launch_slurm "$1" "$2" "$here/train.py" "$3" --work-dir="$4" --launcher=slurm "${@:5}"
