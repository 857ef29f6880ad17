"""Look at the data of a comparison before anything is trained."""

import copy

from mmengine.config import Config
from mmengine.registry import DefaultScope

from dpk_mm.registry import DATASETS


def check_data(cfg: Config) -> None:
    """Read the first sample that a config trains on, and the first that it tests on.

    Args:
        cfg (Config): A whole config.

    Raises:
        ValueError: It cannot be read; names the field.
    """
    for field in ('train_dataloader', 'test_dataloader'):
        try:
            with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
                DATASETS.build(copy.deepcopy(cfg[field].dataset))[0]
        except Exception as error:  # whatever a data set raises, the runs would raise it too
            raise ValueError(f'{field}.dataset: {type(error).__name__}: {error}') from error
