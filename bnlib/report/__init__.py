"""What only the book needs: from stored runs to statements, verdicts, figures and sliders. Nothing here trains."""
