from pathlib import Path

from mmengine.logging import HistoryBuffer

ROOT = Path(__file__).parents[2]


def test_upstreams_classes_are_allowed_once_dpk_mm_is_imported():
    import torch

    if hasattr(torch.serialization, 'get_safe_globals'):
        assert HistoryBuffer in torch.serialization.get_safe_globals()
