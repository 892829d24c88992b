"""Architectures as torch modules and ONNX graphs."""
