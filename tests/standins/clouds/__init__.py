"""The clouds, as far as an image goes: identities, tokens and registries, all on this machine."""
