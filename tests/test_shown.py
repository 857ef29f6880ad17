"""Every command and Python block that the pages show: a tool knows its flags, a config loads and fits."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from dpk_mm.compare import inputs
from dpk_mm.registry import DATASETS
from dpk_mm.utils import cli
from dpk_mm.utils.check_config import check_config

ROOT = Path(__file__).parents[1]
PAGES = {
    # with the lines that a backslash breaks in one
    str(path.relative_to(ROOT)): re.sub(r'\\\n *', '', path.read_text(encoding='utf-8'))
    for path in sorted([ROOT / 'README.md', *ROOT.glob('docs/**/*.md'), *ROOT.glob('configs/**/*.md')])
}
FENCE = re.compile(r'```(\w*)\n(.*?)```', re.DOTALL)
# words that begin a command, behind settings such as OMP_NUM_THREADS=1
COMMAND = re.compile(r'^    ((?:[A-Z]\w*=\S+ )*(?:python|bash|make|mim|pip|export|source|git) .*)$', re.M)
COMMANDS = [
    (page, line.strip())
    for page, text in PAGES.items()
    for shown in COMMAND.findall(FENCE.sub('', text))
    for line in shown.split('&&')
]
BLOCKS = [  # test_extend.py runs those of its page
    (page, text)
    for page, whole in PAGES.items()
    if page != 'docs/extend.md'
    for language, text in FENCE.findall(whole)
    if language == 'python'
]


def named(shown):
    return [f'{page}-{i}' for i, (page, _) in enumerate(shown)]


def check_tool(load_tool, script, args):
    """A command's arguments are those of its script, and the files of ours among them exist."""
    path = ROOT / re.sub(r'^(YOUR_MMDET|MMDET|MMPRETRAIN|DPK_MM)/', '', script)
    assert path.is_file(), script
    parse = getattr(load_tool(path), 'parse_args', None)
    if parse:
        parse(args)
    ours = [word.partition(':')[0] for word in args if re.match(r'(configs|experiments|demo|tools)/', word)]
    assert [word for word in ours if not re.search('[A-Z]{2}', word) and not (ROOT / word).exists()] == []


@pytest.mark.parametrize('page, line', COMMANDS, ids=named(COMMANDS))
def test_a_command_is_one(page, line, load_tool, workdir, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)  # for --device cuda
    # what is optional is given
    words = shlex.split(re.sub(r' \[(--.*?)\]', r' \1', line), comments=True)
    while re.match(r'[A-Z]\w*=', words[0]):
        words.pop(0)
    program, *args = words
    if program == 'python':
        check_tool(load_tool, args[0], args[1:])
    elif program == 'bash':
        script = ROOT / re.sub(r'^DPK_MM/', '', args[0])
        assert script.is_file(), args[0]
        launched = re.match(r'(?:dist|slurm)_(train|test)\.sh', script.name)
        if (
            launched
        ):  # with the number of GPUs, or partition and job, before or among the arguments of Python's script
            rest = [word for word in args[1:] if not word.isdigit()][2 * script.name.startswith('slurm') :]
            check_tool(load_tool, f'tools/{launched[1]}.py', rest)
    elif program == 'make':
        targets = re.findall(r'^([a-z-]+(?: [a-z-]+)*):', (ROOT / 'Makefile').read_text(), re.M)
        assert {word for word in args if '=' not in word} <= set(' '.join(targets).split())
    elif program == 'mim':
        names = [word for word in args if word.endswith('.py')]
        assert args[1] == 'dpk_mm' and all(list(ROOT.glob(f'configs/*/{name}')) for name in names)
    elif program == 'pip':
        extras = re.findall(r'(?:dpk_mm|\.)\[([\w-]+)\]', line)
        tasks = {f'{stack}-{task}' for stack in ('upstream', 'onedl') for task in ('det', 'cls', 'seg')}
        assert set(extras) <= {'upstream', 'onedl', *tasks}
    else:
        assert program in ('export', 'source', 'git')


@pytest.fixture
def place(workdir):
    """A folder with our configs, images of two classes and an npz file."""
    (workdir / 'configs/own').mkdir(parents=True)
    for folder in (
        'experiments',
        *(f'configs/{path.name}' for path in ROOT.glob('configs/*') if path.is_dir()),
    ):
        (workdir / folder).symlink_to(ROOT / folder)
    pixels = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), np.uint8)
    for split in ('train', 'val'):
        for name in ('ant', 'bee'):
            (workdir / 'data/mine' / split / name).mkdir(parents=True)
            cv2.imwrite(str(workdir / 'data/mine' / split / name / '0.png'), pixels[0])
    labels = np.array([0, 1, 0, 1])
    np.savez(workdir / 'data/mine.npz', x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    return workdir


@pytest.mark.parametrize('page, text', BLOCKS, ids=named(BLOCKS))
def test_a_block_of_python_is_what_it_says(page, text, place):
    """Those with a teacher train in test_docs.py as well."""
    tree = ast.parse(text)
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    if imports:  # a program
        for node in imports:
            for name in node.names:
                if isinstance(node, ast.Import):
                    importlib.import_module(name.name)
                else:
                    assert hasattr(importlib.import_module(node.module), name.name), name.name
        return
    file = place / ('configs/own/shown.py' if "_base_ = '../" in text else 'shown.py')
    if re.search('^methods =', text, re.M):
        file.write_text(text)
        inputs.read(Config.fromfile(file))
        return
    if not re.match(r'(# \S+\.py\n)?_base_ = ', text):  # fields, for the config of the README
        text = f"_base_ = ['mmdet::retinanet/retinanet_r50_fpn_2x_coco.py']\n{text}"
    file.write_text(text)
    cfg = cli.load_config(str(file))
    check_config(cfg)
    if re.search('^mine =', text, re.M):
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            assert DATASETS.build({'_scope_': cfg.default_scope, **loader.dataset})[0]
