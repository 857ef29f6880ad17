"""experiments/cifar100_30ep tests after each epoch, and lists what its runs reached."""

import json

import tiny
import tiny_cls
import torch

from dpk_mm.compare.run import run_folder
from experiments.cifar100_30ep import list_epochs, test_each_epoch


def test_a_run_that_is_tested_each_epoch_is_the_same_run(tmp_path):
    data = tiny_cls.write_cifar(tmp_path / 'data')
    runners = []
    for name, hooks in (('plain', []), ('tested', [dict(type=test_each_epoch.TestEachEpochHook)])):
        cfg = tiny_cls.training_cfg(tiny_cls.classifier(), data, tmp_path / name, custom_hooks=hooks)
        flip = dict(type='RandomFlip', prob=0.5, direction='horizontal')
        cfg.train_dataloader.dataset.pipeline.insert(0, flip)
        folder = tmp_path / name
        folder.mkdir()
        settings = dict(test=dict(test_dataloader=cfg.val_dataloader.to_dict()))
        (folder / 'settings.json').write_text(json.dumps(settings))
        runners.append(tiny.train(cfg))
    plain, tested = (runner.model.state_dict() for runner in runners)
    assert all(torch.equal(plain[key], tested[key]) for key in plain)
    reached = list_epochs.read_epochs(tmp_path / 'tested')
    assert list(reached) == [1, 2]
    assert reached[2] == runners[1].val()['accuracy/top1']


def test_the_epochs_of_finished_runs_are_listed(tmp_path):
    for method, seed in (('dpk, cka', 0), ('dpk, cka', 1), ('kd', 0)):
        folder = run_folder(tmp_path, method, seed)
        for day, lines in dict(a=[(1, 5.0), (2, 6.0)], b=[(2, 6.5), (10, 7.126)]).items():
            (folder / day).mkdir(parents=True)
            text = ''.join(json.dumps({'test/top1': top1, 'step': step}) + '\n' for step, top1 in lines)
            (folder / day / 'scalars.json').write_text('{"loss": 1.0, "step": 1}\n' + text)
    for seed in (0, 1):
        (run_folder(tmp_path, 'dpk, cka', seed) / 'result.json').write_text('{}')
    list_epochs.main(str(tmp_path), str(tmp_path))
    lines = (tmp_path / 'epochs.csv').read_text().splitlines()
    assert lines[:4] == [
        'method,seed,epoch,top1',
        '"dpk, cka",0,1,5.00',
        '"dpk, cka",0,2,6.50',
        '"dpk, cka",0,10,7.13',
    ]
    assert len(lines) == 7
