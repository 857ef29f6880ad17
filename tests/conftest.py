"""Settings of all tests."""

import contextlib
import functools
import gc
import importlib.util
import logging
import sys
from pathlib import Path

import mmengine.config.config
import mmengine.config.utils
import pytest
import torch

# mmengine reads a hundred metafiles for a config of upstream's, and a runner puts its text in style several
# times: half a second each time.
mmengine.config.utils.load = functools.cache(mmengine.config.utils.load)
mmengine.config.config.FormatCode = lambda text, **style: (text, True)
# Tiny models run faster on one thread, and the same on every machine.
torch.set_num_threads(1)


# What takes longest goes first, so that no worker is left alone with it at the end.
LONGEST = """
    test_compare test_engines test_classifier_configs test_rank_teachers test_distributed test_make_config
    test_three_lines test_promises test_inputs test_methods test_demo
""".split()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files forward."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_collection_finish():
    """Let no search for garbage go through what was imported: each data set of mmengine's makes one."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _fresh_message_hub():
    """No test sees the seed and iteration of another's runner."""
    from mmengine.logging import MessageHub

    MessageHub._instance_dict.clear()
    yield
    # fixtures of the next module run before this one does
    MessageHub._instance_dict.clear()


@contextlib.contextmanager
def _kept(level):
    """What mmengine logs from a level on, as text; no runner may be built in the meantime."""
    from mmengine.logging import MMLogger

    class Keep(logging.Handler):
        def emit(self, record):
            said.append(record.getMessage())

    said, logger, keep = [], MMLogger.get_current_instance(), Keep(level)
    before = logger.level
    logger.addHandler(keep)
    logger.setLevel(min(level, before))
    yield said
    logger.removeHandler(keep)
    logger.setLevel(before)


@pytest.fixture
def warnings_logged():
    """The warnings that mmengine logs."""
    with _kept(logging.WARNING) as said:
        yield said


@pytest.fixture
def logged():
    """All that mmengine logs."""
    with _kept(logging.INFO) as said:
        yield said


ROOT = Path(__file__).resolve().parents[1]

TOY = """
import torch
from mmengine.model import BaseModel
from mmengine.evaluator import BaseMetric
from mmengine.registry import DATASETS, METRICS, MODELS
from torch.utils.data import Dataset

from dpk_mm.models import BaseDistiller


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x, mode):
        return dict(loss=self.layer(x).square().mean()) if mode == 'loss' else [dict(score=1.0)] * len(x)


@MODELS.register_module(force=True)
class ToyDistiller(BaseDistiller):
    def __init__(self, student, teacher):
        raise AssertionError('a distiller was built')

    def distill(self, *args):
        pass


@DATASETS.register_module(force=True)
class ToyDataset(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        return dict(x=torch.full((4,), i / 8.0))


@METRICS.register_module(force=True)
class ToyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [sample['score'] for sample in data_samples]

    def compute_metrics(self, results):
        return dict(score=sum(results) / len(results))
"""

TOY_CONFIG = """
custom_imports = dict(imports=['dpk_mm_test_toy'])
model = dict(type='ToyModel')
loader = dict(
    batch_size=2, num_workers=0, dataset=dict(type='ToyDataset'),
    sampler=dict(type='DefaultSampler', shuffle=False), collate_fn=dict(type='default_collate'))
train_dataloader = val_dataloader = test_dataloader = loader
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = test_cfg = dict()
val_evaluator = test_evaluator = dict(type='ToyMetric')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
"""


def _load(path):
    spec = importlib.util.spec_from_file_location(f'dpk_mm_tools_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def root():
    return ROOT


@pytest.fixture(scope='session')
def load_tool():
    """Load a script as a module."""
    return _load


def _tool(name, folder='tools'):
    """A fixture that is a script, most of tools/, as a module."""

    @pytest.fixture(scope='session', name=name)
    def tool():
        return _load(ROOT / folder / f'{name}.py')

    return tool


train = _tool('train')
test = _tool('test')
plot_ratio = _tool('plot_ratio', 'tools/analysis_tools')
plot_priors = _tool('plot_priors', 'tools/analysis_tools')
plot_stage = _tool('plot_stage', 'tools/analysis_tools')
export_student = _tool('export_student', 'tools/model_converters')
repdistiller2dpk_mm = _tool('repdistiller2dpk_mm', 'tools/model_converters')
show_layers = _tool('show_layers', 'tools/analysis_tools')
cka_map = _tool('cka_map', 'tools/analysis_tools')
rank_teachers = _tool('rank_teachers', 'tools/analysis_tools')
compare = _tool('compare')
make_config = _tool('make_config')
profile_step = _tool('profile_step', 'tools/analysis_tools')
plot_teachers = _tool('plot_teachers', 'experiments/report')
make_results = _tool('make_results', 'experiments/report')
trend = _tool('trend', 'experiments/report')
prepare = _tool('prepare', 'experiments/bccd')
make_masks = _tool('make_masks', 'experiments/bccd_seg')
make_data = _tool('make_data', 'demo')


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """An empty current folder and a clean environment."""
    monkeypatch.chdir(tmp_path)
    for name in ('LOCAL_RANK', 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'):
        # set first, so that what the scripts set is undone
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, so that a test sees what is drawn; in the order they are saved."""
    from matplotlib.figure import Figure

    saved, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, 'savefig', lambda self, *args, **kw: saved.append(self) or save(self, *args, **kw)
    )
    return saved


@pytest.fixture
def config(workdir):
    """Write a config file; returns its path."""

    def write(text, name='config.py'):
        path = workdir / name
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def toy(config, workdir, monkeypatch):
    """A config that trains in a second."""
    (workdir / 'dpk_mm_test_toy.py').write_text(TOY)
    monkeypatch.syspath_prepend(str(workdir))
    yield config(TOY_CONFIG, 'toy.py')
    sys.modules.pop('dpk_mm_test_toy', None)
