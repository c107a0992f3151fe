"""Change the image in a manifest and nothing else: locate, splice, prove.

Pure: bytes in, edits out. YAML is parsed to find places and to prove the result; it is never
written by a YAML library.
"""

from gitops_release.manifests.editor import ManifestEditor

__all__ = ["ManifestEditor"]
