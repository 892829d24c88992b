"""The pipeline of delivery: compile, verify, measure on the device, judge, store."""
