"""Measures refconv: over its history (`history`, asv), before a merge (`gate`), and beside others (`table`)."""
