# What does DPK bring a narrow ResNet? `make demo-cls` trains the teacher and runs this comparison.
base = 'demo/classification/configs/resnet8_digits.py'
methods = {
    'student alone': None,
    'student with logit KD': 'demo/classification/configs/resnet14_resnet8_kd_digits.py',
    'student with DPK': 'demo/classification/configs/resnet14_resnet8_digits.py',
}
seeds = [0, 1, 2]
