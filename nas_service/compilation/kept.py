"""Why a compiled file is kept beside the report, as rows of compressions say it."""

PUBLISHED = "published"
UNSTEADY = "not measured steadily"
"""Nothing is wrong but that its latency is not known for certain: it can be measured again."""
NOT_RUN = "not run here"
