"""Leave out of mmcv's CUDA sources what no model here calls: the build takes a fifth of the time.

A CUDA op that is left out says, when it is called, that it has no implementation. All ops of the CPU stay.

usage: trim_mmcv.py SOURCE_FOLDER
"""

import re
import sys
from pathlib import Path

# operations whose `NAME_cuda.cu` stays
KEPT = 'nms roi_align roi_pool focal_loss deform_conv modulated_deform_conv ms_deform_attn bbox_overlaps'
folder = Path(sys.argv[1]) / 'mmcv/ops/csrc/pytorch/cuda'
kept = {f'{name}_cuda.cu' for name in KEPT.split()}
for path in folder.glob('*.cu'):
    if path.name not in kept:
        path.unlink()
defined = ''.join(path.read_text() for path in folder.glob('*.cu'))

chunks, lines, depth = [], [], 0
for line in (folder / 'cudabind.cpp').read_text().splitlines(keepends=True):
    lines.append(line)
    depth += line.count('{') - line.count('}')
    if depth == 0 and (line.startswith('#') or not line.strip() or line.rstrip().endswith((';', '}'))):
        chunks.append(''.join(lines))
        lines = []


def name_of(chunk):
    found = re.search(r'(\w+)\s*\(', chunk)
    return found and found[1]


bodies = {name_of(chunk) for chunk in chunks if '{' in chunk}
missing = {
    name_of(c)
    for c in chunks
    if '{' not in c
    and 'REGISTER' not in c
    and name_of(c)
    and '_impl' not in name_of(c)
    and name_of(c) not in bodies
    and not re.search(rf'\b{name_of(c)}\b', defined)
}
while True:
    pattern = re.compile(r'\b(' + '|'.join(sorted(missing)) + r')\b')
    more = {name_of(c) for c in chunks if '{' in c and pattern.search(c)} - missing
    if not more:
        break
    missing |= more
left = [chunk for chunk in chunks if not pattern.search(chunk)]
(folder / 'cudabind.cpp').write_text(''.join(left))
# these call CUDA past the table of implementations, where they are told that there is CUDA
for name in ('nms_quadri', 'nms_rotated', 'spconv_ops'):
    path = folder.parent / f'{name}.cpp'
    path.write_text('#undef MMCV_WITH_CUDA\n' + path.read_text())
registered, before = (sum('REGISTER' in chunk for chunk in some) for some in (left, chunks))
print(f'{len(kept)} CUDA files, {registered} of {before} functions')
