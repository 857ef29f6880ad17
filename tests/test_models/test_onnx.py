"""The student of a distiller leaves by torch's own ONNX export: nothing of dpk_mm is in the way."""

import pytest
import tiny
import tiny_cls
import torch

onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')  # torch's exporter needs it
OPSET = 18  # the one that docs/checkpoints.md names


def tensors(outputs):
    """All tensors of nested outputs, in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for part in outputs for tensor in tensors(part)]


@pytest.mark.slow
@pytest.mark.parametrize(
    'distiller, student, size, num_outputs',
    [
        (tiny_cls.distiller, tiny_cls.classifier, (32, 32), 1),
        (tiny.distiller, tiny.retinanet, (64, 96), 10),  # scores and boxes of five levels
    ],
    ids=['classifier', 'detector'],
)
def test_a_runtime_without_torch_computes_what_torch_does(distiller, student, size, num_outputs, tmp_path):
    trained = tiny.build(distiller()).eval()
    model = tiny.build(student(), seed=1)
    model.load_state_dict(trained.state_dict(), strict=False)  # as a stock tool opens the checkpoint
    model.eval()
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    path = tmp_path / 'student.onnx'
    torch.onnx.export(model, (images,), str(path), opset_version=OPSET)

    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    (given,) = session.get_inputs()
    more = torch.rand(images.shape, generator=torch.Generator().manual_seed(1))
    outputs = session.run(None, {given.name: more.numpy()})
    with torch.no_grad():
        expected = tensors(trained(more))
    assert len(outputs) == len(expected) == num_outputs
    for output, tensor in zip(outputs, expected):
        bound = 1e-5 * float(tensor.abs().max())
        torch.testing.assert_close(torch.from_numpy(output), tensor, atol=bound, rtol=0)
