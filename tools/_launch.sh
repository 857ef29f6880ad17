# Sourced by dist_*.sh and slurm_*.sh: finds the python, and starts torchrun or srun.
root=$(dirname "$here")
if [ -z "${PYTHON:-}" ]; then
  PYTHON=python
  if [ -x "$root/.venv/bin/python" ]; then PYTHON=$root/.venv/bin/python; fi
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

check_number() { # NAME VALUE
  case $2 in
    *[!0-9]* | '' | 0)
      echo "$0: $1 must be a number above 0, got '$2'" >&2
      exit 2
      ;;
  esac
}

launch() { # SCRIPT GPUS SCRIPT_ARGS...
  local script=$1 gpus=$2 nnodes=${NNODES:-1} port=${PORT:-}
  shift 2
  check_number GPUS "$gpus"
  if [ -z "$port" ]; then
    port=29500
    if [ "$nnodes" = 1 ]; then
      port=$("$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
    fi
  fi
  "$PYTHON" -m torch.distributed.run \
    --nnodes="$nnodes" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$gpus" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$port" \
    "$script" "$@" --launcher pytorch
}

launch_slurm() { # PARTITION JOB_NAME SCRIPT SCRIPT_ARGS...
  local partition=$1 job=$2 gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
  shift 2
  check_number GPUS "$gpus"
  check_number GPUS_PER_NODE "$per_node"
  if [ "$gpus" -lt "$per_node" ]; then per_node=$gpus; fi
  set -x
  # SRUN_ARGS is a list of options, to be split.
  # shellcheck disable=SC2086
  srun -p "$partition" --job-name="$job" \
    --gres=gpu:"$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "$PYTHON" -u "$@"
}
