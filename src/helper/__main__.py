"""``python -m helper``: the other spelling of ``gitops-release``.

The package is a namespace package on purpose: it never overwrites somebody else's ``helper``.
"""

from gitops_release.__main__ import main

if __name__ == "__main__":
    main()
