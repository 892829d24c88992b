"""What loads a model file on a device and runs it: one file a runtime."""
