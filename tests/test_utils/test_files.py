"""Files are written whole or not at all, and where they were named."""

import os

import pytest
import torch

from dpk_mm.utils import files
from dpk_mm.utils.files import save_checkpoint, write_json, write_text


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'a.pth'
    save_checkpoint(path, dict(a=torch.ones(1)))
    before = path.read_bytes()
    with pytest.raises(Exception, match='pickle|local object'):  # as Python 3.13 says
        save_checkpoint(path, dict(a=lambda: 0))
    assert path.read_bytes() == before and os.listdir(tmp_path) == ['a.pth']


def test_planted_links_and_pipes_are_not_followed(tmp_path):
    (tmp_path / 'secret').write_text('kept')
    (tmp_path / 'out.json').symlink_to(tmp_path / 'secret')
    (tmp_path / 'out.pth.part').symlink_to(tmp_path / 'secret')
    os.mkfifo(tmp_path / 'pipe')
    for name in ('out.json', 'pipe'):
        with pytest.raises(OSError, match='is no ordinary file'):
            write_json(tmp_path / name, {})
    save_checkpoint(tmp_path / 'out.pth', {})
    assert (tmp_path / 'secret').read_text() == 'kept'


def test_files_have_the_mode_of_all_others(tmp_path):
    (tmp_path / 'plain').write_text('')
    write_text(tmp_path / 'b' / 'text', 'ä')
    assert (tmp_path / 'b' / 'text').read_text(encoding='utf-8') == 'ä'
    assert os.stat(tmp_path / 'b' / 'text').st_mode == os.stat(tmp_path / 'plain').st_mode


def test_results_that_are_too_large_or_too_deep_are_one_line(tmp_path, monkeypatch):
    path = tmp_path / 'result.json'
    path.write_text('[' * 200_000)
    with pytest.raises(ValueError, match='result.json is damaged .*deeply'):
        files.read_json(path)
    monkeypatch.setattr(files, 'LARGEST_JSON', 100)
    with pytest.raises(ValueError, match='has 200,000 bytes; 100 are allowed'):
        files.read_json(path)
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(ValueError, match='no ordinary file'):
        files.read_json(tmp_path / 'pipe')
