"""A training that is interrupted loses nothing: checkpoints, gradients, and the work dir's lock."""

import contextlib
import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import tiny_cls
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.runner.checkpoint import get_state_dict

from dpk_mm.engine.hooks import plain_checkpoint_hook, resumed_run
from dpk_mm.engine.hooks.resumed_run import check_finite_weights
from dpk_mm.engine.hooks.safe_saving import Aside
from dpk_mm.models.distillers.inner_adamw import InnerAdamW
from dpk_mm.utils import cli, files
from dpk_mm.utils.errors import DivergedError, FieldError
from dpk_mm.utils.locks import only_one
from dpk_mm.utils.runner import only_training


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tiny_cls.write_cifar(tmp_path_factory.mktemp('cifar'))


@pytest.fixture
def cfg(data, tmp_path):
    """A plain classifier: four steps an epoch."""
    return tiny_cls.training_cfg(tiny_cls.classifier(), data, tmp_path / 'run')


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir() if path.is_file() and path.suffix != '.py')


def whole(path):
    return torch.load(path, weights_only=True)['meta']['epoch']


class Full(OSError):
    pass


def test_a_full_disk_leaves_the_last_whole_checkpoint(cfg, tmp_path, monkeypatch):
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    runner = tiny.build_runner(cfg)
    save = torch.save

    def fill(content, file, *args, **kwargs):
        if 'state_dict' in content and content['meta']['epoch'] == 2:
            raise Full(errno.ENOSPC, 'no space left')
        save(content, file, *args, **kwargs)

    monkeypatch.setattr('mmengine.runner.checkpoint.torch.save', fill)
    with pytest.raises(Full):
        runner.train()
    assert names(tmp_path / 'run') == ['epoch_1.pth', 'last_checkpoint', 'lock']
    assert whole(tmp_path / 'run/epoch_1.pth') == 1
    assert (tmp_path / 'run/last_checkpoint').read_text().endswith('epoch_1.pth')


def test_the_old_is_removed_after_the_new_is_whole(cfg, tmp_path, monkeypatch):
    """At each moment that something is put in place or removed, a whole checkpoint is there."""
    cfg.default_hooks.checkpoint.update(max_keep_ckpts=1, save_best='accuracy/top1', rule='greater')
    cfg.train_cfg.update(val_interval=1, max_epochs=3)
    seen = []

    def watch(owner, name):
        original = getattr(owner, name)

        def call(*args):
            if any(tmp_path.joinpath('run').glob('epoch_*.pth')):
                seen.append(max(map(whole, tmp_path.joinpath('run').glob('epoch_*.pth'))))
            return original(*args)

        monkeypatch.setattr(owner, name, call)

    watch(files, 'put_in_place')
    watch(plain_checkpoint_hook.PlainCheckpointHook, '_remove')
    tiny.train(cfg)
    assert seen == sorted(seen) and seen[-1] == 3
    found = names(tmp_path / 'run')
    assert [name for name in found if name.startswith('epoch')] == ['epoch_3.pth']
    assert len([name for name in found if name.startswith('best')]) == 1
    assert not [name for name in os.listdir(tmp_path / 'run') if 'draft' in name]


def test_a_kill_between_saving_and_removing_leaves_nothing_for_ever(cfg, tmp_path, monkeypatch):
    cfg.default_hooks.checkpoint.max_keep_ckpts = 1
    with monkeypatch.context() as patch:

        def killed(self, path):
            raise KeyboardInterrupt

        patch.setattr(plain_checkpoint_hook.PlainCheckpointHook, '_remove', killed)
        with pytest.raises(KeyboardInterrupt):
            tiny.train(cfg)
    assert {'epoch_1.pth', 'epoch_2.pth'} <= set(names(tmp_path / 'run'))
    (tmp_path / 'run/.epoch_3.pth.draft').write_text('of a kill')
    cfg.resume, cfg.train_cfg.max_epochs = True, 3
    tiny.train(cfg)
    assert names(tmp_path / 'run') == ['epoch_3.pth', 'last_checkpoint', 'lock']
    assert not (tmp_path / 'run/.epoch_3.pth.draft').exists()


def test_a_planted_link_is_not_written_through(cfg, tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'secret').write_text('kept')
    for name in ('.epoch_1.pth.draft', 'epoch_2.pth'):
        (tmp_path / 'run' / name).symlink_to(tmp_path / 'secret')
    tiny.train(cfg)
    assert (tmp_path / 'secret').read_text() == 'kept'
    assert whole(tmp_path / 'run/epoch_2.pth') == 2


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


def zero(path):
    """As a crash of the machine leaves a file that was not brought to the disk."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)


def change_compression(path):
    """One bit of the directory of a zip file, by which an entry is inflated that was not deflated."""
    content = bytearray(path.read_bytes())
    content[content.index(b'PK\1\2') + 10] ^= 8
    path.write_bytes(content)


def change_end(path):
    """One bit of the last record of a zip file: it says that it spans several disks."""
    content = bytearray(path.read_bytes())
    content[content.index(b'PK\6\7') + 16] ^= 2
    path.write_bytes(content)


@pytest.mark.parametrize(
    'harm', [cut, zero, change_compression, change_end, lambda path: path.write_bytes(b''), Path.unlink]
)
def test_resume_passes_over_a_damaged_file(cfg, tmp_path, harm, monkeypatch):
    tiny.train(cfg)
    path = tmp_path / 'run/epoch_2.pth'
    said = []
    monkeypatch.setattr('dpk_mm.utils.resume.print_log', lambda text, *args, **kwargs: said.append(text))
    harm(path)
    cfg.resume, cfg.train_cfg.max_epochs = True, 1
    runner = tiny.train(cfg)  # all was done
    assert runner.iter == 4 and len(said) == 1
    assert 'epoch_2.pth' in said[0] and said[0].endswith('epoch_1.pth.')


@pytest.mark.parametrize('content', [b'', b'\0\0\0', b'/nowhere/epoch_7.pth', b'\xff\xfe'])
def test_resume_passes_over_a_damaged_last_checkpoint(tmp_path, content, monkeypatch):
    from dpk_mm.utils.resume import newest_whole

    said = []
    monkeypatch.setattr('dpk_mm.utils.resume.print_log', lambda text, *args, **kwargs: said.append(text))
    for epoch in (10, 9):  # by age, not by name
        torch.save(dict(meta=dict(epoch=epoch)), tmp_path / f'epoch_{epoch}.pth')
        os.utime(tmp_path / f'epoch_{epoch}.pth', (1000 - epoch, 1000 - epoch))
    (tmp_path / 'last_checkpoint').write_bytes(content)
    assert newest_whole(tmp_path, tmp_path, 'epoch_*.pth').endswith('epoch_9.pth')
    assert len(said) == 1 and 'last_checkpoint' in said[0]


def test_names_of_checkpoints_may_be_padded(cfg):
    cfg.default_hooks.checkpoint.filename_tmpl = 'epoch_{:03d}.pth'
    cfg.train_cfg.max_epochs = 1
    tiny.train(cfg)
    cfg.resume, cfg.train_cfg.max_epochs = True, 2
    assert tiny.train(cfg).iter == 8


def test_a_folder_is_replaced_by_its_draft_or_comes_back(tmp_path, monkeypatch):
    """As strategies write checkpoints."""
    path, draft = tmp_path / 'epoch_1.pth', tmp_path / '.epoch_1.pth.draft'
    for folder, text in ((path, 'old'), (draft, 'new')):
        folder.mkdir()
        (folder / 'rank0').write_text(text)
    replace = os.replace

    def killed(one, other):
        if one == draft:
            raise KeyboardInterrupt
        replace(one, other)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, 'replace', killed)
        with pytest.raises(KeyboardInterrupt):
            files.put_in_place(draft, path)
    assert not path.exists()
    files.restore_replaced(tmp_path)
    assert (path / 'rank0').read_text() == 'old'
    files.put_in_place(draft, path)
    assert (path / 'rank0').read_text() == 'new' and [path] == list(tmp_path.iterdir())


class Shards:
    """A runner of a strategy in which each process writes a part."""

    def save_checkpoint(self, out_dir, filename, **kwargs):
        folder = Path(out_dir, filename)
        folder.mkdir(exist_ok=True, parents=True)
        torch.save(torch.ones(1), folder / f'rank{torch.distributed.get_rank()}.pth')


def _save_shards(folders, rank):
    store = f'file://{folders[0]}.store'
    torch.distributed.init_process_group('gloo', init_method=store, rank=rank, world_size=len(folders))
    aside = Aside(Shards(), is_local=True)
    for _ in range(2):  # the second replaces the first
        aside.save_checkpoint(str(folders[rank]), 'epoch_1.pth')


@pytest.mark.parametrize('places', ['aaa', 'abb'])
def test_shards_on_disks_of_each_machine(tmp_path, places):
    """Three processes, which see one folder or two."""
    folders = [tmp_path / place for place in places]
    (tmp_path / 'b/.epoch_1.pth.draft').mkdir(parents=True)
    (tmp_path / 'b/.epoch_1.pth.draft/rank7.pth').write_text('of a kill')
    context = torch.multiprocessing.get_context('fork')
    workers = [context.Process(target=_save_shards, args=(folders, rank)) for rank in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    for place in set(places):
        own = {f'rank{rank}.pth' for rank in range(3) if places[rank] == place}
        assert {path.name for path in (tmp_path / place / 'epoch_1.pth').iterdir()} == own
        assert [path.name for path in (tmp_path / place).iterdir()] == ['epoch_1.pth']


def test_resume_passes_over_damaged_shards(tmp_path):
    from dpk_mm.utils.resume import newest_whole

    for epoch in (1, 2):
        folder = tmp_path / f'epoch_{epoch}.pth'
        folder.mkdir()
        torch.save(torch.ones(1), folder / 'rank0.pth')
        os.utime(folder, (epoch, epoch))
    assert newest_whole(tmp_path, tmp_path, 'epoch_*.pth') == str(folder)
    (tmp_path / 'last_checkpoint').write_text(str(folder))
    cut(folder / 'rank0.pth')
    os.mkfifo(tmp_path / 'epoch_3.pth')
    assert newest_whole(tmp_path, tmp_path, 'epoch_*.pth') == str(tmp_path / 'epoch_1.pth')


def test_flexible_runner_does_not_resume_beside_another_training(cfg, tmp_path):
    """It resumes before it asks its hooks whether it may train."""
    runner = SimpleNamespace(_resume=True, _train_loop=object.__new__(EpochBasedTrainLoop), work_dir=tmp_path)
    pid = hold(tmp_path)
    try:
        with pytest.raises(ValueError, match='in use by process'):
            plain_checkpoint_hook.PlainCheckpointHook().after_load_checkpoint(runner, {})
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_a_moved_work_dir_and_no_whole_file(tmp_path):
    from dpk_mm.utils.resume import newest_whole

    assert newest_whole(tmp_path, tmp_path, 'epoch_*.pth') is None
    torch.save(dict(meta={}), tmp_path / 'epoch_1.pth')
    (tmp_path / 'last_checkpoint').write_text('/moved/epoch_1.pth')
    assert newest_whole(tmp_path, tmp_path, 'epoch_*.pth') == str(tmp_path / 'epoch_1.pth')
    cut(tmp_path / 'epoch_1.pth')
    for pattern in ('epoch_*.pth', 'iter_*.pth'):
        with pytest.raises(ValueError, match=r'no checkpoint in .* is whole \(epoch_1.pth is damaged'):
            newest_whole(tmp_path, tmp_path, pattern)


@pytest.mark.slow
@pytest.mark.parametrize('constructor', [None, 'dpk_mm.DistillOptimWrapperConstructor'])
def test_resume_within_an_accumulated_step_is_equal(data, tmp_path, constructor):
    """Four steps an epoch, three to an update: epochs end in the middle of one."""
    cfg = tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path / 'whole')
    cfg.optim_wrapper.accumulative_counts = 3
    cfg.train_cfg.max_epochs = 2
    if constructor:
        adamw = dict(type='AdamW', lr=1e-3)
        cfg.optim_wrapper.update(constructor=constructor, distiller=dict(optimizer=adamw))
    ends = get_state_dict(tiny.train(cfg).model)
    first = tmp_path / 'whole/epoch_1.pth'
    assert torch.load(first, weights_only=True)['gradients']
    cfg.work_dir, cfg.resume, cfg.load_from = str(tmp_path / 'rest'), True, str(first)
    resumed = get_state_dict(tiny.train(cfg).model)
    assert list(ends) == list(resumed)
    assert not [name for name in ends if not torch.equal(ends[name], resumed[name])]


@pytest.mark.parametrize('counts', [3, 4])
def test_resume_with_longer_steps_counts_in_epochs_of_now(one_epoch, monkeypatch, counts):
    """An epoch has two steps of its four, as with twice as many processes; old gradients go."""
    factors, restored = [], []

    class Watch(Hook):
        def before_train_iter(self, runner, **kwargs):
            factors.append(float(runner.optim_wrapper.scale_loss(torch.ones(()))))

    monkeypatch.setattr(plain_checkpoint_hook, 'restore_gradients', lambda *args: restored.append(args))
    path = Path(one_epoch.work_dir, 'epoch_1.pth')
    content = torch.load(path, weights_only=True)
    torch.save(dict(content, gradients={'head.fc.bias': torch.ones(1)}), path)
    one_epoch.merge_from_dict(
        dict(optim_wrapper=dict(accumulative_counts=counts), train_cfg=dict(max_epochs=3))
    )
    one_epoch.train_dataloader.batch_size *= 2
    runner = tiny.build_runner(one_epoch)
    runner.register_hook(Watch())
    runner.train()
    assert runner.iter == runner.max_iters == 6
    # those of the last step are divided by two, as there are no more
    assert factors == pytest.approx([1 / 3] * 4 if counts == 3 else [1 / 4] * 2 + [1 / 2] * 2)
    assert not restored


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_resume_without_a_seed_keeps_the_order(data, tmp_path, by_epoch, workers):
    """mmengine resumes the seed that was drawn, but the sampler has another that was drawn at this start."""

    def order(folder, **changes):
        seen = []

        class Watch(Hook):
            def before_train_iter(self, runner, batch_idx, data_batch=None):
                seen.append([image.float().mean().item() for image in data_batch['inputs']])

        cfg = tiny_cls.training_cfg(tiny_cls.classifier(), data, folder)
        cfg.randomness = dict(seed=None)
        cfg.train_dataloader.update(num_workers=workers)
        if not by_epoch:
            cfg.train_dataloader.sampler = dict(type='InfiniteSampler')
            cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=8)
            cfg.default_hooks.checkpoint.update(by_epoch=False, interval=4)
        cfg.merge_from_dict(changes)
        runner = tiny.build_runner(cfg)
        runner.register_hook(Watch())
        runner.train()
        return seen

    epochs = {'train_cfg.max_epochs': 2} if by_epoch else {}
    whole = order(tmp_path / 'whole', **epochs)
    first = tmp_path / 'whole' / ('epoch_1.pth' if by_epoch else 'iter_4.pth')
    assert len(whole) == 8
    assert order(tmp_path / 'rest', resume=True, load_from=str(first), **epochs) == whole[4:]


def hold(folder):
    """Another process that is within a folder, with a child of its own, as a dataloader has."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        with only_one(folder):
            if os.fork() == 0:
                time.sleep(60)
            os.write(writes, b'.')
            time.sleep(60)
            os._exit(0)
    assert os.read(reads, 1) == b'.'
    return pid


def test_two_trainings_in_one_work_dir(cfg, tmp_path):
    """The message names the process, and a kill releases the work dir at once."""
    pid = hold(tmp_path / 'run')
    try:
        with pytest.raises(ValueError, match=f'run is in use by process {pid} on '):
            tiny.train(cfg)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert not list((tmp_path / 'run').glob('*.pth'))
    tiny.train(cfg)  # its child still runs


def test_only_the_first_rank_locks(cfg, tmp_path, monkeypatch):
    """Of torchrun's processes, and of Slurm's; without a launcher each process is a first one."""
    pid = hold(tmp_path / 'run')
    try:
        monkeypatch.setenv('SLURM_PROCID', '0')  # as MPI's processes inherit it
        places = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK', none='RANK')
        for launcher, name in places.items():
            cfg.launcher = launcher
            with monkeypatch.context() as patch:
                patch.setenv(name, '1')
                refused = pytest.raises(ValueError, match='in use by process')
                with refused if launcher == 'none' else contextlib.nullcontext(), only_training(cfg):
                    pass
                patch.setenv(name, '0')
                with pytest.raises(ValueError, match='in use by process'), only_training(cfg):
                    pass
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_a_planted_lock_is_not_followed(tmp_path):
    (tmp_path / 'secret').write_text('kept')
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/lock').symlink_to(tmp_path / 'secret')
    (tmp_path / 'b').mkdir()
    os.mkfifo(tmp_path / 'b/lock')
    start = time.monotonic()
    for name in 'ab':
        with pytest.raises(OSError, match='lock'), only_one(tmp_path / name):
            pass
    assert (tmp_path / 'secret').read_text() == 'kept' and time.monotonic() - start < 5


def test_an_unwritable_folder_of_checkpoints_is_found_before_the_first_step(cfg, tmp_path):
    (tmp_path / 'file').write_text('')
    cfg.default_hooks.checkpoint.out_dir = str(tmp_path / 'file')
    runner = tiny.build_runner(cfg)
    with pytest.raises(FieldError, match='^default_hooks.checkpoint: nothing can be written: '):
        runner.train()
    assert runner.iter == 0


@pytest.fixture
def one_epoch(cfg):
    """A training of one epoch that is done, to be resumed for another."""
    cfg.train_cfg.max_epochs = 1
    tiny.train(cfg)
    cfg.resume, cfg.train_cfg.max_epochs = True, 2
    return cfg


def change(path, **meta):
    content = torch.load(path, weights_only=True)
    content['meta'].update(meta)
    torch.save(content, path)


def test_a_config_in_a_checkpoint_is_not_run(one_epoch, tmp_path):
    """By one that is called so mmengine tells with how many GPUs the training began."""
    mark = tmp_path / 'ran'
    change(tmp_path / 'run/epoch_1.pth', config=f'open({str(mark)!r}, "w").close()')
    assert tiny.train(one_epoch).iter == 8
    assert not mark.exists()


def test_a_step_of_other_images_is_told(one_epoch, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(resumed_run, 'print_log', lambda text, *args: said.append(text))
    change(tmp_path / 'run/epoch_1.pth', step=dict(batch_size=6, processes=2, accumulative_counts=1))
    one_epoch.train_dataloader.batch_size = 3
    tiny.train(one_epoch)
    assert len(said) == 1
    assert said[0].startswith(
        'Resume: batch_size was 6 and is 3, processes was 2 and is 1. The learning rate'
    )
    one_epoch.train_cfg.max_epochs = 3
    tiny.train(one_epoch)
    assert len(said) == 1


@pytest.mark.parametrize(
    'changes, problem',
    [
        (dict(optimizer=dict(type='AdamW', lr=1e-3, _delete_=True)), 'has no betas, eps, .* as AdamW has'),
        (dict(paramwise_cfg=dict(bias_decay_mult=0.0)), r'has \d+ weights in 1 groups, not \d+ in \d+'),
    ],
)
def test_the_state_of_another_optimizer_is_refused(one_epoch, changes, problem):
    one_epoch.merge_from_dict(dict(optim_wrapper=changes))
    with pytest.raises(FieldError, match=f'^optim_wrapper: the state in the checkpoint {problem}.*load_from'):
        tiny.train(one_epoch)


def resume(one, state):
    wrapper = OptimWrapper(one([torch.nn.Parameter(torch.zeros(1))]))
    runner = Runner.__new__(Runner)
    runner.model, runner.optim_wrapper = torch.nn.Module(), wrapper
    resumed_run.check_optimizer(runner, dict(optimizer=state))


def test_settings_that_a_newer_torch_has_do_not_lack():
    state = torch.optim.AdamW([torch.zeros(1)]).state_dict()
    for key in ('decoupled_weight_decay', 'fused'):
        del state['param_groups'][0][key]
    resume(torch.optim.AdamW, state)


@pytest.mark.parametrize(
    'before, now',
    [('Adamax', 'Adam'), ('NAdam', 'AdamW'), ('RAdam', 'Adam'), ('Adamax', 'AdamW'), ('SGD', 'AdamW')],
)
def test_optimizers_that_are_alike_are_told_apart(before, now):
    state = getattr(torch.optim, before)([torch.zeros(1)], lr=0.1).state_dict()
    with pytest.raises(FieldError, match='the state in the checkpoint has no'):
        resume(getattr(torch.optim, now), state)


def test_the_state_of_necks_by_another_optimizer_is_refused():
    weight = torch.nn.Parameter(torch.zeros(1))
    runner = Runner.__new__(Runner)
    runner.optim_wrapper = OptimWrapper(torch.optim.SGD([weight], lr=0.1, momentum=0.9))
    runner.model = SimpleNamespace(inner=InnerAdamW(torch.nn.ParameterList([weight])))
    saved = runner.optim_wrapper.optimizer.state_dict()
    resumed_run.check_optimizer(runner, dict(optimizer=saved))  # no step was made yet
    saved['state'] = {0: dict(momentum_buffer=torch.zeros(1))}
    with pytest.raises(FieldError, match='has no exp_avg of the modules of distillation'):
        resumed_run.check_optimizer(runner, dict(optimizer=saved))


def test_statistics_that_are_no_numbers_are_not_saved():
    runner = SimpleNamespace(model=torch.nn.Sequential(torch.nn.BatchNorm2d(2)))
    runner.model.register_buffer('mask', torch.tensor(float('-inf')))
    check_finite_weights(runner, '')
    runner.model[0].running_var[0] = float('nan')
    with pytest.raises(DivergedError, match='1 weights are not finite, such as 0.running_var'):
        check_finite_weights(runner, '')


@pytest.mark.parametrize('best', [None, 'accuracy/top1'])
def test_weights_that_are_no_numbers_take_no_good_ones_place(cfg, tmp_path, best):
    cfg.default_hooks.checkpoint.update(max_keep_ckpts=1, save_best=best)
    cfg.train_cfg.val_interval = 1
    runner = tiny.build_runner(cfg)

    class Break(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            if runner.epoch == 1:
                next(runner.model.parameters()).data[0] = float('nan')

    runner.register_hook(Break())
    with pytest.raises(DivergedError, match=r'\d+ weights are not finite, such as .*epoch_1.pth stays'):
        runner.train()
    kept = sorted((tmp_path / 'run').glob('*.pth'))
    assert 'epoch_1.pth' in [path.name for path in kept] and len(kept) == 1 + bool(best)
    assert all(whole(path) == 1 for path in kept)
    with pytest.raises(SystemExit, match='error: The training has diverged'), cli.checkpoint_errors():
        check_finite_weights(runner, '')
