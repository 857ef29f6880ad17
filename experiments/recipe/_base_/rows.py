# What to recommend for a detector: PKD, FGD and DPK as their names build them, over the start that all inherit from
# the teacher. Weights find themselves, and nothing was searched for.
_named = {'inherited start': 'start', 'pkd': 'pkd', 'fgd': 'fgd', 'dpk': 'dpk'}
methods = {
    'alone': None,
    **{
        name: dict(allow=['init_student'], model=dict(method=method, init_student=True))
        for name, method in _named.items()
    },
}
reference = 'inherited start'
seeds = [0, 1, 2]
