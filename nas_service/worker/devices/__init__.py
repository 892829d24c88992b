"""How a step reaches a registered device: a module a way, and `device_of` to choose one."""
