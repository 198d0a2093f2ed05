"""Reports of finished results: tables, figures, pages."""
