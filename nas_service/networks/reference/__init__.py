"""Networks that everybody knows, as torch modules: what compression is compared on.

Widths scale and the stem's stride follows the image, so that they train on small images too.
"""

from nas_service.networks.reference.by_name import NETWORKS, reference

__all__ = ["NETWORKS", "reference"]
