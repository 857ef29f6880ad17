"""Give hostile files to every door: none may run code, take all memory, or hang."""

import io
import json
import os
import pickle
import random
import resource
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import processes
import tiny_cls
import torch
from tiny import Call, runs_code

N = 100
SECONDS = 200
# what a door may take beside what is there before, in bytes
MEMORY = 1 << 30


def payloads(mark):
    """Objects whose unpickling leaves a file behind, or takes memory."""
    touch = f'open({str(mark)!r}, "w").close()'
    system = Call(os.system, f'touch {mark}')
    return dict(
        system=system,
        eval=Call(eval, touch.replace('open', '__import__("builtins").open')),
        exec=runs_code(mark),
        getattr=Call(getattr, Call(__import__, 'os'), 'system'),
        mkdir=Call(os.mkdir, str(mark)),
        open=Call(open, str(mark), 'w'),
        save=Call(np.save, f'{mark}.npy', 1),
        load=Call(torch.load, str(mark)),
        nested=[dict(a=(system, 1))],
        key={system: 1},
        bytearray=Call(bytearray, 3 << 30),
        array=Call(np.ndarray, (3 << 30,)),
        expanded=torch.ones(1).expand(1 << 16, 1 << 16),
    )


def checkpoint(path, rng, mark):
    """A hostile checkpoint."""
    how = rng.choice(
        ['payload'] * 5
        + ['pickle', 'damage', 'deflated', 'short', 'declared', 'pipe', 'link', 'names']
        + ['config', 'bomb', 'strides']
    )
    weights = {f'backbone.{i}': torch.ones(3, 3) for i in range(4)}
    if how == 'payload':
        what = rng.choice(list(payloads(mark)))
        content = dict(state_dict=dict(weights), meta=dict(epoch=1, iter=4))
        place = rng.choice(['top', 'meta', 'weights', 'whole'])
        if place == 'whole':
            content = payloads(mark)[what]
        else:
            {'top': content, 'meta': content['meta'], 'weights': content['state_dict']}[place]['x'] = (
                payloads(mark)[what]
            )
        torch.save(content, path, _use_new_zipfile_serialization=rng.random() < 0.6)
        return f'{how} {what} {place}'
    whole = dict(state_dict=weights, meta=dict(epoch=1, iter=4), message_hub={}, param_schedulers=[])
    if how == 'config':  # which mmengine runs where it resumes
        whole['meta']['config'] = f'open({str(mark)!r}, "w").close()'
    elif how == 'bomb':
        whole['message_hub'] = [1, 1]
        for _ in range(50):
            whole['message_hub'] = [whole['message_hub']] * 2
    elif how == 'strides':
        function, args = torch.ones(4).__reduce_ex__(2)
        weights['x'] = Call(function, *args[:3], (1 << 33,), *args[4:])
    torch.save(whole, path, _use_new_zipfile_serialization=how != 'strides')
    if how == 'pickle':
        what = rng.choice(['system', 'eval', 'exec', 'open'])
        path.write_bytes(pickle.dumps(dict(state_dict=payloads(mark)[what]), rng.randint(0, 5)))
    elif how == 'damage':
        content = bytearray(path.read_bytes())
        for _ in range(rng.randint(1, 200)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content[: rng.randint(1, len(content))])
    elif how == 'deflated':
        torch.save(dict(state_dict=dict(a=torch.zeros(3 << 20))), path)
        _rezip(
            path, lambda name, content: content * (64 if name.endswith('data/0') else 1), zipfile.ZIP_DEFLATED
        )
    elif how == 'short':
        _rezip(path, lambda name, content: content[:3] if '/data/' in name else content)
    elif how == 'declared':
        torch.save(dict(a=torch.zeros(1 << 20)), path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:600])
    elif how == 'names':
        _rezip(path, lambda name, content: content, rename=lambda name: name.replace('data/', '../../data/'))
    elif how in ('pipe', 'link'):
        path.unlink()
        os.mkfifo(path) if how == 'pipe' else path.symlink_to('/dev/zero')
    return how


def _rezip(path, change, kind=zipfile.ZIP_STORED, rename=str):
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, 'w', kind) as new:
        for name in old.namelist():
            new.writestr(rename(name), change(name, old.read(name)))
    path.write_bytes(content.getvalue())


def npz(path, rng, mark):
    """A hostile npz file."""
    how = rng.choice(['object', 'bomb', 'header', 'tiny', 'damage', 'names', 'pipe'])
    x, y = np.zeros((4, 8, 8, 3), np.uint8), np.arange(4)
    if how == 'object':
        x = np.array([Call(os.system, f'touch {mark}')] * 4, dtype=object)
    elif how == 'bomb':
        x, y = np.zeros((1 << 16, 64, 64, 3), np.uint8), np.zeros(1 << 16, np.uint8)
    elif how == 'tiny':
        x, y = np.zeros((20 << 20, 1, 1), np.uint8), np.zeros(20 << 20, np.uint8)
    (np.savez_compressed if how in ('bomb', 'tiny') else np.savez)(path, x=x, y=y)
    if how == 'header':
        _rezip(path, lambda name, content: content.replace(b'(4, 8, 8, 3)', b'(4, 8, 8, 3 << 28)'[:12]))
    elif how == 'damage':
        content = bytearray(path.read_bytes())
        for _ in range(30):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
    elif how == 'names':
        with zipfile.ZipFile(path, 'w') as archive:
            for i in range(20000):
                archive.writestr(f'{i}.npy', b'')
    elif how == 'pipe':
        path.unlink()
        os.mkfifo(path)
    return how


def text(path, rng, mark):
    """A hostile YAML, JSON or CSV file."""
    run = f'!!python/object/apply:os.system ["touch {mark}"]'
    kinds = dict(
        run=f'model: {run}\n',
        new=f'model:\n  type: !!python/object/new:os.system ["touch {mark}"]\n',
        name='model: !!python/name:os.system\n',
        laughs='a0: &a0 [1, 1]\n' + ''.join(f'a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n' for i in range(1, 40)),
        deep='[' * 200000,
        number='{"a": ' + '9' * 100000 + '}',
        json=json.dumps(dict(model=dict(type='os.system'))),
        binary='\0' * 1000,
        csv='method,seed,top1\n' + ','.join('a' * 200000 for _ in range(3)) + '\n',
        types='method,seed\nx,' + '9' * 5000 + '\n',
        line='{"step": 1, "ratio_a": ' + ' ' * (2 << 20) + '1}',
    )
    how = rng.choice(list(kinds))
    path.write_text(kinds[how], encoding='utf-8')
    return how


def _teacher(path, folder):
    teacher = dict(config=tiny_cls.classifier(), checkpoint=str(path))
    processes.tiny.build(dict(tiny_cls.distiller(), teacher=teacher))


def _tool(name, *argv):
    """Run one of the commands."""
    import importlib.util

    path = Path(__file__).parents[2] / 'tools' / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(arg) for arg in argv])


def _train(path, folder, *options):
    _tool('train.py', folder / 'config.py', '--work-dir', folder / 'run', *options)


def _auto_resume(path, folder):
    (folder / 'run').mkdir()
    shutil.move(path, folder / 'run/epoch_1.pth')
    (folder / 'run/last_checkpoint').write_text(str(folder / 'run/epoch_1.pth'))
    _train(path, folder, '--resume')


def _worker(path, folder):
    from dpk_mm.compare.worker import newest_checkpoint

    shutil.move(path, folder / 'epoch_1.pth')
    if newest_checkpoint(folder) is None:
        raise ValueError('passed over')


def _lock(path, folder):
    from dpk_mm.utils.locks import only_one

    shutil.move(path, folder / 'lock')
    with only_one(folder):
        pass


def _data(path, folder):
    from dpk_mm.datasets import NpzDataset

    NpzDataset(str(path), pipeline=[]).full_init()


def _config(path, folder):
    from dpk_mm.utils.runner import load_config

    name = path.with_suffix('.yaml')
    shutil.move(path, name)
    load_config(str(name))


def _json(path, folder):
    from dpk_mm.utils.files import read_json

    read_json(path, 'metrics')


def _csv(path, folder):
    from dpk_mm.compare.csv_files import read_csv

    read_csv(path.read_text(encoding='utf-8'))


def _log(path, folder):
    from dpk_mm.utils import read_ratios

    shutil.move(path, folder / 'scalars.json')
    read_ratios(folder)


DOORS = [
    (checkpoint, 'teacher', _teacher),
    (
        checkpoint,
        'load_from',
        lambda path, folder: _train(path, folder, '--cfg-options', f'load_from={path}'),
    ),
    (checkpoint, 'resume', lambda path, folder: _train(path, folder, '--resume', str(path))),
    (checkpoint, 'auto resume', _auto_resume),
    (
        checkpoint,
        'test',
        lambda path, folder: _tool('test.py', folder / 'config.py', path, '--work-dir', folder / 'run'),
    ),
    (
        checkpoint,
        'export',
        lambda path, folder: _tool('model_converters/export_student.py', path, folder / 'out.pth'),
    ),
    (checkpoint, 'compare', _worker),
    (checkpoint, 'lock', _lock),
    (npz, 'npz', _data),
    (text, 'config', _config),
    (text, 'json', _json),
    (text, 'csv', _csv),
    (text, 'log', _log),
]


def run(seed, n):
    """``n`` files, through each of the doors in turn."""
    rng = random.Random(seed)
    base = Path(tempfile.mkdtemp(prefix='campaign_'))
    data = tiny_cls.write_cifar(base / 'cifar')
    figures = dict(files=0, executed=0, refused_in_one_line=0, opened_harmlessly=0)
    figures.update(other_error=0, hung=0, crashed=0, most_memory_mb=0.0)
    how_often = Counter()
    for i in range(n):
        if processes.late():
            break
        make, door, enter = DOORS[(i + seed) % len(DOORS)]
        folder = base / str(i)
        folder.mkdir()
        mark, path, log = folder / 'executed', folder / f'file.{make.__name__[:3]}', folder / 'log'
        how = make(path, rng, mark)
        cfg = tiny_cls.training_cfg(tiny_cls.classifier(), data, folder / 'run', epochs=1)
        for part in ('dataloader', 'evaluator', 'cfg'):
            cfg[f'test_{part}'] = cfg[f'val_{part}']
        cfg.dump(folder / 'config.py')
        code = processes.wait(processes.fork(partial(_enter, enter, path, folder), log), SECONDS)
        said = log.read_text(errors='replace')
        memory = max([0, *(int(line.split()[1]) for line in said.splitlines() if line.startswith('MEMORY '))])
        ran = mark.exists() or Path(f'{mark}.npy').exists()
        outcome = (
            'executed'
            if ran
            else 'hung'
            if code is None
            else 'crashed'
            if code < 0 or memory > MEMORY or 'MemoryError' in said
            else 'opened_harmlessly'
            if code == 0
            else 'refused_in_one_line'
            if code == 2
            else 'other_error'
        )
        figures['files'] += 1
        figures[outcome] += 1
        figures['most_memory_mb'] = max(figures['most_memory_mb'], memory / 1e6)
        how_often[door] += 1
        print(f'{i} {door}, {how}: {outcome}', flush=True)
        if outcome in ('executed', 'hung', 'crashed', 'other_error'):
            print('    ' + '\n    '.join(said.splitlines()[-4:]), flush=True)
        else:
            shutil.rmtree(folder)
    print(dict(how_often))
    return figures


def _enter(enter, path, folder):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        enter(path, folder)
    except (ValueError, OSError) as error:  # what libraries promise for a mistake; commands make a line of it
        sys.exit(' '.join(str(error).split()) or 'without a word')
    finally:
        print(f'\nMEMORY {1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)}', flush=True)
