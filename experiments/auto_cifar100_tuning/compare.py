# Which share of the task's gradient suits, and which weights? Judged on the 5,000 training images that no run is
# trained on, by a seed that no table uses:
#   python tools/compare.py experiments/auto_cifar100_tuning/compare.py --out experiments/auto_cifar100_tuning
_base_ = '../auto_weight/_base_/cifar100.py'
options = {'test_dataloader.dataset': dict(split='train', indices=list(range(45000, 50000)))}
methods = {
    name: row
    for name, row in _base_._rows.items()
    if 'share' in name or name.partition(',')[0] not in _base_._tuned
}
seeds = [100]
