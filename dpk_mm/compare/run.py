"""One run of a comparison: what it is, and what it left in its folder."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from mmengine.config import Config

from dpk_mm.compare.digest import first_difference, plain
from dpk_mm.compare.plan import Method
from dpk_mm.utils import is_distiller
from dpk_mm.utils.errors import walk
from dpk_mm.utils.files import digest_file, read_json, write_json


@dataclass
class Run:
    """One method with one seed.

    Attributes:
        method (Method): The method.
        seed (int): Of weights and data order.
        folder (Path): For all it writes.
    """

    method: Method
    seed: int
    folder: Path

    def __str__(self) -> str:
        return f'{self.method.name}, seed {self.seed}'

    @property
    def cfg(self) -> Config:
        """The config to train with."""
        return self._of_this_run(self.method.cfg)

    @property
    def test_cfg(self) -> Config:
        """The config to test with."""
        return self._of_this_run(self.method.test_cfg)

    def _of_this_run(self, cfg: Config) -> Config:
        cfg = copy.deepcopy(cfg)
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=self.seed)
        cfg.work_dir = str(self.folder)
        return cfg

    @property
    def result(self) -> Optional[Dict[str, Any]]:
        """What the finished run found; None before."""
        path = self.folder / 'result.json'
        return read_json(path, needed='metrics') if path.exists() else None

    def settings(self) -> Dict[str, Any]:
        """All that decides the result, as plain values, with the contents of the files that are named."""
        train, test = plain(self.cfg.to_dict()), plain(self.test_cfg.to_dict())
        settings = {key: train[key] for key in train if key != 'work_dir' and not key.startswith('test_')}
        settings['test'] = {key: test[key] for key in test if key == 'model' or key.startswith('test_')}
        if is_distiller(self.method.cfg):
            settings['teacher'] = self.method.teacher_model
        settings['contents'] = {
            field: digest_file(Path(value))
            for field, value in walk(train)
            if field.rpartition('.')[2] in ('checkpoint', 'load_from')
            and isinstance(value, str)
            and Path(value).is_file()
        }
        return settings

    def write_or_check_settings(self) -> None:
        """Write the settings down, or check them against those of a run that began.

        Raises:
            ValueError: They have changed; names run and field.
        """
        path, now, finished = self.folder / 'settings.json', self.settings(), self.result is not None
        if path.exists() and (finished or checkpoints(self.folder)):
            # what it will be tested with may still change
            allow = () if finished else ('test',)
            before = read_json(path)
            found = first_difference(before, now, allow)
            if found is not None:
                raise ValueError(
                    f'{self} {"finished" if finished else "began"} with other settings: {found[0]} was '
                    f'{found[1]!r}, is {found[2]!r}; give the runs another folder, or remove {self.folder}'
                )
        if not finished:
            write_json(path, now)


def run_folder(work_dir: Path, method: str, seed: int) -> Path:
    """Get the folder of a run.

    Args:
        work_dir (Path): Of the comparison.
        method (str): Its name; characters that folders had better not have become ``_``.
        seed (int): Its seed.

    Returns:
        Path: The folder.
    """
    word = ''.join(char if char.isalnum() or char in '-.+' else '_' for char in method)
    return work_dir / 'runs' / f'{word}-{seed}'


def make_runs(methods: List[Method], work_dir: Path) -> List[Run]:
    """List all runs, seed by seed, and keep or check their settings.

    Args:
        methods (list[Method]): The methods.
        work_dir (Path): Of the comparison.

    Returns:
        list[Run]: In the order they are to be started.

    Raises:
        ValueError: A run that began has other settings now, or two methods would share a folder.
    """
    runs = [
        Run(method, seed, run_folder(work_dir, method.name, seed))
        for seed in dict.fromkeys(seed for method in methods for seed in method.seeds)
        for method in methods
        if seed in method.seeds
    ]
    if len({run.folder for run in runs}) < len(runs):
        raise ValueError('two methods have names that give the same folder; change one')
    for run in runs:
        run.write_or_check_settings()
    return runs


def checkpoints(folder: Path) -> List[Path]:
    """List the checkpoints of a run, the newest first.

    Args:
        folder (Path): Of the run.

    Returns:
        list[Path]: ``epoch_N.pth`` or ``iter_N.pth``.
    """
    found = [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]
    return sorted(found, key=lambda path: int(path.stem.split('_')[1]), reverse=True)
