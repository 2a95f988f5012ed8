"""Recipes: optimiser, schedule and augmentation, by name. A spec names one, and may override parts of it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """Optimiser, schedule and augmentation: SGD with momentum, the learning rate dropped at the milestones.

    The defaults are the paper's recipe for CIFAR-10 (authors' code). `epochs` and `milestones` count passes over
    the training images; `lr_drop` is the factor on the learning rate at each milestone; `weight_decay` acts on
    everything that trains, γ and β too unless `decay_bn` is False, and on nothing that is frozen; `optimiser` is `sgd`, or
    `adam`, whose first β is `momentum` (its second 0.999); `train_images` and `test_images` cap the images used (None: all
    of them). `warmup`: over so many epochs the learning rate rises from 0, step by step in equal parts; `size`: the side of the
    pictures that the network sees, in pixels.
    """

    epochs: int = 160
    milestones: tuple[int, ...] = (80, 120)
    lr: float = 0.1
    lr_drop: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    decay_bn: bool = True
    optimiser: str = "sgd"
    batch_size: int = 128
    augment: str = "flip+crop"
    train_images: int | None = None
    test_images: int | None = None
    warmup: int = 0
    size: int = 32

    def learning_rate(self, epoch: int, done: float = 1.0) -> float:
        """The learning rate of `epoch`, counted from 0: `lr` times `lr_drop` for each milestone reached.

        done: the share of the epoch's steps that are done, the step at hand among them; it matters during the warm-up alone, in
        which the rate is (epoch + done) / `warmup` of that.
        """
        rate = self.lr * self.lr_drop ** sum(epoch >= milestone for milestone in self.milestones)
        return rate if epoch >= self.warmup else rate * (epoch + done) / self.warmup

    def alike(self, other: "Recipe", epoch: int) -> bool:
        """Whether training with this recipe and with `other` is the same up to and with `epoch`, counted from 1."""
        same = replace(self, epochs=other.epochs, milestones=other.milestones, warmup=other.warmup) == other
        return (
            same
            and epoch <= min(self.epochs, other.epochs)
            and all(self.learning_rate(i, d) == other.learning_rate(i, d) for i in range(epoch) for d in (0.5, 1.0))
        )


# A blog's experiment on Keras's ResNets. It says Adam, 0.01, batch 1024, 50 epochs, no augmentation; that nothing decays and the
# rate never drops is what Keras does unless told. How its pixels were scaled is not known: here they are as in the paper.
_BLOG = Recipe(epochs=50, milestones=(), lr=0.01, weight_decay=0.0, optimiser="adam", batch_size=1024, augment="none")
RECIPES = {
    "paper": Recipe(),
    "short": Recipe(epochs=16, milestones=(8, 12)),
    "smoke": Recipe(epochs=2, milestones=(1,), train_images=2560, test_images=1000),
    # The paper's for ImageNet, after the authors' code; that the paper used exactly this is inferred. Its rate is said to drop at
    # epochs 30, 60, 80 and 90. How long it trains is not said; the code's default is 90 epochs, in which a drop at 90 never acts.
    "imagenet": Recipe(epochs=90, milestones=(30, 60, 80), lr=0.4, batch_size=1024, augment="flip+resized", warmup=5, size=224),
    "blog": _BLOG,
    # What a CPU of few cores can do. In 3 epochs of batch 1024, 147 steps, Keras's running statistics, which move by 0.01 a step,
    # would not arrive: 0.99 to the power of 147 is 0.23.
    "blog-short": replace(_BLOG, epochs=3, batch_size=128),
}
SCALED = ("imagenet",)  # recipes whose learning rate follows an overridden batch size, in proportion
