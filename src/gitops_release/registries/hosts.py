"""Which hosts are this machine, and which a cloud's: anchored patterns, never substrings."""

from __future__ import annotations

import re
from typing import Final

GOOGLE: Final = re.compile(
    r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev|(?:(?:us|eu|asia)\.)?gcr\.io"
)
# After the pattern of AWS's own credential helper (amazon-ecr-credential-helper, registry.go).
ECR: Final = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9][a-z0-9-]*)"
    r"\.(?:amazonaws\.(?:com(?:\.cn)?|eu)|(?P<dual>on\.(?:aws|amazonwebservices\.com\.cn)))"
)
ECR_PUBLIC: Final = "public.ecr.aws"
# Names are 5-50 letters and digits; a domain name label adds a dash and a hash.
ACR: Final = re.compile(r"[a-z0-9]{5,50}(?:-[a-z0-9]{1,63})?\.azurecr\.(?P<cloud>io|cn|us)")


def is_google(host: str) -> bool:
    """Say whether Google Artifact Registry serves the host, by its own or a gcr.io name."""
    return GOOGLE.fullmatch(host) is not None


def is_ecr(host: str) -> bool:
    """Say whether the host is an account's private registry at Amazon ECR."""
    return ECR.fullmatch(host) is not None


def is_ecr_public(host: str) -> bool:
    """Say whether the host is Amazon's public registry."""
    return host == ECR_PUBLIC


def is_acr(host: str) -> bool:
    """Say whether the host is a registry of Azure Container Registry."""
    return ACR.fullmatch(host) is not None
