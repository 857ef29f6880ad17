"""What mmengine's runners can do to a step, beside plain training: the same losses, gradients and weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
import tiny_cls
import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import turn_on_activation_checkpointing
from mmengine.runner.checkpoint import get_state_dict

from dpk_mm.engine import FSDPStrategy

REPO = Path(__file__).parents[2]


def log(work_dir):
    """What each step gave."""
    lines = next(Path(work_dir).rglob('scalars.json')).read_text().splitlines()
    return [
        {k: v for k, v in entry.items() if any(word in k for word in ('loss', 'ratio', 'norm'))}
        for entry in map(json.loads, lines)
        if 'loss' in entry
    ]


def assert_close(ours, theirs, rtol, atol):
    """Both weights, or logs of steps, have the same names and near numbers."""
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        torch.testing.assert_close(
            ours[name], value, rtol=rtol, atol=atol, msg=lambda text, n=name: f'{n}: {text}'
        )


def step(package, checkpointed=()):
    """Losses, gradients and the state after one forward and backward pass, with modules checkpointed."""
    model = tiny.build(package.distiller()).train()
    batch = package.batch(model)
    if checkpointed:
        turn_on_activation_checkpointing(model, list(checkpointed))
    loss, values = model.parse_losses(model(**batch, mode='loss'))
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return dict(values), gradients, model.state_dict()


@pytest.fixture(scope='module')
def plain():
    return {package: step(package) for package in (tiny, tiny_cls)}


# inside of a checkpointed backbone lies what is tapped; a neck gets a tuple, a stage gives a dict
CHECKPOINTED = [
    (tiny, ['backbone.layer1', 'distiller.neck_2.neck.decoder']),
    (tiny, ['backbone', 'neck']),
    (tiny, ['distiller.neck_2.neck', 'distiller.neck_0.loss']),
    (tiny, ['distiller.neck_0', 'distiller.neck_2']),
    (tiny_cls, ['backbone', 'head.fc']),
    (tiny_cls, ['backbone.layer2', 'distiller.backbone_layer3']),
    (tiny_cls, ['backbone.layer2', 'backbone.layer2']),
]


@pytest.mark.parametrize(
    'package, modules',
    CHECKPOINTED,
    ids=lambda part: '+'.join(part) if isinstance(part, list) else part.__name__,
)
def test_activation_checkpointing_changes_no_bit(plain, package, modules):
    for ours, theirs in zip(step(package, modules), plain[package]):
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            both_none = ours[name] is None and value is None
            assert both_none or torch.equal(ours[name], value), name


def test_activation_checkpointing_finds_the_same_weights():
    found = []
    for modules in ([], ['backbone', 'distiller.layer3.neck']):
        model = tiny.build(tiny_cls.distiller(method='dpk', stages=None)).train()
        if modules:
            turn_on_activation_checkpointing(model, modules)
        losses = model(**tiny_cls.batch(model), mode='loss')
        model.parse_losses(losses)[0].backward()
        found.append([losses[f'weight_{name}'].item() for name in ('layer2', 'layer3')])
    assert found[0] == found[1] and min(found[0]) > 0


def test_activation_checkpointing_by_the_config(tmp_path):
    data = tiny_cls.write_cifar(tmp_path / 'cifar', num=12)
    weights = []
    for modules in (None, ['backbone', 'distiller.backbone_layer3.neck']):
        cfg = tiny_cls.training_cfg(tiny_cls.distiller(), data, tmp_path / str(modules), epochs=1)
        cfg.activation_checkpointing = modules
        runner = tiny.train(cfg)
        weights.append(get_state_dict(runner.model))
        assert hasattr(runner.model.student.backbone.forward, '__wrapped__') == bool(modules)
    assert_close(*weights, rtol=0, atol=0)


@pytest.mark.slow
def test_a_compiled_step(tmp_path):
    """mmengine compiles the whole step; taps, prior and random mask work inside of it."""
    data = tiny_cls.write_cifar(tmp_path / 'cifar', num=12)
    model = tiny_cls.distiller()
    model['stages']['backbone_layer2'] = None
    model['teacher']['config'] = tiny_cls.classifier(width=6)
    weights, logs = [], []
    for name, how in (('eager', None), ('compiled', dict(backend='aot_eager'))):
        cfg = tiny_cls.training_cfg(model, data, tmp_path / name, epochs=1, compile=how)
        cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
        runner = tiny.train(cfg)
        weights.append(get_state_dict(runner.model))
        logs.append(log(tmp_path / name))
        # torch.compile's wrapper names what it compiled
        assert hasattr(runner.model.train_step, '_torchdynamo_orig_callable') == bool(how)
    assert len(logs[0]) == 2 and {'loss_distill_backbone_layer3', 'ratio_backbone_layer3'} <= set(logs[0][0])
    for ours, theirs in zip(*reversed(logs)):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert_close(*reversed(weights), rtol=1e-4, atol=1e-6)


def sharded(cfg, least=2000, **more):
    """The config with FSDP; modules of so many weights become units of their own, so that they nest."""
    policy = dict(type='torch.distributed.fsdp.wrap.size_based_auto_wrap_policy', min_num_params=least)
    cfg.strategy = dict(type='dpk_mm.FSDPStrategy', model_wrapper=dict(auto_wrap_policy=policy, **more))
    return cfg


def train_on_two_ranks(folder, cfgs):
    """Train one config after the other in two processes, as ``dist_train.sh`` would."""
    for name, cfg in cfgs.items():
        cfg.work_dir = str(folder / name)
        cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
        cfg.env_cfg = dict(dist_cfg=dict(backend='gloo'), cudnn_benchmark=False, mp_cfg=dict())
        cfg.dump(folder / f'{name}.py')
    (folder / 'train_all.py').write_text(TRAIN_ALL)
    env = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    env['PYTHONPATH'] = os.pathsep.join([str(REPO), str(REPO / 'tools')])
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command = [sys.executable, *launcher, 'train_all.py', *cfgs]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]


TRAIN_ALL = """
import sys

import train
from mmengine import optim
from mmengine.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module(force=True)
class OptimWrapper(optim.OptimWrapper):
    # has a state of its own, as AmpOptimWrapper has its loss scale
    updates = 0

    def step(self, **kwargs):
        super().step(**kwargs)
        self.updates += 1

    def state_dict(self):
        return dict(super().state_dict(), updates=self.updates)

    def load_state_dict(self, state_dict):
        self.updates = state_dict.pop('updates')
        super().load_state_dict(state_dict)


for name in sys.argv[1:]:
    train.main([f'{name}.py', '--launcher', 'pytorch'])
"""


@pytest.mark.parametrize('sharding', ['NO_SHARD', 'ShardingStrategy.HYBRID_SHARD'])
def test_fsdp_that_keeps_copies_cannot_clip(sharding):
    """The norm over all processes would count a gradient as often as it is kept."""
    strategy = FSDPStrategy(model_wrapper=dict(sharding_strategy=sharding))
    cfg = dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(max_norm=1))
    with pytest.raises(ValueError, match=f'{sharding.rpartition(".")[2]}.* and clip_grad'):
        strategy.build_optim_wrapper(cfg, torch.nn.Linear(1, 1))
    # by value, each shard is clipped as the whole would be
    cfg['clip_grad'] = dict(type='value', clip_value=1)
    assert isinstance(strategy.build_optim_wrapper(cfg, torch.nn.Linear(1, 1)), OptimWrapper)


def test_fsdp_without_the_teachers_weights():
    with pytest.raises(ValueError, match='skip_init_weights builds'):
        FSDPStrategy(skip_init_weights=True)


@pytest.mark.slow
def test_fsdp_trains_as_ddp_and_saves_a_student(tmp_path):
    """With two optimizers that clip, gradients accumulated, and nested shards; then it is resumed."""
    data = tiny_cls.write_cifar(tmp_path / 'cifar')
    student = tiny_cls.classifier()

    def config(**more):
        cfg = tiny_cls.training_cfg(tiny_cls.distiller(student), data, '', batch_size=3, **more)
        own = dict(optimizer=dict(type='AdamW', lr=1e-3), clip_grad=dict(max_norm=0.5))
        two = dict(constructor='dpk_mm.DistillOptimWrapperConstructor', distiller=own)
        cfg.optim_wrapper.update(two, accumulative_counts=2)
        return cfg

    resumed = dict(resume=True, load_from=str(tmp_path / 'fsdp/epoch_1.pth'))
    half = dict(param_dtype='bfloat16', reduce_dtype='float32', buffer_dtype='float32')
    cfgs = dict(
        ddp=config(),
        fsdp=sharded(config()),
        resumed=sharded(config(**resumed)),
        half=sharded(config(), mixed_precision=half),
    )
    train_on_two_ranks(tmp_path, cfgs)

    logs = log(tmp_path / 'ddp'), log(tmp_path / 'fsdp')
    assert len(logs[0]) == len(logs[1]) == 8
    for theirs, ours in zip(*logs):
        assert ours == pytest.approx(theirs, rel=1e-4)
    # the norms of all shards together, by which they are clipped
    assert logs[1][-1]['student.grad_norm'] > 0.5 and logs[1][-1]['distiller.grad_norm'] > 0.5
    # a teacher in the batch's 16 bits, as the student
    first = [entries[0] for entries in (logs[0], log(tmp_path / 'half'))]
    assert first[1] == pytest.approx(first[0], rel=2e-2, abs=4e-3) and first[1] != first[0]
    ddp, fsdp, again, _ = (torch.load(tmp_path / name / 'epoch_2.pth') for name in cfgs)
    assert_close(fsdp['state_dict'], ddp['state_dict'], rtol=1e-4, atol=1e-6)
    assert fsdp['state_dict']._metadata == ddp['state_dict']._metadata

    # no weight of the teacher, and the plain student opens it
    plain = tiny.build(student)
    names = [name for name in fsdp['state_dict'] if not name.startswith('distiller.')]
    assert names == list(plain.state_dict()) and len(names) < len(fsdp['state_dict'])
    plain.load_state_dict({name: fsdp['state_dict'][name] for name in names}, strict=True)

    assert_close(again['state_dict'], fsdp['state_dict'], rtol=0, atol=0)
    for name, states in fsdp['optimizer'].items():
        for key, state in states['state'].items():
            assert_close(again['optimizer'][name]['state'][key], state, rtol=0, atol=0)
    # torch's FSDP saves and loads what an optimizer has, and drops what mmengine's wrapper adds
    updates = [kept['optimizer']['student']['updates'] for kept in (ddp, fsdp, again)]
    assert updates == [4, 4, 4]


@pytest.mark.slow
def test_fsdp_trains_a_detector_as_ddp(tmp_path):
    """FGD's attention, boxes and the sampled positions of the prior, which the ranks share."""
    data = tiny.write_coco(tmp_path / 'coco')
    model = tiny.distiller(stages=tiny.stages(floor=0.0), init_student=True)
    ddp, fsdp = (tiny.training_cfg(model, data, '', epochs=1, batch_size=1) for _ in range(2))
    train_on_two_ranks(tmp_path, dict(ddp=ddp, fsdp=sharded(fsdp, least=500)))

    logs = log(tmp_path / 'ddp'), log(tmp_path / 'fsdp')
    assert len(logs[0]) == len(logs[1]) == 4
    assert {'loss_cls', 'loss_distill_neck_0', 'loss_distill_neck_2', 'ratio_neck_2'} <= set(logs[0][0])
    for theirs, ours in zip(*logs):
        assert ours == pytest.approx(theirs, rel=1e-4)
    ddp, fsdp = (torch.load(tmp_path / name / 'epoch_1.pth')['state_dict'] for name in ('ddp', 'fsdp'))
    assert_close(fsdp, ddp, rtol=1e-4, atol=1e-6)
