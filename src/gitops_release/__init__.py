"""From a commit to a reviewable release: build and push an image, open the release pull request."""

__version__ = "0.1.0"
