"""What the project measures and trains for itself; not a part of the package."""
