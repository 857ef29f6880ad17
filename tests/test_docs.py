"""What the pages say works: their configs train, links lead somewhere, and sentences are short."""

import re
from pathlib import Path

import pytest
import shrink
import tiny
import tiny_cls
import tiny_seg
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

ROOT = Path(__file__).parents[1]
# those of a distiller
CONFIGS = [
    text
    for page in ('README.md', 'docs/config.md', 'docs/your_own_detector.md', 'docs/foundation_teacher.md')
    for text in re.findall(r'```python\n(.*?)```', (ROOT / page).read_text(encoding='utf-8'), re.DOTALL)
    if 'teacher=' in text
]
PAGES = sorted(
    [
        ROOT / 'README.md',
        ROOT / 'CHANGELOG.md',
        *ROOT.glob('docs/**/*.md'),
        *ROOT.glob('configs/**/README.md'),
    ]
)
FOLDERS = [path.name for path in sorted((ROOT / 'configs').iterdir()) if path.is_dir()]


@pytest.mark.parametrize('text', CONFIGS, ids=lambda text: text.split('::')[0].rpartition("'")[2])
def test_a_config_of_the_pages_trains(text, tmp_path):
    (tmp_path / 'config.py').write_text(text, encoding='utf-8')
    cfg = Config.fromfile(tmp_path / 'config.py')
    segments = cfg.default_scope == 'mmseg'
    model = tiny.build((shrink.segmentation if segments else shrink.distiller)(cfg))
    model.init_weights()
    model.train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = (tiny if shrink.is_detector(cfg) else tiny_seg if segments else tiny_cls).batch(model)
    losses = model(**batch, mode='loss')
    assert {f'loss_distill_{name}' for name in model.distiller} <= set(losses)
    loss, _ = model.parse_losses(losses)
    before = {name: parameter.detach().clone() for name, parameter in model.distiller.named_parameters()}
    wrapper.update_params(loss)
    changed = [n for n, p in model.distiller.named_parameters() if not torch.equal(p, before[n])]
    assert torch.isfinite(loss) and bool(changed) == bool(before)


def test_the_readme_has_the_three_lines_of_each_kind():
    assert [re.search(r'(\w+)::', text)[1] for text in CONFIGS] == [
        *['mmdet', 'mmpretrain'] * 2,
        'mmseg',
        *['mmdet'] * 3,
    ]
    assert CONFIGS[5] == f'# my_dpk.py\n{CONFIGS[0]}'
    assert all(len(text.splitlines()) == 3 for text in CONFIGS[:2])
    assert len((ROOT / 'README.md').read_text(encoding='utf-8').splitlines()) <= 150


def sentences(page):
    """The sentences of a page, without its code, tables, what is made from files, and headings."""
    text = re.sub(r'```.*?```|<!-- table.*?end -->', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
    text = re.sub(r'!?\[([^]]*)\]\([^)]*\)', r'\1', text)
    text = re.sub(r'^(\||#|    ).*$', '', text, flags=re.MULTILINE)
    parts = re.split(r'\n\s*\n|\n\s*(?:[-*]|\d+\.) ', text)
    return [one for part in parts for one in re.split(r'(?<=[.!?])[*)]{0,2}\s+', ' '.join(part.split()))]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_is_longer_than_30_words(page):
    assert [one for one in sentences(page) if len(re.findall(r'\w\S*', one)) > 30] == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r'```.*?```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
    links = [link.partition('#')[0] for link in re.findall(r'\]\(([^)\s]+)\)', text) if '://' not in link]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize('folder', FOLDERS)
def test_the_page_of_a_folder_of_configs_lists_its_files(folder):
    page = ROOT / 'configs' / folder / 'README.md'
    listed = re.findall(r'`([\w.-]+\.py)`', page.read_text(encoding='utf-8'))
    assert sorted(listed) == sorted(path.name for path in page.parent.glob('*.py'))


def test_the_messages_of_the_troubleshooting_page_are_those_of_the_code():
    page = (ROOT / 'docs/troubleshooting.md').read_text(encoding='utf-8')
    source = ' '.join(path.read_text(encoding='utf-8') for path in sorted(ROOT.glob('dpk_mm/**/*.py')))
    source = re.sub(r"""['"]\s*\n\s*f?['"]""", '', source)  # texts over several lines
    assert len(messages := re.findall(r'^> (.*)$', page, re.MULTILINE)) == 8
    for message in messages:
        # what stands for a name or a number in the message is in braces in the code
        parts = re.split(r'(?:[Ss]tages?[ .])?p4|neck\[1\]|\d[\d.e-]+|its loss ', message)
        parts = [part for part in parts if len(part) > 15]
        assert parts and all(part.strip() in source for part in parts), message
