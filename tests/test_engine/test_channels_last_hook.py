"""ChannelsLastHook: another order of memory, the same training."""

import tiny
import tiny_cls
import torch


def is_channels_last(model):
    weight = next(p for p in model.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1)
    return weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def test_student_and_teacher_are_converted(tmp_path):
    data = tiny_cls.write_cifar(tmp_path / 'cifar')
    runs = []
    for hooks in ([], [dict(type='dpk_mm.ChannelsLastHook')]):
        work_dir = tmp_path / f'run{len(hooks)}'
        cfg = tiny_cls.training_cfg(tiny_cls.distiller(), data, work_dir, epochs=1, custom_hooks=hooks)
        runs.append(tiny.train(cfg))
    plain, converted = (runner.model for runner in runs)
    assert not is_channels_last(plain.student) and not is_channels_last(plain.teacher)
    assert is_channels_last(converted.student) and is_channels_last(converted.teacher)
    for a, b in zip(plain.parameters(), converted.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
