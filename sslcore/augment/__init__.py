"""Weak and strong views of image batches: uint8 tensors in, uint8 tensors out, one draw for every image."""
