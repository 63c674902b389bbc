"""Videos in and out: clips, files, and pictures made of them."""
