"""The documentation site: its gallery, and its source put together from docs, the code and the command line."""
