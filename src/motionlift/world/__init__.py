"""The bundled tiny models: the world they learn from, their training, and their weights."""
