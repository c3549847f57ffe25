"""Where session records live."""
