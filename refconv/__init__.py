"""The referee for convolution: the public API on one page."""
