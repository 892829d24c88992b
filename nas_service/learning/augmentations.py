"""Names of the policies by which training samples may be changed further; see `Data.varied`."""

AUGMENTATIONS = ("trivial_augment", "rand_augment", "auto_augment", "aug_mix")
