"""Every closed set of values that a user can give: one list each, for Python and for the command line."""

DATASETS = ("cifar10", "digits")
WEIGHT_INITS = ("kaiming_normal", "kaiming_uniform", "orthogonal", "binary")
BN_INITS = ("uniform", "ones", "oneone", "signed_uniform")
PRECISIONS = ("bf16", "fp32")
OPTIMISERS = ("sgd", "adam")
AUGMENTATIONS = ("flip+crop", "crop", "flip", "none")
PROBES = ("clamping", "relu", "train")  # what a trained network can be asked
DEVICES = ("cpu", "cuda")
