"""export_student.py: the student alone, as a file that stock tools open."""

import pytest
import tiny
import tiny_cls
import torch


@pytest.fixture
def checkpoint(tmp_path):
    model = tiny.build(tiny.distiller())
    state = dict(
        state_dict=model.state_dict(),
        optimizer=dict(state={}),
        meta=dict(epoch=3, dataset_meta=dict(classes=('a', 'b'))),
    )
    torch.save(state, tmp_path / 'epoch_3.pth')
    return tmp_path / 'epoch_3.pth'


def test_writes_the_students_weights_alone(export_student, checkpoint, tmp_path, capsys):
    out = tmp_path / 'new/student.pth'
    export_student.main([str(checkpoint), str(out)])
    saved = torch.load(out, weights_only=True)
    plain = tiny.build(tiny.retinanet(), seed=4)
    plain.load_state_dict(saved['state_dict'], strict=True)
    original = torch.load(checkpoint)['state_dict']
    assert all(torch.equal(original[key], value) for key, value in plain.state_dict().items())
    assert saved['meta'] == dict(dataset_meta=dict(classes=('a', 'b')))
    assert out.stat().st_size < checkpoint.stat().st_size
    assert f'{len(saved["state_dict"])} of {len(original)} tensors' in capsys.readouterr().out
    assert list(out.parent.iterdir()) == [out]


def test_writes_a_friendly_teacher_without_its_branches(export_student, tmp_path):
    teacher = tiny_cls.classifier(depth=14, width=6)
    blocks = ['backbone.layer1', 'backbone.layer2']
    more = dict(student=tiny_cls.classifier(), blocks=blocks, input_shape=(32, 32))
    model = tiny.build(dict(type='dpk_mm.SFTN', teacher=teacher, **more))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'epoch_3.pth')
    export_student.main([str(tmp_path / 'epoch_3.pth'), str(tmp_path / 'teacher.pth')])
    saved = torch.load(tmp_path / 'teacher.pth', weights_only=True)['state_dict']
    tiny.build(teacher, seed=4).load_state_dict(saved, strict=True)


def test_refuses_what_it_would_spoil(export_student, checkpoint, tmp_path):
    before = checkpoint.read_bytes()
    with pytest.raises(SystemExit, match='exists already'):
        export_student.main([str(checkpoint), str(checkpoint)])
    assert checkpoint.read_bytes() == before
    with pytest.raises(SystemExit, match='nowhere.pth'):
        export_student.main([str(tmp_path / 'nowhere.pth'), str(tmp_path / 'out.pth')])
    (tmp_path / 'broken.pth').write_bytes(b'broken')
    with pytest.raises(SystemExit, match='broken.pth'):
        export_student.main([str(tmp_path / 'broken.pth'), str(tmp_path / 'out.pth')])
    torch.save(dict(weights=1), tmp_path / 'other.pth')
    with pytest.raises(SystemExit, match='no state_dict in it'):
        export_student.main([str(tmp_path / 'other.pth'), str(tmp_path / 'out.pth')])
    assert not (tmp_path / 'out.pth').exists()


def test_a_file_that_could_run_code_is_never_opened(export_student, tmp_path):
    """No variable of torch's opens it here, so the message names none."""
    torch.save(dict(state_dict=dict(a=torch.ones(1)), more=pytest.approx), tmp_path / 'a.pth')
    with pytest.raises(SystemExit, match=r'a.pth holds more than weights .* can run any code\.$'):
        export_student.main([str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')])
