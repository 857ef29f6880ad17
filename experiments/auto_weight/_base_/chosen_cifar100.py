# Written by experiments/auto_weight/choose.py.
_chosen = {
    'kd+fitnet': {
        'auto': 'kd+fitnet, share 3',
        'tuned': 'kd+fitnet, weight 100',
        'published': 'kd+fitnet, weight 0.3',
    },
    'dpk': {'auto': 'dpk, share 3', 'tuned': 'dpk, weight 100', 'published': 'dpk, weight 0.3'},
    'at': {'auto': 'at, share 3', 'tuned': 'at, weight 100', 'published': 'at, weight 1000'},
    'sp': {'auto': 'sp, share 3', 'tuned': 'sp, weight 3000', 'published': 'sp, weight 3000'},
}
