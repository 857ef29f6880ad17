#!/usr/bin/env bash
# Gather, in OUT, all that run.sh needs on a machine that has torch and a GPU, but no way to a package registry.
#
# usage: prepare.sh OUT [COMMIT] [DATA]
#   COMMIT       what is tried there (default: HEAD)
#   DATA         folder of cifar100_train_a.npz, ..._train_b.npz and cifar100_test.npz (default: $CIFAR100_NPZ)
#   PYTHON       python with pip whose wheels fit that machine (default: python3.12); with torch and nvcc beside it,
#                mmcv's CUDA ops are compiled here. Else mmcv goes without its ops, with its source: that machine
#                compiles them while it trains classifiers
#   MMCV_WHEEL   such a wheel, made before
#   WHEELS       folder of wheels gathered before
#   LIMIT_MB     of OUT (default: 60). Training images fill what is left; OUT.more, of the same size at most, gets
#                those that did not fit
set -euo pipefail
out=${1:?usage: prepare.sh OUT [COMMIT] [DATA]}
commit=${2:-HEAD}
data=${3:-${CIFAR100_NPZ:?give the folder of CIFAR-100, or set CIFAR100_NPZ}}
python=${PYTHON:-python3.12}
limit=$((${LIMIT_MB:-60} * 1000000))
here=$(cd "$(dirname "$0")" && pwd)
root=$(git -C "$here" rev-parse --show-toplevel)
rm -rf "$out" "$out.more"
mkdir -p "$out/wheels" "$out/data" "$out.more/data"

# what CUDA images commonly hold (numpy, opencv, matplotlib, scipy, ...) is not gathered
packages=(mmengine==0.10.7 mmdet==3.3.0 mmpretrain==1.2.0 addict yapf termcolor terminaltables pycocotools==2.0.11
  shapely setuptools==80.9.0 platformdirs modelindex model-index mat4py ordered-set 'importlib-metadata<9')  # 10 wants lazy-importer
if [ -n "${WHEELS:-}" ]; then
  cp "$WHEELS"/*.whl "$out/wheels"
else
  platforms=()
  for name in any manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_24_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64; do
    platforms+=(--platform "$name")
  done
  "$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    "${platforms[@]}" -d "$out/wheels" "${packages[@]}"
fi

if [ -n "${MMCV_WHEEL:-}" ]; then
  cp "$MMCV_WHEEL" "$out/wheels"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # its setup.py wants pkg_resources even to be downloaded
  "$python" -m venv --system-site-packages "$work/env"
  "$work/env/bin/pip" install -q wheel ninja 'setuptools<80.9'
  "$work/env/bin/pip" download -q --no-deps --no-binary=:all: --no-build-isolation -d "$work" mmcv==2.1.0
  if command -v nvcc > /dev/null && "$work/env/bin/python" -c 'import torch; assert torch.version.cuda' 2> /dev/null; then
    tar xf "$work"/mmcv-2.1.0.tar.gz -C "$work"
    PYTHON=$work/env/bin/python bash "$here/build_mmcv.sh" "$work/mmcv-2.1.0" "$out/wheels"
  else
    echo "no nvcc, or no CUDA build of torch for $python: mmcv is compiled there"
    cp "$work"/mmcv-2.1.0.tar.gz "$out/wheels"
    MMCV_WITH_OPS=0 "$work/env/bin/pip" wheel -q --no-deps --no-build-isolation -w "$out/wheels" "$work/mmcv-2.1.0.tar.gz"
  fi
fi

# pictures and weights of other studies no test opens
git -C "$root" archive --prefix=checkout/ "$commit" -- . ':!*.png' ':!*cifar100_short*.pth' | xz > "$out/checkout.tar.xz"

cp "$data"/*test.npz "$out/data"
images=$here/images.py
for part in a b; do
  source=$data/cifar100_train_$part.npz
  total=$("$python" "$images" count "$source")
  from=0
  for folder in "$out" "$out.more"; do
    to=$("$python" "$images" fit "$source" "$from" "$((limit - $(du -sb "$folder" | cut -f1)))")
    [ "$to" -le "$from" ] || "$python" "$images" take "$source" "$folder/data/train_$part$from.npz" "$from" "$to"
    from=$to
  done
  [ "$from" -eq "$total" ] || echo "$((total - from)) of the $total mosaics of $source do not fit"
done
du -bc "$out"/* "$out/wheels"/mmcv* "$out.more/data"/* | sed '$d'
echo "$(git -C "$root" rev-parse --short "$commit"): $out $(($(du -sb "$out" | cut -f1) / 1000000)) MB, $out.more $(($(du -sb "$out.more" | cut -f1) / 1000000)) MB"
