"""What made the assets that ship inside the package; not needed to use it."""
