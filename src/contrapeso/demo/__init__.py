"""`contrapeso demo`: a local page on which a database is asked, and every variant of a study answers side by side."""
