"""The metafiles, from which mim lists and finds our configs, say what the configs are."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from mmengine.fileio import load

ROOT = Path(__file__).parents[1]
REFERENCE = json.loads((ROOT / 'tests/data/configs.json').read_text())
INDEX = load(ROOT / 'model-index.yml')['Import']
DATA = {'COCO': 'coco', 'ImageNet-1k': 'in1k', 'CIFAR-100': 'cifar100', 'Cityscapes': 'cityscapes'}


def test_the_index_lists_a_metafile_of_each_folder():
    folders = sorted(path.name for path in (ROOT / 'configs').iterdir() if path.is_dir())
    assert INDEX == [f'configs/{name}/metafile.yml' for name in folders]


@pytest.mark.parametrize('metafile', INDEX)
def test_a_metafile_lists_each_config_of_its_folder(metafile):
    folder = (ROOT / metafile).parent
    models = load(ROOT / metafile)['Models']
    configs = [path for path in folder.rglob('*.py') if '_base_' not in path.parts]
    assert sorted(model['Config'] for model in models) == sorted(str(p.relative_to(ROOT)) for p in configs)


@pytest.mark.parametrize('metafile', INDEX)
def test_a_metafile_says_what_its_configs_are(metafile):
    content = load(ROOT / metafile)
    page = (ROOT / metafile).with_name('README.md').read_text()
    for model in content['Models']:
        path = Path(model['Config'])
        about = model['Metadata']
        assert model['Name'] == path.stem
        assert path.stem.endswith(f'_{DATA[about["Training Data"]]}')
        train_cfg = REFERENCE[model['Config']]['train_cfg']
        assert about.get('Epochs') == train_cfg.get('max_epochs')
        assert about.get('Iterations') == train_cfg.get('max_iters')
        measured = not re.search(f'`{path.name}`.*not measured \\|$', page, re.M)
        assert 'Results' not in model or measured, path  # no figure that nobody measured
    names = [collection['Name'] for collection in content['Collections']]
    assert sorted(names) == sorted({model['In Collection'] for model in content['Models']})
    assert all((ROOT / collection['README']).is_file() for collection in content['Collections'])


def test_mim_finds_a_config_by_its_name():
    """mim looks through all files, those of _base_ included."""
    files = Counter(path.name for path in (ROOT / 'configs').rglob('*.py'))
    assert [name for name in REFERENCE if files[Path(name).name] != 1] == []
