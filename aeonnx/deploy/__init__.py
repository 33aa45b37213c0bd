"""Write what other servers need to serve a bundle. Standard library only.

Triton reads a folder of models, KServe a manifest that names such a folder, and Ray Serve a
configuration file that names an application.
"""
