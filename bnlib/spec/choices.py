"""Every closed set of values that a user can give, and every range: one each, for Python and for the command line."""

TASKS = ("cifar10-rotation", "cifar10-animals", "cifar10-first5", "cifar10-last5")  # made of CIFAR-10's pictures
DATASETS = ("cifar10", "digits", "cifar100", "svhn", *TASKS)  # and a folder of pictures, see `datasets`
WEIGHT_INITS = ("kaiming_normal", "kaiming_uniform", "orthogonal", "binary", "glorot_uniform")
BN_INITS = ("uniform", "ones", "oneone", "signed_uniform", "he_normal")
PRECISIONS = ("bf16", "fp32")
# What may stand in BatchNorm's place in a CIFAR ResNet, and the group that `freeze` counts its γ and β in: `layer` is a GroupNorm
# of one group.
NORMALISATIONS = {"batch": "bn", "group": "gn", "layer": "gn", "instance": "in"}
OPTIMISERS = ("sgd", "adam")
AUGMENTATIONS = ("flip+crop", "crop", "flip", "none", "flip+resized")
PROBES = ("clamping", "relu", "train", "quantised")  # what a trained network can be asked
FORMATS = ("fp32", "fp16", "int8")  # in which `quantised` keeps it
DEVICES = ("cpu", "cuda")

# From the least to the most. More is a slip of the hand: nothing that is known of such trainings comes near.
SEEDS = (0, 2**63 - 1)  # what fits the columns of a table
REPLICATES = (1, 1000)
JOBS = (1, 256)  # processes at a time
EPOCHS = (1, 100_000)
BATCH_SIZES = (2, 100_000)  # one image of 1×1 pixels has no variance: BatchNorm needs two values
IMAGES = (1, 1_000_000)
SIZES = (8, 1024)  # of a picture's side
RATES = (0, 1000)  # learning rate, its drop, weight decay
CLASSES = (1, 100_000)
LAYERS = (8, 10_000)
MOST_WEIGHTS = 10**9
