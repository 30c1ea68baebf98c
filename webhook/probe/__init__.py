"""
Is it there? Asking registries for manifests, and choosing by what they say.
"""
