"""CIFAR-100 from mosaics: what ``prepare.sh`` packs, and what the training reads.

An archive holds lossless WebP pictures of ``rows`` x ``cols`` images each, in ``blob`` from ``off[i]`` to
``off[i + 1]``, and the ``n`` labels ``y``.

usage: images.py count FILE.npz                    how many pictures
       images.py fit FILE.npz FROM BYTES           up to which picture they fit, from FROM on
       images.py take FILE.npz TO.npz FROM UP_TO   keep some of the pictures
       images.py unpack FOLDER FILE.npz...         write x.npy (N, 32, 32, 3) uint8 and y.npy (N,) int64
       images.py invent FOLDER N                   the same with N images that are noise
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def fit(source, first, room):
    with np.load(source) as file:
        room -= 20_000 + 10 * int(file['n'])  # labels, and what an archive adds
        return first + int((file['off'][first + 1 :] - file['off'][first] <= room).sum())


def take(source, target, first, last):
    with np.load(source) as file:
        per = int(file['rows']) * int(file['cols'])
        y, ends = file['y'][first * per : last * per], file['off'][first : last + 1]
        blob = file['blob'][ends[0] : ends[-1]]
        np.savez(
            target,
            n=len(y),
            y=y,
            off=ends - ends[0],
            blob=blob,
            **{k: file[k] for k in ('s', 'rows', 'cols')},
        )


def read(path):
    with np.load(path) as file:
        size, rows, cols = (int(file[name]) for name in ('s', 'rows', 'cols'))
        blob, ends = file['blob'], file['off']
        pictures = [Image.open(io.BytesIO(blob[a:b].tobytes())) for a, b in zip(ends[:-1], ends[1:])]
        grid = np.stack([np.asarray(picture.convert('RGB')) for picture in pictures])
        grid = grid.reshape(-1, rows, size, cols, size, 3).swapaxes(2, 3)
        return grid.reshape(-1, size, size, 3)[: int(file['n'])], file['y'].astype(np.int64)


def write(folder, x, y):
    Path(folder).mkdir(parents=True, exist_ok=True)
    np.save(f'{folder}/x.npy', x)
    np.save(f'{folder}/y.npy', y)
    print(f'{folder}: {len(x)} images')


def main(command, *args):
    if command == 'take':
        take(*args[:2], int(args[2]), int(args[3]))
    elif command == 'count':
        with np.load(args[0]) as file:
            print(len(file['off']) - 1)
    elif command == 'fit':
        print(fit(args[0], int(args[1]), int(args[2])))
    elif command == 'unpack':
        parts = [read(path) for path in args[1:]]
        write(args[0], *(np.concatenate(part) for part in zip(*parts)))
    elif command == 'invent':
        draw = np.random.default_rng(0)
        n = int(args[1])
        write(args[0], draw.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), np.arange(n) % 100)
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    main(*sys.argv[1:])
