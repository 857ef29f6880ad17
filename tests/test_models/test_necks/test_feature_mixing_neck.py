import pytest
import torch
from torch import nn

from dpk_mm.models import FeatureMixingNeck
from dpk_mm.models.necks.vit import sincos_positions
from dpk_mm.registry import MODELS
from dpk_mm.utils import record

SMALL = dict(
    encoder=dict(embed_dims=16, num_layers=1, num_heads=2),
    decoder=dict(embed_dims=24, num_layers=1, num_heads=2),
)


class FirstTokens:
    """The teacher fills the first tokens in the order given."""

    def __init__(self, order):
        self.order = torch.tensor(order)

    def __call__(self, teacher_feat, patch_size, generator=None):
        scores = torch.empty(self.order.shape)
        return scores.scatter_(1, self.order, -torch.arange(self.order.shape[1]).expand_as(scores) + 0.0)


class MaskedStage(nn.Module):
    """Adds a number to tokens, so that one sees where they went."""

    def __init__(self, number):
        super().__init__()
        self.number = number
        self.seen = None

    def forward(self, x):
        self.seen = x
        return x + self.number


def neck_of(student=4, teacher=6, patch_size=1, **kwargs):
    torch.manual_seed(0)
    return FeatureMixingNeck(student, teacher, patch_size, **{**SMALL, **kwargs})


def maps(batch=2, student=4, teacher=6, height=6, width=5, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(batch, student, height, width, generator=generator),
        torch.randn(batch, teacher, height, width, generator=generator),
    )


class Gives(nn.Module):
    """Gives one and the same, whatever it gets."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output


def filled_by_the_teacher(neck, student, teacher, ratio, generator=None):
    """The positions (B, H W) that the teacher fills: a residual neck begins with the hybrid map."""
    assert neck.residual
    return (neck(student, teacher, ratio, generator) == teacher).all(dim=1).flatten(1)


@pytest.mark.parametrize('channels, parameters', [(512, 51_483_136), (256, 12_896_512)])
def test_as_many_parameters_as_the_snapshots_r34_r18_necks(channels, parameters):
    with torch.device('meta'):
        neck = FeatureMixingNeck(
            channels,
            channels,
            encoder=dict(embed_dims=channels, num_layers=6, num_heads=8),
            decoder=dict(embed_dims=channels, num_layers=4, num_heads=8),
        )
    assert sum(p.numel() for p in neck.parameters()) == parameters
    assert not list(neck.buffers())


# 4 channels of the student and 6 of the teacher in patches of 2 x 2, and the encoder's width
TORCHS_DEFAULT = {'student_stem': 16, 'teacher_stem': 24, 'to_decoder': 16}


def test_initialisation_is_xavier_but_for_stems_and_to_decoder():
    """Those three keep torch's default: uniform within 1 / sqrt(inputs), their biases too."""
    for name, parameter in neck_of(patch_size=2).named_parameters():
        inputs = TORCHS_DEFAULT.get(name.partition('.')[0])
        if inputs is not None:
            bound = 1 / inputs**0.5
            assert 0.8 * bound < parameter.abs().max() <= bound, name
        elif name.endswith('bias'):
            assert not parameter.any(), name
        elif parameter.ndim > 1:
            fan_out, fan_in = parameter.shape
            bound = (6 / (fan_in + fan_out)) ** 0.5
            assert 0.8 * bound < parameter.abs().max() <= bound, name
        else:
            assert (parameter == 1).all(), name


def test_initialisation_of_an_imagenet_neck_is_as_wide_as_the_authors():
    """1 / sqrt(3 x 512) = 0.0255 for 512 channels; Xavier's would be sqrt(2 / 1024) = 0.0442."""
    sizes = dict(embed_dims=512, num_layers=1, num_heads=8)
    neck = neck_of(512, 512, encoder=sizes, decoder=sizes)
    for layer, std in (
        (neck.student_stem, 0.0255),
        (neck.teacher_stem, 0.0255),
        (neck.to_decoder, 0.0255),
        (neck.head, 0.0442),
    ):
        assert layer.weight.std().item() == pytest.approx(std, rel=0.01)


@pytest.mark.parametrize('ratio', [0, 0.3, 1])
@pytest.mark.parametrize('patch_size', [1, 2, 4])
@pytest.mark.parametrize('size', [(8, 8), (7, 5), (4, 9), (3, 2), (1, 1), (1, 13)])
def test_any_map_size(size, patch_size, ratio):
    student, teacher = maps(height=size[0], width=size[1])
    assert neck_of(patch_size=patch_size)(student, teacher, ratio).shape == teacher.shape


@pytest.mark.parametrize('num_tokens', [1, 2, 3, 4, 5, 9, 30, 49, 196])
def test_mask_count_is_exact(num_tokens):
    neck = neck_of()
    student, teacher = maps(height=1, width=num_tokens)
    for ratio in (0, 0.001, 0.1, 0.15, 1 / 3, 0.5, 0.7, 0.85, 0.999, 1):
        expected = round(num_tokens * ratio)
        if ratio not in (0, 1):
            least = min(2, num_tokens // 2)
            expected = sorted((least, expected, num_tokens - max(1, least)))[1]
        assert neck.num_teacher_tokens(num_tokens, ratio) == expected
        with record(neck, ['student_encoder', 'teacher_encoder']) as feats:
            neck(student, teacher, ratio)
        assert feats['teacher_encoder'].shape == (2, expected, 16)
        assert feats['student_encoder'].shape == (2, num_tokens - expected, 16)


@pytest.mark.parametrize('count', [1, 17, 29])
def test_wanted_count_survives_float_arithmetic(count):
    assert neck_of().num_teacher_tokens(49, count / 49) == max(count, 2)


@pytest.mark.parametrize(
    'least, num_tokens, ratio, expected',
    [
        (2, 49, 0.01, 2),  # 0.49 tokens: CIFAR's least
        (4, 49, 0.01, 4),  # ImageNet's
        (4, 49, 0.5, 24),  # 24.5 is rounded to even
        (40, 121, 0.15, 40),  # 18 tokens of a P7 of 11 x 11: detection's
        (40, 273, 0.15, 41),
        (40, 70, 0.15, 35),  # half of a small map
        (40, 1, 0.15, 0),
        (40, 1, 0.85, 0),  # the student keeps its only one
        (40, 121, 0, 0),  # taken at its word
        (40, 121, 0.999, 119),  # the student keeps 2
    ],
)
def test_the_teacher_fills_the_least_number_of_tokens(least, num_tokens, ratio, expected):
    neck = neck_of(min_teacher_tokens=least)
    assert neck.num_teacher_tokens(num_tokens, ratio) == expected
    with record(neck, ['teacher_encoder']) as feats:
        neck(*maps(height=1, width=num_tokens), ratio)
    assert feats['teacher_encoder'].shape == (2, expected, 16)


def test_every_sample_and_step_has_its_own_choice_of_tokens():
    neck = neck_of(student=6, residual=True)
    generators = [torch.Generator().manual_seed(step) for step in range(2)]
    feats = maps(batch=6, student=6)
    every = torch.cat([filled_by_the_teacher(neck, *feats, 0.5, generator) for generator in generators])
    assert every.sum(dim=1).tolist() == [15] * 12
    assert len({tuple(filled.tolist()) for filled in every}) == 12


@pytest.mark.parametrize('ratio', [0, 0.5, 1])
def test_every_parameter_gets_a_gradient(ratio):
    neck = neck_of(patch_size=2)
    student, teacher = maps()
    student.requires_grad_()
    neck(student, teacher, ratio).square().sum().backward()
    for name, parameter in neck.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert student.grad is not None
    used = {kind: getattr(neck, f'{kind}_stem').weight.grad.any() for kind in ('student', 'teacher')}
    assert used == dict(student=ratio < 1, teacher=ratio > 0)


def test_no_gradient_to_the_teacher():
    student, teacher = maps()
    teacher.requires_grad_()
    neck_of()(student, teacher, 0.5).sum().backward()
    assert teacher.grad is None


@pytest.mark.parametrize('patch_size', [1, 2])
def test_the_student_gets_its_gradient_only_through_kept_tokens(patch_size):
    rows, columns = 2, 3
    order = [[5, 0, 2, 1, 3, 4], [1, 2, 3, 4, 5, 0]]
    neck = neck_of(patch_size=patch_size)
    neck.mask = FirstTokens(order)
    student, teacher = maps(height=rows * patch_size, width=columns * patch_size)
    student.requires_grad_()
    neck(student, teacher, 0.5).square().sum().backward()
    for b in range(2):
        for token in range(6):
            i, j = (patch_size * n for n in divmod(token, columns))
            gradient = student.grad[b, :, i : i + patch_size, j : j + patch_size]
            if token in order[b][:3]:
                assert not gradient.any()
            else:
                assert gradient.all()


def test_replaced_student_and_kept_teacher_positions_are_not_read():
    order = [[5, 0, 2, 1, 3, 4]] * 2
    neck = neck_of()
    neck.mask = FirstTokens(order)
    student, teacher = maps(height=2, width=3)
    expected = neck(student, teacher, 0.5)
    student.flatten(2)[:, :, order[0][:3]] = 1e3
    teacher.flatten(2)[:, :, order[0][3:]] = 1e3
    torch.testing.assert_close(neck(student, teacher, 0.5), expected)
    student.flatten(2)[:, :, order[0][3]] += 1
    assert not torch.allclose(neck(student, teacher, 0.5), expected)


def test_stitch_puts_tokens_where_they_belong():
    """With identities for encoders, decoder and head the output is the hybrid map itself."""
    width = 6
    sizes = dict(embed_dims=width, num_layers=1, num_heads=1)
    neck = neck_of(width, width, encoder=sizes, decoder=sizes)
    neck.student_encoder, neck.teacher_encoder = nn.Identity(), nn.Identity()
    neck.student_stem, neck.teacher_stem = nn.Identity(), nn.Identity()
    neck.to_decoder = neck.decoder = neck.head = nn.Identity()
    student, teacher = maps(batch=3, student=width, teacher=width, height=4, width=5)
    scores = torch.rand(3, 20)
    neck.mask = lambda *_: scores
    table = sincos_positions(20, width, torch.device('cpu'))

    result = neck(student, teacher, 0.35)
    for b in range(3):
        filled = scores[b].topk(7).indices.tolist()
        for token in range(20):
            source = teacher if token in filled else student
            # the positions of the encoders' and of the decoder's table
            expected = source[b, :, token // 5, token % 5] + 2 * table[token]
            torch.testing.assert_close(result[b, :, token // 5, token % 5], expected)


def test_each_kind_goes_through_its_own_stem_and_encoder():
    width = 6
    sizes = dict(embed_dims=width, num_layers=1, num_heads=1)
    neck = neck_of(width, width, encoder=sizes, decoder=sizes)
    neck.student_encoder, neck.teacher_encoder = MaskedStage(100), MaskedStage(200)
    neck.student_stem, neck.teacher_stem = nn.Identity(), nn.Identity()
    neck.to_decoder = neck.decoder = neck.head = nn.Identity()
    neck.mask = FirstTokens([[3, 1, 0, 2]])
    zeros = torch.zeros(1, width, 2, 2)
    result = neck(zeros, zeros, 0.5).flatten(2)[0].T
    table = sincos_positions(4, width, torch.device('cpu'))
    # each token brought its own position to its encoder
    torch.testing.assert_close(neck.teacher_encoder.seen[0], table[[3, 1]])
    torch.testing.assert_close(neck.student_encoder.seen[0], table[[0, 2]])
    expected = torch.tensor([100.0, 200, 100, 200])[:, None] + 2 * table
    torch.testing.assert_close(result, expected)


def test_the_decoder_sees_every_token_with_a_position_of_its_own():
    neck = neck_of()
    width = SMALL['decoder']['embed_dims']
    neck.to_decoder = Gives(torch.zeros(2, 30, width))
    neck.decoder = MaskedStage(0)
    neck(*maps(), 0.5)
    table = sincos_positions(30, width, torch.device('cpu'))
    torch.testing.assert_close(neck.decoder.seen, table.expand(2, -1, -1))


@pytest.mark.parametrize('patch_size', [1, 2, 3])
def test_what_the_head_gives_is_laid_out_as_h_w_p1_p2_c(patch_size):
    p, rows, columns, channels = patch_size, 2, 4, 6
    neck = neck_of(patch_size=p)
    tokens = torch.randn(2, rows * columns, p * p * channels)
    neck.head = Gives(tokens)
    expected = torch.empty(2, channels, rows * p, columns * p)
    for h in range(rows):
        for w in range(columns):
            for p1 in range(p):
                for p2 in range(p):
                    for c in range(channels):
                        value = tokens[:, h * columns + w, (p1 * p + p2) * channels + c]
                        expected[:, c, h * p + p1, w * p + p2] = value
    assert torch.equal(neck(*maps(height=rows * p, width=columns * p), 0.5), expected)
    height, width = rows * p - p + 1, columns * p - p + 1
    cropped = neck(*maps(height=height, width=width), 0.5)
    assert torch.equal(cropped, expected[:, :, :height, :width])


def test_stem_reads_patches_in_row_order_and_pads_with_zeros():
    """A token is the patch's linear map: patches at the border are filled up with zeros."""
    neck = neck_of(patch_size=2)
    student, teacher = maps(height=3, width=5)
    padded = torch.zeros(2, 4, 4, 6)
    padded[:, :, :3, :5] = student
    nn.init.normal_(neck.student_stem.bias)
    neck.mask = FirstTokens([list(range(6))] * 2)
    neck.student_encoder = MaskedStage(0)
    neck(student, teacher, 0)
    table = sincos_positions(6, 16, torch.device('cpu'))
    for b in range(2):
        for token in range(6):
            i, j = 2 * (token // 3), 2 * (token % 3)
            patch = padded[b, :, i : i + 2, j : j + 2]
            expected = (neck.student_stem.weight * patch).sum(dim=(1, 2, 3))
            expected = expected + neck.student_stem.bias + table[token]
            torch.testing.assert_close(neck.student_encoder.seen[b, token], expected)


def test_can_learn_to_copy_the_teacher():
    """All of the teacher given, its map comes out after a few steps."""
    neck = neck_of()
    student, teacher = maps()
    optimizer = torch.optim.AdamW(neck.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = (neck(student, teacher, 1.0) - teacher).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_the_same_generator_gives_the_same_output():
    neck, (student, teacher) = neck_of(), maps()
    outputs = [neck(student, teacher, 0.5, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_the_generator_is_left_as_it_is():
    """Activation checkpointing calls the neck twice with one generator."""
    neck, (student, teacher), generator = neck_of(), maps(), torch.Generator()
    outputs = [neck(student, teacher, 0.5, generator) for _ in range(2)]
    assert torch.equal(*outputs)


def test_the_global_generator_is_used_only_if_none_is_given():
    neck, (student, teacher) = neck_of(), maps()
    state = torch.get_rng_state()
    neck(student, teacher, 0.5, torch.Generator())
    assert torch.equal(torch.get_rng_state(), state)
    neck(student, teacher, 0.5)
    assert not torch.equal(torch.get_rng_state(), state)


def test_samples_of_a_batch_do_not_mix():
    neck, (student, teacher) = neck_of(), maps()
    neck.mask = FirstTokens([list(range(30))] * 2)
    expected = neck(student, teacher, 0.5)[0]
    student[1] += 1
    teacher[1] += 1
    torch.testing.assert_close(neck(student, teacher, 0.5)[0], expected)


def test_activity_mask_gives_the_teacher_its_most_active_tokens():
    neck = neck_of(student=6, mask='dpk_mm.TeacherActivityMask', residual=True)
    student, teacher = maps(student=6)
    filled = filled_by_the_teacher(neck, student, teacher, 0.2)
    sums = teacher.sum(dim=1).flatten(1)
    for b in range(2):
        assert filled[b].nonzero().flatten().tolist() == sorted(sums[b].topk(6).indices.tolist())


@pytest.mark.parametrize('mask', ['dpk_mm.RandomMask', dict(type='dpk_mm.RandomMask')])
def test_built_from_a_config(mask):
    cfg = dict(type='dpk_mm.FeatureMixingNeck', student_channels=4, teacher_channels=6, mask=mask, **SMALL)
    assert MODELS.build(cfg)(*maps(), 0.5).shape == (2, 6, 6, 5)


def test_cpu_autocast_trains():
    neck, (student, teacher) = neck_of(patch_size=2), maps()
    expected = neck(student, teacher, 0.5, torch.Generator().manual_seed(0))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = neck(student, teacher.bfloat16(), 0.5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(out.float(), expected, atol=0.1, rtol=0.1)
    out.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in neck.parameters())


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(patch_size=0), 'patch_size must be a positive integer, got 0'),
        (dict(patch_size=-1), 'patch_size must be a positive integer, got -1'),
        (dict(patch_size=2.0), 'patch_size must be a positive integer, got 2.0'),
        (dict(student=0), 'student_channels must be a positive integer, got 0'),
        (dict(min_teacher_tokens=0), 'min_teacher_tokens must be a positive integer, got 0'),
        (dict(teacher='6'), "teacher_channels must be a positive integer, got '6'"),
        (dict(encoder=dict(embed_dims=15, num_layers=1, num_heads=3)), 'must be even'),
        (dict(decoder=dict(embed_dims=16, num_layers=1, num_heads=3)), 'got 16 and 3'),
        (dict(decoder=dict(embed_dims=16, num_layers=0, num_heads=4)), 'num_layers must be'),
        (dict(decoder=None), 'decoder needs embed_dims, num_layers, num_heads, or the neck a preset'),
        (dict(encoder=dict(embed_dims=16)), 'encoder needs num_layers, num_heads, or'),
        (dict(encoder='big'), "encoder must be a dict of embed_dims, num_layers, num_heads, got 'big'"),
        (dict(residual=True), 'residual needs as many channels on both sides, got 4 of the student and 6 of'),
        (dict(preset='thin'), "preset must be 'lean', got 'thin'"),
    ],
)
def test_wrong_sizes_are_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        neck_of(**kwargs)


@pytest.mark.parametrize('size', [(6, 6), (5, 7)])
@pytest.mark.parametrize('ratio', [0.0, 0.4, 1.0])
def test_a_residual_neck_begins_with_the_hybrid_map(size, ratio):
    neck = neck_of(6, 6, 2, residual=True)
    student, teacher = maps(2, 6, 6, *size)
    student.requires_grad_()
    rows, columns = (-(-side // 2) for side in size)
    order = torch.rand(2, rows * columns).argsort(dim=1)
    neck.mask = FirstTokens(order.tolist())
    out = neck(student, teacher, ratio)
    for image in range(2):
        taken = set(order[image, : neck.num_teacher_tokens(rows * columns, ratio)].tolist())
        for y in range(size[0]):
            for x in range(size[1]):
                side = teacher if y // 2 * columns + x // 2 in taken else student
                assert torch.equal(out[image, :, y, x], side[image, :, y, x])
    # the student is told directly, by its own tokens alone
    out.sum().backward()
    assert torch.equal(student.grad, (out.detach() == student.detach()).float())
    assert neck.head.weight.grad.abs().sum() > 0


def test_a_residual_neck_learns_what_the_student_lacks():
    neck = neck_of(6, 6, residual=True)
    student, teacher = maps(4, 6, 6)
    optimizer = torch.optim.AdamW(neck.parameters(), lr=3e-3)
    losses = []
    for seed in range(60):
        loss = (neck(student, teacher, 0.0, torch.Generator().manual_seed(seed)) - teacher).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx((student - teacher).square().mean().item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize('channels, dims', [(16, 32), (64, 32), (256, 128), (512, 256), (2048, 256)])
def test_lean_preset_is_half_as_wide_as_the_teachers_map(channels, dims):
    neck = FeatureMixingNeck(8, channels, preset='lean')
    assert len(neck.student_encoder) == len(neck.teacher_encoder) == len(neck.decoder) == 3  # with the norm
    assert neck.student_stem.out_channels == neck.head.in_features == dims
    assert {block.attn.num_heads for block in list(neck.decoder)[:2]} == {dims // 32}


def test_what_is_said_goes_before_the_preset():
    neck = FeatureMixingNeck(8, 256, preset='lean', decoder=dict(num_layers=1, embed_dims=64))
    assert (len(neck.decoder), neck.head.in_features) == (2, 64)
    assert (len(neck.student_encoder), neck.student_stem.out_channels) == (3, 128)


@pytest.mark.parametrize(
    'student, teacher',
    [
        ((2, 5, 6, 5), (2, 6, 6, 5)),
        ((2, 4, 6, 5), (2, 7, 6, 5)),
        ((2, 4, 6, 5), (2, 6, 5, 6)),
        ((2, 4, 6, 5), (1, 6, 6, 5)),
        ((2, 4, 6, 5), (2, 6, 12, 10)),
    ],
)
def test_maps_that_do_not_fit_are_named_with_both_shapes(student, teacher):
    with pytest.raises(ValueError) as error:
        neck_of()(torch.rand(student), torch.rand(teacher), 0.5)
    assert str(student) in str(error.value) and str(teacher) in str(error.value)


@pytest.mark.parametrize('ratio', [-0.01, 1.01, float('nan')])
def test_a_ratio_outside_0_1_is_an_error(ratio):
    with pytest.raises(ValueError, match=r'ratio must lie in \[0, 1\]'):
        neck_of()(*maps(), ratio)
