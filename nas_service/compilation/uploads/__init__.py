"""Models that users bring: checked before anything else reads them."""
