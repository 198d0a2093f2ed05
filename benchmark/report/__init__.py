"""What is printed and drawn once the numbers exist: tables, figures, a page."""
