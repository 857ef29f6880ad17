# Written by experiments/auto_weight/choose.py.
_chosen = {
    'dpk': {'auto': 'dpk, share 0.3', 'tuned': 'dpk, weight 1', 'published': 'dpk, weight 10'},
}
