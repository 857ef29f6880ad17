"""CIFAR-100 from any copy of it."""

import logging

from mmengine.fileio import exists, join_path
from mmengine.logging import print_log
from mmpretrain.datasets import CIFAR100 as MMPretrainCIFAR100

from dpk_mm.registry import DATASETS


@DATASETS.register_module()
class CIFAR100(MMPretrainCIFAR100):
    """MMPretrain's CIFAR100, which also reads files that are not the original archive's.

    Upstream refuses files whose checksum is not the archive's, so data that
    ``tools/dataset_converters/convert_data.py`` wrote could never be read. This class says so in the log and
    reads them. Takes upstream's arguments.
    """

    def _check_integrity(self) -> bool:
        """Whether all files are there; a checksum that differs is only reported."""
        folder = join_path(self.data_prefix['root'], self.base_folder)
        if not all(exists(join_path(folder, name)) for name, _ in self.train_list + self.test_list):
            return False
        if not super()._check_integrity():
            print_log(f'{folder} is not the original archive (checksums differ)', 'current', logging.WARNING)
        return True
