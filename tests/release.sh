#!/usr/bin/env bash
# A release, as its user meets it: sdist -> wheel -> install -> train -> test with stock tools -> uninstall -> test again.
#
# usage: bash tests/release.sh [FOLDER]   after `make setup`; FOLDER must not exist, and keeps what is made
#   STACK=onedl   on the maintained forks, after `make setup STACK=onedl`
#
# To publish: set the version in dpk_mm/version.py, run this, and `twine upload FOLDER/dpk_mm-*`.
# The fresh environment sees the packages of .venv, all but dpk_mm, so nothing is downloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ $# -gt 0 ]; then
  mkdir "$1"
  work=$(realpath "$1")
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
export OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH

# Runs a command quietly, and shows the end of what it printed where it fails.
step() { # WHAT COMMAND...
  echo "release: $1 (${SECONDS} s)"
  if ! "${@:2}" >"$work/log" 2>&1; then
    tail -n 20 "$work/log" >&2
    echo "release: failed: $1" >&2
    exit 1
  fi
}

# --- build, from what git tracks -----------------------------------------------------------------------------------------
venv=.venv
if [ "${STACK:-upstream}" = onedl ]; then venv=.venv-onedl; fi
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir "$work/source" "$work/packages" "$work/run"
git ls-files -z | xargs -0 cp --parents -t "$work/source"
for path in "$packages"/*; do
  case ${path##*/} in *dpk_mm* | *.pth | _virtualenv.py | pip | pip-* | __pycache__) ;; *) ln -s "$path" "$work/packages" ;; esac
done
step 'a fresh environment' "$venv/bin/python" -m venv "$work/env"
python=$work/env/bin/python
own=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$own"/setuptools* "$own"/pkg_resources "$own"/_distutils_hack "$own"/distutils-precedence.pth # .venv's are used
echo "$work/packages" >"$own/stack.pth"
cp -r demo/detection/configs "$work/run/det"
cp demo/classification/configs/_base_/digits_classification.py "$work/run"
cp demo/make_data.py "$work"
cd "$work"
step 'sdist' bash -c "cd source && '$python' setup.py sdist --dist-dir .."
step 'wheel, from the sdist' "$python" -m pip wheel --no-index --no-deps --no-build-isolation dpk_mm-*.tar.gz

# --- install: no other package changes -----------------------------------------------------------------------------------
"$python" -m pip freeze --all >before.txt
step 'install' "$python" -m pip install --no-index dpk_mm-*.whl
"$python" -m pip freeze --all >after.txt
change=$(diff before.txt after.txt | grep '^[<>]') || true
[[ $change == '> dpk_mm @ '* && $change != *$'\n'* ]] || { echo "release: pip changed more: $change" >&2 && exit 1; }

# --- train: a detector with our tool, a classifier by three lines and with its own tool ------------------------------------
cd run
cat >student.py <<'EOF'
_base_ = ['mmpretrain::_base_/models/resnet18_cifar.py', './digits_classification.py', 'mmpretrain::_base_/default_runtime.py']
model = dict(backbone=dict(stem_channels=8, base_channels=8), head=dict(num_classes=10, in_channels=64, topk=(1,)))
train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=100)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
EOF
cat >teacher.py <<'EOF'
_base_ = './student.py'
model = dict(backbone=dict(depth=34))
EOF
cat >distill.py <<'EOF'
_base_ = './student.py'
teacher = dict(config='teacher.py', allow_incomplete=True)  # random: nobody measures it
model = dict(_delete_=True, type='dpk_mm.DPKDistiller', student=_base_.model, teacher=teacher, input_shape=(16, 16))
default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook'))
EOF
step 'data' "$python" -c "
import sys, pathlib
sys.path.append('$work')
import make_data
root = pathlib.Path('work_dirs')
for split, part in (('train', 'train'), ('test', 'test')):
    make_data.make_classification(root / 'demo_cls/data', split, 64, part)
for split in ('train', 'val'):
    make_data.make_detection(root / 'demo/data', split, 64)
"
tools=$own/dpk_mm/.mim/tools
step 'train a detector, with tools/train.py' \
  "$python" "$tools/train.py" det/retinanet_r34_r18_digits.py --work-dir mmdet --cfg-options train_cfg.max_epochs=1
step "train a classifier, with mmpretrain's train.py" \
  "$python" "$packages/mmpretrain/.mim/tools/train.py" distill.py --work-dir mmpretrain

# --- stock tools, with dpk_mm and without ----------------------------------------------------------------------------------
declare -A config=([mmdet]=det/retinanet_r18_digits.py [mmpretrain]=student.py)
stock() { # PACKAGE CHECKPOINT OUT
  step "test $2 with $1's test.py" "$python" "$packages/$1/.mim/tools/test.py" "${config[$1]}" "$2" --work-dir tested --out "$3"
  if grep -q 'missing keys' "$work/log"; then
    grep -A 3 'missing keys' "$work/log" >&2
    exit 1
  fi
}
for package in mmdet mmpretrain; do
  stock $package $package/epoch_1.pth $package-0.pkl
  step 'export the student' "$python" "$tools/model_converters/export_student.py" $package/epoch_1.pth $package/student.pth
done
step 'uninstall' "$python" -m pip uninstall -y dpk_mm
"$python" -m pip freeze --all | diff "$work/before.txt" -
if "$python" -c 'import dpk_mm' 2>/dev/null; then echo 'release: dpk_mm is still there' >&2 && exit 1; fi
for package in mmdet mmpretrain; do
  stock $package $package/epoch_1.pth $package-1.pkl
  stock $package $package/student.pth $package-2.pkl
done
"$python" - <<'EOF'
import pickle

import torch


def same(one, other):
    """Whether two predictions are equal, to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


for package in ('mmdet', 'mmpretrain'):
    first, *others = (pickle.load(open(f'{package}-{number}.pkl', 'rb')) for number in range(3))
    assert len(first) == 64 and all(same(first, other) for other in others), package
EOF
echo "release: ok, the same predictions with and without dpk_mm ($SECONDS s)"
