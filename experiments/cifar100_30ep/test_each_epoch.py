"""A hook that tests after each epoch."""

from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from dpk_mm.utils import preserve_random_state
from dpk_mm.utils.files import read_json


@HOOKS.register_module()
class TestEachEpochHook(Hook):
    """Logs ``test/top1``, in percent, after each epoch of a run of tools/compare.py.

    Papers often print the best epoch. Training goes on as without this hook: no random number is drawn. The data are
    those that the run is tested with in the end.
    """

    __test__ = False  # it is no test of pytest's
    loader = None

    def after_train_epoch(self, runner: Runner) -> None:
        """Test, before the checkpoint of the epoch is written."""
        with preserve_random_state(), torch.no_grad():
            if self.loader is None:
                settings = read_json(Path(runner.work_dir) / 'settings.json', needed='test')
                self.loader = Runner.build_dataloader(settings['test']['test_dataloader'])
            runner.model.eval()  # the next epoch begins with train()
            right = [
                int(sample.pred_label) == int(sample.gt_label)
                for batch in self.loader
                for sample in runner.model.val_step(batch)
            ]
        top1 = 100 * sum(right) / len(right)
        runner.visualizer.add_scalar('test/top1', top1, step=runner.epoch + 1)
