"""What a study says: numbers as JSON and CSV, text, figures, one page, one paper."""
