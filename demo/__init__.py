"""The main job, for real, on one machine: build, push, release, and again."""
