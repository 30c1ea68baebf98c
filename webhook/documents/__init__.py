"""
Manifests as text: multi-document YAML and JSON, with spans spliced.
"""
