"""What all floors speak in: tensors, lattices, settings, and what a model and a method are. Nothing here computes."""
