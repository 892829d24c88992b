"""Who asks, and what they may do: values that the API, the stores and the command line share."""
