"""Lifted motions: the file, its tensors, the cache, exports and drawings."""
