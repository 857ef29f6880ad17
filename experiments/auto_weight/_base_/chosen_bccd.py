# Written by experiments/auto_weight/choose.py.
_chosen = {
    'fgd': {'auto': 'fgd, share 0.3', 'tuned': 'fgd, weight 0.003', 'published': 'fgd, weight 1'},
    'pkd': {'auto': 'pkd, share 0.3', 'tuned': 'pkd, weight 3', 'published': 'pkd, weight 10'},
    'mgd': {'auto': 'mgd, share 0.3', 'tuned': 'mgd, weight 2e-07', 'published': 'mgd, weight 2e-05'},
    'cwd': {'auto': 'cwd, share 0.3', 'tuned': 'cwd, weight 1', 'published': 'cwd, weight 10'},
}
