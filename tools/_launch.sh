# Sourced by dist_*.sh and slurm_*.sh: finds the python, and starts torchrun.
root=$(dirname "$here")
if [ -z "${PYTHON:-}" ]; then
  PYTHON=python
  if [ -x "$root/.venv/bin/python" ]; then PYTHON=$root/.venv/bin/python; fi
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

launch() { # SCRIPT GPUS SCRIPT_ARGS...
  local script=$1 gpus=$2 nnodes=${NNODES:-1} port=${PORT:-}
  shift 2
  case $gpus in
    *[!0-9]* | '' | 0)
      echo "$0: GPUS must be a number above 0, got '$gpus'" >&2
      exit 2
      ;;
  esac
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
