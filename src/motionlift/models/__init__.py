"""Models: what a pipeline of diffusers is to the rest of the library."""
