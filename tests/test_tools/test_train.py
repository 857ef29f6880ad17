import errno
import os
import pickle
import re

import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.optim import build_optim_wrapper

from dpk_mm.utils.locks import only_one

DET = """
default_scope = 'mmdet'
model = dict(type='RetinaNet')
train_dataloader = dict(batch_size=2, num_workers=2, persistent_workers=True)
val_dataloader = dict(batch_size=1)
val_cfg = dict(type='ValLoop')
val_evaluator = dict(type='CocoMetric')
optim_wrapper = dict(
    type='OptimWrapper', constructor='DefaultOptimWrapperConstructor', clip_grad=dict(max_norm=35),
    paramwise_cfg=dict(bias_lr_mult=2.0), optimizer=dict(type='SGD', lr=0.1))
auto_scale_lr = dict(base_batch_size=16)
"""
PRETRAIN = """
default_scope = 'mmpretrain'
train_dataloader = dict(batch_size=2, num_workers=2)
val_dataloader = dict(batch_size=2, num_workers=0)
test_dataloader = None
"""


@pytest.fixture
def merge(train, config):
    def run(text, *flags):
        path = config(text)
        return train.merge_args(Config.fromfile(path), train.parse_args([path, *flags]))

    return run


def fails_with(function, *words):
    with pytest.raises(SystemExit) as info:
        function()
    message = str(info.value.code)
    assert '\n' not in message
    for word in words:
        assert word in message
    return message


def test_flags_are_merged(merge):
    cfg = merge(
        DET,
        *('--work-dir', 'here', '--no-validate', '--auto-scale-lr', '--resume', 'a.pth'),
        *('--cfg-options', 'optim_wrapper.optimizer.lr=0.5', 'work_dir=there', 'new.list=[1,2]'),
    )
    assert cfg.work_dir == 'here'
    assert cfg.val_cfg is None and cfg.val_dataloader is None and cfg.val_evaluator is None
    assert cfg.auto_scale_lr.enable
    assert (cfg.resume, cfg.load_from) == (True, 'a.pth')
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    assert cfg.new.list == [1, 2]
    assert cfg.launcher == 'none'


def test_defaults_and_auto_resume(merge, train, monkeypatch):
    cfg = merge(DET, '--resume')
    assert cfg.work_dir == './work_dirs/config'
    assert (cfg.resume, cfg.load_from) == (True, None)
    assert merge('work_dir = "mine"').work_dir == 'mine'
    with monkeypatch.context() as patch:
        patch.setattr(train, 'add_distiller', lambda *args: None)
        flags = ('--teacher', 'a.py:a.pth', '--method', 'pkd')
        assert merge(DET, *flags).work_dir == './work_dirs/config_pkd'
        assert merge('work_dir = "mine/"', *flags).work_dir == 'mine_pkd'
        assert merge('work_dir = "mine"', *flags, '--cfg-options', 'work_dir=own').work_dir == 'own'
        assert merge('work_dir = "mine"', *flags, '--work-dir', 'own').work_dir == 'own'
    assert not merge(DET).get('resume', False)


@pytest.mark.parametrize('flag', ['--local_rank=3', '--local-rank=3'])
def test_local_rank_reaches_the_environment_once(merge, monkeypatch, flag):
    merge(DET, flag)
    assert os.environ['LOCAL_RANK'] == '3'
    monkeypatch.setenv('LOCAL_RANK', '1')
    merge(DET, flag)
    assert os.environ['LOCAL_RANK'] == '1'


def test_mmpretrain_dataloaders_are_filled(merge):
    cfg = merge(PRETRAIN, '--cfg-options', 'train_dataloader.collate_fn.type=mine')
    assert cfg.train_dataloader.pin_memory and cfg.train_dataloader.persistent_workers
    assert cfg.train_dataloader.collate_fn == dict(type='mine')
    assert cfg.val_dataloader.collate_fn == dict(type='default_collate')
    # torch refuses persistent workers without workers
    assert not cfg.val_dataloader.persistent_workers
    assert cfg.test_dataloader is None
    cfg = merge(PRETRAIN, '--no-pin-memory', '--no-persistent-workers')
    assert not cfg.train_dataloader.pin_memory and not cfg.train_dataloader.persistent_workers


def test_mmdet_dataloaders_stay(merge, config):
    before = Config.fromfile(config(DET))
    cfg = merge(DET)
    assert cfg.train_dataloader == before.train_dataloader
    assert cfg.val_dataloader == before.val_dataloader


def test_amp_keeps_constructor_and_clipping(merge, monkeypatch):
    monkeypatch.setattr('dpk_mm.utils.runner.get_device', lambda: 'cuda')
    wrapper = merge(DET, '--amp').optim_wrapper
    assert wrapper.type == 'AmpOptimWrapper' and wrapper.loss_scale == 'dynamic'
    assert wrapper.constructor == 'DefaultOptimWrapperConstructor'
    monkeypatch.setattr('mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available', lambda: True)
    built = build_optim_wrapper(torch.nn.Linear(2, 2), wrapper)
    assert type(built).__name__ == 'AmpOptimWrapper'
    assert built.clip_grad_kwargs == dict(max_norm=35)
    # the user's own scale stays
    scaled = DET + 'optim_wrapper.update(type="AmpOptimWrapper", loss_scale=512.0)'
    assert merge(scaled, '--amp').optim_wrapper.loss_scale == 512.0


def test_amp_is_refused_where_it_cannot_work(merge, monkeypatch):
    monkeypatch.setattr('dpk_mm.utils.runner.get_device', lambda: 'cpu')
    fails_with(lambda: merge(DET, '--amp'), '--amp', 'GPU', 'cpu')
    monkeypatch.setattr('dpk_mm.utils.runner.get_device', lambda: 'cuda')
    apex = 'optim_wrapper = dict(type="ApexOptimWrapper")'
    fails_with(lambda: merge(apex, '--amp'), '--amp', 'ApexOptimWrapper')


def test_auto_scale_lr_needs_a_base_batch_size(merge):
    fails_with(lambda: merge(PRETRAIN, '--auto-scale-lr'), 'base_batch_size')


def test_activation_checkpointing_is_not_passed_over(train, toy):
    options = ['activation_checkpointing=[backbone]', 'strategy.type=dpk_mm.FSDPStrategy']
    fails_with(
        lambda: train.main([toy, '--cfg-options', *options]), 'activation_checkpointing', 'FlexibleRunner'
    )


def test_missing_files_are_one_line(train, workdir, toy):
    fails_with(lambda: train.main(['nowhere.py']), 'nowhere.py')
    fails_with(lambda: train.main(['mmdet::no/such.py']), 'mmdet::no/such.py')
    fails_with(lambda: train.main(['dpk_mm::no/such.py']), 'dpk_mm::no/such.py')
    fails_with(lambda: train.main(['no_pkg::no/such.py']), 'no_pkg::no/such.py', 'no_pkg config')
    fails_with(lambda: train.main([toy, '--resume', 'no.pth']), '--resume', 'no.pth')
    fails_with(lambda: train.main([toy, '--cfg-options', 'load_from=no.pth']), 'load_from')
    assert not (workdir / 'work_dirs').exists()  # before anything was built


def test_pytorch_launcher_without_torchrun(train, toy, monkeypatch):
    monkeypatch.delenv('RANK', raising=False)
    monkeypatch.setattr('dpk_mm.utils.runner.get_device', lambda: 'cpu')
    fails_with(lambda: train.main([toy, '--launcher', 'pytorch']), 'dist_')


def test_package_configs_are_found(train):
    from dpk_mm.utils.cli import load_config

    assert load_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py').model.type == 'RetinaNet'


def test_three_lines_leave_what_they_chose_beside_the_run(train, tmp_path):
    data = tiny.write_coco(tmp_path / 'data')
    cfg = tiny.training_cfg(tiny.retinanet(), data, tmp_path / 'run', epochs=1)
    teacher = dict(config=tiny.retinanet(depth=50), allow_incomplete=True)
    student = cfg.model
    cfg.model = dict(type='dpk_mm.DPKDistiller', student=student, teacher=teacher, input_shape=(64, 64))
    cfg.dump(tmp_path / 'three.py')
    train.main([str(tmp_path / 'three.py')])
    dumped = Config.fromfile(tmp_path / 'run/three.py').model
    assert dumped.method is None and list(dumped.stages) == ['p3', 'p4', 'p5']
    assert (
        dumped.stages.p4.neck.preset == 'lean' and dumped.init_student and dumped.optimizer == dict(lr=1e-3)
    )


def test_trains_and_resumes(train, toy, workdir):
    train.main([toy])
    first = workdir / 'work_dirs/toy/epoch_1.pth'
    assert first.exists()
    # the checkpoint holds mmengine's log history, which torch >= 2.6 refuses unless it is told
    train.main([toy, '--resume', '--cfg-options', 'train_cfg.max_epochs=2'])
    weights = [
        torch.load(first.with_name(f'epoch_{i}.pth'), weights_only=False)['state_dict'] for i in (1, 2)
    ]
    assert not torch.equal(weights[0]['layer.weight'], weights[1]['layer.weight'])


def test_a_job_that_always_resumes_begins_from_load_from(train, toy, workdir):
    train.main([toy, '--work-dir', 'start', '--cfg-options', 'optim_wrapper.optimizer.lr=0.5'])
    flags = [toy, '--resume', '--cfg-options', 'optim_wrapper.optimizer.lr=1e-30']
    fails_with(lambda: train.main([*flags, 'load_from=gone.pth']), 'load_from: no such checkpoint: gone.pth')
    train.main([*flags, 'load_from=start/epoch_1.pth'])
    paths = ('start/epoch_1.pth', 'work_dirs/toy/epoch_1.pth')
    a, b = (torch.load(path, weights_only=True)['state_dict']['layer.weight'] for path in paths)
    assert torch.equal(a, b)
    train.main([*flags, 'load_from=gone.pth', 'train_cfg.max_epochs=2'])  # goes on without it
    assert (workdir / 'work_dirs/toy/epoch_2.pth').exists()


def test_checkpoint_that_runs_code_is_refused(train, toy, workdir, monkeypatch):
    torch.save(dict(state_dict={}, meta=tiny.Call(os.system, 'touch ran-code')), 'evil.pth')
    message = fails_with(lambda: train.main([toy, '--resume', 'evil.pth']), 'evil.pth', 'system')
    assert 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1' in message
    assert not (workdir / 'ran-code').exists()


def test_damaged_checkpoint_is_one_line(train, toy, workdir):
    torch.save(dict(state_dict=dict(w=torch.zeros(1000))), 'whole.pth')
    (workdir / 'cut.pth').write_bytes((workdir / 'whole.pth').read_bytes()[:2000])
    fails_with(lambda: train.main([toy, '--resume', 'cut.pth']), 'cut.pth', 'truncated')
    (workdir / 'text.pth').write_text('no checkpoint')
    fails_with(lambda: train.main([toy, '--resume', 'text.pth']), 'text.pth')


def test_checkpoint_that_reaches_for_functions_is_refused(train, toy):
    torch.save(dict(state_dict={}, meta=tiny.Call(getattr, HistoryBuffer, '__init__')), 'evil.pth')
    fails_with(lambda: train.main([toy, '--resume', 'evil.pth']), 'evil.pth', 'getattr', 'trust')


def test_empty_checkpoint_is_one_line(train, toy, workdir):
    (workdir / 'empty.pth').touch()
    fails_with(lambda: train.main([toy, '--cfg-options', 'load_from=empty.pth']), 'empty.pth')


def test_other_errors_pass_through():
    from dpk_mm.utils.cli import checkpoint_errors
    from dpk_mm.utils.errors import FieldError

    with pytest.raises(SystemExit, match='error: stages.a: no gradient$'), checkpoint_errors():
        raise FieldError('stages.a', ': no gradient')
    with pytest.raises(pickle.UnpicklingError), checkpoint_errors():
        raise pickle.UnpicklingError('of something else')


CLASSIFIER = """
default_scope = 'mmpretrain'
net = dict(
    type='ImageClassifier', backbone=dict(type='dpk_mm.CIFARResNet', depth=8, base_channels=4),
    neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=4, in_channels=16),
    data_preprocessor=dict(mean=[0] * 3, std=[1] * 3), _scope_='mmpretrain')
model = dict(
    type='dpk_mm.DPKDistiller', student=net, teacher=dict(config=net, allow_incomplete=True),
    input_shape=(32, 32), method=None,
    stages=dict(layer3=dict(at='backbone.layer3', loss=dict(type='dpk_mm.FeatureMSELoss'), neck=dict(
        type='dpk_mm.FeatureMixingNeck', encoder=dict(embed_dims=8, num_layers=1, num_heads=1),
        decoder=dict(embed_dims=8, num_layers=1, num_heads=1)))))
train_dataloader = dict(batch_size=2, dataset=dict(type='CIFAR100', data_root='none'))
train_cfg = dict(by_epoch=True, max_epochs=1)
work_dir = 'work_dirs'
log_level = 'WARNING'
"""
SGD = "optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1)"
TWO = SGD + ", constructor='dpk_mm.DistillOptimWrapperConstructor', distiller="
ADAMW = "dict(optimizer=dict(type='AdamW', lr=1e-3)))"
STEP = "[dict(type='StepLR', step_size=1)]"


@pytest.mark.parametrize(
    'lines, words',
    [
        (TWO + 'dict())', ['optim_wrapper.distiller must be a dict']),
        (f'{TWO}{ADAMW}\nparam_scheduler = dict(student={STEP}, necks={STEP})', ["'student', 'distiller'"]),
        (f'{SGD})\nparam_scheduler = dict(student={STEP}, distiller={STEP})', ['a list', 'one optimizer']),
    ],
)
def test_mistakes_in_two_optimizers_are_one_line(train, config, lines, words):
    fails_with(lambda: train.main([config(CLASSIFIER + lines)]), *words)


def test_an_unknown_type_is_one_line(train, config):
    lines = CLASSIFIER.replace("type='ImageClassifier'", "type='Nothing'") + f'{SGD})'
    fails_with(lambda: train.main([config(lines)]), "model.student.type: 'Nothing' is not registered")


DATA = """
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='dpk_mm.NpzDataset', ann_file='cifar.npz', split='train',
                 pipeline=[dict(type='PackInputs')]))
val_dataloader = dict(train_dataloader, dataset=dict(train_dataloader['dataset'], split='test'))
val_cfg = dict()
val_evaluator = dict(type='Accuracy')
param_scheduler = [dict(type='MultiStepLR', milestones=[1], by_epoch=True)]
"""
MISTAKES = {
    'model.init_studnt=True': 'model.init_studnt: DPKDistiller has no such field',
    'model.teacher.foo=1': 'model.teacher.foo: FrozenTeacher has no such field',
    'model.student.backbone.dept=8': 'model.student.backbone.dept: CIFARResNet has no such field',
    'model.stages.layer3.loss.loss_weight=-1': 'model.stages.layer3.loss.loss_weight must be a number from 0',
    'model.stages.layer3.loss.loss_weight=nan': 'stages.layer3.loss.loss_weight must be a number, got nan',
    'model.stages.layer3.at=backbone.layer9': "model.stages.layer3.at='backbone.layer9': ImageClassifier has",
    'optim_wrapper.optimizer.lr=-1': 'optim_wrapper.optimizer.lr must be a number above 0, got -1',
    'optim_wrapper.optimizer.lr=x': "optim_wrapper.optimizer.lr must be a number or a Tensor, got 'x'",
    'optim_wrapper.optimizer.lrr=1': 'optim_wrapper.optimizer.lrr: SGD has no such field',
    'optim_wrapper.optimizer.type=SDG': "optim_wrapper.optimizer.type: 'SDG' is not registered",
    'optim_wrapper.clip_grad.max_nrm=1': 'optim_wrapper.clip_grad.max_nrm is none of max_norm',
    'optim_wrapper.accumulative_counts=x': 'optim_wrapper.accumulative_counts must be an integer',
    'param_scheduler.0.milestone=1': 'param_scheduler[0].milestone: MultiStepLR has no such',
    'train_cfg.max_epochs=-1': 'train_cfg.max_epochs must be a positive integer, got -1',
    'train_cfg.max_epoch=3': 'train_cfg.max_epoch: EpochBasedTrainLoop has no such field',
    'train_dataloader.batch_size=-1': 'train_dataloader.batch_size should be a positive integer',
    'train_dataloader.sampler.type=X': "train_dataloader.sampler.type: 'X' is not registered",
    'train_dataloader.dataset.pipeline.0.type=X': 'train_dataloader.dataset.pipeline[0].type: ',
    'train_dataloader.dataset.ann_file=x.npz': 'train_dataloader.dataset.ann_file x.npz: no such file',
    'train_dataloader.dataset.split=nope': 'train_dataloader.dataset.ann_file cifar.npz: it must hold',
    'val_evaluator.topk=x': "val_evaluator.topk must be an integer or a list, got 'x'",
    'val_evaluator.type=X': "val_evaluator.type: 'X' is not registered",
    'default_hooks.checkpoint.intervall=1': 'default_hooks.checkpoint.intervall: CheckpointHook has no such',
    'default_hooks.checkpoint.interval=x': 'default_hooks.checkpoint.interval must be an integer',
    'randomness.seed=x': 'randomness.seed must be an integer',
    'work_dir=3': 'work_dir must be a text, got 3',
}


@pytest.mark.parametrize('option', MISTAKES)
def test_a_mistake_is_one_line_with_its_field_before_the_first_step(train, config, workdir, option):
    tiny_cls.write_cifar(workdir)
    hooks = "\ndefault_hooks = dict(checkpoint=dict(type='CheckpointHook'))"
    lines = f'{CLASSIFIER}{DATA}{SGD}, clip_grad=dict(max_norm=1)){hooks}'
    with pytest.raises(SystemExit) as error:
        train.main([config(lines), '--cfg-options', option])
    message = str(error.value.code)
    assert '\n' not in message and MISTAKES[option] in message


def test_more_classes_in_the_data_than_in_the_head(train, config, workdir):
    tiny_cls.write_cifar(workdir)
    options = ['--cfg-options', 'train_dataloader.dataset.metainfo.classes=[a,b,c,d,e]']
    fails_with(
        lambda: train.main([config(f'{CLASSIFIER}{DATA}{SGD})'), *options]),
        'model.student.head.num_classes is 4, but train_dataloader.dataset has 5 classes',
    )


def test_checkpoints_are_written_safely(train, toy, workdir, monkeypatch):
    """By our hook in the place of mmengine's; a full disk, and a second training, are one line."""
    import dpk_mm.utils.files as files

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device', 'epoch_1.pth')

    with monkeypatch.context() as patch:
        patch.setattr(files, 'put_in_place', full)
        fails_with(lambda: train.main([toy]), 'No space left', 'epoch_1.pth', '--resume goes on')
    with only_one(workdir / 'work_dirs/toy'):
        fails_with(lambda: train.main([toy]), 'work_dirs/toy is in use by process')
    (workdir / 'file').write_text('')
    fails_with(lambda: train.main([toy, '--work-dir', 'file/run']), 'file')


def test_resume_takes_the_last_whole_checkpoint(train, toy, workdir):
    train.main([toy])
    folder = workdir / 'work_dirs/toy'
    (folder / 'epoch_2.pth').write_bytes((folder / 'epoch_1.pth').read_bytes()[:1000])
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_2.pth'))
    train.main([toy, '--resume', '--cfg-options', 'train_cfg.max_epochs=2'])
    assert torch.load(folder / 'epoch_2.pth', weights_only=True)['meta']['epoch'] == 2
    for path in folder.glob('*.pth'):
        path.write_bytes(b'')
    fails_with(lambda: train.main([toy, '--resume']), 'no checkpoint in', 'is whole', 'Remove them')


def test_a_pipe_is_no_checkpoint(train, toy):
    os.mkfifo('pipe.pth')
    fails_with(lambda: train.main([toy, '--resume', 'pipe.pth']), '--resume: pipe.pth is no ordinary file')


def test_the_traceback_is_there_on_demand(train, config, monkeypatch):
    monkeypatch.setenv('DPK_MM_TRACEBACK', '1')
    with pytest.raises(ValueError, match='model.foo: DPKDistiller has no such field'):
        train.main([config(f'{CLASSIFIER}{SGD})'), '--cfg-options', 'model.foo=1'])


def test_an_exported_student_is_not_resumed_but_loaded(train, toy, tmp_path):
    torch.save(dict(state_dict={'layer.weight': torch.ones(1, 4)}, meta={}), tmp_path / 'student.pth')
    fails_with(
        lambda: train.main([toy, '--resume', str(tmp_path / 'student.pth')]), '--resume: ', 'load_from='
    )


@pytest.mark.parametrize(
    'part, words',
    [
        (dict(message_hub={}), 'AssertionError: .* `log_scalars`'),
        (dict(meta=dict(epoch=1)), "KeyError: 'iter'"),
        (dict(optimizer=[]), 'is of another training'),
        (dict(state_dict=3), 'is of another training'),
    ],
)
def test_what_no_training_can_go_on_from_is_one_line(train, toy, workdir, part, words, monkeypatch):
    train.main([toy])
    whole = torch.load('work_dirs/toy/epoch_1.pth', weights_only=True)
    torch.save({**whole, **part}, 'other.pth')
    message = fails_with(
        lambda: train.main([toy, '--resume', 'other.pth']), 'other.pth is of another training'
    )
    assert re.search(words, message)
    monkeypatch.setenv('DPK_MM_TRACEBACK', '1')
    with pytest.raises((AssertionError, KeyError, TypeError, AttributeError)):
        train.main([toy, '--resume', 'other.pth'])


@pytest.mark.parametrize(
    'args, words',
    [
        (['--cfg-options', 'train_dataloader.dataset.pipeline.9.x=1'], ['--cfg-options: Index 9 exceeds']),
        (['--cfg-options', 'work_dir.x=1'], ['--cfg-options: work_dir=']),
        (['--cfg-options', 'model=None'], ['model is missing']),
        (['--cfg-options', 'optim_wrapper=None'], ['optim_wrapper is missing: train_dataloader, train_cfg,']),
        (['--cfg-options', 'val_cfg=None'], ['val_cfg is missing']),
    ],
)
def test_command_lines_that_do_not_fit_are_one_line(train, config, args, words):
    fails_with(lambda: train.main([config(f'{CLASSIFIER}{DATA}{SGD})'), *args]), *words)


def test_an_option_without_a_value_is_one_line(train, config, capsys):
    with pytest.raises(SystemExit):
        train.main([config(f'{CLASSIFIER}{SGD})'), '--cfg-options', 'foo'])
    assert 'error: --cfg-options takes KEY=VALUE' in capsys.readouterr().err
