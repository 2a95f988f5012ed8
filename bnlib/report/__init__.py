"""What only the book needs: from stored runs to statements, verdicts, figures, the explorer. What trains lives in `training`."""
