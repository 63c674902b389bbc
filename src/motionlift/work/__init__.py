"""From names and paths to finished videos: prepare, lift, cast."""
