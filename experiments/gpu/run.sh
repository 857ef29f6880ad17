#!/usr/bin/env bash
# Everything that this project wants to know of a GPU, in one call of at most nine minutes; README.md beside it.
# usage: [OUT=folder] run.sh [--toy]      from the folder that prepare.sh made; --toy: minutes on a CPU, from a clone
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
toy=${1:-}
if [ -n "$toy" ]; then out=${OUT:-work_dirs/gpu_toy}; else out=${OUT:-work_dirs/gpu}; fi
mkdir -p "$out"
[ -z "$toy" ] || rm -f "$out"/*.jsonl  # of an earlier try
out=$(cd "$out" && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
begin=$(date +%s)
cores=$(nproc)
training=330  # seconds after the start, until which CIFAR-100 has the device and mmcv half of the cores
profiling=435
finish=510
packed=${PACKED:-$root/..}  # what prepare.sh gathered beside the checkout
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
export PYTHONDONTWRITEBYTECODE=1 TORCHINDUCTOR_CACHE_DIR=$work/inductor MPLBACKEND=Agg
cd "$root" || exit 1

say() { echo "[$(($(date +%s) - begin)) s] $*" | tee -a "$out/log.txt"; }
left() { echo $(($1 - $(date +%s) + begin)); }  # seconds until so many after the start
# step NAME SECONDS COMMAND...: a failure is logged, and the rest goes on
step() {
  local name=$1 seconds=$2 status=0
  shift 2
  [ "$seconds" -ge 5 ] || { say "$name: left out, no time"; return; }
  say "$name: begins, has $seconds s"
  timeout -s INT -k 15 "$seconds" "$@" || status=$?
  say "$name: ends with $status"
}

# --- 0. what this machine is, and what it lacks
say "$(uname -sr), $cores cores, $($python -V), glibc $(ldd --version | head -1 | grep -o '[0-9.]*$')"
nvidia-smi >> "$out/log.txt" 2>&1 || say 'no nvidia-smi'
shopt -s nullglob
archives=("$packed"/data/*train*.npz "${MORE:-$packed/more}"/data/*train*.npz)
if [ ${#archives[@]} -gt 0 ] && [ -z "$toy" ]; then
  "$python" "$here/images.py" unpack "$work/train" "${archives[@]}" >> "$out/log.txt" 2>&1 &
  "$python" "$here/images.py" unpack "$work/test" "$packed"/data/*test*.npz >> "$out/log.txt" 2>&1 &
else
  "$python" "$here/images.py" invent "$work/train" 8 >> "$out/log.txt" 2>&1
  "$python" "$here/images.py" invent "$work/test" 8 >> "$out/log.txt" 2>&1
fi
unpacking=$(jobs -p)
site=$work/site
wheels=("$packed"/wheels/*.whl)
if [ ${#wheels[@]} -gt 0 ]; then
  step wheels 90 "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
    --target "$site" "${wheels[@]}"
  export PYTHONPATH=$PYTHONPATH:$site
fi
has_ops() { "$python" -c 'import mmcv.ops' 2>> "$out/log.txt"; }
sources=("$packed"/wheels/mmcv-*.tar.gz)
if [ ${#sources[@]} -gt 0 ] && [ -z "$toy" ] && ! has_ops; then
  # classification does without the ops; detection can begin when they are compiled
  (tar xf "${sources[0]}" -C "$work" &&
    JOBS=$((cores / 2)) PYTHON=$python timeout "$(left $training)" bash "$here/build_mmcv.sh" "$work"/mmcv-* "$work/built" \
      > "$work/mmcv.log" 2>&1 &&
    "$python" -m pip install -q --no-index --no-deps --target "$work/ops" "$work"/built/*.whl && touch "$work/has_ops" &&
    say 'mmcv is compiled') &
fi
# --no-compile above; compiled once here, not by each process
(find "$site" -name '*.py' -print0 2> /dev/null; find dpk_mm tests -name '*.py' -print0) |
  PYTHONDONTWRITEBYTECODE= xargs -0 "$python" -m compileall -q -j 0 > /dev/null 2>&1 || true
"$python" - >> "$out/log.txt" 2>&1 << 'EOF'
import cv2, numpy, torch, torchvision
print('torch', torch.__version__, 'torchvision', torchvision.__version__, 'numpy', numpy.__version__, 'cv2', cv2.__version__)
print('cudnn', torch.backends.cudnn.version(), 'device', torch.cuda.is_available() and torch.cuda.get_device_name())
import mmengine, mmcv, mmdet, mmpretrain
print('mmengine', mmengine.__version__, 'mmcv', mmcv.__version__, 'mmdet', mmdet.__version__, 'mmpretrain', mmpretrain.__version__)
try:
    import mmcv.ops
except ImportError:
    raise SystemExit('mmcv has no ops yet')
from mmcv.ops import RoIAlign, get_compiling_cuda_version, nms, sigmoid_focal_loss
print('mmcv compiled with CUDA', get_compiling_cuda_version())
if torch.cuda.is_available():
    boxes = torch.tensor([[0, 0, 9, 9], [0, 0, 9, 8], [20, 20, 30, 30]]).float().cuda()
    print('nms', nms(boxes, torch.tensor([0.9, 0.8, 0.7]).cuda(), 0.5)[1].tolist(), 'expected [0, 2]')
    logits = torch.randn(4, 3, device='cuda', requires_grad=True)
    sigmoid_focal_loss(logits, torch.tensor([0, 1, 2, 3]).cuda(), 2.0, 0.25, None, 'mean').backward()
    print('focal loss', logits.grad.abs().sum().item())
    roi = RoIAlign(2)(torch.arange(16.0, device='cuda').view(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 4, 4]]).cuda())
    print('RoIAlign', roi.flatten().tolist())
EOF
say "versions: $(grep -A 9 '^torch ' "$out/log.txt" | tr '\n' ';')"

# --- 1. side by side: trainings on CIFAR-100, while mmcv is compiled
[ -z "$unpacking" ] || wait $unpacking
mps=
if [ -z "$toy" ] && command -v nvidia-cuda-mps-control > /dev/null; then
  # lets kernels of several processes run at the same time; only for the trainings
  export CUDA_MPS_PIPE_DIRECTORY=$work/mps CUDA_MPS_LOG_DIRECTORY=$work/mps_log
  mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
  if timeout 10 nvidia-cuda-mps-control -d >> "$out/log.txt" 2>&1 &&
    timeout 30 "$python" -c 'import torch; torch.ones(9, device="cuda").sum().item()' >> "$out/log.txt" 2>&1; then
    mps=$CUDA_MPS_PIPE_DIRECTORY
  else
    echo quit | timeout 10 nvidia-cuda-mps-control >> "$out/log.txt" 2>&1
  fi
  unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
fi
say "MPS: ${mps:-none}"

if [ -z "$toy" ]; then
  options=(--seconds "$(left $training)")
  # fills the cache of compiled code
  (sleep 60; step compile $(($(left $training) - 60)) nice "$python" "$here/step_costs.py" "$work/none" --compile-only \
    --seconds 150 > "$work/compile.log" 2>&1) &
  compiling=$!
else
  options=(--seconds 150 --epochs 1 --teacher-seconds 1 --probe-seconds 0.5 --workers 2 --batch-size 4 --skip 1)
fi
[ -z "$mps" ] || export CUDA_MPS_PIPE_DIRECTORY=$mps
step cifar100 "$(left $((training + 25)))" "$python" "$here/cifar100.py" "$work/train" "$work/test" \
  "$out/cifar100.jsonl" --work-dir "$work/runs" "${options[@]}" ${CIFAR100_ARGS:-} > "$work/cifar100.log" 2>&1
unset CUDA_MPS_PIPE_DIRECTORY
grep ' s\] ' "$work/cifar100.log"
[ -z "${compiling:-}" ] || wait "$compiling"
[ -z "$mps" ] || echo quit | CUDA_MPS_PIPE_DIRECTORY=$mps timeout 10 nvidia-cuda-mps-control

# --- 2. alone, for clean times
[ ! -e "$work/has_ops" ] || export PYTHONPATH=$work/ops:$PYTHONPATH
nvidia-smi --query-gpu=name,clocks.sm,clocks.mem,memory.used,utilization.gpu --format=csv >> "$out/log.txt" 2>&1
nvidia-smi --query-compute-apps=pid,used_memory --format=csv >> "$out/log.txt" 2>&1
options=(--seconds "$(($(left $profiling) - 12))")
[ -z "$toy" ] || options=(--toy --rounds 1)
has_ops || { say 'mmcv has no ops: no detector'; options+=(--models classifier); }
step step-costs "$(left $profiling)" "$python" "$here/step_costs.py" "$out/step_costs.jsonl" "${options[@]}" \
  > "$work/step_costs.log" 2>&1
grep '^{' "$work/step_costs.log" | cut -c1-400

# --- 3. the tests that need a GPU; on a CPU those that make sense there
tests=(-q -rfE --tb=short -p no:cacheprovider -W ignore --continue-on-collection-errors)
"$python" -c 'import pytest_timeout' 2> /dev/null && tests+=(--timeout=120)
[ -z "$toy" ] || export DPK_MM_TEST_DEVICE=cpu
has_ops || tests+=(-k 'not detector')
step gpu-tests "$(left $finish)" "$python" -m pytest "${tests[@]}" -v -m gpu tests/test_training/test_cuda.py \
  > "$out/gpu_tests.log" 2>&1
tail -3 "$out/gpu_tests.log"
tar -C "$work" -czf "$out/logs.tar.gz" $(cd "$work" && ls ./*.log) 2>> "$out/log.txt"
say "done; in $out: $(cd "$out" && du -ab --max-depth 1 | tr '\n\t' '; ')"
rm -rf "$work"
if [ -n "$toy" ]; then
  # a try is to fail where a measurement would only have a gap
  grep -q '"kind": "run"' "$out/cifar100.jsonl" && grep -q '"ratio"' "$out/step_costs.jsonl" &&
    ! grep -q '"failed"\|"error"\|"process died"\|"hangs"' "$out/cifar100.jsonl" "$out/step_costs.jsonl" &&
    grep -qE '(passed|skipped)' "$out/gpu_tests.log" && ! grep -qE '[0-9]+ (failed|error)' "$out/gpu_tests.log"
fi
