"""What the result pages and the README state, and the rows that bear it out: make_results.py checks all of it.

A run that turns an order, a verdict or a digit fails there with the page and the sentence.
"""

from functools import partial
from operator import methodcaller

from dpk_mm.compare.verdict import FAILED, HELD, UNKNOWN

# What a sentence states: methods of study.Study, called on the study that its page is about. Those in the first
# line give the text for a pair of braces.
_FIGURES = 'mean average gain points each p step_ms slope agreement ratio'.split()
mean, average, gain, points, each, p, step_ms, slope, agreement, ratio = (
    partial(methodcaller, name) for name in _FIGURES
)
order, best, verdict = (partial(methodcaller, name) for name in ('order', 'best', 'verdict'))

# CIFAR-100 in three epochs: the rows with the authors' kind of neck
_PRIORS = [
    'dpk, fixed ratio 0.15', 'dpk, fixed ratio 0.5', 'dpk, fixed ratio 0.85', 'dpk, random ratio', 'dpk, cka',
]  # fmt: skip
_AUTHORS = ['dpk, ratio 0', *_PRIORS]
_RESIDUAL = ['dpk, ratio 0, residual', 'dpk, fixed ratio 0.5, residual', 'dpk, cka, residual']
_LEAN = ['dpk, ratio 0, lean necks', 'dpk, cka, lean necks', 'dpk, cka, lean necks, residual']
_SFTN = ['kd, SFTN teacher', 'dpk, cka, SFTN teacher']
_NECKS = [*_AUTHORS, *_RESIDUAL, *_LEAN, *_SFTN]

# blood cells
_START, _LED, _TUNED = 'inherited start', 'dpk, ratio 0, lean necks, PKD, 3', 'dpk, cka, lean necks, PKD, 3'
_FIRST = ['MGD', 'FGD', 'dpk, ratio 0', 'dpk, fixed ratio', 'dpk, cka']
_FIRST += ['dpk, cka, lean necks', 'dpk, cka, lean necks, residual']

_FEW = {name: f'{name}, weights 100 and 60' for name in (
    'necks, ratio 0', 'necks, fixed ratio 0.5', 'necks, ratio by CKA: DPK',
)}  # fmt: skip

_CKA = 'kd, dpk, cka'
_CURES = [f'{_CKA}, {cure}' for cure in ('over 1 - ratio', "student's tokens", 'two passes')]

# the search for the weight of thirty epochs
_SEARCHED = ('kd + fitnet', 'dpk, ratio 0', 'dpk, cka')
_LEADS = [best(*(f'{name}, {weight}' for weight in (30, 10, 100))) for name in _SEARCHED]

# (page, study[/file]) -> sentences as they stand there, braces for figures, and what they state
SAID = {
    ('docs/results/README.md', 'cifar100_short'): [
        (
            'DPK beats logit KD once the weight of its features\' loss is raised. It does not beat KD + FitNet or DIST on CIFAR-100.',
            verdict(HELD, 'dpk, cka', 'kd'), verdict(HELD, 'dpk, cka, residual', 'kd'),
            verdict(FAILED, 'dpk, cka', 'kd + fitnet'), verdict(UNKNOWN, 'dpk, cka, residual', 'kd + fitnet'),
            verdict(FAILED, 'dpk, cka', 'dist'), verdict(FAILED, 'dpk, cka, residual', 'dist'),
        ),
        (
            'No prior improved accuracy significantly in these schedules.',
            *(order('dpk, ratio 0', name) for name in _PRIORS),
            verdict(UNKNOWN, 'dpk, cka, residual', 'dpk, ratio 0, residual'),
        ),
        ('DIST leads; residual necks bring DPK level with KD + FitNet', best('dist', 'dkd', 'kd', 'fitnet', 'kr', *_NECKS)),
    ],
    ('docs/results/README.md', 'bccd'): [
        (
            'On blood cells it shows no significant gain over FGD or PKD when it uses their loss. No prior improved',
            verdict(UNKNOWN, 'dpk, cka', 'FGD'), verdict(UNKNOWN, _TUNED, 'PKD, 3'), verdict(UNKNOWN, _LED, 'PKD, 3'),
            verdict(UNKNOWN, 'dpk, cka', 'dpk, ratio 0'), verdict(UNKNOWN, _TUNED, _LED),
        ),
        ('The one for "best other method" is further biased', best('PKD, 3', 'PKD', 'FGD', 'MGD'), best('PKD', 'FGD', 'MGD')),
        ("the inherited start gives most; PKD's loss helps", verdict(HELD, _LED, _START), verdict(HELD, _TUNED, _START)),
    ],
    ('docs/results/README.md', 'bccd_tuning'): [
        ("PKD's loss at 3 leads, with or without necks", order('dpk, ratio 0, PKD, 3', 'PKD, 3', 'dpk, ratio 0, PKD')),
    ],
    ('docs/results/README.md', 'cifar100_tuning'): [
        (
            'residual necks pass FitNet after one epoch',
            order('cka, 100, residual', 'ratio 0, 100, residual', 'kd + fitnet, 30'),
        ),
    ],
    ('docs/results/README.md', 'cifar100_teachers'): [
        (
            'the better teacher does not make the better student',
            verdict(FAILED, 'dpk, ResNet-32', 'dpk, ResNet-14'), verdict(UNKNOWN, 'kd, ResNet-32', 'kd, ResNet-14'),
        ),
    ],
    ('docs/results/README.md', 'speed'): [
        (
            '{} and {} times the floor; lean {} and {}',
            ratio('resnet34_resnet18_in1k.json'), ratio('retinanet_r101_r50_coco.json'),
            ratio('resnet34_resnet18_lean_in1k.json'), ratio('retinanet_r101_r50_lean_coco.json'),
        ),
    ],
    ('docs/results/speed.md', 'speed'): [
        (
            'brings ResNet-34 to ResNet-18 from {} to {} times the floor, and RetinaNet from {} to {}.',
            ratio('resnet34_resnet18_in1k.json'), ratio('resnet34_resnet18_lean_in1k.json'),
            ratio('retinanet_r101_r50_coco.json'), ratio('retinanet_r101_r50_lean_coco.json'),
        ),
    ],
    ('docs/results/demo.md', 'demo'): [
        (
            'DPK has {} points over the student alone. {} of them come from the start and {} from the distillation.',
            points('student with DPK', 'student alone'), points('student, inherited start', 'student alone'),
            points('student with DPK', 'student, inherited start'),
        ),
        ('FGD gives almost all of the {} points.', points('student with DPK', 'student, inherited start')),
        (
            'The necks and the ratio add {} on the mean: {}, seed by seed. This is not significant.',
            points('student with DPK', 'student with FGD alone'), each('student with DPK', 'student with FGD alone', '+.1f'),
            verdict(UNKNOWN, 'student with DPK', 'student with FGD alone'),
        ),
    ],
    ('docs/results/bccd_seg.md', 'bccd_seg'): [
        (
            '**No gain is significant.** CWD is above the student alone in each seed, by {}.',
            each('cwd', 'alone', '+.1f'), *(verdict(UNKNOWN, name, 'alone') for name in ('kd', 'cwd', 'pkd')),
        ),
        ("KD's gains are {}, PKD's {}.", each('kd', 'alone', '+.1f'), each('pkd', 'alone', '+.1f')),
    ],
    ('docs/results/README.md', 'bccd_seg'): [
        (
            'no gain is significant, CWD leads', best('cwd', 'kd', 'pkd', 'alone'),
            *(verdict(UNKNOWN, name, 'alone') for name in ('kd', 'cwd', 'pkd')),
        ),
    ],
    ('docs/results/cifar100_logits.md', 'cifar100_logits'): [
        (
            '**DIST still leads.** WTTM comes next: {} over KD, and {} over DIST ({}).',
            gain('wttm', 'kd'), gain('wttm', 'dist'), p('wttm', 'dist'),
            order('dist', 'wttm', 'wkd-f', 'kd + fitnet', 'dkd', 'rld', 'kd + lskd', 'dkd + lskd', 'nkd', 'kd', 'alone'),
        ),
        ('and has {} over KD. It is level with KD + FitNet: {}.', gain('wkd-f', 'kd'), gain('wkd-f', 'kd + fitnet')),
        ('KD has {} with them, DKD {}, at a weight', gain('kd + lskd', 'kd'), gain('dkd + lskd', 'dkd')),
        ('RLD has {} over DKD, NKD {} over KD.', gain('rld', 'dkd'), gain('nkd', 'kd')),
        (
            'All these differences are significant, but for that of WKD-F to KD + FitNet.',
            *(verdict(HELD, name, 'kd') for name in ('wttm', 'wkd-f', 'kd + lskd', 'nkd')),
            *(verdict(FAILED, *names) for names in (('wttm', 'dist'), ('dkd + lskd', 'dkd'), ('rld', 'dkd'))),
            verdict(UNKNOWN, 'wkd-f', 'kd + fitnet'),
        ),
    ],
    ('docs/results/README.md', 'cifar100_logits'): [
        (
            'DIST still leads, WTTM is next; LSKD helps KD and hurts DKD',
            best('dist', 'wttm'), best('wttm', 'wkd-f', 'kd + fitnet', 'dkd', 'rld', 'kd + lskd', 'dkd + lskd', 'nkd', 'kd'),
            verdict(HELD, 'kd + lskd', 'kd'), verdict(FAILED, 'dkd + lskd', 'dkd'),
        ),
    ],
    ('docs/results/README.md', 'cifar100_30ep_tuning'): [
        (
            '30 leads for KD + FitNet and for DPK with and without a prior',
            *_LEADS,
        ),
    ],
    ('docs/results/cifar100_30ep.md', 'cifar100_30ep/partial.csv'): [
        (
            'DIST has {} % top-1, DPK without a prior {} %, DPK with CKA {} %, and KD + FitNet {} %',
            *map(mean, ('dist', 'dpk, ratio 0', 'dpk, cka', 'kd + fitnet')), best('dist'),
        ),
        (
            'CKA has {} over no prior, which is not significant; seed by seed {}.',
            gain('dpk, cka', 'dpk, ratio 0'), each('dpk, cka', 'dpk, ratio 0'), verdict(UNKNOWN, 'dpk, cka', 'dpk, ratio 0'),
        ),
        ('Necks without a prior have {} over KD + FitNet', gain('dpk, ratio 0', 'kd + fitnet')),
        ('The student alone has {} %', mean('alone'), order('dist', 'alone', 'dpk, ratio 0', 'dpk, cka', 'kd + fitnet')),
    ],
    ('docs/results/cifar100_30ep.md', 'cifar100_cures'): [
        ('the same necks had {} [after three', gain('kd, dpk, cka', 'kd, dpk, ratio 0')),
    ],
    ('docs/results/cifar100_30ep.md', 'cifar100_30ep_tuning'): [
        (
            'It leads for each of the three methods. KD + FitNet has {} with it, DPK without a prior {}, DPK with CKA {}.',
            *(mean(f'{name}, 30') for name in _SEARCHED), *_LEADS,
        ),
    ],
    ('docs/results/cifar100_cures.md', 'cifar100_cures'): [
        (
            'with each seed: "over 1 - ratio" by {}, "student\'s tokens" by {}, "two passes" by {}. '
            'On the mean that is {}, {} and {}. None of it is significant.',
            *(each(name, _CKA) for name in _CURES), *(gain(name, _CKA) for name in _CURES),
            *(verdict(UNKNOWN, name, _CKA) for name in _CURES), *(order(_CKA, name) for name in _CURES),
        ),
        (
            'Without a cure CKA has {} against ratio 0, which is not significant either.',
            gain(_CKA, 'kd, dpk, ratio 0'), verdict(UNKNOWN, _CKA, 'kd, dpk, ratio 0'),
        ),
        ('makes a step of {} ms one of {}.', step_ms(_CKA), step_ms(_CURES[2])),
        (
            'DIST alone has {}, with FitNet {}, with DPK at ratio 0 {}, and with CKA {}, each with a weight of 30. '
            'With a weight of 10 DPK at ratio 0 has {}.',
            *(mean(f'dist{more}') for more in ('', ', fitnet, 30', ', dpk, ratio 0, 30', ', dpk, cka, 30', ', dpk, ratio 0, 10')),
            best(*(f'dist{more}' for more in (', dpk, ratio 0, 30', '', ', fitnet, 30', ', dpk, cka, 30'))),
        ),
    ],
    ('docs/results/README.md', 'cifar100_cures'): [
        (
            'no cure helps; each is below CKA without it, none significantly',
            *(order(_CKA, name) for name in _CURES), *(verdict(UNKNOWN, name, _CKA) for name in _CURES),
        ),
    ],
    ('docs/results/bccd_foundation.md', 'bccd_foundation'): [
        (
            '**Spatial cosine helps**: {} over the student alone ({}), at', gain('spatial-cosine', 'alone'), p('spatial-cosine', 'alone'),
            verdict(HELD, 'spatial-cosine', 'alone'), best('spatial-cosine', 'pkd', 'fitnet', 'dpk', 'alone'),
        ),
        (
            "PKD has {} and FitNet {}, which three seeds do not prove. DPK's neck has {}, the least",
            *(gain(name, 'alone') for name in ('pkd', 'fitnet', 'dpk')), order('fitnet', 'dpk', 'alone'), order('pkd', 'dpk'),
            *(verdict(UNKNOWN, name, 'alone') for name in ('pkd', 'fitnet', 'dpk')),
        ),
        (
            "Spatial cosine's lead over PKD and FitNet is not significant: {} and {}.",
            *(gain('spatial-cosine', name) for name in ('pkd', 'fitnet')),
            *(verdict(UNKNOWN, 'spatial-cosine', name) for name in ('pkd', 'fitnet')),
        ),
    ],
    ('docs/results/README.md', 'bccd_foundation'): [
        ('spatial cosine gains significantly', verdict(HELD, 'spatial-cosine', 'alone')),
    ],
    ('docs/foundation_teacher.md', 'bccd_foundation'): [
        ('had {} AP over the student alone', gain('spatial-cosine', 'alone')),
    ],
    ('docs/results/bccd_heads.md', 'bccd_heads'): [
        (
            'The score-weighted error has {} over the inherited start, by {}. CrossKD is below it with each seed, by {}. PKD leads with {}. No difference',
            gain('score-mse', _START), each('score-mse', _START, '+.1f'), each('crosskd', _START, '+.1f'), gain('pkd', _START),
            best('pkd', 'score-mse', 'crosskd', _START), *(verdict(UNKNOWN, name, _START) for name in ('pkd', 'score-mse', 'crosskd')),
        ),
    ],
    ('docs/results/recipe.md', 'recipe_bccd'): [
        (
            'DPK gains significantly over the inherited start on all four pairs, PKD on three, FGD on two. FGD is below both on each pair.',
            verdict(HELD, 'dpk', _START), verdict(UNKNOWN, 'pkd', _START), verdict(UNKNOWN, 'fgd', _START),
            best('dpk', 'pkd', 'fgd'), order('pkd', 'fgd'), verdict(UNKNOWN, 'dpk', 'pkd'),
        ),
    ],
    ('docs/results/recipe.md', 'recipe_demo'): [
        (
            'PKD leads on the digits and by a RetinaNet on persons',
            *(verdict(HELD, name, _START) for name in ('dpk', 'pkd', 'fgd')),
            order('pkd', 'dpk', 'fgd'), verdict(UNKNOWN, 'dpk', 'pkd'),
        ),
        ('where it has {} here', average('fgd')),
    ],
    ('docs/results/recipe.md', 'demo'): [('FGD has {} AP on the digits', average('student with FGD alone'))],
    ('docs/results/recipe.md', 'recipe_retinanet'): [
        (
            'PKD leads on the digits and by a RetinaNet on persons',
            *(verdict(HELD, name, _START) for name in ('dpk', 'pkd', 'fgd')),
            order('pkd', 'dpk', 'fgd'), verdict(UNKNOWN, 'dpk', 'pkd'),
        ),
    ],
    ('docs/results/recipe.md', 'recipe_gfl'): [
        (
            "DPK on blood cells and by a GFL on persons. DPK's lead by the GFL, {}, is significant",
            gain('dpk', 'pkd'), verdict(HELD, 'dpk', _START), verdict(HELD, 'pkd', _START), verdict(UNKNOWN, 'fgd', _START),
            order('dpk', 'pkd', 'fgd'), verdict(HELD, 'dpk', 'pkd'),
        ),
    ],
    ('docs/results/README.md', 'recipe_gfl'): [
        (
            'DPK gains significantly on four, PKD on three; DPK beats PKD significantly on one',
            verdict(HELD, 'dpk', _START), verdict(HELD, 'dpk', 'pkd'),
        ),
    ],
    ('docs/results/README.md', 'bccd_heads'): [
        (
            'neither gains over the inherited start; PKD leads', best('pkd', 'score-mse', 'crosskd', _START),
            verdict(UNKNOWN, 'score-mse', _START), order(_START, 'crosskd'),
        ),
    ],
    ('docs/results/demo_cls.md', 'demo_cls'): [
        (
            'The differences are not significant',
            verdict(UNKNOWN, 'student with DPK', 'student alone'), verdict(UNKNOWN, 'student with logit KD', 'student alone'),
            verdict(UNKNOWN, 'student with DPK', 'student with logit KD'),
        ),
    ],
    ('docs/results/cifar100_weights.md', 'cifar100_weights'): [
        (
            "With the authors' weights the necks add little to logit KD**: {} without a prior, {} at a fixed ratio and {} with CKA.",
            *(gain(name, 'logit KD') for name in _FEW), *(verdict(UNKNOWN, name, 'logit KD') for name in _FEW),
        ),
        ('With 100 and 60 the necks gain {}, {} and {} over logit KD', *(gain(name, 'logit KD') for name in _FEW.values())),
    ],
    ('docs/results/cifar100_short.md', 'cifar100_short'): [
        ('DIST is the best row', best('dist', 'dkd', 'kd', 'kd + fitnet', 'fitnet', 'kr', 'alone', *_NECKS)),
        (
            'It has {} over KD + FitNet, at {} ms a step instead of {}.',
            gain('dist', 'kd + fitnet'), step_ms('dist'), step_ms('kd + fitnet'),
        ),
        ("DKD is above all rows with the authors' kind of neck", best('dkd', *_AUTHORS)),
        ("KD + FitNet is above all rows with the authors' kind of neck.", best('kd + fitnet', *_AUTHORS)),
        (
            'KD + FitNet is {} above the best of these rows**, which is "dpk, ratio 0".',
            gain('kd + fitnet', 'dpk, ratio 0'), best(*_AUTHORS),
        ),
        (
            'Relative to no prior: fixed 0.15, {} (not significant); fixed 0.5, {}; fixed 0.85, {}; random, {}; CKA, {}.',
            *(gain(name, 'dpk, ratio 0') for name in _PRIORS),
            *(verdict(UNKNOWN if '0.15' in name else FAILED, name, 'dpk, ratio 0') for name in _PRIORS),
        ),
        (
            "They gain {} over the authors' kind with CKA, and {} if they are lean, too.",
            gain('dpk, cka, residual', 'dpk, cka'), gain('dpk, cka, lean necks, residual', 'dpk, cka'),
            verdict(HELD, 'dpk, cka, residual', 'dpk, cka'), verdict(HELD, 'dpk, cka, lean necks, residual', 'dpk, cka'),
        ),
        (
            '{} with CKA, {} with lean necks and CKA, {} without a prior. None of the three is significant.',
            *(gain(name, 'kd + fitnet') for name in (_RESIDUAL[2], _LEAN[2], _RESIDUAL[0])),
            *(verdict(UNKNOWN, name, 'kd + fitnet') for name in (_RESIDUAL[2], _LEAN[2], _RESIDUAL[0])),
        ),
        (
            'CKA against ratio 0 is {}, seed by seed. A fixed half has {}.',
            each('dpk, cka, residual', 'dpk, ratio 0, residual'),
            gain('dpk, fixed ratio 0.5, residual', 'dpk, ratio 0, residual'),
            order('dpk, ratio 0, residual', 'dpk, cka, residual'),
        ),
        (
            'Lean necks lose nothing significant**: {} against the larger necks with CKA, {} without a prior.',
            gain('dpk, cka, lean necks', 'dpk, cka'), gain('dpk, ratio 0, lean necks', 'dpk, ratio 0'),
            verdict(UNKNOWN, 'dpk, cka, lean necks', 'dpk, cka'),
            verdict(UNKNOWN, 'dpk, ratio 0, lean necks', 'dpk, ratio 0'),
        ),
        (
            'KR alone has {} over the student alone, the smallest gain.',
            gain('kr', 'alone'), *(order(name, 'kr') for name in ('dist', 'dkd', 'kd', 'kd + fitnet', 'fitnet', *_NECKS)),
        ),
        (
            'The SFTN teacher is the worse teacher here**: {} for KD, {} for DPK.',
            gain('kd, SFTN teacher', 'kd'), gain('dpk, cka, SFTN teacher', 'dpk, cka'),
            verdict(FAILED, 'kd, SFTN teacher', 'kd'), verdict(FAILED, 'dpk, cka, SFTN teacher', 'dpk, cka'),
        ),
    ],
    ('docs/results/cifar100_tuning.md', 'cifar100_tuning'): [
        (
            'A tenth of 1e-3 and ten times 1e-3 are both worse: {} and {}.',
            gain('ratio 0, 300, lr 1e-4', 'ratio 0, 300'), gain('ratio 0, 300, lr 1e-2', 'ratio 0, 300'),
        ),
        (
            'CKA has {} against ratio 0, and ratio 0 has {} against FitNet. At 300 CKA has {} against ratio 0, at 1000 {}.',
            gain('cka, 100', 'ratio 0, 100'), gain('ratio 0, 100', 'kd + fitnet, 100'),
            gain('cka, 300', 'ratio 0, 300'), gain('cka, 1000', 'ratio 0, 1000'),
        ),
        (
            'instead of two gives ratio 0 {}, at {} ms a step instead of {}. Width 32 instead of 48 gives {}.',
            gain('ratio 0, 300, leaner', 'ratio 0, 300, lean'), step_ms('ratio 0, 300, leaner'),
            step_ms('ratio 0, 300, lean'), gain('ratio 0, 300, lean', 'ratio 0, 300'),
        ),
        ('instead of {}, CKA', mean('ratio 0, 300')),
        ('instead of {}.', mean('cka, 300')),
        (
            "Relative to CKA with the authors' kind of neck, `FeatureMixingNeck(residual=True)` has {}. It has {} over the best FitNet, {} over no prior and {} over a fixed half, which is below no prior.",
            *(
                gain('cka, 100, residual', other)
                for other in ('cka, 100', 'kd + fitnet, 30', 'ratio 0, 100, residual', 'fixed 0.5, 100, residual')
            ),
            order('cka, 100, residual', 'ratio 0, 100, residual', 'fixed 0.5, 100, residual'),
            best('kd + fitnet, 30', 'kd + fitnet, 100', 'kd + fitnet, 300', 'kd + fitnet, 1000'),
        ),
        (
            "CKA has {} with `preset='lean'` against the larger residual necks, at {} ms a step instead of {}.",
            gain('cka, 100, residual, lean', 'cka, 100, residual'),
            step_ms('cka, 100, residual, lean'), step_ms('cka, 100, residual'),
        ),
        (
            'CKA with residual necks has {}, and ratio 0 {}.',
            gain('cka, 30, residual', 'cka, 100, residual'), gain('ratio 0, 30, residual', 'ratio 0, 100, residual'),
        ),
    ],
    ('docs/results/cifar100_tuning.md', 'cifar100_tuning/warm_up.csv'): [
        ('Ratio 0 then has {} instead of', mean('ratio 0, 300, warm-up')),
        ('CKA {} instead of', mean('cka, 300, warm-up')),
    ],
    ('docs/results/cifar100_teachers.md', 'cifar100_teachers'): [
        (
            'ResNet-14 gives the highest mean by DPK and ResNet-32 the lowest. ResNet-32 has {} against ResNet-14, seed by seed {}.',
            gain('dpk, ResNet-32', 'dpk, ResNet-14'), each('dpk, ResNet-32', 'dpk, ResNet-14'),
            order('dpk, ResNet-14', 'dpk, ResNet-20', 'dpk, ResNet-32', 'dpk, SFTN ResNet-20'),
            verdict(FAILED, 'dpk, ResNet-32', 'dpk, ResNet-14'),
        ),
        (
            'By KD the difference between ResNet-32 and ResNet-14 is not significant ({}). ResNet-20 is the lowest of the three.',
            gain('kd, ResNet-32', 'kd, ResNet-14'), verdict(UNKNOWN, 'kd, ResNet-32', 'kd, ResNet-14'),
            order('kd, ResNet-14', 'kd, ResNet-32', 'kd, ResNet-20', 'kd, SFTN ResNet-20'),
        ),
        (
            "For a point of the teacher DPK's student gains {} and KD's {}. The rank correlations over the four teachers are {} and {}.",
            slope('dpk'), slope('kd'), agreement('dpk'), agreement('kd'),
        ),
        ('The gain after 200 steps has a rank correlation of {}**', agreement('dpk', 'gain')),
        (
            "The teachers' own top-1 on the sample has {}. The CKA gaps to the untrained student have {} at layer2 and {} at layer3.",
            agreement('dpk', 'accuracy/top1'), agreement('dpk', '1 - CKA backbone.layer2'),
            agreement('dpk', '1 - CKA backbone.layer3'),
        ),
    ],
    ('docs/results/bccd.md', 'bccd'): [
        ('The inherited start gives most of the gain**: {} over the student alone', gain(_START, 'alone')),
        (
            'With default loss weights no method improves significantly on the inherited start.** PKD has the most with {}; FGD has {}.',
            gain('PKD', _START), gain('FGD', _START), best('PKD', *_FIRST),
            *(verdict(UNKNOWN, name, _START) for name in ('PKD', 'FGD', 'dpk, cka', 'dpk, fixed ratio', 'MGD')),
        ),
        (
            'has {} over FGD ({}, seed by seed; not significant).',
            gain('dpk, cka', 'FGD'), each('dpk, cka', 'FGD', '+.1f'), verdict(UNKNOWN, 'dpk, cka', 'FGD'),
        ),
        (
            "**With FGD's loss the means of DPK are in the paper's order**: CKA, fixed ratio, no prior. CKA has {} over no prior and {} over the fixed ratio. Neither is significant.",
            gain('dpk, cka', 'dpk, ratio 0'), gain('dpk, cka', 'dpk, fixed ratio'),
            order('dpk, cka', 'dpk, fixed ratio', 'dpk, ratio 0'),
            verdict(UNKNOWN, 'dpk, cka', 'dpk, ratio 0'), verdict(UNKNOWN, 'dpk, cka', 'dpk, fixed ratio'),
        ),
        (
            'Without a prior DPK is significantly below the inherited start: {}.',
            gain('dpk, ratio 0', _START), verdict(FAILED, 'dpk, ratio 0', _START),
        ),
        (
            "**The best configuration of the search gives a significant gain**. PKD's loss at 3 behind lean necks without a prior has {} over the inherited start ({}). With CKA it has {} ({}).",
            gain(_LED, _START), p(_LED, _START), gain(_TUNED, _START), p(_TUNED, _START),
            verdict(HELD, _LED, _START), verdict(HELD, _TUNED, _START),
        ),
        (
            'The same loss without necks has {} ({}). The necks add {} and the prior {}; neither is significant.',
            gain('PKD, 3', _START), p('PKD, 3', _START), gain(_LED, 'PKD, 3'), gain(_TUNED, _LED),
            verdict(UNKNOWN, _LED, 'PKD, 3'), verdict(UNKNOWN, _TUNED, _LED),
        ),
        (
            "Lean necks lose nothing against the authors' sizes**: {} ({}, seed by seed). A step takes {} ms instead of {}",
            gain('dpk, cka, lean necks', "dpk, cka, authors' necks"),
            each('dpk, cka, lean necks', "dpk, cka, authors' necks", '+.1f'),
            step_ms('dpk, cka, lean necks'), step_ms("dpk, cka, authors' necks"),
            order('dpk, cka, lean necks', "dpk, cka, authors' necks"),
        ),
        (
            'Residual necks, which helped much on CIFAR-100, add {}.',
            gain('dpk, cka, lean necks, residual', 'dpk, cka, lean necks'),
        ),
    ],
    ('docs/results/bccd_tuning.md', 'bccd_tuning'): [
        (
            "A tenth of it gives {} without necks and {} with DPK's. At 0.03 FGD is no better than the inherited start ({}).",
            gain('FGD, 0.003', 'FGD'), gain('dpk, cka, FGD, 0.003', 'dpk, cka, FGD'), gain('FGD', _START),
            order(_START, 'FGD'),
        ),
        (
            "It has {} over FGD's at 0.003, and another {} with 3 instead of 10.",
            gain('PKD', 'FGD, 0.003'), gain('PKD, 3', 'PKD'), order('PKD, 3', 'PKD', 'FGD, 0.003', 'FGD'),
        ),
        ("With PKD's it has {} over DPK with FGD's at 0.003.", gain('dpk, cka, PKD', 'dpk, cka, FGD, 0.003')),
        (
            'Necks without a prior lead, level with no necks at all**: {} over the same loss without necks. With CKA it is {}.',
            gain('dpk, ratio 0, PKD, 3', 'PKD, 3'), gain('dpk, cka, PKD, 3', 'PKD, 3'),
            order('dpk, ratio 0, PKD, 3', 'PKD, 3', 'dpk, ratio 0, PKD', 'dpk, cka, PKD, 3'),
        ),
        (
            'The prior costs** {} at 3, {} at 10, and {} with residual necks.',
            *(gain(f'dpk, cka, PKD{rest}', f'dpk, ratio 0, PKD{rest}') for rest in (', 3', '', ', residual')),
        ),
    ],
    ('README.md', 'bccd'): [
        ('inheriting them gives most', verdict(HELD, _START, 'alone'), verdict(UNKNOWN, 'PKD, 3', _START)),
        (
            'A weight of 3](docs/results/bccd.md), which led a search on held-out images, brings PKD to {}.',
            mean('PKD, 3', form='.1f'), verdict(HELD, _TUNED, _START),
        ),
    ],
    ('README.md', 'cifar100_short'): [
        ('Our short schedules have none', verdict(FAILED, 'dpk, cka', 'dpk, ratio 0')),
    ],
    ('docs/config.md', 'cifar100_short'): [
        ('was the best DPK variant on CIFAR-100', best(_RESIDUAL[1], *_AUTHORS, *_LEAN[:2])),
    ],
    ('docs/config.md', 'speed'): [
        (
            "takes {} times the student's own step and the teacher's forward pass, on a CPU.",
            ratio('retinanet_r101_r50_coco.json'),
        ),
        (
            'it takes {} times. On ResNet-34 to ResNet-18 the figures are {} and {}.',
            ratio('retinanet_r101_r50_lean_coco.json'),
            ratio('resnet34_resnet18_in1k.json'), ratio('resnet34_resnet18_lean_in1k.json'),
        ),
    ],
}  # fmt: skip

# A claim, what its paper says, and the gains of ours that bear on it: the data, the study, the row, the row it is
# compared with, and the verdict.
CLAIMS = [
    (
        'DPK beats logit distillation (KD)', 'yes; ImageNet, ResNet-34 to 18: 72.51, +2.76 over the student alone', [
            ('CIFAR-100', 'cifar100_short', 'dpk, cka', 'kd', HELD),
            ('CIFAR-100, residual necks', 'cifar100_short', 'dpk, cka, residual', 'kd', HELD),
            ("CIFAR-100, the authors' weights", 'cifar100_weights', 'necks, ratio by CKA: DPK', 'logit KD', UNKNOWN),
        ],
    ),
    (
        'DPK beats the same losses without necks (KD and FitNet; FGD; PKD)', '', [
            ('CIFAR-100', 'cifar100_short', 'dpk, cka', 'kd + fitnet', FAILED),
            ('CIFAR-100, residual necks', 'cifar100_short', 'dpk, cka, residual', 'kd + fitnet', UNKNOWN),
            ('blood cells', 'bccd', 'dpk, cka', 'FGD', UNKNOWN),
            ('blood cells, residual necks', 'bccd', 'dpk, cka, lean necks, residual', 'FGD', FAILED),
            ("blood cells, PKD's loss", 'bccd', _TUNED, 'PKD, 3', UNKNOWN),
            ('blood cells, PKD, auto weights', 'recipe_bccd', 'dpk', 'pkd', UNKNOWN),
            ('digits, PKD, auto weights', 'recipe_demo', 'dpk', 'pkd', UNKNOWN),
            ('persons, RetinaNet, PKD, auto', 'recipe_retinanet', 'dpk', 'pkd', UNKNOWN),
            ('persons, GFL, PKD, auto', 'recipe_gfl', 'dpk', 'pkd', HELD),
        ],
    ),
    (
        'DPK beats the best of the other methods (DIST; PKD)', 'yes', [
            ('CIFAR-100', 'cifar100_short', 'dpk, cka', 'dist', FAILED),
            ('CIFAR-100, residual necks', 'cifar100_short', 'dpk, cka, residual', 'dist', FAILED),
            ('blood cells', 'bccd', 'dpk, cka', 'PKD', FAILED),
            ('blood cells, residual necks', 'bccd', 'dpk, cka, lean necks, residual', 'PKD', UNKNOWN),
            ("blood cells, PKD's loss (as above)", 'bccd', _TUNED, 'PKD, 3', UNKNOWN),
        ],
    ),
    (
        'a prior beats none', 'yes; without one a marked drop', [
            ('CIFAR-100', 'cifar100_short', 'dpk, cka', 'dpk, ratio 0', FAILED),
            ('CIFAR-100, residual necks', 'cifar100_short', 'dpk, cka, residual', 'dpk, ratio 0, residual', UNKNOWN),
            ('blood cells', 'bccd', 'dpk, cka', 'dpk, ratio 0', UNKNOWN),
            ("blood cells, PKD's loss", 'bccd', _TUNED, _LED, UNKNOWN),
        ],
    ),
    (
        'the dynamic ratio beats a fixed one', 'yes; all from 0.15 to 0.95 help, none as much', [
            ('CIFAR-100, over 0.15', 'cifar100_short', 'dpk, cka', 'dpk, fixed ratio 0.15', UNKNOWN),
            ('CIFAR-100, over 0.5', 'cifar100_short', 'dpk, cka', 'dpk, fixed ratio 0.5', UNKNOWN),
            ('CIFAR-100, over 0.85', 'cifar100_short', 'dpk, cka', 'dpk, fixed ratio 0.85', UNKNOWN),
            (
                'CIFAR-100, residual necks, over 0.5', 'cifar100_short',
                'dpk, cka, residual', 'dpk, fixed ratio 0.5, residual', UNKNOWN,
            ),
            ('blood cells, over 0.5', 'bccd', 'dpk, cka', 'dpk, fixed ratio', UNKNOWN),
        ],
    ),
    ('... and a random one', '', [('CIFAR-100', 'cifar100_short', 'dpk, cka', 'dpk, random ratio', UNKNOWN)]),
    (
        'a larger teacher gives a better student (ResNet-32 against 14, one of each)', 'yes', [
            ('CIFAR-100, DPK', 'cifar100_teachers', 'dpk, ResNet-32', 'dpk, ResNet-14', FAILED),
            ('CIFAR-100, KD', 'cifar100_teachers', 'kd, ResNet-32', 'kd, ResNet-14', UNKNOWN),
        ],
    ),
    (
        "SFTN's teachers teach better (one of each)", '+1.58 on CIFAR-100, the mean over methods, of one family', [
            ('CIFAR-100, KD', 'cifar100_short', 'kd, SFTN teacher', 'kd', FAILED),
            ('CIFAR-100, DPK', 'cifar100_short', 'dpk, cka, SFTN teacher', 'dpk, cka', FAILED),
        ],
    ),
]  # fmt: skip
