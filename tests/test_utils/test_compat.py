import numpy as np
import pytest
import tiny
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint, load_checkpoint

from dpk_mm.utils import load_weights

safe_globals = getattr(torch.serialization, 'safe_globals', None)
needs_safe_globals = pytest.mark.skipif(safe_globals is None, reason='torch < 2.6 opens any file')


@needs_safe_globals
def test_upstreams_classes_are_allowed_once_dpk_mm_is_imported():
    assert HistoryBuffer in torch.serialization.get_safe_globals()


@needs_safe_globals
def test_what_another_takes_away_is_allowed_again(tmp_path):
    """The forks' mmengine does this at each of its loads."""
    path = str(tmp_path / 'epoch_1.pth')
    torch.save(
        dict(state_dict=dict(a=torch.ones(1)), log=HistoryBuffer([1.0], [1]), number=np.float64(1)), path
    )
    forks = hasattr(checkpoint, '_safe_torch_load')
    for load in (load_weights, checkpoint._load_checkpoint) if forks else (load_weights,):
        with safe_globals([HistoryBuffer, np.ndarray, np.dtype]):
            pass
        assert HistoryBuffer not in torch.serialization.get_safe_globals()
        load(path)


@needs_safe_globals
def test_mmengine_refuses_a_file_that_runs_code(tmp_path):
    """What ``load_from`` and ``resume`` call, with upstream and with the forks."""
    path, trace = tmp_path / 'epoch_1.pth', tmp_path / 'ran'
    torch.save(dict(state_dict=dict(weight=torch.ones(1, 1)), meta=tiny.runs_code(trace)), path)
    with pytest.raises(Exception, match='exec'):
        load_checkpoint(torch.nn.Linear(1, 1, bias=False), str(path))
    assert not trace.exists()


@needs_safe_globals
def test_mmengine_refuses_a_plain_getattr(tmp_path):
    content = dict(state_dict=dict(weight=torch.ones(1, 1)), meta=tiny.Call(getattr, torch.Tensor, 'mean'))
    torch.save(content, tmp_path / 'epoch_1.pth')
    with pytest.raises(Exception, match='getattr'):
        load_checkpoint(torch.nn.Linear(1, 1, bias=False), str(tmp_path / 'epoch_1.pth'))
