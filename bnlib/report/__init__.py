"""What only the book needs: from stored runs to statements, verdicts, figures and sliders. What trains lives in `training`."""
