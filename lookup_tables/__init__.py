"""What a block of a neural network costs on a target: measured tables, filled gaps, calibration."""
