#!/usr/bin/env bash
# Compile mmcv with the CUDA ops that detectors here call.
# usage: [PYTHON=...] [JOBS=2] [TORCH_CUDA_ARCH_LIST=9.0] build_mmcv.sh SOURCE OUT
# SOURCE is changed; OUT gets the wheel. A build that was stopped goes on where it was.
set -euo pipefail
source=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
[ -f "$source/trimmed" ] || { "$python" "$here/trim_mmcv.py" "$source" && touch "$source/trimmed"; }
CUDA_HOME=${CUDA_HOME:-$(dirname "$(dirname "$(realpath "$(command -v nvcc)")")")}
eval "$("$python" - << 'EOF'
import glob, os, site, sysconfig, torch
root = os.path.dirname(torch.__file__)
print(f'torch={root} include={sysconfig.get_path("include")}')
# where torch's CUDA came as wheels, its headers and libraries lie there
found = glob.glob(os.path.join(os.path.dirname(root), 'nvidia/cu*/include'))
print(f'nvidia={found[0] if found else ""}')
EOF
)"
export CUDA_HOME MMCV_WITH_OPS=1 FORCE_CUDA=1 MAX_JOBS=${JOBS:-2} TORCH_CUDA_ARCH_LIST=${TORCH_CUDA_ARCH_LIST:-9.0}
export PATH=$(dirname "$("$python" -c 'import sys; print(sys.executable)')"):$PATH
if [ -n "$nvidia" ]; then export CPATH=$nvidia LIBRARY_PATH=${nvidia%include}lib; fi
# torch's headers once instead of in each of 80 files: a quarter of the time
header=$source/headers/all.hpp
if [ ! -f "$header.gch" ]; then
  mkdir -p "$source/headers"
  echo '#include <torch/types.h>' > "$header"
  c++ -x c++-header -g0 -O1 -fPIC -std=c++17 -DMMCV_WITH_CUDA -DTORCH_API_INCLUDE_EXTENSION_H \
    -DTORCH_EXTENSION_NAME=_ext -I"$torch/include" -I"$torch/include/torch/csrc/api/include" -I"$CUDA_HOME/include" \
    -I"$include" "$header" -o "$header.gch" || rm -f "$header.gch"
fi
export CFLAGS="-g0 -O1 -include $header"
cd "$source"
"$python" setup.py -q bdist_wheel -d "$out"
