"""Names of the reference networks, for those who start without torch."""

REFERENCE_NETWORKS = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_lite0",
    "resnet8",
    "resnet18",
    "inception_v3",
    "vit",
)
